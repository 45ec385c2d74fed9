/* room_stats.h - the rains of a room as bytes in Redis: what STATS answers from while one of them runs, so that a console that asks
 * every second costs the database nothing. Written by every step that tells the room something, before it is told. */
#ifndef LEDGER_ROOM_STATS_H
#define LEDGER_ROOM_STATS_H

#include "base/buf.h"
#include "ledger/saga.h"

enum { ROOM_STATS_RAINS = 50 };

void room_stats_encode(const struct rain_info *rains, uint32_t n, struct rr_buf *out);
/* Only what STATS shows is filled. RR_CORRUPT: not ours, or of another version. */
RR_MUST_CHECK enum rr_err room_stats_decode(struct rr_slice bytes, struct rain_info *out,
                                            uint32_t max, uint32_t *n);
/* Reads the room's newest rains and the sender's balance from SQL and writes both to Redis. A failure is logged, no more: the
 * next step writes them again, and after the rain SQL is asked. */
void room_stats_write(struct saga *s, const char *room_id, int64_t sender_id);

#endif
