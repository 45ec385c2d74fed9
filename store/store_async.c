#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "opts_check.h"
#include "store_private.h"

void store__set_up(struct store_async *s, bool up)
{
    if (s->closing || up == s->up)
        return;
    s->up = up;
    if (s->events.state)
        s->events.state(s->events.arg, up);
    /* Only now: who hears "subscribed" loads the room at once and needs the command connection. */
    if (up && s->up)
        store__bus_resubscribe(s);
}

static void on_state(void *arg, bool up)
{
    struct store_async *s = arg;

    (void)up;
    if (s->closing || !s->cmd || !s->sub)
        return;
    store__set_up(s, redis_conn_up(s->cmd) && redis_conn_up(s->sub));
}

/* One for commands, one for subscriptions. */
static void create_pair(struct store_async *s, struct redis_conn_opts *o)
{
    char name[STORE_NAME_MAX + 8];

    o->arg = s;
    o->state = on_state;
    redis_conn_create(&s->cmd, o);
    snprintf(name, sizeof(name), "%s-sub", s->worker_name);
    o->client_name = name;
    o->subscriber = true;
    o->push = store__bus_on_push;
    o->latency = NULL;
    redis_conn_create(&s->sub, o);
    s->conns = 2;
}

enum rr_err store_async_create(struct store_async **out, void *loop, const struct store_opts *opts,
                               const struct room_bus_events *events)
{
    struct redis_url url;
    struct store_async *s = NULL;
    struct redis_conn_opts co = {
        .loop = loop,
        .clock = opts->clock ? opts->clock : rr_clock_system(),
        .url = &url,
        .client_name = opts->worker_name,
        .timeout_ms = opts->timeout_ms ? opts->timeout_ms : 2000,
        .outstanding_max = opts->outstanding_max ? opts->outstanding_max : 8192,
        .latency = opts->latency,
        .latency_arg = opts->latency_arg,
    };
    enum rr_err err = store__opts_check(opts, &url);

    *out = NULL;
    if (err)
        return err;
    s = rr_xcalloc(1, sizeof(*s));
    s->events = *events;
    s->clock = co.clock;
    s->ns = rr_xstrdup(opts->namespace_ ? opts->namespace_ : "");
    s->worker_name = rr_xstrdup(opts->worker_name);
    s->outbox_max = opts->outbox_max ? opts->outbox_max : 100000;
    if (opts->topology == STORE_SENTINEL)
        s->sentinel_master = rr_xstrdup(opts->sentinel_master);
    co.sentinel_master = s->sentinel_master;
    store__pool_init(s);
    store__bus_init(s);
    if (opts->topology == STORE_CLUSTER)
        store__cluster_create(s, &co);
    else
        create_pair(s, &co);
    explicit_bzero(&url, sizeof(url));
    *out = s;
    return RR_OK;
}

const struct pool_grab *store_pool(struct store_async *s)
{
    return &s->pool;
}

const struct room_bus *store_bus(struct store_async *s)
{
    return &s->bus;
}

void store_async_counters(const struct store_async *s, struct store_counters *out)
{
    struct redis_conn_counters cmd;
    struct redis_conn_counters sub;

    if (s->cluster) {
        *out = (struct store_counters){.up = s->up};
        store__cluster_counters(s->cluster, &cmd, &out->redirects);
        out->calls = cmd.calls;
        out->errors = cmd.errors;
        out->reconnects = cmd.reconnects;
        out->outstanding = cmd.outstanding;
        return;
    }
    redis_conn_counters(s->cmd, &cmd);
    redis_conn_counters(s->sub, &sub);
    *out = (struct store_counters){
        .calls = cmd.calls + sub.calls,
        .errors = cmd.errors + sub.errors,
        .reconnects = cmd.reconnects + sub.reconnects,
        .outstanding = cmd.outstanding,
        .up = s->up,
    };
}

void store_async_set_outbox_max(struct store_async *s, uint32_t entries)
{
    s->outbox_max = entries;
}

static void on_all_closed(void *arg)
{
    struct store_async *s = arg;
    void (*closed)(void *closed_arg) = s->closed;
    void *closed_arg = s->closed_arg;

    store__bus_fini(s);
    free(s->ns);
    free(s->worker_name);
    free(s->sentinel_master);
    free(s);
    closed(closed_arg);
}

static void on_conn_closed(void *arg)
{
    struct store_async *s = arg;

    if (--s->conns == 0)
        on_all_closed(s);
}

void store_async_close(struct store_async *s, void (*closed)(void *arg), void *arg)
{
    s->closing = true;
    s->up = false;
    s->closed = closed;
    s->closed_arg = arg;
    if (s->cluster) {
        store__cluster_close(s->cluster, on_all_closed, s);
        return;
    }
    redis_conn_close(s->cmd, on_conn_closed, s);
    redis_conn_close(s->sub, on_conn_closed, s);
}
