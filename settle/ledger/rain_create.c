/* rain_create.c - a new rain: its row, the sender's money moved into the escrow of its shards, all in one transaction. */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fail.h"
#include "fu_impl.h"
#include "ledger_impl.h"
#include "rain_rules.h"

struct creation {
    const struct rain_spec *spec;
    struct rain_info *out;
    uint8_t payload_hash[32];
    int64_t day_fen;      /* the sender's rains of the day, this one included */
    int64_t *amounts_fen; /* of the whole rain */
    int64_t *shard_fen;   /* scratch: of one shard */
    struct {
        int64_t total_fen;
        char hash[41];
    } shards[RR_SHARDS_MAX];
};

/* What a repeated create must say again, beside a rain's own numbers; nothing for a plain rain. */
static void hash_rules(const struct rain_spec *s, struct rr_buf *text)
{
    if (s->kind == KIND_RAIN && !s->start_at_ms && !s->expire_at_ms)
        return;
    rr_buf_printf(text, "|%s|%" PRId64 "|%" PRId64 "|%u|%u|%d|%d", rain_kind_name(s->kind),
                  s->start_at_ms, s->expire_at_ms, s->min_level, s->new_user_days, (int)s->random,
                  (int)s->send);
    for (uint32_t i = 0; i < s->users_n; i++)
        rr_buf_printf(text, ",%" PRId64, s->users[i]);
}

static void payload_hash(const struct rain_spec *s, uint8_t out[32])
{
    struct rr_buf text = {0};

    rr_buf_printf(&text, "%s|%" PRId64 "|%u|%" PRId64 "|%" PRId64 "|%d|%u|%u|%" PRId64 "|%s",
                  s->room_id, s->total_fen, s->count, s->lo_fen, s->hi_fen, (int)s->split, s->limit,
                  s->shards, s->duration_ms, s->text);
    hash_rules(s, &text);
    RR_ASSERT(!text.failed);
    crypto_hash_sha256(out, (const unsigned char *)text.p, (unsigned long long)text.len);
    rr_buf_fini(&text);
}

static enum rr_err draw(struct ledger *l, struct creation *c)
{
    struct rain_info *r = c->out;
    enum rr_err err = RR_OK;

    memset(r, 0, sizeof(*r));
    r->spec = *c->spec;
    r->status = RAIN_CREATED;
    r->split_version = RAIN_SPLIT_VERSION;
    if (r->spec.random)
        rain_draw_total(&r->spec);
    r->remain_fen = r->spec.total_fen;
    rain_code_new(r->code);
    rain_seed_new(r->seed);
    rain_seed_hash(r->seed, r->seed_hash);
    err = ledger_rain_amounts(l, r, &c->amounts_fen);
    if (err)
        return RR_BAD_REQUEST;
    c->shard_fen = rr_xcalloc(c->spec->count, sizeof(*c->shard_fen));
    for (uint32_t s = 0; s < c->spec->shards; s++) {
        uint32_t n = rain_shard_count(c->spec->count, c->spec->shards, s);

        rain_shard_amounts(c->amounts_fen, c->spec->count, c->spec->shards, s, c->shard_fen);
        rain_amounts_hash(c->shard_fen, n, c->shards[s].hash);
        c->shards[s].total_fen = 0;
        for (uint32_t i = 0; i < n; i++)
            c->shards[s].total_fen += c->shard_fen[i];
    }
    return RR_OK;
}

static enum rr_err insert_config(struct ledger *l, const struct creation *c)
{
    const struct rain_info *r = c->out;
    const struct rain_spec *s = &r->spec;

    return db_stmt(
        l->db,
        "INSERT INTO t_red_packet_config (anchor_id, sender_id, kind, room_id, config_code, status,"
        " total_price, total_count, split, split_ver, lo, hi, limit_per_user, shards, seed,"
        " seed_hash, duration_ms, text, req_id, payload_hash, created_at,"
        " start_at, expire_at, min_level, new_since, list_count)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        DB_ARGS(db_int(s->anchor_id), db_int(s->sender_id), db_str(rain_kind_name(s->kind)),
                db_str(s->room_id), db_str(r->code), db_int(r->status), db_int(s->total_fen),
                db_int(s->count), db_int(s->split), db_int(r->split_version), db_int(s->lo_fen),
                db_int(s->hi_fen), db_int(s->limit), db_int(s->shards),
                db_bytes(r->seed, sizeof(r->seed)), db_str(r->seed_hash), db_int(s->duration_ms),
                db_str(s->text), db_str(s->biz_id),
                db_bytes(c->payload_hash, sizeof(c->payload_hash)), db_int(r->created_at_ms),
                s->start_at_ms ? db_int(s->start_at_ms) : db_null(), db_int(s->expire_at_ms),
                db_int(s->min_level), db_int(s->new_since_s), db_int(s->users_n)),
        NULL);
}

enum rr_err ledger__take_balance(struct ledger *l, int64_t user_id, int64_t amount_fen,
                                 int64_t *after_fen)
{
    struct db_rows rows;
    enum rr_err err = db_select(l->db, "SELECT balance FROM wallet WHERE user_id = ? FOR UPDATE",
                                DB_ARGS(db_int(user_id)), &rows);

    if (!err && (rows.n == 0 || db_i64(&rows, 0, 0) < amount_fen))
        err = RR_NO_MONEY;
    if (!err)
        *after_fen = db_i64(&rows, 0, 0) - amount_fen;
    db_rows_fini(&rows);
    if (err)
        return err;
    return db_stmt(l->db, "UPDATE wallet SET balance = balance - ? WHERE user_id = ?",
                   DB_ARGS(db_int(amount_fen), db_int(user_id)), NULL);
}

static enum rr_err insert_log(struct ledger *l, const struct creation *c, int64_t after_fen)
{
    const struct rain_info *r = c->out;
    bool pool = r->spec.fu_code[0] != 0;
    char account[40];

    ledger__log_begin(&l->sql);
    if (pool)
        fu__account(r->spec.fu_code, account);
    else
        snprintf(account, sizeof(account), "%" PRId64, r->spec.sender_id);
    ledger__log_add(&l->sql,
                    &(struct log_row){.kind = pool ? "platform" : "balance",
                                      .account_id = account,
                                      .delta = -r->spec.total_fen,
                                      .after = after_fen,
                                      .biz_type = "create",
                                      .biz_id = r->code},
                    r->created_at_ms);
    for (uint32_t s = 0; s < r->spec.shards; s++) {
        snprintf(account, sizeof(account), "%s:%u", r->code, s);
        ledger__log_add(&l->sql,
                        &(struct log_row){.kind = "escrow",
                                          .account_id = account,
                                          .delta = c->shards[s].total_fen,
                                          .after = LEDGER_NO_AFTER,
                                          .biz_type = "create",
                                          .biz_id = r->code,
                                          .leg = 1 + s},
                        r->created_at_ms);
    }
    return db_exec_buf(l->db, &l->sql, NULL);
}

static enum rr_err insert_escrow(struct ledger *l, const struct creation *c)
{
    rr_buf_puts(&l->sql,
                "INSERT INTO rp_escrow (code, shard, total, remain, amounts_hash) VALUES ");
    for (uint32_t s = 0; s < c->out->spec.shards; s++)
        rr_buf_printf(&l->sql, "%s('%s',%u,%" PRId64 ",%" PRId64 ",'%s')", s ? "," : "",
                      c->out->code, s, c->shards[s].total_fen, c->shards[s].total_fen,
                      c->shards[s].hash);
    return db_exec_buf(l->db, &l->sql, NULL);
}

/* Out of the sender's wallet, or out of the pool that was taken from it before, and judged then. */
static enum rr_err pay(struct ledger *l, struct creation *c, int64_t *after_fen)
{
    const struct rain_spec *s = &c->out->spec;
    enum rr_err err = RR_OK;

    if (s->fu_code[0]) {
        *after_fen = LEDGER_NO_AFTER;
        return fu__pool_pays(l, s->fu_code, c->out->code, s->total_fen);
    }
    err = ledger__take_balance(l, s->sender_id, s->total_fen, after_fen);
    return err ? err : ledger__risk_create(l, s->sender_id, c->out->created_at_ms, &c->day_fen);
}

/* The config row first: UNIQUE (sender, req_id) makes a concurrent repeat wait here and then fail. */
static enum rr_err create_tx(struct ledger *l, void *arg)
{
    struct creation *c = arg;
    int64_t after_fen = 0;
    enum rr_err err = RR_OK;

    c->out->created_at_ms = ledger__now_ms();
    err = insert_config(l, c);
    if (!err)
        err = ledger__rain_rules(l, c->out);
    if (!err)
        err = pay(l, c, &after_fen);
    if (!err)
        err = insert_log(l, c, after_fen);
    if (!err)
        err = insert_escrow(l, c);
    if (!err)
        rr_fail(CREATE_BEFORE_COMMIT);
    return err;
}

/* RR_DUPLICATE or RR_CONFLICT when (sender, biz_id) was used, RR_NOT_FOUND when not. */
static enum rr_err created_before(struct ledger *l, const struct creation *c)
{
    uint8_t hash[32] = {0};
    struct rain_info found;
    enum rr_err err = db_open(l->db);

    if (!err)
        err = ledger__rain_find(l, c->spec->sender_id, c->spec->biz_id, &found, hash);
    if (err)
        return err;
    if (memcmp(hash, c->payload_hash, sizeof(hash)) != 0)
        return RR_CONFLICT;
    *c->out = found;
    return RR_DUPLICATE;
}

enum rr_err ledger_rain_create(struct ledger *l, const struct rain_spec *spec,
                               struct rain_info *out)
{
    struct rain_spec copy = *spec; /* spec may be &out->spec */
    struct creation *c = rr_xcalloc(1, sizeof(*c));
    enum rr_err err = RR_OK;

    c->spec = &copy;
    c->out = out;
    payload_hash(&copy, c->payload_hash);
    err = created_before(l, c);
    if (err != RR_NOT_FOUND)
        goto out;
    if (rain_times_check(&copy, ledger__now_ms())) {
        err = RR_BAD_REQUEST;
        goto out;
    }
    err = draw(l, c);
    if (!err)
        err = ledger__tx(l, create_tx, c);
    if (!err)
        rr_fail(CREATE_AFTER_COMMIT);
    if (err == RR_DUPLICATE)
        err = created_before(l, c);
    if (err == RR_NOT_ELIGIBLE)
        ledger__risk_create_denied(l, copy.sender_id, c->day_fen);
out:
    out->spec.users = NULL; /* the caller's */
    free(c->amounts_fen);
    free(c->shard_fen);
    free(c);
    return err;
}
