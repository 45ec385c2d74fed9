/* saga_recover.c - a rain whose pool was lost or cut back gets it again from the books. One step per state of rp_fence; each may
 * be repeated, and any process may go on.
 *   begun    every lost shard is fenced: it grants nothing from here on
 *   waits    what was granted before can be told for 2 s more; after the wait it is in Kafka, or never told
 *   drains   the settlers come up to where Kafka ended after the wait: all that was told is in the books
 *   applies  new rid and floor are in the books, in one transaction; the pools are filled from them
 * Why each is needed: docs/adr/0013-recovery.md. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fail.h"
#include "base/log.h"
#include "saga_fence.h"

enum {
    PARTS_MAX = 1000,
    DRAIN_PAUSE_MS = 50,
    TELL_AGAIN_MS = 1500, /* after the fence, and after the end */
    LATER_MS = 1000,      /* what only another process can do; what failed, too */
    STATES_MAX = 8,       /* by one run of the step */
    LOOK_AGAIN = 32       /* tries between two looks at the log's ends while it drains */
};

struct recovery {
    struct saga *s;
    struct rain_info rain;
    struct fence fence;
    struct fence_shard shards[RR_SHARDS_MAX];
    uint32_t shards_n;
    int64_t tries;
    int64_t *next_at_ms;
};

bool saga__pool_lost(const struct rain_info *r, uint32_t shard, const char *rid,
                     const struct pool_state *st)
{
    return !st->exists || strcmp(st->rid, rid) != 0 || !pool_same_run(st->rid, st->now_rid) ||
           st->n != rain_shard_count(r->spec.count, r->spec.shards, shard) ||
           st->granted + st->left != st->n;
}

static struct pool_shard shard_of(const struct recovery *c, uint32_t shard)
{
    struct pool_shard at = {.shard = shard};

    memcpy(at.code, c->rain.code, sizeof(at.code));
    return at;
}

static enum rr_err wait(struct recovery *c, int64_t ms)
{
    *c->next_at_ms = ledger__now_ms() + ms;
    return RR_PENDING;
}

/* Redis changed under this recovery. The next one starts from what the books say now. */
static enum rr_err begin_again(struct recovery *c)
{
    log_warn("recovery_again", "rain %s: Redis changed while it was recovered", c->rain.code);
    if (fence_move(c->s->ledger, &c->fence, c->fence.state, FENCE_VOID, 0) == RR_UNAVAILABLE)
        return RR_UNAVAILABLE;
    return wait(c, 0);
}

/* ---- begin ---- */

static enum rr_err find_lost(struct recovery *c, struct escrow_row rows[RR_SHARDS_MAX],
                             struct fence_runs *runs)
{
    struct pool_admin const *pool = c->s->pool;
    enum rr_err err = escrow_read(c->s->ledger, &c->rain, rows);

    runs->lost = 0;
    for (uint32_t i = 0; !err && i < c->rain.spec.shards; i++) {
        struct pool_shard at = shard_of(c, i);
        struct pool_state st;

        err = pool->state(pool->impl, &at, &st);
        if (err || !saga__pool_lost(&c->rain, i, rows[i].rid, &st))
            continue;
        runs->lost |= UINT64_C(1) << i;
        memcpy(runs->now[i], st.now_rid, sizeof(runs->now[i]));
    }
    return err;
}

/* A room that was wiped away too has forgotten the rain: its configuration goes first. */
static enum rr_err tell(struct recovery *c, const char *state)
{
    struct saga *s = c->s;
    int64_t now_ms = 0;
    enum rr_err err = s->pool->now_ms(s->pool->impl, &now_ms);

    if (err || c->rain.status == RAIN_PREPARED)
        return err;
    if (c->rain.status == RAIN_SENT)
        err = push_config(s, &c->rain, now_ms);
    return err ? err : push_state(s, &c->rain, state, now_ms);
}

static enum rr_err begin(struct recovery *c)
{
    struct escrow_row rows[RR_SHARDS_MAX];
    struct fence_runs runs;
    enum rr_err err = find_lost(c, rows, &runs);

    if (err || !runs.lost)
        return err;
    err = fence_begin(c->s->ledger, c->rain.code, &c->fence, &runs, rows);
    if (err)
        return err == RR_CONFLICT ? wait(c, 0) : err;
    log_warn("recovering", "rain %s (%s): its pool is of another Redis, or damaged", c->rain.code,
             rain_status_name(c->rain.status));
    rr_fail(RECOVER_BEGUN);
    err = tell(c, "RECOVERING");
    if (!err)
        rr_fail(RECOVER_TOLD);
    return err ? err : wait(c, 0);
}

/* ---- the states ---- */

static enum rr_err fence_all(struct recovery *c)
{
    struct saga *s = c->s;
    enum rr_err err = RR_OK;

    for (uint32_t i = 0; !err && i < c->shards_n; i++) {
        struct pool_shard at = shard_of(c, c->shards[i].shard);

        err = s->pool->fence(s->pool->impl, &at, c->shards[i].new_rid);
        if (!err)
            rr_fail(RECOVER_FENCED);
    }
    /* The wait begins after the last fence stands. */
    if (!err)
        err = fence_move(s->ledger, &c->fence, FENCE_BEGUN, FENCE_WAITS, s->recovery->wait_ms);
    if (!err)
        rr_fail(RECOVER_WAITS);
    return err ? err : wait(c, s->recovery->wait_ms ? TELL_AGAIN_MS : 0);
}

static enum rr_err read_ends(struct recovery *c, struct grant_log_end **ends, uint32_t *n)
{
    const struct grant_log *log = c->s->recovery->log;

    *ends = rr_xcalloc(PARTS_MAX, sizeof(**ends));
    return log->ends(log->impl, *ends, PARTS_MAX, n);
}

/* Workers that lost Redis too may not have been back when the room was told: it is told once more. */
static enum rr_err wait_and_tell(struct recovery *c)
{
    int64_t rest_ms = c->s->recovery->wait_ms - TELL_AGAIN_MS;
    enum rr_err err = RR_OK;

    if (c->fence.wait_left_ms > rest_ms)
        return wait(c, c->fence.wait_left_ms - rest_ms);
    err = tell(c, "RECOVERING");
    return err ? err : wait(c, c->fence.wait_left_ms);
}

static enum rr_err snapshot(struct recovery *c)
{
    struct grant_log_end *ends = NULL;
    uint32_t n = 0;
    enum rr_err err = RR_OK;

    if (c->fence.wait_left_ms > 0)
        return wait_and_tell(c);
    err = read_ends(c, &ends, &n);
    if (!err)
        err = fence_snapshot(c->s->ledger, &c->fence, c->s->recovery->log->topic, ends, n);
    if (!err)
        rr_fail(RECOVER_SNAPSHOT);
    free(ends);
    return err ? err : wait(c, 0);
}

/* Quick: nothing of the pool is lost. The part of the history it holds is then complete, and stays. */
static enum rr_err keep_of(struct recovery *c, bool durable, struct fence_shard *x)
{
    struct pool_shard at = shard_of(c, x->shard);
    struct pool_state st;
    uint32_t below = 0;
    enum rr_err err = c->s->pool->state(c->s->pool->impl, &at, &st);

    x->keep = 0;
    if (!err && durable && st.exists)
        err = fence_believed(c->s->ledger, c->rain.code, x, st.rid, &below);
    if (!err && st.granted <= below && st.granted + st.left == st.n)
        x->keep = st.granted;
    return err;
}

static enum rr_err drain(struct recovery *c)
{
    struct saga *s = c->s;
    struct grant_log_end *ends = NULL;
    int64_t records = 0;
    uint32_t n = 0;
    bool durable = false;
    enum rr_err err = fence_lag(s->ledger, &c->fence, c->rain.code, &records);

    if (!err && records && c->tries % LOOK_AGAIN == 0) {
        err = read_ends(c, &ends, &n);
        if (!err)
            err = fence_lower(s->ledger, &c->fence, s->recovery->log->topic, ends, n);
        free(ends);
    }
    if (err)
        return err;
    if (records)
        return wait(c, DRAIN_PAUSE_MS);
    durable = s->recovery->single && s->pool->durable(s->pool->impl);
    for (uint32_t i = 0; !err && i < c->shards_n; i++)
        err = keep_of(c, durable, &c->shards[i]);
    if (!err)
        err = fence_fix(s->ledger, &c->fence, &c->rain, c->shards, c->shards_n);
    if (!err)
        rr_fail(RECOVER_FIXED);
    if (err == RR_CONFLICT)
        return begin_again(c);
    return err ? err : wait(c, 0);
}

/* By policy a rain that lost its pool ends: what is left goes back to its sender. */
static enum rr_err end_by_policy(struct recovery *c)
{
    struct task end = {.id = 0};
    struct task close = {.id = 0};
    enum rr_err err = RR_OK;

    if (!c->s->recovery->close || c->rain.status != RAIN_SENT)
        return RR_OK;
    err = saga__close_begin(c->s, c->rain.code, true, &c->rain, &end, &close);
    if (!err)
        err = ledger_rain_get(c->s->ledger, c->rain.code, &c->rain);
    if (!err && end.id && saga__run_inline(c->s, &end) != RR_OK)
        log_info("end_goes_on", "rain %s", c->rain.code);
    return err;
}

static enum rr_err arm_tell_tx(struct ledger *l, void *arg)
{
    struct recovery *c = arg;
    struct task again;

    return task_put(l, "tell", c->rain.code, 0, ledger__now_ms() + TELL_AGAIN_MS, &again);
}

/* That it goes on is told twice, as the pause was: armed first, so that nobody dies in between. */
static enum rr_err tell_end(struct recovery *c)
{
    enum rr_err err = RR_OK;

    if (c->rain.status == RAIN_SENT)
        err = ledger__tx(c->s->ledger, arm_tell_tx, c);
    return err ? err : tell(c, c->rain.status == RAIN_SENT ? "OPEN" : "CLOSED");
}

/* A worker that was still subscribing missed the first one. Another recovery, or the end of the rain, says more by itself. */
enum rr_err saga__step_tell(struct saga *s, const struct task *t, int64_t *next_at_ms)
{
    struct recovery *c = rr_xcalloc(1, sizeof(*c));
    enum rr_err err = ledger_rain_get(s->ledger, t->code, &c->rain);

    (void)next_at_ms;
    c->s = s;
    if (!err)
        err = fence_read(s->ledger, t->code, &c->fence);
    if (!err && c->fence.state >= FENCE_DONE && c->rain.status == RAIN_SENT)
        err = tell(c, "OPEN");
    free(c);
    return err == RR_NOT_FOUND ? RR_OK : err;
}

static bool nothing_granted_anew(struct recovery *c)
{
    bool quick = true;

    for (uint32_t i = 0; i < c->shards_n; i++) {
        struct fence_shard x = c->shards[i];

        quick &= keep_of(c, true, &x) == RR_OK && x.keep == x.floor;
    }
    return quick && c->s->recovery->single && c->s->pool->durable(c->s->pool->impl);
}

static enum rr_err apply(struct recovery *c)
{
    struct saga *s = c->s;
    bool quick = nothing_granted_anew(c);
    enum rr_err err = end_by_policy(c);

    for (uint32_t i = 0; !err && i < c->shards_n; i++) {
        err = saga__refill(s, &c->rain, &c->shards[i]);
        if (!err)
            rr_fail(RECOVER_REFILLED);
    }
    if (err == RR_CONFLICT)
        return begin_again(c);
    /* Markers show, they guard nothing. */
    if (!err && (s->pool->mark(s->pool->impl, "prepare:ok", c->rain.code, s->owner) != RR_OK ||
                 (c->rain.status == RAIN_SENT &&
                  s->pool->mark(s->pool->impl, "notify", c->rain.code, s->owner) != RR_OK)))
        log_info("marker_missing", "rain %s", c->rain.code);
    if (!err)
        err = tell_end(c);
    if (!err)
        rr_fail(RECOVER_REOPENED);
    if (!err)
        err = fence_end(s->ledger, &c->fence, c->rain.code, quick ? "quick" : "full");
    if (err)
        return err == RR_CONFLICT ? RR_OK : err;
    rr_fail(RECOVER_DONE);
    log_notice("recovered", "rain %s (%s): %s", c->rain.code, rain_status_name(c->rain.status),
               quick ? "quick" : "full");
    *(quick ? &s->recovery->quick : &s->recovery->full) += 1;
    return RR_OK;
}

/* A shard is recovered into the run that its own primary was when the recovery began. */
static enum rr_err same_runs(struct recovery *c, bool *same)
{
    struct pool_admin const *pool = c->s->pool;
    enum rr_err err = RR_OK;

    *same = true;
    for (uint32_t i = 0; !err && *same && i < c->shards_n; i++) {
        struct pool_shard at = shard_of(c, c->shards[i].shard);
        struct pool_state st;

        err = pool->state(pool->impl, &at, &st);
        *same = err || pool_same_run(c->shards[i].new_rid, st.now_rid);
    }
    return err;
}

static enum rr_err go_on(struct recovery *c)
{
    bool same = false;
    enum rr_err err = fence_shards(c->s->ledger, &c->fence, c->shards, &c->shards_n);

    if (!err)
        err = same_runs(c, &same);
    if (err)
        return err;
    if (!same)
        return begin_again(c);
    switch (c->fence.state) {
    case FENCE_BEGUN: err = fence_all(c); break;
    case FENCE_WAITS: err = snapshot(c); break;
    case FENCE_DRAINS: err = drain(c); break;
    case FENCE_APPLIES: return apply(c);
    case FENCE_DONE:
    case FENCE_VOID: break;
    }
    /* Another process took this step meanwhile: look where it is. */
    return err == RR_CONFLICT ? wait(c, 0) : err;
}

/* From where SQL says it is. RR_PENDING: *next_at_ms says when it goes on. */
static enum rr_err advance(struct recovery *c, const char *code)
{
    struct saga *s = c->s;
    enum rr_err err = ledger_rain_get(s->ledger, code, &c->rain);

    if (!err)
        err = fence_read(s->ledger, code, &c->fence);
    if (err)
        return err;
    if (c->rain.status != RAIN_PREPARED && c->rain.status != RAIN_SENT &&
        c->rain.status != RAIN_CLOSING)
        return c->fence.state < FENCE_DONE
                   ? fence_move(s->ledger, &c->fence, c->fence.state, FENCE_VOID, 0)
                   : RR_OK;
    return c->fence.state >= FENCE_DONE ? begin(c) : go_on(c);
}

enum rr_err saga__step_recover(struct saga *s, const struct task *t, int64_t *next_at_ms)
{
    struct recovery *c = NULL;
    enum rr_err err = RR_PENDING;

    *next_at_ms = ledger__now_ms() + LATER_MS;
    if (!s->recovery)
        return RR_PENDING;
    c = rr_xcalloc(1, sizeof(*c));
    c->s = s;
    c->tries = t->tries;
    c->next_at_ms = next_at_ms;
    *next_at_ms = 0;
    for (int i = 0; i < STATES_MAX && err == RR_PENDING && *next_at_ms <= ledger__now_ms(); i++)
        err = advance(c, t->code);
    /* Its tries count the waits too: by them it would back off for half a minute when Redis blinks once. */
    if (err && err != RR_PENDING)
        *next_at_ms = ledger__now_ms() + LATER_MS;
    free(c);
    return err;
}
