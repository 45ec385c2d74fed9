/* Closing a rain on a real MariaDB with a pool in memory: what was granted is paid, the rest goes back, by anyone, once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "saga_env.h"

/* Packets counted in the steps of the amounts; their order is checked. */
static int64_t hist_total(const struct fake_push *p)
{
    struct unpack_value map = map_of(p);
    struct unpack_value list;
    int64_t last_fen = INT64_MAX;
    int64_t sum = 0;

    assert_int_equal(unpack_get(&map, "hist", &list), RR_OK);
    for (uint32_t i = 0; i < list.as.n; i++) {
        struct unpack_value step;
        struct unpack_value v;

        assert_int_equal(unpack_next(&list.items, &step), RR_OK);
        assert_int_equal(step.as.n, 2);
        assert_int_equal(unpack_next(&step.items, &v), RR_OK);
        assert_true(v.as.i < last_fen);
        last_fen = v.as.i;
        assert_int_equal(unpack_next(&step.items, &v), RR_OK);
        sum += v.as.i;
    }
    return sum;
}

static void close_refunds_what_was_not_granted(void **state)
{
    struct pool_grant g;
    struct rain_info r;
    int64_t granted_fen = 0;
    int64_t before_fen = 0;

    (void)state;
    begin();
    r = started(10000, 40, 2, 5);
    before_fen = balance_of(l, SENDER);
    for (int i = 0; i < 10; i++) {
        granted_fen += fake_grab(&f, r.code, 0, 1 + i % 3, &g);
        settle_grant(&r, 0, &g);
    }
    assert_int_equal(saga_close(&saga, NULL, r.code, false, &r), RR_CONFLICT);
    f.now_ms += 5000;
    assert_int_equal(saga_close(&saga, NULL, r.code, true, &r), RR_OK);
    assert_int_equal(r.status, RAIN_SETTLED);
    assert_int_equal(r.t1_ms, f.now_ms);
    assert_int_equal(r.total_get, 10);
    assert_int_equal(r.total_get_fen, granted_fen);
    assert_int_equal(r.refunded_fen, 10000 - granted_fen);
    assert_int_equal(balance_of(l, SENDER) - before_fen, 10000 - granted_fen);
    assert_int_equal(r.sold_out_at_ms, 0);
    assert_int_equal(fake_at(&f, r.code, 0)->st.st, 'C');
    assert_true(fake_at(&f, r.code, 0)->retired && fake_at(&f, r.code, 1)->retired);
    assert_int_equal(map_of(fake_push_of(&f, "RED_PACKET_END", 0)).as.n, 11);
    assert_int_equal(int_of(fake_push_of(&f, "RED_PACKET_END", 0), "end_at"), f.now_ms);
    assert_int_equal(map_of(fake_push_of(&f, "RED_PACKET_RESULT", 0)).as.n, 24);
    assert_int_equal(int_of(fake_push_of(&f, "RED_PACKET_RESULT", 0), "granted_price"),
                     granted_fen);
    assert_int_equal(hist_total(fake_push_of(&f, "RED_PACKET_RESULT", 0)), 10);
    assert_int_equal(fake_push_of(&f, "RED_PACKET_RESULT", 0)->final, 1);
    assert_int_equal(f.stats_fen, granted_fen);
    /* Again: nothing moves. */
    assert_int_equal(saga_close(&saga, NULL, r.code, true, &r), RR_OK);
    assert_int_equal(balance_of(l, SENDER) - before_fen, 10000 - granted_fen);
    assert_null(fake_push_of(&f, "RED_PACKET_RESULT", 1));
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_task WHERE state = 0"), 0);
    end();
}

static void close_at_the_end_is_a_task(void **state)
{
    struct pool_grant g;
    struct rain_info r;

    (void)state;
    begin();
    r = started(1000, 4, 1, 4);
    for (int i = 0; i < 4; i++) {
        fake_grab(&f, r.code, 0, 1 + i, &g);
        settle_grant(&r, 0, &g);
    }
    f.now_ms = r.t1_ms + 1;
    run_due(60000);
    assert_int_equal(ledger_rain_get(l, r.code, &r), RR_OK);
    assert_int_equal(r.status, RAIN_SETTLED);
    assert_int_equal(r.refunded_fen, 0);
    assert_true(r.sold_out_at_ms > 0);
    assert_null(fake_push_of(&f, "RED_PACKET_END", 0)); /* every worker's own timer said it */
    assert_non_null(fake_push_of(&f, "RED_PACKET_RESULT", 0));
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_task WHERE state = 0"), 0);
    end();
}

/* Kafka lost everything, or is late: the users hash is the list of the grants. */
static void close_settles_what_only_the_pool_knows(void **state)
{
    struct pool_grant g;
    struct pool_grant late;
    struct rain_info r;
    int64_t granted_fen = 0;

    (void)state;
    begin();
    r = started(10000, 40, 2, 5);
    for (int i = 0; i < 8; i++) {
        granted_fen += fake_grab(&f, r.code, 1, 1 + i, &g);
        if (i % 2)
            settle_grant(&r, 1, &g);
        else
            late = g;
    }
    f.now_ms = r.t1_ms;
    assert_int_equal(saga_close(&saga, NULL, r.code, false, &r), RR_OK);
    assert_int_equal(r.status, RAIN_SETTLED);
    assert_int_equal(r.total_get, 8);
    assert_int_equal(r.total_get_fen, granted_fen);
    assert_int_equal(f.user_pushes, 4);
    assert_true(balance_of(l, 1) > 0);
    /* The record arrives after all: a duplicate. */
    settle_grant(&r, 1, &late);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_conflict"), 0);
    assert_int_equal(testdb_int(l, "SELECT SUM(settled_cnt) FROM rp_escrow"), 8);
    end();
}

static void close_voids_a_packet_nobody_has(void **state)
{
    struct pool_grant g;
    struct rain_info r;
    int64_t before_fen = 0;
    int64_t void_fen = 0;

    (void)state;
    begin();
    r = started(1000, 4, 1, 4);
    before_fen = balance_of(l, SENDER);
    for (int i = 0; i < 4; i++) {
        fake_grab(&f, r.code, 0, 1 + i, &g);
        if (i == 2) { /* popped and then lost: seen in no unfenced rain */
            void_fen = g.amount_fen;
            fake_at(&f, r.code, 0)->grants[2].user_id = 0;
        } else {
            settle_grant(&r, 0, &g);
        }
    }
    f.now_ms = r.t1_ms;
    assert_int_equal(saga_close(&saga, NULL, r.code, false, &r), RR_OK);
    assert_int_equal(r.status, RAIN_SETTLED);
    assert_int_equal(r.total_get, 3);
    assert_int_equal(hist_total(fake_push_of(&f, "RED_PACKET_RESULT", 0)), 3);
    assert_int_equal(r.refunded_fen, void_fen);
    assert_int_equal(balance_of(l, SENDER) - before_fen, void_fen);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_grant WHERE state = 3"), 1);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM account_log WHERE biz_type = 'void'"), 2);
    end();
}

static void close_waits_while_something_is_set_aside(void **state)
{
    struct pool_grant g;
    struct rain_info r;
    struct settle_item item;
    struct settle_batch b;
    struct settle_outcome o;
    int64_t sql_offset = 0;

    (void)state;
    begin();
    r = started(1000, 4, 1, 4);
    fake_grab(&f, r.code, 0, 1, &g);
    settle_grant(&r, 0, &g);
    item = item_at(l, &r, 0, g.packet_no, 2, 0, 1); /* the same packet for another user */
    b = batch_of(&item, 1, 1);
    assert_int_equal(ledger_settle(l, &b, &o, &sql_offset), RR_OK);
    assert_int_equal(o.conflicts, 1);
    settle_outcome_fini(&o);
    f.now_ms = r.t1_ms;
    assert_int_equal(saga_close(&saga, NULL, r.code, false, &r), RR_OK);
    assert_int_equal(r.status, RAIN_CLOSING);
    assert_int_equal(r.remain_fen, 0);
    testdb_exec(l, "UPDATE rp_conflict SET state = 'closed'");
    run_due(60000);
    assert_int_equal(ledger_rain_get(l, r.code, &r), RR_OK);
    assert_int_equal(r.status, RAIN_SETTLED);
    end();
}

/* A restarted Redis may have lost grants: nothing is refunded by its word. */
static void close_never_guesses_after_a_restart(void **state)
{
    struct pool_grant g;
    struct rain_info r;
    int64_t before_fen = 0;

    (void)state;
    begin();
    r = started(1000, 4, 1, 4);
    fake_grab(&f, r.code, 0, 1, &g);
    before_fen = balance_of(l, SENDER);
    strcpy(f.rid, OLD_RID);
    f.now_ms = r.t1_ms;
    assert_int_equal(saga_close(&saga, NULL, r.code, false, &r), RR_OK);
    assert_int_equal(r.status, RAIN_CLOSING);
    fake_at(&f, r.code, 0)->st.exists = false; /* wiped */
    run_due(60000);
    assert_int_equal(ledger_rain_get(l, r.code, &r), RR_OK);
    assert_int_equal(r.status, RAIN_CLOSING);
    assert_int_equal(balance_of(l, SENDER), before_fen);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_escrow WHERE granted_k IS NOT NULL"),
                     0);
    assert_int_equal(
        testdb_int(l, "SELECT COUNT(*) FROM rp_task WHERE kind = 'close' AND state = 0"), 1);
    end();
}

static void close_halfway_is_finished_by_anyone(void **state)
{
    struct pool_grant g;
    struct rain_info r;
    int64_t granted_fen = 0;

    (void)state;
    begin();
    r = started(10000, 40, 4, 5);
    for (uint32_t i = 0; i < 8; i++) {
        granted_fen += fake_grab(&f, r.code, i % 4, 1 + i, &g);
        settle_grant(&r, i % 4, &g);
    }
    f.fail_close = 1;
    assert_int_equal(saga_close(&saga, NULL, r.code, true, &r), RR_OK);
    assert_int_equal(r.status, RAIN_CLOSING);
    f.fail_push = 1; /* RESULT fails once too */
    run_due(10000);
    assert_int_equal(ledger_rain_get(l, r.code, &r), RR_OK);
    assert_int_equal(r.status, RAIN_SETTLED);
    assert_null(fake_push_of(&f, "RED_PACKET_RESULT", 0));
    run_due(60000);
    assert_non_null(fake_push_of(&f, "RED_PACKET_RESULT", 0));
    assert_int_equal(r.total_get_fen, granted_fen);
    assert_int_equal(r.refunded_fen, 10000 - granted_fen);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_task WHERE state = 0"), 0);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(close_refunds_what_was_not_granted),
        cmocka_unit_test(close_at_the_end_is_a_task),
        cmocka_unit_test(close_settles_what_only_the_pool_knows),
        cmocka_unit_test(close_voids_a_packet_nobody_has),
        cmocka_unit_test(close_waits_while_something_is_set_aside),
        cmocka_unit_test(close_never_guesses_after_a_restart),
        cmocka_unit_test(close_halfway_is_finished_by_anyone),
    };

    return cmocka_run_group_tests(tests, testdb_setup, testdb_teardown);
}
