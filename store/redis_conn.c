#include "redis_conn.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "base/log.h"
#include "redis_link.h"
#include "sentinel.h"

enum {
    BACKOFF_MIN_MS = 50,
    BACKOFF_MAX_MS = 2000,
    TICK_MS = 25,
    QUEUED_MAX_BYTES = 16 << 20,
};

struct call {
    struct call *next;
    redis_done_fn done;
    void *arg;
    const struct store_script *script;
    struct redis_cmd cmd; /* of a script, for EVAL after NOSCRIPT; in a cluster of every call */
    uint64_t offset;      /* of its first byte in the link's stream */
    int64_t sent_us;
    int64_t deadline_us;
    enum rr_err err; /* of a deferred one */
    bool evaled;
    bool internal; /* handshake, ping: not counted */
};

struct call_list {
    struct call *head;
    struct call **tail;
};

enum conn_state { CONN_WAITING, CONN_CONNECTING, CONN_LOGIN, CONN_UP };

struct redis_conn {
    struct redis_conn_opts opts;
    struct redis_url url;
    char *client_name;
    enum conn_state state;
    struct redis_link *link;
    uint32_t links;    /* not gone yet */
    uint32_t attempt;  /* connects since create */
    uint32_t failures; /* since it was last up */
    uint32_t login_left;
    int64_t deadline_us;        /* of connect and login */
    int64_t retry_us;           /* WAITING: when to connect */
    int64_t heard_us;           /* last reply */
    const struct call *overdue; /* seen late in the last tick */
    struct call_list inflight;
    struct call_list deferred; /* answers that must not be given inside redis_conn_call */
    struct call_list held;     /* not sent yet: it connects for the first time */
    uint32_t held_n;
    bool asking;       /* this link goes to a sentinel */
    uint32_t sentinel; /* which one is asked next */
    struct rr_buf out;
    uint64_t out_offset; /* stream offset of out's first byte; before it everything was handed to
                            the link */
    bool was_up;
    bool broken; /* writing failed: dropped at the end of the turn */
    struct redis_conn_counters counters;
    uv_timer_t tick;
    uv_idle_t idle;
    uint32_t handles;
    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;
    struct rr_ratelog log;
};

static void list_init(struct call_list *l)
{
    l->head = NULL;
    l->tail = &l->head;
}

static void list_push(struct call_list *l, struct call *k)
{
    k->next = NULL;
    *l->tail = k;
    l->tail = &k->next;
}

static struct call *list_pop(struct call_list *l)
{
    struct call *k = l->head;

    if (!k)
        return NULL;
    l->head = k->next;
    if (!l->head)
        l->tail = &l->head;
    return k;
}

static int64_t now_us(const struct redis_conn *c)
{
    return rr_mono_us(c->opts.clock);
}

static void on_idle(uv_idle_t *h);

static void wake(struct redis_conn *c)
{
    if (!c->closing)
        uv_idle_start(&c->idle, on_idle);
}

static void finish(struct redis_conn *c, struct call *k, enum rr_err err, const redisReply *reply)
{
    if (err)
        c->counters.errors++;
    redis_cmd_fini(&k->cmd);
    if (k->done)
        k->done(k->arg, err, reply);
    free(k);
}

static void run_list(struct redis_conn *c, struct call_list *l)
{
    struct call *k = NULL;

    while ((k = list_pop(l)) != NULL)
        finish(c, k, k->err, NULL);
}

static void set_up(struct redis_conn *c, bool up)
{
    if (c->counters.up == up)
        return;
    c->counters.up = up;
    if (!c->closing && c->opts.state)
        c->opts.state(c->opts.arg, up);
}

/* Half of the backoff is random: a thousand workers must not come back in the same millisecond. */
static int64_t backoff_us(uint32_t failures)
{
    int64_t ms = BACKOFF_MIN_MS;
    uint32_t r = 0;

    while (failures-- > 0 && ms < BACKOFF_MAX_MS)
        ms *= 2;
    if (ms > BACKOFF_MAX_MS)
        ms = BACKOFF_MAX_MS;
    if (getrandom(&r, sizeof(r), GRND_NONBLOCK) != sizeof(r))
        r = (uint32_t)ms * 2654435761U;
    return ms * 500 + (int64_t)(r % (uint32_t)(ms * 500));
}

static void refuse_held(struct redis_conn *c)
{
    struct call *k = NULL;

    while ((k = list_pop(&c->held)) != NULL) {
        k->err = RR_UNAVAILABLE;
        list_push(&c->deferred, k);
    }
    c->held_n = 0;
    wake(c);
}

/* Whatever state it is in: the link goes, every call in flight is answered, the next connect is
 * planned. */
static void drop(struct redis_conn *c, const char *why)
{
    struct call_list lost = c->inflight;
    uint64_t suppressed = 0;

    if (c->state == CONN_WAITING)
        return;
    if (!c->inflight.head)
        list_init(&lost);
    if (rr_ratelog_pass(&c->log, now_us(c), 5000000, &suppressed))
        log_warn("redis_down", "%s: %s (%llu more)", c->client_name, why,
                 (unsigned long long)suppressed);
    redis_link_drop(&c->link);
    list_init(&c->inflight);
    c->counters.outstanding = 0;
    c->state = CONN_WAITING;
    c->retry_us = now_us(c) + backoff_us(c->failures++);
    c->overdue = NULL;
    c->broken = false;
    refuse_held(c);
    for (struct call *k = lost.head; k; k = k->next)
        k->err = k->offset >= c->out_offset ? RR_UNAVAILABLE : RR_PENDING;
    rr_buf_clear(&c->out);
    set_up(c, false);
    run_list(c, &lost);
}

/* ---- sending ---- */

static struct call *call_new(redis_done_fn done, void *arg, const struct store_script *script)
{
    struct call *k = rr_xcalloc(1, sizeof(*k));

    k->done = done;
    k->arg = arg;
    k->script = script;
    return k;
}

static void defer(struct redis_conn *c, struct call *k, enum rr_err err)
{
    k->err = err;
    list_push(&c->deferred, k);
    wake(c);
}

/* ASKING has an answer of its own, before that of k. */
static void push_asking(struct redis_conn *c, const struct call *k)
{
    struct call *a = call_new(NULL, NULL, NULL);

    a->internal = true;
    a->offset = k->offset;
    a->deadline_us = k->deadline_us;
    list_push(&c->inflight, a);
    c->counters.outstanding++;
}

/* Appends k's command to the stream; false when it does not fit any more. */
static bool enqueue(struct redis_conn *c, struct call *k, const struct redis_cmd *cmd)
{
    size_t before = c->out.len;

    k->offset = c->out_offset + before;
    if (cmd->asking)
        rr_buf_puts(&c->out, REDIS_ASKING);
    if (!c->out.failed)
        redis_cmd_write(cmd, k->script, k->evaled, &c->out);
    if (c->out.failed) {
        c->out.failed = false;
        c->out.len = before;
        return false;
    }
    k->deadline_us = now_us(c) + c->opts.timeout_ms * 1000;
    if (cmd->asking)
        push_asking(c, k);
    list_push(&c->inflight, k);
    c->counters.outstanding++;
    wake(c);
    return true;
}

/* A call that a redirection brought to a server nobody has met: it may wait for the login, which has a deadline. */
static bool holds(const struct redis_conn *c)
{
    return c->opts.redirect && !c->closing && !c->was_up && c->failures == 0 &&
           c->held_n < c->opts.outstanding_max;
}

void redis_conn_call(struct redis_conn *c, const struct store_script *script, struct redis_cmd *cmd,
                     redis_done_fn done, void *arg)
{
    struct call *k = call_new(done, arg, script);

    if (holds(c)) {
        k->cmd = *cmd;
        *cmd = (struct redis_cmd){0};
        list_push(&c->held, k);
        c->held_n++;
        return;
    }
    if (c->state != CONN_UP || c->closing || c->counters.outstanding >= c->opts.outstanding_max ||
        redis_link_queued(c->link) > QUEUED_MAX_BYTES) {
        redis_cmd_fini(cmd);
        defer(c, k, RR_UNAVAILABLE);
        return;
    }
    k->sent_us = now_us(c);
    if (!enqueue(c, k, cmd)) {
        redis_cmd_fini(cmd);
        defer(c, k, RR_UNAVAILABLE);
        return;
    }
    c->counters.calls++;
    if (script || c->opts.redirect)
        k->cmd = *cmd;
    else
        redis_cmd_fini(cmd);
    *cmd = (struct redis_cmd){0};
}

static void send_held(struct redis_conn *c)
{
    struct call *k = NULL;

    while ((k = list_pop(&c->held)) != NULL) {
        k->sent_us = now_us(c);
        c->counters.calls++;
        if (!enqueue(c, k, &k->cmd))
            defer(c, k, RR_UNAVAILABLE);
    }
    c->held_n = 0;
}

void redis_conn_post(struct redis_conn *c, struct redis_cmd *cmd)
{
    if (c->state == CONN_UP && !c->closing) {
        redis_cmd_write(cmd, NULL, false, &c->out);
        if (c->out.failed)
            c->broken = true;
        wake(c);
    }
    redis_cmd_fini(cmd);
}

void redis_conn_flush(struct redis_conn *c)
{
    size_t n = c->out.len;
    enum rr_err err = RR_OK;

    if (!c->link || n == 0 || c->broken || c->state == CONN_CONNECTING)
        return;
    err = redis_link_write(c->link, &c->out);
    if (err != RR_CLOSED)
        c->out_offset += n;
    if (err) {
        c->broken = true;
        wake(c);
    }
}

/* Runs once after anything was put into the stream or deferred: one write for all calls of a turn
 * of the loop. */
static void on_idle(uv_idle_t *h)
{
    struct redis_conn *c = h->data;
    struct call_list now = c->deferred;

    uv_idle_stop(h);
    if (!c->deferred.head)
        list_init(&now);
    list_init(&c->deferred);
    redis_conn_flush(c);
    if (c->broken)
        drop(c, "write failed");
    run_list(c, &now);
}

/* ---- receiving ---- */

static void on_login(void *arg, enum rr_err err, const redisReply *reply)
{
    struct redis_conn *c = arg;

    (void)reply;
    if (err || c->state != CONN_LOGIN || --c->login_left > 0)
        return;
    c->state = CONN_UP;
    c->failures = 0;
    if (c->was_up)
        c->counters.reconnects++;
    c->was_up = true;
    log_info("redis_up", "%s", c->client_name);
    send_held(c);
    set_up(c, true);
}

/* Sentinels may be late: who they name says itself whether it is the primary. */
static void on_role(void *arg, enum rr_err err, const redisReply *reply)
{
    struct redis_conn *c = arg;

    if (!err && !sentinel_is_primary(reply))
        drop(c, "no primary");
    else
        on_login(arg, err, reply);
}

static void open_link(struct redis_conn *c, const char *host, uint16_t port);

static void on_sentinel(void *arg, enum rr_err err, const redisReply *reply)
{
    struct redis_conn *c = arg;
    struct redis_addr primary;

    if (c->closing || !c->asking || c->state != CONN_LOGIN)
        return; /* dropped meanwhile */
    if (!err)
        err = sentinel_answer(reply, &primary);
    if (err) {
        drop(c, "the sentinel knows no primary");
        return;
    }
    c->asking = false;
    redis_link_drop(&c->link);
    rr_buf_clear(&c->out);
    open_link(c, primary.host, primary.port);
}

static bool is_push(const redisReply *r)
{
    return r->type == REDIS_REPLY_ARRAY && r->elements == 3 &&
           r->element[0]->type == REDIS_REPLY_STRING;
}

/* NOSCRIPT: Redis forgot its scripts; the call is made again with the text, once. */
static bool eval_again(struct redis_conn *c, struct call *k, const redisReply *reply)
{
    if (!k->script || k->evaled || redis_error_kind(reply->str, reply->len) != RR_NOT_FOUND)
        return false;
    k->evaled = true;
    return enqueue(c, k, &k->cmd);
}

static void on_error_reply(struct redis_conn *c, struct call *k, const redisReply *reply)
{
    enum rr_err kind = redis_error_kind(reply->str, reply->len);
    struct rr_slice text = rr_slice_of(reply->str, (size_t)reply->len);
    uint64_t suppressed = 0;

    if (c->opts.redirect && !k->internal &&
        c->opts.redirect(c->opts.arg, text, k->script, &k->cmd, k->done, k->arg)) {
        free(k);
        return;
    }
    if (rr_ratelog_pass(&c->log, now_us(c), 1000000, &suppressed))
        log_error("redis_error", "%s: %s: %.*s (%llu more)", c->client_name,
                  k->script ? k->script->name : "command", (int)reply->len, reply->str,
                  (unsigned long long)suppressed);
    finish(c, k, kind == RR_NOT_FOUND ? RR_UNAVAILABLE : kind, NULL);
    if (c->state == CONN_LOGIN)
        drop(c, "login refused");
    else if (c->opts.sentinel_master && text.len > 9 && memcmp(text.p, "READONLY ", 9) == 0)
        drop(c, "the primary became a replica");
}

static bool on_reply(void *arg, redisReply *reply)
{
    struct redis_conn *c = arg;
    const struct redis_link *link = c->link;
    struct call *k = NULL;

    c->heard_us = now_us(c);
    if (c->opts.subscriber && c->state == CONN_UP && is_push(reply)) {
        if (!c->closing)
            c->opts.push(c->opts.arg, reply);
        goto out;
    }
    if (c->opts.refused && c->state == CONN_UP && reply->type == REDIS_REPLY_ERROR && !c->closing &&
        c->opts.refused(c->opts.arg, rr_slice_of(reply->str, (size_t)reply->len)))
        goto out;
    k = list_pop(&c->inflight);
    if (!k || (c->opts.subscriber && c->state == CONN_UP && reply->type == REDIS_REPLY_ERROR)) {
        free(k);
        drop(c, "unexpected reply");
        goto out;
    }
    c->counters.outstanding--;
    if (c->opts.latency && !k->internal)
        c->opts.latency(c->opts.latency_arg, c->heard_us - k->sent_us);
    if (reply->type != REDIS_REPLY_ERROR)
        finish(c, k, RR_OK, reply);
    else if (!eval_again(c, k, reply))
        on_error_reply(c, k, reply);
out:
    freeReplyObject(reply);
    return c->link == link;
}

static void login_step(struct redis_conn *c, struct redis_cmd *cmd, redis_done_fn done)
{
    struct call *k = call_new(done, c, NULL);

    k->internal = true;
    c->login_left++;
    RR_ASSERT(enqueue(c, k, cmd));
    redis_cmd_fini(cmd);
}

static void on_connected(void *arg)
{
    struct redis_conn *c = arg;
    struct redis_cmd cmd = {0};

    c->state = CONN_LOGIN;
    c->heard_us = now_us(c);
    c->login_left = 0;
    if (c->asking) {
        sentinel_question(&cmd, c->opts.sentinel_master);
        login_step(c, &cmd, on_sentinel);
        return;
    }
    if (c->url.password[0]) {
        redis_cmd_str(&cmd, "AUTH");
        if (c->url.user[0])
            redis_cmd_str(&cmd, c->url.user);
        redis_cmd_str(&cmd, c->url.password);
        login_step(c, &cmd, on_login);
    }
    if (c->url.db) {
        redis_cmd_str(&cmd, "SELECT");
        redis_cmd_int(&cmd, c->url.db);
        login_step(c, &cmd, on_login);
    }
    redis_cmd_strs(&cmd, "CLIENT", "SETNAME", c->client_name, (char *)NULL);
    login_step(c, &cmd, on_login);
    if (c->opts.sentinel_master) {
        redis_cmd_str(&cmd, "ROLE");
        login_step(c, &cmd, on_role);
    }
    for (uint32_t i = 0; !c->opts.subscriber && store_scripts[i]; i++) {
        redis_cmd_strs(&cmd, "SCRIPT", "LOAD", (char *)NULL);
        redis_cmd_arg(&cmd, rr_slice_of(store_scripts[i]->src, store_scripts[i]->len));
        login_step(c, &cmd, on_login);
    }
    /* While Redis loads its data it accepts a login but no PING. */
    redis_cmd_str(&cmd, "PING");
    login_step(c, &cmd, on_login);
}

static void on_broken(void *arg, const char *why)
{
    drop(arg, why);
}

/* ---- time ---- */

static void ping(struct redis_conn *c)
{
    struct redis_cmd cmd = {0};
    struct call *k = call_new(NULL, NULL, NULL);

    k->internal = true;
    redis_cmd_str(&cmd, "PING");
    if (!enqueue(c, k, &cmd))
        free(k);
    redis_cmd_fini(&cmd);
}

static void try_free(struct redis_conn *c);

static void on_gone(void *arg)
{
    struct redis_conn *c = arg;

    c->links--;
    try_free(c);
}

static void open_link(struct redis_conn *c, const char *host, uint16_t port)
{
    struct redis_link_events events = {.arg = c,
                                       .connected = on_connected,
                                       .reply = on_reply,
                                       .broken = on_broken,
                                       .gone = on_gone};

    c->state = CONN_CONNECTING;
    c->deadline_us = now_us(c) + c->opts.timeout_ms * 1000;
    c->links++;
    if (redis_link_open(&c->link, c->opts.loop, host, port, c->attempt++, &events))
        drop(c, "name lookup refused");
}

static void connect_now(struct redis_conn *c)
{
    const struct redis_addr *sentinel = &c->url.seeds[c->sentinel % c->url.seeds_n];

    c->asking = c->opts.sentinel_master != NULL;
    if (!c->asking) {
        open_link(c, c->url.host, c->url.port);
        return;
    }
    c->sentinel++; /* another one each time, so that a dead one costs one attempt */
    open_link(c, sentinel->host, sentinel->port);
}

/* A tick that finds the oldest call late may itself be late (the process was stopped): replies may
 * lie in the socket. So the connection is dropped only when the next tick, after a turn of reading,
 * still finds the same call. */
static void check_deadline(struct redis_conn *c)
{
    const struct call *oldest = c->inflight.head;

    if (!oldest || now_us(c) < oldest->deadline_us) {
        c->overdue = NULL;
        return;
    }
    if (c->overdue == oldest)
        drop(c, "no answer in time");
    else
        c->overdue = oldest;
}

static void on_tick(uv_timer_t *t)
{
    struct redis_conn *c = t->data;
    int64_t now = now_us(c);

    switch (c->state) {
    case CONN_WAITING:
        if (now >= c->retry_us)
            connect_now(c);
        return;
    case CONN_CONNECTING:
        if (now >= c->deadline_us)
            drop(c, "connect timed out");
        return;
    case CONN_LOGIN: check_deadline(c); return;
    case CONN_UP:
        if (!c->inflight.head && now - c->heard_us > c->opts.timeout_ms * 500)
            ping(c);
        check_deadline(c);
        return;
    }
}

/* ---- life ---- */

void redis_conn_create(struct redis_conn **out, const struct redis_conn_opts *opts)
{
    struct redis_conn *c = rr_xcalloc(1, sizeof(*c));

    c->opts = *opts;
    c->url = *opts->url;
    c->client_name = rr_xstrdup(opts->client_name);
    c->opts.url = NULL;
    c->opts.client_name = NULL;
    list_init(&c->inflight);
    list_init(&c->deferred);
    list_init(&c->held);
    RR_ASSERT(uv_timer_init(opts->loop, &c->tick) == 0 && uv_idle_init(opts->loop, &c->idle) == 0);
    c->tick.data = c;
    c->idle.data = c;
    c->handles = 2;
    uv_timer_start(&c->tick, on_tick, 0, TICK_MS);
    *out = c;
}

void redis_conn_renew(struct redis_conn *c, const char *why)
{
    if (!c->closing)
        drop(c, why);
}

bool redis_conn_up(const struct redis_conn *c)
{
    return c->state == CONN_UP;
}

void redis_conn_counters(const struct redis_conn *c, struct redis_conn_counters *out)
{
    *out = c->counters;
}

static void try_free(struct redis_conn *c)
{
    void (*closed)(void *arg) = c->closed;
    void *closed_arg = c->closed_arg;

    if (!c->closing || c->handles > 0 || c->links > 0)
        return;
    run_list(c, &c->deferred);
    rr_buf_fini(&c->out);
    explicit_bzero(&c->url, sizeof(c->url));
    free(c->client_name);
    free(c);
    closed(closed_arg);
}

static void on_handle_closed(uv_handle_t *h)
{
    struct redis_conn *c = h->data;

    c->handles--;
    try_free(c);
}

void redis_conn_close(struct redis_conn *c, void (*closed)(void *arg), void *arg)
{
    struct call *k = NULL;

    c->closing = true;
    c->closed = closed;
    c->closed_arg = arg;
    while ((k = list_pop(&c->inflight)) != NULL) {
        k->err = k->offset >= c->out_offset ? RR_UNAVAILABLE : RR_PENDING;
        list_push(&c->deferred, k);
    }
    while ((k = list_pop(&c->held)) != NULL) {
        k->err = RR_UNAVAILABLE;
        list_push(&c->deferred, k);
    }
    c->state = CONN_WAITING;
    redis_link_drop(&c->link);
    uv_close((uv_handle_t *)&c->tick, on_handle_closed);
    uv_close((uv_handle_t *)&c->idle, on_handle_closed);
}
