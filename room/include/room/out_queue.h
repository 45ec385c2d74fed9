/* out_queue.h - what waits for one socket, in two lanes: must-arrive (FIFO, bounded in bytes) and
 * latest-wins (keyed). Holds references to shared frames, never copies. Zero-initialised is empty.
 */
#ifndef ROOM_OUT_QUEUE_H
#define ROOM_OUT_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/frame.h"

enum { OUT_LATEST_MAX = 8 };

struct out_latest {
    uint64_t key;
    struct rr_frame *frame;
};

struct out_queue {
    struct rr_frame **must; /* ring of must_cap */
    uint32_t must_cap;
    uint32_t must_head;
    uint32_t must_n;
    size_t must_bytes;
    struct out_latest *latest; /* OUT_LATEST_MAX, oldest first; allocated on first use */
    uint32_t latest_n;
};

static inline bool out_queue_empty(const struct out_queue *q)
{
    return q->must_n == 0 && q->latest_n == 0;
}

/* RR_FULL: cap_bytes would be passed; nothing queued. Takes a reference of its own. */
RR_MUST_CHECK enum rr_err out_queue_push(struct out_queue *q, struct rr_frame *f, size_t cap_bytes);
/* Replaces the frame of the same key, or drops the oldest when full. Returns how many frames were
 * dropped (0 or 1). */
uint32_t out_queue_push_latest(struct out_queue *q, struct rr_frame *f, uint64_t key);
/* The frame to send next (borrowed), NULL when empty: must-arrive first. */
struct rr_frame *out_queue_front(const struct out_queue *q);
void out_queue_pop(struct out_queue *q);
/* Drops everything, frees; returns how many frames were in it. */
uint32_t out_queue_clear(struct out_queue *q);

#endif
