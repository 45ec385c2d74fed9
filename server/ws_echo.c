#include "ws_echo.h"

#include "base/alloc.h"
#include "protocol/unpack.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    QUEUE_MAX = 256, /* messages that wait to go out */
    CLOSE_PROTOCOL = 1002,
    CLOSE_BAD_DATA = 1007,
    CLOSE_TOO_BIG = 1009,
    CLOSE_GRACE_S = 3
};

struct message {
    unsigned char *p; /* LWS_PRE in front; owned */
    size_t len;
    bool text;
    struct message *next;
};

struct ws_echo {
    unsigned char *rx; /* LWS_PRE in front */
    size_t rx_len;
    size_t rx_cap;
    struct message *head;
    struct message *tail;
    unsigned queued;
    unsigned close_code; /* 0: none of ours */
    bool close_sent;
};

static_assert(sizeof(struct ws_echo) <= WS_ECHO_SESSION_BYTES, "what lws allocates for a socket");

static void message_free(struct message *m)
{
    free(m->p);
    free(m);
}

static void echo_free(struct ws_echo *e)
{
    while (e->head) {
        struct message *m = e->head;

        e->head = m->next;
        message_free(m);
    }
    free(e->rx);
    memset(e, 0, sizeof(*e));
}

static void close_with(struct lws *wsi, struct ws_echo *e, unsigned code)
{
    if (!e->close_code)
        e->close_code = code;
    lws_callback_on_writable(wsi);
}

/* As in ws.c: lws 4.1.6's own way would close before its frame went out. */
static int close_send(struct lws *wsi, struct ws_echo *e)
{
    unsigned char buf[LWS_PRE + 4];

    if (e->close_sent)
        return 0;
    e->close_sent = true;
    buf[LWS_PRE] = 0x88; /* FIN, opcode close */
    buf[LWS_PRE + 1] = 2;
    buf[LWS_PRE + 2] = (unsigned char)(e->close_code >> 8);
    buf[LWS_PRE + 3] = (unsigned char)e->close_code;
    lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, CLOSE_GRACE_S);
    return lws_write(wsi, buf + LWS_PRE, 4, LWS_WRITE_HTTP) < 0 ? -1 : 0;
}

bool ws_echo_close_valid(const unsigned char *payload, size_t len)
{
    unsigned code = len >= 2 ? (unsigned)payload[0] << 8 | payload[1] : 0;

    if (len == 0)
        return true;
    if (len == 1 || code < 1000 || code > 4999 || (code > 1014 && code < 3000))
        return false;
    return code != 1004 && code != 1005 && code != 1006;
}

/* lws answers a good one by itself. */
static int on_peer_close(struct lws *wsi, struct ws_echo *e, const unsigned char *p, size_t len)
{
    if (e->close_sent)
        return -1;
    if (!ws_echo_close_valid(p, len))
        e->close_code = CLOSE_PROTOCOL;
    else if (len > 2 && !unpack_text_ok(rr_slice_of(p + 2, len - 2)))
        e->close_code = CLOSE_BAD_DATA;
    else
        return 0;
    return close_send(wsi, e) < 0 ? -1 : 1;
}

static bool rx_reserve(struct ws_echo *e, size_t more)
{
    size_t want = LWS_PRE + e->rx_len + more;

    if (e->rx_len + more > WS_ECHO_MAX_BYTES)
        return false;
    if (want > e->rx_cap) {
        e->rx_cap = want * 2;
        e->rx = rr_xrealloc(e->rx, 1, e->rx_cap);
    }
    return true;
}

static int message_done(struct lws *wsi, struct ws_echo *e, bool text)
{
    struct message *m = NULL;

    if (e->queued == QUEUE_MAX) {
        close_with(wsi, e, CLOSE_TOO_BIG);
        return 0;
    }
    m = rr_xcalloc(1, sizeof(*m));
    m->p = e->rx;
    m->len = e->rx_len;
    m->text = text;
    e->rx = NULL;
    e->rx_len = e->rx_cap = 0;
    if (e->tail && e->head)
        e->tail->next = m;
    else
        e->head = m;
    e->tail = m;
    e->queued++;
    lws_callback_on_writable(wsi);
    return 0;
}

static int on_receive(struct lws *wsi, struct ws_echo *e, const void *in, size_t len)
{
    if (e->close_code)
        return 0;
    if (lws_is_first_fragment(wsi))
        e->rx_len = 0;
    if (!rx_reserve(e, len)) {
        close_with(wsi, e, CLOSE_TOO_BIG);
        return 0;
    }
    if (len)
        memcpy(e->rx + LWS_PRE + e->rx_len, in, len);
    e->rx_len += len;
    if (!lws_is_final_fragment(wsi) || lws_remaining_packet_payload(wsi) > 0)
        return 0;
    return message_done(wsi, e, !lws_frame_is_binary(wsi));
}

static int on_writable(struct lws *wsi, struct ws_echo *e)
{
    struct message *m = e->head;
    int rc = 0;

    if (m) {
        rc = lws_write(wsi, m->p + LWS_PRE, m->len, m->text ? LWS_WRITE_TEXT : LWS_WRITE_BINARY);
        e->head = m->next;
        e->queued--;
        message_free(m);
        if (rc < 0)
            return -1;
        if (e->head || e->close_code)
            lws_callback_on_writable(wsi);
        return 0;
    }
    return e->close_code ? close_send(wsi, e) : 0;
}

int ws_echo_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                     size_t len)
{
    struct ws_echo *e = user;

    switch (reason) {
    case LWS_CALLBACK_ESTABLISHED: memset(e, 0, sizeof(*e)); return 0;
    case LWS_CALLBACK_RECEIVE: return on_receive(wsi, e, in, len);
    case LWS_CALLBACK_SERVER_WRITEABLE: return on_writable(wsi, e);
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE: return on_peer_close(wsi, e, in, len);
    case LWS_CALLBACK_CLOSED:
        if (e)
            echo_free(e);
        return 0;
    default: return 0;
    }
}
