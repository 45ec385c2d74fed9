#include "store/store_risk.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/log.h"
#include "store_private.h"

enum { COUNTERS_MAX = 200000 }; /* of one rule and window: what a flood may take of Redis' memory */

struct risk_call {
    store_risk_fn done;
    void *arg;
    uint32_t n;
};

static void on_totals(void *arg, enum rr_err err, const redisReply *reply)
{
    struct risk_call *call = arg;
    int64_t totals[STORE_RISK_MAX] = {0};

    if (!err && call->n == 1 && reply->type == REDIS_REPLY_INTEGER) {
        totals[0] = reply->integer;
    } else if (!err) {
        for (uint32_t i = 0; i < call->n && !err; i++) {
            if (!reply_is_array(reply, call->n) || !reply_int(reply->element[i], &totals[i]))
                err = RR_PENDING;
        }
    }
    call->done(call->arg, err, err ? NULL : totals, call->n);
    free(call);
}

static struct risk_call *call_new(uint32_t n, store_risk_fn done, void *arg)
{
    struct risk_call *call = rr_xcalloc(1, sizeof(*call));

    call->n = n;
    call->done = done;
    call->arg = arg;
    return call;
}

static void put_id(struct redis_cmd *cmd, uint64_t id)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIx64, id);
    redis_cmd_str(cmd, text);
}

void store_async_risk_counts(struct store_async *s, const char *name, int64_t window,
                             int64_t ttl_ms, const struct store_risk_count *counts, uint32_t n,
                             store_risk_fn done, void *arg)
{
    struct redis_cmd cmd = {0};
    struct store_key key = key_risk(s->ns, name, window);

    RR_ASSERT(n > 0 && n <= STORE_RISK_MAX);
    redis_cmd_keys(&cmd, &key, 1);
    redis_cmd_int(&cmd, ttl_ms);
    redis_cmd_int(&cmd, COUNTERS_MAX);
    for (uint32_t i = 0; i < n; i++) {
        put_id(&cmd, counts[i].id);
        redis_cmd_int(&cmd, counts[i].delta);
    }
    store__call(s, &script_risk_counts, &cmd, on_totals, call_new(n, done, arg));
}

void store_async_risk_crowd(struct store_async *s, uint64_t address, int64_t window, int64_t ttl_ms,
                            const uint64_t *users, uint32_t n, store_risk_fn done, void *arg)
{
    struct redis_cmd cmd = {0};
    char name[40];
    struct store_key key;

    RR_ASSERT(n > 0 && n <= STORE_RISK_USERS_MAX);
    snprintf(name, sizeof(name), "address:%016" PRIx64, address);
    key = key_risk(s->ns, name, window);
    redis_cmd_keys(&cmd, &key, 1);
    redis_cmd_int(&cmd, ttl_ms);
    for (uint32_t i = 0; i < n; i++)
        put_id(&cmd, users[i]);
    store__call(s, &script_risk_crowd, &cmd, on_totals, call_new(1, done, arg));
}
