/* escrow.c - what closing does to a shard's money: fix what was granted, give the rest back, once. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/log.h"
#include "saga_impl.h"

enum rr_err escrow_read(struct ledger *l, const struct rain_info *r,
                        struct escrow_row rows_out[RR_SHARDS_MAX])
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_open(l->db);

    if (!err)
        err = db_select(l->db,
                        "SELECT shard, total, remain, settled_cnt, granted_k, rid FROM rp_escrow"
                        " WHERE code = ? ORDER BY shard",
                        DB_ARGS(db_str(r->code)), &rows);
    if (!err && (rows.n != r->spec.shards || rows.n > RR_SHARDS_MAX))
        err = RR_CORRUPT;
    for (uint32_t i = 0; !err && i < rows.n; i++) {
        struct escrow_row *row = &rows_out[i];

        *row = (struct escrow_row){.shard = (uint32_t)db_i64(&rows, i, 0),
                                   .total_fen = db_i64(&rows, i, 1),
                                   .remain_fen = db_i64(&rows, i, 2),
                                   .settled_count = db_i64(&rows, i, 3),
                                   .closed = !db_null_at(&rows, i, 4),
                                   .granted_k = (uint32_t)db_i64(&rows, i, 4)};
        RR_ASSERT(db_copy(&rows, i, 5, row->rid, sizeof(row->rid)));
    }
    db_rows_fini(&rows);
    return err;
}

struct closing {
    const char *code;
    struct escrow_row *row;
    uint32_t k;
};

/* The escrow's lock first: whoever settles later meets the condition on granted_k. */
static enum rr_err close_tx(struct ledger *l, void *arg)
{
    struct closing *p = arg;
    struct db_rows rows = {.cols = 0};
    int64_t k = p->k;
    uint64_t affected = 0;
    enum rr_err err =
        db_select(l->db, "SELECT granted_k FROM rp_escrow WHERE code = ? AND shard = ? FOR UPDATE",
                  DB_ARGS(db_str(p->code), db_int(p->row->shard)), &rows);

    if (!err && rows.n == 0)
        err = RR_CORRUPT;
    if (!err && !db_null_at(&rows, 0, 0)) {
        p->row->granted_k = (uint32_t)db_i64(&rows, 0, 0);
        db_rows_fini(&rows);
        return RR_OK;
    }
    db_rows_fini(&rows);
    if (!err)
        err = db_select(l->db,
                        "SELECT COALESCE(MAX(packet_no) + 1, 0) FROM rp_grant"
                        " WHERE code = ? AND shard = ?",
                        DB_ARGS(db_str(p->code), db_int(p->row->shard)), &rows);
    if (!err && db_i64(&rows, 0, 0) > k) {
        log_error("pool_behind_books", "rain %s shard %u: pool granted %u, books have %" PRId64,
                  p->code, p->row->shard, p->k, db_i64(&rows, 0, 0));
        k = db_i64(&rows, 0, 0);
    }
    db_rows_fini(&rows);
    if (!err)
        err =
            db_stmt(l->db,
                    "UPDATE rp_escrow SET granted_k = ?"
                    " WHERE code = ? AND shard = ? AND granted_k IS NULL AND rid = ?",
                    DB_ARGS(db_int(k), db_str(p->code), db_int(p->row->shard), db_str(p->row->rid)),
                    &affected);
    if (!err && affected != 1)
        err = RR_CONFLICT;
    if (!err)
        p->row->granted_k = (uint32_t)k;
    return err;
}

enum rr_err escrow_close(struct ledger *l, const char *code, struct escrow_row *row, uint32_t k)
{
    struct closing p = {.code = code, .row = row, .k = k};
    enum rr_err err = ledger__tx(l, close_tx, &p);

    if (!err)
        row->closed = true;
    return err;
}

enum rr_err escrow__give_back(struct ledger *l, const struct rain_info *r, uint32_t shard,
                              const char *biz_type, const char *biz_id, int64_t amount_fen)
{
    int64_t now_ms = ledger__now_ms();
    int64_t after_fen = 0;
    char account[40];
    char user[24];
    enum rr_err err = ledger__wallet_add(l, r->spec.sender_id, amount_fen, &after_fen);

    if (err)
        return err;
    snprintf(account, sizeof(account), "%s:%u", r->code, shard);
    snprintf(user, sizeof(user), "%" PRId64, r->spec.sender_id);
    ledger__log_begin(&l->sql);
    ledger__log_add(
        &l->sql,
        &(struct log_row){"escrow", account, -amount_fen, LEDGER_NO_AFTER, biz_type, biz_id, 0},
        now_ms);
    ledger__log_add(&l->sql,
                    &(struct log_row){"balance", user, amount_fen, after_fen, biz_type, biz_id, 1},
                    now_ms);
    return db_exec_buf(l->db, &l->sql, NULL);
}

struct refund {
    const struct rain_info *rain;
    const struct escrow_row *row;
    int64_t amount_fen;
    uint32_t packet_no; /* void */
    bool row_exists;    /* void: only its refund is missing */
};

static enum rr_err take_from_escrow(struct ledger *l, const struct refund *p)
{
    uint64_t affected = 0;
    enum rr_err err =
        db_stmt(l->db,
                "UPDATE rp_escrow SET remain = remain - ?, refunded = refunded + ?"
                " WHERE code = ? AND shard = ? AND granted_k = ?",
                DB_ARGS(db_int(p->amount_fen), db_int(p->amount_fen), db_str(p->rain->code),
                        db_int(p->row->shard), db_int(p->row->granted_k)),
                &affected);

    return !err && affected != 1 ? RR_CONFLICT : err;
}

static enum rr_err refund_tx(struct ledger *l, void *arg)
{
    const struct refund *p = arg;
    char biz_id[80];
    enum rr_err err = RR_OK;

    snprintf(biz_id, sizeof(biz_id), "R:%s:%u", p->rain->code, p->row->shard);
    err = escrow__give_back(l, p->rain, p->row->shard, "refund", biz_id, p->amount_fen);
    if (!err)
        err = take_from_escrow(l, p);
    if (!err)
        rr_fail(REFUND_BEFORE_COMMIT);
    return err;
}

static enum rr_err void_tx(struct ledger *l, void *arg)
{
    const struct refund *p = arg;
    int64_t now_ms = ledger__now_ms();
    char biz_id[80];
    enum rr_err err = RR_OK;

    if (!p->row_exists)
        err = db_stmt(l->db,
                      "INSERT INTO rp_grant (code, shard, packet_no, user_id, seq, amount, state,"
                      " granted_at, settled_at) VALUES (?, ?, ?, NULL, NULL, ?, 3, ?, ?)",
                      DB_ARGS(db_str(p->rain->code), db_int(p->row->shard), db_int(p->packet_no),
                              db_int(p->amount_fen), db_int(now_ms), db_int(now_ms)),
                      NULL);

    snprintf(biz_id, sizeof(biz_id), "V:%s:%u:%u", p->rain->code, p->row->shard, p->packet_no);
    if (!err)
        err = escrow__give_back(l, p->rain, p->row->shard, "void", biz_id, p->amount_fen);
    if (!err)
        err = take_from_escrow(l, p);
    if (!err)
        rr_fail(VOID_BEFORE_COMMIT);
    return err;
}

/* The biz id's unique key says that it was done before. */
static enum rr_err once(struct ledger *l, ledger_tx_fn tx, struct refund *p)
{
    enum rr_err err = ledger__tx(l, tx, p);

    return err == RR_DUPLICATE ? RR_OK : err;
}

enum rr_err escrow_refund(struct ledger *l, const struct rain_info *r, const struct escrow_row *row,
                          int64_t amount_fen)
{
    struct refund p = {.rain = r, .row = row, .amount_fen = amount_fen};
    enum rr_err err = amount_fen ? once(l, refund_tx, &p) : RR_OK;

    if (!err && amount_fen)
        rr_fail(REFUND_AFTER_COMMIT);
    return err;
}

enum rr_err escrow_void(struct ledger *l, const struct rain_info *r, const struct escrow_row *row,
                        uint32_t packet_no, int64_t amount_fen)
{
    struct refund p = {.rain = r, .row = row, .amount_fen = amount_fen, .packet_no = packet_no};
    enum rr_err err = once(l, void_tx, &p);

    if (!err)
        rr_fail(VOID_AFTER_COMMIT);
    return err;
}

enum rr_err escrow_void_refund(struct ledger *l, const struct rain_info *r,
                               const struct escrow_row *row, uint32_t packet_no, int64_t amount_fen)
{
    struct refund p = {.rain = r,
                       .row = row,
                       .amount_fen = amount_fen,
                       .packet_no = packet_no,
                       .row_exists = true};

    return once(l, void_tx, &p);
}
