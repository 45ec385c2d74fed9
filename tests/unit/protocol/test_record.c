#include "protocol/record.h"

#include "protocol/pack.h"
#include "vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

static struct grant_record sample(void)
{
    return (struct grant_record){
        .code = "Zm9vYmFyYmF6cXV4MTIzNA",
        .room_id = "r1",
        .rid = "0123456789abcdef0123456789abcdef01234567",
        .user_id = 1001,
        .amount_fen = 888,
        .granted_at_ms = INT64_C(1767225600000),
        .shard = 1,
        .packet_no = 41,
        .seq = 0,
    };
}

static void assert_same(const struct grant_record *a, const struct grant_record *b)
{
    assert_string_equal(a->code, b->code);
    assert_string_equal(a->room_id, b->room_id);
    assert_string_equal(a->rid, b->rid);
    assert_true(a->user_id == b->user_id);
    assert_true(a->amount_fen == b->amount_fen);
    assert_true(a->granted_at_ms == b->granted_at_ms);
    assert_int_equal(a->shard, b->shard);
    assert_int_equal(a->packet_no, b->packet_no);
    assert_int_equal(a->seq, b->seq);
}

static void decode_vectors_as_expected(void **state)
{
    json_t *list = vectors_load("record.json");
    size_t i = 0;
    json_t *v = NULL;

    (void)state;
    json_array_foreach(list, i, v)
    {
        struct rr_slice bytes = bytes_of_hex(vector_text(v, "hex"));
        bool ok = strcmp(vector_text(v, "expect"), "ok") == 0;
        struct grant_record r = {0};
        enum rr_err err = grant_record_decode(bytes, &r);

        if (err != (ok ? RR_OK : RR_MALFORMED))
            fail_msg("%s: %s", vector_text(v, "name"), rr_err_name(err));
        if (ok)
            assert_true(r.user_id ==
                        json_integer_value(json_object_get(json_object_get(v, "json"), "user_id")));
        free((void *)bytes.p);
    }
    json_decref(list);
}

static void encode_first_vector_byte_for_byte(void **state)
{
    json_t *list = vectors_load("record.json");
    struct grant_record want = sample();
    struct grant_record got;
    struct rr_buf b = {0};

    (void)state;
    assert_int_equal(grant_record_encode(&want, &b), RR_OK);
    assert_bytes(&b, vector_text(json_array_get(list, 0), "hex"), "record");
    assert_int_equal(grant_record_decode(rr_slice_of(b.p, b.len), &got), RR_OK);
    assert_same(&want, &got);
    rr_buf_fini(&b);
    json_decref(list);
}

static void round_trip_at_the_limits(void **state)
{
    struct grant_record want = sample();
    struct grant_record got;
    struct rr_buf b = {0};

    (void)state;
    memset(want.room_id, 'r', RR_ROOM_ID_MAX);
    want.user_id = INT64_MAX;
    want.amount_fen = RR_FEN_MAX;
    want.granted_at_ms = INT64_MAX;
    want.shard = RR_SHARDS_MAX - 1;
    want.packet_no = RR_PACKETS_MAX - 1;
    want.seq = RR_GRANT_LIMIT_MAX - 1;
    assert_int_equal(grant_record_encode(&want, &b), RR_OK);
    assert_int_equal(grant_record_decode(rr_slice_of(b.p, b.len), &got), RR_OK);
    assert_same(&want, &got);
    rr_buf_fini(&b);
}

static void encode_out_of_range_appends_nothing(void **state)
{
    struct grant_record bad[12];
    struct rr_buf b = {0};
    size_t n = 0;

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(bad); i++)
        bad[i] = sample();
    bad[n++].code[0] = 0;
    bad[n++].code[3] = ':';
    bad[n++].room_id[0] = ' ';
    bad[n++].rid[0] = 0;
    bad[n++].user_id = 0;
    bad[n++].user_id = -1;
    bad[n++].amount_fen = 0;
    bad[n++].amount_fen = RR_FEN_MAX + 1;
    bad[n++].granted_at_ms = 0;
    bad[n++].shard = RR_SHARDS_MAX;
    bad[n++].packet_no = RR_PACKETS_MAX;
    bad[n++].seq = RR_GRANT_LIMIT_MAX;
    assert_int_equal(n, RR_COUNTOF(bad));
    for (size_t i = 0; i < n; i++)
        assert_int_equal(grant_record_encode(&bad[i], &b), RR_MALFORMED);
    assert_int_equal(b.len, 0);
    rr_buf_fini(&b);
}

static void encode_unterminated_string_is_malformed(void **state)
{
    struct grant_record r = sample();
    struct rr_buf b = {0};

    (void)state;
    memset(r.rid, 'a', sizeof(r.rid));
    assert_int_equal(grant_record_encode(&r, &b), RR_MALFORMED);
    rr_buf_fini(&b);
}

static void encode_into_small_buffer_is_too_big(void **state)
{
    struct grant_record r = sample();
    struct rr_buf b;

    (void)state;
    rr_buf_init(&b, 64);
    assert_int_equal(grant_record_encode(&r, &b), RR_TOO_BIG);
    rr_buf_fini(&b);
}

static void decode_truncated_or_trailing_is_malformed(void **state)
{
    struct grant_record r = sample();
    struct rr_buf b = {0};

    (void)state;
    assert_int_equal(grant_record_encode(&r, &b), RR_OK);
    for (size_t len = 0; len < b.len; len++) {
        struct rr_slice cut = bytes_exact(b.p, len);

        assert_int_equal(grant_record_decode(cut, &r), RR_MALFORMED);
        free((void *)cut.p);
    }
    pack_nil(&b);
    assert_int_equal(grant_record_decode(rr_slice_of(b.p, b.len), &r), RR_MALFORMED);
    rr_buf_fini(&b);
}

/* A second price behind the first: which one is paid must not depend on the reader. */
static void decode_key_twice_is_malformed(void **state)
{
    struct grant_record r = sample();
    struct grant_record untouched = sample();
    struct rr_buf b = {0};

    (void)state;
    assert_int_equal(grant_record_encode(&r, &b), RR_OK);
    b.p[0] = (char)(b.p[0] + 1);
    pack_kv_int(&b, "price", 1);
    assert_int_equal(grant_record_decode(rr_slice_of(b.p, b.len), &r), RR_MALFORMED);
    assert_same(&r, &untouched);
    rr_buf_fini(&b);
}

static void the_place_of_a_record_of_any_version_is_readable(void **state)
{
    struct record_place at;
    struct rr_buf b = {0};

    (void)state;
    pack_map(&b, 4);
    pack_kv_int(&b, "version", RR_RECORD_VERSION + 1);
    pack_kv_str(&b, "code", sample().code);
    pack_kv_int(&b, "shard", 1);
    pack_kv_int(&b, "packet_no", 41);
    assert_true(grant_record_place(rr_slice_of(b.p, b.len), &at));
    assert_string_equal(at.code, sample().code);
    assert_int_equal(at.shard, 1);
    assert_int_equal(at.packet_no, 41);
    assert_false(grant_record_place(rr_slice_of(b.p, b.len - 1), &at));
    b.len = 0;
    pack_map(&b, 3);
    pack_kv_str(&b, "code", sample().code);
    pack_kv_int(&b, "shard", RR_SHARDS_MAX);
    pack_kv_str(&b, "packet_no", "41");
    assert_true(grant_record_place(rr_slice_of(b.p, b.len), &at));
    assert_int_equal(at.shard, -1);
    assert_int_equal(at.packet_no, -1);
    b.len = 0;
    pack_map(&b, 1);
    pack_kv_str(&b, "code", "no;code");
    assert_false(grant_record_place(rr_slice_of(b.p, b.len), &at));
    rr_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decode_vectors_as_expected),
        cmocka_unit_test(encode_first_vector_byte_for_byte),
        cmocka_unit_test(round_trip_at_the_limits),
        cmocka_unit_test(encode_out_of_range_appends_nothing),
        cmocka_unit_test(encode_unterminated_string_is_malformed),
        cmocka_unit_test(encode_into_small_buffer_is_too_big),
        cmocka_unit_test(decode_truncated_or_trailing_is_malformed),
        cmocka_unit_test(decode_key_twice_is_malformed),
        cmocka_unit_test(the_place_of_a_record_of_any_version_is_readable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
