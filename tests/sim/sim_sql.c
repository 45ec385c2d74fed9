/* sim_sql.c - see sim_sql.h. */
#include "sim_sql.h"

#include <string.h>

enum { LOCK_WAIT_US = 5 * SIM_S, WAIT_TIMEOUT_US = 10 * SIM_S };

static struct sql_books committed;
static struct sql_books work;
static bool up;
static uint64_t down_no;
static struct {
    struct actor *owner;
    uint32_t life;
    uint64_t no; /* of the transaction */
    int64_t touched_us;
} lock;
static uint64_t tx_no;

void sql_init(void)
{
    memset(&committed, 0, sizeof(committed));
    committed.wallet_fen[0] = SQL_SENDER_FEN;
    memset(&lock, 0, sizeof(lock));
    up = true;
    down_no = 0;
}

const struct sql_books *sql_books(void)
{
    return &committed;
}

bool sql_up(void)
{
    return up;
}

bool sql_settled(void)
{
    return committed.status == RAIN_SETTLED;
}

void rain_times(int64_t *t0_ms, int64_t *t1_ms)
{
    *t0_ms = committed.t0_ms;
    *t1_ms = committed.t1_ms;
}

uint32_t sql_grant_of(int64_t user_id, uint32_t seq, struct sql_grant *out)
{
    uint32_t rows = 0;

    for (uint32_t i = 0; i < committed.grants_n; i++) {
        const struct sql_grant *g = &committed.grants[i];

        if (g->state != SQL_VOID && g->user_id == user_id && g->seq == seq) {
            *out = *g;
            rows++;
        }
    }
    return rows;
}

uint32_t sql_next_no(const struct sql_books *b, uint32_t shard)
{
    uint32_t next = 0;

    for (uint32_t i = 0; i < b->grants_n; i++) {
        if (b->grants[i].shard == shard && b->grants[i].packet_no + 1 > next)
            next = b->grants[i].packet_no + 1;
    }
    return next;
}

static void on_up(void *arg, uint64_t n)
{
    (void)arg;
    if (n == down_no)
        up = true;
}

/* Whatever was open is rolled back. */
void sql_down(int64_t us)
{
    up = false;
    lock.owner = NULL;
    sim_at(us, on_up, NULL, ++down_no);
}

enum rr_err sql_read(void)
{
    if (sim_self->dead)
        return RR_UNAVAILABLE;
    sim_sleep(sim_between(100, 900));
    return sim_self->dead || !up ? RR_UNAVAILABLE : RR_OK;
}

static bool mine(void)
{
    return lock.owner == sim_self && lock.life == sim_self->lives;
}

enum rr_err sql_begin(struct sql_books **out)
{
    int64_t until_us = sim.now_us + LOCK_WAIT_US;
    enum rr_err err = sql_read();

    while (!err && lock.owner && sim.now_us - lock.touched_us < WAIT_TIMEOUT_US) {
        if (sim.now_us >= until_us)
            return RR_RETRY;
        sim_sleep(sim_between(2 * SIM_MS, 20 * SIM_MS));
        err = sim_self->dead || !up ? RR_UNAVAILABLE : RR_OK;
    }
    if (err)
        return err;
    lock.owner = sim_self;
    lock.life = sim_self->lives;
    lock.no = ++tx_no;
    lock.touched_us = sim.now_us;
    work = committed;
    *out = &work;
    return RR_OK;
}

void sql_rollback(void)
{
    if (mine())
        lock.owner = NULL;
}

enum rr_err sql_stmt(enum sim_hit stall)
{
    uint64_t no = lock.no;

    if (sim_self->dead) {
        sql_rollback();
        return RR_UNAVAILABLE;
    }
    sim_pause_point(stall);
    sim_sleep(sim_between(100, 900));
    if (sim_self->dead || !up || !mine() || lock.no != no ||
        sim.now_us - lock.touched_us >= WAIT_TIMEOUT_US) {
        if (lock.no == no)
            sql_rollback();
        return RR_RETRY;
    }
    lock.touched_us = sim.now_us;
    return RR_OK;
}

enum rr_err sql_commit(enum sim_hit dead_before, enum sim_hit dead_after)
{
    enum rr_err err = sql_stmt(HIT_NONE);

    if (err)
        return err;
    if (sim_crash_point(dead_before)) {
        sql_rollback();
        return RR_UNAVAILABLE;
    }
    committed = work;
    lock.owner = NULL;
    if (sim_crash_point(dead_after))
        return RR_UNAVAILABLE;
    sim_sleep(sim_between(50, 400));
    if (sim_self->dead || sim_fault(HIT_commit_answer_lost))
        return RR_UNAVAILABLE;
    return RR_OK;
}

enum rr_err sql_insert_grant(struct sql_books *b, const struct sql_grant *g)
{
    for (uint32_t i = 0; i < b->grants_n && sim.mutation != MUT_grant_keys; i++) {
        const struct sql_grant *o = &b->grants[i];

        if (o->shard == g->shard && o->packet_no == g->packet_no)
            return RR_DUPLICATE;
        if (o->state != SQL_VOID && g->state != SQL_VOID && o->user_id == g->user_id &&
            o->seq == g->seq)
            return RR_DUPLICATE;
    }
    if (b->grants_n == SQL_GRANTS)
        return RR_CORRUPT;
    b->grants[b->grants_n++] = *g;
    return RR_OK;
}

void sql_task_put(struct sql_books *b, enum sql_task_kind kind, int64_t next_at_us)
{
    struct sql_task *t = &b->tasks[kind];

    *t = (struct sql_task){.there = true, .next_at_us = next_at_us, .ver = t->ver + 1};
}
