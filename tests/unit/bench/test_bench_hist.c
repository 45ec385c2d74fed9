#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "hist.h"

static void reports_zero_when_empty(void **state)
{
    (void)state;
    struct hist *h = calloc(1, sizeof(*h));
    assert_int_equal(hist_permille(h, 500), 0);
    assert_int_equal(hist_permille(h, 1000), 0);
    free(h);
}

static void is_exact_below_128(void **state)
{
    (void)state;
    struct hist *h = calloc(1, sizeof(*h));
    for (int64_t v = 1; v <= 100; v++)
        hist_record(h, v);
    assert_int_equal(hist_permille(h, 500), 50);
    assert_int_equal(hist_permille(h, 990), 99);
    assert_int_equal(hist_permille(h, 0), 1);
    assert_int_equal(h->min, 1);
    assert_int_equal(h->max, 100);
    free(h);
}

/* One value alone, so that every permille is that value; two values, so that the bucket's bound
 * shows. */
static void stays_within_one_percent(void **state)
{
    (void)state;
    struct hist *h = calloc(1, sizeof(*h));
    for (int64_t v = 1; v < INT64_C(1) << 39; v = v * 5 / 4 + 1) {
        memset(h, 0, sizeof(*h));
        hist_record(h, v);
        hist_record(h, v * 2);
        int64_t got = hist_permille(h, 500);
        assert_true(got >= v);
        assert_true(got - v <= v / 100);
    }
    free(h);
}

static void finds_permilles_of_uniform_values(void **state)
{
    (void)state;
    struct hist *h = calloc(1, sizeof(*h));
    for (int64_t v = 1; v <= 100000; v++)
        hist_record(h, v);
    int64_t p50 = hist_permille(h, 500);
    int64_t p99 = hist_permille(h, 990);
    assert_in_range(p50, 50000, 50500);
    assert_in_range(p99, 99000, 99990);
    assert_int_equal(hist_permille(h, 1000), 100000);
    free(h);
}

static void clamps_negative_and_huge_values(void **state)
{
    (void)state;
    struct hist *h = calloc(1, sizeof(*h));
    hist_record(h, -5);
    assert_int_equal(h->min, 0);
    hist_record(h, INT64_MAX);
    assert_true(h->max == INT64_MAX);
    assert_int_equal(h->n, 2);
    assert_true(hist_permille(h, 1000) == INT64_MAX);
    assert_int_equal(hist_permille(h, 500), 0);
    free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reports_zero_when_empty),
        cmocka_unit_test(is_exact_below_128),
        cmocka_unit_test(stays_within_one_percent),
        cmocka_unit_test(finds_permilles_of_uniform_values),
        cmocka_unit_test(clamps_negative_and_huge_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
