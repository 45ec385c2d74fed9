/* saga_open.c - from created to open: create, prepare, start, extend. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fail.h"
#include "base/log.h"
#include "ledger/room_stats.h"
#include "saga_impl.h"

/* The lock only spares double work: two attempts at once do no harm. Who died with it holds the next one up for that long. */
enum { PREPARE_LOCK_MS = 5000, PACKETS_PER_PRIMARY = 1000 };

/* Who named no number of shards gets one per server of Redis, if each is worth it: a viewer has one home shard, and a small
 * packet in many shards would be sold out for one and not for the other. */
static void spread(const struct saga *s, struct rain_spec *spec)
{
    uint32_t n = s->pool->primaries ? s->pool->primaries(s->pool->impl) : 1;

    if (n > RR_SHARDS_MAX)
        n = RR_SHARDS_MAX;
    if (n > spec->shards && spec->count / n >= PACKETS_PER_PRIMARY)
        spec->shards = n;
}

enum rr_err saga_create(struct saga *s, struct rain_spec *spec, struct rain_info *out,
                        const char **field)
{
    bool any = spec->shards == 0;
    enum rr_err err = rain_spec_check(spec, field);

    if (err)
        return err;
    if (any)
        spread(s, spec);
    err = ledger_rain_create(s->ledger, spec, out);
    if (err == RR_BAD_REQUEST) {
        struct rain_spec timed = *spec;

        *field = rain_times_check(&timed, ledger__now_ms());
    }
    if (!err)
        room_stats_write(s, out->spec.room_id, out->spec.sender_id);
    return err;
}

enum rr_err saga__get(struct saga *s, const struct saga_actor *a, const char *code,
                      struct rain_info *out)
{
    enum rr_err err = RR_NOT_FOUND;

    if (rain_code_valid(rr_slice_str(code)))
        err = ledger_rain_get(s->ledger, code, out);
    if (!err && a && a->room_id && strcmp(a->room_id, out->spec.room_id) != 0)
        err = RR_NOT_FOUND;
    return err;
}

/* ---- prepare ---- */

struct prepare {
    const char *code;
    uint32_t shards;
    char rid[RR_SHARDS_MAX][RR_RID_LEN + 1];
};

/* Nothing was granted before SENT, so a rid of an earlier attempt may be replaced here. */
static enum rr_err prepare_tx(struct ledger *l, void *arg)
{
    const struct prepare *p = arg;
    struct rain_info r;
    enum rr_err err = ledger__rain_lock(l, p->code, &r);

    if (err)
        return err;
    if (r.status != RAIN_CREATED)
        return r.status == RAIN_PREPARED ? RR_DUPLICATE : RR_CONFLICT;
    for (uint32_t i = 0; !err && i < p->shards; i++)
        err = db_stmt(l->db, "UPDATE rp_escrow SET rid = ? WHERE code = ? AND shard = ?",
                      DB_ARGS(db_str(p->rid[i]), db_str(p->code), db_int(i)), NULL);
    if (!err)
        err = ledger__rain_status(l, p->code, RAIN_CREATED, RAIN_PREPARED);
    if (!err)
        rr_fail(PREPARE_BEFORE_COMMIT);
    return err;
}

static enum rr_err seal_all(struct saga *s, const struct rain_info *r, struct prepare *p)
{
    struct pool_seal seal = {.limit = r->spec.limit};
    int64_t *amounts_fen = NULL;
    int64_t *shard_fen = rr_xcalloc(r->spec.count, sizeof(*shard_fen));
    enum rr_err err = ledger_rain_amounts(s->ledger, r, &amounts_fen);

    memcpy(seal.room_id, r->spec.room_id, sizeof(seal.room_id));
    memcpy(seal.at.code, r->code, sizeof(seal.at.code));
    for (uint32_t i = 0; !err && i < r->spec.shards; i++) {
        rain_shard_amounts(amounts_fen, r->spec.count, r->spec.shards, i, shard_fen);
        seal.at.shard = i;
        seal.amounts_fen = shard_fen;
        seal.count = rain_shard_count(r->spec.count, r->spec.shards, i);
        rain_amounts_hash(shard_fen, seal.count, seal.amounts_hash);
        err = s->pool->seal(s->pool->impl, &seal, p->rid[i]);
        if (!err)
            rr_fail(PREPARE_SEALED);
    }
    free(amounts_fen);
    free(shard_fen);
    return err;
}

enum rr_err saga_prepare(struct saga *s, const struct saga_actor *a, const char *code,
                         struct rain_info *out)
{
    struct prepare *p = NULL;
    enum rr_err err = saga__get(s, a, code, out);

    if (err)
        return err;
    if (out->status != RAIN_CREATED)
        return out->status == RAIN_PREPARED ? RR_DUPLICATE : RR_CONFLICT;
    err = s->pool->lock(s->pool->impl, code, s->owner, PREPARE_LOCK_MS);
    if (err)
        return err;
    p = rr_xcalloc(1, sizeof(*p));
    p->code = code;
    p->shards = out->spec.shards;
    err = saga__put_list(s, out);
    if (!err)
        err = seal_all(s, out, p);
    if (!err)
        err = ledger__tx(s->ledger, prepare_tx, p);
    if (!err)
        rr_fail(PREPARE_AFTER_COMMIT);
    free(p);
    if (!err && s->pool->mark(s->pool->impl, "prepare:ok", code, s->owner) != RR_OK)
        log_warn("marker_missing", "prepare marker of rain %s", code); /* shows, guards nothing */
    s->pool->unlock(s->pool->impl, code, s->owner);
    if (err && err != RR_DUPLICATE)
        return err;
    out->status = RAIN_PREPARED;
    room_stats_write(s, out->spec.room_id, out->spec.sender_id);
    return err;
}

/* ---- start and extend ---- */

struct timing {
    const char *code;
    int64_t rain_now_ms;
    int64_t countdown_ms; /* start */
    int64_t t0_ms;        /* start: at this rain time; 0: after the countdown */
    int64_t duration_ms;
    int64_t add_ms; /* extend */
    struct task open;
};

static enum rr_err write_times(struct ledger *l, struct timing *p, int64_t t0_ms, int64_t t1_ms)
{
    int64_t wall_ms = ledger__now_ms();
    struct task close;
    enum rr_err err =
        db_stmt(l->db, "UPDATE t_red_packet_config SET t0 = ?, t1 = ? WHERE config_code = ?",
                DB_ARGS(db_int(t0_ms), db_int(t1_ms), db_str(p->code)), NULL);

    if (!err)
        err = task_put(l, "open", p->code, p->add_ms > 0, wall_ms + TASK_INLINE_LEASE_MS, &p->open);
    if (!err)
        err = task_put(l, "close", p->code, 0, wall_ms + t1_ms - p->rain_now_ms, &close);
    return err;
}

/* A rain lasts its duration; a packet is open until it expires, or for less. False: it would open after its expiry. */
static bool end_of(const struct rain_info *r, int64_t t0_ms, int64_t duration_ms, int64_t *t1_ms)
{
    int64_t expire_at_ms = r->spec.expire_at_ms ? r->spec.expire_at_ms : INT64_MAX;

    duration_ms = duration_ms ? duration_ms : r->spec.duration_ms;
    *t1_ms = duration_ms ? t0_ms + duration_ms : expire_at_ms;
    if (r->spec.kind != KIND_RAIN && *t1_ms > expire_at_ms)
        *t1_ms = expire_at_ms;
    return t0_ms<expire_at_ms && * t1_ms> t0_ms;
}

/* The guard against a second start. */
static enum rr_err start_tx(struct ledger *l, void *arg)
{
    struct timing *p = arg;
    struct rain_info r;
    int64_t t0_ms = p->t0_ms ? p->t0_ms : p->rain_now_ms + p->countdown_ms;
    int64_t t1_ms = 0;
    struct task invite;
    enum rr_err err = ledger__rain_lock(l, p->code, &r);

    if (!err)
        err = ledger__rain_status(l, p->code, RAIN_PREPARED, RAIN_SENT);
    if (!err && !end_of(&r, t0_ms, p->duration_ms, &t1_ms))
        err = RR_CONFLICT;
    if (!err)
        err = task_drop(l, "expire", p->code);
    if (!err)
        err = task_drop(l, "start", p->code);
    if (!err && r.spec.users_n)
        err = task_put(l, "invite", p->code, 0, ledger__now_ms(), &invite);
    if (err)
        return err;
    err = write_times(l, p, t0_ms, t1_ms);
    if (!err)
        rr_fail(START_BEFORE_COMMIT);
    return err;
}

static enum rr_err extend_tx(struct ledger *l, void *arg)
{
    struct timing *p = arg;
    struct rain_info r;
    enum rr_err err = ledger__rain_lock(l, p->code, &r);

    if (err)
        return err;
    if (r.status != RAIN_SENT || p->rain_now_ms >= r.t1_ms)
        return RR_CONFLICT;
    if (r.t1_ms - r.t0_ms + p->add_ms >
        (r.spec.kind == KIND_RAIN ? RR_DURATION_MAX_MS : RR_EXPIRE_MAX_MS))
        return RR_BAD_REQUEST;
    return write_times(l, p, r.t0_ms, r.t1_ms + p->add_ms);
}

/* Commits, then runs the open step at once; reads *out afterwards. */
static enum rr_err timed(struct saga *s, struct timing *p, ledger_tx_fn tx, struct rain_info *out)
{
    enum rr_err read = RR_OK;
    enum rr_err err = ledger__tx(s->ledger, tx, p);

    if (err)
        return err;
    rr_fail(START_AFTER_COMMIT);
    err = saga__run_inline(s, &p->open);
    read = ledger_rain_get(s->ledger, p->code, out);
    return read && !err ? RR_PENDING : err;
}

/* A pool that a restarted Redis may have lost part of is recovered before it is started: some seconds later the start may be
 * asked again. */
static enum rr_err pool_intact(struct saga *s, const struct rain_info *r)
{
    struct pool_shard at = {.shard = 0};
    struct escrow_row rows[RR_SHARDS_MAX];
    enum rr_err err = escrow_read(s->ledger, r, rows);

    memcpy(at.code, r->code, sizeof(at.code));
    for (; !err && at.shard < r->spec.shards; at.shard++) {
        struct pool_state st;

        err = s->pool->state(s->pool->impl, &at, &st);
        if (!err && saga__pool_lost(r, at.shard, rows[at.shard].rid, &st)) {
            err = saga__recover_arm(s, r->code);
            return err ? err : RR_RECOVERING;
        }
    }
    return err;
}

enum rr_err saga__start_at(struct saga *s, const char *code, int64_t t0_ms, struct rain_info *out)
{
    struct timing p = {.code = code, .t0_ms = t0_ms};
    enum rr_err err = out->status == RAIN_PREPARED ? pool_intact(s, out) : RR_CONFLICT;

    if (!err)
        err = s->pool->now_ms(s->pool->impl, &p.rain_now_ms);
    return err ? err : timed(s, &p, start_tx, out);
}

enum rr_err saga_start(struct saga *s, const struct saga_actor *a, const char *code,
                       int64_t countdown_ms, int64_t duration_ms, struct rain_info *out)
{
    struct timing p = {.code = code, .countdown_ms = countdown_ms, .duration_ms = duration_ms};
    enum rr_err err = saga__get(s, a, code, out);

    if (err)
        return err;
    if (countdown_ms < 0 || countdown_ms > RR_COUNTDOWN_MAX_MS ||
        (duration_ms != 0 &&
         (duration_ms < RR_DURATION_MIN_MS || duration_ms > RR_DURATION_MAX_MS)))
        return RR_BAD_REQUEST;
    if (out->status != RAIN_PREPARED)
        return RR_CONFLICT;
    err = pool_intact(s, out);
    if (!err)
        err = s->pool->now_ms(s->pool->impl, &p.rain_now_ms);
    return err ? err : timed(s, &p, start_tx, out);
}

enum rr_err saga_extend(struct saga *s, const struct saga_actor *a, const char *code,
                        int64_t add_ms, struct rain_info *out)
{
    struct timing p = {.code = code, .add_ms = add_ms};
    enum rr_err err = saga__get(s, a, code, out);

    if (err)
        return err;
    if (add_ms <= 0 || add_ms > RR_DURATION_MAX_MS)
        return RR_BAD_REQUEST;
    err = s->pool->now_ms(s->pool->impl, &p.rain_now_ms);
    return err ? err : timed(s, &p, extend_tx, out);
}

/* arg 1: the shards are open with an older t1. */
enum rr_err saga__step_open(struct saga *s, const struct task *t, int64_t *next_at_ms)
{
    struct rain_info r;
    struct pool_shard at = {.shard = 0};
    int64_t now_ms = 0;
    enum rr_err err = ledger_rain_get(s->ledger, t->code, &r);

    (void)next_at_ms;
    if (err || r.status != RAIN_SENT)
        return err;
    err = s->pool->now_ms(s->pool->impl, &now_ms);
    if (err || now_ms >= r.t1_ms) /* too late: the close step ends it, everything goes back */
        return err;
    memcpy(at.code, r.code, sizeof(at.code));
    for (; !err && at.shard < r.spec.shards; at.shard++) {
        err = s->pool->open(s->pool->impl, &at, r.t0_ms, r.t1_ms);
        if (!err && t->arg)
            err = s->pool->extend(s->pool->impl, &at, r.t1_ms);
        if (!err)
            rr_fail(OPEN_SHARD);
    }
    if (!err)
        err = s->pool->mark(s->pool->impl, "notify", r.code, s->owner);
    /* Ended or called off meanwhile: what was told about that is the last word. */
    if (!err)
        err = ledger_rain_get(s->ledger, t->code, &r);
    if (err || r.status != RAIN_SENT)
        return err;
    rr_fail(OPEN_BEFORE_PUSH);
    err = push_config(s, &r, now_ms);
    if (!err)
        rr_fail(OPEN_AFTER_PUSH);
    return err;
}
