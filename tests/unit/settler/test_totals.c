/* The users whose totals wait for the end of a rush. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "totals.h"

enum { MAX = 8 };

static struct totals t;

static int begin(void **state)
{
    (void)state;
    totals_init(&t, MAX);
    return 0;
}

static int end(void **state)
{
    (void)state;
    totals_fini(&t);
    return 0;
}

#define ADD(now_us, ...)                                                                           \
    add((int64_t[]){__VA_ARGS__}, RR_COUNTOF(((int64_t[]){__VA_ARGS__})), now_us)

static bool add(const int64_t *user_ids, size_t n, int64_t now_us)
{
    struct settle_credit items[MAX] = {{.user_id = 0}};

    assert_true(n <= MAX);
    for (size_t i = 0; i < n; i++)
        items[i].user_id = user_ids[i];
    return totals_add(&t, items, (uint32_t)n, now_us);
}

static void a_user_is_summed_once(void **state)
{
    int64_t out[MAX];

    (void)state;
    assert_true(ADD(1, 9, 3, 9));
    assert_true(ADD(2, 3, 5));
    assert_int_equal(totals_peek(&t, out, 2), 2);
    assert_int_equal(out[0], 3);
    assert_int_equal(out[1], 5);
    assert_int_equal(totals_peek(&t, out, 2), 2); /* they stay: Redis was down */
    totals_drop(&t, 2);
    assert_int_equal(totals_peek(&t, out, MAX), 1);
    assert_int_equal(out[0], 9);
    totals_drop(&t, 1);
    assert_int_equal(totals_peek(&t, out, MAX), 0);
}

static void it_is_bounded_by_distinct_users(void **state)
{
    int64_t out[MAX];

    (void)state;
    assert_true(ADD(1, 1, 1, 1, 1, 1, 1, 1));
    assert_true(ADD(1, 2, 3, 4, 5, 6, 7)); /* the repeats made room */
    assert_false(ADD(1, 8, 9));
    assert_int_equal(totals_peek(&t, out, MAX), 7); /* nothing of it was added */
    totals_drop(&t, 1);
    assert_true(ADD(1, 8, 9));
    assert_int_equal(totals_peek(&t, out, MAX), MAX);
}

static void they_are_due_when_it_is_quiet_or_after_long(void **state)
{
    (void)state;
    assert_false(totals_due(&t, 1000, 10, 100));
    assert_true(ADD(1000, 1));
    assert_false(totals_due(&t, 1009, 10, 100));
    assert_true(totals_due(&t, 1010, 10, 100));
    for (int64_t at = 1005; at < 1100; at += 5) {
        assert_true(ADD(at, 2));
        assert_false(totals_due(&t, at + 4, 10, 100));
    }
    assert_true(totals_due(&t, 1100, 10, 100)); /* the oldest waited long enough */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_user_is_summed_once, begin, end),
        cmocka_unit_test_setup_teardown(it_is_bounded_by_distinct_users, begin, end),
        cmocka_unit_test_setup_teardown(they_are_due_when_it_is_quiet_or_after_long, begin, end),
    };
    return cmocka_run_group_tests_name("totals", tests, NULL, NULL);
}
