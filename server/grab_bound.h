/* grab_bound.h - how many grabs a worker takes before it has answered the earlier ones: as many as it answers within wait_us at
 * the pace it has shown, and never fewer than least. More get BUSY at once, with the time after which a place is likely to be
 * free; nothing was asked of the pool for them. A grab that may have been granted already has twice the room.
 *
 * The pace is counted in slices of about 100 ms. It is believed when it grows; it shrinks only while grabs were waiting the
 * whole time (few answers to few questions say nothing) and three times too long: a delay that does not come from the number
 * taken must not take the pace down with it. Pure. Thread: the worker's loop. */
#ifndef SERVER_GRAB_BOUND_H
#define SERVER_GRAB_BOUND_H

#include <stdbool.h>
#include <stdint.h>

struct grab_bound {
    int64_t wait_us; /* 0: no bound */
    uint32_t least;
    double per_s; /* the pace */
    uint64_t taken;
    uint64_t last_taken; /* as of the last slice … */
    uint32_t last_waiting;
    int64_t last_us;
    uint32_t low; /* the fewest that were waiting during this slice */
    bool refused; /* since the last slice */
};

/* waiting: how many have no answer yet. True: taken. False: *retry_after_ms. */
bool grab_bound_take(struct grab_bound *b, uint32_t waiting, bool again, int64_t *retry_after_ms);
/* Each 100 ms or so; ends a slice. True: somebody was refused in it. */
bool grab_bound_tick(struct grab_bound *b, uint32_t waiting, int64_t now_us);

#endif
