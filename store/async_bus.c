/* The port room_bus: everything a room or a user is told, and what a worker asks. Subscriptions:
 * async_sub.c. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "store/bus_frame.h"
#include "store_private.h"

/* ---- load ---- */

struct bus_call {
    struct store_async *s;
    bus_load_fn load;
    bus_push_fn push;
    bus_user_log_fn user_log;
    bus_count_fn count;
    bus_time_fn time;
    store_lag_fn lag;
    void *arg;
    int64_t sent_us;
};

static struct bus_call *call_new(struct store_async *s, void *arg)
{
    struct bus_call *call = rr_xcalloc(1, sizeof(*call));

    call->s = s;
    call->arg = arg;
    return call;
}

static enum rr_err read_log(const redisReply *r, struct room_snapshot *snap, struct room_msg *log)
{
    for (size_t i = 0; i + 2 < r->elements; i += 3) {
        struct room_msg *m = &log[snap->log_n];
        int64_t seq = 0;

        if (!reply_int(r->element[i], &seq))
            return RR_MALFORMED;
        *m = (struct room_msg){.epoch = snap->epoch,
                               .seq = (uint64_t)seq,
                               .biz_code = reply_slice(r->element[i + 1]),
                               .payload = reply_slice(r->element[i + 2])};
        snap->log_n++;
    }
    return RR_OK;
}

static enum rr_err read_kept(const redisReply *r, struct room_snapshot *snap,
                             struct room_kept *kept)
{
    for (size_t i = 0; i + 1 < r->elements; i += 2) {
        struct room_kept *k = &kept[snap->kept_n];

        k->code = reply_slice(r->element[i]);
        if (bus_parse_kept(reply_slice(r->element[i + 1]), &k->biz_code, &k->payload))
            return RR_MALFORMED;
        snap->kept_n++;
    }
    return RR_OK;
}

static void read_sanctions(const redisReply *r, struct room_snapshot *snap,
                           struct room_sanction *sanctions)
{
    for (size_t i = 0; i + 1 < r->elements; i += 2) {
        struct room_sanction *x = &sanctions[snap->sanctions_n];

        x->what = reply_slice(r->element[i]);
        if (reply_int(r->element[i + 1], &x->until_ms))
            snap->sanctions_n++;
    }
}

static void on_load(void *arg, enum rr_err err, const redisReply *r)
{
    struct bus_call *call = arg;
    struct room_snapshot snap = {0};
    struct room_msg *log = NULL;
    struct room_kept *kept = NULL;
    struct room_sanction *sanctions = NULL;
    int64_t seq = 0;
    int64_t complete = 0;

    if (!err &&
        (!reply_is_array(r, 6) || !reply_epoch(r->element[0], &snap.epoch) ||
         !reply_int(r->element[1], &seq) || !reply_int(r->element[2], &complete) ||
         r->element[3]->type != REDIS_REPLY_ARRAY || r->element[4]->type != REDIS_REPLY_ARRAY ||
         r->element[5]->type != REDIS_REPLY_ARRAY))
        err = RR_PENDING;
    if (!err) {
        snap.seq = (uint64_t)seq;
        snap.complete = complete == 1;
        log = rr_xcalloc(r->element[3]->elements / 3 + 1, sizeof(*log));
        kept = rr_xcalloc(r->element[4]->elements / 2 + 1, sizeof(*kept));
        snap.log = log;
        snap.kept = kept;
        sanctions = rr_xcalloc(r->element[5]->elements / 2 + 1, sizeof(*sanctions));
        snap.sanctions = sanctions;
        read_sanctions(r->element[5], &snap, sanctions);
        if (read_log(r->element[3], &snap, log) || read_kept(r->element[4], &snap, kept))
            err = RR_PENDING;
    }
    call->load(call->arg, err, err ? NULL : &snap);
    free(log);
    free(kept);
    free(sanctions);
    free(call);
}

static void bus_load(void *impl, const char *room_id, uint64_t epoch, uint64_t seq,
                     bus_load_fn done, void *arg)
{
    struct store_async *s = impl;
    struct bus_call *call = call_new(s, arg);
    struct redis_cmd cmd = {0};
    struct store_key keys[4];
    char hex[17];

    call->load = done;
    keys[0] = key_room(s->ns, room_id, "meta");
    keys[1] = key_room(s->ns, room_id, "log");
    keys[2] = key_room(s->ns, room_id, "live");
    keys[3] = key_room(s->ns, room_id, "sanctions");
    snprintf(hex, sizeof(hex), "%016" PRIx64, epoch);
    redis_cmd_keys(&cmd, keys, 4);
    redis_cmd_str(&cmd, hex);
    redis_cmd_int(&cmd, (int64_t)seq);
    redis_cmd_int(&cmd, (int64_t)seq + 1);
    redis_cmd_int(&cmd, BUS_TAIL_MAX);
    store__call(s, &script_room_load, &cmd, on_load, call);
}

/* ---- pushes ---- */

void store__room_push_args(struct redis_cmd *cmd, const char *ns, const char *room_id,
                           const char *biz_code, struct rr_slice payload, const char *keep_code,
                           bool final, bool sharded)
{
    struct store_key keys[4];
    uint64_t epoch = 0;
    char hex[17];

    keys[0] = key_room(ns, room_id, "meta");
    keys[1] = key_room(ns, room_id, "log");
    keys[2] = key_room(ns, room_id, "live");
    keys[3] = key_room(ns, room_id, "done");
    do
        RR_ASSERT(getrandom(&epoch, sizeof(epoch), 0) == sizeof(epoch));
    while (epoch == 0); /* 0 says: never pushed to */
    snprintf(hex, sizeof(hex), "%016" PRIx64, epoch);
    redis_cmd_keys(cmd, keys, 4);
    redis_cmd_strs(cmd, key_room(ns, room_id, "ch").s, hex, biz_code, (char *)NULL);
    redis_cmd_arg(cmd, payload);
    redis_cmd_strs(cmd, keep_code ? keep_code : "", final ? "1" : "0", (char *)NULL);
    redis_cmd_int(cmd, ROOM_LOG_CAP);
    redis_cmd_int(cmd, ROOM_DONE_KEEP);
    redis_cmd_int(cmd, ROOM_TTL_S);
    redis_cmd_int(cmd, sharded);
}

static void on_pushed(void *arg, enum rr_err err, const redisReply *r)
{
    struct bus_call *call = arg;
    uint64_t epoch = 0;
    int64_t seq = 0;

    if (!err && (!reply_is_array(r, 2) || !reply_epoch(r->element[0], &epoch) ||
                 !reply_int(r->element[1], &seq)))
        err = RR_PENDING;
    if (call->push)
        call->push(call->arg, err, epoch, (uint64_t)seq);
    free(call);
}

static void bus_push_room(void *impl, const char *room_id, const char *biz_code,
                          struct rr_slice payload, const char *keep_code, bool final,
                          bus_push_fn done, void *arg)
{
    struct store_async *s = impl;
    struct bus_call *call = call_new(s, arg);
    struct redis_cmd cmd = {0};

    call->push = done;
    store__room_push_args(&cmd, s->ns, room_id, biz_code, payload, keep_code, final,
                          s->cluster != NULL);
    store__call(s, &script_room_push, &cmd, on_pushed, call);
}

static void bus_publish(void *impl, const char *room_id, const char *biz_code,
                        struct rr_slice payload)
{
    struct store_async *s = impl;
    struct redis_cmd cmd = {0};
    struct rr_buf message = {0};

    rr_buf_printf(&message, "0000000000000000|0|%s|", biz_code);
    rr_buf_append(&message, payload.p, payload.len);
    if (s->cluster) {
        struct store_key channel = key_room(s->ns, room_id, "ch");

        redis_cmd_keys(&cmd, &channel, 1);
    } else {
        redis_cmd_strs(&cmd, "PUBLISH", key_room(s->ns, room_id, "ch").s, (char *)NULL);
    }
    redis_cmd_arg(&cmd, rr_slice_of(message.p, message.len));
    rr_buf_fini(&message);
    store__call(s, s->cluster ? &script_room_say : NULL, &cmd, NULL, NULL);
}

static void bus_push_user(void *impl, int64_t user_id, const char *biz_code,
                          struct rr_slice payload, bool logged)
{
    struct store_async *s = impl;
    struct redis_cmd cmd = {0};
    struct rr_buf message = {0};
    struct rr_buf item = {0};
    struct store_key channel = key_global(s->ns, "users");
    struct store_key key = key_user_log(s->ns, user_id);

    bus_user_append(&message, user_id, biz_code, payload);
    if (logged) {
        rr_buf_printf(&item, "%s|", biz_code);
        rr_buf_append(&item, payload.p, payload.len);
        redis_cmd_keys(&cmd, &key, 1);
        redis_cmd_str(&cmd, channel.s);
        redis_cmd_arg(&cmd, rr_slice_of(message.p, message.len));
        redis_cmd_arg(&cmd, rr_slice_of(item.p, item.len));
        redis_cmd_int(&cmd, USER_LOG_CAP);
        redis_cmd_int(&cmd, USER_LOG_TTL_S);
    } else {
        redis_cmd_strs(&cmd, "PUBLISH", channel.s, (char *)NULL);
        redis_cmd_arg(&cmd, rr_slice_of(message.p, message.len));
    }
    store__call(s, logged ? &script_user_push : NULL, &cmd, NULL, NULL);
    rr_buf_fini(&message);
    rr_buf_fini(&item);
}

static void on_user_log(void *arg, enum rr_err err, const redisReply *r)
{
    struct bus_call *call = arg;
    struct room_kept *items = NULL;
    uint32_t n = 0;

    if (!err && r->type != REDIS_REPLY_ARRAY)
        err = RR_PENDING;
    if (!err)
        items = rr_xcalloc(r->elements + 1, sizeof(*items));
    for (size_t i = 0; !err && i < r->elements; i++) {
        /* A malformed item is skipped: the others still want to arrive. */
        if (!bus_parse_kept(reply_slice(r->element[i]), &items[n].biz_code, &items[n].payload))
            n++;
    }
    call->user_log(call->arg, err, items, n);
    free(items);
    free(call);
}

static void bus_user_log(void *impl, int64_t user_id, bus_user_log_fn done, void *arg)
{
    struct store_async *s = impl;
    struct bus_call *call = call_new(s, arg);
    struct redis_cmd cmd = {0};
    struct store_key key = key_user_log(s->ns, user_id);

    call->user_log = done;
    redis_cmd_keys(&cmd, &key, 1);
    store__call(s, &script_user_log, &cmd, on_user_log, call);
}

static void bus_control(void *impl, struct rr_slice payload)
{
    struct store_async *s = impl;
    struct redis_cmd cmd = {0};

    redis_cmd_strs(&cmd, "PUBLISH", key_global(s->ns, "control").s, (char *)NULL);
    redis_cmd_arg(&cmd, payload);
    store__call(s, NULL, &cmd, NULL, NULL);
}

static void bus_sanction(void *impl, const char *room_id, const char *what, int64_t secs)
{
    struct store_async *s = impl;
    struct redis_cmd cmd = {0};
    struct store_key key = key_room(s->ns, room_id, "sanctions");

    redis_cmd_keys(&cmd, &key, 1);
    redis_cmd_str(&cmd, what);
    redis_cmd_int(&cmd, secs);
    redis_cmd_int(&cmd, SANCTIONS_PRUNE);
    store__call(s, &script_room_sanction, &cmd, NULL, NULL);
}

/* ---- presence, time, lag ---- */

void store__room_count_args(struct redis_cmd *cmd, const char *ns, const char *room_id,
                            const char *worker, uint32_t members, uint64_t life,
                            const struct delivery *d)
{
    struct store_key keys[3];

    keys[0] = key_room(ns, room_id, "count");
    keys[1] = key_room(ns, room_id, "delivery");
    keys[2] = key_room(ns, room_id, "grabs");
    redis_cmd_keys(cmd, keys, d ? 3 : 2);
    redis_cmd_str(cmd, worker);
    redis_cmd_int(cmd, members);
    redis_cmd_int(cmd, ROOM_COUNT_FRESH_MS);
    redis_cmd_int(cmd, ROOM_COUNT_FORGET_MS);
    if (!d)
        return;
    redis_cmd_int(cmd, (int64_t)life);
    redis_cmd_int(cmd, (int64_t)d->expected);
    redis_cmd_int(cmd, (int64_t)d->sent);
    redis_cmd_int(cmd, (int64_t)d->dropped);
    redis_cmd_int(cmd, (int64_t)d->closed);
    redis_cmd_int(cmd, (int64_t)d->queued);
    redis_cmd_int(cmd, (int64_t)d->grabs);
    redis_cmd_int(cmd, (int64_t)d->grabs_failed);
}

static void on_count(void *arg, enum rr_err err, const redisReply *r)
{
    struct bus_call *call = arg;
    int64_t online = 0;

    if (!err && !reply_int(r, &online))
        err = RR_PENDING;
    if (call->count)
        call->count(call->arg, err, online);
    free(call);
}

static void bus_count(void *impl, const char *room_id, uint32_t members, uint64_t life,
                      const struct delivery *delivery, bus_count_fn done, void *arg)
{
    struct store_async *s = impl;
    struct bus_call *call = call_new(s, arg);
    struct redis_cmd cmd = {0};

    call->count = done;
    store__room_count_args(&cmd, s->ns, room_id, s->worker_name, members, life, delivery);
    store__call(s, &script_room_count, &cmd, on_count, call);
}

static void on_time(void *arg, enum rr_err err, const redisReply *r)
{
    struct bus_call *call = arg;
    int64_t s = 0;
    int64_t us = 0;

    if (!err &&
        (!reply_is_array(r, 2) || !reply_int(r->element[0], &s) || !reply_int(r->element[1], &us)))
        err = RR_PENDING;
    call->time(call->arg, err, call->sent_us, rr_mono_us(call->s->clock), s * 1000000 + us);
    free(call);
}

static void bus_time(void *impl, bus_time_fn done, void *arg)
{
    struct store_async *s = impl;
    struct bus_call *call = call_new(s, arg);
    struct redis_conn *conn = NULL;
    struct redis_cmd cmd = {0};

    call->time = done;
    redis_cmd_str(&cmd, "TIME");
    call->sent_us = rr_mono_us(s->clock);
    /* The same server for all workers: the primaries of a cluster have clocks of their own. */
    conn = s->cluster ? store__cluster_any(s->cluster) : s->cmd;
    redis_conn_call(conn, NULL, &cmd, on_time, call);
    redis_conn_flush(conn);
}

static void on_lag(void *arg, enum rr_err err, const redisReply *r)
{
    struct bus_call *call = arg;
    int64_t lag_ms = 0;

    if (!err && !reply_int(r, &lag_ms))
        err = RR_NOT_FOUND;
    call->lag(call->arg, err, lag_ms);
    free(call);
}

void store_async_settle_lag(struct store_async *s, store_lag_fn done, void *arg)
{
    struct bus_call *call = call_new(s, arg);
    struct redis_cmd cmd = {0};

    call->lag = done;
    redis_cmd_strs(&cmd, "GET", key_global(s->ns, "settler:lag").s, (char *)NULL);
    store__call(s, NULL, &cmd, on_lag, call);
}

static void bus_echo(void *impl, uint64_t number)
{
    struct store_async *s = impl;
    struct redis_cmd cmd = {0};

    redis_cmd_strs(&cmd, "PUBLISH", key_echo(s->ns, s->worker_name).s, (char *)NULL);
    redis_cmd_int(&cmd, (int64_t)number);
    store__call(s, NULL, &cmd, NULL, NULL);
}

static void bus_resubscribe(void *impl)
{
    struct store_async *s = impl;

    if (s->cluster)
        store__cluster_renew(s->cluster, "pushes do not come back");
    else
        redis_conn_renew(s->sub, "pushes do not come back");
}

void store__bus_init(struct store_async *s)
{
    s->bus = (struct room_bus){
        .impl = s,
        .subscribe = store__bus_subscribe,
        .unsubscribe = store__bus_unsubscribe,
        .load = bus_load,
        .push_room = bus_push_room,
        .publish = bus_publish,
        .push_user = bus_push_user,
        .user_log = bus_user_log,
        .control = bus_control,
        .sanction = bus_sanction,
        .count = bus_count,
        .time = bus_time,
        .echo = bus_echo,
        .resubscribe = bus_resubscribe,
    };
}
