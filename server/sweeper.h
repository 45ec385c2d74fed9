/* sweeper.h - sends what is left in the outboxes: entries older than message.timeout + 1 s, of
 * rains that SQL calls live. One admin child per shard by a lease; one outstanding produce per
 * entry; deleted on its report. */
#ifndef SERVER_SWEEPER_H
#define SERVER_SWEEPER_H

#include "admin.h"

struct sweeper *sweeper_create(struct admin *a);
void sweeper_destroy(struct sweeper *s); /* NULL-safe; after producer and db pool are gone */
/* Starts a sweep if none runs. Once a second. */
void sweeper_tick(struct sweeper *s);
/* producer_report_fn */
void sweeper_report(void *sweeper, uint64_t id, bool ok);

#endif
