#include "replies.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

bool reply_u64(struct rr_slice s, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;

    if (s.len == 0 || s.len > 19)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(s.p[i] - '0');
    }
    *out = v;
    return v <= max;
}

bool reply_token(struct rr_slice *rest, char sep, struct rr_slice *token)
{
    const char *end = rest->len ? memchr(rest->p, sep, rest->len) : NULL;

    if (rest->len == 0)
        return false;
    token->p = rest->p;
    token->len = end ? (size_t)(end - rest->p) : rest->len;
    *rest =
        rr_slice_of(rest->p + token->len + (end ? 1 : 0), rest->len - token->len - (end ? 1 : 0));
    return true;
}

struct rr_slice reply_slice(const redisReply *r)
{
    if (!r || (r->type != REDIS_REPLY_STRING && r->type != REDIS_REPLY_STATUS))
        return (struct rr_slice){0};
    return rr_slice_of(r->str, r->len);
}

bool reply_is_array(const redisReply *r, size_t n)
{
    return r && r->type == REDIS_REPLY_ARRAY && r->elements == n;
}

bool reply_int(const redisReply *r, int64_t *out)
{
    uint64_t v = 0;

    if (r && r->type == REDIS_REPLY_INTEGER) {
        *out = r->integer;
        return true;
    }
    if (!r || r->type != REDIS_REPLY_STRING || !reply_u64(reply_slice(r), INT64_MAX, &v))
        return false;
    *out = (int64_t)v;
    return true;
}

bool reply_text(const redisReply *r, char *dst, size_t cap)
{
    if (r && r->type != REDIS_REPLY_STRING && r->type != REDIS_REPLY_STATUS)
        return false;
    return rr_slice_copy(reply_slice(r), dst, cap);
}

bool reply_epoch(const redisReply *r, uint64_t *epoch)
{
    struct rr_slice s = reply_slice(r);
    char text[17];
    char *end = NULL;

    if (s.len != 16 || !rr_slice_copy(s, text, sizeof(text)))
        return false;
    *epoch = strtoull(text, &end, 16);
    return end == text + 16;
}

/* Three numbers joined by ':'. */
static bool parse_grant(struct rr_slice s, uint32_t *seq, uint32_t *packet_no, int64_t *amount_fen)
{
    struct rr_slice token[3];
    uint64_t v[3] = {0};
    static const uint64_t max[3] = {RR_GRANT_LIMIT_MAX, RR_PACKETS_MAX, RR_FEN_MAX};

    for (size_t i = 0; i < 3; i++) {
        if (!reply_token(&s, ':', &token[i]) || !reply_u64(token[i], max[i], &v[i]))
            return false;
    }
    *seq = (uint32_t)v[0];
    *packet_no = (uint32_t)v[1];
    *amount_fen = (int64_t)v[2];
    return s.len == 0 && v[2] > 0;
}

static bool parse_item(struct rr_slice s, struct pool_grab_result *out)
{
    static const struct {
        char letter;
        enum rr_err rc;
    } refusals[] = {
        {'N', RR_NOT_STARTED}, {'E', RR_ENDED},      {'B', RR_BUSY},         {'L', RR_LIMIT},
        {'S', RR_SOLD_OUT},    {'X', RR_RECOVERING}, {'D', RR_NOT_ELIGIBLE},
    };
    struct rr_slice tail = s.len > 2 ? rr_slice_of(s.p + 2, s.len - 2) : (struct rr_slice){0};
    uint64_t next = 0;

    *out = (struct pool_grab_result){0};
    if (s.len == 1) {
        for (size_t i = 0; i < RR_COUNTOF(refusals); i++) {
            if (s.p[0] == refusals[i].letter)
                out->rc = refusals[i].rc;
        }
        return out->rc != RR_OK;
    }
    if (tail.len == 0 || s.p[1] != ':')
        return false;
    if (s.p[0] == 'Q') {
        out->rc = RR_BAD_SEQ;
        if (!reply_u64(tail, RR_GRANT_LIMIT_MAX, &next))
            return false;
        out->seq = (uint32_t)next;
        return true;
    }
    out->replay = s.p[0] == 'R';
    return (s.p[0] == 'O' || s.p[0] == 'R') &&
           parse_grant(tail, &out->seq, &out->packet_no, &out->amount_fen);
}

enum rr_err reply_grab(const redisReply *r, struct pool_grab_result *items, uint32_t n,
                       struct pool_grab_reply *out)
{
    struct rr_slice rest;
    struct rr_slice word;
    int64_t granted = 0;
    int64_t left = 0;

    *out = (struct pool_grab_reply){.items = items, .n = n};
    if (!reply_is_array(r, 10) || !reply_text(r->element[0], out->rid, sizeof(out->rid)) ||
        !reply_int(r->element[1], &out->now_ms) || !reply_int(r->element[2], &out->t0_ms) ||
        !reply_int(r->element[3], &out->t1_ms) || !reply_int(r->element[4], &granted) ||
        !reply_int(r->element[5], &out->granted_fen) ||
        !reply_int(r->element[6], &out->sold_out_at_ms) || !reply_int(r->element[7], &left) ||
        !reply_text(r->element[8], out->outbox_id, sizeof(out->outbox_id)) || granted < 0 ||
        granted > RR_PACKETS_MAX || left < 0 || left > RR_PACKETS_MAX)
        return RR_MALFORMED;
    out->granted = (uint32_t)granted;
    out->left = (uint32_t)left;
    rest = reply_slice(r->element[9]);
    for (uint32_t i = 0; i < n; i++) {
        if (!reply_token(&rest, ';', &word) || !parse_item(word, &items[i]))
            return RR_MALFORMED;
    }
    return rest.len == 0 ? RR_OK : RR_MALFORMED;
}

enum rr_err reply_state(const redisReply *r, struct pool_state *out)
{
    char st[2];
    int64_t n = 0;
    int64_t granted = 0;
    int64_t left = 0;
    int64_t layout = 0;

    *out = (struct pool_state){0};
    if (!reply_is_array(r, 13) || !reply_int(r->element[12], &layout) || layout < 1)
        return RR_MALFORMED;
    /* Nothing else of it is looked at. */
    if (layout > POOL_LAYOUT) {
        out->layout = layout < UINT32_MAX ? (uint32_t)layout : UINT32_MAX;
        return RR_OK;
    }
    if (!reply_text(r->element[1], st, sizeof(st)) ||
        !reply_text(r->element[2], out->rid, sizeof(out->rid)) ||
        !reply_text(r->element[3], out->now_rid, sizeof(out->now_rid)) ||
        !reply_int(r->element[5], &out->t0_ms) || !reply_int(r->element[6], &out->t1_ms) ||
        !reply_int(r->element[7], &out->granted_fen) ||
        !reply_int(r->element[8], &out->sold_out_at_ms) || !reply_int(r->element[9], &n) ||
        !reply_int(r->element[10], &granted) || !reply_int(r->element[11], &left) || n < 0 ||
        n > RR_PACKETS_MAX || granted < 0 || granted > n || left < 0 || left > RR_PACKETS_MAX ||
        (st[0] && !strchr("POC", st[0])))
        return RR_MALFORMED;
    out->st = st[0];
    out->exists = st[0] != 0;
    out->n = (uint32_t)n;
    out->granted = (uint32_t)granted;
    out->left = (uint32_t)left;
    out->layout = (uint32_t)layout;
    return RR_OK;
}

enum rr_err reply_grant(struct rr_slice s, struct pool_grant *out)
{
    return parse_grant(s, &out->seq, &out->packet_no, &out->amount_fen) ? RR_OK : RR_MALFORMED;
}

enum rr_err reply_user_record(struct rr_slice record, int64_t user_id, pool_grant_fn fn, void *arg)
{
    struct rr_slice word;
    enum rr_err err = RR_OK;

    while (!err && reply_token(&record, ';', &word)) {
        struct pool_grant g = {.user_id = user_id};

        if (rr_slice_eq_str(word, "-")) /* a grant that was lost and told to nobody */
            continue;
        err = reply_grant(word, &g);
        if (!err)
            err = fn(arg, &g);
    }
    return err;
}

/* Fields of an outbox entry that all its records share, in the order the script writes them. */
static bool parse_shared(const redisReply *fields, struct grant_record *out)
{
    static const char *const names[] = {"code", "shard", "room", "rid", "at", "items"};
    int64_t shard = 0;

    if (!reply_is_array(fields, 2 * RR_COUNTOF(names)))
        return false;
    for (size_t i = 0; i < RR_COUNTOF(names); i++) {
        if (!rr_slice_eq_str(reply_slice(fields->element[2 * i]), names[i]))
            return false;
    }
    *out = (struct grant_record){0};
    if (!reply_text(fields->element[1], out->code, sizeof(out->code)) ||
        !reply_int(fields->element[3], &shard) || shard < 0 || shard >= RR_SHARDS_MAX ||
        !reply_text(fields->element[5], out->room_id, sizeof(out->room_id)) ||
        !reply_text(fields->element[7], out->rid, sizeof(out->rid)) ||
        !reply_int(fields->element[9], &out->granted_at_ms))
        return false;
    out->shard = (uint32_t)shard;
    return true;
}

enum rr_err reply_outbox_entry(const redisReply *r, const char **id, struct grant_record **records,
                               uint32_t *n)
{
    struct grant_record shared;
    struct rr_slice rest;
    struct rr_slice word;
    struct rr_slice user;
    uint64_t user_id = 0;

    *records = NULL;
    *n = 0;
    *id = reply_is_array(r, 2) ? r->element[0]->str : NULL;
    if (!*id || !parse_shared(r->element[1], &shared))
        return RR_MALFORMED;
    rest = reply_slice(r->element[1]->element[11]);
    *records = rr_xcalloc(POOL_GRAB_MAX, sizeof(**records));
    while (*n < POOL_GRAB_MAX && reply_token(&rest, ';', &word)) {
        struct grant_record *g = &(*records)[(*n)++];

        *g = shared;
        if (!reply_token(&word, ':', &user) || !reply_u64(user, INT64_MAX, &user_id) ||
            user_id == 0 || !parse_grant(word, &g->seq, &g->packet_no, &g->amount_fen))
            break;
        g->user_id = (int64_t)user_id;
    }
    if (*n > 0 && rest.len == 0 && (*records)[*n - 1].user_id > 0)
        return RR_OK;
    free(*records);
    *records = NULL;
    return RR_MALFORMED;
}
