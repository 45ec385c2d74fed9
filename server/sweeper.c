#include "sweeper.h"

#include "base/alloc.h"
#include "base/fail.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

enum { RAINS_MAX = 256, ENTRIES_MAX = 512, LEASE_MS = 10000 };

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
    struct swept_entry *entries; /* ENTRIES_MAX */
    uint32_t n;
    struct pool_shard reading;
};

struct sweeper {
    struct admin *admin;
    bool running;
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

static void read_run(struct db_job *base, struct db_ctx *ctx)
{
    struct sweep_job *j = (struct sweep_job *)base;
    struct rain_info *rains = rr_xcalloc(RAINS_MAX, sizeof(*rains));
    uint32_t n = 0;

    if (saga_live_codes(&ctx->saga, rains, RAINS_MAX, &n) != RR_OK)
        n = 0; /* the books are down: the next sweep finds them */
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t shard = 0; shard < rains[i].spec.shards && j->n < ENTRIES_MAX; shard++) {
            memcpy(j->reading.code, rains[i].code, sizeof(j->reading.code));
            j->reading.shard = shard;
            if (store_sync_sweep_lease(ctx->store, &j->reading, j->sweeper->admin->name,
                                       LEASE_MS) != RR_OK)
                continue;
            if (store_sync_outbox_read(ctx->store, &j->reading, j->min_age_ms, ENTRIES_MAX - j->n,
                                       NULL, take_entry, j) == RR_CORRUPT)
                log_error("outbox_corrupt", "an entry of shard %u does not decode", shard);
        }
    }
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
    if (s->admin->draining || db_pool_submit(s->admin->db, DB_LANE_ANCHOR, &j->base) != RR_OK)
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
