/* db_pool.h - the threads that may block: MySQL and synchronous Redis. Each thread has its own
 * connections. A job runs on a thread and comes back to the loop, exactly once. Two lanes: people
 * who run rains first; viewers' reads at most DB_VIEWER_MAX waiting, else RR_BUSY. */
#ifndef SERVER_DB_POOL_H
#define SERVER_DB_POOL_H

#include <uv.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/metrics.h"
#include "ledger/saga.h"
#include "store/store_sync.h"

enum db_lane { DB_LANE_ANCHOR, DB_LANE_VIEWER, DB_LANES };
enum { DB_ANCHOR_MAX = 256, DB_VIEWER_MAX = 64 };

/* What a job may use on its thread. */
struct db_ctx {
    struct ledger *ledger;
    struct store_sync *store;
    struct saga saga;
    char owner[64];
};

struct db_job {
    void (*run)(struct db_job *job, struct db_ctx *ctx); /* [thread] */
    void (*done)(struct db_job *job);                    /* [loop] frees the job */
    struct db_job *next;                                 /* {mu} */
    bool background; /* const; its SQL is counted apart from what people asked for */
};

struct db_pool;

RR_MUST_CHECK enum rr_err db_pool_create(struct db_pool **out, uv_loop_t *loop,
                                         const struct rr_conf *conf, struct rr_metrics *metrics,
                                         const char *owner);
/* RR_BUSY: the lane is full; the job is still the caller's. */
RR_MUST_CHECK enum rr_err db_pool_submit(struct db_pool *p, enum db_lane lane, struct db_job *job);
/* Takes the rules of [risk] from conf once more, for all threads. Loop. */
void db_pool_reload(struct db_pool *p);
/* Runs what is queued to its end, joins the threads, calls every done(); then the loop must run
 * once to close the handle. */
void db_pool_destroy(struct db_pool *p);

#endif
