#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "room/sanctions.h"

static void holds_for_one_room_user_and_kind(void **state)
{
    struct sanctions *t = sanctions_create(8);

    (void)state;
    assert_int_equal(sanctions_set(t, SANCTION_MUTE, "r1", 7, 500, 100), RR_OK);
    assert_int_equal(sanctions_left_us(t, SANCTION_MUTE, "r1", 7, 100), 400);
    assert_int_equal(sanctions_left_us(t, SANCTION_KICK, "r1", 7, 100), 0);
    assert_int_equal(sanctions_left_us(t, SANCTION_MUTE, "r2", 7, 100), 0);
    assert_int_equal(sanctions_left_us(t, SANCTION_MUTE, "r1", 8, 100), 0);
    assert_int_equal(sanctions_left_us(t, SANCTION_MUTE, "r1", 7, 500), 0);
    sanctions_destroy(t);
}

static void is_replaced_and_lifted(void **state)
{
    struct sanctions *t = sanctions_create(1);

    (void)state;
    assert_int_equal(sanctions_set(t, SANCTION_KICK, "r", 7, 500, 100), RR_OK);
    assert_int_equal(sanctions_set(t, SANCTION_KICK, "r", 7, 900, 100), RR_OK);
    assert_int_equal(sanctions_left_us(t, SANCTION_KICK, "r", 7, 100), 800);
    assert_int_equal(sanctions_set(t, SANCTION_KICK, "r", 7, 100, 100), RR_OK);
    assert_int_equal(sanctions_left_us(t, SANCTION_KICK, "r", 7, 100), 0);
    assert_int_equal(sanctions_set(t, SANCTION_KICK, "r", 7, 0, 100), RR_OK);
    sanctions_destroy(t);
}

static void is_bounded_and_drops_what_is_over(void **state)
{
    struct sanctions *t = sanctions_create(2);

    (void)state;
    assert_int_equal(sanctions_set(t, SANCTION_MUTE, "r", 1, 200, 100), RR_OK);
    assert_int_equal(sanctions_set(t, SANCTION_MUTE, "r", 2, 900, 100), RR_OK);
    assert_int_equal(sanctions_set(t, SANCTION_MUTE, "r", 3, 900, 150), RR_FULL);
    assert_int_equal(sanctions_set(t, SANCTION_MUTE, "r", 3, 900, 200), RR_OK);
    assert_int_equal(sanctions_left_us(t, SANCTION_MUTE, "r", 2, 200), 700);
    sanctions_destroy(t);
    sanctions_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_for_one_room_user_and_kind),
        cmocka_unit_test(is_replaced_and_lifted),
        cmocka_unit_test(is_bounded_and_drops_what_is_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
