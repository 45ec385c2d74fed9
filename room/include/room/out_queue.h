/* out_queue.h - what waits for one socket, in two lanes: must-arrive (FIFO, bounded in bytes) and
 * latest-wins (keyed). Holds references to shared frames, never copies, and since when each waits. Zero-initialised is empty;
 * an empty one has no memory. */
#ifndef ROOM_OUT_QUEUE_H
#define ROOM_OUT_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/frame.h"

enum { OUT_LATEST_MAX = 8 };

struct out_must {
    struct rr_frame *frame;
    int64_t since_us;
};

struct out_latest {
    uint64_t key;
    struct rr_frame *frame;
    int64_t since_us; /* of the frame, not of the key */
};

struct out_lanes {
    struct out_must *must; /* ring of must_cap */
    uint32_t must_cap;
    uint32_t must_head;
    uint32_t must_n;
    uint32_t latest_n;
    size_t must_bytes;
    struct out_latest *latest; /* OUT_LATEST_MAX, oldest first; allocated on first use */
};

struct out_queue {
    struct out_lanes *lanes; /* NULL: empty */
};

static inline bool out_queue_empty(const struct out_queue *q)
{
    return !q->lanes;
}
static inline uint32_t out_queue_count(const struct out_queue *q)
{
    return q->lanes ? q->lanes->must_n + q->lanes->latest_n : 0;
}
/* Of the must-arrive lane. */
static inline size_t out_queue_bytes(const struct out_queue *q)
{
    return q->lanes ? q->lanes->must_bytes : 0;
}

/* RR_FULL: cap_bytes would be passed; nothing queued. Takes a reference of its own. */
RR_MUST_CHECK enum rr_err out_queue_push(struct out_queue *q, struct rr_frame *f, size_t cap_bytes,
                                         int64_t now_us);
/* Replaces the frame of the same key, or drops the oldest when full. Returns how many frames were
 * dropped (0 or 1). */
uint32_t out_queue_push_latest(struct out_queue *q, struct rr_frame *f, uint64_t key,
                               int64_t now_us);
/* Since when the oldest must-arrive frame waits; INT64_MAX: none does. */
int64_t out_queue_since_us(const struct out_queue *q);
/* Drops latest-wins frames that wait since before_us or longer; returns how many. */
uint32_t out_queue_expire_latest(struct out_queue *q, int64_t before_us);
/* The frame to send next (borrowed), NULL when empty: must-arrive first. */
struct rr_frame *out_queue_front(const struct out_queue *q);
void out_queue_pop(struct out_queue *q);
/* Drops everything, frees; returns how many frames were in it. */
uint32_t out_queue_clear(struct out_queue *q);

#endif
