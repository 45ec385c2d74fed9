/* worker_shed.h - load shedding in a worker: measures its pressure, steps shed.h, says so in the log and in the metrics.
 * Thread: the worker's loop. */
#ifndef SERVER_WORKER_SHED_H
#define SERVER_WORKER_SHED_H

#include <stdbool.h>
#include <stdint.h>

#include "shed.h"

struct worker;

/* Each 100 ms; lag_us: how late the tick is. */
void worker_shed_tick(struct worker *w, int64_t lag_us);
/* This level, or a higher one, is in force. */
bool worker_sheds(const struct worker *w, enum shed_level level);
/* When a client that is refused may ask again; differs between sessions, so that they do not come back together. */
int64_t worker_shed_retry_ms(uint64_t session_id);

#endif
