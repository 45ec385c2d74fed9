/* saga_fu.c - a campaign in its room: it begins, it is shared at its time as one packet for the winners, or given back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/log.h"
#include "fu_impl.h"
#include "protocol/pack.h"
#include "saga_impl.h"

/* A refusal that does not depend on what is up is believed after as many tries, half a minute: programs of two versions, or options
 * that are being changed, may disagree for a while. */
enum { GIVE_UP_TRIES = 8 };

/* The packet is ordinary from here on: opened by GRAB within a day, what nobody opens goes back to the sender. */
static const char packet_text[] = "集五福";

static void pack_kv_code(struct rr_buf *b, const char *key, const char *code)
{
    if (code[0])
        pack_kv_str(b, key, code);
    else
        pack_kv_nil(b, key);
}

/* Kept under a name of its own: one campaign per room, the last word for late joiners. */
static enum rr_err push_campaign(struct saga *s, const struct fu_campaign *c)
{
    struct rr_buf b = {0};
    enum rr_err err = RR_TOO_BIG;

    pack_map(&b, 14);
    pack_kv_str(&b, "code", c->code);
    pack_kv_str(&b, "room", c->spec.room_id);
    pack_kv_str(&b, "state", fu_state_name(c->state));
    pack_kv_str(&b, "text", c->spec.text);
    pack_kv_user(&b, "sender", c->spec.sender_id);
    pack_kv_int(&b, "pool", c->spec.pool_fen);
    pack_kv_str(&b, "split", rain_split_name(c->spec.split));
    pack_kv_int(&b, "winners", c->winners);
    pack_kv_int(&b, "winners_max", c->spec.winners_max);
    pack_kv_int(&b, "day_draws", c->spec.day_draws);
    pack_kv_int(&b, "share_at", c->spec.share_at_ms);
    pack_kv_code(&b, "rain", c->rain_code);
    pack_kv_code(&b, "reason", c->reason);
    pack_cstr(&b, "weights");
    pack_array(&b, FU_CARDS);
    for (unsigned i = 0; i < FU_CARDS; i++)
        pack_int(&b, c->spec.weight[i]);
    if (!b.failed)
        err = s->notify->push_room(s->notify->impl, c->spec.room_id, "FU_CAMPAIGN",
                                   rr_slice_of(b.p, b.len), "fu", 0);
    rr_buf_fini(&b);
    return err;
}

/* The books are what counts; who opens the panel asks them. */
static void tell_room(struct saga *s, const struct fu_campaign *c)
{
    enum rr_err err = push_campaign(s, c);

    if (err)
        log_warn("fu_not_told", "campaign %s is %s: %s", c->code, fu_state_name(c->state),
                 rr_err_name(err));
}

enum rr_err saga_fu_create(struct saga *s, struct fu_spec *spec, struct fu_campaign *out,
                           const char **field)
{
    int64_t now_ms = 0;
    enum rr_err err = fu_spec_check(spec, field);

    if (!err)
        err = s->pool->now_ms(s->pool->impl, &now_ms);
    if (!err)
        err = ledger_fu_create(s->ledger, spec, now_ms, out, field);
    if (!err || (err == RR_DUPLICATE && out->state == FU_OPEN))
        tell_room(s, out);
    return err;
}

enum rr_err saga_fu_cancel(struct saga *s, const char *room_id, const char *code,
                           struct fu_campaign *out)
{
    enum rr_err err = ledger_fu_get(s->ledger, code, out);

    if (!err && room_id && strcmp(out->spec.room_id, room_id) != 0)
        err = RR_NOT_FOUND;
    if (!err)
        err = ledger_fu_close(s->ledger, code, true, out);
    if (err == RR_DUPLICATE && out->state != FU_GIVEN_BACK)
        err = RR_CONFLICT;
    if (!err || err == RR_DUPLICATE)
        tell_room(s, out);
    return err;
}

enum rr_err saga_fu_tell_gift(struct saga *s, const struct fu_request *q)
{
    struct rain_user_push push = {.user_id = q->to_user};
    struct rr_buf b = {0};
    enum rr_err err = RR_TOO_BIG;

    pack_map(&b, 4);
    pack_kv_str(&b, "code", q->code);
    pack_kv_str(&b, "room", q->room_id);
    pack_kv_int(&b, "card", q->card);
    pack_kv_user(&b, "from", q->user_id);
    push.payload = rr_slice_of(b.p, b.len);
    if (!b.failed)
        err = s->notify->push_users(s->notify->impl, "FU_CARD", &push, 1);
    rr_buf_fini(&b);
    return err;
}

/* ---- the share ---- */

/* One shard: a winner's home shard must never be empty while another has his packet. */
static void packet_of(const struct fu_campaign *c, const int64_t *users, uint32_t n,
                      struct rain_spec *out)
{
    const char *text = c->spec.text[0] ? c->spec.text : packet_text;

    *out = (struct rain_spec){.kind = KIND_ENTERPRISE,
                              .by = KIND_BY_BACKEND,
                              .sender_id = c->spec.sender_id,
                              .anchor_id = c->spec.anchor_id,
                              .total_fen = c->spec.pool_fen,
                              .users = users,
                              .users_n = n,
                              .count = n,
                              .limit = 1,
                              .shards = 1,
                              .split = c->spec.split};
    memcpy(out->room_id, c->spec.room_id, sizeof(out->room_id));
    memcpy(out->biz_id, c->rain_req, sizeof(c->rain_req));
    memcpy(out->fu_code, c->code, sizeof(out->fu_code));
    memcpy(out->text, text, strlen(text) + 1);
}

/* Its own start task goes on with what fails after the create. *why: the field that was refused. */
static enum rr_err share(struct saga *s, struct fu_campaign *c, const char **why)
{
    struct rain_spec spec;
    struct rain_info r;
    int64_t *users = NULL;
    uint32_t n = 0;
    enum rr_err err = ledger_fu_winners(s->ledger, c->code, &users, &n);

    if (!err && n != c->winners)
        err = RR_CORRUPT;
    if (!err) {
        packet_of(c, users, n, &spec);
        err = saga_send(s, &spec, &r, why);
    }
    free(users);
    /* Somebody else made the packet at the same moment, with other times in it: the campaign says so then. */
    if (!err || err == RR_PENDING || err == RR_CONFLICT || err == RR_DUPLICATE)
        err = ledger_fu_get(s->ledger, c->code, c);
    return !err && c->state == FU_SHARING ? RR_CONFLICT : err;
}

/* What another try at another time cannot change. RR_CONFLICT: a packet of the sender's has its biz id. A broken invariant is none of
 * these: the money stays where it is until a person has looked. */
static bool is_refused(enum rr_err err)
{
    return err == RR_BAD_REQUEST || err == RR_NOT_ELIGIBLE || err == RR_OVER_BUDGET ||
           err == RR_TOO_BIG || err == RR_CONFLICT;
}

static enum rr_err give_up(struct saga *s, struct fu_campaign *c, enum rr_err why,
                           const char *field)
{
    char reason[FU_REASON_MAX + 1];
    enum rr_err err = RR_OK;

    snprintf(reason, sizeof(reason), "%s%s%s", rr_err_name(why), field ? " " : "",
             field ? field : "");
    err = ledger_fu_fail(s->ledger, c->code, reason, c);
    if (!err) {
        log_error("fu_failed", "campaign %s: no packet for its %u winners (%s), %lld fen went back",
                  c->code, c->winners, reason, (long long)c->spec.pool_fen);
    }
    return err == RR_DUPLICATE ? RR_OK : err;
}

static void count_end(const struct saga *s, const struct fu_campaign *c)
{
    if (!s->fu)
        return;
    s->fu->shared += c->state == FU_SHARED;
    s->fu->given_back += c->state == FU_GIVEN_BACK;
    s->fu->failed += c->state == FU_FAILED;
}

enum rr_err saga__step_fu(struct saga *s, const struct task *t, int64_t *next_at_ms)
{
    struct fu_campaign c;
    int64_t now_ms = 0;
    enum rr_err err = ledger_fu_get(s->ledger, t->code, &c);

    if (!err)
        err = s->pool->now_ms(s->pool->impl, &now_ms);
    if (err)
        return err;
    if (c.state == FU_OPEN && now_ms < c.spec.share_at_ms) {
        *next_at_ms = ledger__now_ms() + c.spec.share_at_ms - now_ms;
        return RR_PENDING;
    }
    if (c.state == FU_OPEN) {
        err = ledger_fu_close(s->ledger, t->code, false, &c);
        if (err && err != RR_DUPLICATE)
            return err;
    }
    if (c.state == FU_SHARING) {
        const char *field = NULL;

        err = share(s, &c, &field);
        if (is_refused(err) && t->tries >= GIVE_UP_TRIES)
            err = give_up(s, &c, err, field);
        else if (is_refused(err))
            log_error("fu_not_shared", "campaign %s, try %lld: %s%s%s", c.code, (long long)t->tries,
                      rr_err_name(err), field ? " " : "", field ? field : "");
        if (err)
            return err;
        if (c.state == FU_SHARED)
            rr_fail(FU_SHARED);
    }
    count_end(s, &c);
    log_info("fu_ended", "campaign %s is %s, %u winners", c.code, fu_state_name(c.state),
             c.winners);
    return push_campaign(s, &c);
}
