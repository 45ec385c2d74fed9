/* From a frame to its handler: who may ask what, and what errors look like on the wire. */
#include "../room/cm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "fake_worker.h"
#include "protocol/pack.h"

enum { S = 1000000 };

static struct fake_worker *f;

/* 0: viewer 7, 1: anchor 9, 2: guest 5, all in r1; 3: connected, no HELLO. */
static int setup(void **state)
{
    (void)state;
    f = fake_worker_create();
    fake_hello(f, 0, "7 viewer *");
    fake_hello(f, 1, "9 anchor *");
    fake_hello(f, 2, "5 guest *");
    for (int i = 0; i < 3; i++)
        fake_join(f, i, "r1");
    fake_connect(f, 3);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_worker_destroy(f);
    return 0;
}

/* A body that every message accepts: all required fields, the others are unknown keys to it. */
static void full_body(struct rr_buf *b)
{
    pack_map(b, 18);
    pack_kv_str(b, "event", "signin");
    pack_kv_int(b, "card", 1);
    pack_kv_str(b, "to", "7");
    pack_kv_int(b, "pool", 1000);
    pack_kv_int(b, "share_at", 5);
    pack_kv_str(b, "kind", "rain");
    pack_kv_str(b, "token", "7 viewer *");
    pack_kv_str(b, "room", "r1");
    pack_kv_int(b, "t0", 5);
    pack_kv_str(b, "code", RAIN_A);
    pack_kv_int(b, "seq", 0);
    pack_kv_str(b, "text", "hello");
    pack_kv_str(b, "biz_id", "b1");
    pack_kv_int(b, "total", 1000);
    pack_kv_int(b, "count", 10);
    pack_kv_int(b, "add_ms", 5000);
    pack_kv_str(b, "user", "7");
    pack_kv_int(b, "secs", 60);
}

static void send_full(int who, int op, uint32_t id)
{
    struct rr_buf b = {0};

    full_body(&b);
    fake_send(f, who, op, id, &b);
}

/* One string field. */
static void send_str(int who, int op, uint32_t id, const char *key, const char *value)
{
    struct rr_buf b = {0};

    pack_map(&b, 1);
    pack_kv_str(&b, key, value);
    fake_send(f, who, op, id, &b);
}

static struct unpack_value assert_reply(int who, int n, uint32_t id, enum result_code code)
{
    struct wire w;

    assert_true(wire_of(&f->conns[who], n, &w));
    assert_int_equal(w.op, MSG_REPLY);
    assert_int_equal(w.id, id);
    assert_int_equal(wire_int(&w.body, "result"), code);
    return w.body;
}

/* The last frame of who, the only one. */
static struct unpack_value assert_only(int who, uint32_t id, enum result_code code)
{
    struct unpack_value body;

    assert_int_equal(f->conns[who].sent_n, 1);
    body = assert_reply(who, -1, id, code);
    return body;
}

static void assert_bad(int who, uint32_t id, const char *field)
{
    struct unpack_value body = assert_reply(who, -1, id, RESULT_BAD_REQUEST);

    if (!wire_str_is(&body, "field", field))
        fail_msg("field should be %s", field);
}

static void assert_closed(int who, enum close_code code)
{
    assert_int_equal(f->conns[who].close_code, code);
    assert_int_equal(f->people[who]->state, SESSION_CLOSING);
}

static const int ops[] = {
#define ROW_C2S(op) op,
#define ROW_S2C(op)
#define X(name, op, dir, doc) ROW_##dir(op)
    MSG_MAP(X)
#undef X
};

/* ---- who may ask ---- */

static void test_everything_before_hello(void **state)
{
    uint32_t n = 0;

    (void)state;
    assert_int_equal(RR_COUNTOF(ops), MSG_C2S_COUNT);
    for (size_t i = 0; i < RR_COUNTOF(ops); i++) {
        if (ops[i] == MSG_HELLO)
            continue;
        send_full(3, ops[i], 100 + n++);
        assert_reply(3, -1, 99 + n, RESULT_UNAUTHORIZED);
    }
    assert_int_equal(f->conns[3].sent_n, n);
    assert_int_equal(f->people[3]->state, SESSION_NEW);
    assert_int_equal(f->jobs_n + f->calls_n + f->bus.outs_n, 0);
}

static void test_a_stranger_is_rate_limited_too(void **state)
{
    uint32_t limited = 0;

    (void)state;
    for (uint32_t i = 0; i < 100; i++)
        send_full(3, MSG_PING, i);
    for (int i = 0; i < 100; i++) {
        struct wire w;

        assert_true(wire_of(&f->conns[3], i, &w));
        limited += wire_int(&w.body, "result") == RESULT_RATE_LIMITED;
    }
    assert_int_equal(limited, 60);
}

static void test_without_a_room(void **state)
{
    static const int needs_room[] = {
        MSG_GRAB,    MSG_SAY,     MSG_CREATE,   MSG_PREPARE,   MSG_START,     MSG_EXTEND,
        MSG_CLOSE,   MSG_CANCEL,  MSG_ANNOUNCE, MSG_KICK,      MSG_MUTE,      MSG_STATS,
        MSG_SEND,    MSG_WINNERS, MSG_AUDIT,    MSG_TEMPLATES, MSG_CHECK,     MSG_FU_DRAW,
        MSG_FU_JOIN, MSG_FU_GIVE, MSG_FU_MINE,  MSG_FU_CREATE, MSG_FU_CANCEL,
    };

    (void)state;
    fake_hello(f, 4, "9 anchor *");
    for (size_t i = 0; i < RR_COUNTOF(needs_room); i++) {
        struct unpack_value body;

        send_full(4, needs_room[i], 10);
        body = assert_reply(4, -1, 10, RESULT_NOT_ELIGIBLE);
        assert_true(wire_str_is(&body, "reason", "join a room first"));
    }
    assert_int_equal(f->jobs_n + f->calls_n + f->bus.outs_n, 0);
}

static void test_only_the_anchor(void **state)
{
    static const int anchors[] = {
        MSG_CREATE,    MSG_PREPARE, MSG_START,     MSG_EXTEND,    MSG_CLOSE,   MSG_CANCEL,
        MSG_ANNOUNCE,  MSG_KICK,    MSG_MUTE,      MSG_STATS,     MSG_WINNERS, MSG_AUDIT,
        MSG_TEMPLATES, MSG_CHECK,   MSG_FU_CREATE, MSG_FU_CANCEL,
    };

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(anchors); i++) {
        send_full(0, anchors[i], 10);
        assert_reply(0, -1, 10, RESULT_NOT_ELIGIBLE);
        send_full(2, anchors[i], 10);
        assert_reply(2, -1, 10, RESULT_NOT_ELIGIBLE);
    }
    assert_int_equal(f->jobs_n + f->bus.outs_n, 0);
}

static void test_a_guest_watches(void **state)
{
    (void)state;
    send_full(2, MSG_GRAB, 10);
    assert_reply(2, -1, 10, RESULT_NOT_ELIGIBLE);
    send_full(2, MSG_SAY, 11);
    assert_reply(2, -1, 11, RESULT_NOT_ELIGIBLE);
    send_full(2, MSG_FU_DRAW, 13);
    assert_reply(2, -1, 13, RESULT_NOT_ELIGIBLE);
    send_full(2, MSG_PING, 12);
    assert_reply(2, -1, 12, RESULT_OK);
}

/* ---- rates ---- */

static void test_rate_limits(void **state)
{
    struct unpack_value body;

    (void)state;
    f->clock.now_us += 10 * S; /* HELLO and JOIN are forgotten */
    for (uint32_t i = 0; i < 40; i++) {
        send_full(0, MSG_PING, i);
        assert_reply(0, -1, i, RESULT_OK);
    }
    send_full(0, MSG_PING, 41);
    body = assert_reply(0, -1, 41, RESULT_RATE_LIMITED);
    assert_in_range(wire_int(&body, "retry_after_ms"), 1, 51);
    assert_int_equal(f->metrics.rate_limited_connection_total, 1);
    f->clock.now_us += wire_int(&body, "retry_after_ms") * 1000;
    send_full(0, MSG_PING, 42);
    assert_reply(0, -1, 42, RESULT_OK);
    send_full(1, MSG_PING, 43); /* of each socket */
    assert_reply(1, -1, 43, RESULT_OK);
}

static void test_grab_and_say_have_their_own_buckets(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 20; i++) {
        send_full(0, MSG_GRAB, i);
        assert_reply(0, -1, i, RESULT_NOT_FOUND);
    }
    send_full(0, MSG_GRAB, 20);
    assert_reply(0, -1, 20, RESULT_RATE_LIMITED);
    for (uint32_t i = 30; i < 34; i++) {
        send_full(0, MSG_SAY, i);
        assert_reply(0, -1, i, RESULT_OK);
    }
    send_full(0, MSG_SAY, 34);
    assert_reply(0, -1, 34, RESULT_RATE_LIMITED);
    send_full(0, MSG_PING, 35);
    assert_reply(0, -1, 35, RESULT_OK);
}

/* ---- what a frame may be ---- */

static void test_unknown_op(void **state)
{
    (void)state;
    send_full(0, 99, 5);
    assert_bad(0, 5, "op");
    send_full(0, MSG_REPLY, 6); /* a server's message */
    assert_bad(0, 6, "op");
    assert_int_equal(f->people[0]->state, SESSION_JOINED);
}

static void test_bad_fields(void **state)
{
    (void)state;
    fake_send_empty(f, 0, MSG_GRAB, 1);
    assert_bad(0, 1, "code");
    send_str(0, MSG_GRAB, 2, "code", RAIN_A);
    assert_bad(0, 2, "seq");
    fake_send_empty(f, 0, MSG_JOIN, 3);
    assert_bad(0, 3, "room");
    send_str(0, MSG_JOIN, 4, "room", "a b");
    assert_bad(0, 4, "room");
    fake_send_empty(f, 0, MSG_PING, 5);
    assert_bad(0, 5, "t0");
    send_str(0, MSG_MY_GRANTS, 6, "code", "short");
    assert_bad(0, 6, "code");
    send_str(1, MSG_PREPARE, 7, "code", "short");
    assert_bad(1, 7, "code");
    send_str(1, MSG_STATS, 8, "code", "AAAAAAAAAAAAAAAAAAAAA!");
    assert_bad(1, 8, "code");
    send_str(1, MSG_KICK, 9, "user", "007");
    assert_bad(1, 9, "user");
    send_str(1, MSG_MUTE, 10, "user", "7");
    assert_bad(1, 10, "secs");
    assert_int_equal(f->metrics.protocol_errors_total, 6);
    assert_int_equal(f->jobs_n, 0);
}

static void test_malformed_closes(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
        {"", 0},
        {"\xc1", 1},
        {"\x93\x04\x01", 3},
        {"\x93\x04\x01\x80\x00", 5},
        {"{\"op\":4}", 8},
        {"\x94\x04\x01\x80\xc0", 5},
        {"\x93\x04\xff\x80", 4},
    };

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(bad); i++) {
        fake_connect(f, 3);
        dispatch(&f->w, f->people[3], rr_slice_of(bad[i].bytes, bad[i].len));
        assert_closed(3, CLOSE_INVALID_PAYLOAD);
        assert_int_equal(f->conns[3].sent_n, 0);
    }
}

/* ---- HELLO ---- */

static void test_hello(void **state)
{
    struct unpack_value body;

    (void)state;
    send_str(3, MSG_HELLO, 77, "token", "123 anchor ,r1,r2,");
    body = assert_only(3, 77, RESULT_OK);
    assert_true(wire_str_is(&body, "user", "123"));
    assert_true(wire_str_is(&body, "name", "u123"));
    assert_true(wire_str_is(&body, "role", "anchor"));
    assert_int_equal(wire_int(&body, "now"), fake_now_ms(f));
    assert_true(wire_has(&body, "may_send"));
    assert_ptr_equal(session_by_user(f->w.sessions, 123), f->people[3]);
}

static void test_hello_twice(void **state)
{
    (void)state;
    send_str(0, MSG_HELLO, 5, "token", "8 viewer *");
    assert_reply(0, -1, 5, RESULT_CONFLICT);
    assert_int_equal(f->people[0]->user_id, 7);
}

static void test_hello_of_another_version(void **state)
{
    struct rr_buf b = {0};

    (void)state;
    pack_map(&b, 2);
    pack_kv_str(&b, "token", "8 viewer *");
    pack_kv_int(&b, "ver", 2);
    fake_send(f, 3, MSG_HELLO, 5, &b);
    assert_closed(3, CLOSE_VERSION);
    fake_connect(f, 3);
    pack_map(&b, 2);
    pack_kv_str(&b, "token", "8 viewer *");
    pack_kv_int(&b, "ver", 1);
    fake_send(f, 3, MSG_HELLO, 5, &b);
    assert_only(3, 5, RESULT_OK);
}

static void test_hello_bad_token(void **state)
{
    (void)state;
    send_str(3, MSG_HELLO, 5, "token", "nonsense");
    assert_closed(3, CLOSE_BAD_TOKEN);
    fake_connect(f, 3);
    send_str(3, MSG_HELLO, 5, "token", "expired");
    assert_closed(3, CLOSE_EXPIRED);
    assert_int_equal(f->conns[3].sent_n, 0);
    assert_int_equal(f->metrics.auth_failures_total, 2);
}

static void test_guest_without_a_token(void **state)
{
    struct unpack_value body;
    uint32_t logs_n = f->bus.logs_n;

    (void)state;
    fake_send_empty(f, 3, MSG_HELLO, 5);
    body = assert_only(3, 5, RESULT_BAD_REQUEST);
    assert_true(wire_str_is(&body, "field", "token"));
    f->conf.server_guests = true;
    fake_send_empty(f, 3, MSG_HELLO, 6);
    assert_reply(3, -1, 6, RESULT_OK);
    assert_int_equal(f->people[3]->role, ROLE_GUEST);
    assert_null(session_by_user(f->w.sessions, 0));
    assert_int_equal(f->bus.logs_n, logs_n); /* nothing waits for nobody */
    fake_join(f, 3, "r1");
    send_full(3, MSG_GRAB, 7);
    assert_reply(3, -1, 7, RESULT_NOT_ELIGIBLE);
    send_full(3, MSG_MY_GRANTS, 8);
    assert_reply(3, -1, 8, RESULT_NOT_ELIGIBLE);
    send_full(3, MSG_REFRESH, 9);
    assert_reply(3, -1, 9, RESULT_NOT_ELIGIBLE);
    fake_disconnect(f, 3);
}

static void test_refresh(void **state)
{
    int64_t exp_s = 0;
    struct unpack_value body;

    (void)state;
    send_str(0, MSG_REFRESH, 5, "token", "7 anchor ,r1,r2,");
    body = assert_only(0, 5, RESULT_OK);
    assert_true(wire_str_is(&body, "role", "anchor"));
    assert_false(wire_has(&body, "left"));
    assert_int_equal(f->people[0]->state, SESSION_JOINED);
    exp_s = f->people[0]->token_exp_s;
    send_str(0, MSG_REFRESH, 6, "token", "8 viewer *");
    assert_reply(0, -1, 6, RESULT_NOT_ELIGIBLE);
    send_str(0, MSG_REFRESH, 7, "token", "expired");
    assert_reply(0, -1, 7, RESULT_UNAUTHORIZED);
    send_str(0, MSG_REFRESH, 8, "token", "nonsense");
    assert_reply(0, -1, 8, RESULT_UNAUTHORIZED);
    assert_int_equal(f->people[0]->token_exp_s, exp_s);
    assert_int_equal(f->people[0]->user_id, 7);
    assert_int_equal(f->people[0]->role, ROLE_ANCHOR);
    send_str(0, MSG_REFRESH, 9, "token", "7 viewer ,r2,");
    assert_reply(0, -1, 9, RESULT_OK);
    assert_int_equal(f->people[0]->state, SESSION_AUTHED);
}

/* A JOIN that the older token allowed does not come true after the newer one was taken. */
static void test_refresh_overtakes_a_join(void **state)
{
    (void)state;
    fake_hello(f, 4, "11 viewer *");
    send_str(4, MSG_JOIN, 5, "room", "r9"); /* waits for the room's feed */
    send_str(4, MSG_REFRESH, 6, "token", "11 viewer ,r1,");
    fake_hello(f, 5, "12 viewer *");
    fake_join(f, 5, "r9");
    assert_int_equal(f->people[4]->state, SESSION_AUTHED);
}

static void test_hello_brings_what_waited(void **state)
{
    struct room_kept item = {.biz_code = rr_slice_str("GRAB_RESULT"),
                             .payload = rr_slice_of("\x80", 1)};
    struct fake_user_log *log = NULL;
    struct wire w;

    (void)state;
    send_str(3, MSG_HELLO, 5, "token", "8 viewer *");
    log = &f->bus.logs[f->bus.logs_n - 1];
    assert_int_equal(log->user_id, 8);
    log->done(log->arg, RR_OK, &item, 1);
    log->done = NULL;
    assert_int_equal(f->conns[3].sent_n, 2);
    assert_true(wire_of(&f->conns[3], 1, &w));
    assert_int_equal(w.op, MSG_PUSH);
    assert_true(wire_str_is(&w.body, "biz_code", "GRAB_RESULT"));
}

/* ---- rooms ---- */

static void test_join_answer(void **state)
{
    struct unpack_value body;

    (void)state;
    fake_hello(f, 4, "11 viewer ,r1,");
    send_str(4, MSG_JOIN, 9, "room", "r1");
    body = assert_only(4, 9, RESULT_OK);
    assert_true(wire_str_is(&body, "room", "r1"));
    assert_true(wire_str_is(&body, "epoch", "0000000000000001"));
    assert_int_equal(wire_int(&body, "seq"), 1);
    assert_int_equal(wire_int(&body, "online"), 4);
    assert_true(wire_has(&body, "rains"));
    assert_false(wire_has(&body, "missed"));
    assert_false(wire_has(&body, "next"));
    send_str(4, MSG_JOIN, 10, "room", "r2"); /* not in his token */
    assert_reply(4, -1, 10, RESULT_NOT_ELIGIBLE);
    assert_int_equal(hub_members(f->w.hub, "r1"), 4); /* he stays where he was */
}

static void test_join_with_a_position(void **state)
{
    struct rr_buf b = {0};
    struct unpack_value body;

    (void)state;
    fake_rain(f, "r1", 2, RAIN_A, fake_now_ms(f) + 9000, fake_now_ms(f) + 60000, 1, 1);
    pack_map(&b, 3);
    pack_kv_str(&b, "room", "r1");
    pack_kv_str(&b, "epoch", "0000000000000001");
    pack_kv_int(&b, "seq", 1);
    fake_send(f, 0, MSG_JOIN, 9, &b);
    body = assert_only(0, 9, RESULT_OK);
    assert_true(wire_has(&body, "missed"));
    assert_int_equal(wire_int(&body, "seq"), 2);
    pack_map(&b, 2);
    pack_kv_str(&b, "room", "r1");
    pack_kv_str(&b, "epoch", "000000000000000G");
    fake_send(f, 0, MSG_JOIN, 10, &b);
    assert_bad(0, 10, "epoch");
}

static void test_join_of_an_open_rain_knows_the_next_seq(void **state)
{
    struct unpack_value body;
    struct unpack_value next;

    (void)state;
    fake_rain(f, "r1", 2, RAIN_A, fake_now_ms(f) - 10, fake_now_ms(f) + 60000, 3, 1);
    send_str(0, MSG_JOIN, 9, "room", "r1");
    assert_int_equal(f->conns[0].sent_n, 0);
    assert_int_equal(f->nexts_n, 1);
    f->nexts[0].done(f->nexts[0].arg, RR_OK, 2);
    f->nexts[0].done = NULL;
    body = assert_only(0, 9, RESULT_OK);
    assert_int_equal(unpack_get(&body, "next", &next), RR_OK);
    assert_int_equal(wire_int(&next, RAIN_A), 2);
}

static void test_who_comes_back_asks_nobody(void **state)
{
    struct unpack_value body;
    struct rr_buf b = {0};

    (void)state;
    fake_rain(f, "r1", 2, RAIN_A, fake_now_ms(f) - 10, fake_now_ms(f) + 60000, 3, 1);
    pack_map(&b, 3);
    pack_kv_str(&b, "room", "r1");
    pack_kv_str(&b, "epoch", "0000000000000001");
    pack_kv_int(&b, "seq", 1);
    fake_send(f, 0, MSG_JOIN, 9, &b);
    assert_int_equal(f->nexts_n, 0);
    body = assert_only(0, 9, RESULT_OK);
    assert_true(wire_has(&body, "missed"));
    assert_false(wire_has(&body, "next"));
    pack_map(&b, 3); /* a position that is not recovered: as without one */
    pack_kv_str(&b, "room", "r1");
    pack_kv_str(&b, "epoch", "0000000000000009");
    pack_kv_int(&b, "seq", 1);
    fake_send(f, 0, MSG_JOIN, 10, &b);
    assert_int_equal(f->nexts_n, 1);
}

static void test_only_the_latest_join_counts(void **state)
{
    (void)state;
    fake_rain(f, "r1", 2, RAIN_A, fake_now_ms(f) - 10, fake_now_ms(f) + 60000, 3, 1);
    send_str(0, MSG_JOIN, 9, "room", "r1");
    fake_send_empty(f, 0, MSG_LEAVE, 10);
    assert_only(0, 10, RESULT_OK);
    f->nexts[0].done(f->nexts[0].arg, RR_OK, 2);
    f->nexts[0].done = NULL;
    assert_reply(0, -1, 9, RESULT_CONFLICT);
    assert_int_equal(f->people[0]->state, SESSION_AUTHED);
    send_str(0, MSG_JOIN, 11, "room", "r1");
    fake_disconnect(f, 0);
    f->nexts[1].done(f->nexts[1].arg, RR_OK, 2); /* he is gone */
    f->nexts[1].done = NULL;
    assert_int_equal(hub_members(f->w.hub, "r1"), 2);
}

static void test_leave_and_ping(void **state)
{
    struct unpack_value body;
    struct unpack_value v;

    (void)state;
    fake_send_empty(f, 0, MSG_LEAVE, 5);
    assert_only(0, 5, RESULT_OK);
    assert_int_equal(f->people[0]->state, SESSION_AUTHED);
    send_full(0, MSG_PING, 6);
    body = assert_reply(0, -1, 6, RESULT_OK);
    assert_int_equal(wire_int(&body, "t0"), 5);
    assert_int_equal(unpack_get(&body, "t1", &v), RR_OK);
    assert_true(v.type == UNPACK_FLOAT && v.as.f == (double)fake_now_ms(f));
    assert_int_equal(unpack_get(&body, "t2", &v), RR_OK);
}

/* ---- chat and order ---- */

static void test_say(void **state)
{
    struct wire w = {0};
    struct rr_slice bytes;

    (void)state;
    send_str(0, MSG_SAY, 5, "text", "新年好");
    assert_only(0, 5, RESULT_OK);
    assert_int_equal(f->bus.outs[0].kind, FAKE_PUBLISH);
    assert_string_equal(f->bus.outs[0].room_id, "r1");
    assert_string_equal(f->bus.outs[0].biz_code, "SAY");
    bytes = rr_slice_of(f->bus.outs[0].payload.p, f->bus.outs[0].payload.len);
    assert_int_equal(unpack_next(&bytes, &w.body), RR_OK);
    assert_true(wire_str_is(&w.body, "user", "7")); /* from the token */
    assert_true(wire_str_is(&w.body, "text", "新年好"));
    send_str(0, MSG_SAY, 6, "text", "a\nb");
    assert_bad(0, 6, "text");
    f->w.bus_up = false;
    send_str(0, MSG_SAY, 7, "text", "x");
    assert_reply(0, -1, 7, RESULT_UNAVAILABLE);
    assert_int_equal(f->bus.outs_n, 1);
}

static void test_announce(void **state)
{
    struct fake_out *o = NULL;

    (void)state;
    send_str(1, MSG_ANNOUNCE, 5, "text", "hi");
    assert_int_equal(f->conns[1].sent_n, 0); /* told when it is in the log */
    o = &f->bus.outs[0];
    assert_int_equal(o->kind, FAKE_PUSH_ROOM);
    assert_string_equal(o->room_id, "r1");
    o->done(o->arg, RR_OK, 1, 2);
    o->done = NULL;
    assert_only(1, 5, RESULT_OK);
    send_str(1, MSG_ANNOUNCE, 6, "text", "hi");
    o = &f->bus.outs[1];
    o->done(o->arg, RR_PENDING, 0, 0);
    o->done = NULL;
    assert_reply(1, -1, 6, RESULT_UNAVAILABLE);
    send_str(1, MSG_ANNOUNCE, 7, "text", "hi");
    fake_disconnect(f, 1); /* its answer finds nobody */
}

/* What send_control() put on the channel arrives at every worker. */
static void deliver_control(uint32_t n)
{
    struct rr_buf *b = &f->bus.outs[n].payload;

    assert_int_equal(f->bus.outs[n].kind, FAKE_CONTROL);
    control_message(&f->w, rr_slice_of(b->p, b->len));
}

static void test_kick(void **state)
{
    struct wire w;

    (void)state;
    fake_hello(f, 4, "7 viewer *"); /* the same user elsewhere */
    fake_join(f, 4, "r2");
    fake_hello(f, 5, "7 viewer *"); /* and in no room */
    send_full(1, MSG_KICK, 5);
    assert_only(1, 5, RESULT_OK);
    assert_string_equal(f->bus.sanction, "r1 kick:7 60");
    deliver_control(0);
    assert_int_equal(f->conns[0].sent_n, 1);
    assert_true(wire_of(&f->conns[0], 0, &w));
    assert_true(wire_str_is(&w.body, "biz_code", "KICKED"));
    assert_closed(0, CLOSE_BANNED);
    assert_int_equal(f->conns[4].close_code, 0);
    assert_int_equal(f->conns[5].close_code, 0);
    assert_int_equal(hub_members(f->w.hub, "r1"), 2);
}

static void send_mute(uint32_t id, int64_t secs)
{
    struct rr_buf b = {0};

    pack_map(&b, 2);
    pack_kv_str(&b, "user", "7");
    pack_kv_int(&b, "secs", secs);
    fake_send(f, 1, MSG_MUTE, id, &b);
    deliver_control(f->bus.outs_n - 1);
}

static void test_mute(void **state)
{
    struct unpack_value body;
    struct wire w;

    (void)state;
    send_mute(5, 60);
    assert_true(wire_of(&f->conns[0], 0, &w));
    assert_true(wire_str_is(&w.body, "biz_code", "MUTED"));
    send_str(0, MSG_SAY, 6, "text", "x");
    body = assert_reply(0, -1, 6, RESULT_NOT_ELIGIBLE);
    assert_true(wire_str_is(&body, "reason", "muted"));
    f->clock.now_us += 61 * (int64_t)S;
    send_str(0, MSG_SAY, 7, "text", "x");
    assert_reply(0, -1, 7, RESULT_OK);
    send_mute(8, 60);
    send_mute(9, 0);
    send_str(0, MSG_SAY, 10, "text", "x");
    assert_reply(0, -1, 10, RESULT_OK);
}

static void control(const char *kind, const char *room, const char *user)
{
    struct rr_buf b = {0};

    pack_map(&b, 4);
    pack_kv_str(&b, "kind", kind);
    pack_kv_str(&b, "room", room);
    pack_kv_str(&b, "user", user);
    pack_kv_int(&b, "secs", 60);
    control_message(&f->w, rr_slice_of(b.p, b.len));
    rr_buf_fini(&b);
}

static void test_control_that_is_not_ours(void **state)
{
    (void)state;
    control("dance", "r1", "7"); /* of a newer version: no mute by accident */
    control("mute", "r1", "x");
    control("mute", "r2", "7");
    control("mute", "r1", "999");
    control_message(&f->w, rr_slice_of("\xc1", 1));
    control_message(&f->w, rr_slice_of("\x80", 1));
    assert_int_equal(sanctions_left_us(f->w.sanctions, SANCTION_MUTE, "r1", 7, 0), 0);
    assert_int_equal(f->conns[0].sent_n, 0);
    control("mute", "r1", "7");
    assert_int_equal(f->conns[0].sent_n, 1);
}

static void sanctioned(const char *room_id, const char *what, int64_t left_ms)
{
    struct room_sanction x = {.what = rr_slice_str(what), .until_ms = fake_now_ms(f) + left_ms};

    room_sanctioned(&f->w, room_id, &x);
}

/* What a room remembers from before this worker began. */
static void test_a_loaded_room_remembers(void **state)
{
    (void)state;
    sanctioned("r1", "mute:7", 60000);
    sanctioned("r1", "mute:9", 0); /* over */
    sanctioned("r1", "kick:11", 60000);
    sanctioned("r1", "kick:", 60000);
    sanctioned("r1", "kick:x", 60000);
    sanctioned("r1", "love:12", 60000);
    send_str(0, MSG_SAY, 5, "text", "x");
    assert_reply(0, -1, 5, RESULT_NOT_ELIGIBLE);
    send_str(1, MSG_SAY, 6, "text", "x");
    assert_reply(1, -1, 6, RESULT_OK);
    fake_hello(f, 4, "11 viewer *");
    send_str(4, MSG_JOIN, 7, "room", "r1");
    assert_reply(4, -1, 7, RESULT_NOT_ELIGIBLE);
    fake_hello(f, 5, "12 viewer *");
    send_str(5, MSG_JOIN, 8, "room", "r1");
    assert_reply(5, -1, 8, RESULT_OK);
}

/* He asked before the room was loaded: what the load brings counts. */
static void test_a_join_that_waited_is_judged_again(void **state)
{
    (void)state;
    fake_hello(f, 4, "11 viewer *");
    sanctioned("r9", "kick:11", 60000);
    join_resume(&f->w, f->people[4], 7, "r9", 0, 0);
    assert_reply(4, -1, 7, RESULT_NOT_ELIGIBLE);
    assert_int_equal(f->people[4]->state, SESSION_AUTHED);
}

static void control_ban(enum ban_scope scope, uint64_t who, int64_t until_ms)
{
    struct rr_buf b = {0};

    ban_control_pack(&b, scope, who, until_ms);
    control_message(&f->w, rr_slice_of(b.p, b.len));
    rr_buf_fini(&b);
}

static void test_a_ban_closes_and_refuses(void **state)
{
    (void)state;
    fake_hello(f, 4, "7 viewer *"); /* the same user elsewhere, in no room */
    control_ban(BAN_USER, 7, INT64_MAX);
    assert_closed(0, CLOSE_BANNED);
    assert_closed(4, CLOSE_BANNED);
    assert_int_equal(f->people[1]->state, SESSION_JOINED);
    send_str(3, MSG_HELLO, 5, "token", "7 viewer *");
    assert_closed(3, CLOSE_BANNED);
    assert_int_equal(f->conns[3].sent_n, 0);
    assert_int_equal(f->metrics.banned_closed_total, 3);
    control_ban(BAN_USER, 7, 0);
    fake_connect(f, 3);
    send_str(3, MSG_HELLO, 6, "token", "7 viewer *");
    assert_reply(3, -1, 6, RESULT_OK);
    control_ban(BAN_USER, 7, rr_wall_ms(f->w.clock)); /* over by now */
    assert_int_equal(f->people[3]->state, SESSION_AUTHED);
}

/* A list that was read before the ban was made comes back after it. */
static void test_a_ban_overtakes_a_reading(void **state)
{
    struct db_job *job = NULL;

    (void)state;
    ban_watch_tick(f->w.bans);
    assert_int_equal(f->jobs_n, 1);
    control_ban(BAN_USER, 7, INT64_MAX);
    job = (struct db_job *)f->jobs[0];
    f->jobs[0] = NULL;
    job->done(job); /* nobody on it */
    send_str(3, MSG_HELLO, 5, "token", "7 viewer *");
    assert_closed(3, CLOSE_BANNED);
    ban_watch_tick(f->w.bans);
    assert_int_equal(f->jobs_n, 2);
    job = (struct db_job *)f->jobs[1];
    f->jobs[1] = NULL;
    job->done(job);
    ban_watch_tick(f->w.bans);
    assert_int_equal(f->jobs_n, 2); /* not before its time */
    fake_connect(f, 3);
    send_str(3, MSG_HELLO, 5, "token", "7 viewer *");
    assert_reply(3, -1, 5, RESULT_OK);
}

static void test_a_ban_of_an_address(void **state)
{
    (void)state;
    f->people[0]->address = 99;
    f->people[3]->address = 99;
    control_ban(BAN_ADDRESS, 99, INT64_MAX);
    assert_closed(0, CLOSE_BANNED);
    send_str(3, MSG_HELLO, 5, "token", "8 viewer *");
    assert_closed(3, CLOSE_BANNED);
    assert_int_equal(f->people[1]->state, SESSION_JOINED);
}

/* ---- rains ---- */

static void test_create(void **state)
{
    struct rr_buf b = {0};
    struct rain_job *j = NULL;
    struct unpack_value body;

    (void)state;
    pack_map(&b, 8);
    pack_kv_str(&b, "biz_id", "b1");
    pack_kv_int(&b, "total", 1000);
    pack_kv_int(&b, "count", 10);
    pack_kv_str(&b, "split", "equal");
    pack_kv_int(&b, "limit", 2);
    pack_kv_str(&b, "text", "发");
    pack_kv_str(&b, "user_id", "1"); /* ignored like any unknown key */
    pack_kv_str(&b, "sender", "1");
    fake_send(f, 1, MSG_CREATE, 5, &b);
    assert_int_equal(f->jobs_n, 1);
    assert_int_equal(f->lanes[0], DB_LANE_ANCHOR);
    j = f->jobs[0];
    assert_int_equal(j->kind, RAIN_JOB_CREATE);
    assert_int_equal(j->spec.sender_id, 9);
    assert_string_equal(j->spec.room_id, "r1");
    assert_string_equal(j->spec.biz_id, "b1");
    assert_string_equal(j->spec.text, "发");
    assert_int_equal(j->spec.total_fen, 1000);
    assert_int_equal(j->spec.count, 10);
    assert_int_equal(j->spec.limit, 2);
    assert_int_equal(j->spec.split, RAIN_EQUAL);
    assert_false(j->any_room);
    strcpy(j->rains->code, RAIN_A);
    j->rains->status = RAIN_CREATED;
    j->rains_n = 1;
    j->wallet.balance_fen = 4000;
    fake_job_done(f, 0, RR_DUPLICATE); /* the same biz_id again: what it asked for is there */
    body = assert_only(1, 5, RESULT_OK);
    assert_true(wire_str_is(&body, "code", RAIN_A));
    assert_true(wire_str_is(&body, "status", "CREATED"));
    assert_int_equal(wire_int(&body, "balance"), 4000);
}

static void send_packet(int who, uint32_t id, int64_t total)
{
    struct rr_buf b = {0};

    pack_map(&b, 6);
    pack_kv_str(&b, "biz_id", "s1");
    pack_kv_str(&b, "kind", "enterprise");
    pack_kv_int(&b, "total", total);
    pack_kv_int(&b, "count", 2);
    pack_kv_str(&b, "users", "12,8");
    pack_kv_int(&b, "expire_at", 1234567);
    fake_send(f, who, MSG_SEND, id, &b);
}

static void test_send(void **state)
{
    struct rain_job *j = NULL;
    struct unpack_value body;

    (void)state;
    send_packet(0, 5, 1000); /* the token does not say may_send */
    assert_only(0, 5, RESULT_NOT_ELIGIBLE);
    f->people[0]->may_send = true;
    send_packet(0, 6, f->conf.limits_send_total_fen + 1);
    assert_bad(0, 6, "total");
    send_packet(0, 7, 1000);
    assert_int_equal(f->jobs_n, 1);
    assert_int_equal(f->lanes[0], DB_LANE_VIEWER);
    j = f->jobs[0];
    assert_int_equal(j->kind, RAIN_JOB_SEND);
    assert_int_equal(j->spec.kind, KIND_ENTERPRISE);
    assert_int_equal(j->spec.by, KIND_BY_SENDER);
    assert_int_equal(j->spec.sender_id, 7);
    assert_int_equal(j->spec.anchor_id, 0);
    assert_int_equal(j->spec.users_n, 2);
    assert_int_equal(j->spec.users[0], 8);
    assert_int_equal(j->spec.expire_at_ms, 1234567);
    assert_int_equal(j->spec.open_max, f->conf.limits_send_open);
    assert_int_equal(j->spec.room_max, f->conf.limits_send_room);
    strcpy(j->rains->code, RAIN_A);
    j->rains->status = RAIN_SENT;
    j->rains->spec.kind = KIND_ENTERPRISE;
    fake_job_done(f, 0, RR_OK);
    body = assert_reply(0, -1, 7, RESULT_OK);
    assert_true(wire_str_is(&body, "kind", "enterprise"));
    assert_true(wire_str_is(&body, "status", "SENT"));
    send_packet(1, 8, f->conf.limits_send_total_fen + 1); /* the anchor's own limit is his wallet */
    assert_int_equal(f->jobs_n, 2);
    assert_int_equal(f->jobs[1]->spec.anchor_id, 9);
    fake_job_done(f, 1, RR_FULL);
    body = assert_reply(1, -1, 8, RESULT_BUSY);
    assert_true(wire_str_is(&body, "reason", "too many unfinished packets"));
}

static void test_send_has_its_own_bucket(void **state)
{
    uint32_t passed = 0;

    (void)state;
    f->people[0]->may_send = true;
    for (uint32_t i = 0; i < 30; i++) {
        f->clock.now_us += 100000;
        send_packet(0, 10 + i, 1000);
    }
    passed = f->jobs_n;
    assert_int_equal(passed, 2 * f->conf.limits_send_per_min);
    assert_reply(0, -1, 39, RESULT_RATE_LIMITED);
    fake_send_empty(f, 0, MSG_MY_SENT, 50);
    assert_int_equal(f->jobs_n, passed + 1);
    assert_int_equal(f->jobs[passed]->kind, RAIN_JOB_SENT);
    assert_int_equal(f->jobs[passed]->user_id, 7);
    assert_string_equal(f->jobs[passed]->code, "");
    fake_send_empty(f, 0, MSG_MY_SENT, 51);
    assert_reply(0, -1, 51, RESULT_RATE_LIMITED);
    f->clock.now_us += 1000000;
    send_str(0, MSG_MY_SENT, 52, "before", "short");
    assert_bad(0, 52, "before");
    send_str(0, MSG_MY_SENT, 53, "before", RAIN_A);
    assert_int_equal(f->jobs_n, passed + 2);
    assert_string_equal(f->jobs[passed + 1]->code, RAIN_A);
}

static void test_create_refused(void **state)
{
    struct unpack_value body;

    (void)state;
    send_full(1, MSG_CREATE, 5);
    fake_job_done(f, 0, RR_NO_MONEY);
    body = assert_reply(1, -1, 5, RESULT_CONFLICT);
    assert_true(wire_has(&body, "reason"));
    send_full(1, MSG_CREATE, 6);
    f->jobs[1]->field = "total";
    fake_job_done(f, 1, RR_BAD_REQUEST);
    assert_bad(1, 6, "total");
    send_full(1, MSG_CREATE, 7);
    fake_job_done(f, 2, RR_UNAVAILABLE);
    assert_reply(1, -1, 7, RESULT_UNAVAILABLE);
    f->submit_err = RR_BUSY; /* the threads are behind */
    send_full(1, MSG_CREATE, 8);
    body = assert_reply(1, -1, 8, RESULT_BUSY);
    assert_true(wire_int(&body, "retry_after_ms") > 0);
}

static void test_create_numbers_that_fit_nowhere(void **state)
{
    static const struct {
        const char *key;
        int64_t value;
    } bad[] = {
        {"count", -1},      {"count", INT64_C(1) << 32}, {"limit", 0}, {"limit", -5},
        {"shards", 0},      {"shards", INT64_MAX},       {"lo", 0},    {"hi", -1},
        {"duration_ms", 0},
    };

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(bad); i++) {
        struct rr_buf b = {0};
        bool is_count = strcmp(bad[i].key, "count") == 0;

        pack_map(&b, 4 - is_count);
        pack_kv_str(&b, "biz_id", "b1");
        pack_kv_int(&b, "total", 1000);
        if (!is_count)
            pack_kv_int(&b, "count", 10);
        pack_kv_int(&b, bad[i].key, bad[i].value);
        fake_send(f, 1, MSG_CREATE, 5, &b);
        assert_bad(1, 5, bad[i].key);
    }
    assert_int_equal(f->jobs_n, 0);
}

static void test_steps_of_a_rain(void **state)
{
    static const struct {
        int op;
        enum rain_job_kind kind;
    } steps[] = {
        {MSG_PREPARE, RAIN_JOB_PREPARE}, {MSG_START, RAIN_JOB_START},
        {MSG_EXTEND, RAIN_JOB_EXTEND},   {MSG_CLOSE, RAIN_JOB_CLOSE},
        {MSG_CANCEL, RAIN_JOB_CANCEL},   {MSG_STATS, RAIN_JOB_SHOW},
    };

    (void)state;
    for (uint32_t i = 0; i < RR_COUNTOF(steps); i++) {
        struct rain_job *j = NULL;

        send_full(1, steps[i].op, 50 + i);
        assert_int_equal(f->jobs_n, i + 1);
        j = f->jobs[i];
        assert_int_equal(j->kind, steps[i].kind);
        assert_string_equal(j->code, RAIN_A);
        assert_string_equal(j->room_id, "r1");
        assert_int_equal(j->user_id, 9);
        assert_false(j->any_room); /* an anchor acts in its room only */
        strcpy(j->rains->code, RAIN_A);
        j->rains->status = RAIN_SENT;
        j->rains_n = 1;
        fake_job_done(f, i, RR_OK);
        assert_reply(1, -1, 50 + i, RESULT_OK);
    }
}

static void test_start_defaults(void **state)
{
    struct rr_buf b = {0};

    (void)state;
    send_str(1, MSG_START, 5, "code", RAIN_A);
    assert_int_equal(f->jobs[0]->countdown_ms, 5000);
    assert_int_equal(f->jobs[0]->duration_ms, 0);
    pack_map(&b, 3);
    pack_kv_str(&b, "code", RAIN_A);
    pack_kv_int(&b, "countdown_ms", 0);
    pack_kv_int(&b, "duration_ms", 2000);
    fake_send(f, 1, MSG_START, 6, &b);
    assert_int_equal(f->jobs[1]->countdown_ms, 0);
    assert_int_equal(f->jobs[1]->duration_ms, 2000);
}

static void test_stats_of_the_room(void **state)
{
    struct unpack_value body;
    struct unpack_value rains;

    (void)state;
    fake_send_empty(f, 1, MSG_STATS, 5);
    assert_int_equal(f->jobs[0]->kind, RAIN_JOB_LIST);
    f->jobs[0]->rains_n = 2;
    f->jobs[0]->wallet.balance_fen = 321;
    fake_job_done(f, 0, RR_OK);
    body = assert_only(1, 5, RESULT_OK);
    assert_int_equal(wire_int(&body, "online"), 3);
    assert_int_equal(wire_int(&body, "balance"), 321);
    assert_int_equal(unpack_get(&body, "rains", &rains), RR_OK);
    assert_int_equal(rains.as.n, 2);
}

static void test_answer_for_who_left(void **state)
{
    (void)state;
    send_full(1, MSG_PREPARE, 5);
    fake_disconnect(f, 1);
    fake_connect(f, 1); /* the same slot, another session */
    fake_job_done(f, 0, RR_OK);
    assert_int_equal(f->conns[1].sent_n, 0);
}

static void send_grab(int who, uint32_t id, const char *code, bool again)
{
    struct rr_buf b = {0};

    pack_map(&b, 3);
    pack_kv_str(&b, "code", code);
    pack_kv_int(&b, "seq", 3);
    pack_kv_bool(&b, "again", again);
    fake_send(f, who, MSG_GRAB, id, &b);
}

static void test_my_grants(void **state)
{
    struct rain_job *j = NULL;
    struct unpack_value body;
    struct unpack_value list;
    struct unpack_value g;

    (void)state;
    fake_rain(f, "r1", 2, RAIN_A, fake_now_ms(f) - 10, fake_now_ms(f) + 60000, 3, 4);
    send_str(0, MSG_MY_GRANTS, 5, "code", RAIN_A);
    j = f->jobs[0];
    assert_int_equal(f->lanes[0], DB_LANE_VIEWER);
    assert_int_equal(j->kind, RAIN_JOB_GRANTS);
    assert_int_equal(j->user_id, 7);
    assert_int_equal(j->shards, 4);
    strcpy(j->grants[0].row.code, RAIN_A);
    j->grants[0].row.amount_fen = 99;
    j->grants[1] = j->grants[0];
    j->grants[1].in_sql = true;
    j->grants[1].row.state = 's';
    j->grants_n = 2;
    fake_job_done(f, 0, RR_OK);
    body = assert_only(0, 5, RESULT_OK);
    assert_int_equal(unpack_get(&body, "grants", &list), RR_OK);
    assert_int_equal(list.as.n, 2);
    assert_int_equal(unpack_next(&list.items, &g), RR_OK);
    assert_true(wire_str_is(&g, "state", "confirming"));
    assert_false(wire_has(&g, "amount")); /* not before the books have it */
    assert_int_equal(unpack_next(&list.items, &g), RR_OK);
    assert_true(wire_str_is(&g, "state", "settled"));
    assert_int_equal(wire_int(&g, "amount"), 99);
}

static void test_my_grants_list_is_rare(void **state)
{
    struct unpack_value body;

    (void)state;
    fake_send_empty(f, 0, MSG_MY_GRANTS, 5);
    assert_int_equal(f->jobs_n, 1);
    fake_send_empty(f, 0, MSG_MY_GRANTS, 6);
    body = assert_only(0, 6, RESULT_RATE_LIMITED);
    assert_true(wire_int(&body, "retry_after_ms") > 0);
    f->clock.now_us += 5 * (int64_t)S;
    fake_send_empty(f, 0, MSG_MY_GRANTS, 7);
    assert_int_equal(f->jobs_n, 2);
    f->submit_err = RR_BUSY;
    f->clock.now_us += 5 * (int64_t)S;
    fake_send_empty(f, 0, MSG_MY_GRANTS, 8);
    assert_reply(0, -1, 8, RESULT_BUSY);
}

/* A rain this worker does not know: a first try is refused, one that may have won is a question to the books. */
static void test_grab_of_an_unknown_rain(void **state)
{
    struct unpack_value body;
    struct rain_job *j = NULL;

    (void)state;
    send_grab(0, 4, RAIN_A, false);
    assert_reply(0, -1, 4, RESULT_NOT_FOUND);
    assert_int_equal(f->jobs_n, 0);
    send_grab(0, 5, RAIN_A, true);
    j = f->jobs[0];
    assert_int_equal(f->lanes[0], DB_LANE_VIEWER);
    assert_int_equal(j->kind, RAIN_JOB_GRAB);
    assert_int_equal(j->user_id, 7);
    assert_int_equal(j->seq, 3);
    assert_string_equal(j->room_id, "r1");
    j->grants->row = (struct grant_row){.shard = 1, .packet_no = 8, .seq = 3, .amount_fen = 99};
    fake_job_done(f, 0, RR_OK);
    body = assert_reply(0, -1, 5, RESULT_OK);
    assert_int_equal(wire_int(&body, "amount"), 99);
    assert_int_equal(wire_int(&body, "no"), 8);
    assert_int_equal(wire_int(&body, "seq"), 3);
    send_grab(0, 6, RAIN_A, true);
    assert_reply(0, -1, 6, RESULT_RATE_LIMITED);
    f->clock.now_us += 2 * (int64_t)S;
    send_grab(0, 7, RAIN_A, true);
    fake_job_done(f, 1, RR_RECOVERING);
    body = assert_reply(0, -1, 7, RESULT_RECOVERING);
    assert_true(wire_int(&body, "retry_after_ms") > 0);
    f->clock.now_us += 2 * (int64_t)S;
    send_grab(0, 8, RAIN_A, true);
    fake_job_done(f, 2, RR_ENDED);
    assert_reply(0, -1, 8, RESULT_ENDED);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_everything_before_hello),
        TEST(test_a_stranger_is_rate_limited_too),
        TEST(test_without_a_room),
        TEST(test_only_the_anchor),
        TEST(test_a_guest_watches),
        TEST(test_rate_limits),
        TEST(test_grab_and_say_have_their_own_buckets),
        TEST(test_unknown_op),
        TEST(test_bad_fields),
        TEST(test_malformed_closes),
        TEST(test_hello),
        TEST(test_hello_twice),
        TEST(test_hello_of_another_version),
        TEST(test_hello_bad_token),
        TEST(test_guest_without_a_token),
        TEST(test_refresh),
        TEST(test_refresh_overtakes_a_join),
        TEST(test_hello_brings_what_waited),
        TEST(test_join_answer),
        TEST(test_join_with_a_position),
        TEST(test_join_of_an_open_rain_knows_the_next_seq),
        TEST(test_who_comes_back_asks_nobody),
        TEST(test_only_the_latest_join_counts),
        TEST(test_leave_and_ping),
        TEST(test_say),
        TEST(test_announce),
        TEST(test_kick),
        TEST(test_mute),
        TEST(test_control_that_is_not_ours),
        TEST(test_a_loaded_room_remembers),
        TEST(test_a_join_that_waited_is_judged_again),
        TEST(test_a_ban_closes_and_refuses),
        TEST(test_a_ban_overtakes_a_reading),
        TEST(test_a_ban_of_an_address),
        TEST(test_create),
        TEST(test_send),
        TEST(test_send_has_its_own_bucket),
        TEST(test_create_refused),
        TEST(test_create_numbers_that_fit_nowhere),
        TEST(test_steps_of_a_rain),
        TEST(test_start_defaults),
        TEST(test_stats_of_the_room),
        TEST(test_answer_for_who_left),
        TEST(test_my_grants),
        TEST(test_my_grants_list_is_rare),
        TEST(test_grab_of_an_unknown_rain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
