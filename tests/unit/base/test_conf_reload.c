/* Reading the configuration again: what changes, what waits, and that a wrong file changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/log.h"

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

    assert_string_equal(c.server_origins, "");
    write_file(
        "[server]\nport = 78\nworkers = 3\norigins = https://a.example\n[log]\nlevel = debug\n"
        "[risk]\nhold_grab_fen = 20\ndeny_own = false\nhold_fresh_s = 9\n");
    assert_int_equal(rr_conf_again(&fresh, message, sizeof(message)), RR_OK);
    rr_conf_differences(&c, &fresh, &out);
    assert_string_equal(out.p, "server.workers, server.port");
    rr_conf_fini(&fresh);
    rr_buf_fini(&out);
    assert_true(rr_conf_reload(&c));
    assert_int_equal(c.risk_hold_grab_fen, 20);
    assert_false(c.risk_deny_own);
    assert_int_equal(c.risk_hold_fresh_s, 5); /* the flag still wins */
    assert_int_equal(c.server_port, 77);
    assert_string_equal(c.log_level, "debug");
    assert_int_equal(rr_log_level_min, RR_LOG_DEBUG);
    assert_string_equal(c.server_origins, "https://a.example");

    write_file("[risk]\nhold_grab_fen = 30\nhold_fresh_s = plenty\n");
    assert_false(rr_conf_reload(&c));
    assert_int_equal(c.risk_hold_grab_fen, 20);
    unlink(path);
    assert_false(rr_conf_reload(&c));
    assert_int_equal(c.risk_hold_grab_fen, 20);
    rr_conf_fini(&c);
}

static enum rr_err no_debug(const struct rr_conf *c, char *message, size_t cap)
{
    if (strcmp(c->log_level, "debug") != 0)
        return RR_OK;
    snprintf(message, cap, "not that");
    return RR_CONFIG;
}

static void what_a_check_refuses_is_not_taken(void **state)
{
    struct rr_conf c;
    struct rr_conf fresh;

    (void)state;
    write_file("[log]\nlevel = warn\n");
    assert_int_equal(rr_conf_main(5, argv, &c, "usage"), 5);
    write_file("[log]\nlevel = debug\n");
    assert_int_equal(rr_conf_reread(&c, &fresh, no_debug), RR_CONFIG);
    assert_string_equal(c.log_level, "warn");
    write_file("[log]\nlevel = error\n");
    assert_int_equal(rr_conf_reread(&c, &fresh, no_debug), RR_OK);
    assert_string_equal(fresh.log_level, "error");
    assert_string_equal(c.log_level, "warn"); /* only rr_conf_take() changes it */
    rr_conf_fini(&fresh);
    rr_conf_fini(&c);
    unlink(path);
}

/* Without the last NUL: nothing behind the bytes is read, and somebody is told why. */
static void assert_cut_off(const struct rr_buf *packed)
{
    struct rr_conf c;
    char message[200] = "";
    char *exact = malloc(packed->len - 1);

    assert_non_null(exact);
    memcpy(exact, packed->p, packed->len - 1);
    assert_int_equal(rr_conf_unpack(&c, exact, packed->len - 1, message, sizeof(message)),
                     RR_CONFIG);
    assert_true(message[0] != 0);
    free(exact);
}

static void another_process_gets_every_option(void **state)
{
    struct rr_conf c;
    struct rr_conf got;
    struct rr_buf packed = {0};
    struct rr_buf none = {0};
    char message[200];

    (void)state;
    write_file("[redis]\nurl = redis://u:p#=;w@127.0.0.1:1/0\n[server]\nport = 5\n");
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(rr_conf_main(5, argv, &c, "usage"), 5);
    rr_conf_pack(&c, &packed);
    assert_int_equal(rr_conf_unpack(&got, packed.p, packed.len, message, sizeof(message)), RR_OK);
    assert_string_equal(got.redis_url, c.redis_url);
    assert_int_equal(got.server_port, 5);
    assert_int_equal(got.risk_hold_fresh_s, 5);
    rr_conf_differences(&c, &got, &none);
    assert_int_equal(none.len, 0);
    rr_conf_fini(&got);
    assert_int_equal(rr_conf_unpack(&got, packed.p, packed.len / 2, message, sizeof(message)),
                     RR_CONFIG);
    assert_cut_off(&packed);
    rr_buf_fini(&packed);
    rr_buf_fini(&none);
    rr_conf_fini(&c);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reload_takes_what_reloads),
        cmocka_unit_test(what_a_check_refuses_is_not_taken),
        cmocka_unit_test(another_process_gets_every_option),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
