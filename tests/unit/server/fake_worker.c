#include "fake_worker.h"

#include "rain_watch.h"

#include "base/alloc.h"
#include "protocol/pack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct fake_worker *fake;

/* ---- what is replaced at link time ---- */

enum rr_err __wrap_producer_send(struct producer *p, const struct grant_record *r, uint64_t id);
enum rr_err __wrap_db_pool_submit(struct db_pool *p, enum db_lane lane, struct db_job *job);
enum rr_err __wrap_token_verify(const struct token_keys *k, struct rr_slice jwt,
                                const struct token_rules *rules, struct token_claims *out);

enum rr_err __wrap_producer_send(struct producer *p, const struct grant_record *r, uint64_t id)
{
    (void)p;
    if (fake->produce_err)
        return fake->produce_err;
    fake->records[fake->records_n % FAKE_RECORDS] = *r;
    fake->record_ids[fake->records_n++ % FAKE_RECORDS] = id;
    return RR_OK;
}

enum rr_err __wrap_db_pool_submit(struct db_pool *p, enum db_lane lane, struct db_job *job)
{
    (void)p;
    if (fake->submit_err)
        return fake->submit_err;
    if (fake->jobs_n == FAKE_JOBS)
        return RR_BUSY;
    fake->lanes[fake->jobs_n] = lane;
    fake->jobs[fake->jobs_n++] = (struct rain_job *)job;
    return RR_OK;
}

enum rr_err __wrap_token_verify(const struct token_keys *k, struct rr_slice jwt,
                                const struct token_rules *rules, struct token_claims *out)
{
    char text[128];
    char role[16] = "";
    char rooms[64] = "";
    long long user = 0;

    (void)k;
    memset(out, 0, sizeof(*out));
    if (rr_slice_eq_str(jwt, "expired"))
        return RR_ENDED;
    if (!rr_slice_copy(jwt, text, sizeof(text)) ||
        sscanf(text, "%18lld %15s %63s", &user, role, rooms) != 3 || user <= 0 ||
        !token_role_parse(role, &out->role))
        return RR_UNAUTHORIZED;
    /* as a real one: "*", or each room between commas */
    if (strcmp(rooms, "*") != 0 && (rooms[0] != ',' || rooms[strlen(rooms) - 1] != ','))
        return RR_UNAUTHORIZED;
    out->user_id = user;
    out->exp_s = rules->now_s + 3600;
    out->all_rooms = strcmp(rooms, "*") == 0;
    if (!out->all_rooms)
        out->rooms = rr_xstrdup(rooms);
    snprintf(out->name, sizeof(out->name), "u%lld", user);
    return RR_OK;
}

/* ---- the pool ---- */

static void pool_grab_call(void *impl, const struct pool_shard *at,
                           const struct pool_grab_item *items, uint32_t n, pool_grab_fn done,
                           void *arg)
{
    struct fake_worker *f = impl;
    struct fake_pool_call *c = &f->calls[f->calls_n++ % FAKE_POOL_CALLS];

    if (c->done)
        c->done(c->arg, RR_PENDING, NULL);
    c->at = *at;
    memcpy(c->items, items, n * sizeof(*items));
    c->n = n;
    c->done = done;
    c->arg = arg;
}

static void pool_outbox_del(void *impl, const struct pool_shard *at, const char *const *ids,
                            uint32_t n)
{
    struct fake_worker *f = impl;

    (void)at;
    for (uint32_t i = 0; i < n; i++)
        snprintf(f->deleted[f->deleted_n++ % FAKE_DELETED], 32, "%s", ids[i]);
}

static void pool_allowed(void *impl, const char *code, pool_allowed_fn done, void *arg)
{
    struct fake_worker *f = impl;

    (void)code;
    f->lists_n++;
    done(arg, f->list_n ? RR_OK : RR_NOT_FOUND, f->list, f->list_n);
}

static void pool_sums(void *impl, const char *code, uint32_t shards, pool_sums_fn done, void *arg)
{
    struct fake_worker *f = impl;

    (void)code;
    (void)shards;
    f->sums_n++;
    done(arg, f->sums_granted ? RR_OK : RR_UNAVAILABLE, f->sums_granted, 10 * f->sums_granted, 0);
}

static void pool_next_seq(void *impl, const struct pool_shard *at, int64_t user_id,
                          pool_next_fn done, void *arg)
{
    struct fake_worker *f = impl;
    struct fake_next *n = &f->nexts[f->nexts_n++ % FAKE_POOL_CALLS];

    (void)at;
    if (n->done)
        n->done(n->arg, RR_UNAVAILABLE, 0);
    *n = (struct fake_next){.user_id = user_id, .done = done, .arg = arg};
}

void fake_pool_answer(struct fake_worker *f, uint32_t n, enum rr_err err,
                      const struct pool_grab_result *results, struct pool_grab_reply *reply)
{
    struct fake_pool_call *c = &f->calls[n % FAKE_POOL_CALLS];
    pool_grab_fn done = c->done;

    RR_ASSERT(done);
    c->done = NULL;
    if (reply) {
        reply->items = results;
        reply->n = c->n;
    }
    done(c->arg, err, reply);
}

void fake_report(struct fake_worker *f, uint32_t n, bool ok)
{
    grab_path_report(f->w.grabs, f->record_ids[n % FAKE_RECORDS], ok);
}

void fake_job_done(struct fake_worker *f, uint32_t n, enum rr_err err)
{
    struct rain_job *j = f->jobs[n];

    RR_ASSERT(j);
    f->jobs[n] = NULL;
    j->err = err;
    j->base.done(&j->base);
}

/* ---- life: the wiring of worker.c, with other ends ---- */

/* As if the supervisor had just made it; the key stays. */
static void limit_map_clear(const struct limit_map *m)
{
    for (uint32_t owner = 0; owner < m->counts.owners; owner++)
        limit_map_reap(m, owner);
    memset((void *)(uintptr_t)m->rates.words, 0, sizeof(uint64_t) * m->rates.n);
}

static void fanout_work(void *arg)
{
    (void)arg;
}

/* Risk control asks the books: what tests it turns its rule on. */
static void rules_off(struct rr_conf *c)
{
    c->risk_deny_own = false;
    c->risk_deny_grabs_per_min = 0;
    c->risk_deny_early_grabs = 0;
    c->risk_hold_accounts_per_address = 0;
    c->risk_hold_steady_pct = 0;
    c->risk_hold_fresh_s = 0;
}

/* Another socket; what the old one took is forgotten. */
static void conn_renew(struct fake_conn *c)
{
    fake_conn_clear(c);
    c->busy = c->broken = c->wants_write = false;
    c->close_code = 0;
    c->closes = 0;
}

/* Everything that remembers what it was told. */
static void parts_create(struct fake_worker *f)
{
    struct worker *w = &f->w;

    w->limiter = limiter_create(&(struct limiter_opts){
        .map = &f->limits, .conf = &f->conf, .clock = w->clock, .metrics = w->metrics});
    w->offset_rtt_us = INT64_MAX; /* rain time is the fake wall clock */
    w->bus_up = true;
    w->sessions = session_table_create(
        &(struct session_table_opts){.transport = w->transport,
                                     .queue_bytes = (size_t)f->conf.limits_queue_bytes,
                                     .left_room = hub_on_left});
    w->hub = hub_create(&(struct hub_opts){.clock = w->clock,
                                           .bus = w->bus,
                                           .transport = w->transport,
                                           .sessions = w->sessions,
                                           .joined = join_answer,
                                           .rain_state = rain_watch_state,
                                           .sanction = room_sanctioned,
                                           .work = fanout_work,
                                           .arg = w});
    w->rains = rains_create();
    w->sanctions = sanctions_create(64);
    w->guard = risk_guard_create(w);
    w->bans = ban_watch_create(w);
    w->grabs = grab_path_create(w);
    hub_on_bus_state(w->hub, true);
}

static void answer_jobs(struct fake_worker *f)
{
    for (uint32_t i = 0; i < f->jobs_n; i++) {
        if (f->jobs[i])
            fake_job_done(f, i, RR_UNAVAILABLE);
    }
}

static void parts_destroy(struct fake_worker *f)
{
    struct worker *w = &f->w;

    answer_jobs(f);
    for (uint32_t i = 0; i < FAKE_POOL_CALLS && i < f->nexts_n; i++) {
        if (f->nexts[i].done)
            f->nexts[i].done(f->nexts[i].arg, RR_UNAVAILABLE, 0);
        f->nexts[i].done = NULL;
    }
    fake_bus_fini(&f->bus);
    answer_jobs(f); /* a push that ended leaves a row of who made it */
    risk_guard_close(w->guard);
    grab_path_destroy(w->grabs);
    for (uint32_t i = 0; i < FAKE_POOL_CALLS && i < f->calls_n; i++) {
        if (f->calls[i].done)
            fake_pool_answer(f, i, RR_PENDING, NULL, NULL);
    }
    uv_run(&w->services.loop, UV_RUN_DEFAULT);
    for (int i = 0; i < FAKE_PEOPLE; i++) {
        fake_disconnect(f, i);
        conn_renew(&f->conns[i]);
    }
    hub_destroy(w->hub);
    session_table_destroy(w->sessions);
    rains_destroy(w->rains);
    sanctions_destroy(w->sanctions);
    risk_guard_destroy(w->guard);
    ban_watch_destroy(w->bans);
    limiter_destroy(w->limiter);
}

static void start_clock(struct fake_worker *f)
{
    rr_clock_fake_init(&f->clock, 1000000000, 1800000000000);
}

struct fake_worker *fake_worker_create(void)
{
    void *p = NULL;
    struct fake_worker *f = NULL;
    struct worker *w = NULL;
    char message[256];

    RR_ASSERT(posix_memalign(&p, 64, sizeof(*f)) == 0);
    memset(p, 0, sizeof(*f));
    f = p;
    fake = f;
    w = &f->w;
    RR_ASSERT(rr_conf_load(&f->conf, NULL, NULL, 0, message, sizeof(message)) == RR_OK);
    rules_off(&f->conf);
    start_clock(f);
    fake_bus_init(&f->bus);
    f->pool = (struct pool_grab){.impl = f,
                                 .allowed = pool_allowed,
                                 .grab = pool_grab_call,
                                 .outbox_del = pool_outbox_del,
                                 .sums = pool_sums,
                                 .next_seq = pool_next_seq};
    w->conf = &f->conf;
    w->clock = &f->clock.base;
    w->metrics = &f->metrics;
    w->transport = &fake_transport;
    w->bus = &f->bus.bus;
    w->pool = &f->pool;
    RR_ASSERT(limit_map_create(&f->conf, &f->limits) == RR_OK);
    RR_ASSERT(uv_loop_init(&w->services.loop) == 0);
    parts_create(f);
    return f;
}

void fake_worker_reset(struct fake_worker *f)
{
    parts_destroy(f);
    fake_bus_reset(&f->bus);
    limit_map_clear(&f->limits);
    memset(&f->metrics, 0, sizeof(f->metrics));
    start_clock(f);
    f->calls_n = f->nexts_n = f->lists_n = f->list_n = f->sums_n = 0;
    f->deleted_n = f->records_n = f->jobs_n = 0;
    f->sums_granted = 0;
    f->produce_err = f->submit_err = RR_OK;
    parts_create(f);
}

void fake_worker_destroy(struct fake_worker *f)
{
    parts_destroy(f);
    RR_ASSERT(uv_loop_close(&f->w.services.loop) == 0);
    limit_map_close(&f->limits);
    rr_conf_fini(&f->conf);
    free(f);
    fake = NULL;
}

void fake_connect(struct fake_worker *f, int who)
{
    fake_disconnect(f, who);
    conn_renew(&f->conns[who]);
    f->people[who] = session_create(f->w.sessions, &f->conns[who], rr_mono_us(f->w.clock));
}

void fake_disconnect(struct fake_worker *f, int who)
{
    if (f->people[who]) {
        limiter_user_leave(f->w.limiter, f->people[who]);
        session_destroy(f->people[who]);
    }
    f->people[who] = NULL;
}

void fake_send(struct fake_worker *f, int who, int op, uint32_t id, struct rr_buf *body)
{
    struct rr_buf b = {0};

    pack_array(&b, 3);
    pack_int(&b, op);
    pack_uint(&b, id);
    pack_raw(&b, rr_slice_of(body->p, body->len));
    rr_buf_fini(body);
    dispatch(&f->w, f->people[who], rr_slice_of(b.p, b.len));
    rr_buf_fini(&b);
}

void fake_send_empty(struct fake_worker *f, int who, int op, uint32_t id)
{
    struct rr_buf b = {0};

    pack_map(&b, 0);
    fake_send(f, who, op, id, &b);
}

void fake_hello(struct fake_worker *f, int who, const char *token)
{
    struct rr_buf b = {0};

    if (!f->people[who])
        fake_connect(f, who);
    pack_map(&b, 1);
    pack_kv_str(&b, "token", token);
    fake_send(f, who, MSG_HELLO, 1, &b);
    fake_conn_clear(&f->conns[who]);
}

void fake_join(struct fake_worker *f, int who, const char *room)
{
    struct rr_buf b = {0};
    struct room_snapshot snap = {.epoch = 1, .seq = 1};
    uint32_t loads = f->bus.loads_n;

    pack_map(&b, 1);
    pack_kv_str(&b, "room", room);
    fake_send(f, who, MSG_JOIN, 2, &b);
    if (f->people[who]->state != SESSION_JOINED) {
        hub_on_subscribed(f->w.hub, room);
        if (f->bus.loads_n > loads)
            fake_bus_load(&f->bus, loads, RR_OK, &snap);
    }
    fake_conn_clear(&f->conns[who]);
}

void fake_rain_push(struct fake_worker *f, const char *room, uint64_t seq, const char *biz_code,
                    const char *code, int64_t open_at, int64_t end_at, int64_t limit,
                    int64_t shards)
{
    struct rr_buf b = {0};
    struct room_msg m = {.epoch = 1, .seq = seq, .biz_code = rr_slice_str(biz_code)};

    fake_rain_config(&b, code, open_at, end_at, limit, shards);
    m.payload = rr_slice_of(b.p, b.len);
    hub_on_room_msg(f->w.hub, room, &m);
    rr_buf_fini(&b);
    while (hub_run(f->w.hub, 1000))
        ;
}

void fake_rain(struct fake_worker *f, const char *room, uint64_t seq, const char *code,
               int64_t open_at, int64_t end_at, int64_t limit, int64_t shards)
{
    fake_rain_push(f, room, seq, "RED_PACKET_CONFIG", code, open_at, end_at, limit, shards);
    for (int i = 0; i < FAKE_PEOPLE; i++)
        fake_conn_clear(&f->conns[i]);
}

/* libuv's own clock does not move with ours: the tick arms what is due at 0 ms. */
void fake_advance(struct fake_worker *f, int64_t us)
{
    f->clock.now_us += us;
    for (int i = 0; i < 3; i++) {
        grab_path_tick(f->w.grabs);
        uv_run(&f->w.services.loop, UV_RUN_NOWAIT);
    }
}

int64_t fake_now_ms(const struct fake_worker *f)
{
    return worker_rain_now_ms(&f->w);
}
