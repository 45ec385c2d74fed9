/* The port pool_grab: grabs, outbox, sums. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "rain/rain.h"
#include "store_private.h"

struct grab_call {
    pool_grab_fn done;
    void *arg;
    uint32_t n;
};

static void on_grab(void *arg, enum rr_err err, const redisReply *reply)
{
    struct grab_call *call = arg;
    struct pool_grab_result items[POOL_GRAB_MAX];
    struct pool_grab_reply out;

    if (!err && reply_grab(reply, items, call->n, &out)) {
        log_error("grab_reply_malformed", "%u grabs", call->n);
        err = RR_PENDING; /* the script ran: the same grabs again will tell */
    }
    call->done(call->arg, err, err ? NULL : &out);
    free(call);
}

struct seq_word {
    char s[16];
};

static struct seq_word replay_word(uint32_t seq)
{
    struct seq_word w;

    snprintf(w.s, sizeof(w.s), "r%" PRIu32, seq);
    return w;
}

static void pool_grab(void *impl, const struct pool_shard *at, const struct pool_grab_item *items,
                      uint32_t n, pool_grab_fn done, void *arg)
{
    struct store_async *s = impl;
    struct grab_call *call = rr_xcalloc(1, sizeof(*call));
    struct redis_cmd cmd = {0};
    struct store_key keys[4];

    RR_ASSERT(n > 0 && n <= POOL_GRAB_MAX);
    call->done = done;
    call->arg = arg;
    call->n = n;
    keys[0] = key_pool(s->ns, at, "list");
    keys[1] = key_pool(s->ns, at, "state");
    keys[2] = key_pool(s->ns, at, "users");
    keys[3] = key_pool(s->ns, at, "outbox");
    redis_cmd_keys(&cmd, keys, 4);
    redis_cmd_int(&cmd, s->outbox_max);
    redis_cmd_str(&cmd, at->code);
    redis_cmd_int(&cmd, at->shard);
    for (uint32_t i = 0; i < n; i++) {
        redis_cmd_int(&cmd, items[i].user_id);
        if (items[i].replay_only)
            redis_cmd_str(&cmd, replay_word(items[i].seq).s);
        else
            redis_cmd_int(&cmd, items[i].seq);
    }
    store__call(s, &script_pool_grab, &cmd, on_grab, call);
}

static void pool_outbox_del(void *impl, const struct pool_shard *at, const char *const *ids,
                            uint32_t n)
{
    struct store_async *s = impl;
    struct redis_cmd cmd = {0};

    if (n == 0)
        return;
    redis_cmd_strs(&cmd, "XDEL", key_pool(s->ns, at, "outbox").s, (char *)NULL);
    for (uint32_t i = 0; i < n; i++)
        redis_cmd_str(&cmd, ids[i]);
    store__call(s, NULL, &cmd, NULL, NULL);
}

struct sums_call {
    pool_sums_fn done;
    void *arg;
    uint32_t waiting;
    enum rr_err err; /* the first */
    int64_t granted;
    int64_t granted_fen;
    int64_t sold_out_at_ms;
    bool some_left;
};

static void sums_add(struct sums_call *call, const redisReply *r)
{
    int64_t v[4] = {0}; /* granted, fen, sold_out_at, n */

    if (!reply_is_array(r, 4)) {
        call->err = RR_PENDING;
        return;
    }
    for (size_t i = 0; i < 4; i++) {
        if (!reply_int(r->element[i], &v[i]) && i != 2)
            call->err = RR_NOT_FOUND;
    }
    call->granted += v[0];
    call->granted_fen += v[1];
    if (v[2] > call->sold_out_at_ms)
        call->sold_out_at_ms = v[2];
    call->some_left |= v[2] == 0 && v[3] > 0;
}

static void on_sums(void *arg, enum rr_err err, const redisReply *reply)
{
    struct sums_call *call = arg;

    if (err)
        call->err = err;
    else
        sums_add(call, reply);
    if (--call->waiting > 0)
        return;
    call->done(call->arg, call->err, call->granted, call->granted_fen,
               call->some_left ? 0 : call->sold_out_at_ms);
    free(call);
}

static void pool_sums(void *impl, const char *code, uint32_t shards, pool_sums_fn done, void *arg)
{
    struct store_async *s = impl;
    struct sums_call *call = rr_xcalloc(1, sizeof(*call));
    struct pool_shard at = {0};

    RR_ASSERT(shards > 0 && shards <= RR_SHARDS_MAX &&
              rr_slice_copy(rr_slice_str(code), at.code, sizeof(at.code)));
    call->done = done;
    call->arg = arg;
    call->waiting = shards;
    for (at.shard = 0; at.shard < shards; at.shard++) {
        struct redis_cmd cmd = {0};

        redis_cmd_strs(&cmd, "HMGET", key_pool(s->ns, &at, "state").s, "granted", "fen",
                       "sold_out_at", "n", (char *)NULL);
        store__call(s, NULL, &cmd, on_sums, call);
    }
}

struct allowed_call {
    pool_allowed_fn done;
    void *arg;
};

static void on_allowed(void *arg, enum rr_err err, const redisReply *reply)
{
    struct allowed_call *call = arg;
    int64_t *users = NULL;
    uint32_t n = 0;

    if (!err && reply->type == REDIS_REPLY_NIL)
        err = RR_NOT_FOUND;
    else if (!err && rain_users_parse(reply_slice(reply), &users, &n))
        err = RR_CORRUPT;
    call->done(call->arg, err, users, n);
    free(users);
    free(call);
}

static void pool_allowed(void *impl, const char *code, pool_allowed_fn done, void *arg)
{
    struct store_async *s = impl;
    struct allowed_call *call = rr_xcalloc(1, sizeof(*call));
    struct redis_cmd cmd = {0};

    call->done = done;
    call->arg = arg;
    redis_cmd_strs(&cmd, "GET", key_rain(s->ns, "allow", code).s, (char *)NULL);
    store__call(s, NULL, &cmd, on_allowed, call);
}

struct next_call {
    pool_next_fn done;
    void *arg;
};

static enum rr_err next_of_grant(void *arg, const struct pool_grant *g)
{
    *(uint32_t *)arg = g->seq + 1; /* ascending, maybe with gaps */
    return RR_OK;
}

static void on_next(void *arg, enum rr_err err, const redisReply *reply)
{
    struct next_call *call = arg;
    uint32_t n = 0;

    if (!err && reply->type == REDIS_REPLY_STRING &&
        reply_user_record(rr_slice_of(reply->str, (size_t)reply->len), 1, next_of_grant, &n))
        err = RR_CORRUPT;
    call->done(call->arg, err, n);
    free(call);
}

static void pool_next_seq(void *impl, const struct pool_shard *at, int64_t user_id,
                          pool_next_fn done, void *arg)
{
    struct store_async *s = impl;
    struct next_call *call = rr_xcalloc(1, sizeof(*call));
    struct redis_cmd cmd = {0};

    call->done = done;
    call->arg = arg;
    redis_cmd_strs(&cmd, "HGET", key_pool(s->ns, at, "users").s, (char *)NULL);
    redis_cmd_int(&cmd, user_id);
    store__call(s, NULL, &cmd, on_next, call);
}

void store__pool_init(struct store_async *s)
{
    s->pool = (struct pool_grab){.impl = s,
                                 .allowed = pool_allowed,
                                 .grab = pool_grab,
                                 .outbox_del = pool_outbox_del,
                                 .sums = pool_sums,
                                 .next_seq = pool_next_seq};
}
