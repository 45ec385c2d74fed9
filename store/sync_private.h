/* sync_private.h - the inside of struct store_sync, shared by its files. */
#ifndef STORE_SYNC_PRIVATE_H
#define STORE_SYNC_PRIVATE_H

#include <hiredis/hiredis.h>

#include "keys.h"
#include "redis_cmd.h"
#include "replies.h"
#include "store/redis_url.h"
#include "store/store_sync.h"

/* One server. */
struct sync_node {
    struct redis_addr addr;
    redisContext *ctx; /* NULL: not connected */
};

struct sync_cluster;

struct store_sync {
    struct redis_url url;
    char *ns;
    char *name;
    char *sentinel_master; /* NULL: no sentinels are asked */
    uint32_t sentinel;     /* which one is asked first */
    int64_t timeout_ms;
    struct sync_node one;         /* without a cluster */
    struct sync_cluster *cluster; /* sync_cluster.c; NULL: one server */
    redisReply *kept;             /* what store_sync_kv_get lent */
    struct pool_admin pool;
    struct rain_notify notify;
};

/* One command or script: cmd is emptied, *reply is the caller's (freeReplyObject), NULL after an
 * error. Error replies are mapped and logged here. */
RR_MUST_CHECK enum rr_err sync__call(struct store_sync *s, const struct store_script *script,
                                     struct redis_cmd *cmd, redisReply **reply);
/* The same for who does not care about the answer. */
RR_MUST_CHECK enum rr_err sync__run(struct store_sync *s, const struct store_script *script,
                                    struct redis_cmd *cmd);
/* n commands at once, already written to bytes; the answers only have to be no errors. In a cluster all of one key. */
RR_MUST_CHECK enum rr_err sync__pipeline(struct store_sync *s, const struct store_key *key,
                                         const struct rr_buf *bytes, uint32_t n);

/* ---- one server ---- */

/* *reply may be an error of Redis. asking: a slot that is on its way there is spoken of.
 * RR_UNAVAILABLE: nothing was sent; RR_RETRY: the connection broke. */
RR_MUST_CHECK enum rr_err sync__node_call(struct store_sync *s, struct sync_node *n,
                                          const struct store_script *script,
                                          const struct redis_cmd *cmd, bool asking,
                                          redisReply **reply);
/* *error: the first error reply, the caller's; NULL when there is none. errors: how many. */
RR_MUST_CHECK enum rr_err sync__node_pipeline(struct store_sync *s, struct sync_node *n,
                                              const struct rr_buf *bytes, uint32_t count,
                                              redisReply **error, uint32_t *errors);
/* RR_UNAVAILABLE */
RR_MUST_CHECK enum rr_err sync__node_connect(struct store_sync *s, struct sync_node *n);
void sync__node_disconnect(struct sync_node *n);

/* ---- a cluster ---- */

void sync__cluster_init(struct store_sync *s);
void sync__cluster_fini(struct store_sync *s);
/* As sync__node_call, at whoever serves the command's slot; follows redirections. */
RR_MUST_CHECK enum rr_err sync__cluster_call(struct store_sync *s,
                                             const struct store_script *script,
                                             const struct redis_cmd *cmd, redisReply **reply);
RR_MUST_CHECK enum rr_err sync__cluster_pipeline(struct store_sync *s, const struct store_key *key,
                                                 const struct rr_buf *bytes, uint32_t count,
                                                 redisReply **error);
/* pool_admin.epochs */
RR_MUST_CHECK enum rr_err sync__cluster_epochs(struct store_sync *s, struct pool_epochs *out);
/* Primaries that serve slots; 0: not known. */
uint32_t sync__cluster_primaries(struct store_sync *s);

/* A name no other attempt has, in the shard's slot. */
struct store_key sync__tmp_key(const char *ns, const struct pool_shard *at);
/* A list under a tmp key, with a TTL. */
RR_MUST_CHECK enum rr_err sync__fill_list(struct store_sync *s, const struct store_key *tmp,
                                          const int64_t *amounts_fen, uint32_t count);
/* Script pool_epoch: its call, its answer. */
void sync__epoch_cmd(struct redis_cmd *cmd, const struct store_key *key);
RR_MUST_CHECK enum rr_err sync__epoch_read(const redisReply *r, struct pool_epoch *out);
void sync__recover_init(struct store_sync *s); /* its part of the pool */
void sync__pool_init(struct store_sync *s);
void sync__notify_init(struct store_sync *s);

#endif
