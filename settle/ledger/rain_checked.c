/* rain_checked.c - what the checker says of one rain that is over. */
#include "ledger/console.h"

#include "ledger_impl.h"

static void count_finding(void *arg, const struct ledger_finding *f)
{
    struct rain_checked *out = arg;

    (void)f;
    out->findings++;
}

/* RR_NOT_FOUND: no run found it clean yet. */
static enum rr_err earlier_run(struct ledger *l, const char *code, struct rain_checked *out)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_select(l->db, "SELECT checked_at FROM rp_checked WHERE code = ?",
                                DB_ARGS(db_str(code)), &rows);

    if (!err && rows.n == 0)
        err = RR_NOT_FOUND;
    if (!err)
        out->at_ms = db_i64(&rows, 0, 0);
    db_rows_fini(&rows);
    return err;
}

/* All that a quick run looks at in a rain was looked at: neither that run nor the next question starts anew. */
static enum rr_err remember(struct ledger *l, const char *code, int64_t at_ms)
{
    enum rr_err err = db_open(l->db);

    if (err)
        return err;
    return db_stmt(l->db,
                   "INSERT INTO rp_checked (code, checked_at) VALUES (?, ?)"
                   " ON DUPLICATE KEY UPDATE checked_at = VALUES(checked_at)",
                   DB_ARGS(db_str(code), db_int(at_ms)), NULL);
}

enum rr_err ledger_rain_checked(struct ledger *l, const struct rain_info *r,
                                struct rain_checked *out)
{
    enum rr_err err = RR_OK;

    *out = (struct rain_checked){.at_ms = 0};
    if (r->status != RAIN_SETTLED && r->status != RAIN_CANCELLED)
        return RR_CONFLICT;
    err = db_open(l->db);
    if (!err)
        err = earlier_run(l, r->code, out);
    if (err != RR_NOT_FOUND)
        return err;
    out->at_ms = ledger__now_ms();
    err = ledger_verify(l, r->code, count_finding, out, &out->unaccounted_fen);
    return err || out->findings ? err : remember(l, r->code, out->at_ms);
}
