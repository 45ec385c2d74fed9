/* The queue of what is to be told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "credits.h"

enum { MAX = 8 };

static struct credits q;

static int begin(void **state)
{
    (void)state;
    credits_init(&q, MAX);
    return 0;
}

static int end(void **state)
{
    (void)state;
    credits_fini(&q);
    return 0;
}

/* n credits of the users from `first` on. */
static uint32_t put(int64_t first, uint32_t n)
{
    struct settle_credit items[2 * MAX] = {{.user_id = 0}};

    for (uint32_t i = 0; i < n; i++)
        items[i].user_id = first + i;
    return credits_put(&q, items, n);
}

static void assert_taken(uint32_t max, int64_t first, uint32_t n)
{
    struct settle_credit out[2 * MAX];

    assert_int_equal(credits_take(&q, out, max), n);
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(out[i].user_id, first + i);
}

static void they_come_out_in_order_some_at_a_time(void **state)
{
    (void)state;
    assert_taken(3, 0, 0);
    assert_int_equal(put(1, 5), 0);
    assert_taken(3, 1, 3);
    assert_int_equal(put(6, 2), 0);
    assert_taken(3, 4, 3);
    assert_taken(3, 7, 1);
    assert_taken(3, 0, 0);
}

static void what_does_not_fit_is_counted(void **state)
{
    (void)state;
    assert_int_equal(put(1, 6), 0);
    assert_int_equal(put(7, 5), 3); /* two of them fit */
    assert_int_equal(put(100, 4), 4);
    assert_taken(MAX, 1, MAX);
    assert_int_equal(put(200, 2 * MAX), MAX);
    assert_taken(2 * MAX, 200, MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(they_come_out_in_order_some_at_a_time, begin, end),
        cmocka_unit_test_setup_teardown(what_does_not_fit_is_counted, begin, end),
    };
    return cmocka_run_group_tests_name("credits", tests, NULL, NULL);
}
