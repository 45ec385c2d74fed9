/* viewer_join.c - what JOIN's answer tells a viewer: where he is, what is going on, what he missed;
 * see viewer.h. */
#include "viewer.h"

static void on_snapshot(struct viewer *v, const struct unpack_value *body, int64_t now_us)
{
    struct unpack_value list, item, biz;
    struct unpack_value payload;

    if (unpack_get(body, "rains", &list) || list.type != UNPACK_ARRAY)
        return;
    struct rr_slice cursor = list.items;
    for (uint32_t i = 0; i < list.as.n && !unpack_next(&cursor, &item); i++) {
        if (item.type != UNPACK_MAP || unpack_get(&item, "biz_code", &biz) ||
            biz.type != UNPACK_STR || unpack_get(&item, "payload", &payload)) {
            v->crowd->stats.bad_messages++;
            continue;
        }
        viewer_on_payload(v, biz.as.s, &payload, false, now_us);
    }
}

/* A rain that began after `n_before` and is over within the same snapshot was never this viewer's;
 * one he knew and the room no longer lists is long done. */
static void settle_books(struct viewer *v, uint32_t n_before, bool recovered, int64_t now_us)
{
    uint32_t kept = 0;
    int64_t now_ms = clock_sync_rain_ms(&v->crowd->clock, now_us);
    for (uint32_t i = 0; i < v->n_books; i++) {
        struct book *b = &v->books[i];
        if (i < n_before && !recovered && !b->listed && now_ms > b->rain->end_ms)
            b->done = true;
        if (i < n_before || !b->done)
            v->books[kept++] = *b;
    }
    v->n_books = kept;
}

static void on_next_seqs(struct viewer *v, const struct unpack_value *body)
{
    struct unpack_value map, key, val;
    if (unpack_get(body, "next", &map) || map.type != UNPACK_MAP)
        return;
    struct rr_slice cursor = map.items;
    for (uint32_t i = 0; i < map.as.n; i++) {
        if (unpack_next(&cursor, &key) || unpack_next(&cursor, &val))
            return;
        struct book *b = key.type == UNPACK_STR ? viewer_book(v, key.as.s) : NULL;
        if (b && val.type == UNPACK_INT)
            book_rejoin(b, val.as.i);
    }
}

/* A missed push is a whole message [op, 0, body] or its body alone; NULL when it is neither. */
static const struct unpack_value *push_body(const struct unpack_value *item,
                                            struct unpack_value *body)
{
    struct rr_slice cursor = item->items;
    if (item->type == UNPACK_MAP)
        return item;
    if (item->type != UNPACK_ARRAY || item->as.n != 3)
        return NULL;
    for (int i = 0; i < 3; i++) {
        if (unpack_next(&cursor, body))
            return NULL;
    }
    return body->type == UNPACK_MAP ? body : NULL;
}

static void on_missed(struct viewer *v, const struct unpack_value *body, int64_t now_us)
{
    struct unpack_value list, item, inner;
    if (unpack_get(body, "missed", &list) || list.type != UNPACK_ARRAY)
        return;
    struct rr_slice cursor = list.items;
    for (uint32_t i = 0; i < list.as.n && !unpack_next(&cursor, &item); i++) {
        const struct unpack_value *push = push_body(&item, &inner);
        if (push)
            viewer_on_push(v, push, false, now_us);
        else
            v->crowd->stats.bad_messages++;
    }
}

void viewer_on_join(struct viewer *v, const struct unpack_value *body, int64_t now_us)
{
    struct rr_slice epoch;
    uint32_t n_before = v->n_books;
    bool recovered = false;

    for (uint32_t i = 0; i < v->n_books; i++)
        v->books[i].listed = false;
    on_missed(v, body, now_us);
    on_snapshot(v, body, now_us);
    if (unpack_get_bool(body, "recovered", &recovered))
        recovered = false;
    settle_books(v, n_before, recovered, now_us);
    on_next_seqs(v, body);
    /* The connection that was left may have got further than this one's answer. */
    if (!unpack_get_str(body, "epoch", &epoch) && rr_slice_eq_str(epoch, v->epoch) &&
        v->room_seq > wire_int(body, "seq", 0))
        return;
    if (unpack_get_str(body, "epoch", &epoch) || !rr_slice_copy(epoch, v->epoch, sizeof(v->epoch)))
        v->epoch[0] = 0;
    if (v->base_seq < 0) {
        v->base_seq = wire_int(body, "seq", 0);
    } else if (v->room_seq < wire_int(body, "seq", 0)) {
        viewer_missed(v, recovered ? "recovered" : "skipped",
                      wire_int(body, "seq", 0) - v->room_seq);
        v->crowd->stats.skipped += (uint64_t)(wire_int(body, "seq", 0) - v->room_seq);
    }
    v->room_seq = wire_int(body, "seq", 0);
}
