#include "ledger/prove.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "ledger_impl.h"

enum { PAGE = 10000 };

#define SHARDS(table)                                                                              \
    "SELECT shard, total, amounts_hash, granted_k FROM " table " WHERE code = ? ORDER BY shard"
#define GRANTS(table)                                                                              \
    "SELECT packet_no, amount FROM " table " WHERE code = ? AND shard = ? AND packet_no > ?"       \
    " ORDER BY packet_no LIMIT ?"

enum rr_err rain_prove(struct rain_proof *p)
{
    const struct rain_info *r = &p->rain;
    struct split_spec spec = {.total_fen = r->spec.total_fen,
                              .lo_fen = r->spec.lo_fen,
                              .hi_fen = r->spec.hi_fen,
                              .count = r->spec.count,
                              .version = r->split_version,
                              .split = r->spec.split};
    enum rr_err err = RR_OK;

    memcpy(spec.seed, r->seed, sizeof(spec.seed));
    memcpy(spec.code, r->code, sizeof(spec.code));
    free(p->amounts_fen);
    p->amounts_fen = rr_xcalloc(spec.count, sizeof(*p->amounts_fen));
    err = rain_split(&spec, p->amounts_fen);
    if (err)
        return err;
    rain_seed_hash(r->seed, p->seed_hash);
    p->hash_ok = !r->seed_hash[0] || strcmp(p->seed_hash, r->seed_hash) == 0;
    p->bounds_ok = true;
    p->sum_fen = 0;
    for (uint32_t i = 0; i < spec.count; i++) {
        p->sum_fen += p->amounts_fen[i];
        if (p->amounts_fen[i] < spec.lo_fen ||
            (spec.split != RAIN_LINE_CUT && p->amounts_fen[i] > spec.hi_fen))
            p->bounds_ok = false;
    }
    p->sum_ok = p->sum_fen == spec.total_fen;
    return RR_OK;
}

static void wrong(struct rain_proof *p, const char *text)
{
    p->grants_wrong++;
    if (!p->first_wrong[0])
        snprintf(p->first_wrong, sizeof(p->first_wrong), "%s", text);
}

/* What was frozen for each shard at create, before anybody could know the amounts. */
static enum rr_err check_shards(struct ledger *l, struct rain_proof *p)
{
    const struct rain_spec *spec = &p->rain.spec;
    struct db_rows rows = {.cols = 0};
    int64_t *shard_fen = rr_xcalloc(spec->count, sizeof(*shard_fen));
    enum rr_err err =
        db_select(l->db, p->rain.archived ? SHARDS("rp_escrow_archive") : SHARDS("rp_escrow"),
                  DB_ARGS(db_str(p->rain.code)), &rows);

    p->shards_ok = !err && rows.n == spec->shards;
    for (uint32_t s = 0; !err && s < rows.n; s++) {
        uint32_t n = rain_shard_count(spec->count, spec->shards, s);
        int64_t sum_fen = 0;
        char hash[41];

        if (db_null_at(&rows, s, 3))
            err = RR_PENDING;
        rain_shard_amounts(p->amounts_fen, spec->count, spec->shards, s, shard_fen);
        rain_amounts_hash(shard_fen, n, hash);
        for (uint32_t i = 0; i < n; i++)
            sum_fen += shard_fen[i];
        if (db_i64(&rows, s, 0) != s || db_i64(&rows, s, 1) != sum_fen ||
            !rr_slice_eq_str(db_text(&rows, s, 2), hash))
            p->shards_ok = false;
    }
    db_rows_fini(&rows);
    free(shard_fen);
    return err;
}

static void check_grant(struct rain_proof *p, int64_t shard, int64_t no, int64_t is_fen)
{
    const struct rain_spec *spec = &p->rain.spec;
    uint64_t at = (uint64_t)no * spec->shards + (uint64_t)shard;
    char text[120];

    p->grants++;
    if (no < 0 || shard < 0 || shard >= spec->shards || at >= spec->count) {
        snprintf(text, sizeof(text),
                 "shard %" PRId64 " packet %" PRId64 ": there is no such packet", shard, no);
        wrong(p, text);
    } else if (p->amounts_fen[at] != is_fen) {
        snprintf(text, sizeof(text),
                 "shard %" PRId64 " packet %" PRId64 ": %" PRId64 " fen, the seed says %" PRId64,
                 shard, no, is_fen, p->amounts_fen[at]);
        wrong(p, text);
    }
}

/* In pages along the primary key: a rain has up to a million grants. */
static enum rr_err check_grants(struct ledger *l, struct rain_proof *p)
{
    int64_t shard = 0;
    int64_t after_no = -1;
    enum rr_err err = RR_OK;

    while (!err && shard < p->rain.spec.shards) {
        struct db_rows rows = {.cols = 0};

        err = db_select(
            l->db, p->rain.archived ? GRANTS("rp_grant_archive") : GRANTS("rp_grant"),
            DB_ARGS(db_str(p->rain.code), db_int(shard), db_int(after_no), db_int(PAGE)), &rows);
        for (uint32_t i = 0; !err && i < rows.n; i++) {
            after_no = db_i64(&rows, i, 0);
            check_grant(p, shard, after_no, db_i64(&rows, i, 1));
        }
        if (!err && rows.n < PAGE) {
            shard++;
            after_no = -1;
        }
        db_rows_fini(&rows);
    }
    return err;
}

enum rr_err ledger_prove(struct ledger *l, const char *code, struct rain_proof *out)
{
    enum rr_err err = RR_OK;

    memset(out, 0, sizeof(*out));
    err = ledger_rain_get(l, code, &out->rain);
    if (!err && rain_prove(out) != RR_OK) {
        db_set_error(l->db, "the numbers of this rain allow no split of this version");
        err = RR_CORRUPT;
    }
    if (!err)
        err = check_shards(l, out);
    return err ? err : check_grants(l, out);
}

bool rain_proof_ok(const struct rain_proof *p)
{
    return p->hash_ok && p->sum_ok && p->bounds_ok && p->shards_ok && p->grants_wrong == 0;
}

void rain_proof_fini(struct rain_proof *p)
{
    free(p->amounts_fen);
    p->amounts_fen = NULL;
}
