/* Kinds, senders, times and calling off, on a real MariaDB with a pool in memory: what is put aside comes out once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "saga_env.h"
#include "task.h"

#define DAY_MS (INT64_C(24) * 3600 * 1000)

static const int64_t friends[] = {11, 22, 33};

static struct rain_spec packet(enum rain_kind kind, const char *biz_id)
{
    struct rain_spec s = {.kind = kind,
                          .by = KIND_BY_BACKEND,
                          .sender_id = SENDER,
                          .total_fen = 1000,
                          .count = 3,
                          .budget_fen = 1500,
                          .day = 20000};

    strcpy(s.room_id, "r1");
    strcpy(s.biz_id, biz_id);
    return s;
}

static void begin_rich(void)
{
    struct wallet w;

    begin();
    f.now_ms = ledger__now_ms();
    assert_int_equal(ledger_deposit(l, SENDER, 100000, "rich", &w), RR_OK);
}

static int64_t tasks_open(const char *kind)
{
    return testdb_intf(l, "SELECT COUNT(*) FROM rp_task WHERE state = 0 AND kind = '%s'", kind);
}

static void all_that_was_asked_for_is_read_back(void **state)
{
    struct rain_spec s = packet(KIND_ENTERPRISE, "e1");
    struct rain_info r;
    int64_t *users = NULL;
    uint32_t n = 0;
    const char *field = NULL;

    (void)state;
    begin_rich();
    s.users = friends;
    s.users_n = 3;
    s.anchor_id = 42;
    assert_int_equal(saga_create(&saga, &s, &r, &field), RR_OK);
    assert_int_equal(ledger_rain_get(l, r.code, &r), RR_OK);
    assert_int_equal(r.spec.kind, KIND_ENTERPRISE);
    assert_int_equal(r.spec.users_n, 3);
    assert_null(r.spec.users);
    assert_int_equal(r.spec.anchor_id, 42);
    assert_int_equal(r.spec.sender_id, SENDER);
    assert_true(r.spec.expire_at_ms > f.now_ms + DAY_MS - 1000);
    assert_int_equal(ledger_rain_users(l, r.code, &users, &n), RR_OK);
    assert_int_equal(n, 3);
    assert_memory_equal(users, friends, sizeof(friends));
    free(users);
    assert_int_equal(saga_prepare(&saga, NULL, r.code, &r), RR_OK);
    assert_int_equal(f.allowed_n, 3);
    assert_int_equal(f.allowed[2], 33);
    end();
}

static void send_is_one_step_and_once(void **state)
{
    struct rain_spec s = packet(KIND_GROUP, "g1");
    struct rain_info r;
    struct rain_info again;
    const char *field = NULL;

    (void)state;
    begin_rich();
    assert_int_equal(saga_send(&saga, &s, &r, &field), RR_OK);
    assert_int_equal(r.status, RAIN_SENT);
    assert_int_equal(r.t0_ms, f.now_ms);
    assert_int_equal(r.t1_ms, r.spec.expire_at_ms);
    assert_int_equal(fake_at(&f, r.code, 0)->st.st, 'O');
    assert_int_equal(int_of(fake_push_of(&f, "RED_PACKET_CONFIG", 0), "end_at"), r.t1_ms);
    /* The close at its expiry is all that is left to do. */
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_task WHERE state = 0"), 1);
    assert_int_equal(tasks_open("close"), 1);
    s = packet(KIND_GROUP, "g1");
    assert_int_equal(saga_send(&saga, &s, &again, &field), RR_DUPLICATE);
    assert_string_equal(again.code, r.code);
    assert_int_equal(balance_of(l, SENDER), 99000);
    s = packet(KIND_GROUP, "g1");
    s.count = 4;
    assert_int_equal(saga_send(&saga, &s, &again, &field), RR_CONFLICT);
    s = packet(KIND_GROUP, "g1"); /* a create is not a send */
    assert_int_equal(saga_create(&saga, &s, &again, &field), RR_CONFLICT);
    end();
}

static void send_goes_on_by_its_task(void **state)
{
    struct rain_spec s = packet(KIND_GROUP, "g2");
    struct rain_info r;
    const char *field = NULL;

    (void)state;
    begin_rich();
    strcpy(f.locked_by, "somebody"); /* the prepare lock */
    assert_int_equal(saga_send(&saga, &s, &r, &field), RR_PENDING);
    assert_int_equal(r.status, RAIN_CREATED);
    f.locked_by[0] = 0;
    run_due(TASK_INLINE_LEASE_MS + 1000);
    assert_int_equal(ledger_rain_get(l, r.code, &r), RR_OK);
    assert_int_equal(r.status, RAIN_SENT);
    assert_non_null(fake_push_of(&f, "RED_PACKET_CONFIG", 0));
    end();
}

static void expiry_closes_and_refunds_and_the_sender_hears(void **state)
{
    struct rain_spec s = packet(KIND_EQUAL, "x1");
    struct pool_grant g;
    struct rain_info r;
    const char *field = NULL;

    (void)state;
    begin_rich();
    assert_int_equal(saga_send(&saga, &s, &r, &field), RR_OK);
    assert_true(fake_grab(&f, r.code, 0, 501, &g) > 0);
    settle_grant(&r, 0, &g);
    f.now_ms = r.t1_ms;
    run_due(DAY_MS + 1000);
    run_due(DAY_MS + 20000);
    assert_int_equal(ledger_rain_get(l, r.code, &r), RR_OK);
    assert_int_equal(r.status, RAIN_SETTLED);
    assert_int_equal(r.refunded_fen, 1000 - g.amount_fen);
    assert_int_equal(balance_of(l, SENDER), 100000 - g.amount_fen);
    assert_int_equal(f.told_n, 1);
    assert_int_equal(f.told[0].user_id, SENDER);
    assert_string_equal(f.told[0].biz_code, "SENT_REPORT");
    end();
}

static void the_never_started_is_given_back_at_its_expiry(void **state)
{
    static const enum rain_kind kinds[] = {KIND_RAIN, KIND_GROUP};
    const char *field = NULL;

    (void)state;
    begin_rich();
    for (int prepared = 0; prepared < 2; prepared++) {
        struct rain_spec s = packet(kinds[prepared], prepared ? "u1" : "u0");
        struct rain_info r;
        int64_t from_ms = f.now_ms;

        assert_int_equal(saga_create(&saga, &s, &r, &field), RR_OK);
        if (prepared)
            assert_int_equal(saga_prepare(&saga, NULL, r.code, &r), RR_OK);
        run_due(r.spec.expire_at_ms - ledger__now_ms() + 1000); /* a clock that is ahead */
        assert_int_equal(ledger_rain_get(l, r.code, &r), RR_OK);
        assert_int_not_equal(r.status, RAIN_CANCELLED);
        f.now_ms = r.spec.expire_at_ms;
        testdb_execf(l, "UPDATE rp_task SET next_at = 1 WHERE biz_id = 'expire:%s'", r.code);
        run_due(0);
        assert_int_equal(ledger_rain_get(l, r.code, &r), RR_OK);
        assert_int_equal(r.status, RAIN_CANCELLED);
        assert_int_equal(balance_of(l, SENDER), 100000);
        assert_non_null(fake_push_of(&f, "RED_PACKET_CANCEL", (uint32_t)prepared));
        f.now_ms = from_ms;
    }
    end();
}

static void a_scheduled_one_starts_by_itself(void **state)
{
    struct rain_spec s = packet(KIND_RAIN, "s1");
    struct rain_info r;
    const char *field = NULL;
    int64_t at_ms = 0;

    (void)state;
    begin_rich();
    at_ms = f.now_ms + 3600 * 1000;
    s.start_at_ms = at_ms;
    assert_int_equal(saga_create(&saga, &s, &r, &field), RR_OK);
    run_due(0);
    assert_int_equal(ledger_rain_get(l, r.code, &r), RR_OK);
    assert_int_equal(r.status, RAIN_CREATED);
    f.now_ms = at_ms - 50 * 1000; /* a minute before: prepared */
    run_due(3600 * 1000);
    assert_int_equal(ledger_rain_get(l, r.code, &r), RR_OK);
    assert_int_equal(r.status, RAIN_PREPARED);
    f.now_ms = at_ms - 8 * 1000; /* ten seconds before: the countdown */
    testdb_execf(l, "UPDATE rp_task SET next_at = 1 WHERE biz_id = 'start:%s'", r.code);
    run_due(0);
    assert_int_equal(ledger_rain_get(l, r.code, &r), RR_OK);
    assert_int_equal(r.status, RAIN_SENT);
    assert_int_equal(r.t0_ms, at_ms);
    assert_int_equal(r.t1_ms, at_ms + 30000);
    assert_int_equal(int_of(fake_push_of(&f, "RED_PACKET_CONFIG", 0), "countdown_ms"), 8000);
    assert_int_equal(tasks_open("start"), 0);
    assert_int_equal(tasks_open("expire"), 0);
    end();
}

static void one_whose_time_has_passed_starts_late_or_not_at_all(void **state)
{
    struct rain_spec s = packet(KIND_RAIN, "l1");
    struct rain_info r;
    const char *field = NULL;

    (void)state;
    begin_rich();
    s.start_at_ms = f.now_ms + 60000;
    s.expire_at_ms = f.now_ms + 120000;
    assert_int_equal(saga_create(&saga, &s, &r, &field), RR_OK);
    f.now_ms += 90000; /* no settler for a while */
    run_due(0);
    assert_int_equal(ledger_rain_get(l, r.code, &r), RR_OK);
    assert_int_equal(r.status, RAIN_SENT);
    assert_int_equal(r.t0_ms, f.now_ms + 3000);

    s = packet(KIND_RAIN, "l2");
    f.now_ms = ledger__now_ms();
    s.start_at_ms = f.now_ms + 60000;
    s.expire_at_ms = f.now_ms + 120000;
    assert_int_equal(saga_create(&saga, &s, &r, &field), RR_OK);
    f.now_ms += 200000;
    run_due(200000);
    run_due(220000);
    assert_int_equal(ledger_rain_get(l, r.code, &r), RR_OK);
    assert_int_equal(r.status, RAIN_CANCELLED);
    assert_int_equal(balance_of(l, SENDER), 100000);
    s = packet(KIND_RAIN, "l2"); /* asked again, its times long gone: the same rain */
    s.start_at_ms = r.spec.start_at_ms;
    s.expire_at_ms = r.spec.expire_at_ms;
    assert_int_equal(saga_create(&saga, &s, &r, &field), RR_DUPLICATE);
    s = packet(KIND_RAIN, "l3");
    s.start_at_ms = 1000;
    assert_int_equal(saga_create(&saga, &s, &r, &field), RR_BAD_REQUEST);
    assert_string_equal(field, "start_at");
    end();
}

/* ---- calling off ---- */

static struct rain_info counting_down(const char *biz_id)
{
    struct rain_spec s = packet(KIND_RAIN, biz_id);
    struct rain_info r;
    const char *field = NULL;

    s.shards = 2;
    assert_int_equal(saga_create(&saga, &s, &r, &field), RR_OK);
    assert_int_equal(saga_prepare(&saga, NULL, r.code, &r), RR_OK);
    assert_int_equal(saga_start(&saga, NULL, r.code, 5000, 0, &r), RR_OK);
    return r;
}

static void cancel_in_the_countdown_gives_all_back_once(void **state)
{
    struct rain_info r;

    (void)state;
    begin_rich();
    r = counting_down("c1");
    f.now_ms += 4999;
    assert_int_equal(saga_cancel(&saga, NULL, r.code, &r), RR_OK);
    assert_int_equal(r.status, RAIN_CANCELLED);
    assert_int_equal(r.refunded_fen, 1000);
    assert_int_equal(balance_of(l, SENDER), 100000);
    assert_int_equal(fake_at(&f, r.code, 1)->st.st, 'C');
    assert_non_null(fake_push_of(&f, "RED_PACKET_CANCEL", 0));
    assert_null(fake_push_of(&f, "RED_PACKET_END", 0));
    assert_null(fake_push_of(&f, "RED_PACKET_RESULT", 0));
    assert_int_equal(saga_cancel(&saga, NULL, r.code, &r), RR_OK); /* again: nothing more */
    f.now_ms += 100000;
    run_due(100000);
    assert_int_equal(balance_of(l, SENDER), 100000);
    assert_null(fake_push_of(&f, "RED_PACKET_CANCEL", 1));
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_task WHERE state = 0"), 0);
    end();
}

static void after_the_opening_it_is_too_late(void **state)
{
    struct rain_info r;

    (void)state;
    begin_rich();
    r = counting_down("c2");
    f.now_ms += 5000;
    assert_int_equal(saga_cancel(&saga, NULL, r.code, &r), RR_CONFLICT);
    assert_int_equal(saga_close(&saga, NULL, r.code, true, &r), RR_OK);
    assert_int_equal(saga_cancel(&saga, NULL, r.code, &r), RR_CONFLICT);
    end();
}

static void what_was_granted_after_all_makes_it_a_close(void **state)
{
    struct pool_grant g;
    struct rain_info r;

    (void)state;
    begin_rich();
    r = counting_down("c3");
    f.fail_close = 1; /* Redis is away when the anchor calls it off … */
    assert_int_equal(saga_cancel(&saga, NULL, r.code, &r), RR_OK);
    assert_int_equal(r.status, RAIN_CLOSING);
    f.now_ms += 6000; /* … and open when it is back */
    assert_true(fake_grab(&f, r.code, 1, 501, &g) > 0);
    assert_int_equal(saga_cancel(&saga, NULL, r.code, &r), RR_OK);
    run_due(10000);
    run_due(40000);
    assert_int_equal(ledger_rain_get(l, r.code, &r), RR_OK);
    assert_int_equal(r.status, RAIN_SETTLED);
    assert_int_equal(r.settled_fen, g.amount_fen);
    assert_int_equal(balance_of(l, SENDER), 100000 - g.amount_fen);
    assert_int_equal(balance_of(l, 501), g.amount_fen);
    assert_non_null(fake_push_of(&f, "RED_PACKET_RESULT", 0));
    assert_null(fake_push_of(&f, "RED_PACKET_CANCEL", 0));
    end();
}

/* ---- money and caps ---- */

static void a_budget_bounds_the_day_and_refunds_do_not_lift_it(void **state)
{
    struct rain_spec s = packet(KIND_MARKETING, "m1");
    struct rain_info r;
    const char *field = NULL;

    (void)state;
    begin_rich();
    s.min_level = 3;
    s.new_user_days = 7;
    assert_int_equal(saga_create(&saga, &s, &r, &field), RR_OK);
    assert_int_equal(r.spec.min_level, 3);
    assert_true(r.spec.new_since_s > 0);
    s = packet(KIND_MARKETING, "m2");
    assert_int_equal(saga_create(&saga, &s, &r, &field), RR_OVER_BUDGET);
    assert_int_equal(balance_of(l, SENDER), 99000);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM t_red_packet_config"), 1);
    s = packet(KIND_MARKETING, "m1");
    s.min_level = 3;
    s.new_user_days = 7;
    assert_int_equal(saga_create(&saga, &s, &r, &field), RR_DUPLICATE);
    assert_int_equal(saga_cancel(&saga, NULL, r.code, &r), RR_OK);
    assert_int_equal(balance_of(l, SENDER), 100000);
    s = packet(KIND_MARKETING, "m3");
    assert_int_equal(saga_create(&saga, &s, &r, &field), RR_OVER_BUDGET);
    s.day++;
    assert_int_equal(saga_create(&saga, &s, &r, &field), RR_OK);
    s = packet(KIND_GROUP, "m4"); /* the others have no budget */
    assert_int_equal(saga_create(&saga, &s, &r, &field), RR_OK);
    assert_int_equal(testdb_int(l, "SELECT SUM(spent) FROM rp_budget"), 2000);
    end();
}

static void a_random_packet_takes_only_its_amount(void **state)
{
    struct rain_spec s = packet(KIND_PERSONAL, "p1");
    struct rain_info r;
    struct rain_info again;
    const char *field = NULL;

    (void)state;
    begin_rich();
    s.users = friends;
    s.users_n = 1;
    s.count = 1;
    s.total_fen = 0;
    s.lo_fen = 100;
    s.hi_fen = 900;
    s.random = true;
    assert_int_equal(saga_send(&saga, &s, &r, &field), RR_OK);
    assert_in_range(r.spec.total_fen, 100, 900);
    assert_int_equal(balance_of(l, SENDER), 100000 - r.spec.total_fen);
    assert_int_equal(saga_send(&saga, &s, &again, &field), RR_DUPLICATE);
    assert_string_equal(again.code, r.code);
    run_due(1000);
    assert_int_equal(f.told_n, 1);
    assert_int_equal(f.told[0].user_id, 11);
    assert_string_equal(f.told[0].biz_code, "INVITE");
    assert_int_equal(int_of(fake_push_of(&f, "RED_PACKET_CONFIG", 0), "listed"), 1);
    end();
}

static void one_sender_and_one_room_have_only_so_many(void **state)
{
    const char *field = NULL;
    struct rain_info r;

    (void)state;
    begin_rich();
    for (int i = 0; i < 3; i++) {
        struct rain_spec s = packet(KIND_GROUP, "n0");

        s.biz_id[1] = (char)('0' + i);
        s.open_max = 2;
        assert_int_equal(saga_send(&saga, &s, &r, &field), i < 2 ? RR_OK : RR_FULL);
        s.open_max = 0;
        s.room_max = 2;
        if (i == 2)
            assert_int_equal(saga_send(&saga, &s, &r, &field), RR_FULL);
    }
    assert_int_equal(balance_of(l, SENDER), 98000);
    end();
}

static void what_fails_for_long_is_counted(void **state)
{
    struct rain_info r;
    int64_t n = 0;

    (void)state;
    begin_rich();
    r = counting_down("k1");
    saga.alarm_tries = 3;
    f.now_ms += 60000;
    f.fail_close = 100;
    for (int i = 1; i <= 4; i++) {
        testdb_execf(l, "UPDATE rp_task SET next_at = 1 WHERE state = 0 AND code = '%s'", r.code);
        run_due(0);
    }
    assert_int_equal(saga_stuck(&saga, 3, &n), RR_OK);
    assert_int_equal(n, 1);
    assert_int_equal(saga_stuck(&saga, 100, &n), RR_OK);
    assert_int_equal(n, 0);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_was_asked_for_is_read_back),
        cmocka_unit_test(send_is_one_step_and_once),
        cmocka_unit_test(send_goes_on_by_its_task),
        cmocka_unit_test(expiry_closes_and_refunds_and_the_sender_hears),
        cmocka_unit_test(the_never_started_is_given_back_at_its_expiry),
        cmocka_unit_test(a_scheduled_one_starts_by_itself),
        cmocka_unit_test(one_whose_time_has_passed_starts_late_or_not_at_all),
        cmocka_unit_test(cancel_in_the_countdown_gives_all_back_once),
        cmocka_unit_test(after_the_opening_it_is_too_late),
        cmocka_unit_test(what_was_granted_after_all_makes_it_a_close),
        cmocka_unit_test(a_budget_bounds_the_day_and_refunds_do_not_lift_it),
        cmocka_unit_test(a_random_packet_takes_only_its_amount),
        cmocka_unit_test(one_sender_and_one_room_have_only_so_many),
        cmocka_unit_test(what_fails_for_long_is_counted),
    };

    return cmocka_run_group_tests(tests, testdb_setup, testdb_teardown);
}
