/* settle_aside.c - what is not paid is kept whole, once: the same record read again adds no second row. */
#include <string.h>

#include "protocol/record.h"
#include "settle_job.h"

struct origin {
    struct db_arg topic;
    struct db_arg part;
    struct db_arg offs;
};

static struct origin origin_of(const struct settle_job *job, const struct settle_entry *e)
{
    if (job->direct)
        return (struct origin){db_null(), db_null(), db_null()};
    return (struct origin){db_str(job->batch->topic), db_int(job->batch->partition),
                           db_int(e->item->offset)};
}

/* A rid that a recovery took away from the shard: all that was told under it was in the books before. Whatever such a record
 * meets now, its packet granted to another user, its seq to another packet, or nothing: it is kept, and nobody has to act. */
static enum rr_err was_fenced(struct ledger *l, const struct grant_record *r, bool *fenced)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_select(l->db,
                                "SELECT 1 FROM rp_fence_shard WHERE code = ? AND shard = ?"
                                " AND old_rid = ? AND floor IS NOT NULL LIMIT 1",
                                DB_ARGS(db_str(r->code), db_int(r->shard), db_str(r->rid)), &rows);

    *fenced = !err && rows.n > 0;
    db_rows_fini(&rows);
    return err;
}

static enum rr_err put_conflict(struct ledger *l, const struct settle_job *job,
                                const struct settle_entry *e, int64_t now_ms)
{
    const struct grant_record *r = &e->item->rec;
    struct origin at = origin_of(job, e);
    bool fenced = false;
    enum rr_err err = was_fenced(l, r, &fenced);

    if (err)
        return err;
    return db_stmt(
        l->db,
        "INSERT INTO rp_conflict (topic, part, offs, code, shard, packet_no, user_id, seq, amount,"
        " rid, reason, state, raw, created_at)"
        " SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM DUAL WHERE NOT EXISTS"
        " (SELECT 1 FROM rp_conflict WHERE code = ? AND shard = ? AND packet_no = ? AND user_id = ?"
        " AND seq = ? AND amount = ? AND rid = ?)",
        DB_ARGS(at.topic, at.part, at.offs, db_str(r->code), db_int(r->shard), db_int(r->packet_no),
                db_int(r->user_id), db_int(r->seq), db_int(r->amount_fen), db_str(r->rid),
                db_str(e->now.reason), db_str(fenced ? "closed" : "open"),
                db_bytes(e->item->raw.p, e->item->raw.len), db_int(now_ms), db_str(r->code),
                db_int(r->shard), db_int(r->packet_no), db_int(r->user_id), db_int(r->seq),
                db_int(r->amount_fen), db_str(r->rid)),
        NULL);
}

/* What a newer program wrote is somebody's win that cannot be read here: its rain waits for it. Other bytes that are no record say
 * nothing that could be believed. */
static bool place_of(const struct settle_item *item, struct record_place *out)
{
    const struct grant_record *r = &item->rec;

    if (!item->decoded)
        return grant_record_version(item->raw) > RR_RECORD_VERSION &&
               grant_record_place(item->raw, out) && rain_code_valid(rr_slice_str(out->code));
    *out = (struct record_place){.shard = r->shard, .packet_no = r->packet_no};
    memcpy(out->code, r->code, sizeof(out->code));
    return rain_code_valid(rr_slice_str(r->code));
}

static struct db_arg int_or_null(int64_t v)
{
    return v < 0 ? db_null() : db_int(v);
}

static enum rr_err put_dead(struct ledger *l, const struct settle_job *job,
                            const struct settle_entry *e, int64_t now_ms, bool parked)
{
    struct record_place r;
    bool whole = place_of(e->item, &r);
    struct origin at = origin_of(job, e);
    struct db_arg raw = db_bytes(e->item->raw.p, e->item->raw.len);
    uint64_t affected = 0;
    enum rr_err err = db_stmt(
        l->db,
        "INSERT INTO rp_dead (topic, part, offs, code, shard, packet_no, reason, state, raw,"
        " created_at) SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM DUAL WHERE NOT EXISTS"
        " (SELECT 1 FROM rp_dead WHERE topic <=> ? AND part <=> ? AND raw = ?)",
        DB_ARGS(at.topic, at.part, at.offs, whole ? db_str(r.code) : db_null(),
                whole ? int_or_null(r.shard) : db_null(),
                whole ? int_or_null(r.packet_no) : db_null(), db_str(e->now.reason),
                db_str(parked ? "parked" : "open"), raw, db_int(now_ms), at.topic, at.part, raw),
        &affected);

    if (err || !parked || affected == 0)
        return err;
    return db_stmt(l->db,
                   "INSERT INTO rp_task (biz_id, kind, code, arg, next_at, created_at)"
                   " VALUES (CONCAT('park:', LAST_INSERT_ID()), 'park', ?, LAST_INSERT_ID(), ?, ?)",
                   DB_ARGS(db_str(r.code), db_int(now_ms), db_int(now_ms)), NULL);
}

enum rr_err settle__put_aside(struct ledger *l, const struct settle_job *job, int64_t now_ms)
{
    enum rr_err err = RR_OK;

    for (uint32_t i = 0; !err && i < job->n; i++) {
        const struct settle_entry *e = &job->entries[i];

        switch (e->now.verdict) {
        case SETTLE_NEW:
        case SETTLE_DUPLICATE: break;
        case SETTLE_CONFLICT:
        case SETTLE_STALE_RID: err = put_conflict(l, job, e, now_ms); break;
        case SETTLE_DEAD: err = put_dead(l, job, e, now_ms, false); break;
        case SETTLE_PARK:
            if (!job->direct)
                err = put_dead(l, job, e, now_ms, true);
            break;
        }
    }
    return err;
}
