/* verify.c - the checker: runs every invariant on one snapshot. What is unaccounted comes from wallets and the log, whose
 * legs must sum to 0, and from amounts recomputed from the seed; the escrow's own columns are never believed alone. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger_impl.h"
#include "verify_sql.h"

enum { VERIFY_TIMEOUT_S = 600, FINDINGS_PER_QUERY = 200, DETAIL_MAX = 8000 };

struct check {
    struct ledger *l;
    const char *code; /* NULL: all */
    ledger_finding_fn fn;
    void *arg;
    int64_t findings;
    int64_t unaccounted_fen;
    struct rr_buf detail;
};

static void found(struct check *c, const char *invariant, struct rr_slice code,
                  struct rr_slice text)
{
    struct ledger_finding f = {.code = ""};

    snprintf(f.invariant, sizeof(f.invariant), "%s", invariant);
    snprintf(f.code, sizeof(f.code), "%.*s", (int)code.len, code.p ? code.p : "");
    snprintf(f.text, sizeof(f.text), "%.*s", (int)text.len, text.p ? text.p : "");
    c->findings++;
    if (c->detail.len < DETAIL_MAX)
        rr_buf_printf(&c->detail, "%s %s %s\n", f.invariant, f.code, f.text);
    if (c->fn)
        c->fn(c->arg, &f);
}

/* Different checks see the same missing fen from different sides: the largest sum is what is missing. */
static void missing(struct check *c, int64_t fen)
{
    if (fen > c->unaccounted_fen)
        c->unaccounted_fen = fen;
}

static void narrow(struct check *c, const struct verify_query *q)
{
    struct rr_buf *sql = &c->l->sql;
    const char *code = c->code;

    if (!code || q->scope == VERIFY_ALL)
        return;
    if (q->scope == VERIFY_CODE) {
        rr_buf_printf(sql, " AND %s = '%s'", q->column, code);
        return;
    }
    /* ';' follows ':' in ascii. */
    rr_buf_printf(sql,
                  " AND ((a.biz_type = 'create' AND a.biz_id = '%s')"
                  " OR (a.biz_type = 'grant' AND a.biz_id > '%s:' AND a.biz_id < '%s;')"
                  " OR (a.biz_type = 'refund' AND a.biz_id > 'R:%s:' AND a.biz_id < 'R:%s;')"
                  " OR (a.biz_type = 'void' AND a.biz_id > 'V:%s:' AND a.biz_id < 'V:%s;'))",
                  code, code, code, code, code, code, code);
}

static enum rr_err run_query(struct check *c, const struct verify_query *q)
{
    struct db_rows rows = {.cols = 0};
    int64_t sum_fen = 0;
    enum rr_err err = RR_OK;

    if (c->code && q->scope == VERIFY_ALL)
        return RR_OK;
    rr_buf_puts(&c->l->sql, q->head);
    narrow(c, q);
    rr_buf_puts(&c->l->sql, q->tail);
    rr_buf_printf(&c->l->sql, " LIMIT %d", FINDINGS_PER_QUERY);
    err = db_query_buf(c->l->db, &c->l->sql, &rows);
    for (uint32_t i = 0; !err && i < rows.n; i++) {
        found(c, q->invariant, db_text(&rows, i, 0), db_text(&rows, i, 1));
        sum_fen += db_i64(&rows, i, 2);
    }
    if (q->money)
        missing(c, sum_fen);
    db_rows_fini(&rows);
    return err;
}

/* ---- amounts against the seed ---- */

static void check_grants(struct check *c, const struct cached_rain *rain, uint32_t shard,
                         const struct db_rows *rows, int64_t *wrong_fen)
{
    for (uint32_t i = 0; i < rows->n; i++) {
        int64_t no = db_i64(rows, i, 0);
        int64_t is_fen = db_i64(rows, i, 1);
        int64_t should_fen =
            no >= 0 && no <= UINT32_MAX ? cached_rain_amount(rain, shard, (uint32_t)no) : -1;
        char text[100];

        if (is_fen == should_fen)
            continue;
        *wrong_fen += llabs(is_fen - (should_fen < 0 ? 0 : should_fen));
        snprintf(text, sizeof(text),
                 "shard %u packet %" PRId64 ": %" PRId64 " fen, split says %" PRId64, shard, no,
                 is_fen, should_fen);
        found(c, "split_amount", rr_slice_str(rain->info.code), rr_slice_str(text));
    }
}

static enum rr_err check_shard(struct check *c, const struct cached_rain *rain, uint32_t shard,
                               int64_t *wrong_fen)
{
    struct db_rows rows = {.cols = 0};
    int64_t sum_fen = 0;
    int64_t total_fen = 0;
    char text[100];
    enum rr_err err = RR_OK;

    for (uint32_t no = 0;; no++) {
        int64_t fen = cached_rain_amount(rain, shard, no);

        if (fen < 0)
            break;
        sum_fen += fen;
    }
    err = db_select(c->l->db, "SELECT total FROM rp_escrow WHERE code = ? AND shard = ?",
                    DB_ARGS(db_str(rain->info.code), db_int(shard)), &rows);
    total_fen = !err && rows.n ? db_i64(&rows, 0, 0) : 0;
    db_rows_fini(&rows);
    if (!err && total_fen != sum_fen) {
        *wrong_fen += llabs(total_fen - sum_fen);
        snprintf(text, sizeof(text), "shard %u: escrow of %" PRId64 " fen, split says %" PRId64,
                 shard, total_fen, sum_fen);
        found(c, "split_total", rr_slice_str(rain->info.code), rr_slice_str(text));
    }
    if (!err)
        err = db_select(c->l->db,
                        "SELECT packet_no, amount FROM rp_grant WHERE code = ? AND shard = ?",
                        DB_ARGS(db_str(rain->info.code), db_int(shard)), &rows);
    if (!err)
        check_grants(c, rain, shard, &rows, wrong_fen);
    db_rows_fini(&rows);
    return err;
}

static enum rr_err check_amounts(struct check *c)
{
    struct db_rows codes = {.cols = 0};
    int64_t wrong_fen = 0;
    enum rr_err err = RR_OK;

    rr_buf_puts(&c->l->sql, "SELECT config_code FROM t_red_packet_config");
    if (c->code)
        rr_buf_printf(&c->l->sql, " WHERE config_code = '%s'", c->code);
    err = db_query_buf(c->l->db, &c->l->sql, &codes);
    if (!err && c->code && codes.n == 0)
        err = RR_NOT_FOUND;
    for (uint32_t i = 0; !err && i < codes.n; i++) {
        const struct cached_rain *rain = NULL;
        char code[RR_CODE_LEN + 1];

        RR_ASSERT(db_copy(&codes, i, 0, code, sizeof(code)));
        err = rain_cache_get(c->l, code, &rain);
        if (err == RR_CORRUPT) {
            found(c, "split_amount", rr_slice_str(code),
                  rr_slice_str("the amounts cannot be recomputed"));
            err = RR_OK;
            continue;
        }
        for (uint32_t s = 0; !err && s < rain->info.spec.shards; s++)
            err = check_shard(c, rain, s, &wrong_fen);
    }
    missing(c, wrong_fen);
    db_rows_fini(&codes);
    return err;
}

/* ---- one run ---- */

static enum rr_err snapshot(struct check *c)
{
    enum rr_err err = db_execs(c->l->db, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ");

    if (!err)
        err = db_execs(c->l->db, "START TRANSACTION WITH CONSISTENT SNAPSHOT");
    db_in_tx(c->l->db, true);
    if (!err)
        err = check_amounts(c);
    for (unsigned i = 0; !err && i < verify_queries_n; i++)
        err = run_query(c, &verify_queries[i]);
    db_in_tx(c->l->db, false);
    if (!err)
        err = db_execs(c->l->db, "COMMIT");
    return err;
}

static enum rr_err record(struct check *c, int64_t started_ms)
{
    return db_stmt(
        c->l->db,
        "INSERT INTO rp_check (code, findings, unaccounted, detail, started_at, ended_at)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        DB_ARGS(db_str(c->code ? c->code : ""), db_int(c->findings), db_int(c->unaccounted_fen),
                db_slice(rr_slice_of(c->detail.p, c->detail.len)), db_int(started_ms),
                db_int(ledger__now_ms())),
        NULL);
}

enum rr_err ledger_verify(struct ledger *l, const char *code, ledger_finding_fn fn, void *arg,
                          int64_t *unaccounted_fen)
{
    struct check c = {.l = l, .code = code, .fn = fn, .arg = arg};
    int64_t started_ms = ledger__now_ms();
    enum rr_err err = RR_OK;

    *unaccounted_fen = 0;
    if (code && !rain_code_valid(rr_slice_str(code)))
        return RR_NOT_FOUND;
    /* Amounts are recomputed from what the snapshot says; answers may take longer than a request's. */
    rain_cache_fini(&l->cache);
    db_close(l->db);
    db_set_timeout(l->db, VERIFY_TIMEOUT_S);
    err = db_open(l->db);
    if (!err)
        err = snapshot(&c);
    if (!err)
        err = record(&c, started_ms);
    db_set_timeout(l->db, 0);
    db_close(l->db);
    rr_buf_clear(&l->sql);
    rr_buf_fini(&c.detail);
    if (!err)
        *unaccounted_fen = c.unaccounted_fen;
    return err;
}

enum rr_err ledger_note(struct ledger *l, const char *text)
{
    int64_t now_ms = ledger__now_ms();
    enum rr_err err = db_open(l->db);

    if (err)
        return err;
    return db_stmt(
        l->db,
        "INSERT INTO rp_check (code, findings, unaccounted, detail, started_at, ended_at)"
        " VALUES ('', 1, 0, ?, ?, ?)",
        DB_ARGS(db_str(text), db_int(now_ms), db_int(now_ms)), NULL);
}
