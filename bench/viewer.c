/* viewer.c - the life of a viewer's connection; see viewer.h. */
#include "viewer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/msg.h"

enum {
    ANSWER_MAX_US = 15 * 1000 * 1000,  /* for connect, HELLO, JOIN */
    SILENCE_MAX_US = 90 * 1000 * 1000, /* the server pings every 30 s */
    PING_MAX_US = 5 * 1000 * 1000,
    RETRY_MS = 500,
    BACKOFF_MIN_US = 200 * 1000,
    BACKOFF_MAX_US = 5 * 1000 * 1000,
    VIEWERS_PER_SOURCE = 200,  /* the server may limit the connections of an address */
    SOURCE_FIRST = 0x7f000002, /* 127.0.0.2 */
    SOURCES_MAX = 250 * 250,
    STALL_US = 20 * 1000 * 1000, /* how long one reads nothing, and how long he reads then */
    STALL_SPREAD = 20,
    MISSED_TOLD_MAX = 100,
};

void viewer_init(struct viewer *v, struct crowd *c, uint32_t index, struct user *u)
{
    *v = (struct viewer){
        .ws = {.net = &c->net, .owner = v, .fd = -1},
        .old = {.net = &c->net, .owner = v, .fd = -1},
        .crowd = c,
        .user = u,
        .index = index,
        .wake_us = TIMER_NEVER,
        .base_seq = -1,
    };
    if (c->opts->stall_pct && index % 100 < c->opts->stall_pct)
        v->next_stall_us = STALL_US + (int64_t)(index % STALL_SPREAD) * 1000 * 1000;
}

void viewer_fini(struct viewer *v)
{
    ws_client_fini(&v->ws);
    ws_client_fini(&v->old);
    free(v->books);
    v->books = NULL;
}

static void rearm(struct viewer *v)
{
    int64_t at_us = v->wake_us;
    if (v->state == VIEWER_JOINED) {
        at_us = v->heard_us + SILENCE_MAX_US;
        if (v->leave_us && v->leave_us < at_us)
            at_us = v->leave_us;
        int64_t grab_us = viewer_grab_wake_us(v);
        if (grab_us < at_us)
            at_us = grab_us;
    }
    timers_set(&v->crowd->timers, v->index, at_us);
}

static void set_state(struct viewer *v, enum viewer_state state, int64_t wake_us)
{
    struct crowd_stats *st = &v->crowd->stats;
    if (v->state == VIEWER_JOINED)
        st->joined--;
    if (state == VIEWER_JOINED)
        st->joined++;
    bool connected = state >= VIEWER_HELLO && state <= VIEWER_JOINED;
    if (connected != v->connected)
        st->connected += connected ? 1 : UINT64_MAX;
    v->connected = connected;
    v->state = state;
    v->wake_us = wake_us;
    rearm(v);
}

/* Spread round robin, with as many addresses as it takes to stay below VIEWERS_PER_SOURCE each. */
static uint32_t source_of(const struct viewer *v)
{
    uint32_t n = (v->crowd->n_viewers + VIEWERS_PER_SOURCE - 1) / VIEWERS_PER_SOURCE;
    if (!v->crowd->net.loopback)
        return 0;
    uint32_t k = v->index % (n < SOURCES_MAX ? n : SOURCES_MAX);
    return SOURCE_FIRST + (k / 250 << 8) + k % 250;
}

static void come_back_later(struct viewer *v, int64_t now_us)
{
    uint32_t doublings = v->attempts < 5 ? v->attempts : 5;
    int64_t span_us = (int64_t)BACKOFF_MIN_US << doublings;
    if (span_us > BACKOFF_MAX_US)
        span_us = BACKOFF_MAX_US;
    int64_t jitter_us = (int64_t)(ws_net_random(&v->crowd->net) % (uint64_t)span_us);
    set_state(v, VIEWER_OFFLINE, now_us + BACKOFF_MIN_US + jitter_us);
}

void viewer_connect(struct viewer *v, int64_t now_us)
{
    v->attempts++;
    v->leave_us = 0;
    v->ping_us = 0;
    v->control_id = 0;
    v->heard_us = now_us;
    if (ws_client_open(&v->ws, source_of(v))) {
        come_back_later(v, now_us);
        return;
    }
    set_state(v, VIEWER_CONNECTING, now_us + ANSWER_MAX_US);
}

static void send_buf(struct viewer *v, struct rr_buf *b)
{
    if (!b->failed)
        ws_client_send(&v->ws, rr_slice_of(b->p, b->len));
    rr_buf_fini(b);
}

static void send_hello(struct viewer *v, int64_t now_us)
{
    struct rr_buf b = {0};
    v->control_id = ++v->last_id;
    v->sent_us = now_us;
    wire_hello(&b, v->control_id, v->user->token);
    send_buf(v, &b);
    set_state(v, VIEWER_HELLO, now_us + ANSWER_MAX_US);
}

static void send_join(struct viewer *v, int64_t now_us)
{
    struct rr_buf b = {0};
    v->control_id = ++v->last_id;
    v->sent_us = now_us;
    wire_join(&b, v->control_id, v->crowd->opts->room, v->epoch, v->room_seq);
    send_buf(v, &b);
    set_state(v, VIEWER_JOINING, now_us + ANSWER_MAX_US);
}

void viewer_ping(struct viewer *v, int64_t now_us)
{
    struct rr_buf b = {0};
    if (v->state != VIEWER_JOINED || (v->ping_us && now_us - v->ping_us < PING_MAX_US))
        return;
    v->ping_id = ++v->last_id;
    v->ping_us = now_us;
    wire_ping(&b, v->ping_id, now_us / 1000);
    send_buf(v, &b);
}

static void on_pong(struct viewer *v, const struct unpack_value *body, int64_t now_us)
{
    int64_t t1_us = 0;
    int64_t t2_us = 0;
    int64_t sent_us = v->ping_us;

    v->ping_us = 0;
    if (wire_int(body, "result", -1) != RESULT_OK)
        return; /* e.g. RATE_LIMITED: another viewer's sample will do */
    if (wire_time_us(body, "t1", &t1_us) || wire_time_us(body, "t2", &t2_us)) {
        v->crowd->stats.bad_messages++;
        return;
    }
    clock_sync_sample(&v->crowd->clock, sent_us, t1_us, t2_us, now_us);
}

/* HELLO or JOIN was not granted: again later, or never. */
static void on_control_refused(struct viewer *v, const struct unpack_value *body, int64_t now_us)
{
    int64_t result = wire_int(body, "result", -1);
    bool again = result == RESULT_RATE_LIMITED || result == RESULT_BUSY ||
                 result == RESULT_RECOVERING || result == RESULT_UNAVAILABLE;
    if (!again) {
        v->crowd->stats.refused++;
        ws_client_close(&v->ws, CLOSE_NORMAL);
        set_state(v, VIEWER_GONE, TIMER_NEVER);
        return;
    }
    int64_t retry_ms = wire_int(body, "retry_after_ms", RETRY_MS);
    int64_t jitter_ms = (int64_t)(ws_net_random(&v->crowd->net) % RETRY_MS);
    set_state(v, v->state, now_us + (retry_ms + jitter_ms) * 1000);
}

static void on_joined(struct viewer *v, const struct unpack_value *body, int64_t now_us)
{
    struct crowd_stats *st = &v->crowd->stats;
    if (v->moving) {
        st->moves++;
        v->moving = false;
        viewer_lost(v, now_us); /* what is open is asked again here */
        ws_client_close(&v->old, CLOSE_NORMAL);
    } else if (v->ever_joined) {
        st->reconnects++;
    } else {
        st->joined_ever++;
    }
    v->ever_joined = true;
    v->attempts = 0;
    viewer_on_join(v, body, now_us);
    set_state(v, VIEWER_JOINED, TIMER_NEVER);
    if (v->crowd->clock.samples < 32)
        viewer_ping(v, now_us);
}

static void on_control_reply(struct viewer *v, const struct unpack_value *body, int64_t now_us)
{
    int64_t now_rain_us = 0;
    v->control_id = 0;
    if (wire_int(body, "result", -1) != RESULT_OK) {
        on_control_refused(v, body, now_us);
        return;
    }
    if (v->state == VIEWER_JOINING) {
        on_joined(v, body, now_us);
        return;
    }
    if (!wire_time_us(body, "now", &now_rain_us))
        clock_sync_guess(&v->crowd->clock, now_rain_us, now_us);
    send_join(v, now_us);
}

void viewer_missed(const struct viewer *v, const char *how, int64_t n)
{
    struct crowd_stats *st = &v->crowd->stats;
    if (st->missed_told++ >= MISSED_TOLD_MAX)
        return;
    fprintf(stderr,
            "viewer %u missed %" PRId64 " pushes after %" PRId64 " (%s), %" PRId64
            " ms after the start\n",
            v->index, n, v->room_seq, how, (crowd_now_us() - v->crowd->begun_us) / 1000);
}

static void on_goaway(struct viewer *v, const struct unpack_value *body, int64_t now_us)
{
    int64_t delay_ms = wire_int(body, "delay_ms", 0);
    v->leave_us = now_us + (delay_ms > 0 ? delay_ms : 0) * 1000 + 1;
}

/* His slot has come: another connection is made, and this one is left when that one has joined. */
static void move(struct viewer *v, int64_t now_us)
{
    ws_client_move(&v->old, &v->ws);
    v->moving = true;
    viewer_connect(v, now_us);
}

static void on_message(struct ws_client *ws, struct rr_slice bytes)
{
    struct viewer *v = ws->owner;
    struct wire_msg m;
    int64_t now_us = crowd_now_us();

    v->heard_old = ws == &v->old;
    if (wire_decode(bytes, &m)) {
        v->crowd->stats.bad_messages++;
        return;
    }
    if (m.op == MSG_PUSH)
        viewer_on_push(v, &m.body, true, now_us);
    else if (m.op == MSG_GOAWAY)
        on_goaway(v, &m.body, now_us);
    else if (m.op != MSG_REPLY)
        v->crowd->stats.bad_messages++;
    else if (v->control_id && m.id == v->control_id)
        on_control_reply(v, &m.body, now_us);
    else if (v->ping_us && m.id == v->ping_id)
        on_pong(v, &m.body, now_us);
    else
        viewer_on_grab_reply(v, &m, now_us);
    rearm(v);
}

static void on_open(struct ws_client *ws)
{
    send_hello(ws->owner, crowd_now_us());
}

static bool may_come_back(int code)
{
    switch (code) {
#define X(name, n, reconnect, zh, en)                                                              \
    case n: return (reconnect) || (n) == CLOSE_NORMAL;
        CLOSE_MAP(X)
#undef X
    case -403:
    case -401:
    case -404: return false;
    default: return true;
    }
}

static void on_closed(struct ws_client *ws, int code)
{
    struct viewer *v = ws->owner;
    int64_t now_us = crowd_now_us();

    if (ws == &v->old)
        return; /* the other one is there, or on its way */
    viewer_lost(v, now_us);
    if (v->state == VIEWER_GONE || v->crowd->ending) {
        set_state(v, VIEWER_GONE, TIMER_NEVER);
        return;
    }
    if (v->connected)
        v->crowd->stats.disconnects++;
    if (may_come_back(code)) {
        come_back_later(v, now_us);
        return;
    }
    v->crowd->stats.refused++;
    set_state(v, VIEWER_GONE, TIMER_NEVER);
}

const struct ws_handlers viewer_handlers = {
    .open = on_open,
    .message = on_message,
    .closed = on_closed,
};

/* Too slow, too silent, or told to leave: this connection is given up. */
static void reconnect(struct viewer *v, int64_t now_us)
{
    ws_client_close(&v->ws, CLOSE_NORMAL);
    ws_client_abort(&v->ws);
    viewer_lost(v, now_us);
    if (v->connected)
        v->crowd->stats.disconnects++;
    come_back_later(v, now_us);
}

void viewer_drop(struct viewer *v, int64_t now_us)
{
    if (v->state == VIEWER_OFFLINE || v->state == VIEWER_GONE)
        return;
    v->stall_us = 0;
    ws_client_abort(&v->ws);
    viewer_lost(v, now_us);
    if (v->connected)
        v->crowd->stats.disconnects++;
    come_back_later(v, now_us);
}

void viewer_stall(struct viewer *v, int64_t now_us)
{
    bool calm = v->crowd->calm;

    if (!v->next_stall_us)
        return;
    if (v->stall_us && (calm || now_us >= v->stall_us || v->state != VIEWER_JOINED)) {
        v->stall_us = 0;
        v->next_stall_us = now_us - v->crowd->begun_us + STALL_US;
        v->heard_us = now_us;
        ws_client_read(&v->ws, true);
    } else if (!v->stall_us && !calm && v->state == VIEWER_JOINED &&
               now_us - v->crowd->begun_us >= v->next_stall_us) {
        v->stall_us = now_us + STALL_US;
        v->crowd->stats.stalls++;
        ws_client_read(&v->ws, false);
    }
}

void viewer_wake(struct viewer *v, int64_t now_us)
{
    bool due = now_us >= v->wake_us;
    switch (v->state) {
    case VIEWER_OFFLINE:
        if (due)
            viewer_connect(v, now_us);
        break;
    case VIEWER_HELLO:
    case VIEWER_JOINING:
        if (due && v->control_id == 0) {
            if (v->state == VIEWER_HELLO)
                send_hello(v, now_us);
            else
                send_join(v, now_us);
            break;
        }
        /* fall through */
    case VIEWER_CONNECTING:
        if (due)
            reconnect(v, now_us);
        break;
    case VIEWER_JOINED:
        if (v->ws.heard)
            v->heard_us = now_us;
        v->ws.heard = false;
        if (now_us - v->heard_us >= SILENCE_MAX_US)
            reconnect(v, now_us);
        else if (v->leave_us && now_us >= v->leave_us)
            move(v, now_us);
        else
            viewer_grab(v, now_us);
        break;
    case VIEWER_GONE: break;
    }
    rearm(v);
}

bool viewer_finished(const struct viewer *v)
{
    if (v->state == VIEWER_GONE)
        return true;
    if (v->state != VIEWER_JOINED)
        return false;
    for (uint32_t i = 0; i < v->n_books; i++) {
        if (!v->books[i].done || v->books[i].open)
            return false;
    }
    return true;
}
