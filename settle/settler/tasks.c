#include "tasks.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fail.h"
#include "base/log.h"
#include "credits.h"
#include "ledger/saga.h"
#include "ledger/settled.h"
#include "store/store_sync.h"
#include "totals.h"

enum { CREDITS_MAX = 65536, CREDITS_SOME = 5000, STEPS_MAX = 16, METRICS_TTL_MS = 10000 };

/* Users' totals wait for the end of a rush: 200 ms without grants, at most 10 s. */
enum {
    TOTALS_MAX = 262144,
    TOTALS_SOME = 2000,
    TOTALS_QUIET_US = 200000,
    TOTALS_MAX_US = 10000000
};

/* Steps that an index hides: every 30 s, at most a hundredth of the time. */
enum { UNINDEXED_US = 30000000, UNINDEXED_SHARE = 100 };

/* X + 1 s: an amount is told at most 2 s after its call was sent (docs/adr/0005). A replica that takes over may have a primary
 * beside it that still answers: until it notices, by min-replicas-max-lag, 10 s unless set otherwise. */
enum { WAIT_MS = 3000, FAILOVER_MS = 10000 };

struct tasks {
    const struct rr_conf *conf;
    struct rr_settler_metrics *metrics;
    const struct risk_cell *rules;
    const _Atomic int64_t *lag_ms;
    char name[65];
    atomic_bool stop;
    pthread_mutex_t mu;
    pthread_cond_t wake;
    struct credits credits;     /* {mu} */
    struct rr_ratelog drop_log; /* {mu} */
    bool have_thread;
    bool have_checker;
    pthread_t thread;
    pthread_t checker;
    struct ledger *ledger;         /* [thread] */
    struct store_sync *store;      /* [thread] */
    struct ledger *check_ledger;   /* [checker] */
    struct rr_ratelog fail_log;    /* [thread] */
    struct saga_recovery recovery; /* [thread] */
    struct saga_fu_ends fu;        /* [thread] */
    struct totals totals;          /* [thread] */
    int64_t unindexed_at_us;       /* [thread] */
};

static void complain(struct tasks *t, const char *what, enum rr_err err)
{
    uint64_t suppressed = 0;

    if (rr_ratelog_pass(&t->fail_log, rr_mono_us(rr_clock_system()), 5000000, &suppressed))
        log_warn("task_failed", "%s: %s (%s), %llu more", what, rr_err_name(err),
                 ledger_error(t->ledger), (unsigned long long)suppressed);
}

/* ---- after COMMIT ---- */

void tasks_credit(struct tasks *t, const struct settle_credit *credits, uint32_t n)
{
    uint64_t suppressed = 0;
    uint32_t dropped = 0;
    bool say = false;

    pthread_mutex_lock(&t->mu);
    dropped = credits_put(&t->credits, credits, n);
    if (dropped)
        say = rr_ratelog_pass(&t->drop_log, rr_mono_us(rr_clock_system()), 5000000, &suppressed);
    pthread_cond_signal(&t->wake);
    pthread_mutex_unlock(&t->mu);
    rr_metric_add(&t->metrics->credits_dropped_total, dropped);
    /* Redis is slow or down: users see their grants in MY_GRANTS, statistics follow the next credit */
    if (say)
        log_warn("credits_dropped", "%u settled grants are not told, the queue is full, %llu more",
                 dropped, (unsigned long long)suppressed);
}

static uint32_t take_credits(struct tasks *t, struct settle_credit *out)
{
    uint32_t n = 0;

    pthread_mutex_lock(&t->mu);
    n = credits_take(&t->credits, out, CREDITS_SOME);
    pthread_mutex_unlock(&t->mu);
    return n;
}

static bool put_some_totals(struct tasks *t)
{
    int64_t user_ids[TOTALS_SOME];
    uint32_t n = totals_peek(&t->totals, user_ids, TOTALS_SOME);
    enum rr_err err = settled_users(t->ledger, store_sync_pool(t->store), user_ids, n);

    if (err) {
        complain(t, "totals of users", err);
        return false;
    }
    totals_drop(&t->totals, n);
    return true;
}

/* False: Redis or MySQL is down; what was taken is not told. */
static bool tell(struct tasks *t, struct settle_credit *scratch)
{
    uint32_t n = 0;

    while ((n = take_credits(t, scratch)) > 0) {
        enum rr_err err = RR_OK;

        rr_fail(SETTLE_BEFORE_TELL);
        while (!totals_add(&t->totals, scratch, n, rr_mono_us(rr_clock_system())))
            if (!put_some_totals(t))
                return false;
        err = settled_push(store_sync_notify(t->store), scratch, n);
        if (!err)
            err = settled_rains(t->ledger, store_sync_pool(t->store), scratch, n);
        if (err) {
            complain(t, "telling settled grants", err);
            return false;
        }
    }
    return true;
}

/* Some at a time: grants that come meanwhile are told first. False: Redis or MySQL is down; later. */
static bool put_due_totals(struct tasks *t)
{
    return !totals_due(&t->totals, rr_mono_us(rr_clock_system()), TOTALS_QUIET_US, TOTALS_MAX_US) ||
           put_some_totals(t);
}

/* ---- steps, metrics ---- */

static void run_steps(struct tasks *t)
{
    struct saga s = {.ledger = t->ledger,
                     .pool = store_sync_pool(t->store),
                     .notify = store_sync_notify(t->store),
                     .owner = t->name,
                     .recovery = &t->recovery,
                     .alarm_tries = t->conf->settler_alarm_tries,
                     .fu = &t->fu};
    uint32_t ran = STEPS_MAX;
    enum rr_err lost = saga_look_for_losses(&s, rr_wall_ms(rr_clock_system()));

    if (lost)
        complain(t, "looking for rains that lost their pool", lost);
    while (ran == STEPS_MAX && !atomic_load(&t->stop)) {
        enum rr_err err = saga_run_due(&s, rr_wall_ms(rr_clock_system()), STEPS_MAX, &ran);

        if (err) {
            complain(t, "claiming steps", err);
            return;
        }
        rr_metric_add(&t->metrics->tasks_run_total, ran);
    }
}

/* Takes as long as the table is big: rarer then. */
static void run_unindexed(struct tasks *t)
{
    struct saga s = {.ledger = t->ledger,
                     .pool = store_sync_pool(t->store),
                     .notify = store_sync_notify(t->store),
                     .owner = t->name,
                     .recovery = &t->recovery,
                     .alarm_tries = t->conf->settler_alarm_tries,
                     .fu = &t->fu};
    int64_t from_us = rr_mono_us(rr_clock_system());
    uint32_t found = 0;
    enum rr_err err = saga_run_unindexed(&s, rr_wall_ms(rr_clock_system()), &found);
    int64_t us = rr_mono_us(rr_clock_system()) - from_us;

    if (err)
        complain(t, "looking for steps the index does not show", err);
    rr_metric_add(&t->metrics->tasks_unindexed_total, found);
    t->unindexed_at_us =
        from_us + (us * UNINDEXED_SHARE > UNINDEXED_US ? us * UNINDEXED_SHARE : UNINDEXED_US);
}

static void count_recoveries(struct tasks *t)
{
    struct saga s = {.ledger = t->ledger};
    int64_t n = 0;

    if (saga_recovering(&s, &n) == RR_OK)
        rr_metric_set(&t->metrics->rains_recovering, n);
    rr_metric_add(&t->metrics->recoveries_full_total, t->recovery.full);
    rr_metric_add(&t->metrics->recoveries_quick_total, t->recovery.quick);
    rr_metric_add(&t->metrics->redis_epoch_changes_total, t->recovery.epoch_changes);
    t->recovery.full = t->recovery.quick = t->recovery.epoch_changes = 0;
    rr_metric_add(&t->metrics->fu_shared_total, t->fu.shared);
    rr_metric_add(&t->metrics->fu_given_back_total, t->fu.given_back);
    rr_metric_add(&t->metrics->fu_failed_total, t->fu.failed);
    t->fu = (struct saga_fu_ends){.shared = 0};
}

static void count_stuck(struct tasks *t)
{
    struct saga s = {.ledger = t->ledger};
    int64_t stuck = 0;

    if (t->conf->settler_alarm_tries == 0)
        return;
    if (saga_stuck(&s, t->conf->settler_alarm_tries, &stuck) == RR_OK)
        rr_metric_set(&t->metrics->tasks_stuck, stuck);
}

static void write_metrics(struct tasks *t)
{
    const struct rain_notify *notify = store_sync_notify(t->store);
    struct rr_buf b = {0};
    enum rr_err err = notify->settle_lag(notify->impl, atomic_load(t->lag_ms));

    count_recoveries(t);
    rr_settler_metrics_prometheus(t->metrics, &b);
    if (!err && !b.failed)
        err = store_sync_kv_set(t->store, t->name, rr_slice_of(b.p, b.len), METRICS_TTL_MS);
    if (!err)
        err = store_sync_kv_name(t->store, t->name, true);
    if (err)
        complain(t, "writing metrics", err);
    rr_buf_fini(&b);
}

/* Sleeps until `ms` passed, credits came or the end. */
static void doze(struct tasks *t, int64_t ms, bool for_credits)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&t->mu);
    while (!atomic_load(&t->stop) && !(for_credits && t->credits.n) &&
           pthread_cond_timedwait(&t->wake, &t->mu, &until) == 0)
        ;
    pthread_mutex_unlock(&t->mu);
}

static void *run_tasks(void *arg)
{
    struct tasks *t = arg;
    struct settle_credit *scratch = rr_xcalloc(CREDITS_SOME, sizeof(*scratch));
    int64_t steps_at_us = 0;
    int64_t metrics_at_us = 0;

    ledger_thread_init();
    while (!atomic_load(&t->stop)) {
        int64_t now_us = rr_mono_us(rr_clock_system());
        bool told = tell(t, scratch) && put_due_totals(t);

        if (now_us >= steps_at_us) {
            run_steps(t);
            if (now_us >= t->unindexed_at_us)
                run_unindexed(t);
            steps_at_us = now_us + t->conf->settler_task_interval_ms * 1000;
        }
        if (now_us >= metrics_at_us) {
            count_stuck(t);
            write_metrics(t);
            metrics_at_us = now_us + 1000000;
        }
        doze(t, t->conf->settler_task_interval_ms, told);
    }
    if (tell(t, scratch)) /* what the last batch committed */
        while (t->totals.n && put_some_totals(t))
            ;
    ledger_thread_fini();
    free(scratch);
    return NULL;
}

/* ---- the checker ---- */

static void on_finding(void *arg, const struct ledger_finding *f)
{
    int64_t *n = arg;

    if ((*n)++ < 20)
        log_error("finding", "%s %s: %s", f->invariant, f->code, f->text);
}

static void *run_checker(void *arg)
{
    struct tasks *t = arg;

    ledger_thread_init();
    while (!atomic_load(&t->stop)) {
        int64_t findings = 0;
        int64_t unaccounted_fen = 0;
        bool mine = false;
        enum rr_err err = RR_OK;

        doze(t, t->conf->settler_verify_interval_s * 1000, false);
        if (atomic_load(&t->stop))
            break;
        err = ledger_check_claim(t->check_ledger, t->name,
                                 t->conf->settler_verify_interval_s * 1000, &mine);
        if (!err && mine)
            err = ledger_verify_quick(t->check_ledger, on_finding, &findings, &unaccounted_fen);
        else if (!err) /* another settler's turn: the same numbers here */
            err = ledger_check_last(t->check_ledger, &findings, &unaccounted_fen);
        if (err == RR_NOT_FOUND)
            continue;
        if (err) {
            log_warn("check_failed", "%s (%s)", rr_err_name(err), ledger_error(t->check_ledger));
            if (mine && ledger_check_give_up(t->check_ledger, t->name) != RR_OK)
                log_info("check_waits", "the next run is after the interval");
            continue;
        }
        rr_metric_set(&t->metrics->findings, findings);
        rr_metric_set(&t->metrics->money_unaccounted_fen, unaccounted_fen);
        if (mine)
            log_info("checked", "%lld findings, %lld fen unaccounted", (long long)findings,
                     (long long)unaccounted_fen);
    }
    ledger_thread_fini();
    return NULL;
}

/* ---- life ---- */

static enum rr_err make_parts(struct tasks *t)
{
    const struct rr_conf *c = t->conf;
    struct ledger_opts lo = ledger_opts_of(c, tasks_ledger_timeout_s(c->mysql_timeout_ms));
    struct store_opts so = {.url = c->redis_url,
                            .topology = store_topology_of(c->redis_topology),
                            .sentinel_master = c->redis_sentinel_master,
                            .namespace_ = c->server_namespace,
                            .worker_name = t->name,
                            .timeout_ms = c->redis_timeout_ms};
    enum rr_err err = RR_OK;

    lo.rules = t->rules;
    err = ledger_create(&t->ledger, &lo);
    if (!err)
        err = ledger_create(&t->check_ledger, &lo);
    if (!err)
        err = store_sync_create(&t->store, &so);
    return err;
}

static struct saga_recovery recovery_of(const struct tasks_opts *o)
{
    bool single = strcmp(o->conf->redis_topology, "single") == 0;
    int64_t wait_ms = o->conf->fence_wait_ms;

    if (wait_ms == 0)
        wait_ms = single ? WAIT_MS : WAIT_MS + FAILOVER_MS;
    return (struct saga_recovery){.log = o->log,
                                  .wait_ms = wait_ms > WAIT_MS ? wait_ms : WAIT_MS,
                                  .single = single,
                                  .close = strcmp(o->conf->fence_policy, "close") == 0};
}

enum rr_err tasks_create(struct tasks **out, const struct tasks_opts *o)
{
    struct tasks *t = rr_xcalloc(1, sizeof(*t));
    pthread_condattr_t attr;
    enum rr_err err = RR_OK;

    *out = NULL;
    t->conf = o->conf;
    t->metrics = o->metrics;
    t->lag_ms = o->lag_ms;
    t->recovery = recovery_of(o);
    t->rules = o->rules;
    strncpy(t->name, o->name, sizeof(t->name) - 1);
    credits_init(&t->credits, CREDITS_MAX);
    totals_init(&t->totals, TOTALS_MAX);
    pthread_mutex_init(&t->mu, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&t->wake, &attr);
    pthread_condattr_destroy(&attr);
    err = make_parts(t);
    if (err)
        goto out;
    t->have_thread = pthread_create(&t->thread, NULL, run_tasks, t) == 0;
    if (t->have_thread && o->conf->settler_verify_interval_s > 0)
        t->have_checker = pthread_create(&t->checker, NULL, run_checker, t) == 0;
    if (!t->have_thread) {
        err = RR_SYSTEM;
        goto out;
    }
    *out = t;
    t = NULL;
out:
    tasks_destroy(t);
    return err;
}

void tasks_destroy(struct tasks *t)
{
    if (!t)
        return;
    pthread_mutex_lock(&t->mu);
    atomic_store(&t->stop, true);
    pthread_cond_broadcast(&t->wake);
    pthread_mutex_unlock(&t->mu);
    if (t->have_thread)
        pthread_join(t->thread, NULL);
    if (t->have_checker)
        pthread_join(t->checker, NULL);
    store_sync_destroy(t->store);
    ledger_destroy(t->ledger);
    ledger_destroy(t->check_ledger);
    pthread_cond_destroy(&t->wake);
    pthread_mutex_destroy(&t->mu);
    credits_fini(&t->credits);
    totals_fini(&t->totals);
    free(t);
}
