#include "room/out_queue.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

enum rr_err out_queue_push(struct out_queue *q, struct rr_frame *f, size_t cap_bytes,
                           int64_t now_us)
{
    if (q->must_bytes + f->len > cap_bytes)
        return RR_FULL;
    if (q->must_n == q->must_cap) {
        uint32_t cap = q->must_cap ? q->must_cap * 2 : 4;
        struct out_must *ring = rr_xcalloc(cap, sizeof(*ring));

        for (uint32_t i = 0; i < q->must_n; i++)
            ring[i] = q->must[(q->must_head + i) % q->must_cap];
        free(q->must);
        q->must = ring;
        q->must_cap = cap;
        q->must_head = 0;
    }
    q->must[(q->must_head + q->must_n) % q->must_cap] =
        (struct out_must){.frame = rr_frame_ref(f), .since_us = now_us};
    q->must_n++;
    q->must_bytes += f->len;
    return RR_OK;
}

static void latest_remove(struct out_queue *q, uint32_t i)
{
    rr_frame_unref(&q->latest[i].frame);
    q->latest_n--;
    memmove(q->latest + i, q->latest + i + 1, (q->latest_n - i) * sizeof(*q->latest));
}

uint32_t out_queue_push_latest(struct out_queue *q, struct rr_frame *f, uint64_t key,
                               int64_t now_us)
{
    uint32_t dropped = 0;

    if (!q->latest)
        q->latest = rr_xcalloc(OUT_LATEST_MAX, sizeof(*q->latest));
    for (uint32_t i = 0; i < q->latest_n; i++) {
        if (q->latest[i].key == key) {
            rr_frame_unref(&q->latest[i].frame);
            q->latest[i].frame = rr_frame_ref(f);
            q->latest[i].since_us = now_us;
            return 1;
        }
    }
    if (q->latest_n == OUT_LATEST_MAX) {
        latest_remove(q, 0);
        dropped = 1;
    }
    q->latest[q->latest_n++] =
        (struct out_latest){.key = key, .frame = rr_frame_ref(f), .since_us = now_us};
    return dropped;
}

int64_t out_queue_since_us(const struct out_queue *q)
{
    return q->must_n ? q->must[q->must_head].since_us : INT64_MAX;
}

uint32_t out_queue_expire_latest(struct out_queue *q, int64_t before_us)
{
    uint32_t n = 0;

    for (uint32_t i = q->latest_n; i-- > 0;) {
        if (q->latest[i].since_us > before_us)
            continue;
        latest_remove(q, i);
        n++;
    }
    return n;
}

struct rr_frame *out_queue_front(const struct out_queue *q)
{
    if (q->must_n)
        return q->must[q->must_head].frame;
    return q->latest_n ? q->latest[0].frame : NULL;
}

static void pop(struct out_queue *q)
{
    if (q->must_n) {
        q->must_bytes -= q->must[q->must_head].frame->len;
        rr_frame_unref(&q->must[q->must_head].frame);
        q->must_head = (q->must_head + 1) % q->must_cap;
        q->must_n--;
    } else if (q->latest_n) {
        latest_remove(q, 0);
    }
}

/* Memory for what waits is had only while something waits: a crowd that was slow once is as small as before. */
static void release(struct out_queue *q)
{
    free(q->must);
    free(q->latest);
    *q = (struct out_queue){0};
}

void out_queue_pop(struct out_queue *q)
{
    pop(q);
    if (out_queue_empty(q))
        release(q);
}

uint32_t out_queue_clear(struct out_queue *q)
{
    uint32_t n = out_queue_count(q);

    while (!out_queue_empty(q))
        pop(q);
    release(q);
    return n;
}
