/* sim_world.c - one seed: what it is made of, what goes wrong in it, and what must be true at its end. */
#include <stdio.h>
#include <string.h>

#include "sim.h"
#include "sim_redis.h"
#include "sim_sql.h"

enum { TICK_US = 100 * SIM_MS, LATEST_CLOSE_US = 15 * SIM_S, QUIET_US = 200 * SIM_S };

bool sim_gaps;

/* ---- the plan ----
 * Each fault is in some seeds only (`seeds`), there with `chance` at each crossing or per virtual second: a seed with
 * few kinds of faults reaches states that a seed with all of them never does. */
static const struct {
    double seeds;
    double chance;
} mix[HIT_COUNT] = {
    [HIT_create_commit] = {0.25, 0.5},
    [HIT_prepare_halfway] = {0.25, 0.4},
    [HIT_open_unsent] = {0.25, 0.5},
    [HIT_script_server_dead] = {0.4, 0.18},
    [HIT_produced_no_report] = {0.4, 0.12},
    [HIT_report_no_reply] = {0.4, 0.15},
    [HIT_replied_no_xdel] = {0.4, 0.15},
    [HIT_reply_lost] = {0.4, 0.04},
    [HIT_kafka_down] = {0.3, 0.12},
    [HIT_queue_full] = {0.4, 0.15},
    [HIT_producer_fatal] = {0.4, 0.12},
    [HIT_report_late] = {0.4, 0.15},
    [HIT_kafka_duplicate] = {0.4, 0.2},
    [HIT_kafka_lost] = {0.6, 0.4},
    [HIT_settler_before_commit] = {0.35, 0.2},
    [HIT_settler_after_commit] = {0.35, 0.2},
    [HIT_commit_answer_lost] = {0.4, 0.08},
    [HIT_settler_zombie] = {0.4, 0.12},
    [HIT_mysql_down] = {0.3, 0.12},
    [HIT_closer_halfway] = {0.7, 0.15},
    [HIT_redis_restarted] = {0.5, 0.04},
    [HIT_redis_wiped] = {0.5, 0.03},
    [HIT_redis_rolled_back] = {0.6, 0.05},
    [HIT_recoverer_paused] = {0.7, 0.3},
    [HIT_starter_paused] = {0.35, 0.5},
    [HIT_worker_paused] = {0.35, 0.15},
    [HIT_sweeper_dead] = {0.6, 0.6},
    [HIT_call_delayed] = {0.4, 0.06},
};

/* ---- themes ----
 * What each rule guards against needs several faults at the right moments. A third of the seeds make one such moment likely;
 * a run without a rule has all its seeds in that rule's theme. */

static void theme_draw(struct sim_plan *p)
{
    bool all = sim_chance(0.33);
    enum sim_mutation any = (enum sim_mutation)(1 + sim_rand(MUT_COUNT - 1));

    p->theme = sim.mutation ? sim.mutation : all ? any : MUT_none;
    switch (p->theme) {
    case MUT_run_id_check:
    case MUT_recovery_wait:
    case MUT_record_rid:
    case MUT_replay_report:
    case MUT_recovery_guard: p->redis_losses = true; break;
    case MUT_users_compare: break;
    default: p->redis_losses = sim_chance(0.55); break;
    }
    p->slow = sim_chance(0.4) ? 0.4 : 0.05;
}

static void long_rain(struct sim_plan *p)
{
    p->duration_us = sim_between(15 * SIM_S, 30 * SIM_S);
    p->close_early_us = 0;
    p->late = 0.8;
    p->fence_close = false;
    p->users = SIM_USERS / 2 + (uint32_t)sim_rand(SIM_USERS / 2 + 1);
    p->limit = 2 + (uint32_t)sim_rand(SIM_LIMIT - 1);
}

static void theme_apply(struct sim_plan *p)
{
    switch (p->theme) {
    case MUT_run_id_check:
        long_rain(p);
        p->p[HIT_redis_rolled_back] = 0.1;
        break;
    case MUT_recovery_wait:
        p->p[HIT_redis_rolled_back] = p->p[HIT_redis_wiped] = 0.1;
        p->slow = 0.6;
        break;
    case MUT_record_rid:
        long_rain(p);
        p->p[HIT_redis_rolled_back] = 0.03;
        p->p[HIT_redis_wiped] = 0.03;
        p->p[HIT_worker_paused] = 0.3;
        p->slow = 0.5;
        break;
    case MUT_replay_report:
        p->p[HIT_redis_wiped] = 0.1;
        p->p[HIT_reply_lost] = 0.2;
        p->p[HIT_script_server_dead] = 0.2;
        p->p[HIT_queue_full] = 0.2;
        break;
    case MUT_ended_first:
    case MUT_memory_no:
        p->duration_us = sim_between(SIM_S, 4 * SIM_S);
        p->p[HIT_reply_lost] = 0.15;
        break;
    case MUT_grant_keys: p->p[HIT_kafka_duplicate] = 0.3; break;
    case MUT_open_guard:
        p->shards = 2 + (uint32_t)sim_rand(SIM_SHARDS - 1);
        long_rain(p);
        p->close_early_us = sim_between(4 * SIM_S, 10 * SIM_S);
        p->p[HIT_starter_paused] = 0.6;
        p->p[HIT_reply_lost] = 0.2;
        break;
    case MUT_recovery_guard:
        long_rain(p);
        p->p[HIT_recoverer_paused] = 0.4;
        p->p[HIT_redis_wiped] = 0.04;
        p->p[HIT_redis_rolled_back] = 0.02;
        p->p[HIT_kafka_down] = p->p[HIT_mysql_down] = p->p[HIT_starter_paused] = 0;
        p->duration_us = sim_between(30 * SIM_S, 40 * SIM_S);
        break;
    case MUT_refund_biz_id: p->p[HIT_closer_halfway] = 0.2; break;
    case MUT_users_compare:
        p->p[HIT_kafka_lost] = 1;
        p->duration_us = sim_between(SIM_S, 4 * SIM_S);
        break;
    case MUT_none:
    case MUT_COUNT: break;
    }
}

void plan_draw(struct sim_plan *p)
{
    *p = (struct sim_plan){.shards = 1 + (uint32_t)sim_rand(SIM_SHARDS),
                           .users = 2 + (uint32_t)sim_rand(SIM_USERS - 1),
                           .limit = 1 + (uint32_t)sim_rand(SIM_LIMIT),
                           .countdown_us = sim_between(200 * SIM_MS, 1500 * SIM_MS),
                           .duration_us = sim_chance(0.6) ? sim_between(2 * SIM_S, 12 * SIM_S)
                                                          : sim_between(12 * SIM_S, 30 * SIM_S),
                           .outbox_max = sim_chance(0.2) ? 3 : 1000};
    p->packets = p->shards +
                 (uint32_t)sim_rand((sim_chance(0.5) ? SIM_PACKETS / 4 : SIM_PACKETS) - p->shards);
    p->total_fen = (int64_t)p->packets * sim_between(1, 200);
    if (sim_chance(0.4))
        p->close_early_us = sim_between(0, p->duration_us);
    for (int i = 0; i < HIT_COUNT; i++)
        p->p[i] = sim_chance(mix[i].seeds) ? mix[i].chance : 0;
    /* Outside the guarantee: Kafka loses what it acknowledged and Redis loses the users hash of the same rain. */
    theme_draw(p);
    if (p->redis_losses) {
        p->p[HIT_kafka_lost] = 0;
    } else {
        p->p[HIT_redis_wiped] = p->p[HIT_redis_rolled_back] = 0;
        p->quick = true; /* single, AOF, always: then a restart keeps everything */
    }
    if (p->redis_losses && sim_chance(0.6)) { /* time enough to go on after a recovery */
        p->duration_us = sim_between(12 * SIM_S, 30 * SIM_S);
        p->close_early_us = 0;
    }
    p->late = p->duration_us > 12 * SIM_S ? 0.8 : 0.4;
    p->fence_close = p->redis_losses && sim_chance(0.15);
    theme_apply(p);
    p->chaos_end_us = p->countdown_us + p->duration_us + sim_between(-2 * SIM_S, SIM_S);
}

static void rain_draw(void)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    int64_t amounts_fen[SIM_PACKETS];

    for (int i = 0; i < RR_CODE_LEN; i++)
        sim.code[i] = digits[sim_rand(64)];
    sim.split = (struct split_spec){.total_fen = sim.plan.total_fen,
                                    .lo_fen = 1,
                                    .hi_fen = sim.plan.total_fen,
                                    .count = sim.plan.packets,
                                    .version = RAIN_SPLIT_VERSION,
                                    .split = (enum rain_split)(1 + sim_rand(3))};
    for (int i = 0; i < RAIN_SEED_BYTES; i++)
        sim.split.seed[i] = (uint8_t)sim_rand(256);
    memcpy(sim.split.code, sim.code, sizeof(sim.code));
    RR_ASSERT(rain_split(&sim.split, amounts_fen) == RR_OK);
    for (uint32_t s = 0; s < sim.plan.shards; s++) {
        sim.shard_n[s] = rain_shard_count(sim.plan.packets, sim.plan.shards, s);
        rain_shard_amounts(amounts_fen, sim.plan.packets, sim.plan.shards, s, sim.amounts_fen[s]);
    }
}

/* ---- faults that come by themselves ---- */

static bool per_second(enum sim_hit hit)
{
    return sim_chance(sim.plan.p[hit] * TICK_US / SIM_S);
}

static void redis_dies(enum sim_hit how)
{
    int64_t down_us = sim_chance(0.6) ? sim_between(SIM_MS, 100 * SIM_MS)
                                      : sim_between(100 * SIM_MS, 2500 * SIM_MS);
    struct rdb *data = NULL;

    if (!redis_up())
        return;
    if (how == HIT_redis_restarted)
        data = rdb_copy(redis_db());
    if (how == HIT_redis_rolled_back) {
        data = redis_snapshot(sim_between(0, sim_chance(0.7) ? 400 * SIM_MS : 3 * SIM_S));
        if (!data)
            return;
    }
    sim_hit(how);
    redis_crash(data, down_us);
}

static const enum sim_hit deaths[] = {HIT_redis_restarted, HIT_redis_wiped, HIT_redis_rolled_back};

static void on_death(void *arg, uint64_t how)
{
    (void)arg;
    if (sim.chaos)
        redis_dies((enum sim_hit)how);
}

/* Redis likes to die under load: right after a script that granted. */
void redis_granted(void)
{
    for (size_t i = 0; i < 3; i++) {
        if (sim.chaos && sim_chance(sim.plan.p[deaths[i]]))
            sim_at(sim_between(0, sim_chance(0.5) ? 2 * SIM_MS : 800 * SIM_MS), on_death, NULL,
                   deaths[i]);
    }
}

static void redis_faults(void)
{
    for (size_t i = 0; i < 3; i++) {
        if (per_second(deaths[i]))
            redis_dies(deaths[i]);
    }
}

static void on_fault_tick(void *arg, uint64_t n)
{
    (void)arg;
    (void)n;
    if (!sim.chaos)
        return;
    redis_faults();
    if (kafka_up() && per_second(HIT_kafka_down)) {
        sim_hit(HIT_kafka_down);
        kafka_down(sim_between(100 * SIM_MS, 9 * SIM_S));
    }
    if (per_second(HIT_kafka_lost))
        kafka_lose();
    if (sql_up() && per_second(HIT_mysql_down)) {
        sim_hit(HIT_mysql_down);
        sql_down(sim_between(50 * SIM_MS, 5 * SIM_S));
    }
    if (per_second(HIT_worker_paused)) {
        sim_hit(HIT_worker_paused);
        server_pause((int)sim_rand(SIM_SERVERS), sim_between(100 * SIM_MS, 8 * SIM_S));
    }
    if (sim_chance(0.03))
        settlers_rebalance();
    sim_at(TICK_US, on_fault_tick, NULL, 0);
}

/* Everything is healed: nothing new goes wrong, what is down comes back by itself. */
static void on_heal(void *arg, uint64_t n)
{
    (void)arg;
    /* Faults go on into the close, whenever it comes. */
    if (n == 0 && sql_books()->status != RAIN_CLOSING && !sql_settled() &&
        sim.now_us < sim.plan.chaos_end_us + LATEST_CLOSE_US) {
        sim_at(TICK_US, on_heal, NULL, 0);
        return;
    }
    if (n == 0) {
        sim_at(sim_between(0, 14 * SIM_S), on_heal, NULL, 1);
        return;
    }
    sim.chaos = false;
    redis_snapshots(false);
    sim_trace("healed");
}

/* ---- the end ---- */

static bool quiet(void)
{
    return !sim.chaos && sql_settled() && clients_done() && settlers_idle() && servers_idle() &&
           kafka_in_flight() == 0 && redis_up() && kafka_up() && sql_up();
}

/* MONEY section 6, against the viewers' own account of what they were told. */
void oracle_check(void)
{
    const struct sql_books *b = sql_books();
    int64_t wallets_fen = 0;
    int64_t won_fen[SIM_USERS + 1] = {0};
    int64_t back_fen = 0;

    for (int i = 0; i < SIM_PARTS; i++)
        sim_trace("partition %d: low %lld, settled to %lld, high %lld", i, (long long)kafka_low(i),
                  (long long)b->offset[i], (long long)kafka_high(i));
    clients_check();
    if (b->status != RAIN_SETTLED)
        sim_violation("stuck: status %s, %u conflicts (%s), %u dead", rain_status_name(b->status),
                      b->conflicts_open, b->last_conflict, b->dead_open);
    for (uint32_t s = 0; s < sim.plan.shards; s++) {
        const struct sql_escrow *x = &b->escrow[s];

        if (x->total_fen != x->remain_fen + x->settled_fen + x->refunded_fen || x->remain_fen < 0)
            sim_violation("escrow of shard %u does not add up", s);
        if (b->status == RAIN_SETTLED && x->remain_fen != 0)
            sim_violation("SETTLED with %lld fen left", (long long)x->remain_fen);
        back_fen += x->refunded_fen;
    }
    for (uint32_t i = 0; i < b->grants_n; i++) {
        const struct sql_grant *g = &b->grants[i];

        if (g->packet_no >= sim.shard_n[g->shard] ||
            g->amount_fen != sim.amounts_fen[g->shard][g->packet_no])
            sim_violation("invented: packet %u:%u", g->shard, g->packet_no);
        if (b->escrow[g->shard].closed && g->packet_no >= b->escrow[g->shard].granted_k)
            sim_violation("packet %u:%u is paid and refunded", g->shard, g->packet_no);
        if (g->state != SQL_VOID && g->seq >= sim.plan.limit)
            sim_violation("user %lld has seq %u over the limit", (long long)g->user_id, g->seq);
        for (uint32_t k = 0; k < i; k++) {
            if (b->grants[k].shard == g->shard && b->grants[k].packet_no == g->packet_no)
                sim_violation("doubled: packet %u:%u is paid twice", g->shard, g->packet_no);
        }
        if (g->state != SQL_VOID)
            won_fen[g->user_id] += g->amount_fen;
    }
    for (int u = 0; u <= SIM_USERS; u++) {
        wallets_fen += b->wallet_fen[u];
        if (u && b->wallet_fen[u] != won_fen[u])
            sim_violation("wallet of user %d: %lld, won %lld", u, (long long)b->wallet_fen[u],
                          (long long)won_fen[u]);
    }
    if (b->status == RAIN_SETTLED && wallets_fen != SQL_SENDER_FEN)
        sim_violation("unaccounted: %lld fen", (long long)(SQL_SENDER_FEN - wallets_fen));
    if (b->status == RAIN_SETTLED &&
        b->wallet_fen[0] != SQL_SENDER_FEN - sim.plan.total_fen + back_fen)
        sim_violation("the sender's wallet is off");
    if (b->voids && !sim.fenced)
        sim_violation("%u void packets in a rain that was never fenced", b->voids);
    if (b->conflicts_open)
        sim_violation("conflict: %s", b->last_conflict);
}

void sim_seed(uint64_t seed, enum sim_mutation mutation, bool trace)
{
    static const char *const names[][2] = {{"tasks0", "tasks1"},
                                           {"settler0", "settler1"},
                                           {"sweeper0", "sweeper1"},
                                           {"look0", "look1"}};
    static void (*const mains[])(struct actor *) = {tasks_main, settler_main, sweeper_main,
                                                    look_main};

    sim.trace = trace;
    sim.mutation = mutation;
    sim_core_begin(seed);
    plan_draw(&sim.plan);
    rain_draw();
    sim.chaos = true;
    kafka_init();
    sql_init();
    net_init();
    redis_snapshots(sim.plan.p[HIT_redis_rolled_back] > 0);
    settlers_init();
    servers_init();
    clients_init();
    actor_start("anchor", 0, anchor_main);
    for (int k = 0; k < 4; k++) {
        for (int i = 0; i < 2; i++)
            actor_start(names[k][i], i, mains[k]);
    }
    sim_at(TICK_US, on_fault_tick, NULL, 0);
    sim_at(sim.plan.chaos_end_us, on_heal, NULL, 0);
    sim_run(sim.plan.chaos_end_us + QUIET_US, quiet);
    /* What is late comes now: it must change nothing. */
    clients_stop();
    sim_run(sim.now_us + 8 * SIM_S, NULL);
    oracle_check();
    servers_fini();
    actors_reset();
}
