#include "task.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int64_t task_backoff_ms(int64_t tries)
{
    int64_t ms = 200;

    for (int64_t i = 1; i < tries && ms < TASK_BACKOFF_MAX_MS; i++)
        ms *= 2;
    return ms < TASK_BACKOFF_MAX_MS ? ms : TASK_BACKOFF_MAX_MS;
}

/* Callers reckon in their own wall time; rows hold the database's, so that clocks of machines that differ, or jump between
 * arming and claiming, move nothing. */
static int64_t in_ms(int64_t at_ms)
{
    return at_ms - ledger__now_ms();
}

enum rr_err task_put(struct ledger *l, const char *kind, const char *code, int64_t arg,
                     int64_t next_at_ms, struct task *out)
{
    char biz_id[80];
    struct db_rows rows = {.cols = 0};
    uint64_t affected = 0;
    enum rr_err err = RR_OK;

    snprintf(biz_id, sizeof(biz_id), "%s:%s", kind, code);
    err = db_stmt(l->db,
                  "UPDATE rp_task SET state = 0, arg = ?, next_at = " DB_NOW_MS
                  " + ?, ver = ver + 1, tries = 0"
                  " WHERE biz_id = ?",
                  DB_ARGS(db_int(arg), db_int(in_ms(next_at_ms)), db_str(biz_id)), &affected);
    if (!err && affected == 0)
        err = db_stmt(l->db,
                      "INSERT INTO rp_task (biz_id, kind, code, arg, next_at, created_at)"
                      " VALUES (?, ?, ?, ?, " DB_NOW_MS " + ?, ?)",
                      DB_ARGS(db_str(biz_id), db_str(kind), db_str(code), db_int(arg),
                              db_int(in_ms(next_at_ms)), db_int(ledger__now_ms())),
                      NULL);
    if (!err)
        err = db_select(l->db, "SELECT id, ver FROM rp_task WHERE biz_id = ?",
                        DB_ARGS(db_str(biz_id)), &rows);
    if (!err) {
        *out = (struct task){.id = db_i64(&rows, 0, 0), .ver = db_i64(&rows, 0, 1), .arg = arg};
        snprintf(out->kind, sizeof(out->kind), "%s", kind);
        snprintf(out->code, sizeof(out->code), "%s", code);
    }
    db_rows_fini(&rows);
    return err;
}

enum rr_err task_drop(struct ledger *l, const char *kind, const char *code)
{
    char biz_id[80];

    snprintf(biz_id, sizeof(biz_id), "%s:%s", kind, code);
    return db_stmt(l->db, "UPDATE rp_task SET state = 1, ver = ver + 1 WHERE biz_id = ?",
                   DB_ARGS(db_str(biz_id)), NULL);
}

enum rr_err task_stuck(struct ledger *l, int64_t min_tries, int64_t *n)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_open(l->db);

    *n = 0;
    if (!err)
        err = db_select(l->db, "SELECT COUNT(*) FROM rp_task WHERE state = 0 AND tries >= ?",
                        DB_ARGS(db_int(min_tries)), &rows);
    if (!err)
        *n = db_i64(&rows, 0, 0);
    db_rows_fini(&rows);
    return err;
}

enum rr_err task_done(struct ledger *l, const struct task *t)
{
    enum rr_err err = db_open(l->db);

    if (err)
        return err;
    return db_stmt(l->db, "UPDATE rp_task SET state = 1, last_error = '' WHERE id = ? AND ver = ?",
                   DB_ARGS(db_int(t->id), db_int(t->ver)), NULL);
}

enum rr_err task_later(struct ledger *l, const struct task *t, int64_t next_at_ms,
                       const char *error)
{
    enum rr_err err = db_open(l->db);

    if (err)
        return err;
    return db_stmt(l->db,
                   "UPDATE rp_task SET next_at = " DB_NOW_MS " + ?, last_error = LEFT(?, 200)"
                   " WHERE id = ? AND ver = ? AND state = 0",
                   DB_ARGS(db_int(in_ms(next_at_ms)), db_str(error), db_int(t->id), db_int(t->ver)),
                   NULL);
}

struct claim {
    int64_t now_ms;
    uint32_t max;
    struct task *out;
    uint32_t n;
};

static enum rr_err claim_tx(struct ledger *l, void *arg)
{
    struct claim *c = arg;
    struct db_rows rows;
    enum rr_err err =
        db_select(l->db,
                  "SELECT id, arg, ver, tries, kind, code FROM rp_task"
                  " WHERE state = 0 AND next_at <= " DB_NOW_MS " + ? ORDER BY next_at LIMIT ?"
                  " FOR UPDATE SKIP LOCKED",
                  DB_ARGS(db_int(in_ms(c->now_ms)), db_int(c->max)), &rows);

    c->n = 0;
    for (uint32_t i = 0; !err && i < rows.n && i < c->max; i++) {
        struct task *t = &c->out[c->n++];

        *t = (struct task){.id = db_i64(&rows, i, 0),
                           .arg = db_i64(&rows, i, 1),
                           .ver = db_i64(&rows, i, 2),
                           .tries = db_i64(&rows, i, 3) + 1};
        RR_ASSERT(db_copy(&rows, i, 4, t->kind, sizeof(t->kind)));
        RR_ASSERT(db_copy(&rows, i, 5, t->code, sizeof(t->code)));
        err = db_stmt(
            l->db, "UPDATE rp_task SET next_at = " DB_NOW_MS " + ?, tries = tries + 1 WHERE id = ?",
            DB_ARGS(db_int(in_ms(c->now_ms) + TASK_LEASE_MS), db_int(t->id)), NULL);
    }
    db_rows_fini(&rows);
    return err;
}

enum rr_err task_claim(struct ledger *l, int64_t now_ms, uint32_t max, struct task *out,
                       uint32_t *n)
{
    struct claim c = {.now_ms = now_ms, .max = max, .out = out};
    enum rr_err err = ledger__tx(l, claim_tx, &c);

    *n = err ? 0 : c.n;
    return err;
}
