#include "proxy_wait.h"

#include "base/alloc.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct proxy_wait {
    uv_poll_t poll;
    int fd;
    proxy_wait_fn done;
    void *arg;
    void *who;
    size_t n;
    char bytes[RR_PROXY_MAX_BYTES];
};

static void closed(uv_handle_t *h)
{
    free(h->data);
}

/* lws polls the same descriptor next: ours is off the loop when this returns. */
static void unwatch(struct proxy_wait *p)
{
    uv_poll_stop(&p->poll);
    uv_close((uv_handle_t *)&p->poll, closed);
}

static void finish(struct proxy_wait *p, enum rr_err err, const struct rr_proxy_header *h)
{
    unwatch(p);
    p->done(p->arg, p->who, p->fd, err, h);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct proxy_wait *p = poll->data;
    struct rr_proxy_header h;
    size_t need = 0;
    enum rr_err err = rr_proxy_parse(rr_slice_of(p->bytes, p->n), &h, &need);

    (void)events;
    while (err == RR_PENDING) {
        ssize_t n = status == 0 ? recv(p->fd, p->bytes + p->n, need - p->n, MSG_DONTWAIT) : 0;

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            err = RR_CLOSED;
            break;
        }
        p->n += (size_t)n;
        err = rr_proxy_parse(rr_slice_of(p->bytes, p->n), &h, &need);
    }
    finish(p, err, &h);
}

struct proxy_wait *proxy_wait_start(uv_loop_t *loop, int fd, proxy_wait_fn done, void *arg,
                                    void *who)
{
    struct proxy_wait *p = rr_xcalloc(1, sizeof(*p));

    p->fd = fd;
    p->done = done;
    p->arg = arg;
    p->who = who;
    p->poll.data = p;
    if (uv_poll_init(loop, &p->poll, fd) != 0) {
        free(p);
        return NULL;
    }
    uv_poll_start(&p->poll, UV_READABLE | UV_DISCONNECT, on_readable);
    return p;
}

void proxy_wait_cancel(struct proxy_wait *p)
{
    unwatch(p);
    close(p->fd);
}
