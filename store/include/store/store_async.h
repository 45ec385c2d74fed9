/* store_async.h - Redis for a worker's loop: the ports pool_grab and room_bus over two connections
 * (commands, and subscriptions). Connects by itself, again and again with backoff; while down
 * every call is answered RR_UNAVAILABLE.
 * Guarantees: a callback runs exactly once and never inside the call that registered it. An answer
 * not there after timeout_ms drops the connection: every call in flight becomes RR_PENDING.
 * Errors: RR_UNAVAILABLE nothing happened (never sent, or refused: loading, read-only, out of
 * memory); RR_BUSY nothing happened, a script blocks Redis; RR_PENDING outcome unknown.
 * Thread: the loop's.
 * Owner: the worker; SIGPIPE must be ignored by the process. */
#ifndef STORE_STORE_ASYNC_H
#define STORE_STORE_ASYNC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "rain/pool.h"
#include "room/bus.h"
#include "store/store_opts.h"

struct store_async;

/* Of both connections together; the owner copies them into its metrics. */
struct store_counters {
    uint64_t calls;      /* commands and scripts sent */
    uint64_t errors;     /* error replies and lost calls */
    uint64_t reconnects; /* times a connection came up again */
    uint64_t redirects;  /* MOVED and ASK of a cluster that were followed */
    uint32_t outstanding;
    bool up; /* both connections are up */
};

/* loop: uv_loop_t*. events: copied; every callback but arg may be NULL. Starts connecting, reports
 * by events.state.
 * RR_CONFIG: url, namespace or worker name malformed. RR_SYSTEM: libuv refused. */
RR_MUST_CHECK enum rr_err store_async_create(struct store_async **out, void *loop,
                                             const struct store_opts *opts,
                                             const struct room_bus_events *events);
const struct pool_grab *store_pool(struct store_async *s);
const struct room_bus *store_bus(struct store_async *s);
void store_async_counters(const struct store_async *s, struct store_counters *out);
/* Cap of an outbox, from the next grab on (reload of limits). */
void store_async_set_outbox_max(struct store_async *s, uint32_t entries);

/* Lag in ms the settler last wrote; RR_NOT_FOUND when it has not for a minute. */
typedef void (*store_lag_fn)(void *arg, enum rr_err err, int64_t lag_ms);
void store_async_settle_lag(struct store_async *s, store_lag_fn done, void *arg);

/* Closes both connections: calls in flight are answered (RR_PENDING or RR_UNAVAILABLE), then
 * closed(arg) runs and s is freed. The owner goes on running the loop until then and makes no
 * further calls. No event comes after this call. */
void store_async_close(struct store_async *s, void (*closed)(void *arg), void *arg);

#endif
