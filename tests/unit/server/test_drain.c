#include "cm.h"

#include <string.h>

#include "drain.h"

enum { S = 1000000 };

static const struct drain_opts opts = {
    .ready_wait_us = 2 * S, .spread_us = 10 * S, .wait_rain_us = 60 * S, .timeout_us = 120 * S};

static struct drain d;
static struct drain_view v;

static int setup(void **state)
{
    (void)state;
    memset(&d, 0, sizeof(d));
    v = (struct drain_view){.now_us = 100 * S, .sessions = 10, .sockets = 10, .untold = 10};
    return 0;
}

static bool at(int64_t us)
{
    v.now_us = 100 * S + us;
    return drain_step(&d, &v);
}

static void begin(enum drain_mode mode)
{
    drain_begin(&d, &opts, mode, v.now_us);
}

static void leaving(void)
{
    begin(DRAIN_LEAVE);
    assert_true(at(2 * S));
    assert_int_equal(d.phase, DRAIN_LEAVING);
}

static void test_nothing_without_a_signal(void **state)
{
    (void)state;
    assert_false(at(1000 * S));
    assert_int_equal(d.phase, DRAIN_RUNNING);
    assert_false(drain_waits_for_rain(&d, v.now_us));
}

static void test_announced_for_ready_wait(void **state)
{
    (void)state;
    v.sessions = v.sockets = v.untold = 0; /* a balancer must see it also when nobody is here */
    begin(DRAIN_LEAVE);
    assert_int_equal(d.phase, DRAIN_ANNOUNCED);
    assert_false(at(2 * S - 1));
    assert_true(at(2 * S));
    assert_int_equal(d.phase, DRAIN_LEAVING);
}

static void test_handed_over_does_not_announce(void **state)
{
    (void)state;
    begin(DRAIN_HAND);
    assert_int_equal(d.phase, DRAIN_LEAVING);
}

static void test_leaving_until_all_had_their_time(void **state)
{
    (void)state;
    leaving();
    v.untold = 0;
    assert_int_equal(drain_slot_ms(&d, 9, 10, v.now_us, v.now_us), 9000);
    assert_false(at(2 * S + 9 * S + 5 * S - 1)); /* the last slot and the time to move */
    assert_true(at(2 * S + 9 * S + 5 * S));
    assert_int_equal(d.phase, DRAIN_FLUSHING);
}

static void test_leaving_ends_when_nobody_is_left(void **state)
{
    (void)state;
    leaving();
    v.sessions = v.untold = 0;
    v.sockets = 1; /* a handshake under way */
    assert_false(at(3 * S - 1));
    v.sockets = 0;
    assert_true(at(3 * S - 1));
}

static void test_a_silent_socket_holds_leaving_for_a_second(void **state)
{
    (void)state;
    leaving();
    v.sessions = v.untold = 0;
    v.sockets = 1;
    assert_true(at(3 * S));
    assert_int_equal(d.phase, DRAIN_FLUSHING);
}

static void test_not_while_the_listener_is_open(void **state)
{
    (void)state;
    leaving();
    v.sessions = v.sockets = v.untold = 0;
    v.listening = true;
    assert_false(at(5 * S));
    v.listening = false;
    assert_true(at(5 * S));
}

static void test_without_a_spread_only_rains_are_waited_for(void **state)
{
    (void)state;
    leaving();
    d.opts.spread_us = 0;
    v.listening = true;
    assert_false(at(3 * S));
    v.untold = 0;
    assert_true(at(3 * S));
}

static void test_untold_members_are_waited_for(void **state)
{
    (void)state;
    leaving();
    v.untold = 1;
    assert_true(drain_waits_for_rain(&d, v.now_us));
    assert_false(at(2 * S + 60 * S - 1));
    assert_true(drain_waits_for_rain(&d, v.now_us));
    assert_false(at(2 * S + 60 * S)); /* told by the worker now: the wait is over */
    assert_false(drain_waits_for_rain(&d, v.now_us));
    assert_int_equal(drain_slot_ms(&d, 0, 1, v.now_us, v.now_us), 0);
    v.untold = 0;
    assert_false(at(62 * S + 5 * S - 1));
    assert_true(at(62 * S + 5 * S));
}

static void test_flushing_until_nothing_is_in_flight(void **state)
{
    (void)state;
    v.sessions = v.sockets = v.untold = 0;
    leaving();
    v.in_flight = 1;
    assert_true(at(3 * S));
    assert_int_equal(d.phase, DRAIN_FLUSHING);
    assert_false(at(119 * S));
    v.in_flight = 0;
    assert_true(at(119 * S));
    assert_int_equal(d.phase, DRAIN_CLOSING);
    assert_false(d.cut);
}

static void test_closing_waits_a_second_for_the_rest(void **state)
{
    (void)state;
    begin(DRAIN_FAST);
    assert_true(at(0));
    assert_int_equal(d.phase, DRAIN_CLOSING);
    assert_false(at(S - 1));
    assert_true(at(S));
    assert_int_equal(d.phase, DRAIN_DONE);
    assert_false(at(2 * S));
}

static void test_closing_ends_with_the_last_socket(void **state)
{
    (void)state;
    begin(DRAIN_FAST);
    assert_true(at(0));
    v.sessions = 0;
    assert_true(at(1));
    assert_int_equal(d.phase, DRAIN_DONE);
}

static void test_the_timeout_ends_every_wait(void **state)
{
    enum drain_phase phases[] = {DRAIN_ANNOUNCED, DRAIN_LEAVING, DRAIN_FLUSHING};

    (void)state;
    for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
        setup(NULL);
        v.in_flight = 1;
        begin(DRAIN_LEAVE);
        d.opts.ready_wait_us = 500 * S;
        d.phase = phases[i];
        assert_false(at(120 * S - 1));
        assert_true(at(120 * S));
        assert_int_equal(d.phase, DRAIN_CLOSING);
        assert_true(d.cut);
    }
}

static void test_a_second_signal_only_makes_it_faster(void **state)
{
    (void)state;
    begin(DRAIN_LEAVE);
    begin(DRAIN_HAND);
    assert_int_equal(d.phase, DRAIN_ANNOUNCED);
    begin(DRAIN_FAST);
    assert_int_equal(d.phase, DRAIN_FLUSHING);
    v.in_flight = 1;
    assert_false(at(5 * S - 1));
    begin(DRAIN_FAST); /* again: the deadline stays */
    begin(DRAIN_LEAVE);
    assert_int_equal(d.phase, DRAIN_FLUSHING);
    assert_true(at(5 * S));
    assert_int_equal(d.phase, DRAIN_CLOSING);
}

static void test_slots_are_spread_evenly(void **state)
{
    int64_t last = -1;

    (void)state;
    leaving();
    for (uint32_t i = 0; i < 1000; i++) {
        int64_t slot = drain_slot_ms(&d, i, 1000, v.now_us, v.now_us);

        assert_int_equal(slot, i * 10);
        assert_true(slot > last);
        last = slot;
    }
    assert_int_equal(d.last_slot_us, v.now_us + 9990 * 1000);
}

static void test_a_slot_counts_from_its_wave(void **state)
{
    (void)state;
    leaving();
    assert_int_equal(drain_slot_ms(&d, 500, 1000, v.now_us - S, v.now_us), 4000);
    assert_int_equal(drain_slot_ms(&d, 5, 1000, v.now_us - S, v.now_us), 0); /* late: at once */
}

static void test_no_slot_after_the_deadline(void **state)
{
    (void)state;
    leaving();
    v.now_us = d.deadline_us - S;
    assert_int_equal(drain_slot_ms(&d, 9, 10, v.now_us, v.now_us), 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_nothing_without_a_signal, setup),
        cmocka_unit_test_setup(test_announced_for_ready_wait, setup),
        cmocka_unit_test_setup(test_handed_over_does_not_announce, setup),
        cmocka_unit_test_setup(test_leaving_until_all_had_their_time, setup),
        cmocka_unit_test_setup(test_leaving_ends_when_nobody_is_left, setup),
        cmocka_unit_test_setup(test_a_silent_socket_holds_leaving_for_a_second, setup),
        cmocka_unit_test_setup(test_not_while_the_listener_is_open, setup),
        cmocka_unit_test_setup(test_without_a_spread_only_rains_are_waited_for, setup),
        cmocka_unit_test_setup(test_untold_members_are_waited_for, setup),
        cmocka_unit_test_setup(test_flushing_until_nothing_is_in_flight, setup),
        cmocka_unit_test_setup(test_closing_waits_a_second_for_the_rest, setup),
        cmocka_unit_test_setup(test_closing_ends_with_the_last_socket, setup),
        cmocka_unit_test_setup(test_the_timeout_ends_every_wait, setup),
        cmocka_unit_test_setup(test_a_second_signal_only_makes_it_faster, setup),
        cmocka_unit_test_setup(test_slots_are_spread_evenly, setup),
        cmocka_unit_test_setup(test_a_slot_counts_from_its_wave, setup),
        cmocka_unit_test_setup(test_no_slot_after_the_deadline, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
