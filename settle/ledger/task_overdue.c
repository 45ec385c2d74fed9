/* task_overdue.c - tasks that the index of due tasks does not show. Seen once after some hundred kill -9 of a MariaDB 10.11: its
 * ix_due had lost entries, the rows were whole. */
#include "task.h"

enum rr_err task_overdue(struct ledger *l, int64_t now_ms, uint32_t max, struct task *out,
                         uint32_t *n)
{
    struct db_rows rows = {.cols = 0};
    int64_t in_ms = now_ms - ledger__now_ms() - TASK_OVERDUE_MS;
    enum rr_err err = db_open(l->db);

    *n = 0;
    if (!err)
        err = db_select(l->db, TASK_OVERDUE_SQL, DB_ARGS(db_int(in_ms), db_int(max)), &rows);
    for (uint32_t i = 0; !err && i < rows.n && i < max; i++) {
        struct task *t = &out[(*n)++];

        *t = (struct task){.id = db_i64(&rows, i, 0),
                           .arg = db_i64(&rows, i, 1),
                           .ver = db_i64(&rows, i, 2),
                           .tries = db_i64(&rows, i, 3),
                           .next_at_ms = db_i64(&rows, i, 6)};
        RR_ASSERT(db_copy(&rows, i, 4, t->kind, sizeof(t->kind)));
        RR_ASSERT(db_copy(&rows, i, 5, t->code, sizeof(t->code)));
    }
    db_rows_fini(&rows);
    return err;
}

/* A server that noticed the damage itself refuses the index: 1712, or 1817. */
static bool refused(const struct ledger *l)
{
    return db_errno(l->db) == 1712 || db_errno(l->db) == 1817;
}

enum rr_err task_indexed(struct ledger *l, const struct task *t, bool *indexed)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_open(l->db);

    *indexed = false;
    if (err)
        return err;
    /* id is in every entry of the index: the row itself is not looked at. */
    err = db_select(l->db,
                    "SELECT id FROM rp_task FORCE INDEX (ix_due)"
                    " WHERE state = 0 AND next_at = ? AND id = ?",
                    DB_ARGS(db_int(t->next_at_ms), db_int(t->id)), &rows);
    *indexed = !err && rows.n > 0;
    db_rows_fini(&rows);
    return err == RR_SYSTEM && refused(l) ? RR_OK : err;
}

struct claim_one {
    int64_t now_ms;
    struct task *t;
};

static enum rr_err claim_one_tx(struct ledger *l, void *arg)
{
    struct claim_one *c = arg;
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_select(l->db,
                                "SELECT ver, next_at, state FROM rp_task FORCE INDEX (PRIMARY)"
                                " WHERE id = ? FOR UPDATE",
                                DB_ARGS(db_int(c->t->id)), &rows);

    if (!err && (rows.n == 0 || db_i64(&rows, 0, 0) != c->t->ver ||
                 db_i64(&rows, 0, 1) != c->t->next_at_ms || db_i64(&rows, 0, 2) != 0))
        err = RR_CONFLICT;
    db_rows_fini(&rows);
    if (err)
        return err;
    return db_stmt(
        l->db, "UPDATE rp_task SET next_at = " DB_NOW_MS " + ?, tries = tries + 1 WHERE id = ?",
        DB_ARGS(db_int(c->now_ms - ledger__now_ms() + TASK_LEASE_MS), db_int(c->t->id)), NULL);
}

enum rr_err task_claim_one(struct ledger *l, int64_t now_ms, struct task *t)
{
    struct claim_one c = {.now_ms = now_ms, .t = t};
    enum rr_err err = ledger__tx(l, claim_one_tx, &c);

    if (!err)
        t->tries++;
    return err;
}
