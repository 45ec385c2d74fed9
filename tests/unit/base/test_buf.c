#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void append_grows_and_terminates(void **state)
{
    struct rr_buf b = {0};

    (void)state;
    for (int i = 0; i < 5000; i++) {
        rr_buf_append(&b, "ab", 2);
        assert_int_equal(b.p[b.len], 0);
    }
    assert_int_equal(b.len, 10000);
    assert_false(b.failed);
    assert_memory_equal(b.p + 9998, "ab", 3);
    rr_buf_fini(&b);
    assert_null(b.p);
}

static void append_nothing_still_terminates(void **state)
{
    struct rr_buf b = {0};

    (void)state;
    rr_buf_append(&b, NULL, 0);
    assert_string_equal(b.p, "");
    rr_buf_fini(&b);
}

static void cap_is_exact_and_failure_sticks(void **state)
{
    struct rr_buf b;

    (void)state;
    rr_buf_init(&b, 10);
    rr_buf_puts(&b, "0123456789");
    assert_false(b.failed);
    rr_buf_puts(&b, "x");
    assert_true(b.failed);
    rr_buf_append(&b, NULL, 0);
    rr_buf_printf(&b, "%d", 1);
    assert_string_equal(b.p, "0123456789");
    rr_buf_clear(&b);
    assert_false(b.failed);
    rr_buf_puts(&b, "again");
    assert_string_equal(b.p, "again");
    rr_buf_fini(&b);
    assert_int_equal(b.cap, 10);
}

static void length_that_would_overflow_fails(void **state)
{
    struct rr_buf b = {0};

    (void)state;
    rr_buf_puts(&b, "a");
    rr_buf_append(&b, "b", SIZE_MAX);
    assert_true(b.failed);
    assert_int_equal(b.len, 1);
    rr_buf_fini(&b);
}

static void printf_of_any_length(void **state)
{
    char want[600];
    struct rr_buf b = {0};

    (void)state;
    for (int width = 1; width < 600; width += 37) {
        rr_buf_clear(&b);
        rr_buf_printf(&b, "%*d", width, 7);
        snprintf(want, sizeof(want), "%*d", width, 7);
        assert_string_equal(b.p, want);
        assert_int_equal(b.len, width);
    }
    rr_buf_fini(&b);
}

static void clear_keeps_the_memory(void **state)
{
    struct rr_buf b = {0};
    char *p = NULL;

    (void)state;
    rr_buf_puts(&b, "some text");
    p = b.p;
    rr_buf_clear(&b);
    assert_string_equal(b.p, "");
    rr_buf_puts(&b, "x");
    assert_ptr_equal(b.p, p);
    rr_buf_fini(&b);
    rr_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(append_grows_and_terminates),
        cmocka_unit_test(append_nothing_still_terminates),
        cmocka_unit_test(cap_is_exact_and_failure_sticks),
        cmocka_unit_test(length_that_would_overflow_fails),
        cmocka_unit_test(printf_of_any_length),
        cmocka_unit_test(clear_keeps_the_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
