/* How many grabs a worker takes: by a queue that is served at a given pace. */
#include "cm.h"

#include <string.h>

#include "grab_bound.h"

enum { MS = 1000, TICK_MS = 100 };

static struct grab_bound b;
static uint32_t waiting;
static int64_t now_us;
static int64_t retry_ms;

static int setup(void **state)
{
    (void)state;
    memset(&b, 0, sizeof(b));
    b.wait_us = 100 * MS;
    b.least = 100;
    waiting = 0;
    now_us = 9000 * MS;
    retry_ms = 0;
    return 0;
}

/* n come within a tick, served are answered in it; how many were taken. */
static uint32_t tick(uint32_t n, uint32_t served)
{
    uint32_t taken = 0;

    for (int ms = 0; ms < TICK_MS; ms++) {
        uint32_t out = served * (uint32_t)(ms + 1) / TICK_MS - served * (uint32_t)ms / TICK_MS;

        for (uint32_t i = n * (uint32_t)ms / TICK_MS; i < n * (uint32_t)(ms + 1) / TICK_MS; i++) {
            if (grab_bound_take(&b, waiting, false, &retry_ms)) {
                taken++;
                waiting++;
            }
        }
        waiting -= out < waiting ? out : waiting;
    }
    now_us += TICK_MS * MS;
    grab_bound_tick(&b, waiting, now_us);
    return taken;
}

static void test_the_least_is_always_taken(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 100; i++)
        assert_true(grab_bound_take(&b, i, false, &retry_ms));
    assert_false(grab_bound_take(&b, 100, false, &retry_ms));
    assert_int_equal(retry_ms, 2000); /* no pace is known */
    now_us += TICK_MS * MS;
    assert_true(grab_bound_tick(&b, 100, now_us));
    now_us += TICK_MS * MS;
    assert_false(grab_bound_tick(&b, 100, now_us)); /* told once */
}

static void test_one_that_may_have_won_has_twice_the_room(void **state)
{
    (void)state;
    assert_false(grab_bound_take(&b, 199, false, &retry_ms));
    assert_true(grab_bound_take(&b, 199, true, &retry_ms));
    assert_false(grab_bound_take(&b, 200, true, &retry_ms));
}

/* 20,000 answers per second and 100 ms: about 2,000 may wait, at twice the load as well. */
static void test_the_bound_follows_the_pace(void **state)
{
    uint32_t taken = 0;

    (void)state;
    for (int i = 0; i < 30; i++)
        tick(4000, 2000);
    for (int i = 0; i < 50; i++) {
        taken += tick(4000, 2000);
        assert_in_range(waiting, 1500, 2100);
    }
    assert_in_range(taken, 50 * 1950, 50 * 2050); /* nothing of the pace is lost */
    assert_in_range(retry_ms, 200, 200);
    /* The pool slows down to a tenth. */
    for (int i = 0; i < 60; i++)
        tick(4000, 200);
    assert_in_range(waiting, 100, 700); /* three times as long as they should, not longer */
    assert_in_range(retry_ms, 200, 200);
    /* And stands still: the least. */
    for (int i = 0; i < 60; i++)
        tick(4000, 0);
    assert_int_equal(waiting < 700, 1);
    assert_int_equal(tick(4000, 0), 0);
    assert_int_equal(retry_ms, 2000);
}

/* Each answer takes 250 ms for a reason that is not the queue: with fewer in flight there would only be fewer answers. */
static void test_a_slow_way_is_no_long_queue(void **state)
{
    uint32_t taken = 0;

    (void)state;
    for (int i = 0; i < 30; i++)
        tick(4000, 2000);
    for (int i = 0; i < 600; i++)
        taken = tick(4000, waiting * TICK_MS / 250);
    assert_in_range(waiting, 1500, 2100);
    assert_in_range(taken, 600, 900);
}

/* Little to do is no slowness: the pace of the last rain is that of the next. */
static void test_idle_forgets_nothing(void **state)
{
    double pace = 0;

    (void)state;
    for (int i = 0; i < 30; i++)
        tick(4000, 2000);
    pace = b.per_s;
    tick(0, 4000);
    for (int i = 0; i < 1000; i++)
        tick(3, 4000);
    assert_in_range((int64_t)b.per_s, (int64_t)(pace * 0.7), (int64_t)(pace * 1.3));
    assert_int_equal(waiting, 0);
    assert_true(tick(1500, 2000) == 1500);
}

static void test_off(void **state)
{
    (void)state;
    b.wait_us = 0;
    assert_true(grab_bound_take(&b, 1000000, false, &retry_ms));
    assert_false(grab_bound_tick(&b, 1000000, now_us));
}

static void test_a_slice_is_not_too_short(void **state)
{
    (void)state;
    now_us += TICK_MS * MS;
    grab_bound_tick(&b, 0, now_us);
    for (uint32_t i = 0; i < 50; i++)
        assert_true(grab_bound_take(&b, 0, false, &retry_ms)); /* each answered at once */
    grab_bound_tick(&b, 0, now_us + 1);
    assert_true(b.per_s == 0);
    grab_bound_tick(&b, 0, now_us + TICK_MS * MS);
    assert_true(b.per_s > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_the_least_is_always_taken, setup),
        cmocka_unit_test_setup(test_one_that_may_have_won_has_twice_the_room, setup),
        cmocka_unit_test_setup(test_the_bound_follows_the_pace, setup),
        cmocka_unit_test_setup(test_a_slow_way_is_no_long_queue, setup),
        cmocka_unit_test_setup(test_idle_forgets_nothing, setup),
        cmocka_unit_test_setup(test_off, setup),
        cmocka_unit_test_setup(test_a_slice_is_not_too_short, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
