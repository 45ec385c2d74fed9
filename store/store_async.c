#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "store_private.h"

static void on_state(void *arg, bool up)
{
    struct store_async *s = arg;
    bool both = false;

    (void)up;
    if (s->closing || !s->cmd || !s->sub)
        return;
    both = redis_conn_up(s->cmd) && redis_conn_up(s->sub);
    if (both == s->up)
        return;
    s->up = both;
    if (s->events.state)
        s->events.state(s->events.arg, both);
    /* Only now: who hears "subscribed" loads the room at once and needs the command connection. */
    if (both && s->up)
        store__bus_resubscribe(s);
}

static enum rr_err check_opts(const struct store_opts *opts, struct redis_url *url)
{
    if (!opts->worker_name || !key_name_ok(opts->worker_name) ||
        (opts->namespace_ && !key_namespace_ok(opts->namespace_)))
        return RR_CONFIG;
    return redis_url_parse(opts->url, url);
}

enum rr_err store_async_create(struct store_async **out, void *loop, const struct store_opts *opts,
                               const struct room_bus_events *events)
{
    struct redis_url url;
    struct store_async *s = NULL;
    char name[STORE_NAME_MAX + 8];
    struct redis_conn_opts co = {
        .loop = loop,
        .clock = opts->clock ? opts->clock : rr_clock_system(),
        .url = &url,
        .client_name = opts->worker_name,
        .timeout_ms = opts->timeout_ms ? opts->timeout_ms : 2000,
        .outstanding_max = opts->outstanding_max ? opts->outstanding_max : 8192,
        .state = on_state,
        .latency = opts->latency,
        .latency_arg = opts->latency_arg,
    };
    enum rr_err err = check_opts(opts, &url);

    *out = NULL;
    if (err)
        return err;
    s = rr_xcalloc(1, sizeof(*s));
    s->events = *events;
    s->clock = co.clock;
    s->ns = rr_xstrdup(opts->namespace_ ? opts->namespace_ : "");
    s->worker_name = rr_xstrdup(opts->worker_name);
    s->outbox_max = opts->outbox_max ? opts->outbox_max : 100000;
    store__pool_init(s);
    store__bus_init(s);
    co.arg = s;
    redis_conn_create(&s->cmd, &co);
    snprintf(name, sizeof(name), "%s-sub", opts->worker_name);
    co.client_name = name;
    co.subscriber = true;
    co.push = store__bus_on_push;
    co.latency = NULL;
    redis_conn_create(&s->sub, &co);
    s->conns = 2;
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

static void on_conn_closed(void *arg)
{
    struct store_async *s = arg;
    void (*closed)(void *closed_arg) = s->closed;
    void *closed_arg = s->closed_arg;

    if (--s->conns > 0)
        return;
    store__bus_fini(s);
    free(s->ns);
    free(s->worker_name);
    free(s);
    closed(closed_arg);
}

void store_async_close(struct store_async *s, void (*closed)(void *arg), void *arg)
{
    s->closing = true;
    s->up = false;
    s->closed = closed;
    s->closed_arg = arg;
    redis_conn_close(s->cmd, on_conn_closed, s);
    redis_conn_close(s->sub, on_conn_closed, s);
}
