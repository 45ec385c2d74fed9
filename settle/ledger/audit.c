/* audit.c - rows of rp_audit. */
#include "ledger/console.h"

#include <string.h>

#include "ledger_impl.h"

static struct db_arg text_or_null(const char *s)
{
    return s[0] ? db_str(s) : db_null();
}

enum rr_err ledger_audit_begin(struct ledger *l, struct audit_row *row)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_open(l->db);

    row->at_ms = ledger__now_ms();
    row->ended_ms = row->result[0] ? row->at_ms : 0;
    if (!err)
        err = db_stmt(l->db,
                      "INSERT INTO rp_audit (room_id, user_id, action, code, detail, result,"
                      " created_at, ended_at) VALUES (?, ?, ?, ?, LEFT(?, 240), ?, ?, ?)",
                      DB_ARGS(db_str(row->room_id), db_int(row->user_id), db_str(row->action),
                              db_str(row->code), db_str(row->detail), text_or_null(row->result),
                              db_int(row->at_ms), row->result[0] ? db_int(row->at_ms) : db_null()),
                      NULL);
    if (!err)
        err = db_select(l->db, "SELECT LAST_INSERT_ID()", NULL, 0, &rows);
    if (!err)
        row->id = db_i64(&rows, 0, 0);
    db_rows_fini(&rows);
    return err;
}

enum rr_err ledger_audit_end(struct ledger *l, const struct audit_row *row)
{
    enum rr_err err = db_open(l->db);

    if (err)
        return err;
    return db_stmt(l->db,
                   "UPDATE rp_audit SET room_id = ?, code = ?, result = ?, ended_at = ?"
                   " WHERE id = ? AND result IS NULL",
                   DB_ARGS(db_str(row->room_id), db_str(row->code), db_str(row->result),
                           db_int(ledger__now_ms()), db_int(row->id)),
                   NULL);
}

static bool row_read(const struct db_rows *rows, uint32_t i, struct audit_row *out)
{
    *out = (struct audit_row){.id = db_i64(rows, i, 0),
                              .user_id = db_i64(rows, i, 2),
                              .at_ms = db_i64(rows, i, 7),
                              .ended_ms = db_i64(rows, i, 8)};
    return db_copy(rows, i, 1, out->room_id, sizeof(out->room_id)) &&
           db_copy(rows, i, 3, out->action, sizeof(out->action)) &&
           db_copy(rows, i, 4, out->code, sizeof(out->code)) &&
           db_copy(rows, i, 5, out->detail, sizeof(out->detail)) &&
           db_copy(rows, i, 6, out->result, sizeof(out->result));
}

enum rr_err ledger_audit_page(struct ledger *l, const char *room_id, int64_t before_id,
                              struct audit_row *out, uint32_t max, uint32_t *n)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_open(l->db);

    *n = 0;
    if (!err)
        err = db_select(
            l->db,
            "SELECT id, room_id, user_id, action, code, detail, result, created_at,"
            " ended_at FROM rp_audit WHERE room_id = ? AND id < ?"
            " ORDER BY id DESC LIMIT ?",
            DB_ARGS(db_str(room_id), db_int(before_id ? before_id : INT64_MAX), db_int(max)),
            &rows);
    for (uint32_t i = 0; !err && i < rows.n && *n < max; i++) {
        if (row_read(&rows, i, &out[*n]))
            (*n)++;
    }
    db_rows_fini(&rows);
    return err;
}
