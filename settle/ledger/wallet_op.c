#include "ledger/wallet_op.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "ledger_impl.h"

enum account { BALANCE, FROZEN, EXTERNAL, PLATFORM };

static const char *const account_kinds[] = {
    [BALANCE] = "balance", [FROZEN] = "frozen", [EXTERNAL] = "external", [PLATFORM] = "platform"};

static const struct rule {
    const char *name;
    const char *log;
    enum account from;
    enum account to;
    bool has_to;
    enum wallet_op of;
} rules[] = {[WALLET_NONE] = {.name = ""},
#define X(op, text, log_, from_, to_account, to_, of_)                                             \
    [WALLET_##op] = {text, log_, from_, to_account, to_, WALLET_##of_},
             WALLET_OP_MAP(X)
#undef X
};

enum wallet_op wallet_op_parse(struct rr_slice name)
{
    for (int i = 1; i < WALLET_OP_COUNT; i++) {
        if (rr_slice_eq_str(name, rules[i].name))
            return (enum wallet_op)i;
    }
    return WALLET_NONE;
}

const char *wallet_op_name(enum wallet_op op)
{
    return rules[op].name;
}

bool wallet_op_has_to(enum wallet_op op)
{
    return rules[op].has_to;
}

bool wallet_op_has_of(enum wallet_op op)
{
    return rules[op].of != WALLET_NONE;
}

bool wallet_key_valid(struct rr_slice key)
{
    if (key.len == 0 || key.len > RR_BIZ_ID_MAX)
        return false;
    for (size_t i = 0; i < key.len; i++) {
        if (key.p[i] <= ' ' || key.p[i] > '~' || key.p[i] == '"' || key.p[i] == '\\')
            return false;
    }
    return true;
}

/* ---- what is asked ---- */

static enum rr_err refuse(struct wallet_done *out, enum rr_err err, const char *field,
                          const char *reason)
{
    out->field = field;
    out->reason = reason;
    return err;
}

static enum rr_err check(const struct wallet_request *r, struct wallet_done *out)
{
    const struct rule *rule = &rules[r->op];

    if (r->op <= WALLET_NONE || r->op >= WALLET_OP_COUNT)
        return refuse(out, RR_BAD_REQUEST, "op", NULL);
    if (r->user_id <= 0)
        return refuse(out, RR_BAD_REQUEST, "user", NULL);
    if (r->amount_fen <= 0 || r->amount_fen > RR_FEN_MAX)
        return refuse(out, RR_BAD_REQUEST, "amount", NULL);
    if (rule->has_to ? r->to_user_id <= 0 : r->to_user_id != 0)
        return refuse(out, RR_BAD_REQUEST, "to", NULL);
    if (r->to_user_id == r->user_id)
        return refuse(out, RR_BAD_REQUEST, "to", "a transfer to oneself");
    if (rule->of ? !wallet_key_valid(rr_slice_str(r->of)) : r->of[0] != 0)
        return refuse(out, RR_BAD_REQUEST, "of", NULL);
    return RR_OK;
}

static void payload_hash(const struct wallet_request *r, uint8_t out[32])
{
    char text[200];
    int n = snprintf(text, sizeof(text), "%s|%" PRId64 "|%" PRId64 "|%" PRId64 "|%s",
                     rules[r->op].name, r->user_id, r->to_user_id, r->amount_fen, r->of);

    RR_ASSERT(n > 0 && (size_t)n < sizeof(text));
    crypto_hash_sha256(out, (const unsigned char *)text, (unsigned long long)n);
}

/* ---- what was done before ---- */

/* RR_DUPLICATE with the stored answer, RR_CONFLICT, or RR_NOT_FOUND. */
static enum rr_err done_before(struct ledger *l, const struct wallet_request *r,
                               const uint8_t hash[32], struct wallet_done *out)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err =
        db_select(l->db, "SELECT payload_hash, answer FROM rp_wallet_op WHERE biz_id = ?",
                  DB_ARGS(db_str(r->biz_id)), &rows);

    if (!err && rows.n == 0)
        err = RR_NOT_FOUND;
    if (!err) {
        struct rr_slice stored = db_text(&rows, 0, 0);

        if (stored.len == 32 && memcmp(stored.p, hash, 32) == 0 &&
            db_copy(&rows, 0, 1, out->answer, sizeof(out->answer)))
            err = RR_DUPLICATE;
        else
            err = refuse(out, RR_CONFLICT, NULL, "the biz id stands for another request");
    }
    db_rows_fini(&rows);
    return err;
}

/* ---- the transaction ---- */

struct op_tx {
    const struct wallet_request *r;
    const uint8_t *hash;
    struct wallet_done *out;
    struct wallet from; /* user_id's */
    struct wallet to;   /* to_user_id's */
    int64_t now_ms;
};

/* Makes the row if there is none, and holds it. */
static enum rr_err lock_wallet(struct ledger *l, int64_t user_id, struct wallet *out)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_stmt(l->db,
                              "INSERT INTO wallet (user_id, balance, frozen) VALUES (?, 0, 0)"
                              " ON DUPLICATE KEY UPDATE balance = balance",
                              DB_ARGS(db_int(user_id)), NULL);

    if (!err)
        err = db_select(l->db, "SELECT balance, frozen FROM wallet WHERE user_id = ? FOR UPDATE",
                        DB_ARGS(db_int(user_id)), &rows);
    if (!err)
        *out = (struct wallet){.user_id = user_id,
                               .balance_fen = db_i64(&rows, 0, 0),
                               .frozen_fen = db_i64(&rows, 0, 1)};
    db_rows_fini(&rows);
    return err;
}

static enum rr_err lock_wallets(struct ledger *l, struct op_tx *t)
{
    const struct wallet_request *r = t->r;
    enum rr_err err = RR_OK;

    if (!r->to_user_id)
        return lock_wallet(l, r->user_id, &t->from);
    if (r->user_id < r->to_user_id) {
        err = lock_wallet(l, r->user_id, &t->from);
        return err ? err : lock_wallet(l, r->to_user_id, &t->to);
    }
    err = lock_wallet(l, r->to_user_id, &t->to);
    return err ? err : lock_wallet(l, r->user_id, &t->from);
}

/* The wallet's lock keeps others from giving back the same operation meanwhile. */
static enum rr_err check_of(struct ledger *l, const struct op_tx *t)
{
    const struct wallet_request *r = t->r;
    struct db_rows rows = {.cols = 0};
    int64_t left_fen = 0;
    enum rr_err err = db_select(
        l->db,
        "SELECT o.amount - (SELECT COALESCE(SUM(b.amount), 0) FROM rp_wallet_op b"
        " WHERE b.of_biz_id = o.biz_id) FROM rp_wallet_op o"
        " WHERE o.biz_id = ? AND o.op = ? AND o.user_id = ?",
        DB_ARGS(db_str(r->of), db_str(rules[rules[r->op].of].name), db_int(r->user_id)), &rows);

    if (!err && rows.n == 0)
        err = refuse(t->out, RR_NOT_FOUND, "of", "no such operation of this user");
    if (!err)
        left_fen = db_i64(&rows, 0, 0);
    db_rows_fini(&rows);
    if (!err && r->amount_fen > left_fen)
        err = refuse(t->out, RR_CONFLICT, "amount", "more than is left to give back");
    return err;
}

static int64_t *part_of(struct wallet *w, enum account a)
{
    return a == BALANCE ? &w->balance_fen : a == FROZEN ? &w->frozen_fen : NULL;
}

/* The amounts after it, in t->from and t->to; nothing is written. */
static enum rr_err move(struct op_tx *t)
{
    const struct wallet_request *r = t->r;
    const struct rule *rule = &rules[r->op];
    int64_t *from = part_of(&t->from, rule->from);
    int64_t *to = part_of(rule->has_to ? &t->to : &t->from, rule->to);

    if (from && *from < r->amount_fen)
        return refuse(t->out, RR_NO_MONEY, "balance", "the wallet does not hold that much");
    if (to && *to > WALLET_FEN_MAX - r->amount_fen)
        return refuse(t->out, RR_CONFLICT, "amount", "the wallet would hold too much");
    if (from)
        *from -= r->amount_fen;
    if (to)
        *to += r->amount_fen;
    return RR_OK;
}

static enum rr_err write_wallet(struct ledger *l, int64_t user_id, enum account a,
                                int64_t delta_fen)
{
    if (a == BALANCE)
        return db_stmt(l->db, "UPDATE wallet SET balance = balance + ? WHERE user_id = ?",
                       DB_ARGS(db_int(delta_fen), db_int(user_id)), NULL);
    if (a == FROZEN)
        return db_stmt(l->db, "UPDATE wallet SET frozen = frozen + ? WHERE user_id = ?",
                       DB_ARGS(db_int(delta_fen), db_int(user_id)), NULL);
    return RR_OK;
}

static enum rr_err write_leg(struct ledger *l, const struct op_tx *t, uint32_t leg)
{
    const struct wallet_request *r = t->r;
    const struct rule *rule = &rules[r->op];
    enum account a = leg ? rule->to : rule->from;
    const struct wallet *w = leg && rule->has_to ? &t->to : &t->from;
    bool wallet = a == BALANCE || a == FROZEN;
    char user[24];

    snprintf(user, sizeof(user), "%" PRId64, w->user_id);
    return db_stmt(
        l->db,
        "INSERT INTO account_log (account_kind, account_id, delta, balance_after, biz_type,"
        " biz_id, leg, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        DB_ARGS(db_str(account_kinds[a]),
                wallet ? db_str(user) : db_str(rule->of ? rules[rule->of].name : rule->name),
                db_int(leg ? r->amount_fen : -r->amount_fen),
                wallet ? db_int(a == BALANCE ? w->balance_fen : w->frozen_fen) : db_null(),
                db_str(rule->log), db_str(r->biz_id), db_int(leg), db_int(t->now_ms)),
        NULL);
}

static void compose(const struct op_tx *t)
{
    const struct wallet_request *r = t->r;
    char to[40] = "";
    int n = 0;

    if (r->to_user_id)
        snprintf(to, sizeof(to), ",\"to\":\"%" PRId64 "\"", r->to_user_id);
    n = snprintf(t->out->answer, sizeof(t->out->answer),
                 "{\"result\":0,\"name\":\"OK\",\"op\":\"%s\",\"user\":\"%" PRId64
                 "\"%s,\"amount\":%" PRId64 ",\"balance\":%" PRId64 ",\"frozen\":%" PRId64
                 ",\"at\":%" PRId64 "}\n",
                 rules[r->op].name, r->user_id, to, r->amount_fen, t->from.balance_fen,
                 t->from.frozen_fen, t->now_ms);
    RR_ASSERT(n > 0 && (size_t)n < sizeof(t->out->answer));
}

static enum rr_err write_op(struct ledger *l, const struct op_tx *t)
{
    const struct wallet_request *r = t->r;

    return db_stmt(l->db,
                   "INSERT INTO rp_wallet_op (biz_id, op, user_id, to_user_id, amount, of_biz_id,"
                   " payload_hash, answer, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                   DB_ARGS(db_str(r->biz_id), db_str(rules[r->op].name), db_int(r->user_id),
                           r->to_user_id ? db_int(r->to_user_id) : db_null(), db_int(r->amount_fen),
                           r->of[0] ? db_str(r->of) : db_null(), db_bytes(t->hash, 32),
                           db_str(t->out->answer), db_int(t->now_ms)),
                   NULL);
}

static enum rr_err run_tx(struct ledger *l, void *arg)
{
    struct op_tx *t = arg;
    const struct wallet_request *r = t->r;
    const struct rule *rule = &rules[r->op];
    enum rr_err err = lock_wallets(l, t);

    t->now_ms = ledger__now_ms();
    t->out->answer[0] = 0;
    /* The same request at the same moment had these locks before us, and has committed. */
    if (!err)
        err = done_before(l, r, t->hash, t->out);
    if (err == RR_NOT_FOUND)
        err = RR_OK;
    if (!err && rule->of)
        err = check_of(l, t);
    if (!err)
        err = move(t);
    if (!err)
        err = write_wallet(l, r->user_id, rule->from, -r->amount_fen);
    if (!err)
        err = write_wallet(l, rule->has_to ? r->to_user_id : r->user_id, rule->to, r->amount_fen);
    for (uint32_t leg = 0; !err && leg < 2; leg++)
        err = write_leg(l, t, leg);
    if (!err) {
        compose(t);
        err = write_op(l, t);
        if (err)
            t->out->answer[0] = 0;
    }
    t->out->wallet = t->from;
    return err;
}

enum rr_err ledger__wallet_op(struct ledger *l, const struct wallet_request *r,
                              struct wallet_done *out)
{
    uint8_t hash[32];
    struct op_tx t = {.r = r, .hash = hash, .out = out};
    enum rr_err err = RR_OK;

    *out = (struct wallet_done){.field = NULL};
    err = check(r, out);
    if (err)
        return err;
    payload_hash(r, hash);
    err = ledger__tx(l, run_tx, &t);
    /* Another user's request took the biz id at the same moment: its locks were not ours. */
    if (err == RR_DUPLICATE && !out->answer[0]) {
        err = done_before(l, r, hash, out);
        if (err == RR_NOT_FOUND)
            err = refuse(out, RR_CONFLICT, NULL, "the log has this biz id already");
    }
    return err;
}

enum rr_err ledger_wallet_op(struct ledger *l, const struct wallet_request *r,
                             struct wallet_done *out)
{
    if (!wallet_key_valid(rr_slice_str(r->biz_id))) {
        *out = (struct wallet_done){.field = NULL};
        return refuse(out, RR_BAD_REQUEST, "Idempotency-Key", NULL);
    }
    return ledger__wallet_op(l, r, out);
}
