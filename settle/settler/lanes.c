/* lanes.c - settling: each lane is a thread with a connection of its own and takes the batch that is due, of a partition no other
 * lane is busy with. Money moves only in settle_some(). Two lanes are to the books what two settlers are: rp_offset is compared
 * and set, and locks are taken in one order. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "protocol/record.h"
#include "settler_impl.h"

struct lane {
    struct settler *s;
    struct ledger *ledger;
    struct settle_item *items; /* scratch of one batch */
    struct rr_ratelog fail_log;
    bool have_thread;
    pthread_t thread;
};

struct lanes {
    uint32_t n;
    struct lane lane[];
};

int64_t settler__now_us(void)
{
    return rr_mono_us(rr_clock_system());
}

void lanes_wake(struct settler *s)
{
    pthread_cond_signal(&s->due);
}

static uint32_t batch_max(const struct settler *s)
{
    return (uint32_t)s->conf->settler_batch_max;
}

static int64_t wait_us(const struct settler *s, const struct part *p)
{
    if (p->busy || p->lost)
        return INT64_MAX;
    return part_wait_us(p, settler__now_us(), batch_max(s), s->conf->settler_batch_wait_ms * 1000);
}

/* Round robin: a partition that is always due must not starve the others. *us: until one may be. */
static struct part *next_due(struct settler *s, int64_t *us)
{
    *us = POLL_MAX_MS * 1000;
    for (uint32_t i = 0; i < s->parts_n; i++) {
        uint32_t at = (s->turn + i) % s->parts_n;
        int64_t part_us = wait_us(s, &s->parts[at]);

        if (part_us == 0) {
            s->turn = at + 1;
            return &s->parts[at];
        }
        *us = part_us < *us ? part_us : *us;
    }
    return NULL;
}

/* Bounded: the end of the process is not signalled. */
static void lane_wait(struct settler *s, int64_t us)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += us * 1000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&s->due, &s->mu, &until);
}

static void count(struct settler *s, const struct settle_outcome *o)
{
    rr_metric_add(&s->metrics.settled_total, o->settled);
    rr_metric_add(&s->metrics.held_total, o->held);
    rr_metric_add(&s->metrics.settled_fen_total, (uint64_t)o->settled_fen);
    rr_metric_add(&s->metrics.duplicates_total, o->duplicates);
    rr_metric_add(&s->metrics.conflicts_total, o->conflicts);
    rr_metric_add(&s->metrics.dead_total, o->dead);
    if (o->conflicts || o->dead || o->parked)
        log_error("set_aside", "%u conflicts, %u dead, %u of unknown rains", o->conflicts, o->dead,
                  o->parked);
}

/* The messages stay the partition's; as it is busy, nobody drops them. */
static uint32_t take(const struct lane *lane, const struct part *p)
{
    uint32_t n = p->n < batch_max(lane->s) ? p->n : batch_max(lane->s);

    for (uint32_t i = 0; i < n; i++)
        lane->items[i] = (struct settle_item){.offset = p->items[i].offset,
                                              .raw = rr_slice_of(p->items[i].p, p->items[i].len)};
    return n;
}

static void decode(struct settle_item *items, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        items[i].decoded = grant_record_decode(items[i].raw, &items[i].rec) == RR_OK;
}

static void on_moved(struct part *p, int64_t sql_offset)
{
    log_notice("offset_moved", "partition %d: %lld here, %lld in the books", (int)p->id,
               (long long)p->next, (long long)sql_offset);
    if (!part_moved(p, sql_offset))
        p->seek = true;
}

static void apply(struct lane *lane, struct part *p, const struct settle_batch *b, enum rr_err err,
                  int64_t sql_offset)
{
    struct settler *s = lane->s;

    switch (err) {
    case RR_OK: part_settled(p, b->n, b->next_offset, settler__now_us()); break;
    case RR_CONFLICT: on_moved(p, sql_offset); break;
    case RR_NOT_FOUND:
        p->lost = true;
        s->reread_us = 0;
        break;
    default:
        /* A database that fails is not poison: the same batch again, for ever. */
        rr_metric_add(&s->metrics.mysql_errors_total, 1);
        settler__complain(&lane->fail_log, lane->ledger, "settling", err);
        part_failed(p, settler__now_us());
        break;
    }
}

/* Entered and left with the lock, which is open while the books are written. */
static void settle_some(struct lane *lane, struct part *p)
{
    struct settler *s = lane->s;
    int32_t id = p->id;
    struct settle_outcome o = {.settled = 0};
    int64_t sql_offset = -1;
    uint32_t n = take(lane, p);
    struct settle_batch b = {.topic = consumer_topic(s->consumer),
                             .partition = id,
                             .expected_offset = p->next,
                             .next_offset = p->items[n - 1].offset + 1,
                             .items = lane->items,
                             .n = n};
    enum rr_err err = RR_OK;

    p->busy = true;
    pthread_mutex_unlock(&s->mu);
    decode(lane->items, n);
    err = ledger_settle(lane->ledger, &b, &o, &sql_offset);
    if (!err) {
        count(s, &o);
        tasks_credit(s->tasks, o.credits, o.settled);
    }
    pthread_mutex_lock(&s->mu);
    p = settler__part(s, id); /* a busy one stays, but may have moved */
    apply(lane, p, &b, err, sql_offset);
    p->busy = false;
    pthread_cond_broadcast(&s->idle);
    lanes_wake(s);
    settle_outcome_fini(&o);
}

static void *lane_run(void *arg)
{
    struct lane *lane = arg;
    struct settler *s = lane->s;

    ledger_thread_init();
    pthread_mutex_lock(&s->mu);
    while (!settler__stopping(s)) {
        int64_t us = 0;
        struct part *p = next_due(s, &us);

        if (p)
            settle_some(lane, p);
        else
            lane_wait(s, us);
    }
    pthread_mutex_unlock(&s->mu);
    ledger_thread_fini();
    return NULL;
}

enum rr_err lanes_start(struct settler *s)
{
    uint32_t n = (uint32_t)s->conf->settler_connections;
    struct lanes *lanes = rr_xcalloc(1, sizeof(*lanes) + n * sizeof(struct lane));
    enum rr_err err = RR_OK;

    s->lanes = lanes;
    for (; !err && lanes->n < n; lanes->n++) {
        struct lane *lane = &lanes->lane[lanes->n];

        lane->s = s;
        lane->items = rr_xcalloc(batch_max(s), sizeof(*lane->items));
        err = settler__ledger(s, &lane->ledger);
        if (!err) {
            lane->have_thread = pthread_create(&lane->thread, NULL, lane_run, lane) == 0;
            err = lane->have_thread ? RR_OK : RR_SYSTEM;
        }
    }
    return err;
}

void lanes_join(struct lanes *lanes)
{
    if (!lanes)
        return;
    for (uint32_t i = 0; i < lanes->n; i++) {
        struct lane *lane = &lanes->lane[i];

        if (lane->have_thread)
            pthread_join(lane->thread, NULL);
        ledger_destroy(lane->ledger);
        free(lane->items);
    }
    free(lanes);
}
