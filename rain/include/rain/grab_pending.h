/* grab_pending.h - every grab a client still waits for, from its frame to its final answer.
 * Why: an amount may be told only after the delivery report of a record produced after the script's
 *   reply, the report within X = 2 s of sending the call. Whatever is unknown, failed or late is
 *   settled by running the same (user, seq) again.
 * Guarantees: each entry is answered once (PENDING_TELL) or given up; every operation is O(1);
 *   bounded by cap.
 * Not here: sending, producing, sessions. Pure decisions; monotonic time is handed in.
 * Thread and owner: the worker.
 *
 *   frame  -> grab_pending_open() -> grab_batch_add(tag = id)
 *   done() -> grab_pending_outcome(): TELL the final no, PRODUCE a record with out->opaque, or STAY
 *   report -> grab_pending_report(): TELL the amount, or STAY
 *   timer  -> grab_pending_tick(): tell_pending() once at 300 ms, run_again(), gave_up() at 60 s */
#ifndef RAIN_GRAB_PENDING_H
#define RAIN_GRAB_PENDING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "rain/grab_batch.h"
#include "rain/pool.h"

/* One waiting grab, as callers see it: a copy, or borrowed for the length of a callback. */
struct pending_grab {
    uint64_t id;     /* of the entry: constant until it is answered; never 0 */
    uint64_t opaque; /* of this attempt: goes with the Kafka record, comes back with its report */
    struct pool_shard at;
    struct grab grab;            /* grab.tag is id: ready for grab_batch_add() */
    struct grab_outcome outcome; /* of the latest attempt */
    bool told_pending;           /* PENDING was sent: the final answer is a second REPLY */
};

enum pending_action {
    PENDING_UNKNOWN, /* no such entry, or of an earlier attempt: tell nothing, *out is not written
                      */
    PENDING_STAY,    /* still open; run_again() will follow */
    PENDING_PRODUCE, /* a grant: produce its record with out->opaque, tell nothing yet */
    PENDING_TELL,    /* final: tell out->outcome, the entry is gone */
};

typedef void (*pending_fn)(void *arg, const struct pending_grab *p);

struct grab_pending_opts {
    /* 300 ms without an answer. Once per entry. */
    pending_fn tell_pending;
    /* Call grab_batch_add(p->at, &p->grab); when that is refused, grab_pending_outcome() with
     * RR_UNAVAILABLE. */
    pending_fn run_again;
    /* Dropped after give_up_us; the client asks again by itself. May be NULL. */
    pending_fn gave_up;
    void *arg;
    uint32_t cap;       /* entries; 0 -> 65,536; at most 2^24 */
    int64_t pending_us; /* 0 -> 300,000 */
    int64_t report_us;  /* X; 0 -> 2,000,000 */
    /* How long after X a missing report is still waited for before the grab runs again: until then
     * the record waits in the producer, and another one would only queue up behind it.
     * 0 -> 4,000,000: X and this are the producer's message timeout + 1 s. */
    int64_t late_us;
    int64_t backoff_min_us; /* 0 -> 500,000; doubles while it keeps failing */
    int64_t backoff_max_us; /* 0 -> 2,000,000 */
    int64_t give_up_us;     /* since received_us; 0 -> 60,000,000 */
};

struct grab_pending;

struct grab_pending *grab_pending_create(const struct grab_pending_opts *o);
void grab_pending_destroy(struct grab_pending *t); /* NULL-safe; answers nobody */

bool grab_pending_full(const struct grab_pending *t);
uint32_t grab_pending_count(const struct grab_pending *t);
/* Those nobody was told anything of, not even PENDING. */
uint32_t grab_pending_untold(const struct grab_pending *t);

/* Before the script is asked. again: the frame's flag, or anything else that says an earlier try
 * may have won. Returns the entry's id, to be put into grab.tag; 0: full (the caller answers BUSY).
 */
uint64_t grab_pending_open(struct grab_pending *t, const struct pool_shard *at,
                           const struct grab *g, bool again);
/* The caller refuses the grab after all (the batch was full at the first try). */
void grab_pending_cancel(struct grab_pending *t, uint64_t id);

/* A script's outcome (or RR_UNAVAILABLE: it could not be run).
 *   OK: PRODUCE, a replay too: only a record produced after this reply counts.
 *   PENDING: STAY.
 *   RECOVERING, UNAVAILABLE: the replay check was not reached, so they are no final no: STAY if an
 *     earlier try may have won (again, or an attempt of ours), else TELL.
 *   anything else: TELL.
 * UNKNOWN with a granted outcome: the client was given up; produce the record all the same, or
 * leave it to the sweeper. */
enum pending_action grab_pending_outcome(struct grab_pending *t, uint64_t id,
                                         const struct grab_outcome *o, int64_t now_us,
                                         struct pending_grab *out);

/* Instead of an outcome, when somebody who knows better than the pool (the books) has the final answer: TELL or UNKNOWN. */
enum pending_action grab_pending_final(struct grab_pending *t, uint64_t id,
                                       const struct grab_outcome *o, struct pending_grab *out);

/* Instead of an outcome, when the script said NOT_STARTED a moment before t0: run_again() follows
 * at until_us. STAY or UNKNOWN. */
enum pending_action grab_pending_defer(struct grab_pending *t, uint64_t id, int64_t until_us,
                                       struct pending_grab *out);

/* The delivery report of a record (or ok = false: the producer refused it).
 * TELL iff ok, of the latest attempt, and now_us is within X of outcome.sent_us.
 * Late: STAY, runs again at the next tick. Failed: STAY, runs again after a backoff. */
enum pending_action grab_pending_report(struct grab_pending *t, uint64_t opaque, bool ok,
                                        int64_t now_us, struct pending_grab *out);

/* Runs what is due, at most 1,024 callbacks of a kind; callbacks may call any function here but
 * destroy. */
void grab_pending_tick(struct grab_pending *t, int64_t now_us);
/* Monotonic µs at which tick wants to be called, INT64_MAX: nothing waits. */
int64_t grab_pending_next_us(const struct grab_pending *t);

#endif
