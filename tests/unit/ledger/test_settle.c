/* Settling batches on a real MariaDB: exactly once, whatever arrives, and by whom. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rains.h"
#include "settle.h"
#include "testdb.h"

static struct settle_outcome settle_ok(struct ledger *l, const struct settle_item *items,
                                       uint32_t n, int64_t expected)
{
    struct settle_batch b = batch_of(items, n, expected);
    struct settle_outcome o = {.settled = 0};
    int64_t sql_offset = -1;
    enum rr_err err = ledger_settle(l, &b, &o, &sql_offset);

    if (err)
        print_message("settle: %s (%s)\n", rr_err_name(err), ledger_error(l));
    assert_int_equal(err, RR_OK);
    settle_outcome_fini(&o);
    return o;
}

static void assert_books_add_up(struct ledger *l)
{
    assert_int_equal(testdb_int(l, "SELECT COALESCE(SUM(delta), 0) FROM account_log"), 0);
    assert_int_equal(testdb_int(l,
                                "SELECT COUNT(*) FROM (SELECT 1 FROM account_log GROUP BY biz_type,"
                                " biz_id HAVING SUM(delta) <> 0) x"),
                     0);
    assert_int_equal(
        testdb_int(l, "SELECT COUNT(*) FROM rp_escrow e WHERE settled <> (SELECT"
                      " COALESCE(SUM(amount), 0) FROM rp_grant g WHERE g.code = e.code AND"
                      " g.shard = e.shard AND state <> 3)"),
        0);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM wallet w WHERE balance <> (SELECT"
                                   " COALESCE(SUM(delta), 0) FROM account_log WHERE account_kind ="
                                   " 'balance' AND account_id = w.user_id)"),
                     0);
}

static void settle_pays_every_grant_once(void **state)
{
    struct ledger *l = testdb_open();
    struct rain_info r = rain_sent(l, 10000, 40, 2, 3);
    struct settle_item items[40];
    struct settle_batch b;
    struct settle_outcome o;
    int64_t sql_offset = 0;
    int64_t sum_fen = 0;

    (void)state;
    for (uint32_t i = 0; i < 40; i++) { /* users in descending order, three packets for some */
        items[i] = item_at(l, &r, i % 2, i / 2, 100 - i % 17, i / 17, i);
        sum_fen += items[i].rec.amount_fen;
    }
    assert_int_equal(sum_fen, 10000);
    assert_int_equal(ledger_offset_move(l, TOPIC, 0, LEDGER_NO_OFFSET, 0), RR_OK);
    b = batch_of(items, 40, 0);
    assert_int_equal(ledger_settle(l, &b, &o, &sql_offset), RR_OK);
    assert_int_equal(o.settled, 40);
    assert_int_equal(o.settled_fen, 10000);
    for (uint32_t i = 0; i < o.settled; i++) {
        assert_string_equal(o.credits[i].room_id, "r1");
        assert_string_equal(o.credits[i].code, r.code);
    }
    settle_outcome_fini(&o);
    assert_int_equal(ledger_counters(l).slow_batches, 0);
    assert_int_equal(testdb_int(l, "SELECT SUM(remain) FROM rp_escrow"), 0);
    assert_int_equal(testdb_int(l, "SELECT SUM(balance) FROM wallet"), 10000);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM account_log WHERE biz_type = 'grant'"),
                     80);
    /* The last balance_after of each wallet is the wallet. */
    assert_int_equal(
        testdb_int(l, "SELECT COUNT(*) FROM wallet w WHERE user_id < 1000 AND balance <> (SELECT"
                      " MAX(balance_after) FROM account_log WHERE account_kind = 'balance' AND"
                      " account_id = w.user_id)"),
        0);
    assert_books_add_up(l);
    testdb_close(l);
}

static void settle_again_is_all_duplicates(void **state)
{
    struct ledger *l = testdb_open();
    struct rain_info r = rain_sent(l, 1000, 10, 1, 1);
    struct settle_item items[12];
    struct settle_outcome o;

    (void)state;
    for (uint32_t i = 0; i < 10; i++)
        items[i] = item_at(l, &r, 0, i, 100 + i, 0, i);
    items[10] = items[3]; /* the same record twice in one batch */
    items[10].offset = 10;
    assert_int_equal(ledger_offset_move(l, TOPIC, 0, LEDGER_NO_OFFSET, 0), RR_OK);
    o = settle_ok(l, items, 11, 0);
    assert_int_equal(o.settled, 10);
    assert_int_equal(o.duplicates, 1);
    o = settle_ok(l, items, 11, 11);
    assert_int_equal(o.settled, 0);
    assert_int_equal(o.duplicates, 11);
    assert_int_equal(testdb_int(l, "SELECT SUM(balance) FROM wallet"), 1000);
    assert_books_add_up(l);
    testdb_close(l);
}

static void settle_half_known_pays_the_rest(void **state)
{
    struct ledger *l = testdb_open();
    struct rain_info r = rain_sent(l, 1000, 10, 2, 1);
    struct settle_item items[10];
    struct settle_outcome o;

    (void)state;
    for (uint32_t i = 0; i < 10; i++)
        items[i] = item_at(l, &r, i % 2, i / 2, 100 + i, 0, i);
    assert_int_equal(ledger_offset_move(l, TOPIC, 0, LEDGER_NO_OFFSET, 0), RR_OK);
    o = settle_ok(l, items, 4, 0);
    assert_int_equal(o.settled, 4);
    o = settle_ok(l, items + 2, 8, 4);
    assert_int_equal(o.settled, 6);
    assert_int_equal(o.duplicates, 2);
    assert_int_equal(testdb_int(l, "SELECT SUM(balance) FROM wallet"), 1000);
    assert_int_equal(testdb_int(l, "SELECT SUM(settled_cnt) FROM rp_escrow"), 10);
    assert_books_add_up(l);
    testdb_close(l);
}

/* The compare-and-set: without it the offset would move twice, and a late settler would drag it back. */
static void settle_with_wrong_offset_changes_nothing(void **state)
{
    struct ledger *l = testdb_open();
    struct rain_info r = rain_sent(l, 1000, 10, 1, 1);
    struct settle_item items[2] = {item_at(l, &r, 0, 0, 1, 0, 5), item_at(l, &r, 0, 1, 2, 0, 6)};
    struct settle_batch b = batch_of(items, 2, 5);
    struct settle_outcome o;
    int64_t sql_offset = 0;

    (void)state;
    assert_int_equal(ledger_settle(l, &b, &o, &sql_offset), RR_NOT_FOUND);
    assert_int_equal(ledger_offset_move(l, TOPIC, 0, LEDGER_NO_OFFSET, 9), RR_OK);
    assert_int_equal(ledger_settle(l, &b, &o, &sql_offset), RR_CONFLICT);
    assert_int_equal(sql_offset, 9);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_grant"), 0);
    assert_int_equal(testdb_int(l, "SELECT next_offset FROM rp_offset"), 9);
    testdb_close(l);
}

/* Who was late moves nothing: neither back nor in place of the first row. */
static void an_offset_is_moved_only_from_what_was_seen(void **state)
{
    struct ledger *l = testdb_open();
    struct ledger_offset o[2] = {{.partition = 0}, {.partition = 7}};

    (void)state;
    assert_int_equal(ledger_offset_move(l, TOPIC, 0, 5, 0), RR_CONFLICT);
    assert_int_equal(ledger_offset_move(l, TOPIC, 0, LEDGER_NO_OFFSET, 9), RR_OK);
    assert_int_equal(ledger_offset_move(l, TOPIC, 0, LEDGER_NO_OFFSET, 0), RR_CONFLICT);
    assert_int_equal(ledger_offset_move(l, TOPIC, 0, 5, 0), RR_CONFLICT);
    assert_int_equal(ledger_offsets(l, TOPIC, o, 2), RR_OK);
    assert_int_equal(o[0].next, 9);
    assert_int_equal(o[1].next, LEDGER_NO_OFFSET);
    assert_int_equal(ledger_offset_move(l, TOPIC, 0, 9, 0), RR_OK);
    assert_int_equal(testdb_int(l, "SELECT next_offset FROM rp_offset"), 0);
    testdb_close(l);
}

struct racer {
    struct ledger *l;
    const struct settle_item *items;
    uint32_t n;
    uint32_t batch;
    int64_t won;
    int64_t next;
    enum rr_err err;
};

/* A settler that believes it owns the partition, as two do for a moment at a rebalance. */
static void *race(void *arg)
{
    struct racer *r = arg;

    ledger_thread_init();
    while (!r->err && r->next < r->n) {
        uint32_t left = r->n - (uint32_t)r->next;
        struct settle_batch b =
            batch_of(r->items + r->next, left < r->batch ? left : r->batch, r->next);
        struct settle_outcome o = {.settled = 0};
        int64_t sql_offset = 0;
        enum rr_err err = ledger_settle(r->l, &b, &o, &sql_offset);

        if (!err) {
            r->won += o.settled + o.duplicates;
            r->next = b.next_offset;
        } else if (err == RR_CONFLICT) {
            r->next = sql_offset;
        } else if (err != RR_RETRY) {
            r->err = err;
        }
        settle_outcome_fini(&o);
    }
    ledger_thread_fini();
    return NULL;
}

static void two_settlers_of_one_partition_settle_each_record_once(void **state)
{
    enum { N = 600 };
    struct ledger *l = testdb_open();
    struct ledger *other = testdb_again();
    struct rain_info r = rain_sent(l, 100000, N, 1, 1);
    struct settle_item *items = calloc(N, sizeof(*items));
    struct racer a = {.l = l, .items = items, .n = N, .batch = 7};
    struct racer b = {.l = other, .items = items, .n = N, .batch = 11};
    pthread_t thread;

    (void)state;
    for (uint32_t i = 0; i < N; i++)
        items[i] = item_at(l, &r, 0, i, 1 + i % 50, 0, i);
    for (uint32_t i = 0; i < N; i++)
        items[i].rec.seq = 0, items[i].rec.user_id = 1 + i;
    assert_int_equal(ledger_offset_move(l, TOPIC, 0, LEDGER_NO_OFFSET, 0), RR_OK);
    assert_int_equal(pthread_create(&thread, NULL, race, &a), 0);
    race(&b);
    pthread_join(thread, NULL);
    assert_int_equal(a.err, RR_OK);
    assert_int_equal(b.err, RR_OK);
    /* Each record was counted by exactly one of them. */
    assert_int_equal(a.won + b.won, N);
    assert_int_equal(testdb_int(l, "SELECT next_offset FROM rp_offset"), N);
    assert_int_equal(testdb_int(l, "SELECT SUM(balance) FROM wallet"), 100000);
    assert_books_add_up(l);
    free(items);
    ledger_destroy(other);
    testdb_close(l);
}

struct payer {
    struct ledger *l;
    const struct settle_item *items; /* rounds * batch */
    uint32_t rounds;
    uint32_t batch;
    int32_t partition;
    pthread_barrier_t *start;
    enum rr_err err;
};

static void *pay(void *arg)
{
    struct payer *p = arg;

    ledger_thread_init();
    for (uint32_t i = 0; !p->err && i < p->rounds; i++) {
        struct settle_batch b =
            batch_of(p->items + (size_t)i * p->batch, p->batch, (int64_t)i * p->batch);
        struct settle_outcome o = {.settled = 0};
        int64_t sql_offset = 0;

        b.partition = p->partition;
        pthread_barrier_wait(p->start);
        p->err = ledger_settle(p->l, &b, &o, &sql_offset);
        if (!p->err && o.settled != p->batch)
            p->err = RR_CORRUPT;
        settle_outcome_fini(&o);
    }
    ledger_thread_fini();
    return NULL;
}

/* Two settlers of two partitions pay the same users at the same time, met in opposite orders: sorted, no deadlock. */
static void settlers_of_the_same_wallets_never_deadlock(void **state)
{
    enum { ROUNDS = 60, BATCH = 200, N = ROUNDS * BATCH };
    struct ledger *l = testdb_open();
    struct ledger *other = testdb_again();
    struct rain_info up = rain_sent(l, 10 * N, N, 1, ROUNDS);
    struct rain_info down = rain_sent(l, 10 * N, N, 1, ROUNDS);
    struct settle_item *up_items = calloc(N, sizeof(*up_items));
    struct settle_item *down_items = calloc(N, sizeof(*down_items));
    pthread_barrier_t start;
    struct payer a = {.l = l, .items = up_items, .rounds = ROUNDS, .batch = BATCH, .start = &start};
    struct payer b = {.l = other,
                      .items = down_items,
                      .rounds = ROUNDS,
                      .batch = BATCH,
                      .partition = 1,
                      .start = &start};
    pthread_t thread;

    (void)state;
    for (uint32_t i = 0; i < N; i++) {
        up_items[i] = item_at(l, &up, 0, i, 1 + i % BATCH, i / BATCH, i);
        down_items[i] = item_at(l, &down, 0, i, BATCH - i % BATCH, i / BATCH, i);
    }
    pthread_barrier_init(&start, NULL, 2);
    assert_int_equal(ledger_offset_move(l, TOPIC, 0, LEDGER_NO_OFFSET, 0), RR_OK);
    assert_int_equal(ledger_offset_move(l, TOPIC, 1, LEDGER_NO_OFFSET, 0), RR_OK);
    assert_int_equal(pthread_create(&thread, NULL, pay, &a), 0);
    pay(&b);
    pthread_join(thread, NULL);
    assert_int_equal(a.err, RR_OK);
    assert_int_equal(b.err, RR_OK);
    assert_int_equal(ledger_counters(l).deadlocks + ledger_counters(other).deadlocks, 0);
    assert_int_equal(testdb_int(l, "SELECT SUM(balance) FROM wallet"), 20 * N);
    pthread_barrier_destroy(&start);
    free(up_items);
    free(down_items);
    ledger_destroy(other);
    testdb_close(l);
}

static void a_second_content_of_a_packet_is_a_conflict(void **state)
{
    struct ledger *l = testdb_open();
    struct rain_info r = rain_sent(l, 1000, 10, 1, 5);
    struct settle_item items[6];
    struct settle_outcome o;

    (void)state;
    assert_int_equal(ledger_offset_move(l, TOPIC, 0, LEDGER_NO_OFFSET, 0), RR_OK);
    items[0] = item_at(l, &r, 0, 0, 1, 0, 0);
    items[1] = item_at(l, &r, 0, 0, 2, 0, 1); /* packet 0 to another user, same batch */
    items[2] = item_at(l, &r, 0, 1, 1, 0, 2); /* seq 0 of user 1 again, another packet */
    items[3] = item_at(l, &r, 0, 2, 3, 0, 3);
    strcpy(items[3].rec.rid, OLD_RID);
    items[4] = item_at(l, &r, 0, 3, 4, 0, 4);
    o = settle_ok(l, items, 5, 0);
    assert_int_equal(o.settled, 2);
    assert_int_equal(o.conflicts, 3);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_conflict WHERE state = 'open'"), 3);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_conflict WHERE reason = 'stale_rid'"),
                     1);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_conflict WHERE raw = 'raw bytes'"), 3);
    assert_int_equal(balance_of(l, 2), 0);
    /* Read again (the offset went back): the same three, not six. */
    testdb_exec(l, "UPDATE rp_offset SET next_offset = 0");
    o = settle_ok(l, items, 5, 0);
    assert_int_equal(o.settled, 0);
    assert_int_equal(o.duplicates, 2);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_conflict"), 3);
    assert_books_add_up(l);
    testdb_close(l);
}

static void poison_goes_aside_in_the_same_transaction(void **state)
{
    struct ledger *l = testdb_open();
    struct rain_info r = rain_sent(l, 1000, 10, 1, 1);
    struct settle_item items[7];
    struct settle_outcome o;

    (void)state;
    assert_int_equal(ledger_offset_move(l, TOPIC, 0, LEDGER_NO_OFFSET, 0), RR_OK);
    items[0] = (struct settle_item){.offset = 0, .raw = rr_slice_of("\x00\xff'\"", 4)};
    items[1] = item_at(l, &r, 0, 0, 0, 0, 1);
    items[2] = item_at(l, &r, 0, 1, 1, 0, 2);
    items[2].rec.amount_fen++;
    items[2].raw = rr_slice_str("two");
    items[3] = item_at(l, &r, 0, 2, 2, 0, 3);
    items[3].rec.packet_no = 4000000000u;
    items[3].raw = rr_slice_str("three");
    items[4] = item_at(l, &r, 0, 3, 3, 1, 4);
    items[4].raw = rr_slice_str("four");
    items[5] = item_at(l, &r, 0, 4, 4, 0, 5);
    strcpy(items[5].rec.code, "\xc3\xa4'); DROP TABLE x; ");
    items[5].raw = rr_slice_str("five");
    items[6] = item_at(l, &r, 0, 5, 6, 0, 6);
    o = settle_ok(l, items, 7, 0);
    assert_int_equal(o.dead, 6);
    assert_int_equal(o.settled, 1);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_dead WHERE state = 'open'"), 6);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_dead WHERE raw = X'00ff2722'"), 1);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_dead WHERE code IS NULL"), 2);
    assert_int_equal(testdb_int(l, "SELECT next_offset FROM rp_offset"), 7);
    /* Once more, after the offset went back: nothing new. */
    testdb_exec(l, "UPDATE rp_offset SET next_offset = 0");
    o = settle_ok(l, items, 7, 0);
    assert_int_equal(o.dead, 6);
    assert_int_equal(o.duplicates, 1);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_dead"), 6);
    testdb_close(l);
}

static void an_unknown_rain_is_parked(void **state)
{
    struct ledger *l = testdb_open();
    struct rain_info r = rain_sent(l, 1000, 10, 1, 1);
    struct settle_item items[2] = {item_at(l, &r, 0, 0, 1, 0, 0), item_at(l, &r, 0, 1, 2, 0, 1)};
    struct settle_outcome o;

    (void)state;
    strcpy(items[0].rec.code, "AAAAAAAAAAAAAAAAAAAAAA");
    assert_int_equal(ledger_offset_move(l, TOPIC, 0, LEDGER_NO_OFFSET, 0), RR_OK);
    o = settle_ok(l, items, 2, 0);
    assert_int_equal(o.parked, 1);
    assert_int_equal(o.settled, 1);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_dead WHERE state = 'parked'"), 1);
    assert_int_equal(
        testdb_int(l, "SELECT COUNT(*) FROM rp_task WHERE kind = 'park' AND state = 0"), 1);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_task t JOIN rp_dead d ON d.id = t.arg"),
                     1);
    testdb_close(l);
}

static void nothing_is_paid_out_of_a_closed_shard(void **state)
{
    struct ledger *l = testdb_open();
    struct rain_info r = rain_sent(l, 1000, 10, 1, 1);
    struct settle_item items[3];
    struct settle_outcome o;

    (void)state;
    for (uint32_t i = 0; i < 3; i++)
        items[i] = item_at(l, &r, 0, i + 3, 10 + i, 0, i);
    testdb_exec(l, "UPDATE rp_escrow SET granted_k = 5");
    assert_int_equal(ledger_offset_move(l, TOPIC, 0, LEDGER_NO_OFFSET, 0), RR_OK);
    o = settle_ok(l, items, 3, 0);
    assert_int_equal(o.settled, 2);
    assert_int_equal(o.conflicts, 1);
    assert_int_equal(
        testdb_int(l, "SELECT COUNT(*) FROM rp_conflict WHERE reason = 'packet_refunded'"), 1);
    assert_books_add_up(l);
    testdb_close(l);
}

static void a_rain_not_prepared_pays_nothing(void **state)
{
    struct ledger *l = testdb_open();
    struct rain_info r = rain_create(l, 1000, 10, 1, 1);
    struct settle_item item = item_at(l, &r, 0, 0, 1, 0, 0);
    struct settle_outcome o;

    (void)state;
    assert_int_equal(ledger_offset_move(l, TOPIC, 0, LEDGER_NO_OFFSET, 0), RR_OK);
    o = settle_ok(l, &item, 1, 0);
    assert_int_equal(o.conflicts, 1);
    assert_int_equal(balance_of(l, 1), 0);
    testdb_close(l);
}

static void a_failed_transaction_leaves_nothing(void **state)
{
    struct ledger *l = testdb_open();
    struct rain_info r = rain_sent(l, 1000, 10, 1, 1);
    struct settle_item items[2] = {item_at(l, &r, 0, 0, 1, 0, 0), item_at(l, &r, 0, 1, 2, 0, 1)};
    struct settle_batch b = batch_of(items, 2, 0);
    struct settle_outcome o;
    int64_t sql_offset = 0;

    (void)state;
    assert_int_equal(ledger_offset_move(l, TOPIC, 0, LEDGER_NO_OFFSET, 0), RR_OK);
    testdb_exec(l, "RENAME TABLE account_log TO hidden");
    assert_int_equal(ledger_settle(l, &b, &o, &sql_offset), RR_SYSTEM);
    testdb_exec(l, "RENAME TABLE hidden TO account_log");
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_grant"), 0);
    assert_int_equal(testdb_int(l, "SELECT next_offset FROM rp_offset"), 0);
    o = settle_ok(l, items, 2, 0);
    assert_int_equal(o.settled, 2);
    testdb_close(l);
}

static void direct_settle_needs_no_offset(void **state)
{
    struct ledger *l = testdb_open();
    struct rain_info r = rain_sent(l, 1000, 10, 1, 1);
    struct settle_item items[2] = {item_at(l, &r, 0, 0, 1, 0, 0), item_at(l, &r, 0, 1, 2, 0, 1)};
    struct settle_outcome o;

    (void)state;
    assert_int_equal(ledger__settle_direct(l, items, 2, &o), RR_OK);
    assert_int_equal(o.settled, 2);
    settle_outcome_fini(&o);
    strcpy(items[0].rec.code, "AAAAAAAAAAAAAAAAAAAAAA");
    assert_int_equal(ledger__settle_direct(l, items, 2, &o), RR_OK);
    assert_int_equal(o.parked, 1);
    assert_int_equal(o.duplicates, 1);
    settle_outcome_fini(&o);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_dead"), 0);
    testdb_close(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settle_pays_every_grant_once),
        cmocka_unit_test(settle_again_is_all_duplicates),
        cmocka_unit_test(settle_half_known_pays_the_rest),
        cmocka_unit_test(settle_with_wrong_offset_changes_nothing),
        cmocka_unit_test(an_offset_is_moved_only_from_what_was_seen),
        cmocka_unit_test(two_settlers_of_one_partition_settle_each_record_once),
        cmocka_unit_test(settlers_of_the_same_wallets_never_deadlock),
        cmocka_unit_test(a_second_content_of_a_packet_is_a_conflict),
        cmocka_unit_test(poison_goes_aside_in_the_same_transaction),
        cmocka_unit_test(an_unknown_rain_is_parked),
        cmocka_unit_test(nothing_is_paid_out_of_a_closed_shard),
        cmocka_unit_test(a_rain_not_prepared_pays_nothing),
        cmocka_unit_test(a_failed_transaction_leaves_nothing),
        cmocka_unit_test(direct_settle_needs_no_offset),
    };

    return cmocka_run_group_tests(tests, testdb_setup, testdb_teardown);
}
