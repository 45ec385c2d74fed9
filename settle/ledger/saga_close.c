/* saga_close.c - from SENT to SETTLED. Repeatable at every line: status first, then the pool's gate, then what was granted is
 * fixed per shard, the rest refunded, the grants compared; the end is written when nothing remains. */
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/log.h"
#include "saga_impl.h"

struct close_begin {
    const char *code;
    bool force;
    int64_t rain_now_ms;
    struct rain_info *out;
    struct task *end; /* id 0: END is not to be pushed */
    struct task *close;
};

static enum rr_err begin_tx(struct ledger *l, void *arg)
{
    struct close_begin *p = arg;
    int64_t wall_ms = ledger__now_ms();
    bool early = false;
    enum rr_err err = ledger__rain_lock(l, p->code, p->out);

    p->end->id = 0;
    p->close->id = 0;
    if (err || p->out->status == RAIN_SETTLED)
        return err;
    if (p->out->status != RAIN_SENT && p->out->status != RAIN_CLOSING)
        return RR_CONFLICT;
    early = p->out->status == RAIN_SENT && p->rain_now_ms < p->out->t1_ms;
    if (early && !p->force)
        return RR_PENDING;
    if (p->out->status == RAIN_SENT)
        err = ledger__rain_status(l, p->code, RAIN_SENT, RAIN_CLOSING);
    if (!err && early) {
        err = db_stmt(l->db, "UPDATE t_red_packet_config SET t1 = ? WHERE config_code = ?",
                      DB_ARGS(db_int(p->rain_now_ms), db_str(p->code)), NULL);
        if (!err)
            err = task_put(l, "end", p->code, 0, wall_ms + TASK_INLINE_LEASE_MS, p->end);
    }
    if (!err)
        err = task_put(l, "close", p->code, 0, wall_ms + TASK_INLINE_LEASE_MS, p->close);
    if (!err)
        rr_fail(CLOSE_BEFORE_COMMIT);
    return err;
}

enum rr_err saga__close_begin(struct saga *s, const char *code, bool force, struct rain_info *out,
                              struct task *end, struct task *close)
{
    struct close_begin p = {.code = code, .force = force, .out = out, .end = end, .close = close};
    enum rr_err err = s->pool->now_ms(s->pool->impl, &p.rain_now_ms);

    if (!err)
        err = ledger__tx(s->ledger, begin_tx, &p);
    if (!err)
        rr_fail(CLOSE_AFTER_COMMIT);
    return err;
}

enum rr_err saga_close(struct saga *s, const struct saga_actor *a, const char *code, bool force,
                       struct rain_info *out)
{
    struct task end = {.id = 0};
    struct task close = {.id = 0};
    enum rr_err err = saga__get(s, a, code, out);

    if (!err)
        err = saga__close_begin(s, code, force, out, &end, &close);
    if (err)
        return err == RR_PENDING ? RR_CONFLICT : err;
    /* From here on it is CLOSING, whatever happens: the tasks go on with what fails now. */
    if (end.id)
        err = saga__run_inline(s, &end);
    if (close.id)
        err = saga__run_inline(s, &close);
    if (err)
        log_info("close_goes_on", "rain %s", code);
    return ledger_rain_get(s->ledger, code, out);
}

enum rr_err saga__step_end(struct saga *s, const struct task *t, int64_t *next_at_ms)
{
    struct rain_info r;
    enum rr_err err = ledger_rain_get(s->ledger, t->code, &r);

    (void)next_at_ms;
    /* Later than that RESULT said more. */
    return err || r.status != RAIN_CLOSING ? err : push_end(s, &r);
}

/* ---- the shards ---- */

static enum rr_err note_sold_out(struct ledger *l, const char *code, int64_t at_ms)
{
    enum rr_err err = at_ms ? db_open(l->db) : RR_OK;

    if (err || !at_ms)
        return err;
    return db_stmt(
        l->db,
        "UPDATE t_red_packet_config SET sold_out_at = GREATEST(COALESCE(sold_out_at, 0), ?)"
        " WHERE config_code = ?",
        DB_ARGS(db_int(at_ms), db_str(code)), NULL);
}

/* The pool's gate: after it no packet is granted, and its count is final. */
static enum rr_err fence(struct saga *s, const struct rain_info *r, struct escrow_row *row)
{
    struct pool_shard at = {.shard = row->shard};
    struct pool_state st = {.exists = false};
    enum rr_err err = RR_OK;

    memcpy(at.code, r->code, sizeof(at.code));
    err = s->pool->close(s->pool->impl, &at, true, &st);
    if (err && err != RR_NOT_FOUND && err != RR_RECOVERING)
        return err;
    if (err || saga__pool_lost(r, row->shard, row->rid, &st)) {
        log_warn("pool_lost", "rain %s shard %u: its state in Redis is missing or of another run",
                 r->code, row->shard);
        err = saga__recover_arm(s, r->code);
        return err ? err : RR_RECOVERING;
    }
    if (st.st != 'C')
        return RR_CORRUPT;
    rr_fail(CLOSE_GATE);
    err = note_sold_out(s->ledger, r->code, st.sold_out_at_ms);
    if (!err)
        err = escrow_close(s->ledger, r->code, row, st.granted);
    if (!err)
        rr_fail(CLOSE_FIXED);
    return err;
}

static enum rr_err refund_rest(struct saga *s, const struct rain_info *r,
                               const struct escrow_row *row)
{
    const struct cached_rain *cached = NULL;
    int64_t rest_fen = 0;
    enum rr_err err = rain_cache_get(s->ledger, r->code, &cached);

    if (err)
        return err;
    for (uint32_t no = row->granted_k;; no++) {
        int64_t amount_fen = cached_rain_amount(cached, row->shard, no);

        if (amount_fen < 0)
            break;
        rest_fen += amount_fen;
    }
    return escrow_refund(s->ledger, r, row, rest_fen);
}

/* ---- the end ---- */

static enum rr_err open_rows(struct ledger *l, const char *code, int64_t *n)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_open(l->db);

    if (!err)
        err =
            db_select(l->db,
                      "SELECT (SELECT COUNT(*) FROM rp_dead WHERE code = ? AND state <> 'closed')"
                      " + (SELECT COUNT(*) FROM rp_conflict WHERE code = ? AND state <> 'closed')",
                      DB_ARGS(db_str(code), db_str(code)), &rows);
    if (!err)
        *n = db_i64(&rows, 0, 0);
    db_rows_fini(&rows);
    return err;
}

/* Under the locks of its escrow, which whoever sets a record aside holds too: nothing is left, nothing is open. */
static enum rr_err nothing_left(struct ledger *l, const char *code)
{
    int64_t blocking = 0;
    struct db_rows rows = {.cols = 0};
    bool left = false;
    enum rr_err err =
        db_select(l->db, "SELECT remain, granted_k FROM rp_escrow WHERE code = ? FOR UPDATE",
                  DB_ARGS(db_str(code)), &rows);

    for (uint32_t i = 0; !err && i < rows.n; i++)
        left = left || db_i64(&rows, i, 0) != 0 || db_null_at(&rows, i, 1);
    if (!err && rows.n == 0)
        err = RR_CORRUPT;
    db_rows_fini(&rows);
    if (!err)
        err = open_rows(l, code, &blocking);
    return err ? err : left || blocking ? RR_PENDING : RR_OK;
}

struct settled {
    const struct rain_info *rain;
    bool given_back; /* called off, and nothing was granted */
    struct task last;
};

static enum rr_err arm_last(struct ledger *l, const struct rain_info *r, bool given_back,
                            struct task *last)
{
    int64_t at_ms = ledger__now_ms() + TASK_INLINE_LEASE_MS;
    struct task report;
    enum rr_err err = task_put(l, given_back ? "cancel" : "result", r->code, 0, at_ms, last);

    if (!err && r->spec.kind != KIND_RAIN)
        err = task_put(l, "report", r->code, 0, ledger__now_ms(), &report);
    return err;
}

/* total_get … from the grants themselves. sold_out_at stays only if every packet of every shard was granted. */
static enum rr_err settled_tx(struct ledger *l, void *arg)
{
    struct settled *p = arg;
    const char *code = p->rain->code;
    enum rain_status to = RAIN_SETTLED;
    struct rain_info r;
    enum rr_err err = ledger__rain_lock(l, code, &r);

    if (!err)
        err = rain_transition(r.status, p->given_back ? RAIN_EV_GIVE_BACK : RAIN_EV_SETTLE, &to);
    if (!err)
        err = nothing_left(l, code);
    if (!err)
        err = ledger__rain_status(l, code, r.status, to);
    if (!err)
        err = db_stmt(l->db,
                      "UPDATE t_red_packet_config SET"
                      " total_get = (SELECT COUNT(*) FROM rp_grant WHERE code = ? AND state <> 3),"
                      " total_get_price = (SELECT COALESCE(SUM(amount), 0) FROM rp_grant"
                      " WHERE code = ? AND state <> 3),"
                      " max_get_price = (SELECT COALESCE(MAX(amount), 0) FROM rp_grant"
                      " WHERE code = ? AND state <> 3),"
                      " sold_out_at = IF((SELECT SUM(granted_k) FROM rp_escrow WHERE code = ?)"
                      " = total_count, sold_out_at, NULL) WHERE config_code = ?",
                      DB_ARGS(db_str(code), db_str(code), db_str(code), db_str(code), db_str(code)),
                      NULL);
    if (!err)
        err = arm_last(l, &r, p->given_back, &p->last);
    if (!err)
        rr_fail(SETTLED_BEFORE_COMMIT);
    return err;
}

static enum rr_err finish(struct saga *s, const struct rain_info *r)
{
    struct settled p = {.rain = r, .given_back = r->called_off};
    struct escrow_row rows[RR_SHARDS_MAX];
    int64_t blocking = 0;
    enum rr_err err = escrow_read(s->ledger, r, rows);

    for (uint32_t i = 0; !err && i < r->spec.shards; i++) {
        if (rows[i].remain_fen != 0 || !rows[i].closed)
            err = RR_PENDING;
        if (rows[i].granted_k)
            p.given_back = false; /* it opened before it was shut: it ends as any other */
    }
    if (!err || err == RR_PENDING) {
        enum rr_err rc = open_rows(s->ledger, r->code, &blocking);

        err = rc ? rc : blocking ? RR_PENDING : err;
    }
    if (blocking)
        log_error("settle_blocked", "rain %s: %lld open rows in rp_dead or rp_conflict", r->code,
                  (long long)blocking);
    if (err)
        return err;
    err = ledger__tx(s->ledger, settled_tx, &p);
    if (err == RR_DUPLICATE)
        return RR_OK;
    if (!err)
        rr_fail(SETTLED_AFTER_COMMIT);
    if (!err && saga__run_inline(s, &p.last) != RR_OK)
        log_info("result_goes_on", "rain %s", r->code);
    return err;
}

enum rr_err saga__step_close(struct saga *s, const struct task *t, int64_t *next_at_ms)
{
    struct escrow_row rows[RR_SHARDS_MAX];
    struct task end = {.id = 0};
    struct task again = {.id = 0};
    struct rain_info r;
    int64_t now_ms = 0;
    enum rr_err err = ledger_rain_get(s->ledger, t->code, &r);

    if (!err && r.status == RAIN_SENT) {
        /* Armed for t1. Clocks of machines differ a little: rain time decides. */
        err = s->pool->now_ms(s->pool->impl, &now_ms);
        if (!err && now_ms < r.t1_ms) {
            *next_at_ms = ledger__now_ms() + r.t1_ms - now_ms;
            return RR_PENDING;
        }
        if (!err)
            err = saga__close_begin(s, t->code, false, &r, &end, &again);
        if (!err && again.id)
            return saga__run_inline(s, &again) == RR_OK ? RR_OK : RR_PENDING;
    }
    if (err || r.status != RAIN_CLOSING)
        return err;
    err = escrow_read(s->ledger, &r, rows);
    /* All gates first: every shard ends as early as possible, and the seed is told only after the last. */
    for (uint32_t i = 0; !err && i < r.spec.shards; i++) {
        if (!rows[i].closed)
            err = fence(s, &r, &rows[i]);
    }
    for (uint32_t i = 0; !err && i < r.spec.shards; i++)
        err = refund_rest(s, &r, &rows[i]);
    if (!err)
        err = escrow_read(s->ledger, &r, rows);
    for (uint32_t i = 0; !err && i < r.spec.shards; i++) {
        if (rows[i].remain_fen != 0)
            err = saga__compare(s, &r, &rows[i]);
    }
    return err ? err : finish(s, &r);
}
