#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "store/redis_url.h"

static void parse_reads_every_part(void **state)
{
    static const struct {
        const char *url, *host, *user, *password;
        unsigned port, db;
    } rows[] = {
        {"redis://127.0.0.1:6380/3", "127.0.0.1", "", "", 6380, 3},
        {"redis://h", "h", "", "", 6379, 0},
        {"redis://h/", "h", "", "", 6379, 0},
        {"redis://h/15", "h", "", "", 6379, 15},
        {"redis://:secret@h:1/0", "h", "", "secret", 1, 0},
        {"redis://me:se%40c%2Fret@h:65535", "h", "me", "se@c/ret", 65535, 0},
        {"redis://me@h", "h", "me", "", 6379, 0},
        {"redis://:a@b@h", "h", "", "a@b", 6379, 0},
        {"redis://:p:q@h", "h", "", "p:q", 6379, 0},
        {"redis://:%41@h", "h", "", "A", 6379, 0},
        {"redis://[::1]:7000/1", "::1", "", "", 7000, 1},
        {"redis://[fe80::1]", "fe80::1", "", "", 6379, 0},
    };
    struct redis_url u;

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(rows); i++) {
        assert_int_equal(redis_url_parse(rows[i].url, &u), RR_OK);
        assert_string_equal(u.host, rows[i].host);
        assert_string_equal(u.user, rows[i].user);
        assert_string_equal(u.password, rows[i].password);
        assert_int_equal(u.port, rows[i].port);
        assert_int_equal(u.db, rows[i].db);
    }
}

static void parse_reads_a_list_of_addresses(void **state)
{
    struct redis_url u;

    (void)state;
    assert_int_equal(redis_url_parse("redis://:pw@a,b:7001,[::1]:7002/0", &u), RR_OK);
    assert_int_equal(u.seeds_n, 3);
    assert_string_equal(u.host, "a");
    assert_string_equal(u.password, "pw");
    assert_string_equal(u.seeds[0].host, "a");
    assert_int_equal(u.seeds[0].port, 6379);
    assert_string_equal(u.seeds[1].host, "b");
    assert_int_equal(u.seeds[1].port, 7001);
    assert_string_equal(u.seeds[2].host, "::1");
    assert_int_equal(u.seeds[2].port, 7002);
    assert_int_equal(redis_url_parse("redis://a,,b", &u), RR_CONFIG);
    assert_int_equal(redis_url_parse("redis://a,", &u), RR_CONFIG);
    assert_int_equal(redis_url_parse("redis://a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a", &u), RR_CONFIG);
}

static void parse_malformed_is_refused(void **state)
{
    static const char *const urls[] = {
        "",
        "redis:/h",
        "rediss://h",
        "http://h",
        "redis://",
        "redis://:6379",
        "redis:///0",
        "redis://h:0",
        "redis://h:",
        "redis://h:65536",
        "redis://h:12x",
        "redis://h:6379/x",
        "redis://h/-1",
        "redis://h/100000",
        "redis://h/1/2",
        "redis://:%4@h",
        "redis://:%@h",
        "redis://:%zz@h",
        "redis://:%00@h",
        "redis://[::1",
        "redis://[::1]x",
        "redis://[]:1",
    };
    struct redis_url u;

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(urls); i++) {
        if (redis_url_parse(urls[i], &u) != RR_CONFIG)
            fail_msg("accepted: %s", urls[i]);
    }
    assert_int_equal(redis_url_parse(NULL, &u), RR_CONFIG);
}

static void parse_too_long_is_refused(void **state)
{
    char url[2000];
    char big[1200];
    struct redis_url u;

    (void)state;
    memset(big, 'a', sizeof(big) - 1);
    big[sizeof(big) - 1] = 0;
    snprintf(url, sizeof(url), "redis://%s", big);
    assert_int_equal(redis_url_parse(url, &u), RR_CONFIG);
    snprintf(url, sizeof(url), "redis://:%s@h", big);
    assert_int_equal(redis_url_parse(url, &u), RR_CONFIG);
    big[REDIS_URL_HOST_MAX] = 0;
    snprintf(url, sizeof(url), "redis://%s", big);
    assert_int_equal(redis_url_parse(url, &u), RR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_reads_every_part),
        cmocka_unit_test(parse_reads_a_list_of_addresses),
        cmocka_unit_test(parse_malformed_is_refused),
        cmocka_unit_test(parse_too_long_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
