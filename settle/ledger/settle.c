/* settle.c - a batch of records into the books: the two paths, and offsets. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fail.h"
#include "settle.h"
#include "settle_job.h"

enum { SLOW_TRIES = 4 };

void settle_outcome_fini(struct settle_outcome *o)
{
    free(o->credits);
    o->credits = NULL;
}

static void add_credit(struct settle_outcome *out, const struct settle_entry *e)
{
    const struct grant_record *r = &e->item->rec;
    struct settle_credit *c = &out->credits[out->settled++];

    *c = (struct settle_credit){.user_id = r->user_id,
                                .amount_fen = r->amount_fen,
                                .shard = r->shard,
                                .packet_no = r->packet_no,
                                .seq = r->seq,
                                .held = e->held};
    memcpy(c->code, r->code, sizeof(c->code));
    memcpy(c->room_id, e->room_id, sizeof(c->room_id));
    out->settled_fen += r->amount_fen;
}

static void report(const struct settle_job *job, struct settle_outcome *out)
{
    settle__hold_log(job);
    out->held = job->held_n;
    out->credits = rr_xcalloc(job->take_n, sizeof(*out->credits));
    for (uint32_t i = 0; i < job->n; i++) {
        switch (job->entries[i].now.verdict) {
        case SETTLE_NEW: add_credit(out, &job->entries[i]); break;
        case SETTLE_DUPLICATE: out->duplicates++; break;
        case SETTLE_CONFLICT:
        case SETTLE_STALE_RID: out->conflicts++; break;
        case SETTLE_DEAD: out->dead++; break;
        case SETTLE_PARK: out->parked++; break;
        }
    }
}

static enum rr_err run_slow(struct ledger *l, struct settle_job *job)
{
    enum rr_err err = RR_OK;

    l->slow_batches++;
    /* A key that appeared between our read and our insert: what committed in between is read by the next try. */
    for (uint32_t tries = 0; tries < SLOW_TRIES; tries++) {
        err = ledger__tx(l, settle__slow_tx, job);
        if (err != RR_DUPLICATE && !(err == RR_CONFLICT && !job->cas_failed))
            return err;
    }
    return RR_RETRY;
}

static enum rr_err settle(struct ledger *l, const struct settle_batch *b, bool direct,
                          struct settle_outcome *out, int64_t *sql_offset)
{
    struct settle_job job = {.batch = b, .direct = direct};
    enum rr_err err = settle__plan(l, &job);

    *out = (struct settle_outcome){.settled = 0};
    if (err)
        goto out;
    err = RR_DUPLICATE;
    if (!job.slow)
        err = ledger__tx(l, settle__fast_tx, &job);
    if (err == RR_DUPLICATE || err == RR_CORRUPT || (err == RR_CONFLICT && !job.cas_failed))
        err = run_slow(l, &job);
    if (job.cas_failed && sql_offset)
        *sql_offset = job.sql_offset;
    if (!err && !direct)
        rr_fail(SETTLE_AFTER_COMMIT);
    if (!err)
        report(&job, out);
out:
    settle__job_fini(&job);
    return err;
}

enum rr_err ledger_settle(struct ledger *l, const struct settle_batch *b,
                          struct settle_outcome *out, int64_t *sql_offset)
{
    return settle(l, b, false, out, sql_offset);
}

enum rr_err ledger__settle_direct(struct ledger *l, const struct settle_item *items, uint32_t n,
                                  struct settle_outcome *out)
{
    struct settle_batch b = {.items = items, .n = n};

    return settle(l, &b, true, out, NULL);
}

enum rr_err ledger_offset_get(struct ledger *l, const char *topic, int32_t partition, int64_t *next)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_open(l->db);

    *next = -1;
    if (!err)
        err = db_select(l->db, "SELECT next_offset FROM rp_offset WHERE topic = ? AND part = ?",
                        DB_ARGS(db_str(topic), db_int(partition)), &rows);
    if (!err && rows.n == 0)
        err = RR_NOT_FOUND;
    if (!err)
        *next = db_i64(&rows, 0, 0);
    db_rows_fini(&rows);
    return err;
}

static enum rr_err offset_insert(struct ledger *l, const char *topic, int32_t partition, int64_t to)
{
    enum rr_err err = db_stmt(
        l->db, "INSERT INTO rp_offset (topic, part, next_offset, updated_at) VALUES (?, ?, ?, ?)",
        DB_ARGS(db_str(topic), db_int(partition), db_int(to), db_int(ledger__now_ms())), NULL);

    return err == RR_DUPLICATE ? RR_CONFLICT : err;
}

enum rr_err ledger_offset_move(struct ledger *l, const char *topic, int32_t partition, int64_t from,
                               int64_t to)
{
    uint64_t affected = 0;
    enum rr_err err = db_open(l->db);

    if (err)
        return err;
    if (from == LEDGER_NO_OFFSET)
        return offset_insert(l, topic, partition, to);
    err = db_stmt(l->db,
                  "UPDATE rp_offset SET next_offset = ?, updated_at = ?"
                  " WHERE topic = ? AND part = ? AND next_offset = ?",
                  DB_ARGS(db_int(to), db_int(ledger__now_ms()), db_str(topic), db_int(partition),
                          db_int(from)),
                  &affected);
    return !err && affected != 1 ? RR_CONFLICT : err;
}

enum rr_err ledger_offsets(struct ledger *l, const char *topic, struct ledger_offset *io,
                           uint32_t n)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_open(l->db);

    if (!err)
        err = db_select(l->db, "SELECT part, next_offset FROM rp_offset WHERE topic = ?",
                        DB_ARGS(db_str(topic)), &rows);
    for (uint32_t i = 0; !err && i < n; i++) {
        io[i].next = LEDGER_NO_OFFSET;
        for (uint32_t k = 0; k < rows.n; k++) {
            if (db_i64(&rows, k, 0) == io[i].partition)
                io[i].next = db_i64(&rows, k, 1);
        }
    }
    db_rows_fini(&rows);
    return err;
}
