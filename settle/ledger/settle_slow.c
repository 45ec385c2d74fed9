/* settle_slow.c - a batch that is not all new: locks the escrow of its shards, reads what the books have, decides row by row.
 * The escrow's lock keeps other settlers of the same shard out; whoever inserted before and waits for that lock deadlocks with
 * us, one of both is run again. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "rain/rain.h"
#include "settle_job.h"

struct escrow_fact {
    const char *code; /* of an entry */
    uint32_t shard;
    bool found;
    bool archived;
    char rid[RR_RID_LEN + 1];
    int64_t remain_fen;
    bool closed;
    uint32_t granted_k;
};

struct slow {
    struct settle_job *job;
    struct escrow_fact *escrow; /* ascending, one per (code, shard) */
    uint32_t escrow_n;
    struct settle_grant_fact *packets; /* per entry: the row of its packet */
    struct settle_grant_fact *seqs;    /* per entry: the row of its (user, seq) */
};

/* A rain that was moved out is closed and empty for good: its rows need no lock, and nothing of it can be new. */
static enum rr_err lock_escrow(struct ledger *l, struct escrow_fact *e)
{
    struct db_rows rows;
    enum rr_err err = db_select(l->db,
                                "SELECT rid, remain, granted_k FROM rp_escrow"
                                " WHERE code = ? AND shard = ? FOR UPDATE",
                                DB_ARGS(db_str(e->code), db_int(e->shard)), &rows);

    if (!err && rows.n == 0) {
        db_rows_fini(&rows);
        err = db_select(l->db,
                        "SELECT rid, remain, granted_k FROM rp_escrow_archive"
                        " WHERE code = ? AND shard = ?",
                        DB_ARGS(db_str(e->code), db_int(e->shard)), &rows);
        e->archived = !err && rows.n;
    }
    if (!err && rows.n) {
        e->found = true;
        RR_ASSERT(db_copy(&rows, 0, 0, e->rid, sizeof(e->rid)));
        e->remain_fen = db_i64(&rows, 0, 1);
        e->closed = !db_null_at(&rows, 0, 2);
        e->granted_k = (uint32_t)db_i64(&rows, 0, 2);
    }
    db_rows_fini(&rows);
    return err;
}

/* Entries are sorted, so the locks are taken in ascending order. */
static enum rr_err lock_all(struct ledger *l, struct slow *s)
{
    for (uint32_t i = 0; i < s->job->n; i++) {
        const struct settle_entry *e = &s->job->entries[i];
        const struct grant_record *r = &e->item->rec;
        struct escrow_fact *last = s->escrow_n ? &s->escrow[s->escrow_n - 1] : NULL;
        enum rr_err err = RR_OK;

        if (e->first.verdict != SETTLE_NEW ||
            (last && last->shard == r->shard && strcmp(last->code, r->code) == 0))
            continue;
        last = &s->escrow[s->escrow_n++];
        *last = (struct escrow_fact){.code = r->code, .shard = r->shard};
        err = lock_escrow(l, last);
        if (err)
            return err;
    }
    return RR_OK;
}

static struct settle_grant_fact row_fact(const struct db_rows *rows, uint32_t i)
{
    return (struct settle_grant_fact){.found = true,
                                      .shard = (uint32_t)db_i64(rows, i, 0),
                                      .packet_no = (uint32_t)db_i64(rows, i, 1),
                                      .user_id = db_i64(rows, i, 2),
                                      .seq = (uint32_t)db_i64(rows, i, 3),
                                      .amount_fen = db_i64(rows, i, 4),
                                      .is_void = db_i64(rows, i, 5) == 3};
}

#define GRANT_FACTS "SELECT shard, packet_no, user_id, seq, amount, state FROM %s WHERE code = '%s'"

/* Two lists of ranges, one per unique key: with an OR per record the server reads the whole rain for each. */
static void facts_query(struct ledger *l, const char *table, const struct settle_entry *entries,
                        uint32_t from, uint32_t to)
{
    const char *code = entries[from].item->rec.code;
    uint32_t seq_max = 0;

    rr_buf_clear(&l->sql);
    for (uint32_t i = from; i < to; i++) {
        const struct grant_record *r = &entries[i].item->rec;
        bool first = i == from || entries[i - 1].item->rec.shard != r->shard;

        if (first && i > from)
            rr_buf_puts(&l->sql, ") UNION ALL ");
        if (first)
            rr_buf_printf(&l->sql, GRANT_FACTS " AND shard = %u AND packet_no IN (", table, code,
                          r->shard);
        rr_buf_printf(&l->sql, "%s%u", first ? "" : ",", r->packet_no);
        seq_max = r->seq > seq_max ? r->seq : seq_max;
    }
    rr_buf_printf(&l->sql, ") UNION ALL " GRANT_FACTS " AND seq <= %u AND user_id IN (", table,
                  code, seq_max);
    for (uint32_t i = from; i < to; i++)
        rr_buf_printf(&l->sql, "%s%" PRId64, i == from ? "" : ",", entries[i].item->rec.user_id);
    rr_buf_puts(&l->sql, ")");
}

/* Rows that share a packet or a (user, seq) with the entries [from, to) of one rain. */
static enum rr_err read_rows(struct ledger *l, struct slow *s, const char *table, uint32_t from,
                             uint32_t to)
{
    const struct settle_entry *entries = s->job->entries;
    struct db_rows rows;
    enum rr_err err = RR_OK;

    facts_query(l, table, entries, from, to);
    err = db_query_buf(l->db, &l->sql, &rows);
    for (uint32_t k = 0; !err && k < rows.n; k++) {
        struct settle_grant_fact f = row_fact(&rows, k);

        for (uint32_t i = from; i < to; i++) {
            const struct grant_record *r = &entries[i].item->rec;

            if (f.shard == r->shard && f.packet_no == r->packet_no)
                s->packets[i] = f;
            if (!f.is_void && f.user_id == r->user_id && f.seq == r->seq)
                s->seqs[i] = f;
        }
    }
    db_rows_fini(&rows);
    return err;
}

static bool archived(const struct slow *s, const char *code)
{
    for (uint32_t i = 0; i < s->escrow_n; i++) {
        if (s->escrow[i].archived && strcmp(s->escrow[i].code, code) == 0)
            return true;
    }
    return false;
}

static enum rr_err read_all(struct ledger *l, struct slow *s)
{
    const struct settle_job *job = s->job;
    uint32_t from = 0;

    while (from < job->n && job->entries[from].item->decoded) {
        const char *code = job->entries[from].item->rec.code;
        uint32_t to = from;
        enum rr_err err = RR_OK;

        while (to < job->n && job->entries[to].item->decoded &&
               strcmp(job->entries[to].item->rec.code, code) == 0)
            to++;
        if (rain_code_valid(rr_slice_str(code)))
            err = read_rows(l, s, archived(s, code) ? "rp_grant_archive" : "rp_grant", from, to);
        if (err)
            return err;
        from = to;
    }
    return RR_OK;
}

/* What this batch itself pays counts as a row for the entries after it. */
static void note_taken(struct slow *s, uint32_t taken)
{
    const struct settle_job *job = s->job;
    const struct grant_record *r = &job->entries[taken].item->rec;
    struct settle_grant_fact f = {.found = true,
                                  .shard = r->shard,
                                  .packet_no = r->packet_no,
                                  .user_id = r->user_id,
                                  .seq = r->seq,
                                  .amount_fen = r->amount_fen};

    for (uint32_t i = taken + 1; i < job->n && job->entries[i].item->decoded; i++) {
        const struct grant_record *o = &job->entries[i].item->rec;

        if (strcmp(o->code, r->code) != 0)
            break;
        if (o->shard == r->shard && o->packet_no == r->packet_no)
            s->packets[i] = f;
        if (o->user_id == r->user_id && o->seq == r->seq)
            s->seqs[i] = f;
    }
}

static void decide_all(struct slow *s)
{
    struct settle_job *job = s->job;
    uint32_t at = 0;

    job->take_n = 0;
    for (uint32_t i = 0; i < job->n; i++) {
        struct settle_entry *e = &job->entries[i];
        const struct grant_record *r = &e->item->rec;
        struct escrow_fact *x = NULL;

        e->now = e->first;
        if (e->first.verdict != SETTLE_NEW)
            continue;
        while (strcmp(s->escrow[at].code, r->code) != 0 || s->escrow[at].shard != r->shard)
            at++;
        x = &s->escrow[at];
        e->now = settle_decide_row(r, &(struct settle_row_facts){.by_packet = s->packets[i],
                                                                 .by_seq = s->seqs[i],
                                                                 .rid = x->found ? x->rid : NULL,
                                                                 .remain_fen = x->remain_fen,
                                                                 .closed = x->closed,
                                                                 .granted_k = x->granted_k});
        if (e->now.verdict != SETTLE_NEW)
            continue;
        x->remain_fen -= r->amount_fen;
        job->take[job->take_n++] = e;
        note_taken(s, i);
    }
}

enum rr_err settle__slow_tx(struct ledger *l, void *arg)
{
    struct settle_job *job = arg;
    struct slow s = {.job = job,
                     .escrow = rr_xcalloc(job->n, sizeof(*s.escrow)),
                     .packets = rr_xcalloc(job->n, sizeof(*s.packets)),
                     .seqs = rr_xcalloc(job->n, sizeof(*s.seqs))};
    int64_t now_ms = ledger__now_ms();
    enum rr_err err = settle__move_offset(l, job);

    if (!err)
        err = lock_all(l, &s);
    if (!err)
        err = read_all(l, &s);
    if (!err) {
        decide_all(&s);
        err = settle__put_aside(l, job, now_ms);
    }
    if (!err)
        err = settle__pay(l, job, now_ms);
    free(s.escrow);
    free(s.packets);
    free(s.seqs);
    return err;
}
