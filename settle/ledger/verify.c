/* verify.c - the checker: runs every invariant on one snapshot. What is unaccounted comes from wallets and the log, whose
 * legs must sum to 0, and from amounts recomputed from the seed; the escrow's own columns are never believed alone.
 * Memory is bounded: rains and grants are read by pages, findings are kept up to FINDINGS_MAX. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "verify_impl.h"

enum {
    VERIFY_TIMEOUT_S = 600,
    FINDINGS_PER_QUERY = 200,
    DETAIL_MAX = 8000,
    MARK_ROWS = 1000,            /* of one INSERT into rp_checked */
    KEEP_CLEAN_MS = 7 * 86400000 /* rows of clean quick runs */
};

void verify__found(struct check *c, const char *invariant, struct rr_slice code,
                   struct rr_slice text, int64_t fen)
{
    struct ledger_finding f = {.code = "", .fen = fen};

    snprintf(f.invariant, sizeof(f.invariant), "%s", invariant);
    snprintf(f.code, sizeof(f.code), "%.*s", (int)code.len, code.p ? code.p : "");
    snprintf(f.text, sizeof(f.text), "%.*s", (int)text.len, text.p ? text.p : "");
    if (c->findings < VERIFY_FINDINGS_MAX) {
        c->kept = rr_xrealloc(c->kept, (size_t)c->findings + 1, sizeof(*c->kept));
        c->kept[c->findings] = f;
    }
    c->findings++;
    if (c->detail.len < DETAIL_MAX)
        rr_buf_printf(&c->detail, "%s %s %s\n", f.invariant, f.code, f.text);
    if (c->fn)
        c->fn(c->arg, &f);
}

/* Different checks see the same missing fen from different sides: the largest sum is what is missing. */
void verify__missing(struct check *c, int64_t fen)
{
    if (fen > c->unaccounted_fen)
        c->unaccounted_fen = fen;
}

/* Findings beyond those kept may be of any rain. */
void verify__clean(struct check *c, const char *code)
{
    if (c->findings > VERIFY_FINDINGS_MAX)
        return;
    for (int64_t i = 0; i < c->findings; i++) {
        if (strcmp(c->kept[i].code, code) == 0)
            return;
    }
    if (c->clean.len + RR_CODE_LEN <= VERIFY_CLEAN_MAX_BYTES)
        rr_buf_append(&c->clean, code, RR_CODE_LEN);
}

static void narrow(struct check *c, const struct verify_query *q)
{
    struct rr_buf *sql = &c->l->sql;
    const char *code = c->code;

    if (!code && c->quick && q->scope == VERIFY_CODE)
        rr_buf_printf(sql,
                      " AND NOT EXISTS (SELECT 1 FROM rp_checked k WHERE k.code = %s"
                      " AND k.checked_at > %" PRId64 ")",
                      q->column, c->checked_after_ms);
    if (!code || q->scope == VERIFY_ALL || q->scope == VERIFY_FULL)
        return;
    if (q->scope == VERIFY_CODE) {
        rr_buf_printf(sql, " AND %s = '%s'", q->column, code);
        return;
    }
    /* ';' follows ':' in ascii. */
    if (q->scope == VERIFY_BIZ) {
        rr_buf_printf(sql, " AND a.biz_id > '%s:' AND a.biz_id < '%s;'", code, code);
        return;
    }
    rr_buf_printf(sql,
                  " AND ((a.biz_type = 'create' AND a.biz_id = '%s')"
                  " OR (a.biz_type = 'grant' AND a.biz_id > '%s:' AND a.biz_id < '%s;')"
                  " OR (a.biz_type = 'refund' AND a.biz_id > 'R:%s:' AND a.biz_id < 'R:%s;')"
                  " OR (a.biz_type = 'void' AND a.biz_id > 'V:%s:' AND a.biz_id < 'V:%s;')"
                  " OR (a.biz_type = 'release' AND a.biz_id > 'H:%s:' AND a.biz_id < 'H:%s;')"
                  " OR (a.biz_type = 'take_back' AND a.biz_id > 'T:%s:' AND a.biz_id < 'T:%s;'))",
                  code, code, code, code, code, code, code, code, code, code, code);
}

/* A statement about the archive is the same with other names of tables. */
static void put_sql(struct check *c, const char *text)
{
    static const char *const tables[] = {"t_red_packet_config", "rp_escrow", "rp_grant"};
    struct rr_buf *sql = &c->l->sql;

    while (c->archive && *text) {
        size_t len = 0;

        for (size_t i = 0; !len && i < RR_COUNTOF(tables); i++) {
            if (strncmp(text, tables[i], strlen(tables[i])) == 0)
                len = strlen(tables[i]);
        }
        rr_buf_append(sql, text, len ? len : 1);
        if (len)
            rr_buf_puts(sql, "_archive");
        text += len ? len : 1;
    }
    rr_buf_puts(sql, text);
}

/* Each rain is checked where it is whole: not both, and not neither. */
static void narrow_archive(struct check *c, const struct verify_query *q)
{
    if (c->has_archive && q->column[0])
        rr_buf_printf(&c->l->sql,
                      " AND %s (SELECT 1 FROM rp_archive m WHERE m.code = %s AND m.state >= 2)",
                      c->archive ? "EXISTS" : "NOT EXISTS", q->column);
}

static enum rr_err run_query(struct check *c, const struct verify_query *q)
{
    struct db_rows rows = {.cols = 0};
    int64_t sum_fen = 0;
    enum rr_err err = RR_OK;

    if (c->code && (q->scope == VERIFY_ALL || q->scope == VERIFY_FULL))
        return RR_OK;
    if (c->quick && q->scope == VERIFY_FULL)
        return RR_OK;
    if (c->archive && !q->column[0])
        return RR_OK;
    put_sql(c, q->head);
    narrow(c, q);
    narrow_archive(c, q);
    put_sql(c, q->tail);
    rr_buf_printf(&c->l->sql, " LIMIT %d", FINDINGS_PER_QUERY);
    err = db_query_buf(c->l->db, &c->l->sql, &rows);
    for (uint32_t i = 0; !err && i < rows.n; i++) {
        verify__found(c, q->invariant, db_text(&rows, i, 0), db_text(&rows, i, 1),
                      db_i64(&rows, i, 2));
        sum_fen += db_i64(&rows, i, 2);
    }
    if (q->money)
        verify__missing(c, sum_fen);
    db_rows_fini(&rows);
    return err;
}

/* ---- one run ---- */

static enum rr_err look_for_archive(struct check *c)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_select(c->l->db, "SELECT 1 FROM rp_archive WHERE state IN (2, 3) LIMIT 1",
                                NULL, 0, &rows);

    c->has_archive = !err && rows.n;
    db_rows_fini(&rows);
    return err;
}

static enum rr_err run_pass(struct check *c)
{
    enum rr_err err = RR_OK;

    for (unsigned i = 0; !err && i < verify_queries_n; i++)
        err = run_query(c, &verify_queries[i]);
    for (unsigned i = 0; !err && i < verify_more_n; i++)
        err = run_query(c, &verify_more[i]);
    for (unsigned i = 0; !err && i < verify_fu_n; i++)
        err = run_query(c, &verify_fu[i]);
    return err ? err : verify__amounts(c);
}

static enum rr_err snapshot(struct check *c)
{
    enum rr_err err = db_execs(c->l->db, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ");

    if (!err)
        err = db_execs(c->l->db, "START TRANSACTION WITH CONSISTENT SNAPSHOT");
    db_in_tx(c->l->db, true);
    if (!err)
        err = look_for_archive(c);
    if (!err)
        err = run_pass(c);
    c->archive = true;
    if (!err && c->has_archive)
        err = run_pass(c);
    if (!err && c->code && c->rains == 0)
        err = RR_NOT_FOUND;
    db_in_tx(c->l->db, false);
    if (!err)
        err = db_execs(c->l->db, "COMMIT");
    return err;
}

static enum rr_err record_findings(struct check *c, int64_t check_id)
{
    enum rr_err err = RR_OK;

    for (int64_t i = 0; !err && i < c->findings && i < VERIFY_FINDINGS_MAX; i++) {
        const struct ledger_finding *f = &c->kept[i];

        err = db_stmt(c->l->db,
                      "INSERT INTO rp_finding (check_id, code, invariant, fen, text)"
                      " VALUES (?, ?, ?, ?, LEFT(?, 200))",
                      DB_ARGS(db_int(check_id), db_str(f->code), db_str(f->invariant),
                              db_int(f->fen), db_str(f->text)),
                      NULL);
    }
    return err;
}

static enum rr_err record(struct check *c, int64_t started_ms)
{
    struct db_rows rows = {.cols = 0};
    int64_t check_id = 0;
    enum rr_err err = db_stmt(
        c->l->db,
        "INSERT INTO rp_check (code, findings, unaccounted, detail, started_at, ended_at, kind)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        DB_ARGS(db_str(c->code ? c->code : ""), db_int(c->findings), db_int(c->unaccounted_fen),
                db_slice(rr_slice_of(c->detail.p, c->detail.len)), db_int(started_ms),
                db_int(ledger__now_ms()), db_str(c->quick ? "quick" : "full")),
        NULL);

    if (!err)
        err = db_select(c->l->db, "SELECT LAST_INSERT_ID()", NULL, 0, &rows);
    if (!err)
        check_id = db_i64(&rows, 0, 0);
    db_rows_fini(&rows);
    if (!err)
        err = record_findings(c, check_id);
    if (!err && c->quick)
        err = db_stmt(c->l->db,
                      "DELETE FROM rp_check WHERE kind = 'quick' AND findings = 0"
                      " AND ended_at < ? LIMIT 1000",
                      DB_ARGS(db_int(started_ms - KEEP_CLEAN_MS)), NULL);
    return err;
}

/* Ended rains without a finding: the next quick runs leave them out for a day. */
static enum rr_err mark_checked(struct check *c, int64_t started_ms)
{
    enum rr_err err = RR_OK;
    uint32_t n = (uint32_t)(c->clean.len / RR_CODE_LEN);

    for (uint32_t i = 0; !err && i < n;) {
        rr_buf_puts(&c->l->sql, "INSERT INTO rp_checked (code, checked_at) VALUES ");
        for (uint32_t k = 0; k < MARK_ROWS && i < n; k++, i++)
            rr_buf_printf(&c->l->sql, "%s('%.*s',%" PRId64 ")", k ? "," : "", RR_CODE_LEN,
                          c->clean.p + (size_t)i * RR_CODE_LEN, started_ms);
        rr_buf_puts(&c->l->sql, " ON DUPLICATE KEY UPDATE checked_at = VALUES(checked_at)");
        err = db_exec_buf(c->l->db, &c->l->sql, NULL);
    }
    return err;
}

enum rr_err verify__run(struct check *c, int64_t *unaccounted_fen)
{
    struct ledger *l = c->l;
    int64_t started_ms = ledger__now_ms();
    enum rr_err err = RR_OK;

    *unaccounted_fen = 0;
    if (c->code && !rain_code_valid(rr_slice_str(c->code)))
        return RR_NOT_FOUND;
    c->checked_after_ms = started_ms - VERIFY_AGAIN_MS;
    rr_buf_init(&c->clean, VERIFY_CLEAN_MAX_BYTES);
    /* Amounts are recomputed from what the snapshot says; answers may take longer than a request's. */
    rain_cache_fini(&l->cache);
    db_close(l->db);
    db_set_timeout(l->db, VERIFY_TIMEOUT_S);
    err = db_open(l->db);
    if (!err)
        err = snapshot(c);
    if (!err)
        err = record(c, started_ms);
    if (!err)
        err = mark_checked(c, started_ms);
    db_set_timeout(l->db, 0);
    db_close(l->db);
    rr_buf_clear(&l->sql);
    rr_buf_fini(&c->detail);
    rr_buf_fini(&c->clean);
    free(c->kept);
    if (!err)
        *unaccounted_fen = c->unaccounted_fen;
    return err;
}

enum rr_err ledger_verify(struct ledger *l, const char *code, ledger_finding_fn fn, void *arg,
                          int64_t *unaccounted_fen)
{
    struct check c = {.l = l, .code = code, .fn = fn, .arg = arg};

    return verify__run(&c, unaccounted_fen);
}

enum rr_err ledger_verify_quick(struct ledger *l, ledger_finding_fn fn, void *arg,
                                int64_t *unaccounted_fen)
{
    struct check c = {.l = l, .fn = fn, .arg = arg, .quick = true};

    return verify__run(&c, unaccounted_fen);
}
