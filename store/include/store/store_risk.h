/* store_risk.h - counts of risk control that all workers share. Told, not asked: one script call per
 * rule and window, never on a grab's way. Losing them loses a count, never money: keys have a TTL.
 * Thread: the loop's. */
#ifndef STORE_STORE_RISK_H
#define STORE_STORE_RISK_H

#include "store/store_async.h"

enum { STORE_RISK_MAX = 256, STORE_RISK_USERS_MAX = 4096 };

struct store_risk_count {
    uint64_t id;
    uint32_t delta;
};

/* totals: one per count, same order, borrowed; NULL on errors. RR_UNAVAILABLE: nothing was added;
 * RR_PENDING: not known. Called exactly once. */
typedef void (*store_risk_fn)(void *arg, enum rr_err err, const int64_t *totals, uint32_t n);

/* name: a constant, [a-z_]. n <= STORE_RISK_MAX. ttl_ms: from now on. */
void store_async_risk_counts(struct store_async *s, const char *name, int64_t window,
                             int64_t ttl_ms, const struct store_risk_count *counts, uint32_t n,
                             store_risk_fn done, void *arg);
/* Users seen at an address (its hash); totals[0]: how many over all workers. */
void store_async_risk_crowd(struct store_async *s, uint64_t address, int64_t window, int64_t ttl_ms,
                            const uint64_t *users, uint32_t n, store_risk_fn done, void *arg);

#endif
