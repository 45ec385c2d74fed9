/* Every verdict on a record, one test per rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "settle_decide.h"

#define CODE "AAAAAAAAAAAAAAAAAAAAAA"
#define RID "abc123"

static struct settle_item item(void)
{
    struct settle_item i = {.decoded = true};

    i.rec = (struct grant_record){.code = CODE,
                                  .rid = RID,
                                  .user_id = 7,
                                  .amount_fen = 50,
                                  .shard = 1,
                                  .packet_no = 3,
                                  .seq = 1};
    return i;
}

static const struct settle_rain_facts rain = {.known = true, .limit = 2, .amount_fen = 50};

static struct settle_row_facts facts(void)
{
    return (struct settle_row_facts){.rid = RID, .remain_fen = 50};
}

static struct settle_grant_fact row(int64_t user_id, uint32_t seq, int64_t amount_fen)
{
    return (struct settle_grant_fact){.found = true,
                                      .user_id = user_id,
                                      .seq = seq,
                                      .amount_fen = amount_fen,
                                      .shard = 1,
                                      .packet_no = 3};
}

static void assert_says(struct settle_decision d, enum settle_verdict verdict, const char *reason)
{
    assert_int_equal(d.verdict, verdict);
    assert_string_equal(d.reason, reason);
}

static void record_that_fits_goes_on(void **state)
{
    struct settle_item i = item();

    (void)state;
    assert_says(settle_decide_record(&i, &rain), SETTLE_NEW, "");
    i.rec.seq = 0;
    assert_says(settle_decide_record(&i, &rain), SETTLE_NEW, "");
}

/* {"version": 2}: kept whole, under a reason of its own, for the program that can read it. */
static void record_of_a_newer_version_is_kept(void **state)
{
    struct settle_item i = item();

    (void)state;
    i.decoded = false;
    i.raw = rr_slice_of("\x81\xa7version\x02", 10);
    assert_says(settle_decide_record(&i, &rain), SETTLE_DEAD, "newer_version");
    i.raw = rr_slice_of("\x81\xa7version\x01", 10);
    assert_says(settle_decide_record(&i, &rain), SETTLE_DEAD, "undecodable");
    i.raw = rr_slice_of("\x81\xa7versio\x02", 9);
    assert_says(settle_decide_record(&i, &rain), SETTLE_DEAD, "undecodable");
}

static void record_undecodable_is_dead(void **state)
{
    struct settle_item i = item();

    (void)state;
    i.decoded = false;
    assert_says(settle_decide_record(&i, &rain), SETTLE_DEAD, "undecodable");
    i = item();
    i.rec.code[3] = '\'';
    assert_says(settle_decide_record(&i, &rain), SETTLE_DEAD, "undecodable");
    i = item();
    i.rec.rid[0] = 0;
    assert_says(settle_decide_record(&i, &rain), SETTLE_DEAD, "undecodable");
    i = item();
    i.rec.rid[0] = ' ';
    assert_says(settle_decide_record(&i, &rain), SETTLE_DEAD, "undecodable");
    i = item();
    strcpy(i.rec.rid, "a\xff");
    assert_says(settle_decide_record(&i, &rain), SETTLE_DEAD, "undecodable");
    strcpy(i.rec.rid, "a\x7f");
    assert_says(settle_decide_record(&i, &rain), SETTLE_DEAD, "undecodable");
}

static void record_of_user_zero_is_dead(void **state)
{
    struct settle_item i = item();

    (void)state;
    i.rec.user_id = 0;
    assert_says(settle_decide_record(&i, &rain), SETTLE_DEAD, "user");
    i.rec.user_id = -5;
    assert_says(settle_decide_record(&i, &rain), SETTLE_DEAD, "user");
}

static void record_of_unknown_rain_is_parked(void **state)
{
    struct settle_item i = item();
    struct settle_rain_facts f = {.amount_fen = -1};

    (void)state;
    assert_says(settle_decide_record(&i, &f), SETTLE_PARK, "unknown_code");
}

static void record_without_packet_is_dead(void **state)
{
    struct settle_item i = item();
    struct settle_rain_facts f = rain;

    (void)state;
    f.amount_fen = -1;
    assert_says(settle_decide_record(&i, &f), SETTLE_DEAD, "no_such_packet");
}

static void record_with_other_amount_is_dead(void **state)
{
    struct settle_item i = item();

    (void)state;
    i.rec.amount_fen = 51;
    assert_says(settle_decide_record(&i, &rain), SETTLE_DEAD, "amount");
    i.rec.amount_fen = 49;
    assert_says(settle_decide_record(&i, &rain), SETTLE_DEAD, "amount");
}

static void record_over_limit_is_dead(void **state)
{
    struct settle_item i = item();

    (void)state;
    i.rec.seq = 2;
    assert_says(settle_decide_record(&i, &rain), SETTLE_DEAD, "seq_over_limit");
}

static void row_absent_is_new(void **state)
{
    struct settle_item i = item();
    struct settle_row_facts f = facts();

    (void)state;
    assert_says(settle_decide_row(&i.rec, &f), SETTLE_NEW, "");
    f.closed = true;
    f.granted_k = 4;
    assert_says(settle_decide_row(&i.rec, &f), SETTLE_NEW, "");
}

static void row_same_is_duplicate_for_ever(void **state)
{
    struct settle_item i = item();
    struct settle_row_facts f = facts();

    (void)state;
    f.by_packet = row(7, 1, 50);
    f.by_seq = f.by_packet;
    assert_says(settle_decide_row(&i.rec, &f), SETTLE_DUPLICATE, "");
    f.rid = "other";
    assert_says(settle_decide_row(&i.rec, &f), SETTLE_DUPLICATE, "");
    f.closed = true;
    f.granted_k = 0;
    f.remain_fen = 0;
    assert_says(settle_decide_row(&i.rec, &f), SETTLE_DUPLICATE, "");
}

static void row_of_other_content_is_conflict(void **state)
{
    struct settle_item i = item();
    struct settle_row_facts f = facts();

    (void)state;
    f.by_packet = row(8, 1, 50);
    assert_says(settle_decide_row(&i.rec, &f), SETTLE_CONFLICT, "packet_taken");
    f.by_packet = row(7, 0, 50);
    assert_says(settle_decide_row(&i.rec, &f), SETTLE_CONFLICT, "packet_taken");
    f.by_packet = row(7, 1, 51);
    assert_says(settle_decide_row(&i.rec, &f), SETTLE_CONFLICT, "packet_taken");
}

static void row_void_is_conflict(void **state)
{
    struct settle_item i = item();
    struct settle_row_facts f = facts();

    (void)state;
    f.by_packet = row(0, 0, 50);
    f.by_packet.is_void = true;
    assert_says(settle_decide_row(&i.rec, &f), SETTLE_CONFLICT, "packet_void");
}

static void row_of_same_seq_is_conflict(void **state)
{
    struct settle_item i = item();
    struct settle_row_facts f = facts();

    (void)state;
    f.by_seq = row(7, 1, 12);
    f.by_seq.packet_no = 9;
    assert_says(settle_decide_row(&i.rec, &f), SETTLE_CONFLICT, "seq_taken");
}

static void row_of_other_run_is_stale(void **state)
{
    struct settle_item i = item();
    struct settle_row_facts f = facts();

    (void)state;
    f.rid = "other";
    assert_says(settle_decide_row(&i.rec, &f), SETTLE_STALE_RID, "stale_rid");
    f.rid = NULL;
    assert_says(settle_decide_row(&i.rec, &f), SETTLE_STALE_RID, "stale_rid");
    f.rid = "";
    assert_says(settle_decide_row(&i.rec, &f), SETTLE_STALE_RID, "stale_rid");
}

/* A late record of a Redis that was given up says nothing about the books, whatever they hold by now: an open conflict would
 * keep the rain from ever being settled. */
static void row_of_other_run_contradicts_nothing(void **state)
{
    struct settle_item i = item();
    struct settle_row_facts f = facts();

    (void)state;
    f.rid = "other";
    f.by_packet = row(8, 1, 50);
    assert_says(settle_decide_row(&i.rec, &f), SETTLE_STALE_RID, "stale_rid");
    f.by_packet.is_void = true;
    assert_says(settle_decide_row(&i.rec, &f), SETTLE_STALE_RID, "stale_rid");
    f = facts();
    f.rid = "other";
    f.by_seq = row(7, 1, 12);
    f.by_seq.packet_no = 9;
    assert_says(settle_decide_row(&i.rec, &f), SETTLE_STALE_RID, "stale_rid");
    f.closed = true;
    f.granted_k = 0;
    assert_says(settle_decide_row(&i.rec, &f), SETTLE_STALE_RID, "stale_rid");
}

static void row_of_refunded_packet_is_conflict(void **state)
{
    struct settle_item i = item();
    struct settle_row_facts f = facts();

    (void)state;
    f.closed = true;
    f.granted_k = 3;
    assert_says(settle_decide_row(&i.rec, &f), SETTLE_CONFLICT, "packet_refunded");
}

static void row_over_escrow_is_conflict(void **state)
{
    struct settle_item i = item();
    struct settle_row_facts f = facts();

    (void)state;
    f.remain_fen = 49;
    assert_says(settle_decide_row(&i.rec, &f), SETTLE_CONFLICT, "escrow_short");
}

static void order_is_code_shard_packet(void **state)
{
    struct grant_record a = item().rec;
    struct grant_record b = a;

    (void)state;
    assert_int_equal(settle_order(&a, &b), 0);
    b.packet_no = 4;
    assert_true(settle_order(&a, &b) < 0 && settle_order(&b, &a) > 0);
    b.shard = 0;
    assert_true(settle_order(&a, &b) > 0 && settle_order(&b, &a) < 0);
    b.code[0] = 'B';
    assert_true(settle_order(&a, &b) < 0 && settle_order(&b, &a) > 0);
}

static void same_compares_the_whole_grant(void **state)
{
    struct grant_record a = item().rec;
    struct grant_record b = a;

    (void)state;
    assert_int_equal(settle_same(&a, &b), SETTLE_SAME);
    b.granted_at_ms = 99; /* when does not matter */
    assert_int_equal(settle_same(&a, &b), SETTLE_SAME);
    b.user_id = 8;
    assert_int_equal(settle_same(&a, &b), SETTLE_SAME_BUT);
    b = a;
    b.seq = 0;
    assert_int_equal(settle_same(&a, &b), SETTLE_SAME_BUT);
    b = a;
    b.amount_fen = 1;
    assert_int_equal(settle_same(&a, &b), SETTLE_SAME_BUT);
    b = a;
    strcpy(b.rid, "zzz");
    assert_int_equal(settle_same(&a, &b), SETTLE_SAME_BUT);
    b = a;
    b.packet_no = 4;
    assert_int_equal(settle_same(&a, &b), SETTLE_SAME_NOT);
}

static struct settle_hold held(int64_t grab_bound, int64_t day_bound, bool marked,
                               int64_t amount_fen, int64_t day_fen)
{
    struct risk_rules r = {.day_offset_ms = 0};

    r.v[RISK_GRAB_FEN] = grab_bound;
    r.v[RISK_USER_DAY] = day_bound;
    return settle_decide_hold(&(struct settle_hold_facts){
        .rules = &r, .marked = marked, .amount_fen = amount_fen, .day_fen = day_fen});
}

static void holds_follow_the_rules(void **state)
{
    struct settle_hold h;

    (void)state;
    assert_false(held(0, 0, false, INT64_MAX, INT64_MAX).held);
    assert_false(held(50, 0, false, 50, 500).held);
    h = held(50, 0, false, 51, 500);
    assert_true(h.held);
    assert_int_equal(h.rule, RISK_GRAB_FEN);
    assert_int_equal(h.seen, 51);
    assert_int_equal(h.bound, 50);
    assert_false(held(0, 500, false, 51, 500).held);
    h = held(0, 500, false, 51, 501);
    assert_true(h.held);
    assert_int_equal(h.rule, RISK_USER_DAY);
    assert_int_equal(h.seen, 501);
    assert_int_equal(h.bound, 500);
    h = held(50, 500, true, 51, 501);
    assert_true(h.held);
    assert_int_equal(h.rule, RISK_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(record_that_fits_goes_on),
        cmocka_unit_test(record_undecodable_is_dead),
        cmocka_unit_test(record_of_a_newer_version_is_kept),
        cmocka_unit_test(record_of_user_zero_is_dead),
        cmocka_unit_test(record_of_unknown_rain_is_parked),
        cmocka_unit_test(record_without_packet_is_dead),
        cmocka_unit_test(record_with_other_amount_is_dead),
        cmocka_unit_test(record_over_limit_is_dead),
        cmocka_unit_test(row_absent_is_new),
        cmocka_unit_test(row_same_is_duplicate_for_ever),
        cmocka_unit_test(row_of_other_content_is_conflict),
        cmocka_unit_test(row_void_is_conflict),
        cmocka_unit_test(row_of_same_seq_is_conflict),
        cmocka_unit_test(row_of_other_run_is_stale),
        cmocka_unit_test(row_of_other_run_contradicts_nothing),
        cmocka_unit_test(row_of_refunded_packet_is_conflict),
        cmocka_unit_test(row_over_escrow_is_conflict),
        cmocka_unit_test(order_is_code_shard_packet),
        cmocka_unit_test(same_compares_the_whole_grant),
        cmocka_unit_test(holds_follow_the_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
