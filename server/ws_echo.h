/* ws_echo.h - the path /echo of --selftest-echo: gives every text and binary message back, so that public conformance
 * suites can judge how this server speaks WebSocket. Never on a listener that others reach (conf_check.c). No session, no
 * room, no limits but the size of a message. */
#ifndef SERVER_WS_ECHO_H
#define SERVER_WS_ECHO_H

#include <libwebsockets.h>
#include <stdbool.h>

#define WS_ECHO_PATH "/echo"

enum { WS_ECHO_MAX_BYTES = 16 * 1024 * 1024 + 1024 };

/* Per-socket data that lws allocates. */
enum { WS_ECHO_SESSION_BYTES = 64 };

/* Callback of its lws protocol. */
int ws_echo_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                     size_t len);

/* Of a close frame: may it be sent (RFC 6455, 7.4)? */
bool ws_echo_close_valid(const unsigned char *payload, size_t len);

#endif
