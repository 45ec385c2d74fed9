/* A message of any size, cut anywhere: what comes out is what went in, and nothing longer than a message may be is kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <malloc.h>
#include <string.h>

#include "half_message.h"
#include "protocol/limits.h"

enum { MAX = RR_VIEWER_MESSAGE_MAX_BYTES, CHUNK = 128 };

static char text[MAX + 1];

static int fill(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)(i * 7 + i / 256);
    return 0;
}

static void is_text(const struct half_message *m, size_t n)
{
    assert_true(rr_slice_eq(half_message_bytes(m), rr_slice_of(text, n)));
}

/* As a frame longer than the socket's buffer comes: the first piece says how long it is. */
static void one_frame_of_every_size(void **state)
{
    (void)state;
    for (size_t n = 0; n <= MAX; n += n < 600 || n > MAX - 200 ? 1 : 61) {
        struct half_message *m = NULL;

        for (size_t at = 0; at < n || at == 0; at += CHUNK) {
            size_t len = n - at < CHUNK ? n - at : CHUNK;

            assert_int_equal(half_message_add(&m, rr_slice_of(text + at, len), n - at - len),
                             RR_OK);
            is_text(m, at + len);
        }
        half_message_free(&m);
        assert_null(m);
    }
}

/* Fragments: nobody knows how much follows. */
static void fragments_of_every_size(void **state)
{
    (void)state;
    for (size_t len = 1; len <= MAX; len += len < 140 ? 1 : 97) {
        struct half_message *m = NULL;
        size_t at = 0;

        assert_int_equal(half_message_add(&m, rr_slice_of(NULL, 0), 0), RR_OK); /* an empty one */
        is_text(m, 0);
        for (at = 0; at + len <= MAX; at += len) {
            assert_int_equal(half_message_add(&m, rr_slice_of(text + at, len), 0), RR_OK);
            is_text(m, at + len);
        }
        assert_int_equal(half_message_add(&m, rr_slice_of(text + at, MAX - at), 0), RR_OK);
        is_text(m, MAX);
        assert_int_equal(half_message_add(&m, rr_slice_of(text, 1), 0), RR_FULL);
        is_text(m, MAX);
        half_message_free(&m);
    }
}

static void what_is_announced_counts(void **state)
{
    struct half_message *m = NULL;

    (void)state;
    assert_int_equal(half_message_add(&m, rr_slice_of(text, 1), MAX), RR_FULL);
    assert_int_equal(half_message_add(&m, rr_slice_of(text, 1), SIZE_MAX), RR_FULL);
    assert_int_equal(half_message_add(&m, rr_slice_of(text, MAX + 1), 0), RR_FULL);
    assert_null(m);
    assert_int_equal(half_message_bytes(m).len, 0);
    assert_int_equal(half_message_add(&m, rr_slice_of(text, 1), MAX - 1), RR_OK);
    assert_int_equal(half_message_add(&m, rr_slice_of(text + 1, 1), MAX - 1), RR_FULL);
    assert_int_equal(half_message_add(&m, rr_slice_of(text + 1, 1), MAX - 2), RR_OK);
    is_text(m, 2);
    half_message_free(&m);
    half_message_free(&m); /* harmless */
}

/* Who begins a message and stops costs no more than he sent or announced. */
static void takes_what_it_needs(void **state)
{
    struct half_message *m = NULL;

    (void)state;
    assert_int_equal(half_message_add(&m, rr_slice_of(text, CHUNK), 200), RR_OK);
    assert_true(malloc_usable_size(m) < CHUNK + 200 + 32);
    half_message_free(&m);
    assert_int_equal(half_message_add(&m, rr_slice_of(text, 1), 0), RR_OK);
    for (size_t i = 1; i < 1000; i++)
        assert_int_equal(half_message_add(&m, rr_slice_of(text + i, 1), 0), RR_OK);
    assert_true(malloc_usable_size(m) < 2 * 1000 + 32);
    half_message_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_frame_of_every_size),
        cmocka_unit_test(fragments_of_every_size),
        cmocka_unit_test(what_is_announced_counts),
        cmocka_unit_test(takes_what_it_needs),
    };
    return cmocka_run_group_tests_name("half_message", tests, fill, NULL);
}
