/* sim_redis.c - Redis' data: strings, hashes, lists and streams, and the commands the scripts and ports use on them.
 * Strings are in the seed's memory and never change, so a copy of the
 * whole data is a copy of small arrays. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sim_redis.h"

struct rentry { /* of a stream */
    uint64_t ms;
    uint64_t seq;
    struct rstr *fields;
    uint32_t n;
};

struct rkey {
    struct rstr name;
    uint32_t hash;
    char type; /* s string, h hash, l list, x stream */
    int64_t expire_ms;
    struct rstr str;
    struct rstr *items; /* list: items; hash: field, value, … */
    struct rentry *entries;
    uint32_t n; /* items, pairs of a hash, entries */
    uint32_t cap;
    uint64_t last_ms; /* stream */
    uint64_t last_seq;
};

struct rdb {
    struct rkey *keys;
    uint32_t n;
    uint32_t cap;
};

struct rdb *rdb_create(void)
{
    return sim_alloc(sizeof(struct rdb));
}

static void *copy_of(const void *p, size_t used, size_t cap)
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
    out->keys = copy_of(db->keys, db->n * sizeof(*db->keys), db->cap * sizeof(*db->keys));
    for (uint32_t i = 0; i < out->n; i++) {
        struct rkey *k = &out->keys[i];
        uint32_t per = k->type == 'h' ? 2 : 1;

        if (k->items)
            k->items = copy_of(k->items, k->n * per * sizeof(struct rstr),
                               k->cap * per * sizeof(struct rstr));
        if (k->entries)
            k->entries =
                copy_of(k->entries, k->n * sizeof(struct rentry), k->cap * sizeof(struct rentry));
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

static struct rval rval_ok(void)
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

static const struct rval nil = {.type = R_NIL};

#define WRONGTYPE rval_error("WRONGTYPE Operation against a key holding the wrong kind of value")
#define NOT_AN_INTEGER rval_error("ERR value is not an integer or out of range")

static uint32_t hash_of(struct rstr s)
{
    uint32_t h = 2166136261U;

    for (uint32_t i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.p[i]) * 16777619U;
    return h;
}

/* ---- keys ---- */

static void key_remove(struct rdb *db, struct rkey *k)
{
    *k = db->keys[--db->n];
}

static struct rkey *key_find(struct rdb *db, struct rstr name)
{
    uint32_t hash = hash_of(name);

    for (uint32_t i = 0; i < db->n; i++) {
        struct rkey *k = &db->keys[i];

        if (k->hash != hash || !rstr_eq(k->name, name))
            continue;
        if (k->expire_ms && redis_now_us() / 1000 >= k->expire_ms) {
            key_remove(db, k);
            return NULL;
        }
        return k;
    }
    return NULL;
}

static struct rkey *key_add(struct rdb *db, struct rstr name, char type)
{
    if (db->n == db->cap) {
        uint32_t cap = db->cap ? db->cap * 2 : 16;

        db->keys = copy_of(db->keys, db->n * sizeof(*db->keys), cap * sizeof(*db->keys));
        db->cap = cap;
    }
    db->keys[db->n] = (struct rkey){.name = name, .hash = hash_of(name), .type = type};
    return &db->keys[db->n++];
}

/* Room for one more item, pair or entry. */
static void key_room(struct rkey *k)
{
    uint32_t per = k->type == 'h' ? 2 : 1;
    uint32_t cap = k->cap ? k->cap * 2 : 8;

    if (k->n < k->cap)
        return;
    if (k->type == 'x')
        k->entries = copy_of(k->entries, k->n * sizeof(*k->entries), cap * sizeof(*k->entries));
    else
        k->items = copy_of(k->items, k->n * per * sizeof(*k->items), cap * per * sizeof(*k->items));
    k->cap = cap;
}

bool rstr_int(struct rstr s, int64_t *out)
{
    char text[24];
    char *end = NULL;

    if (s.len == 0 || s.len >= sizeof(text))
        return false;
    memcpy(text, s.p, s.len);
    text[s.len] = 0;
    *out = strtoll(text, &end, 10);
    return *end == 0 && text[0] != '+' && text[0] != ' ';
}

/* ---- strings ---- */

static struct rval cmd_get(struct rdb *db, const struct rstr *v, uint32_t n)
{
    struct rkey *k = key_find(db, v[1]);

    (void)n;
    if (!k)
        return nil;
    return k->type == 's' ? rval_str(k->str) : WRONGTYPE;
}

static struct rval cmd_set(struct rdb *db, const struct rstr *v, uint32_t n)
{
    struct rkey *k = key_find(db, v[1]);
    int64_t px = 0;
    bool nx = false;

    for (uint32_t i = 3; i < n; i++) {
        if (rstr_is(v[i], "NX"))
            nx = true;
        else if (rstr_is(v[i], "PX") && i + 1 < n && rstr_int(v[i + 1], &px))
            i++;
        else if (rstr_is(v[i], "EX") && i + 1 < n && rstr_int(v[i + 1], &px)) {
            px *= 1000;
            i++;
        } else
            return rval_error("ERR syntax error");
    }
    if (nx && k)
        return nil;
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

static struct rval cmd_hget(struct rdb *db, const struct rstr *v, uint32_t n)
{
    struct rkey *k = key_find(db, v[1]);
    struct rstr *value = NULL;

    (void)n;
    if (k && k->type != 'h')
        return WRONGTYPE;
    value = k ? hash_find(k, v[2]) : NULL;
    return value ? rval_str(*value) : nil;
}

static struct rval cmd_hmget(struct rdb *db, const struct rstr *v, uint32_t n)
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

static struct rval cmd_hset(struct rdb *db, const struct rstr *v, uint32_t n)
{
    struct rkey *k = key_find(db, v[1]);
    int64_t added = 0;

    if (k && k->type != 'h')
        return WRONGTYPE;
    if (n % 2)
        return rval_error("ERR wrong number of arguments for 'hset' command");
    if (!k)
        k = key_add(db, v[1], 'h');
    for (uint32_t i = 2; i < n; i += 2)
        added += hash_put(k, v[i], v[i + 1]);
    return rval_int(added);
}

static struct rval cmd_hsetnx(struct rdb *db, const struct rstr *v, uint32_t n)
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

static struct rval cmd_hincrby(struct rdb *db, const struct rstr *v, uint32_t n)
{
    struct rkey *k = key_find(db, v[1]);
    struct rstr *old = NULL;
    int64_t value = 0;
    int64_t add = 0;
    char text[24];

    (void)n;
    if (k && k->type != 'h')
        return WRONGTYPE;
    if (!rstr_int(v[3], &add))
        return NOT_AN_INTEGER;
    if (!k)
        k = key_add(db, v[1], 'h');
    old = hash_find(k, v[2]);
    if (old && !rstr_int(*old, &value))
        return rval_error("ERR hash value is not an integer");
    value += add;
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

static struct rval cmd_hgetall(struct rdb *db, const struct rstr *v, uint32_t n)
{
    struct rkey *k = key_find(db, v[1]);

    (void)n;
    return k && k->type != 'h' ? WRONGTYPE : hash_all(k);
}

/* Everything at once, as Redis does for small hashes. */
static struct rval cmd_hscan(struct rdb *db, const struct rstr *v, uint32_t n)
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

static struct rval cmd_hdel(struct rdb *db, const struct rstr *v, uint32_t n)
{
    struct rkey *k = key_find(db, v[1]);
    int64_t gone = 0;

    if (k && k->type != 'h')
        return WRONGTYPE;
    for (uint32_t i = 2; k && i < n; i++) {
        struct rstr *value = hash_find(k, v[i]);

        if (!value)
            continue;
        k->n--;
        value[-1] = k->items[2 * k->n];
        value[0] = k->items[2 * k->n + 1];
        gone++;
    }
    if (k && k->n == 0)
        key_remove(db, k);
    return rval_int(gone);
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

/* ---- lists ---- */

static struct rval cmd_rpush(struct rdb *db, const struct rstr *v, uint32_t n)
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
static bool range_of(const struct rkey *k, struct rstr from, struct rstr to, int64_t *a, int64_t *b)
{
    if (!rstr_int(from, a) || !rstr_int(to, b))
        return false;
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

static struct rval cmd_lrange(struct rdb *db, const struct rstr *v, uint32_t n)
{
    struct rkey *k = key_find(db, v[1]);
    struct rval out;
    int64_t a = 0;
    int64_t b = 0;

    (void)n;
    if (k && k->type != 'l')
        return WRONGTYPE;
    if (!k || !range_of(k, v[2], v[3], &a, &b))
        return rval_array(0);
    out = rval_array((uint32_t)(b - a + 1));
    for (int64_t i = a; i <= b; i++)
        out.el[i - a] = rval_str(k->items[i]);
    return out;
}

static struct rval cmd_ltrim(struct rdb *db, const struct rstr *v, uint32_t n)
{
    struct rkey *k = key_find(db, v[1]);
    int64_t a = 0;
    int64_t b = 0;

    (void)n;
    if (k && k->type != 'l')
        return WRONGTYPE;
    if (k && !range_of(k, v[2], v[3], &a, &b))
        key_remove(db, k);
    else if (k) {
        k->n = (uint32_t)(b - a + 1);
        memmove(k->items, k->items + a, k->n * sizeof(*k->items));
    }
    return rval_ok();
}

static struct rval cmd_lpop(struct rdb *db, const struct rstr *v, uint32_t n)
{
    struct rkey *k = key_find(db, v[1]);
    int64_t want = 1;
    uint32_t take = 0;
    struct rval out;

    if (k && k->type != 'l')
        return WRONGTYPE;
    if (n > 2 && (!rstr_int(v[2], &want) || want < 0))
        return rval_error("ERR value is out of range, must be positive");
    if (!k)
        return nil;
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

static struct rval cmd_lrem(struct rdb *db, const struct rstr *v, uint32_t n)
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

/* ---- streams ---- */

static bool id_parse(struct rstr s, uint64_t *ms, uint64_t *seq, uint64_t seq_default)
{
    char text[64];
    char *end = NULL;

    if (s.len == 0 || s.len >= sizeof(text))
        return false;
    memcpy(text, s.p, s.len);
    text[s.len] = 0;
    *ms = strtoull(text, &end, 10);
    *seq = seq_default;
    if (*end == '-')
        *seq = strtoull(end + 1, &end, 10);
    return *end == 0;
}

static struct rstr id_text(uint64_t ms, uint64_t seq)
{
    char text[48];

    snprintf(text, sizeof(text), "%" PRIu64 "-%" PRIu64, ms, seq);
    return rstr_of(text);
}

/* XADD key [MAXLEN ~ n] id field value …; id is *, ms-* or whole. The approximate trim is not done: streams are short. */
static struct rval cmd_xadd(struct rdb *db, const struct rstr *v, uint32_t n)
{
    struct rkey *k = key_find(db, v[1]);
    uint32_t at = n > 5 && rstr_is(v[2], "MAXLEN") ? 5 : 2;
    uint64_t ms = (uint64_t)(redis_now_us() / 1000);
    uint64_t seq = 0;
    struct rentry *e = NULL;

    if (k && k->type != 'x')
        return WRONGTYPE;
    if (v[at].p[v[at].len - 1] == '*') {
        if (v[at].len > 2)
            ms = strtoull(v[at].p, NULL, 10);
        if (k && v[at].len == 1 && ms < k->last_ms)
            ms = k->last_ms;
        if (k && ms == k->last_ms)
            seq = k->last_seq + 1;
    } else if (!id_parse(v[at], &ms, &seq, 0)) {
        return rval_error("ERR Invalid stream ID specified as stream command argument");
    }
    if (k && (ms < k->last_ms || (ms == k->last_ms && seq <= k->last_seq)))
        return rval_error("ERR The ID specified in XADD is equal or smaller than the target stream "
                          "top item");
    if (!k)
        k = key_add(db, v[1], 'x');
    key_room(k);
    e = &k->entries[k->n++];
    *e = (struct rentry){ms, seq,
                         copy_of(v + at + 1, (n - at - 1) * sizeof(*v), (n - at - 1) * sizeof(*v)),
                         n - at - 1};
    k->last_ms = ms;
    k->last_seq = seq;
    return rval_str(id_text(ms, seq));
}

static struct rval cmd_xdel(struct rdb *db, const struct rstr *v, uint32_t n)
{
    struct rkey *k = key_find(db, v[1]);
    int64_t gone = 0;

    if (k && k->type != 'x')
        return WRONGTYPE;
    for (uint32_t i = 2; k && i < n; i++) {
        uint64_t ms = 0;
        uint64_t seq = 0;

        if (!id_parse(v[i], &ms, &seq, 0))
            return rval_error("ERR Invalid stream ID specified as stream command argument");
        for (uint32_t j = 0; j < k->n; j++) {
            if (k->entries[j].ms == ms && k->entries[j].seq == seq) {
                memmove(&k->entries[j], &k->entries[j + 1], (k->n - j - 1) * sizeof(k->entries[0]));
                k->n--;
                gone++;
                break;
            }
        }
    }
    return rval_int(gone);
}

/* XTRIM key MAXLEN 0: the key and its last id stay. */
static struct rval cmd_xtrim(struct rdb *db, const struct rstr *v, uint32_t n)
{
    struct rkey *k = key_find(db, v[1]);
    int64_t keep = 0;
    int64_t gone = 0;

    if (k && k->type != 'x')
        return WRONGTYPE;
    if (n != 4 || !rstr_is(v[2], "MAXLEN") || !rstr_int(v[3], &keep) || keep < 0)
        return rval_error("ERR syntax error");
    if (k && k->n > keep) {
        gone = (int64_t)k->n - keep;
        memmove(k->entries, k->entries + gone, (size_t)keep * sizeof(k->entries[0]));
        k->n = (uint32_t)keep;
    }
    return rval_int(gone);
}

static bool id_bound(struct rstr s, bool low, uint64_t *ms, uint64_t *seq, bool *open)
{
    *open = s.len > 1 && s.p[0] == '(';
    if (*open)
        s = (struct rstr){s.p + 1, s.len - 1};
    if (s.len == 1 && (s.p[0] == '-' || s.p[0] == '+')) {
        *ms = *seq = s.p[0] == '-' ? 0 : UINT64_MAX;
        return true;
    }
    return id_parse(s, ms, seq, low ? 0 : UINT64_MAX);
}

static struct rval entry_val(const struct rentry *e)
{
    struct rval out = rval_array(2);

    out.el[0] = rval_str(id_text(e->ms, e->seq));
    out.el[1] = rval_array(e->n);
    for (uint32_t i = 0; i < e->n; i++)
        out.el[1].el[i] = rval_str(e->fields[i]);
    return out;
}

static struct rval cmd_xrange(struct rdb *db, const struct rstr *v, uint32_t n)
{
    struct rkey *k = key_find(db, v[1]);
    uint64_t ms[2];
    uint64_t seq[2];
    bool open[2];
    int64_t count = INT64_MAX;
    uint32_t found = 0;
    struct rval out;

    if (k && k->type != 'x')
        return WRONGTYPE;
    if (!id_bound(v[2], true, &ms[0], &seq[0], &open[0]) ||
        !id_bound(v[3], false, &ms[1], &seq[1], &open[1]))
        return rval_error("ERR Invalid stream ID specified as stream command argument");
    if (n == 6 && !rstr_int(v[5], &count))
        return NOT_AN_INTEGER;
    out = rval_array(k ? k->n : 0);
    for (uint32_t i = 0; k && i < k->n && found < count; i++) {
        const struct rentry *e = &k->entries[i];

        if (e->ms < ms[0] || (e->ms == ms[0] && (e->seq < seq[0] || (open[0] && e->seq == seq[0]))))
            continue;
        if (e->ms > ms[1] || (e->ms == ms[1] && (e->seq > seq[1] || (open[1] && e->seq == seq[1]))))
            continue;
        out.el[found++] = entry_val(e);
    }
    out.n = found;
    return out;
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
            return rval_error("ERR wrong number of arguments");
        return commands[i].run(db, argv, argc);
    }
    return rval_error("ERR unknown command");
}

/* ---- for comparisons ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static char *key_dump(const struct rkey *k)
{
    size_t room = 64 + k->name.len + k->str.len;
    char **parts = sim_alloc((k->n + 1) * sizeof(*parts));
    char *out = NULL;
    size_t used = 0;

    for (uint32_t i = 0; i < k->n; i++) {
        size_t len = 64;
        int at = 0;

        if (k->type == 'x') {
            for (uint32_t j = 0; j < k->entries[i].n; j++)
                len += k->entries[i].fields[j].len + 1;
            parts[i] = sim_alloc(len);
            at = snprintf(parts[i], len, "%" PRIu64 "-%" PRIu64, k->entries[i].ms,
                          k->entries[i].seq);
            for (uint32_t j = 0; j < k->entries[i].n; j++)
                at += snprintf(parts[i] + at, len - (size_t)at, ",%s", k->entries[i].fields[j].p);
        } else if (k->type == 'h') {
            len += k->items[2 * i].len + k->items[2 * i + 1].len;
            parts[i] = sim_alloc(len);
            snprintf(parts[i], len, "%s=%s", k->items[2 * i].p, k->items[2 * i + 1].p);
        } else {
            len += k->items[i].len;
            parts[i] = sim_alloc(len);
            snprintf(parts[i], len, "%s", k->items[i].p);
        }
        room += len;
    }
    if (k->type == 'h')
        qsort(parts, k->n, sizeof(*parts), by_text);
    out = sim_alloc(room);
    used = (size_t)snprintf(out, room, "%s %c%s%s", k->name.p, k->type, k->expire_ms ? "!" : "",
                            k->type == 's' ? k->str.p : "");
    for (uint32_t i = 0; i < k->n; i++)
        used += (size_t)snprintf(out + used, room - used, "|%s", parts[i]);
    return out;
}

char *rdb_dump(const struct rdb *db)
{
    char **lines = sim_alloc((db->n + 1) * sizeof(*lines));
    size_t room = 1;
    size_t used = 0;
    char *out = NULL;

    for (uint32_t i = 0; i < db->n; i++) {
        lines[i] = key_dump(&db->keys[i]);
        room += strlen(lines[i]) + 1;
    }
    qsort(lines, db->n, sizeof(*lines), by_text);
    out = sim_alloc(room);
    for (uint32_t i = 0; i < db->n; i++)
        used += (size_t)snprintf(out + used, room - used, "%s\n", lines[i]);
    return out;
}
