#include "sweeper.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fail.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

enum { RAINS_PAGE = 256, ENTRIES_MAX = 512, LEASE_MS = 10000, SWEEP_US = 2000000 };

struct swept_entry {
    struct pool_shard at;
    char id[32];
    struct grant_record *records; /* owned */
    uint32_t n;
    bool failed;
};

/* One sweep: read on a thread, produced on the loop, deleted on a thread. */
struct sweep_job {
    struct db_job base; /* first */
    struct sweeper *sweeper;
    int64_t min_age_ms;
    struct rain_cursor at;       /* where the next sweep goes on */
    struct swept_entry *entries; /* ENTRIES_MAX */
    uint32_t n;
    struct pool_shard reading;
};

struct sweeper {
    struct admin *admin;
    bool running;
    struct rain_cursor at;
    struct sweep_job *current;
    uint32_t unreported; /* over all entries of the current sweep */
    bool sending;
};

/* ---- reading [thread] ---- */

static enum rr_err take_entry(void *arg, const char *id, const struct grant_record *records,
                              uint32_t n)
{
    struct sweep_job *j = arg;
    struct swept_entry *e = &j->entries[j->n];

    if (j->n == ENTRIES_MAX)
        return RR_FULL;
    j->n++;
    e->at = j->reading;
    snprintf(e->id, sizeof(e->id), "%s", id);
    e->records = rr_xcalloc(n, sizeof(*records));
    memcpy(e->records, records, n * sizeof(*records));
    e->n = n;
    return RR_OK;
}

/* False: there is no place for more. */
static bool read_rain(struct sweep_job *j, struct db_ctx *ctx, const struct rain_ref *rain)
{
    memcpy(j->reading.code, rain->code, sizeof(j->reading.code));
    for (uint32_t shard = 0; shard < rain->shards; shard++) {
        if (j->n == ENTRIES_MAX)
            return false;
        j->reading.shard = shard;
        if (store_sync_sweep_lease(ctx->store, &j->reading, j->sweeper->admin->name, LEASE_MS) !=
            RR_OK)
            continue;
        if (store_sync_outbox_read(ctx->store, &j->reading, j->min_age_ms, ENTRIES_MAX - j->n, NULL,
                                   take_entry, j) == RR_CORRUPT)
            log_error("outbox_corrupt", "an entry of shard %u does not decode", shard);
    }
    return true;
}

/* Page after page up to the last rain. What does not fit into this sweep, by number or by time, is the next one's: every rain
 * has its turn however many there are. */
static void read_run(struct db_job *base, struct db_ctx *ctx)
{
    struct sweep_job *j = (struct sweep_job *)base;
    struct rain_ref *rains = rr_xcalloc(RAINS_PAGE, sizeof(*rains));
    int64_t end_us = rr_mono_us(rr_clock_system()) + SWEEP_US;
    uint32_t n = RAINS_PAGE;
    bool fits = true;

    while (fits && n == RAINS_PAGE && rr_mono_us(rr_clock_system()) < end_us) {
        struct rain_cursor page = j->at;

        if (ledger_rain_live(ctx->ledger, &j->at, rains, RAINS_PAGE, &n) != RR_OK)
            n = 0; /* the books are down: the next sweep finds them */
        for (uint32_t i = 0; fits && i < n; i++)
            fits = read_rain(j, ctx, &rains[i]);
        if (!fits && page.id != j->at.id)
            j->at = page;
    }
    if (fits && n < RAINS_PAGE)
        j->at = (struct rain_cursor){.status = 0};
    free(rains);
}

/* ---- deleting [thread] ---- */

static void del_run(struct db_job *base, struct db_ctx *ctx)
{
    struct sweep_job *j = (struct sweep_job *)base;

    for (uint32_t i = 0; i < j->n; i++) {
        const char *id = j->entries[i].id;

        if (!j->entries[i].failed &&
            store_sync_outbox_del(ctx->store, &j->entries[i].at, &id, 1) != RR_OK)
            log_info("outbox_del", "an entry stays, it will be swept again");
        rr_fail(SWEEP_DELETED);
    }
}

static void job_free(struct sweep_job *j)
{
    for (uint32_t i = 0; i < j->n; i++)
        free(j->entries[i].records);
    free(j->entries);
    free(j);
}

static void sweep_end(struct sweeper *s)
{
    job_free(s->current);
    s->current = NULL;
    s->running = false;
}

static void del_done(struct db_job *base)
{
    struct sweep_job *j = (struct sweep_job *)base;

    sweep_end(j->sweeper);
}

static void all_reported(struct sweeper *s)
{
    struct sweep_job *j = s->current;
    uint32_t swept = 0;

    for (uint32_t i = 0; i < j->n; i++)
        swept += !j->entries[i].failed;
    if (swept)
        rr_fail(SWEEP_REPORTED);
    if (swept)
        log_info("outbox_swept", "%u entries were produced again", swept);
    rr_metric_add(&s->admin->metrics->outbox_swept_total, swept);
    j->base.run = del_run;
    j->base.done = del_done;
    if (s->admin->stopping || db_pool_submit(s->admin->db, DB_LANE_ANCHOR, &j->base) != RR_OK)
        sweep_end(s);
}

/* ---- producing [loop] ---- */

void sweeper_report(void *sweeper, uint64_t id, bool ok)
{
    struct sweeper *s = sweeper;
    struct swept_entry *e = &s->current->entries[id];

    if (!ok)
        e->failed = true;
    s->unreported--;
    if (s->unreported == 0 && !s->sending)
        all_reported(s);
}

static void read_done(struct db_job *base)
{
    struct sweep_job *j = (struct sweep_job *)base;
    struct sweeper *s = j->sweeper;

    s->at = j->at;
    if (j->n == 0) {
        sweep_end(s);
        return;
    }
    rr_fail(SWEEP_READ);
    s->sending = true;
    s->unreported = 0;
    for (uint32_t i = 0; i < j->n; i++) {
        struct swept_entry *e = &j->entries[i];

        for (uint32_t k = 0; k < e->n && !e->failed; k++) {
            if (producer_send(s->admin->producer, &e->records[k], i) == RR_OK)
                s->unreported++;
            else
                e->failed = true;
        }
    }
    s->sending = false;
    rr_fail(SWEEP_PRODUCED);
    if (s->unreported == 0)
        all_reported(s);
}

void sweeper_tick(struct sweeper *s)
{
    struct sweep_job *j = NULL;

    if (s->running)
        return;
    j = rr_xcalloc(1, sizeof(*j));
    j->sweeper = s;
    j->at = s->at;
    j->base.background = true;
    j->base.run = read_run;
    j->base.done = read_done;
    j->min_age_ms = s->admin->conf->kafka_message_timeout_ms + 1000;
    j->entries = rr_xcalloc(ENTRIES_MAX, sizeof(*j->entries));
    s->current = j;
    s->running = db_pool_submit(s->admin->db, DB_LANE_ANCHOR, &j->base) == RR_OK;
    if (!s->running)
        sweep_end(s);
}

struct sweeper *sweeper_create(struct admin *a)
{
    struct sweeper *s = rr_xcalloc(1, sizeof(*s));

    s->admin = a;
    return s;
}

void sweeper_destroy(struct sweeper *s)
{
    if (!s)
        return;
    if (s->current)
        job_free(s->current);
    free(s);
}
