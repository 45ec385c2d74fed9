/* async_cluster.h - the loop's side of a Redis Cluster: per primary a connection for commands and one for subscriptions, the
 * table of slots, redirections, and at which primary each room is heard.
 * Guarantees: those of redis_conn_call for every call, whoever answers it at last. Which primary is away makes no
 * difference to the calls of the others.
 * Owner: struct store_async. Thread: the loop's. */
#ifndef STORE_ASYNC_CLUSTER_H
#define STORE_ASYNC_CLUSTER_H

#include "redis_conn.h"

struct store_async;
struct store_cluster;
struct sub_room;

/* o: what every connection gets; o->url holds the seeds. */
void store__cluster_create(struct store_async *s, const struct redis_conn_opts *o);
void store__cluster_close(struct store_cluster *c, void (*closed)(void *arg), void *arg);
void store__cluster_call(struct store_cluster *c, const struct store_script *script,
                         struct redis_cmd *cmd, redis_done_fn done, void *arg);
/* One that is likely to answer, the same for all workers while it lives: for what has no key. */
struct redis_conn *store__cluster_any(struct store_cluster *c);
void store__cluster_counters(const struct store_cluster *c, struct redis_conn_counters *out,
                             uint64_t *redirects);

/* Hears the room where its slot is, now or as soon as that is known; forgets it. */
void store__cluster_subscribe(struct store_cluster *c, struct sub_room *r);
void store__cluster_unsubscribe(struct store_cluster *c, struct sub_room *r);
/* All rooms, after the store came up. */
void store__cluster_resubscribe(struct store_cluster *c);
/* Pushes do not come back: every subscriber connection is made anew. */
void store__cluster_renew(struct store_cluster *c, const char *why);

#endif
