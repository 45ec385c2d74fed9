/* rain_sql.c - reading rains, and the one statement that changes a status. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "ledger_impl.h"

/* Columns in the order row_read() takes them; sums over the shards last. */
#define RAIN_COLS                                                                                  \
    "c.config_code, c.sender_id, c.room_id, c.req_id, c.text, c.total_price, c.lo, c.hi,"          \
    " c.duration_ms, c.total_count, c.limit_per_user, c.shards, c.split, c.split_ver, c.seed,"     \
    " c.seed_hash, c.status, c.t0, c.t1, c.created_at, c.total_get, c.total_get_price,"            \
    " c.max_get_price, c.sold_out_at, c.payload_hash, c.kind"
enum { COLS = 26 };
#define RAIN_SUMS ", SUM(e.settled), SUM(e.refunded), SUM(e.remain), SUM(e.settled_cnt)"
#define RAIN_BY(from_where)                                                                        \
    "SELECT " RAIN_COLS RAIN_SUMS " FROM (SELECT * FROM t_red_packet_config " from_where           \
    ") c JOIN rp_escrow e ON e.code = c.config_code GROUP BY c.id ORDER BY c.id DESC"

static void row_read(const struct db_rows *r, uint32_t i, struct rain_info *out)
{
    struct rain_spec *spec = &out->spec;
    struct rr_slice seed = db_text(r, i, 14);
    bool ok = true;

    memset(out, 0, sizeof(*out));
    ok = db_copy(r, i, 0, out->code, sizeof(out->code)) && ok;
    spec->sender_id = db_i64(r, i, 1);
    ok = db_copy(r, i, 2, spec->room_id, sizeof(spec->room_id)) && ok;
    ok = db_copy(r, i, 3, spec->biz_id, sizeof(spec->biz_id)) && ok;
    ok = db_copy(r, i, 4, spec->text, sizeof(spec->text)) && ok;
    spec->total_fen = db_i64(r, i, 5);
    spec->lo_fen = db_i64(r, i, 6);
    spec->hi_fen = db_i64(r, i, 7);
    spec->duration_ms = db_i64(r, i, 8);
    spec->count = (uint32_t)db_i64(r, i, 9);
    spec->limit = (uint32_t)db_i64(r, i, 10);
    spec->shards = (uint32_t)db_i64(r, i, 11);
    spec->split = (enum rain_split)db_i64(r, i, 12);
    out->split_version = (uint32_t)db_i64(r, i, 13);
    if (seed.len == sizeof(out->seed))
        memcpy(out->seed, seed.p, sizeof(out->seed));
    ok = db_copy(r, i, 15, out->seed_hash, sizeof(out->seed_hash)) && ok;
    out->status = (enum rain_status)db_i64(r, i, 16);
    out->t0_ms = db_i64(r, i, 17);
    out->t1_ms = db_i64(r, i, 18);
    out->created_at_ms = db_i64(r, i, 19);
    out->total_get = db_i64(r, i, 20);
    out->total_get_fen = db_i64(r, i, 21);
    out->max_get_fen = db_i64(r, i, 22);
    out->sold_out_at_ms = db_i64(r, i, 23);
    spec->kind = rain_kind_parse(db_text(r, i, 25));
    if (r->cols > COLS) {
        out->settled_fen = db_i64(r, i, COLS);
        out->refunded_fen = db_i64(r, i, COLS + 1);
        out->remain_fen = db_i64(r, i, COLS + 2);
        out->settled_count = db_i64(r, i, COLS + 3);
    }
    RR_ASSERT(ok); /* the columns are not wider than the fields */
}

static enum rr_err read_one(struct ledger *l, const char *sql, const struct db_arg *args, size_t n,
                            struct rain_info *out, uint8_t *payload_hash)
{
    struct db_rows rows;
    enum rr_err err = db_select(l->db, sql, args, n, &rows);

    if (!err && rows.n == 0)
        err = RR_NOT_FOUND;
    if (!err) {
        row_read(&rows, 0, out);
        if (payload_hash && db_text(&rows, 0, 24).len == 32)
            memcpy(payload_hash, db_text(&rows, 0, 24).p, 32);
    }
    db_rows_fini(&rows);
    return err;
}

enum rr_err ledger_rain_get(struct ledger *l, const char *code, struct rain_info *out)
{
    enum rr_err err = rain_code_valid(rr_slice_str(code)) ? db_open(l->db) : RR_NOT_FOUND;

    if (err)
        return err;
    return read_one(l, RAIN_BY("WHERE config_code = ?"), DB_ARGS(db_str(code)), out, NULL);
}

enum rr_err ledger__rain_find(struct ledger *l, int64_t sender_id, const char *biz_id,
                              struct rain_info *out, uint8_t payload_hash[32])
{
    return read_one(l, RAIN_BY("WHERE sender_id = ? AND req_id = ?"),
                    DB_ARGS(db_int(sender_id), db_str(biz_id)), out, payload_hash);
}

enum rr_err ledger__rain_lock(struct ledger *l, const char *code, struct rain_info *out)
{
    return read_one(
        l, "SELECT " RAIN_COLS " FROM t_red_packet_config c WHERE c.config_code = ? FOR UPDATE",
        DB_ARGS(db_str(code)), out, NULL);
}

enum rr_err ledger__rain_status(struct ledger *l, const char *code, enum rain_status from,
                                enum rain_status to)
{
    uint64_t affected = 0;
    enum rr_err err = db_stmt(l->db,
                              "UPDATE t_red_packet_config SET status = ?, ver = ver + 1"
                              " WHERE config_code = ? AND status = ?",
                              DB_ARGS(db_int(to), db_str(code), db_int(from)), &affected);

    if (!err && affected != 1)
        err = RR_CONFLICT;
    return err;
}

static enum rr_err read_many(struct ledger *l, const char *sql, const struct db_arg *args, size_t n,
                             struct rain_info *out, uint32_t max, uint32_t *found)
{
    struct db_rows rows;
    enum rr_err err = db_select(l->db, sql, args, n, &rows);

    *found = 0;
    for (uint32_t i = 0; !err && i < rows.n && i < max; i++)
        row_read(&rows, i, &out[(*found)++]);
    db_rows_fini(&rows);
    return err;
}

enum rr_err ledger_rain_list(struct ledger *l, const char *room_id, int64_t sender_id,
                             struct rain_info *out, uint32_t max, uint32_t *n)
{
    struct db_arg room = room_id ? db_str(room_id) : db_null();
    enum rr_err err = db_open(l->db);

    *n = 0;
    if (err || (room_id && !rain_room_id_valid(rr_slice_str(room_id))))
        return err;
    if (room_id && !sender_id)
        return read_many(l, RAIN_BY("WHERE room_id = ? ORDER BY id DESC LIMIT ?"),
                         DB_ARGS(room, db_int(max)), out, max, n);
    return read_many(l,
                     RAIN_BY("WHERE (? IS NULL OR room_id = ?) AND (? = 0 OR sender_id = ?)"
                             " ORDER BY id DESC LIMIT ?"),
                     DB_ARGS(room, room, db_int(sender_id), db_int(sender_id), db_int(max)), out,
                     max, n);
}

enum rr_err ledger__rain_live(struct ledger *l, struct rain_info *out, uint32_t max, uint32_t *n)
{
    enum rr_err err = db_open(l->db);

    *n = 0;
    if (err)
        return err;
    return read_many(l, RAIN_BY("WHERE status IN (3, 4) ORDER BY id LIMIT ?"), DB_ARGS(db_int(max)),
                     out, max, n);
}

enum rr_err ledger_rain_amounts(struct ledger *l, const struct rain_info *r, int64_t **amounts_fen)
{
    struct split_spec spec = {.total_fen = r->spec.total_fen,
                              .lo_fen = r->spec.lo_fen,
                              .hi_fen = r->spec.hi_fen,
                              .count = r->spec.count,
                              .version = r->split_version,
                              .split = r->spec.split};
    int64_t *out_fen = rr_xcalloc(r->spec.count, sizeof(*out_fen));
    enum rr_err err = RR_OK;

    *amounts_fen = NULL;
    memcpy(spec.seed, r->seed, sizeof(spec.seed));
    memcpy(spec.code, r->code, sizeof(spec.code));
    err = rain_split(&spec, out_fen);
    if (err) {
        db_set_error(l->db, "the amounts of a stored rain cannot be recomputed");
        free(out_fen);
        return RR_CORRUPT;
    }
    *amounts_fen = out_fen;
    return RR_OK;
}

/* ---- grants of a user ---- */

static char grant_state(int64_t state)
{
    return state == 1 ? 's' : state == 2 ? 'h' : 'v';
}

enum rr_err ledger_user_grants(struct ledger *l, int64_t user_id, const char *code,
                               int64_t before_ms, struct grant_row *out, uint32_t max, uint32_t *n)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_open(l->db);

    *n = 0;
    if (err || (code && !rain_code_valid(rr_slice_str(code))))
        return err;
    if (code)
        err =
            db_select(l->db,
                      "SELECT code, shard, packet_no, seq, state, amount, granted_at FROM rp_grant"
                      " WHERE code = ? AND user_id = ? AND (? <= 0 OR granted_at < ?)"
                      " ORDER BY seq DESC LIMIT ?",
                      DB_ARGS(db_str(code), db_int(user_id), db_int(before_ms), db_int(before_ms),
                              db_int(max)),
                      &rows);
    else
        err = db_select(
            l->db,
            "SELECT code, shard, packet_no, seq, state, amount, granted_at FROM rp_grant"
            " WHERE user_id = ? AND (? <= 0 OR granted_at < ?)"
            " ORDER BY granted_at DESC, code, seq DESC LIMIT ?",
            DB_ARGS(db_int(user_id), db_int(before_ms), db_int(before_ms), db_int(max)), &rows);
    for (uint32_t i = 0; !err && i < rows.n && i < max; i++) {
        struct grant_row *g = &out[(*n)++];

        memset(g, 0, sizeof(*g));
        RR_ASSERT(db_copy(&rows, i, 0, g->code, sizeof(g->code)));
        g->shard = (uint32_t)db_i64(&rows, i, 1);
        g->packet_no = (uint32_t)db_i64(&rows, i, 2);
        g->seq = (uint32_t)db_i64(&rows, i, 3);
        g->state = grant_state(db_i64(&rows, i, 4));
        g->amount_fen = db_i64(&rows, i, 5);
        g->granted_at_ms = db_i64(&rows, i, 6);
    }
    db_rows_fini(&rows);
    return err;
}
