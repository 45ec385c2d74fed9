#include "protocol/unpack.h"

#include "protocol/limits.h"
#include "protocol/pack.h"
#include "vectors.h"

#include <msgpack/unpack.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

static enum rr_err scan_hex(const char *hex, uint32_t depth_max)
{
    struct rr_slice s = bytes_of_hex(hex);
    enum rr_err err = unpack_scan(s, depth_max);

    free((void *)s.p);
    return err;
}

static void scan_accepts_each_type(void **state)
{
    static const char *const good[] = {
        "c0",
        "c2",
        "c3",
        "00",
        "7f",
        "80",
        "90",
        "a0",
        "e0",
        "ff",
        "c400",
        "c50000",
        "c600000000",
        "ca3fc00000",
        "cb3ff8000000000000",
        "cc80",
        "cd0100",
        "ce00010000",
        "cfffffffffffffffff",
        "d080",
        "d18000",
        "d280000000",
        "d38000000000000000",
        "d90161",
        "da000161",
        "db0000000161",
        "dc0000",
        "dd00000000",
        "de0000",
        "df00000000",
        "81a16101",
        "dc000101",
        "df00000001a16101",
        "c40100",
    };

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(good); i++)
        assert_int_equal(scan_hex(good[i], RR_DEPTH_MAX), RR_OK);
}

/* Headers that announce what is not there: "128 GiB" in five bytes. Nothing is allocated, so
 * nothing can be. */
static void scan_refuses_announced_sizes(void **state)
{
    static const char *const bad[] = {
        "",
        "a1",
        "91",
        "81",
        "81a161",
        "d9",
        "d901",
        "da0001",
        "daffff61",
        "db00000001",
        "dbffffffff",
        "dbffffffff61",
        "c4",
        "c401",
        "c5ffff",
        "c6ffffffff00",
        "dc",
        "dcffff",
        "dd02faf080",
        "ddffffffff",
        "ddffffffff00",
        "de",
        "deffff",
        "dfffffffff",
        "dfffffffffa0c0",
        "ca000000",
        "cb00000000000000",
        "cc",
        "cd00",
        "ce000000",
        "cf00000000000000",
        "d0",
        "d100",
        "d2000000",
        "d300000000000000",
        "92ddffffffff",
        "91dd00000002c0",
    };

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(bad); i++)
        assert_int_equal(scan_hex(bad[i], RR_DEPTH_MAX), RR_MALFORMED);
}

static void scan_refuses_what_no_peer_sends(void **state)
{
    static const char *const bad[] = {
        "c1", /* reserved */
        "c70001",
        "c7010100",
        "c8000001",
        "c90000000001", /* ext */
        "d40100",
        "d5010000",
        "d60100000000",
        "d7010000000000000000",
        "d80100000000000000000000000000000000",
        "d6ff00000000", /* timestamp */
        "810101",
        "81c0c0",
        "8190c0",
        "82a16101c401610f", /* keys that are no strings */
        "c0c0",
        "0000",
        "80c0", /* trailing */
    };

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(bad); i++)
        assert_int_equal(scan_hex(bad[i], RR_DEPTH_MAX), RR_MALFORMED);
}

static void scan_counts_depth(void **state)
{
    (void)state;
    assert_int_equal(scan_hex("01", 0), RR_OK);
    assert_int_equal(scan_hex("90", 0), RR_MALFORMED);
    assert_int_equal(scan_hex("90", 1), RR_OK);
    assert_int_equal(scan_hex("9190", 1), RR_MALFORMED);
    assert_int_equal(scan_hex("9181a16190", 3), RR_OK);
    assert_int_equal(scan_hex("9181a16190", 2), RR_MALFORMED);
    assert_int_equal(scan_hex("919191919191919101", 8), RR_OK);
    assert_int_equal(scan_hex("919191919191919190", 8), RR_MALFORMED);
    assert_int_equal(scan_hex("93910191019101", 2), RR_OK); /* siblings do not add up */
}

static void scan_deep_nesting_needs_no_stack(void **state)
{
    size_t len = (size_t)4 << 20;
    char *p = malloc(len);

    (void)state;
    assert_non_null(p);
    memset(p, 0x91, len);
    p[len - 1] = (char)0xc0;
    assert_int_equal(unpack_scan(rr_slice_of(p, len), RR_DEPTH_MAX), RR_MALFORMED);
    assert_int_equal(unpack_scan(rr_slice_of(p, len), 32), RR_MALFORMED);
    free(p);
}

static struct unpack_value first_of(const struct rr_buf *b)
{
    struct rr_slice cursor = rr_slice_of(b->p, b->len);
    struct unpack_value v;

    assert_int_equal(unpack_scan(cursor, RR_DEPTH_MAX), RR_OK);
    assert_int_equal(unpack_next(&cursor, &v), RR_OK);
    assert_int_equal(cursor.len, 0);
    return v;
}

static void get_finds_by_key_and_checks_the_type(void **state)
{
    struct rr_buf b = {0};
    struct unpack_value map;
    struct unpack_value v;
    struct rr_slice s;
    int64_t i = 0;
    bool flag = false;

    (void)state;
    pack_map(&b, 5);
    pack_kv_int(&b, "n", -5);
    pack_kv_raw(&b, "deep", rr_slice_of("\x92\x81\xa1n\x07\xc0", 6));
    pack_kv_str(&b, "s", "txt");
    pack_kv_bool(&b, "b", true);
    pack_cstr(&b, "f");
    pack_double(&b, 2.5);
    map = first_of(&b);
    assert_int_equal(unpack_get_int(&map, "n", &i), RR_OK);
    assert_int_equal(i, -5);
    assert_int_equal(unpack_get_str(&map, "s", &s), RR_OK);
    assert_true(rr_slice_eq_str(s, "txt"));
    assert_int_equal(unpack_get_bool(&map, "b", &flag), RR_OK);
    assert_true(flag);
    assert_int_equal(unpack_get(&map, "f", &v), RR_OK);
    assert_true(v.type == UNPACK_FLOAT && v.as.f > 2.4 && v.as.f < 2.6);
    assert_int_equal(unpack_get_int(&map, "f", &i), RR_MALFORMED);
    assert_int_equal(unpack_get_int(&map, "s", &i), RR_MALFORMED);
    assert_int_equal(unpack_get_str(&map, "n", &s), RR_MALFORMED);
    assert_int_equal(unpack_get_bool(&map, "n", &flag), RR_MALFORMED);
    assert_int_equal(unpack_get_int(&map, "no", &i), RR_NOT_FOUND);
    assert_int_equal(unpack_get(&map, "deep", &v), RR_OK);
    assert_int_equal(v.raw.len, 6);
    assert_int_equal(unpack_get_int(&v, "n", &i), RR_MALFORMED); /* an array, no map */
    rr_buf_fini(&b);
}

static void next_walks_past_an_int_it_cannot_hold(void **state)
{
    struct rr_slice cursor = bytes_of_hex("92cf800000000000000007");
    const char *bytes = cursor.p;
    struct unpack_value v;
    struct rr_slice items;

    (void)state;
    assert_int_equal(unpack_next(&cursor, &v), RR_OK);
    items = v.items;
    assert_int_equal(unpack_next(&items, &v), RR_MALFORMED);
    assert_int_equal(unpack_next(&items, &v), RR_OK);
    assert_int_equal(v.as.i, 7);
    assert_int_equal(unpack_next(&items, &v), RR_MALFORMED); /* nothing is left */
    free((void *)bytes);
}

/* Only scanned bytes should get here; even others are never read past their end. */
static void next_refuses_a_value_cut_off(void **state)
{
    static const char *const cut[] = {"", "a261", "dbffffffff61", "c40500", "92a161", "92", "cf00"};
    struct unpack_value v;

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(cut); i++) {
        struct rr_slice s = bytes_of_hex(cut[i]);
        struct rr_slice cursor = s;

        assert_int_equal(unpack_next(&cursor, &v), RR_MALFORMED);
        assert_ptr_equal(cursor.p, s.p); /* nothing was taken */
        free((void *)s.p);
    }
}

static void map_unique_refuses_a_key_twice(void **state)
{
    struct rr_slice twice = bytes_of_hex("83a16101a16202a16103");
    struct rr_slice once = bytes_of_hex("83a16101a16281a16101a0c0");
    struct rr_slice cursor = twice;
    struct unpack_value v;

    (void)state;
    assert_int_equal(unpack_scan(twice, RR_DEPTH_MAX), RR_OK);
    assert_int_equal(unpack_next(&cursor, &v), RR_OK);
    assert_int_equal(unpack_map_unique(&v), RR_MALFORMED);
    cursor = once;
    assert_int_equal(unpack_next(&cursor, &v), RR_OK);
    assert_int_equal(unpack_map_unique(&v), RR_OK);
    v.type = UNPACK_ARRAY;
    assert_int_equal(unpack_map_unique(&v), RR_MALFORMED);
    free((void *)twice.p);
    free((void *)once.p);
}

static void user_id_is_a_positive_decimal(void **state)
{
    static const char *const bad[] = {"",
                                      "0",
                                      "01",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1a",
                                      "0x1",
                                      "1.0",
                                      "9223372036854775808",
                                      "99999999999999999999"};
    int64_t v = 0;

    (void)state;
    assert_int_equal(unpack_user_id(rr_slice_str("1"), &v), RR_OK);
    assert_true(v == 1);
    assert_int_equal(unpack_user_id(rr_slice_str("9223372036854775807"), &v), RR_OK);
    assert_true(v == INT64_MAX);
    for (size_t i = 0; i < RR_COUNTOF(bad); i++)
        assert_int_equal(unpack_user_id(rr_slice_str(bad[i]), &v), RR_MALFORMED);
    assert_int_equal(unpack_user_id(rr_slice_of("1\0", 2), &v), RR_MALFORMED);
    assert_true(v == INT64_MAX);
}

static void text_is_utf8_without_nul(void **state)
{
    static const char *const good[] = {
        "",         "plain",        "恭喜发财",         "🧧",
        "\xc2\x80", "\xe0\xa0\x80", "\xed\x9f\xbf",     "\xee\x80\x80",
        "\x7f",     "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "a\xe7\xa6",
                                      "\xe7\x28\x8f",
                                      "\xf0\x9f\xa7",
                                      "\xc2"};

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(good); i++)
        assert_true(unpack_text_ok(rr_slice_str(good[i])));
    for (size_t i = 0; i < RR_COUNTOF(bad); i++) {
        struct rr_slice s = bytes_exact(bad[i], strlen(bad[i]));

        assert_false(unpack_text_ok(s));
        free((void *)s.p);
    }
    assert_false(unpack_text_ok(rr_slice_of("a\0b", 3)));
}

/* splitmix64: the same values in every run, so a failure can be looked at again. */
static uint64_t rng_next(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void pack_random_text(struct rr_buf *b, uint64_t *rng)
{
    static char text[70000];
    uint64_t kind = rng_next(rng) % 64;
    size_t len = rng_next(rng) % (kind == 0 ? sizeof(text) : kind < 8 ? 300 : 40);

    for (size_t i = 0; i < len; i++)
        text[i] = (char)('a' + (i + kind) % 26);
    pack_str(b, rr_slice_of(text, len));
}

static void pack_random(struct rr_buf *b, uint64_t *rng, uint32_t depth)
{
    uint64_t kind = rng_next(rng) % (depth ? 8 : 6);
    uint64_t bits = rng_next(rng);
    uint32_t n = (uint32_t)(rng_next(rng) % (depth > 2 ? 20 : 4));
    double real = 0;

    memcpy(&real, &bits, sizeof(real));
    switch (kind) {
    case 0: pack_nil(b); break;
    case 1: pack_bool(b, bits & 1); break;
    case 2: pack_int(b, (int64_t)bits >> bits % 64); break;
    case 3: pack_uint(b, bits >> 1 >> bits % 63); break;
    case 4: pack_double(b, real); break;
    case 5: pack_random_text(b, rng); break;
    case 6:
        pack_array(b, n);
        for (uint32_t i = 0; i < n; i++)
            pack_random(b, rng, depth - 1);
        break;
    default:
        pack_map(b, n);
        for (uint32_t i = 0; i < n; i++) {
            pack_random_text(b, rng);
            pack_random(b, rng, depth - 1);
        }
    }
}

static void assert_agrees(struct rr_slice *cursor, const msgpack_object *want)
{
    struct unpack_value v;
    struct unpack_value key;

    assert_int_equal(unpack_next(cursor, &v), RR_OK);
    switch (want->type) {
    case MSGPACK_OBJECT_NIL: assert_int_equal(v.type, UNPACK_NIL); break;
    case MSGPACK_OBJECT_BOOLEAN:
        assert_true(v.type == UNPACK_BOOL && v.as.b == want->via.boolean);
        break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        assert_true(v.type == UNPACK_INT && (uint64_t)v.as.i == want->via.u64);
        break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        assert_true(v.type == UNPACK_INT && v.as.i == want->via.i64);
        break;
    case MSGPACK_OBJECT_FLOAT64:
        assert_int_equal(v.type, UNPACK_FLOAT);
        assert_memory_equal(&v.as.f, &want->via.f64, sizeof(v.as.f));
        break;
    case MSGPACK_OBJECT_STR:
        assert_int_equal(v.type, UNPACK_STR);
        assert_true(rr_slice_eq(v.as.s, rr_slice_of(want->via.str.ptr, want->via.str.size)));
        break;
    case MSGPACK_OBJECT_ARRAY:
        assert_true(v.type == UNPACK_ARRAY && v.as.n == want->via.array.size);
        for (uint32_t i = 0; i < v.as.n; i++)
            assert_agrees(&v.items, &want->via.array.ptr[i]);
        assert_int_equal(v.items.len, 0);
        break;
    case MSGPACK_OBJECT_MAP:
        assert_true(v.type == UNPACK_MAP && v.as.n == want->via.map.size);
        for (uint32_t i = 0; i < v.as.n; i++) {
            const msgpack_object_kv *kv = &want->via.map.ptr[i];

            assert_int_equal(unpack_next(&v.items, &key), RR_OK);
            assert_true(
                rr_slice_eq(key.as.s, rr_slice_of(kv->key.via.str.ptr, kv->key.via.str.size)));
            assert_agrees(&v.items, &kv->val);
        }
        assert_int_equal(v.items.len, 0);
        break;
    default: fail_msg("type %d", want->type);
    }
}

static void random_values_agree_with_msgpack_c(void **state)
{
    uint64_t rng = 20260101;
    struct rr_buf b = {0};

    (void)state;
    for (int round = 0; round < 3000; round++) {
        msgpack_unpacked theirs;
        struct rr_slice bytes;
        struct rr_slice cursor;
        size_t off = 0;

        rr_buf_clear(&b);
        pack_random(&b, &rng, 4);
        assert_false(b.failed);
        bytes = bytes_exact(b.p, b.len);
        cursor = bytes;
        msgpack_unpacked_init(&theirs);
        assert_int_equal(msgpack_unpack_next(&theirs, bytes.p, bytes.len, &off),
                         MSGPACK_UNPACK_SUCCESS);
        assert_int_equal(off, bytes.len);
        assert_int_equal(unpack_scan(bytes, RR_DEPTH_MAX), RR_OK);
        assert_agrees(&cursor, &theirs.data);
        assert_int_equal(cursor.len, 0);
        msgpack_unpacked_destroy(&theirs);
        free((void *)bytes.p);
    }
    rr_buf_fini(&b);
}

/* Random bytes: whatever our scan accepts, msgpack-c reads to the same end. */
static void random_bytes_never_disagree_with_msgpack_c(void **state)
{
    uint64_t rng = 42;
    size_t accepted = 0;

    (void)state;
    for (int round = 0; round < 200000; round++) {
        char bytes[12];
        size_t len = 1 + rng_next(&rng) % sizeof(bytes);
        msgpack_unpacked theirs;
        size_t off = 0;

        for (size_t i = 0; i < len; i++)
            bytes[i] = (char)(rng_next(&rng) >> (i % 8));
        if (rng_next(&rng) % 2)
            bytes[0] = (char)(0x80 | (bytes[0] & 0x1f) | (bytes[0] & 1 ? 0x40 : 0));
        if (unpack_scan(rr_slice_of(bytes, len), RR_DEPTH_MAX))
            continue;
        accepted++;
        msgpack_unpacked_init(&theirs);
        assert_int_equal(msgpack_unpack_next(&theirs, bytes, len, &off), MSGPACK_UNPACK_SUCCESS);
        assert_int_equal(off, len);
        msgpack_unpacked_destroy(&theirs);
    }
    assert_true(accepted > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scan_accepts_each_type),
        cmocka_unit_test(scan_refuses_announced_sizes),
        cmocka_unit_test(scan_refuses_what_no_peer_sends),
        cmocka_unit_test(scan_counts_depth),
        cmocka_unit_test(scan_deep_nesting_needs_no_stack),
        cmocka_unit_test(get_finds_by_key_and_checks_the_type),
        cmocka_unit_test(next_walks_past_an_int_it_cannot_hold),
        cmocka_unit_test(next_refuses_a_value_cut_off),
        cmocka_unit_test(map_unique_refuses_a_key_twice),
        cmocka_unit_test(user_id_is_a_positive_decimal),
        cmocka_unit_test(text_is_utf8_without_nul),
        cmocka_unit_test(random_values_agree_with_msgpack_c),
        cmocka_unit_test(random_bytes_never_disagree_with_msgpack_c),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
