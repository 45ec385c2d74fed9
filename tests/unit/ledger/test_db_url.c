/* URLs of databases: what is taken apart, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "db_url.h"

static struct db_url url;
static const char *what;

static enum rr_err parse(const char *text, const char *namespace_)
{
    return db_url_parse(text, namespace_, &url, &what);
}

static void whole_url_is_taken_apart(void **state)
{
    (void)state;
    assert_int_equal(parse("mysql://us%40er:p%2Fa%3as%25@db.example:3307/books", "n1_"), RR_OK);
    assert_string_equal(url.user, "us@er");
    assert_string_equal(url.password, "p/a:s%");
    assert_string_equal(url.host, "db.example");
    assert_int_equal(url.port, 3307);
    assert_string_equal(url.database, "n1_books");
    assert_string_equal(url.socket, "");
}

static void parts_may_be_left_out(void **state)
{
    (void)state;
    assert_int_equal(parse("mysql://root@[::1]/x", NULL), RR_OK);
    assert_string_equal(url.host, "::1");
    assert_string_equal(url.password, "");
    assert_int_equal(url.port, 3306);
    assert_int_equal(parse("mysql://[::1]:99/x", ""), RR_OK);
    assert_int_equal(url.port, 99);
    assert_string_equal(url.user, "");
    assert_int_equal(parse("mysql://u:p@h/x?socket=%2Frun%2Fm.sock", ""), RR_OK);
    assert_string_equal(url.socket, "/run/m.sock");
    assert_string_equal(url.database, "x");
}

static void malformed_urls_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "mysql:/",
        "http://h/x",
        "mysql://h",
        "mysql://h/",
        "mysql://h/a`b",
        "mysql://h/a/b",
        "mysql://h:0/x",
        "mysql://h:65536/x",
        "mysql://h:port/x",
        "mysql://h:/x",
        "mysql://@/x",
        "mysql://[::1/x",
        "mysql://[::1]y/x",
        "mysql://u:%zz@h/x",
        "mysql://%0@h/x",
        "mysql://u%00@h/x",
        "mysql://h/x?ssl=1",
        "mysql://h/0123456789012345678901234567890123456789012345678901234567890123456789",
    };

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(bad); i++) {
        if (parse(bad[i], "") != RR_CONFIG)
            fail_msg("taken: %s", bad[i]);
        assert_non_null(what);
    }
    assert_int_equal(parse("mysql://h/x", "no spaces "), RR_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_url_is_taken_apart),
        cmocka_unit_test(parts_may_be_left_out),
        cmocka_unit_test(malformed_urls_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
