/* hist.c - see hist.h. */
#include "hist.h"

static uint32_t index_of(uint64_t v)
{
    if (v < HIST_SUB)
        return (uint32_t)v;
    int top = 63 - __builtin_clzll(v); /* position of the highest bit, >= HIST_SUB_BITS */
    if (top >= HIST_MAX_BITS)
        return HIST_BUCKETS - 1;
    int shift = top - HIST_SUB_BITS;
    return (uint32_t)((shift + 1) * HIST_SUB) + (uint32_t)(v >> shift) - HIST_SUB;
}

/* Highest value that lands in bucket i. */
static int64_t upper_of(uint32_t i)
{
    if (i < HIST_SUB)
        return i;
    uint32_t shift = i / HIST_SUB - 1;
    uint64_t sub = i % HIST_SUB + HIST_SUB;
    return (int64_t)(((sub + 1) << shift) - 1);
}

void hist_record(struct hist *h, int64_t value)
{
    if (value < 0)
        value = 0;
    if (h->n == 0 || value < h->min)
        h->min = value;
    if (h->n == 0 || value > h->max)
        h->max = value;
    h->n++;
    h->bucket[index_of((uint64_t)value)]++;
}

int64_t hist_permille(const struct hist *h, uint32_t permille)
{
    if (h->n == 0)
        return 0;
    if (permille >= 1000)
        return h->max;
    uint64_t rank = (h->n * permille + 999) / 1000;
    if (rank == 0)
        rank = 1;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < HIST_BUCKETS; i++) {
        seen += h->bucket[i];
        if (seen >= rank)
            return upper_of(i) < h->max ? upper_of(i) : h->max;
    }
    return h->max;
}
