/* risk_hold.c - settling: which of the grants just paid are held. Decided inside the transaction from what SQL says: the marks
 * workers committed before they let the grab through, the amount, and the day's sum of a wallet whose row this transaction
 * holds. The same records therefore always end the same way, whoever settles them and however often. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "settle_job.h"

enum { MARKS_MAX = 1000 };

struct held_grant {
    const struct grant_record *rec; /* of an entry */
    char rule[25];
    char address[17]; /* "": none */
    int64_t seen;
    int64_t bound;
};

/* ---- marks ---- */

#define MARK_COLUMNS "SELECT code, user_id, from_seq, rule, seen, bound, address FROM rp_risk_mark"

static enum rr_err marks_of_rains(struct ledger *l, const struct settle_job *job,
                                  struct db_rows *out)
{
    const char *last = "";

    rr_buf_puts(&l->sql, MARK_COLUMNS " WHERE code IN (");
    for (uint32_t i = 0; i < job->take_n; i++) {
        const char *code = job->take[i]->item->rec.code;

        if (strcmp(code, last) != 0)
            rr_buf_printf(&l->sql, "%s'%s'", last[0] ? "," : "", code);
        last = code;
    }
    rr_buf_printf(&l->sql, ") ORDER BY code, user_id LIMIT %d", MARKS_MAX + 1);
    return db_query_buf(l->db, &l->sql, out);
}

/* A crowd is marked: only those of this batch, rain by rain. */
static enum rr_err marks_of_users(struct ledger *l, const struct settle_job *job,
                                  struct db_rows *out)
{
    const char *last = "";

    rr_buf_puts(&l->sql, "SELECT * FROM (");
    for (uint32_t i = 0; i < job->take_n; i++) {
        const struct grant_record *r = &job->take[i]->item->rec;

        if (strcmp(r->code, last) != 0)
            rr_buf_printf(&l->sql, "%s" MARK_COLUMNS " WHERE code = '%s' AND user_id IN (%" PRId64,
                          last[0] ? ") UNION ALL " : "", r->code, r->user_id);
        else
            rr_buf_printf(&l->sql, ",%" PRId64, r->user_id);
        last = r->code;
    }
    rr_buf_puts(&l->sql, ")) m ORDER BY code, user_id");
    return db_query_buf(l->db, &l->sql, out);
}

static enum rr_err read_marks(struct ledger *l, const struct settle_job *job, struct db_rows *out)
{
    enum rr_err err = marks_of_rains(l, job, out);

    if (err || out->n <= MARKS_MAX)
        return err;
    db_rows_fini(out);
    *out = (struct db_rows){.cols = 0};
    return marks_of_users(l, job, out);
}

static int mark_order(const struct db_rows *rows, uint32_t i, const struct grant_record *r)
{
    struct rr_slice code = db_text(rows, i, 0);
    int c = code.len == RR_CODE_LEN ? memcmp(code.p, r->code, RR_CODE_LEN) : -1;
    int64_t user_id = db_i64(rows, i, 1);

    return c ? c : (user_id > r->user_id) - (user_id < r->user_id);
}

/* The row of (code, user), or rows->n. */
static uint32_t mark_find(const struct db_rows *rows, const struct grant_record *r)
{
    uint32_t from = 0;
    uint32_t to = rows->n;

    while (from < to) {
        uint32_t mid = from + (to - from) / 2;
        int c = mark_order(rows, mid, r);

        if (c == 0)
            return mid;
        if (c < 0)
            from = mid + 1;
        else
            to = mid;
    }
    return rows->n;
}

/* ---- deciding ---- */

/* Both go into SQL as text. */
static void copy_plain(const struct db_rows *rows, uint32_t row, uint32_t col, char *dst,
                       size_t cap)
{
    if (db_null_at(rows, row, col) || !db_copy(rows, row, col, dst, cap) ||
        dst[strspn(dst, "abcdefghijklmnopqrstuvwxyz0123456789_")])
        dst[0] = 0;
}

static void hold(struct settle_job *job, struct settle_entry *e, const struct settle_hold *why,
                 const struct db_rows *marks, uint32_t mark)
{
    struct held_grant *h = NULL;

    if (!job->held)
        job->held = rr_xcalloc(job->n, sizeof(*job->held));
    h = &job->held[job->held_n++];
    *h = (struct held_grant){.rec = &e->item->rec, .seen = why->seen, .bound = why->bound};
    snprintf(h->rule, sizeof(h->rule), "%s", risk_rule_name(why->rule));
    if (why->rule == RISK_NONE) {
        copy_plain(marks, mark, 3, h->rule, sizeof(h->rule));
        h->seen = db_i64(marks, mark, 4);
        h->bound = db_i64(marks, mark, 5);
        copy_plain(marks, mark, 6, h->address, sizeof(h->address));
    }
    e->held = true;
    settle__wallet(job, e->item->rec.user_id)->held_fen += e->item->rec.amount_fen;
}

static void decide(struct settle_job *job, const struct db_rows *marks)
{
    for (uint32_t i = 0; i < job->wallets_n; i++)
        job->wallets[i].held_fen = 0;
    for (uint32_t i = 0; i < job->take_n; i++) {
        struct settle_entry *e = job->take[i];
        const struct grant_record *r = &e->item->rec;
        struct settle_wallet *w = settle__wallet(job, r->user_id);
        uint32_t mark = mark_find(marks, r);
        struct settle_hold h;

        w->day_fen += r->amount_fen;
        h = settle_decide_hold(&(struct settle_hold_facts){
            .rules = &job->rules,
            .marked = mark < marks->n && r->seq >= db_i64(marks, mark, 2),
            .amount_fen = r->amount_fen,
            .day_fen = w->day_fen});
        e->held = false;
        if (h.held)
            hold(job, e, &h, marks, mark);
    }
}

/* ---- writing: only when something is held ---- */

static enum rr_err hold_grants(struct ledger *l, const struct settle_job *job)
{
    uint32_t i = 0;

    while (i < job->held_n) {
        const struct grant_record *first = job->held[i].rec;
        enum rr_err err = RR_OK;

        rr_buf_printf(&l->sql,
                      "UPDATE rp_grant SET state = 2 WHERE code = '%s' AND shard = %u"
                      " AND packet_no IN (%u",
                      first->code, first->shard, first->packet_no);
        for (i++; i < job->held_n; i++) {
            const struct grant_record *r = job->held[i].rec;

            if (strcmp(r->code, first->code) != 0 || r->shard != first->shard)
                break;
            rr_buf_printf(&l->sql, ",%u", r->packet_no);
        }
        rr_buf_puts(&l->sql, ")");
        err = db_exec_buf(l->db, &l->sql, NULL);
        if (err)
            return err;
    }
    return RR_OK;
}

/* From balance to frozen, in rows this transaction holds. */
static enum rr_err hold_wallets(struct ledger *l, const struct settle_job *job)
{
    uint32_t n = 0;

    rr_buf_puts(&l->sql, "INSERT INTO wallet (user_id, balance, frozen) VALUES ");
    for (uint32_t i = 0; i < job->wallets_n; i++) {
        const struct settle_wallet *w = &job->wallets[i];

        if (w->held_fen > 0)
            rr_buf_printf(&l->sql, "%s(%" PRId64 ",0,%" PRId64 ")", n++ ? "," : "", w->user_id,
                          w->held_fen);
    }
    rr_buf_puts(&l->sql, " ON DUPLICATE KEY UPDATE balance = balance - VALUES(frozen),"
                         " frozen = frozen + VALUES(frozen)");
    return db_exec_buf(l->db, &l->sql, NULL);
}

static enum rr_err hold_rows(struct ledger *l, const struct settle_job *job, int64_t now_ms)
{
    rr_buf_puts(&l->sql,
                "INSERT INTO rp_risk (decision, state, rule, user_id, code, shard, packet_no, seq,"
                " amount, seen, bound, address, created_at) VALUES ");
    for (uint32_t i = 0; i < job->held_n; i++) {
        const struct held_grant *h = &job->held[i];
        const struct grant_record *r = h->rec;

        rr_buf_printf(&l->sql,
                      "%s('hold','held','%s',%" PRId64 ",'%s',%u,%u,%u,%" PRId64 ",%" PRId64
                      ",%" PRId64 ",%s%s%s,%" PRId64 ")",
                      i ? "," : "", h->rule, r->user_id, r->code, r->shard, r->packet_no, r->seq,
                      r->amount_fen, h->seen, h->bound, h->address[0] ? "'" : "",
                      h->address[0] ? h->address : "NULL", h->address[0] ? "'" : "", now_ms);
    }
    return db_exec_buf(l->db, &l->sql, NULL);
}

enum rr_err settle__hold(struct ledger *l, struct settle_job *job, int64_t now_ms)
{
    struct db_rows marks = {.cols = 0};
    enum rr_err err = read_marks(l, job, &marks);

    job->held_n = 0;
    if (!err)
        decide(job, &marks);
    db_rows_fini(&marks);
    if (err || job->held_n == 0)
        return err;
    err = hold_grants(l, job);
    if (!err)
        err = hold_wallets(l, job);
    if (!err)
        err = hold_rows(l, job, now_ms);
    return err;
}

void settle__hold_log(const struct settle_job *job)
{
    for (uint32_t i = 0; i < job->held_n; i++) {
        const struct held_grant *h = &job->held[i];

        log_notice("risk_hold",
                   "rule=%s user=%" PRId64 " rain=%s shard=%u no=%u amount=%" PRId64
                   " seen=%" PRId64 " bound=%" PRId64,
                   h->rule, h->rec->user_id, h->rec->code, h->rec->shard, h->rec->packet_no,
                   h->rec->amount_fen, h->seen, h->bound);
    }
}
