/* table_check.c - asks the server whether its own tables are whole. CHECK TABLE counts the entries of each index and compares; with
 * QUICK it would not look at the links between an index's pages. */
#include <stdio.h>
#include <string.h>

#include "ledger_impl.h"

/* Small, and what the steps of rains go through. The big ones are for a quiet hour. */
static const char *const tables[] = {"rp_task", "t_red_packet_config", "rp_escrow", "rp_offset",
                                     "rp_dead", "rp_conflict",         "rp_fence",  "rp_lease"};

static bool harmless(struct rr_slice type, struct rr_slice text)
{
    static const char unpurged[] = "InnoDB: Unpurged";

    if (rr_slice_eq_str(type, "status"))
        return rr_slice_eq_str(text, "OK");
    return rr_slice_eq_str(type, "note") || (text.len >= sizeof(unpurged) - 1 &&
                                             memcmp(text.p, unpurged, sizeof(unpurged) - 1) == 0);
}

static enum rr_err check_one(struct ledger *l, const char *table, ledger_table_fn fn, void *arg)
{
    struct db_rows rows = {.cols = 0};
    char sql[80];
    char said[200];
    enum rr_err err = RR_OK;

    snprintf(sql, sizeof(sql), "CHECK TABLE %s", table);
    err = db_query(l->db, sql, strlen(sql), &rows);
    for (uint32_t i = 0; !err && i < rows.n; i++) {
        struct rr_slice text = db_text(&rows, i, 3);

        if (harmless(db_text(&rows, i, 2), text))
            continue;
        snprintf(said, sizeof(said), "%.*s", (int)text.len, text.p);
        fn(arg, table, said);
    }
    db_rows_fini(&rows);
    return err;
}

enum rr_err ledger_check_tables(struct ledger *l, ledger_table_fn fn, void *arg)
{
    enum rr_err err = db_open(l->db);

    for (size_t i = 0; !err && i < RR_COUNTOF(tables); i++)
        err = check_one(l, tables[i], fn, arg);
    return err;
}
