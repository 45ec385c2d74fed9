/* Steps of a rain's amounts: what a viewer reads his place from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "protocol/limits.h"
#include "result_hist.h"

static struct hist_step out[RESULT_HIST_MAX];

static void each_amount_is_a_step_while_they_fit(void **state)
{
    static const int64_t fen[] = {900, 500, 500, 500, 20, 20, 1};

    (void)state;
    assert_int_equal(result_hist(fen, 0, out), 0);
    assert_int_equal(result_hist(fen, 7, out), 4);
    assert_true(out[0].hi_fen == 900 && out[0].n == 1);
    assert_true(out[1].hi_fen == 500 && out[1].n == 3);
    assert_true(out[2].hi_fen == 20 && out[2].n == 2);
    assert_true(out[3].hi_fen == 1 && out[3].n == 1);
}

static void exactly_as_many_as_fit(void **state)
{
    int64_t fen[RESULT_HIST_MAX + 1];

    (void)state;
    for (uint32_t i = 0; i <= RESULT_HIST_MAX; i++)
        fen[i] = 1000 - i;
    assert_int_equal(result_hist(fen, RESULT_HIST_MAX, out), RESULT_HIST_MAX);
    assert_true(result_hist(fen, RESULT_HIST_MAX + 1, out) < RESULT_HIST_MAX);
}

static void many_amounts_make_steps_a_third_of_what_is_above(void **state)
{
    const uint32_t n = RR_PACKETS_MAX;
    int64_t *fen = rr_xcalloc(n, sizeof(*fen));
    uint32_t above = 0;
    uint32_t steps_n = 0;

    (void)state;
    for (uint32_t i = 0; i < n; i++)
        fen[i] = 2 * (int64_t)n - i;
    steps_n = result_hist(fen, n, out);
    assert_in_range(steps_n, 40, RESULT_HIST_MAX);
    for (uint32_t i = 0; i < steps_n; i++) {
        assert_int_equal(out[i].hi_fen, fen[above]);
        assert_true(out[i].n <= 1 + above / 3);
        above += out[i].n;
    }
    assert_int_equal(above, n);
    free(fen);
}

static void equal_amounts_are_never_divided(void **state)
{
    const uint32_t n = 1000;
    int64_t fen[1000];
    uint32_t above = 0;
    uint32_t steps_n = 0;

    (void)state;
    for (uint32_t i = 0; i < n; i++)
        fen[i] = i < 200 ? 5000 - i : 70; /* 201 different ones */
    steps_n = result_hist(fen, n, out);
    for (uint32_t i = 0; i < steps_n; i++)
        above += out[i].n;
    assert_int_equal(above, n);
    /* The 800 equal ones are together: no step begins inside of them. */
    assert_true(out[steps_n - 1].n >= 800);
    for (uint32_t i = 0; i < steps_n; i++)
        fen[i] = out[i].hi_fen;
    for (uint32_t i = 1; i < steps_n; i++)
        assert_true(fen[i] < fen[i - 1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_amount_is_a_step_while_they_fit),
        cmocka_unit_test(exactly_as_many_as_fit),
        cmocka_unit_test(many_amounts_make_steps_a_third_of_what_is_above),
        cmocka_unit_test(equal_amounts_are_never_divided),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
