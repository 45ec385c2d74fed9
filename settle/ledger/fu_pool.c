/* fu_pool.c - the pool's money: out of the sender's wallet with the campaign, then into the winners' packet, or back. */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "fu_impl.h"

/* balance_fen is the sender's after it. */
static enum rr_err write_legs(struct ledger *l, const struct fu_campaign *c, const char *biz_type,
                              int64_t to_pool_fen, int64_t balance_fen)
{
    int64_t now_ms = ledger__now_ms();
    char account[FU_ACCOUNT_MAX];
    char user[24];

    fu__account(c->code, account);
    snprintf(user, sizeof(user), "%" PRId64, c->spec.sender_id);
    ledger__log_begin(&l->sql);
    ledger__log_add(
        &l->sql,
        &(struct log_row){"balance", user, -to_pool_fen, balance_fen, biz_type, c->code, 0},
        now_ms);
    ledger__log_add(
        &l->sql,
        &(struct log_row){"platform", account, to_pool_fen, LEDGER_NO_AFTER, biz_type, c->code, 1},
        now_ms);
    return db_exec_buf(l->db, &l->sql, NULL);
}

/* ---- create ---- */

struct fu_creation {
    const struct fu_spec *spec;
    struct fu_campaign *out;
    int64_t wait_ms; /* until the share */
    uint8_t payload_hash[32];
    int64_t day_fen;
};

static void payload_hash(const struct fu_spec *s, uint8_t out[32])
{
    struct rr_buf text = {0};

    rr_buf_printf(&text, "%s|%" PRId64 "|%" PRId64 "|%u|%u|%u|%d|%s", s->room_id, s->pool_fen,
                  s->share_at_ms, s->winners_max, s->day_draws, s->day_gifts, (int)s->split,
                  s->text);
    for (unsigned i = 0; i < FU_CARDS; i++)
        rr_buf_printf(&text, "|%u,%u", s->weight[i], s->stock[i]);
    RR_ASSERT(!text.failed);
    crypto_hash_sha256(out, (const unsigned char *)text.p, (unsigned long long)text.len);
    rr_buf_fini(&text);
}

/* RR_DUPLICATE or RR_CONFLICT when (sender, biz_id) was used, RR_NOT_FOUND when not. */
static enum rr_err created_before(struct ledger *l, const struct fu_creation *k)
{
    struct db_rows rows = {.cols = 0};
    char code[RR_CODE_LEN + 1];
    enum rr_err err = db_open(l->db);

    if (!err)
        err = db_select(
            l->db, "SELECT code, payload_hash FROM fu_campaign WHERE sender_id = ? AND req_id = ?",
            DB_ARGS(db_int(k->spec->sender_id), db_str(k->spec->biz_id)), &rows);
    if (!err && rows.n == 0)
        err = RR_NOT_FOUND;
    if (!err && (db_text(&rows, 0, 1).len != sizeof(k->payload_hash) ||
                 memcmp(db_text(&rows, 0, 1).p, k->payload_hash, sizeof(k->payload_hash)) != 0))
        err = RR_CONFLICT;
    if (!err)
        RR_ASSERT(db_copy(&rows, 0, 0, code, sizeof(code)));
    db_rows_fini(&rows);
    if (!err)
        err = ledger_fu_get(l, code, k->out);
    return err ? err : RR_DUPLICATE;
}

static enum rr_err insert_campaign(struct ledger *l, const struct fu_creation *k)
{
    const struct fu_campaign *c = k->out;
    const struct fu_spec *s = &c->spec;

    return db_stmt(
        l->db,
        "INSERT INTO fu_campaign (code, room_id, open_room, sender_id, anchor_id, req_id,"
        " payload_hash, pool, split, winners_max, day_draws, day_gifts, share_at, text, seed,"
        " rain_req, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        DB_ARGS(db_str(c->code), db_str(s->room_id), db_str(s->room_id), db_int(s->sender_id),
                db_int(s->anchor_id), db_str(s->biz_id),
                db_bytes(k->payload_hash, sizeof(k->payload_hash)), db_int(s->pool_fen),
                db_int(s->split), db_int(s->winners_max), db_int(s->day_draws),
                db_int(s->day_gifts), db_int(s->share_at_ms), db_str(s->text),
                db_bytes(c->seed, sizeof(c->seed)), db_str(c->rain_req), db_int(c->created_at_ms)),
        NULL);
}

static enum rr_err insert_stock(struct ledger *l, const struct fu_campaign *c)
{
    rr_buf_puts(&l->sql, "INSERT INTO fu_stock (code, card, weight, stock, left_n) VALUES ");
    for (unsigned i = 0; i < FU_CARDS; i++)
        rr_buf_printf(&l->sql, "%s('%s',%u,%u,%u,%u)", i ? "," : "", c->code, i + 1,
                      c->spec.weight[i], c->spec.stock[i], c->spec.stock[i]);
    return db_exec_buf(l->db, &l->sql, NULL);
}

static enum rr_err create_tx(struct ledger *l, void *arg)
{
    struct fu_creation *k = arg;
    struct fu_campaign *c = k->out;
    int64_t after_fen = 0;
    struct task t;
    enum rr_err err = RR_OK;

    c->created_at_ms = ledger__now_ms();
    err = insert_campaign(l, k);
    if (!err)
        err = ledger__take_balance(l, c->spec.sender_id, c->spec.pool_fen, &after_fen);
    if (!err)
        err = ledger__risk_create(l, c->spec.sender_id, c->created_at_ms, &k->day_fen);
    if (!err)
        err = write_legs(l, c, "fu_pool", c->spec.pool_fen, after_fen);
    if (!err)
        err = insert_stock(l, c);
    if (!err)
        err = task_put(l, "fu", c->code, 0, c->created_at_ms + k->wait_ms, &t);
    if (!err)
        rr_fail(FU_CREATE_BEFORE_COMMIT);
    return err;
}

enum rr_err ledger_fu_create(struct ledger *l, const struct fu_spec *spec, int64_t now_ms,
                             struct fu_campaign *out, const char **field)
{
    struct fu_creation k = {.spec = spec, .out = out, .wait_ms = spec->share_at_ms - now_ms};
    enum rr_err err = RR_OK;

    *field = NULL;
    payload_hash(spec, k.payload_hash);
    err = created_before(l, &k);
    if (err != RR_NOT_FOUND)
        return err;
    if (spec->share_at_ms <= now_ms || spec->share_at_ms > now_ms + RR_EXPIRE_MAX_MS) {
        *field = "share_at";
        return RR_BAD_REQUEST;
    }
    *out = (struct fu_campaign){.spec = *spec, .state = FU_OPEN};
    memcpy(out->left, spec->stock, sizeof(out->left));
    rain_code_new(out->code);
    rain_code_new(out->rain_req);
    rain_seed_new(out->seed);
    err = ledger__tx(l, create_tx, &k);
    if (!err)
        rr_fail(FU_CREATE_AFTER_COMMIT);
    if (err == RR_NOT_ELIGIBLE)
        ledger__risk_create_denied(l, spec->sender_id, k.day_fen);
    if (err != RR_DUPLICATE)
        return err;
    err = created_before(l, &k);
    if (err != RR_NOT_FOUND)
        return err;
    *field = "room"; /* it has one that is not over */
    return RR_CONFLICT;
}

/* ---- the end ---- */

static enum rr_err set_state(struct ledger *l, const char *code, enum fu_state state,
                             bool keeps_room)
{
    return db_stmt(
        l->db,
        "UPDATE fu_campaign SET state = ?, ended_at = ?,"
        " open_room = IF(?, room_id, NULL) WHERE code = ?",
        DB_ARGS(db_int(state), db_int(ledger__now_ms()), db_int(keeps_room), db_str(code)), NULL);
}

/* Everything the pool's account holds, in the transaction that says so. */
static enum rr_err give_back(struct ledger *l, const struct fu_campaign *c)
{
    int64_t after_fen = 0;
    enum rr_err err = ledger__wallet_add(l, c->spec.sender_id, c->spec.pool_fen, &after_fen);

    return err ? err : write_legs(l, c, "fu_back", -c->spec.pool_fen, after_fen);
}

struct fu_close {
    const char *code;
    bool cancel;
    struct fu_campaign *out;
};

static enum rr_err close_tx(struct ledger *l, void *arg)
{
    const struct fu_close *k = arg;
    struct fu_campaign *c = k->out;
    enum rr_err err = fu__read(l, k->code, true, c);

    if (err)
        return err;
    if (c->state != FU_OPEN)
        return RR_DUPLICATE;
    if (c->winners && k->cancel)
        return RR_CONFLICT;
    c->state = c->winners ? FU_SHARING : FU_GIVEN_BACK;
    c->ended_at_ms = ledger__now_ms();
    err = set_state(l, c->code, c->state, c->winners > 0);
    if (!err && c->winners == 0)
        err = give_back(l, c);
    if (!err && k->cancel)
        err = task_drop(l, "fu", c->code);
    if (!err)
        rr_fail(FU_CLOSE_BEFORE_COMMIT);
    return err;
}

enum rr_err ledger_fu_close(struct ledger *l, const char *code, bool cancel,
                            struct fu_campaign *out)
{
    struct fu_close k = {.code = code, .cancel = cancel, .out = out};
    enum rr_err err = ledger__tx(l, close_tx, &k);

    if (!err)
        rr_fail(FU_CLOSE_AFTER_COMMIT);
    if (!err || err == RR_DUPLICATE || err == RR_CONFLICT) {
        enum rr_err read = fu__read_cards(l, out);

        err = read ? read : err;
    }
    return err;
}

struct fu_failure {
    const char *code;
    const char *reason;
    struct fu_campaign *out;
};

/* Against a packet that is made at this moment: both want the campaign's row while it is SHARING. */
static enum rr_err fail_tx(struct ledger *l, void *arg)
{
    const struct fu_failure *k = arg;
    struct fu_campaign *c = k->out;
    enum rr_err err = fu__read(l, k->code, true, c);

    if (err)
        return err;
    if (c->state != FU_SHARING)
        return RR_DUPLICATE;
    c->state = FU_FAILED;
    c->ended_at_ms = ledger__now_ms();
    snprintf(c->reason, sizeof(c->reason), "%s", k->reason);
    err = db_stmt(
        l->db,
        "UPDATE fu_campaign SET state = ?, ended_at = ?, open_room = NULL, end_reason = ?"
        " WHERE code = ?",
        DB_ARGS(db_int(c->state), db_int(c->ended_at_ms), db_str(c->reason), db_str(c->code)),
        NULL);
    return err ? err : give_back(l, c);
}

enum rr_err ledger_fu_fail(struct ledger *l, const char *code, const char *reason,
                           struct fu_campaign *out)
{
    struct fu_failure k = {.code = code, .reason = reason, .out = out};
    enum rr_err err = RR_BAD_REQUEST;

    if (reason[0])
        err = ledger__tx(l, fail_tx, &k);
    if (!err || err == RR_DUPLICATE) {
        enum rr_err read = fu__read_cards(l, out);

        err = read ? read : err;
    }
    return err;
}

/* The state and the packet's code change in the transaction that makes the packet: there is never a second one. */
enum rr_err fu__pool_pays(struct ledger *l, const char *fu_code, const char *rain_code,
                          int64_t total_fen)
{
    uint64_t affected = 0;
    enum rr_err err =
        db_stmt(l->db,
                "UPDATE fu_campaign SET state = 3, open_room = NULL, rain_code = ?"
                " WHERE code = ? AND state = 2 AND pool = ?",
                DB_ARGS(db_str(rain_code), db_str(fu_code), db_int(total_fen)), &affected);

    return !err && affected != 1 ? RR_CONFLICT : err;
}
