/* A worker's list of bans. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ban_list.h"

static struct ban_list *l;

static int setup(void **state)
{
    (void)state;
    l = ban_list_create(3);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ban_list_destroy(l);
    return 0;
}

static enum rr_err set(enum ban_scope scope, uint64_t who, int64_t until_ms, int64_t now_ms)
{
    struct ban b = {.scope = scope, .who = who, .until_ms = until_ms};

    return ban_list_set(l, &b, now_ms);
}

static void test_until(void **state)
{
    (void)state;
    assert_int_equal(set(BAN_USER, 7, 1000, 0), RR_OK);
    assert_int_equal(set(BAN_USER, 8, INT64_MAX, 0), RR_OK);
    assert_true(ban_list_has(l, BAN_USER, 7, 999));
    assert_false(ban_list_has(l, BAN_USER, 7, 1000));
    assert_true(ban_list_has(l, BAN_USER, 8, INT64_MAX - 1));
    assert_false(ban_list_has(l, BAN_USER, 9, 0));
    assert_int_equal(set(BAN_USER, 8, 0, 0), RR_OK);
    assert_false(ban_list_has(l, BAN_USER, 8, 0));
    assert_int_equal(ban_list_count(l), 1);
}

static void test_scopes_are_apart(void **state)
{
    (void)state;
    assert_int_equal(set(BAN_ADDRESS, 7, INT64_MAX, 0), RR_OK);
    assert_false(ban_list_has(l, BAN_USER, 7, 0));
    assert_true(ban_list_has(l, BAN_ADDRESS, 7, 0));
    /* Nobody is never banned: a guest has user 0, loopback has address 0. */
    assert_int_equal(set(BAN_USER, 0, INT64_MAX, 0), RR_OK);
    assert_false(ban_list_has(l, BAN_USER, 0, 0));
}

static void test_full(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 3; i++)
        assert_int_equal(set(BAN_USER, i, 1000, 0), RR_OK);
    assert_int_equal(set(BAN_USER, 4, 1000, 0), RR_FULL);
    assert_int_equal(set(BAN_USER, 2, 2000, 0), RR_OK);
    assert_true(ban_list_has(l, BAN_USER, 2, 1500));
}

static void test_replace(void **state)
{
    const struct ban first[] = {{BAN_USER, 1, INT64_MAX}, {BAN_ADDRESS, 2, 1000}};
    const struct ban same[] = {{BAN_ADDRESS, 2, 5000}, {BAN_USER, 1, INT64_MAX}};
    const struct ban twice[] = {{BAN_USER, 5, 2000}, {BAN_USER, 5, 100}, {BAN_USER, 6, 50},
                                {BAN_USER, 7, 99},   {BAN_USER, 8, 900}, {BAN_USER, 9, 900}};

    (void)state;
    assert_true(ban_list_replace(l, first, 2, 0));
    assert_false(ban_list_replace(l, same, 2, 0));
    assert_true(ban_list_has(l, BAN_ADDRESS, 2, 4999));
    assert_false(ban_list_replace(l, same, 1, 0));
    assert_false(ban_list_has(l, BAN_USER, 1, 0));
    /* The newer of two, none that is over, no more than fit. */
    assert_true(ban_list_replace(l, twice, 6, 99));
    assert_true(ban_list_has(l, BAN_USER, 5, 1999));
    assert_false(ban_list_has(l, BAN_USER, 7, 99));
    assert_int_equal(ban_list_count(l), 3);
    assert_false(ban_list_replace(l, NULL, 0, 99));
    assert_int_equal(ban_list_count(l), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_until, setup, teardown),
        cmocka_unit_test_setup_teardown(test_scopes_are_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replace, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
