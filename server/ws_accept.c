/* ws_accept.c - the listening socket, see ws.h. lws adopts sockets we accept ourselves: its own listener cannot share a port
 * (SO_REUSEPORT), binds all interfaces for 127.0.0.1 while IPv6 is on, and accepts one connection per turn. */
#include "ws_private.h"

#include "proxy_wait.h"
#include "sockets.h"
#include "worker.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ACCEPT_PER_WAKEUP = 64 /* the loop's other work goes on during a connect storm */ };

static void set_socket_options(const struct ws *ws, int fd)
{
    int one = 1;
    int sndbuf = (int)ws->worker->conf->limits_sndbuf_bytes;
    int user_timeout_ms = 60000;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof(user_timeout_ms));
    /* Without it one silent reader pins megabytes of kernel memory before we notice. */
    if (sndbuf > 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof(sndbuf));
}

void ws__kill_now(void *wsi)
{
    lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
}

static void adopt(struct ws *ws, struct client_socket *socket, int fd)
{
    lws_adopt_desc_t how = {.vh = ws->vhost,
                            .type = LWS_ADOPT_SOCKET | LWS_ADOPT_HTTP | LWS_ADOPT_ALLOW_SSL,
                            .fd = {.sockfd = fd},
                            .opaque = socket};
    /* NULL: lws closes it, and tells us (on_destroyed) now, later, or, when it made nothing of it, never. */
    struct lws *wsi = lws_adopt_descriptor_vhost_via_info(&how);

    if (wsi)
        socket->wsi = wsi;
}

/* A proxy's header, or what came instead of it. */
static void on_proxied(void *arg, void *who, int fd, enum rr_err err,
                       const struct rr_proxy_header *h)
{
    struct ws *ws = arg;
    struct client_socket *socket = who;

    if (err) {
        sockets_proxy_failed(ws->worker->sockets, socket,
                             err == RR_CLOSED ? "a proxy left without a header" : h->fault);
        close(fd);
    } else if (sockets_proxied(ws->worker->sockets, socket, h) != RR_OK) {
        sockets_close(ws->worker->sockets, socket);
        sockets_refuse(fd, !ws->tls);
    } else {
        adopt(ws, socket, fd);
    }
}

static void take(struct ws *ws, int fd, const struct sockaddr *peer)
{
    struct client_socket *socket = sockets_open(ws->worker->sockets, peer);

    if (!socket) {
        sockets_refuse(fd, !ws->tls);
        return;
    }
    if (socket->phase != SOCKET_PROXY) {
        adopt(ws, socket, fd);
        return;
    }
    socket->wait = proxy_wait_start(&ws->worker->loop, fd, on_proxied, ws, socket);
    if (!socket->wait) {
        sockets_close(ws->worker->sockets, socket);
        close(fd);
    }
}

/* At most n; false when no more is there. */
static bool accept_some(struct ws *ws, int n)
{
    for (int i = 0; i < n; i++) {
        struct sockaddr_storage peer = {0};
        socklen_t len = sizeof(peer);
        int fd =
            accept4(ws->listen_fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0 && (errno == EMFILE || errno == ENFILE) &&
            sockets_refuse_one(ws->worker->sockets, ws->listen_fd, !ws->tls))
            continue;
        if (fd < 0)
            return false;
        set_socket_options(ws, fd);
        take(ws, fd, (struct sockaddr *)&peer);
    }
    return true;
}

static void on_acceptable(uv_poll_t *poll, int status, int events)
{
    (void)events;
    if (status == 0)
        accept_some(poll->data, ACCEPT_PER_WAKEUP);
}

void ws_accept_start(struct ws *ws)
{
    if (ws->poll_open || ws->listen_fd < 0)
        return;
    ws->poll.data = ws;
    if (uv_poll_init(&ws->worker->loop, &ws->poll, ws->listen_fd) == 0) {
        ws->poll_open = true;
        uv_poll_start(&ws->poll, UV_READABLE, on_acceptable);
    }
}

void ws_accept_stop(struct ws *ws, bool last)
{
    bool accepted = ws->poll_open;

    if (ws->poll_open) {
        ws->poll_open = false;
        uv_poll_stop(&ws->poll);
        uv_close((uv_handle_t *)&ws->poll, NULL);
    }
    if (ws->listen_fd < 0)
        return;
    while (last && accepted && accept_some(ws, ACCEPT_PER_WAKEUP))
        ;
    close(ws->listen_fd);
    ws->listen_fd = -1;
}

bool ws_accepting(const struct ws *ws)
{
    return ws->listen_fd >= 0;
}

uint32_t ws_sockets(const struct ws *ws)
{
    return sockets_count(ws->worker->sockets);
}
