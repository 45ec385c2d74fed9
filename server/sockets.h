/* sockets.h - every client socket from accept to its end: whose place it takes, who its client is,
 * and how long it may take to say something. The one place that says what a client's address is.
 *
 *   PROXY       a trusted proxy that must say first whom it speaks for (server.proxy_protocol);
 *               server.proxy_timeout_ms
 *   HANDSHAKE   accepted; the upgrade or a page's request must be whole within
 *               server.handshake_timeout_ms, however it drips
 *   PAGE        asked for a page; a minute
 *   HELLO       is a WebSocket; HELLO within server.hello_timeout_ms, else 1008
 *   OPEN        has a user: the heartbeat's business
 *
 * A deadline is the same for a whole phase, so each phase is a list in order of time and a tick
 * looks at its head only.
 * Thread: the worker's loop. */
#ifndef SERVER_SOCKETS_H
#define SERVER_SOCKETS_H

#include "base/ip.h"
#include "base/proxy_header.h"
#include "base/slice.h"
#include "limiter.h"

struct worker;
struct proxy_wait;
struct sockets;
struct sockaddr;

enum socket_phase {
    SOCKET_PROXY,
    SOCKET_HANDSHAKE,
    SOCKET_PAGE,
    SOCKET_HELLO,
    SOCKET_OPEN,
    SOCKET_PHASES
};

/* There is one per viewer. */
struct client_socket {
    struct client_socket *prev;
    struct client_socket *next;
    int64_t since_us; /* of this phase */
    union {
        struct proxy_wait *wait; /* in PROXY: has the descriptor */
        void *wsi;               /* of ws.c, NULL until adopted */
    };
    uint64_t session_id;
    /* The client: the peer, or whom the trusted proxies say they speak for. Until he is known (named): who has the other end of
     * the socket, or of the proxy in front that said so first. */
    struct rr_ip client;
    uint64_t address; /* limiter's key of the client; 0: not limited */
    enum socket_phase phase;
    bool named;   /* the client is known: what the handshake's headers say is not looked at */
    bool counted; /* has a place of his address */
};

/* kill: ends a socket at once. */
struct sockets *sockets_create(struct worker *w, void (*kill)(void *wsi));
void sockets_destroy(struct sockets *t); /* after lws is gone; NULL-safe */
/* Takes the list of trusted proxies from the configuration again. */
void sockets_reload(struct sockets *t);

/* A new socket. NULL: refused by a limit; sockets_refuse() is the caller's next step. In phase PROXY
 * its header comes first: the caller sets wait. */
struct client_socket *sockets_open(struct sockets *t, const struct sockaddr *peer);
/* The header that was waited for is there: the handshake's time begins. RR_FULL: too many from the
 * client's address. */
RR_MUST_CHECK enum rr_err sockets_proxied(struct sockets *t, struct client_socket *s,
                                          const struct rr_proxy_header *h);
/* Something else came instead; why: a word for the log. The socket is gone afterwards. */
void sockets_proxy_failed(struct sockets *t, struct client_socket *s, const char *why);
/* Ends all that wait for a header: the loop comes to its end. */
void sockets_close_waiting(struct sockets *t);
void sockets_close(struct sockets *t, struct client_socket *s);
void sockets_phase(struct sockets *t, struct client_socket *s, enum socket_phase phase);
/* Says 503 (plain: not under TLS) and closes. */
void sockets_refuse(int fd, bool plain);
/* No descriptor is left: one connection of the queue is refused with the one that is kept for this.
 * False: none was there. */
bool sockets_refuse_one(struct sockets *t, int listen_fd, bool plain);
/* The handshake's headers are there: who the client is. RR_FULL: too many from his address. */
RR_MUST_CHECK enum rr_err sockets_name(struct sockets *t, struct client_socket *s,
                                       struct rr_slice forwarded_for);
uint32_t sockets_count(const struct sockets *t);
/* Each 100 ms. */
void sockets_tick(struct sockets *t);

/* Bytes that came in on a TCP socket, 0 if the kernel does not say (tcp_bytes.c). */
uint64_t tcp_bytes_received(int fd);

#endif
