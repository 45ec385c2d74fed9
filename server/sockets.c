#include "sockets.h"

#include "base/alloc.h"
#include "base/log.h"
#include "proxy_wait.h"
#include "worker.h"
#include "worker_shed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

enum { PAGE_MS = 60000 };

struct sockets {
    struct worker *w;
    void (*kill)(void *wsi);
    struct rr_ip_nets trusted;
    bool speak_proxy; /* the trusted proxies begin with a PROXY protocol header */
    struct client_socket *lists[SOCKET_PHASES]; /* oldest first */
    uint32_t n;
    int reserve_fd; /* /dev/null: given up to take a connection when no descriptor is left */
    struct rr_ratelog log;
    struct rr_ratelog proxy_log;
};

static int reserve_open(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void sockets_reload(struct sockets *t)
{
    RR_ASSERT(rr_ip_nets_parse(&t->trusted, t->w->conf->server_trusted_proxies) == RR_OK);
    t->speak_proxy = strcmp(t->w->conf->server_proxy_protocol, "v2") == 0;
}

struct sockets *sockets_create(struct worker *w, void (*kill)(void *wsi))
{
    struct sockets *t = rr_xcalloc(1, sizeof(*t));

    t->w = w;
    t->kill = kill;
    t->reserve_fd = reserve_open();
    sockets_reload(t);
    return t;
}

void sockets_destroy(struct sockets *t)
{
    struct client_socket *s = NULL;
    struct client_socket *tmp = NULL;

    if (!t)
        return;
    for (int i = 0; i < SOCKET_PHASES; i++) {
        DL_FOREACH_SAFE(t->lists[i], s, tmp)
        {
            sockets_close(t, s);
        }
    }
    if (t->reserve_fd >= 0)
        close(t->reserve_fd);
    free(t);
}

/* ---- refusing ---- */

static void refused(struct sockets *t, _Atomic uint64_t *metric, const char *why)
{
    uint64_t suppressed = 0;

    rr_metric_add(metric, 1);
    if (rr_ratelog_pass(&t->log, rr_mono_us(t->w->clock), 10000000, &suppressed))
        log_warn("connection_refused", "%s (%llu more like it)", why,
                 (unsigned long long)suppressed);
}

void sockets_refuse(int fd, bool plain)
{
    static const char text[] = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\n"
                               "content-length: 0\r\nconnection: close\r\n\r\n";
    char dropped[4096];

    /* What was sent already is read, or the close would be a reset that overtakes the answer. */
    (void)!recv(fd, dropped, sizeof(dropped), MSG_DONTWAIT);
    if (plain)
        (void)!send(fd, text, sizeof(text) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    close(fd);
}

bool sockets_refuse_one(struct sockets *t, int listen_fd, bool plain)
{
    int fd = -1;

    if (t->reserve_fd >= 0)
        close(t->reserve_fd);
    fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        refused(t, &t->w->metrics->connections_refused_descriptors_total, "out of descriptors");
        sockets_refuse(fd, plain);
    }
    t->reserve_fd = reserve_open();
    return fd >= 0;
}

/* ---- life ---- */

static enum rr_err count_address(struct sockets *t, struct client_socket *s)
{
    s->address = limiter_address_key(t->w->limiter, &s->client);
    if (limiter_address_enter(t->w->limiter, s->address, &s->counted) == RR_OK)
        return RR_OK;
    refused(t, &t->w->metrics->connections_refused_address_total, "too many from one address");
    return RR_FULL;
}

struct client_socket *sockets_open(struct sockets *t, const struct sockaddr *peer)
{
    struct client_socket *s = NULL;
    bool trusted = false;

    if (worker_sheds(t->w, SHED_CONNECTIONS)) {
        refused(t, &t->w->metrics->connections_refused_shed_total, "the worker is under pressure");
        return NULL;
    }
    if (t->n >= (uint32_t)t->w->conf->server_max_connections ||
        limiter_socket_enter(t->w->limiter) != RR_OK) {
        refused(t, &t->w->metrics->connections_refused_full_total, "too many connections");
        return NULL;
    }
    s = rr_xcalloc(1, sizeof(*s));
    rr_ip_of_sockaddr(&s->client, peer);
    trusted = rr_ip_nets_have(&t->trusted, &s->client);
    s->phase = trusted && t->speak_proxy ? SOCKET_PROXY : SOCKET_HANDSHAKE;
    s->named = !trusted;
    /* Whom a proxy speaks for is known later. */
    if (s->named && count_address(t, s) != RR_OK) {
        limiter_socket_leave(t->w->limiter);
        free(s);
        return NULL;
    }
    t->n++;
    s->since_us = rr_mono_us(t->w->clock);
    DL_APPEND(t->lists[s->phase], s);
    return s;
}

static void unlist(struct sockets *t, struct client_socket *s)
{
    /* utlist: a head without a successor is its own predecessor; the analyzer must be told */
    RR_ASSERT(s->prev == s || s->next || t->lists[s->phase] != s);
    DL_DELETE(t->lists[s->phase], s);
}

void sockets_close(struct sockets *t, struct client_socket *s)
{
    unlist(t, s);
    if (s->phase == SOCKET_PROXY && s->wait)
        proxy_wait_cancel(s->wait);
    limiter_address_leave(t->w->limiter, s->address, &s->counted);
    limiter_socket_leave(t->w->limiter);
    t->n--;
    free(s);
}

uint32_t sockets_count(const struct sockets *t)
{
    return t->n;
}

void sockets_phase(struct sockets *t, struct client_socket *s, enum socket_phase phase)
{
    unlist(t, s);
    s->phase = phase;
    s->since_us = rr_mono_us(t->w->clock);
    DL_APPEND(t->lists[phase], s);
}

enum rr_err sockets_proxied(struct sockets *t, struct client_socket *s,
                            const struct rr_proxy_header *h)
{
    s->wait = NULL;
    sockets_phase(t, s, SOCKET_HANDSHAKE);
    if (h->has_client)
        s->client = h->client;
    /* Of a connection that it does not name anybody for, a proxy writes no HTTP header either: that
     * would be the client's own. */
    s->named = !h->has_client || !rr_ip_nets_have(&t->trusted, &s->client);
    return s->named ? count_address(t, s) : RR_OK;
}

void sockets_proxy_failed(struct sockets *t, struct client_socket *s, const char *why)
{
    uint64_t suppressed = 0;

    s->wait = NULL;
    rr_metric_add(&t->w->metrics->connections_refused_proxy_total, 1);
    /* Of its own: a proxy that is set up wrongly must be found among other refusals. */
    if (rr_ratelog_pass(&t->proxy_log, rr_mono_us(t->w->clock), 10000000, &suppressed))
        log_warn("proxy_refused", "%s (%llu more like it)", why, (unsigned long long)suppressed);
    sockets_close(t, s);
}

void sockets_close_waiting(struct sockets *t)
{
    struct client_socket *s = NULL;
    struct client_socket *tmp = NULL;

    DL_FOREACH_SAFE(t->lists[SOCKET_PROXY], s, tmp)
    {
        sockets_close(t, s);
    }
}

enum rr_err sockets_name(struct sockets *t, struct client_socket *s, struct rr_slice forwarded_for)
{
    if (s->named)
        return RR_OK; /* counted before; what he says of himself is not looked at */
    s->named = true;
    s->client = rr_ip_client(&s->client, forwarded_for, &t->trusted);
    return count_address(t, s);
}

/* ---- deadlines ---- */

static struct client_socket *late(const struct sockets *t, enum socket_phase phase,
                                  int64_t limit_ms)
{
    struct client_socket *s = t->lists[phase];

    return s && rr_mono_us(t->w->clock) - s->since_us > limit_ms * 1000 ? s : NULL;
}

static void kill_late(struct sockets *t, enum socket_phase phase, int64_t limit_ms,
                      _Atomic uint64_t *metric)
{
    struct client_socket *s = NULL;

    while ((s = late(t, phase, limit_ms)) != NULL) {
        rr_metric_add(metric, 1);
        if (phase == SOCKET_PROXY ||
            !s->wsi) { /* waits for its header, or lws refused it and never spoke of it again */
            sockets_close(t, s);
            continue;
        }
        sockets_phase(t, s, SOCKET_OPEN); /* once; it ends by itself */
        t->kill(s->wsi);
    }
}

void sockets_tick(struct sockets *t)
{
    const struct rr_conf *c = t->w->conf;
    struct rr_metrics *m = t->w->metrics;
    struct client_socket *s = NULL;

    kill_late(t, SOCKET_PROXY, c->server_proxy_timeout_ms, &m->connections_late_proxy_total);
    kill_late(t, SOCKET_HANDSHAKE, c->server_handshake_timeout_ms,
              &m->connections_late_handshake_total);
    kill_late(t, SOCKET_PAGE, PAGE_MS, &m->connections_late_page_total);
    while ((s = late(t, SOCKET_HELLO, c->server_hello_timeout_ms)) != NULL) {
        struct session *session = session_by_id(t->w->sessions, s->session_id);

        sockets_phase(t, s, SOCKET_OPEN);
        if (!session || session->state != SESSION_NEW)
            continue;
        rr_metric_add(&m->connections_late_hello_total, 1);
        session_close(session, CLOSE_POLICY);
    }
}
