#include "../room/cm.h"

#include <string.h>

#include "canary.h"
#include "fakes.h"

enum { S = 1000000, TICK = S / 10 };

struct world {
    struct rr_clock_fake clock;
    struct fake_bus bus;
    struct rr_metrics metrics;
    struct canary canary;
};

static struct world w;

static int setup(void **state)
{
    (void)state;
    memset(&w, 0, sizeof(w));
    rr_clock_fake_init(&w.clock, 1000 * (int64_t)S, 1800000000000);
    fake_bus_init(&w.bus);
    canary_init(&w.canary, &w.clock.base, &w.bus.bus, &w.metrics);
    return 0;
}

static bool fresh(void)
{
    return canary_fresh(&w.metrics, w.clock.now_us);
}

/* Time goes by in ticks; with `brings` Redis brings every number back at once. */
static void run(int64_t us, bool brings)
{
    for (int64_t t = 0; t < us; t += TICK) {
        uint64_t before = w.bus.echoed;
        uint32_t anew = w.bus.resubscribes;

        w.clock.now_us += TICK;
        canary_tick(&w.canary, true);
        if (brings && w.bus.echoed != before)
            canary_echo(&w.canary, w.bus.echoed);
        if (brings && w.bus.resubscribes != anew) {
            canary_echo(&w.canary, 0);
            canary_echo(&w.canary, w.bus.echoed);
        }
    }
}

static void test_ready_after_the_first_push(void **state)
{
    (void)state;
    assert_false(fresh());
    canary_echo(&w.canary, 0); /* subscribed */
    assert_int_not_equal(w.bus.echoed, 0);
    assert_false(fresh());
    canary_echo(&w.canary, w.bus.echoed);
    assert_true(fresh());
    run(20 * S, true);
    assert_true(fresh());
    assert_int_equal(w.bus.resubscribes, 0);
    assert_int_equal(w.metrics.pushes_up, 1);
}

static void test_red_within_three_seconds(void **state)
{
    (void)state;
    run(2 * S, true);
    run(2 * S, false);
    assert_true(fresh()); /* a hiccup is not the end */
    run(1 * S, false);
    assert_false(fresh());
    assert_int_equal(w.metrics.pushes_up, 0);
    run(1 * S, true);
    assert_true(fresh());
}

static void test_the_connection_is_made_anew_again_and_again(void **state)
{
    (void)state;
    run(2 * S, true);
    run(3 * S, false);
    assert_int_equal(w.bus.resubscribes, 1);
    run(5 * S + TICK, false);
    assert_int_equal(w.bus.resubscribes, 2);
    run(300 * (int64_t)S, false);
    assert_in_range(w.bus.resubscribes, 10, 14); /* every 30 s at last */
    assert_int_equal(w.metrics.pushes_lost_total, w.bus.resubscribes);
    run(1 * S, true);
    assert_true(fresh());
    run(3 * S, false);
    assert_in_range(w.bus.resubscribes, 11, 16); /* soon again */
}

static void test_a_missing_number_is_a_missing_push(void **state)
{
    (void)state;
    canary_echo(&w.canary, 0);
    canary_echo(&w.canary, w.bus.echoed);
    run(5 * S, true);
    assert_int_equal(w.bus.resubscribes, 0);
    run(S, false); /* too short to be red */
    assert_true(fresh());
    run(S, true);
    assert_int_equal(w.bus.resubscribes, 1);
    run(10 * S, true);
    assert_int_equal(w.bus.resubscribes, 1);
    assert_true(fresh());
}

static void test_a_slow_redis_is_not_silence(void **state)
{
    uint64_t late[3] = {0};

    (void)state;
    for (int i = 0; i < 40; i++) { /* each number takes 1.5 s */
        run(S / 2, false);
        if (late[i % 3])
            canary_echo(&w.canary, late[i % 3]);
        late[i % 3] = w.bus.echoed;
        if (i > 6)
            assert_true(fresh());
    }
    assert_int_equal(w.bus.resubscribes, 0);
}

static void test_what_is_not_ours_or_too_old_proves_nothing(void **state)
{
    uint64_t old = 0;

    (void)state;
    run(S / 2, false);
    old = w.bus.echoed;
    canary_echo(&w.canary, old + 1);
    canary_echo(&w.canary, 7);
    assert_false(fresh());
    run(3 * S, false);
    canary_echo(&w.canary, old); /* held up for 3 s */
    assert_false(fresh());
}

static void test_no_bus_no_numbers(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        w.clock.now_us += TICK;
        canary_tick(&w.canary, false);
    }
    assert_int_equal(w.bus.echoed, 0);
    assert_int_equal(w.bus.resubscribes, 0); /* it is being made anew already */
}

#define TEST(fn) cmocka_unit_test_setup(fn, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_ready_after_the_first_push),
        TEST(test_red_within_three_seconds),
        TEST(test_the_connection_is_made_anew_again_and_again),
        TEST(test_a_missing_number_is_a_missing_push),
        TEST(test_a_slow_redis_is_not_silence),
        TEST(test_what_is_not_ours_or_too_old_proves_nothing),
        TEST(test_no_bus_no_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
