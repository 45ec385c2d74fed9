#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "timers.h"

static void pops_in_order_when_due(void **state)
{
    (void)state;
    struct timers t;
    timers_init(&t, 4);
    timers_set(&t, 0, 30);
    timers_set(&t, 1, 10);
    timers_set(&t, 2, 20);
    assert_int_equal(timers_next(&t), 10);
    assert_int_equal(timers_pop(&t, 9), UINT32_MAX);
    assert_int_equal(timers_pop(&t, 25), 1);
    assert_int_equal(timers_pop(&t, 25), 2);
    assert_int_equal(timers_pop(&t, 25), UINT32_MAX);
    assert_int_equal(timers_pop(&t, 30), 0);
    assert_true(timers_next(&t) == TIMER_NEVER);
    timers_fini(&t);
}

static void moves_and_disarms(void **state)
{
    (void)state;
    struct timers t;
    timers_init(&t, 3);
    timers_set(&t, 0, 10);
    timers_set(&t, 1, 20);
    timers_set(&t, 0, 30);
    assert_int_equal(timers_next(&t), 20);
    timers_set(&t, 1, TIMER_NEVER);
    timers_set(&t, 1, TIMER_NEVER);
    assert_int_equal(timers_next(&t), 30);
    timers_set(&t, 2, 5);
    assert_int_equal(timers_pop(&t, 100), 2);
    assert_int_equal(timers_pop(&t, 100), 0);
    assert_int_equal(timers_pop(&t, 100), UINT32_MAX);
    timers_fini(&t);
}

/* Against the obvious model: the smallest of an array. */
static void agrees_with_a_linear_scan(void **state)
{
    (void)state;
    enum { N = 60 };
    struct timers t;
    int64_t model[N];
    uint32_t rng = 12345;

    timers_init(&t, N);
    for (uint32_t i = 0; i < N; i++)
        model[i] = TIMER_NEVER;
    for (int step = 0; step < 20000; step++) {
        rng = rng * 1664525u + 1013904223u;
        uint32_t slot = (rng >> 8) % N;
        int64_t at = (rng >> 20) % 7 == 0 ? TIMER_NEVER : (int64_t)(rng >> 16);
        timers_set(&t, slot, at);
        model[slot] = at;
        int64_t least = TIMER_NEVER;
        for (uint32_t i = 0; i < N; i++)
            least = model[i] < least ? model[i] : least;
        assert_true(timers_next(&t) == least);
        if (step % 3 == 0 && least != TIMER_NEVER) {
            uint32_t popped = timers_pop(&t, least);
            assert_true(popped < N);
            assert_true(model[popped] == least);
            model[popped] = TIMER_NEVER;
        }
    }
    timers_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pops_in_order_when_due),
        cmocka_unit_test(moves_and_disarms),
        cmocka_unit_test(agrees_with_a_linear_scan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
