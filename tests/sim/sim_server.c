/* sim_server.c - server processes: the real server/grab_path.c with all of rain/ behind it. Answered here instead of libuv,
 * rooms and Kafka's producer: timers, sessions, the worker's rain, replies. */
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "dispatch.h"
#include "grab_books.h"
#include "ledger/ledger.h"
#include "sim.h"
#include "sim_sql.h"
#include "worker.h"

struct producer {
    struct kafka_producer out;
};

struct server {
    struct worker w;
    int index;
    bool up;
    bool dying; /* nothing leaves it any more */
    uint32_t life;
    int64_t paused_until_us;
    int64_t clock_error_ms;
    bool knows;
    struct rain_entry rain;
    struct rr_clock clock;
    struct room_bus bus;
    struct producer producer;
};

static struct server servers[SIM_SERVERS];
static struct session sessions[SIM_SERVERS][2 * SIM_USERS];
static struct rr_metrics metrics;
static struct rr_conf conf;
static bool announced;

enum { TICK_US = 100 * SIM_MS };

static struct server *server_of(const struct worker *w)
{
    return (struct server *)((char *)(uintptr_t)w - offsetof(struct server, w));
}

static void later(struct server *s, sim_fn fn, void *arg, uint64_t n)
{
    sim_at(s->paused_until_us - sim.now_us, fn, arg, n);
}

static bool paused(const struct server *s)
{
    return s->paused_until_us > sim.now_us;
}

/* ---- what grab_path.c calls ---- */

struct session *session_by_id(struct session_table *t, uint64_t id)
{
    struct session *s = NULL;

    (void)t;
    if (id == 0 || id > (uint64_t)SIM_SERVERS * 2 * SIM_USERS)
        return NULL;
    s = &sessions[(id - 1) / (2 * SIM_USERS)][(id - 1) % (2 * SIM_USERS)];
    return s->state == SESSION_JOINED ? s : NULL;
}

struct rain_entry *rains_find(struct rains *rs, struct rr_slice code)
{
    struct server *s = (struct server *)rs;

    return s->knows && rr_slice_eq_str(code, sim.code) ? &s->rain : NULL;
}

const char *room_id_of(const struct room *r)
{
    (void)r;
    return "room";
}

int64_t worker_rain_now_ms(const struct worker *w)
{
    return redis_now_us() / 1000 + server_of(w)->clock_error_ms;
}

struct answer {
    int server;
    uint32_t client;
    uint32_t ask;
    int64_t result;
    int64_t seq;
    int64_t shard;
    int64_t no;
    int64_t amount_fen;
};

static void read_map(struct rr_slice bytes, struct answer *a)
{
    static const char *const names[] = {"id", "result", "seq", "shard", "no", "amount", "next"};
    int64_t values[7] = {0, -1, -1, -1, -1, -1, -1};
    const msgpack_object *map = NULL;
    msgpack_unpacked u;
    size_t at = 0;

    msgpack_unpacked_init(&u);
    RR_ASSERT(msgpack_unpack_next(&u, bytes.p, bytes.len, &at) == MSGPACK_UNPACK_SUCCESS);
    map = &u.data;
    if (map->type == MSGPACK_OBJECT_ARRAY) { /* [64, id, {…}] */
        values[0] = map->via.array.ptr[1].via.i64;
        map = &map->via.array.ptr[2];
    }
    RR_ASSERT(map->type == MSGPACK_OBJECT_MAP);
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        const msgpack_object_kv *kv = &map->via.map.ptr[i];

        for (size_t k = 1; k < RR_COUNTOF(names); k++) {
            if (kv->key.via.str.size == strlen(names[k]) &&
                memcmp(kv->key.via.str.ptr, names[k], kv->key.via.str.size) == 0 &&
                kv->val.type == MSGPACK_OBJECT_POSITIVE_INTEGER)
                values[k] = kv->val.via.i64;
        }
    }
    msgpack_unpacked_destroy(&u);
    a->ask = (uint32_t)values[0];
    a->result = values[1];
    a->seq = values[6] >= 0 ? values[6] : values[2];
    a->shard = values[3];
    a->no = values[4];
    a->amount_fen = values[5];
}

static enum rr_err err_of(int64_t result)
{
    static const enum rr_err errs[] = {RR_OK,          RR_PENDING, RR_SOLD_OUT,    RR_LIMIT,
                                       RR_ENDED,       RR_BUSY,    RR_NOT_STARTED, RR_RECOVERING,
                                       RR_UNAVAILABLE, RR_BAD_SEQ, RR_NOT_FOUND};

    for (size_t i = 0; i < sizeof(errs) / sizeof(errs[0]); i++) {
        if ((int64_t)result_of(errs[i]) == result)
            return errs[i];
    }
    return RR_UNAVAILABLE;
}

static void on_delivered(void *arg, uint64_t n)
{
    const struct answer *a = arg;

    (void)n;
    client_reply(a->client, a->server, a->ask, err_of(a->result), (uint32_t)a->seq,
                 (uint32_t)a->shard, (uint32_t)a->no, a->amount_fen, true);
}

static void on_planned_crash(void *arg, uint64_t n)
{
    struct server *s = arg;

    if (s->life == n)
        server_crash(s->index, sim_between(200 * SIM_MS, 3 * SIM_S));
}

/* From here on the viewer may have seen it, whatever happens to the bytes. */
static void leaves(struct server *s, struct answer *a)
{
    struct answer *copy = NULL;

    if (s->dying)
        return;
    if (a->result == (int64_t)RESULT_OK && sim_fault(HIT_report_no_reply)) {
        s->dying = true;
        sim_at(0, on_planned_crash, s, s->life);
        return;
    }
    if (a->result == (int64_t)RESULT_OK) {
        told_amount(a->client, (uint32_t)a->seq, (uint32_t)a->shard, (uint32_t)a->no,
                    a->amount_fen);
        if (sim_fault(HIT_replied_no_xdel))
            sim_at(sim_between(0, 500), on_planned_crash, s, s->life);
    }
    if (sim.chaos && sim_chance(0.03))
        return; /* the viewer's link */
    copy = sim_alloc(sizeof(*copy));
    *copy = *a;
    sim_at(sim_between(200, 20 * SIM_MS), on_delivered, copy, 0);
}

void reply_send(struct worker *w, struct session *session, const struct rr_buf *message)
{
    struct server *s = server_of(w);
    struct answer a = {.server = s->index, .client = session->member_index};

    read_map(rr_slice_of(message->p, message->len), &a);
    leaves(s, &a);
}

static void push_user(void *impl, int64_t user_id, const char *biz_code, struct rr_slice payload,
                      bool keep)
{
    struct answer a = {.server = -1, .client = (uint32_t)user_id - 1};

    (void)biz_code;
    (void)keep;
    read_map(payload, &a);
    a.ask = 0;
    leaves(impl, &a);
}

void reply_error(struct worker *w, struct session *session, uint32_t req_id, enum rr_err err,
                 const struct refusal *why)
{
    struct server *s = server_of(w);
    struct answer a = {.server = s->index,
                       .client = session->member_index,
                       .ask = req_id,
                       .result = (int64_t)result_of(err)};

    (void)why;
    leaves(s, &a);
}

/* ---- the books: RAIN_JOB_GRAB, the rain's status first, then the user's row ---- */

struct books_ask {
    struct server *server;
    uint32_t life;
    struct pending_grab grab;
    bool settled;
};

static void on_row_read(void *arg, uint64_t n)
{
    struct books_ask *q = arg;
    struct grant_row row = {.seq = q->grab.grab.seq};
    struct sql_grant g;
    enum rr_err err = q->settled ? RR_ENDED : RR_RECOVERING;

    (void)n;
    if (!q->server->up || q->server->life != q->life)
        return;
    if (paused(q->server)) {
        later(q->server, on_row_read, q, 0);
        return;
    }
    if (!sql_up()) {
        err = RR_UNAVAILABLE;
    } else if (sql_grant_of(q->grab.grab.user_id, q->grab.grab.seq, &g)) {
        err = RR_OK;
        row.packet_no = g.packet_no;
        row.amount_fen = g.amount_fen;
    }
    grab_path_booked(q->server->w.grabs, &q->grab, err, &row);
}

static void on_status_read(void *arg, uint64_t n)
{
    struct books_ask *q = arg;

    (void)n;
    q->settled = sql_up() && sql_settled();
    sim_at(sim_between(100, 900), on_row_read, q, 0);
}

enum rr_err grab_books_pending(struct worker *w, const struct pending_grab *g)
{
    struct books_ask *q = sim_alloc(sizeof(*q));

    *q = (struct books_ask){server_of(w), server_of(w)->life, *g, false};
    sim_at(sim_between(100, 900), on_status_read, q, 0);
    return RR_OK;
}

/* Nobody is denied or marked here. */
enum rr_err risk_guard_check(struct risk_guard *g, const struct session *s,
                             const struct rain_entry *e, const struct risk_frame *f,
                             enum rr_err gate)
{
    (void)g;
    (void)s;
    (void)e;
    (void)f;
    return gate;
}

enum rr_err producer_send(struct producer *p, const struct grant_record *r, uint64_t id)
{
    return kafka_send(&p->out, r, id);
}

static void on_produced(void *arg, uint64_t id, bool ok)
{
    struct server *s = &servers[(intptr_t)arg];

    if (s->up)
        grab_path_report(s->w.grabs, id, ok);
}

/* ---- timers ---- */

static void on_timer(void *arg, uint64_t n)
{
    uv_timer_t *t = arg;
    struct server *s =
        server_of((struct worker *)((char *)t->loop - offsetof(struct worker, loop)));

    if (t->start_id != n || !t->timer_cb)
        return;
    if (paused(s))
        later(s, on_timer, t, n);
    else
        t->timer_cb(t);
}

static uint64_t timer_no;

int uv_timer_init(uv_loop_t *loop, uv_timer_t *t)
{
    memset(t, 0, sizeof(*t));
    t->loop = loop;
    return 0;
}

int uv_timer_start(uv_timer_t *t, uv_timer_cb cb, uint64_t timeout_ms, uint64_t repeat_ms)
{
    (void)repeat_ms;
    t->timer_cb = cb;
    t->start_id = ++timer_no;
    sim_at((int64_t)timeout_ms * 1000, on_timer, t, t->start_id);
    return 0;
}

int uv_timer_stop(uv_timer_t *t)
{
    t->start_id = ++timer_no;
    return 0;
}

/* The handle is inside what the callback frees; events that name it are still in the queue, so the memory stays. */
void uv_close(uv_handle_t *h, uv_close_cb cb)
{
    (void)h;
    (void)cb;
}

/* ---- the process ---- */

static int64_t mono_us(const struct rr_clock *c)
{
    (void)c;
    return sim.now_us;
}

static int64_t wall_ms(const struct rr_clock *c)
{
    (void)c;
    return redis_now_us() / 1000;
}

static void on_tick(void *arg, uint64_t n)
{
    struct server *s = arg;

    if (s->life != n || !s->up)
        return;
    if (paused(s)) {
        later(s, on_tick, s, n);
        return;
    }
    grab_path_tick(s->w.grabs);
    sim_at(TICK_US, on_tick, s, n);
}

static void server_start(struct server *s)
{
    s->up = true;
    s->dying = false;
    s->knows = false;
    s->paused_until_us = 0;
    s->clock_error_ms = sim_between(-80, 80);
    s->clock = (struct rr_clock){.mono_us = mono_us, .wall_ms = wall_ms};
    s->bus = (struct room_bus){.impl = s, .push_user = push_user};
    s->w = (struct worker){.conf = &conf,
                           .clock = &s->clock,
                           .metrics = &metrics,
                           .bus = &s->bus,
                           .pool = net_grab_pool(s->index),
                           .rains = (struct rains *)s,
                           .producer = &s->producer};
    s->producer.out = (struct kafka_producer){.life = s->life,
                                              .life_now = &s->life,
                                              .paused_until_us = &s->paused_until_us,
                                              .report = on_produced,
                                              .arg = (void *)(intptr_t)s->index};
    for (uint32_t i = 0; i < 2 * SIM_USERS; i++)
        sessions[s->index][i].state = SESSION_JOINED;
    s->w.grabs = grab_path_create(&s->w);
    sim_at(TICK_US, on_tick, s, s->life);
    if (announced)
        server_learn(s->index);
}

static void on_start(void *arg, uint64_t n)
{
    struct server *s = arg;

    if (!s->up && s->life == n)
        server_start(s);
}

/* freed at the seed's end: see uv_close() */
static void *closed[4096];
static uint32_t closed_n;

static void server_stop(struct server *s)
{
    struct grab_path *p = s->w.grabs;

    s->up = false;
    s->life++;
    grab_path_destroy(p);
    net_server_gone(s->index);
    RR_ASSERT(closed_n < sizeof(closed) / sizeof(closed[0]));
    closed[closed_n++] = p;
    for (uint32_t i = 0; i < 2 * SIM_USERS; i++)
        sessions[s->index][i].state = SESSION_CLOSING;
}

void server_crash(int server, int64_t down_us)
{
    struct server *s = &servers[server];

    if (!s->up)
        return;
    sim_trace("server %d is dead", server);
    server_stop(s);
    sim_at(down_us, on_start, s, s->life);
}

void server_pause(int server, int64_t us)
{
    if (servers[server].up)
        servers[server].paused_until_us = sim.now_us + us;
}

bool server_up(int server)
{
    return servers[server].up;
}

void server_learn(int server)
{
    struct server *s = &servers[server];
    struct live_rain *r = &s->rain.live;

    announced = true;
    if (!s->up)
        return;
    s->knows = true;
    s->rain = (struct rain_entry){.over = false};
    memcpy(r->code, sim.code, sizeof(r->code));
    strcpy(r->room_id, "room");
    rain_times(&r->t0_ms, &r->t1_ms);
    r->total_fen = sim.plan.total_fen;
    r->count = sim.plan.packets;
    r->limit = sim.plan.limit;
    r->shards = sim.plan.shards;
}

void server_end(int server)
{
    if (servers[server].up && servers[server].knows)
        servers[server].rain.live.ended = true;
}

struct submission {
    int server;
    uint32_t client;
    uint32_t seq;
    bool again;
    uint32_t ask;
};

static void on_submit(void *arg, uint64_t n)
{
    const struct submission *m = arg;
    struct server *s = &servers[m->server];
    struct session *session = &sessions[m->server][m->client];
    struct refusal why = {0};
    struct msg frame = {.id = m->ask};
    struct answer a = {.server = m->server, .client = m->client, .ask = m->ask, .seq = m->seq};
    enum rr_err err = RR_OK;

    (void)n;
    if (!s->up || s->dying)
        return;
    if (paused(s)) {
        later(s, on_submit, arg, 0);
        return;
    }
    session->id = (uint64_t)m->server * 2 * SIM_USERS + m->client + 1;
    session->user_id = m->client % SIM_USERS + 1;
    session->member_index = m->client;
    frame.u.grab.code = rr_slice_str(sim.code);
    frame.u.grab.seq = m->seq;
    frame.u.grab.again = m->again;
    err = grab_path_submit(s->w.grabs, session, &frame, &why);
    if (!err)
        return;
    a.result = (int64_t)result_of(err);
    leaves(s, &a);
}

void server_submit(int server, uint32_t client, uint32_t seq, bool again, uint32_t ask)
{
    struct submission *m = sim_alloc(sizeof(*m));

    *m = (struct submission){server, client, seq, again, ask};
    sim_at(sim_between(100, 10 * SIM_MS), on_submit, m, 0);
}

bool servers_idle(void)
{
    for (int i = 0; i < SIM_SERVERS; i++) {
        if (!servers[i].up || paused(&servers[i]) || grab_path_inflight(servers[i].w.grabs))
            return false;
    }
    return true;
}

void servers_init(void)
{
    conf = (struct rr_conf){0};
    conf.rain_batch_max = 1 + (int64_t)sim_rand(16);
    conf.rain_batch_window_us = 1000;
    conf.rain_pending_ms = 300;
    conf.kafka_message_timeout_ms = SIM_MESSAGE_TIMEOUT_US / 1000;
    announced = false;
    timer_no = 0;
    closed_n = 0;
    memset(servers, 0, sizeof(servers));
    memset(sessions, 0, sizeof(sessions));
    for (int i = 0; i < SIM_SERVERS; i++) {
        servers[i].index = i;
        server_start(&servers[i]);
    }
}

void servers_fini(void)
{
    for (int i = 0; i < SIM_SERVERS; i++) {
        if (servers[i].up)
            server_stop(&servers[i]);
    }
    while (closed_n)
        free(closed[--closed_n]);
}
