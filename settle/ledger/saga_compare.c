/* saga_compare.c - the users hash of a closed, unfenced shard is the list of its grants: what SQL lacks is settled from it at
 * once, without waiting for Kafka; what nobody has is void and goes back to the sender. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fail.h"
#include "base/log.h"
#include "ledger/settled.h"
#include "saga_impl.h"
#include "settle.h"

enum { DIRECT_MAX = 500 };

enum packet_seen { SEEN_NOT = 0, SEEN_SQL = 1, SEEN_POOL = 2, SEEN_ASIDE = 4 };

struct compare {
    struct saga *s;
    const struct rain_info *rain;
    const struct escrow_row *row;
    uint8_t *seen;             /* granted_k items of enum packet_seen */
    struct pool_grant *grants; /* in the pool and not in SQL */
    uint32_t n;
    uint32_t strange; /* grants of the pool with a no >= granted_k */
    bool fenced;      /* recovered once: packets may be nobody's */
};

static enum rr_err collect(void *arg, const struct pool_grant *g)
{
    struct compare *c = arg;

    if (g->packet_no >= c->row->granted_k) {
        c->strange++;
        return RR_OK;
    }
    if (c->seen[g->packet_no] == SEEN_NOT)
        c->grants[c->n++] = *g;
    c->seen[g->packet_no] |= SEEN_POOL;
    return RR_OK;
}

/* Marks the packets that some table of SQL knows. */
static enum rr_err mark(struct compare *c, const char *sql, enum packet_seen as)
{
    struct ledger *l = c->s->ledger;
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_open(l->db);

    if (!err)
        err = db_select(l->db, sql, DB_ARGS(db_str(c->rain->code), db_int(c->row->shard)), &rows);
    for (uint32_t i = 0; !err && i < rows.n; i++) {
        int64_t no = db_i64(&rows, i, 0);

        if (no >= 0 && no < c->row->granted_k)
            c->seen[no] |= (uint8_t)as;
    }
    db_rows_fini(&rows);
    return err;
}

static enum rr_err look_for_fence(struct compare *c)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_open(c->s->ledger->db);

    if (!err)
        err = db_select(c->s->ledger->db,
                        "SELECT 1 FROM rp_fence_shard WHERE code = ? AND shard = ? LIMIT 1",
                        DB_ARGS(db_str(c->rain->code), db_int(c->row->shard)), &rows);
    c->fenced = !err && rows.n > 0;
    db_rows_fini(&rows);
    return err;
}

static enum rr_err mark_settled(struct compare *c)
{
    return mark(c, "SELECT packet_no FROM rp_grant WHERE code = ? AND shard = ?", SEEN_SQL);
}

static struct settle_item item_of(const struct compare *c, const struct pool_grant *g)
{
    int64_t now_ms = ledger__now_ms();
    struct settle_item item = {.decoded = true};

    item.rec =
        (struct grant_record){.user_id = g->user_id,
                              .amount_fen = g->amount_fen,
                              .seq = g->seq,
                              .packet_no = g->packet_no,
                              .shard = c->row->shard,
                              .granted_at_ms = c->rain->t1_ms < now_ms ? c->rain->t1_ms : now_ms};
    memcpy(item.rec.code, c->rain->code, sizeof(item.rec.code));
    memcpy(item.rec.room_id, c->rain->spec.room_id, sizeof(item.rec.room_id));
    memcpy(item.rec.rid, c->row->rid, sizeof(item.rec.rid));
    item.raw = rr_slice_str("users hash");
    return item;
}

static enum rr_err tell(const struct saga *s, const struct settle_outcome *o)
{
    int64_t *user_ids = rr_xcalloc(o->settled, sizeof(*user_ids));
    enum rr_err err = settled_push(s->notify, o->credits, o->settled);

    for (uint32_t i = 0; i < o->settled; i++)
        user_ids[i] = o->credits[i].user_id;
    if (!err)
        err = settled_rains(s->ledger, s->pool, o->credits, o->settled);
    if (!err)
        err = settled_users(s->ledger, s->pool, user_ids, o->settled);
    free(user_ids);
    return err;
}

/* The transaction that reads the rest of the grants is over when this returns: telling is not part of it. */
static enum rr_err settle_some(struct compare *c, const struct settle_item *items, uint32_t n)
{
    struct settle_outcome o = {.settled = 0};
    enum rr_err err = ledger__settle_direct(c->s->ledger, items, n, &o);

    if (!err && o.settled) {
        log_info("settled_at_close", "rain %s shard %u: %u grants", c->rain->code, c->row->shard,
                 o.settled);
        if (tell(c->s, &o) != RR_OK)
            log_warn("settled_not_told", "rain %s: users or statistics", c->rain->code);
    }
    settle_outcome_fini(&o);
    return err;
}

static enum rr_err settle_missing(struct compare *c)
{
    struct settle_item *items = rr_xcalloc(DIRECT_MAX, sizeof(*items));
    enum rr_err err = RR_OK;
    uint32_t at = 0;

    while (!err && at < c->n) {
        uint32_t n = 0;

        for (; n < DIRECT_MAX && at < c->n; n++, at++)
            items[n] = item_of(c, &c->grants[at]);
        err = settle_some(c, items, n);
    }
    free(items);
    return err;
}

static enum rr_err void_missing(struct compare *c)
{
    const struct cached_rain *cached = NULL;
    enum rr_err err = rain_cache_get(c->s->ledger, c->rain->code, &cached);

    for (uint32_t no = 0; !err && no < c->row->granted_k; no++) {
        if (c->seen[no] != SEEN_NOT)
            continue;
        if (c->fenced)
            log_info("packet_void",
                     "rain %s shard %u packet %u: lost with an older Redis, told to nobody",
                     c->rain->code, c->row->shard, no);
        else
            log_error("packet_void", "rain %s shard %u packet %u: granted, but to nobody",
                      c->rain->code, c->row->shard, no);
        err = escrow_void(c->s->ledger, c->rain, c->row, no,
                          cached_rain_amount(cached, c->row->shard, no));
    }
    return err;
}

/* Only a closed shard of the run id SQL names, in a Redis that still runs under it, is proof of what was not granted. */
static enum rr_err check_state(struct compare *c)
{
    struct pool_shard at = {.shard = c->row->shard};
    struct pool_state st;
    enum rr_err err = RR_OK;

    memcpy(at.code, c->rain->code, sizeof(at.code));
    err = c->s->pool->state(c->s->pool->impl, &at, &st);
    if (err)
        return err;
    if (st.st == 'C' && !saga__pool_lost(c->rain, c->row->shard, c->row->rid, &st))
        return RR_OK;
    log_warn("pool_lost", "rain %s shard %u: its state in Redis is missing or of another run",
             c->rain->code, c->row->shard);
    err = saga__recover_arm(c->s, c->rain->code);
    return err ? err : RR_RECOVERING;
}

enum rr_err saga__compare(struct saga *s, const struct rain_info *r, const struct escrow_row *row)
{
    struct compare c = {.s = s, .rain = r, .row = row};
    struct pool_shard at = {.shard = row->shard};
    enum rr_err err = RR_OK;

    memcpy(at.code, r->code, sizeof(at.code));
    c.seen = rr_xcalloc(row->granted_k, 1);
    c.grants = rr_xcalloc(row->granted_k, sizeof(*c.grants));
    rr_fail(COMPARE_BEGIN);
    err = mark_settled(&c);
    if (!err)
        err = check_state(&c);
    if (!err)
        err = s->pool->grants(s->pool->impl, &at, collect, &c);
    if (!err)
        err = check_state(&c); /* still the same Redis after the scan */
    if (!err)
        err = settle_missing(&c);
    if (!err && c.n)
        rr_fail(COMPARE_SETTLED);
    if (c.strange)
        log_error("pool_over_k", "rain %s shard %u: %u grants past granted_k", r->code, row->shard,
                  c.strange);
    /* A record that is set aside is somebody's claim to the packet: no void over its head. */
    if (!err)
        err = mark_settled(&c);
    if (!err)
        err = mark(&c,
                   "SELECT packet_no FROM rp_conflict WHERE code = ? AND shard = ?"
                   " AND state <> 'closed'",
                   SEEN_ASIDE);
    if (!err)
        err = mark(&c,
                   "SELECT packet_no FROM rp_dead WHERE code = ? AND shard = ?"
                   " AND state <> 'closed'",
                   SEEN_ASIDE);
    if (!err)
        err = look_for_fence(&c);
    if (!err)
        err = void_missing(&c);
    free(c.seen);
    free(c.grants);
    return err;
}
