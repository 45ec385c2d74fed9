#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static void calloc_is_zero_and_never_null(void **state)
{
    char *p = rr_xcalloc(10, 10);
    char *none = rr_xcalloc(0, 0);

    (void)state;
    for (int i = 0; i < 100; i++)
        assert_int_equal(p[i], 0);
    assert_non_null(none);
    free(p);
    free(none);
}

static void realloc_keeps_contents(void **state)
{
    char *p = rr_xrealloc(NULL, 4, 1);

    (void)state;
    memcpy(p, "abc", 4);
    p = rr_xrealloc(p, 1000, 8);
    assert_string_equal(p, "abc");
    p = rr_xrealloc(p, 0, 8);
    assert_non_null(p);
    free(p);
}

static void strings_are_copied(void **state)
{
    char *whole = rr_xstrdup("hello");
    char *part = rr_xstrndup("hello", 2);
    char *empty = rr_xstrndup(NULL, 0);

    (void)state;
    assert_string_equal(whole, "hello");
    assert_string_equal(part, "he");
    assert_string_equal(empty, "");
    free(whole);
    free(part);
    free(empty);
}

static void overflowing_realloc_aborts(void **state)
{
    int status = 0;
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        close(STDERR_FILENO);
        free(rr_xrealloc(NULL, SIZE_MAX / 2, 4));
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calloc_is_zero_and_never_null),
        cmocka_unit_test(realloc_keeps_contents),
        cmocka_unit_test(strings_are_copied),
        cmocka_unit_test(overflowing_realloc_aborts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
