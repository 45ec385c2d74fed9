/* rain_watch.h - what a worker does by itself for the rains of its rooms: learns them from their
 * pushes, tells END at t1, keeps the ticker, forgets what is over.
 * Guarantees: a room with members hears END once from this worker and never after the RESULT.
 * Not here: who may grab (rain/gate.h), closing and refunding (the settler). Thread: the loop. */
#ifndef SERVER_RAIN_WATCH_H
#define SERVER_RAIN_WATCH_H

#include "base/slice.h"

struct worker;

/* A RED_PACKET_* push of a room, before it is fanned out (hub_opts.rain_state). */
void rain_watch_state(void *worker, const char *room_id, struct rr_slice biz_code,
                      struct rr_slice payload);
/* Every 100 ms. */
void rain_watch_tick(struct worker *w);

#endif
