/* sim_settler.c - settle/settler's loop and settle/ledger/settle_*.c's transaction over the simulated books. What a record is,
 * is decided by the real settle_decide.c. */
#include <stdlib.h>
#include <string.h>

#include "settle_decide.h"
#include "sim_sql.h"

enum { BATCH = 24, POLL_US = 40 * SIM_MS, SLOW_TRIES = 4 };

struct entry {
    struct settle_item item;
    struct settle_decision first;
    struct settle_decision now;
};

struct job {
    const struct settle_input *in;
    struct entry entries[BATCH];
    uint32_t n;
    bool slow;
    bool cas_failed;
};

static int owner_of[SIM_PARTS]; /* the settler each partition is assigned to */

/* ---- plan: as settle_plan.c ---- */

static int by_grant(const void *pa, const void *pb)
{
    const struct entry *a = pa;
    const struct entry *b = pb;
    int c = settle_order(&a->item.rec, &b->item.rec);

    return c ? c : (a->item.offset > b->item.offset) - (a->item.offset < b->item.offset);
}

static void look_up(struct entry *e)
{
    const struct grant_record *r = &e->item.rec;
    struct settle_rain_facts facts = {.amount_fen = -1};

    if (sql_books()->status && strcmp(r->code, sim.code) == 0) {
        facts.known = true;
        facts.limit = sim.plan.limit;
        if (r->shard < sim.plan.shards && r->packet_no < sim.shard_n[r->shard])
            facts.amount_fen = sim.amounts_fen[r->shard][r->packet_no];
    }
    e->first = settle_decide_record(&e->item, &facts);
}

static void compare_neighbours(struct job *j)
{
    struct entry *last = NULL;

    for (uint32_t i = 0; i < j->n; i++) {
        struct entry *e = &j->entries[i];

        if (e->first.verdict != SETTLE_NEW)
            continue;
        if (!last || last->item.rec.shard != e->item.rec.shard) {
            last = e;
            continue;
        }
        if (strcmp(last->item.rec.rid, e->item.rec.rid) != 0)
            j->slow = true;
        switch (settle_same(&last->item.rec, &e->item.rec)) {
        case SETTLE_SAME:
            e->first = (struct settle_decision){.verdict = SETTLE_DUPLICATE, .reason = ""};
            continue;
        case SETTLE_SAME_BUT: j->slow = true; break;
        case SETTLE_SAME_NOT: break;
        }
        last = e;
    }
}

/* ---- transactions ---- */

static enum rr_err move_offset(struct sql_books *b, struct job *j)
{
    if (j->in->part < 0)
        return RR_OK;
    if (b->offset[j->in->part] != j->in->expected) {
        j->cas_failed = true;
        return RR_CONFLICT;
    }
    b->offset[j->in->part] = j->in->next;
    return RR_OK;
}

/* What such a rid told was in the books before: nobody has to look at the record. */
static bool was_fenced(const struct sql_books *b, const struct grant_record *r)
{
    for (uint32_t i = 0; i < b->fenced_n; i++) {
        if (b->fenced[i].shard == r->shard && strcmp(b->fenced[i].rid, r->rid) == 0)
            return true;
    }
    return false;
}

static void put_aside(struct sql_books *b, struct job *j)
{
    for (uint32_t i = 0; i < j->n; i++) {
        struct entry *e = &j->entries[i];
        const struct grant_record *r = &e->item.rec;

        switch (e->now.verdict) {
        case SETTLE_NEW:
        case SETTLE_DUPLICATE: break;
        case SETTLE_CONFLICT:
        case SETTLE_STALE_RID:
            sim_trace("%s: user %lld seq %u packet %u:%u", e->now.reason, (long long)r->user_id,
                      r->seq, r->shard, r->packet_no);
            if (e->now.verdict == SETTLE_STALE_RID && was_fenced(b, r)) {
                b->conflicts_stale++;
            } else {
                b->conflicts_open++;
                strcpy(b->last_conflict, e->now.reason);
            }
            break;
        case SETTLE_DEAD:
        case SETTLE_PARK: b->dead_open++; break;
        }
    }
}

static enum rr_err pay(struct sql_books *b, struct job *j)
{
    int64_t sum_fen[SIM_SHARDS] = {0};
    uint32_t max_no[SIM_SHARDS] = {0};
    const char *rid[SIM_SHARDS] = {NULL};

    for (uint32_t i = 0; i < j->n; i++) {
        const struct grant_record *r = &j->entries[i].item.rec;
        struct sql_grant g = {SQL_SETTLED, r->user_id,   r->seq,
                              r->shard,    r->packet_no, r->amount_fen};
        enum rr_err err = RR_OK;

        if (j->entries[i].now.verdict != SETTLE_NEW)
            continue;
        err = sql_insert_grant(b, &g);
        if (err)
            return err;
        b->wallet_fen[r->user_id] += r->amount_fen;
        sum_fen[r->shard] += r->amount_fen;
        if (!rid[r->shard])
            rid[r->shard] = r->rid;
        if (r->packet_no > max_no[r->shard])
            max_no[r->shard] = r->packet_no;
    }
    for (uint32_t s = 0; s < SIM_SHARDS; s++) {
        struct sql_escrow *x = &b->escrow[s];

        if (!rid[s])
            continue;
        if ((strcmp(x->rid, rid[s]) != 0 && sim.mutation != MUT_record_rid) ||
            (x->closed && x->granted_k <= max_no[s]))
            return RR_CONFLICT;
        x->remain_fen -= sum_fen[s];
        x->settled_fen += sum_fen[s];
        if (x->remain_fen < 0)
            return RR_CORRUPT; /* a CHECK: not tried again like this */
    }
    return RR_OK;
}

static struct settle_grant_fact fact_of(const struct sql_grant *g)
{
    return (struct settle_grant_fact){.found = true,
                                      .is_void = g->state == SQL_VOID,
                                      .user_id = g->user_id,
                                      .amount_fen = g->amount_fen,
                                      .shard = g->shard,
                                      .packet_no = g->packet_no,
                                      .seq = g->seq};
}

/* Row by row, under the escrow's lock; what this batch pays counts as a row for the entries after it. */
static void decide_all(const struct sql_books *b, struct job *j)
{
    int64_t remain_fen[SIM_SHARDS];

    for (uint32_t s = 0; s < SIM_SHARDS; s++)
        remain_fen[s] = b->escrow[s].remain_fen;
    for (uint32_t i = 0; i < j->n; i++) {
        struct entry *e = &j->entries[i];
        const struct grant_record *r = &e->item.rec;
        struct settle_row_facts f = {0};

        e->now = e->first;
        if (e->first.verdict != SETTLE_NEW)
            continue;
        for (uint32_t k = 0; k < b->grants_n && sim.mutation != MUT_grant_keys; k++) {
            const struct sql_grant *g = &b->grants[k];

            if (g->shard == r->shard && g->packet_no == r->packet_no)
                f.by_packet = fact_of(g);
            if (g->state != SQL_VOID && g->user_id == r->user_id && g->seq == r->seq)
                f.by_seq = fact_of(g);
        }
        for (uint32_t k = 0; k < i && sim.mutation != MUT_grant_keys; k++) {
            const struct grant_record *o = &j->entries[k].item.rec;
            struct sql_grant g = {SQL_SETTLED, o->user_id,   o->seq,
                                  o->shard,    o->packet_no, o->amount_fen};

            if (j->entries[k].now.verdict != SETTLE_NEW)
                continue;
            if (o->shard == r->shard && o->packet_no == r->packet_no)
                f.by_packet = fact_of(&g);
            if (o->user_id == r->user_id && o->seq == r->seq)
                f.by_seq = fact_of(&g);
        }
        f.rid = b->escrow[r->shard].rid;
        f.remain_fen = remain_fen[r->shard];
        f.closed = b->escrow[r->shard].closed;
        f.granted_k = b->escrow[r->shard].granted_k;
        e->now = settle_decide_row(r, &f);
        if (e->now.verdict == SETTLE_NEW)
            remain_fen[r->shard] -= r->amount_fen;
    }
}

static enum rr_err transaction(struct job *j, bool slow)
{
    struct sql_books *b = NULL;
    enum rr_err err = sql_begin(&b);

    if (err)
        return err;
    err = move_offset(b, j);
    if (!err) {
        err = sql_stmt(HIT_settler_zombie);
        if (err)
            return err;
        if (slow)
            decide_all(b, j);
        else
            for (uint32_t i = 0; i < j->n; i++)
                j->entries[i].now = j->entries[i].first;
        put_aside(b, j);
        err = pay(b, j);
    }
    if (err) {
        sql_rollback();
        return err;
    }
    err = sql_stmt(HIT_settler_zombie);
    return err ? err : sql_commit(HIT_settler_before_commit, HIT_settler_after_commit);
}

enum rr_err sim_settle(const struct settle_input *in)
{
    struct job *j = sim_alloc(sizeof(*j));
    enum rr_err err = sql_read();

    if (err)
        return err;
    j->in = in;
    j->n = in->n;
    for (uint32_t i = 0; i < in->n; i++) {
        struct settle_item *item = &j->entries[i].item;

        if (in->direct) {
            item->decoded = true;
            item->rec = in->direct[i];
        } else {
            item->offset = in->records[i].offset;
            item->raw = in->records[i].bytes;
            item->decoded = grant_record_decode(item->raw, &item->rec) == RR_OK;
        }
        look_up(&j->entries[i]);
    }
    qsort(j->entries, j->n, sizeof(j->entries[0]), by_grant);
    compare_neighbours(j);
    err = RR_DUPLICATE;
    if (!j->slow)
        err = transaction(j, false);
    for (uint32_t tries = 0; tries < SLOW_TRIES && !j->cas_failed &&
                             (err == RR_DUPLICATE || err == RR_CORRUPT || err == RR_CONFLICT);
         tries++)
        err = transaction(j, true);
    return err;
}

/* ---- the loop ---- */

void settlers_init(void)
{
    for (int i = 0; i < SIM_PARTS; i++)
        owner_of[i] = (int)sim_rand(SIM_SETTLERS);
}

void settlers_rebalance(void)
{
    for (int i = 0; i < SIM_PARTS; i++)
        owner_of[i] = (int)sim_rand(SIM_SETTLERS);
}

bool settlers_idle(void)
{
    for (int i = 0; i < SIM_PARTS; i++) {
        if (sql_books()->offset[i] != kafka_high(i))
            return false;
    }
    return true;
}

/* As settler__resolve(): the books first, then the log; back to its start only from what the books said. */
static enum rr_err offset_resolve(int part, int64_t *next)
{
    struct sql_books *b = NULL;
    int64_t have = 0;
    int64_t low = 0;
    int64_t high = 0;
    enum rr_err err = sql_read();

    if (err)
        return err;
    have = sql_books()->offset[part];
    sim_sleep(sim_between(0, sim_chance(0.1) ? 2 * SIM_S : 20 * SIM_MS));
    low = kafka_low(part);
    high = kafka_high(part);
    *next = have;
    if (have >= low && have <= high)
        return RR_OK;
    sim_sleep(sim_between(0, sim_chance(0.1) ? 2 * SIM_S : 20 * SIM_MS));
    *next = low;
    err = sql_begin(&b);
    if (err)
        return err;
    if (b->offset[part] != have) {
        sql_rollback();
        return RR_CONFLICT;
    }
    sim_trace("partition %d: offset %lld is outside of the log", part, (long long)have);
    b->offset[part] = low;
    return sql_commit(HIT_NONE, HIT_NONE);
}

static enum rr_err settle_part(int part, int64_t *next)
{
    struct kafka_rec records[BATCH];
    struct settle_input in = {.records = records, .part = part, .expected = *next};
    enum rr_err err = RR_OK;

    if (*next < kafka_low(part) || *next > kafka_high(part))
        return offset_resolve(part, next);
    in.n = kafka_fetch(part, *next, records, BATCH);
    if (in.n == 0 && *next == kafka_high(part))
        return RR_OK;
    in.next = in.n == BATCH ? records[in.n - 1].offset + 1 : kafka_high(part);
    if (in.n == 0) /* only holes */
        in.next = kafka_high(part);
    if (sim_self->dead)
        return RR_UNAVAILABLE;
    sim_sleep(sim_between(SIM_MS, 20 * SIM_MS));
    err = sim_settle(&in);
    if (err)
        sim_trace("partition %d, offset %lld: %s", part, (long long)in.expected, rr_err_name(err));
    *next = err ? -1 : in.next;
    return RR_OK;
}

void settler_main(struct actor *a)
{
    int64_t next[SIM_PARTS];
    int64_t reread_us = 0;

    for (int i = 0; i < SIM_PARTS; i++)
        next[i] = -1;
    while (!a->dead) {
        bool reread = sim.now_us >= reread_us;

        sim_sleep(POLL_US);
        if (reread)
            reread_us = sim.now_us + SIM_S;
        for (int i = 0; i < SIM_PARTS && !a->dead; i++) {
            /* As reread(): idle partitions look at the books again. */
            if (reread && next[i] >= 0 && kafka_up() && next[i] == kafka_high(i))
                next[i] = -1;
            if (owner_of[i] != a->index || !kafka_up()) {
                next[i] = -1;
                continue;
            }
            if (next[i] < 0) {
                if (sql_read() != RR_OK)
                    continue;
                next[i] = sql_books()->offset[i];
            }
            if (settle_part(i, &next[i]) != RR_OK)
                next[i] = -1;
        }
    }
}
