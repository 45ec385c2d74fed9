/* repair_records.c - wins that are not in the books: records set aside in rp_conflict and rp_dead, and grants only the users
 * hash of a closed shard has. What the books have already is closed; what is still free in its escrow is paid from there; what
 * contradicts them is the platform's, if the operator accepts it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "protocol/record.h"
#include "repair_impl.h"

enum { BOOKS_PAGE = 20000 };

struct win {
    int64_t user_id;
    int64_t amount_fen;
    uint32_t shard;
    uint32_t packet_no;
    uint32_t seq;
};

enum standing {
    STANDS_PAID,  /* this very grant is in the books */
    STANDS_FREE,  /* its packet is nobody's, and in the escrow */
    STANDS_EARLY, /* the shard is not closed: its packet may still be granted */
    STANDS_AGAINST
};

/* Once per told win, however many records or hashes say it. */
static void told_id(const struct planning *p, const struct win *w, char *out, size_t cap)
{
    snprintf(out, cap, "P:%s:%u:%u:%" PRId64 ":%u:%" PRId64, p->rain.code, w->shard, w->packet_no,
             w->user_id, w->seq, w->amount_fen);
}

static enum rr_err paid_by_platform(struct planning *p, const struct win *w, enum standing *out)
{
    struct db_rows rows = {.cols = 0};
    char biz_id[81];
    enum rr_err err = RR_OK;

    told_id(p, w, biz_id, sizeof(biz_id));
    err = db_select(p->l->db,
                    "SELECT COUNT(*) FROM account_log WHERE biz_type = 'repair' AND biz_id = ?",
                    DB_ARGS(db_str(biz_id)), &rows);
    if (!err && db_i64(&rows, 0, 0) > 0)
        *out = STANDS_PAID;
    db_rows_fini(&rows);
    return err;
}

static enum rr_err stands(struct planning *p, const struct win *w, enum standing *out)
{
    const struct cached_rain *cached = NULL;
    const struct escrow_row *e = NULL;
    struct db_rows rows = {.cols = 0};
    bool taken = false;
    enum rr_err err = rain_cache_get(p->l, p->rain.code, &cached);

    *out = STANDS_AGAINST;
    if (!err)
        err = paid_by_platform(p, w, out);
    if (err || *out == STANDS_PAID)
        return err;
    if (!err)
        err = db_select(p->l->db,
                        "SELECT shard, packet_no, COALESCE(user_id, 0), COALESCE(seq, 0), amount,"
                        " state FROM rp_grant WHERE code = ?"
                        " AND ((shard = ? AND packet_no = ?) OR (user_id = ? AND seq = ?))",
                        DB_ARGS(db_str(p->rain.code), db_int(w->shard), db_int(w->packet_no),
                                db_int(w->user_id), db_int(w->seq)),
                        &rows);
    for (uint32_t i = 0; !err && i < rows.n; i++) {
        taken = true;
        if (db_i64(&rows, i, 0) == w->shard && db_i64(&rows, i, 1) == w->packet_no &&
            db_i64(&rows, i, 2) == w->user_id && db_i64(&rows, i, 3) == w->seq &&
            db_i64(&rows, i, 4) == w->amount_fen && db_i64(&rows, i, 5) != 3)
            *out = STANDS_PAID;
    }
    db_rows_fini(&rows);
    if (err || taken || w->shard >= p->rain.spec.shards || w->seq >= p->rain.spec.limit ||
        cached_rain_amount(cached, w->shard, w->packet_no) != w->amount_fen)
        return err;
    e = &p->shards[w->shard];
    if (!e->closed)
        *out = p->rain.status == RAIN_SENT || p->rain.status == RAIN_CLOSING ? STANDS_EARLY
                                                                             : STANDS_AGAINST;
    else if (w->packet_no < e->granted_k && e->remain_fen >= w->amount_fen)
        *out = STANDS_FREE;
    return RR_OK;
}

static void fill(const struct planning *p, struct repair_entry *e, const struct win *w,
                 enum repair_kind kind)
{
    e->kind = kind;
    e->shard = w->shard;
    e->packet_no = w->packet_no;
    e->seq = w->seq;
    e->user_id = w->user_id;
    e->amount_fen = w->amount_fen;
    snprintf(e->to, sizeof(e->to), "balance %" PRId64, w->user_id);
    if (kind == REPAIR_GRANT) {
        snprintf(e->from, sizeof(e->from), "escrow %s:%u", e->code, w->shard);
        snprintf(e->biz_type, sizeof(e->biz_type), "grant");
        snprintf(e->biz_id, sizeof(e->biz_id), "%s:%" PRId64 ":%u", e->code, w->user_id, w->seq);
    } else {
        snprintf(e->from, sizeof(e->from), "platform told");
        snprintf(e->biz_type, sizeof(e->biz_type), "repair");
        told_id(p, w, e->biz_id, sizeof(e->biz_id));
    }
}

static void unpaid(struct repair_entry *e, enum repair_kind kind)
{
    const char *table = e->dead_id ? "dead" : "conflict";

    e->kind = kind;
    e->user_id = 0;
    e->amount_fen = 0;
    e->from[0] = 0;
    e->to[0] = 0;
    e->biz_type[0] = 0;
    snprintf(e->biz_id, sizeof(e->biz_id), "%s:%" PRId64, table,
             e->dead_id ? e->dead_id : e->conflict_id);
}

/* w NULL: the record cannot be read, so it can only be closed. */
static enum rr_err propose(struct planning *p, struct repair_entry *e, const struct win *w)
{
    enum repair_choice choice = repair__choice(p->ask, e->claim);
    enum standing at = STANDS_AGAINST;
    enum rr_err err = w ? stands(p, w, &at) : RR_OK;

    if (err)
        return err;
    if (w && at == STANDS_PAID) {
        unpaid(e, REPAIR_CLOSE_PAID);
        return RR_OK;
    }
    if (choice == CHOICE_REJECT) {
        unpaid(e, REPAIR_CLOSE_REJECTED);
        return RR_OK;
    }
    if (w)
        fill(p, e, w, at == STANDS_FREE || at == STANDS_EARLY ? REPAIR_GRANT : REPAIR_TOLD);
    else
        unpaid(e, REPAIR_CLOSE_REJECTED);
    e->undecided = choice == CHOICE_NONE || !w || at == STANDS_EARLY;
    if (at == STANDS_EARLY)
        repair__note(
            p, "%s: shard %u is not closed, the packet may still be granted: close the rain first",
            e->claim, w->shard);
    else if (!w)
        repair__note(p, "%s: cannot be read, so it can only be rejected", e->claim);
    return RR_OK;
}

/* ---- rp_conflict and rp_dead ---- */

static enum rr_err conflicts(struct planning *p)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err =
        db_select(p->l->db,
                  "SELECT id, shard, packet_no, user_id, seq, amount, reason FROM rp_conflict"
                  " WHERE code = ? AND state <> 'closed' ORDER BY state, id LIMIT 501",
                  DB_ARGS(db_str(p->rain.code)), &rows);

    for (uint32_t i = 0; !err && i < rows.n; i++) {
        struct win w = {.shard = (uint32_t)db_i64(&rows, i, 1),
                        .packet_no = (uint32_t)db_i64(&rows, i, 2),
                        .user_id = db_i64(&rows, i, 3),
                        .seq = (uint32_t)db_i64(&rows, i, 4),
                        .amount_fen = db_i64(&rows, i, 5)};
        struct rr_slice reason = db_text(&rows, i, 6);
        struct repair_entry *e = repair__add(p, REPAIR_TOLD);

        if (!e)
            break;
        e->conflict_id = db_i64(&rows, i, 0);
        snprintf(e->claim, sizeof(e->claim), "c%" PRId64, e->conflict_id);
        snprintf(e->finding, sizeof(e->finding),
                 "rp_conflict %" PRId64 " (%.*s): user %" PRId64
                 " seq %u shard %u packet %u, %" PRId64 " fen",
                 e->conflict_id, (int)reason.len, reason.p, w.user_id, w.seq, w.shard, w.packet_no,
                 w.amount_fen);
        err = propose(p, e, &w);
    }
    db_rows_fini(&rows);
    return err;
}

/* Somebody's win, most likely, and nobody can say here that it is worth nothing: "all" does not mean it. */
static void not_for_us(struct planning *p, struct repair_entry *e)
{
    e->undecided = e->undecided || strcmp(p->ask->reject, "all") == 0;
    if (e->undecided)
        repair__note(p,
                     "%s: written by a newer version, a redrainctl of that version settles it;"
                     " --reject %s is for one that nothing can read",
                     e->claim, e->claim);
}

static enum rr_err dead(struct planning *p)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_select(p->l->db,
                                "SELECT id, reason, raw FROM rp_dead WHERE code = ?"
                                " AND state <> 'closed' ORDER BY state, id LIMIT 501",
                                DB_ARGS(db_str(p->rain.code)), &rows);

    for (uint32_t i = 0; !err && i < rows.n; i++) {
        struct rr_slice reason = db_text(&rows, i, 1);
        struct repair_entry *e = repair__add(p, REPAIR_TOLD);
        struct grant_record rec;
        struct win w;
        bool readable = grant_record_decode(db_text(&rows, i, 2), &rec) == RR_OK &&
                        strcmp(rec.code, p->rain.code) == 0;

        if (!e)
            break;
        if (readable)
            w = (struct win){.user_id = rec.user_id,
                             .amount_fen = rec.amount_fen,
                             .shard = rec.shard,
                             .packet_no = rec.packet_no,
                             .seq = rec.seq};
        e->dead_id = db_i64(&rows, i, 0);
        snprintf(e->claim, sizeof(e->claim), "d%" PRId64, e->dead_id);
        if (readable)
            snprintf(e->finding, sizeof(e->finding),
                     "rp_dead %" PRId64 " (%.*s): user %" PRId64
                     " seq %u shard %u packet %u, %" PRId64 " fen",
                     e->dead_id, (int)reason.len, reason.p, rec.user_id, rec.seq, rec.shard,
                     rec.packet_no, rec.amount_fen);
        else
            snprintf(e->finding, sizeof(e->finding), "rp_dead %" PRId64 " (%.*s): not readable",
                     e->dead_id, (int)reason.len, reason.p);
        err = propose(p, e, readable ? &w : NULL);
        if (!readable && grant_record_version(db_text(&rows, i, 2)) > RR_RECORD_VERSION)
            not_for_us(p, e);
        /* It only came before the program that can read it: the settler of today would not ask. */
        if (!err && readable && rr_slice_eq_str(reason, "newer_version") &&
            e->kind == REPAIR_GRANT && p->shards[w.shard].closed &&
            strcmp(rec.rid, p->shards[w.shard].rid) == 0)
            e->undecided = false;
    }
    db_rows_fini(&rows);
    return err;
}

/* ---- the users hash of a closed shard ---- */

struct scan {
    struct planning *p;
    const struct escrow_row *row;
    int64_t *users; /* per packet, as the books have it; 0: nobody */
    uint32_t *seqs;
};

static enum rr_err on_grant(void *arg, const struct pool_grant *g)
{
    struct scan *s = arg;
    struct planning *p = s->p;
    struct win w = {.user_id = g->user_id,
                    .amount_fen = g->amount_fen,
                    .shard = s->row->shard,
                    .packet_no = g->packet_no,
                    .seq = g->seq};
    enum standing at = STANDS_AGAINST;
    struct repair_entry *e = NULL;
    char claim[32];
    enum rr_err err = RR_OK;

    if (g->packet_no < s->row->granted_k && s->users[g->packet_no] == g->user_id &&
        s->seqs[g->packet_no] == g->seq)
        return RR_OK;
    err = stands(p, &w, &at);
    if (err || at == STANDS_PAID)
        return err;
    snprintf(claim, sizeof(claim), "h%u:%u", s->row->shard, g->packet_no);
    for (uint32_t i = 0; i < p->plan->n; i++) {
        const struct repair_entry *o = &p->plan->entries[i];

        /* HSCAN may say it twice, and a record may say the same. */
        if (strcmp(o->claim, claim) == 0 ||
            (o->claim[0] && o->user_id == w.user_id && o->shard == w.shard &&
             o->packet_no == w.packet_no && o->seq == w.seq))
            return RR_OK;
    }
    if (repair__choice(p->ask, claim) == CHOICE_REJECT)
        return RR_OK; /* nothing to close: it is a key of Redis */
    e = repair__add(p, REPAIR_TOLD);
    if (!e)
        return RR_OK;
    snprintf(e->claim, sizeof(e->claim), "%s", claim);
    snprintf(e->finding, sizeof(e->finding),
             "users hash: user %" PRId64 " seq %u shard %u packet %u, %" PRId64
             " fen, not in the books",
             w.user_id, w.seq, w.shard, w.packet_no, w.amount_fen);
    err = propose(p, e, &w);
    /* Free in its escrow, in the list of a closed shard: that is a grant. */
    if (!err && e->kind == REPAIR_GRANT && at == STANDS_FREE)
        e->undecided = false;
    return err;
}

/* By pages, so that only what differs costs a statement. */
static enum rr_err read_books(struct scan *s)
{
    int64_t after = -1;
    uint32_t n = BOOKS_PAGE;
    enum rr_err err = RR_OK;

    s->users = rr_xcalloc(s->row->granted_k, sizeof(*s->users));
    s->seqs = rr_xcalloc(s->row->granted_k, sizeof(*s->seqs));
    while (!err && n == BOOKS_PAGE) {
        struct db_rows rows = {.cols = 0};

        err = db_select(s->p->l->db,
                        "SELECT packet_no, user_id, seq FROM rp_grant WHERE code = ? AND shard = ?"
                        " AND packet_no > ? AND state <> 3 ORDER BY packet_no LIMIT ?",
                        DB_ARGS(db_str(s->p->rain.code), db_int(s->row->shard), db_int(after),
                                db_int(BOOKS_PAGE)),
                        &rows);
        n = rows.n;
        for (uint32_t i = 0; !err && i < n; i++) {
            after = db_i64(&rows, i, 0);
            if (after < 0 || after >= s->row->granted_k)
                continue;
            s->users[after] = db_i64(&rows, i, 1);
            s->seqs[after] = (uint32_t)db_i64(&rows, i, 2);
        }
        db_rows_fini(&rows);
    }
    return err;
}

static enum rr_err hash_of_shard(struct planning *p, const struct escrow_row *row)
{
    struct pool_shard at = {.shard = row->shard};
    struct scan s = {.p = p, .row = row};
    struct pool_state st = {.exists = false};
    enum rr_err err = RR_OK;

    memcpy(at.code, p->rain.code, sizeof(at.code));
    err = p->ask->pool->state(p->ask->pool->impl, &at, &st);
    if (err) {
        repair__note(p, "shard %u: Redis was not read (%s), its users hash is not compared",
                     row->shard, rr_err_name(err));
        return RR_OK;
    }
    /* Elsewhere the hash is no proof: recovery decides. */
    if (!st.exists || st.st != 'C' || strcmp(st.rid, row->rid) != 0)
        return RR_OK;
    err = read_books(&s);
    if (!err)
        err = p->ask->pool->grants(p->ask->pool->impl, &at, on_grant, &s);
    free(s.users);
    free(s.seqs);
    return err;
}

enum rr_err repair__records(struct planning *p)
{
    enum rr_err err = conflicts(p);

    if (!err)
        err = dead(p);
    for (uint32_t i = 0; !err && p->ask->pool && i < p->rain.spec.shards; i++) {
        if (p->shards[i].closed)
            err = hash_of_shard(p, &p->shards[i]);
    }
    return err;
}
