/* The port rain_notify, and the small things operators and settlers read and write. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/bus_frame.h"
#include "store_private.h"
#include "sync_private.h"

enum { USERS_MESSAGE_BYTES = 256 * 1024 }; /* one PUBLISH; more pushes go into the next */

enum rr_err store_sync_push_room(struct store_sync *s, const char *room_id, const char *biz_code,
                                 struct rr_slice payload, const char *keep_code, int final,
                                 uint64_t *epoch, uint64_t *seq)
{
    struct redis_cmd cmd = {0};
    redisReply *r = NULL;
    uint64_t at_epoch = 0;
    int64_t at_seq = 0;
    enum rr_err err = RR_OK;

    if (payload.len > RR_PAYLOAD_MAX_BYTES)
        return RR_TOO_BIG;
    store__room_push_args(&cmd, s->ns, room_id, biz_code, payload, keep_code, final != 0,
                          s->cluster != NULL);
    err = sync__call(s, &script_room_push, &cmd, &r);
    if (err)
        return err;
    if (!reply_is_array(r, 2) || !reply_epoch(r->element[0], &at_epoch) ||
        !reply_int(r->element[1], &at_seq))
        err = RR_CORRUPT;
    if (epoch)
        *epoch = at_epoch;
    if (seq)
        *seq = (uint64_t)at_seq;
    freeReplyObject(r);
    return err;
}

static enum rr_err notify_push_room(void *impl, const char *room_id, const char *biz_code,
                                    struct rr_slice payload, const char *keep_code, int final)
{
    return store_sync_push_room(impl, room_id, biz_code, payload, keep_code, final, NULL, NULL);
}

static enum rr_err publish(struct store_sync *s, const char *channel, struct rr_slice bytes)
{
    struct redis_cmd cmd = {0};

    redis_cmd_strs(&cmd, "PUBLISH", key_global(s->ns, channel).s, (char *)NULL);
    redis_cmd_arg(&cmd, bytes);
    return sync__run(s, NULL, &cmd);
}

static enum rr_err notify_push_users(void *impl, const char *biz_code,
                                     const struct rain_user_push *pushes, uint32_t n)
{
    struct rr_buf bytes = {0};
    enum rr_err err = RR_OK;

    for (uint32_t i = 0; !err && i < n; i++) {
        if (pushes[i].payload.len > RR_PAYLOAD_MAX_BYTES) {
            err = RR_TOO_BIG;
            break;
        }
        bus_user_append(&bytes, pushes[i].user_id, biz_code, pushes[i].payload);
        if (bytes.len < USERS_MESSAGE_BYTES && i + 1 < n)
            continue;
        err = publish(impl, "users", rr_slice_of(bytes.p, bytes.len));
        rr_buf_clear(&bytes);
    }
    rr_buf_fini(&bytes);
    return err;
}

static enum rr_err notify_settle_lag(void *impl, int64_t lag_ms)
{
    struct store_sync *s = impl;
    struct redis_cmd cmd = {0};

    redis_cmd_strs(&cmd, "SET", key_global(s->ns, "settler:lag").s, (char *)NULL);
    redis_cmd_int(&cmd, lag_ms < 0 ? 0 : lag_ms);
    redis_cmd_str(&cmd, "PX");
    redis_cmd_int(&cmd, SETTLE_LAG_TTL_MS);
    return sync__run(s, NULL, &cmd);
}

/* Longer than any rain: a rain's figures must not go away while it runs. */
enum { STATS_TTL_MS = 26 * 3600 * 1000 };

static enum rr_err notify_room_stats(void *impl, const char *room_id, int64_t at_us,
                                     struct rr_slice bytes)
{
    struct store_sync *s = impl;
    struct store_key key = key_room(s->ns, room_id, "stats");
    struct redis_cmd cmd = {0};

    redis_cmd_keys(&cmd, &key, 1);
    redis_cmd_int(&cmd, at_us);
    redis_cmd_arg(&cmd, bytes);
    redis_cmd_int(&cmd, STATS_TTL_MS);
    return sync__run(s, &script_room_stats, &cmd);
}

static struct store_key balance_key(const struct store_sync *s, int64_t user_id)
{
    char name[40];

    snprintf(name, sizeof(name), "balance:%" PRId64, user_id);
    return key_global(s->ns, name);
}

static enum rr_err notify_balance(void *impl, int64_t user_id, int64_t balance_fen)
{
    struct store_sync *s = impl;
    struct redis_cmd cmd = {0};

    redis_cmd_strs(&cmd, "SET", balance_key(s, user_id).s, (char *)NULL);
    redis_cmd_int(&cmd, balance_fen);
    redis_cmd_str(&cmd, "PX");
    redis_cmd_int(&cmd, STATS_TTL_MS);
    return sync__run(s, NULL, &cmd);
}

void sync__notify_init(struct store_sync *s)
{
    s->notify = (struct rain_notify){
        .impl = s,
        .push_room = notify_push_room,
        .push_users = notify_push_users,
        .settle_lag = notify_settle_lag,
        .room_stats = notify_room_stats,
        .balance = notify_balance,
    };
}

enum rr_err store_sync_control_publish(struct store_sync *s, struct rr_slice payload)
{
    return publish(s, "control", payload);
}

enum rr_err store_sync_online(struct store_sync *s, const char *room_id, int64_t *online)
{
    struct redis_cmd cmd = {0};
    redisReply *r = NULL;
    enum rr_err err = RR_OK;

    store__room_count_args(&cmd, s->ns, room_id, "", 0, 0, NULL);
    err = sync__call(s, &script_room_count, &cmd, &r);
    if (err)
        return err;
    if (!reply_int(r, online))
        err = RR_CORRUPT;
    freeReplyObject(r);
    return err;
}

enum rr_err store_sync_delivery(struct store_sync *s, const char *room_id, struct delivery *out,
                                uint64_t *lost)
{
    struct store_key keys[2] = {key_room(s->ns, room_id, "delivery"),
                                key_room(s->ns, room_id, "grabs")};
    struct redis_cmd cmd = {0};
    redisReply *r = NULL;
    int64_t n[8] = {0};
    enum rr_err err = RR_OK;

    redis_cmd_keys(&cmd, keys, 2);
    redis_cmd_int(&cmd, ROOM_COUNT_FRESH_MS);
    err = sync__call(s, &script_room_delivery, &cmd, &r);
    if (err)
        return err;
    if (!reply_is_array(r, 8))
        err = RR_CORRUPT;
    for (size_t i = 0; !err && i < 8; i++)
        err = reply_int(r->element[i], &n[i]) ? RR_OK : RR_CORRUPT;
    freeReplyObject(r);
    *out = (struct delivery){(uint64_t)n[0], (uint64_t)n[1], (uint64_t)n[2], (uint64_t)n[3],
                             (uint64_t)n[4], (uint64_t)n[6], (uint64_t)n[7]};
    *lost = (uint64_t)n[5];
    return err;
}

enum rr_err store_sync_settle_lag(struct store_sync *s, int64_t *lag_ms)
{
    struct redis_cmd cmd = {0};
    redisReply *r = NULL;
    enum rr_err err = RR_OK;

    redis_cmd_strs(&cmd, "GET", key_global(s->ns, "settler:lag").s, (char *)NULL);
    err = sync__call(s, NULL, &cmd, &r);
    if (err)
        return err;
    if (!reply_int(r, lag_ms))
        err = RR_NOT_FOUND;
    freeReplyObject(r);
    return err;
}

static struct store_key metrics_key(const struct store_sync *s, const char *name)
{
    char full[STORE_NAME_MAX + 32] = "settler:metrics:";

    strncat(full, name, STORE_NAME_MAX);
    return key_global(s->ns, full);
}

enum rr_err store_sync_kv_set(struct store_sync *s, const char *name, struct rr_slice value,
                              int64_t ttl_ms)
{
    struct redis_cmd cmd = {0};

    if (!key_name_ok(name) || ttl_ms <= 0)
        return RR_BAD_REQUEST;
    redis_cmd_strs(&cmd, "SET", metrics_key(s, name).s, (char *)NULL);
    redis_cmd_arg(&cmd, value);
    redis_cmd_str(&cmd, "PX");
    redis_cmd_int(&cmd, ttl_ms);
    return sync__run(s, NULL, &cmd);
}

/* A string, lent until the next call. */
static enum rr_err lend(struct store_sync *s, struct redis_cmd *cmd, struct rr_slice *value)
{
    enum rr_err err = RR_OK;

    *value = (struct rr_slice){0};
    if (s->kept)
        freeReplyObject(s->kept);
    s->kept = NULL;
    err = sync__call(s, NULL, cmd, &s->kept);
    if (err)
        return err;
    if (s->kept->type != REDIS_REPLY_STRING)
        return RR_NOT_FOUND;
    *value = reply_slice(s->kept);
    return RR_OK;
}

enum rr_err store_sync_kv_get(struct store_sync *s, const char *name, struct rr_slice *value)
{
    struct redis_cmd cmd = {0};

    *value = (struct rr_slice){0};
    if (!key_name_ok(name))
        return RR_BAD_REQUEST;
    redis_cmd_strs(&cmd, "GET", metrics_key(s, name).s, (char *)NULL);
    return lend(s, &cmd, value);
}

enum rr_err store_sync_kv_name(struct store_sync *s, const char *name, bool there)
{
    struct redis_cmd cmd = {0};

    if (!key_name_ok(name))
        return RR_BAD_REQUEST;
    redis_cmd_strs(&cmd, there ? "SADD" : "SREM", key_global(s->ns, "settler:names").s, name,
                   (char *)NULL);
    return sync__run(s, NULL, &cmd);
}

enum rr_err store_sync_kv_names(struct store_sync *s, store_name *out, uint32_t max, uint32_t *n)
{
    struct redis_cmd cmd = {0};
    redisReply *r = NULL;
    enum rr_err err = RR_OK;

    *n = 0;
    redis_cmd_strs(&cmd, "SMEMBERS", key_global(s->ns, "settler:names").s, (char *)NULL);
    err = sync__call(s, NULL, &cmd, &r);
    if (err)
        return err;
    for (size_t i = 0; r->type == REDIS_REPLY_ARRAY && i < r->elements && *n < max; i++) {
        if (reply_text(r->element[i], out[*n], sizeof(store_name)) && key_name_ok(out[*n]))
            ++*n;
    }
    freeReplyObject(r);
    return RR_OK;
}

enum rr_err store_sync_room_stats(struct store_sync *s, const char *room_id, struct rr_slice *bytes)
{
    struct redis_cmd cmd = {0};

    redis_cmd_strs(&cmd, "HGET", key_room(s->ns, room_id, "stats").s, "rains", (char *)NULL);
    return lend(s, &cmd, bytes);
}

enum rr_err store_sync_balance(struct store_sync *s, int64_t user_id, int64_t *balance_fen)
{
    struct redis_cmd cmd = {0};
    redisReply *r = NULL;
    enum rr_err err = RR_OK;

    redis_cmd_strs(&cmd, "GET", balance_key(s, user_id).s, (char *)NULL);
    err = sync__call(s, NULL, &cmd, &r);
    if (err)
        return err;
    if (!reply_int(r, balance_fen))
        err = RR_NOT_FOUND;
    freeReplyObject(r);
    return err;
}

static enum rr_err total(struct store_sync *s, const char *name, const char *code, int64_t *out)
{
    struct redis_cmd cmd = {0};
    redisReply *r = NULL;
    enum rr_err err = RR_OK;

    *out = 0;
    redis_cmd_strs(&cmd, "HGET", key_bucket(s->ns, name, code).s, code, (char *)NULL);
    err = sync__call(s, NULL, &cmd, &r);
    if (err)
        return err;
    if (!reply_int(r, out))
        *out = 0;
    freeReplyObject(r);
    return RR_OK;
}

enum rr_err store_sync_rain_totals(struct store_sync *s, const char *code, int64_t *count,
                                   int64_t *fen)
{
    enum rr_err err = total(s, "total_get_count", code, count);

    return err ? err : total(s, "total_get_price", code, fen);
}

enum rr_err store_sync_config_get(struct store_sync *s, const char *name, char *value, size_t cap)
{
    struct redis_cmd cmd = {0};
    redisReply *r = NULL;
    enum rr_err err = RR_OK;

    redis_cmd_strs(&cmd, "CONFIG", "GET", name, (char *)NULL);
    err = sync__call(s, NULL, &cmd, &r);
    if (err == RR_CORRUPT)
        return RR_NOT_FOUND; /* hosted Redis often forbids CONFIG */
    if (err)
        return err;
    if (!reply_is_array(r, 2))
        err = RR_NOT_FOUND;
    else if (!reply_text(r->element[1], value, cap))
        err = RR_TOO_BIG;
    freeReplyObject(r);
    return err;
}
