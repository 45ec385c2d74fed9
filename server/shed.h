/* shed.h - how much of its work a worker under pressure gives up, in a fixed order; the states, without I/O. shed_step() is the
 * only transition function; what a level does stands where that work is begun, what is measured in worker_shed.c.
 *
 *   0 NONE
 *   1 CONNECTIONS  new sockets get 503 with Retry-After
 *   2 LATEST       and tickers, counts and chat are not sent
 *   3 COMMANDS     and commands of viewers get RATE_LIMITED with retry_after_ms
 *   4 GRABS        and new grabs get BUSY with retry_after_ms; one that may have been granted is never refused; only when Redis
 *                  and Kafka are not looked after in time either: a long turn of the loop alone does not hold grabs up
 * What must arrive is sent at every level. One level at a time, up after SHED_RISE_US under the next level's pressure, down
 * after hold_us without this one's: a spike changes nothing, and nothing flaps. Thread: the worker's loop. */
#ifndef SERVER_SHED_H
#define SERVER_SHED_H

#include <stdbool.h>
#include <stdint.h>

enum shed_level {
    SHED_NONE,
    SHED_CONNECTIONS,
    SHED_LATEST,
    SHED_COMMANDS,
    SHED_GRABS,
};

enum { SHED_RISE_US = 500 * 1000 };

/* Where level 1 begins; the others at 1.5, 2 and 3 times that. 0: is not looked at. */
struct shed_opts {
    int64_t lag_us;
    int64_t queue_bytes;
    int64_t hold_us;
};

/* What the worker sees at a step. */
struct shed_view {
    int64_t now_us;
    int64_t lag_us;   /* how late the loop is */
    int64_t stall_us; /* longest that Redis and Kafka were not looked after while there was work */
    int64_t queue_bytes; /* what waits for sockets and must arrive */
    bool
        grabs_refused; /* grabs over their bound since the last step: everything before them goes first */
};

struct shed {
    struct shed_opts opts;
    enum shed_level level;
    int64_t more_us; /* since when the next level is called for; 0: it is not */
    int64_t less_us; /* since when this one is not called for; 0: it is */
};

/* About every 100 ms. True: the level changed, by one. */
bool shed_step(struct shed *s, const struct shed_view *v);
const char *shed_level_name(enum shed_level level);

#endif
