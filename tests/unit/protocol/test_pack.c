#include "protocol/pack.h"

#include "vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void scalars_use_the_shortest_form(void **state)
{
    struct rr_buf b = {0};

    (void)state;
    pack_int(&b, 0);
    pack_int(&b, 127);
    pack_int(&b, 128);
    pack_int(&b, -1);
    pack_int(&b, -33);
    pack_int(&b, INT64_MIN);
    pack_uint(&b, UINT64_MAX);
    pack_bool(&b, true);
    pack_bool(&b, false);
    pack_nil(&b);
    pack_double(&b, 1.5);
    pack_cstr(&b, "");
    pack_str(&b, rr_slice_of("ab", 2));
    assert_bytes(
        &b, "007fcc80ffd0dfd38000000000000000cfffffffffffffffffc3c2c0cb3ff8000000000000a0a26162",
        "scalars");
    rr_buf_fini(&b);
}

static void pairs_are_key_then_value(void **state)
{
    struct rr_buf b = {0};

    (void)state;
    pack_map(&b, 7);
    pack_kv_int(&b, "i", -1);
    pack_kv_str(&b, "s", "x");
    pack_kv_slice(&b, "l", rr_slice_of("yz", 1));
    pack_kv_bool(&b, "b", true);
    pack_kv_nil(&b, "n");
    pack_kv_user(&b, "u", INT64_MAX);
    pack_kv_raw(&b, "r", rr_slice_of("\x91\x01", 2));
    assert_bytes(&b,
                 "87a169ffa173a178a16ca179a162c3a16ec0a175b3"
                 "39323233333732303336383534373735383037a1729101",
                 "pairs");
    rr_buf_fini(&b);
}

static void containers_grow_their_heads(void **state)
{
    struct rr_buf b = {0};

    (void)state;
    pack_array(&b, 15);
    pack_array(&b, 16);
    pack_array(&b, 65536);
    pack_map(&b, 15);
    pack_map(&b, 16);
    pack_map(&b, 65536);
    assert_bytes(&b, "9fdc0010dd000100008fde0010df00010000", "heads");
    rr_buf_fini(&b);
}

static void full_buffer_stays_failed(void **state)
{
    struct rr_buf b;

    (void)state;
    rr_buf_init(&b, 4);
    pack_cstr(&b, "abcd");
    pack_nil(&b);
    assert_true(b.failed);
    assert_true(b.len <= 4);
    rr_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars_use_the_shortest_form),
        cmocka_unit_test(pairs_are_key_then_value),
        cmocka_unit_test(containers_grow_their_heads),
        cmocka_unit_test(full_buffer_stays_failed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
