#include "testdb.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

#include "ledger_impl.h"

static struct {
    pid_t pid;
    char dir[64];
    int port;
    int databases;
    char url[160];
} server;

static pid_t spawn(char *const argv[])
{
    pid_t parent = getpid();
    pid_t pid = fork();

    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(126);
        dup2(null, 0);
        dup2(null, 1);
        dup2(null, 2);
        execvp(argv[0], argv);
        _exit(127);
    }
    return pid;
}

static int run(char *const argv[])
{
    int status = 0;
    pid_t pid = spawn(argv);

    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int port = 0;

    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 &&
        getsockname(fd, (struct sockaddr *)&a, &len) == 0)
        port = ntohs(a.sin_port);
    close(fd);
    return port;
}

static void url_set(const char *database)
{
    snprintf(server.url, sizeof(server.url), "mysql://root@127.0.0.1:%d/%s", server.port, database);
}

static struct ledger *connect_again(void)
{
    struct ledger_opts o = {.url = server.url, .namespace_ = "", .timeout_s = 20};
    struct ledger *l = NULL;

    assert_int_equal(ledger_create(&l, &o), RR_OK);
    return l;
}

static bool wait_up(void)
{
    struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
    struct ledger *l = NULL;
    bool up = false;

    url_set("t0");
    l = connect_again();
    for (int i = 0; i < 3000 && !up && waitpid(server.pid, NULL, WNOHANG) == 0; i++) {
        up = ledger_migrate(l) == RR_OK;
        if (!up)
            nanosleep(&pause, NULL);
    }
    ledger_destroy(l);
    return up;
}

static void append(char *argv[], int *n, char *text)
{
    argv[(*n)++] = text;
    argv[*n] = NULL;
}

static bool start(void)
{
    char data[96];
    char socket_arg[96];
    char port[32];
    char pid_file[96];
    char *argv[24];
    int n = 0;

    snprintf(server.dir, sizeof(server.dir), "/tmp/rr-testdb-XXXXXX");
    if (!mkdtemp(server.dir))
        return false;
    snprintf(data, sizeof(data), "--datadir=%s/data", server.dir);
    snprintf(socket_arg, sizeof(socket_arg), "--socket=%s/s", server.dir);
    snprintf(pid_file, sizeof(pid_file), "--pid-file=%s/pid", server.dir);
    append(argv, &n, "mariadb-install-db");
    append(argv, &n, "--no-defaults");
    append(argv, &n, data);
    append(argv, &n, "--auth-root-authentication-method=normal");
    append(argv, &n, "--skip-test-db");
    if (geteuid() == 0)
        append(argv, &n, "--user=root");
    if (run(argv) != 0)
        return false;

    server.port = free_port();
    snprintf(port, sizeof(port), "--port=%d", server.port);
    n = 0;
    append(argv, &n, "mariadbd");
    append(argv, &n, "--no-defaults");
    append(argv, &n, data);
    append(argv, &n, socket_arg);
    append(argv, &n, pid_file);
    append(argv, &n, port);
    append(argv, &n, "--bind-address=127.0.0.1");
    append(argv, &n, "--innodb-flush-log-at-trx-commit=2");
    append(argv, &n, "--innodb-buffer-pool-size=64M");
    append(argv, &n, "--skip-name-resolve");
    if (geteuid() == 0)
        append(argv, &n, "--user=root");
    server.pid = spawn(argv);
    return server.pid > 0 && wait_up();
}

int testdb_setup(void **state)
{
    char *version[] = {"mariadbd", "--version", NULL};

    (void)state;
    ledger_global_init();
    if (run(version) != 0) {
        print_message("no mariadbd in PATH: the tests that need a database are skipped\n");
        return 0;
    }
    for (int i = 0; i < 3; i++) { /* another program may take the free port first */
        if (start())
            return 0;
        testdb_teardown(NULL);
    }
    return -1;
}

int testdb_teardown(void **state)
{
    char *argv[] = {"rm", "-rf", server.dir, NULL};

    (void)state;
    if (server.pid > 0) {
        kill(server.pid, SIGKILL);
        waitpid(server.pid, NULL, 0);
    }
    if (server.dir[0])
        run(argv);
    memset(&server, 0, sizeof(server));
    return 0;
}

struct ledger *testdb_open(void)
{
    char name[16];
    struct ledger *l = NULL;

    if (server.pid <= 0)
        skip();
    snprintf(name, sizeof(name), "t%d", ++server.databases);
    url_set(name);
    l = connect_again();
    assert_int_equal(ledger_migrate(l), RR_OK);
    assert_int_equal(ledger_ping(l), RR_OK);
    return l;
}

struct ledger *testdb_again(void)
{
    return connect_again();
}

const char *testdb_url(void)
{
    return server.url;
}

void testdb_close(struct ledger *l)
{
    char sql[64];

    snprintf(sql, sizeof(sql), "DROP DATABASE `%s`", db_name(l->db));
    testdb_exec(l, sql);
    ledger_destroy(l);
}

void testdb_exec(struct ledger *l, const char *sql)
{
    enum rr_err err = db_open(l->db);

    if (!err)
        err = db_execs(l->db, sql);
    if (err)
        print_message("%s\n-> %s\n", sql, ledger_error(l));
    assert_int_equal(err, RR_OK);
}

int64_t testdb_int(struct ledger *l, const char *sql)
{
    struct db_rows rows = {.cols = 0};
    int64_t v = 0;

    assert_int_equal(db_open(l->db), RR_OK);
    if (db_query(l->db, sql, strlen(sql), &rows) != RR_OK)
        fail_msg("%s -> %s", sql, ledger_error(l));
    assert_true(rows.n > 0);
    v = db_i64(&rows, 0, 0);
    db_rows_fini(&rows);
    return v;
}

int64_t testdb_intf(struct ledger *l, const char *fmt, ...)
{
    char sql[600];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(sql, sizeof(sql), fmt, ap);
    va_end(ap);
    return testdb_int(l, sql);
}

void testdb_execf(struct ledger *l, const char *fmt, ...)
{
    char sql[600];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(sql, sizeof(sql), fmt, ap);
    va_end(ap);
    testdb_exec(l, sql);
}
