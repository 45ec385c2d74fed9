/* store_opts.h - what both sides of the store need to know. Strings are copied by create(). */
#ifndef STORE_STORE_OPTS_H
#define STORE_STORE_OPTS_H

#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

enum store_topology {
    STORE_SINGLE,   /* one address; single and failover of redis.topology */
    STORE_CLUSTER,  /* url: some nodes of a Redis Cluster */
    STORE_SENTINEL, /* url: sentinels, with the password of the primary they name */
};
/* Of an option's word; an unknown one is STORE_SINGLE. */
enum store_topology store_topology_of(const char *word);

struct store_opts {
    const char *url;         /* redis://… */
    const char *namespace_;  /* prefix of every key and channel: [a-z0-9_]{0,32}; NULL: "" */
    const char *worker_name; /* unique over all machines, [A-Za-z0-9_.-]{1,64}; CLIENT SETNAME and
                                presence */
    const struct rr_clock *clock; /* NULL: the system's */
    enum store_topology topology;
    const char *sentinel_master; /* STORE_SENTINEL: the name the primary has there */
    int64_t timeout_ms;          /* connect and command deadline; 0 -> 2,000 */
    uint32_t outbox_max;         /* entries in a shard's outbox before BUSY; 0 -> 100,000 */
    uint32_t
        outstanding_max; /* async: calls without an answer; more are RR_UNAVAILABLE; 0 -> 8,192 */
    /* async: called for each answer with the time from send to reply; may be NULL. */
    void (*latency)(void *arg, int64_t us);
    void *latency_arg;
};

#endif
