/* Reading the configuration again: what changes, what waits, and that a wrong file changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/conf.h"

static char path[] = "/tmp/redrain-reload-XXXXXX";
static char *argv[] = {"program", "--config", path, "--set", "risk.hold_fresh_s=5", NULL};

static void write_file(const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void a_reload_takes_what_reloads(void **state)
{
    struct rr_conf c;
    struct rr_conf fresh;
    struct rr_buf out = {0};
    char message[200];

    (void)state;
    assert_true(close(mkstemp(path)) == 0);
    write_file("[server]\nport = 77\n[risk]\nhold_grab_fen = 10\n");
    assert_int_equal(rr_conf_main(5, argv, &c, "usage"), 5);
    assert_int_equal(c.risk_hold_grab_fen, 10);

    write_file("[server]\nport = 78\n[log]\nlevel = debug\n"
               "[risk]\nhold_grab_fen = 20\ndeny_own = false\nhold_fresh_s = 9\n");
    assert_int_equal(rr_conf_again(&fresh, message, sizeof(message)), RR_OK);
    rr_conf_differences(&c, &fresh, &out);
    assert_string_equal(out.p, "server.port, log.level");
    rr_conf_fini(&fresh);
    rr_buf_fini(&out);
    assert_true(rr_conf_reload(&c));
    assert_int_equal(c.risk_hold_grab_fen, 20);
    assert_false(c.risk_deny_own);
    assert_int_equal(c.risk_hold_fresh_s, 5); /* the flag still wins */
    assert_int_equal(c.server_port, 77);
    assert_string_equal(c.log_level, "info");

    write_file("[risk]\nhold_grab_fen = 30\nhold_fresh_s = plenty\n");
    assert_false(rr_conf_reload(&c));
    assert_int_equal(c.risk_hold_grab_fen, 20);
    unlink(path);
    assert_false(rr_conf_reload(&c));
    assert_int_equal(c.risk_hold_grab_fen, 20);
    rr_conf_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_reload_takes_what_reloads)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
