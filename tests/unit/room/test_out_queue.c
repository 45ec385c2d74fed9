#include "cm.h"

#include <stdio.h>
#include <string.h>

#include "room/out_queue.h"

static struct rr_frame *frame(const char *text)
{
    return rr_frame_create(text, strlen(text), 8);
}

/* What the front holds, taken off. */
static void assert_next(struct out_queue *q, const char *want)
{
    struct rr_frame *f = out_queue_front(q);

    assert_non_null(f);
    assert_int_equal(f->len, strlen(want));
    assert_memory_equal(rr_frame_payload(f), want, f->len);
    out_queue_pop(q);
}

static void push(struct out_queue *q, const char *text)
{
    struct rr_frame *f = frame(text);

    assert_int_equal(out_queue_push(q, f, 1000, 0), RR_OK);
    rr_frame_unref(&f);
}

static uint32_t push_latest(struct out_queue *q, const char *text, uint64_t key)
{
    struct rr_frame *f = frame(text);
    uint32_t dropped = out_queue_push_latest(q, f, key, 0);

    rr_frame_unref(&f);
    return dropped;
}

static void test_empty(void **state)
{
    struct out_queue q = {0};

    (void)state;
    assert_true(out_queue_empty(&q));
    assert_null(out_queue_front(&q));
    out_queue_pop(&q);
    assert_int_equal(out_queue_clear(&q), 0);
}

static void test_must_is_fifo_and_wraps(void **state)
{
    struct out_queue q = {0};
    char text[16];
    int out = 0;
    int in = 0;

    (void)state;
    /* Three in, two out, over and over: the ring grows while its head is not at its start. */
    for (int round = 0; round < 40; round++) {
        for (int i = 0; i < 3; i++) {
            snprintf(text, sizeof(text), "%03d", in++);
            push(&q, text);
        }
        for (int i = 0; i < 2; i++) {
            snprintf(text, sizeof(text), "%03d", out++);
            assert_next(&q, text);
        }
        assert_int_equal(q.lanes->must_n, in - out);
        assert_int_equal(out_queue_bytes(&q), 3 * (in - out));
    }
    while (out < in) {
        snprintf(text, sizeof(text), "%03d", out++);
        assert_next(&q, text);
    }
    assert_true(out_queue_empty(&q));
    assert_null(q.lanes);
    out_queue_clear(&q);
}

static void test_cap_in_bytes(void **state)
{
    struct out_queue q = {0};
    struct rr_frame *f = frame("0123456789");

    (void)state;
    assert_int_equal(out_queue_push(&q, f, 25, 0), RR_OK);
    assert_int_equal(out_queue_push(&q, f, 25, 0), RR_OK);
    assert_int_equal(out_queue_push(&q, f, 25, 0), RR_FULL);
    assert_int_equal(q.lanes->must_n, 2);
    assert_int_equal(f->refs, 3); /* nothing was taken by the refused push */
    out_queue_pop(&q);
    assert_int_equal(f->refs, 2);
    assert_int_equal(out_queue_push(&q, f, 20, 0), RR_OK); /* exactly full */
    assert_int_equal(out_queue_clear(&q), 2);
    assert_int_equal(f->refs, 1);
    rr_frame_unref(&f);
}

static void test_latest_replaces(void **state)
{
    struct out_queue q = {0};

    (void)state;
    assert_int_equal(push_latest(&q, "a1", 1), 0);
    assert_int_equal(push_latest(&q, "b1", 2), 0);
    assert_int_equal(push_latest(&q, "a2", 1), 1);
    assert_int_equal(q.lanes->latest_n, 2);
    assert_next(&q, "a2"); /* keeps its place */
    assert_next(&q, "b1");
    assert_true(out_queue_empty(&q));
    out_queue_clear(&q);
}

static void test_latest_full_drops_oldest(void **state)
{
    struct out_queue q = {0};
    char text[8];

    (void)state;
    for (uint64_t key = 0; key < OUT_LATEST_MAX; key++) {
        snprintf(text, sizeof(text), "k%d", (int)key);
        assert_int_equal(push_latest(&q, text, key + 10), 0);
    }
    assert_int_equal(push_latest(&q, "new", 99), 1);
    assert_int_equal(q.lanes->latest_n, OUT_LATEST_MAX);
    assert_next(&q, "k1");
    assert_int_equal(out_queue_clear(&q), OUT_LATEST_MAX - 1);
}

static void test_must_goes_first(void **state)
{
    struct out_queue q = {0};

    (void)state;
    push_latest(&q, "tick", 1);
    push(&q, "config");
    push(&q, "end");
    assert_next(&q, "config");
    assert_next(&q, "end");
    assert_next(&q, "tick");
    out_queue_clear(&q);
}

static void test_clear_counts_both_lanes(void **state)
{
    struct out_queue q = {0};

    (void)state;
    push(&q, "a");
    push(&q, "b");
    push_latest(&q, "c", 1);
    assert_int_equal(out_queue_clear(&q), 3);
    assert_true(out_queue_empty(&q));
    push(&q, "again"); /* usable after a clear */
    assert_next(&q, "again");
    out_queue_clear(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_must_is_fifo_and_wraps),
        cmocka_unit_test(test_cap_in_bytes),
        cmocka_unit_test(test_latest_replaces),
        cmocka_unit_test(test_latest_full_drops_oldest),
        cmocka_unit_test(test_must_goes_first),
        cmocka_unit_test(test_clear_counts_both_lanes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
