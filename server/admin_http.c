#include "admin_http.h"

#include "base/alloc.h"
#include "base/log.h"

#include <libwebsockets.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uthash.h>

enum { CONNECTIONS_MAX = 256, HEADER_MAX = 1024 };

/* Per-connection data that lws allocates. */
struct http_conn {
    struct lws *wsi;
    struct http_answer *answer;
};

/* One request on its way, found by its id. */
struct http_answer {
    struct admin_request rq;
    struct http_conn *conn;
    unsigned status; /* 0: not answered yet */
    const char *type;
    unsigned char *out; /* LWS_PRE + body; owned */
    size_t out_len;
    bool routed;
    bool headers_sent;
    bool replayed; /* the answer of an earlier request, said in a header */
    UT_hash_handle hh;
};

struct admin_http {
    struct admin *admin;
    struct lws_context *context;
    struct lws_vhost *vhost;
    void *loops[1];
    uv_poll_t poll;
    int listen_fd;
    uint32_t connections;
    uint64_t last_id;
    struct http_answer *requests;
};

static struct admin_http *http_of(struct lws *wsi)
{
    return lws_context_user(lws_get_context(wsi));
}

static void answer_free(struct admin_http *h, struct http_answer *a)
{
    if (!a)
        return;
    HASH_DEL(h->requests, a);
    rr_buf_fini(&a->rq.body);
    free(a->out);
    free(a);
}

static void copy_header(struct lws *wsi, enum lws_token_indexes token, char *buf, size_t cap)
{
    if (lws_hdr_total_length(wsi, token) <= 0 || lws_hdr_total_length(wsi, token) >= (int)cap ||
        lws_hdr_copy(wsi, buf, (int)cap, token) < 0)
        buf[0] = 0;
}

/* Unknown to lws, so it is kept by its name. */
static void copy_key(struct lws *wsi, struct admin_request *rq)
{
    static const char name[] = "idempotency-key:";
    int len = lws_hdr_custom_length(wsi, name, sizeof(name) - 1);

    if (len <= 0)
        return;
    if (len > RR_BIZ_ID_MAX)
        memset(rq->key, '-', sizeof(rq->key) - 1); /* too long to be valid */
    else if (lws_hdr_custom_copy(wsi, rq->key, sizeof(rq->key), name, sizeof(name) - 1) < 0)
        rq->key[0] = 0;
}

static struct http_answer *request_begin(struct admin_http *h, struct lws *wsi, struct http_conn *c)
{
    struct http_answer *a = rr_xcalloc(1, sizeof(*a));
    char auth[sizeof(a->rq.bearer) + 8];

    a->rq.id = ++h->last_id;
    a->conn = c;
    a->rq.post = lws_hdr_total_length(wsi, WSI_TOKEN_POST_URI) > 0;
    rr_buf_init(&a->rq.body, ADMIN_BODY_MAX);
    copy_header(wsi, a->rq.post ? WSI_TOKEN_POST_URI : WSI_TOKEN_GET_URI, a->rq.path,
                sizeof(a->rq.path));
    copy_header(wsi, WSI_TOKEN_HTTP_URI_ARGS, a->rq.query, sizeof(a->rq.query));
    copy_header(wsi, WSI_TOKEN_HTTP_AUTHORIZATION, auth, sizeof(auth));
    copy_key(wsi, &a->rq);
    if (strncasecmp(auth, "Bearer ", 7) == 0)
        (void)rr_slice_copy(rr_slice_str(auth + 7), a->rq.bearer, sizeof(a->rq.bearer));
    HASH_ADD(hh, h->requests, rq.id, sizeof(a->rq.id), a);
    c->wsi = wsi;
    c->answer = a;
    return a;
}

/* Once: with "Content-Length: 0" lws tells of a body's end, too. */
static void route(struct admin_http *h, struct http_answer *a)
{
    if (a->routed)
        return;
    a->routed = true;
    admin_route(h->admin, &a->rq);
}

/* POST needs a length: what it announces is all that is read. GET has no body. */
static int request_start(struct admin_http *h, struct lws *wsi, struct http_conn *c)
{
    struct http_answer *a = NULL;
    char length[24];
    long n = 0;

    if (lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) <= 0 &&
        lws_hdr_total_length(wsi, WSI_TOKEN_POST_URI) <= 0)
        return lws_return_http_status(wsi, HTTP_STATUS_METHOD_NOT_ALLOWED, NULL) < 0 ? -1 : 1;
    a = request_begin(h, wsi, c);
    copy_header(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH, length, sizeof(length));
    n = strtol(length, NULL, 10);
    if (n < 0 || n > (a->rq.post ? ADMIN_BODY_MAX : 0) ||
        lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0) {
        (void)lws_return_http_status(wsi, HTTP_STATUS_REQ_ENTITY_TOO_LARGE, NULL);
        return -1; /* the body is not read */
    }
    if (n == 0)
        route(h, a);
    return 0;
}

static int send_headers(struct lws *wsi, struct http_answer *a)
{
    unsigned char buf[LWS_PRE + HEADER_MAX];
    unsigned char *start = buf + LWS_PRE;
    unsigned char *p = start;
    unsigned char *end = buf + sizeof(buf) - 1;

    if (lws_add_http_header_status(wsi, a->status, &p, end) ||
        lws_add_http_header_by_token(wsi, WSI_TOKEN_HTTP_CONTENT_TYPE,
                                     (const unsigned char *)a->type, (int)strlen(a->type), &p,
                                     end) ||
        lws_add_http_header_by_token(wsi, WSI_TOKEN_HTTP_CACHE_CONTROL,
                                     (const unsigned char *)"no-store", 8, &p, end) ||
        (a->replayed &&
         lws_add_http_header_by_name(wsi, (const unsigned char *)"idempotency-replayed:",
                                     (const unsigned char *)"true", 4, &p, end)) ||
        lws_add_http_header_by_token(wsi, WSI_TOKEN_CONNECTION, (const unsigned char *)"close", 5,
                                     &p, end) ||
        lws_add_http_header_content_length(wsi, a->out_len, &p, end) ||
        lws_finalize_write_http_header(wsi, start, &p, end))
        return -1;
    a->headers_sent = true;
    lws_callback_on_writable(wsi);
    return 0;
}

/* One request a connection: lws 4.1.6 serves one that came together with the one before it again and again when its body is cut
 * off, and nothing else any more. */
static int on_writable(struct admin_http *h, struct lws *wsi, struct http_conn *c)
{
    struct http_answer *a = c->answer;

    if (!a || !a->status)
        return 0;
    if (!a->headers_sent)
        return send_headers(wsi, a);
    if (lws_write(wsi, a->out + LWS_PRE, a->out_len, LWS_WRITE_HTTP_FINAL) < 0)
        return -1;
    answer_free(h, a);
    c->answer = NULL;
    return -1;
}

uint32_t admin_http_connections(const struct admin_http *h)
{
    return h->connections;
}

void admin_http_answer(struct admin_http *h, uint64_t request_id, unsigned status, const char *type,
                       const struct rr_buf *body)
{
    struct http_answer *a = NULL;

    HASH_FIND(hh, h->requests, &request_id, sizeof(request_id), a);
    if (!a || a->status)
        return;
    a->status = status;
    a->type = type;
    a->out_len = body->len;
    a->out = rr_xcalloc(1, LWS_PRE + body->len + 1);
    if (body->len)
        memcpy(a->out + LWS_PRE, body->p, body->len);
    lws_callback_on_writable(a->conn->wsi);
}

void admin_http_replayed(struct admin_http *h, uint64_t request_id)
{
    struct http_answer *a = NULL;

    HASH_FIND(hh, h->requests, &request_id, sizeof(request_id), a);
    if (a)
        a->replayed = true;
}

static int http_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                         size_t len)
{
    struct http_conn *c = user;
    struct admin_http *h = NULL;

    switch (reason) {
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE: return -1;
    case LWS_CALLBACK_HTTP: return request_start(http_of(wsi), wsi, c);
    case LWS_CALLBACK_HTTP_BODY:
        if (!c->answer)
            return -1;
        rr_buf_append(&c->answer->rq.body, in, len);
        return c->answer->rq.body.failed ? -1 : 0;
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
        if (c->answer)
            route(http_of(wsi), c->answer);
        return 0;
    case LWS_CALLBACK_HTTP_WRITEABLE: return on_writable(http_of(wsi), wsi, c);
    case LWS_CALLBACK_CLOSED_HTTP:
        if (!c) /* it ended before lws had made it */
            return 0;
        answer_free(http_of(wsi), c->answer);
        c->answer = NULL;
        return 0;
    case LWS_CALLBACK_WSI_DESTROY:
        h = http_of(wsi);
        if (h->connections)
            h->connections--;
        return 0;
    default: return lws_callback_http_dummy(wsi, reason, user, in, len);
    }
}

static const struct lws_protocols protocols[] = {
    {.name = "admin",
     .callback = http_callback,
     .per_session_data_size = sizeof(struct http_conn),
     .rx_buffer_size = 4096},
    {.name = NULL},
};

static void on_acceptable(uv_poll_t *poll, int status, int events)
{
    struct admin_http *h = poll->data;

    (void)events;
    for (int i = 0; status == 0 && i < 64; i++) {
        int fd = accept4(h->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0)
            return;
        if (h->connections >= CONNECTIONS_MAX) {
            close(fd);
            continue;
        }
        h->connections++;
        lws_adopt_socket_vhost(h->vhost, fd);
    }
}

static void emit_lws_log(int level, const char *line)
{
    (void)level;
    log_info("lws", "%s", line);
}

enum rr_err admin_http_create(struct admin_http **out, struct admin *a, int listen_fd)
{
    struct admin_http *h = rr_xcalloc(1, sizeof(*h));
    struct lws_context_creation_info info;

    h->admin = a;
    h->listen_fd = listen_fd;
    h->loops[0] = &a->loop;
    lws_set_log_level(LLL_ERR | LLL_WARN, emit_lws_log);
    memset(&info, 0, sizeof(info));
    info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
    info.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
    info.foreign_loops = h->loops;
    info.user = h;
    info.protocols = protocols;
    info.pt_serv_buf_size = 16384;
    info.rlimit_nofile = CONNECTIONS_MAX + 256;
    info.timeout_secs = 10;
    info.keepalive_timeout = 30;
    info.alpn = "http/1.1";
    info.vhost_name = "admin";
    h->context = lws_create_context(&info);
    if (!h->context)
        return RR_SYSTEM;
    h->vhost = lws_create_vhost(h->context, &info);
    if (!h->vhost)
        return RR_SYSTEM;
    h->poll.data = h;
    uv_poll_init(&a->loop, &h->poll, listen_fd);
    *out = h;
    return RR_OK;
}

void admin_http_accept(struct admin_http *h)
{
    uv_poll_start(&h->poll, UV_READABLE, on_acceptable);
}

void admin_http_stop(struct admin_http *h)
{
    uv_poll_stop(&h->poll);
}

void admin_http_close(struct admin_http *h)
{
    uv_poll_stop(&h->poll);
    uv_close((uv_handle_t *)&h->poll, NULL);
    lws_context_destroy(h->context);
}

void admin_http_free(struct admin_http *h)
{
    struct http_answer *a = NULL;
    struct http_answer *tmp = NULL;

    if (!h)
        return;
    /* On a foreign loop the first call only closed handles; after the loop ran, the second one
     * frees. */
    lws_context_destroy(h->context);
    HASH_ITER (hh, h->requests, a, tmp)
        answer_free(h, a);
    free(h);
}
