#include "room/rains.h"

#include "base/alloc.h"
#include "protocol/unpack.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct rain_node {
    struct rain_entry entry; /* first */
    UT_hash_handle hh;       /* key: entry.live.code */
};

struct rains {
    struct rain_node *by_code;
};

struct rains *rains_create(void)
{
    return rr_xcalloc(1, sizeof(struct rains));
}

static void node_free(struct rain_node *n)
{
    free(n->entry.list);
    free(n);
}

void rains_destroy(struct rains *rs)
{
    struct rain_node *n = NULL;
    struct rain_node *tmp = NULL;

    if (!rs)
        return;
    HASH_ITER (hh, rs->by_code, n, tmp) {
        HASH_DEL(rs->by_code, n);
        node_free(n);
    }
    free(rs);
}

static struct rain_node *node_get(struct rains *rs, struct rr_slice code)
{
    struct rain_node *n = NULL;

    HASH_FIND(hh, rs->by_code, code.p, code.len, n);
    if (n)
        return n;
    n = rr_xcalloc(1, sizeof(*n));
    memcpy(n->entry.live.code, code.p, code.len); /* 22 bytes, checked by the caller */
    n->entry.told_granted = -1;
    HASH_ADD(hh, rs->by_code, entry.live.code, RR_CODE_LEN, n);
    return n;
}

/* What older pushes did not say: a rain of an unknown sender. */
static void learn_origin(struct live_rain *r, const struct unpack_value *map)
{
    struct rr_slice text;
    enum rain_kind kind = KIND_RAIN;

    if (!unpack_get_str(map, "kind", &text) && rain_kind_parse(text))
        kind = rain_kind_parse(text);
    r->kind = kind;
    if (unpack_get_str(map, "sender", &text) || unpack_user_id(text, &r->sender_id))
        r->sender_id = 0;
}

/* They never change: END and RESULT, which do not repeat them, leave them as they are. */
static void learn_rules(struct live_rain *r, const struct unpack_value *map)
{
    int64_t level = 0;
    int64_t since_s = 0;
    int64_t listed = 0;

    if (unpack_get_int(map, "min_level", &level) || unpack_get_int(map, "new_since", &since_s) ||
        unpack_get_int(map, "listed", &listed))
        return;
    r->min_level = level > 0 && level <= INT32_MAX ? (uint32_t)level : 0;
    r->new_since_s = since_s > 0 ? since_s : 0;
    r->listed = listed > 0 && listed <= RR_USERS_MAX ? (uint32_t)listed : 0;
}

void rains_set_list(struct rain_entry *e, const int64_t *users, uint32_t n)
{
    free(e->list);
    e->list = rr_xcalloc(n ? n : 1, sizeof(*e->list));
    memcpy(e->list, users, n * sizeof(*e->list));
    e->live.allowed = e->list;
    e->live.allowed_n = n;
}

/* RED_PACKET_CONFIG: everything a worker must know to judge a grab. */
static enum rr_err learn_config(struct rain_entry *e, const char *room_id,
                                const struct unpack_value *map)
{
    int64_t t0 = 0;
    int64_t t1 = 0;
    int64_t count = 0;
    int64_t total = 0;
    int64_t limit = 0;
    int64_t shards = 0;

    if (unpack_get_int(map, "open_at", &t0) || unpack_get_int(map, "end_at", &t1) ||
        unpack_get_int(map, "total_count", &count) || unpack_get_int(map, "total_price", &total) ||
        unpack_get_int(map, "limit", &limit) || unpack_get_int(map, "shards", &shards))
        return RR_BAD_REQUEST;
    if (t0 < 0 || t1 < t0 || count < 1 || count > RR_PACKETS_MAX || limit < 1 ||
        limit > RR_GRANT_LIMIT_MAX || shards < 1 || shards > RR_SHARDS_MAX)
        return RR_BAD_REQUEST;
    if (e->live.room_id[0] && strcmp(e->live.room_id, room_id) != 0)
        return RR_BAD_REQUEST; /* a code never changes its room */
    strncpy(e->live.room_id, room_id, sizeof(e->live.room_id) - 1);
    if (t1 > e->live.t1_ms)
        e->end_told = false; /* extended at the last moment: there is another end to tell */
    e->live.t0_ms = t0;
    e->live.t1_ms = t1;
    e->live.total_fen = total;
    e->live.count = (uint32_t)count;
    e->live.limit = (uint32_t)limit;
    e->live.shards = (uint32_t)shards;
    learn_origin(&e->live, map);
    learn_rules(&e->live, map);
    return RR_OK;
}

/* RED_PACKET_STATE: its pool was lost and is, or will be, another one. What was seen of the old one says nothing. */
static enum rr_err forget_pool(struct rains *rs, const char *room_id, struct rr_slice code)
{
    struct rain_entry *e = rains_find(rs, code);

    if (!e)
        return RR_OK; /* its configuration follows or went before */
    if (strcmp(e->live.room_id, room_id) != 0)
        return RR_BAD_REQUEST;
    e->live.sold_out = 0;
    e->live.rid[0] = 0;
    e->granted = 0;
    e->granted_fen = 0;
    e->sold_out_at_ms = 0;
    e->told_granted = -1;
    return RR_OK;
}

enum rr_err rains_learn(struct rains *rs, const char *room_id, struct rr_slice biz_code,
                        struct rr_slice payload, int64_t now_us)
{
    struct rr_slice cursor = payload;
    struct unpack_value map;
    struct rr_slice code;
    struct rain_node *n = NULL;
    enum rr_err err = RR_OK;
    bool over = rr_slice_eq_str(biz_code, "RED_PACKET_END") ||
                rr_slice_eq_str(biz_code, "RED_PACKET_RESULT") ||
                rr_slice_eq_str(biz_code, "RED_PACKET_CANCEL");

    if (unpack_scan(payload, RR_DEPTH_MAX) || unpack_next(&cursor, &map) ||
        unpack_get_str(&map, "config_code", &code) || !rain_code_valid(code))
        return RR_BAD_REQUEST;
    if (rr_slice_eq_str(biz_code, "RED_PACKET_STATE"))
        return forget_pool(rs, room_id, code);
    /* END and RESULT repeat the configuration, so that a worker that never saw the start still
     * knows the rain: somebody may have to ask again what he got. */
    n = node_get(rs, code);
    err = learn_config(&n->entry, room_id, &map);
    if (n->entry.live.count == 0) {
        HASH_DEL(rs->by_code, n);
        node_free(n);
        /* A rain given up before it started was never known here. */
        return rr_slice_eq_str(biz_code, "RED_PACKET_CANCEL") ? RR_OK : err;
    }
    if (strcmp(n->entry.live.room_id, room_id) != 0)
        return RR_BAD_REQUEST;
    if (!over)
        return err;
    n->entry.live.ended = true;
    /* A RESULT may come before this worker noticed the end: it still owes its viewers an END. */
    if (!rr_slice_eq_str(biz_code, "RED_PACKET_RESULT"))
        n->entry.end_told = true;
    if (!n->entry.over)
        n->entry.over_since_us = now_us;
    n->entry.over = true;
    return RR_OK;
}

struct rain_entry *rains_find(struct rains *rs, struct rr_slice code)
{
    struct rain_node *n = NULL;

    if (code.len != RR_CODE_LEN)
        return NULL;
    HASH_FIND(hh, rs->by_code, code.p, code.len, n);
    return n ? &n->entry : NULL;
}

void rains_each(struct rains *rs, rain_entry_fn fn, void *arg)
{
    struct rain_node *n = NULL;
    struct rain_node *tmp = NULL;

    HASH_ITER (hh, rs->by_code, n, tmp)
        fn(arg, &n->entry);
}

void rains_sweep(struct rains *rs, int64_t now_us, int64_t keep_us,
                 void (*gone)(void *arg, const char *code), void *arg)
{
    struct rain_node *n = NULL;
    struct rain_node *tmp = NULL;

    HASH_ITER (hh, rs->by_code, n, tmp) {
        if (!n->entry.over || now_us - n->entry.over_since_us < keep_us)
            continue;
        HASH_DEL(rs->by_code, n);
        gone(arg, n->entry.live.code);
        node_free(n);
    }
}

uint32_t rains_count(const struct rains *rs)
{
    return HASH_COUNT(rs->by_code);
}
