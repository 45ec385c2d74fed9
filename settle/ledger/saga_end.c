/* saga_end.c - after the money: the result is told, a cancelled rain is given back, a parked record is tried again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fail.h"
#include "base/log.h"
#include "protocol/record.h"
#include "result_hist.h"
#include "saga_impl.h"
#include "settle.h"

enum { PARK_RETRY_MS = 60000 };

static enum rr_err retire(struct saga *s, const struct rain_info *r)
{
    struct pool_shard at = {.shard = 0};
    enum rr_err err = RR_OK;

    memcpy(at.code, r->code, sizeof(at.code));
    for (; !err && at.shard < r->spec.shards; at.shard++) {
        struct pool_state st;

        err = s->pool->retire(s->pool->impl, &at);
        /* Rolled back to before the close after everything was settled: nobody needed it any more. */
        if (err == RR_CONFLICT)
            err = s->pool->close(s->pool->impl, &at, true, &st);
        else
            continue;
        if (!err)
            err = s->pool->retire(s->pool->impl, &at);
    }
    return err;
}

/* ---- result ---- */

/* The seed says which packets are the largest, the books who has them: ten reads by primary key, not a sort of all grants.
 * Of equal amounts the one that was granted first in its shard comes first. */
struct candidate {
    int64_t amount_fen;
    uint32_t packet_no;
    uint32_t shard;
};

static int by_amount(const void *pa, const void *pb)
{
    const struct candidate *a = pa;
    const struct candidate *b = pb;
    int c = (b->amount_fen > a->amount_fen) - (b->amount_fen < a->amount_fen);

    if (c == 0)
        c = (a->packet_no > b->packet_no) - (a->packet_no < b->packet_no);
    return c ? c : (a->shard > b->shard) - (a->shard < b->shard);
}

static enum rr_err granted_by_amount(struct ledger *l, const struct rain_info *r,
                                     struct candidate *out, uint32_t *n)
{
    struct escrow_row rows[RR_SHARDS_MAX];
    const struct cached_rain *cached = NULL;
    enum rr_err err = escrow_read(l, r, rows);

    *n = 0;
    if (!err)
        err = rain_cache_get(l, r->code, &cached);
    for (uint32_t s = 0; !err && s < r->spec.shards; s++) {
        for (uint32_t no = 0; rows[s].closed && no < rows[s].granted_k; no++) {
            int64_t amount_fen = cached_rain_amount(cached, s, no);

            if (amount_fen < 0)
                break;
            out[(*n)++] = (struct candidate){.amount_fen = amount_fen, .packet_no = no, .shard = s};
        }
    }
    if (!err)
        qsort(out, *n, sizeof(*out), by_amount);
    return err;
}

static enum rr_err read_top(struct ledger *l, const struct rain_info *r,
                            const struct candidate *all, uint32_t all_n,
                            struct rain_winner top[TOP_MAX], uint32_t *n)
{
    enum rr_err err = RR_OK;

    *n = 0;
    for (uint32_t i = 0; !err && i < all_n && *n < TOP_MAX; i++) {
        struct db_rows rows = {.cols = 0};

        err = db_select(l->db,
                        "SELECT user_id, amount FROM rp_grant WHERE code = ? AND shard = ?"
                        " AND packet_no = ? AND state <> 3",
                        DB_ARGS(db_str(r->code), db_int(all[i].shard), db_int(all[i].packet_no)),
                        &rows);
        if (!err && rows.n)
            top[(*n)++] = (struct rain_winner){.user_id = db_i64(&rows, 0, 0),
                                               .amount_fen = db_i64(&rows, 0, 1),
                                               .shard = all[i].shard,
                                               .packet_no = all[i].packet_no};
        db_rows_fini(&rows);
    }
    return err;
}

/* Packets that nobody got are not counted. There are hardly ever any: only then the books are read through for them. */
static enum rr_err read_hist(struct ledger *l, const struct rain_info *r,
                             const struct candidate *all, uint32_t all_n, struct rain_result *out)
{
    int64_t *amounts_fen = rr_xcalloc(all_n ? all_n : 1, sizeof(*amounts_fen));
    struct db_rows voids = {.cols = 0};
    enum rr_err err = RR_OK;
    uint32_t n = 0;
    uint32_t v = 0;      /* row of voids */
    int64_t v_taken = 0; /* of it */

    if (all_n != r->total_get)
        err = db_select(l->db,
                        "SELECT amount, COUNT(*) FROM rp_grant WHERE code = ? AND state = 3"
                        " GROUP BY amount ORDER BY amount DESC",
                        DB_ARGS(db_str(r->code)), &voids);
    for (uint32_t i = 0; !err && i < all_n; i++) {
        if (v < voids.n && v_taken == db_i64(&voids, v, 1)) {
            v++;
            v_taken = 0;
        }
        if (v < voids.n && db_i64(&voids, v, 0) == all[i].amount_fen)
            v_taken++;
        else
            amounts_fen[n++] = all[i].amount_fen;
    }
    out->hist_n = result_hist(amounts_fen, n, out->hist);
    db_rows_fini(&voids);
    free(amounts_fen);
    return err;
}

static enum rr_err read_result(struct ledger *l, const struct rain_info *r, struct rain_result *out)
{
    struct candidate *all = rr_xcalloc(r->spec.count, sizeof(*all));
    uint32_t all_n = 0;
    enum rr_err err = granted_by_amount(l, r, all, &all_n);

    if (!err)
        err = read_top(l, r, all, all_n, out->top, &out->top_n);
    if (!err)
        err = read_hist(l, r, all, all_n, out);
    free(all);
    return err;
}

enum rr_err saga__step_result(struct saga *s, const struct task *t, int64_t *next_at_ms)
{
    struct rain_result result = {.top_n = 0};
    struct rain_info r;
    enum rr_err err = ledger_rain_get(s->ledger, t->code, &r);

    (void)next_at_ms;
    if (err || r.status != RAIN_SETTLED)
        return err ? err : RR_CORRUPT;
    err = read_result(s->ledger, &r, &result);
    if (!err)
        err = push_result(s, &r, &result);
    if (!err)
        rr_fail(RESULT_PUSHED);
    if (!err)
        err = s->pool->stats(s->pool->impl, r.code, r.total_get, r.total_get_fen);
    if (!err)
        err = retire(s, &r);
    if (!err)
        rr_fail(RESULT_RETIRED);
    return err;
}

/* ---- cancel ---- */

struct cancel {
    const char *code;
    int64_t rain_now_ms;
    struct task task; /* id 0: was cancelled before */
};

/* In its countdown nothing can be granted yet, but only the pool knows for sure: it is closed as any other, and what the
 * pool says decides how it ends. */
static enum rr_err call_off(struct ledger *l, struct cancel *p, const struct rain_info *r)
{
    enum rain_status to = RAIN_CLOSING;
    enum rr_err err = rain_transition(r->status, RAIN_EV_CALL_OFF, &to);

    if (!err && p->rain_now_ms >= r->t0_ms)
        err = RR_CONFLICT;
    if (!err)
        err = ledger__rain_status(l, p->code, r->status, to);
    if (!err)
        err = db_stmt(l->db,
                      "UPDATE t_red_packet_config SET called_off = 1, t1 = t0"
                      " WHERE config_code = ?",
                      DB_ARGS(db_str(p->code)), NULL);
    if (!err)
        err = task_put(l, "close", p->code, 0, ledger__now_ms() + TASK_INLINE_LEASE_MS, &p->task);
    return err;
}

static enum rr_err cancel_tx(struct ledger *l, void *arg)
{
    struct cancel *p = arg;
    struct escrow_row rows[RR_SHARDS_MAX];
    struct rain_info r;
    struct task report;
    enum rain_status to = RAIN_CANCELLED;
    enum rr_err err = ledger__rain_lock(l, p->code, &r);

    p->task.id = 0;
    if (!err && (r.status == RAIN_SENT || (r.status == RAIN_CLOSING && r.called_off)))
        return call_off(l, p, &r);
    if (!err)
        err = rain_transition(r.status, RAIN_EV_CANCEL, &to);
    if (err == RR_DUPLICATE)
        return RR_OK;
    if (!err)
        err = ledger__rain_status(l, p->code, r.status, to);
    if (!err)
        err = escrow_read(l, &r, rows);
    for (uint32_t i = 0; !err && i < r.spec.shards; i++) {
        char biz_id[80];

        snprintf(biz_id, sizeof(biz_id), "R:%s:%u", p->code, i);
        if (rows[i].remain_fen)
            err = escrow__give_back(l, &r, i, "refund", biz_id, rows[i].remain_fen);
    }
    /* granted_k 0: nothing of it can ever be settled. */
    if (!err)
        err = db_stmt(l->db,
                      "UPDATE rp_escrow SET refunded = refunded + remain, remain = 0, granted_k = 0"
                      " WHERE code = ? AND granted_k IS NULL AND settled = 0",
                      DB_ARGS(db_str(p->code)), NULL);
    if (!err)
        err = task_drop(l, "start", p->code);
    if (!err)
        err = task_drop(l, "expire", p->code);
    if (!err && r.spec.kind != KIND_RAIN)
        err = task_put(l, "report", p->code, 0, ledger__now_ms(), &report);
    if (!err)
        err = task_put(l, "cancel", p->code, 0, ledger__now_ms() + TASK_INLINE_LEASE_MS, &p->task);
    if (!err)
        rr_fail(CANCEL_BEFORE_COMMIT);
    return err;
}

enum rr_err saga_cancel(struct saga *s, const struct saga_actor *a, const char *code,
                        struct rain_info *out)
{
    struct cancel p = {.code = code};
    enum rr_err err = saga__get(s, a, code, out);

    if (!err && out->status == RAIN_SENT) /* else Redis is not needed to give the money back */
        err = s->pool->now_ms(s->pool->impl, &p.rain_now_ms);
    else
        p.rain_now_ms = INT64_MAX;
    if (!err)
        err = ledger__tx(s->ledger, cancel_tx, &p);
    if (err == RR_DUPLICATE) /* being called off */
        err = RR_OK;
    if (err)
        return err;
    rr_fail(CANCEL_AFTER_COMMIT);
    if (p.task.id && saga__run_inline(s, &p.task) != RR_OK)
        log_info("cancel_goes_on", "rain %s", code);
    return ledger_rain_get(s->ledger, code, out);
}

/* The pool of a prepared rain is shut too, then left to its TTL. A pool without it is as good. */
enum rr_err saga__step_cancel(struct saga *s, const struct task *t, int64_t *next_at_ms)
{
    struct pool_shard at = {.shard = 0};
    struct pool_state st;
    struct rain_info r;
    bool prepared = true;
    enum rr_err err = ledger_rain_get(s->ledger, t->code, &r);

    (void)next_at_ms;
    if (err)
        return err;
    memcpy(at.code, r.code, sizeof(at.code));
    for (; !err && at.shard < r.spec.shards; at.shard++) {
        err = s->pool->close(s->pool->impl, &at, true, &st);
        if (err == RR_NOT_FOUND || err == RR_RECOVERING || (!err && !st.exists)) {
            prepared = false;
            err = RR_OK;
        }
    }
    if (!err && prepared)
        err = retire(s, &r);
    if (!err)
        rr_fail(CANCEL_GATE);
    return err ? err : push_cancel(s, &r);
}

/* ---- a record whose rain was unknown ---- */

static enum rr_err close_dead(struct ledger *l, int64_t id)
{
    return db_stmt(l->db, "UPDATE rp_dead SET state = 'closed', closed_at = ? WHERE id = ?",
                   DB_ARGS(db_int(ledger__now_ms()), db_int(id)), NULL);
}

enum rr_err saga__step_park(struct saga *s, const struct task *t, int64_t *next_at_ms)
{
    struct ledger *l = s->ledger;
    struct settle_outcome o = {.settled = 0};
    struct settle_item item = {.decoded = true};
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_open(l->db);

    if (!err)
        err = db_select(l->db, "SELECT raw FROM rp_dead WHERE id = ? AND state = 'parked'",
                        DB_ARGS(db_int(t->arg)), &rows);
    if (err || rows.n == 0) /* somebody settled the matter by hand */
        goto out;
    item.raw = db_text(&rows, 0, 0);
    err = grant_record_decode(item.raw, &item.rec);
    if (!err)
        err = ledger__settle_direct(l, &item, 1, &o);
    if (!err && o.parked) {
        log_warn("still_parked", "record of unknown rain %s", item.rec.code);
        *next_at_ms = ledger__now_ms() + PARK_RETRY_MS;
        err = RR_PENDING;
    }
    if (!err)
        err = close_dead(l, t->arg);
out:
    settle_outcome_fini(&o);
    db_rows_fini(&rows);
    return err;
}
