/* fu_sql.c - reading campaigns and users, and the statements several steps share. */
#include <stdio.h>
#include <string.h>

#include "fu_impl.h"
#include "rain_rules.h"

#define FU_SELECT                                                                                  \
    "SELECT code, room_id, sender_id, anchor_id, state, pool, split, winners_max, winners,"        \
    " day_draws, day_gifts, share_at, text, seed, rain_req, rain_code, created_at, ended_at,"      \
    " req_id, end_reason FROM fu_campaign WHERE "

const char *fu_state_name(enum fu_state s)
{
    static const char *const names[] = {[FU_OPEN] = "OPEN",
                                        [FU_SHARING] = "SHARING",
                                        [FU_SHARED] = "SHARED",
                                        [FU_GIVEN_BACK] = "GIVEN_BACK",
                                        [FU_FAILED] = "FAILED"};

    return s >= FU_OPEN && s <= FU_FAILED ? names[s] : "?";
}

void fu__account(const char *code, char out[FU_ACCOUNT_MAX])
{
    snprintf(out, FU_ACCOUNT_MAX, "fu:%s", code);
}

int32_t fu__today(const struct ledger *l)
{
    struct risk_rules rules;

    risk_cell_get(l->rules, &rules);
    return risk_day(ledger__now_ms(), rules.day_offset_ms);
}

static void row_read(const struct db_rows *r, uint32_t i, struct fu_campaign *out)
{
    struct fu_spec *s = &out->spec;
    bool ok = true;

    memset(out, 0, sizeof(*out));
    ok = db_copy(r, i, 0, out->code, sizeof(out->code)) && ok;
    ok = db_copy(r, i, 1, s->room_id, sizeof(s->room_id)) && ok;
    s->sender_id = db_i64(r, i, 2);
    s->anchor_id = db_i64(r, i, 3);
    out->state = (enum fu_state)db_i64(r, i, 4);
    s->pool_fen = db_i64(r, i, 5);
    s->split = (enum rain_split)db_i64(r, i, 6);
    s->winners_max = (uint32_t)db_i64(r, i, 7);
    out->winners = (uint32_t)db_i64(r, i, 8);
    s->day_draws = (uint32_t)db_i64(r, i, 9);
    s->day_gifts = (uint32_t)db_i64(r, i, 10);
    s->share_at_ms = db_i64(r, i, 11);
    ok = db_copy(r, i, 12, s->text, sizeof(s->text)) && ok;
    ok = db_text(r, i, 13).len == sizeof(out->seed) && ok;
    if (ok)
        memcpy(out->seed, db_text(r, i, 13).p, sizeof(out->seed));
    ok = db_copy(r, i, 14, out->rain_req, sizeof(out->rain_req)) && ok;
    if (!db_null_at(r, i, 15))
        ok = db_copy(r, i, 15, out->rain_code, sizeof(out->rain_code)) && ok;
    out->created_at_ms = db_i64(r, i, 16);
    out->ended_at_ms = db_i64(r, i, 17);
    ok = db_copy(r, i, 18, s->biz_id, sizeof(s->biz_id)) && ok;
    ok = db_copy(r, i, 19, out->reason, sizeof(out->reason)) && ok;
    RR_ASSERT(ok); /* the columns are not wider than the fields */
}

static enum rr_err read_one(struct ledger *l, const char *sql, struct db_arg arg,
                            struct fu_campaign *out)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_select(l->db, sql, &arg, 1, &rows);

    if (!err && rows.n == 0)
        err = RR_NOT_FOUND;
    if (!err)
        row_read(&rows, 0, out);
    db_rows_fini(&rows);
    return err;
}

enum rr_err fu__read(struct ledger *l, const char *code, bool lock, struct fu_campaign *out)
{
    if (lock)
        return read_one(l, FU_SELECT "code = ? FOR UPDATE", db_str(code), out);
    return read_one(l, FU_SELECT "code = ?", db_str(code), out);
}

enum rr_err fu__read_cards(struct ledger *l, struct fu_campaign *c)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err =
        db_select(l->db, "SELECT card, weight, stock, left_n FROM fu_stock WHERE code = ?",
                  DB_ARGS(db_str(c->code)), &rows);

    if (!err && rows.n != FU_CARDS)
        err = RR_CORRUPT;
    for (uint32_t i = 0; !err && i < rows.n; i++) {
        int64_t k = db_i64(&rows, i, 0) - 1;

        RR_ASSERT(k >= 0 && k < FU_CARDS);
        c->spec.weight[k] = (uint32_t)db_i64(&rows, i, 1);
        c->spec.stock[k] = (uint32_t)db_i64(&rows, i, 2);
        c->left[k] = (uint32_t)db_i64(&rows, i, 3);
    }
    db_rows_fini(&rows);
    return err;
}

enum rr_err ledger_fu_get(struct ledger *l, const char *code, struct fu_campaign *out)
{
    enum rr_err err = rain_code_valid(rr_slice_str(code)) ? db_open(l->db) : RR_NOT_FOUND;

    if (!err)
        err = fu__read(l, code, false, out);
    return err ? err : fu__read_cards(l, out);
}

enum rr_err ledger_fu_of_room(struct ledger *l, const char *room_id, struct fu_campaign *out)
{
    enum rr_err err = db_open(l->db);

    if (!err)
        err = read_one(l, FU_SELECT "open_room = ?", db_str(room_id), out);
    if (err == RR_NOT_FOUND)
        err = read_one(l, FU_SELECT "room_id = ? ORDER BY created_at DESC LIMIT 1", db_str(room_id),
                       out);
    return err ? err : fu__read_cards(l, out);
}

enum rr_err ledger_fu_list(struct ledger *l, const char *room_id, struct fu_campaign *out,
                           uint32_t max, uint32_t *n)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_open(l->db);

    *n = 0;
    if (!err && room_id)
        err = db_select(l->db, FU_SELECT "room_id = ? ORDER BY created_at DESC, code LIMIT ?",
                        DB_ARGS(db_str(room_id), db_int(max)), &rows);
    else if (!err)
        err = db_select(l->db, FU_SELECT "1 ORDER BY created_at DESC, code LIMIT ?",
                        DB_ARGS(db_int(max)), &rows);
    for (uint32_t i = 0; !err && i < rows.n && *n < max; i++)
        row_read(&rows, i, &out[(*n)++]);
    db_rows_fini(&rows);
    return err;
}

/* ---- users ---- */

static void user_read(const struct db_rows *r, int32_t day, struct fu_user *out)
{
    bool today = db_i64(r, 0, 0) == day;

    out->draws = today ? (uint32_t)db_i64(r, 0, 1) : 0;
    out->gifts = today ? (uint32_t)db_i64(r, 0, 2) : 0;
    for (uint32_t i = 0; i < FU_CARDS; i++)
        out->held[i] = (uint32_t)db_i64(r, 0, 3 + i);
    out->joined = db_i64(r, 0, 3 + FU_CARDS) != 0;
}

#define USER_SELECT                                                                                \
    "SELECT u.day, u.draws, u.gifts, u.c1, u.c2, u.c3, u.c4, u.c5, EXISTS (SELECT 1 FROM fu_join"  \
    " j WHERE j.code = u.code AND j.user_id = u.user_id) FROM fu_user u"                           \
    " WHERE u.code = ? AND u.user_id = ?"

enum rr_err fu__lock_user(struct ledger *l, const char *code, int64_t user_id, int32_t day,
                          struct fu_user *out)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_stmt(l->db,
                              "INSERT INTO fu_user (code, user_id) VALUES (?, ?)"
                              " ON DUPLICATE KEY UPDATE day = day",
                              DB_ARGS(db_str(code), db_int(user_id)), NULL);

    if (!err)
        err = db_select(l->db, USER_SELECT " FOR UPDATE", DB_ARGS(db_str(code), db_int(user_id)),
                        &rows);
    if (!err)
        user_read(&rows, day, out);
    db_rows_fini(&rows);
    return err;
}

enum rr_err fu__write_user(struct ledger *l, const char *code, int64_t user_id, int32_t day,
                           const struct fu_user *u)
{
    return db_stmt(l->db,
                   "UPDATE fu_user SET day = ?, draws = ?, gifts = ?, c1 = ?, c2 = ?, c3 = ?,"
                   " c4 = ?, c5 = ? WHERE code = ? AND user_id = ?",
                   DB_ARGS(db_int(day), db_int(u->draws), db_int(u->gifts), db_int(u->held[0]),
                           db_int(u->held[1]), db_int(u->held[2]), db_int(u->held[3]),
                           db_int(u->held[4]), db_str(code), db_int(user_id)),
                   NULL);
}

enum rr_err ledger_fu_mine(struct ledger *l, const char *code, int64_t user_id, struct fu_user *out,
                           struct fu_drawn *draws, uint32_t *n)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_open(l->db);

    *out = (struct fu_user){.day = fu__today(l)};
    *n = 0;
    if (!err)
        err = db_select(l->db, USER_SELECT, DB_ARGS(db_str(code), db_int(user_id)), &rows);
    if (!err && rows.n)
        user_read(&rows, out->day, out);
    db_rows_fini(&rows);
    if (!err)
        err = db_select(l->db,
                        "SELECT event, card, drawn_at FROM fu_draw WHERE code = ? AND user_id = ?"
                        " ORDER BY drawn_at DESC LIMIT ?",
                        DB_ARGS(db_str(code), db_int(user_id), db_int(FU_DRAWS_SHOWN)), &rows);
    for (uint32_t i = 0; !err && i < rows.n && i < FU_DRAWS_SHOWN; i++) {
        struct fu_drawn *d = &draws[(*n)++];

        RR_ASSERT(db_copy(&rows, i, 0, d->event, sizeof(d->event)));
        d->card = (unsigned)db_i64(&rows, i, 1);
        d->at_ms = db_i64(&rows, i, 2);
    }
    db_rows_fini(&rows);
    return err;
}

enum rr_err ledger_fu_winners(struct ledger *l, const char *code, int64_t **ids, uint32_t *n)
{
    return ledger__user_ids(l, "SELECT user_id FROM fu_join WHERE code = ? ORDER BY user_id", code,
                            ids, n);
}
