/* tasks.h - what a settler does beside settling, on threads of its own, each with its own MySQL and Redis connection:
 * tells users and statistics after COMMIT, runs due steps of rains, writes metrics and lag, checks the books.
 * Nothing here can hold up a batch: credits go through a bounded queue; what does not fit is not told (users can ask MY_GRANTS), no money hangs on it. */
#ifndef SETTLE_SETTLER_TASKS_H
#define SETTLE_SETTLER_TASKS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/metrics.h"
#include "ledger/saga.h"
#include "ledger/settle_batch.h"

struct tasks;

struct tasks_opts {
    const struct rr_conf *conf;
    const char *name; /* of this process: owner in markers, Redis client name */
    struct rr_settler_metrics *metrics;
    const struct risk_cell *rules; /* of [risk], followed */
    const _Atomic int64_t *lag_ms; /* written by the main thread */
    const struct grant_log *log;   /* used by a thread of its own; lives longer than the tasks */
};

RR_MUST_CHECK enum rr_err tasks_create(struct tasks **out, const struct tasks_opts *o);
/* Copies credits. Main thread. */
void tasks_credit(struct tasks *t, const struct settle_credit *credits, uint32_t n);
/* Tells what is queued, ends the threads. NULL-safe. */
void tasks_destroy(struct tasks *t);

/* A settler waits longer than innodb_lock_wait_timeout (5 s): a held row is to be reported by the server, not by a connection
 * that was cut while its transaction may still be running. */
static inline int tasks_ledger_timeout_s(int64_t mysql_timeout_ms)
{
    int s = (int)((mysql_timeout_ms + 999) / 1000);

    return s > 10 ? s : 10;
}

#endif
