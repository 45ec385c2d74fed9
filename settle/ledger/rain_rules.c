/* rain_rules.c - what a new packet of a kind needs beside its money: named users, the budget of the day, room for it. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "rain_rules.h"
#include "task.h"

static enum rr_err insert_users(struct ledger *l, const struct rain_info *r)
{
    if (r->spec.users_n == 0)
        return RR_OK;
    rr_buf_puts(&l->sql, "INSERT INTO rp_rain_user (code, user_id) VALUES ");
    for (uint32_t i = 0; i < r->spec.users_n; i++)
        rr_buf_printf(&l->sql, "%s('%s',%" PRId64 ")", i ? "," : "", r->code, r->spec.users[i]);
    return db_exec_buf(l->db, &l->sql, NULL);
}

/* The row's lock makes packets of one sender and day wait for each other. */
static enum rr_err spend_budget(struct ledger *l, const struct rain_spec *s)
{
    struct db_rows rows = {.cols = 0};
    bool there = false;
    int64_t spent_fen = 0;
    enum rr_err err =
        db_select(l->db, "SELECT spent FROM rp_budget WHERE sender_id = ? AND day = ? FOR UPDATE",
                  DB_ARGS(db_int(s->sender_id), db_int(s->day)), &rows);

    if (!err && rows.n) {
        there = true;
        spent_fen = db_i64(&rows, 0, 0);
    }
    db_rows_fini(&rows);
    if (!err && spent_fen + s->total_fen > s->budget_fen)
        err = RR_OVER_BUDGET;
    if (err)
        return err;
    if (there)
        return db_stmt(l->db,
                       "UPDATE rp_budget SET spent = spent + ?, cap = ?"
                       " WHERE sender_id = ? AND day = ?",
                       DB_ARGS(db_int(s->total_fen), db_int(s->budget_fen), db_int(s->sender_id),
                               db_int(s->day)),
                       NULL);
    err = db_stmt(
        l->db, "INSERT INTO rp_budget (sender_id, day, spent, cap) VALUES (?, ?, ?, ?)",
        DB_ARGS(db_int(s->sender_id), db_int(s->day), db_int(s->total_fen), db_int(s->budget_fen)),
        NULL);
    return err == RR_DUPLICATE ? RR_RETRY : err; /* another one was first: look again */
}

/* The new row is counted too. Others not committed yet are not: a cap against floods, not a promise. */
static enum rr_err room_for_it(struct ledger *l, const struct rain_spec *s)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = RR_OK;

    if (s->open_max == 0 && s->room_max == 0)
        return RR_OK;
    err = db_select(l->db,
                    "SELECT (SELECT COUNT(*) FROM t_red_packet_config WHERE sender_id = ?"
                    " AND status IN (1, 2, 3, 4)), (SELECT COUNT(*) FROM t_red_packet_config"
                    " WHERE room_id = ? AND status IN (1, 2, 3))",
                    DB_ARGS(db_int(s->sender_id), db_str(s->room_id)), &rows);
    if (!err && ((s->open_max && db_i64(&rows, 0, 0) > s->open_max) ||
                 (s->room_max && db_i64(&rows, 0, 1) > s->room_max)))
        err = RR_FULL;
    db_rows_fini(&rows);
    return err;
}

static enum rr_err arm(struct ledger *l, const struct rain_info *r)
{
    const struct rain_spec *s = &r->spec;
    struct task t;
    enum rr_err err = task_put(l, "expire", r->code, 0, s->expire_at_ms, &t);

    if (!err && s->start_at_ms)
        err = task_put(l, "start", r->code, 0,
                       s->send ? r->created_at_ms + TASK_INLINE_LEASE_MS
                               : s->start_at_ms - RAIN_PREPARE_LEAD_MS,
                       &t);
    return err;
}

enum rr_err ledger__rain_rules(struct ledger *l, const struct rain_info *r)
{
    enum rr_err err = room_for_it(l, &r->spec);

    if (!err && rain_kind_rule(r->spec.kind)->rules)
        err = spend_budget(l, &r->spec);
    if (!err)
        err = insert_users(l, r);
    return err ? err : arm(l, r);
}

enum rr_err ledger__user_ids(struct ledger *l, const char *sql, const char *code, int64_t **ids,
                             uint32_t *n)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_open(l->db);

    *ids = NULL;
    *n = 0;
    if (!err)
        err = db_select(l->db, sql, DB_ARGS(db_str(code)), &rows);
    if (!err && rows.n)
        *ids = rr_xcalloc(rows.n, sizeof(**ids));
    for (uint32_t i = 0; !err && i < rows.n; i++)
        (*ids)[(*n)++] = db_i64(&rows, i, 0);
    db_rows_fini(&rows);
    return err;
}

enum rr_err ledger_rain_users(struct ledger *l, const char *code, int64_t **ids, uint32_t *n)
{
    return ledger__user_ids(l, "SELECT user_id FROM rp_rain_user WHERE code = ? ORDER BY user_id",
                            code, ids, n);
}
