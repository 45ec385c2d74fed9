#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "clock_sync.h"

static void takes_the_shortest_round_trip(void **state)
{
    (void)state;
    struct clock_sync c = {0};
    /* rain time = ours + 1,000,000 us */
    clock_sync_sample(&c, 0, 1004000, 1004000, 10000); /* asymmetric: off by 1 ms */
    assert_int_equal(c.offset_us, 999000);
    clock_sync_sample(&c, 20000, 1020100, 1020100, 20200);
    assert_int_equal(c.offset_us, 1000000);
    clock_sync_sample(&c, 30000, 1039000, 1039000, 40000); /* slower: not believed */
    assert_int_equal(c.offset_us, 1000000);
    assert_int_equal(c.rtt_us, 200);
}

static void subtracts_the_servers_own_time(void **state)
{
    (void)state;
    struct clock_sync c = {0};
    clock_sync_sample(&c, 0, 500100, 500900, 1000);
    assert_int_equal(c.rtt_us, 200);
    assert_int_equal(c.offset_us, 500000);
}

static void distrusts_an_old_sample(void **state)
{
    (void)state;
    struct clock_sync c = {0};
    clock_sync_sample(&c, 0, 100, 100, 200);
    int64_t later_us = INT64_C(60) * 1000 * 1000;
    clock_sync_sample(&c, later_us, later_us + 5500, later_us + 5500, later_us + 1000);
    assert_int_equal(c.offset_us, 5000);
}

static void guesses_only_before_the_first_sample(void **state)
{
    (void)state;
    struct clock_sync c = {0};
    clock_sync_guess(&c, 7000000, 1000000);
    assert_int_equal(c.offset_us, 6000000);
    clock_sync_sample(&c, 1000000, 6000100, 6000100, 1000200);
    assert_int_equal(c.offset_us, 5000000);
    clock_sync_guess(&c, 9000000, 1000000);
    assert_int_equal(c.offset_us, 5000000);
}

static void converts_both_ways(void **state)
{
    (void)state;
    struct clock_sync c = {.offset_us = 5000000};
    assert_int_equal(clock_sync_mono_us(&c, 6000), 1000000);
    assert_int_equal(clock_sync_rain_ms(&c, 1000000), 6000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_the_shortest_round_trip),
        cmocka_unit_test(subtracts_the_servers_own_time),
        cmocka_unit_test(distrusts_an_old_sample),
        cmocka_unit_test(guesses_only_before_the_first_sample),
        cmocka_unit_test(converts_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
