/* redis_conn.h - one connection to Redis on a libuv loop that lives for ever: connects, logs in,
 * loads the scripts, pipelines, and connects again with backoff.
 * Why not hiredis' async context: 0.14 has no deadlines, swallows connect errors under libuv and
 * cannot tell a call that was never sent from one whose outcome is unknown. Its reply parser is
 * what is used of it.
 * Guarantees: done runs exactly once per call, never inside redis_conn_call(). An oldest call
 * without an answer after timeout drops the connection.
 * Errors as in store_async.h.
 * Thread: the loop's. */
#ifndef STORE_REDIS_CONN_H
#define STORE_REDIS_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include <hiredis/hiredis.h>
#include <uv.h>

#include "base/clock.h"
#include "redis_cmd.h"
#include "store/redis_url.h"

struct redis_conn;

/* err RR_OK: reply is set and no error; borrowed until return. */
typedef void (*redis_done_fn)(void *arg, enum rr_err err, const redisReply *reply);

struct redis_conn_opts {
    uv_loop_t *loop;
    const struct rr_clock *clock;
    const struct redis_url *url; /* copied */
    const char *client_name;     /* copied */
    int64_t timeout_ms;
    uint32_t outstanding_max;
    bool subscriber; /* no scripts; array replies that are pushes go to push() */
    const char *
        sentinel_master; /* borrowed; not NULL: url's addresses are sentinels, asked at every connect */
    void *arg;
    void (*state)(void *arg, bool up);
    void (*push)(void *arg, const redisReply *reply);
    /* Of a subscriber, an error as the answer to what was posted. False, or NULL: the connection is dropped. */
    bool (*refused)(void *arg, struct rr_slice error);
    /* Of a cluster's node; calls wait then while it connects for the first time. An error reply: true if the call goes on
     * elsewhere, with what cmd holds; else it ends with the error. */
    bool (*redirect)(void *arg, struct rr_slice error, const struct store_script *script,
                     struct redis_cmd *cmd, redis_done_fn done, void *done_arg);
    void (*latency)(void *arg, int64_t us);
    void *latency_arg;
};

struct redis_conn_counters {
    uint64_t calls;
    uint64_t errors;
    uint64_t reconnects;
    uint32_t outstanding;
    bool up;
};

void redis_conn_create(struct redis_conn **out, const struct redis_conn_opts *opts);
/* Takes what cmd holds. script NULL: a plain command. done NULL: fire and forget. */
void redis_conn_call(struct redis_conn *c, const struct store_script *script, struct redis_cmd *cmd,
                     redis_done_fn done, void *arg);
/* A command whose answers are pushes (SUBSCRIBE); nothing when down. Takes what cmd holds. */
void redis_conn_post(struct redis_conn *c, struct redis_cmd *cmd);
/* Writes now instead of at the end of the loop's turn: for measuring round trips. */
void redis_conn_flush(struct redis_conn *c);
/* Drops the connection as if it had broken; the next connect is planned as always. */
void redis_conn_renew(struct redis_conn *c, const char *why);
bool redis_conn_up(const struct redis_conn *c);
void redis_conn_counters(const struct redis_conn *c, struct redis_conn_counters *out);
/* Answers what is in flight, then calls closed and frees c. No state() any more. */
void redis_conn_close(struct redis_conn *c, void (*closed)(void *arg), void *arg);

#endif
