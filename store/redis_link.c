#include "redis_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

enum { READ_BYTES = 64 * 1024, KEEPALIVE_S = 15 };

struct redis_link {
    uv_tcp_t tcp;
    uv_getaddrinfo_t lookup;
    uv_connect_t connect;
    struct redis_link_events events;
    redisReader *reader;
    uint32_t attempt;
    bool dropped;
    bool looking_up; /* the request is still libuv's */
    bool closed;     /* the handle is gone */
    char in[READ_BYTES];
};

struct write_req {
    uv_write_t req;
    char *p;
};

static void link_free(struct redis_link *l)
{
    struct redis_link_events events = l->events;

    if (!l->closed || l->looking_up)
        return;
    if (l->reader)
        redisReaderFree(l->reader);
    free(l);
    events.gone(events.arg);
}

static void on_closed(uv_handle_t *h)
{
    struct redis_link *l = h->data;

    l->closed = true;
    link_free(l);
}

void redis_link_drop(struct redis_link **l)
{
    struct redis_link *gone = *l;

    *l = NULL;
    if (!gone)
        return;
    gone->dropped = true;
    if (gone->looking_up)
        uv_cancel((uv_req_t *)&gone->lookup);
    uv_close((uv_handle_t *)&gone->tcp, on_closed);
}

static void fail(struct redis_link *l, const char *why)
{
    if (!l->dropped)
        l->events.broken(l->events.arg, why);
}

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *buf)
{
    struct redis_link *l = h->data;

    (void)hint;
    *buf = uv_buf_init(l->in, sizeof(l->in));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct redis_link *l = stream->data;
    void *reply = NULL;

    if (l->dropped || n == 0)
        return;
    if (n < 0) {
        fail(l, uv_strerror((int)n));
        return;
    }
    if (redisReaderFeed(l->reader, buf->base, (size_t)n) != REDIS_OK) {
        fail(l, "reply too large");
        return;
    }
    while (redisReaderGetReply(l->reader, &reply) == REDIS_OK) {
        if (!reply)
            return;
        if (!l->events.reply(l->events.arg, reply) || l->dropped)
            return;
        reply = NULL;
    }
    fail(l, "malformed reply");
}

static void on_connected(uv_connect_t *req, int status)
{
    struct redis_link *l = req->data;

    if (l->dropped)
        return;
    if (status == 0)
        status = uv_read_start((uv_stream_t *)&l->tcp, on_alloc, on_read);
    if (status) {
        fail(l, uv_strerror(status));
        return;
    }
    uv_tcp_nodelay(&l->tcp, 1);
    uv_tcp_keepalive(&l->tcp, 1, KEEPALIVE_S);
    l->events.connected(l->events.arg);
}

/* A name may have several addresses, e.g. localhost ::1 and 127.0.0.1: each attempt takes the next
 * one. */
static const struct sockaddr *nth_address(const struct addrinfo *list, uint32_t n)
{
    const struct addrinfo *a = NULL;
    uint32_t count = 0;

    for (a = list; a; a = a->ai_next)
        count++;
    n %= count;
    for (a = list; n > 0; a = a->ai_next)
        n--;
    return a->ai_addr;
}

static void on_lookup(uv_getaddrinfo_t *req, int status, struct addrinfo *res)
{
    struct redis_link *l = req->data;

    l->looking_up = false;
    if (l->dropped) {
        uv_freeaddrinfo(res);
        link_free(l);
        return;
    }
    if (status == 0 && !res)
        status = UV_EAI_NONAME;
    if (status == 0)
        status = uv_tcp_connect(&l->connect, &l->tcp, nth_address(res, l->attempt), on_connected);
    uv_freeaddrinfo(res);
    if (status)
        fail(l, uv_strerror(status));
}

enum rr_err redis_link_open(struct redis_link **out, uv_loop_t *loop, const char *host,
                            uint16_t port, uint32_t attempt, const struct redis_link_events *events)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct redis_link *l = rr_xcalloc(1, sizeof(*l));
    char service[8];

    *out = NULL;
    l->events = *events;
    l->reader = redisReaderCreate();
    l->attempt = attempt;
    RR_ASSERT(l->reader &&
              uv_tcp_init(loop, &l->tcp) == 0); /* no socket is made yet: only memory */
    l->tcp.data = l;
    l->lookup.data = l;
    l->connect.data = l;
    snprintf(service, sizeof(service), "%u", (unsigned)port);
    if (uv_getaddrinfo(loop, &l->lookup, on_lookup, host, service, &hints)) {
        redis_link_drop(&l); /* gone() follows */
        return RR_SYSTEM;
    }
    l->looking_up = true;
    *out = l;
    return RR_OK;
}

static void on_written(uv_write_t *req, int status)
{
    struct write_req *w = (struct write_req *)(void *)req;
    struct redis_link *l = req->handle->data;

    free(w->p);
    free(w);
    if (status)
        fail(l, uv_strerror(status));
}

enum rr_err redis_link_write(struct redis_link *l, struct rr_buf *bytes)
{
    uv_buf_t buf = uv_buf_init(bytes->p, (unsigned)bytes->len);
    int n = uv_try_write((uv_stream_t *)&l->tcp, &buf, 1);
    struct write_req *w = NULL;

    if (n < 0 && n != UV_EAGAIN)
        return RR_CLOSED;
    if (n < 0)
        n = 0;
    if ((size_t)n == bytes->len) {
        rr_buf_clear(bytes);
        return RR_OK;
    }
    w = rr_xcalloc(1, sizeof(*w));
    w->p = bytes->p;
    buf = uv_buf_init(bytes->p + n, (unsigned)(bytes->len - (size_t)n));
    if (uv_write(&w->req, (uv_stream_t *)&l->tcp, &buf, 1, on_written)) {
        free(w);
        return n > 0 ? RR_PENDING : RR_CLOSED;
    }
    *bytes = (struct rr_buf){.cap = bytes->cap};
    return RR_OK;
}

size_t redis_link_queued(const struct redis_link *l)
{
    return uv_stream_get_write_queue_size((const uv_stream_t *)&l->tcp);
}
