#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "book.h"
#include "protocol/msg.h"

/* A rain from 1,000,000 to 5,000,000 us, one slot each 500,000 us, the first at 1,100,000. */
static const struct book_times times = {
    .open_us = 1000000,
    .end_us = 5000000,
    .phase_us = 100000,
    .interval_us = 500000,
};

struct fixture {
    struct rain_view rain;
    struct book book;
    uint32_t id;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->book.rain = &f->rain;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static struct book_ask ask_at(struct fixture *f, int64_t now_us)
{
    struct book_ask ask = {0};
    assert_true(book_due(&f->book, &times, now_us, &ask));
    book_sent(&f->book, &ask, ++f->id, now_us);
    return ask;
}

static void assert_quiet(struct fixture *f, int64_t now_us)
{
    struct book_ask ask;
    assert_false(book_due(&f->book, &times, now_us, &ask));
}

static enum book_verdict answer(struct fixture *f, int64_t result, int64_t seq, int64_t now_us)
{
    struct book_answer a = {.id = f->id, .result = result, .seq = seq, .next = -1};
    return book_take(&f->book, &times, &a, now_us);
}

static void asks_at_its_slots_only(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(book_wake_us(&f->book, &times), 1100000);
    assert_quiet(f, 1099999);
    struct book_ask ask = ask_at(f, 1100500);
    assert_int_equal(ask.seq, 0);
    assert_int_equal(ask.intended_us, 1100000);
    assert_false(ask.again);
    assert_int_equal(answer(f, RESULT_OK, 0, 1101000), BOOK_TOLD);
    assert_int_equal(book_wake_us(&f->book, &times), 1600000);
    assert_quiet(f, 1599999);
    ask = ask_at(f, 1600000);
    assert_int_equal(ask.seq, 1);
    assert_false(ask.again);
}

static void keeps_one_question_open_and_counts_missed_slots(void **state)
{
    struct fixture *f = *state;
    ask_at(f, 1100000);
    assert_quiet(f, 1600000);
    assert_int_equal(answer(f, RESULT_OK, 0, 2300000), BOOK_TOLD);
    assert_int_equal(f->book.skipped, 2);
    assert_int_equal(book_wake_us(&f->book, &times), 2600000);
}

static void goes_on_after_sold_out_and_limit_with_the_same_seq(void **state)
{
    struct fixture *f = *state;
    ask_at(f, 1100000);
    assert_int_equal(answer(f, RESULT_SOLD_OUT, -1, 1101000), BOOK_NO);
    struct book_ask ask = ask_at(f, 1600000);
    assert_int_equal(ask.seq, 0);
    assert_false(ask.again);
    assert_int_equal(answer(f, RESULT_LIMIT, 0, 1601000), BOOK_NO);
    assert_false(ask_at(f, 2100000).again);
}

static void asks_again_while_pending(void **state)
{
    struct fixture *f = *state;
    ask_at(f, 1100000);
    assert_int_equal(answer(f, RESULT_PENDING, 0, 1400000), BOOK_WAITS);
    assert_quiet(f, 1400000 + BOOK_PENDING_REASK_US - 1);
    struct book_ask ask = ask_at(f, 1400000 + BOOK_PENDING_REASK_US);
    assert_true(ask.again);
    assert_int_equal(ask.seq, 0);
    assert_int_equal(ask.intended_us, 1100000); /* the wait counts from the first GRAB */
    assert_int_equal(answer(f, RESULT_OK, 0, 3950000), BOOK_TOLD);
    assert_int_equal(f->book.seq, 1);
}

static void asks_again_after_silence(void **state)
{
    struct fixture *f = *state;
    ask_at(f, 1100000);
    assert_int_equal(book_wake_us(&f->book, &times), 1100000 + BOOK_SILENCE_REASK_US);
    /* past the end of the rain: an open question is asked until it is answered */
    assert_true(ask_at(f, 1100000 + BOOK_SILENCE_REASK_US).again);
}

static void ignores_a_no_to_an_older_question(void **state)
{
    struct fixture *f = *state;
    ask_at(f, 1100000);
    answer(f, RESULT_PENDING, 0, 1400000);
    ask_at(f, 1400000 + BOOK_PENDING_REASK_US);
    struct book_answer old = {.id = f->id - 1, .result = RESULT_SOLD_OUT, .seq = 0, .next = -1};
    assert_int_equal(book_take(&f->book, &times, &old, 3950000), BOOK_IGNORED);
    assert_true(f->book.open);
    old.result = RESULT_OK; /* a yes counts whichever question it answers */
    assert_int_equal(book_take(&f->book, &times, &old, 3960000), BOOK_TOLD);
}

static void takes_a_late_repeat_of_a_win_as_told_elsewhere(void **state)
{
    struct fixture *f = *state;
    ask_at(f, 1100000);
    assert_int_equal(answer(f, RESULT_OK, 0, 1101000), BOOK_TOLD);
    assert_int_equal(answer(f, RESULT_OK, 0, 1102000), BOOK_TOLD_OFF);
    assert_int_equal(f->book.seq, 1);
    assert_int_equal(answer(f, RESULT_OK, 3, 1103000), BOOK_TOLD_OFF); /* another socket's */
    assert_int_equal(f->book.seq, 4);
}

static void holds_back_when_refused_and_forgets_the_question(void **state)
{
    struct fixture *f = *state;
    ask_at(f, 1100000);
    struct book_answer a = {
        .id = f->id, .result = RESULT_BUSY, .seq = -1, .retry_after_ms = 700, .next = -1};
    assert_int_equal(book_take(&f->book, &times, &a, 1200000), BOOK_LATER);
    assert_int_equal(book_wake_us(&f->book, &times), 1900000);
    assert_quiet(f, 1899999);
    struct book_ask ask = {0};
    assert_false(book_due(&f->book, &times, 1900000, &ask)); /* the slot of 1.6 s was skipped */
    ask = ask_at(f, 2100000);
    assert_false(ask.again);
    assert_int_equal(ask.intended_us, 2100000);
}

static void keeps_saying_again_when_the_repeat_is_refused(void **state)
{
    struct fixture *f = *state;
    ask_at(f, 1100000);
    answer(f, RESULT_PENDING, 0, 1400000);
    ask_at(f, 3900000);
    assert_int_equal(answer(f, RESULT_RECOVERING, -1, 3910000), BOOK_LATER);
    assert_quiet(f, 3910000 + BOOK_RETRY_US - 1);
    assert_true(ask_at(f, 3910000 + BOOK_RETRY_US).again);
}

static void tries_the_next_slot_when_not_started(void **state)
{
    struct fixture *f = *state;
    ask_at(f, 1100000);
    assert_int_equal(answer(f, RESULT_NOT_STARTED, -1, 1101000), BOOK_LATER);
    assert_false(ask_at(f, 1600000).again);
}

static void follows_the_server_after_bad_seq(void **state)
{
    struct fixture *f = *state;
    f->book.seq = 5;
    ask_at(f, 1100000);
    struct book_answer a = {.id = f->id, .result = RESULT_BAD_SEQ, .seq = -1, .next = 2};
    assert_int_equal(book_take(&f->book, &times, &a, 1101000), BOOK_NO);
    struct book_ask ask = ask_at(f, 1600000);
    assert_int_equal(ask.seq, 2);
    assert_false(ask.again);
}

static void stops_at_the_end(void **state)
{
    struct fixture *f = *state;
    book_begin(&f->book, &times, 4700000);
    assert_int_equal(f->book.skipped, 0);
    assert_true(book_wake_us(&f->book, &times) == INT64_MAX);
    assert_quiet(f, 5100000);
}

static void stops_when_ended_or_over(void **state)
{
    struct fixture *f = *state;
    ask_at(f, 1100000);
    assert_int_equal(answer(f, RESULT_ENDED, -1, 1101000), BOOK_NO);
    assert_true(book_wake_us(&f->book, &times) == INT64_MAX);
    f->book.ended = false;
    f->rain.over = true;
    assert_quiet(f, 1600000);
}

static void asks_again_after_a_lost_connection(void **state)
{
    struct fixture *f = *state;
    assert_false(book_disconnect(&f->book));
    ask_at(f, 1100000);
    assert_true(book_disconnect(&f->book));
    assert_false(book_disconnect(&f->book));
    book_rejoin(&f->book, 1); /* granted, not told: the same seq is asked, not the next one */
    struct book_ask ask = ask_at(f, 1300000);
    assert_true(ask.again);
    assert_int_equal(ask.seq, 0);
    assert_int_equal(answer(f, RESULT_OK, 0, 1301000), BOOK_TOLD);
}

static void takes_the_next_seq_from_join(void **state)
{
    struct fixture *f = *state;
    book_rejoin(&f->book, 2);
    assert_int_equal(f->book.seq, 2);
    book_rejoin(&f->book, 1);
    assert_int_equal(f->book.seq, 2);
    assert_false(ask_at(f, 1100000).again);
}

static void takes_a_pushed_result_for_the_open_question(void **state)
{
    struct fixture *f = *state;
    ask_at(f, 1100000);
    book_disconnect(&f->book);
    struct book_answer a = {.id = 0, .result = RESULT_SOLD_OUT, .seq = 1, .next = -1};
    assert_int_equal(book_take(&f->book, &times, &a, 1200000), BOOK_IGNORED);
    a.seq = -1;
    assert_int_equal(book_take(&f->book, &times, &a, 1200000), BOOK_IGNORED);
    a.seq = 0;
    assert_int_equal(book_take(&f->book, &times, &a, 1200000), BOOK_NO);
    assert_false(f->book.open);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(asks_at_its_slots_only),
        T(keeps_one_question_open_and_counts_missed_slots),
        T(goes_on_after_sold_out_and_limit_with_the_same_seq),
        T(asks_again_while_pending),
        T(asks_again_after_silence),
        T(ignores_a_no_to_an_older_question),
        T(takes_a_late_repeat_of_a_win_as_told_elsewhere),
        T(holds_back_when_refused_and_forgets_the_question),
        T(keeps_saying_again_when_the_repeat_is_refused),
        T(tries_the_next_slot_when_not_started),
        T(follows_the_server_after_bad_seq),
        T(stops_at_the_end),
        T(stops_when_ended_or_over),
        T(asks_again_after_a_lost_connection),
        T(takes_the_next_seq_from_join),
        T(takes_a_pushed_result_for_the_open_question),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
