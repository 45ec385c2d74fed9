#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "purse.h"

static void knows_new_same_and_different_wins(void **state)
{
    (void)state;
    struct user u = {0};
    struct rain_view a = {.code = "a"};
    struct rain_view b = {.code = "b"};
    struct grant g = {.seq = 2, .shard = 1, .packet_no = 7, .amount_fen = 345};

    assert_int_equal(user_told(&u, &a, &g), PURSE_NEW);
    assert_int_equal(user_told(&u, &a, &g), PURSE_SAME);
    assert_int_equal(user_told(&u, &b, &g), PURSE_NEW);
    struct grant other = g;
    other.amount_fen++;
    assert_int_equal(user_told(&u, &a, &other), PURSE_DIFFERS);
    other = g;
    other.packet_no++;
    assert_int_equal(user_told(&u, &a, &other), PURSE_DIFFERS);
    other = g;
    other.shard++;
    assert_int_equal(user_told(&u, &a, &other), PURSE_DIFFERS);
    assert_int_equal(u.wins, 2);
    user_fini(&u);
}

static void keeps_entries_apart_and_bounded(void **state)
{
    (void)state;
    struct user u = {0};
    struct rain_view a = {.code = "a"};

    user_entry(&u, &a, 0)->pending = true;
    user_entry(&u, &a, 900)->unanswered = true;
    assert_true(user_entry(&u, &a, 0)->pending);
    assert_false(user_entry(&u, &a, 0)->unanswered);
    assert_true(user_entry(&u, &a, 900)->unanswered);
    assert_false(user_entry(&u, &a, 901)->unanswered);
    assert_null(user_entry(&u, &a, -1));
    assert_null(user_entry(&u, &a, PURSE_SEQ_MAX));
    assert_int_equal(u.wins, 0);
    user_fini(&u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_new_same_and_different_wins),
        cmocka_unit_test(keeps_entries_apart_and_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
