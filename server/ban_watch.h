/* ban_watch.h - a worker's bans: read from SQL at start and every server.bans_every_ms, changed at once by
 * the control channel, closed sockets included. HELLO asks memory only; while MySQL is away the last
 * list holds. Thread: the worker's loop. */
#ifndef SERVER_BAN_WATCH_H
#define SERVER_BAN_WATCH_H

#include <stdbool.h>

#include "base/buf.h"
#include "ledger/bans.h"
#include "protocol/unpack.h"

struct worker;
struct session;
struct ban_watch;

struct ban_watch *ban_watch_create(struct worker *w);
void ban_watch_destroy(struct ban_watch *b); /* no job of it may be open; NULL-safe */
/* Every 100 ms. */
void ban_watch_tick(struct ban_watch *b);
/* At the next tick the list is read. */
void ban_watch_reload(struct ban_watch *b);
/* His user or his address. */
bool ban_watch_has(const struct ban_watch *b, const struct session *s);
/* Closes with 4503. */
void ban_watch_close(struct ban_watch *b, struct session *s);

/* ---- the control message: {kind: "ban", scope, subject, until}; until 0: lifted ---- */
void ban_control_pack(struct rr_buf *out, enum ban_scope scope, uint64_t who, int64_t until_ms);
RR_MUST_CHECK enum rr_err ban_watch_control(struct ban_watch *b, const struct unpack_value *map);

#endif
