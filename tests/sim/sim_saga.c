/* sim_saga.c - a rain's life as settle/ledger/saga_*.c steps it: create, prepare, start, open, close, refund, compare, settled.
 * The anchor's actor runs the first steps and repeats them after a crash, as a client's repeat does; tasks run the rest. */
#include <string.h>

#include "sim_sql.h"

/* Shorter than the product's 10 s: what happens after them happens within a rain. */
enum { INLINE_LEASE_US = 3 * SIM_S, LEASE_US = 3 * SIM_S, BACKOFF_MAX_US = 3 * SIM_S };

static struct pool_shard at_of(uint32_t shard)
{
    struct pool_shard at = {.shard = shard};

    memcpy(at.code, sim.code, sizeof(at.code));
    return at;
}

static int64_t shard_total_fen(uint32_t shard)
{
    int64_t sum = 0;

    for (uint32_t i = 0; i < sim.shard_n[shard]; i++)
        sum += sim.amounts_fen[shard][i];
    return sum;
}

/* ---- create ---- */

static enum rr_err create(void)
{
    struct sql_books *b = NULL;
    enum rr_err err = sql_begin(&b);

    if (err)
        return err;
    if (b->status) { /* UNIQUE (sender, req_id): the first one's code */
        sql_rollback();
        return RR_DUPLICATE;
    }
    b->status = RAIN_CREATED;
    b->wallet_fen[0] -= sim.plan.total_fen;
    for (uint32_t s = 0; s < sim.plan.shards; s++)
        b->escrow[s].total_fen = b->escrow[s].remain_fen = shard_total_fen(s);
    return sql_commit(HIT_create_commit, HIT_create_commit);
}

/* ---- prepare ---- */

static enum rr_err seal(uint32_t shard, char rid[RR_RID_LEN + 1])
{
    struct pool_seal s = {.at = at_of(shard),
                          .room_id = "room",
                          .amounts_fen = sim.amounts_fen[shard],
                          .count = sim.shard_n[shard],
                          .limit = sim.plan.limit};

    rain_amounts_hash(s.amounts_fen, s.count, s.amounts_hash);
    return net_pool()->seal(net_pool()->impl, &s, rid);
}

static enum rr_err prepare(void)
{
    char rid[SIM_SHARDS][RR_RID_LEN + 1];
    struct sql_books *b = NULL;
    enum rr_err err = net_pool()->lock(net_pool()->impl, sim.code, sim_self->name, 30000);

    for (uint32_t s = 0; s < sim.plan.shards && !err; s++) {
        err = seal(s, rid[s]);
        if (!err && sim_crash_point(HIT_prepare_halfway))
            err = RR_UNAVAILABLE;
    }
    if (!err)
        err = sql_begin(&b);
    if (!err && b->status != RAIN_CREATED) {
        sql_rollback();
        err = RR_DUPLICATE;
    }
    if (!err) {
        for (uint32_t s = 0; s < sim.plan.shards; s++)
            memcpy(b->escrow[s].rid, rid[s], sizeof(rid[s]));
        b->status = RAIN_PREPARED;
        err = sql_commit(HIT_NONE, HIT_NONE);
    }
    net_pool()->unlock(net_pool()->impl, sim.code, sim_self->name);
    return err;
}

/* ---- start ---- */

static void on_push(void *arg, uint64_t n)
{
    (void)arg;
    server_learn((int)n);
}

static void on_end_push(void *arg, uint64_t n)
{
    (void)arg;
    server_end((int)n);
}

static void announce(sim_fn fn)
{
    for (uint64_t i = 0; i < SIM_SERVERS; i++) {
        if (!sim.chaos || !sim_chance(0.05))
            sim_at(sim_between(200, 8 * SIM_MS), fn, NULL, i);
    }
}

static enum rr_err pool_intact(void)
{
    enum rr_err err = RR_OK;

    for (uint32_t s = 0; s < sim.plan.shards && !err; s++) {
        struct pool_shard at = at_of(s);
        struct pool_state st;

        err = net_pool()->state(net_pool()->impl, &at, &st);
        if (!err && pool_lost(s, sql_books()->escrow[s].rid, &st)) {
            err = recover_arm();
            err = err ? err : RR_RECOVERING;
        }
    }
    return err;
}

static enum rr_err step_open(void)
{
    const struct sql_books *b = sql_books();
    int64_t t0_ms = 0;
    int64_t t1_ms = 0;
    int64_t now_ms = 0;
    enum rr_err err = sql_read();

    if (err || b->status != RAIN_SENT)
        return err;
    rain_times(&t0_ms, &t1_ms);
    err = net_pool()->now_ms(net_pool()->impl, &now_ms);
    if (err || now_ms >= t1_ms)
        return err;
    for (uint32_t s = 0; s < sim.plan.shards && !err; s++) {
        struct pool_shard at = at_of(s);

        sim_pause_point(HIT_starter_paused);
        err = net_pool()->open(net_pool()->impl, &at, t0_ms, t1_ms);
        if (!err && sim_crash_point(HIT_open_unsent))
            err = RR_UNAVAILABLE;
    }
    if (!err)
        err = net_pool()->mark(net_pool()->impl, "notify", sim.code, sim_self->name);
    if (!err) {
        announce(on_push);
        clients_go();
    }
    return err;
}

static enum rr_err task_note(enum sql_task_kind kind, uint32_t ver, enum rr_err result,
                             int64_t next_at_us)
{
    struct sql_books *b = NULL;
    enum rr_err err = sql_begin(&b);

    if (err)
        return err;
    if (b->tasks[kind].ver == ver) {
        b->tasks[kind].done = result == RR_OK;
        b->tasks[kind].next_at_us = next_at_us;
    }
    return sql_commit(HIT_NONE, HIT_NONE);
}

static int64_t backoff_us(uint32_t tries)
{
    int64_t us = 200 * SIM_MS;

    for (uint32_t i = 1; i < tries && us < BACKOFF_MAX_US; i++)
        us *= 2;
    return us < BACKOFF_MAX_US ? us : BACKOFF_MAX_US;
}

static void run_inline(enum sql_task_kind kind, enum rr_err (*step)(void))
{
    uint32_t ver = sql_books()->tasks[kind].ver;
    enum rr_err err = step();

    if (!sim_self->dead && task_note(kind, ver, err, sim.now_us + backoff_us(1)) != RR_OK)
        sim_trace("the lease of a task must run out");
}

static enum rr_err start(void)
{
    struct sql_books *b = NULL;
    int64_t now_ms = 0;
    enum rr_err err = pool_intact();

    if (!err)
        err = net_pool()->now_ms(net_pool()->impl, &now_ms);
    if (!err)
        err = sql_begin(&b);
    if (err)
        return err;
    if (b->status != RAIN_PREPARED) {
        sql_rollback();
        return RR_CONFLICT;
    }
    b->status = RAIN_SENT;
    b->t0_ms = now_ms + sim.plan.countdown_us / 1000;
    b->t1_ms = b->t0_ms + sim.plan.duration_us / 1000;
    sql_task_put(b, TASK_OPEN, sim.now_us + INLINE_LEASE_US);
    sql_task_put(b, TASK_CLOSE, sim.now_us + (b->t1_ms - now_ms) * 1000);
    err = sql_commit(HIT_NONE, HIT_open_unsent);
    if (!err)
        run_inline(TASK_OPEN, step_open);
    return err;
}

/* ---- close ---- */

static enum rr_err close_begin(bool force)
{
    struct sql_books *b = NULL;
    int64_t now_ms = 0;
    bool early = false;
    enum rr_err err = net_pool()->now_ms(net_pool()->impl, &now_ms);

    if (!err)
        err = sql_begin(&b);
    if (err)
        return err;
    early = b->status == RAIN_SENT && now_ms < b->t1_ms;
    if (b->status != RAIN_SENT || (early && !force)) {
        sql_rollback();
        return b->status == RAIN_SENT ? RR_PENDING : RR_DUPLICATE;
    }
    b->status = RAIN_CLOSING;
    if (early)
        b->t1_ms = now_ms;
    sql_task_put(b, TASK_CLOSE, sim.now_us + INLINE_LEASE_US);
    err = sql_commit(HIT_closer_halfway, HIT_closer_halfway);
    if (!err && early)
        announce(on_end_push);
    return err;
}

/* k = max(what the pool granted, highest no of SQL + 1), once. */
static enum rr_err escrow_close(uint32_t shard, const char *rid, uint32_t k)
{
    struct sql_books *b = NULL;
    enum rr_err err = sql_begin(&b);

    if (err)
        return err;
    if (b->escrow[shard].closed) {
        sql_rollback();
        return RR_OK;
    }
    if (strcmp(b->escrow[shard].rid, rid) != 0) {
        sql_rollback();
        return RR_CONFLICT;
    }
    if (sql_next_no(b, shard) > k)
        k = sql_next_no(b, shard);
    b->escrow[shard].closed = true;
    b->escrow[shard].granted_k = k;
    return sql_commit(HIT_closer_halfway, HIT_closer_halfway);
}

static enum rr_err fence(uint32_t shard)
{
    struct pool_shard at = at_of(shard);
    struct pool_state st = {.exists = false};
    char rid[RR_RID_LEN + 1];
    enum rr_err err = RR_OK;

    memcpy(rid, sql_books()->escrow[shard].rid, sizeof(rid));
    err = net_pool()->close(net_pool()->impl, &at, true, &st);
    if (err && err != RR_NOT_FOUND && err != RR_RECOVERING)
        return err;
    if (err || pool_lost(shard, rid, &st)) {
        err = recover_arm();
        return err ? err : RR_RECOVERING;
    }
    if (st.st != 'C')
        return RR_CORRUPT;
    if (sim_crash_point(HIT_closer_halfway))
        return RR_UNAVAILABLE;
    return escrow_close(shard, rid, st.granted);
}

static enum rr_err take_from_escrow(struct sql_books *b, uint32_t shard, int64_t fen)
{
    struct sql_escrow *x = &b->escrow[shard];

    if (x->remain_fen < fen)
        return RR_CORRUPT; /* CHECK (remain >= 0) */
    x->remain_fen -= fen;
    x->refunded_fen += fen;
    b->wallet_fen[0] += fen;
    return RR_OK;
}

static enum rr_err refund(uint32_t shard)
{
    struct sql_books *b = NULL;
    int64_t rest_fen = 0;
    enum rr_err err = sql_begin(&b);

    if (err)
        return err;
    for (uint32_t no = b->escrow[shard].granted_k; no < sim.shard_n[shard]; no++)
        rest_fen += sim.amounts_fen[shard][no];
    if (rest_fen && b->refund_logged[shard])
        sim_hit(HIT_refund_twice);
    if (rest_fen == 0 || (b->refund_logged[shard] && sim.mutation != MUT_refund_biz_id)) {
        sql_rollback();
        return RR_OK;
    }
    b->refund_logged[shard] = true;
    err = take_from_escrow(b, shard, rest_fen);
    if (err) {
        sql_rollback();
        return err;
    }
    return sql_commit(HIT_closer_halfway, HIT_closer_halfway);
}

struct compare {
    uint32_t shard;
    uint32_t k;
    bool seen[SIM_PACKETS];
    struct grant_record missing[SIM_PACKETS];
    uint32_t n;
};

static enum rr_err collect(void *arg, const struct pool_grant *g)
{
    struct compare *c = arg;
    struct grant_record *r = NULL;

    if (g->packet_no >= c->k || c->seen[g->packet_no])
        return RR_OK;
    c->seen[g->packet_no] = true;
    r = &c->missing[c->n++];
    *r = (struct grant_record){.user_id = g->user_id,
                               .amount_fen = g->amount_fen,
                               .seq = g->seq,
                               .packet_no = g->packet_no,
                               .shard = c->shard,
                               .granted_at_ms = 1};
    memcpy(r->code, sim.code, sizeof(r->code));
    memcpy(r->rid, sql_books()->escrow[c->shard].rid, sizeof(r->rid));
    strcpy(r->room_id, "room");
    return RR_OK;
}

static void mark_settled(struct compare *c)
{
    const struct sql_books *b = sql_books();

    for (uint32_t i = 0; i < b->grants_n; i++) {
        if (b->grants[i].shard == c->shard)
            c->seen[b->grants[i].packet_no] = true;
    }
}

static enum rr_err check_state(uint32_t shard)
{
    struct pool_shard at = at_of(shard);
    struct pool_state st;
    enum rr_err err = net_pool()->state(net_pool()->impl, &at, &st);

    if (err)
        return err;
    if (st.st == 'C' && !pool_lost(shard, sql_books()->escrow[shard].rid, &st))
        return RR_OK;
    err = recover_arm();
    return err ? err : RR_RECOVERING;
}

static enum rr_err void_packet(uint32_t shard, uint32_t no)
{
    struct sql_grant g = {.state = SQL_VOID,
                          .shard = shard,
                          .packet_no = no,
                          .amount_fen = sim.amounts_fen[shard][no]};
    struct sql_books *b = NULL;
    enum rr_err err = sql_begin(&b);

    if (err)
        return err;
    err = sql_insert_grant(b, &g);
    if (!err)
        err = take_from_escrow(b, shard, g.amount_fen);
    if (err) {
        sql_rollback();
        return err == RR_DUPLICATE ? RR_OK : err;
    }
    sim_trace("void: packet %u:%u", shard, no);
    b->voids++;
    return sql_commit(HIT_closer_halfway, HIT_closer_halfway);
}

/* Without the users hash a closer can only wait until the log is read, and void what is missing then. */
static enum rr_err wait_for_log(void)
{
    return kafka_in_flight() || !settlers_idle() ? RR_PENDING : RR_OK;
}

static enum rr_err compare(uint32_t shard)
{
    struct compare c = {.shard = shard, .k = sql_books()->escrow[shard].granted_k};
    struct pool_shard at = at_of(shard);
    struct settle_input in = {.direct = c.missing, .part = -1};
    enum rr_err err = sql_read();

    if (sim.mutation == MUT_users_compare)
        err = err ? err : wait_for_log();
    mark_settled(&c);
    if (!err)
        err = check_state(shard);
    if (!err && sim.mutation != MUT_users_compare) {
        err = net_pool()->grants(net_pool()->impl, &at, collect, &c);
        if (!err)
            err = check_state(shard);
        for (uint32_t i = 0; i < c.n && !err; i += 16) {
            in.direct = c.missing + i;
            in.n = c.n - i < 16 ? c.n - i : 16;
            err = sim_settle(&in);
            if (!err && sim_crash_point(HIT_closer_halfway))
                err = RR_UNAVAILABLE;
        }
    }
    if (!err)
        err = sql_read();
    memset(c.seen, 0, sizeof(c.seen));
    mark_settled(&c);
    for (uint32_t no = 0; no < c.k && !err; no++) {
        if (!c.seen[no])
            err = void_packet(shard, no);
    }
    return err;
}

static enum rr_err finish(void)
{
    struct sql_books *b = NULL;
    enum rr_err err = sql_begin(&b);

    if (err)
        return err;
    for (uint32_t s = 0; s < sim.plan.shards; s++) {
        if (b->escrow[s].remain_fen != 0 || !b->escrow[s].closed)
            err = RR_PENDING;
    }
    if (b->conflicts_open || b->dead_open)
        err = RR_PENDING;
    if (err || b->status == RAIN_SETTLED) {
        sql_rollback();
        return err;
    }
    b->status = RAIN_SETTLED;
    sql_task_put(b, TASK_RESULT, sim.now_us);
    return sql_commit(HIT_closer_halfway, HIT_closer_halfway);
}

static enum rr_err step_close(void)
{
    enum rr_err err = sql_read();

    if (!err && sql_books()->status == RAIN_SENT)
        err = close_begin(false);
    if (err == RR_DUPLICATE)
        err = RR_OK;
    if (err || sql_books()->status != RAIN_CLOSING)
        return err;
    for (uint32_t s = 0; s < sim.plan.shards && !err; s++) {
        if (!sql_books()->escrow[s].closed)
            err = fence(s);
    }
    for (uint32_t s = 0; s < sim.plan.shards && !err; s++)
        err = refund(s);
    if (!err && sim_crash_point(HIT_closer_halfway))
        err = RR_UNAVAILABLE;
    for (uint32_t s = 0; s < sim.plan.shards && !err; s++) {
        if (sql_books()->escrow[s].remain_fen != 0)
            err = compare(s);
    }
    return err ? err : finish();
}

enum rr_err rain_close_now(void)
{
    enum rr_err err = close_begin(true);

    if (!err)
        run_inline(TASK_CLOSE, step_close);
    return err;
}

enum rr_err rain_close_begin(void)
{
    return close_begin(true);
}

static enum rr_err step_result(void)
{
    enum rr_err err = sql_read();

    for (uint32_t s = 0; s < sim.plan.shards && !err; s++) {
        struct pool_shard at = at_of(s);

        err = net_pool()->retire(net_pool()->impl, &at);
    }
    return err;
}

/* ---- actors ---- */

static int64_t close_at_ms(void)
{
    return sim.plan.close_early_us && sql_books()->status == RAIN_SENT
               ? sql_books()->t0_ms + sim.plan.close_early_us / 1000
               : INT64_MAX;
}

static enum rr_err anchor_step(void)
{
    enum rr_err err = sql_read();

    if (err)
        return err;
    switch (sql_books()->status) {
    case RAIN_CREATED: return prepare();
    case RAIN_PREPARED: return start();
    case RAIN_SENT: return redis_now_us() / 1000 >= close_at_ms() ? rain_close_now() : RR_PENDING;
    case RAIN_CLOSING:
    case RAIN_SETTLED:
    case RAIN_CANCELLED: return RR_PENDING;
    }
    return create();
}

void anchor_main(struct actor *a)
{
    while (!a->dead)
        sim_sleep(anchor_step() == RR_OK ? 1000 : sim_between(50 * SIM_MS, 200 * SIM_MS));
}

static enum rr_err claim(enum sql_task_kind kind, uint32_t *ver, uint32_t *tries)
{
    struct sql_books *b = NULL;
    struct sql_task *t = NULL;
    enum rr_err err = sql_begin(&b);

    if (err)
        return err;
    t = &b->tasks[kind];
    if (!t->there || t->done || t->next_at_us > sim.now_us) {
        sql_rollback();
        return RR_NOT_FOUND;
    }
    t->next_at_us = sim.now_us + LEASE_US;
    *tries = ++t->tries;
    *ver = t->ver;
    return sql_commit(HIT_NONE, HIT_NONE);
}

void tasks_main(struct actor *a)
{
    static enum rr_err (*const steps[])(void) = {step_open, step_close, step_result, NULL};

    while (!a->dead) {
        sim_sleep(sim_between(80 * SIM_MS, 120 * SIM_MS));
        for (int kind = 0; kind < TASK_KINDS && !a->dead; kind++) {
            const struct sql_task *t = &sql_books()->tasks[kind];
            uint32_t ver = 0;
            uint32_t tries = 0;
            int64_t next_at_us = 0;
            enum rr_err err = RR_OK;

            if (!t->there || t->done || t->next_at_us > sim.now_us ||
                claim((enum sql_task_kind)kind, &ver, &tries) != RR_OK)
                continue;
            err = steps[kind] ? steps[kind]() : step_recover(&next_at_us);
            if (next_at_us == 0)
                next_at_us = sim.now_us + backoff_us(tries);
            if (err && !a->dead)
                sim_trace("step %d: %s", kind, rr_err_name(err));
            if (!a->dead && task_note((enum sql_task_kind)kind, ver, err, next_at_us) != RR_OK)
                sim_trace("the lease of a task must run out");
        }
    }
}
