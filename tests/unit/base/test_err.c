#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static void names_and_texts_are_distinct(void **state)
{
    (void)state;
    assert_int_equal(RR_OK, 0);
    assert_string_equal(rr_err_name(RR_OK), "OK");
    assert_string_equal(rr_err_name(RR_SOLD_OUT), "SOLD_OUT");
    assert_string_equal(rr_err_name(RR_CORRUPT), "CORRUPT");
    for (int a = 0; a < RR_ERR_COUNT; a++) {
        assert_true(strlen(rr_err_text((enum rr_err)a)) > 1);
        for (int b = 0; b < a; b++) {
            assert_string_not_equal(rr_err_name((enum rr_err)a), rr_err_name((enum rr_err)b));
            assert_string_not_equal(rr_err_text((enum rr_err)a), rr_err_text((enum rr_err)b));
        }
    }
}

static void unknown_error_has_a_name(void **state)
{
    (void)state;
    assert_string_equal(rr_err_name(RR_ERR_COUNT), "?");
    assert_string_equal(rr_err_name((enum rr_err) - 1), "?");
    assert_string_equal(rr_err_text((enum rr_err)9999), "unknown error");
}

static void assert_aborts_and_says_where(void **state)
{
    char text[512] = "";
    int pipe_fds[2];
    int status = 0;
    pid_t pid = 0;

    (void)state;
    RR_ASSERT(1 + 1 == 2);
    assert_int_equal(pipe(pipe_fds), 0);
    pid = fork();
    if (pid == 0) {
        dup2(pipe_fds[1], STDERR_FILENO);
        rr_assert_fail("1 == 2", "file.c", 7, "func");
    }
    close(pipe_fds[1]);
    assert_true(read(pipe_fds[0], text, sizeof(text) - 1) > 0);
    close(pipe_fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_non_null(strstr(text, "file.c:7 func: 1 == 2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_texts_are_distinct),
        cmocka_unit_test(unknown_error_has_a_name),
        cmocka_unit_test(assert_aborts_and_says_where),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
