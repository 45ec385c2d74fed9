#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ws_frame.h"

static enum rr_err read_frame(const char *p, size_t len, struct ws_frame *f, size_t *used)
{
    return ws_frame_read(rr_slice_of(p, len), f, used);
}

static void masks_what_it_writes(void **state)
{
    (void)state;
    struct rr_buf b = {0};
    const char *text = "hello";
    ws_frame_write(&b, WS_BINARY, rr_slice_str(text), 0x04030201);
    assert_int_equal(b.len, 2 + 4 + 5);
    assert_int_equal((uint8_t)b.p[0], 0x82);
    assert_int_equal((uint8_t)b.p[1], 0x85);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(b.p[6 + i] ^ b.p[2 + i % 4], text[i]);
    rr_buf_fini(&b);
}

static void writes_all_three_length_forms(void **state)
{
    (void)state;
    const size_t sizes[] = {0, 125, 126, 65535, 65536};
    const size_t heads[] = {6, 6, 8, 8, 14};
    char *data = calloc(1, 65536);
    for (size_t i = 0; i < 5; i++) {
        struct rr_buf b = {0};
        ws_frame_write(&b, WS_BINARY, rr_slice_of(data, sizes[i]), 7);
        assert_int_equal(b.len, heads[i] + sizes[i]);
        rr_buf_fini(&b);
    }
    free(data);
}

static void reads_frames_and_asks_for_more(void **state)
{
    (void)state;
    struct ws_frame f;
    size_t used = 0;
    const char two[] = "\x82\x03"
                       "abc"
                       "\x89\x00";
    assert_int_equal(read_frame(two, 7, &f, &used), RR_OK);
    assert_int_equal(used, 5);
    assert_true(f.fin);
    assert_int_equal(f.opcode, WS_BINARY);
    assert_true(rr_slice_eq_str(f.payload, "abc"));
    for (size_t len = 0; len < 5; len++)
        assert_int_equal(read_frame(two, len, &f, &used), RR_RETRY);
}

static void reads_long_lengths(void **state)
{
    (void)state;
    struct ws_frame f;
    size_t used = 0;
    char *p = calloc(1, 4 + 300);
    memcpy(p, "\x82\x7e\x01\x2c", 4);
    assert_int_equal(read_frame(p, 303, &f, &used), RR_RETRY);
    assert_int_equal(read_frame(p, 304, &f, &used), RR_OK);
    assert_int_equal(f.payload.len, 300);
    free(p);
    const char eight[] = "\x82\x7f\0\0\0\0\0\0\0\x01x";
    assert_int_equal(read_frame(eight, 11, &f, &used), RR_OK);
    assert_int_equal(f.payload.len, 1);
}

static void refuses_bad_heads(void **state)
{
    (void)state;
    struct ws_frame f;
    size_t used = 0;
    const char *bad[] = {
        "\x82\x81", /* masked by a server */
        "\xc2\x01", /* reserved bit */
        "\x83\x01", /* unknown opcode */
        "\x8b\x01", /* unknown control opcode */
        "\x09\x01", /* fragmented ping */
        "\x89\x7e", /* long ping */
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(read_frame(bad[i], 2, &f, &used), RR_MALFORMED);
    assert_int_equal(read_frame("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", 10, &f, &used),
                     RR_TOO_BIG);
    assert_int_equal(read_frame("\x82\x7f\0\0\0\0\0\x10\0\x01", 10, &f, &used), RR_TOO_BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_what_it_writes),
        cmocka_unit_test(writes_all_three_length_forms),
        cmocka_unit_test(reads_frames_and_asks_for_more),
        cmocka_unit_test(reads_long_lengths),
        cmocka_unit_test(refuses_bad_heads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
