#include "credits.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

void credits_init(struct credits *q, uint32_t max)
{
    *q = (struct credits){.items = rr_xcalloc(max, sizeof(*q->items)), .max = max};
}

void credits_fini(struct credits *q)
{
    free(q->items);
    *q = (struct credits){.n = 0};
}

uint32_t credits_put(struct credits *q, const struct settle_credit *items, uint32_t n)
{
    uint32_t fits = n < q->max - q->n ? n : q->max - q->n;

    if (fits)
        memcpy(q->items + q->n, items, fits * sizeof(*items));
    q->n += fits;
    return n - fits;
}

uint32_t credits_take(struct credits *q, struct settle_credit *out, uint32_t max)
{
    uint32_t n = q->n < max ? q->n : max;

    if (n == 0)
        return 0;
    memcpy(out, q->items, n * sizeof(*out));
    q->n -= n;
    memmove(q->items, q->items + n, q->n * sizeof(*out));
    return n;
}
