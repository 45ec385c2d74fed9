#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static int saved_stderr;
static int read_end;

static void capture_begin(void)
{
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    saved_stderr = dup(STDERR_FILENO);
    dup2(fds[1], STDERR_FILENO);
    close(fds[1]);
    read_end = fds[0];
}

/* What was written since capture_begin(); stderr is the old one again. */
static void capture_end(char *text, size_t cap)
{
    ssize_t n = 0;
    size_t len = 0;

    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    while (len + 1 < cap && (n = read(read_end, text + len, cap - 1 - len)) > 0)
        len += (size_t)n;
    text[len] = 0;
    close(read_end);
}

static void line_is_one_json_object(void **state)
{
    char text[4096];

    (void)state;
    rr_log_init("worker/1", RR_LOG_INFO);
    capture_begin();
    log_notice("redis_up", "host=%s port=%d", "127.0.0.1", 6379);
    capture_end(text, sizeof(text));
    assert_non_null(strstr(text, "\"level\":\"notice\",\"src\":\"worker/1\",\"pid\":"));
    assert_non_null(strstr(text, "\"event\":\"redis_up\",\"msg\":\"host=127.0.0.1 port=6379\"}\n"));
    assert_int_equal(text[0], '{');
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void message_cannot_break_the_line(void **state)
{
    char text[4096];

    (void)state;
    rr_log_init("t", RR_LOG_INFO);
    capture_begin();
    log_info("peer_said", "%s", "a\"b\\c\nd\x7f\x01");
    capture_end(text, sizeof(text));
    assert_non_null(strstr(text, "\"msg\":\"a\\\"b\\\\c\\u000ad\\u007f\\u0001\"}\n"));
}

static void message_shows_what_it_is(void **state)
{
    char text[4096];

    (void)state;
    rr_log_init("t", RR_LOG_INFO);
    capture_begin();
    log_info("peer_said", "%s", "\xe7\xba\xa2\xe5\x8c\x85 \xf0\x9f\xa7\xa7");
    log_info("peer_said", "%s", "a\xff\xc0\x80z\xe7\xba");                        /* no text */
    log_info("peer_said", "%s", "\xe2\x80\xae\xe2\x81\xa6\xc2\x9b\xe2\x80\xa8."); /* bidi, C1, LS */
    log_info("peer_said", "%s", "\xed\xa0\x80.\xf4\x90\x80\x80."); /* a surrogate, too far */
    capture_end(text, sizeof(text));
    assert_non_null(strstr(text, "\"msg\":\"\xe7\xba\xa2\xe5\x8c\x85 \xf0\x9f\xa7\xa7\"}"));
    assert_non_null(strstr(text, "\"msg\":\"a\\ufffd\\ufffd\\ufffdz\\ufffd\\ufffd\"}"));
    assert_non_null(strstr(text, "\"msg\":\"\\u202e\\u2066\\u009b\\u2028.\"}"));
    assert_null(strchr(text, '\xed'));
    assert_null(strchr(text, '\xf4'));
}

static void long_message_is_cut_not_lost(void **state)
{
    char huge[6000];
    char text[8192];

    (void)state;
    memset(huge, '\n', sizeof(huge)); /* six bytes each once escaped */
    huge[sizeof(huge) - 1] = 0;
    capture_begin();
    log_error("huge", "%s", huge);
    capture_end(text, sizeof(text));
    assert_true(strlen(text) > 1000 && strlen(text) <= 2048);
    assert_string_equal(text + strlen(text) - 3, "\"}\n");
}

static int evaluated;

static int count_evaluation(void)
{
    return ++evaluated;
}

static void level_below_minimum_evaluates_nothing(void **state)
{
    char text[256];

    (void)state;
    rr_log_init("t", RR_LOG_WARN);
    capture_begin();
    log_info("quiet", "%d", count_evaluation());
    log_debug("quiet", "%d", count_evaluation());
    capture_end(text, sizeof(text));
    assert_string_equal(text, "");
    assert_int_equal(evaluated, 0);
}

static void level_names_are_parsed(void **state)
{
    (void)state;
    assert_int_equal(rr_log_level_parse("debug"), RR_LOG_DEBUG);
    assert_int_equal(rr_log_level_parse("error"), RR_LOG_ERROR);
    assert_int_equal(rr_log_level_parse("INFO"), -1);
    assert_int_equal(rr_log_level_parse(""), -1);
}

static void ratelog_passes_one_per_window_and_counts_the_rest(void **state)
{
    struct rr_ratelog r = {0};
    uint64_t suppressed = 99;

    (void)state;
    assert_true(rr_ratelog_pass(&r, 0, 1000, &suppressed));
    assert_int_equal(suppressed, 0);
    assert_false(rr_ratelog_pass(&r, 500, 1000, &suppressed));
    assert_false(rr_ratelog_pass(&r, 999, 1000, &suppressed));
    assert_true(rr_ratelog_pass(&r, 1001, 1000, &suppressed));
    assert_int_equal(suppressed, 2);
    assert_true(rr_ratelog_pass(&r, 5000, 1000, &suppressed));
    assert_int_equal(suppressed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_is_one_json_object),
        cmocka_unit_test(message_cannot_break_the_line),
        cmocka_unit_test(message_shows_what_it_is),
        cmocka_unit_test(long_message_is_cut_not_lost),
        cmocka_unit_test(level_below_minimum_evaluates_nothing),
        cmocka_unit_test(level_names_are_parsed),
        cmocka_unit_test(ratelog_passes_one_per_window_and_counts_the_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
