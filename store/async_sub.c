/* Subscriptions: what is wanted is remembered in s->rooms, and made true again whenever both
 * connections come up. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "store/bus_frame.h"
#include "store_private.h"

enum { SUBSCRIBE_CHUNK = 128 };

void store__bus_subscribe(void *impl, const char *room_id)
{
    struct store_async *s = impl;
    struct sub_room *r = NULL;
    struct redis_cmd cmd = {0};

    HASH_FIND_STR(s->rooms, room_id, r);
    if (!r) {
        r = rr_xcalloc(1, sizeof(*r));
        RR_ASSERT(rr_slice_copy(rr_slice_str(room_id), r->id, sizeof(r->id)));
        HASH_ADD_STR(s->rooms, id, r);
    }
    if (s->cluster) {
        store__cluster_subscribe(s->cluster, r);
        return;
    }
    if (!s->up)
        return; /* with all others when both connections are up */
    redis_cmd_strs(&cmd, "SUBSCRIBE", key_room(s->ns, room_id, "ch").s, (char *)NULL);
    redis_conn_post(s->sub, &cmd);
}

void store__bus_unsubscribe(void *impl, const char *room_id)
{
    struct store_async *s = impl;
    struct sub_room *r = NULL;
    struct redis_cmd cmd = {0};

    HASH_FIND_STR(s->rooms, room_id, r);
    if (!r)
        return;
    HASH_DEL(s->rooms, r);
    if (s->cluster) {
        store__cluster_unsubscribe(s->cluster, r);
    } else {
        redis_cmd_strs(&cmd, "UNSUBSCRIBE", key_room(s->ns, room_id, "ch").s, (char *)NULL);
        redis_conn_post(s->sub, &cmd);
    }
    free(r);
}

void store__bus_resubscribe(struct store_async *s)
{
    struct redis_cmd cmd = {0};
    struct sub_room *r = NULL;
    struct sub_room *next = NULL;

    if (s->cluster) {
        store__cluster_resubscribe(s->cluster);
        return;
    }
    redis_cmd_strs(&cmd, "SUBSCRIBE", key_global(s->ns, "users").s, key_global(s->ns, "control").s,
                   key_echo(s->ns, s->worker_name).s, (char *)NULL);
    HASH_ITER (hh, s->rooms, r, next) {
        redis_cmd_str(&cmd, key_room(s->ns, r->id, "ch").s);
        if (cmd.argc < SUBSCRIBE_CHUNK)
            continue;
        redis_conn_post(s->sub, &cmd);
        redis_cmd_str(&cmd, "SUBSCRIBE");
    }
    if (cmd.argc > 1)
        redis_conn_post(s->sub, &cmd);
    redis_cmd_fini(&cmd);
}

void store__bus_fini(struct store_async *s)
{
    struct sub_room *r = NULL;
    struct sub_room *next = NULL;

    HASH_ITER (hh, s->rooms, r, next) {
        HASH_DEL(s->rooms, r);
        free(r);
    }
}

static void on_user_push(void *arg, int64_t user_id, struct rr_slice biz_code,
                         struct rr_slice payload)
{
    struct store_async *s = arg;

    if (s->events.user_msg && !s->closing)
        s->events.user_msg(s->events.arg, user_id, biz_code, payload);
}

static void on_echo(struct store_async *s, struct rr_slice bytes)
{
    char text[24];

    if (s->events.echo && rr_slice_copy(bytes, text, sizeof(text)))
        s->events.echo(s->events.arg, strtoull(text, NULL, 10));
}

static void on_message(struct store_async *s, struct rr_slice channel, struct rr_slice bytes)
{
    char room_id[RR_ROOM_ID_MAX + 1];
    struct sub_room *r = NULL;
    struct room_msg m;
    enum rr_err err = RR_OK;

    if (rr_slice_eq_str(channel, key_global(s->ns, "users").s)) {
        err = bus_parse_users(bytes, on_user_push, s);
    } else if (rr_slice_eq_str(channel, key_global(s->ns, "control").s)) {
        if (s->events.control)
            s->events.control(s->events.arg, bytes);
    } else if (rr_slice_eq_str(channel, key_echo(s->ns, s->worker_name).s)) {
        on_echo(s, bytes);
    } else if (key_channel_room(s->ns, channel.p, channel.len, room_id)) {
        HASH_FIND_STR(s->rooms, room_id, r);
        err = bus_parse(bytes, &m);
        if (r && !err && s->events.room_msg)
            s->events.room_msg(s->events.arg, room_id, &m);
    }
    if (err)
        log_warn("bus_message_malformed", "%.*s, %zu bytes", (int)channel.len, channel.p,
                 bytes.len);
}

void store__bus_on_message(struct store_async *s, const redisReply *reply)
{
    struct rr_slice channel = reply_slice(reply->element[1]);

    if (!s->closing && channel.len > 0)
        on_message(s, channel, reply_slice(reply->element[2]));
}

void store__bus_on_push(void *arg, const redisReply *reply)
{
    struct store_async *s = arg;
    struct rr_slice kind = reply_slice(reply->element[0]);
    struct rr_slice channel = reply_slice(reply->element[1]);
    char room_id[RR_ROOM_ID_MAX + 1];
    struct sub_room *r = NULL;

    if (s->closing || channel.len == 0)
        return;
    if (rr_slice_eq_str(kind, "message")) {
        on_message(s, channel, reply_slice(reply->element[2]));
    } else if (rr_slice_eq_str(kind, "subscribe") && s->up &&
               key_channel_room(s->ns, channel.p, channel.len, room_id)) {
        HASH_FIND_STR(s->rooms, room_id, r);
        if (r && s->events.subscribed)
            s->events.subscribed(s->events.arg, room_id);
    } else if (rr_slice_eq_str(kind, "subscribe") && s->up && s->events.echo &&
               rr_slice_eq_str(channel, key_echo(s->ns, s->worker_name).s)) {
        s->events.echo(s->events.arg, 0);
    }
}
