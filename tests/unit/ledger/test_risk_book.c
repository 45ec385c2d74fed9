/* Held grants on a real MariaDB: which are held, what becomes of them, and that the books stay clean all the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ledger/risk_book.h"
#include "rains.h"
#include "settle.h"
#include "testdb.h"

static struct risk_cell rules; /* of the ledger of the test that runs */

static void rule(enum risk_rule r, int64_t v)
{
    rules.v[r] = v;
}

static struct ledger *open_books(void)
{
    struct ledger *l = testdb_open();

    memset(&rules, 0, sizeof(rules));
    l->rules = &rules;
    assert_int_equal(ledger_offset_move(l, TOPIC, 0, LEDGER_NO_OFFSET, 0), RR_OK);
    return l;
}

static struct settle_outcome pay(struct ledger *l, const struct settle_item *items, uint32_t n)
{
    struct settle_outcome o = {.settled = 0};
    enum rr_err err = ledger__settle_direct(l, items, n, &o);

    if (err)
        print_message("settle: %s (%s)\n", rr_err_name(err), ledger_error(l));
    assert_int_equal(err, RR_OK);
    return o;
}

static void pay_quietly(struct ledger *l, const struct settle_item *items, uint32_t n)
{
    struct settle_outcome o = pay(l, items, n);

    settle_outcome_fini(&o);
}

static struct wallet wallet_of(struct ledger *l, int64_t user_id)
{
    struct wallet w;

    assert_int_equal(ledger_wallet(l, user_id, &w), RR_OK);
    return w;
}

static void print_finding(void *arg, const struct ledger_finding *f)
{
    (void)arg;
    print_message("%s %s %s\n", f->invariant, f->code, f->text);
}

static void assert_clean(struct ledger *l)
{
    int64_t unaccounted_fen = -1;

    assert_int_equal(ledger_verify(l, NULL, print_finding, NULL, &unaccounted_fen), RR_OK);
    assert_int_equal(unaccounted_fen, 0);
    assert_int_equal(testdb_int(l, "SELECT findings FROM rp_check ORDER BY id DESC LIMIT 1"), 0);
}

static struct risk_packet packet(const struct rain_info *r, uint32_t shard, uint32_t no)
{
    struct risk_packet p = {.shard = shard, .packet_no = no};

    strcpy(p.code, r->code);
    return p;
}

static struct risk_note mark(const struct rain_info *r, int64_t user_id, uint32_t from_seq)
{
    struct risk_note n = {.decision = RISK_DECIDED_MARK,
                          .rule = RISK_STEADY,
                          .user_id = user_id,
                          .seq = from_seq,
                          .seen = 2,
                          .bound = 5};

    strcpy(n.code, r->code);
    strcpy(n.address, "0123456789abcdef");
    return n;
}

static void quiet_rules_hold_nothing(void **state)
{
    struct ledger *l = open_books();
    struct rain_info r = rain_sent(l, 1000, 10, 1, 1);
    struct settle_item item = item_at(l, &r, 0, 0, 7, 0, 0);
    struct settle_outcome o = pay(l, &item, 1);

    (void)state;
    assert_int_equal(o.held, 0);
    assert_false(o.credits[0].held);
    settle_outcome_fini(&o);
    assert_int_equal(wallet_of(l, 7).balance_fen, item.rec.amount_fen);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_risk"), 0);
    assert_int_equal(testdb_int(l, "SELECT risk_fen FROM wallet WHERE user_id = 7"),
                     item.rec.amount_fen);
    assert_clean(l);
    testdb_close(l);
}

static void a_large_packet_goes_to_frozen(void **state)
{
    struct ledger *l = open_books();
    struct rain_info r = rain_sent(l, 1001, 2, 1, 1); /* odd: one is larger */
    int64_t a_fen = rain_amount(l, &r, 0, 0);
    int64_t b_fen = rain_amount(l, &r, 0, 1);
    struct settle_item items[2] = {item_at(l, &r, 0, 0, 7, 0, 0), item_at(l, &r, 0, 1, 8, 0, 1)};
    int64_t large = a_fen > b_fen ? 7 : 8;
    int64_t small = 15 - large;
    struct settle_outcome o;

    (void)state;
    assert_int_not_equal(a_fen, b_fen);
    rule(RISK_GRAB_FEN, (a_fen > b_fen ? a_fen : b_fen) - 1);
    o = pay(l, items, 2);
    assert_int_equal(o.settled, 2);
    assert_int_equal(o.held, 1);
    assert_int_equal(o.credits[0].held, large == 7);
    assert_int_equal(o.credits[1].held, large == 8);
    settle_outcome_fini(&o);
    assert_int_equal(wallet_of(l, large).balance_fen, 0);
    assert_int_equal(wallet_of(l, large).frozen_fen, a_fen > b_fen ? a_fen : b_fen);
    assert_int_equal(wallet_of(l, small).frozen_fen, 0);
    assert_int_equal(testdb_intf(l, "SELECT state FROM rp_grant WHERE user_id = %d", (int)large),
                     2);
    assert_int_equal(testdb_int(l,
                                "SELECT COUNT(*) FROM rp_risk WHERE decision = 'hold' AND state ="
                                " 'held' AND rule = 'grab_amount' AND seen = bound + 1"),
                     1);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM account_log WHERE account_kind = 'frozen'"
                                   " AND balance_after = delta"),
                     1);
    /* The same records again: nothing moves. */
    pay_quietly(l, items, 2);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_risk"), 1);
    assert_clean(l);
    testdb_close(l);
}

/* Over batches, and over a new day. */
static void winnings_of_a_day_are_summed(void **state)
{
    enum { DAY_MS = 86400000 };
    struct ledger *l = open_books();
    struct rain_info r = rain_sent(l, 600, 6, 1, 6);
    struct settle_item items[6];
    int64_t sum_fen = 0;

    (void)state;
    for (uint32_t i = 0; i < 6; i++) {
        items[i] = item_at(l, &r, 0, i, 7, i, i);
        if (i < 3)
            sum_fen += items[i].rec.amount_fen;
    }
    rule(RISK_USER_DAY, sum_fen);
    pay_quietly(l, items, 2);
    pay_quietly(l, items + 2, 1); /* exactly the bound */
    assert_int_equal(wallet_of(l, 7).frozen_fen, 0);
    pay_quietly(l, items + 3, 1);
    assert_int_equal(wallet_of(l, 7).frozen_fen, items[3].rec.amount_fen);
    assert_int_equal(wallet_of(l, 7).balance_fen, sum_fen);
    items[4].rec.granted_at_ms += DAY_MS;
    rule(RISK_USER_DAY, 599);     /* of 600: no packet alone can pass it, all of them would */
    pay_quietly(l, items + 4, 1); /* another day */
    assert_int_equal(wallet_of(l, 7).balance_fen, sum_fen + items[4].rec.amount_fen);
    assert_int_equal(testdb_int(l, "SELECT risk_fen FROM wallet WHERE user_id = 7"),
                     items[4].rec.amount_fen);
    rule(RISK_USER_DAY, items[4].rec.amount_fen);
    pay_quietly(l, items + 5, 1); /* of the day before, late: counted for the day there is */
    assert_int_equal(wallet_of(l, 7).frozen_fen, items[3].rec.amount_fen + items[5].rec.amount_fen);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_risk WHERE rule = 'user_day'"), 2);
    assert_clean(l);
    testdb_close(l);
}

/* A grant within one batch that passes the bound, beside others of the same user that do not. */
static void a_batch_is_held_from_the_bound_on(void **state)
{
    struct ledger *l = open_books();
    struct rain_info r = rain_sent(l, 600, 6, 1, 6);
    struct settle_item items[6];

    (void)state;
    for (uint32_t i = 0; i < 6; i++)
        items[i] = item_at(l, &r, 0, i, 7, i, i);
    rule(RISK_USER_DAY, items[0].rec.amount_fen + items[1].rec.amount_fen);
    pay_quietly(l, items, 6);
    assert_int_equal(wallet_of(l, 7).balance_fen,
                     items[0].rec.amount_fen + items[1].rec.amount_fen);
    assert_int_equal(wallet_of(l, 7).balance_fen + wallet_of(l, 7).frozen_fen, 600);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_grant WHERE state = 2"), 4);
    assert_clean(l);
    testdb_close(l);
}

/* A clock that runs ahead must not open a day that never ends. */
static void a_grant_from_the_future_counts_for_today(void **state)
{
    struct ledger *l = open_books();
    struct rain_info r = rain_sent(l, 1000, 10, 1, 1);
    struct settle_item item = item_at(l, &r, 0, 0, 7, 0, 0);

    (void)state;
    item.rec.granted_at_ms = INT64_MAX / 2;
    pay_quietly(l, &item, 1);
    assert_int_equal(testdb_int(l, "SELECT risk_day BETWEEN UNIX_TIMESTAMP() DIV 86400 - 1 AND"
                                   " UNIX_TIMESTAMP() DIV 86400 + 1 FROM wallet WHERE user_id = 7"),
                     1);
    testdb_close(l);
}

static void marks_hold_from_their_seq_on(void **state)
{
    struct ledger *l = open_books();
    struct rain_info r = rain_sent(l, 600, 6, 1, 3);
    struct rain_info other = rain_sent(l, 100, 1, 1, 3);
    struct settle_item items[6];
    struct risk_note notes[2] = {mark(&r, 7, 2), mark(&r, 7, 1)};

    (void)state;
    for (uint32_t i = 0; i < 4; i++)
        items[i] = item_at(l, &r, 0, i, 7 + i / 3, i % 3, i);
    items[4] = item_at(l, &other, 0, 0, 7, 0, 4);
    assert_int_equal(ledger_risk_note(l, notes, 2), RR_OK);
    assert_int_equal(ledger_risk_note(l, notes, 1), RR_OK); /* the lower seq stays */
    assert_int_equal(testdb_int(l, "SELECT from_seq FROM rp_risk_mark"), 1);
    pay_quietly(l, items, 5);
    assert_int_equal(wallet_of(l, 7).balance_fen, items[0].rec.amount_fen + 100);
    assert_int_equal(wallet_of(l, 7).frozen_fen, items[1].rec.amount_fen + items[2].rec.amount_fen);
    assert_int_equal(wallet_of(l, 8).frozen_fen, 0);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_risk WHERE decision = 'hold' AND rule ="
                                   " 'steady_taps' AND seen = 2 AND bound = 5 AND address ="
                                   " '0123456789abcdef'"),
                     2);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_risk WHERE decision = 'mark'"), 3);
    assert_clean(l);
    testdb_close(l);
}

static void a_marked_crowd_is_found_user_by_user(void **state)
{
    enum { CROWD = 1200, USERS = 20 };
    struct ledger *l = open_books();
    struct rain_info a = rain_sent(l, 2000, USERS, 1, 1);
    struct rain_info b = rain_sent(l, 2000, USERS, 1, 1);
    struct risk_note *notes = calloc(CROWD, sizeof(*notes));
    struct settle_item items[2 * USERS];

    (void)state;
    for (uint32_t i = 0; i < CROWD; i++)
        notes[i] = mark(&a, 2 * i + 1, 0); /* odd ones */
    assert_int_equal(ledger_risk_note(l, notes, 1000), RR_OK);
    assert_int_equal(ledger_risk_note(l, notes + 1000, CROWD - 1000), RR_OK);
    free(notes);
    for (uint32_t i = 0; i < USERS; i++) {
        items[i] = item_at(l, &a, 0, i, 1 + i, 0, i);
        items[USERS + i] = item_at(l, &b, 0, i, 1 + i, 0, USERS + i);
    }
    pay_quietly(l, items, 2 * USERS);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_grant WHERE state = 2"), USERS / 2);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_grant WHERE state = 2 AND user_id % 2"),
                     USERS / 2);
    assert_clean(l);
    testdb_close(l);
}

/* A batch with known and new records, decided row by row, holds the same. */
static void the_slow_path_holds_too(void **state)
{
    struct ledger *l = open_books();
    struct rain_info r = rain_sent(l, 600, 6, 1, 6);
    struct settle_item items[6];
    struct risk_note n = mark(&r, 7, 3);

    (void)state;
    for (uint32_t i = 0; i < 6; i++)
        items[i] = item_at(l, &r, 0, i, 7, i, i);
    pay_quietly(l, items, 2);
    assert_int_equal(ledger_risk_note(l, &n, 1), RR_OK);
    pay_quietly(l, items, 6);
    assert_true(ledger_counters(l).slow_batches > 0);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_grant WHERE state = 2 AND seq >= 3"),
                     3);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_grant WHERE state = 1"), 3);
    assert_clean(l);
    testdb_close(l);
}

static struct rain_info one_held(struct ledger *l)
{
    struct rain_info r = rain_sent(l, 100, 1, 1, 1);
    struct settle_item item = item_at(l, &r, 0, 0, 7, 0, 0);

    rule(RISK_GRAB_FEN, 1);
    pay_quietly(l, &item, 1);
    assert_int_equal(wallet_of(l, 7).frozen_fen, 100);
    return r;
}

static void a_release_pays_once(void **state)
{
    struct ledger *l = open_books();
    struct rain_info r = one_held(l);
    struct risk_packet p = packet(&r, 0, 0);
    struct risk_closed c;

    (void)state;
    assert_int_equal(ledger_risk_release(l, &p, &c), RR_OK);
    assert_int_equal(c.state, 's');
    assert_int_equal(c.user_id, 7);
    assert_int_equal(c.amount_fen, 100);
    assert_int_equal(wallet_of(l, 7).balance_fen, 100);
    assert_int_equal(wallet_of(l, 7).frozen_fen, 0);
    assert_clean(l);
    assert_int_equal(ledger_risk_release(l, &p, &c), RR_DUPLICATE);
    assert_int_equal(c.amount_fen, 100);
    assert_int_equal(ledger_risk_take_back(l, &p, "fraud", &c), RR_CONFLICT);
    assert_int_equal(wallet_of(l, 7).balance_fen, 100);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_risk WHERE state = 'released' AND"
                                   " closed_at > 0 AND account IS NULL"),
                     1);
    assert_int_equal(testdb_int(l, "SELECT state FROM rp_grant"), 1);
    assert_clean(l);
    testdb_close(l);
}

static void what_is_taken_back_is_on_a_named_account(void **state)
{
    struct ledger *l = open_books();
    struct rain_info r = one_held(l);
    struct risk_packet p = packet(&r, 0, 0);
    struct grant_row row;
    struct risk_closed c;
    uint32_t n = 0;

    (void)state;
    assert_int_equal(ledger_risk_take_back(l, &p, "it's", &c), RR_BAD_REQUEST);
    assert_int_equal(ledger_risk_take_back(l, &p, "", &c), RR_BAD_REQUEST);
    assert_int_equal(ledger_risk_take_back(l, &p, "fraud-2026", &c), RR_OK);
    assert_int_equal(c.state, 't');
    assert_int_equal(wallet_of(l, 7).balance_fen, 0);
    assert_int_equal(wallet_of(l, 7).frozen_fen, 0);
    assert_int_equal(testdb_int(l, "SELECT SUM(delta) FROM account_log WHERE account_kind ="
                                   " 'platform' AND account_id = 'fraud-2026'"),
                     100);
    assert_int_equal(testdb_intf(l,
                                 "SELECT COUNT(*) FROM account_log WHERE biz_type = 'take_back'"
                                 " AND biz_id = 'T:%s:0:0'",
                                 r.code),
                     2);
    assert_clean(l);
    assert_int_equal(ledger_risk_take_back(l, &p, "fraud-2026", &c), RR_DUPLICATE);
    assert_int_equal(ledger_risk_take_back(l, &p, "another", &c), RR_CONFLICT);
    assert_int_equal(ledger_risk_release(l, &p, &c), RR_CONFLICT);
    assert_int_equal(ledger_user_grants(l, 7, NULL, 0, &row, 1, &n), RR_OK);
    assert_int_equal(n, 1);
    assert_int_equal(row.state, 't');
    assert_clean(l);
    testdb_close(l);
}

static void what_is_not_held_is_not_closed(void **state)
{
    struct ledger *l = open_books();
    struct rain_info r = rain_sent(l, 1000, 10, 1, 1);
    struct settle_item item = item_at(l, &r, 0, 0, 7, 0, 0);
    struct risk_packet p = packet(&r, 0, 0);
    struct risk_closed c;

    (void)state;
    assert_int_equal(ledger_risk_release(l, &p, &c), RR_NOT_FOUND);
    pay_quietly(l, &item, 1);
    assert_int_equal(ledger_risk_release(l, &p, &c), RR_CONFLICT);
    assert_int_equal(ledger_risk_take_back(l, &p, "fraud", &c), RR_CONFLICT);
    strcpy(p.code, "nonsense");
    assert_int_equal(ledger_risk_release(l, &p, &c), RR_NOT_FOUND);
    assert_int_equal(wallet_of(l, 7).balance_fen, item.rec.amount_fen);
    testdb_close(l);
}

static void the_list_is_filtered_and_paged(void **state)
{
    struct ledger *l = open_books();
    struct rain_info r = one_held(l);
    struct risk_note denied = {.decision = RISK_DECIDED_DENY, .rule = RISK_RATE, .user_id = 8};
    struct risk_item items[3];
    uint32_t n = 0;

    (void)state;
    assert_int_equal(ledger_risk_note(l, &denied, 1), RR_OK);
    assert_int_equal(ledger_risk_list(l, &(struct risk_query){.user_id = 0}, items, 3, &n), RR_OK);
    assert_int_equal(n, 2);
    assert_string_equal(items[0].decision, "deny");
    assert_string_equal(items[0].rule, "grabs_per_min");
    assert_string_equal(items[0].code, "");
    assert_int_equal(items[0].shard, -1);
    assert_string_equal(items[1].code, r.code);
    assert_int_equal(items[1].amount_fen, 100);
    assert_int_equal(
        ledger_risk_list(l, &(struct risk_query){.before_id = items[0].id}, items, 3, &n), RR_OK);
    assert_int_equal(n, 1);
    assert_int_equal(ledger_risk_list(l, &(struct risk_query){.user_id = 8}, items, 3, &n), RR_OK);
    assert_int_equal(n, 1);
    assert_int_equal(
        ledger_risk_list(l, &(struct risk_query){.code = r.code, .state = "held"}, items, 3, &n),
        RR_OK);
    assert_int_equal(n, 1);
    assert_int_equal(ledger_risk_list(l, &(struct risk_query){.state = "x' OR 1"}, items, 3, &n),
                     RR_BAD_REQUEST);
    assert_int_equal(ledger_risk_list(l, &(struct risk_query){.code = "' OR 1"}, items, 3, &n),
                     RR_BAD_REQUEST);
    testdb_close(l);
}

static void notes_are_checked_before_they_are_text(void **state)
{
    struct ledger *l = open_books();
    struct risk_note n = {.decision = RISK_DECIDED_MARK, .rule = RISK_RATE, .user_id = 8};

    (void)state;
    assert_int_equal(ledger_risk_note(l, &n, 0), RR_OK);
    assert_int_equal(ledger_risk_note(l, &n, 1), RR_BAD_REQUEST); /* a mark is of a rain */
    n.decision = RISK_DECIDED_DENY;
    strcpy(n.address, "10.0.0.1");
    assert_int_equal(ledger_risk_note(l, &n, 1), RR_BAD_REQUEST);
    strcpy(n.address, "");
    strcpy(n.code, "'");
    assert_int_equal(ledger_risk_note(l, &n, 1), RR_BAD_REQUEST);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_risk"), 0);
    testdb_close(l);
}

/* What a sender puts into rains in a day; a repeat of a create stays what it was. */
static void a_sender_has_a_day_limit(void **state)
{
    struct ledger *l = open_books();
    struct rain_info a = rain_create(l, 600, 6, 1, 1);
    struct rain_info out;
    struct rain_spec more = a.spec;
    struct wallet w;

    (void)state;
    assert_int_equal(ledger_deposit(l, SENDER, 5000, "more", &w), RR_OK);
    rule(RISK_ANCHOR_DAY, 1000);
    strcpy(more.biz_id, "second");
    more.total_fen = 401;
    more.hi_fen = 401;
    assert_int_equal(ledger_rain_create(l, &more, &out), RR_NOT_ELIGIBLE);
    assert_int_equal(wallet_of(l, SENDER).balance_fen, 5000);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM t_red_packet_config"), 1);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_risk WHERE decision = 'deny' AND rule ="
                                   " 'anchor_day' AND seen = 1001 AND bound = 1000"),
                     1);
    more.total_fen = 400;
    more.hi_fen = 400;
    assert_int_equal(ledger_rain_create(l, &more, &out), RR_OK);
    rule(RISK_ANCHOR_DAY, 1);
    assert_int_equal(ledger_rain_create(l, &more, &out), RR_DUPLICATE);
    /* Yesterday's rains and cancelled ones do not count. */
    rule(RISK_ANCHOR_DAY, 1000);
    testdb_exec(l, "UPDATE t_red_packet_config SET created_at = created_at - 86400000");
    strcpy(more.biz_id, "third");
    more.total_fen = 1000;
    more.hi_fen = 1000;
    assert_int_equal(ledger_rain_create(l, &more, &out), RR_OK);
    testdb_execf(l, "UPDATE t_red_packet_config SET status = 6 WHERE config_code = '%s'", out.code);
    strcpy(more.biz_id, "fourth");
    assert_int_equal(ledger_rain_create(l, &more, &out), RR_OK);
    testdb_close(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quiet_rules_hold_nothing),
        cmocka_unit_test(a_large_packet_goes_to_frozen),
        cmocka_unit_test(winnings_of_a_day_are_summed),
        cmocka_unit_test(a_batch_is_held_from_the_bound_on),
        cmocka_unit_test(a_grant_from_the_future_counts_for_today),
        cmocka_unit_test(marks_hold_from_their_seq_on),
        cmocka_unit_test(a_marked_crowd_is_found_user_by_user),
        cmocka_unit_test(the_slow_path_holds_too),
        cmocka_unit_test(a_release_pays_once),
        cmocka_unit_test(what_is_taken_back_is_on_a_named_account),
        cmocka_unit_test(what_is_not_held_is_not_closed),
        cmocka_unit_test(the_list_is_filtered_and_paged),
        cmocka_unit_test(notes_are_checked_before_they_are_text),
        cmocka_unit_test(a_sender_has_a_day_limit),
    };

    return cmocka_run_group_tests(tests, testdb_setup, testdb_teardown);
}
