/* canary.h - does a push still arrive? Each worker publishes a number to itself through Redis, twice a second, and stamps its
 * slot of the metrics mapping when it comes back: /readyz looks at the stamp (admin.c). A connection can be up, answer every
 * command, and bring no push any more; then the subscriber connection is made anew, again and again, until one brings them. A
 * number that is missing among those that come back says that other pushes may be missing too: the same is done at once.
 * Thread: the worker's loop. */
#ifndef SERVER_CANARY_H
#define SERVER_CANARY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "room/bus.h"

enum {
    CANARY_EVERY_US = 500000,
    CANARY_LATE_US = 2500000, /* no push came back for so long: not ready */
    CANARY_RESET_MAX_US = 30000000,
    CANARY_OPEN_MAX = 8, /* numbers on their way whose times are known */
};

struct canary {
    const struct rr_clock *clock;
    const struct room_bus *bus;
    struct rr_metrics *metrics;
    uint64_t sent; /* the newest number; the top half is random, so that nobody else's counts */
    uint64_t back; /* the newest that came back */
    int64_t sent_us[CANARY_OPEN_MAX];
    int64_t since_us; /* the last sign of life: a push came back, or the connection was made anew */
    int64_t reset_after_us;
    bool lost; /* as last logged */
};

void canary_init(struct canary *c, const struct rr_clock *clock, const struct room_bus *bus,
                 struct rr_metrics *metrics);
/* From the worker's tick. */
void canary_tick(struct canary *c, bool bus_up);
/* room_bus_events.echo: number 0 says that our channel is subscribed. */
void canary_echo(struct canary *c, uint64_t number);

/* [admin child] Whether a worker's pushes come back, by its slot. */
bool canary_fresh(const struct rr_metrics *slot, int64_t now_us);

#endif
