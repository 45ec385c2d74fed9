/* rain_cache.h - rains whose amounts were recomputed from their seed, by code: a settler needs them for every record.
 * What is cached never changes after create (numbers, seed, sender, room); status and times are not to be read from here.
 * Bounded; the least recently used rain goes first. Owner: struct ledger. */
#ifndef SETTLE_LEDGER_RAIN_CACHE_H
#define SETTLE_LEDGER_RAIN_CACHE_H

#include <stdint.h>

#include "base/err.h"
#include "ledger/ledger.h"

enum { RAIN_CACHE_MAX = 64 };

struct cached_rain {
    struct rain_info info;
    int64_t *
        amounts_fen; /* count items in order of the whole rain: packet no of shard s is item no * shards + s */
    uint64_t used;
};

struct rain_cache {
    struct cached_rain *items[RAIN_CACHE_MAX];
    uint32_t n;
    uint64_t clock;
    uint64_t amounts; /* in all items */
};

/* Borrowed until the next call of rain_cache_get(). RR_NOT_FOUND: no such rain (not cached: it may appear). */
RR_MUST_CHECK enum rr_err rain_cache_get(struct ledger *l, const char *code,
                                         const struct cached_rain **out);
void rain_cache_fini(struct rain_cache *c);
/* -1: the rain has no such packet. */
int64_t cached_rain_amount(const struct cached_rain *r, uint32_t shard, uint32_t packet_no);

#endif
