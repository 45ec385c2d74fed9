/* ws_handshake.c - who may open a WebSocket: path, Origin, subprotocol, address; see ws_private.h. */
#include "ws_private.h"

#include "sockets.h"
#include "worker.h"
#include "worker_drain.h"
#include "ws_echo.h"

#include <string.h>

static int refuse(struct ws *ws, struct lws *wsi, unsigned status, const char *why)
{
    uint64_t suppressed = 0;

    rr_metric_add(&ws->worker->metrics->handshakes_refused_total, 1);
    if (rr_ratelog_pass(&ws->origin_log, rr_mono_us(ws->worker->clock), 10000000, &suppressed))
        log_notice("handshake_refused", "%u %s (%llu more like it)", status, why,
                   (unsigned long long)suppressed);
    /* Sends the answer and returns 1 to lws: handled, no upgrade. */
    return lws_return_http_status(wsi, status, why) < 0 ? -1 : 1;
}

/* The header's whole value into buf; -1 when missing or too long. */
static int header(struct lws *wsi, enum lws_token_indexes h, char *buf, int cap)
{
    int len = lws_hdr_total_length(wsi, h);

    if (len <= 0 || len >= cap)
        return -1;
    return lws_hdr_copy(wsi, buf, cap, h);
}

static bool origin_allowed(const struct ws *ws, struct lws *wsi)
{
    char origin[256];
    size_t n = 0;

    if (lws_hdr_total_length(wsi, WSI_TOKEN_ORIGIN) <= 0)
        return ws->worker->conf->server_allow_no_origin;
    if (header(wsi, WSI_TOKEN_ORIGIN, origin + 1, sizeof(origin) - 2) <= 0 ||
        strchr(origin + 1, ','))
        return false;
    n = strlen(origin + 1);
    origin[0] = ',';
    origin[n + 1] = ',';
    origin[n + 2] = 0;
    return strstr(ws->origins, origin) != NULL;
}

/* What the nearest proxy says; empty without the header. */
static struct rr_slice forwarded_for(const struct ws *ws, struct lws *wsi, char *buf, int cap)
{
    const char *name = ws->worker->conf->risk_address_header;
    int n = header(
        wsi, strcmp(name, "x-real-ip") == 0 ? WSI_TOKEN_HTTP_X_REAL_IP : WSI_TOKEN_X_FORWARDED_FOR,
        buf, cap);

    return rr_slice_of(buf, n > 0 ? (size_t)n : 0);
}

/* The path without a subprotocol: never of a viewer. */
static int confirm_echo(struct ws *ws, struct lws *wsi)
{
    if (lws_hdr_total_length(wsi, WSI_TOKEN_PROTOCOL) > 0)
        return refuse(ws, wsi, HTTP_STATUS_BAD_REQUEST, "no subprotocol here");
    return 0;
}

int ws__confirm_upgrade(struct lws *wsi, const char *upgrade)
{
    struct ws *ws = ws__of(wsi);
    char path[16];
    char protocol[64];
    char proxies[1024];

    if (strcasecmp(upgrade, "websocket") != 0)
        return -1; /* h2c and anything else */
    if (header(wsi, WSI_TOKEN_GET_URI, path, sizeof(path)) <= 0)
        path[0] = 0;
    if (ws->worker->conf->server_selftest_echo && strcmp(path, WS_ECHO_PATH) == 0)
        return confirm_echo(ws, wsi);
    if (strcmp(path, "/ws") != 0)
        return refuse(ws, wsi, HTTP_STATUS_NOT_FOUND, "no WebSocket here");
    if (!origin_allowed(ws, wsi))
        return refuse(ws, wsi, HTTP_STATUS_FORBIDDEN, "origin not allowed");
    if (header(wsi, WSI_TOKEN_PROTOCOL, protocol, sizeof(protocol)) <= 0 ||
        strcmp(protocol, RR_SUBPROTOCOL) != 0)
        return refuse(ws, wsi, HTTP_STATUS_BAD_REQUEST, "subprotocol redrain.v1 required");
    if (worker_drain_ends(ws->worker))
        return refuse(ws, wsi, HTTP_STATUS_SERVICE_UNAVAILABLE, "server is leaving");
    if (sockets_name(ws->worker->sockets, lws_get_opaque_user_data(wsi),
                     forwarded_for(ws, wsi, proxies, sizeof(proxies))) != RR_OK)
        return refuse(ws, wsi, HTTP_STATUS_SERVICE_UNAVAILABLE, "too many from one address");
    return 0;
}
