/* credits.h - settled grants that are still to be told: a bounded queue, oldest first. Not thread-safe: its owner locks. */
#ifndef SETTLE_SETTLER_CREDITS_H
#define SETTLE_SETTLER_CREDITS_H

#include <stdint.h>

#include "ledger/settle_batch.h"

struct credits {
    struct settle_credit *items; /* owned */
    uint32_t n;
    uint32_t max;
};

void credits_init(struct credits *q, uint32_t max);
void credits_fini(struct credits *q);
/* Copies what fits, in order; returns how many did not. */
uint32_t credits_put(struct credits *q, const struct settle_credit *items, uint32_t n);
/* Moves the oldest, at most max, to out; returns how many. */
uint32_t credits_take(struct credits *q, struct settle_credit *out, uint32_t max);

#endif
