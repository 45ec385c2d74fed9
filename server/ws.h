/* ws.h - the public listener: WebSocket redrain.v1 on /ws, static pages elsewhere. The only lws
 * code of a worker. Owns the sockets; a session is created at the handshake and destroyed when the
 * socket is gone. */
#ifndef SERVER_WS_H
#define SERVER_WS_H

#include <uv.h>

#include "room/session.h"

struct lws;
struct worker;
struct ws;

/* lws context on the worker's loop; accepts from listen_fd (already listening) once
 * ws_accept_start() is called; owns it from then on. */
RR_MUST_CHECK enum rr_err ws_create(struct ws **out, struct worker *w, int listen_fd);
void ws_accept_start(struct ws *ws);
/* Closes our descriptor of the listening socket; last: nobody else accepts on it, so what waits in its queue is taken before.
 * Repeatable. */
void ws_accept_stop(struct ws *ws, bool last);
bool ws_accepting(const struct ws *ws);
/* Accepted sockets, sessions or not yet. */
uint32_t ws_sockets(const struct ws *ws);
/* Ends the lws context: sockets close while the loop runs on. ws_free() after the loop came to its
 * end. */
void ws_close(struct ws *ws);
void ws_free(struct ws *ws); /* NULL-safe */
const struct transport *ws_transport(struct ws *ws);
/* Takes over what of the configuration is kept here: origins, certificate. Open sockets notice nothing.
 * RR_CONFIG: message says why the old ones stay. */
RR_MUST_CHECK enum rr_err ws_reload(struct ws *ws, char *message, size_t cap);
/* The socket below a session's conn: for benchmarks, which send around everything. */
struct lws *ws_socket(void *conn);
/* Bytes that came in on the socket so far; 0: not known. */
uint64_t ws_bytes_received(void *conn);
/* From the worker's tick: lets lws see the deadlines that were set since the last one. */
void ws_tick(struct ws *ws);
/* WebSocket PING. */
void ws_ping(struct ws *ws, void *conn);

#endif
