#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "wins_log.h"

static void assert_file(const char *path, const char *want)
{
    char got[512] = {0};
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    fread(got, 1, sizeof(got) - 1, f);
    fclose(f);
    assert_string_equal(got, want);
}

static void writes_one_line_per_event(void **state)
{
    (void)state;
    char dir[] = "/tmp/redrain-wins-XXXXXX";
    char path[64];
    char pending[72];
    struct wins_log w;
    struct grant g = {.seq = 0, .shard = 3, .packet_no = 12, .amount_fen = 345};

    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/w", dir);
    snprintf(pending, sizeof(pending), "%s.pending", path);
    assert_int_equal(wins_log_open(&w, path), RR_OK);
    wins_log_told(&w, "7", "abc", &g, 1700000000123);
    wins_log_pending(&w, "8", "abc", 1, 1700000000456);
    wins_log_flush(&w);
    assert_file(path, "{\"user\":\"7\",\"code\":\"abc\",\"seq\":0,\"shard\":3,\"packet_no\":12,"
                      "\"amount\":345,\"t\":1700000000123}\n");
    assert_file(pending, "{\"user\":\"8\",\"code\":\"abc\",\"seq\":1,\"t\":1700000000456}\n");
    assert_int_equal(wins_log_close(&w), RR_OK);
    unlink(path);
    unlink(pending);
    rmdir(dir);
}

static void writes_nowhere_without_a_path(void **state)
{
    (void)state;
    struct wins_log w;
    struct grant g = {0};
    assert_int_equal(wins_log_open(&w, NULL), RR_OK);
    wins_log_told(&w, "7", "abc", &g, 0);
    wins_log_pending(&w, "7", "abc", 0, 0);
    wins_log_flush(&w);
    assert_int_equal(wins_log_close(&w), RR_OK);
}

static void says_when_it_cannot_write(void **state)
{
    (void)state;
    struct wins_log w;
    assert_int_equal(wins_log_open(&w, "/nowhere/at/all"), RR_SYSTEM);
    assert_int_equal(wins_log_close(&w), RR_OK);
    if (access("/dev/full", W_OK) != 0)
        return;
    struct grant g = {0};
    w = (struct wins_log){.wins = fopen("/dev/full", "w")};
    assert_non_null(w.wins);
    wins_log_told(&w, "7", "abc", &g, 0);
    assert_int_equal(wins_log_close(&w), RR_SYSTEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_one_line_per_event),
        cmocka_unit_test(writes_nowhere_without_a_path),
        cmocka_unit_test(says_when_it_cannot_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
