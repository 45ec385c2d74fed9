/* saga_refill.c - what a recovered shard holds: the grants of the books, those that survived in Redis below the floor, and the
 * rest of the split from the floor on. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "saga_fence.h"

struct found {
    struct pool_grant grant;
    bool in_books;
};

struct refill {
    const struct rain_info *rain;
    const struct fence_shard *x;
    uint32_t n;           /* packets of the shard */
    uint32_t below;       /* survivors: their packets are below it */
    int64_t *amounts_fen; /* n */
    bool *taken;          /* n: somebody has it, or it is void */
    struct found *found;  /* at most n */
    uint32_t found_n;
};

static void add(struct refill *p, const struct pool_grant *g, bool in_books)
{
    p->taken[g->packet_no] = true;
    p->found[p->found_n++] = (struct found){.grant = *g, .in_books = in_books};
}

static enum rr_err read_books(struct ledger *l, struct refill *p)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_open(l->db);

    if (!err)
        err = db_select(l->db,
                        "SELECT packet_no, amount, state, COALESCE(user_id, 0), COALESCE(seq, 0)"
                        " FROM rp_grant WHERE code = ? AND shard = ?",
                        DB_ARGS(db_str(p->rain->code), db_int(p->x->shard)), &rows);
    for (uint32_t i = 0; !err && i < rows.n; i++) {
        struct pool_grant g = {.packet_no = (uint32_t)db_i64(&rows, i, 0),
                               .amount_fen = db_i64(&rows, i, 1),
                               .user_id = db_i64(&rows, i, 3),
                               .seq = (uint32_t)db_i64(&rows, i, 4)};

        if (g.packet_no >= p->x->floor || p->taken[g.packet_no])
            err = RR_CONFLICT; /* the pool was back before, and granted: it was lost once more */
        else if (db_i64(&rows, i, 2) == 3)
            p->taken[g.packet_no] = true;
        else
            add(p, &g, true);
    }
    db_rows_fini(&rows);
    return err;
}

/* A packet from the floor on is granted anew, so whoever had it in the lost Redis, and was told nothing, has it no more. */
static enum rr_err take_survivor(void *arg, const struct pool_grant *g)
{
    struct refill *p = arg;

    if (g->packet_no < p->x->floor && g->packet_no < p->below && !p->taken[g->packet_no] &&
        g->user_id > 0 && g->seq < p->rain->spec.limit &&
        g->amount_fen == p->amounts_fen[g->packet_no])
        add(p, g, false);
    return RR_OK;
}

/* By user and seq, the books' row first. */
static int by_seq(const void *pa, const void *pb)
{
    const struct found *a = pa;
    const struct found *b = pb;
    int c = (a->grant.user_id > b->grant.user_id) - (a->grant.user_id < b->grant.user_id);

    if (c == 0)
        c = (a->grant.seq > b->grant.seq) - (a->grant.seq < b->grant.seq);
    return c ? c : (int)b->in_books - (int)a->in_books;
}

static void sort_found(struct refill *p)
{
    uint32_t n = 0;

    qsort(p->found, p->found_n, sizeof(*p->found), by_seq);
    for (uint32_t i = 0; i < p->found_n; i++) {
        const struct pool_grant *g = &p->found[i].grant;

        if (n && p->found[n - 1].grant.user_id == g->user_id && p->found[n - 1].grant.seq == g->seq)
            continue;
        p->found[n++] = p->found[i];
    }
    p->found_n = n;
}

static char state_for(const struct rain_info *r)
{
    return r->status == RAIN_PREPARED ? 'P' : r->status == RAIN_SENT ? 'O' : 'C';
}

static enum rr_err put(struct saga *s, const struct refill *p, const struct pool_state *st)
{
    const struct rain_info *r = p->rain;
    struct pool_grant *grants = rr_xcalloc(p->found_n + 1, sizeof(*grants));
    bool *in_books = rr_xcalloc(p->found_n + 1, sizeof(*in_books));
    struct pool_refill out = {.at = {.shard = p->x->shard},
                              .st = state_for(r),
                              .t0_ms = r->status == RAIN_PREPARED ? 0 : r->t0_ms,
                              .t1_ms = r->t1_ms,
                              .amounts_fen = p->amounts_fen,
                              .grants = grants,
                              .in_books = in_books,
                              .grants_n = p->found_n,
                              .n = p->n,
                              .floor = p->x->floor,
                              .limit = r->spec.limit};
    uint32_t survivors = 0;
    enum rr_err err = RR_OK;

    memcpy(out.at.code, r->code, sizeof(out.at.code));
    memcpy(out.room_id, r->spec.room_id, sizeof(out.room_id));
    memcpy(out.rid, p->x->new_rid, sizeof(out.rid));
    memcpy(out.from_rid, st->rid, sizeof(out.from_rid));
    for (uint32_t i = 0; i < p->found_n; i++) {
        grants[i] = p->found[i].grant;
        in_books[i] = p->found[i].in_books;
        survivors += !in_books[i];
    }
    err = s->pool->refill(s->pool->impl, &out);
    if (!err)
        log_notice("shard_recovered", "rain %s shard %u: %u of %u granted, %u survived unsettled",
                   r->code, p->x->shard, p->x->floor, p->n, survivors);
    free(grants);
    free(in_books);
    return err;
}

static enum rr_err shard_amounts(struct saga *s, struct refill *p)
{
    const struct cached_rain *cached = NULL;
    enum rr_err err = rain_cache_get(s->ledger, p->rain->code, &cached);

    for (uint32_t no = 0; !err && no < p->n; no++)
        p->amounts_fen[no] = cached_rain_amount(cached, p->x->shard, no);
    return err;
}

enum rr_err saga__refill(struct saga *s, const struct rain_info *r, const struct fence_shard *x)
{
    struct refill p = {
        .rain = r, .x = x, .n = rain_shard_count(r->spec.count, r->spec.shards, x->shard)};
    struct pool_shard at = {.shard = x->shard};
    struct pool_state st;
    enum rr_err err = RR_OK;

    memcpy(at.code, r->code, sizeof(at.code));
    p.amounts_fen = rr_xcalloc(p.n + 1, sizeof(*p.amounts_fen));
    p.taken = rr_xcalloc(p.n + 1, sizeof(*p.taken));
    p.found = rr_xcalloc(p.n + 1, sizeof(*p.found));
    err = shard_amounts(s, &p);
    if (!err)
        err = s->pool->state(s->pool->impl, &at, &st);
    /* Done before, by somebody who could not say so: grants go on, the books may be past the floor. */
    if (!err && st.exists && strcmp(st.rid, x->new_rid) == 0)
        goto out;
    if (!err)
        err = read_books(s->ledger, &p);
    /* Only what is of the life the books go on from: an older one's grants may have been given to others since. */
    if (!err && st.exists)
        err = fence_believed(s->ledger, r->code, x, st.rid, &p.below);
    if (!err && p.below)
        err = s->pool->grants(s->pool->impl, &at, take_survivor, &p);
    sort_found(&p);
    if (!err)
        err = put(s, &p, &st);
out:
    free(p.amounts_fen);
    free(p.taken);
    free(p.found);
    return err;
}
