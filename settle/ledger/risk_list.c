/* risk_list.c - rows of rp_risk for people: by user, rain or state, newest first. */
#include <inttypes.h>
#include <string.h>

#include "ledger/risk_book.h"
#include "ledger_impl.h"
#include "rain/rain.h"

static bool state_known(const char *state)
{
    static const char *const states[] = {"done", "held", "released", "taken"};

    for (size_t i = 0; i < RR_COUNTOF(states); i++) {
        if (strcmp(states[i], state) == 0)
            return true;
    }
    return false;
}

static int64_t i64_or(const struct db_rows *rows, uint32_t row, uint32_t col, int64_t none)
{
    return db_null_at(rows, row, col) ? none : db_i64(rows, row, col);
}

static void item_read(const struct db_rows *rows, uint32_t i, struct risk_item *out)
{
    *out = (struct risk_item){.id = db_i64(rows, i, 0),
                              .user_id = db_i64(rows, i, 4),
                              .shard = i64_or(rows, i, 6, -1),
                              .packet_no = i64_or(rows, i, 7, -1),
                              .seq = i64_or(rows, i, 8, -1),
                              .amount_fen = i64_or(rows, i, 9, -1),
                              .seen = db_i64(rows, i, 10),
                              .bound = db_i64(rows, i, 11),
                              .created_at_ms = db_i64(rows, i, 14),
                              .closed_at_ms = i64_or(rows, i, 15, 0)};
    /* NULL is copied as "". */
    (void)db_copy(rows, i, 1, out->decision, sizeof(out->decision));
    (void)db_copy(rows, i, 2, out->state, sizeof(out->state));
    (void)db_copy(rows, i, 3, out->rule, sizeof(out->rule));
    (void)db_copy(rows, i, 5, out->code, sizeof(out->code));
    (void)db_copy(rows, i, 12, out->address, sizeof(out->address));
    (void)db_copy(rows, i, 13, out->account, sizeof(out->account));
}

enum rr_err ledger_risk_list(struct ledger *l, const struct risk_query *q, struct risk_item *out,
                             uint32_t max, uint32_t *n)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = RR_OK;

    *n = 0;
    if ((q->state && !state_known(q->state)) ||
        (q->code && !rain_code_valid(rr_slice_str(q->code))))
        return RR_BAD_REQUEST;
    err = db_open(l->db);
    if (err)
        return err;
    rr_buf_puts(&l->sql, "SELECT id, decision, state, rule, user_id, code, shard, packet_no, seq,"
                         " amount, seen, bound, address, account, created_at, closed_at"
                         " FROM rp_risk");
    /* The one that is in the order of the list; uk_packet begins with the same column. */
    rr_buf_puts(&l->sql, q->code ? " FORCE INDEX (ix_code) WHERE 1" : " WHERE 1");
    if (q->user_id > 0)
        rr_buf_printf(&l->sql, " AND user_id = %" PRId64, q->user_id);
    if (q->code)
        rr_buf_printf(&l->sql, " AND code = '%s'", q->code);
    if (q->state)
        rr_buf_printf(&l->sql, " AND state = '%s'", q->state);
    if (q->before_id > 0)
        rr_buf_printf(&l->sql, " AND id < %" PRId64, q->before_id);
    rr_buf_printf(&l->sql, " ORDER BY id DESC LIMIT %u", max);
    err = db_query_buf(l->db, &l->sql, &rows);
    for (uint32_t i = 0; !err && i < rows.n && i < max; i++)
        item_read(&rows, i, &out[(*n)++]);
    db_rows_fini(&rows);
    return err;
}
