/* timers.c - see timers.h. */
#include <stdlib.h>

#include "base/alloc.h"
#include "timers.h"

void timers_init(struct timers *t, uint32_t n)
{
    *t = (struct timers){.n = n};
    t->at_us = rr_xcalloc(n + 1, sizeof(*t->at_us));
    t->heap = rr_xcalloc(n + 1, sizeof(*t->heap));
    t->pos = rr_xcalloc(n + 1, sizeof(*t->pos));
    for (uint32_t i = 0; i < n; i++)
        t->at_us[i] = TIMER_NEVER;
}

void timers_fini(struct timers *t)
{
    free(t->at_us);
    free(t->heap);
    free(t->pos);
    *t = (struct timers){0};
}

static void place(struct timers *t, uint32_t where, uint32_t slot)
{
    t->heap[where] = slot;
    t->pos[slot] = where;
}

static void sift_up(struct timers *t, uint32_t i)
{
    uint32_t slot = t->heap[i];
    while (i > 0) {
        uint32_t parent = (i - 1) / 2;
        if (t->at_us[t->heap[parent]] <= t->at_us[slot])
            break;
        place(t, i, t->heap[parent]);
        i = parent;
    }
    place(t, i, slot);
}

static void sift_down(struct timers *t, uint32_t i)
{
    uint32_t slot = t->heap[i];
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= t->armed)
            break;
        if (child + 1 < t->armed && t->at_us[t->heap[child + 1]] < t->at_us[t->heap[child]])
            child++;
        if (t->at_us[slot] <= t->at_us[t->heap[child]])
            break;
        place(t, i, t->heap[child]);
        i = child;
    }
    place(t, i, slot);
}

static void drop(struct timers *t, uint32_t slot)
{
    uint32_t i = t->pos[slot];
    uint32_t last = t->heap[--t->armed];
    t->at_us[slot] = TIMER_NEVER;
    if (last == slot)
        return;
    place(t, i, last);
    sift_up(t, i);
    sift_down(t, t->pos[last]);
}

void timers_set(struct timers *t, uint32_t slot, int64_t at_us)
{
    int64_t old = t->at_us[slot];
    if (at_us == old)
        return;
    if (at_us == TIMER_NEVER) {
        drop(t, slot);
        return;
    }
    t->at_us[slot] = at_us;
    if (old == TIMER_NEVER)
        place(t, t->armed++, slot);
    if (old == TIMER_NEVER || at_us < old)
        sift_up(t, t->pos[slot]);
    else
        sift_down(t, t->pos[slot]);
}

int64_t timers_next(const struct timers *t)
{
    return t->armed ? t->at_us[t->heap[0]] : TIMER_NEVER;
}

uint32_t timers_pop(struct timers *t, int64_t now_us)
{
    if (!t->armed || t->at_us[t->heap[0]] > now_us)
        return UINT32_MAX;
    uint32_t slot = t->heap[0];
    drop(t, slot);
    return slot;
}
