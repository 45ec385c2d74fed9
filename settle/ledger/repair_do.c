/* repair_do.c - one proposal into the books. Each checks under its locks that what was seen is still so. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "repair_impl.h"
#include "settle.h"

/* ---- records ---- */

static enum rr_err close_rows(struct ledger *l, const struct repair_entry *e)
{
    int64_t now_ms = ledger__now_ms();
    enum rr_err err = RR_OK;

    if (e->dead_id)
        err = db_stmt(l->db,
                      "UPDATE rp_dead SET state = 'closed', closed_at = ?"
                      " WHERE id = ? AND state <> 'closed'",
                      DB_ARGS(db_int(now_ms), db_int(e->dead_id)), NULL);
    if (!err && e->conflict_id)
        err = db_stmt(l->db,
                      "UPDATE rp_conflict SET state = 'closed', closed_at = ?"
                      " WHERE id = ? AND state <> 'closed'",
                      DB_ARGS(db_int(now_ms), db_int(e->conflict_id)), NULL);
    return err;
}

static enum rr_err do_close_rows(struct ledger *l, const struct repair_entry *e)
{
    enum rr_err err = db_open(l->db);

    return err ? err : close_rows(l, e);
}

/* By the function that settles every grant, under the run id the escrow has now. */
static enum rr_err do_grant(struct ledger *l, const struct repair_entry *e)
{
    struct settle_outcome o = {.settled = 0};
    struct settle_item item = {.decoded = true, .raw = rr_slice_str("repair")};
    struct escrow_row shards[RR_SHARDS_MAX];
    struct rain_info r;
    enum rr_err err = ledger_rain_get(l, e->code, &r);

    if (!err)
        err = escrow_read(l, &r, shards);
    if (err || e->shard >= r.spec.shards || !shards[e->shard].closed)
        return err ? err : RR_CONFLICT;
    item.rec = (struct grant_record){.user_id = e->user_id,
                                     .amount_fen = e->amount_fen,
                                     .seq = e->seq,
                                     .packet_no = e->packet_no,
                                     .shard = e->shard,
                                     .granted_at_ms = r.t1_ms};
    memcpy(item.rec.code, r.code, sizeof(item.rec.code));
    memcpy(item.rec.room_id, r.spec.room_id, sizeof(item.rec.room_id));
    memcpy(item.rec.rid, shards[e->shard].rid, sizeof(item.rec.rid));
    err = ledger__settle_direct(l, &item, 1, &o);
    if (!err && o.settled + o.duplicates != 1)
        err = RR_CONFLICT; /* it is set aside once more, as what it is now */
    settle_outcome_fini(&o);
    return err ? err : do_close_rows(l, e);
}

/* ---- money of the platform ---- */

static enum rr_err put_legs(struct ledger *l, const struct repair_entry *e, const char *kind,
                            int64_t delta_fen, int64_t after_fen)
{
    int64_t now_ms = ledger__now_ms();
    char user[24];

    snprintf(user, sizeof(user), "%" PRId64, e->user_id);
    return db_stmt(l->db,
                   "INSERT INTO account_log (account_kind, account_id, delta, balance_after,"
                   " biz_type, biz_id, leg, created_at) VALUES"
                   " ('platform', ?, ?, NULL, 'repair', ?, 0, ?), (?, ?, ?, ?, 'repair', ?, 1, ?)",
                   DB_ARGS(db_str(e->kind == REPAIR_TOLD ? "told" : "repair"), db_int(-delta_fen),
                           db_str(e->biz_id), db_int(now_ms), db_str(kind), db_str(user),
                           db_int(delta_fen), db_int(after_fen), db_str(e->biz_id), db_int(now_ms)),
                   NULL);
}

static enum rr_err pay_tx(struct ledger *l, void *arg)
{
    const struct repair_entry *e = arg;
    int64_t after_fen = 0;
    enum rr_err err = ledger__wallet_add(l, e->user_id, e->amount_fen, &after_fen);

    if (!err)
        err = put_legs(l, e, "balance", e->amount_fen, after_fen);
    return err ? err : close_rows(l, e);
}

static enum rr_err do_pay(struct ledger *l, const struct repair_entry *e)
{
    struct repair_entry copy = *e;
    enum rr_err err = ledger__tx(l, pay_tx, &copy);

    /* Paid before, under this biz id: by another record of the same win. */
    return err == RR_DUPLICATE ? do_close_rows(l, e) : err;
}

/* The wallet stays as it is; its log and the platform's account take the difference. Whoever writes this wallet's log holds the
 * wallet's row. */
static enum rr_err wallet_tx(struct ledger *l, void *arg)
{
    const struct repair_entry *e = arg;
    bool frozen = strncmp(e->to, "frozen", 6) == 0;
    struct db_rows rows = {.cols = 0};
    int64_t is_fen = 0;
    int64_t log_fen = 0;
    char user[24];
    enum rr_err err = db_stmt(l->db,
                              "INSERT INTO wallet (user_id, balance, frozen) VALUES (?, 0, 0)"
                              " ON DUPLICATE KEY UPDATE balance = balance",
                              DB_ARGS(db_int(e->user_id)), NULL);

    snprintf(user, sizeof(user), "%" PRId64, e->user_id);
    if (!err)
        err = db_select(l->db, "SELECT balance, frozen FROM wallet WHERE user_id = ? FOR UPDATE",
                        DB_ARGS(db_int(e->user_id)), &rows);
    is_fen = !err ? db_i64(&rows, 0, frozen ? 1 : 0) : 0;
    db_rows_fini(&rows);
    if (!err)
        err = db_select(l->db,
                        "SELECT COALESCE(SUM(delta), 0) FROM account_log"
                        " WHERE account_id = ? AND account_kind = ?",
                        DB_ARGS(db_str(user), db_str(frozen ? "frozen" : "balance")), &rows);
    log_fen = !err ? db_i64(&rows, 0, 0) : 0;
    db_rows_fini(&rows);
    if (err)
        return err;
    if (is_fen - log_fen == 0)
        return RR_OK; /* done before */
    if (is_fen - log_fen != e->amount_fen)
        return RR_CONFLICT;
    return put_legs(l, e, frozen ? "frozen" : "balance", e->amount_fen, is_fen);
}

static enum rr_err do_wallet(struct ledger *l, const struct repair_entry *e)
{
    struct repair_entry copy = *e;

    return ledger__tx(l, wallet_tx, &copy);
}

/* ---- refunds and ends ---- */

static enum rr_err do_refund(struct ledger *l, const struct repair_entry *e)
{
    struct escrow_row shards[RR_SHARDS_MAX];
    struct rain_info r;
    enum rr_err err = ledger_rain_get(l, e->code, &r);

    if (!err)
        err = escrow_read(l, &r, shards);
    if (err || e->shard >= r.spec.shards || !shards[e->shard].closed)
        return err ? err : RR_CONFLICT;
    if (e->kind == REPAIR_VOID_REFUND)
        return escrow_void_refund(l, &r, &shards[e->shard], e->packet_no, e->amount_fen);
    if (shards[e->shard].granted_k != e->packet_no)
        return RR_CONFLICT;
    return escrow_refund(l, &r, &shards[e->shard], e->amount_fen);
}

/* A rain that is over and still holds money is not over. */
static enum rr_err close_again_tx(struct ledger *l, void *arg)
{
    const struct repair_entry *e = arg;
    struct rain_info r;
    struct task t;
    enum rr_err err = ledger__rain_lock(l, e->code, &r);

    if (!err && r.status == RAIN_SETTLED)
        err = ledger__rain_status(l, e->code, RAIN_SETTLED, RAIN_CLOSING);
    if (!err && r.status == RAIN_CANCELLED)
        err = RR_CONFLICT;
    if (!err)
        err = task_put(l, "close", e->code, 0, ledger__now_ms(), &t);
    return err;
}

static enum rr_err do_close_again(struct ledger *l, const struct repair_entry *e)
{
    struct repair_entry copy = *e;

    return ledger__tx(l, close_again_tx, &copy);
}

enum rr_err repair__do(struct ledger *l, const struct repair_entry *e)
{
    switch (e->kind) {
    case REPAIR_GRANT: return do_grant(l, e);
    case REPAIR_TOLD:
    case REPAIR_MAKE_GOOD: return do_pay(l, e);
    case REPAIR_CLOSE_PAID:
    case REPAIR_CLOSE_REJECTED: return do_close_rows(l, e);
    case REPAIR_REFUND:
    case REPAIR_VOID_REFUND: return do_refund(l, e);
    case REPAIR_WALLET: return do_wallet(l, e);
    case REPAIR_CLOSE_AGAIN: return do_close_again(l, e);
    case REPAIR_KIND_COUNT: break;
    }
    return RR_BAD_REQUEST;
}

/* ---- what it is about, for the log ---- */

static void say(char *out, size_t cap, const char *text)
{
    size_t len = strlen(out);

    snprintf(out + len, cap - len, "%s%s", len ? "; " : "", text);
}

static enum rr_err observe(struct ledger *l, const char *sql, const struct db_arg *args, size_t n,
                           char *out, size_t cap)
{
    struct db_rows rows = {.cols = 0};
    char text[160] = "";
    enum rr_err err = db_select(l->db, sql, args, n, &rows);

    if (!err && rows.n && db_copy(&rows, 0, 0, text, sizeof(text)))
        say(out, cap, text);
    db_rows_fini(&rows);
    return err;
}

enum rr_err repair__observe(struct ledger *l, const struct repair_entry *e, char *out, size_t cap)
{
    char user[24];
    enum rr_err err = db_open(l->db);

    out[0] = 0;
    snprintf(user, sizeof(user), "%" PRId64, e->user_id);
    if (!err && e->user_id)
        err = observe(l,
                      "SELECT CONCAT('user ', w.user_id, ': balance ', w.balance, ' frozen ',"
                      " w.frozen, ', log ', (SELECT COALESCE(SUM(IF(a.account_kind = 'balance',"
                      " a.delta, 0)), 0) FROM account_log a WHERE a.account_id = ?), ' and ',"
                      " (SELECT COALESCE(SUM(IF(a.account_kind = 'frozen', a.delta, 0)), 0)"
                      " FROM account_log a WHERE a.account_id = ?)) FROM wallet w"
                      " WHERE w.user_id = ?",
                      DB_ARGS(db_str(user), db_str(user), db_int(e->user_id)), out, cap);
    if (!err && e->code[0])
        err = observe(l,
                      "SELECT CONCAT('shard ', shard, ': remain ', remain, ' settled ', settled,"
                      " ' refunded ', refunded) FROM rp_escrow WHERE code = ? AND shard = ?",
                      DB_ARGS(db_str(e->code), db_int(e->shard)), out, cap);
    if (!err && e->kind == REPAIR_CLOSE_AGAIN)
        err = observe(l,
                      "SELECT CONCAT('status ', c.status, ', ', (SELECT COUNT(*) FROM rp_task t"
                      " WHERE t.code = c.config_code AND t.state = 0), ' steps armed')"
                      " FROM t_red_packet_config c WHERE c.config_code = ?",
                      DB_ARGS(db_str(e->code)), out, cap);
    if (!err && e->dead_id)
        err = observe(l, "SELECT CONCAT('rp_dead ', id, ': ', state) FROM rp_dead WHERE id = ?",
                      DB_ARGS(db_int(e->dead_id)), out, cap);
    if (!err && e->conflict_id)
        err = observe(l,
                      "SELECT CONCAT('rp_conflict ', id, ': ', state) FROM rp_conflict"
                      " WHERE id = ?",
                      DB_ARGS(db_int(e->conflict_id)), out, cap);
    return err;
}
