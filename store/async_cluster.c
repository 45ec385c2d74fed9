#include "async_cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "cluster.h"
#include "store_private.h"

enum {
    NODES_MAX = 2 * CLUSTER_PRIMARIES_MAX,
    TICK_MS = 50,
    REFRESH_US = 100000,      /* at most so often */
    LOOK_US = 5000000,        /* at least so often */
    STRANGER_US = 2000000,    /* a node outside of the table is left after this */
    ROOM_UNHEARD_US = 1000000 /* joins of a room that is not heard get an answer after this */
};

struct cluster_node {
    struct store_cluster *c;
    struct redis_addr addr;
    struct redis_conn *cmd;
    struct redis_conn *sub;
    uint32_t conns; /* not closed yet */
    bool heard;     /* sub was up when last seen */
    bool plain;     /* its server has no sharded pub/sub */
    int64_t listed_us;
};

struct store_cluster {
    struct store_async *s;
    struct redis_conn_opts opts;
    struct redis_url url;
    char name[STORE_NAME_MAX + 1];
    struct cluster_map map;
    struct cluster_node *of_primary[CLUSTER_PRIMARIES_MAX]; /* beside map.primaries */
    struct cluster_node *nodes[NODES_MAX];
    uint32_t nodes_n;
    uint32_t dying;            /* nodes whose connections are closing */
    struct cluster_node *wide; /* where users and control are heard */
    uint32_t next;
    bool stale;
    bool asked; /* the table is on its way */
    bool closing;
    int64_t asked_us;
    int64_t rooms_us;
    struct redis_conn_counters gone; /* of nodes that were left */
    uint64_t redirects;
    uv_timer_t tick;
    bool ticking;
    void (*closed)(void *arg);
    void *closed_arg;
};

static int64_t now_us(const struct store_cluster *c)
{
    return rr_mono_us(c->s->clock);
}

/* ---- nodes ---- */

static void on_state(void *arg, bool up);
static bool on_redirect(void *arg, struct rr_slice error, const struct store_script *script,
                        struct redis_cmd *cmd, redis_done_fn done, void *done_arg);
static bool on_refused(void *arg, struct rr_slice error);
static void on_push(void *arg, const redisReply *reply);

static struct cluster_node *node_find(struct store_cluster *c, const struct redis_addr *a)
{
    for (uint32_t i = 0; i < c->nodes_n; i++) {
        if (cluster_addr_eq(&c->nodes[i]->addr, a))
            return c->nodes[i];
    }
    return NULL;
}

static void connect_node(struct cluster_node *n)
{
    struct store_cluster *c = n->c;
    struct redis_conn_opts o = c->opts;
    struct redis_url url = c->url;
    char name[STORE_NAME_MAX + 8];

    memcpy(url.host, n->addr.host, sizeof(url.host));
    url.port = n->addr.port;
    o.url = &url;
    o.client_name = c->name;
    o.arg = n;
    o.state = on_state;
    o.redirect = on_redirect;
    redis_conn_create(&n->cmd, &o);
    snprintf(name, sizeof(name), "%s-sub", c->name);
    o.client_name = name;
    o.subscriber = true;
    o.push = on_push;
    o.refused = on_refused;
    o.redirect = NULL;
    o.latency = NULL;
    redis_conn_create(&n->sub, &o);
    n->conns = 2;
    explicit_bzero(&url, sizeof(url));
}

static struct cluster_node *node_at(struct store_cluster *c, const struct redis_addr *a)
{
    struct cluster_node *n = node_find(c, a);

    if (n || c->nodes_n == NODES_MAX || c->closing)
        return n;
    n = rr_xcalloc(1, sizeof(*n));
    n->c = c;
    n->addr = *a;
    n->listed_us = now_us(c);
    connect_node(n);
    c->nodes[c->nodes_n++] = n;
    return n;
}

static void try_free(struct store_cluster *c)
{
    void (*closed)(void *arg) = c->closed;
    void *arg = c->closed_arg;

    if (!c->closing || c->dying > 0 || c->ticking)
        return;
    explicit_bzero(&c->url, sizeof(c->url));
    free(c);
    closed(arg);
}

static void on_conn_closed(void *arg)
{
    struct cluster_node *n = arg;
    struct store_cluster *c = n->c;

    if (--n->conns > 0)
        return;
    free(n);
    c->dying--;
    try_free(c);
}

static void count(const struct redis_conn *conn, struct redis_conn_counters *sum)
{
    struct redis_conn_counters one;

    redis_conn_counters(conn, &one);
    sum->calls += one.calls;
    sum->errors += one.errors;
    sum->reconnects += one.reconnects;
    sum->outstanding += one.outstanding;
}

/* Calls in flight there are answered; nobody points to it any more. */
static void node_leave(struct store_cluster *c, uint32_t i)
{
    struct cluster_node *n = c->nodes[i];
    struct sub_room *r = NULL;
    struct sub_room *next = NULL;

    c->nodes[i] = c->nodes[--c->nodes_n];
    HASH_ITER (hh, c->s->rooms, r, next) {
        if (r->at == n)
            r->at = NULL;
    }
    if (c->wide == n)
        c->wide = NULL;
    for (uint32_t k = 0; k < CLUSTER_PRIMARIES_MAX; k++) {
        if (c->of_primary[k] == n)
            c->of_primary[k] = NULL;
    }
    count(n->cmd, &c->gone);
    count(n->sub, &c->gone);
    c->gone.outstanding = 0;
    c->dying++;
    redis_conn_close(n->cmd, on_conn_closed, n);
    redis_conn_close(n->sub, on_conn_closed, n);
}

static struct cluster_node *owner_of(const struct store_cluster *c, uint16_t slot)
{
    uint8_t owner = c->map.owner[slot];

    return owner ? c->of_primary[owner - 1] : NULL;
}

/* ---- rooms ---- */

static void post_channel(struct store_cluster *c, struct cluster_node *n, const char *word,
                         const struct sub_room *r)
{
    struct redis_cmd cmd = {0};

    redis_cmd_strs(&cmd, word, key_room(c->s->ns, r->id, "ch").s, (char *)NULL);
    redis_conn_post(n->sub, &cmd);
}

static void unhear(struct store_cluster *c, struct sub_room *r)
{
    if (r->at && redis_conn_up(r->at->sub))
        post_channel(c, r->at, r->at->plain ? "UNSUBSCRIBE" : "SUNSUBSCRIBE", r);
    r->at = NULL;
    r->acked = false;
}

static void hear(struct store_cluster *c, struct sub_room *r)
{
    struct cluster_node *n = owner_of(c, r->slot);

    unhear(c, r);
    if (!n || !c->s->up || !redis_conn_up(n->sub))
        return;
    r->at = n;
    post_channel(c, n, n->plain ? "SUBSCRIBE" : "SSUBSCRIBE", r);
}

/* Rooms whose slot is elsewhere now, or that nobody told us of. */
static void follow_rooms(struct store_cluster *c)
{
    struct sub_room *r = NULL;
    struct sub_room *next = NULL;

    HASH_ITER (hh, c->s->rooms, r, next) {
        if (!r->at || r->at != owner_of(c, r->slot))
            hear(c, r);
    }
}

void store__cluster_subscribe(struct store_cluster *c, struct sub_room *r)
{
    r->slot = cluster_slot(rr_slice_str(key_room(c->s->ns, r->id, "ch").s));
    r->since_us = now_us(c);
    hear(c, r);
}

void store__cluster_unsubscribe(struct store_cluster *c, struct sub_room *r)
{
    unhear(c, r);
}

void store__cluster_resubscribe(struct store_cluster *c)
{
    struct sub_room *r = NULL;
    struct sub_room *next = NULL;

    HASH_ITER (hh, c->s->rooms, r, next) {
        r->since_us = now_us(c);
        r->at = NULL; /* said again where it was said before, for another ack */
        r->acked = false;
        hear(c, r);
    }
}

void store__cluster_renew(struct store_cluster *c, const char *why)
{
    for (uint32_t i = 0; i < c->nodes_n; i++)
        redis_conn_renew(c->nodes[i]->sub, why);
}

/* Ordinary messages reach every node, so one of them is enough for what is not of a room. */
static void hear_wide(struct store_cluster *c)
{
    struct redis_cmd cmd = {0};

    for (uint32_t i = 0; !c->wide && i < c->map.n; i++) {
        if (c->of_primary[i] && redis_conn_up(c->of_primary[i]->sub))
            c->wide = c->of_primary[i];
    }
    if (!c->wide)
        return;
    redis_cmd_strs(&cmd, "SUBSCRIBE", key_global(c->s->ns, "users").s,
                   key_global(c->s->ns, "control").s, key_echo(c->s->ns, c->s->worker_name).s,
                   (char *)NULL);
    redis_conn_post(c->wide->sub, &cmd);
}

static void rooms_of_lost(struct store_cluster *c, const struct cluster_node *n)
{
    struct sub_room *r = NULL;
    struct sub_room *next = NULL;

    HASH_ITER (hh, c->s->rooms, r, next) {
        if (r->at == n) {
            r->at = NULL;
            r->acked = false;
            r->since_us = now_us(c);
        }
    }
}

/* Who waits for a room whose primary is away gets an answer: its load fails. When it is heard it is loaded again. */
static void answer_unheard(struct store_cluster *c)
{
    struct sub_room *r = NULL;
    struct sub_room *next = NULL;
    int64_t now = now_us(c);

    HASH_ITER (hh, c->s->rooms, r, next) {
        if (r->acked || now - r->since_us < ROOM_UNHEARD_US)
            continue;
        r->since_us = now;
        if (c->s->events.subscribed)
            c->s->events.subscribed(c->s->events.arg, r->id);
    }
}

static struct sub_room *room_of(struct store_cluster *c, const redisReply *reply)
{
    struct rr_slice channel = reply_slice(reply->element[1]);
    char room_id[RR_ROOM_ID_MAX + 1];
    struct sub_room *r = NULL;

    if (key_channel_room(c->s->ns, channel.p, channel.len, room_id))
        HASH_FIND_STR(c->s->rooms, room_id, r);
    return r;
}

static void on_push(void *arg, const redisReply *reply)
{
    struct cluster_node *n = arg;
    struct store_cluster *c = n->c;
    struct rr_slice kind = reply_slice(reply->element[0]);
    struct sub_room *r = NULL;

    if (c->closing)
        return;
    if (rr_slice_eq_str(kind, "message") || rr_slice_eq_str(kind, "smessage")) {
        store__bus_on_message(c->s, reply);
        return;
    }
    r = room_of(c, reply);
    if (!r && n == c->wide && rr_slice_eq_str(kind, "subscribe") && c->s->events.echo &&
        rr_slice_eq_str(reply_slice(reply->element[1]), key_echo(c->s->ns, c->s->worker_name).s))
        c->s->events.echo(c->s->events.arg, 0);
    if (!r || r->at != n)
        return;
    if (rr_slice_eq_str(kind, "ssubscribe") || rr_slice_eq_str(kind, "subscribe")) {
        r->acked = true;
        if (c->s->events.subscribed)
            c->s->events.subscribed(c->s->events.arg, r->id);
    } else if (rr_slice_eq_str(kind, "sunsubscribe")) {
        /* The slot has left this primary. */
        r->at = NULL;
        r->acked = false;
        r->since_us = now_us(c);
        c->stale = true;
    }
}

/* An answer to a subscription that says no. Which one is not said: all that were not acknowledged there are made again. */
static bool on_refused(void *arg, struct rr_slice error)
{
    struct cluster_node *n = arg;
    struct store_cluster *c = n->c;
    struct redis_addr to;
    uint16_t slot = 0;
    struct sub_room *r = NULL;
    struct sub_room *next = NULL;
    bool elsewhere = cluster_hint(error, &n->addr, &slot, &to) != CLUSTER_NO_HINT;

    if (!elsewhere && n->plain)
        return false;
    if (!elsewhere) {
        log_notice("no_sharded_pubsub", "%s:%u: %.*s", n->addr.host, (unsigned)n->addr.port,
                   (int)error.len, error.p);
        n->plain = true;
    }
    c->stale = true;
    HASH_ITER (hh, c->s->rooms, r, next) {
        if (r->at != n || r->acked)
            continue;
        r->at = NULL;
        if (!elsewhere)
            hear(c, r);
    }
    return true;
}

/* ---- state ---- */

static void check_up(struct store_cluster *c)
{
    bool up = false;

    if (c->closing)
        return;
    for (uint32_t i = 0; i < c->map.n; i++)
        up |= c->of_primary[i] && redis_conn_up(c->of_primary[i]->cmd);
    if (up && !c->wide)
        hear_wide(c);
    store__set_up(c->s, up && c->wide);
}

static void on_state(void *arg, bool up)
{
    struct cluster_node *n = arg;
    struct store_cluster *c = n->c;
    bool heard = redis_conn_up(n->sub);

    if (c->closing)
        return;
    if (!up)
        c->stale = true;
    if (n->heard && !heard) {
        rooms_of_lost(c, n);
        if (c->wide == n)
            c->wide = NULL;
    }
    if (!n->heard && heard) {
        n->plain = false; /* another server may be there now */
        n->heard = true;
        follow_rooms(c);
    }
    n->heard = heard;
    check_up(c);
}

/* ---- the table ---- */

static void link_primaries(struct store_cluster *c)
{
    for (uint32_t i = 0; i < c->map.n; i++)
        c->of_primary[i] = node_at(c, &c->map.primaries[i]);
}

static void on_table(void *arg, enum rr_err err, const redisReply *reply)
{
    struct cluster_node *n = arg;
    struct store_cluster *c = n->c;
    struct cluster_map *map = NULL;

    c->asked = false;
    if (err || c->closing)
        return;
    map = rr_xcalloc(1, sizeof(*map));
    if (cluster_map_read(reply, &n->addr, map)) {
        log_error("cluster_table", "%s:%u gave no table of slots", n->addr.host,
                  (unsigned)n->addr.port);
    } else if (map->n > 0) {
        c->map = *map;
        memset(c->of_primary, 0, sizeof(c->of_primary));
        c->stale = false;
        link_primaries(c);
        check_up(c);
        follow_rooms(c);
    }
    free(map);
}

/* Anybody who is up, another one each time: a node that is cut off gives an old table. */
static void ask_table(struct store_cluster *c)
{
    struct redis_cmd cmd = {0};

    for (uint32_t i = 0; i < c->nodes_n; i++) {
        struct cluster_node *n = c->nodes[c->next++ % c->nodes_n];

        if (!redis_conn_up(n->cmd))
            continue;
        c->asked = true;
        redis_cmd_strs(&cmd, "CLUSTER", "SLOTS", (char *)NULL);
        redis_conn_call(n->cmd, NULL, &cmd, on_table, n);
        return;
    }
    /* Everybody we know is away: the configuration may know others. */
    for (uint32_t i = 0; i < c->url.seeds_n; i++)
        (void)node_at(c, &c->url.seeds[i]);
}

static bool in_table(const struct store_cluster *c, const struct cluster_node *n)
{
    for (uint32_t i = 0; i < c->map.n; i++) {
        if (c->of_primary[i] == n)
            return true;
    }
    return false;
}

/* Seeds by another name, primaries that became replicas or are gone, targets of an ASK. While the table is old nobody is left. */
static void leave_strangers(struct store_cluster *c)
{
    int64_t now = now_us(c);

    for (uint32_t i = c->nodes_n; i > 0; i--) {
        struct cluster_node *n = c->nodes[i - 1];

        if (in_table(c, n) || c->map.n == 0)
            n->listed_us = now;
        else if (now - n->listed_us > STRANGER_US && !c->asked && !c->stale)
            node_leave(c, i - 1);
    }
}

static void on_tick(uv_timer_t *t)
{
    struct store_cluster *c = t->data;
    int64_t now = now_us(c);

    if (now - c->asked_us > LOOK_US)
        c->stale = true;
    if (c->stale && !c->asked && now - c->asked_us >= REFRESH_US) {
        c->asked_us = now;
        ask_table(c);
    }
    leave_strangers(c);
    check_up(c);
    if (c->s->up && now - c->rooms_us >= ROOM_UNHEARD_US / 2) {
        c->rooms_us = now;
        answer_unheard(c);
    }
}

/* ---- calls ---- */

struct redis_conn *store__cluster_any(struct store_cluster *c)
{
    const struct cluster_node *first = owner_of(c, 0);

    if (first && redis_conn_up(first->cmd))
        return first->cmd;
    for (uint32_t i = 0; i < c->nodes_n; i++) {
        if (redis_conn_up(c->nodes[i]->cmd))
            return c->nodes[i]->cmd;
    }
    RR_ASSERT(c->nodes_n > 0);
    return c->nodes[0]->cmd; /* answers that it is away */
}

void store__cluster_call(struct store_cluster *c, const struct store_script *script,
                         struct redis_cmd *cmd, redis_done_fn done, void *arg)
{
    struct cluster_node *n = NULL;
    uint16_t slot = 0;

    if (cluster_cmd_slot(cmd, script != NULL, &slot))
        n = owner_of(c, slot);
    redis_conn_call(n ? n->cmd : store__cluster_any(c), script, cmd, done, arg);
}

static bool on_redirect(void *arg, struct rr_slice error, const struct store_script *script,
                        struct redis_cmd *cmd, redis_done_fn done, void *done_arg)
{
    struct cluster_node *n = arg;
    struct store_cluster *c = n->c;
    struct redis_addr to;
    uint16_t slot = 0;
    enum cluster_hint hint = cluster_hint(error, &n->addr, &slot, &to);

    if (hint != CLUSTER_NO_HINT)
        c->stale = true;
    if (hint == CLUSTER_NO_HINT || hint == CLUSTER_LATER || c->closing ||
        cmd->hops >= CLUSTER_HOPS_MAX)
        return false;
    n = node_at(c, &to);
    if (!n)
        return false;
    if (hint == CLUSTER_MOVED && !cluster_map_move(&c->map, slot, &to))
        link_primaries(c);
    c->redirects++;
    cmd->hops++;
    cmd->asking = hint == CLUSTER_ASK;
    redis_conn_call(n->cmd, script, cmd, done, done_arg);
    return true;
}

void store__cluster_counters(const struct store_cluster *c, struct redis_conn_counters *out,
                             uint64_t *redirects)
{
    *out = c->gone;
    *redirects = c->redirects;
    for (uint32_t i = 0; i < c->nodes_n; i++) {
        count(c->nodes[i]->cmd, out);
        count(c->nodes[i]->sub, out);
    }
}

/* ---- life ---- */

void store__cluster_create(struct store_async *s, const struct redis_conn_opts *o)
{
    struct store_cluster *c = rr_xcalloc(1, sizeof(*c));

    s->cluster = c;
    c->s = s;
    c->opts = *o;
    c->url = *o->url;
    c->opts.url = NULL;
    c->opts.client_name = NULL;
    c->stale = true;
    snprintf(c->name, sizeof(c->name), "%s", o->client_name);
    c->asked_us = now_us(c) - REFRESH_US;
    RR_ASSERT(uv_timer_init(o->loop, &c->tick) == 0);
    c->tick.data = c;
    c->ticking = true;
    for (uint32_t i = 0; i < c->url.seeds_n; i++)
        RR_ASSERT(node_at(c, &c->url.seeds[i]));
    uv_timer_start(&c->tick, on_tick, 0, TICK_MS);
}

static void on_tick_closed(uv_handle_t *h)
{
    struct store_cluster *c = h->data;

    c->ticking = false;
    try_free(c);
}

void store__cluster_close(struct store_cluster *c, void (*closed)(void *arg), void *arg)
{
    c->closing = true;
    c->closed = closed;
    c->closed_arg = arg;
    while (c->nodes_n > 0)
        node_leave(c, c->nodes_n - 1);
    uv_close((uv_handle_t *)&c->tick, on_tick_closed);
}
