/* Addresses become keyed hashes; those that stand for nobody or for many do not count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "risk/address.h"

static const struct risk_key key = {.bytes = {1, 2, 3}};

static uint64_t hash(const char *text)
{
    return risk_address_hash(&key, text);
}

static void two_addresses_differ_and_one_stays_the_same(void **state)
{
    struct risk_key other = {.bytes = {9}};

    (void)state;
    assert_int_not_equal(hash("203.0.113.7"), 0);
    assert_int_equal(hash("203.0.113.7"), hash("203.0.113.7"));
    assert_int_equal(hash("203.0.113.7"), hash("::ffff:203.0.113.7"));
    assert_int_not_equal(hash("203.0.113.7"), hash("203.0.113.8"));
    assert_int_not_equal(hash("203.0.113.7"), risk_address_hash(&other, "203.0.113.7"));
}

static void a_v6_network_is_one_address(void **state)
{
    (void)state;
    assert_int_not_equal(hash("2001:db8:1:2::1"), 0);
    assert_int_equal(hash("2001:db8:1:2::1"), hash("2001:db8:1:2:ffff::9"));
    assert_int_not_equal(hash("2001:db8:1:2::1"), hash("2001:db8:1:3::1"));
}

static void what_stands_for_nobody_is_not_counted(void **state)
{
    static const char *const texts[] = {
        "",           "x",          "127.0.0.1",       "::1",     "10.1.2.3",  "192.168.0.1",
        "172.16.0.1", "172.31.9.9", "169.254.1.1",     "0.0.0.0", "224.0.0.1", "fe80::1",
        "fd00::1",    "::",         "::ffff:10.0.0.1", "ff02::1", "1.2.3",     "1.2.3.4.5"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(hash(texts[i]), 0);
    assert_int_not_equal(hash("172.32.0.1"), 0);
    assert_int_not_equal(hash("100.64.0.1"), 0);
}

static void the_last_entry_is_the_nearest_proxys(void **state)
{
    char many[] = "10.0.0.1, 203.0.113.9 ,203.0.113.7 ";
    char one[] = "203.0.113.7";
    char none[] = "";

    (void)state;
    assert_string_equal(risk_address_last(many), "203.0.113.7");
    assert_string_equal(risk_address_last(one), "203.0.113.7");
    assert_string_equal(risk_address_last(none), "");
}

static void a_key_goes_through_text_and_comes_from_a_file(void **state)
{
    char hex[2 * RISK_KEY_BYTES + 1];
    char path[] = "/tmp/redrain-key-XXXXXX";
    struct risk_key a;
    struct risk_key b;
    int fd = mkstemp(path);

    (void)state;
    risk_key_random(&a);
    risk_key_print(&a, hex);
    assert_int_equal(risk_key_parse(&b, hex), RR_OK);
    assert_memory_equal(&a, &b, sizeof(a));
    assert_int_equal(risk_key_parse(&b, "12"), RR_CONFIG);
    assert_int_equal(risk_key_parse(&b, "zz"), RR_CONFIG);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "short", 5), 5);
    assert_int_equal(risk_key_load(&a, path), RR_CONFIG);
    assert_int_equal(write(fd, "and now long enough", 19), 19);
    assert_int_equal(risk_key_load(&a, path), RR_OK);
    assert_int_equal(risk_key_load(&b, path), RR_OK);
    assert_memory_equal(&a, &b, sizeof(a));
    close(fd);
    unlink(path);
    assert_int_equal(risk_key_load(&a, path), RR_CONFIG);
}

static void a_hash_is_printed_as_hex(void **state)
{
    char out[RISK_ADDRESS_TEXT];

    (void)state;
    risk_address_print(0x1fU, out);
    assert_string_equal(out, "000000000000001f");
    risk_address_print(0, out);
    assert_string_equal(out, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_addresses_differ_and_one_stays_the_same),
        cmocka_unit_test(a_v6_network_is_one_address),
        cmocka_unit_test(what_stands_for_nobody_is_not_counted),
        cmocka_unit_test(the_last_entry_is_the_nearest_proxys),
        cmocka_unit_test(a_key_goes_through_text_and_comes_from_a_file),
        cmocka_unit_test(a_hash_is_printed_as_hex),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
