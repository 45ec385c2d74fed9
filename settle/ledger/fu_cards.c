/* fu_cards.c - draws, gifts and joins: each one transaction under the locks of the users' rows. */
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "fu_impl.h"

struct fu_tx {
    const struct fu_request *q;
    struct fu_done *out;
};

static enum rr_err find(struct ledger *l, const struct fu_request *q, bool lock,
                        struct fu_campaign *c)
{
    enum rr_err err = fu__read(l, q->code, lock, c);

    return !err && strcmp(c->spec.room_id, q->room_id) != 0 ? RR_NOT_FOUND : err;
}

static bool over(const struct fu_campaign *c, int64_t now_ms)
{
    return c->state != FU_OPEN || now_ms >= c->spec.share_at_ms;
}

/* ---- draw ---- */

static void event_key(const struct fu_request *q, int32_t day, char out[FU_EVENT_KEY_MAX + 1])
{
    if (q->event == FU_EVENT_RAIN)
        snprintf(out, FU_EVENT_KEY_MAX + 1, "rain:%s", q->rain_code);
    else
        snprintf(out, FU_EVENT_KEY_MAX + 1, "%s:%d", q->event == FU_EVENT_JOIN ? "join" : "signin",
                 (int)day);
}

/* RR_DUPLICATE with the card of the first time. */
static enum rr_err drawn_before(struct ledger *l, const struct fu_request *q, const char *event,
                                unsigned *card)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err =
        db_select(l->db, "SELECT card FROM fu_draw WHERE code = ? AND user_id = ? AND event = ?",
                  DB_ARGS(db_str(q->code), db_int(q->user_id), db_str(event)), &rows);

    if (!err && rows.n) {
        *card = (unsigned)db_i64(&rows, 0, 0);
        err = RR_DUPLICATE;
    }
    db_rows_fini(&rows);
    return err;
}

/* Only rains: packets of users would be draws anybody can buy. */
static enum rr_err rain_took_place(struct ledger *l, const struct fu_campaign *c,
                                   const struct fu_request *q)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err =
        db_select(l->db,
                  "SELECT 1 FROM t_red_packet_config WHERE config_code = ? AND room_id = ?"
                  " AND kind = 'rain' AND status IN (3, 4, 5) AND called_off = 0"
                  " AND created_at >= ? AND t0 <= ?",
                  DB_ARGS(db_str(q->rain_code), db_str(q->room_id), db_int(c->created_at_ms),
                          db_int(q->now_ms)),
                  &rows);

    if (!err && rows.n == 0)
        err = RR_NOT_ELIGIBLE;
    db_rows_fini(&rows);
    return err;
}

/* A kind that somebody else took the last card of meanwhile is left out of the next round. */
static enum rr_err take_card(struct ledger *l, struct fu_campaign *c, const struct fu_tx *t,
                             const char *event)
{
    uint64_t odds[FU_CARDS];
    uint64_t affected = 0;
    enum rr_err err = RR_OK;

    for (unsigned tries = 0; !err && !affected && tries <= FU_CARDS; tries++) {
        uint64_t sum = 0;

        err = fu__read_cards(l, c);
        if (err)
            return err;
        sum = fu_odds(c->spec.weight, c->left, t->out->user.held, odds);
        if (sum == 0)
            return RR_SOLD_OUT;
        t->out->card = 1 + fu_pick(odds, fu_roll(c->seed, c->code, t->q->user_id, event, sum));
        err = db_stmt(l->db,
                      "UPDATE fu_stock SET left_n = left_n - 1, issued = issued + 1"
                      " WHERE code = ? AND card = ? AND left_n > 0",
                      DB_ARGS(db_str(c->code), db_int(t->out->card)), &affected);
    }
    return !err && !affected ? RR_BUSY : err;
}

static enum rr_err draw_tx(struct ledger *l, void *arg)
{
    const struct fu_tx *t = arg;
    const struct fu_request *q = t->q;
    struct fu_user *user = &t->out->user;
    char event[FU_EVENT_KEY_MAX + 1];
    int32_t day = fu__today(l);
    struct fu_campaign c;
    enum rr_err err = find(l, q, false, &c);

    event_key(q, day, event);
    if (!err)
        err = fu__lock_user(l, q->code, q->user_id, day, user);
    if (!err)
        err = drawn_before(l, q, event, &t->out->card);
    if (!err && over(&c, q->now_ms))
        err = RR_ENDED;
    if (!err && q->event == FU_EVENT_RAIN)
        err = rain_took_place(l, &c, q);
    if (!err && user->draws >= c.spec.day_draws)
        err = RR_LIMIT;
    if (!err)
        err = take_card(l, &c, t, event);
    if (err)
        return err;
    user->held[t->out->card - 1]++;
    user->draws++;
    err = db_stmt(l->db,
                  "INSERT INTO fu_draw (code, user_id, event, card, drawn_at)"
                  " VALUES (?, ?, ?, ?, ?)",
                  DB_ARGS(db_str(q->code), db_int(q->user_id), db_str(event), db_int(t->out->card),
                          db_int(ledger__now_ms())),
                  NULL);
    if (!err)
        err = fu__write_user(l, q->code, q->user_id, day, user);
    if (!err)
        rr_fail(FU_DRAW_BEFORE_COMMIT);
    return err;
}

enum rr_err ledger_fu_draw(struct ledger *l, const struct fu_request *q, struct fu_done *out)
{
    struct fu_tx t = {.q = q, .out = out};
    enum rr_err err = RR_OK;

    *out = (struct fu_done){.card = 0};
    err = ledger__tx(l, draw_tx, &t);
    if (!err)
        rr_fail(FU_DRAW_AFTER_COMMIT);
    return err;
}

/* ---- give ---- */

static enum rr_err given_before(struct ledger *l, const struct fu_request *q)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_select(
        l->db, "SELECT to_user, card FROM fu_gift WHERE code = ? AND from_user = ? AND req_id = ?",
        DB_ARGS(db_str(q->code), db_int(q->user_id), db_str(q->biz_id)), &rows);

    if (!err && rows.n)
        err = db_i64(&rows, 0, 0) == q->to_user && db_i64(&rows, 0, 1) == (int64_t)q->card
                  ? RR_DUPLICATE
                  : RR_CONFLICT;
    db_rows_fini(&rows);
    return err;
}

static enum rr_err lock_both(struct ledger *l, const struct fu_request *q, int32_t day,
                             struct fu_user *from, struct fu_user *to)
{
    bool first = q->user_id < q->to_user;
    enum rr_err err =
        fu__lock_user(l, q->code, first ? q->user_id : q->to_user, day, first ? from : to);

    return err ? err
               : fu__lock_user(l, q->code, first ? q->to_user : q->user_id, day, first ? to : from);
}

static enum rr_err give_tx(struct ledger *l, void *arg)
{
    const struct fu_tx *t = arg;
    const struct fu_request *q = t->q;
    struct fu_user *from = &t->out->user;
    struct fu_user to = {.draws = 0};
    int32_t day = fu__today(l);
    struct fu_campaign c;
    enum rr_err err = find(l, q, false, &c);

    t->out->card = q->card;
    if (!err)
        err = lock_both(l, q, day, from, &to);
    if (!err)
        err = given_before(l, q);
    if (!err && over(&c, q->now_ms))
        err = RR_ENDED;
    if (!err && from->gifts >= c.spec.day_gifts)
        err = RR_LIMIT;
    if (!err && from->held[q->card - 1] == 0)
        err = RR_NOT_ELIGIBLE;
    if (err)
        return err;
    from->gifts++;
    from->held[q->card - 1]--;
    to.held[q->card - 1]++;
    err = fu__write_user(l, q->code, q->user_id, day, from);
    if (!err)
        err = fu__write_user(l, q->code, q->to_user, day, &to);
    if (!err)
        err = db_stmt(l->db,
                      "INSERT INTO fu_gift (code, from_user, req_id, to_user, card, given_at)"
                      " VALUES (?, ?, ?, ?, ?, ?)",
                      DB_ARGS(db_str(q->code), db_int(q->user_id), db_str(q->biz_id),
                              db_int(q->to_user), db_int(q->card), db_int(ledger__now_ms())),
                      NULL);
    if (!err)
        rr_fail(FU_GIVE_BEFORE_COMMIT);
    return err;
}

enum rr_err ledger_fu_give(struct ledger *l, const struct fu_request *q, struct fu_done *out)
{
    struct fu_tx t = {.q = q, .out = out};
    enum rr_err err = RR_OK;

    *out = (struct fu_done){.card = 0};
    if (q->card < 1 || q->card > FU_CARDS || q->to_user <= 0 || q->to_user == q->user_id)
        return RR_BAD_REQUEST;
    err = ledger__tx(l, give_tx, &t);
    if (!err)
        rr_fail(FU_GIVE_AFTER_COMMIT);
    return err;
}

/* ---- join ---- */

static enum rr_err join_tx(struct ledger *l, void *arg)
{
    const struct fu_tx *t = arg;
    const struct fu_request *q = t->q;
    struct fu_user *user = &t->out->user;
    int32_t day = fu__today(l);
    struct fu_campaign c;
    enum rr_err err = find(l, q, true, &c);

    if (!err)
        err = fu__lock_user(l, q->code, q->user_id, day, user);
    if (err)
        return err;
    t->out->winners = c.winners;
    if (user->joined)
        return RR_DUPLICATE;
    if (over(&c, q->now_ms))
        return RR_ENDED;
    for (unsigned i = 0; i < FU_CARDS; i++) {
        if (user->held[i] == 0)
            return RR_NOT_ELIGIBLE;
        user->held[i]--;
    }
    if (c.winners >= c.spec.winners_max)
        return RR_SOLD_OUT;
    user->joined = true;
    t->out->winners++;
    err = db_stmt(l->db, "INSERT INTO fu_join (code, user_id, joined_at) VALUES (?, ?, ?)",
                  DB_ARGS(db_str(q->code), db_int(q->user_id), db_int(ledger__now_ms())), NULL);
    if (!err)
        err = fu__write_user(l, q->code, q->user_id, day, user);
    if (!err)
        err = db_stmt(l->db, "UPDATE fu_campaign SET winners = winners + 1 WHERE code = ?",
                      DB_ARGS(db_str(q->code)), NULL);
    if (!err)
        rr_fail(FU_JOIN_BEFORE_COMMIT);
    return err;
}

enum rr_err ledger_fu_join(struct ledger *l, const struct fu_request *q, struct fu_done *out)
{
    struct fu_tx t = {.q = q, .out = out};
    enum rr_err err = RR_OK;

    *out = (struct fu_done){.card = 0};
    err = ledger__tx(l, join_tx, &t);
    if (!err)
        rr_fail(FU_JOIN_AFTER_COMMIT);
    return err;
}
