/* sync_private.h - the inside of struct store_sync, shared by its files. */
#ifndef STORE_SYNC_PRIVATE_H
#define STORE_SYNC_PRIVATE_H

#include <hiredis/hiredis.h>

#include "keys.h"
#include "redis_cmd.h"
#include "replies.h"
#include "store/redis_url.h"
#include "store/store_sync.h"

struct store_sync {
    struct redis_url url;
    char *ns;
    char *name;
    int64_t timeout_ms;
    redisContext *ctx; /* NULL: not connected */
    redisReply *kept;  /* what store_sync_kv_get lent */
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
/* n commands at once, already written to bytes; the answers only have to be no errors. */
RR_MUST_CHECK enum rr_err sync__pipeline(struct store_sync *s, struct rr_buf *bytes, uint32_t n);

/* A name no other attempt has, in the shard's slot. */
struct store_key sync__tmp_key(const char *ns, const struct pool_shard *at);
/* A list under a tmp key, with a TTL. */
RR_MUST_CHECK enum rr_err sync__fill_list(struct store_sync *s, const struct store_key *tmp,
                                          const int64_t *amounts_fen, uint32_t count);
void sync__recover_init(struct store_sync *s); /* its part of the pool */
void sync__pool_init(struct store_sync *s);
void sync__notify_init(struct store_sync *s);

#endif
