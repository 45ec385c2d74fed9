#include "fake_redis.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "redis_fixture.h"

enum { CONNS_MAX = 32, IN_MAX = 256 * 1024 };

struct conn {
    int fd;
    char *in;
    size_t len;
};

/* The length of the first whole command in p, 0 when it is not whole; its first word to name. */
static size_t whole_command(const char *p, size_t len, char name[FAKE_WORD_MAX])
{
    const char *at = p;
    const char *end = p + len;
    long argc = 0;

    if (len < 4 || !memchr(p, '\n', len))
        return 0;
    argc = strtol(p + 1, NULL, 10);
    at = (const char *)memchr(p, '\n', len) + 1;
    for (long i = 0; i < argc; i++) {
        const char *nl = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
        long n = 0;

        if (!nl)
            return 0;
        n = strtol(at + 1, NULL, 10);
        at = nl + 1;
        if (end - at < n + 2)
            return 0;
        if (i == 0)
            snprintf(name, FAKE_WORD_MAX, "%.*s", (int)n, at);
        at += n + 2;
    }
    return (size_t)(at - p);
}

static bool login(const char *name)
{
    return strcmp(name, "CLIENT") == 0 || strcmp(name, "SCRIPT") == 0 || strcmp(name, "PING") == 0;
}

static void answer(struct fake_redis *f, int fd, const char *name)
{
    char out[4096] = "+OK\r\n";

    pthread_mutex_lock(&f->mu);
    if (!login(name)) {
        if (f->asked_n < FAKE_ASKED_MAX)
            snprintf(f->asked[f->asked_n++], FAKE_WORD_MAX, "%s", name);
        f->answer(f, name, out, sizeof(out));
    }
    pthread_mutex_unlock(&f->mu);
    if (send(fd, out, strlen(out), MSG_NOSIGNAL) < 0)
        return;
}

static void serve(struct fake_redis *f, struct conn *c)
{
    ssize_t n = recv(c->fd, c->in + c->len, IN_MAX - c->len, 0);
    char name[FAKE_WORD_MAX];
    size_t used = 0;

    if (n <= 0) {
        close(c->fd);
        c->fd = -1;
        return;
    }
    c->len += (size_t)n;
    while ((used = whole_command(c->in, c->len, name)) > 0) {
        answer(f, c->fd, name);
        c->len -= used;
        memmove(c->in, c->in + used, c->len);
    }
}

static void *run(void *arg)
{
    struct fake_redis *f = arg;
    struct conn conns[CONNS_MAX];
    bool open = true;

    for (int i = 0; i < CONNS_MAX; i++)
        conns[i] = (struct conn){.fd = -1, .in = malloc(IN_MAX)};
    while (open) {
        struct pollfd p[CONNS_MAX + 1];

        for (int i = 0; i < CONNS_MAX; i++)
            p[i] = (struct pollfd){.fd = conns[i].fd, .events = POLLIN};
        p[CONNS_MAX] = (struct pollfd){.fd = f->fd, .events = POLLIN};
        if (poll(p, CONNS_MAX + 1, 1000) < 0)
            break;
        for (int i = 0; i < CONNS_MAX; i++) {
            if (p[i].revents)
                serve(f, &conns[i]);
        }
        if (p[CONNS_MAX].revents) {
            int fd = accept(f->fd, NULL, NULL);

            open = fd >= 0;
            for (int i = 0; open && fd >= 0 && i < CONNS_MAX; i++) {
                if (conns[i].fd >= 0)
                    continue;
                conns[i].fd = fd;
                conns[i].len = 0;
                fd = -1;
            }
        }
    }
    for (int i = 0; i < CONNS_MAX; i++) {
        if (conns[i].fd >= 0)
            close(conns[i].fd);
        free(conns[i].in);
    }
    return NULL;
}

void fake_redis_start(struct fake_redis *f)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);

    f->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(f->fd >= 0);
    assert_int_equal(bind(f->fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(f->fd, 16), 0);
    assert_int_equal(getsockname(f->fd, (struct sockaddr *)&a, &len), 0);
    f->port = ntohs(a.sin_port);
    pthread_mutex_init(&f->mu, NULL);
    f->asked_n = 0;
    assert_int_equal(pthread_create(&f->thread, NULL, run, f), 0);
}

void fake_redis_stop(struct fake_redis *f)
{
    shutdown(f->fd, SHUT_RDWR);
    pthread_join(f->thread, NULL);
    close(f->fd);
    pthread_mutex_destroy(&f->mu);
}

unsigned fake_redis_asked(struct fake_redis *f, const char *name)
{
    unsigned n = 0;

    pthread_mutex_lock(&f->mu);
    for (unsigned i = 0; i < f->asked_n; i++)
        n += strcmp(f->asked[i], name) == 0;
    pthread_mutex_unlock(&f->mu);
    return n;
}

void fake_redis_forget(struct fake_redis *f)
{
    pthread_mutex_lock(&f->mu);
    f->asked_n = 0;
    pthread_mutex_unlock(&f->mu);
}
