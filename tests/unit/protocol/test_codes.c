#include "protocol/msg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void names_are_the_rows_of_the_tables(void **state)
{
    (void)state;
    assert_string_equal(msg_op_name(MSG_GRAB), "GRAB");
    assert_string_equal(msg_op_name((enum msg_op)99), "?");
    assert_string_equal(result_name(RESULT_SOLD_OUT), "SOLD_OUT");
    assert_string_equal(result_name((enum result_code)99), "?");
    assert_string_equal(close_name(CLOSE_SLOW), "SLOW");
    assert_string_equal(close_name((enum close_code)4009), "?");
}

/* Errors that have a code of their own keep their name on the way to the wire. */
static void result_of_keeps_the_name(void **state)
{
    (void)state;
#define X(name, n, retry, zh, en)                                                                  \
    assert_string_equal(rr_err_name((enum rr_err)n), #name);                                       \
    assert_int_equal(result_of(RR_##name), RESULT_##name);
    RESULT_MAP(X)
#undef X
}

static void result_of_covers_every_error(void **state)
{
    (void)state;
    for (int e = 0; e < RR_ERR_COUNT; e++)
        assert_string_not_equal(result_name(result_of((enum rr_err)e)), "?");
    assert_int_equal(result_of(RR_NO_MONEY), RESULT_CONFLICT);
    assert_int_equal(result_of(RR_FULL), RESULT_BUSY);
    assert_int_equal(result_of(RR_RETRY), RESULT_BUSY);
    assert_int_equal(result_of(RR_TIMEOUT), RESULT_UNAVAILABLE);
    assert_int_equal(result_of(RR_MALFORMED), RESULT_BAD_REQUEST);
    assert_int_equal(result_of(RR_ERR_COUNT), RESULT_UNAVAILABLE);
}

/* "Gone" must never be said because of a failure. */
static void no_failure_becomes_a_final_answer_of_a_rain(void **state)
{
    (void)state;
    for (int e = RR_NO_MONEY; e < RR_ERR_COUNT; e++) {
        enum result_code code = result_of((enum rr_err)e);

        assert_int_not_equal(code, RESULT_SOLD_OUT);
        assert_int_not_equal(code, RESULT_LIMIT);
        assert_int_not_equal(code, RESULT_ENDED);
    }
}

static void final_results_are_not_retryable(void **state)
{
    (void)state;
    assert_false(result_retryable(RESULT_OK));
    assert_false(result_retryable(RESULT_SOLD_OUT));
    assert_false(result_retryable(RESULT_LIMIT));
    assert_false(result_retryable(RESULT_ENDED));
    assert_true(result_retryable(RESULT_BUSY));
    assert_true(result_retryable(RESULT_RECOVERING));
    assert_false(result_retryable((enum result_code) - 1));
}

/* Clients may decide by the number alone: 4000-4499 come back, from 4500 on do not. */
static void private_close_codes_say_whether_to_reconnect(void **state)
{
    (void)state;
#define X(name, n, reconnect, zh, en)                                                              \
    if ((n) >= 4000)                                                                               \
        assert_int_equal((n) < 4500, reconnect);
    CLOSE_MAP(X)
#undef X
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_the_rows_of_the_tables),
        cmocka_unit_test(result_of_keeps_the_name),
        cmocka_unit_test(result_of_covers_every_error),
        cmocka_unit_test(no_failure_becomes_a_final_answer_of_a_rain),
        cmocka_unit_test(final_results_are_not_retryable),
        cmocka_unit_test(private_close_codes_say_whether_to_reconnect),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
