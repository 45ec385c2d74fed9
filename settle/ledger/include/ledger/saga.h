/* saga.h - the steps of a rain: create, prepare, start, extend, close, cancel, recover. Each is idempotent.
 * What follows a commit (open, end, close, result, cancel) is a row of rp_task and can be resumed by
 * anyone: the server's DB threads run it at once for an anchor, the settler runs what was left; a
 * create or prepare that broke off is simply asked again. Blocking. Straight lines: SQL first where SQL is the
 * guard, then the pool's scripts, then the push. */
#ifndef LEDGER_SAGA_H
#define LEDGER_SAGA_H

#include "ledger/ledger.h"
#include "rain/notify.h"
#include "rain/pool.h"

/* The log of grants (Kafka) as far as a recovery looks at it. */
struct grant_log_end {
    int32_t part;
    int64_t low;
    int64_t high; /* offset of the next record */
};
struct grant_log {
    void *impl;
    const char *topic; /* as in rp_offset */
    /* Both ends of every partition, asked of the brokers now. Blocking. RR_UNAVAILABLE. RR_FULL: more than max. */
    enum rr_err (*ends)(void *impl, struct grant_log_end *out, uint32_t max, uint32_t *n);
};

/* What a process needs that recovers rains, and what it remembers of looking for some. */
struct saga_recovery {
    const struct grant_log *log;
    int64_t
        wait_ms; /* from the fence to the end of what can still be told: X + 1 s, plus the lag of a failover */
    bool single; /* redis.topology */
    bool close;  /* fence.policy */
    struct pool_epochs seen;
    struct rain_cursor walk_at;
    bool walk_over;
    int64_t next_walk_ms;
    uint64_t epoch_changes; /* counted since somebody took them */
    uint64_t full;
    uint64_t quick;
};

/* How campaigns of 集五福 ended, counted since somebody took them. */
struct saga_fu_ends {
    uint64_t shared;
    uint64_t given_back;
    uint64_t failed;
};

struct saga {
    struct ledger *ledger;
    const struct pool_admin *pool;
    const struct rain_notify *notify;
    const char *owner;              /* names this process in locks and markers */
    struct saga_recovery *recovery; /* NULL: recoveries are left to other processes */
    int64_t alarm_tries;     /* a step that failed this often is logged as an error; 0: never */
    struct saga_fu_ends *fu; /* may be NULL */
};

/* Who acts: an anchor in its room (room_id set: another room's rain is RR_NOT_FOUND), or a platform
 * backend (NULL). */
struct saga_actor {
    int64_t user_id; /* 0: backend */
    const char *room_id;
};

/* RR_OK or RR_DUPLICATE (same create again): *out is the rain. Errors of ledger_rain_create;
 * RR_BAD_REQUEST with *field. */
RR_MUST_CHECK enum rr_err saga_create(struct saga *s, struct rain_spec *spec, struct rain_info *out,
                                      const char **field);
/* CREATED -> PREPARED. RR_DUPLICATE: was prepared before (RR_CONFLICT for a rain that is past
 * PREPARED). RR_BUSY: somebody holds the prepare lock. */
RR_MUST_CHECK enum rr_err saga_prepare(struct saga *s, const struct saga_actor *a, const char *code,
                                       struct rain_info *out);
/* PREPARED -> SENT with t0 = rain time + countdown and t1 = t0 + duration (0: the rain's own);
 * commits that (the guard against a second start) with the task to open and the task to close at
 * t1, then opens the shards, sets the notify marker, pushes RED_PACKET_CONFIG. RR_CONFLICT: not
 * prepared, or started before. RR_RECOVERING: Redis was restarted since: a recovery is under way, start
 * again in some seconds. If a step after the commit fails the task goes on: RR_PENDING. */
RR_MUST_CHECK enum rr_err saga_start(struct saga *s, const struct saga_actor *a, const char *code,
                                     int64_t countdown_ms, int64_t duration_ms,
                                     struct rain_info *out);
/* SENT and not over: t1 += add_ms in SQL, in the shards, pushed again. */
RR_MUST_CHECK enum rr_err saga_extend(struct saga *s, const struct saga_actor *a, const char *code,
                                      int64_t add_ms, struct rain_info *out);
/* SENT -> CLOSING, RED_PACKET_END pushed, shards closed (force), what was not granted refunded;
 * goes on to SETTLED when everything granted is in the books, else the task does. RR_OK with
 * out->status CLOSING or SETTLED. */
RR_MUST_CHECK enum rr_err saga_close(struct saga *s, const struct saga_actor *a, const char *code,
                                     bool force, struct rain_info *out);
/* Create, prepare and start in one, by the same steps; idempotent by (sender, biz_id), and its start task goes on with what
 * fails. RR_OK or RR_DUPLICATE: *out as it is now. RR_PENDING: created, starts by itself or comes back at its expiry. */
RR_MUST_CHECK enum rr_err saga_send(struct saga *s, struct rain_spec *spec, struct rain_info *out,
                                    const char **field);
/* CREATED or PREPARED -> CANCELLED, everything refunded, RED_PACKET_CANCEL pushed. In the countdown too: the pool is closed
 * first, and if something was granted after all the rain ends as any other. RR_CONFLICT: it has opened.
 * out->status CANCELLED, or CLOSING when the task goes on. */
RR_MUST_CHECK enum rr_err saga_cancel(struct saga *s, const struct saga_actor *a, const char *code,
                                      struct rain_info *out);

/* Writes a rain's named users to where workers look for them, again if need be. */
RR_MUST_CHECK enum rr_err saga_put_list(struct saga *s, const char *code);

/* Open tasks that failed at least min_tries times. */
RR_MUST_CHECK enum rr_err saga_stuck(struct saga *s, int64_t min_tries, int64_t *n);
/* Claims at most max due tasks (SELECT … FOR UPDATE SKIP LOCKED) and runs each a step; *ran = how
 * many. Failures get next_at with backoff and are tried without end. now_ms: wall clock. */
RR_MUST_CHECK enum rr_err saga_run_due(struct saga *s, int64_t now_ms, uint32_t max, uint32_t *ran);
/* Runs overdue steps that the index of due steps does not show; *found of them: the table must be mended. Reads the whole
 * table: now and then only. */
RR_MUST_CHECK enum rr_err saga_run_unindexed(struct saga *s, int64_t now_ms, uint32_t *found);
/* Looks whether Redis is another one, or was wiped, since the last look, and arms a recovery for every rain that lost its pool.
 * One call to Redis and one statement when nothing happened; a walk over the rains in small pieces after a change, and now
 * and then. Needs s->recovery. */
RR_MUST_CHECK enum rr_err saga_look_for_losses(struct saga *s, int64_t now_ms);
/* Rains whose recovery is under way. */
RR_MUST_CHECK enum rr_err saga_recovering(struct saga *s, int64_t *n);
/* One rain's. *state: "begun", "waits", "drains" or "applies"; NULL: none is under way. since_ms: when the first of those that
 * followed on each other began. */
RR_MUST_CHECK enum rr_err saga_recovery_of(struct saga *s, const char *code, const char **state,
                                           int64_t *since_ms);

#endif
