/* The blocking connection: connect, log in, call, drop. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "sync_private.h"

static void disconnect(struct store_sync *s)
{
    if (s->ctx)
        redisFree(s->ctx);
    s->ctx = NULL;
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
static enum rr_err next_reply(struct store_sync *s, redisReply **reply)
{
    void *r = NULL;

    if (redisGetReply(s->ctx, &r) != REDIS_OK) {
        log_warn("redis_down", "%s: %s", s->name, s->ctx->errstr);
        disconnect(s);
        return RR_RETRY;
    }
    *reply = r;
    return RR_OK;
}

/* Writes commands and reads the first answer. */
static enum rr_err exchange(struct store_sync *s, const struct rr_buf *bytes, redisReply **reply)
{
    *reply = NULL;
    if (bytes->failed)
        return RR_TOO_BIG;
    if (redisAppendFormattedCommand(s->ctx, bytes->p, bytes->len) != REDIS_OK)
        return RR_TOO_BIG; /* no memory for a copy: nothing was sent */
    return next_reply(s, reply);
}

static enum rr_err login_step(struct store_sync *s, struct redis_cmd *cmd)
{
    struct rr_buf bytes = {0};
    redisReply *r = NULL;
    enum rr_err err = RR_OK;

    redis_cmd_write(cmd, NULL, false, &bytes);
    err = exchange(s, &bytes, &r);
    if (!err && r->type == REDIS_REPLY_ERROR)
        err = error_reply("login", r);
    if (r)
        freeReplyObject(r);
    rr_buf_fini(&bytes);
    redis_cmd_fini(cmd);
    return err ? RR_UNAVAILABLE : RR_OK;
}

static enum rr_err login(struct store_sync *s)
{
    struct redis_cmd cmd = {0};
    enum rr_err err = RR_OK;

    if (s->url.password[0]) {
        redis_cmd_str(&cmd, "AUTH");
        if (s->url.user[0])
            redis_cmd_str(&cmd, s->url.user);
        redis_cmd_str(&cmd, s->url.password);
        err = login_step(s, &cmd);
    }
    if (!err && s->url.db) {
        redis_cmd_str(&cmd, "SELECT");
        redis_cmd_int(&cmd, s->url.db);
        err = login_step(s, &cmd);
    }
    if (!err) {
        redis_cmd_strs(&cmd, "CLIENT", "SETNAME", s->name, (char *)NULL);
        err = login_step(s, &cmd);
    }
    return err;
}

/* Something to read without a question asked: the other end has closed while we were away. */
static bool stale(const redisContext *ctx)
{
    struct pollfd p = {.fd = ctx->fd, .events = POLLIN};

    return poll(&p, 1, 0) != 0;
}

static enum rr_err ensure_connected(struct store_sync *s)
{
    struct timeval tv = {.tv_sec = s->timeout_ms / 1000,
                         .tv_usec = (suseconds_t)(s->timeout_ms % 1000) * 1000};

    if (s->ctx && stale(s->ctx))
        disconnect(s);
    if (s->ctx)
        return RR_OK;
    s->ctx = redisConnectWithTimeout(s->url.host, s->url.port, tv);
    if (!s->ctx || s->ctx->err || redisSetTimeout(s->ctx, tv) != REDIS_OK ||
        redisEnableKeepAlive(s->ctx) != REDIS_OK) {
        log_warn("redis_down", "%s: %s", s->name, s->ctx ? s->ctx->errstr : "no memory");
        disconnect(s);
        return RR_UNAVAILABLE;
    }
    if (login(s)) {
        disconnect(s);
        return RR_UNAVAILABLE;
    }
    return RR_OK;
}

enum rr_err sync__call(struct store_sync *s, const struct store_script *script,
                       struct redis_cmd *cmd, redisReply **reply)
{
    struct rr_buf bytes = {0};
    redisReply *r = NULL;
    enum rr_err err = ensure_connected(s);

    *reply = NULL;
    if (err)
        goto out;
    redis_cmd_write(cmd, script, false, &bytes);
    err = exchange(s, &bytes, &r);
    if (!err && script && r->type == REDIS_REPLY_ERROR &&
        redis_error_kind(r->str, r->len) == RR_NOT_FOUND) {
        freeReplyObject(r);
        r = NULL;
        rr_buf_clear(&bytes);
        redis_cmd_write(cmd, script, true, &bytes);
        err = exchange(s, &bytes, &r);
    }
    if (!err && r->type == REDIS_REPLY_ERROR)
        err = error_reply(script ? script->name : "command", r);
    if (!err) {
        *reply = r;
        r = NULL;
    }
out:
    if (r)
        freeReplyObject(r);
    rr_buf_fini(&bytes);
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

enum rr_err sync__pipeline(struct store_sync *s, struct rr_buf *bytes, uint32_t n)
{
    redisReply *r = NULL;
    enum rr_err err = ensure_connected(s);
    enum rr_err first = RR_OK;

    if (err)
        return err;
    err = exchange(s, bytes, &r);
    while (!err) {
        if (r->type == REDIS_REPLY_ERROR && !first)
            first = error_reply("pipeline", r);
        freeReplyObject(r);
        r = NULL;
        if (--n == 0)
            break;
        err = next_reply(s, &r);
    }
    return err ? err : first;
}

enum rr_err store_sync_create(struct store_sync **out, const struct store_opts *opts)
{
    struct store_sync *s = rr_xcalloc(1, sizeof(*s));
    enum rr_err err = redis_url_parse(opts->url, &s->url);

    *out = NULL;
    if (err || !opts->worker_name || !key_name_ok(opts->worker_name) ||
        (opts->namespace_ && !key_namespace_ok(opts->namespace_))) {
        free(s);
        return RR_CONFIG;
    }
    s->ns = rr_xstrdup(opts->namespace_ ? opts->namespace_ : "");
    s->name = rr_xstrdup(opts->worker_name);
    s->timeout_ms = opts->timeout_ms ? opts->timeout_ms : 2000;
    sync__pool_init(s);
    sync__notify_init(s);
    *out = s;
    return RR_OK;
}

void store_sync_destroy(struct store_sync *s)
{
    if (!s)
        return;
    disconnect(s);
    if (s->kept)
        freeReplyObject(s->kept);
    free(s->ns);
    free(s->name);
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
