#include "base/slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void equality_is_of_bytes(void **state)
{
    (void)state;
    assert_true(rr_slice_eq(rr_slice_of("ab", 2), rr_slice_of("abc", 2)));
    assert_false(rr_slice_eq(rr_slice_of("ab", 2), rr_slice_of("abc", 3)));
    assert_true(rr_slice_eq(rr_slice_of(NULL, 0), rr_slice_str("")));
    assert_true(rr_slice_eq_str(rr_slice_of("code", 4), "code"));
    assert_false(rr_slice_eq_str(rr_slice_of("cod", 3), "code"));
    assert_false(rr_slice_eq_str(rr_slice_of("code\0", 5), "code"));
    assert_int_equal(rr_slice_str(NULL).len, 0);
}

static void copy_fits_or_says_no(void **state)
{
    char dst[4] = "zzz";

    (void)state;
    assert_true(rr_slice_copy(rr_slice_str("abc"), dst, sizeof(dst)));
    assert_string_equal(dst, "abc");
    assert_false(rr_slice_copy(rr_slice_str("abcd"), dst, sizeof(dst)));
    assert_string_equal(dst, "");
    assert_false(rr_slice_copy(rr_slice_of("a\0b", 3), dst, sizeof(dst)));
    assert_string_equal(dst, "");
    assert_true(rr_slice_copy(rr_slice_of(NULL, 0), dst, 1));
    assert_false(rr_slice_copy(rr_slice_of(NULL, 0), dst, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equality_is_of_bytes),
        cmocka_unit_test(copy_fits_or_says_no),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
