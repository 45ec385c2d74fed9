/* The blocking connection: connect, log in, call, drop. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "opts_check.h"
#include "sentinel.h"
#include "sync_private.h"

void sync__node_disconnect(struct sync_node *n)
{
    if (n->ctx)
        redisFree(n->ctx);
    n->ctx = NULL;
}

/* What an error reply means here, where "outcome unknown" is no answer: every operation may be
 * repeated, but an error that is none of Redis' states is a bug or foreign data, and repeating it
 * for ever would hide that. */
static enum rr_err error_reply(const char *what, const redisReply *r)
{
    enum rr_err kind = redis_error_kind(r->str, r->len);

    log_error("redis_error", "%s: %.*s", what, (int)r->len, r->str);
    return kind == RR_PENDING ? RR_CORRUPT : RR_UNAVAILABLE;
}

/* RR_RETRY: the connection is gone. */
static enum rr_err next_reply(struct store_sync *s, struct sync_node *n, redisReply **reply)
{
    void *r = NULL;

    if (redisGetReply(n->ctx, &r) != REDIS_OK) {
        log_warn("redis_down", "%s: %s", s->name, n->ctx->errstr);
        sync__node_disconnect(n);
        return RR_RETRY;
    }
    *reply = r;
    return RR_OK;
}

/* Writes commands and reads the first answer. */
static enum rr_err exchange(struct store_sync *s, struct sync_node *n, const struct rr_buf *bytes,
                            redisReply **reply)
{
    *reply = NULL;
    if (bytes->failed)
        return RR_TOO_BIG;
    if (redisAppendFormattedCommand(n->ctx, bytes->p, bytes->len) != REDIS_OK)
        return RR_TOO_BIG; /* no memory for a copy: nothing was sent */
    return next_reply(s, n, reply);
}

static enum rr_err login_step(struct store_sync *s, struct sync_node *n, struct redis_cmd *cmd)
{
    struct rr_buf bytes = {0};
    redisReply *r = NULL;
    enum rr_err err = RR_OK;

    redis_cmd_write(cmd, NULL, false, &bytes);
    err = exchange(s, n, &bytes, &r);
    if (!err && r->type == REDIS_REPLY_ERROR)
        err = error_reply("login", r);
    if (r)
        freeReplyObject(r);
    rr_buf_fini(&bytes);
    redis_cmd_fini(cmd);
    return err ? RR_UNAVAILABLE : RR_OK;
}

static enum rr_err login(struct store_sync *s, struct sync_node *n)
{
    struct redis_cmd cmd = {0};
    enum rr_err err = RR_OK;

    if (s->url.password[0]) {
        redis_cmd_str(&cmd, "AUTH");
        if (s->url.user[0])
            redis_cmd_str(&cmd, s->url.user);
        redis_cmd_str(&cmd, s->url.password);
        err = login_step(s, n, &cmd);
    }
    if (!err && s->url.db) {
        redis_cmd_str(&cmd, "SELECT");
        redis_cmd_int(&cmd, s->url.db);
        err = login_step(s, n, &cmd);
    }
    if (!err) {
        redis_cmd_strs(&cmd, "CLIENT", "SETNAME", s->name, (char *)NULL);
        err = login_step(s, n, &cmd);
    }
    return err;
}

/* Something to read without a question asked: the other end has closed while we were away. */
static bool stale(const redisContext *ctx)
{
    struct pollfd p = {.fd = ctx->fd, .events = POLLIN};

    return poll(&p, 1, 0) != 0;
}

static enum rr_err connect_to(struct store_sync *s, const struct redis_addr *a, struct sync_node *n)
{
    struct timeval tv = {.tv_sec = s->timeout_ms / 1000,
                         .tv_usec = (suseconds_t)(s->timeout_ms % 1000) * 1000};

    n->ctx = redisConnectWithTimeout(a->host, a->port, tv);
    if (!n->ctx || n->ctx->err || redisSetTimeout(n->ctx, tv) != REDIS_OK ||
        redisEnableKeepAlive(n->ctx) != REDIS_OK) {
        log_warn("redis_down", "%s: %s", s->name, n->ctx ? n->ctx->errstr : "no memory");
        sync__node_disconnect(n);
        return RR_UNAVAILABLE;
    }
    return RR_OK;
}

/* Asks the sentinels in turn who is primary now. */
static enum rr_err ask_sentinels(struct store_sync *s, struct redis_addr *out)
{
    enum rr_err err = RR_UNAVAILABLE;

    for (uint32_t i = 0; err && i < s->url.seeds_n; i++) {
        struct sync_node at = {.ctx = NULL};
        struct redis_cmd cmd = {0};
        struct rr_buf bytes = {0};
        redisReply *r = NULL;

        sentinel_question(&cmd, s->sentinel_master);
        redis_cmd_write(&cmd, NULL, false, &bytes);
        err = connect_to(s, &s->url.seeds[s->sentinel % s->url.seeds_n], &at);
        if (!err)
            err = exchange(s, &at, &bytes, &r);
        if (!err)
            err = sentinel_answer(r, out);
        if (err)
            s->sentinel++;
        if (r)
            freeReplyObject(r);
        sync__node_disconnect(&at);
        rr_buf_fini(&bytes);
        redis_cmd_fini(&cmd);
    }
    if (err)
        log_warn("sentinel", "%s: no sentinel knows the primary %s", s->name, s->sentinel_master);
    return err ? RR_UNAVAILABLE : RR_OK;
}

/* Sentinels may be late: who they name is asked itself. */
static enum rr_err check_role(struct store_sync *s, struct sync_node *n)
{
    struct redis_cmd cmd = {0};
    struct rr_buf bytes = {0};
    redisReply *r = NULL;
    enum rr_err err = RR_OK;

    redis_cmd_str(&cmd, "ROLE");
    redis_cmd_write(&cmd, NULL, false, &bytes);
    err = exchange(s, n, &bytes, &r);
    if (!err && !sentinel_is_primary(r)) {
        log_warn("sentinel", "%s: %s:%u is no primary", s->name, n->addr.host,
                 (unsigned)n->addr.port);
        err = RR_UNAVAILABLE;
    }
    if (r)
        freeReplyObject(r);
    rr_buf_fini(&bytes);
    redis_cmd_fini(&cmd);
    return err;
}

enum rr_err sync__node_connect(struct store_sync *s, struct sync_node *n)
{
    enum rr_err err = RR_OK;

    if (n->ctx && stale(n->ctx))
        sync__node_disconnect(n);
    if (n->ctx)
        return RR_OK;
    if (s->sentinel_master)
        err = ask_sentinels(s, &n->addr);
    if (!err)
        err = connect_to(s, &n->addr, n);
    if (!err)
        err = login(s, n);
    if (!err && s->sentinel_master)
        err = check_role(s, n);
    if (err)
        sync__node_disconnect(n);
    return err ? RR_UNAVAILABLE : RR_OK;
}

/* A script Redis forgot is sent once more, with its text. */
enum rr_err sync__node_call(struct store_sync *s, struct sync_node *n,
                            const struct store_script *script, const struct redis_cmd *cmd,
                            bool asking, redisReply **reply)
{
    struct rr_buf bytes = {0};
    enum rr_err err = sync__node_connect(s, n);
    bool again = false;

    *reply = NULL;
    do {
        rr_buf_clear(&bytes);
        if (asking)
            rr_buf_puts(&bytes, REDIS_ASKING);
        redis_cmd_write(cmd, script, again, &bytes);
        if (!err)
            err = exchange(s, n, &bytes, reply);
        if (!err && asking) {
            freeReplyObject(*reply);
            *reply = NULL;
            err = next_reply(s, n, reply);
        }
        again = !err && !again && script && (*reply)->type == REDIS_REPLY_ERROR &&
                redis_error_kind((*reply)->str, (*reply)->len) == RR_NOT_FOUND;
        if (again) {
            freeReplyObject(*reply);
            *reply = NULL;
        }
    } while (again);
    rr_buf_fini(&bytes);
    return err;
}

enum rr_err sync__node_pipeline(struct store_sync *s, struct sync_node *n,
                                const struct rr_buf *bytes, uint32_t count, redisReply **error,
                                uint32_t *errors)
{
    redisReply *r = NULL;
    enum rr_err err = sync__node_connect(s, n);

    *error = NULL;
    *errors = 0;
    if (!err)
        err = exchange(s, n, bytes, &r);
    while (!err) {
        bool failed = r->type == REDIS_REPLY_ERROR;

        *errors += failed;
        if (failed && !*error)
            *error = r;
        else
            freeReplyObject(r);
        r = NULL;
        if (--count == 0)
            break;
        err = next_reply(s, n, &r);
    }
    return err;
}

/* A primary that became a replica says so; the next call looks for the new one. */
static void note_role(struct store_sync *s, const redisReply *r)
{
    if (s->sentinel_master && r->len >= 9 && memcmp(r->str, "READONLY ", 9) == 0)
        sync__node_disconnect(&s->one);
}

enum rr_err sync__call(struct store_sync *s, const struct store_script *script,
                       struct redis_cmd *cmd, redisReply **reply)
{
    redisReply *r = NULL;
    enum rr_err err = s->cluster ? sync__cluster_call(s, script, cmd, &r)
                                 : sync__node_call(s, &s->one, script, cmd, false, &r);

    *reply = NULL;
    if (!err && r->type == REDIS_REPLY_ERROR) {
        err = error_reply(script ? script->name : "command", r);
        note_role(s, r);
    }
    if (!err) {
        *reply = r;
        r = NULL;
    }
    if (r)
        freeReplyObject(r);
    redis_cmd_fini(cmd);
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

enum rr_err sync__pipeline(struct store_sync *s, const struct store_key *key,
                           const struct rr_buf *bytes, uint32_t n)
{
    redisReply *error = NULL;
    uint32_t errors = 0;
    enum rr_err err = s->cluster ? sync__cluster_pipeline(s, key, bytes, n, &error)
                                 : sync__node_pipeline(s, &s->one, bytes, n, &error, &errors);

    if (error) {
        enum rr_err said = error_reply("pipeline", error);

        note_role(s, error);
        err = err ? err : said;
        freeReplyObject(error);
    }
    return err;
}

enum rr_err store_sync_create(struct store_sync **out, const struct store_opts *opts)
{
    struct store_sync *s = rr_xcalloc(1, sizeof(*s));
    enum rr_err err = store__opts_check(opts, &s->url);

    *out = NULL;
    if (err) {
        free(s);
        return err;
    }
    s->ns = rr_xstrdup(opts->namespace_ ? opts->namespace_ : "");
    s->name = rr_xstrdup(opts->worker_name);
    s->timeout_ms = opts->timeout_ms ? opts->timeout_ms : 2000;
    s->one.addr = s->url.seeds[0];
    if (opts->topology == STORE_SENTINEL)
        s->sentinel_master = rr_xstrdup(opts->sentinel_master);
    if (opts->topology == STORE_CLUSTER)
        sync__cluster_init(s);
    sync__pool_init(s);
    sync__notify_init(s);
    *out = s;
    return RR_OK;
}

void store_sync_destroy(struct store_sync *s)
{
    if (!s)
        return;
    sync__node_disconnect(&s->one);
    sync__cluster_fini(s);
    if (s->kept)
        freeReplyObject(s->kept);
    free(s->ns);
    free(s->name);
    free(s->sentinel_master);
    explicit_bzero(&s->url, sizeof(s->url));
    free(s);
}

const struct pool_admin *store_sync_pool(struct store_sync *s)
{
    return &s->pool;
}

const struct rain_notify *store_sync_notify(struct store_sync *s)
{
    return &s->notify;
}

enum rr_err store_sync_ping(struct store_sync *s)
{
    struct redis_cmd cmd = {0};

    redis_cmd_str(&cmd, "PING");
    return sync__run(s, NULL, &cmd);
}
