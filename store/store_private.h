/* store_private.h - the inside of struct store_async, shared by its three files. */
#ifndef STORE_STORE_PRIVATE_H
#define STORE_STORE_PRIVATE_H

#include <uthash.h>

#include "async_cluster.h"
#include "keys.h"
#include "redis_conn.h"
#include "replies.h"
#include "store/store_async.h"

enum {
    ROOM_LOG_CAP =
        512, /* what a worker can read back after it lost the bus; clients recover ROOM_LOG_MAX of room/ */
    ROOM_DONE_KEEP = 4,         /* ended rains a late joiner still sees */
    ROOM_TTL_S = 7 * 24 * 3600, /* a room silent for so long is forgotten (new epoch) */
    ROOM_COUNT_FRESH_MS = 5000,
    ROOM_COUNT_FORGET_MS = 60000,
    SANCTIONS_PRUNE =
        1000, /* kicks and mutes of a room from which on those that ended are dropped */
    USER_LOG_CAP = 32,
    USER_LOG_TTL_S = 3600,
    SETTLE_LAG_TTL_MS = 60000,
};

struct sub_room {
    UT_hash_handle hh;
    char id[RR_ROOM_ID_MAX + 1];
    /* In a cluster: */
    uint16_t slot;
    bool acked;
    struct cluster_node *at; /* where it is subscribed; NULL: nowhere */
    int64_t since_us;        /* when it was last heard, or its joins were answered */
};

struct store_async {
    struct store_cluster *cluster; /* instead of cmd and sub; NULL: one server */
    struct redis_conn *cmd;
    struct redis_conn *sub;
    struct pool_grab pool;
    struct room_bus bus;
    struct room_bus_events events;
    const struct rr_clock *clock;
    struct sub_room *rooms; /* what must be subscribed, whatever the connections do */
    char *ns;
    char *worker_name;
    char *sentinel_master; /* NULL: none are asked */
    uint32_t outbox_max;
    uint32_t conns; /* not closed yet */
    bool up;
    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* To the server, or to whoever of the cluster has the key. As redis_conn_call(). */
static inline void store__call(struct store_async *s, const struct store_script *script,
                               struct redis_cmd *cmd, redis_done_fn done, void *arg)
{
    if (s->cluster)
        store__cluster_call(s->cluster, script, cmd, done, arg);
    else
        redis_conn_call(s->cmd, script, cmd, done, arg);
}

/* Both connections, or enough of the cluster, came up or went down. */
void store__set_up(struct store_async *s, bool up);
void store__pool_init(struct store_async *s);
void store__bus_init(struct store_async *s);
void store__bus_subscribe(void *impl, const char *room_id);
void store__bus_unsubscribe(void *impl, const char *room_id);
/* Subscribes users, control and every room again. */
void store__bus_resubscribe(struct store_async *s);
void store__bus_on_push(void *arg, const redisReply *reply);
/* A message of any channel. */
void store__bus_on_message(struct store_async *s, const redisReply *reply);
void store__bus_fini(struct store_async *s);

/* Arguments of room_push behind its keys, for both sides. final is 0 or 1. sharded: in a cluster, where a room is heard at
 * its slot's primary. */
void store__room_push_args(struct redis_cmd *cmd, const char *ns, const char *room_id,
                           const char *biz_code, struct rr_slice payload, const char *keep_code,
                           bool final, bool sharded);
void store__room_count_args(struct redis_cmd *cmd, const char *ns, const char *room_id,
                            const char *worker, uint32_t members, uint64_t life,
                            const struct delivery *d);

#endif
