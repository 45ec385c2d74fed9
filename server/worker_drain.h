/* worker_drain.h - how a worker leaves: what is done in each state of drain.h. Signals:
 *   SIGTERM  the whole server leaves; once more: at once. A worker whose supervisor is gone leaves at once.
 *   SIGUSR2  only this worker leaves: its successor accepts on the same socket already.
 * Thread: the worker's loop. */
#ifndef SERVER_WORKER_DRAIN_H
#define SERVER_WORKER_DRAIN_H

#include "drain.h"

struct worker;

void worker_drain_begin(struct worker *w, enum drain_mode mode);
/* Every 100 ms. */
void worker_drain_tick(struct worker *w);
/* Nothing new is begun any more: no handshakes, no grabs. */
bool worker_drain_ends(const struct worker *w);
void worker_drain_fini(struct worker *w);

#endif
