#include "ledger/settled.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "ledger_impl.h"
#include "protocol/pack.h"

static void pack_credit(struct rr_buf *b, const struct settle_credit *c)
{
    pack_map(b, 6);
    pack_kv_str(b, "code", c->code);
    pack_kv_int(b, "seq", c->seq);
    pack_kv_int(b, "shard", c->shard);
    pack_kv_int(b, "no", c->packet_no);
    pack_kv_int(b, "amount", c->amount_fen);
    pack_kv_str(b, "state", c->held ? "held" : "settled");
}

static enum rr_err push_some(const struct rain_notify *notify, const struct settle_credit *credits,
                             uint32_t n)
{
    struct rain_user_push *pushes = rr_xcalloc(n, sizeof(*pushes));
    size_t *ends = rr_xcalloc(n, sizeof(*ends));
    struct rr_buf b = {0};
    enum rr_err err = RR_TOO_BIG;

    for (uint32_t i = 0; i < n; i++) {
        pack_credit(&b, &credits[i]);
        ends[i] = b.len;
    }
    for (uint32_t i = 0; !b.failed && i < n; i++) {
        size_t from = i ? ends[i - 1] : 0;

        pushes[i] = (struct rain_user_push){.user_id = credits[i].user_id,
                                            .payload = rr_slice_of(b.p + from, ends[i] - from)};
    }
    if (!b.failed)
        err = notify->push_users(notify->impl, "GRANT_SETTLED", pushes, n);
    rr_buf_fini(&b);
    free(ends);
    free(pushes);
    return err;
}

enum rr_err settled_push(const struct rain_notify *notify, const struct settle_credit *credits,
                         uint32_t n)
{
    enum rr_err err = RR_OK;

    for (uint32_t at = 0; at < n; at += RR_SETTLED_PUSH_MAX) {
        uint32_t some = n - at < RR_SETTLED_PUSH_MAX ? n - at : RR_SETTLED_PUSH_MAX;
        enum rr_err rc = push_some(notify, credits + at, some);

        err = err ? err : rc;
    }
    return err;
}

static int by_code(const void *pa, const void *pb)
{
    const struct settle_credit *const *a = pa;
    const struct settle_credit *const *b = pb;

    return strcmp((*a)->code, (*b)->code);
}

/* Text between "IN (" and ")" without repeats; credits sorted by code. */
static void append_codes(struct rr_buf *sql, const struct settle_credit **sorted, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (i == 0 || by_code(&sorted[i - 1], &sorted[i]) != 0)
            rr_buf_printf(sql, "%s'%s'", i ? "," : "", sorted[i]->code);
    }
}

static enum rr_err put_totals(const struct pool_admin *pool, const struct db_rows *users)
{
    struct pool_user_total *totals = rr_xcalloc(users->n, sizeof(*totals));
    enum rr_err err = RR_OK;

    for (uint32_t i = 0; i < users->n; i++)
        totals[i] = (struct pool_user_total){.user_id = db_i64(users, i, 0),
                                             .total_fen = db_i64(users, i, 1)};
    err = pool->user_totals(pool->impl, totals, users->n);
    free(totals);
    return err;
}

enum rr_err settled_rains(struct ledger *l, const struct pool_admin *pool,
                          const struct settle_credit *credits, uint32_t n)
{
    const struct settle_credit **sorted = rr_xcalloc(n, sizeof(struct settle_credit *));
    struct db_rows rains = {.cols = 0};
    enum rr_err err = n ? db_open(l->db) : RR_OK;

    if (err || n == 0)
        goto out;
    for (uint32_t i = 0; i < n; i++)
        sorted[i] = &credits[i];
    qsort(sorted, n, sizeof(*sorted), by_code);
    rr_buf_puts(&l->sql,
                "SELECT code, SUM(settled_cnt), SUM(settled) FROM rp_escrow WHERE code IN (");
    append_codes(&l->sql, sorted, n);
    rr_buf_puts(&l->sql, ") GROUP BY code");
    err = db_query_buf(l->db, &l->sql, &rains);
    for (uint32_t i = 0; !err && i < rains.n; i++) {
        char code[RR_CODE_LEN + 1];

        RR_ASSERT(db_copy(&rains, i, 0, code, sizeof(code)));
        err = pool->stats(pool->impl, code, db_i64(&rains, i, 1), db_i64(&rains, i, 2));
    }
out:
    db_rows_fini(&rains);
    free(sorted);
    return err;
}

enum rr_err settled_users(struct ledger *l, const struct pool_admin *pool, const int64_t *user_ids,
                          uint32_t n)
{
    struct db_rows users = {.cols = 0};
    enum rr_err err = n ? db_open(l->db) : RR_OK;

    if (err || n == 0)
        return err;
    rr_buf_puts(&l->sql, "SELECT user_id, SUM(amount) FROM rp_grant WHERE user_id IN (");
    for (uint32_t i = 0; i < n; i++)
        rr_buf_printf(&l->sql, "%s%" PRId64, i ? "," : "", user_ids[i]);
    rr_buf_puts(&l->sql, ") GROUP BY user_id");
    err = db_query_buf(l->db, &l->sql, &users);
    if (!err)
        err = put_totals(pool, &users);
    db_rows_fini(&users);
    return err;
}
