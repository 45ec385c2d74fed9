#include "base/count_slots.h"

#include <stdatomic.h>
#include <stdbool.h>

#define COUNT_BITS 24
#define COUNT_MASK ((UINT64_C(1) << COUNT_BITS) - 1)

enum { WORDS_PER_KEY = 2 };

/* By the bits that are not in the word. */
static _Atomic uint64_t *bucket_of(const struct count_slots *s, uint32_t owner, uint64_t hash)
{
    uint64_t bucket = (hash & COUNT_MASK) * (s->section / COUNT_BUCKET) >> COUNT_BITS;

    return s->words + (size_t)owner * s->section + bucket * COUNT_BUCKET;
}

static bool is_of(uint64_t word, uint64_t hash)
{
    return (word & COUNT_MASK) != 0 && word >> COUNT_BITS == hash >> COUNT_BITS;
}

static uint64_t count_in(const _Atomic uint64_t *bucket, uint64_t hash)
{
    uint64_t n = 0;

    for (int i = 0; i < COUNT_BUCKET; i++) {
        uint64_t word = atomic_load(&bucket[i]);

        if (is_of(word, hash))
            n += word & COUNT_MASK;
    }
    return n;
}

uint32_t count_slots_section(uint32_t n)
{
    uint64_t buckets = ((uint64_t)n * WORDS_PER_KEY + COUNT_BUCKET - 1) / COUNT_BUCKET;

    if (buckets > UINT32_MAX / COUNT_BUCKET)
        buckets = UINT32_MAX / COUNT_BUCKET;
    return buckets ? (uint32_t)buckets * COUNT_BUCKET : COUNT_BUCKET;
}

uint32_t count_slots_sum(const struct count_slots *s, uint64_t hash)
{
    uint64_t n = 0;

    for (uint32_t owner = 0; owner < s->owners; owner++) {
        if (atomic_load(&s->used[owner]))
            n += count_in(bucket_of(s, owner, hash), hash);
    }
    return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

/* The key's word in the bucket, else one without a count, else -1. */
static int choose(const _Atomic uint64_t *bucket, uint64_t hash, uint64_t *word)
{
    int unused = -1;

    for (int i = 0; i < COUNT_BUCKET; i++) {
        uint64_t w = atomic_load(&bucket[i]);

        if (is_of(w, hash)) {
            *word = w;
            return i;
        }
        if ((w & COUNT_MASK) == 0 && unused < 0) {
            unused = i;
            *word = w;
        }
    }
    return unused;
}

enum count_result count_slots_take(const struct count_slots *s, uint32_t owner, uint64_t hash,
                                   uint32_t max)
{
    _Atomic uint64_t *bucket = bucket_of(s, owner, hash);

    /* Before anything is taken: whoever sums afterwards looks here. */
    if (!atomic_load(&s->used[owner]))
        atomic_store(&s->used[owner], true);
    for (;;) {
        uint64_t word = 0;
        uint64_t count = 0;
        int i = choose(bucket, hash, &word);

        if (i < 0)
            return COUNT_UNKNOWN;
        count = is_of(word, hash) ? word & COUNT_MASK : 0;
        if (count == COUNT_MASK)
            return COUNT_OVER;
        if (atomic_compare_exchange_strong(&bucket[i], &word,
                                           hash >> COUNT_BITS << COUNT_BITS | (count + 1)))
            break;
    }
    /* Both sides of a race have taken before they look: at least one of them sees the other. */
    if (count_slots_sum(s, hash) <= max)
        return COUNT_TAKEN;
    count_slots_give(s, owner, hash);
    return COUNT_OVER;
}

void count_slots_give(const struct count_slots *s, uint32_t owner, uint64_t hash)
{
    _Atomic uint64_t *bucket = bucket_of(s, owner, hash);

    for (;;) {
        uint64_t word = 0;
        int i = choose(bucket, hash, &word);

        if (i < 0 || !is_of(word, hash) ||
            atomic_compare_exchange_strong(&bucket[i], &word, word - 1))
            return;
    }
}

void count_slots_clear(const struct count_slots *s, uint32_t owner)
{
    _Atomic uint64_t *section = s->words + (size_t)owner * s->section;

    if (!atomic_load(&s->used[owner]))
        return;
    for (uint32_t i = 0; i < s->section; i++) {
        if (atomic_load_explicit(&section[i], memory_order_relaxed) != 0)
            atomic_store(&section[i], 0);
    }
}
