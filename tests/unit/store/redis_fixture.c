#include "redis_fixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int64_t test_now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    close(fd);
    return ntohs(a.sin_port);
}

static void run_server(const struct redis_fixture *f)
{
    char port[8];
    char log[96];
    char bus[8];
    int null = open("/dev/null", O_RDWR);

    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that crashes leaves no server behind */
    snprintf(port, sizeof(port), "%d", f->port);
    snprintf(bus, sizeof(bus), "%d", f->bus_port);
    snprintf(log, sizeof(log), "%s/log", f->dir);
    dup2(null, 0);
    dup2(null, 1);
    dup2(null, 2);
    execlp("redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", f->dir,
           "--logfile", log, "--save", "", "--appendonly", "yes", "--appendfsync", "always",
           "--requirepass", f->password, "--cluster-enabled", f->cluster ? "yes" : "no",
           "--cluster-node-timeout", "1000", "--cluster-require-full-coverage", "no",
           "--cluster-port", bus, (char *)NULL);
    _exit(127);
}

static redisContext *connect_own(const struct redis_fixture *f)
{
    struct timeval tv = {.tv_sec = 5};
    redisContext *ctx = redisConnectWithTimeout("127.0.0.1", f->port, tv);
    redisReply *r = NULL;
    int ok = 0;

    if (!ctx || ctx->err)
        goto out;
    redisSetTimeout(ctx, tv);
    if (f->password[0])
        freeReplyObject(redisCommand(ctx, "AUTH %s", f->password));
    r = redisCommand(ctx, "PING");
    ok = r && r->type == REDIS_REPLY_STATUS;
    if (r)
        freeReplyObject(r);
out:
    if (ok)
        return ctx;
    if (ctx)
        redisFree(ctx);
    return NULL;
}

void redis_restart(struct redis_fixture *f)
{
    int64_t deadline = test_now_ms() + 20000;

    assert_int_equal(f->pid, 0);
    f->pid = fork();
    if (f->pid < 0) {
        f->pid = 0;
        fail_msg("fork failed");
    }
    if (f->pid == 0)
        run_server(f);
    while (!(f->ctx = connect_own(f))) {
        if (waitpid(f->pid, NULL, WNOHANG) != 0) {
            f->pid = 0;
            fail_msg("redis-server did not start, see %s/log", f->dir);
        }
        if (test_now_ms() > deadline)
            fail_msg("redis-server does not answer, see %s/log", f->dir);
        usleep(5000);
    }
}

void redis_start(struct redis_fixture *f)
{
    char password[sizeof(f->password)];
    bool cluster = f->cluster;

    memcpy(password, f->password, sizeof(password));
    *f = (struct redis_fixture){0};
    memcpy(f->password, password, sizeof(password));
    signal(SIGPIPE, SIG_IGN);
    strcpy(f->dir, "/tmp/redrain-store-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->cluster = cluster;
    f->port = free_port();
    f->bus_port = free_port();
    snprintf(f->url, sizeof(f->url), "redis://%s%s%s127.0.0.1:%d/0", f->password[0] ? ":" : "",
             f->password, f->password[0] ? "@" : "", f->port);
    redis_restart(f);
}

void redis_signal(const struct redis_fixture *f, int sig)
{
    assert_true(f->pid > 0);
    assert_int_equal(kill(f->pid, sig), 0);
}

void redis_ensure(struct redis_fixture *f)
{
    if (f->pid > 0)
        redis_signal(f, SIGCONT);
    else
        redis_restart(f);
}

void redis_kill9(struct redis_fixture *f)
{
    if (f->ctx)
        redisFree(f->ctx);
    f->ctx = NULL;
    if (f->pid > 0) {
        kill(f->pid, SIGKILL);
        waitpid(f->pid, NULL, 0);
    }
    f->pid = 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

void redis_stop(struct redis_fixture *f)
{
    redis_kill9(f);
    if (strncmp(f->dir, "/tmp/redrain-store-", 19) == 0)
        nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static redisReply *do_va(struct redis_fixture *f, const char *fmt, va_list ap)
{
    redisReply *r = redisvCommand(f->ctx, fmt, ap);

    if (!r)
        fail_msg("no answer to %s: %s", fmt, f->ctx->errstr);
    if (r->type == REDIS_REPLY_ERROR)
        fail_msg("%s: %s", fmt, r->str);
    return r;
}

redisReply *redis_do(struct redis_fixture *f, const char *fmt, ...)
{
    redisReply *r = NULL;
    va_list ap;

    va_start(ap, fmt);
    r = do_va(f, fmt, ap);
    va_end(ap);
    return r;
}

int64_t redis_do_int(struct redis_fixture *f, const char *fmt, ...)
{
    redisReply *r = NULL;
    int64_t v = 0;
    va_list ap;

    va_start(ap, fmt);
    r = do_va(f, fmt, ap);
    va_end(ap);
    v = r->type == REDIS_REPLY_INTEGER ? r->integer : strtoll(r->str ? r->str : "-1", NULL, 10);
    freeReplyObject(r);
    return v;
}

const char *redis_do_str(struct redis_fixture *f, const char *fmt, ...)
{
    static char text[4096];
    redisReply *r = NULL;
    va_list ap;

    va_start(ap, fmt);
    r = do_va(f, fmt, ap);
    va_end(ap);
    snprintf(text, sizeof(text), "%s", r->str ? r->str : "");
    freeReplyObject(r);
    return text;
}

struct store_opts redis_opts(const struct redis_fixture *f, const char *name)
{
    return (struct store_opts){
        .url = f->url, .namespace_ = "t1_", .worker_name = name, .timeout_ms = 1000};
}
