/* ws_private.h - struct ws, shared by ws.c (messages, transport, life), ws_handshake.c (who may open a WebSocket) and
 * ws_accept.c (the listening socket). */
#ifndef SERVER_WS_PRIVATE_H
#define SERVER_WS_PRIVATE_H

#include <libwebsockets.h>

#include "base/log.h"
#include "ws.h"

struct tls;

struct ws {
    struct worker *worker;
    struct lws_context *context;
    struct lws_vhost *vhost;
    struct transport transport;
    uv_poll_t poll;
    bool poll_open;
    bool deadlines; /* some were set since the last ws_tick() */
    int listen_fd;
    void *loops[1];
    struct lws_http_mount mount;
    char *origins;        /* ",a,b," */
    struct tls *tls;      /* NULL: plain */
    SSL_CTX *tls_context; /* the vhost's */
    struct rr_ratelog origin_log;
};

static inline struct ws *ws__of(struct lws *wsi)
{
    return lws_context_user(lws_get_context(wsi));
}

/* To lws' HTTP_CONFIRM_UPGRADE: 0: go on; 1: answered, no upgrade; -1: close. */
int ws__confirm_upgrade(struct lws *wsi, const char *upgrade);
/* A wsi that sockets.c wants gone, now. */
void ws__kill_now(void *wsi);

#endif
