/* push_user.c - what single users hear about a packet: who is named in it, and who sent it. */
#include "protocol/pack.h"
#include "saga_impl.h"

/* Users are told in slices; a push that is lost is no loss: the packet is in its room. */
enum { INVITE_SLICE = 500 };

enum rr_err push_invite(struct saga *s, const struct rain_info *r, const int64_t *users, uint32_t n)
{
    struct rain_user_push pushes[INVITE_SLICE];
    struct rr_buf b = {0};
    enum rr_err err = RR_OK;

    pack_map(&b, 6);
    pack_kv_str(&b, "code", r->code);
    pack_kv_str(&b, "room", r->spec.room_id);
    pack_kv_str(&b, "kind", rain_kind_name(r->spec.kind));
    pack_kv_user(&b, "sender", r->spec.sender_id);
    pack_kv_str(&b, "text", r->spec.text);
    pack_kv_int(&b, "end_at", r->t1_ms);
    if (b.failed)
        err = RR_TOO_BIG;
    for (uint32_t at = 0; !err && at < n; at += INVITE_SLICE) {
        uint32_t m = n - at < INVITE_SLICE ? n - at : INVITE_SLICE;

        for (uint32_t i = 0; i < m; i++)
            pushes[i] = (struct rain_user_push){users[at + i], rr_slice_of(b.p, b.len)};
        err = s->notify->push_users(s->notify->impl, "INVITE", pushes, m);
    }
    rr_buf_fini(&b);
    return err;
}

enum rr_err push_report(struct saga *s, const struct rain_info *r)
{
    struct rr_buf b = {0};
    struct rain_user_push push = {.user_id = r->spec.sender_id};
    enum rr_err err = RR_TOO_BIG;

    pack_map(&b, 8);
    pack_kv_str(&b, "code", r->code);
    pack_kv_str(&b, "room", r->spec.room_id);
    pack_kv_str(&b, "kind", rain_kind_name(r->spec.kind));
    pack_kv_str(&b, "status", rain_status_name(r->status));
    pack_kv_int(&b, "total", r->spec.total_fen);
    pack_kv_int(&b, "count", r->spec.count);
    pack_kv_int(&b, "settled_fen", r->settled_fen);
    pack_kv_int(&b, "refunded_fen", r->refunded_fen);
    push.payload = rr_slice_of(b.p, b.len);
    if (!b.failed)
        err = s->notify->push_users(s->notify->impl, "SENT_REPORT", &push, 1);
    rr_buf_fini(&b);
    return err;
}
