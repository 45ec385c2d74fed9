/* settle_rows.c - the statements of a settling transaction. Text SQL holds integers and checked codes only. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "settle_job.h"

enum rr_err settle__move_offset(struct ledger *l, struct settle_job *job)
{
    const struct settle_batch *b = job->batch;
    struct db_rows rows = {.cols = 0};
    uint64_t affected = 0;
    enum rr_err err = RR_OK;

    if (job->direct)
        return RR_OK;
    err = db_stmt(l->db,
                  "UPDATE rp_offset SET next_offset = ?, updated_at = ?"
                  " WHERE topic = ? AND part = ? AND next_offset = ?",
                  DB_ARGS(db_int(b->next_offset), db_int(ledger__now_ms()), db_str(b->topic),
                          db_int(b->partition), db_int(b->expected_offset)),
                  &affected);
    if (err || affected == 1)
        return err;
    err = db_select(l->db, "SELECT next_offset FROM rp_offset WHERE topic = ? AND part = ?",
                    DB_ARGS(db_str(b->topic), db_int(b->partition)), &rows);
    if (!err) {
        job->cas_failed = true;
        job->sql_offset = rows.n ? db_i64(&rows, 0, 0) : -1;
        err = rows.n ? RR_CONFLICT : RR_NOT_FOUND;
    }
    db_rows_fini(&rows);
    return err;
}

static enum rr_err insert_grants(struct ledger *l, const struct settle_job *job, int64_t now_ms)
{
    rr_buf_puts(&l->sql,
                "INSERT INTO rp_grant (code, shard, packet_no, user_id, seq, amount, state,"
                " granted_at, settled_at) VALUES ");
    for (uint32_t i = 0; i < job->take_n; i++) {
        const struct grant_record *r = &job->take[i]->item->rec;

        rr_buf_printf(&l->sql,
                      "%s('%s',%u,%u,%" PRId64 ",%u,%" PRId64 ",1,%" PRId64 ",%" PRId64 ")",
                      i ? "," : "", r->code, r->shard, r->packet_no, r->user_id, r->seq,
                      r->amount_fen, r->granted_at_ms, now_ms);
    }
    return db_exec_buf(l->db, &l->sql, NULL);
}

static int by_user(const void *pa, const void *pb)
{
    const struct settle_wallet *a = pa;
    const struct settle_wallet *b = pb;

    return (a->user_id > b->user_id) - (a->user_id < b->user_id);
}

/* One row per user, ascending: two settlers that pay the same users lock them in the same order. */
static void sum_wallets(struct settle_job *job, int64_t now_ms)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < job->take_n; i++) {
        const struct grant_record *r = &job->take[i]->item->rec;

        /* A clock that runs ahead must not open a day that never ends. */
        int64_t at_ms = r->granted_at_ms < now_ms ? r->granted_at_ms : now_ms;

        job->wallets[i] = (struct settle_wallet){.user_id = r->user_id,
                                                 .sum_fen = r->amount_fen,
                                                 .day = risk_day(at_ms, job->rules.day_offset_ms)};
    }
    qsort(job->wallets, job->take_n, sizeof(*job->wallets), by_user);
    for (uint32_t i = 0; i < job->take_n; i++) {
        struct settle_wallet *last = n ? &job->wallets[n - 1] : NULL;
        const struct settle_wallet *w = &job->wallets[i];

        if (!last || last->user_id != w->user_id) {
            job->wallets[n++] = *w;
            continue;
        }
        last->sum_fen += w->sum_fen;
        last->day = w->day > last->day ? w->day : last->day;
    }
    job->wallets_n = n;
}

struct settle_wallet *settle__wallet(const struct settle_job *job, int64_t user_id)
{
    struct settle_wallet key = {.user_id = user_id};

    return bsearch(&key, job->wallets, job->wallets_n, sizeof(key), by_user);
}

/* The day's sum goes with it. A grant of a day that is over counts for the day after: it came late. */
static enum rr_err upsert_wallets(struct ledger *l, struct settle_job *job, int64_t now_ms)
{
    sum_wallets(job, now_ms);
    rr_buf_puts(&l->sql,
                "INSERT INTO wallet (user_id, balance, frozen, risk_day, risk_fen) VALUES ");
    for (uint32_t i = 0; i < job->wallets_n; i++) {
        const struct settle_wallet *w = &job->wallets[i];

        rr_buf_printf(&l->sql, "%s(%" PRId64 ",%" PRId64 ",0,%d,%" PRId64 ")", i ? "," : "",
                      w->user_id, w->sum_fen, (int)w->day, w->sum_fen);
    }
    /* In this order: the second line reads the day as it was. */
    rr_buf_puts(&l->sql, " ON DUPLICATE KEY UPDATE balance = balance + VALUES(balance),"
                         " risk_fen = IF(risk_day < VALUES(risk_day), 0, risk_fen)"
                         " + VALUES(risk_fen),"
                         " risk_day = GREATEST(risk_day, VALUES(risk_day))");
    return db_exec_buf(l->db, &l->sql, NULL);
}

/* The new balances are ours to read: this transaction holds their rows. */
static enum rr_err read_balances(struct ledger *l, struct settle_job *job)
{
    struct db_rows rows;
    enum rr_err err = RR_OK;

    rr_buf_puts(&l->sql,
                "SELECT user_id, balance, frozen, risk_fen FROM wallet WHERE user_id IN (");
    for (uint32_t i = 0; i < job->wallets_n; i++)
        rr_buf_printf(&l->sql, "%s%" PRId64, i ? "," : "", job->wallets[i].user_id);
    rr_buf_puts(&l->sql, ")");
    err = db_query_buf(l->db, &l->sql, &rows);
    for (uint32_t i = 0; !err && i < rows.n; i++) {
        struct settle_wallet *w = settle__wallet(job, db_i64(&rows, i, 0));

        if (!w)
            continue;
        w->running_fen = db_i64(&rows, i, 1) - w->sum_fen;
        w->running_frozen_fen = db_i64(&rows, i, 2);
        w->day_fen = db_i64(&rows, i, 3) - w->sum_fen;
    }
    db_rows_fini(&rows);
    return err;
}

static enum rr_err insert_log(struct ledger *l, struct settle_job *job, int64_t now_ms)
{
    ledger__log_begin(&l->sql);
    for (uint32_t i = 0; i < job->take_n; i++) {
        const struct grant_record *r = &job->take[i]->item->rec;
        struct settle_wallet *w = settle__wallet(job, r->user_id);
        bool held = job->take[i]->held;
        int64_t *running_fen = held ? &w->running_frozen_fen : &w->running_fen;
        char biz_id[80];
        char escrow[40];
        char user[24];

        *running_fen += r->amount_fen;
        snprintf(biz_id, sizeof(biz_id), "%s:%" PRId64 ":%u", r->code, r->user_id, r->seq);
        snprintf(escrow, sizeof(escrow), "%s:%u", r->code, r->shard);
        snprintf(user, sizeof(user), "%" PRId64, r->user_id);
        ledger__log_add(&l->sql,
                        &(struct log_row){"escrow", escrow, -r->amount_fen, LEDGER_NO_AFTER,
                                          "grant", biz_id, 0},
                        now_ms);
        ledger__log_add(&l->sql,
                        &(struct log_row){held ? "frozen" : "balance", user, r->amount_fen,
                                          *running_fen, "grant", biz_id, 1},
                        now_ms);
    }
    return db_exec_buf(l->db, &l->sql, NULL);
}

/* Last, per shard: pays only out of the state this rain is in now. Without the condition on granted_k a packet could be
 * paid and refunded. */
static enum rr_err update_escrow(struct ledger *l, const struct settle_job *job)
{
    uint32_t i = 0;

    while (i < job->take_n) {
        const struct grant_record *first = &job->take[i]->item->rec;
        const struct grant_record *r = first;
        int64_t sum_fen = 0;
        uint32_t n = 0;
        uint64_t affected = 0;
        enum rr_err err = RR_OK;

        for (; i < job->take_n; i++, n++) {
            const struct grant_record *next = &job->take[i]->item->rec;

            if (strcmp(next->code, first->code) != 0 || next->shard != first->shard)
                break;
            sum_fen += next->amount_fen;
            r = next;
        }
        err = db_stmt(l->db,
                      "UPDATE rp_escrow SET remain = remain - ?, settled = settled + ?,"
                      " settled_cnt = settled_cnt + ? WHERE code = ? AND shard = ? AND rid = ?"
                      " AND (granted_k IS NULL OR granted_k > ?)",
                      DB_ARGS(db_int(sum_fen), db_int(sum_fen), db_int(n), db_str(first->code),
                              db_int(first->shard), db_str(first->rid), db_int(r->packet_no)),
                      &affected);
        if (!err && affected != 1)
            err = RR_CONFLICT;
        if (err)
            return err;
    }
    return RR_OK;
}

enum rr_err settle__pay(struct ledger *l, struct settle_job *job, int64_t now_ms)
{
    enum rr_err err = RR_OK;

    job->held_n = 0;
    if (job->take_n == 0)
        return RR_OK;
    risk_cell_get(l->rules, &job->rules);
    err = insert_grants(l, job, now_ms);
    if (!err)
        err = upsert_wallets(l, job, now_ms);
    if (!err)
        err = read_balances(l, job);
    if (!err)
        err = settle__hold(l, job, now_ms);
    if (!err)
        err = insert_log(l, job, now_ms);
    if (!err)
        err = update_escrow(l, job);
    return err;
}
