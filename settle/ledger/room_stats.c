#include "ledger/room_stats.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "ledger_impl.h"
#include "protocol/pack.h"
#include "protocol/unpack.h"

enum { STATS_VERSION = 2, STATS_TEXTS = 4 };

/* One table, so that both directions agree: the integers of a rain, in order. */
/* clang-format off */
#define STATS_INTS(X)                                                                              \
    X(spec.sender_id)                                                                              \
    X(spec.total_fen)                                                                              \
    X(spec.lo_fen)                                                                                 \
    X(spec.hi_fen)                                                                                 \
    X(spec.duration_ms)                                                                            \
    X(spec.count)                                                                                  \
    X(spec.limit)                                                                                  \
    X(spec.shards)                                                                                 \
    X(spec.split)                                                                                  \
    X(spec.kind)                                                                                   \
    X(spec.start_at_ms)                                                                            \
    X(spec.expire_at_ms)                                                                           \
    X(status)                                                                                      \
    X(t0_ms)                                                                                       \
    X(t1_ms)                                                                                       \
    X(created_at_ms)                                                                               \
    X(settled_fen)                                                                                 \
    X(refunded_fen)                                                                                \
    X(remain_fen)                                                                                  \
    X(settled_count)                                                                               \
    X(total_get)                                                                                   \
    X(total_get_fen)                                                                               \
    X(max_get_fen)                                                                                 \
    X(sold_out_at_ms)
/* clang-format on */

#define ONE(field) +1
enum { STATS_INTS_N = 0 STATS_INTS(ONE) };
#undef ONE

void room_stats_encode(const struct rain_info *rains, uint32_t n, struct rr_buf *out)
{
    pack_array(out, 1 + n);
    pack_int(out, STATS_VERSION);
    for (uint32_t i = 0; i < n; i++) {
        const struct rain_info *r = &rains[i];

        pack_array(out, STATS_TEXTS + STATS_INTS_N);
        pack_cstr(out, r->code);
        pack_cstr(out, r->spec.room_id);
        pack_cstr(out, r->spec.text);
        pack_cstr(out, r->seed_hash);
#define PUT(field) pack_int(out, (int64_t)r->field);
        STATS_INTS(PUT)
#undef PUT
    }
}

static bool read_text(struct rr_slice *at, char *dst, size_t cap)
{
    struct unpack_value v;

    return unpack_next(at, &v) == RR_OK && v.type == UNPACK_STR && rr_slice_copy(v.as.s, dst, cap);
}

static bool read_int(struct rr_slice *at, int64_t *out)
{
    struct unpack_value v;

    if (unpack_next(at, &v) != RR_OK || v.type != UNPACK_INT)
        return false;
    *out = v.as.i;
    return true;
}

static bool read_rain(struct rr_slice *at, struct rain_info *r)
{
    struct unpack_value v;
    struct rr_slice items;
    int64_t i = 0;

    memset(r, 0, sizeof(*r));
    if (unpack_next(at, &v) != RR_OK || v.type != UNPACK_ARRAY ||
        v.as.n != STATS_TEXTS + STATS_INTS_N)
        return false;
    items = v.items;
    if (!read_text(&items, r->code, sizeof(r->code)) ||
        !read_text(&items, r->spec.room_id, sizeof(r->spec.room_id)) ||
        !read_text(&items, r->spec.text, sizeof(r->spec.text)) ||
        !read_text(&items, r->seed_hash, sizeof(r->seed_hash)))
        return false;
#define TAKE(field)                                                                                \
    if (!read_int(&items, &i))                                                                     \
        return false;                                                                              \
    r->field = (__typeof__(r->field))i;
    STATS_INTS(TAKE)
#undef TAKE
    return true;
}

enum rr_err room_stats_decode(struct rr_slice bytes, struct rain_info *out, uint32_t max,
                              uint32_t *n)
{
    struct unpack_value list;
    struct rr_slice at = bytes;
    int64_t version = 0;

    *n = 0;
    if (unpack_scan(bytes, 3) != RR_OK || unpack_next(&at, &list) != RR_OK ||
        list.type != UNPACK_ARRAY || list.as.n < 1)
        return RR_CORRUPT;
    at = list.items;
    if (!read_int(&at, &version) || version != STATS_VERSION)
        return RR_CORRUPT;
    for (uint32_t i = 1; i < list.as.n && *n < max; i++) {
        if (!read_rain(&at, &out[*n]))
            return RR_CORRUPT;
        ++*n;
    }
    return RR_OK;
}

static enum rr_err began_at(struct ledger *l, int64_t *us)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_open(l->db);

    if (!err)
        err = db_select(l->db, "SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)", NULL, 0,
                        &rows);
    if (!err)
        *us = db_i64(&rows, 0, 0);
    db_rows_fini(&rows);
    return err;
}

void room_stats_write(struct saga *s, const char *room_id, int64_t sender_id)
{
    struct rain_info *rains = NULL;
    struct wallet w = {.balance_fen = 0};
    struct rr_buf b = {0};
    int64_t at_us = 0;
    uint32_t n = 0;
    enum rr_err err = RR_OK;

    if (!s->notify->room_stats)
        return;
    rains = rr_xcalloc(ROOM_STATS_RAINS, sizeof(*rains));
    err = began_at(s->ledger, &at_us);
    if (!err)
        err = ledger_rain_list(s->ledger, room_id, 0, rains, ROOM_STATS_RAINS, &n);
    if (!err)
        err = ledger_wallet(s->ledger, sender_id, &w);
    if (!err) {
        room_stats_encode(rains, n, &b);
        err = s->notify->room_stats(s->notify->impl, room_id, at_us, rr_slice_of(b.p, b.len));
    }
    if (!err)
        err = s->notify->balance(s->notify->impl, sender_id, w.balance_fen);
    if (err)
        log_info("room_stats", "not written for room %s: %s", room_id, rr_err_name(err));
    rr_buf_fini(&b);
    free(rains);
}
