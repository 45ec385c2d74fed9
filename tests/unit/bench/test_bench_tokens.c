#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "crowd.h"

static enum rr_err load(const char *text, struct user **users, uint32_t *n)
{
    char path[] = "/tmp/redrain-tokens-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    enum rr_err err = tokens_load(path, users, n);
    unlink(path);
    return err;
}

static void drop(struct user *users, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        user_fini(&users[i]);
    free(users);
}

static void reads_users_and_tokens(void **state)
{
    (void)state;
    struct user *users = NULL;
    uint32_t n = 0;
    assert_int_equal(load("1 aaa.bbb.ccc\n\n 22\tddd\r\n3 e", &users, &n), RR_OK);
    assert_int_equal(n, 3);
    assert_string_equal(users[0].id, "1");
    assert_string_equal(users[0].token, "aaa.bbb.ccc");
    assert_string_equal(users[1].id, "22");
    assert_string_equal(users[1].token, "ddd");
    assert_string_equal(users[2].token, "e");
    drop(users, n);
}

static void refuses_other_lines(void **state)
{
    (void)state;
    const char *bad[] = {"1\n", "1 a b\n", "x a\n", "1\"2 a\n", "12345678901234567890 a\n", ""};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct user *users = NULL;
        uint32_t n = 0;
        assert_int_equal(load(bad[i], &users, &n), RR_CONFIG);
        drop(users, n);
    }
}

static void says_when_there_is_no_file(void **state)
{
    (void)state;
    struct user *users = NULL;
    uint32_t n = 0;
    assert_int_equal(tokens_load("/nowhere/at/all", &users, &n), RR_SYSTEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_users_and_tokens),
        cmocka_unit_test(refuses_other_lines),
        cmocka_unit_test(says_when_there_is_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
