#include "room/out_queue.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

static struct out_lanes *lanes_of(struct out_queue *q)
{
    if (!q->lanes)
        q->lanes = rr_xcalloc(1, sizeof(*q->lanes));
    return q->lanes;
}

/* Memory for what waits is had only while something waits: a crowd that was slow once is as small as before. */
static void release_empty(struct out_queue *q)
{
    struct out_lanes *l = q->lanes;

    if (!l || l->must_n || l->latest_n)
        return;
    free(l->must);
    free(l->latest);
    free(l);
    q->lanes = NULL;
}

static void must_grow(struct out_lanes *l)
{
    uint32_t cap = l->must_cap ? l->must_cap * 2 : 4;
    struct out_must *ring = rr_xcalloc(cap, sizeof(*ring));

    for (uint32_t i = 0; i < l->must_n; i++)
        ring[i] = l->must[(l->must_head + i) % l->must_cap];
    free(l->must);
    l->must = ring;
    l->must_cap = cap;
    l->must_head = 0;
}

enum rr_err out_queue_push(struct out_queue *q, struct rr_frame *f, size_t cap_bytes,
                           int64_t now_us)
{
    struct out_lanes *l = NULL;

    if (out_queue_bytes(q) + f->len > cap_bytes)
        return RR_FULL;
    l = lanes_of(q);
    if (l->must_n == l->must_cap)
        must_grow(l);
    l->must[(l->must_head + l->must_n) % l->must_cap] =
        (struct out_must){.frame = rr_frame_ref(f), .since_us = now_us};
    l->must_n++;
    l->must_bytes += f->len;
    return RR_OK;
}

static void latest_remove(struct out_lanes *l, uint32_t i)
{
    rr_frame_unref(&l->latest[i].frame);
    l->latest_n--;
    memmove(l->latest + i, l->latest + i + 1, (l->latest_n - i) * sizeof(*l->latest));
}

uint32_t out_queue_push_latest(struct out_queue *q, struct rr_frame *f, uint64_t key,
                               int64_t now_us)
{
    struct out_lanes *l = lanes_of(q);
    uint32_t dropped = 0;

    if (!l->latest)
        l->latest = rr_xcalloc(OUT_LATEST_MAX, sizeof(*l->latest));
    for (uint32_t i = 0; i < l->latest_n; i++) {
        if (l->latest[i].key == key) {
            rr_frame_unref(&l->latest[i].frame);
            l->latest[i].frame = rr_frame_ref(f);
            l->latest[i].since_us = now_us;
            return 1;
        }
    }
    if (l->latest_n == OUT_LATEST_MAX) {
        latest_remove(l, 0);
        dropped = 1;
    }
    l->latest[l->latest_n++] =
        (struct out_latest){.key = key, .frame = rr_frame_ref(f), .since_us = now_us};
    return dropped;
}

int64_t out_queue_since_us(const struct out_queue *q)
{
    const struct out_lanes *l = q->lanes;

    return l && l->must_n ? l->must[l->must_head].since_us : INT64_MAX;
}

uint32_t out_queue_expire_latest(struct out_queue *q, int64_t before_us)
{
    struct out_lanes *l = q->lanes;
    uint32_t n = 0;

    for (uint32_t i = l ? l->latest_n : 0; i-- > 0;) {
        if (l->latest[i].since_us > before_us)
            continue;
        latest_remove(l, i);
        n++;
    }
    release_empty(q);
    return n;
}

struct rr_frame *out_queue_front(const struct out_queue *q)
{
    const struct out_lanes *l = q->lanes;

    if (!l)
        return NULL;
    return l->must_n ? l->must[l->must_head].frame : l->latest[0].frame;
}

static void pop(struct out_lanes *l)
{
    if (l->must_n) {
        l->must_bytes -= l->must[l->must_head].frame->len;
        rr_frame_unref(&l->must[l->must_head].frame);
        l->must_head = (l->must_head + 1) % l->must_cap;
        l->must_n--;
    } else {
        latest_remove(l, 0);
    }
}

void out_queue_pop(struct out_queue *q)
{
    if (q->lanes)
        pop(q->lanes);
    release_empty(q);
}

uint32_t out_queue_clear(struct out_queue *q)
{
    uint32_t n = out_queue_count(q);

    for (uint32_t i = 0; i < n; i++)
        pop(q->lanes);
    release_empty(q);
    return n;
}
