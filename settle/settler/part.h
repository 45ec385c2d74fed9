/* part.h - one assigned partition: what was fetched and is not yet in the books. Pure.
 * `next` is what rp_offset says; the queue is the records from there on, bounded. Under the settler's lock; who set `busy` alone
 * may move `next` and drop records, the main thread appends meanwhile. */
#ifndef SETTLE_SETTLER_PART_H
#define SETTLE_SETTLER_PART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct part_item {
    int64_t offset;
    int64_t timestamp_ms; /* of the record; 0: unknown */
    const void *p;        /* borrowed from owner */
    size_t len;
    void *owner;
};

struct part {
    int32_t id;
    int64_t next;
    struct part_item *items;
    uint32_t n;
    uint32_t cap;
    int64_t first_us;   /* when items[0] came */
    int64_t retry_us;   /* not before; 0: at once */
    uint32_t tries;     /* failed transactions in a row */
    uint32_t gap_seeks; /* in a row */
    int64_t settled_ts; /* timestamp of the last settled record */
    bool paused;
    bool busy; /* a batch of it is being settled, or its place in the books looked up */
    bool
        lost; /* where it goes on is still to be found, or it is being given away: not settled meanwhile */
    bool seek; /* the fetcher must be moved to part_want() */
    void (*release)(void *owner);
};

enum part_take {
    PART_TAKEN, /* the queue owns it */
    PART_OLD,   /* before what is wanted: in the books already */
    PART_GAP    /* after what is wanted: something is missing in between */
};

void part_init(struct part *p, int32_t id, int64_t next, uint32_t batch_max,
               void (*release)(void *owner));
void part_fini(struct part *p);
/* The offset the next record should have. */
int64_t part_want(const struct part *p);
/* Takes item->owner only when PART_TAKEN. The queue must not be full. */
enum part_take part_offer(struct part *p, const struct part_item *item, int64_t now_us);
/* The same without looking at the offset: the gap is known. */
void part_push(struct part *p, const struct part_item *item, int64_t now_us);
bool part_full(const struct part *p);
/* Little enough to fetch again. A paused partition loses what the client has fetched ahead, so what is left must last until
 * the next fetch is there. */
bool part_drained(const struct part *p);
/* A batch should be settled now: full, or its oldest record waited long enough, and no retry pause. Not asked of a busy one. */
bool part_due(const struct part *p, int64_t now_us, uint32_t batch_max, int64_t wait_us);
/* µs until part_due() may become true; INT64_MAX when nothing waits. */
int64_t part_wait_us(const struct part *p, int64_t now_us, uint32_t batch_max, int64_t wait_us);
/* The first n items are in the books; rp_offset is next. */
void part_settled(struct part *p, uint32_t n, int64_t next, int64_t now_us);
/* rp_offset turned out to be next. True: the queue goes on from there; false: it was dropped, fetch from next again. */
bool part_moved(struct part *p, int64_t next);
void part_failed(struct part *p, int64_t now_us);
/* How old the oldest record is that is not in the books; high: end of the partition. */
int64_t part_lag_ms(const struct part *p, int64_t high, int64_t wall_ms);

#endif
