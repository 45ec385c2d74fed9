/* ws_client.c - see ws_client.h. */
#include "ws_client.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "ws_frame.h"

enum { OUT_MAX_BYTES = 64 * 1024, READS_PER_EVENT = 4, DEAF_RCVBUF_BYTES = 4096 };

static void interest(struct ws_client *ws, int op, bool write)
{
    uint32_t read = ws->deaf ? 0u : EPOLLIN | EPOLLRDHUP;
    struct epoll_event ev = {.events = read | (write ? EPOLLOUT : 0u)};
    ev.data.ptr = ws;
    ws->want_write = write;
    epoll_ctl(ws->net->epoll_fd, op, ws->fd, &ev);
}

static int bind_source(int fd, uint32_t source)
{
    /* The port is chosen at connect(), per destination: one address can carry every port. */
    int on = 1;
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(source)};
    return bind(fd, (struct sockaddr *)&from, sizeof(from));
}

enum rr_err ws_client_open(struct ws_client *ws, uint32_t source)
{
    struct ws_net *net = ws->net;
    int on = 1;

    ws->fd = socket(net->peer.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (ws->fd < 0)
        return RR_SYSTEM;
    setsockopt(ws->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (source && bind_source(ws->fd, source) < 0)
        goto fail;
    if (connect(ws->fd, (struct sockaddr *)&net->peer, net->peer_len) < 0 && errno != EINPROGRESS)
        goto fail;
    ws->state = WS_CONNECTING;
    ws->deaf = false;
    ws->close_code = WS_GONE;
    ws->in_message = false;
    rr_buf_clear(&ws->in);
    rr_buf_clear(&ws->out);
    rr_buf_clear(&ws->message);
    interest(ws, EPOLL_CTL_ADD, true);
    return RR_OK;
fail:
    close(ws->fd);
    ws->fd = -1;
    return RR_SYSTEM;
}

void ws_client_abort(struct ws_client *ws)
{
    if (ws->fd >= 0)
        close(ws->fd); /* leaves the epoll set by itself */
    ws->fd = -1;
    ws->state = WS_CLOSED;
}

void ws_client_move(struct ws_client *to, struct ws_client *from)
{
    ws_client_fini(to);
    *to = *from;
    *from = (struct ws_client){.net = to->net, .owner = to->owner, .fd = -1};
    if (to->fd >= 0)
        interest(to, EPOLL_CTL_MOD, to->want_write);
}

static void gone(struct ws_client *ws)
{
    int code = ws->close_code;
    ws_client_abort(ws);
    ws->net->on.closed(ws, code);
}

/* Lets epoll report the end, so that closed() comes from ws_client_event() only. */
static void give_up(struct ws_client *ws)
{
    ws->state = WS_DOOMED;
    shutdown(ws->fd, SHUT_RDWR);
}

static void flush(struct ws_client *ws, struct rr_slice bytes)
{
    while (bytes.len) {
        ssize_t n = send(ws->fd, bytes.p, bytes.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN) {
            give_up(ws);
            return;
        }
        if (n < 0)
            break;
        bytes.p += n;
        bytes.len -= (size_t)n;
    }
    if (bytes.len == 0)
        return;
    rr_buf_append(&ws->out, bytes.p, bytes.len);
    if (ws->out.failed || ws->out.len > OUT_MAX_BYTES)
        give_up(ws);
    else if (!ws->want_write)
        interest(ws, EPOLL_CTL_MOD, true);
}

static void flush_queued(struct ws_client *ws)
{
    struct rr_buf queued = ws->out;
    ws->out = (struct rr_buf){0};
    flush(ws, rr_slice_of(queued.p, queued.len));
    rr_buf_fini(&queued);
    if (ws->out.len == 0 && ws->want_write)
        interest(ws, EPOLL_CTL_MOD, false);
}

static void send_frame(struct ws_client *ws, enum ws_opcode opcode, struct rr_slice payload)
{
    struct rr_buf *frame = &ws->net->scratch;
    rr_buf_clear(frame);
    ws_frame_write(frame, opcode, payload, (uint32_t)ws_net_random(ws->net));
    if (frame->failed) {
        give_up(ws);
        return;
    }
    if (ws->out.len == 0) {
        flush(ws, rr_slice_of(frame->p, frame->len));
        return;
    }
    rr_buf_append(&ws->out, frame->p, frame->len);
    if (ws->out.failed || ws->out.len > OUT_MAX_BYTES)
        give_up(ws);
}

void ws_client_send(struct ws_client *ws, struct rr_slice bytes)
{
    if (ws->state == WS_OPEN)
        send_frame(ws, ws->net->text ? WS_TEXT : WS_BINARY, bytes);
}

void ws_client_read(struct ws_client *ws, bool on)
{
    int bytes = DEAF_RCVBUF_BYTES;

    if (ws->fd < 0 || ws->deaf == !on)
        return;
    ws->deaf = !on;
    /* A small window, so that the server notices before megabytes have piled up here. */
    if (!on)
        setsockopt(ws->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    interest(ws, EPOLL_CTL_MOD, ws->want_write);
}

void ws_client_close(struct ws_client *ws, uint16_t code)
{
    char body[2] = {(char)(code >> 8), (char)(code & 0xff)};
    if (ws->state == WS_CONNECTING || ws->state == WS_UPGRADING)
        ws_client_abort(ws);
    if (ws->state != WS_OPEN)
        return;
    send_frame(ws, WS_CLOSE, rr_slice_of(body, sizeof(body)));
    if (ws->state != WS_OPEN)
        return;
    ws->state = WS_CLOSING;
    shutdown(ws->fd, SHUT_WR);
}

static void on_close_frame(struct ws_client *ws, struct rr_slice payload)
{
    if (payload.len >= 2)
        ws->close_code = (uint8_t)payload.p[0] << 8 | (uint8_t)payload.p[1];
    if (ws->state == WS_OPEN)
        send_frame(ws, WS_CLOSE, rr_slice_of(payload.p, payload.len >= 2 ? 2 : 0));
    give_up(ws);
}

static enum rr_err on_data_frame(struct ws_client *ws, const struct ws_frame *f)
{
    bool first = f->opcode != WS_CONTINUATION;
    if (first == ws->in_message || (f->opcode == WS_TEXT && !ws->net->text))
        return RR_MALFORMED;
    if (first && f->fin) {
        ws->net->on.message(ws, f->payload);
        return RR_OK;
    }
    if (first)
        rr_buf_clear(&ws->message);
    if (ws->message.len + f->payload.len > WS_FRAME_MAX_BYTES)
        return RR_TOO_BIG;
    rr_buf_append(&ws->message, f->payload.p, f->payload.len);
    ws->in_message = !f->fin;
    if (ws->message.failed)
        return RR_TOO_BIG;
    if (f->fin)
        ws->net->on.message(ws, rr_slice_of(ws->message.p, ws->message.len));
    return RR_OK;
}

/* Handles every whole frame; *used bytes of the front are done with. */
static enum rr_err on_frames(struct ws_client *ws, struct rr_slice bytes, size_t *used)
{
    struct ws_frame f;
    size_t n = 0;

    *used = 0;
    while (ws->state == WS_OPEN || ws->state == WS_CLOSING) {
        enum rr_err err = ws_frame_read(rr_slice_of(bytes.p + *used, bytes.len - *used), &f, &n);
        if (err)
            return err == RR_RETRY ? RR_OK : err;
        *used += n;
        if (f.opcode == WS_CLOSE) {
            on_close_frame(ws, f.payload);
            *used = bytes.len;
            return RR_OK;
        }
        if (f.opcode == WS_PING && ws->state == WS_OPEN)
            send_frame(ws, WS_PONG, f.payload);
        if (f.opcode < WS_CLOSE) {
            err = on_data_frame(ws, &f);
            if (err)
                return err;
        }
    }
    *used = bytes.len;
    return RR_OK;
}

/* Keeps what is left of an unfinished frame. The memory goes back when there is nothing to keep: of
 * 10,000 sockets few are in the middle of a frame. */
static void keep_rest(struct ws_client *ws, struct rr_slice bytes, size_t used, bool from_in)
{
    if (used == bytes.len) {
        rr_buf_fini(&ws->in);
        return;
    }
    if (from_in) {
        memmove(ws->in.p, ws->in.p + used, bytes.len - used);
        ws->in.len = bytes.len - used;
        return;
    }
    rr_buf_append(&ws->in, bytes.p + used, bytes.len - used);
}

static enum rr_err on_upgrade(struct ws_client *ws, size_t *used)
{
    int status = 0;
    enum rr_err err = ws_upgrade_answer(ws, used, &status);
    if (err == RR_RETRY)
        return RR_OK;
    if (err) {
        ws->close_code = status && status != 101 ? -status : WS_GONE;
        return err;
    }
    ws->state = WS_OPEN;
    ws->net->on.open(ws);
    return RR_OK;
}

static void on_bytes(struct ws_client *ws, struct rr_slice bytes)
{
    enum rr_err err = RR_OK;
    size_t used = 0;
    size_t frames = 0;
    bool from_in = ws->in.len > 0 || ws->state == WS_UPGRADING;

    if (ws->state == WS_DOOMED)
        return;
    if (from_in) {
        rr_buf_append(&ws->in, bytes.p, bytes.len);
        bytes = rr_slice_of(ws->in.p, ws->in.len);
        if (ws->in.failed)
            err = RR_TOO_BIG;
    }
    if (!err && ws->state == WS_UPGRADING)
        err = on_upgrade(ws, &used);
    if (!err && ws->state != WS_UPGRADING) {
        err = on_frames(ws, rr_slice_of(bytes.p + used, bytes.len - used), &frames);
        used += frames;
    }
    if (err) {
        if (ws->state == WS_OPEN)
            ws_client_close(ws, err == RR_TOO_BIG ? 1009 : 1002);
        give_up(ws);
    }
    if (ws->state == WS_DOOMED)
        used = bytes.len;
    keep_rest(ws, bytes, used, from_in);
}

static void on_writable(struct ws_client *ws)
{
    int err = 0;
    socklen_t len = sizeof(err);

    if (ws->state != WS_CONNECTING) {
        flush_queued(ws);
        return;
    }
    if (getsockopt(ws->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0 || err) {
        give_up(ws);
        return;
    }
    ws->state = WS_UPGRADING;
    ws_upgrade_request(ws, &ws->out);
    flush_queued(ws);
}

void ws_client_event(struct ws_client *ws, uint32_t events)
{
    if (ws->fd < 0)
        return;
    if (events & EPOLLOUT)
        on_writable(ws);
    if (ws->deaf && !(events & (EPOLLERR | EPOLLHUP)))
        return;
    if (ws->state == WS_CONNECTING && (events & (EPOLLERR | EPOLLHUP))) {
        gone(ws);
        return;
    }
    /* Bounded, so that one busy socket does not hold up the others; epoll reports the rest again.
     */
    for (int i = 0; i < READS_PER_EVENT && ws->state != WS_CONNECTING; i++) {
        ssize_t n = recv(ws->fd, ws->net->read_buf, WS_READ_BYTES, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n <= 0) {
            gone(ws);
            return;
        }
        ws->heard = true;
        on_bytes(ws, rr_slice_of(ws->net->read_buf, (size_t)n));
        if (n < WS_READ_BYTES)
            break;
    }
    if ((ws->state == WS_CLOSING || ws->state == WS_DOOMED) && (events & (EPOLLHUP | EPOLLERR)))
        gone(ws);
}

void ws_client_fini(struct ws_client *ws)
{
    ws_client_abort(ws);
    rr_buf_fini(&ws->in);
    rr_buf_fini(&ws->out);
    rr_buf_fini(&ws->message);
}
