/* settle_fast.c - the usual batch: everything in it is new. Any sign that it is not rolls back and leaves it to settle_slow.c. */
#include "base/fail.h"
#include "settle_job.h"

enum rr_err settle__fast_tx(struct ledger *l, void *arg)
{
    struct settle_job *job = arg;
    int64_t now_ms = ledger__now_ms();
    enum rr_err err = RR_OK;

    job->take_n = 0;
    for (uint32_t i = 0; i < job->n; i++) {
        job->entries[i].now = job->entries[i].first;
        if (job->entries[i].first.verdict == SETTLE_NEW)
            job->take[job->take_n++] = &job->entries[i];
    }
    err = settle__move_offset(l, job);
    if (!err)
        err = settle__put_aside(l, job, now_ms);
    if (!err)
        err = settle__pay(l, job, now_ms);
    if (!err && !job->direct)
        rr_fail(SETTLE_BEFORE_COMMIT);
    return err;
}
