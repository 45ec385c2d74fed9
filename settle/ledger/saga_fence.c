/* saga_fence.c - the rows of a recovery. The wait is measured by the database's clock: one clock for all who resume it. */
#include "saga_fence.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/log.h"

#define DB_NOW_MS "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)"

enum rr_err fence_read(struct ledger *l, const char *code, struct fence *out)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_open(l->db);

    *out = (struct fence){.state = FENCE_DONE};
    if (!err)
        err = db_select(l->db,
                        "SELECT id, state, wait_until - " DB_NOW_MS
                        " FROM rp_fence WHERE code = ? ORDER BY id DESC LIMIT 1",
                        DB_ARGS(db_str(code)), &rows);
    if (!err && rows.n) {
        out->id = db_i64(&rows, 0, 0);
        out->state = (enum fence_state)db_i64(&rows, 0, 1);
        out->wait_left_ms = db_i64(&rows, 0, 2);
    }
    db_rows_fini(&rows);
    return err;
}

enum rr_err fence_shards(struct ledger *l, const struct fence *f,
                         struct fence_shard out[RR_SHARDS_MAX], uint32_t *n)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_open(l->db);

    *n = 0;
    if (!err)
        err = db_select(l->db,
                        "SELECT shard, old_rid, new_rid, COALESCE(floor, 0) FROM rp_fence_shard"
                        " WHERE fence = ? ORDER BY shard",
                        DB_ARGS(db_int(f->id)), &rows);
    for (uint32_t i = 0; !err && i < rows.n && i < RR_SHARDS_MAX; i++) {
        struct fence_shard *x = &out[(*n)++];

        *x = (struct fence_shard){.shard = (uint32_t)db_i64(&rows, i, 0),
                                  .floor = (uint32_t)db_i64(&rows, i, 3)};
        RR_ASSERT(db_copy(&rows, i, 1, x->old_rid, sizeof(x->old_rid)));
        RR_ASSERT(db_copy(&rows, i, 2, x->new_rid, sizeof(x->new_rid)));
    }
    db_rows_fini(&rows);
    return err;
}

/* ---- begin ---- */

struct begin {
    const char *code;
    const struct fence *last;
    const struct fence_runs *runs;
    const struct escrow_row *rows;
};

/* The row's own run only shows: each shard has the one of its primary. */
static const char *first_run(const struct begin *p)
{
    uint32_t i = 0;

    while (!(p->runs->lost >> i & 1))
        i++;
    return p->runs->now[i];
}

static enum rr_err insert_shards(struct ledger *l, const struct begin *p, uint32_t shards,
                                 int64_t id)
{
    enum rr_err err = RR_OK;

    for (uint32_t i = 0; !err && i < shards; i++) {
        char rid[RR_RID_LEN + 1];

        if (!(p->runs->lost >> i & 1))
            continue;
        snprintf(rid, sizeof(rid), "%.32s%08" PRIx32, p->runs->now[i], (uint32_t)id);
        err = db_stmt(
            l->db,
            "INSERT INTO rp_fence_shard (fence, code, shard, old_rid, new_rid)"
            " VALUES (?, ?, ?, ?, ?)",
            DB_ARGS(db_int(id), db_str(p->code), db_int(i), db_str(p->rows[i].rid), db_str(rid)),
            NULL);
    }
    return err;
}

static enum rr_err newest(struct ledger *l, const char *code, int64_t *id)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_select(l->db, "SELECT COALESCE(MAX(id), 0) FROM rp_fence WHERE code = ?",
                                DB_ARGS(db_str(code)), &rows);

    if (!err)
        *id = db_i64(&rows, 0, 0);
    db_rows_fini(&rows);
    return err;
}

/* The rain's lock keeps a second beginner out. */
static enum rr_err begin_tx(struct ledger *l, void *arg)
{
    const struct begin *p = arg;
    struct rain_info r;
    int64_t now_ms = ledger__now_ms();
    int64_t id = 0;
    enum rr_err err = ledger__rain_lock(l, p->code, &r);

    if (!err)
        err = newest(l, p->code, &id);
    if (!err && id != p->last->id)
        err = RR_CONFLICT;
    if (!err)
        err = db_stmt(l->db,
                      "UPDATE rp_fence SET state = 6, ended_at = ? WHERE code = ? AND state < 5",
                      DB_ARGS(db_int(now_ms), db_str(p->code)), NULL);
    if (!err)
        err = db_stmt(l->db,
                      "INSERT INTO rp_fence (code, run, wait_until, created_at)"
                      " VALUES (?, ?, 0, ?)",
                      DB_ARGS(db_str(p->code), db_str(first_run(p)), db_int(now_ms)), NULL);
    if (!err)
        err = newest(l, p->code, &id);
    return err ? err : insert_shards(l, p, r.spec.shards, id);
}

enum rr_err fence_begin(struct ledger *l, const char *code, const struct fence *last,
                        const struct fence_runs *runs, const struct escrow_row *rows)
{
    struct begin p = {.code = code, .last = last, .runs = runs, .rows = rows};

    return ledger__tx(l, begin_tx, &p);
}

/* ---- states ---- */

static enum rr_err move(struct ledger *l, const struct fence *f, enum fence_state from,
                        enum fence_state to, int64_t wait_ms)
{
    uint64_t affected = 0;
    enum rr_err err =
        db_stmt(l->db,
                "UPDATE rp_fence SET state = ?, wait_until = " DB_NOW_MS " + ?"
                " WHERE id = ? AND state = ?",
                DB_ARGS(db_int(to), db_int(wait_ms), db_int(f->id), db_int(from)), &affected);

    return !err && affected != 1 ? RR_CONFLICT : err;
}

enum rr_err fence_move(struct ledger *l, const struct fence *f, enum fence_state from,
                       enum fence_state to, int64_t wait_ms)
{
    enum rr_err err = db_open(l->db);

    return err ? err : move(l, f, from, to, wait_ms);
}

struct snapshot {
    const struct fence *fence;
    const char *topic;
    const struct grant_log_end *ends;
    uint32_t n;
};

static enum rr_err snapshot_tx(struct ledger *l, void *arg)
{
    const struct snapshot *p = arg;
    enum rr_err err = move(l, p->fence, FENCE_WAITS, FENCE_DRAINS, 0);

    for (uint32_t i = 0; !err && i < p->n; i++)
        err = db_stmt(l->db,
                      "INSERT INTO rp_fence_end (fence, topic, part, low, high)"
                      " VALUES (?, ?, ?, ?, ?)",
                      DB_ARGS(db_int(p->fence->id), db_str(p->topic), db_int(p->ends[i].part),
                              db_int(p->ends[i].low), db_int(p->ends[i].high)),
                      NULL);
    return err;
}

enum rr_err fence_snapshot(struct ledger *l, const struct fence *f, const char *topic,
                           const struct grant_log_end *ends, uint32_t n)
{
    struct snapshot p = {.fence = f, .topic = topic, .ends = ends, .n = n};

    return ledger__tx(l, snapshot_tx, &p);
}

enum rr_err fence_lag(struct ledger *l, const struct fence *f, const char *code, int64_t *records)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_open(l->db);

    *records = 0;
    if (!err)
        err = db_select(l->db,
                        "SELECT (SELECT COALESCE(SUM(e.high - COALESCE(o.next_offset, e.low)), 0)"
                        " FROM rp_fence_end e LEFT JOIN rp_offset o ON o.topic = e.topic"
                        " AND o.part = e.part WHERE e.fence = ?"
                        " AND COALESCE(o.next_offset, e.low) < e.high)"
                        " + (SELECT COUNT(*) FROM rp_dead WHERE code = ? AND state = 'parked')",
                        DB_ARGS(db_int(f->id), db_str(code)), &rows);
    if (!err)
        *records = db_i64(&rows, 0, 0);
    db_rows_fini(&rows);
    return err;
}

enum rr_err fence_lower(struct ledger *l, const struct fence *f, const char *topic,
                        const struct grant_log_end *ends, uint32_t n)
{
    enum rr_err err = db_open(l->db);

    for (uint32_t i = 0; !err && i < n; i++) {
        uint64_t affected = 0;

        err = db_stmt(l->db,
                      "UPDATE rp_fence_end SET high = ? WHERE fence = ? AND topic = ? AND part = ?"
                      " AND high > ?",
                      DB_ARGS(db_int(ends[i].high), db_int(f->id), db_str(topic),
                              db_int(ends[i].part), db_int(ends[i].high)),
                      &affected);
        if (!err && affected)
            log_error("log_shrank", "partition %d ends before where a recovery saw its end",
                      (int)ends[i].part);
    }
    return err;
}

/* ---- lives ---- */

enum { LIVES_MAX = 64 }; /* a longer row of recoveries that never ended is not followed */

/* The life before `rid`, if the recovery between wrote its floor and did not end. RR_NOT_FOUND: there is none. */
static enum rr_err life_before(struct ledger *l, const char *code, uint32_t shard,
                               char rid[RR_RID_LEN + 1], uint32_t *floor)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_select(
        l->db,
        "SELECT s.old_rid, s.floor FROM rp_fence_shard s JOIN rp_fence f ON f.id = s.fence"
        " WHERE s.code = ? AND s.shard = ? AND s.new_rid = ? AND s.floor IS NOT NULL"
        " AND f.state <> 5 ORDER BY s.fence DESC LIMIT 1",
        DB_ARGS(db_str(code), db_int(shard), db_str(rid)), &rows);

    if (!err && rows.n == 0)
        err = RR_NOT_FOUND;
    if (!err) {
        RR_ASSERT(db_copy(&rows, 0, 0, rid, RR_RID_LEN + 1));
        *floor = (uint32_t)db_i64(&rows, 0, 1);
    }
    db_rows_fini(&rows);
    return err;
}

/* A recovery that wrote its rid and did not fill the pool left the state of the life before, and that is all there is. If it did
 * fill it, and the state was rolled back to before that, packets from its floor on may have gone to others: those are not believed. */
enum rr_err fence_believed(struct ledger *l, const char *code, const struct fence_shard *x,
                           const char *state_rid, uint32_t *below)
{
    char rid[RR_RID_LEN + 1];
    uint32_t least = UINT32_MAX;
    enum rr_err err = db_open(l->db);

    *below = 0;
    memcpy(rid, x->old_rid, sizeof(rid));
    for (int i = 0; !err && i < LIVES_MAX; i++) {
        uint32_t floor = 0;

        if (pool_same_life(state_rid, rid)) {
            *below = least;
            return RR_OK;
        }
        err = life_before(l, code, x->shard, rid, &floor);
        least = !err && floor < least ? floor : least;
    }
    return err == RR_NOT_FOUND ? RR_OK : err;
}

/* ---- floor and rid ---- */

struct fix {
    const struct fence *fence;
    const struct rain_info *rain;
    struct fence_shard *shards;
    uint32_t n;
};

/* The highest packet anybody may have been told, + 1: of the books, and of records that were set aside. */
static enum rr_err floor_of(struct ledger *l, const struct rain_info *r, struct fence_shard *x)
{
    struct db_rows rows = {.cols = 0};
    int64_t n = rain_shard_count(r->spec.count, r->spec.shards, x->shard);
    int64_t floor = x->keep;
    enum rr_err err = db_select(
        l->db,
        "SELECT COALESCE(MAX(packet_no) + 1, 0) FROM rp_grant WHERE code = ? AND shard = ?"
        " UNION ALL SELECT COALESCE(MAX(packet_no) + 1, 0) FROM rp_conflict WHERE code = ?"
        " AND state <> 'closed' AND shard = ? AND packet_no < ?"
        " UNION ALL SELECT COALESCE(MAX(packet_no) + 1, 0) FROM rp_dead WHERE code = ?"
        " AND state <> 'closed' AND shard = ? AND packet_no < ?"
        " UNION ALL SELECT COALESCE(granted_k, 0) FROM rp_escrow WHERE code = ? AND shard = ?",
        DB_ARGS(db_str(r->code), db_int(x->shard), db_str(r->code), db_int(x->shard), db_int(n),
                db_str(r->code), db_int(x->shard), db_int(n), db_str(r->code), db_int(x->shard)),
        &rows);

    for (uint32_t i = 0; !err && i < rows.n; i++)
        floor = db_i64(&rows, i, 0) > floor ? db_i64(&rows, i, 0) : floor;
    db_rows_fini(&rows);
    if (!err && floor > n)
        err = RR_CORRUPT;
    x->floor = (uint32_t)floor;
    return err;
}

/* The new rid first: it takes the row's lock. Whoever settles this shard meets that lock last, so what he inserted is either
 * committed and counted here, or fails on the condition of its rid. */
static enum rr_err fix_shard(struct ledger *l, const struct fix *p, struct fence_shard *x)
{
    uint64_t affected = 0;
    enum rr_err err = db_stmt(
        l->db, "UPDATE rp_escrow SET rid = ? WHERE code = ? AND shard = ? AND rid = ?",
        DB_ARGS(db_str(x->new_rid), db_str(p->rain->code), db_int(x->shard), db_str(x->old_rid)),
        &affected);

    if (!err && affected != 1)
        err = RR_CONFLICT;
    if (!err)
        err = floor_of(l, p->rain, x);
    if (!err)
        err = db_stmt(l->db, "UPDATE rp_fence_shard SET floor = ? WHERE fence = ? AND shard = ?",
                      DB_ARGS(db_int(x->floor), db_int(p->fence->id), db_int(x->shard)), NULL);
    return err;
}

static enum rr_err fix_tx(struct ledger *l, void *arg)
{
    const struct fix *p = arg;
    enum rr_err err = move(l, p->fence, FENCE_DRAINS, FENCE_APPLIES, 0);

    for (uint32_t i = 0; !err && i < p->n; i++)
        err = fix_shard(l, p, &p->shards[i]);
    if (!err)
        rr_fail(RECOVER_BEFORE_COMMIT);
    return err;
}

enum rr_err fence_fix(struct ledger *l, const struct fence *f, const struct rain_info *r,
                      struct fence_shard *shards, uint32_t n)
{
    struct fix p = {.fence = f, .rain = r, .shards = shards, .n = n};

    return ledger__tx(l, fix_tx, &p);
}

/* ---- the end ---- */

struct ending {
    const struct fence *fence;
    const char *code;
    const char *kind;
};

static enum rr_err end_tx(struct ledger *l, void *arg)
{
    const struct ending *p = arg;
    int64_t now_ms = ledger__now_ms();
    struct rain_info r;
    struct task close;
    uint64_t affected = 0;
    enum rr_err err = ledger__rain_lock(l, p->code, &r);

    if (!err)
        err = db_stmt(l->db,
                      "UPDATE rp_fence SET state = 5, kind = ?, ended_at = ?"
                      " WHERE id = ? AND state = 4",
                      DB_ARGS(db_str(p->kind), db_int(now_ms), db_int(p->fence->id)), &affected);
    if (!err && affected != 1)
        err = RR_CONFLICT;
    if (!err && r.status == RAIN_CLOSING)
        err = task_put(l, "close", p->code, 0, now_ms, &close);
    return err;
}

enum rr_err fence_end(struct ledger *l, const struct fence *f, const char *code, const char *kind)
{
    struct ending p = {.fence = f, .code = code, .kind = kind};

    return ledger__tx(l, end_tx, &p);
}
