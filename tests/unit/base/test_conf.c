/* Options: precedence, strictness, messages that name the place, masking. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/conf.h"

static char dir[] = "/tmp/redrain-conf-XXXXXX";
static char path[64];
static char message[1024];

static int make_dir(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof(path), "%s/x.conf", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir);
}

static void write_file(const char *text, mode_t mode)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(path, mode), 0);
}

static enum rr_err load(struct rr_conf *c, const char *text)
{
    write_file(text, 0600);
    return rr_conf_load(c, path, NULL, 0, message, sizeof(message));
}

static void load_nothing_gives_defaults(void **state)
{
    struct rr_conf c;

    (void)state;
    assert_int_equal(rr_conf_load(&c, NULL, NULL, 0, message, sizeof(message)), RR_OK);
    assert_int_equal(c.server_port, 8480);
    assert_int_equal(c.server_workers, 2);
    assert_false(c.server_allow_no_origin);
    assert_string_equal(c.server_namespace, "");
    assert_string_equal(c.redis_url, "redis://127.0.0.1:6379/0");
    assert_string_equal(c.log_level, "info");
    rr_conf_fini(&c);
    rr_conf_fini(&c);
}

static void load_file_sets_values(void **state)
{
    struct rr_conf c;

    (void)state;
    assert_int_equal(load(&c, "# comment\n; comment\n\n[server]\n  port = 0\nallow_no_origin=on\n"
                              "origins = http://a.example, https://b.example:8443\n[log]\n"
                              "level = debug ; aside\n[server]\nnamespace = t_1\n"),
                     RR_OK);
    assert_int_equal(c.server_port, 0);
    assert_true(c.server_allow_no_origin);
    assert_string_equal(c.server_origins, "http://a.example, https://b.example:8443");
    assert_string_equal(c.log_level, "debug");
    assert_string_equal(c.server_namespace, "t_1");
    rr_conf_fini(&c);
}

static void load_later_source_wins(void **state)
{
    static const char *const flags[] = {"admin.port=4", "log.level=warn", "kafka.group=a=b"};
    struct rr_conf c;

    (void)state;
    write_file("[server]\nport = 1\n[admin]\nport = 1\n[log]\nlevel = error\n[token]\nleeway_s = "
               "7\n",
               0600);
    setenv("REDRAIN_SERVER_PORT", "2", 1);
    setenv("REDRAIN_ADMIN_PORT", "3", 1);
    setenv("REDRAIN_SERVER_ALLOW_NO_ORIGIN", "1", 1);
    setenv("REDRAIN_UNRELATED", "x", 1);
    assert_int_equal(rr_conf_load(&c, path, flags, 2, message, sizeof(message)), RR_OK);
    assert_int_equal(c.server_port, 2);
    assert_int_equal(c.admin_port, 4);
    assert_int_equal(c.token_leeway_s, 7);
    assert_true(c.server_allow_no_origin);
    assert_string_equal(c.log_level, "warn");
    rr_conf_fini(&c);
    assert_int_equal(rr_conf_load(&c, path, flags, 3, message, sizeof(message)), RR_CONFIG);
    assert_non_null(strstr(message, "[kafka] group = \"a=b\""));
    setenv("REDRAIN_SERVER_PORT", "x", 1);
    assert_int_equal(rr_conf_load(&c, path, NULL, 0, message, sizeof(message)), RR_CONFIG);
    assert_string_equal(message, "REDRAIN_SERVER_PORT: [server] port = \"x\": not a whole number");
    unsetenv("REDRAIN_SERVER_PORT");
    setenv("REDRAIN_SERVER_PROT", "1", 1);
    assert_int_equal(rr_conf_load(&c, path, NULL, 0, message, sizeof(message)), RR_CONFIG);
    assert_string_equal(message, "REDRAIN_SERVER_PROT: unknown key \"prot\" in [server], did you "
                                 "mean \"port\"?");
    unsetenv("REDRAIN_SERVER_PROT");
    unsetenv("REDRAIN_ADMIN_PORT");
    unsetenv("REDRAIN_SERVER_ALLOW_NO_ORIGIN");
    unsetenv("REDRAIN_UNRELATED");
}

static const struct {
    const char *text;
    const char *wanted; /* part of the message after "file:" */
} bad_files[] = {
    {"[server]\nprot = 1\n", "2: unknown key \"prot\" in [server], did you mean \"port\"?"},
    {"[server]\n\n\nprto = 1\n", "4: unknown key \"prto\" in [server], did you mean \"port\"?"},
    {"[server]\nworker = 1\n", "2: unknown key \"worker\" in [server], did you mean \"workers\"?"},
    {"[server]\nzzzzzzzzzz = 1\n", "2: unknown key \"zzzzzzzzzz\" in [server]"},
    {"[server]\nbootstrap = x\n", "did you mean it in [kafka]?"},
    {"[sever]\nport = 1\n", "1: unknown section [sever], did you mean [server]?"},
    {"[sever]\n", "1: unknown section [sever], did you mean [server]?"},
    {"\n[nothing_like_it]\n", "2: unknown section [nothing_like_it]"},
    {"[Server]\nport = 1\n", "1: unknown section [Server], did you mean [server]?"},
    {"[server]\nPort = 1\n", "2: unknown key \"Port\" in [server], did you mean \"port\"?"},
    {"port = 1\n", "1: key \"port\" before the first [section]"},
    {"[server\nport = 1\n", "1: neither"},
    {"[server]\nport\n", "2: neither"},
    {"[server]\nport = 1\nport = 2\n", "3: key \"port\" in [server] is given twice"},
    {"[server]\nport = 1\n[log]\nlevel = info\n[server]\nport = 1\n", "6: key \"port\""},
    {"[server]\nport =\n", "2: [server] port = \"\": not a whole number"},
    {"[server]\nport = x\n", "not a whole number"},
    {"[server]\nport = 1x\n", "not a whole number"},
    {"[server]\nport = 1.5\n", "not a whole number"},
    {"[server]\nport = 0x10\n", "not a whole number"},
    {"[server]\nport = +1\n", "not a whole number"},
    {"[server]\nport = -1\n", "2: [server] port = -1: must be 0 to 65535"},
    {"[server]\nport = 65536\n", "must be 0 to 65535"},
    {"[server]\nport = 99999999999999999999\n", "not a whole number"},
    {"[server]\nworkers = 0\n", "must be 1 to 64"},
    {"[server]\nworkers = 65\n", "must be 1 to 64"},
    {"[server]\nmax_connections = 0\n", "must be 1 to 10000000 sockets"},
    {"[server]\nhello_timeout_ms = 5\n", "must be 100 to 600000 ms"},
    {"[server]\nallow_no_origin = maybe\n", "must be true or false"},
    {"[server]\nallow_no_origin = True\n", "must be true or false"},
    {"[server]\nnamespace = A\n", "[server] namespace = \"A\": only a-z, 0-9 and _ are allowed"},
    {"[server]\nnamespace = a-b\n", "only a-z"},
    {"[server]\nnamespace = aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n", "must have 0 to 32 characters"},
    {"[server]\norigins = *\n", "each origin must be"},
    {"[server]\norigins = http://a/path\n", "each origin must be"},
    {"[server]\norigins = http://a/\n", "each origin must be"},
    {"[server]\norigins = http://A.example\n", "each origin must be"},
    {"[server]\norigins = null\n", "each origin must be"},
    {"[server]\norigins = a.example\n", "each origin must be"},
    {"[server]\norigins = ://a\n", "each origin must be"},
    {"[server]\norigins = http://\n", "each origin must be"},
    {"[server]\norigins = http://a http://*.b\n", "each origin must be"},
    {"[server]\nhost =\n", "must have 1 to 255 characters, has 0"},
    {"[admin]\nhost = 0.0.0.0\n", "only a loopback address"},
    {"[admin]\nhost = 127.evil.example\n", "only a loopback address"},
    {"[admin]\nhost = 10.0.0.1\n", "only a loopback address"},
    {"[admin]\nport = 70000\n", "must be 0 to 65535"},
    {"[admin]\ntoken = secret\n", "unknown key \"token\" in [admin]"},
    {"[token]\nleeway_s = 61\n", "must be 0 to 60 s"},
    {"[token]\naudience =\n", "must have 1 to 255"},
    {"[token]\nkey_file = x\n", "did you mean \"keys_file\"?"},
    {"[redis]\nurl = 127.0.0.1:6379\n", "2: [redis] url: must be redis://"},
    {"[redis]\nurl = redis://\n", "[redis] url: must be redis://"},
    {"[redis]\nurl = rediss://x\n", "[redis] url: TLS to Redis is not spoken"},
    {"[redis]\ntimeout_ms = 1\n", "must be 100 to 60000 ms"},
    {"[mysql]\nurl = postgres://x\n", "[mysql] url: must be mysql://"},
    {"[mysql]\ntimeout_ms = 1\n", "must be 1000 to 60000 ms"},
    {"[kafka]\ntopic = a/b\n", "only letters, digits"},
    {"[kafka]\ngroup = a b\n", "only letters, digits"},
    {"[kafka]\npartitions = 0\n", "must be 1 to 1000"},
    {"[limits]\ngrab_per_s = 0\n", "must be 1 to 100000 1/s"},
    {"[settler]\nbatch_max = 1001\n", "must be 1 to 1000 records"},
    {"[log]\nlevel = verbose\n", "must be debug, info, notice, warn or error"},
    {"[log]\nformat = json\n", "unknown key \"format\" in [log]"},
};

static void load_bad_file_names_line(void **state)
{
    struct rr_conf c;

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(bad_files); i++) {
        enum rr_err err = load(&c, bad_files[i].text);
        if (err != RR_CONFIG || strncmp(message, path, strlen(path)) != 0 ||
            !strstr(message + strlen(path), bad_files[i].wanted))
            fail_msg("file %zu gave %d \"%s\", wanted \"%s\"", i, err, message,
                     bad_files[i].wanted);
    }
}

static void load_long_line_says_so(void **state)
{
    char text[9000];
    struct rr_conf c;

    (void)state;
    strcpy(text, "[server]\norigins = ");
    size_t used = strlen(text);
    memset(text + used, 'a', sizeof(text) - used - 2);
    strcpy(text + sizeof(text) - 2, "\n");
    assert_int_equal(load(&c, text), RR_CONFIG);
    assert_non_null(strstr(message, ":2: line is longer than"));
}

static void load_missing_file_or_folder_fails(void **state)
{
    struct rr_conf c;

    (void)state;
    assert_int_equal(rr_conf_load(&c, "/nonexistent/x", NULL, 0, message, sizeof(message)),
                     RR_CONFIG);
    assert_string_equal(message, "/nonexistent/x: No such file or directory");
    assert_int_equal(rr_conf_load(&c, dir, NULL, 0, message, sizeof(message)), RR_CONFIG);
    assert_non_null(strstr(message, "is a folder"));
}

static void load_password_in_open_file_is_refused(void **state)
{
    static const char text[] = "[mysql]\nurl = mysql://u:geheim@127.0.0.1:3306/d\n";
    static const char plain[] = "[mysql]\nurl = mysql://u@127.0.0.1:3306/d\n"
                                "[redis]\nurl = redis://127.0.0.1:7/0\n";
    static const mode_t open_modes[] = {0604, 0640, 0644, 0666};
    struct rr_conf c;

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(open_modes); i++) {
        write_file(text, open_modes[i]);
        assert_int_equal(rr_conf_load(&c, path, NULL, 0, message, sizeof(message)), RR_CONFIG);
        assert_non_null(strstr(message, "holds a password in [mysql] url"));
        assert_non_null(strstr(message, "chmod 600"));
        assert_null(strstr(message, "geheim"));
    }
    write_file(plain, 0644);
    assert_int_equal(rr_conf_load(&c, path, NULL, 0, message, sizeof(message)), RR_OK);
    rr_conf_fini(&c);
    write_file(text, 0400);
    assert_int_equal(rr_conf_load(&c, path, NULL, 0, message, sizeof(message)), RR_OK);
    assert_string_equal(c.mysql_url, "mysql://u:geheim@127.0.0.1:3306/d");
    rr_conf_fini(&c);
}

static void load_bad_flags_fail(void **state)
{
    static const char *const bad[] = {"",        "server",        "server.port",    "=",
                                      "port=1",  "server.port=x", "a.b=c",          "server.=1",
                                      ".port=1", "server..=",     "server=port.1=", "redis.url=x"};
    struct rr_conf c;

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(bad); i++) {
        assert_int_equal(rr_conf_load(&c, NULL, &bad[i], 1, message, sizeof(message)), RR_CONFIG);
        assert_memory_equal(message, "--set: ", 7);
    }
    assert_int_equal(rr_conf_load(&c, NULL, &bad[0], 1, message, 10), RR_CONFIG);
    assert_int_equal(strlen(message), 9);
    assert_int_equal(rr_conf_load(&c, NULL, &bad[0], 1, NULL, 0), RR_CONFIG);
}

static void print_masks_only_passwords(void **state)
{
    static const char *const flags[] = {"mysql.url=mysql://u:p@ss@h:1/d",
                                        "redis.url=redis://:secret@h:1/0"};
    struct rr_buf out = {0};
    struct rr_conf c;

    (void)state;
    assert_int_equal(rr_conf_load(&c, NULL, flags, 2, message, sizeof(message)), RR_OK);
    rr_conf_print(&c, &out);
    assert_non_null(strstr(out.p, "url = mysql://u:***@h:1/d\n"));
    assert_non_null(strstr(out.p, "url = redis://:***@h:1/0\n"));
    assert_null(strstr(out.p, "secret"));
    assert_null(strstr(out.p, "p@ss"));
    assert_non_null(strstr(out.p, "[server]\nnamespace =\nworkers = 2\n"));
    rr_buf_fini(&out);
    rr_conf_fini(&c);
}

static void print_defaults_loads_again(void **state)
{
    struct rr_buf out = {0};
    struct rr_conf c;

    (void)state;
    rr_conf_print(NULL, &out);
    assert_int_equal(load(&c, out.p), RR_OK);
    assert_int_equal(c.settler_batch_max, 1000);
    rr_conf_fini(&c);
    assert_non_null(strstr(out.p, "# worker processes; one per core (1 to 64)\nworkers = 2\n"));
    rr_buf_clear(&out);
    rr_conf_markdown(&out);
    assert_non_null(strstr(out.p, "| `server.port` | `8480` | 0…65535 | restart |"));
    rr_buf_fini(&out);
}

/* Runs rr_conf_main in a child, returns its exit code and what it printed. */
static int run_main(char *const *argv, char *out, size_t cap)
{
    int pipe_fd[2];
    int argc = 0;
    int status = 0;
    size_t used = 0;
    ssize_t got;

    while (argv[argc])
        argc++;
    assert_int_equal(pipe(pipe_fd), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct rr_conf c;
        dup2(pipe_fd[1], 1);
        dup2(pipe_fd[1], 2);
        close(pipe_fd[0]);
        int at = rr_conf_main(argc, (char **)argv, &c, "usage: text\n");
        dprintf(1, "at=%d port=%d", at, (int)c.server_port);
        rr_conf_fini(&c);
        _exit(0);
    }
    close(pipe_fd[1]);
    while (used + 1 < cap && (got = read(pipe_fd[0], out + used, cap - used - 1)) > 0)
        used += (size_t)got;
    out[used] = 0;
    close(pipe_fd[0]);
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define RUN(out, ...) run_main((char *const[]){"/bin/prog", __VA_ARGS__, NULL}, out, sizeof(out))

static void main_handles_common_options(void **state)
{
    char out[32768];

    (void)state;
    write_file("[server]\nport = 77\n", 0600);
    assert_int_equal(RUN(out, "--config", path, "--set=server.port=78", "migrate", "--help"), 0);
    assert_string_equal(out, "at=4 port=78");
    assert_int_equal(RUN(out, "--set", "server.port=79"), 0);
    assert_string_equal(out, "at=3 port=79");
    assert_int_equal(RUN(out, "--version"), 0);
    assert_memory_equal(out, "prog 0.", 7);
    assert_int_equal(RUN(out, "--help"), 0);
    assert_string_equal(out, "usage: text\n");
    assert_int_equal(RUN(out, "--print-default-config"), 0);
    assert_non_null(strstr(out, "[kafka]"));
    assert_int_equal(RUN(out, "--config", path, "--print-config"), 0);
    assert_non_null(strstr(out, "port = 77\n"));
    assert_int_equal(RUN(out, "--config", path, "--check-config"), 0);
    assert_non_null(strstr(out, "configuration is valid"));
    assert_int_equal(RUN(out, "--config"), 2);
    assert_int_equal(RUN(out, "--config", path, "--config", path), 2);
    assert_int_equal(RUN(out, "--set", "a.b=c"), 2);
    assert_int_equal(RUN(out, "--config", "/nonexistent", "--check-config"), 2);
    assert_non_null(strstr(out, "prog: /nonexistent: No such file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(load_nothing_gives_defaults),
        cmocka_unit_test(load_file_sets_values),
        cmocka_unit_test(load_later_source_wins),
        cmocka_unit_test(load_bad_file_names_line),
        cmocka_unit_test(load_long_line_says_so),
        cmocka_unit_test(load_missing_file_or_folder_fails),
        cmocka_unit_test(load_password_in_open_file_is_refused),
        cmocka_unit_test(load_bad_flags_fail),
        cmocka_unit_test(print_masks_only_passwords),
        cmocka_unit_test(print_defaults_loads_again),
        cmocka_unit_test(main_handles_common_options),
    };
    return cmocka_run_group_tests_name("conf", tests, make_dir, remove_dir);
}
