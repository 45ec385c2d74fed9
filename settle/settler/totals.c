#include "totals.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

void totals_init(struct totals *t, uint32_t max)
{
    *t = (struct totals){.user_ids = rr_xcalloc(max, sizeof(*t->user_ids)), .max = max};
}

void totals_fini(struct totals *t)
{
    free(t->user_ids);
    *t = (struct totals){.n = 0};
}

static int by_id(const void *pa, const void *pb)
{
    const int64_t *a = pa;
    const int64_t *b = pb;

    return (*a > *b) - (*a < *b);
}

static void tidy(struct totals *t)
{
    uint32_t n = 0;

    if (t->distinct == t->n)
        return;
    qsort(t->user_ids, t->n, sizeof(*t->user_ids), by_id);
    for (uint32_t i = 0; i < t->n; i++) {
        if (n == 0 || t->user_ids[n - 1] != t->user_ids[i])
            t->user_ids[n++] = t->user_ids[i];
    }
    t->n = t->distinct = n;
}

bool totals_add(struct totals *t, const struct settle_credit *credits, uint32_t n, int64_t now_us)
{
    if (n > t->max - t->n)
        tidy(t);
    if (n > t->max - t->n)
        return false;
    if (n == 0)
        return true;
    if (t->n == 0)
        t->first_us = now_us;
    t->last_us = now_us;
    for (uint32_t i = 0; i < n; i++)
        t->user_ids[t->n++] = credits[i].user_id;
    return true;
}

bool totals_due(const struct totals *t, int64_t now_us, int64_t quiet_us, int64_t max_us)
{
    return t->n && (now_us - t->last_us >= quiet_us || now_us - t->first_us >= max_us);
}

uint32_t totals_peek(struct totals *t, int64_t *out, uint32_t max)
{
    uint32_t n = 0;

    tidy(t);
    n = t->n < max ? t->n : max;
    if (n)
        memcpy(out, t->user_ids, n * sizeof(*out));
    return n;
}

void totals_drop(struct totals *t, uint32_t n)
{
    t->n -= n;
    t->distinct = t->n;
    memmove(t->user_ids, t->user_ids + n, t->n * sizeof(*t->user_ids));
}
