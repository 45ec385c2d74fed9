/* task.h - rows of rp_task: steps that must happen, run by whoever is there. Tries have no end.
 * ver: a task that was armed again while it ran is not marked done by the older run. */
#ifndef SETTLE_LEDGER_TASK_H
#define SETTLE_LEDGER_TASK_H

#include "ledger_impl.h"

/* Wall time by the database's clock, the one that all programs share. */
#define DB_NOW_MS "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)"

enum {
    TASK_INLINE_LEASE_MS =
        5000, /* the process that armed a task runs it at once; others wait this long */
    TASK_LEASE_MS = 10000, /* of a claimed task; two runs of one step do no harm */
    TASK_BACKOFF_MAX_MS = 30000
};

struct task {
    int64_t id;
    int64_t arg;
    int64_t ver;
    int64_t tries;
    int64_t next_at_ms; /* of an overdue one */
    char kind[17];
    char code[RR_CODE_LEN + 1];
};

/* Arms the task `kind:code` inside the current transaction, which holds a lock that keeps others from arming the same one. */
RR_MUST_CHECK enum rr_err task_put(struct ledger *l, const char *kind, const char *code,
                                   int64_t arg, int64_t next_at_ms, struct task *out);
/* The task `kind:code` needs not happen any more; inside the current transaction. */
RR_MUST_CHECK enum rr_err task_drop(struct ledger *l, const char *kind, const char *code);
/* Open ones that were tried at least min_tries times. */
RR_MUST_CHECK enum rr_err task_stuck(struct ledger *l, int64_t min_tries, int64_t *n);
RR_MUST_CHECK enum rr_err task_done(struct ledger *l, const struct task *t);
RR_MUST_CHECK enum rr_err task_later(struct ledger *l, const struct task *t, int64_t next_at_ms,
                                     const char *error);
/* Claims due tasks with a lease; n <= max. */
RR_MUST_CHECK enum rr_err task_claim(struct ledger *l, int64_t now_ms, uint32_t max,
                                     struct task *out, uint32_t *n);
int64_t task_backoff_ms(int64_t tries);

/* ---- when the index of due tasks cannot be trusted ----
 * Claims go through the secondary index ix_due. One that lost entries hides tasks for ever, and the rains they belong to. */
enum { TASK_OVERDUE_MS = 30000 }; /* claimed long ago, if any index had shown it */
#define TASK_OVERDUE_SQL                                                                           \
    "SELECT id, arg, ver, tries, kind, code, next_at FROM rp_task IGNORE INDEX (ix_due)"           \
    " WHERE state = 0 AND next_at <= " DB_NOW_MS " + ? ORDER BY id LIMIT ?"

/* Due for longer than that, by the rows themselves: reads the whole table, locks nothing. n <= max. */
RR_MUST_CHECK enum rr_err task_overdue(struct ledger *l, int64_t now_ms, uint32_t max,
                                       struct task *out, uint32_t *n);
/* The index has the entry of an overdue task. False too when the server says that the index is broken. */
RR_MUST_CHECK enum rr_err task_indexed(struct ledger *l, const struct task *t, bool *indexed);
/* Claims this one by its primary key, if it is as it was read. RR_CONFLICT: it is not. */
RR_MUST_CHECK enum rr_err task_claim_one(struct ledger *l, int64_t now_ms, struct task *t);

#endif
