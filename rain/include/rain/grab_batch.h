/* grab_batch.h - collects the grabs of one worker and hands them to the pool together, per (code,
 *   shard).
 * Why: one script call per grab costs a round trip; a batch of hundreds costs one.
 * Guarantees: one call in flight per shard; order within a shard is kept; done() runs exactly once
 *   per grab, unless the batch is destroyed first.
 * Not here: who may grab (room), how Redis is spoken to (store).
 * Flush: when no call is in flight and (max_items wait or the oldest waits 1 ms), and at once after a
 *   reply: what came while the call was in flight has waited for a batch already. The owner sets a
 *   timer to grab_batch_next_us() after every grab_batch_add() and grab_batch_tick(), and calls
 *   grab_batch_tick() from it.
 * Thread: the worker's loop. Owner: the worker creates and destroys it. */
#ifndef RAIN_GRAB_BATCH_H
#define RAIN_GRAB_BATCH_H

#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "rain/pool.h"

struct grab {
    uint64_t session_id; /* an id, not a pointer: a vanished session is normal */
    int64_t user_id;
    int64_t received_us; /* monotonic, when the frame came in */
    uint32_t req_id;     /* the frame's id */
    uint32_t seq;
    uint64_t tag;     /* the owner's, passed through */
    bool replay_only; /* of pool_grab_item */
};

struct grab_outcome {
    enum rr_err rc; /* of pool_grab_result, or UNAVAILABLE (never sent), PENDING (sent, unknown) */
    bool replay;
    uint32_t seq; /* as asked; BAD_SEQ: the next one */
    uint32_t packet_no;
    int64_t amount_fen;
    int64_t sent_us; /* monotonic, when the script call was sent; 0 if never */
};

/* reply: what the script said beside the outcomes; NULL when the call was not sent or its outcome
 * is unknown. All pointers are borrowed. May call grab_batch_add(), even grab_batch_destroy(). */
typedef void (*grab_done_fn)(void *arg, const struct pool_shard *at, const struct grab *g,
                             const struct grab_outcome *o, const struct pool_grab_reply *reply);
/* Once per reply, after all its done(): e.g. nothing more will be produced for reply->outbox_id. */
typedef void (*grab_reply_fn)(void *arg, const struct pool_shard *at,
                              const struct pool_grab_reply *reply);

struct grab_batch_opts {
    const struct rr_clock *clock;
    const struct pool_grab *pool;
    grab_done_fn done;
    grab_reply_fn after; /* may be NULL */
    void *arg;
    uint32_t max_items; /* per call; 0 -> 128 */
    uint32_t queue_max; /* waiting per shard; 0 -> 8192 */
    int64_t window_us;  /* 0 -> 1000 */
};

struct grab_batch;

struct grab_batch *grab_batch_create(const struct grab_batch_opts *o);
/* Calls of the pool still in flight are forgotten safely: their replies find nothing. Waiting grabs
 * get no done(). NULL-safe. */
void grab_batch_destroy(struct grab_batch *b);
/* RR_FULL: the shard's queue is at its cap (the caller answers BUSY). */
RR_MUST_CHECK enum rr_err grab_batch_add(struct grab_batch *b, const struct pool_shard *at,
                                         const struct grab *g);
/* Monotonic µs at which tick wants to be called, INT64_MAX: nothing waits. */
int64_t grab_batch_next_us(const struct grab_batch *b);
void grab_batch_tick(struct grab_batch *b);
/* Forgets the queues of a rain that is over, where they are idle. */
void grab_batch_forget(struct grab_batch *b, const char *code);
/* Grabs not yet handed to the pool, over all shards. */
uint32_t grab_batch_waiting(const struct grab_batch *b);

#endif
