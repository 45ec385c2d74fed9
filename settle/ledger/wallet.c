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

struct deposit {
    int64_t user_id;
    int64_t amount_fen;
    const char *biz_id;
};

static enum rr_err deposit_tx(struct ledger *l, void *arg)
{
    const struct deposit *p = arg;
    char user[24];
    int64_t after_fen = 0;
    int64_t now_ms = ledger__now_ms();
    enum rr_err err = ledger__wallet_add(l, p->user_id, p->amount_fen, &after_fen);

    if (err)
        return err;
    snprintf(user, sizeof(user), "%" PRId64, p->user_id);
    return db_stmt(l->db,
                   "INSERT INTO account_log (account_kind, account_id, delta, balance_after,"
                   " biz_type, biz_id, leg, created_at) VALUES"
                   " ('external', 'deposit', ?, NULL, 'deposit', ?, 0, ?),"
                   " ('balance', ?, ?, ?, 'deposit', ?, 1, ?)",
                   DB_ARGS(db_int(-p->amount_fen), db_str(p->biz_id), db_int(now_ms), db_str(user),
                           db_int(p->amount_fen), db_int(after_fen), db_str(p->biz_id),
                           db_int(now_ms)),
                   NULL);
}

/* The biz id was used: by the same request, or by another one? */
static enum rr_err deposit_again(struct ledger *l, const struct deposit *p)
{
    struct db_rows rows;
    char user[24];
    enum rr_err err = db_open(l->db);

    if (err)
        return err;
    snprintf(user, sizeof(user), "%" PRId64, p->user_id);
    err = db_select(l->db,
                    "SELECT account_id, delta FROM account_log"
                    " WHERE biz_type = 'deposit' AND biz_id = ? AND leg = 1",
                    DB_ARGS(db_str(p->biz_id)), &rows);
    if (!err)
        err = rows.n == 1 && rr_slice_eq_str(db_text(&rows, 0, 0), user) &&
                      db_i64(&rows, 0, 1) == p->amount_fen
                  ? RR_DUPLICATE
                  : RR_CONFLICT;
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
    struct deposit p = {.user_id = user_id, .amount_fen = amount_fen, .biz_id = biz_id};
    enum rr_err err = RR_OK;
    enum rr_err read = RR_OK;

    *out = (struct wallet){.user_id = user_id};
    if (user_id <= 0 || amount_fen <= 0 || amount_fen > RR_FEN_MAX || !biz_id_valid(biz_id))
        return RR_BAD_REQUEST;
    err = ledger__tx(l, deposit_tx, &p);
    if (err == RR_DUPLICATE)
        err = deposit_again(l, &p);
    if (err && err != RR_DUPLICATE)
        return err;
    read = ledger_wallet(l, user_id, out);
    return read ? read : err;
}
