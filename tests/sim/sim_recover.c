/* sim_recover.c - recovery as settle/ledger/saga_look.c, saga_recover.c, saga_fence.c and saga_refill.c step it; the scripts and
 * store's side of them are the real ones. And the sweeper. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "sim_redis.h"
#include "sim_sql.h"
#include "store/store_sync.h"

enum { WAIT_US = (int)SIM_X_US + SIM_S, DRAIN_US = 50 * SIM_MS, SWEEP_MAX = 64, STATES_MAX = 8 };

static bool live(void)
{
    enum rain_status st = sql_books()->status;

    return st == RAIN_PREPARED || st == RAIN_SENT || st == RAIN_CLOSING;
}

static struct pool_shard at_of(uint32_t shard)
{
    struct pool_shard at = {.shard = shard};

    memcpy(at.code, sim.code, sizeof(at.code));
    return at;
}

static enum rr_err state_of(uint32_t shard, struct pool_state *out)
{
    struct pool_shard at = at_of(shard);

    return net_pool()->state(net_pool()->impl, &at, out);
}

bool pool_lost(uint32_t shard, const char *rid, const struct pool_state *st)
{
    return !st->exists || strcmp(st->rid, rid) != 0 || !pool_same_run(st->rid, st->now_rid) ||
           st->n != sim.shard_n[shard] || st->granted + st->left != st->n;
}

/* ---- noticing ---- */

enum rr_err recover_arm(void)
{
    struct sql_books *b = NULL;
    enum rr_err err = sql_begin(&b);

    if (err)
        return err;
    if (b->tasks[TASK_RECOVER].there && !b->tasks[TASK_RECOVER].done) {
        sql_rollback();
        return RR_OK;
    }
    sql_task_put(b, TASK_RECOVER, sim.now_us);
    return sql_commit(HIT_NONE, HIT_NONE);
}

static enum rr_err look(void)
{
    enum rr_err err = sql_read();

    for (uint32_t s = 0; s < sim.plan.shards && !err && live(); s++) {
        char rid[RR_RID_LEN + 1];
        struct pool_state st;

        memcpy(rid, sql_books()->escrow[s].rid, sizeof(rid));
        err = state_of(s, &st);
        if (!err && pool_lost(s, rid, &st))
            return recover_arm();
    }
    return err;
}

void look_main(struct actor *a)
{
    while (!a->dead) {
        sim_sleep(sim_between(150 * SIM_MS, 350 * SIM_MS));
        if (look() != RR_OK)
            sim_trace("nothing to see");
    }
}

/* ---- states: one process only makes each change ---- */

static enum rr_err wait_for(int64_t *next_at_us, int64_t us)
{
    *next_at_us = sim.now_us + us;
    return RR_PENDING;
}

/* The transaction is open when this returns RR_OK. */
static enum rr_err move(const struct sql_fence *f, enum sql_fence_state to, struct sql_books **b)
{
    enum rr_err err = sql_begin(b);

    if (err)
        return err;
    if ((*b)->fence.id != f->id || (*b)->fence.state != f->state) {
        sql_rollback();
        return RR_CONFLICT;
    }
    (*b)->fence.state = to;
    return RR_OK;
}

static enum rr_err begin_again(const struct sql_fence *f, int64_t *next_at_us)
{
    struct sql_books *b = NULL;
    enum rr_err err = move(f, FENCE_VOID, &b);

    sim_trace("recovery %u begins again", f->id);
    if (!err)
        err = sql_commit(HIT_NONE, HIT_NONE);
    return err == RR_UNAVAILABLE ? err : wait_for(next_at_us, 0);
}

static enum rr_err begin(const struct sql_fence *last, const struct pool_epoch *epoch,
                         int64_t *next_at_us)
{
    struct sql_fence f = {.id = last->id + 1, .state = FENCE_BEGUN};
    struct sql_books *b = NULL;
    bool any = false;
    enum rr_err err = RR_OK;

    memcpy(f.run, epoch->rid, sizeof(f.run));
    for (uint32_t s = 0; s < sim.plan.shards && !err; s++) {
        struct pool_state st;

        memcpy(f.shards[s].old_rid, sql_books()->escrow[s].rid, sizeof(f.shards[s].old_rid));
        err = state_of(s, &st);
        f.shards[s].lost = !err && pool_lost(s, f.shards[s].old_rid, &st);
        snprintf(f.shards[s].new_rid, sizeof(f.shards[s].new_rid), "%.32s%08x", f.run, f.id);
        any |= f.shards[s].lost;
    }
    if (err || !any)
        return err;
    err = sql_begin(&b);
    if (err)
        return err;
    if (b->fence.id != last->id) {
        sql_rollback();
        return wait_for(next_at_us, 0);
    }
    b->fence = f;
    err = sql_commit(HIT_NONE, HIT_NONE);
    sim_trace("recovery %u begins", f.id);
    return err ? err : wait_for(next_at_us, 0);
}

static enum rr_err fence_all(const struct sql_fence *f, int64_t *next_at_us)
{
    int64_t wait_us = sim.mutation == MUT_recovery_wait ? 0 : WAIT_US;
    struct sql_books *b = NULL;
    enum rr_err err = RR_OK;

    for (uint32_t s = 0; s < sim.plan.shards && !err; s++) {
        struct pool_shard at = at_of(s);

        if (f->shards[s].lost)
            err = net_pool()->fence(net_pool()->impl, &at, f->shards[s].new_rid);
    }
    if (!err)
        err = move(f, FENCE_WAITS, &b);
    if (err)
        return err;
    b->fence.wait_until_us = sim.now_us + wait_us;
    err = sql_commit(HIT_NONE, HIT_NONE);
    return err ? err : wait_for(next_at_us, wait_us);
}

static enum rr_err snapshot(const struct sql_fence *f, int64_t *next_at_us)
{
    struct sql_books *b = NULL;
    int64_t high[SIM_PARTS];
    enum rr_err err = RR_OK;

    if (f->wait_until_us > sim.now_us)
        return wait_for(next_at_us, f->wait_until_us - sim.now_us);
    if (!kafka_up())
        return RR_UNAVAILABLE;
    for (int i = 0; i < SIM_PARTS; i++)
        high[i] = kafka_high(i);
    err = move(f, FENCE_DRAINS, &b);
    if (err)
        return err;
    memcpy(b->fence.high, high, sizeof(high));
    err = sql_commit(HIT_NONE, HIT_NONE);
    return err ? err : wait_for(next_at_us, 0);
}

/* Of a log that shrank, what is gone is not waited for. */
static bool drained(const struct sql_fence *f)
{
    for (int i = 0; i < SIM_PARTS; i++) {
        int64_t high = f->high[i] < kafka_high(i) ? f->high[i] : kafka_high(i);

        if (sql_books()->offset[i] < high)
            return false;
    }
    return true;
}

/* As fence_believed(). */
static uint32_t believed(const char *state_rid, uint32_t shard, const char *old_rid)
{
    const struct sql_books *b = sql_books();
    const char *rid = old_rid;
    uint32_t least = UINT32_MAX;

    if (pool_same_life(state_rid, rid))
        return least;
    for (uint32_t i = b->fenced_n; i > b->fenced_done; i--) {
        if (b->fenced[i - 1].shard != shard || strcmp(b->fenced[i - 1].new_rid, rid) != 0)
            continue;
        rid = b->fenced[i - 1].rid;
        if (b->fenced[i - 1].floor < least)
            least = b->fenced[i - 1].floor;
        if (pool_same_life(state_rid, rid))
            return least;
    }
    return 0;
}

/* Quick: nothing of the pool is lost, and the part of the history it holds stays. */
static enum rr_err keep_of(const struct sql_fence *f, uint32_t shard, uint32_t *keep)
{
    struct pool_state st;
    bool durable = net_pool()->durable(net_pool()->impl);
    enum rr_err err = state_of(shard, &st);

    *keep = 0;
    if (!err && durable && st.exists &&
        st.granted <= believed(st.rid, shard, f->shards[shard].old_rid) &&
        st.granted + st.left == st.n)
        *keep = st.granted;
    return err;
}

static enum rr_err fix(const struct sql_fence *f, const uint32_t keep[SIM_SHARDS])
{
    struct sql_books *b = NULL;
    enum rr_err err = move(f, FENCE_APPLIES, &b);

    for (uint32_t s = 0; s < sim.plan.shards && !err; s++) {
        struct sql_escrow *x = &b->escrow[s];
        uint32_t floor = keep[s];

        if (!f->shards[s].lost)
            continue;
        if (strcmp(x->rid, f->shards[s].old_rid) != 0) {
            sql_rollback();
            return RR_CONFLICT;
        }
        if (sql_next_no(b, s) > floor)
            floor = sql_next_no(b, s);
        if (x->closed && x->granted_k > floor)
            floor = x->granted_k;
        RR_ASSERT(b->fenced_n < SQL_FENCED);
        b->fenced[b->fenced_n].shard = s;
        b->fenced[b->fenced_n].floor = floor;
        memcpy(b->fenced[b->fenced_n].new_rid, f->shards[s].new_rid, sizeof(x->rid));
        memcpy(b->fenced[b->fenced_n++].rid, x->rid, sizeof(x->rid));
        memcpy(x->rid, f->shards[s].new_rid, sizeof(x->rid));
        b->fence.shards[s].floor = floor;
    }
    sim.fenced = true;
    return err ? err : sql_commit(HIT_NONE, HIT_NONE);
}

static enum rr_err drain(const struct sql_fence *f, int64_t *next_at_us)
{
    uint32_t keep[SIM_SHARDS] = {0};
    enum rr_err err = kafka_up() ? RR_OK : RR_UNAVAILABLE;

    if (!err && !drained(f))
        return wait_for(next_at_us, DRAIN_US);
    for (uint32_t s = 0; s < sim.plan.shards && !err; s++) {
        if (f->shards[s].lost)
            err = keep_of(f, s, &keep[s]);
    }
    sim_pause_point(HIT_recoverer_paused);
    if (!err)
        err = fix(f, keep);
    if (err == RR_CONFLICT)
        return begin_again(f, next_at_us);
    return err ? err : wait_for(next_at_us, 0);
}

/* ---- the refill ---- */

struct refill {
    uint32_t shard;
    uint32_t floor;
    uint32_t below;
    bool taken[SIM_PACKETS];
    struct pool_grant grants[SIM_PACKETS];
    bool in_books[SIM_PACKETS];
    uint32_t n;
};

static void add(struct refill *p, const struct pool_grant *g, bool in_books)
{
    uint32_t i = p->n;

    p->taken[g->packet_no] = true;
    for (uint32_t k = 0; k < p->n; k++) {
        if (p->grants[k].user_id == g->user_id && p->grants[k].seq == g->seq)
            return; /* the books' row was first */
    }
    for (; i > 0 && (p->grants[i - 1].user_id > g->user_id ||
                     (p->grants[i - 1].user_id == g->user_id && p->grants[i - 1].seq > g->seq));
         i--) {
        p->grants[i] = p->grants[i - 1];
        p->in_books[i] = p->in_books[i - 1];
    }
    p->grants[i] = *g;
    p->in_books[i] = in_books;
    p->n++;
}

static enum rr_err read_books(struct refill *p)
{
    const struct sql_books *b = sql_books();
    enum rr_err err = sql_read();

    for (uint32_t i = 0; i < b->grants_n && !err; i++) {
        const struct sql_grant *g = &b->grants[i];

        if (g->shard != p->shard)
            continue;
        if (g->packet_no >= p->floor || (p->taken[g->packet_no] && sim.mutation != MUT_grant_keys))
            return RR_CONFLICT;
        if (g->state == SQL_VOID)
            p->taken[g->packet_no] = true;
        else
            add(p,
                &(struct pool_grant){.user_id = g->user_id,
                                     .amount_fen = g->amount_fen,
                                     .seq = g->seq,
                                     .packet_no = g->packet_no},
                true);
    }
    return err;
}

static enum rr_err take_survivor(void *arg, const struct pool_grant *g)
{
    struct refill *p = arg;

    if (g->packet_no < p->floor && g->packet_no < p->below && !p->taken[g->packet_no] &&
        g->seq < sim.plan.limit && g->amount_fen == sim.amounts_fen[p->shard][g->packet_no])
        add(p, g, false);
    return RR_OK;
}

static enum rr_err refill(const struct sql_fence *f, uint32_t shard)
{
    struct refill p = {.shard = shard, .floor = f->shards[shard].floor};
    enum rain_status status = sql_books()->status;
    struct pool_refill out = {.at = at_of(shard),
                              .room_id = "room",
                              .st = status == RAIN_PREPARED ? 'P'
                                    : status == RAIN_SENT   ? 'O'
                                                            : 'C',
                              .amounts_fen = sim.amounts_fen[shard],
                              .grants = p.grants,
                              .in_books = p.in_books,
                              .n = sim.shard_n[shard],
                              .floor = p.floor,
                              .limit = sim.plan.limit};
    struct pool_state st;
    enum rr_err err = state_of(shard, &st);

    if (!err && st.exists && strcmp(st.rid, f->shards[shard].new_rid) == 0)
        return RR_OK;
    if (!err)
        err = read_books(&p);
    if (!err && st.exists)
        p.below = believed(st.rid, shard, f->shards[shard].old_rid);
    if (!err && p.below)
        err = net_pool()->grants(net_pool()->impl, &out.at, take_survivor, &p);
    if (err)
        return err;
    if (status != RAIN_PREPARED)
        rain_times(&out.t0_ms, &out.t1_ms);
    memcpy(out.rid, f->shards[shard].new_rid, sizeof(out.rid));
    memcpy(out.from_rid, st.rid, sizeof(out.from_rid));
    out.grants_n = p.n;
    err = net_pool()->refill(net_pool()->impl, &out);
    sim_trace("refill of shard %u, floor %u, state %c: %s", shard, p.floor, out.st,
              rr_err_name(err));
    return err;
}

static enum rr_err apply(const struct sql_fence *f, int64_t *next_at_us)
{
    struct sql_books *b = NULL;
    enum rr_err err = RR_OK;

    if (sim.plan.fence_close && sql_books()->status == RAIN_SENT)
        err = rain_close_begin();
    if (err == RR_DUPLICATE)
        err = RR_OK;
    for (uint32_t s = 0; s < sim.plan.shards && !err; s++) {
        if (f->shards[s].lost)
            err = refill(f, s);
    }
    if (err == RR_CONFLICT)
        return begin_again(f, next_at_us);
    if (!err)
        err = move(f, FENCE_DONE, &b);
    if (err)
        return err == RR_CONFLICT ? RR_OK : err;
    b->fenced_done = b->fenced_n;
    if (b->status == RAIN_CLOSING)
        sql_task_put(b, TASK_CLOSE, sim.now_us);
    return sql_commit(HIT_NONE, HIT_NONE);
}

static enum rr_err advance(int64_t *next_at_us)
{
    struct sql_fence f;
    struct sql_books *b = NULL;
    struct pool_epochs now;
    enum rr_err err = sql_read();

    if (!err)
        err = net_pool()->epochs(net_pool()->impl, &now);
    if (err)
        return err;
    f = sql_books()->fence;
    if (!live()) {
        if (f.state == FENCE_NONE || f.state >= FENCE_DONE)
            return RR_OK;
        err = move(&f, FENCE_VOID, &b);
        return err ? err : sql_commit(HIT_NONE, HIT_NONE);
    }
    if (f.state == FENCE_NONE || f.state >= FENCE_DONE)
        return begin(&f, &now.of[0], next_at_us);
    if (!pool_same_run(f.run, now.of[0].rid))
        return begin_again(&f, next_at_us);
    switch (f.state) {
    case FENCE_BEGUN: err = fence_all(&f, next_at_us); break;
    case FENCE_WAITS: err = snapshot(&f, next_at_us); break;
    case FENCE_DRAINS: err = drain(&f, next_at_us); break;
    default: return apply(&f, next_at_us);
    }
    return err == RR_CONFLICT ? wait_for(next_at_us, 0) : err;
}

enum rr_err step_recover(int64_t *next_at_us)
{
    enum rr_err err = RR_PENDING;

    *next_at_us = 0;
    for (int i = 0; i < STATES_MAX && err == RR_PENDING && *next_at_us <= sim.now_us; i++)
        err = advance(next_at_us);
    if (err && err != RR_PENDING)
        *next_at_us = sim.now_us + 300 * SIM_MS;
    return err;
}

/* ---- the sweeper ---- */

struct sweep {
    struct kafka_producer out;
    uint32_t life;
    uint32_t unreported;
    struct {
        char id[32];
        bool failed;
    } entries[SWEEP_MAX];
    uint32_t n;
};

static struct sweep sweeps[2];

static enum rr_err take_entry(void *arg, const char *id, const struct grant_record *records,
                              uint32_t n)
{
    struct sweep *s = arg;

    if (s->n == SWEEP_MAX)
        return RR_FULL;
    snprintf(s->entries[s->n].id, sizeof(s->entries[0].id), "%s", id);
    s->entries[s->n].failed = false;
    for (uint32_t i = 0; i < n && !s->entries[s->n].failed; i++) {
        if (kafka_send(&s->out, &records[i], s->n) == RR_OK)
            s->unreported++;
        else
            s->entries[s->n].failed = true;
    }
    s->n++;
    return RR_OK;
}

static void on_report(void *arg, uint64_t id, bool ok)
{
    struct sweep *s = arg;

    s->entries[id].failed |= !ok;
    s->unreported--;
}

static void sweep_shard(struct sweep *s, uint32_t shard, const char *owner)
{
    struct pool_shard at = {.shard = shard};

    memcpy(at.code, sim.code, sizeof(at.code));
    s->n = 0;
    s->unreported = 0;
    if (store_sync_sweep_lease(net_store(), &at, owner, 10000) != RR_OK ||
        store_sync_outbox_read(net_store(), &at, SIM_MESSAGE_TIMEOUT_US / 1000 + 1000, SWEEP_MAX,
                               NULL, take_entry, s) != RR_OK)
        return;
    while (s->unreported && !sim_self->dead)
        sim_sleep(20 * SIM_MS);
    if (s->n && sim_crash_point(HIT_sweeper_dead))
        return;
    for (uint32_t i = 0; i < s->n && !sim_self->dead; i++) {
        const char *id = s->entries[i].id;

        if (!s->entries[i].failed && store_sync_outbox_del(net_store(), &at, &id, 1) != RR_OK)
            sim_trace("an entry stays, it will be swept again");
    }
}

void sweeper_main(struct actor *a)
{
    struct sweep *s = &sweeps[a->index];

    s->life++; /* reports of an earlier life go nowhere */
    s->out = (struct kafka_producer){
        .life = s->life, .life_now = &s->life, .report = on_report, .arg = s, .quiet = true};
    while (!a->dead) {
        sim_sleep(sim_between(400 * SIM_MS, 600 * SIM_MS));
        if (sql_read() != RR_OK || !live())
            continue;
        for (uint32_t i = 0; i < sim.plan.shards && !a->dead; i++)
            sweep_shard(s, i, a->name);
    }
}
