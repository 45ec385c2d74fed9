/* repair_books.c - what is wrong in the books themselves: refunds that are missing, ends nobody brings about, wallets that are
 * not the sum of their log. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "repair_impl.h"

/* ---- refunds ---- */

static enum rr_err logged(struct ledger *l, const char *biz_type, const char *biz_id, bool *there)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err =
        db_select(l->db, "SELECT COUNT(*) FROM account_log WHERE biz_type = ? AND biz_id = ?",
                  DB_ARGS(db_str(biz_type), db_str(biz_id)), &rows);

    *there = !err && db_i64(&rows, 0, 0) > 0;
    db_rows_fini(&rows);
    return err;
}

static void to_sender(struct planning *p, struct repair_entry *e, uint32_t shard, int64_t fen)
{
    e->shard = shard;
    e->user_id = p->rain.spec.sender_id;
    e->amount_fen = fen;
    snprintf(e->from, sizeof(e->from), "escrow %s:%u", e->code, shard);
    snprintf(e->to, sizeof(e->to), "balance %" PRId64, e->user_id);
}

static enum rr_err refund(struct planning *p, const struct escrow_row *row)
{
    const struct cached_rain *cached = NULL;
    struct repair_entry *e = NULL;
    int64_t rest_fen = 0;
    bool there = false;
    char biz_id[81];
    enum rr_err err = rain_cache_get(p->l, p->rain.code, &cached);

    snprintf(biz_id, sizeof(biz_id), "R:%s:%u", p->rain.code, row->shard);
    if (!err)
        err = logged(p->l, "refund", biz_id, &there);
    if (err || there)
        return err;
    for (uint32_t no = row->granted_k;; no++) {
        int64_t fen = cached_rain_amount(cached, row->shard, no);

        if (fen < 0)
            break;
        rest_fen += fen;
    }
    if (rest_fen == 0)
        return RR_OK;
    if (row->remain_fen < rest_fen) {
        repair__note(p,
                     "shard %u: %" PRId64 " fen were never refunded, but its escrow holds %" PRId64
                     " only: for a person",
                     row->shard, rest_fen, row->remain_fen);
        return RR_OK;
    }
    e = repair__add(p, REPAIR_REFUND);
    if (!e)
        return RR_OK;
    to_sender(p, e, row->shard, rest_fen);
    e->packet_no = row->granted_k;
    snprintf(e->biz_type, sizeof(e->biz_type), "refund");
    snprintf(e->biz_id, sizeof(e->biz_id), "%s", biz_id);
    snprintf(e->finding, sizeof(e->finding), "refund_amount: shard %u, packets from %u on",
             row->shard, row->granted_k);
    return RR_OK;
}

static enum rr_err voids(struct planning *p)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_select(
        p->l->db, "SELECT shard, packet_no, amount FROM rp_grant WHERE code = ? AND state = 3",
        DB_ARGS(db_str(p->rain.code)), &rows);

    for (uint32_t i = 0; !err && i < rows.n; i++) {
        uint32_t shard = (uint32_t)db_i64(&rows, i, 0);
        uint32_t no = (uint32_t)db_i64(&rows, i, 1);
        struct repair_entry *e = NULL;
        bool there = false;
        char biz_id[81];

        snprintf(biz_id, sizeof(biz_id), "V:%s:%u:%u", p->rain.code, shard, no);
        err = logged(p->l, "void", biz_id, &there);
        if (err || there)
            continue;
        if (shard >= p->rain.spec.shards || p->shards[shard].remain_fen < db_i64(&rows, i, 2)) {
            repair__note(p,
                         "shard %u packet %u: void, but its escrow does not hold it: for a person",
                         shard, no);
            continue;
        }
        e = repair__add(p, REPAIR_VOID_REFUND);
        if (!e)
            break;
        to_sender(p, e, shard, db_i64(&rows, i, 2));
        e->packet_no = no;
        snprintf(e->biz_type, sizeof(e->biz_type), "void");
        snprintf(e->biz_id, sizeof(e->biz_id), "%s", biz_id);
        snprintf(e->finding, sizeof(e->finding), "void_log: shard %u packet %u", shard, no);
    }
    db_rows_fini(&rows);
    return err;
}

/* ---- ends ---- */

/* Money that neither a grant nor a refund nor a proposal above takes out of the escrow. */
static int64_t left_over(const struct planning *p)
{
    int64_t fen = 0;

    for (uint32_t i = 0; i < p->rain.spec.shards; i++)
        fen += p->shards[i].remain_fen;
    for (uint32_t i = 0; i < p->plan->n; i++) {
        const struct repair_entry *e = &p->plan->entries[i];

        if (!e->undecided &&
            (e->kind == REPAIR_GRANT || e->kind == REPAIR_REFUND || e->kind == REPAIR_VOID_REFUND))
            fen -= e->amount_fen;
    }
    return fen;
}

static enum rr_err end_of_rain(struct planning *p)
{
    struct db_rows rows = {.cols = 0};
    const char *why = NULL;
    struct repair_entry *e = NULL;
    int64_t ver = 0;
    bool armed = false;
    enum rr_err err = db_select(p->l->db,
                                "SELECT COALESCE(SUM(state = 0), 0), COALESCE(SUM(ver), 0)"
                                " FROM rp_task WHERE code = ?",
                                DB_ARGS(db_str(p->rain.code)), &rows);

    armed = !err && db_i64(&rows, 0, 0) > 0;
    ver = !err ? db_i64(&rows, 0, 1) : 0;
    db_rows_fini(&rows);
    if (err)
        return err;
    if ((p->rain.status == RAIN_SENT || p->rain.status == RAIN_CLOSING) && !armed)
        why = "rain_task: no step is armed that would end it";
    else if (p->rain.status == RAIN_SETTLED && left_over(p) > 0)
        why = "end_remain: packets are neither paid nor refunded";
    if (!why)
        return RR_OK;
    e = repair__add(p, REPAIR_CLOSE_AGAIN);
    if (!e)
        return RR_OK;
    snprintf(e->biz_id, sizeof(e->biz_id), "close:%s:%" PRId64, p->rain.code, ver);
    snprintf(e->finding, sizeof(e->finding), "%s", why);
    return RR_OK;
}

enum rr_err repair__ends(struct planning *p)
{
    enum rr_err err = RR_OK;

    for (uint32_t i = 0; !err && i < p->rain.spec.shards; i++) {
        if (p->shards[i].closed)
            err = refund(p, &p->shards[i]);
    }
    if (!err)
        err = voids(p);
    return err ? err : end_of_rain(p);
}

/* ---- wallets ---- */

static void wallet_entry(struct planning *p, const char *kind, int64_t user_id, int64_t diff_fen,
                         int64_t last_id)
{
    struct repair_entry *e = repair__add(p, REPAIR_WALLET);

    if (!e)
        return;
    e->user_id = user_id;
    e->amount_fen = diff_fen;
    snprintf(e->from, sizeof(e->from), "platform repair");
    snprintf(e->to, sizeof(e->to), "%s %" PRId64, kind, user_id);
    snprintf(e->biz_type, sizeof(e->biz_type), "repair");
    /* Named by the log it was seen with: another difference later is another one. */
    snprintf(e->biz_id, sizeof(e->biz_id), "W:%s:%" PRId64 ":%" PRId64, kind, user_id, last_id);
    snprintf(e->finding, sizeof(e->finding),
             "wallet_log: the %s of user %" PRId64 " is %+" PRId64 " fen off its log", kind,
             user_id, diff_fen);
    if (diff_fen < 0 && p->ask->make_good) {
        struct repair_entry *m = repair__add(p, REPAIR_MAKE_GOOD);

        if (!m)
            return;
        m->user_id = user_id;
        m->amount_fen = -diff_fen;
        snprintf(m->from, sizeof(m->from), "platform repair");
        snprintf(m->to, sizeof(m->to), "balance %" PRId64, user_id);
        snprintf(m->biz_type, sizeof(m->biz_type), "repair");
        snprintf(m->biz_id, sizeof(m->biz_id), "M:%s:%" PRId64 ":%" PRId64, kind, user_id, last_id);
        snprintf(m->finding, sizeof(m->finding), "%s", e->finding);
    }
}

enum rr_err repair__wallets(struct planning *p)
{
    static const char sql[] =
        "SELECT x.user_id, x.b, x.f, x.last_id FROM (SELECT w.user_id,"
        " w.balance - COALESCE(SUM(IF(a.account_kind = 'balance', a.delta, 0)), 0) AS b,"
        " w.frozen - COALESCE(SUM(IF(a.account_kind = 'frozen', a.delta, 0)), 0) AS f,"
        " COALESCE(MAX(a.id), 0) AS last_id FROM wallet w LEFT JOIN account_log a"
        " ON a.account_id = CONVERT(w.user_id USING ascii) COLLATE ascii_bin"
        " AND a.account_kind IN ('balance', 'frozen') GROUP BY w.user_id, w.balance, w.frozen) x"
        " WHERE x.b <> 0 OR x.f <> 0 ORDER BY x.user_id LIMIT 501";
    static const char gone[] =
        "SELECT CAST(x.account_id AS SIGNED), x.b, x.f, x.last_id FROM (SELECT a.account_id,"
        " -SUM(IF(a.account_kind = 'balance', a.delta, 0)) AS b,"
        " -SUM(IF(a.account_kind = 'frozen', a.delta, 0)) AS f, MAX(a.id) AS last_id"
        " FROM account_log a WHERE a.account_kind IN ('balance', 'frozen') GROUP BY a.account_id) x"
        " LEFT JOIN wallet w ON w.user_id = CAST(x.account_id AS SIGNED)"
        " WHERE w.user_id IS NULL AND (x.b <> 0 OR x.f <> 0) LIMIT 501";
    const char *queries[] = {sql, gone};
    enum rr_err err = RR_OK;

    for (size_t q = 0; !err && q < RR_COUNTOF(queries); q++) {
        struct db_rows rows = {.cols = 0};

        err = db_query(p->l->db, queries[q], strlen(queries[q]), &rows);
        for (uint32_t i = 0; !err && i < rows.n; i++) {
            int64_t user_id = db_i64(&rows, i, 0);
            int64_t last_id = db_i64(&rows, i, 3);

            if (db_i64(&rows, i, 1))
                wallet_entry(p, "balance", user_id, db_i64(&rows, i, 1), last_id);
            if (db_i64(&rows, i, 2))
                wallet_entry(p, "frozen", user_id, db_i64(&rows, i, 2), last_id);
        }
        db_rows_fini(&rows);
    }
    return err;
}
