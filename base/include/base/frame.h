/* frame.h - encoded once, sent many times: immutable bytes behind a reference count, with headroom
 * in front for the transport's framing. The headroom is a number handed in, so nothing here knows
 * the transport. Thread: one loop; the count is not atomic. */
#ifndef BASE_FRAME_H
#define BASE_FRAME_H

#include <stddef.h>
#include <stdint.h>

struct rr_frame {
    uint32_t refs;
    uint32_t len;      /* payload bytes */
    uint32_t headroom; /* bytes before the payload */
    uint8_t data[];    /* headroom + payload */
};

/* One reference, payload copied from p. Aborts on OOM (len is capped by the caller's limits). */
struct rr_frame *rr_frame_create(const void *p, size_t len, size_t headroom);
static inline uint8_t *rr_frame_payload(struct rr_frame *f)
{
    return f->data + f->headroom;
}
struct rr_frame *rr_frame_ref(struct rr_frame *f);
/* Drops one reference, frees at zero, sets *f to NULL. NULL-safe. */
void rr_frame_unref(struct rr_frame **f);

#endif
