/* msg.h - client messages in, replies and pushes out: all bytes of the WebSocket protocol
 * redrain.v1. Message = msgpack array [op, id, body]; body is a map with short string keys; unknown
 * keys are ignored. */
#ifndef PROTOCOL_MSG_H
#define PROTOCOL_MSG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "protocol/code_map.h"
#include "protocol/limits.h"
#include "protocol/msg_map.h"

#define RR_SUBPROTOCOL "redrain.v1"
#define RR_PROTOCOL_VERSION 1

enum msg_op {
#define X(name, op, dir, doc) MSG_##name = op,
    MSG_MAP(X)
#undef X
};

enum {
    MSG_C2S_COUNT = 0
#define MSG_IS_C2S 1
#define MSG_IS_S2C 0
#define X(name, op, dir, doc) +MSG_IS_##dir
    MSG_MAP(X)
#undef X
};

enum result_code {
#define X(name, n, retry, zh, en) RESULT_##name = n,
    RESULT_MAP(X)
#undef X
};

enum close_code {
#define X(name, n, reconnect, zh, en) CLOSE_##name = n,
    CLOSE_MAP(X)
#undef X
};

const char *msg_op_name(enum msg_op op);        /* "?" when unknown */
const char *result_name(enum result_code code); /* "?" when unknown */
const char *close_name(enum close_code code);   /* "?" when unknown */
bool result_retryable(enum result_code code);
/* The wire code of an error: the one mapping. Errors without a code of their own become BUSY,
 * UNAVAILABLE or BAD_REQUEST; NO_MONEY is a CONFLICT, DUPLICATE is OK. */
enum result_code result_of(enum rr_err err);

/* A decoded client message. Slices borrow the frame's bytes. Optional fields that are missing are
 * zero / empty, and has_<key> is false; nil counts as missing. STR values are UTF-8 without NUL. */
struct msg {
    enum msg_op op;
    uint32_t id;
    union {
        struct {
            struct rr_slice token;
            int64_t ver;
            bool has_token, has_ver;
        } hello;
        struct {
            struct rr_slice token;
            bool has_token;
        } refresh;
        struct {
            struct rr_slice room, epoch;
            int64_t seq;
            bool has_room, has_epoch, has_seq;
        } join;
        struct {
            int64_t t0;
            bool has_t0;
        } ping;
        struct {
            struct rr_slice code;
            int64_t seq;
            bool again, has_code, has_seq, has_again;
        } grab;
        struct {
            struct rr_slice code;
            int64_t before;
            bool has_code, has_before;
        } my_grants;
        struct {
            struct rr_slice before;
            bool has_before;
        } my_sent;
        struct {
            struct rr_slice text;
            bool has_text;
        } say;
        struct msg_packet {
            struct rr_slice biz_id, split, text, kind, users;
            int64_t total, count, limit, lo, hi, shards, duration_ms, start_at, expire_at;
            bool random, has_biz_id, has_split, has_text, has_kind, has_users, has_total, has_count,
                has_limit, has_lo, has_hi, has_shards, has_duration_ms, has_start_at, has_expire_at,
                has_random;
        } create, send; /* SEND: a part of it */
        struct {
            struct rr_slice code;
            bool has_code;
        } prepare, close, cancel, fu_join, fu_cancel;
        struct {
            struct rr_slice code, event, rain;
            bool has_code, has_event, has_rain;
        } fu_draw;
        struct {
            struct rr_slice code, biz_id;
            int64_t card, to;
            bool has_code, has_biz_id, has_card, has_to;
        } fu_give;
        struct msg_fu_create {
            struct rr_slice biz_id, text, split, weights, stock;
            int64_t pool, share_at, winners, day_draws, day_gifts;
            bool has_biz_id, has_text, has_split, has_weights, has_stock, has_pool, has_share_at,
                has_winners, has_day_draws, has_day_gifts;
        } fu_create;
        struct {
            struct rr_slice code;
            int64_t countdown_ms, duration_ms;
            bool has_code, has_countdown_ms, has_duration_ms;
        } start;
        struct {
            struct rr_slice code;
            int64_t add_ms;
            bool has_code, has_add_ms;
        } extend;
        struct {
            struct rr_slice text;
            bool has_text;
        } announce;
        struct {
            int64_t user, secs;
            bool has_user, has_secs;
        } kick, mute;
        struct {
            struct rr_slice code;
            bool has_code;
        } stats;
        struct {
            struct rr_slice code;
            int64_t user, after_shard, after_no, limit;
            bool has_code, has_user, has_after_shard, has_after_no, has_limit;
        } winners;
        struct {
            int64_t before;
            bool has_before;
        } audit;
        struct {
            struct rr_slice name, spec;
            bool has_name, has_spec;
        } templates;
        struct {
            struct rr_slice code;
            bool has_code;
        } check;
    } u;
};

/* What a malformed message was about, for the answer. */
struct msg_fault {
    uint32_t id;       /* 0 when not even the id could be read */
    const char *field; /* constant name of the bad or missing field, or "op", "body", "frame" */
};

/* RR_OK: *m is filled, *fault has the id. RR_MALFORMED: the bytes are no message (not msgpack,
 * trailing bytes, too deep, wrong shape): close the connection. RR_BAD_REQUEST: a well-formed
 * message with an unknown op or a bad field: answer BAD_REQUEST{field}. */
RR_MUST_CHECK enum rr_err msg_decode(struct rr_slice frame, struct msg *m, struct msg_fault *fault);

/* Starts a reply [64, id, {result, …}] with `more` further pairs to be packed by the caller. */
void msg_reply_begin(struct rr_buf *out, uint32_t id, enum result_code code, uint32_t more);
/* A push [65, 0, {room?, epoch?, seq?, biz_code, payload}]; room NULL: to a user; epoch 0: without
 * position. */
void msg_push(struct rr_buf *out, const char *room, uint64_t epoch, uint64_t seq,
              struct rr_slice biz_code, struct rr_slice payload);
void msg_goaway(struct rr_buf *out, uint32_t delay_ms);

#endif
