/* stream_sql.c - all rains in some state, a bounded page at a time: the cursor is a key, so a page costs the same wherever it is. */
#include "ledger_impl.h"

static enum rr_err page(struct ledger *l, const char *sql, const struct db_arg *args, size_t args_n,
                        struct rain_cursor *at, struct rain_ref *out, uint32_t *n)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_select(l->db, sql, args, args_n, &rows);

    for (uint32_t i = 0; !err && i < rows.n; i++) {
        struct rain_ref *r = &out[(*n)++];

        at->key = db_i64(&rows, i, 0);
        at->id = db_i64(&rows, i, 1);
        RR_ASSERT(db_copy(&rows, i, 2, r->code, sizeof(r->code)));
        r->shards = (uint32_t)db_i64(&rows, i, 3);
    }
    db_rows_fini(&rows);
    return err;
}

/* Statuses from first to CLOSING, one after the other: each is a range of one index. */
static enum rr_err stream(struct ledger *l, enum rain_status first, struct rain_cursor *at,
                          struct rain_ref *out, uint32_t max, uint32_t *n)
{
    enum rr_err err = db_open(l->db);

    *n = 0;
    if (at->status == 0)
        *at = (struct rain_cursor){.status = (int)first};
    while (!err && *n < max) {
        uint32_t left = max - *n;
        uint32_t before = *n;

        err = page(l,
                   "SELECT 0, id, config_code, shards FROM t_red_packet_config"
                   " FORCE INDEX (ix_status) WHERE status = ? AND id > ? ORDER BY id LIMIT ?",
                   DB_ARGS(db_int(at->status), db_int(at->id), db_int(left)), at, out, n);
        if (!err && *n - before < left) {
            if (at->status == RAIN_CLOSING)
                break;
            *at = (struct rain_cursor){.status = at->status + 1};
        }
    }
    return err;
}

enum rr_err ledger_rain_live(struct ledger *l, struct rain_cursor *at, struct rain_ref *out,
                             uint32_t max, uint32_t *n)
{
    return stream(l, RAIN_SENT, at, out, max, n);
}

enum rr_err ledger_rain_unfinished(struct ledger *l, struct rain_cursor *at, struct rain_ref *out,
                                   uint32_t max, uint32_t *n)
{
    return stream(l, RAIN_PREPARED, at, out, max, n);
}
