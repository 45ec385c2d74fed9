/* push.c - the payloads of a rain's pushes; field names and order as docs/PROTOCOL.md lists them. */
#include <sodium.h>
#include <stdio.h>

#include "ledger/room_stats.h"
#include "protocol/pack.h"
#include "saga_impl.h"

static void pack_kv_ms(struct rr_buf *b, const char *key, int64_t ms)
{
    if (ms)
        pack_kv_int(b, key, ms);
    else
        pack_kv_nil(b, key);
}

static enum rr_err push_as(struct saga *s, const struct rain_info *r, const char *biz_code,
                           struct rr_buf *b, const char *keep_code, int final)
{
    enum rr_err err = RR_OK;

    /* First: from the push on STATS is answered without SQL. */
    room_stats_write(s, r->spec.room_id, r->spec.sender_id);
    err = b->failed ? RR_TOO_BIG
                    : s->notify->push_room(s->notify->impl, r->spec.room_id, biz_code,
                                           rr_slice_of(b->p, b->len), keep_code, final);

    rr_buf_fini(b);
    return err;
}

static enum rr_err push(struct saga *s, const struct rain_info *r, const char *biz_code,
                        struct rr_buf *b, int final)
{
    return push_as(s, r, biz_code, b, r->code, final);
}

/* With the seed, all that the amounts are computed from. 4 pairs. */
static void pack_split(struct rr_buf *b, const struct rain_info *r)
{
    pack_kv_str(b, "split", rain_split_name(r->spec.split));
    pack_kv_int(b, "split_ver", r->split_version);
    pack_kv_int(b, "lo", r->spec.lo_fen);
    pack_kv_int(b, "hi", r->spec.hi_fen);
}

enum rr_err push_config(struct saga *s, const struct rain_info *r, int64_t now_ms)
{
    struct rr_buf b = {0};

    pack_map(&b, rain_restricted(&r->spec) ? 22 : 19);
    pack_kv_str(&b, "config_code", r->code);
    pack_kv_str(&b, "room", r->spec.room_id);
    pack_kv_int(&b, "total_count", r->spec.count);
    pack_kv_int(&b, "total_price", r->spec.total_fen);
    pack_split(&b, r);
    pack_kv_int(&b, "limit", r->spec.limit);
    pack_kv_int(&b, "shards", r->spec.shards);
    pack_kv_int(&b, "open_at", r->t0_ms);
    pack_kv_int(&b, "end_at", r->t1_ms);
    pack_kv_int(&b, "now", now_ms);
    pack_kv_int(&b, "countdown_ms", r->t0_ms > now_ms ? r->t0_ms - now_ms : 0);
    pack_kv_str(&b, "seed_hash", r->seed_hash);
    pack_kv_str(&b, "text", r->spec.text);
    pack_kv_user(&b, "sender", r->spec.sender_id);
    pack_kv_str(&b, "kind", rain_kind_name(r->spec.kind));
    pack_kv_ms(&b, "sold_out_at", r->sold_out_at_ms);
    if (rain_restricted(&r->spec)) {
        pack_kv_int(&b, "min_level", r->spec.min_level);
        pack_kv_int(&b, "new_since", r->spec.new_since_s);
        pack_kv_int(&b, "listed", r->spec.users_n);
    }
    return push(s, r, "RED_PACKET_CONFIG", &b, 0);
}

enum rr_err push_state(struct saga *s, const struct rain_info *r, const char *state, int64_t now_ms)
{
    struct rr_buf b = {0};

    pack_map(&b, 5);
    pack_kv_str(&b, "config_code", r->code);
    pack_kv_str(&b, "state", state);
    pack_kv_ms(&b, "t0", r->t0_ms);
    pack_kv_ms(&b, "t1", r->t1_ms);
    pack_kv_int(&b, "now", now_ms);
    return push_as(s, r, "RED_PACKET_STATE", &b, NULL, 0);
}

/* END and RESULT repeat what a worker needs to judge a grab: one that was started after the opening must still know the rain
 * when a viewer asks again what he got. 9 pairs. */
static void pack_rules(struct rr_buf *b, const struct rain_info *r)
{
    pack_kv_str(b, "room", r->spec.room_id);
    pack_kv_int(b, "total_count", r->spec.count);
    pack_kv_int(b, "total_price", r->spec.total_fen);
    pack_kv_int(b, "limit", r->spec.limit);
    pack_kv_int(b, "shards", r->spec.shards);
    pack_kv_int(b, "open_at", r->t0_ms);
    pack_kv_int(b, "end_at", r->t1_ms);
    pack_kv_user(b, "sender", r->spec.sender_id);
    pack_kv_str(b, "kind", rain_kind_name(r->spec.kind));
}

enum rr_err push_end(struct saga *s, const struct rain_info *r)
{
    struct rr_buf b = {0};

    pack_map(&b, 11);
    pack_kv_str(&b, "config_code", r->code);
    pack_rules(&b, r);
    pack_kv_ms(&b, "sold_out_at", r->sold_out_at_ms);
    return push(s, r, "RED_PACKET_END", &b, 0);
}

enum rr_err push_cancel(struct saga *s, const struct rain_info *r)
{
    struct rr_buf b = {0};

    pack_map(&b, 1);
    pack_kv_str(&b, "config_code", r->code);
    return push(s, r, "RED_PACKET_CANCEL", &b, 1);
}

static void pack_winner(struct rr_buf *b, const struct rain_winner *w)
{
    pack_map(b, 4);
    pack_kv_user(b, "user", w->user_id);
    pack_kv_int(b, "amount", w->amount_fen);
    pack_kv_int(b, "shard", w->shard);
    pack_kv_int(b, "no", w->packet_no);
}

enum rr_err push_result(struct saga *s, const struct rain_info *r, const struct rain_result *result)
{
    struct rr_buf b = {0};
    char seed[2 * RAIN_SEED_BYTES + 1];

    sodium_bin2hex(seed, sizeof(seed), r->seed, sizeof(r->seed));
    pack_map(&b, 24);
    pack_kv_str(&b, "config_code", r->code);
    pack_rules(&b, r);
    pack_split(&b, r);
    pack_kv_int(&b, "granted", r->total_get);
    pack_kv_int(&b, "granted_price", r->total_get_fen);
    pack_kv_int(&b, "refunded_price", r->refunded_fen);
    pack_kv_int(&b, "max_price", r->max_get_fen);
    pack_cstr(&b, "best");
    if (result->top_n)
        pack_winner(&b, &result->top[0]);
    else
        pack_nil(&b);
    pack_cstr(&b, "top");
    pack_array(&b, result->top_n);
    for (uint32_t i = 0; i < result->top_n; i++)
        pack_winner(&b, &result->top[i]);
    pack_cstr(&b, "hist");
    pack_array(&b, result->hist_n);
    for (uint32_t i = 0; i < result->hist_n; i++) {
        pack_array(&b, 2);
        pack_int(&b, result->hist[i].hi_fen);
        pack_int(&b, result->hist[i].n);
    }
    pack_kv_ms(&b, "sold_out_at", r->sold_out_at_ms);
    pack_kv_str(&b, "seed", seed);
    pack_kv_str(&b, "seed_hash", r->seed_hash);
    return push(s, r, "RED_PACKET_RESULT", &b, 1);
}
