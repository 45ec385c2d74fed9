/* What the sweeper needs: a lease per shard, old entries, deleting. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "sync_private.h"

enum rr_err store_sync_sweep_lease(struct store_sync *s, const struct pool_shard *at,
                                   const char *owner, int64_t ttl_ms)
{
    struct store_key key = key_pool(s->ns, at, "sweep");
    struct redis_cmd cmd = {0};
    redisReply *r = NULL;
    enum rr_err err = RR_OK;

    redis_cmd_keys(&cmd, &key, 1);
    redis_cmd_str(&cmd, owner);
    redis_cmd_int(&cmd, ttl_ms);
    err = sync__call(s, &script_lock, &cmd, &r);
    if (err)
        return err;
    err = r->integer == 1 ? RR_OK : RR_BUSY;
    freeReplyObject(r);
    return err;
}

/* RR_MALFORMED: skipped. Anything else is fn's. */
static enum rr_err report_entry(const redisReply *entry, const struct pool_shard *at,
                                store_outbox_fn fn, void *arg)
{
    struct grant_record *records = NULL;
    const char *id = NULL;
    uint32_t n = 0;
    enum rr_err err = reply_outbox_entry(entry, &id, &records, &n);

    if (err) {
        log_error("outbox_entry_malformed", "%s:%" PRIu32 " %s", at->code, at->shard,
                  id ? id : "?");
        return RR_MALFORMED;
    }
    err = fn(arg, id, records, n);
    free(records);
    return err;
}

enum rr_err store_sync_outbox_read(struct store_sync *s, const struct pool_shard *at,
                                   int64_t min_age_ms, uint32_t max, const char *after_id,
                                   store_outbox_fn fn, void *arg)
{
    struct store_key key = key_pool(s->ns, at, "outbox");
    struct redis_cmd cmd = {0};
    redisReply *r = NULL;
    bool skipped = false;
    enum rr_err err = RR_OK;

    redis_cmd_keys(&cmd, &key, 1);
    redis_cmd_int(&cmd, min_age_ms);
    redis_cmd_int(&cmd, max);
    redis_cmd_str(&cmd, after_id ? after_id : "");
    err = sync__call(s, &script_outbox_read, &cmd, &r);
    if (err)
        return err;
    for (size_t i = 0; !err && r->type == REDIS_REPLY_ARRAY && i < r->elements; i++) {
        err = report_entry(r->element[i], at, fn, arg);
        if (err == RR_MALFORMED) {
            skipped = true;
            err = RR_OK;
        }
    }
    freeReplyObject(r);
    return !err && skipped ? RR_CORRUPT : err;
}

enum rr_err store_sync_outbox_del(struct store_sync *s, const struct pool_shard *at,
                                  const char *const *ids, uint32_t n)
{
    struct redis_cmd cmd = {0};

    if (n == 0)
        return RR_OK;
    redis_cmd_strs(&cmd, "XDEL", key_pool(s->ns, at, "outbox").s, (char *)NULL);
    for (uint32_t i = 0; i < n; i++)
        redis_cmd_str(&cmd, ids[i]);
    return sync__run(s, NULL, &cmd);
}

enum rr_err store_sync_outbox_len(struct store_sync *s, const struct pool_shard *at,
                                  int64_t *entries)
{
    struct redis_cmd cmd = {0};
    redisReply *r = NULL;
    enum rr_err err = RR_OK;

    redis_cmd_strs(&cmd, "XLEN", key_pool(s->ns, at, "outbox").s, (char *)NULL);
    err = sync__call(s, NULL, &cmd, &r);
    if (err)
        return err;
    if (!reply_int(r, entries))
        err = RR_CORRUPT;
    freeReplyObject(r);
    return err;
}
