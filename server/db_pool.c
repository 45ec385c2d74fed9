#include "db_pool.h"

#include "base/alloc.h"
#include "base/log.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct lane {
    struct db_job *first; /* {mu} */
    struct db_job **tail; /* {mu} */
    uint32_t waiting;     /* {mu} */
    uint32_t max;         /* const */
};

struct db_pool {
    const struct rr_conf *conf; /* const */
    struct rr_metrics *metrics;
    struct risk_cell rules; /* of every thread's ledger */
    char owner[64];         /* const */
    pthread_mutex_t mu;
    pthread_cond_t wake;
    struct lane lanes[DB_LANES];
    struct db_job *finished; /* {mu} newest first */
    bool stopping;           /* {mu} */
    uv_async_t async;        /* [loop] */
    pthread_t *threads;
    uint32_t threads_n;
};

struct thread_arg {
    struct db_pool *pool;
    uint32_t no;
};

static enum rr_err ctx_open(struct db_ctx *ctx, const struct db_pool *p, uint32_t no)
{
    struct ledger_opts lo =
        ledger_opts_of(p->conf, (int)((p->conf->mysql_timeout_ms + 999) / 1000));
    struct store_opts so = {.url = p->conf->redis_url,
                            .topology = store_topology_of(p->conf->redis_topology),
                            .sentinel_master = p->conf->redis_sentinel_master,
                            .namespace_ = p->conf->server_namespace,
                            .worker_name = ctx->owner,
                            .timeout_ms = p->conf->redis_timeout_ms};
    enum rr_err err = RR_OK;

    snprintf(ctx->owner, sizeof(ctx->owner), "%.50s-db%u", p->owner, no);
    lo.rules = &p->rules;
    err = ledger_create(&ctx->ledger, &lo);
    if (!err)
        err = store_sync_create(&ctx->store, &so);
    if (err)
        return err;
    ctx->saga = (struct saga){.ledger = ctx->ledger,
                              .pool = store_sync_pool(ctx->store),
                              .notify = store_sync_notify(ctx->store),
                              .owner = ctx->owner};
    return RR_OK;
}

static void ctx_close(struct db_ctx *ctx)
{
    ledger_destroy(ctx->ledger);
    store_sync_destroy(ctx->store);
}

/* Next job: lanes in order. NULL: stopping and nothing left. */
static struct db_job *job_take(struct db_pool *p)
{
    struct db_job *job = NULL;

    pthread_mutex_lock(&p->mu);
    for (;;) {
        for (int i = 0; i < DB_LANES && !job; i++) {
            struct lane *lane = &p->lanes[i];

            job = lane->first;
            if (!job)
                continue;
            lane->first = job->next;
            if (!lane->first)
                lane->tail = &lane->first;
            lane->waiting--;
        }
        if (job || p->stopping)
            break;
        pthread_cond_wait(&p->wake, &p->mu);
    }
    pthread_mutex_unlock(&p->mu);
    return job;
}

static void job_give_back(struct db_pool *p, struct db_job *job)
{
    pthread_mutex_lock(&p->mu);
    job->next = p->finished;
    p->finished = job;
    pthread_mutex_unlock(&p->mu);
    uv_async_send(&p->async);
}

static void *thread_main(void *arg)
{
    struct thread_arg *a = arg;
    struct db_pool *p = a->pool;
    struct db_ctx ctx = {0};
    struct db_job *job = NULL;
    enum rr_err err = RR_OK;

    ledger_thread_init();
    err = ctx_open(&ctx, p, a->no);
    RR_ASSERT(err == RR_OK); /* the configuration was checked before */
    free(a);
    while ((job = job_take(p)) != NULL) {
        uint64_t before = ledger_counters(ctx.ledger).statements;

        job->run(job, &ctx);
        rr_metric_add(job->background ? &p->metrics->db_background_statements_total
                                      : &p->metrics->db_statements_total,
                      ledger_counters(ctx.ledger).statements - before);
        rr_metric_add(&p->metrics->db_jobs_total, 1);
        job_give_back(p, job);
    }
    ctx_close(&ctx);
    ledger_thread_fini();
    return NULL;
}

static void finish_all(struct db_pool *p)
{
    struct db_job *newest = NULL;
    struct db_job *ordered = NULL;
    uint32_t waiting = 0;

    pthread_mutex_lock(&p->mu);
    newest = p->finished;
    p->finished = NULL;
    for (int i = 0; i < DB_LANES; i++)
        waiting += p->lanes[i].waiting;
    pthread_mutex_unlock(&p->mu);
    rr_metric_set(&p->metrics->db_queue, waiting);
    while (newest) {
        struct db_job *next = newest->next;

        newest->next = ordered;
        ordered = newest;
        newest = next;
    }
    while (ordered) {
        struct db_job *next = ordered->next;

        ordered->done(ordered);
        ordered = next;
    }
}

static void on_async(uv_async_t *async)
{
    finish_all(async->data);
}

void db_pool_reload(struct db_pool *p)
{
    struct risk_rules rules;

    risk_rules_read(&rules, p->conf);
    risk_cell_set(&p->rules, &rules);
}

enum rr_err db_pool_create(struct db_pool **out, uv_loop_t *loop, const struct rr_conf *conf,
                           struct rr_metrics *metrics, const char *owner)
{
    struct db_pool *p = rr_xcalloc(1, sizeof(*p));
    struct db_ctx probe = {0};
    enum rr_err err = RR_OK;

    p->conf = conf;
    p->metrics = metrics;
    db_pool_reload(p);
    snprintf(p->owner, sizeof(p->owner), "%s", owner);
    pthread_mutex_init(&p->mu, NULL);
    pthread_cond_init(&p->wake, NULL);
    for (int i = 0; i < DB_LANES; i++)
        p->lanes[i].tail = &p->lanes[i].first;
    p->lanes[DB_LANE_ANCHOR].max = DB_ANCHOR_MAX;
    p->lanes[DB_LANE_VIEWER].max = DB_VIEWER_MAX;
    /* Connects nowhere yet: only the URLs are checked here. */
    err = ctx_open(&probe, p, 99);
    ctx_close(&probe);
    if (err) {
        free(p);
        return err;
    }
    uv_async_init(loop, &p->async, on_async);
    p->async.data = p;
    p->threads_n = (uint32_t)conf->mysql_threads;
    p->threads = rr_xcalloc(p->threads_n, sizeof(*p->threads));
    for (uint32_t i = 0; i < p->threads_n; i++) {
        struct thread_arg *a = rr_xcalloc(1, sizeof(*a));

        a->pool = p;
        a->no = i;
        RR_ASSERT(pthread_create(&p->threads[i], NULL, thread_main, a) == 0);
    }
    *out = p;
    return RR_OK;
}

enum rr_err db_pool_submit(struct db_pool *p, enum db_lane lane_no, struct db_job *job)
{
    struct lane *lane = &p->lanes[lane_no];
    enum rr_err err = RR_BUSY;

    job->next = NULL;
    pthread_mutex_lock(&p->mu);
    if (lane->waiting < lane->max && !p->stopping) {
        *lane->tail = job;
        lane->tail = &job->next;
        lane->waiting++;
        pthread_cond_signal(&p->wake);
        err = RR_OK;
    }
    pthread_mutex_unlock(&p->mu);
    if (err)
        rr_metric_add(&p->metrics->db_jobs_refused_total, 1);
    return err;
}

static void async_closed(uv_handle_t *h)
{
    free(h->data);
}

void db_pool_destroy(struct db_pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->mu);
    p->stopping = true;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->mu);
    for (uint32_t i = 0; i < p->threads_n; i++)
        pthread_join(p->threads[i], NULL);
    finish_all(p);
    free(p->threads);
    pthread_mutex_destroy(&p->mu);
    pthread_cond_destroy(&p->wake);
    uv_close((uv_handle_t *)&p->async, async_closed);
}
