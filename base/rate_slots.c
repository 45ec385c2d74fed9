#include "base/rate_slots.h"

#include <stdatomic.h>

#define TIME_BITS 46
#define TIME_MASK ((UINT64_C(1) << TIME_BITS) - 1)
#define TAG_MASK ((UINT64_C(1) << (64 - TIME_BITS)) - 1)
/* Time goes round after two years: a TAT further ahead than this is one of the past. */
#define HORIZON_US (UINT64_C(1) << 40)

static uint64_t tag_of(uint64_t hash)
{
    uint64_t tag = hash & TAG_MASK;

    return tag ? tag : 1;
}

static _Atomic uint64_t *bucket_of(const struct rate_slots *s, uint64_t hash)
{
    uint64_t bucket = hash >> (64 - TIME_BITS);

    return s->words + (bucket & (s->n / RATE_BUCKET - 1)) * RATE_BUCKET;
}

/* How far a word is ahead of the clock, 0: idle. */
static int64_t ahead_us(uint64_t word, int64_t now_us)
{
    uint64_t ahead = ((word & TIME_MASK) - (uint64_t)now_us) & TIME_MASK;

    return word == 0 || ahead > HORIZON_US ? 0 : (int64_t)ahead;
}

static uint64_t word_of(uint64_t tag, int64_t tat_us)
{
    return tag << TIME_BITS | ((uint64_t)tat_us & TIME_MASK);
}

/* The key's own word, else the one that is least ahead: an empty or idle one if there is any. */
static int choose(const uint64_t words[RATE_BUCKET], uint64_t tag, int64_t now_us)
{
    int best = 0;

    for (int i = 0; i < RATE_BUCKET; i++) {
        if (words[i] >> TIME_BITS == tag)
            return i;
        if (ahead_us(words[i], now_us) < ahead_us(words[best], now_us))
            best = i;
    }
    return best;
}

enum rr_err rate_slots_take(const struct rate_slots *s, uint64_t hash, int64_t now_us,
                            const struct gcra_rate *rate, struct rate_take *out)
{
    _Atomic uint64_t *bucket = bucket_of(s, hash);
    uint64_t tag = tag_of(hash);

    for (;;) {
        uint64_t words[RATE_BUCKET];
        int64_t ahead = 0;
        int64_t next_us = 0;
        bool own = false;
        int i = 0;

        for (i = 0; i < RATE_BUCKET; i++)
            words[i] = atomic_load_explicit(&bucket[i], memory_order_relaxed);
        i = choose(words, tag, now_us);
        own = words[i] >> TIME_BITS == tag;
        ahead = ahead_us(words[i], now_us);
        next_us = gcra_next(now_us + (own ? ahead : 0), now_us, rate, &out->retry_after_us);
        out->forgot = !own && ahead > 0;
        if (next_us < 0)
            return RR_RATE_LIMITED;
        /* Lost against another process: it got somewhere, so this ends. */
        if (atomic_compare_exchange_strong(&bucket[i], &words[i], word_of(tag, next_us)))
            return RR_OK;
    }
}

uint32_t rate_slots_size(uint32_t n)
{
    uint32_t size = RATE_BUCKET;

    while (size < n && size < UINT32_C(1) << 31)
        size *= 2;
    return size;
}

uint32_t rate_slots_busy(const struct rate_slots *s, int64_t now_us)
{
    uint32_t busy = 0;

    for (uint32_t i = 0; i < s->n; i++)
        busy += ahead_us(atomic_load_explicit(&s->words[i], memory_order_relaxed), now_us) > 0;
    return busy;
}
