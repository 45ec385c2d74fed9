/* ws_direct.h - the direct way out: the bytes of a frame straight to a plain socket, without lws. What the kernel does not take
 * goes to lws at once, which sends it before anything else of this socket, its own PONGs and close frames included; until then
 * nobody may write (RR_BUSY). The socket is behind a port, so that tests can cut a frame at every byte.
 * Thread: the worker's loop. */
#ifndef SERVER_WS_DIRECT_H
#define SERVER_WS_DIRECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/frame.h"

enum { WS_HEAD_MAX = 10 };

struct direct_port {
    /* lws holds bytes back that must go out first. */
    bool (*held)(void *conn);
    /* As send(): what the kernel took, or -1 and errno. */
    ssize_t (*send)(void *conn, const uint8_t *p, size_t n);
    /* Takes a copy of the rest of a frame, to be sent raw and first. False: the socket is broken. */
    bool (*hold)(void *conn, uint8_t *p, size_t n);
};

/* Writes the header of an unmasked binary message into the frame's headroom (the same bytes every time); the whole frame's
 * bytes. The headroom is at least WS_HEAD_MAX. */
uint8_t *direct_frame(struct rr_frame *f, size_t *n);

/* RR_OK: the frame is on its way; *cut when the kernel took only a part. RR_BUSY: nothing was sent. RR_CLOSED: broken. */
enum rr_err direct_write(const struct direct_port *port, void *conn, struct rr_frame *f, bool *cut);

#endif
