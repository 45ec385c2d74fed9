/* settle_plan.c - what can be known of a batch before its transaction. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "settle_job.h"

static int by_grant(const void *pa, const void *pb)
{
    const struct settle_entry *a = pa;
    const struct settle_entry *b = pb;
    int c = a->item->decoded == b->item->decoded ? 0 : a->item->decoded ? -1 : 1;

    if (c == 0 && a->item->decoded)
        c = settle_order(&a->item->rec, &b->item->rec);
    if (c == 0)
        c = (a->item->offset > b->item->offset) - (a->item->offset < b->item->offset);
    return c;
}

static enum rr_err look_up(struct ledger *l, struct settle_job *job, struct settle_entry *e)
{
    const struct grant_record *rec = &e->item->rec;
    struct settle_rain_facts facts = {.amount_fen = -1};
    const struct cached_rain *rain = NULL;
    enum rr_err err = RR_OK;

    if (e->item->decoded && rain_code_valid(rr_slice_str(rec->code))) {
        err = rain_cache_get(l, rec->code, &rain);
        if (err && err != RR_NOT_FOUND)
            return err;
    }
    if (rain) {
        facts.known = true;
        job->slow = job->slow || rain->info.archived;
        facts.limit = rain->info.spec.limit;
        facts.amount_fen = cached_rain_amount(rain, rec->shard, rec->packet_no);
        memcpy(e->room_id, rain->info.spec.room_id, sizeof(e->room_id));
    }
    e->first = settle_decide_record(e->item, &facts);
    return RR_OK;
}

/* Equal neighbours are duplicates; anything odd is left to the row-wise path. */
static void compare_neighbours(struct settle_job *job)
{
    struct settle_entry *last = NULL;

    for (uint32_t i = 0; i < job->n; i++) {
        struct settle_entry *e = &job->entries[i];

        if (e->first.verdict != SETTLE_NEW)
            continue;
        if (!last || strcmp(last->item->rec.code, e->item->rec.code) != 0 ||
            last->item->rec.shard != e->item->rec.shard) {
            last = e;
            continue;
        }
        if (strcmp(last->item->rec.rid, e->item->rec.rid) != 0)
            job->slow = true;
        switch (settle_same(&last->item->rec, &e->item->rec)) {
        case SETTLE_SAME:
            e->first = (struct settle_decision){.verdict = SETTLE_DUPLICATE, .reason = ""};
            continue;
        case SETTLE_SAME_BUT: job->slow = true; break;
        case SETTLE_SAME_NOT: break;
        }
        last = e;
    }
}

enum rr_err settle__plan(struct ledger *l, struct settle_job *job)
{
    const struct settle_batch *b = job->batch;
    enum rr_err err = db_open(l->db);

    job->n = b->n;
    job->entries = rr_xcalloc(b->n, sizeof(*job->entries));
    job->take = rr_xcalloc(b->n, sizeof(struct settle_entry *));
    job->wallets = rr_xcalloc(b->n, sizeof(*job->wallets));
    for (uint32_t i = 0; !err && i < b->n; i++) {
        job->entries[i].item = &b->items[i];
        err = look_up(l, job, &job->entries[i]);
    }
    if (err)
        return err;
    qsort(job->entries, job->n, sizeof(*job->entries), by_grant);
    compare_neighbours(job);
    return RR_OK;
}

void settle__job_fini(struct settle_job *job)
{
    free(job->entries);
    free(job->take);
    free(job->wallets);
    free(job->held);
}
