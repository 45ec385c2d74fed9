#include "worker.h"

#include "base/alloc.h"
#include "base/fail.h"
#include "base/log.h"
#include "child_end.h"
#include "conf_share.h"
#include "handlers.h"
#include "rain_watch.h"
#include "sockets.h"
#include "supervisor.h"
#include "worker_drain.h"
#include "worker_shed.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <unistd.h>

enum {
    TICK_MS = 100,
    FANOUT_SLICE = 512,         /* sends per loop turn: a grab never waits behind 10,000 of them */
    CLOCK_SAMPLE_US = 2000000,  /* how often Redis TIME is asked */
    CLOCK_WINDOW_US = 60000000, /* a best sample older than this is replaced */
    WHEEL_TURN_TICKS = 50,      /* every session is looked at once in 5 s */
    DRAIN_KAFKA_MS = 3000,
    SANCTIONS_MAX = 65536,
    BUS_FIRST_US = 1000000, /* how long a new worker waits for Redis before it lets viewers in */
    HEARD_MAX = 128, /* messages of clients between two looks at Redis, Kafka and the fan-outs */
    FANOUT_BETWEEN = 128, /* sends at such a look */
    REPLY_BURST = 32,     /* docs/adr/0038-answers-in-bursts.md */
};

void (*worker_on_start)(struct worker *w) = NULL;

/* ---- rain time ---- */

double worker_rain_now_ms_exact(const struct worker *w)
{
    if (w->offset_rtt_us == INT64_MAX)
        return (double)rr_wall_ms(w->clock);
    return (double)(rr_mono_us(w->clock) + w->offset_us) / 1000.0;
}

int64_t worker_rain_now_ms(const struct worker *w)
{
    if (w->offset_rtt_us == INT64_MAX)
        return rr_wall_ms(w->clock);
    return (rr_mono_us(w->clock) + w->offset_us) / 1000;
}

static void on_time(void *arg, enum rr_err err, int64_t sent_us, int64_t recv_us, int64_t redis_us)
{
    struct worker *w = arg;
    int64_t rtt_us = recv_us - sent_us;

    if (err || (rtt_us > w->offset_rtt_us && recv_us - w->offset_at_us < CLOCK_WINDOW_US))
        return;
    w->offset_us = redis_us - (sent_us + rtt_us / 2);
    w->offset_rtt_us = rtt_us;
    w->offset_at_us = recv_us;
}

/* ---- sessions: deadlines and heartbeat, a slice of the table per tick ---- */

/* lws shows no callback for a PING, an empty fragment or a frame that never ends: what came in
 * since the last look and was no message is known by the kernel's count. */
static bool session_floods(const struct worker *w, struct session *s)
{
    uint64_t wire = ws_bytes_received(s->conn);
    uint64_t came = wire - s->wire_bytes;
    uint64_t heard = s->heard_bytes;
    bool first = s->wire_bytes == 0; /* the handshake is in it */

    s->wire_bytes = wire;
    s->heard_bytes = 0;
    return !first && came > 2 * heard + (uint64_t)w->conf->limits_noise_bytes;
}

/* He has a user and is in no room. */
static bool session_is_nowhere(const struct worker *w, struct session *s, int64_t now_us)
{
    if (s->state != SESSION_AUTHED)
        s->roomless_us = 0;
    else if (s->roomless_us == 0)
        s->roomless_us = now_us;
    return s->roomless_us && w->conf->server_join_timeout_ms &&
           now_us - s->roomless_us > w->conf->server_join_timeout_ms * 1000;
}

static void session_look(struct worker *w, struct session *s, int64_t now_us)
{
    const struct rr_conf *c = w->conf;

    if (s->state == SESSION_CLOSING)
        return;
    if (session_floods(w, s)) {
        rr_metric_add(&w->metrics->floods_closed_total, 1);
        session_close(s, CLOSE_FLOOD);
        return;
    }
    if (session_is_nowhere(w, s, now_us)) {
        rr_metric_add(&w->metrics->connections_late_join_total, 1);
        session_close(s, CLOSE_POLICY);
        return;
    }
    if (s->state != SESSION_NEW &&
        rr_wall_ms(w->clock) / 1000 > s->token_exp_s + c->token_leeway_s) {
        session_close(s, CLOSE_EXPIRED);
        return;
    }
    /* Only who was asked since: the table is not gone through often enough for every timeout. */
    if (now_us - s->heard_us > c->server_idle_timeout_ms * 1000 && s->pinged_us > s->heard_us) {
        rr_metric_add(&w->metrics->connections_late_idle_total, 1);
        session_close(s, CLOSE_NO_PONG);
        return;
    }
    session_expire(s);
    if (s->state == SESSION_CLOSING)
        return;
    if (now_us - s->pinged_us > c->server_ping_interval_ms * 1000) {
        s->pinged_us = now_us;
        ws_ping(w->ws, s->conn);
    }
}

static void wheel_turn(struct worker *w)
{
    int64_t now_us = rr_mono_us(w->clock);
    uint32_t slots = session_slots(w->sessions);
    uint32_t n = slots / WHEEL_TURN_TICKS + 1;

    for (uint32_t i = 0; i < n && slots; i++) {
        struct session *s = NULL;

        w->wheel_slot = (w->wheel_slot + 1) % slots;
        s = session_at(w->sessions, w->wheel_slot);
        if (s)
            session_look(w, s, now_us);
    }
}

/* The slot may hold the counters of a worker that died: ours are added to them. */
static void follow(_Atomic uint64_t *counter, uint64_t *told, uint64_t now)
{
    rr_metric_add(counter, now - *told);
    *told = now;
}

/* expected first: a worker that is killed in between leaves no frame that nobody expected. */
static void publish_delivery(struct worker *w)
{
    const struct session_counters *c = session_table_counters(w->sessions);
    struct rr_metrics *m = w->metrics;

    follow(&m->frames_expected_total, &w->told.expected, c->expected);
    follow(&m->frames_sent_total, &w->told.sent, c->sent);
    follow(&m->frames_dropped_total, &w->told.dropped, c->dropped);
    follow(&m->frames_closed_total, &w->told.closed, c->closed);
    rr_metric_set(&m->frames_queued, (int64_t)c->queued);
}

static void publish_metrics(struct worker *w)
{
    const struct session_counters *c = session_table_counters(w->sessions);
    struct rr_metrics *m = w->metrics;
    struct store_counters sc;

    store_async_counters(w->store, &sc);
    rr_metric_set(&m->connections, session_count(w->sessions));
    rr_metric_set(&m->rooms, hub_rooms(w->hub));
    rr_metric_set(&m->members, hub_members_all(w->hub));
    rr_metric_set(&m->redis_up, w->bus_up);
    rr_metric_set(&m->kafka_up, producer_up(w->producer));
    rr_metric_set(&m->outbound_queue_bytes, (int64_t)c->must_bytes);
    publish_delivery(w);
    follow(&m->bytes_sent_total, &w->told.sent_bytes, c->sent_bytes);
    follow(&m->slow_consumers_closed_total, &w->told.slow_closed, c->slow_closed);
    follow(&m->broadcasts_total, &w->told_broadcasts, hub_broadcasts(w->hub));
    follow(&m->shed_latest_total, &w->told_latest_shed, hub_latest_shed(w->hub));
    follow(&m->redis_calls_total, &w->told_store.calls, sc.calls);
    follow(&m->redis_errors_total, &w->told_store.errors, sc.errors);
    follow(&m->redis_redirects_total, &w->told_store.redirects, sc.redirects);
    follow(&m->redis_reconnects_total, &w->told_store.reconnects, sc.reconnects);
}

/* The first viewers of a new worker find rooms that can be joined; when Redis is down they come all the same, and are told. */
static void let_in(struct worker *w)
{
    if (!w->held && (w->bus_up || rr_mono_us(w->clock) - w->started_us > BUS_FIRST_US))
        ws_accept_start(w->ws);
}

static void on_tick(uv_timer_t *t)
{
    struct worker *w = t->data;
    int64_t now_us = rr_mono_us(w->clock);
    int64_t lag_us = now_us - w->tick_due_us;

    rr_metric_observe_us(&w->metrics->loop_lag_seconds, lag_us);
    w->tick_due_us = now_us + TICK_MS * 1000;
    session_table_set_now(w->sessions, now_us);
    grab_path_tick(w->grabs);
    let_in(w);
    worker_shed_tick(w, lag_us);
    risk_guard_tick(w->guard);
    ban_watch_tick(w->bans);
    hub_tick(w->hub);
    rain_watch_tick(w);
    sockets_tick(w->sockets);
    wheel_turn(w);
    ws_tick(w->ws);
    canary_tick(&w->canary, w->bus_up);
    if (w->bus_up &&
        (w->offset_rtt_us == INT64_MAX || now_us - w->offset_asked_us > CLOCK_SAMPLE_US)) {
        w->offset_asked_us = now_us;
        w->bus->time(w->bus->impl, on_time, w);
    }
    publish_metrics(w);
    /* Nobody would start another one in our place, and a new server wants the port. */
    if (getppid() != w->parent)
        worker_drain_begin(w, DRAIN_FAST);
    worker_drain_tick(w);
}

/* Redis and Kafka are looked after now: how long were they not? */
static void stalled(struct worker *w)
{
    int64_t us = w->heard ? rr_mono_us(w->clock) - w->heard_us : 0;

    if (us > w->stall_us)
        w->stall_us = us;
    w->heard = 0;
}

static void answers_out(struct worker *w)
{
    session_table_flush(w->sessions);
    if (w->grabs)
        grab_path_flushed(w->grabs);
}

/* Every turn of the loop ends here, before it waits for the next events. */
static void on_before_sleep(uv_prepare_t *prepare)
{
    struct worker *w = prepare->data;

    stalled(w);
    inner_loop_turn(&w->services);
    answers_out(w);
}

/* ---- fan-out ---- */

static void on_fanout(uv_idle_t *idle)
{
    struct worker *w = idle->data;

    if (!hub_run(w->hub, FANOUT_SLICE))
        uv_idle_stop(idle);
    publish_delivery(w); /* what the supervisor finds, should this process die now */
}

/* A turn may be thousands of messages long: what was taken goes on in between, and so does what must arrive. */
void worker_heard(struct worker *w)
{
    if (w->heard++ == 0)
        w->heard_us = rr_mono_us(w->clock);
    if (w->heard < HEARD_MAX)
        return;
    stalled(w);
    inner_loop_run(&w->services);
    answers_out(w);
    if (uv_is_active((uv_handle_t *)&w->fanout))
        hub_run(w->hub, FANOUT_BETWEEN);
}

static void fanout_work(void *arg)
{
    struct worker *w = arg;

    uv_idle_start(&w->fanout, on_fanout);
}

/* ---- the bus ---- */

static void bus_subscribed(void *arg, const char *room_id)
{
    hub_on_subscribed(((struct worker *)arg)->hub, room_id);
}

static void bus_room_msg(void *arg, const char *room_id, const struct room_msg *m)
{
    hub_on_room_msg(((struct worker *)arg)->hub, room_id, m);
}

static void bus_user_msg(void *arg, int64_t user_id, struct rr_slice biz_code,
                         struct rr_slice payload)
{
    hub_push_user(((struct worker *)arg)->hub, user_id, biz_code, payload);
}

static void bus_control(void *arg, struct rr_slice payload)
{
    control_message(arg, payload);
}

static void bus_state(void *arg, bool up)
{
    struct worker *w = arg;

    if (up != w->bus_up)
        log_notice(up ? "redis_up" : "redis_down", "%s",
                   up ? "rooms and rains are served" : "waiting for redis");
    w->bus_up = up;
    w->offset_asked_us = 0;
    hub_on_bus_state(w->hub, up);
    let_in(w);
}

static void bus_echo(void *arg, uint64_t number)
{
    canary_echo(&((struct worker *)arg)->canary, number);
}

/* ---- life ---- */

static void store_closed(void *arg)
{
    ((struct worker *)arg)->store = NULL;
}

static void on_signal(uv_signal_t *sig, int signum)
{
    struct worker *w = sig->data;

    if (signum == SIGUSR1) {
        w->held = false;
        let_in(w);
    } else if (signum == SIGUSR2) {
        worker_drain_begin(w, DRAIN_HAND);
    } else {
        worker_drain_begin(w, w->leaving.drain.phase ? DRAIN_FAST : DRAIN_LEAVE);
    }
}

/* Read anew at every reload, though their names stay: rotating a key or a certificate changes the file. */
static bool files_reload(struct worker *w)
{
    struct token_keys *keys = NULL;
    char message[512];

    if (token_keys_load(w->conf->token_keys_file, &keys, message, sizeof(message)) != RR_OK ||
        ws_reload(w->ws, message, sizeof(message)) != RR_OK) {
        token_keys_free(keys);
        log_error("config_refused", "%s; keys and certificate stay", message);
        return false;
    }
    token_keys_free(w->keys);
    w->keys = keys;
    return true;
}

static void on_sighup(uv_signal_t *sig, int signum)
{
    struct worker *w = sig->data;

    (void)signum;
    if (conf_share_reload(w->conf) != RR_OK || !files_reload(w)) {
        rr_metric_add(&w->metrics->config_refused_total, 1);
        return;
    }
    session_table_set_queue(w->sessions, (size_t)w->conf->limits_queue_bytes,
                            w->conf->limits_queue_age_ms * 1000);
    db_pool_reload(w->db);
    risk_guard_reload(w->guard);
    ban_watch_reload(w->bans);
    limiter_reload(w->limiter);
    sockets_reload(w->sockets);
    log_notice("config_reloaded", "what reloads is in force");
}

static void store_latency(void *arg, int64_t us)
{
    rr_metric_observe_us(&((struct worker *)arg)->metrics->redis_call_seconds, us);
}

static enum rr_err worker_connect(struct worker *w)
{
    struct room_bus_events events = {.arg = w,
                                     .subscribed = bus_subscribed,
                                     .room_msg = bus_room_msg,
                                     .user_msg = bus_user_msg,
                                     .control = bus_control,
                                     .echo = bus_echo,
                                     .state = bus_state};
    struct store_opts so = {.url = w->conf->redis_url,
                            .topology = store_topology_of(w->conf->redis_topology),
                            .sentinel_master = w->conf->redis_sentinel_master,
                            .namespace_ = w->conf->server_namespace,
                            .worker_name = w->name,
                            .timeout_ms = w->conf->redis_timeout_ms,
                            .outbox_max = (uint32_t)w->conf->rain_outbox_max,
                            .latency = store_latency,
                            .latency_arg = w};
    char message[256];
    enum rr_err err = token_keys_load(w->conf->token_keys_file, &w->keys, message, sizeof(message));

    if (err) {
        log_error("keys", "%s", message);
        return err;
    }
    err = store_async_create(&w->store, &w->services.loop, &so, &events);
    if (err)
        return err;
    w->bus = store_bus(w->store);
    w->pool = store_pool(w->store);
    canary_init(&w->canary, w->clock, w->bus, w->metrics);
    return db_pool_create(&w->db, &w->loop, w->conf, w->metrics, w->name);
}

static uint64_t random_seed(void)
{
    uint64_t seed = 0;

    RR_ASSERT(getrandom(&seed, sizeof(seed), 0) == sizeof(seed));
    return seed | 1;
}

static enum rr_err worker_wire(struct worker *w, int listen_fd)
{
    enum rr_err err = ws_create(&w->ws, w, listen_fd);

    if (err)
        return err;
    w->transport = ws_transport(w->ws);
    w->sessions = session_table_create(&(struct session_table_opts){
        .transport = w->transport,
        .queue_bytes = (size_t)w->conf->limits_queue_bytes,
        .queue_age_us = w->conf->limits_queue_age_ms * 1000,
        .reply_burst = REPLY_BURST,
        .left_room = hub_on_left,
    });
    w->hub = hub_create(&(struct hub_opts){
        .clock = w->clock,
        .bus = w->bus,
        .transport = w->transport,
        .sessions = w->sessions,
        .joined = join_answer,
        .loaded = join_resume,
        .rain_state = rain_watch_state,
        .sanction = room_sanctioned,
        .work = fanout_work,
        .seed = random_seed(),
        .arg = w,
    });
    w->rains = rains_create();
    w->sanctions = sanctions_create(SANCTIONS_MAX);
    w->guard = risk_guard_create(w);
    w->bans = ban_watch_create(w);
    w->grabs = grab_path_create(w);
    return producer_create(&w->producer, &w->services.loop, w->conf, w->metrics, grab_path_report,
                           w->grabs);
}

static void worker_start(struct worker *w)
{
    uv_timer_init(&w->loop, &w->tick);
    uv_prepare_init(&w->loop, &w->before_sleep);
    uv_idle_init(&w->loop, &w->fanout);
    uv_signal_init(&w->loop, &w->sigterm);
    uv_signal_init(&w->loop, &w->sigusr1);
    uv_signal_init(&w->loop, &w->sigusr2);
    uv_signal_init(&w->loop, &w->sighup);
    w->tick.data = w;
    w->before_sleep.data = w;
    w->fanout.data = w;
    w->sigterm.data = w;
    w->sigusr1.data = w;
    w->sigusr2.data = w;
    w->sighup.data = w;
    w->tick_due_us = rr_mono_us(w->clock) + TICK_MS * 1000;
    uv_timer_start(&w->tick, on_tick, TICK_MS, TICK_MS);
    uv_prepare_start(&w->before_sleep, on_before_sleep);
    uv_unref((uv_handle_t *)&w->before_sleep);
    uv_signal_start(&w->sigterm, on_signal, SIGTERM);
    uv_signal_start(&w->sigusr1, on_signal, SIGUSR1);
    uv_signal_start(&w->sigusr2, on_signal, SIGUSR2);
    uv_signal_start(&w->sighup, on_sighup, SIGHUP);
    w->held = getenv(CHILD_HOLD_ENV) != NULL;
    w->started_us = rr_mono_us(w->clock);
}

static void worker_stop(struct worker *w)
{
    child_end_begin();
    uv_timer_stop(&w->tick);
    uv_close((uv_handle_t *)&w->tick, NULL);
    uv_close((uv_handle_t *)&w->fanout, NULL);
    uv_close((uv_handle_t *)&w->sigterm, NULL);
    uv_close((uv_handle_t *)&w->sigusr1, NULL);
    uv_close((uv_handle_t *)&w->sigusr2, NULL);
    uv_close((uv_handle_t *)&w->sighup, NULL);
    rr_fail(WORKER_ENDS);
    producer_destroy(w->producer, DRAIN_KAFKA_MS);
    session_table_flush(w->sessions);
    grab_path_tick(w->grabs); /* deletes outbox entries that were reported meanwhile */
    /* Before the store: nothing may be asked of it any more. What its scripts still grant waits in
     * the outbox. */
    risk_guard_close(w->guard);
    grab_path_destroy(w->grabs);
    w->grabs = NULL;
    ws_close(w->ws);
    store_async_close(w->store, store_closed, w);
    while (w->store)
        uv_run(&w->loop, UV_RUN_ONCE);
    db_pool_destroy(w->db);
    uv_close((uv_handle_t *)&w->before_sleep, NULL);
    inner_loop_close(&w->services);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    risk_guard_destroy(w->guard);
    ban_watch_destroy(w->bans);
    publish_delivery(w);
    hub_destroy(w->hub);
    session_table_destroy(w->sessions);
    rains_destroy(w->rains);
    sanctions_destroy(w->sanctions);
    token_keys_free(w->keys);
    worker_drain_fini(w);
    ws_free(w->ws);
    limiter_destroy(w->limiter);
    if (uv_loop_close(&w->loop) != 0)
        log_warn("loop_busy", "handles are still open at exit");
}

int worker_main(struct rr_conf *conf, int slot, int listen_fd, struct rr_metrics *metrics,
                const struct limit_map *limits)
{
    struct worker *w = rr_xcalloc(1, sizeof(*w));
    char host[32] = "host";
    enum rr_err err = RR_OK;

    gethostname(host, sizeof(host) - 1);
    snprintf(w->name, sizeof(w->name), "w%d-%.20s-%d", slot, host, (int)getpid());
    w->conf = conf;
    w->clock = rr_clock_system();
    w->metrics = metrics;
    w->limiter = limiter_create(&(struct limiter_opts){.map = limits,
                                                       .owner = (uint32_t)slot,
                                                       .conf = conf,
                                                       .clock = w->clock,
                                                       .metrics = metrics});
    w->offset_rtt_us = INT64_MAX;
    w->parent = getppid();
    child_orphan_watch();
    signal(SIGINT, SIG_IGN); /* Ctrl-C reaches the whole group: the supervisor says when to leave */
    ledger_global_init();
    uv_loop_init(&w->loop);
    inner_loop_init(&w->services, &w->loop);
    err = worker_connect(w);
    if (!err)
        err = worker_wire(w, listen_fd);
    if (err) {
        log_error("start_failed", "worker %d: %s", slot, rr_err_text(err));
        _exit(1); /* half-built: the kernel takes it back */
    }
    metrics->pid = (int64_t)getpid();
    worker_start(w);
    if (worker_on_start)
        worker_on_start(w);
    log_notice("worker_started", "slot %d, waiting for redis", slot);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    worker_stop(w);
    log_notice("worker_stopped", "slot %d", slot);
    free(w);
    return 0;
}
