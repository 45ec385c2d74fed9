/* sim_redis.c - the simulated Redis: keys, commands on keys and on the server, and the table of all commands. The commands of
 * the types are in sim_redis_hash.c, sim_redis_list.c and sim_redis_stream.c. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sim_rdb.h"

struct rdb *rdb_create(void)
{
    return sim_alloc(sizeof(struct rdb));
}

void *rdb_copy_of(const void *p, size_t used, size_t cap)
{
    void *q = sim_alloc(cap ? cap : 1);

    if (used)
        memcpy(q, p, used);
    return q;
}

struct rdb *rdb_copy(const struct rdb *db)
{
    struct rdb *out = sim_alloc(sizeof(*out));

    *out = *db;
    out->keys = rdb_copy_of(db->keys, db->n * sizeof(*db->keys), db->cap * sizeof(*db->keys));
    for (uint32_t i = 0; i < out->n; i++) {
        struct rkey *k = &out->keys[i];
        uint32_t per = k->type == 'h' ? 2 : 1;

        if (k->items)
            k->items = rdb_copy_of(k->items, k->n * per * sizeof(struct rstr),
                                   k->cap * per * sizeof(struct rstr));
        if (k->entries)
            k->entries = rdb_copy_of(k->entries, k->n * sizeof(struct rentry),
                                     k->cap * sizeof(struct rentry));
    }
    return out;
}

struct rstr rstr_copy(const char *p, size_t len)
{
    char *q = sim_alloc(len + 1);

    memcpy(q, p, len);
    return (struct rstr){q, (uint32_t)len};
}

struct rstr rstr_of(const char *text)
{
    return rstr_copy(text, strlen(text));
}

bool rstr_eq(struct rstr a, struct rstr b)
{
    return a.len == b.len && memcmp(a.p, b.p, a.len) == 0;
}

bool rstr_is(struct rstr a, const char *text)
{
    return a.len == strlen(text) && strncasecmp(a.p, text, a.len) == 0;
}

struct rval rval_int(int64_t i)
{
    return (struct rval){.type = R_INT, .i = i};
}

struct rval rval_str(struct rstr s)
{
    return (struct rval){.type = R_STR, .s = s};
}

struct rval rval_ok(void)
{
    return (struct rval){.type = R_STATUS, .s = {"OK", 2}};
}

struct rval rval_error(const char *text)
{
    return (struct rval){.type = R_ERROR, .s = rstr_of(text)};
}

struct rval rval_array(uint32_t n)
{
    return (struct rval){
        .type = R_ARRAY, .n = n, .el = sim_alloc((n ? n : 1) * sizeof(struct rval))};
}

static uint32_t hash_of(struct rstr s)
{
    uint32_t h = 2166136261U;

    for (uint32_t i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.p[i]) * 16777619U;
    return h;
}

/* ---- keys ---- */

void key_remove(struct rdb *db, struct rkey *k)
{
    *k = db->keys[--db->n];
}

bool key_expired(const struct rkey *k)
{
    return k->expire_ms && redis_now_us() / 1000 >= k->expire_ms;
}

struct rkey *key_find(struct rdb *db, struct rstr name)
{
    uint32_t hash = hash_of(name);

    for (uint32_t i = 0; i < db->n; i++) {
        struct rkey *k = &db->keys[i];

        if (k->hash != hash || !rstr_eq(k->name, name))
            continue;
        if (key_expired(k)) {
            key_remove(db, k);
            return NULL;
        }
        return k;
    }
    return NULL;
}

struct rkey *key_add(struct rdb *db, struct rstr name, char type)
{
    if (db->n == db->cap) {
        uint32_t cap = db->cap ? db->cap * 2 : 16;

        db->keys = rdb_copy_of(db->keys, db->n * sizeof(*db->keys), cap * sizeof(*db->keys));
        db->cap = cap;
    }
    db->keys[db->n] = (struct rkey){.name = name, .hash = hash_of(name), .type = type};
    return &db->keys[db->n++];
}

void key_room(struct rkey *k)
{
    uint32_t per = k->type == 'h' ? 2 : 1;
    uint32_t cap = k->cap ? k->cap * 2 : 8;

    if (k->n < k->cap)
        return;
    if (k->type == 'x')
        k->entries = rdb_copy_of(k->entries, k->n * sizeof(*k->entries), cap * sizeof(*k->entries));
    else
        k->items =
            rdb_copy_of(k->items, k->n * per * sizeof(*k->items), cap * per * sizeof(*k->items));
    k->cap = cap;
}

/* As strict as Redis: one spelling per number. */
bool rstr_int(struct rstr s, int64_t *out)
{
    char text[24];
    char again[24];

    if (s.len == 0 || s.len >= sizeof(text))
        return false;
    memcpy(text, s.p, s.len);
    text[s.len] = 0;
    *out = strtoll(text, NULL, 10);
    snprintf(again, sizeof(again), "%" PRId64, *out);
    return strcmp(text, again) == 0;
}

static struct rval cmd_count(struct rdb *db, const struct rstr *v, uint32_t n)
{
    struct rkey *k = key_find(db, v[1]);
    char type = rstr_is(v[0], "LLEN") ? 'l' : rstr_is(v[0], "XLEN") ? 'x' : 'h';

    (void)n;
    if (k && k->type != type)
        return WRONGTYPE;
    return rval_int(k ? k->n : 0);
}

/* ---- keys and the server ---- */

static struct rval cmd_exists(struct rdb *db, const struct rstr *v, uint32_t n)
{
    int64_t found = 0;

    for (uint32_t i = 1; i < n; i++)
        found += key_find(db, v[i]) != NULL;
    return rval_int(found);
}

static struct rval cmd_unlink(struct rdb *db, const struct rstr *v, uint32_t n)
{
    int64_t gone = 0;

    for (uint32_t i = 1; i < n; i++) {
        struct rkey *k = key_find(db, v[i]);

        if (k) {
            key_remove(db, k);
            gone++;
        }
    }
    return rval_int(gone);
}

static struct rval cmd_rename(struct rdb *db, const struct rstr *v, uint32_t n)
{
    struct rkey *k = key_find(db, v[1]);
    struct rkey *to = NULL;

    (void)n;
    if (!k)
        return rval_error("ERR no such key");
    to = key_find(db, v[2]);
    if (to == k)
        return rval_ok();
    if (to) {
        key_remove(db, to);
        k = key_find(db, v[1]);
    }
    k->name = v[2];
    k->hash = hash_of(v[2]);
    return rval_ok();
}

static struct rval cmd_expire(struct rdb *db, const struct rstr *v, uint32_t n)
{
    struct rkey *k = key_find(db, v[1]);
    int64_t ttl = 0;
    bool persist = rstr_is(v[0], "PERSIST");

    if (!persist && (n < 3 || !rstr_int(v[2], &ttl)))
        return NOT_AN_INTEGER;
    if (!k || (persist && !k->expire_ms))
        return rval_int(0);
    if (rstr_is(v[0], "EXPIRE"))
        ttl *= 1000;
    if (!persist && ttl <= 0)
        key_remove(db, k);
    else
        k->expire_ms = persist ? 0 : redis_now_us() / 1000 + ttl;
    return rval_int(1);
}

static struct rval cmd_time(struct rdb *db, const struct rstr *v, uint32_t n)
{
    struct rval out = rval_array(2);
    char text[24];

    (void)db;
    (void)v;
    (void)n;
    snprintf(text, sizeof(text), "%" PRId64, redis_now_us() / 1000000);
    out.el[0] = rval_str(rstr_of(text));
    snprintf(text, sizeof(text), "%" PRId64, redis_now_us() % 1000000);
    out.el[1] = rval_str(rstr_of(text));
    return out;
}

static struct rval cmd_info(struct rdb *db, const struct rstr *v, uint32_t n)
{
    char text[160];

    (void)db;
    (void)v;
    (void)n;
    snprintf(text, sizeof(text), "# Server\r\nredis_version:7.0.15\r\nrun_id:%s\r\ntcp_port:0\r\n",
             redis_run_id());
    return rval_str(rstr_of(text));
}

static struct rval cmd_publish(struct rdb *db, const struct rstr *v, uint32_t n)
{
    (void)db;
    (void)v;
    (void)n;
    return rval_int(0);
}

static const struct {
    const char *name;
    uint32_t args; /* at least, with the name */
    struct rval (*run)(struct rdb *db, const struct rstr *v, uint32_t n);
} commands[] = {
    {"HMGET", 3, cmd_hmget},     {"LLEN", 2, cmd_count},      {"TIME", 1, cmd_time},
    {"INFO", 1, cmd_info},       {"XLEN", 2, cmd_count},      {"LRANGE", 4, cmd_lrange},
    {"XADD", 5, cmd_xadd},       {"HSET", 4, cmd_hset},       {"LPOP", 2, cmd_lpop},
    {"HINCRBY", 4, cmd_hincrby}, {"HSETNX", 4, cmd_hsetnx},   {"XDEL", 3, cmd_xdel},
    {"XRANGE", 4, cmd_xrange},   {"HGET", 3, cmd_hget},       {"GET", 2, cmd_get},
    {"SET", 3, cmd_set},         {"HGETALL", 2, cmd_hgetall}, {"HSCAN", 3, cmd_hscan},
    {"HDEL", 3, cmd_hdel},       {"HLEN", 2, cmd_count},      {"RPUSH", 3, cmd_rpush},
    {"LTRIM", 4, cmd_ltrim},     {"LREM", 4, cmd_lrem},       {"EXISTS", 2, cmd_exists},
    {"UNLINK", 2, cmd_unlink},   {"DEL", 2, cmd_unlink},      {"RENAME", 3, cmd_rename},
    {"EXPIRE", 3, cmd_expire},   {"PEXPIRE", 3, cmd_expire},  {"PERSIST", 2, cmd_expire},
    {"PUBLISH", 3, cmd_publish}, {"XTRIM", 4, cmd_xtrim},
};

struct rval rdb_command(struct rdb *db, const struct rstr *argv, uint32_t argc)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (!rstr_is(argv[0], commands[i].name))
            continue;
        if (argc < commands[i].args)
            return rval_error("ERR Wrong number of args calling Redis command from script");
        return commands[i].run(db, argv, argc);
    }
    return rval_error("ERR unknown command");
}
