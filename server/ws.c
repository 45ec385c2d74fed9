/* ws.c - see ws.h: the sockets' transport, lws' callbacks, the context's life. */
#include "ws_private.h"

#include "base/alloc.h"
#include "dispatch.h"
#include "half_message.h"
#include "sockets.h"
#include "tls.h"
#include "web_root.h"
#include "worker.h"
#include "worker_drain.h"
#include "ws_direct.h"
#include "ws_echo.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    CLOSE_GRACE_S = 3, /* a socket that takes no close frame is dropped after this */
    HTTP_CACHE_S = 60,
};

/* Per-socket data that lws allocates. */
struct ws_conn {
    /* What every frame reads. */
    struct lws *wsi;
    int fd;
    enum close_code close_code; /* 0: open */
    bool close_sent;
    bool peer_left; /* his close frame came: nothing may follow our answer to it */
    bool broken;    /* a write failed: nothing more goes out */
    bool direct;    /* frames go around lws; never under TLS */
    uint64_t session_id;
    struct half_message *half; /* only while a message is not whole */
};

/* ---- transport ---- */

/* When lws gives the socket up. */
static void set_deadline(struct ws *ws, struct ws_conn *c, int secs)
{
    lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_OK, secs);
    ws->deadlines = true;
}

/* What is set outside of lws' own callbacks is looked at with lws' next event only, which in a quiet worker may be far away. */
void ws_tick(struct ws *ws)
{
    if (ws->deadlines)
        lws_cancel_service(ws->context);
    ws->deadlines = false;
}

static bool socket_held(void *conn)
{
    return lws_partial_buffered(((struct ws_conn *)conn)->wsi);
}

/* Not send(): beside librdkafka's threads that is a cancellation point, whose bookkeeping costs some percent of a small write. */
static ssize_t socket_send(void *conn, const uint8_t *p, size_t n)
{
    return syscall(SYS_sendto, ((struct ws_conn *)conn)->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL,
                   NULL, 0);
}

/* The WebSocket role passes HTTP writes through as they are; what the socket does not take is kept in front of all else. */
static bool socket_hold(void *conn, uint8_t *p, size_t n)
{
    return lws_write(((struct ws_conn *)conn)->wsi, p, n, LWS_WRITE_HTTP) >= 0;
}

static const struct direct_port direct_port = {
    .held = socket_held, .send = socket_send, .hold = socket_hold};

/* Server frames are unmasked: lws writes the same header bytes in front of the shared payload every time. */
static enum rr_err lws_way(struct ws_conn *c, struct rr_frame *frame)
{
    if (lws_partial_buffered(c->wsi))
        return RR_BUSY;
    return lws_write(c->wsi, rr_frame_payload(frame), frame->len, LWS_WRITE_BINARY) < 0 ? RR_CLOSED
                                                                                        : RR_OK;
}

static enum rr_err transport_write_now(void *impl, void *conn, struct rr_frame *frame)
{
    struct ws *ws = impl;
    struct ws_conn *c = conn;
    bool cut = false;
    enum rr_err err = RR_OK;

    if (c->broken || c->close_code || c->peer_left)
        return RR_CLOSED;
    err = c->direct ? direct_write(&direct_port, c, frame, &cut) : lws_way(c, frame);
    if (cut)
        rr_metric_add(&ws->worker->metrics->short_sends_total, 1);
    if (err == RR_CLOSED) {
        c->broken = true;
        set_deadline(ws, c, LWS_TO_KILL_ASYNC);
    }
    return err;
}

static void transport_warm(void *conn)
{
    if (lws_partial_buffered(((struct ws_conn *)conn)->wsi))
        return; /* the answer does not matter yet */
}

static void transport_want_write(void *impl, void *conn)
{
    (void)impl;
    lws_callback_on_writable(((struct ws_conn *)conn)->wsi);
}

static void transport_close(void *impl, void *conn, enum close_code code)
{
    struct ws_conn *c = conn;

    c->close_code = code;
    lws_callback_on_writable(c->wsi);
    set_deadline(impl, c, CLOSE_GRACE_S);
}

uint64_t ws_bytes_received(void *conn)
{
    return tcp_bytes_received(((struct ws_conn *)conn)->fd);
}

const struct transport *ws_transport(struct ws *ws)
{
    return &ws->transport;
}

struct lws *ws_socket(void *conn)
{
    return ((struct ws_conn *)conn)->wsi;
}

void ws_ping(struct ws *ws, void *conn)
{
    struct ws_conn *c = conn;
    /* One byte: lws 4.1.6 does not report PONGs without payload. */
    unsigned char buf[LWS_PRE + 1] = {0};

    if (!c->broken && !c->close_code && !c->peer_left && !lws_partial_buffered(c->wsi) &&
        lws_write(c->wsi, buf + LWS_PRE, 1, LWS_WRITE_PING) < 0) {
        c->broken = true;
        set_deadline(ws, c, LWS_TO_KILL_ASYNC);
    }
}

/* ---- WebSocket ---- */

static void on_established(struct ws *ws, struct lws *wsi, struct ws_conn *c)
{
    struct worker *w = ws->worker;
    struct client_socket *from = lws_get_opaque_user_data(wsi);
    struct session *s = NULL;
    char address[RR_IP_TEXT];

    memset(c, 0, sizeof(*c));
    c->wsi = wsi;
    c->fd = lws_get_socket_fd(wsi);
    c->direct = w->conf->server_direct_send && !lws_is_ssl(wsi);
    s = session_create(w->sessions, c, rr_mono_us(w->clock));
    c->session_id = s->id;
    from->session_id = s->id;
    sockets_phase(w->sockets, from, SOCKET_HELLO);
    s->limits.address = from->address;
    rr_ip_print(&from->client, address);
    s->address = risk_guard_address(w->guard, address);
    rr_metric_add(&w->metrics->connections_opened_total, 1);
}

static void on_closed(struct ws *ws, struct ws_conn *c)
{
    struct session *s = session_by_id(ws->worker->sessions, c->session_id);

    if (s) {
        rr_metric_add(&ws->worker->metrics->connections_closed_total, 1);
        limiter_user_leave(ws->worker->limiter, s);
        session_destroy(s);
    }
    half_message_free(&c->half);
    c->broken = true;
}

/* What is longer than lws' buffer comes in pieces, and so does what takes more than one read. */
static void on_piece(struct ws *ws, struct session *s, struct ws_conn *c, struct rr_slice piece)
{
    size_t rest = lws_remaining_packet_payload(c->wsi);
    bool whole = rest == 0 && lws_is_final_fragment(c->wsi);
    struct half_message *half = NULL;

    if (c->half && lws_is_first_fragment(c->wsi))
        half_message_free(&c->half);
    if (whole && !c->half) {
        dispatch(ws->worker, s, piece);
        return;
    }
    /* The rest of this frame is known before it arrives: a huge announced length is refused at
     * once. */
    if (half_message_add(&c->half, piece, rest) != RR_OK) {
        rr_metric_add(&ws->worker->metrics->protocol_errors_total, 1);
        session_close(s, CLOSE_TOO_BIG);
    } else if (whole) {
        half = c->half;
        c->half = NULL;
        dispatch(ws->worker, s, half_message_bytes(half));
        half_message_free(&half);
    }
}

static void on_receive(struct ws *ws, struct lws *wsi, struct ws_conn *c, const void *in,
                       size_t len)
{
    struct worker *w = ws->worker;
    struct session *s = session_by_id(w->sessions, c->session_id);

    if (!s || s->state == SESSION_CLOSING)
        return;
    s->heard_us = rr_mono_us(w->clock);
    if (!lws_frame_is_binary(wsi)) {
        session_close(s, CLOSE_UNSUPPORTED_DATA);
        return;
    }
    on_piece(ws, s, c, rr_slice_of(in, len));
}

/* The close frame is written by hand: returning -1 after lws_close_reason() would do, but Debian's lws 4.1.6 is a debug build
 * whose libuv path closes a second time at once, before its frame went out, and the client would see 1006. Then we wait for the
 * client's own close frame (on_peer_close) or for CLOSE_GRACE_S. */
static int send_close(struct lws *wsi, struct ws_conn *c)
{
    const char *name = close_name(c->close_code);
    size_t len = strlen(name) < 120 ? strlen(name) : 120;
    unsigned char buf[LWS_PRE + 4 + 120];

    if (c->close_sent || c->peer_left)
        return 0;
    c->close_sent = true;
    buf[LWS_PRE] = 0x88; /* FIN, opcode close */
    buf[LWS_PRE + 1] = (unsigned char)(len + 2);
    buf[LWS_PRE + 2] = (unsigned char)((unsigned)c->close_code >> 8);
    buf[LWS_PRE + 3] = (unsigned char)((unsigned)c->close_code & 0xff);
    memcpy(buf + LWS_PRE + 4, name, len);
    /* The WebSocket role passes HTTP writes through as they are. */
    return lws_write(wsi, buf + LWS_PRE, len + 4, LWS_WRITE_HTTP) < 0 ? -1 : 0;
}

static int on_writable(struct ws *ws, struct lws *wsi, struct ws_conn *c)
{
    struct session *s = session_by_id(ws->worker->sessions, c->session_id);

    if (c->close_code && !c->broken)
        return send_close(wsi, c);
    if (c->broken)
        return -1;
    if (s && !c->peer_left)
        session_on_writable(s);
    return 0;
}

static int ws_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                       size_t len)
{
    struct ws_conn *c = user;

    switch (reason) {
    case LWS_CALLBACK_ESTABLISHED: on_established(ws__of(wsi), wsi, c); return 0;
    case LWS_CALLBACK_RECEIVE:
        on_receive(ws__of(wsi), wsi, c, in, len);
        worker_heard(ws__of(wsi)->worker);
        return 0;
    case LWS_CALLBACK_RECEIVE_PONG: {
        struct session *s = session_by_id(ws__of(wsi)->worker->sessions, c->session_id);

        if (s)
            s->heard_us = rr_mono_us(ws__of(wsi)->worker->clock);
        return 0;
    }
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        c->peer_left = true;
        return c->close_sent ? -1 : 0; /* the answer to ours ends it; lws answers his */
    case LWS_CALLBACK_SERVER_WRITEABLE: return on_writable(ws__of(wsi), wsi, c);
    case LWS_CALLBACK_CLOSED: on_closed(ws__of(wsi), c); return 0;
    default: return 0;
    }
}

static void on_destroyed(struct ws *ws, struct lws *wsi)
{
    struct client_socket *socket = lws_get_opaque_user_data(wsi);

    if (!socket)
        return;
    lws_set_opaque_user_data(wsi, NULL);
    sockets_close(ws->worker->sockets, socket);
}

/* lws serves a page whatever the method, and follows links; one that leads out of the folder is as if it were not there. */
static int on_page(struct ws *ws, struct lws *wsi, const char *uri)
{
    unsigned status = 0;

    if (lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) <= 0 &&
        lws_hdr_total_length(wsi, WSI_TOKEN_HEAD_URI) <= 0)
        status = HTTP_STATUS_METHOD_NOT_ALLOWED;
    else if (ws->mount.origin && !web_root_has(ws->mount.origin, uri))
        status = HTTP_STATUS_NOT_FOUND;
    if (!status)
        return 0;
    (void)lws_return_http_status(wsi, status, NULL);
    return -1;
}

static int http_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                         size_t len)
{
    switch (reason) {
    case LWS_CALLBACK_WSI_DESTROY: on_destroyed(ws__of(wsi), wsi); return 0;
    case LWS_CALLBACK_FILTER_HTTP_CONNECTION:
        sockets_phase(ws__of(wsi)->worker->sockets, lws_get_opaque_user_data(wsi), SOCKET_PAGE);
        return on_page(ws__of(wsi), wsi, in);
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE: return ws__confirm_upgrade(wsi, in);
    case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS:
        /* The vhost's SSL_CTX as it is made. Its certificate is ours to give. */
        ws__of(wsi)->tls_context = user;
        return tls_context_init(user, &ws__of(wsi)->tls) == RR_OK ? 0 : 1;
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
        return -1; /* a WebSocket never binds to the page protocol */
    case LWS_CALLBACK_HTTP:
        return lws_return_http_status(wsi, HTTP_STATUS_NOT_FOUND, NULL) < 0 ? -1
               : lws_http_transaction_completed(wsi)                        ? -1
                                                                            : 0;
    default: return lws_callback_http_dummy(wsi, reason, user, in, len);
    }
}

static int echo_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                         size_t len)
{
    switch (reason) {
    case LWS_CALLBACK_ESTABLISHED:
        sockets_phase(ws__of(wsi)->worker->sockets, lws_get_opaque_user_data(wsi), SOCKET_OPEN);
        return ws_echo_callback(wsi, reason, user, in, len);
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION: return 0;
    case LWS_CALLBACK_RECEIVE:
    case LWS_CALLBACK_SERVER_WRITEABLE:
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
    case LWS_CALLBACK_CLOSED: return ws_echo_callback(wsi, reason, user, in, len);
    /* As the default it is asked of every request what the page protocol is asked of otherwise. */
    default: return http_callback(wsi, reason, user, in, len);
    }
}

static const struct lws_protocols protocols[] = {
    {.name = "http", .callback = http_callback},
    /* rx_buffer_size is a chunk per connection: a control frame fits, and a grab in one piece. tx_packet_size keeps a whole
     * frame in one send(). */
    {.name = RR_SUBPROTOCOL,
     .callback = ws_callback,
     .per_session_data_size = sizeof(struct ws_conn),
     .rx_buffer_size = 128,
     .tx_packet_size = 65536},
    /* Bound by default, by option only: no client of ours comes without a subprotocol. */
    {.name = "echo",
     .callback = echo_callback,
     .per_session_data_size = WS_ECHO_SESSION_BYTES,
     .rx_buffer_size = 65536,
     .tx_packet_size = 65536},
    {.name = NULL},
};

/* ---- life ---- */

static void emit_lws_log(int level, const char *line)
{
    char text[512];
    size_t n = strlen(line);

    snprintf(text, sizeof(text), "%.*s", (int)(n && line[n - 1] == '\n' ? n - 1 : n), line);
    if (level == LLL_ERR)
        log_warn("lws", "%s", text);
    else
        log_info("lws", "%s", text);
}

static const struct lws_protocol_vhost_options extra_mimetypes[] = {
    {.next = &extra_mimetypes[1], .name = ".mjs", .value = "text/javascript"},
    {.next = &extra_mimetypes[2], .name = ".webmanifest", .value = "application/manifest+json"},
    {.next = NULL, .name = ".webp", .value = "image/webp"},
};

/* No inline script or style, nothing from elsewhere, no framing. */
static const struct lws_protocol_vhost_options security_headers[] = {
    {.next = &security_headers[1],
     .name = "content-security-policy:",
     .value = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
              "font-src 'self'; connect-src 'self' ws: wss:; manifest-src 'self'; "
              "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
    {.next = &security_headers[2], .name = "x-content-type-options:", .value = "nosniff"},
    {.next = &security_headers[3], .name = "referrer-policy:", .value = "no-referrer"},
    {.next = NULL, .name = "x-frame-options:", .value = "DENY"},
};

static const lws_retry_bo_t no_validity = {
    0}; /* the heartbeat is ours: lws' timers are a sorted list */

/* Of the protocol "echo": it is the vhost's default. */
static const struct lws_protocol_vhost_options echo_default = {.name = "default", .value = "1"};
static const struct lws_protocol_vhost_options echo_options = {
    .options = &echo_default, .name = "echo", .value = ""};

static enum rr_err create_context(struct ws *ws)
{
    const struct rr_conf *conf = ws->worker->conf;
    struct lws_context_creation_info info;

    memset(&info, 0, sizeof(info));
    ws->loops[0] = &ws->worker->loop;
    info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
    info.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
    info.foreign_loops = ws->loops;
    info.user = ws;
    info.protocols = protocols;
    info.pt_serv_buf_size = 65536;
    info.max_http_header_pool = 1024;
    info.rlimit_nofile = (int)conf->server_max_connections + 1024;
    info.retry_and_idle_policy = &no_validity;
    info.timeout_secs = 10;
    info.alpn = "http/1.1";
    if (conf->server_selftest_echo)
        info.options |= LWS_SERVER_OPTION_VALIDATE_UTF8; /* viewers may not send text at all */
    if (ws->tls)
        info.options |=
            LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_CREATE_VHOST_SSL_CTX;
    ws->context = lws_create_context(&info);
    if (!ws->context)
        return RR_SYSTEM;
    if (conf->server_web_root[0]) {
        ws->mount = (struct lws_http_mount){
            .mountpoint = "/",
            .mountpoint_len = 1,
            .origin = conf->server_web_root,
            .def = "index.html",
            .origin_protocol = LWSMPRO_FILE,
            .extra_mimetypes = extra_mimetypes,
            .cache_max_age = HTTP_CACHE_S,
            .cache_reusable = 1,
            .cache_revalidate = 1,
        };
        info.mounts = &ws->mount;
    }
    info.headers = security_headers;
    info.vhost_name = "public";
    if (conf->server_selftest_echo) {
        info.pvo = &echo_options;
        log_warn("selftest_echo", "%s gives every message back: for tests on this machine only",
                 WS_ECHO_PATH);
    }
    ws->vhost = lws_create_vhost(ws->context, &info);
    return ws->vhost ? RR_OK : RR_SYSTEM;
}

/* ",a,b," for an exact search. */
static char *origins_of(const struct rr_conf *c)
{
    struct rr_buf b = {0};

    rr_buf_puts(&b, ",");
    for (const char *p = c->server_origins; *p; p++) {
        if (*p != ' ')
            rr_buf_append(&b, p, 1);
    }
    rr_buf_puts(&b, ",");
    return b.p;
}

enum rr_err ws_reload(struct ws *ws, char *message, size_t cap)
{
    struct tls *fresh = NULL;
    enum rr_err err = tls_load(&fresh, ws->worker->conf, message, cap);

    if (err)
        return err;
    if (fresh && ws->tls)
        tls_swap(ws->tls_context, &ws->tls, fresh);
    else
        tls_free(fresh); /* on or off waits for a restart */
    free(ws->origins);
    ws->origins = origins_of(ws->worker->conf);
    return RR_OK;
}

enum rr_err ws_create(struct ws **out, struct worker *w, int listen_fd)
{
    struct ws *ws = rr_xcalloc(1, sizeof(*ws));
    char message[512];
    enum rr_err err = RR_OK;

    ws->worker = w;
    w->sockets = sockets_create(w, ws__kill_now);
    ws->listen_fd = listen_fd;
    ws->transport = (struct transport){
        .impl = ws,
        .headroom = LWS_PRE,
        .write_now = transport_write_now,
        .want_write = transport_want_write,
        .close = transport_close,
        .warm = transport_warm,
    };
    ws->origins = origins_of(w->conf);
    err = tls_load(&ws->tls, w->conf, message, sizeof(message));
    if (err) {
        log_error("tls", "%s", message);
        return err;
    }
    lws_set_log_level(LLL_ERR | LLL_WARN, emit_lws_log);
    err = create_context(ws);
    if (err)
        return err; /* the process ends: lws frees what it made */
    *out = ws;
    return RR_OK;
}

void ws_close(struct ws *ws)
{
    ws_accept_stop(ws, false);
    sockets_close_waiting(ws->worker->sockets);
    lws_context_destroy(ws->context);
}

void ws_free(struct ws *ws)
{
    if (!ws)
        return;
    /* On a foreign loop the first call only closes handles; after the loop ran, the second one
     * frees. */
    lws_context_destroy(ws->context);
    sockets_destroy(ws->worker->sockets);
    tls_free(ws->tls);
    free(ws->origins);
    free(ws);
}
