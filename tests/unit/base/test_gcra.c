#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/gcra.h"

#define S 1000000

struct key {
    int64_t tat_us;
    int64_t retry_us;
};

static int pass(struct key *k, int64_t now_us, const struct gcra_rate *r)
{
    int64_t next_us = gcra_next(k->tat_us, now_us, r, &k->retry_us);

    if (next_us < 0)
        return 0;
    k->tat_us = next_us;
    return 1;
}

static void burst_then_rate(void **state)
{
    struct gcra_rate r = gcra_rate_of(10, S, 20);
    struct key k = {0};
    int64_t now_us = 5 * S;
    int passed = 0;

    (void)state;
    while (pass(&k, now_us, &r))
        passed++;
    assert_int_equal(passed, 20);
    assert_int_equal(k.retry_us, S / 10);
    assert_int_equal(pass(&k, now_us + k.retry_us - 1, &r), 0);
    assert_int_equal(pass(&k, now_us + S / 10, &r), 1);
    assert_int_equal(pass(&k, now_us + S / 10, &r), 0);
    now_us += 60 * S;
    for (passed = 0; pass(&k, now_us, &r);)
        passed++;
    assert_int_equal(passed, 20); /* a pause does not save up more than the burst */
}

/* Whatever the pattern: in any window no more than burst + rate · window passes. */
static void never_more_than_burst_and_rate(void **state)
{
    static const int64_t gaps_us[] = {1, 7, 100, 9999, 33333, 250000};

    (void)state;
    for (int64_t n = 1; n < 200; n = n * 3 + 1) {
        struct gcra_rate r = gcra_rate_of(n, S, 2 * n);
        struct key k = {0};
        int64_t now_us = 0;
        int64_t passed = 0;

        for (uint32_t i = 0; i < 20000; i++) {
            now_us += gaps_us[(i * 2654435761u >> 7) % 6];
            passed += pass(&k, now_us, &r);
            assert_true(passed <= 2 * n + now_us / r.step_us + 1);
        }
        assert_true(passed >= 2 * n);
    }
}

static void sustained_rate_is_reached(void **state)
{
    struct gcra_rate r = gcra_rate_of(7, S, 14);
    struct key k = {0};
    int passed = 0;

    (void)state;
    for (int64_t ms = 0; ms < 10000; ms++)
        passed += pass(&k, S + ms * 1000, &r);
    assert_in_range(passed, 14 + 69, 14 + 71);
}

static void more_than_one_per_microsecond(void **state)
{
    struct gcra_rate r = gcra_rate_of(5 * S, S, 10 * S);
    struct key k = {0};

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(pass(&k, 1, &r), 1);
}

static void one_per_second_without_burst(void **state)
{
    struct gcra_rate r = gcra_rate_of(1, S, 1);
    struct key k = {0};

    (void)state;
    assert_int_equal(pass(&k, 100, &r), 1);
    assert_int_equal(pass(&k, 100 + S - 1, &r), 0);
    assert_int_equal(k.retry_us, 1);
    assert_int_equal(pass(&k, 100 + S, &r), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(burst_then_rate),
        cmocka_unit_test(never_more_than_burst_and_rate),
        cmocka_unit_test(sustained_rate_is_reached),
        cmocka_unit_test(more_than_one_per_microsecond),
        cmocka_unit_test(one_per_second_without_burst),
    };
    return cmocka_run_group_tests_name("gcra", tests, NULL, NULL);
}
