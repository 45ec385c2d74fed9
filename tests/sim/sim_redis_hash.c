/* sim_redis_hash.c - strings and hashes of the simulated Redis. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sim_rdb.h"

/* ---- strings ---- */

struct rval cmd_get(struct rdb *db, const struct rstr *v, uint32_t n)
{
    struct rkey *k = key_find(db, v[1]);

    (void)n;
    if (!k)
        return rval_nil();
    return k->type == 's' ? rval_str(k->str) : WRONGTYPE;
}

struct rval cmd_set(struct rdb *db, const struct rstr *v, uint32_t n)
{
    struct rkey *k = key_find(db, v[1]);
    struct rstr ttl = {0};
    int64_t ttl_ms = 0;
    int64_t px = 0;
    bool nx = false;

    for (uint32_t i = 3; i < n; i++) {
        if (rstr_is(v[i], "NX"))
            nx = true;
        else if ((rstr_is(v[i], "PX") || rstr_is(v[i], "EX")) && i + 1 < n) {
            ttl_ms = rstr_is(v[i], "PX") ? 1 : 1000;
            ttl = v[++i];
        } else
            return rval_error("ERR syntax error");
    }
    if (ttl_ms && !rstr_int(ttl, &px))
        return NOT_AN_INTEGER;
    if (ttl_ms && (px <= 0 || __builtin_mul_overflow(px, ttl_ms, &px)))
        return rval_error("ERR invalid expire time in 'set' command");
    if (nx && k)
        return rval_nil();
    if (k)
        key_remove(db, k);
    k = key_add(db, v[1], 's');
    k->str = v[2];
    k->expire_ms = px ? redis_now_us() / 1000 + px : 0;
    return rval_ok();
}

/* ---- hashes ---- */

static struct rstr *hash_find(const struct rkey *k, struct rstr field)
{
    for (uint32_t i = 0; i < k->n; i++) {
        if (rstr_eq(k->items[2 * i], field))
            return &k->items[2 * i + 1];
    }
    return NULL;
}

static bool hash_put(struct rkey *k, struct rstr field, struct rstr value)
{
    struct rstr *old = hash_find(k, field);

    if (old) {
        *old = value;
        return false;
    }
    key_room(k);
    k->items[2 * k->n] = field;
    k->items[2 * k->n + 1] = value;
    k->n++;
    return true;
}

struct rval cmd_hget(struct rdb *db, const struct rstr *v, uint32_t n)
{
    struct rkey *k = key_find(db, v[1]);
    struct rstr *value = NULL;

    (void)n;
    if (k && k->type != 'h')
        return WRONGTYPE;
    value = k ? hash_find(k, v[2]) : NULL;
    return value ? rval_str(*value) : rval_nil();
}

struct rval cmd_hmget(struct rdb *db, const struct rstr *v, uint32_t n)
{
    struct rkey *k = key_find(db, v[1]);
    struct rval out = rval_array(n - 2);

    if (k && k->type != 'h')
        return WRONGTYPE;
    for (uint32_t i = 2; i < n; i++) {
        struct rstr *value = k ? hash_find(k, v[i]) : NULL;

        if (value)
            out.el[i - 2] = rval_str(*value);
    }
    return out;
}

struct rval cmd_hset(struct rdb *db, const struct rstr *v, uint32_t n)
{
    struct rkey *k = key_find(db, v[1]);
    int64_t added = 0;

    if (n % 2)
        return rval_error("ERR wrong number of arguments for 'hset' command");
    if (k && k->type != 'h')
        return WRONGTYPE;
    if (!k)
        k = key_add(db, v[1], 'h');
    for (uint32_t i = 2; i < n; i += 2)
        added += hash_put(k, v[i], v[i + 1]);
    return rval_int(added);
}

struct rval cmd_hsetnx(struct rdb *db, const struct rstr *v, uint32_t n)
{
    struct rkey *k = key_find(db, v[1]);

    (void)n;
    if (k && k->type != 'h')
        return WRONGTYPE;
    if (k && hash_find(k, v[2]))
        return rval_int(0);
    if (!k)
        k = key_add(db, v[1], 'h');
    hash_put(k, v[2], v[3]);
    return rval_int(1);
}

struct rval cmd_hincrby(struct rdb *db, const struct rstr *v, uint32_t n)
{
    struct rkey *k = key_find(db, v[1]);
    struct rstr *old = NULL;
    int64_t value = 0;
    int64_t add = 0;
    char text[24];

    (void)n;
    if (!rstr_int(v[3], &add))
        return NOT_AN_INTEGER;
    if (k && k->type != 'h')
        return WRONGTYPE;
    if (!k)
        k = key_add(db, v[1], 'h');
    old = hash_find(k, v[2]);
    if (old && !rstr_int(*old, &value))
        return rval_error("ERR hash value is not an integer");
    if (__builtin_add_overflow(value, add, &value))
        return rval_error("ERR increment or decrement would overflow");
    snprintf(text, sizeof(text), "%" PRId64, value);
    hash_put(k, v[2], rstr_of(text));
    return rval_int(value);
}

static struct rval hash_all(const struct rkey *k)
{
    struct rval out = rval_array(k ? 2 * k->n : 0);

    for (uint32_t i = 0; k && i < 2 * k->n; i++)
        out.el[i] = rval_str(k->items[i]);
    return out;
}

struct rval cmd_hgetall(struct rdb *db, const struct rstr *v, uint32_t n)
{
    struct rkey *k = key_find(db, v[1]);

    (void)n;
    return k && k->type != 'h' ? WRONGTYPE : hash_all(k);
}

/* Everything at once, as Redis does for small hashes. */
struct rval cmd_hscan(struct rdb *db, const struct rstr *v, uint32_t n)
{
    struct rkey *k = key_find(db, v[1]);
    struct rval out = rval_array(2);

    (void)n;
    if (k && k->type != 'h')
        return WRONGTYPE;
    out.el[0] = rval_str(rstr_of("0"));
    out.el[1] = hash_all(k);
    return out;
}

struct rval cmd_hdel(struct rdb *db, const struct rstr *v, uint32_t n)
{
    struct rkey *k = key_find(db, v[1]);
    int64_t gone = 0;

    if (k && k->type != 'h')
        return WRONGTYPE;
    for (uint32_t i = 2; k && i < n; i++) {
        struct rstr *value = hash_find(k, v[i]);

        if (!value)
            continue;
        k->n--; /* what is behind it moves up, as in Redis' small hashes */
        memmove(value - 1, value + 1, (size_t)(k->items + 2 * k->n - (value - 1)) * sizeof(*value));
        gone++;
    }
    if (k && k->n == 0)
        key_remove(db, k);
    return rval_int(gone);
}
