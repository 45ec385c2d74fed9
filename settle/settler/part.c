#include "part.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/err.h"

enum { RETRY_MIN_US = 100000, RETRY_MAX_US = 5000000, QUEUE_BATCHES = 16 };

void part_init(struct part *p, int32_t id, int64_t next, uint32_t batch_max,
               void (*release)(void *owner))
{
    *p =
        (struct part){.id = id, .next = next, .cap = QUEUE_BATCHES * batch_max, .release = release};
    p->items = rr_xcalloc(p->cap, sizeof(*p->items));
}

static void drop(struct part *p, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        p->release(p->items[i].owner);
    p->n -= n;
    memmove(p->items, p->items + n, p->n * sizeof(*p->items));
}

void part_fini(struct part *p)
{
    drop(p, p->n);
    free(p->items);
    p->items = NULL;
}

int64_t part_want(const struct part *p)
{
    return p->n ? p->items[p->n - 1].offset + 1 : p->next;
}

void part_push(struct part *p, const struct part_item *item, int64_t now_us)
{
    RR_ASSERT(p->n < p->cap);
    if (p->n == 0)
        p->first_us = now_us;
    p->items[p->n++] = *item;
    p->gap_seeks = 0;
}

enum part_take part_offer(struct part *p, const struct part_item *item, int64_t now_us)
{
    int64_t want = part_want(p);

    if (item->offset < want)
        return PART_OLD;
    if (item->offset > want)
        return PART_GAP;
    part_push(p, item, now_us);
    return PART_TAKEN;
}

bool part_full(const struct part *p)
{
    return p->n == p->cap;
}

bool part_drained(const struct part *p)
{
    return p->n <= p->cap / 2;
}

int64_t part_wait_us(const struct part *p, int64_t now_us, uint32_t batch_max, int64_t wait_us)
{
    int64_t at_us = p->n >= batch_max ? now_us : p->first_us + wait_us;

    if (p->n == 0)
        return INT64_MAX;
    if (p->retry_us > at_us)
        at_us = p->retry_us;
    return at_us > now_us ? at_us - now_us : 0;
}

bool part_due(const struct part *p, int64_t now_us, uint32_t batch_max, int64_t wait_us)
{
    return part_wait_us(p, now_us, batch_max, wait_us) == 0;
}

void part_settled(struct part *p, uint32_t n, int64_t next, int64_t now_us)
{
    RR_ASSERT(n && n <= p->n);
    p->settled_ts = p->items[n - 1].timestamp_ms;
    drop(p, n);
    p->next = next;
    p->first_us = now_us;
    p->retry_us = 0;
    p->tries = 0;
}

bool part_moved(struct part *p, int64_t next)
{
    uint32_t n = 0;

    p->next = next;
    p->retry_us = 0;
    p->tries = 0;
    while (n < p->n && p->items[n].offset < next)
        n++;
    /* Rest of the queue starts at next, or the fetch position after it is already right. */
    if ((n < p->n && p->items[n].offset == next) ||
        (n && n == p->n && p->items[n - 1].offset + 1 == next)) {
        drop(p, n);
        return true;
    }
    drop(p, p->n);
    return false;
}

void part_failed(struct part *p, int64_t now_us)
{
    int64_t pause_us = RETRY_MIN_US;

    for (uint32_t i = 0; i < p->tries && pause_us < RETRY_MAX_US; i++)
        pause_us *= 2;
    p->tries++;
    p->retry_us = now_us + (pause_us < RETRY_MAX_US ? pause_us : RETRY_MAX_US);
}

int64_t part_lag_ms(const struct part *p, int64_t high, int64_t wall_ms)
{
    int64_t oldest_ms = p->n ? p->items[0].timestamp_ms : high > p->next ? p->settled_ts : 0;

    return oldest_ms && wall_ms > oldest_ms ? wall_ms - oldest_ms : 0;
}
