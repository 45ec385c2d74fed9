/* templates.c - an anchor's templates of rains. */
#include "ledger/console.h"

#include "ledger_impl.h"

enum rr_err ledger_template_put(struct ledger *l, int64_t user_id, struct rr_slice name,
                                struct rr_slice spec)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_open(l->db);

    /* Two pages of one anchor at the same moment may leave one more than the list shows. */
    if (!err)
        err = db_select(l->db, "SELECT COUNT(*) FROM rp_template WHERE user_id = ? AND name <> ?",
                        DB_ARGS(db_int(user_id), db_slice(name)), &rows);
    if (!err && db_i64(&rows, 0, 0) >= TEMPLATES_MAX)
        err = RR_FULL;
    db_rows_fini(&rows);
    if (err)
        return err;
    return db_stmt(
        l->db,
        "INSERT INTO rp_template (user_id, name, spec, updated_at) VALUES (?, ?, ?, ?)"
        " ON DUPLICATE KEY UPDATE spec = VALUES(spec), updated_at = VALUES(updated_at)",
        DB_ARGS(db_int(user_id), db_slice(name), db_slice(spec), db_int(ledger__now_ms())), NULL);
}

enum rr_err ledger_template_remove(struct ledger *l, int64_t user_id, struct rr_slice name)
{
    enum rr_err err = db_open(l->db);

    if (err)
        return err;
    return db_stmt(l->db, "DELETE FROM rp_template WHERE user_id = ? AND name = ?",
                   DB_ARGS(db_int(user_id), db_slice(name)), NULL);
}

enum rr_err ledger_template_list(struct ledger *l, int64_t user_id, struct template_row *out,
                                 uint32_t *n)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_open(l->db);

    *n = 0;
    if (!err)
        err = db_select(l->db,
                        "SELECT name, spec FROM rp_template WHERE user_id = ? ORDER BY name"
                        " LIMIT ?",
                        DB_ARGS(db_int(user_id), db_int(TEMPLATES_MAX)), &rows);
    for (uint32_t i = 0; !err && i < rows.n && *n < TEMPLATES_MAX; i++) {
        if (db_copy(&rows, i, 0, out[*n].name, sizeof(out[*n].name)) &&
            db_copy(&rows, i, 1, out[*n].spec, sizeof(out[*n].spec)))
            (*n)++;
    }
    db_rows_fini(&rows);
    return err;
}
