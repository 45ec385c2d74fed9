/* timers.h - when each of n fixed slots wants to wake: a binary heap with one entry per slot.
 * Owner: the crowd. Not here: what happens on waking. */
#ifndef BENCH_TIMERS_H
#define BENCH_TIMERS_H

#include <stdint.h>

#define TIMER_NEVER INT64_MAX

struct timers {
    uint32_t n;     /* slots */
    uint32_t armed; /* entries in the heap */
    int64_t *at_us; /* per slot; TIMER_NEVER when not armed */
    uint32_t *heap; /* slots, earliest first */
    uint32_t *pos;  /* slot -> its place in heap */
};

void timers_init(struct timers *t, uint32_t n);
void timers_fini(struct timers *t);
/* Arms, moves or (TIMER_NEVER) disarms the slot. */
void timers_set(struct timers *t, uint32_t slot, int64_t at_us);
/* Earliest wake-up, TIMER_NEVER when none. */
int64_t timers_next(const struct timers *t);
/* Takes the earliest slot that is due out of the heap; UINT32_MAX when none is. */
uint32_t timers_pop(struct timers *t, int64_t now_us);

#endif
