/* sanctions.h - who may not chat in a room, or not enter it, until when: what KICK and MUTE said.
 * Every worker hears every one of them, so that a new connection does not get around it. Bounded by
 * cap; what is over is dropped first. Rooms keep them in Redis and bring them back with their first load. Thread: the
 * worker's loop. */
#ifndef ROOM_SANCTIONS_H
#define ROOM_SANCTIONS_H

#include <stdint.h>

#include "base/err.h"

enum sanction { SANCTION_MUTE = 1, SANCTION_KICK = 2 };

struct sanctions;

struct sanctions *sanctions_create(uint32_t cap);
void sanctions_destroy(struct sanctions *t); /* NULL-safe */
/* Replaces an earlier one of the same kind; until_us <= now_us lifts it. RR_FULL: cap are running. */
RR_MUST_CHECK enum rr_err sanctions_set(struct sanctions *t, enum sanction kind,
                                        const char *room_id, int64_t user_id, int64_t until_us,
                                        int64_t now_us);
/* Microseconds it still holds, 0: none. */
int64_t sanctions_left_us(const struct sanctions *t, enum sanction kind, const char *room_id,
                          int64_t user_id, int64_t now_us);

#endif
