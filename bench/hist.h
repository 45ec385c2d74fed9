/* hist.h - log-linear histogram of latencies: constant memory, relative error below 1 %.
 * Every power of two is cut into 128 equal buckets; values below 128 are exact. Unit of the values
 * is the caller's. Owner: the caller; zero-initialise. */
#ifndef BENCH_HIST_H
#define BENCH_HIST_H

#include <stdint.h>

enum {
    HIST_SUB_BITS = 7,
    HIST_SUB = 1 << HIST_SUB_BITS,
    HIST_MAX_BITS = 40, /* larger values land in the last bucket */
    HIST_BUCKETS = (HIST_MAX_BITS - HIST_SUB_BITS + 1) * HIST_SUB,
};

struct hist {
    uint64_t n;
    int64_t min, max; /* exact; 0 while n is 0 */
    uint64_t bucket[HIST_BUCKETS];
};

/* Negative values count as 0. */
void hist_record(struct hist *h, int64_t value);
/* Value at or below which `permille` thousandths of the values lie, never above max; 0 when empty.
 */
int64_t hist_permille(const struct hist *h, uint32_t permille);

#endif
