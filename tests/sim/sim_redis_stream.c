/* sim_redis_stream.c - streams of the simulated Redis. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim_rdb.h"

#define BAD_ID rval_error("ERR Invalid stream ID specified as stream command argument")

static bool id_part(const char *p, const char *end, uint64_t *out)
{
    *out = 0;
    if (p == end)
        return false;
    for (; p < end; p++) {
        if (*p < '0' || *p > '9' || __builtin_mul_overflow(*out, 10, out) ||
            __builtin_add_overflow(*out, (uint64_t)(*p - '0'), out))
            return false;
    }
    return true;
}

static bool id_parse(struct rstr s, uint64_t *ms, uint64_t *seq, uint64_t seq_default)
{
    const char *end = s.p + s.len;
    const char *dash = memchr(s.p, '-', s.len);

    *seq = seq_default;
    return id_part(s.p, dash ? dash : end, ms) && (!dash || id_part(dash + 1, end, seq));
}

static struct rstr id_text(uint64_t ms, uint64_t seq)
{
    char text[48];

    snprintf(text, sizeof(text), "%" PRIu64 "-%" PRIu64, ms, seq);
    return rstr_of(text);
}

/* XADD key [MAXLEN ~ n] id field value …; id is *, ms-* or whole. The approximate trim is not done: streams are short. */
struct rval cmd_xadd(struct rdb *db, const struct rstr *v, uint32_t n)
{
    struct rkey *k = key_find(db, v[1]);
    uint32_t at = n > 5 && rstr_is(v[2], "MAXLEN") ? 5 : 2;
    uint64_t ms = (uint64_t)(redis_now_us() / 1000);
    uint64_t seq = 0;
    struct rentry *e = NULL;

    if (v[at].p[v[at].len - 1] != '*') {
        if (!id_parse(v[at], &ms, &seq, 0))
            return BAD_ID;
        if (ms == 0 && seq == 0)
            return rval_error("ERR The ID specified in XADD must be greater than 0-0");
    }
    if (k && k->type != 'x')
        return WRONGTYPE;
    if (v[at].p[v[at].len - 1] == '*') {
        if (v[at].len > 2)
            ms = strtoull(v[at].p, NULL, 10);
        if (k && v[at].len == 1 && ms < k->last_ms)
            ms = k->last_ms;
        if (k && ms == k->last_ms)
            seq = k->last_seq + 1;
    }
    if (k && (ms < k->last_ms || (ms == k->last_ms && seq <= k->last_seq)))
        return rval_error("ERR The ID specified in XADD is equal or smaller than the target stream "
                          "top item");
    if (!k)
        k = key_add(db, v[1], 'x');
    key_room(k);
    e = &k->entries[k->n++];
    *e = (struct rentry){
        ms, seq, rdb_copy_of(v + at + 1, (n - at - 1) * sizeof(*v), (n - at - 1) * sizeof(*v)),
        n - at - 1};
    k->last_ms = ms;
    k->last_seq = seq;
    return rval_str(id_text(ms, seq));
}

struct rval cmd_xdel(struct rdb *db, const struct rstr *v, uint32_t n)
{
    struct rkey *k = key_find(db, v[1]);
    uint64_t ms = 0;
    uint64_t seq = 0;
    int64_t gone = 0;

    if (k && k->type != 'x')
        return WRONGTYPE;
    for (uint32_t i = 2; k && i < n; i++) {
        if (!id_parse(v[i], &ms, &seq, 0))
            return BAD_ID;
    }
    for (uint32_t i = 2; k && i < n; i++) {
        id_parse(v[i], &ms, &seq, 0);
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
struct rval cmd_xtrim(struct rdb *db, const struct rstr *v, uint32_t n)
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

struct rval cmd_xrange(struct rdb *db, const struct rstr *v, uint32_t n)
{
    struct rkey *k = key_find(db, v[1]);
    uint64_t ms[2];
    uint64_t seq[2];
    bool open[2];
    int64_t count = INT64_MAX;
    uint32_t found = 0;
    struct rval out;

    if (!id_bound(v[2], true, &ms[0], &seq[0], &open[0]) ||
        !id_bound(v[3], false, &ms[1], &seq[1], &open[1]))
        return BAD_ID;
    if (n == 6 && !rstr_int(v[5], &count))
        return NOT_AN_INTEGER;
    if (k && k->type != 'x')
        return WRONGTYPE;
    if (k && count <= 0)
        return rval_nil();
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
