/* count_slots.h - how many of something each key has, over several processes that may die at any
 * instant, in a bounded piece of memory without locks. Used for open connections per address and
 * per user.
 *
 * Every process has a section of its own and writes only there; a key's count is the sum over the
 * sections. When a process dies, its section is cleared and its counts are gone with it. A place is
 * taken first and given back if the sum is then over the limit: two processes after the last place
 * may both be refused, but there is never one place too many.
 *
 *   word = 40 bits of the key's hash | count
 *
 * Buckets of 64 words, a section twice as large as its keys: of ten million buckets one has no room,
 * with as many keys as there may be; a key that finds none is not counted (COUNT_UNKNOWN), and must
 * not be given back. The hash must be keyed and not 0.
 *
 * In shared memory even reading a page that nobody wrote makes it: the section of an owner that
 * never took anything is not looked at.
 * Thread: any, also two processes on one section (an old and a new one during a restart). */
#ifndef BASE_COUNT_SLOTS_H
#define BASE_COUNT_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { COUNT_BUCKET = 64 };

struct count_slots {
    _Atomic uint64_t *words; /* sections one after the other; zeroed at first */
    _Atomic bool *used;      /* of each owner: it took something once; false at first */
    uint32_t section;        /* words of one; whole buckets */
    uint32_t owners;
};

enum count_result {
    COUNT_TAKEN,
    COUNT_OVER,    /* the limit is reached: nothing was taken */
    COUNT_UNKNOWN, /* no room in the bucket: nothing was taken, and the limit is not known */
};

/* Words of a section for n keys. */
uint32_t count_slots_section(uint32_t n);

/* One more of hash by owner, unless all owners together then had more than max. */
enum count_result count_slots_take(const struct count_slots *s, uint32_t owner, uint64_t hash,
                                   uint32_t max);
/* Of a place that was taken. Harmless when the section was cleared meanwhile. */
void count_slots_give(const struct count_slots *s, uint32_t owner, uint64_t hash);
uint32_t count_slots_sum(const struct count_slots *s, uint64_t hash);
/* The owner died. */
void count_slots_clear(const struct count_slots *s, uint32_t owner);

#endif
