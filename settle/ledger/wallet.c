#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ledger_impl.h"

/* ---- double entry ---- */

void ledger__log_begin(struct rr_buf *sql)
{
    rr_buf_puts(sql, "INSERT INTO account_log (account_kind, account_id, delta, balance_after,"
                     " biz_type, biz_id, leg, created_at) VALUES ");
}

void ledger__log_add(struct rr_buf *sql, const struct log_row *row, int64_t now_ms)
{
    char after[24] = "NULL";

    if (row->after >= 0)
        snprintf(after, sizeof(after), "%" PRId64, row->after);
    if (sql->len && sql->p[sql->len - 1] == ')')
        rr_buf_puts(sql, ",");
    rr_buf_printf(sql, "('%s','%s',%" PRId64 ",%s,'%s','%s',%u,%" PRId64 ")", row->kind,
                  row->account_id, row->delta, after, row->biz_type, row->biz_id, row->leg, now_ms);
}

/* ---- wallets ---- */

enum rr_err ledger_wallet(struct ledger *l, int64_t user_id, struct wallet *out)
{
    struct db_rows rows;
    enum rr_err err = db_open(l->db);

    *out = (struct wallet){.user_id = user_id};
    if (err)
        return err;
    err = db_select(l->db, "SELECT balance, frozen FROM wallet WHERE user_id = ?",
                    DB_ARGS(db_int(user_id)), &rows);
    if (!err && rows.n) {
        out->balance_fen = db_i64(&rows, 0, 0);
        out->frozen_fen = db_i64(&rows, 0, 1);
    }
    db_rows_fini(&rows);
    return err;
}

enum rr_err ledger__wallet_add(struct ledger *l, int64_t user_id, int64_t delta_fen,
                               int64_t *after_fen)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_stmt(l->db,
                              "INSERT INTO wallet (user_id, balance, frozen) VALUES (?, ?, 0)"
                              " ON DUPLICATE KEY UPDATE balance = balance + VALUES(balance)",
                              DB_ARGS(db_int(user_id), db_int(delta_fen)), NULL);

    if (!err)
        err = db_select(l->db, "SELECT balance FROM wallet WHERE user_id = ?",
                        DB_ARGS(db_int(user_id)), &rows);
    if (!err)
        *after_fen = db_i64(&rows, 0, 0);
    db_rows_fini(&rows);
    return err;
}

static bool biz_id_valid(const char *biz_id)
{
    size_t len = strlen(biz_id);

    if (len == 0 || len > RR_BIZ_ID_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (biz_id[i] <= ' ' || biz_id[i] > '~')
            return false;
    }
    return true;
}

enum rr_err ledger_deposit(struct ledger *l, int64_t user_id, int64_t amount_fen,
                           const char *biz_id, struct wallet *out)
{
    struct wallet_request r = {
        .op = WALLET_DEPOSIT, .user_id = user_id, .amount_fen = amount_fen, .biz_id = ""};
    struct wallet_done done;
    enum rr_err err = RR_OK;
    enum rr_err read = RR_OK;

    *out = (struct wallet){.user_id = user_id};
    if (!biz_id_valid(biz_id))
        return RR_BAD_REQUEST;
    memcpy(r.biz_id, biz_id, strlen(biz_id) + 1);
    err = ledger__wallet_op(l, &r, &done);
    if (err && err != RR_DUPLICATE)
        return err;
    read = ledger_wallet(l, user_id, out);
    return read ? read : err;
}

/* ---- the log of a wallet ---- */

enum rr_err ledger_wallet_log(struct ledger *l, int64_t user_id, int64_t before_id,
                              struct wallet_log_row *out, uint32_t max, uint32_t *n)
{
    struct db_rows rows = {.cols = 0};
    char user[24];
    enum rr_err err = db_open(l->db);

    *n = 0;
    if (err)
        return err;
    snprintf(user, sizeof(user), "%" PRId64, user_id);
    err = db_select(
        l->db,
        "SELECT id, account_kind, delta, balance_before, balance_after, created_at,"
        " biz_type, biz_id FROM account_log WHERE account_id = ? AND id < ?"
        " AND account_kind IN ('balance', 'frozen') ORDER BY id DESC LIMIT ?",
        DB_ARGS(db_str(user), db_int(before_id > 0 ? before_id : INT64_MAX), db_int(max)), &rows);
    for (uint32_t i = 0; !err && i < rows.n && i < max; i++) {
        struct wallet_log_row *row = &out[(*n)++];
        bool noted = !db_null_at(&rows, i, 4);

        *row = (struct wallet_log_row){.id = db_i64(&rows, i, 0),
                                       .frozen = rr_slice_eq_str(db_text(&rows, i, 1), "frozen"),
                                       .delta_fen = db_i64(&rows, i, 2),
                                       .before_fen = noted ? db_i64(&rows, i, 3) : -1,
                                       .after_fen = noted ? db_i64(&rows, i, 4) : -1,
                                       .at_ms = db_i64(&rows, i, 5)};
        RR_ASSERT(db_copy(&rows, i, 6, row->biz_type, sizeof(row->biz_type)));
        RR_ASSERT(db_copy(&rows, i, 7, row->biz_id, sizeof(row->biz_id)));
    }
    db_rows_fini(&rows);
    return err;
}
