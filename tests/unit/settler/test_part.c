/* The queue of a partition: order, gaps, retries, and where it goes on after another settler was there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "part.h"

static int released;

static void release(void *owner)
{
    (void)owner;
    released++;
}

static struct part part_at(int64_t next)
{
    struct part p;

    released = 0;
    part_init(&p, 3, next, 4, release);
    return p;
}

static enum part_take offer(struct part *p, int64_t offset, int64_t now_us)
{
    struct part_item item = {.offset = offset, .timestamp_ms = 1000 + offset};

    return part_offer(p, &item, now_us);
}

static void offer_takes_only_the_next(void **state)
{
    struct part p = part_at(5);

    (void)state;
    assert_int_equal(offer(&p, 4, 0), PART_OLD);
    assert_int_equal(offer(&p, 6, 0), PART_GAP);
    assert_int_equal(offer(&p, 5, 0), PART_TAKEN);
    assert_int_equal(offer(&p, 5, 0), PART_OLD);
    assert_int_equal(offer(&p, 7, 0), PART_GAP);
    assert_int_equal(offer(&p, 6, 0), PART_TAKEN);
    assert_int_equal(part_want(&p), 7);
    part_fini(&p);
    assert_int_equal(released, 2);
}

static void push_goes_over_a_known_gap(void **state)
{
    struct part p = part_at(5);
    struct part_item item = {.offset = 9};

    (void)state;
    p.gap_seeks = 2;
    part_push(&p, &item, 0);
    assert_int_equal(p.gap_seeks, 0);
    assert_int_equal(part_want(&p), 10);
    part_fini(&p);
}

static void due_when_full_or_old(void **state)
{
    struct part p = part_at(0);

    (void)state;
    assert_false(part_due(&p, 0, 4, 20));
    assert_true(part_wait_us(&p, 0, 4, 20) == INT64_MAX);
    assert_int_equal(offer(&p, 0, 100), PART_TAKEN);
    assert_false(part_due(&p, 100, 4, 20));
    assert_int_equal(part_wait_us(&p, 105, 4, 20), 15);
    assert_true(part_due(&p, 120, 4, 20));
    for (int i = 1; i < 4; i++)
        assert_int_equal(offer(&p, i, 101), PART_TAKEN);
    assert_true(part_due(&p, 101, 4, 20));
    part_fini(&p);
}

static void full_at_sixteen_batches_drained_at_half_of_that(void **state)
{
    struct part p = part_at(0);

    (void)state;
    for (int i = 0; i < 64; i++) {
        assert_false(part_full(&p));
        assert_int_equal(offer(&p, i, 0), PART_TAKEN);
    }
    assert_true(part_full(&p));
    part_settled(&p, 31, 31, 50);
    assert_false(part_drained(&p));
    part_settled(&p, 1, 32, 60);
    assert_true(part_drained(&p));
    assert_int_equal(p.next, 32);
    assert_int_equal(released, 32);
    assert_int_equal(p.items[0].offset, 32);
    part_fini(&p);
}

static void failed_waits_longer_each_time(void **state)
{
    struct part p = part_at(0);

    (void)state;
    assert_int_equal(offer(&p, 0, 0), PART_TAKEN);
    part_failed(&p, 1000);
    assert_int_equal(p.retry_us, 101000);
    assert_false(part_due(&p, 100999, 4, 20));
    assert_true(part_due(&p, 101000, 4, 20));
    part_failed(&p, 0);
    assert_int_equal(p.retry_us, 200000);
    for (int i = 0; i < 30; i++)
        part_failed(&p, 0);
    assert_int_equal(p.retry_us, 5000000);
    part_settled(&p, 1, 1, 0);
    assert_int_equal(p.retry_us, 0);
    assert_int_equal(p.tries, 0);
    part_fini(&p);
}

static void moved_keeps_what_is_still_to_do(void **state)
{
    struct part p = part_at(0);

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(offer(&p, i, 0), PART_TAKEN);
    assert_true(part_moved(&p, 2)); /* half of it is in the books */
    assert_int_equal(p.n, 2);
    assert_int_equal(p.items[0].offset, 2);
    assert_true(part_moved(&p, 4)); /* all of it: the fetcher stands right */
    assert_int_equal(p.n, 0);
    assert_int_equal(part_want(&p), 4);
    assert_false(part_moved(&p, 9)); /* ahead of what was fetched */
    assert_int_equal(part_want(&p), 9);
    assert_int_equal(offer(&p, 9, 0), PART_TAKEN);
    assert_false(part_moved(&p, 3)); /* back */
    assert_int_equal(p.n, 0);
    assert_int_equal(part_want(&p), 3);
    part_fini(&p);
}

static void lag_is_the_age_of_the_oldest_unsettled(void **state)
{
    struct part p = part_at(0);

    (void)state;
    assert_int_equal(part_lag_ms(&p, 0, 5000), 0);
    assert_int_equal(offer(&p, 0, 0), PART_TAKEN);
    assert_int_equal(offer(&p, 1, 0), PART_TAKEN);
    assert_int_equal(part_lag_ms(&p, 2, 1500), 500);
    part_settled(&p, 2, 2, 0);
    assert_int_equal(part_lag_ms(&p, 2, 5000), 0);
    assert_int_equal(part_lag_ms(&p, 7, 2001), 1000); /* more is there, not fetched yet */
    assert_int_equal(part_lag_ms(&p, 7, 0), 0);       /* a clock that went back */
    part_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offer_takes_only_the_next),
        cmocka_unit_test(push_goes_over_a_known_gap),
        cmocka_unit_test(due_when_full_or_old),
        cmocka_unit_test(full_at_sixteen_batches_drained_at_half_of_that),
        cmocka_unit_test(failed_waits_longer_each_time),
        cmocka_unit_test(moved_keeps_what_is_still_to_do),
        cmocka_unit_test(lag_is_the_age_of_the_oldest_unsettled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
