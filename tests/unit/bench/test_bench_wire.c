#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "protocol/msg.h"
#include "protocol/pack.h"
#include "wire.h"

static struct rr_slice bytes_of(const struct rr_buf *b)
{
    assert_false(b->failed);
    return rr_slice_of(b->p, b->len);
}

/* What the viewer writes is read by the server's own decoder. */
static void writes_messages_the_server_reads(void **state)
{
    (void)state;
    struct rr_buf b = {0};
    struct msg m;
    struct msg_fault fault;

    wire_hello(&b, 1, "tok");
    assert_int_equal(msg_decode(bytes_of(&b), &m, &fault), RR_OK);
    assert_int_equal(m.op, MSG_HELLO);
    assert_true(rr_slice_eq_str(m.u.hello.token, "tok"));
    rr_buf_clear(&b);
    wire_join(&b, 2, "r1", "", 0);
    assert_int_equal(msg_decode(bytes_of(&b), &m, &fault), RR_OK);
    assert_false(m.u.join.has_epoch);
    rr_buf_clear(&b);
    wire_join(&b, 3, "r1", "0123456789abcdef", 9);
    assert_int_equal(msg_decode(bytes_of(&b), &m, &fault), RR_OK);
    assert_true(rr_slice_eq_str(m.u.join.epoch, "0123456789abcdef"));
    assert_int_equal(m.u.join.seq, 9);
    rr_buf_clear(&b);
    wire_ping(&b, 4, 12345);
    assert_int_equal(msg_decode(bytes_of(&b), &m, &fault), RR_OK);
    assert_int_equal(m.u.ping.t0, 12345);
    rr_buf_clear(&b);
    wire_grab(&b, UINT32_MAX, "code", 4, false);
    assert_int_equal(msg_decode(bytes_of(&b), &m, &fault), RR_OK);
    assert_true(m.id == UINT32_MAX);
    assert_int_equal(m.u.grab.seq, 4);
    assert_false(m.u.grab.again);
    rr_buf_clear(&b);
    wire_grab(&b, 5, "code", 4, true);
    assert_int_equal(msg_decode(bytes_of(&b), &m, &fault), RR_OK);
    assert_true(m.u.grab.again);
    rr_buf_fini(&b);
}

static void reads_a_win(void **state)
{
    (void)state;
    struct rr_buf b = {0};
    struct wire_msg m;
    struct rr_slice code;
    struct grant g;

    msg_reply_begin(&b, 17, RESULT_OK, 6);
    pack_kv_str(&b, "code", "abc");
    pack_kv_int(&b, "seq", 1);
    pack_kv_int(&b, "shard", 2);
    pack_kv_int(&b, "no", 3);
    pack_kv_int(&b, "amount", 400);
    pack_kv_int(&b, "left", 5);
    assert_int_equal(wire_decode(bytes_of(&b), &m), RR_OK);
    assert_int_equal(m.op, MSG_REPLY);
    assert_int_equal(m.id, 17);
    assert_int_equal(wire_int(&m.body, "result", -1), RESULT_OK);
    assert_int_equal(wire_int(&m.body, "none", -7), -7);
    assert_int_equal(wire_grant_of(&m.body, &code, &g), RR_OK);
    assert_true(rr_slice_eq_str(code, "abc"));
    assert_int_equal(g.seq, 1);
    assert_int_equal(g.shard, 2);
    assert_int_equal(g.packet_no, 3);
    assert_int_equal(g.amount_fen, 400);
    rr_buf_fini(&b);
}

static void refuses_a_win_without_all_its_fields(void **state)
{
    (void)state;
    struct rr_buf b = {0};
    struct wire_msg m;
    struct rr_slice code;
    struct grant g;

    msg_reply_begin(&b, 17, RESULT_OK, 4);
    pack_kv_str(&b, "code", "abc");
    pack_kv_int(&b, "seq", 1);
    pack_kv_int(&b, "shard", 2);
    pack_kv_int(&b, "no", 3);
    assert_int_equal(wire_decode(bytes_of(&b), &m), RR_OK);
    assert_int_equal(wire_grant_of(&m.body, &code, &g), RR_MALFORMED);
    rr_buf_fini(&b);
}

static void reads_pushes_with_and_without_position(void **state)
{
    (void)state;
    struct rr_buf payload = {0};
    struct rr_buf b = {0};
    struct wire_msg m;
    struct wire_push p;

    pack_map(&payload, 1);
    pack_kv_int(&payload, "open_at", 5);
    msg_push(&b, "r1", 0xabcdef, 42, rr_slice_str("RED_PACKET_CONFIG"), bytes_of(&payload));
    assert_int_equal(wire_decode(bytes_of(&b), &m), RR_OK);
    assert_int_equal(m.op, MSG_PUSH);
    assert_int_equal(wire_push_of(&m.body, &p), RR_OK);
    assert_true(rr_slice_eq_str(p.biz_code, "RED_PACKET_CONFIG"));
    assert_int_equal(p.epoch.len, 16);
    assert_int_equal(p.seq, 42);
    assert_int_equal(wire_int(&p.payload, "open_at", 0), 5);
    rr_buf_clear(&b);
    msg_push(&b, NULL, 0, 0, rr_slice_str("GRAB_RESULT"), bytes_of(&payload));
    assert_int_equal(wire_decode(bytes_of(&b), &m), RR_OK);
    assert_int_equal(wire_push_of(&m.body, &p), RR_OK);
    assert_int_equal(p.seq, -1);
    rr_buf_fini(&b);
    rr_buf_fini(&payload);
}

static void reads_times_with_and_without_fraction(void **state)
{
    (void)state;
    struct rr_buf b = {0};
    struct wire_msg m;
    int64_t us = 0;

    msg_reply_begin(&b, 1, RESULT_OK, 3);
    pack_kv_int(&b, "t1", 1700000000123);
    pack_cstr(&b, "t2");
    pack_double(&b, 1700000000123.5);
    pack_kv_str(&b, "t3", "now");
    assert_int_equal(wire_decode(bytes_of(&b), &m), RR_OK);
    assert_int_equal(wire_time_us(&m.body, "t1", &us), RR_OK);
    assert_int_equal(us, 1700000000123000);
    assert_int_equal(wire_time_us(&m.body, "t2", &us), RR_OK);
    assert_int_equal(us, 1700000000123500);
    assert_int_equal(wire_time_us(&m.body, "t3", &us), RR_MALFORMED);
    assert_int_equal(wire_time_us(&m.body, "t4", &us), RR_MALFORMED);
    rr_buf_fini(&b);
}

static void refuses_what_is_no_message(void **state)
{
    (void)state;
    struct wire_msg m;
    const struct rr_slice bad[] = {
        rr_slice_of("", 0),
        rr_slice_of("\xc0", 1),                 /* nil */
        rr_slice_of("\x92\x40\x01", 3),         /* two items */
        rr_slice_of("\x93\x40\x01\x90", 4),     /* body is an array */
        rr_slice_of("\x93\x40\xff\x80", 4),     /* negative id */
        rr_slice_of("\x93\x40\x01\x80\x00", 5), /* trailing byte */
        rr_slice_of("\x93\x40\x01", 3),         /* cut off */
        rr_slice_of("\xdd\xff\xff\xff\xff", 5), /* announces 4 Gi items */
        rr_slice_of("\x93\x40\x01\xdf\xff\xff\xff\xff", 8),
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(wire_decode(bad[i], &m), RR_MALFORMED);
}

static void accepts_only_safe_codes(void **state)
{
    (void)state;
    char longest[66];
    memset(longest, 'x', sizeof(longest));
    assert_true(wire_code_ok(rr_slice_str("AZaz09_-")));
    assert_true(wire_code_ok(rr_slice_of(longest, 64)));
    assert_false(wire_code_ok(rr_slice_of(longest, 65)));
    assert_false(wire_code_ok(rr_slice_str("")));
    assert_false(wire_code_ok(rr_slice_str("a\"b")));
    assert_false(wire_code_ok(rr_slice_of("a\0b", 3)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_messages_the_server_reads),
        cmocka_unit_test(reads_a_win),
        cmocka_unit_test(refuses_a_win_without_all_its_fields),
        cmocka_unit_test(reads_pushes_with_and_without_position),
        cmocka_unit_test(reads_times_with_and_without_fraction),
        cmocka_unit_test(refuses_what_is_no_message),
        cmocka_unit_test(accepts_only_safe_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
