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
    " c.max_get_price, c.sold_out_at, c.payload_hash, c.kind,"                                     \
    " c.anchor_id, c.start_at, c.expire_at, c.min_level, c.new_since, c.list_count, c.called_off"
enum { COLS = 33 };
/* Sums by the escrow's primary key: joined and grouped they would be sorted. */
#define RAIN_SUM(escrow, column)                                                                   \
    ", (SELECT SUM(e." column ") FROM " escrow " e WHERE e.code = c.config_code)"
#define RAIN_FROM(config, escrow, rest)                                                            \
    "SELECT " RAIN_COLS RAIN_SUM(escrow, "settled") RAIN_SUM(escrow, "refunded")                   \
        RAIN_SUM(escrow, "remain") RAIN_SUM(escrow, "settled_cnt") " FROM " config " c " rest
#define RAIN_BY(rest) RAIN_FROM("t_red_packet_config", "rp_escrow", rest)
#define ARCHIVED_BY(rest) RAIN_FROM("t_red_packet_config_archive", "rp_escrow_archive", rest)

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
    spec->anchor_id = db_i64(r, i, 26);
    spec->start_at_ms = db_i64(r, i, 27);
    spec->expire_at_ms = db_i64(r, i, 28);
    spec->min_level = (uint32_t)db_i64(r, i, 29);
    spec->new_since_s = db_i64(r, i, 30);
    spec->users_n = (uint32_t)db_i64(r, i, 31);
    out->called_off = db_i64(r, i, 32) != 0;
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
    err = read_one(l, RAIN_BY("WHERE c.config_code = ?"), DB_ARGS(db_str(code)), out, NULL);
    /* In this order: it is in the archive before it goes. */
    if (err == RR_NOT_FOUND) {
        err = read_one(l, ARCHIVED_BY("WHERE c.config_code = ?"), DB_ARGS(db_str(code)), out, NULL);
        out->archived = !err;
    }
    return err;
}

enum rr_err ledger__rain_find(struct ledger *l, int64_t sender_id, const char *biz_id,
                              struct rain_info *out, uint8_t payload_hash[32])
{
    enum rr_err err = read_one(l, RAIN_BY("WHERE c.sender_id = ? AND c.req_id = ?"),
                               DB_ARGS(db_int(sender_id), db_str(biz_id)), out, payload_hash);

    if (err == RR_NOT_FOUND) { /* a repeated create has no time limit */
        err = read_one(l, ARCHIVED_BY("WHERE c.sender_id = ? AND c.req_id = ?"),
                       DB_ARGS(db_int(sender_id), db_str(biz_id)), out, payload_hash);
        out->archived = !err;
    }
    return err;
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
    bool over = to == RAIN_SETTLED || to == RAIN_CANCELLED;
    uint64_t affected = 0;
    enum rr_err err = db_stmt(l->db,
                              "UPDATE t_red_packet_config SET status = ?, ver = ver + 1,"
                              " settled_at = ? WHERE config_code = ? AND status = ?",
                              DB_ARGS(db_int(to), over ? db_int(ledger__now_ms()) : db_null(),
                                      db_str(code), db_int(from)),
                              &affected);

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
    enum rr_err err = db_open(l->db);

    *n = 0;
    if (err || (room_id && !rain_room_id_valid(rr_slice_str(room_id))))
        return err;
    if (room_id && sender_id)
        return read_many(
            l, RAIN_BY("WHERE c.sender_id = ? AND c.room_id = ? ORDER BY c.id DESC LIMIT ?"),
            DB_ARGS(db_int(sender_id), db_str(room_id), db_int(max)), out, max, n);
    if (room_id)
        return read_many(l, RAIN_BY("WHERE c.room_id = ? ORDER BY c.id DESC LIMIT ?"),
                         DB_ARGS(db_str(room_id), db_int(max)), out, max, n);
    if (sender_id)
        return read_many(l, RAIN_BY("WHERE c.sender_id = ? ORDER BY c.id DESC LIMIT ?"),
                         DB_ARGS(db_int(sender_id), db_int(max)), out, max, n);
    return read_many(l, RAIN_BY("ORDER BY c.id DESC LIMIT ?"), DB_ARGS(db_int(max)), out, max, n);
}

enum rr_err ledger_sent_list(struct ledger *l, int64_t sender_id, const char *before_code,
                             struct rain_info *out, uint32_t max, uint32_t *n)
{
    enum rr_err err = db_open(l->db);

    *n = 0;
    if (err)
        return err;
    if (!before_code[0])
        return ledger_rain_list(l, NULL, sender_id, out, max, n);
    return read_many(
        l,
        RAIN_BY("WHERE c.sender_id = ? AND c.id < (SELECT b.id FROM"
                " t_red_packet_config b WHERE b.config_code = ? AND b.sender_id = ?)"
                " ORDER BY c.id DESC LIMIT ?"),
        DB_ARGS(db_int(sender_id), db_str(before_code), db_int(sender_id), db_int(max)), out, max,
        n);
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

enum rr_err ledger_rain_stats(struct ledger *l, const char (*codes)[RR_CODE_LEN + 1], uint32_t n,
                              struct rain_info *out, uint32_t *found)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = n ? db_open(l->db) : RR_OK;

    *found = 0;
    if (err || n == 0)
        return err;
    rr_buf_puts(&l->sql, RAIN_BY("WHERE c.config_code IN ("));
    for (uint32_t i = 0; i < n; i++)
        rr_buf_printf(&l->sql, "%s'%s'", i ? "," : "", codes[i]);
    rr_buf_puts(&l->sql, ")");
    err = db_query_buf(l->db, &l->sql, &rows);
    for (uint32_t i = 0; !err && i < rows.n && i < n; i++)
        row_read(&rows, i, &out[(*found)++]);
    db_rows_fini(&rows);
    return err;
}
