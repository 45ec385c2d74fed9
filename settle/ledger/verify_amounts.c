/* verify_amounts.c - what the seed says against what the books say: packets, shards, refunds. One rain after the other, its
 * grants by pages. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verify_impl.h"

enum { RAINS_PAGE = 500, GRANTS_PAGE = 20000 };

#define GRANTS(table)                                                                              \
    "SELECT packet_no, amount FROM " table " WHERE code = ? AND shard = ? AND packet_no > ?"       \
    " ORDER BY packet_no LIMIT ?"
#define SHARD(table) "SELECT total, granted_k FROM " table " WHERE code = ? AND shard = ?"

/* One rain under check. */
struct amounts {
    struct check *c;
    const struct cached_rain *rain;
    bool ended;
    int64_t wrong_fen;
};

static void wrong(struct amounts *a, const char *invariant, int64_t fen, const char *text)
{
    a->wrong_fen += llabs(fen);
    verify__found(a->c, invariant, rr_slice_str(a->rain->info.code), rr_slice_str(text),
                  llabs(fen));
}

static void check_page(struct amounts *a, uint32_t shard, const struct db_rows *rows)
{
    for (uint32_t i = 0; i < rows->n; i++) {
        int64_t no = db_i64(rows, i, 0);
        int64_t is_fen = db_i64(rows, i, 1);
        int64_t should_fen =
            no >= 0 && no <= UINT32_MAX ? cached_rain_amount(a->rain, shard, (uint32_t)no) : -1;
        char text[100];

        if (is_fen == should_fen)
            continue;
        snprintf(text, sizeof(text),
                 "shard %u packet %" PRId64 ": %" PRId64 " fen, split says %" PRId64, shard, no,
                 is_fen, should_fen);
        wrong(a, "split_amount", is_fen - (should_fen < 0 ? 0 : should_fen), text);
    }
}

static enum rr_err check_grants(struct amounts *a, uint32_t shard)
{
    int64_t after = -1;

    for (;;) {
        struct db_rows rows = {.cols = 0};
        uint32_t n = 0;
        enum rr_err err = db_select(
            a->c->l->db, a->c->archive ? GRANTS("rp_grant_archive") : GRANTS("rp_grant"),
            DB_ARGS(db_str(a->rain->info.code), db_int(shard), db_int(after), db_int(GRANTS_PAGE)),
            &rows);

        if (!err)
            check_page(a, shard, &rows);
        n = rows.n;
        if (n)
            after = db_i64(&rows, n - 1, 0);
        db_rows_fini(&rows);
        if (err || n < GRANTS_PAGE)
            return err;
    }
}

/* An ended shard gave back exactly the packets from granted_k on, by R:code:shard. */
static enum rr_err check_refund(struct amounts *a, uint32_t shard, int64_t rest_fen)
{
    struct db_rows rows = {.cols = 0};
    int64_t is_fen = 0;
    char biz_id[80];
    char text[100];
    enum rr_err err = RR_OK;

    snprintf(biz_id, sizeof(biz_id), "R:%s:%u", a->rain->info.code, shard);
    err = db_select(a->c->l->db,
                    "SELECT COALESCE(-SUM(delta), 0) FROM account_log WHERE biz_type = 'refund'"
                    " AND biz_id = ? AND account_kind = 'escrow'",
                    DB_ARGS(db_str(biz_id)), &rows);
    is_fen = !err ? db_i64(&rows, 0, 0) : 0;
    db_rows_fini(&rows);
    if (err || is_fen == rest_fen)
        return err;
    snprintf(text, sizeof(text), "shard %u: %" PRId64 " fen refunded, not granted were %" PRId64,
             shard, is_fen, rest_fen);
    wrong(a, "refund_amount", is_fen - rest_fen, text);
    return RR_OK;
}

static enum rr_err check_shard(struct amounts *a, uint32_t shard)
{
    struct db_rows rows = {.cols = 0};
    int64_t sum_fen = 0;
    int64_t rest_fen = 0;
    int64_t total_fen = 0;
    int64_t k = INT64_MAX;
    char text[100];
    enum rr_err err =
        db_select(a->c->l->db, a->c->archive ? SHARD("rp_escrow_archive") : SHARD("rp_escrow"),
                  DB_ARGS(db_str(a->rain->info.code), db_int(shard)), &rows);

    if (err)
        return err;
    if (rows.n) {
        total_fen = db_i64(&rows, 0, 0);
        if (!db_null_at(&rows, 0, 1))
            k = db_i64(&rows, 0, 1);
    }
    db_rows_fini(&rows);
    for (uint32_t no = 0;; no++) {
        int64_t fen = cached_rain_amount(a->rain, shard, no);

        if (fen < 0)
            break;
        sum_fen += fen;
        if (no >= k)
            rest_fen += fen;
    }
    if (total_fen != sum_fen) {
        snprintf(text, sizeof(text), "shard %u: escrow of %" PRId64 " fen, split says %" PRId64,
                 shard, total_fen, sum_fen);
        wrong(a, "split_total", total_fen - sum_fen, text);
    }
    if (a->ended && k != INT64_MAX)
        err = check_refund(a, shard, rest_fen);
    return err ? err : check_grants(a, shard);
}

/* ---- all rains, or one ---- */

static enum rr_err check_rain(struct check *c, const char *code, bool ended)
{
    struct amounts a = {.c = c, .ended = ended};
    int64_t findings = c->findings;
    enum rr_err err = rain_cache_get(c->l, code, &a.rain);

    if (err == RR_CORRUPT) {
        verify__found(c, "split_amount", rr_slice_str(code),
                      rr_slice_str("the amounts cannot be recomputed"), 0);
        return RR_OK;
    }
    for (uint32_t s = 0; !err && s < a.rain->info.spec.shards; s++)
        err = check_shard(&a, s);
    c->wrong_fen += a.wrong_fen;
    if (!err && ended && c->findings == findings && !c->code)
        verify__clean(c, code);
    return err;
}

static enum rr_err rains_page(struct check *c, int64_t after_id, struct db_rows *rows)
{
    struct rr_buf *sql = &c->l->sql;

    rr_buf_printf(sql,
                  "SELECT c.id, c.config_code, c.status FROM t_red_packet_config%s c"
                  " WHERE c.id > %" PRId64,
                  c->archive ? "_archive" : "", after_id);
    if (c->archive)
        rr_buf_puts(sql, " AND EXISTS (SELECT 1 FROM rp_archive m WHERE m.code = c.config_code"
                         " AND m.state >= 2)");
    if (c->code)
        rr_buf_printf(sql, " AND c.config_code = '%s'", c->code);
    if (c->quick)
        rr_buf_printf(sql,
                      " AND NOT EXISTS (SELECT 1 FROM rp_checked k WHERE k.code = c.config_code"
                      " AND k.checked_at > %" PRId64 ")",
                      c->checked_after_ms);
    rr_buf_printf(sql, " ORDER BY c.id LIMIT %d", RAINS_PAGE);
    return db_query_buf(c->l->db, sql, rows);
}

enum rr_err verify__amounts(struct check *c)
{
    int64_t after_id = 0;
    uint32_t n = RAINS_PAGE;
    enum rr_err err = RR_OK;

    while (!err && n == RAINS_PAGE) {
        struct db_rows rows = {.cols = 0};

        err = rains_page(c, after_id, &rows);
        n = rows.n;
        c->rains += n;
        for (uint32_t i = 0; !err && i < n; i++) {
            char code[RR_CODE_LEN + 1];

            after_id = db_i64(&rows, i, 0);
            RR_ASSERT(db_copy(&rows, i, 1, code, sizeof(code)));
            err = check_rain(c, code, db_i64(&rows, i, 2) >= RAIN_SETTLED);
        }
        db_rows_fini(&rows);
    }
    verify__missing(c, c->wrong_fen);
    return err;
}
