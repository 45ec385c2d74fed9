/* grants_sql.c - pages of grants: of a user, of a rain. Live and archived rows are two index reads, merged here: a UNION would be
 * sorted by the server. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "ledger_impl.h"

/* Columns in the order grant_read() takes them. */
#define GRANT_COLS "code, shard, packet_no, seq, state, amount, granted_at, user_id"

static void grant_read(const struct db_rows *rows, uint32_t i, struct grant_row *g)
{
    int64_t state = db_i64(rows, i, 4);

    memset(g, 0, sizeof(*g));
    RR_ASSERT(db_copy(rows, i, 0, g->code, sizeof(g->code)));
    g->shard = (uint32_t)db_i64(rows, i, 1);
    g->packet_no = (uint32_t)db_i64(rows, i, 2);
    g->seq = (uint32_t)db_i64(rows, i, 3);
    g->state = state == 1 ? 's' : state == 2 ? 'h' : state == 4 ? 't' : 'v';
    g->amount_fen = db_i64(rows, i, 5);
    g->granted_at_ms = db_i64(rows, i, 6);
    g->user_id = db_i64(rows, i, 7);
}

typedef int (*grant_order_fn)(const struct grant_row *a, const struct grant_row *b);

static int cmp(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int by_place(const struct grant_row *a, const struct grant_row *b)
{
    int c = strcmp(a->code, b->code);

    if (c == 0)
        c = cmp(a->shard, b->shard);
    return c ? c : cmp(a->packet_no, b->packet_no);
}

/* The order of the index read backwards. */
static int newest_first(const struct grant_row *a, const struct grant_row *b)
{
    int c = cmp(b->granted_at_ms, a->granted_at_ms);

    return c ? c : by_place(b, a);
}

static int last_seq_first(const struct grant_row *a, const struct grant_row *b)
{
    return cmp(b->seq, a->seq);
}

/* Two sorted results into one; a grant that is in both (its rain is being moved) once. */
static uint32_t merge(const struct db_rows rows[2], grant_order_fn order, struct grant_row *out,
                      uint32_t max)
{
    struct grant_row next[2];
    uint32_t at[2] = {0, 0};
    uint32_t n = 0;

    while (n < max && (at[0] < rows[0].n || at[1] < rows[1].n)) {
        int c = 0;

        for (int k = 0; k < 2; k++) {
            if (at[k] < rows[k].n)
                grant_read(&rows[k], at[k], &next[k]);
        }
        if (at[0] == rows[0].n)
            c = 1;
        else if (at[1] == rows[1].n)
            c = -1;
        else
            c = order(&next[0], &next[1]);
        out[n++] = next[c > 0];
        at[0] += c <= 0;
        at[1] += c >= 0;
    }
    return n;
}

struct page {
    const char *live;
    const char *archived;
    grant_order_fn order;
};

static enum rr_err read_page(struct ledger *l, const struct page *p, const struct db_arg *args,
                             size_t args_n, struct grant_row *out, uint32_t max, uint32_t *n)
{
    struct db_rows rows[2] = {{.cols = 0}, {.cols = 0}};
    /* Live first: a rain is in the archive before it leaves. */
    enum rr_err err = db_select(l->db, p->live, args, args_n, &rows[0]);

    if (!err)
        err = db_select(l->db, p->archived, args, args_n, &rows[1]);
    if (!err)
        *n = merge(rows, p->order, out, max);
    db_rows_fini(&rows[0]);
    db_rows_fini(&rows[1]);
    return err;
}

#define OF_CODE(table)                                                                             \
    "SELECT " GRANT_COLS " FROM " table " WHERE code = ? AND user_id = ? AND granted_at < ?"       \
    " ORDER BY seq DESC LIMIT ?"
#define OF_USER(table)                                                                             \
    "SELECT " GRANT_COLS " FROM " table " WHERE user_id = ? AND granted_at < ?"                    \
    " ORDER BY granted_at DESC, code DESC, shard DESC, packet_no DESC LIMIT ?"

#define OF_SEQ(table)                                                                              \
    "SELECT " GRANT_COLS " FROM " table " WHERE code = ? AND user_id = ? AND seq = ? LIMIT ?"

enum rr_err ledger_user_grant(struct ledger *l, int64_t user_id, const char *code, uint32_t seq,
                              struct grant_row *out)
{
    static const struct page of_seq = {OF_SEQ("rp_grant"), OF_SEQ("rp_grant_archive"),
                                       last_seq_first};
    uint32_t n = 0;
    enum rr_err err = rain_code_valid(rr_slice_str(code)) ? db_open(l->db) : RR_NOT_FOUND;

    if (!err)
        err = read_page(l, &of_seq, DB_ARGS(db_str(code), db_int(user_id), db_int(seq), db_int(1)),
                        out, 1, &n);
    return err || n ? err : RR_NOT_FOUND;
}

/* A full page ends before a millisecond that it holds a part of. */
static uint32_t whole_ms(const struct grant_row *rows, uint32_t n)
{
    uint32_t end = n;

    while (end > 0 && rows[end - 1].granted_at_ms == rows[n - 1].granted_at_ms)
        end--;
    return end ? end : n;
}

enum rr_err ledger_user_grants(struct ledger *l, int64_t user_id, const char *code,
                               int64_t before_ms, struct grant_row *out, uint32_t max, uint32_t *n)
{
    static const struct page of_code = {OF_CODE("rp_grant"), OF_CODE("rp_grant_archive"),
                                        last_seq_first};
    static const struct page of_user = {OF_USER("rp_grant"), OF_USER("rp_grant_archive"),
                                        newest_first};
    int64_t before = before_ms > 0 ? before_ms : INT64_MAX;
    struct grant_row *rows = NULL;
    enum rr_err err = db_open(l->db);

    *n = 0;
    if (err || (code && !rain_code_valid(rr_slice_str(code))))
        return err;
    if (code)
        return read_page(l, &of_code,
                         DB_ARGS(db_str(code), db_int(user_id), db_int(before), db_int(max)), out,
                         max, n);
    /* One more than asked for: is the last millisecond whole? */
    rows = rr_xcalloc((size_t)max + 1, sizeof(*rows));
    err = read_page(l, &of_user, DB_ARGS(db_int(user_id), db_int(before), db_int(max + 1)), rows,
                    max + 1, n);
    if (!err && *n > max)
        *n = rows[max].granted_at_ms == rows[max - 1].granted_at_ms ? whole_ms(rows, max) : max;
    memcpy(out, rows, *n * sizeof(*rows));
    free(rows);
    return err;
}

#define OF_RAIN(table)                                                                             \
    "SELECT " GRANT_COLS " FROM " table " WHERE code = ? AND (shard > ? OR (shard = ? AND"         \
    " packet_no > ?)) ORDER BY code, shard, packet_no LIMIT ?"

enum rr_err ledger_rain_grants(struct ledger *l, const char *code, struct grant_place after,
                               struct grant_row *out, uint32_t max, uint32_t *n)
{
    static const struct page of_rain = {OF_RAIN("rp_grant"), OF_RAIN("rp_grant_archive"), by_place};
    enum rr_err err = rain_code_valid(rr_slice_str(code)) ? db_open(l->db) : RR_NOT_FOUND;

    *n = 0;
    if (err)
        return err;
    return read_page(l, &of_rain,
                     DB_ARGS(db_str(code), db_int(after.shard), db_int(after.shard),
                             db_int(after.packet_no), db_int(max)),
                     out, max, n);
}
