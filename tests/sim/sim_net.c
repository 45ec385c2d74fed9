/* sim_net.c - the simulated Redis process and the ways to it. store's own ports (async_pool.c, sync_pool.c, sync_outbox.c,
 * replies.c) run on top: this file answers redis_conn_call(), sync__call() and their siblings instead of a socket. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "sim_redis.h"
#include "store_private.h"
#include "sync_private.h"

enum { CALL_TIMEOUT_US = 2 * SIM_S, SNAPSHOT_US = 150 * SIM_MS, SNAPSHOTS = 24, NS_MAX = 8 };
#define WALL_BASE_US INT64_C(1700000000000000)

struct redis_conn {
    int server;
};

struct call {
    struct call *prev;
    struct call *next;
    int server;
    uint64_t redis_life;
    const struct store_script *script;
    struct rstr *argv;
    uint32_t argc;
    redis_done_fn done;
    void *arg;
    struct rval reply;
    bool answered;
};

static struct {
    struct rdb *db;
    bool up;
    uint64_t life;
    int64_t skew_us;
    char rid[RR_RID_LEN + 1];
    bool snapshots_on;
    struct {
        struct rdb *db;
        int64_t at_us;
    } snapshots[SNAPSHOTS];
    uint64_t snapshots_n;
} redis;

static struct redis_conn conns[SIM_SERVERS];
static struct call *calls[SIM_SERVERS];
static struct store_async asyncs[SIM_SERVERS];
static struct store_sync store;
static char ns[NS_MAX] = "sim:";

/* ---- the process ---- */

int64_t redis_now_us(void)
{
    return WALL_BASE_US + sim.now_us + redis.skew_us;
}

const char *redis_run_id(void)
{
    return redis.rid;
}

bool redis_up(void)
{
    return redis.up;
}

struct rdb *redis_db(void)
{
    return redis.db;
}

static void new_run(void)
{
    redis.life++;
    snprintf(redis.rid, sizeof(redis.rid), "%024llx%016llx", (unsigned long long)redis.life,
             (unsigned long long)sim.seed);
}

static void take_snapshot(void *arg, uint64_t n)
{
    (void)arg;
    (void)n;
    if (!redis.snapshots_on)
        return;
    if (redis.up) {
        redis.snapshots[redis.snapshots_n % SNAPSHOTS].db = rdb_copy(redis.db);
        redis.snapshots[redis.snapshots_n++ % SNAPSHOTS].at_us = sim.now_us;
    }
    sim_at(SNAPSHOT_US, take_snapshot, NULL, 0);
}

void redis_snapshots(bool on)
{
    bool was = redis.snapshots_on;

    redis.snapshots_on = on;
    if (on && !was)
        sim_at(SNAPSHOT_US, take_snapshot, NULL, 0);
}

struct rdb *redis_snapshot(int64_t min_age_us)
{
    for (uint64_t i = 0; i < SNAPSHOTS && i < redis.snapshots_n; i++) {
        uint64_t at = (redis.snapshots_n - 1 - i) % SNAPSHOTS;

        if (sim.now_us - redis.snapshots[at].at_us >= min_age_us)
            return rdb_copy(redis.snapshots[at].db);
    }
    return NULL;
}

/* ---- calls of servers ---- */

static void call_out(struct call *c)
{
    if (c->prev)
        c->prev->next = c->next;
    else
        calls[c->server] = c->next;
    if (c->next)
        c->next->prev = c->prev;
    c->prev = c->next = NULL;
}

static redisReply *to_reply(const struct rval *v)
{
    redisReply *r = rr_xcalloc(1, sizeof(*r));
    static const int types[] = {REDIS_REPLY_NIL,    REDIS_REPLY_INTEGER, REDIS_REPLY_STRING,
                                REDIS_REPLY_STATUS, REDIS_REPLY_ERROR,   REDIS_REPLY_ARRAY};

    r->type = types[v->type];
    r->integer = v->i;
    if (v->type == R_STR || v->type == R_STATUS || v->type == R_ERROR) {
        r->str = rr_xcalloc(1, v->s.len + 1);
        memcpy(r->str, v->s.p, v->s.len);
        r->len = v->s.len;
    }
    if (v->type == R_ARRAY && v->n) {
        r->elements = v->n;
        r->element = rr_xcalloc(v->n, sizeof(redisReply *));
        for (uint32_t i = 0; i < v->n; i++)
            r->element[i] = to_reply(&v->el[i]);
    }
    return r;
}

static void answer(struct call *c, enum rr_err err)
{
    if (c->answered)
        return;
    c->answered = true;
    call_out(c);
    if (!c->done)
        return;
    if (!err && c->reply.type == R_ERROR)
        err = redis_error_kind(c->reply.s.p, c->reply.s.len);
    if (err) {
        c->done(c->arg, err, NULL);
    } else {
        redisReply *r = to_reply(&c->reply);

        c->done(c->arg, RR_OK, r);
        freeReplyObject(r);
    }
}

static void conn_break(int server)
{
    while (calls[server])
        answer(calls[server], RR_PENDING);
}

void net_server_gone(int server)
{
    conn_break(server);
}

static struct rval run(const struct store_script *script, const struct rstr *argv, uint32_t argc)
{
    return script ? lua_run(redis.db, script, argv, argc) : rdb_command(redis.db, argv, argc);
}

static bool granted(const struct call *c)
{
    return c->script == &script_pool_grab && c->reply.type == R_ARRAY && c->reply.n == 10 &&
           c->reply.el[8].s.len > 0;
}

static void on_refused(void *arg, uint64_t n)
{
    (void)n;
    answer(arg, RR_UNAVAILABLE);
}

static void on_answer(void *arg, uint64_t n)
{
    struct call *c = arg;

    (void)n;
    if (c->answered)
        return;
    if (granted(c) && sim_fault(HIT_script_server_dead)) {
        server_crash(c->server, sim_between(200 * SIM_MS, 3 * SIM_S));
        return;
    }
    if (granted(c) && sim_fault(HIT_reply_lost)) {
        conn_break(c->server);
        return;
    }
    answer(c, RR_OK);
}

static void on_arrival(void *arg, uint64_t n)
{
    struct call *c = arg;

    (void)n;
    if (!redis.up || c->redis_life != redis.life)
        return; /* the connection died with the process; its end was told already */
    c->reply = run(c->script, c->argv, c->argc);
    sim_trace("server %d: %s -> %s", c->server, c->script ? c->script->name : c->argv[0].p,
              c->script == &script_pool_grab && c->reply.type == R_ARRAY ? c->reply.el[9].s.p : "");
    sim_at(sim_between(30, 400), on_answer, c, 0);
    if (granted(c))
        redis_granted();
}

static void on_timeout(void *arg, uint64_t n)
{
    struct call *c = arg;

    (void)n;
    if (!c->answered)
        conn_break(c->server);
}

/* RESP to words. */
static struct rstr *words_of(const struct rr_buf *b, size_t *at, uint32_t argc)
{
    struct rstr *argv = sim_alloc((argc ? argc : 1) * sizeof(*argv));

    for (uint32_t i = 0; i < argc; i++) {
        char *end = NULL;
        size_t len = 0;

        RR_ASSERT(b->p[*at] == '$');
        len = strtoul(b->p + *at + 1, &end, 10);
        argv[i] = rstr_copy(end + 2, len);
        *at = (size_t)(end + 2 - b->p) + len + 2;
    }
    return argv;
}

void redis_conn_call(struct redis_conn *conn, const struct store_script *script,
                     struct redis_cmd *cmd, redis_done_fn done, void *arg)
{
    struct call *c = sim_alloc(sizeof(*c));
    size_t at = 0;
    int64_t delay_us = sim_between(30, 400);

    *c = (struct call){.server = conn->server,
                       .redis_life = redis.life,
                       .script = script,
                       .argc = cmd->argc,
                       .done = done,
                       .arg = arg};
    c->argv = words_of(&cmd->args, &at, cmd->argc);
    redis_cmd_fini(cmd);
    c->next = calls[conn->server];
    if (c->next)
        c->next->prev = c;
    calls[conn->server] = c;
    if (!redis.up) {
        sim_at(0, on_refused, c, 0);
        return;
    }
    if (script == &script_pool_grab && sim_fault(HIT_call_delayed))
        delay_us = sim_between(100 * SIM_MS, 6 * SIM_S);
    sim_at(delay_us, on_arrival, c, 0);
    sim_at(CALL_TIMEOUT_US, on_timeout, c, 0);
}

static void on_up(void *arg, uint64_t n)
{
    (void)arg;
    if (n != redis.life)
        return;
    redis.up = true;
    sim_trace("Redis is up: %s", redis.rid);
}

void redis_crash(struct rdb *data, int64_t down_us)
{
    redis.up = false;
    redis.db = data ? data : rdb_create();
    new_run();
    if (sim_chance(0.3))
        redis.skew_us = sim_between(-300 * SIM_MS, 300 * SIM_MS);
    for (int i = 0; i < SIM_SERVERS; i++)
        conn_break(i);
    sim_at(down_us, on_up, NULL, redis.life);
}

/* ---- blocking calls of actors ---- */

/* RR_UNAVAILABLE: nothing is known; every operation may be repeated. */
static enum rr_err sync_run(const struct store_script *script, const struct rstr *argv,
                            uint32_t argc, struct rval *out)
{
    uint64_t life = redis.life;

    if (sim_self->dead)
        return RR_UNAVAILABLE;
    if (script == &script_pool_refill || script == &script_pool_fence)
        sim_pause_point(HIT_recoverer_paused);
    life = redis.life;
    sim_sleep(sim_between(50, 600));
    if (sim_self->dead || !redis.up || life != redis.life)
        return RR_UNAVAILABLE;
    *out = run(script, argv, argc);
    sim_sleep(sim_between(50, 600));
    if (sim_self->dead || life != redis.life || sim_fault(HIT_reply_lost))
        return RR_UNAVAILABLE;
    return out->type == R_ERROR ? RR_UNAVAILABLE : RR_OK;
}

enum rr_err sync__call(struct store_sync *s, const struct store_script *script,
                       struct redis_cmd *cmd, redisReply **reply)
{
    struct rval out;
    size_t at = 0;
    uint32_t argc = cmd->argc;
    struct rstr *argv = words_of(&cmd->args, &at, argc);
    enum rr_err err = RR_OK;

    (void)s;
    redis_cmd_fini(cmd);
    *reply = NULL;
    err = sync_run(script, argv, argc, &out);
    if (!err)
        *reply = to_reply(&out);
    return err;
}

enum rr_err sync__run(struct store_sync *s, const struct store_script *script,
                      struct redis_cmd *cmd)
{
    redisReply *r = NULL;
    enum rr_err err = sync__call(s, script, cmd, &r);

    if (r)
        freeReplyObject(r);
    return err;
}

/* The simulated Redis is one server. */
enum rr_err sync__cluster_epochs(struct store_sync *s, struct pool_epochs *out)
{
    (void)s;
    (void)out;
    return RR_UNAVAILABLE;
}

uint32_t sync__cluster_primaries(struct store_sync *s)
{
    (void)s;
    return 1;
}

enum rr_err sync__pipeline(struct store_sync *s, const struct store_key *key,
                           const struct rr_buf *bytes, uint32_t n)
{
    (void)key;

    size_t at = 0;
    enum rr_err err = RR_OK;

    (void)s;
    for (uint32_t i = 0; i < n && !err; i++) {
        char *end = NULL;
        uint32_t argc = 0;
        struct rval out;

        RR_ASSERT(bytes->p[at] == '*');
        argc = (uint32_t)strtoul(bytes->p + at + 1, &end, 10);
        at = (size_t)(end + 2 - bytes->p);
        err = sync_run(NULL, words_of(bytes, &at, argc), argc, &out);
    }
    return err;
}

/* A new name per attempt; chance is the seed's. */
ssize_t __wrap_getrandom(void *p, size_t len, unsigned flags);
ssize_t __wrap_getrandom(void *p, size_t len, unsigned flags)
{
    (void)flags;
    for (size_t i = 0; i < len; i++)
        ((unsigned char *)p)[i] = (unsigned char)sim_rand(256);
    return (ssize_t)len;
}

/* What the operator configured. */
enum rr_err store_sync_config_get(struct store_sync *s, const char *name, char *out, size_t cap)
{
    (void)s;
    if (sim_self->dead)
        return RR_UNAVAILABLE;
    sim_sleep(sim_between(50, 600));
    if (sim_self->dead || !redis.up)
        return RR_UNAVAILABLE;
    snprintf(out, cap, "%s",
             !sim.plan.quick                                  ? "no"
             : strcmp(name, "appendfsync") == 0               ? "always"
             : strcmp(name, "no-appendfsync-on-rewrite") == 0 ? "no"
                                                              : "yes");
    return RR_OK;
}

/* ---- ports ---- */

struct pool_admin *net_pool(void)
{
    return &store.pool;
}

struct store_sync *net_store(void)
{
    return &store;
}

struct pool_grab *net_grab_pool(int server)
{
    return &asyncs[server].pool;
}

void net_init(void)
{
    memset(&redis, 0, sizeof(redis));
    memset(calls, 0, sizeof(calls));
    redis.db = rdb_create();
    redis.up = true;
    new_run();
    store = (struct store_sync){.ns = ns};
    sync__pool_init(&store);
    for (int i = 0; i < SIM_SERVERS; i++) {
        conns[i].server = i;
        asyncs[i] =
            (struct store_async){.cmd = &conns[i], .ns = ns, .outbox_max = sim.plan.outbox_max};
        store__pool_init(&asyncs[i]);
    }
}
