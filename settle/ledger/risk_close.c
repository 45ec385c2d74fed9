/* risk_close.c - what becomes of a held grant: released to its user, or taken back. Locks in the order of settling: grant,
 * wallet, log. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ledger/risk_book.h"
#include "ledger_impl.h"
#include "protocol/pack.h"
#include "rain/rain.h"

enum { GRANT_SETTLED = 1, GRANT_HELD = 2, GRANT_TAKEN = 4 };

struct closing {
    const struct risk_packet *packet;
    const char *account; /* NULL: release */
    struct risk_closed *out;
    char biz_id[80];
};

static const char *biz_type(const struct closing *c)
{
    return c->account ? "take_back" : "release";
}

/* Done before, the same way? The log's second leg says where the money went. */
static enum rr_err closed_before(struct ledger *l, const struct closing *c)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_select(l->db,
                                "SELECT account_id FROM account_log WHERE biz_type = ?"
                                " AND biz_id = ? AND leg = 1",
                                DB_ARGS(db_str(biz_type(c)), db_str(c->biz_id)), &rows);

    if (!err)
        err = rows.n && (!c->account || rr_slice_eq_str(db_text(&rows, 0, 0), c->account))
                  ? RR_DUPLICATE
                  : RR_CONFLICT;
    db_rows_fini(&rows);
    return err;
}

static enum rr_err lock_grant(struct ledger *l, const struct closing *c)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_select(
        l->db,
        "SELECT state, user_id, amount, seq FROM rp_grant WHERE code = ?"
        " AND shard = ? AND packet_no = ? AND state <> 3 FOR UPDATE",
        DB_ARGS(db_str(c->packet->code), db_int(c->packet->shard), db_int(c->packet->packet_no)),
        &rows);
    bool held = false;

    if (!err && rows.n == 0)
        err = RR_NOT_FOUND;
    if (!err) {
        held = db_i64(&rows, 0, 0) == GRANT_HELD;
        *c->out = (struct risk_closed){.state = c->account ? 't' : 's',
                                       .user_id = db_i64(&rows, 0, 1),
                                       .amount_fen = db_i64(&rows, 0, 2),
                                       .seq = (uint32_t)db_i64(&rows, 0, 3)};
    }
    db_rows_fini(&rows);
    if (!err && !held)
        err = closed_before(l, c);
    return err;
}

static enum rr_err move_money(struct ledger *l, const struct closing *c, int64_t now_ms)
{
    struct db_rows rows = {.cols = 0};
    int64_t fen = c->out->amount_fen;
    int64_t balance_fen = 0;
    int64_t frozen_fen = 0;
    char user[24];
    enum rr_err err = db_stmt(
        l->db, "UPDATE wallet SET frozen = frozen - ?, balance = balance + ? WHERE user_id = ?",
        DB_ARGS(db_int(fen), db_int(c->account ? 0 : fen), db_int(c->out->user_id)), NULL);

    if (!err)
        err = db_select(l->db, "SELECT balance, frozen FROM wallet WHERE user_id = ?",
                        DB_ARGS(db_int(c->out->user_id)), &rows);
    if (!err && rows.n == 0)
        err = RR_CORRUPT;
    if (!err) {
        balance_fen = db_i64(&rows, 0, 0);
        frozen_fen = db_i64(&rows, 0, 1);
    }
    db_rows_fini(&rows);
    if (err)
        return err;
    snprintf(user, sizeof(user), "%" PRId64, c->out->user_id);
    ledger__log_begin(&l->sql);
    ledger__log_add(&l->sql,
                    &(struct log_row){"frozen", user, -fen, frozen_fen, biz_type(c), c->biz_id, 0},
                    now_ms);
    if (c->account)
        ledger__log_add(&l->sql,
                        &(struct log_row){"platform", c->account, fen, LEDGER_NO_AFTER, biz_type(c),
                                          c->biz_id, 1},
                        now_ms);
    else
        ledger__log_add(
            &l->sql,
            &(struct log_row){"balance", user, fen, balance_fen, biz_type(c), c->biz_id, 1},
            now_ms);
    return db_exec_buf(l->db, &l->sql, NULL);
}

static enum rr_err close_tx(struct ledger *l, void *arg)
{
    const struct closing *c = arg;
    const struct risk_packet *p = c->packet;
    int64_t now_ms = ledger__now_ms();
    enum rr_err err = lock_grant(l, c);

    if (!err)
        err = db_stmt(l->db,
                      "UPDATE rp_grant SET state = ? WHERE code = ? AND shard = ? AND packet_no = ?"
                      " AND state = 2",
                      DB_ARGS(db_int(c->account ? GRANT_TAKEN : GRANT_SETTLED), db_str(p->code),
                              db_int(p->shard), db_int(p->packet_no)),
                      NULL);
    if (!err)
        err = move_money(l, c, now_ms);
    if (!err)
        err = db_stmt(l->db,
                      "UPDATE rp_risk SET state = ?, account = ?, closed_at = ? WHERE code = ?"
                      " AND shard = ? AND packet_no = ?",
                      DB_ARGS(db_str(c->account ? "taken" : "released"),
                              c->account ? db_str(c->account) : db_null(), db_int(now_ms),
                              db_str(p->code), db_int(p->shard), db_int(p->packet_no)),
                      NULL);
    return err;
}

static enum rr_err close_held(struct ledger *l, struct closing *c)
{
    const struct risk_packet *p = c->packet;

    *c->out = (struct risk_closed){.state = 0};
    if (!rain_code_valid(rr_slice_str(p->code)))
        return RR_NOT_FOUND;
    snprintf(c->biz_id, sizeof(c->biz_id), "%c:%s:%u:%u", c->account ? 'T' : 'H', p->code, p->shard,
             p->packet_no);
    return ledger__tx(l, close_tx, c);
}

enum rr_err ledger_risk_release(struct ledger *l, const struct risk_packet *p,
                                struct risk_closed *out)
{
    struct closing c = {.packet = p, .out = out};

    return close_held(l, &c);
}

bool risk_account_valid(const char *account)
{
    size_t len = strlen(account);

    return len > 0 && len <= RISK_ACCOUNT_MAX &&
           strspn(account, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") ==
               len;
}

enum rr_err ledger_risk_take_back(struct ledger *l, const struct risk_packet *p,
                                  const char *account, struct risk_closed *out)
{
    struct closing c = {.packet = p, .account = account, .out = out};

    return risk_account_valid(account) ? close_held(l, &c) : RR_BAD_REQUEST;
}

enum rr_err risk_closed_push(const struct rain_notify *notify, const struct risk_packet *p,
                             const struct risk_closed *c)
{
    struct rr_buf b = {0};
    enum rr_err err = RR_OK;

    pack_map(&b, 6);
    pack_kv_str(&b, "code", p->code);
    pack_kv_int(&b, "seq", c->seq);
    pack_kv_int(&b, "shard", p->shard);
    pack_kv_int(&b, "no", p->packet_no);
    pack_kv_int(&b, "amount", c->amount_fen);
    pack_kv_str(&b, "state", c->state == 't' ? "taken_back" : "settled");
    err = notify->push_users(
        notify->impl, "GRANT_SETTLED",
        &(struct rain_user_push){.user_id = c->user_id, .payload = rr_slice_of(b.p, b.len)}, 1);
    rr_buf_fini(&b);
    return err;
}
