/* A process that hangs when it should end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

#include "base/deadline.h"

static int status_of(void (*child)(void))
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        child();
        _exit(0);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void hangs(void)
{
    close(STDERR_FILENO);
    rr_deadline_set(20);
    for (;;)
        pause();
}

static void ends_by_itself(void)
{
    rr_deadline_set(60000);
}

static void who_hangs_is_ended(void **state)
{
    int status = status_of(hangs);

    (void)state;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
}

static void who_ends_in_time_is_left_alone(void **state)
{
    int status = status_of(ends_by_itself);

    (void)state;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_hangs_is_ended),
        cmocka_unit_test(who_ends_in_time_is_left_alone),
    };
    return cmocka_run_group_tests_name("deadline", tests, NULL, NULL);
}
