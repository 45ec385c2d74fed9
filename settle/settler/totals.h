/* totals.h - users whose total over all rains is to be read from SQL again: a bounded set, put off while grants keep coming. A total
 * costs a sum over a user's grants; during a rush that time is the database's, and a user who wins five times is summed once.
 * Not thread-safe: one thread's. */
#ifndef SETTLE_SETTLER_TOTALS_H
#define SETTLE_SETTLER_TOTALS_H

#include <stdbool.h>
#include <stdint.h>

#include "ledger/settle_batch.h"

struct totals {
    int64_t *user_ids; /* owned; the first `distinct` ascending, without repeats */
    uint32_t n;
    uint32_t distinct;
    uint32_t max;
    int64_t first_us; /* when the oldest of them came */
    int64_t last_us;  /* and the newest */
};

/* max >= any n of totals_add(). */
void totals_init(struct totals *t, uint32_t max);
void totals_fini(struct totals *t);
/* The users of credits; false, and nothing is added, when they do not fit: take some first. */
bool totals_add(struct totals *t, const struct settle_credit *credits, uint32_t n, int64_t now_us);
/* There are some, and either no new ones came for quiet_us or the oldest has waited for max_us. */
bool totals_due(const struct totals *t, int64_t now_us, int64_t quiet_us, int64_t max_us);
/* Copies at most max users to out, ascending; returns how many. They stay until totals_drop(). */
uint32_t totals_peek(struct totals *t, int64_t *out, uint32_t max);
/* The first n of the last totals_peek(); nothing was added in between. */
void totals_drop(struct totals *t, uint32_t n);

#endif
