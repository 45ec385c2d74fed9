/* verify_due.c - whose turn the periodic check is, and what the last one said. */
#include "ledger_impl.h"

#define NOW_MS "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)"

enum rr_err ledger_check_claim(struct ledger *l, const char *owner, int64_t interval_ms, bool *mine)
{
    uint64_t affected = 0;
    enum rr_err err = db_open(l->db);

    *mine = false;
    /* A little early next time: the same settler sleeps for exactly the interval. */
    if (!err)
        err = db_stmt(l->db,
                      "UPDATE rp_lease SET owner = LEFT(?, 64), next_at = " NOW_MS " + ?"
                      " WHERE name = 'checker' AND next_at <= " NOW_MS,
                      DB_ARGS(db_str(owner), db_int(interval_ms - interval_ms / 10)), &affected);
    *mine = !err && affected == 1;
    return err;
}

enum rr_err ledger_check_give_up(struct ledger *l, const char *owner)
{
    enum rr_err err = db_open(l->db);

    if (err)
        return err;
    return db_stmt(l->db,
                   "UPDATE rp_lease SET next_at = 0 WHERE name = 'checker' AND owner = LEFT(?, 64)",
                   DB_ARGS(db_str(owner)), NULL);
}

enum rr_err ledger_check_last(struct ledger *l, int64_t *findings, int64_t *unaccounted_fen)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_open(l->db);

    *findings = 0;
    *unaccounted_fen = 0;
    if (!err)
        err = db_select(l->db,
                        "SELECT findings, unaccounted FROM rp_check WHERE code = ''"
                        " AND kind IN ('quick', 'full') ORDER BY id DESC LIMIT 1",
                        NULL, 0, &rows);
    if (!err && rows.n) {
        *findings = db_i64(&rows, 0, 0);
        *unaccounted_fen = db_i64(&rows, 0, 1);
    } else if (!err) {
        err = RR_NOT_FOUND;
    }
    db_rows_fini(&rows);
    return err;
}

struct note {
    const char *text;
    int64_t now_ms;
};

static enum rr_err note_tx(struct ledger *l, void *arg)
{
    const struct note *n = arg;
    enum rr_err err =
        db_stmt(l->db,
                "INSERT INTO rp_check (code, findings, unaccounted, detail, started_at, ended_at,"
                " kind) VALUES ('', 1, 0, ?, ?, ?, 'note')",
                DB_ARGS(db_str(n->text), db_int(n->now_ms), db_int(n->now_ms)), NULL);

    if (!err)
        err = db_stmt(l->db,
                      "INSERT INTO rp_finding (check_id, invariant, text)"
                      " VALUES (LAST_INSERT_ID(), 'note', LEFT(?, 200))",
                      DB_ARGS(db_str(n->text)), NULL);
    return err;
}

enum rr_err ledger_note(struct ledger *l, const char *text)
{
    struct note n = {.text = text, .now_ms = ledger__now_ms()};

    return ledger__tx(l, note_tx, &n);
}
