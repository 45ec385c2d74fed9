/* sim_redis_list.c - lists of the simulated Redis. */
#include <string.h>

#include "sim_rdb.h"

struct rval cmd_rpush(struct rdb *db, const struct rstr *v, uint32_t n)
{
    struct rkey *k = key_find(db, v[1]);

    if (k && k->type != 'l')
        return WRONGTYPE;
    if (!k)
        k = key_add(db, v[1], 'l');
    for (uint32_t i = 2; i < n; i++) {
        key_room(k);
        k->items[k->n++] = v[i];
    }
    return rval_int(k->n);
}

/* Redis' rule for start and stop; false: nothing. */
static bool range_of(const struct rkey *k, int64_t *a, int64_t *b)
{
    if (*a < 0)
        *a += k->n;
    if (*b < 0)
        *b += k->n;
    if (*a < 0)
        *a = 0;
    if (*b >= k->n)
        *b = (int64_t)k->n - 1;
    return *a <= *b;
}

struct rval cmd_lrange(struct rdb *db, const struct rstr *v, uint32_t n)
{
    struct rkey *k = key_find(db, v[1]);
    struct rval out;
    int64_t a = 0;
    int64_t b = 0;

    (void)n;
    if (!rstr_int(v[2], &a) || !rstr_int(v[3], &b))
        return NOT_AN_INTEGER;
    if (k && k->type != 'l')
        return WRONGTYPE;
    if (!k || !range_of(k, &a, &b))
        return rval_array(0);
    out = rval_array((uint32_t)(b - a + 1));
    for (int64_t i = a; i <= b; i++)
        out.el[i - a] = rval_str(k->items[i]);
    return out;
}

struct rval cmd_ltrim(struct rdb *db, const struct rstr *v, uint32_t n)
{
    struct rkey *k = key_find(db, v[1]);
    int64_t a = 0;
    int64_t b = 0;

    (void)n;
    if (!rstr_int(v[2], &a) || !rstr_int(v[3], &b))
        return NOT_AN_INTEGER;
    if (k && k->type != 'l')
        return WRONGTYPE;
    if (k && !range_of(k, &a, &b))
        key_remove(db, k);
    else if (k) {
        k->n = (uint32_t)(b - a + 1);
        memmove(k->items, k->items + a, k->n * sizeof(*k->items));
    }
    return rval_ok();
}

struct rval cmd_lpop(struct rdb *db, const struct rstr *v, uint32_t n)
{
    struct rkey *k = key_find(db, v[1]);
    int64_t want = 1;
    uint32_t take = 0;
    struct rval out;

    if (n > 2 && (!rstr_int(v[2], &want) || want < 0))
        return rval_error("ERR value is out of range, must be positive");
    if (k && k->type != 'l')
        return WRONGTYPE;
    if (!k)
        return rval_nil();
    take = want < k->n ? (uint32_t)want : k->n;
    out = rval_array(take);
    for (uint32_t i = 0; i < take; i++)
        out.el[i] = rval_str(k->items[i]);
    k->n -= take;
    memmove(k->items, k->items + take, k->n * sizeof(*k->items));
    if (k->n == 0)
        key_remove(db, k);
    return n > 2 ? out : out.el[0];
}

struct rval cmd_lrem(struct rdb *db, const struct rstr *v, uint32_t n)
{
    struct rkey *k = key_find(db, v[1]);
    uint32_t kept = 0;
    int64_t gone = 0;

    (void)n; /* count 0 only: all of them */
    if (k && k->type != 'l')
        return WRONGTYPE;
    for (uint32_t i = 0; k && i < k->n; i++) {
        if (rstr_eq(k->items[i], v[3]))
            gone++;
        else
            k->items[kept++] = k->items[i];
    }
    if (k)
        k->n = kept;
    if (k && k->n == 0)
        key_remove(db, k);
    return rval_int(gone);
}
