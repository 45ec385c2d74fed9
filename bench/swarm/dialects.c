/* dialects.c - the product's protocol and its peers', as far as a crowd needs them; see swarm.h. */
#include <string.h>

#include "protocol/msg.h"
#include "swarm.h"
#include "wire.h"

static void say(struct swarm_conn *c, const char *text)
{
    ws_client_send(&c->ws, rr_slice_of(text, strlen(text)));
}

static bool has(struct rr_slice bytes, const char *text)
{
    return memmem(bytes.p, bytes.len, text, strlen(text)) != NULL;
}

/* ---- redrain.v1; an echo server gets the same bytes and its answers count as OK ---- */

static void redrain_open(struct swarm_conn *c)
{
    struct rr_buf b = {0};

    wire_hello(&b, ++c->last_id, c->user->token);
    swarm_send(c, &b);
    rr_buf_fini(&b);
}

static void redrain_enter(struct swarm_conn *c, const struct wire_msg *m, int64_t now_us)
{
    struct rr_buf b = {0};

    if (m->op == MSG_REPLY && wire_int(&m->body, "result", -1) != RESULT_OK) {
        ws_client_close(&c->ws, CLOSE_NORMAL);
        return;
    }
    if (c->step++ == 0) {
        wire_join(&b, ++c->last_id, c->swarm->opts->room, "", 0);
        swarm_send(c, &b);
        rr_buf_fini(&b);
        return;
    }
    c->room_seq = wire_int(&m->body, "seq", -1);
    swarm_entered(c, now_us);
}

static void redrain_push(struct swarm_conn *c, const struct wire_msg *m, struct rr_slice bytes,
                         int64_t now_us)
{
    int64_t seq = wire_int(&m->body, "seq", -1);

    swarm_stamps(c, bytes, now_us);
    if (seq < 0)
        return;
    if (c->room_seq >= 0 && seq > c->room_seq + 1)
        c->swarm->seen.gaps += (uint64_t)(seq - c->room_seq - 1);
    if (seq <= c->room_seq)
        c->swarm->seen.repeats++;
    else
        c->room_seq = seq;
}

static void redrain_message(struct swarm_conn *c, struct rr_slice bytes, int64_t now_us)
{
    struct wire_msg m;

    if (wire_decode(bytes, &m))
        return;
    if (m.op == MSG_PUSH)
        redrain_push(c, &m, bytes, now_us);
    else if (c->state == SWARM_ENTERING && m.id == c->last_id)
        redrain_enter(c, &m, now_us);
    else if (m.id)
        swarm_answer(c, m.id,
                     m.op == MSG_REPLY ? wire_int(&m.body, "result", -1) : (int64_t)RESULT_OK,
                     m.op == MSG_REPLY ? wire_int(&m.body, "retry_after_ms", 0) : 0, now_us);
}

/* ---- a server on npm's ws: the first message names the room ---- */

static void ws_open(struct swarm_conn *c)
{
    say(c, "join:bench");
}

static void ws_message(struct swarm_conn *c, struct rr_slice bytes, int64_t now_us)
{
    if (c->state == SWARM_ENTERING && rr_slice_eq_str(bytes, "joined"))
        swarm_entered(c, now_us);
    else
        swarm_stamps(c, bytes, now_us);
}

/* ---- Socket.IO 4 over Engine.IO 4, WebSocket only ---- */

static void sio_open(struct swarm_conn *c)
{
    (void)c; /* the server speaks first */
}

static void sio_message(struct swarm_conn *c, struct rr_slice bytes, int64_t now_us)
{
    if (bytes.len == 0)
        return;
    if (bytes.p[0] == '0')
        say(c, "40"); /* to the default namespace */
    else if (bytes.p[0] == '2')
        say(c, "3"); /* ping, pong */
    else if (bytes.len > 1 && bytes.p[1] == '0' && c->state == SWARM_ENTERING)
        say(c, "420[\"join\",\"bench\"]");
    else if (bytes.len > 1 && bytes.p[1] == '3' && c->state == SWARM_ENTERING)
        swarm_entered(c, now_us);
    else
        swarm_stamps(c, bytes, now_us);
}

/* ---- Centrifugo, JSON ---- */

static void centrifugo_open(struct swarm_conn *c)
{
    say(c, "{\"id\":1,\"connect\":{}}");
}

static void centrifugo_message(struct swarm_conn *c, struct rr_slice bytes, int64_t now_us)
{
    if (rr_slice_eq_str(bytes, "{}")) {
        say(c, "{}");
        return;
    }
    if (c->state == SWARM_ENTERING && c->step == 0 && has(bytes, "\"id\":1")) {
        c->step = 1;
        say(c, "{\"id\":2,\"subscribe\":{\"channel\":\"bench\"}}");
    } else if (c->state == SWARM_ENTERING && has(bytes, "\"id\":2")) {
        swarm_entered(c, now_us);
    } else {
        swarm_stamps(c, bytes, now_us);
    }
}

static const struct dialect dialects[] = {
    {"redrain", RR_SUBPROTOCOL, false, redrain_open, redrain_message},
    {"ws", NULL, false, ws_open, ws_message},
    {"socket.io", NULL, true, sio_open, sio_message},
    {"centrifugo", NULL, true, centrifugo_open, centrifugo_message},
};

const struct dialect *dialect_by_name(const char *name)
{
    for (size_t i = 0; i < sizeof(dialects) / sizeof(dialects[0]); i++) {
        if (strcmp(dialects[i].name, name) == 0)
            return &dialects[i];
    }
    return NULL;
}
