#include "ws_direct.h"

#include "base/alloc.h"

#include <errno.h>

enum { FIN_BINARY = 0x82, LEN_16 = 126, LEN_64 = 127 };

uint8_t *direct_frame(struct rr_frame *f, size_t *n)
{
    uint8_t *payload = rr_frame_payload(f);
    size_t head = f->len < LEN_16 ? 2 : f->len <= UINT16_MAX ? 4 : WS_HEAD_MAX;
    uint8_t *p = payload - head;

    RR_ASSERT(f->headroom >= head);
    p[0] = FIN_BINARY;
    p[1] = head == 2 ? (uint8_t)f->len : head == 4 ? LEN_16 : LEN_64;
    for (size_t i = 2; i < head; i++)
        p[i] = (uint8_t)((uint64_t)f->len >> (8 * (head - 1 - i)));
    *n = head + f->len;
    return p;
}

enum rr_err direct_write(const struct direct_port *port, void *conn, struct rr_frame *f, bool *cut)
{
    size_t n = 0;
    uint8_t *p = NULL;
    ssize_t took = 0;

    *cut = false;
    if (port->held(conn))
        return RR_BUSY;
    p = direct_frame(f, &n);
    took = port->send(conn, p, n);
    if (took < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return RR_BUSY;
    if (took < 0)
        return RR_CLOSED;
    if ((size_t)took == n)
        return RR_OK;
    *cut = true;
    return port->hold(conn, p + took, n - (size_t)took) ? RR_OK : RR_CLOSED;
}
