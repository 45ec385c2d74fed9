#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "repair_impl.h"

/* The row is there before anything is done: what is in the books by a repair is always in the repair log. */
static enum rr_err intend(struct ledger *l, const struct repair_plan *plan,
                          const struct repair_entry *e, const char *who)
{
    enum rr_err err = db_open(l->db);

    if (!err)
        err = db_stmt(
            l->db,
            "INSERT INTO rp_repair (plan, code, kind, biz_type, biz_id, user_id, amount, finding,"
            " state_before, state_after, who, applied_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '', LEFT(?, 64), ?)",
            DB_ARGS(db_str(plan->hash), db_str(e->code), db_str(repair_kind_name(e->kind)),
                    db_str(e->biz_type), db_str(e->biz_id),
                    e->user_id ? db_int(e->user_id) : db_null(), db_int(e->amount_fen),
                    db_str(e->finding), db_str(e->before), db_str(who), db_int(ledger__now_ms())),
            NULL);
    /* An apply that broke off was here: it is done again, which changes nothing if it was done. */
    return err == RR_DUPLICATE ? RR_OK : err;
}

static enum rr_err done_now(struct ledger *l, const struct repair_entry *e)
{
    return db_stmt(l->db,
                   "UPDATE rp_repair SET state_after = ?, applied_at = ? WHERE kind = ?"
                   " AND biz_id = ?",
                   DB_ARGS(db_str(e->after), db_int(ledger__now_ms()),
                           db_str(repair_kind_name(e->kind)), db_str(e->biz_id)),
                   NULL);
}

static enum rr_err withdraw(struct ledger *l, const struct repair_entry *e)
{
    return db_stmt(l->db,
                   "DELETE FROM rp_repair WHERE kind = ? AND biz_id = ? AND state_after = ''",
                   DB_ARGS(db_str(repair_kind_name(e->kind)), db_str(e->biz_id)), NULL);
}

static enum rr_err apply_one(struct ledger *l, const struct repair_plan *plan,
                             struct repair_entry *e, const char *who)
{
    enum rr_err err = repair__observe(l, e, e->before, sizeof(e->before));

    if (!err)
        err = intend(l, plan, e, who);
    if (err)
        return err;
    err = repair__do(l, e);
    if (err == RR_CONFLICT) /* certainly not done */
        return withdraw(l, e) == RR_OK ? RR_CONFLICT : RR_UNAVAILABLE;
    if (!err)
        err = repair__observe(l, e, e->after, sizeof(e->after));
    return err ? err : done_now(l, e);
}

/* What waited for the rows that were closed goes on now. */
static enum rr_err wake(struct ledger *l, const char *code)
{
    char biz_id[80];
    enum rr_err err = db_open(l->db);

    snprintf(biz_id, sizeof(biz_id), "close:%s", code);
    if (err)
        return err;
    return db_stmt(l->db,
                   "UPDATE rp_task t JOIN t_red_packet_config c ON c.config_code = t.code"
                   " SET t.next_at = LEAST(t.next_at, ?) WHERE t.biz_id = ? AND t.state = 0"
                   " AND c.status = 4",
                   DB_ARGS(db_int(ledger__now_ms()), db_str(biz_id)), NULL);
}

enum rr_err repair_apply(struct ledger *l, const struct repair_ask *ask, const char *hash,
                         const char *who, struct repair_plan *out, uint32_t *done)
{
    enum rr_err err = repair_plan(l, ask, out);

    *done = 0;
    if (err)
        return err;
    if (strcmp(out->hash, hash) != 0)
        return RR_CONFLICT;
    for (uint32_t i = 0; !err && i < out->n; i++) {
        if (out->entries[i].undecided)
            continue;
        err = apply_one(l, out, &out->entries[i], who);
        *done += err == RR_OK;
    }
    return !err && ask->code ? wake(l, ask->code) : err;
}

enum rr_err repair_log(struct ledger *l, const char *code, struct repair_row *out, uint32_t max,
                       uint32_t *n)
{
    struct db_rows rows = {.cols = 0};
    struct db_arg of = code ? db_str(code) : db_null();
    enum rr_err err = db_open(l->db);

    *n = 0;
    if (!err)
        err = db_select(l->db,
                        "SELECT id, COALESCE(user_id, 0), amount, applied_at, plan, code, kind,"
                        " biz_type, biz_id, finding, state_before, state_after, who FROM rp_repair"
                        " WHERE ? IS NULL OR code = ? ORDER BY id DESC LIMIT ?",
                        DB_ARGS(of, of, db_int(max)), &rows);
    for (uint32_t i = 0; !err && i < rows.n && i < max; i++) {
        struct repair_row *r = &out[(*n)++];
        bool ok = true;

        *r = (struct repair_row){.id = db_i64(&rows, i, 0),
                                 .user_id = db_i64(&rows, i, 1),
                                 .amount_fen = db_i64(&rows, i, 2),
                                 .applied_at_ms = db_i64(&rows, i, 3)};
        ok = db_copy(&rows, i, 4, r->plan, sizeof(r->plan)) && ok;
        ok = db_copy(&rows, i, 5, r->code, sizeof(r->code)) && ok;
        ok = db_copy(&rows, i, 6, r->kind, sizeof(r->kind)) && ok;
        ok = db_copy(&rows, i, 7, r->biz_type, sizeof(r->biz_type)) && ok;
        ok = db_copy(&rows, i, 8, r->biz_id, sizeof(r->biz_id)) && ok;
        ok = db_copy(&rows, i, 9, r->finding, sizeof(r->finding)) && ok;
        ok = db_copy(&rows, i, 10, r->before, sizeof(r->before)) && ok;
        ok = db_copy(&rows, i, 11, r->after, sizeof(r->after)) && ok;
        ok = db_copy(&rows, i, 12, r->who, sizeof(r->who)) && ok;
        RR_ASSERT(ok); /* ASCII: the columns are not wider than the fields */
    }
    db_rows_fini(&rows);
    return err;
}
