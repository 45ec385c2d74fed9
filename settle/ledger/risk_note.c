/* risk_note.c - decisions of workers into SQL. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "ledger/risk_book.h"
#include "ledger_impl.h"
#include "rain/rain.h"

struct note_batch {
    const struct risk_note *
        *sorted; /* by code and user: two workers lock marks in the same order */
    uint32_t n;
};

static int by_mark(const void *pa, const void *pb)
{
    const struct risk_note *const *a = pa;
    const struct risk_note *const *b = pb;
    int c = strcmp((*a)->code, (*b)->code);

    if (c == 0)
        c = ((*a)->user_id > (*b)->user_id) - ((*a)->user_id < (*b)->user_id);
    if (c == 0)
        c = ((*a)->seq > (*b)->seq) - ((*a)->seq < (*b)->seq);
    return c;
}

static bool plain_hex(const char *s)
{
    return s[strspn(s, "0123456789abcdef")] == 0;
}

static void put_text(struct rr_buf *sql, const char *text)
{
    if (text[0])
        rr_buf_printf(sql, "'%s'", text);
    else
        rr_buf_puts(sql, "NULL");
}

static enum rr_err insert_rows(struct ledger *l, const struct note_batch *b, int64_t now_ms)
{
    rr_buf_puts(&l->sql, "INSERT INTO rp_risk (decision, state, rule, user_id, code, seq, seen,"
                         " bound, address, created_at) VALUES ");
    for (uint32_t i = 0; i < b->n; i++) {
        const struct risk_note *n = b->sorted[i];

        rr_buf_printf(&l->sql, "%s('%s','done','%s',%" PRId64 ",", i ? "," : "",
                      n->decision == RISK_DECIDED_DENY ? "deny" : "mark", risk_rule_name(n->rule),
                      n->user_id);
        put_text(&l->sql, n->code);
        rr_buf_printf(&l->sql, ",%u,%" PRId64 ",%" PRId64 ",", n->seq, n->seen, n->bound);
        put_text(&l->sql, n->address);
        rr_buf_printf(&l->sql, ",%" PRId64 ")", now_ms);
    }
    return db_exec_buf(l->db, &l->sql, NULL);
}

static enum rr_err insert_marks(struct ledger *l, const struct note_batch *b, int64_t now_ms)
{
    uint32_t marks = 0;

    rr_buf_puts(&l->sql, "INSERT INTO rp_risk_mark (code, user_id, from_seq, rule, seen, bound,"
                         " address, created_at) VALUES ");
    for (uint32_t i = 0; i < b->n; i++) {
        const struct risk_note *n = b->sorted[i];

        if (n->decision != RISK_DECIDED_MARK)
            continue;
        rr_buf_printf(&l->sql, "%s('%s',%" PRId64 ",%u,'%s',%" PRId64 ",%" PRId64 ",",
                      marks++ ? "," : "", n->code, n->user_id, n->seq, risk_rule_name(n->rule),
                      n->seen, n->bound);
        put_text(&l->sql, n->address);
        rr_buf_printf(&l->sql, ",%" PRId64 ")", now_ms);
    }
    if (marks == 0) {
        rr_buf_clear(&l->sql);
        return RR_OK;
    }
    rr_buf_puts(&l->sql, " ON DUPLICATE KEY UPDATE from_seq = LEAST(from_seq, VALUES(from_seq))");
    return db_exec_buf(l->db, &l->sql, NULL);
}

static enum rr_err note_tx(struct ledger *l, void *arg)
{
    const struct note_batch *b = arg;
    int64_t now_ms = ledger__now_ms();
    enum rr_err err = insert_marks(l, b, now_ms);

    return err ? err : insert_rows(l, b, now_ms);
}

enum rr_err ledger_risk_note(struct ledger *l, const struct risk_note *notes, uint32_t n)
{
    struct note_batch b = {.n = n};
    enum rr_err err = RR_OK;

    if (n == 0)
        return RR_OK;
    for (uint32_t i = 0; i < n; i++) {
        if (!plain_hex(notes[i].address) ||
            (notes[i].code[0] && !rain_code_valid(rr_slice_str(notes[i].code))) ||
            (notes[i].decision == RISK_DECIDED_MARK && !notes[i].code[0]))
            return RR_BAD_REQUEST;
    }
    b.sorted = rr_xcalloc(n, sizeof(struct risk_note *));
    for (uint32_t i = 0; i < n; i++)
        b.sorted[i] = &notes[i];
    qsort(b.sorted, n, sizeof(*b.sorted), by_mark);
    err = ledger__tx(l, note_tx, &b);
    free(b.sorted);
    return err;
}
