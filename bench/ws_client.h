/* ws_client.h - one WebSocket connection of a viewer over a non-blocking socket.
 * Guarantees: message and open are called from ws_client_event() only; closed is called exactly
 * once per connection that ws_client_open() started, never from inside ws_client_send() or
 * ws_client_close(), unless ws_client_abort() drops it silently. Callbacks may send and close; they
 * may not open again. Not here: when to connect or reconnect (viewer.c), what messages mean
 * (wire.c). Owner: the viewer; all clients share one struct ws_net. */
#ifndef BENCH_WS_CLIENT_H
#define BENCH_WS_CLIENT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

struct ws_client;

struct ws_handlers {
    void (*open)(struct ws_client *ws);
    void (*message)(struct ws_client *ws, struct rr_slice bytes); /* a whole binary message */
    /* code: the peer's close code, WS_GONE without one, or -(HTTP status) when the upgrade was
     * refused. */
    void (*closed)(struct ws_client *ws, int code);
};

enum { WS_GONE = 1006, WS_ACCEPT_CHARS = 28, WS_READ_BYTES = 64 * 1024 };

struct ws_net {
    int epoll_fd;
    struct sockaddr_storage peer;
    socklen_t peer_len;
    bool loopback; /* the peer is in 127.0.0.0/8: sources may be chosen */
    char *host;    /* Host header */
    char *path;
    char *origin;
    const char *subprotocol; /* NULL: none is offered */
    bool text;               /* messages go out as text; both kinds are taken */
    struct ws_handlers on;
    uint64_t rng;
    struct rr_buf scratch; /* the frame being sent */
    char *read_buf;
};

enum ws_state {
    WS_CLOSED,     /* no socket */
    WS_CONNECTING, /* connect() under way */
    WS_UPGRADING,  /* request sent, 101 awaited */
    WS_OPEN,
    WS_CLOSING, /* our close frame is sent, messages still arrive */
    WS_DOOMED,  /* nothing more is read; closed() follows with the next event */
};

struct ws_client {
    struct ws_net *net;
    void *owner; /* whose it is; for the handlers */
    int fd;      /* -1 when closed */
    enum ws_state state;
    int close_code;
    bool want_write;
    bool deaf;                        /* see ws_client_read() */
    bool heard;                       /* set by every byte that arrives, cleared by the owner */
    bool in_message;                  /* a fragmented message is under way */
    char accept[WS_ACCEPT_CHARS + 1]; /* what the server must answer */
    struct rr_buf in;                 /* bytes of an unfinished frame or of the upgrade's answer */
    struct rr_buf out;                /* what the socket did not take */
    struct rr_buf message;            /* fragments so far */
};

/* url: ws://HOST:PORT/PATH. RR_CONFIG: not of that form, or the host has no address; RR_SYSTEM: no
 * epoll. Other fields (on, subprotocol) are set by the caller. */
RR_MUST_CHECK enum rr_err ws_net_init(struct ws_net *net, const char *url, const char *origin);
void ws_net_fini(struct ws_net *net);
uint64_t ws_net_random(struct ws_net *net);

/* ws->net is set and fd is -1. source: host order, 0 = the kernel chooses. RR_SYSTEM: no socket,
 * errno says why. */
RR_MUST_CHECK enum rr_err ws_client_open(struct ws_client *ws, uint32_t source);
/* One binary message, masked, sent at once; what the socket does not take is queued, at most 64
 * KiB, else the connection is dropped. */
void ws_client_send(struct ws_client *ws, struct rr_slice bytes);
/* Sends a close frame and ends our side; closed() follows when the peer is gone. Before the
 * upgrade: as ws_client_abort(). */
void ws_client_close(struct ws_client *ws, uint16_t code);
/* false: what arrives stays in the kernel, as with a client that hangs. */
void ws_client_read(struct ws_client *ws, bool on);
/* The connection goes on in *to, which must have none; *from is closed and may be opened anew. */
void ws_client_move(struct ws_client *to, struct ws_client *from);
/* Drops the connection at once, without closed(). */
void ws_client_abort(struct ws_client *ws);
void ws_client_event(struct ws_client *ws, uint32_t events);
void ws_client_fini(struct ws_client *ws);

/* Private to the client: ws_upgrade.c. */
void ws_upgrade_request(struct ws_client *ws, struct rr_buf *out);
/* RR_OK: 101 and *used bytes of head; RR_RETRY: incomplete; else refused, *status is the HTTP
 * status or 0. */
RR_MUST_CHECK enum rr_err ws_upgrade_answer(const struct ws_client *ws, size_t *used, int *status);

#endif
