/* saga_task.c - runs steps: at once by who armed them, later by whoever claims them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "saga_impl.h"

enum { CLAIM_MAX = 32 };

static const struct {
    const char *kind;
    enum rr_err (*run)(struct saga *s, const struct task *t, int64_t *next_at_ms);
} steps[] = {
    {"open", saga__step_open},       {"close", saga__step_close},   {"end", saga__step_end},
    {"result", saga__step_result},   {"cancel", saga__step_cancel}, {"park", saga__step_park},
    {"recover", saga__step_recover}, {"start", saga__step_start},   {"expire", saga__step_expire},
    {"invite", saga__step_invite},   {"report", saga__step_report}, {"tell", saga__step_tell},
    {"fu", saga__step_fu},
};

enum rr_err saga__step(struct saga *s, const struct task *t, int64_t *next_at_ms)
{
    for (size_t i = 0; i < RR_COUNTOF(steps); i++) {
        if (strcmp(steps[i].kind, t->kind) == 0)
            return steps[i].run(s, t, next_at_ms);
    }
    return RR_CORRUPT; /* armed by a newer program: it stays for that one */
}

/* *err stays what the step said; a failure to note it only means that the lease must run out. */
static void note(struct saga *s, const struct task *t, enum rr_err err, int64_t next_at_ms)
{
    char text[200];
    enum rr_err rc = RR_OK;

    if (!err) {
        rc = task_done(s->ledger, t);
    } else {
        const char *detail = ledger_error(s->ledger);

        if (next_at_ms == 0)
            next_at_ms = ledger__now_ms() + task_backoff_ms(t->tries);
        snprintf(text, sizeof(text), "%s %.150s", rr_err_name(err),
                 err == RR_PENDING ? "" : detail);
        if (s->alarm_tries && t->tries >= s->alarm_tries)
            log_error("task_stuck", "%s of %s, try %lld: %s", t->kind, t->code, (long long)t->tries,
                      text);
        else if (err != RR_PENDING && t->tries > 2)
            log_warn("step_failed", "%s of %s, try %lld: %s", t->kind, t->code, (long long)t->tries,
                     text);
        rc = task_later(s->ledger, t, next_at_ms, text);
    }
    if (rc)
        log_warn("task_not_noted", "%s of %s: %s", t->kind, t->code, ledger_error(s->ledger));
}

enum rr_err saga__run_inline(struct saga *s, const struct task *t)
{
    int64_t next_at_ms = 0;
    enum rr_err err = saga__step(s, t, &next_at_ms);

    note(s, t, err, next_at_ms);
    return err ? RR_PENDING : RR_OK;
}

enum rr_err saga_run_due(struct saga *s, int64_t now_ms, uint32_t max, uint32_t *ran)
{
    struct task tasks[CLAIM_MAX];
    uint32_t n = 0;
    enum rr_err err = task_claim(s->ledger, now_ms, max < CLAIM_MAX ? max : CLAIM_MAX, tasks, &n);

    *ran = 0;
    for (uint32_t i = 0; !err && i < n; i++) {
        int64_t next_at_ms = 0;
        enum rr_err rc = saga__step(s, &tasks[i], &next_at_ms);

        note(s, &tasks[i], rc, next_at_ms);
        (*ran)++;
    }
    return err;
}

static void run_unindexed(struct saga *s, int64_t now_ms, struct task *t, uint32_t *found)
{
    int64_t next_at_ms = 0;
    enum rr_err err = task_claim_one(s->ledger, now_ms, t);

    if (err == RR_CONFLICT) /* somebody else had it after all */
        return;
    ++*found;
    log_error("index_corrupt",
              "rp_task.ix_due has no entry of task %lld, %s of %s, which is overdue: run redrainctl"
              " doctor; ALTER TABLE rp_task FORCE makes the index anew",
              (long long)t->id, t->kind, t->code);
    if (!err)
        err = saga__step(s, t, &next_at_ms);
    note(s, t, err, next_at_ms);
}

enum rr_err saga_run_unindexed(struct saga *s, int64_t now_ms, uint32_t *found)
{
    struct task tasks[CLAIM_MAX];
    uint32_t n = 0;
    enum rr_err err = task_overdue(s->ledger, now_ms, CLAIM_MAX, tasks, &n);

    *found = 0;
    for (uint32_t i = 0; !err && i < n; i++) {
        bool indexed = false;

        err = task_indexed(s->ledger, &tasks[i], &indexed);
        if (!err && !indexed)
            run_unindexed(s, now_ms, &tasks[i], found);
    }
    return err;
}

enum rr_err saga_stuck(struct saga *s, int64_t min_tries, int64_t *n)
{
    return task_stuck(s->ledger, min_tries, n);
}
