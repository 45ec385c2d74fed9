/* rate_slots.h - GCRA (gcra.h) for any number of keys in a bounded piece of memory that several
 * processes share, without locks: one 64-bit word per key, changed by compare-and-set only.
 *
 *   word = tag (18 bits of the key's hash, never 0) | TAT in µs, modulo 2^46
 *
 * The rest of the hash chooses a bucket of 8 words. A process may die between any two instructions:
 * whatever it left is a valid word. A key whose TAT is in the past is idle, and its word is taken by
 * the next key that needs one. In a bucket without an idle word the key that is least ahead of the
 * clock is forgotten (and counted): who is far over a limit stays there longest.
 *
 * How exact: a key never gets more than its rate and burst, except when it was forgotten, or when
 * two processes enter it for the first time at the same instant into two words (it may then get up
 * to one pass more per process). Two keys with the same bucket and tag share one limit: for a full
 * bucket that is 8 in 2^18. The hash must be keyed, or somebody could choose whom to share with.
 *
 * Keys with different rates may live side by side: the rate comes with each call. Hash 0 is allowed.
 * Thread: any. Memory: the caller's, zeroed at first. */
#ifndef BASE_RATE_SLOTS_H
#define BASE_RATE_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/gcra.h"

enum { RATE_BUCKET = 8 };

struct rate_slots {
    _Atomic uint64_t *words;
    uint32_t n; /* a power of two, at least RATE_BUCKET */
};

/* Words for about n keys that are busy at once: the next power of two. */
uint32_t rate_slots_size(uint32_t n);

struct rate_take {
    int64_t retry_after_us; /* RR_RATE_LIMITED */
    bool forgot;            /* another key that was not idle lost its word */
};

/* RR_OK: passed and paid for. RR_RATE_LIMITED: nothing changed. */
RR_MUST_CHECK enum rr_err rate_slots_take(const struct rate_slots *s, uint64_t hash, int64_t now_us,
                                          const struct gcra_rate *rate, struct rate_take *out);
/* Words that are not idle. */
uint32_t rate_slots_busy(const struct rate_slots *s, int64_t now_us);

#endif
