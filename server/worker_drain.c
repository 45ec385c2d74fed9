#include "worker_drain.h"

#include "base/alloc.h"
#include "base/log.h"
#include "dispatch.h"
#include "worker.h"

#include <stdlib.h>
#include <string.h>

enum {
    TELL_PER_TICK = 1000, /* a GOAWAY is one send: others' frames go on in between */
    LISTENER_LINGER_US =
        500000, /* for TCP's handshakes that were under way when the supervisor shut it */
    LIVE_ROOMS_MAX = 64,
};

/* Rooms with a live rain, looked up once per tick. */
struct live_rooms {
    const char *id[LIVE_ROOMS_MAX];
    uint32_t n;
    int64_t now_ms;
};

static const char *const phase_names[] = {"running",  "announced", "leaving",
                                          "flushing", "closing",   "done"};

bool worker_drain_ends(const struct worker *w)
{
    return w->leaving.drain.phase >= DRAIN_FLUSHING;
}

/* Announced, and neither over nor gone to the last packet. */
static void live_rooms_add(void *arg, struct rain_entry *e)
{
    struct live_rooms *rooms = arg;

    if (e->over || rooms->now_ms >= e->live.t1_ms || e->granted >= (int64_t)e->live.count ||
        rooms->n == LIVE_ROOMS_MAX)
        return;
    rooms->id[rooms->n++] = e->live.room_id;
}

static bool in_live_room(const struct session *s, const struct live_rooms *rooms)
{
    for (uint32_t i = 0; i < rooms->n && s->state == SESSION_JOINED; i++) {
        if (strcmp(rooms->id[i], room_id_of(s->room)) == 0)
            return true;
    }
    return false;
}

static void told_room(struct worker_drain *d, uint32_t slots)
{
    if (d->told_n >= slots)
        return;
    d->told = rr_xrealloc(d->told, slots, sizeof(*d->told));
    memset(d->told + d->told_n, 0, (slots - d->told_n) * sizeof(*d->told));
    d->told_n = slots;
}

static bool untold(const struct worker_drain *d, uint32_t slot, const struct session *s)
{
    return s && s->state != SESSION_CLOSING && d->told[slot] != s->id;
}

/* May be told now: says who he is, and misses no rain by it. */
static bool due(const struct worker_drain *d, uint32_t slot, const struct session *s,
                const struct live_rooms *rooms)
{
    return untold(d, slot, s) && s->state != SESSION_NEW && !in_live_room(s, rooms);
}

static void tell(struct worker *w, struct session *s, int64_t now_us)
{
    struct worker_drain *d = &w->leaving;
    struct rr_buf b = {0};

    msg_goaway(&b, drain_slot_ms(&d->drain, d->wave.i++, d->wave.n, d->wave.began_us, now_us));
    reply_send(w, s, &b);
    rr_buf_fini(&b);
    rr_metric_add(&w->metrics->goaways_sent_total, 1);
}

/* Everybody who may be told is a wave: its n slots are spread over the time there is. Later waves are those who had a rain. */
static void tell_some(struct worker *w, const struct live_rooms *rooms, int64_t now_us)
{
    struct worker_drain *d = &w->leaving;
    uint32_t slots = session_slots(w->sessions);
    uint32_t budget = TELL_PER_TICK;

    told_room(d, slots);
    if (d->wave.i >= d->wave.n) {
        memset(&d->wave, 0, sizeof(d->wave));
        d->wave.began_us = now_us;
        for (uint32_t i = 0; i < slots; i++)
            d->wave.n += due(d, i, session_at(w->sessions, i), rooms);
    }
    for (uint32_t i = 0; i < slots && budget && d->wave.i < d->wave.n; i++) {
        struct session *s = session_at(w->sessions, i);

        if (!due(d, i, s, rooms))
            continue;
        d->told[i] = s->id;
        tell(w, s, now_us);
        budget--;
    }
    if (budget)
        d->wave.n = d->wave.i; /* some left before they were told */
}

/* Whom LEAVING still waits for: without slots only those who have a rain. */
static uint32_t count_untold(struct worker *w, const struct live_rooms *rooms)
{
    struct worker_drain *d = &w->leaving;
    uint32_t slots = session_slots(w->sessions);
    uint32_t n = 0;

    told_room(d, slots);
    for (uint32_t i = 0; i < slots; i++) {
        struct session *s = session_at(w->sessions, i);

        n += untold(d, i, s) && (d->drain.opts.spread_us > 0 || in_live_room(s, rooms));
    }
    return n;
}

static void close_all(struct worker *w)
{
    for (uint32_t i = 0; i < session_slots(w->sessions); i++) {
        struct session *s = session_at(w->sessions, i);

        if (!s || s->state == SESSION_CLOSING)
            continue;
        rr_metric_add(&w->metrics->drain_closed_total, 1);
        session_close(s, CLOSE_SHUTDOWN);
    }
}

/* What a state does while it lasts. */
static void act(struct worker *w, const struct live_rooms *rooms, int64_t now_us)
{
    struct worker_drain *d = &w->leaving;

    /* The supervisor lets the kernel refuse new ones; nobody who had connected before is reset. */
    if (d->drain.phase > DRAIN_LEAVING || d->drain.mode == DRAIN_HAND ||
        (d->drain.phase == DRAIN_LEAVING && now_us - d->drain.phase_us >= LISTENER_LINGER_US))
        ws_accept_stop(w->ws, d->drain.mode != DRAIN_HAND);
    if (d->drain.phase == DRAIN_LEAVING && d->drain.opts.spread_us > 0)
        tell_some(w, rooms, now_us);
    if (d->drain.phase >= DRAIN_CLOSING)
        close_all(w);
}

static void done(struct worker *w, int64_t now_us)
{
    const struct drain *d = &w->leaving.drain;

    rr_metric_observe_us(&w->metrics->drain_seconds, now_us - d->began_us);
    if (d->cut)
        log_warn("drain_cut", "drain.timeout_ms was over: %u sockets and %u grabs were left",
                 session_count(w->sessions), grab_path_inflight(w->grabs));
    uv_stop(&w->loop);
}

void worker_drain_tick(struct worker *w)
{
    struct worker_drain *d = &w->leaving;
    int64_t now_us = rr_mono_us(w->clock);
    struct drain_view v = {.now_us = now_us};
    struct live_rooms rooms = {.now_ms = worker_rain_now_ms(w)};

    if (d->drain.phase == DRAIN_RUNNING || d->drain.phase == DRAIN_DONE)
        return;
    if (d->drain.opts.wait_rain_us > 0 &&
        (d->drain.phase == DRAIN_ANNOUNCED || drain_waits_for_rain(&d->drain, now_us)))
        rains_each(w->rains, live_rooms_add, &rooms);
    act(w, &rooms, now_us);
    v.sessions = session_count(w->sessions);
    v.sockets = ws_sockets(w->ws);
    v.listening = ws_accepting(w->ws);
    v.untold = count_untold(w, &rooms);
    v.in_flight = grab_path_unfinished(w->grabs) + producer_outstanding(w->producer);
    if (!drain_step(&d->drain, &v))
        return;
    log_info("drain_phase", "%s: %u sockets, %u in flight", phase_names[d->drain.phase], v.sessions,
             v.in_flight);
    if (d->drain.phase == DRAIN_DONE)
        done(w, now_us);
    else
        act(w, &rooms, now_us);
}

void worker_drain_begin(struct worker *w, enum drain_mode mode)
{
    const struct rr_conf *c = w->conf;
    struct drain_opts o = {.ready_wait_us = c->drain_ready_wait_ms * 1000,
                           .spread_us = c->drain_spread_ms * 1000,
                           .wait_rain_us = c->drain_wait_rain_ms * 1000,
                           .timeout_us = c->drain_timeout_ms * 1000};
    bool first = w->leaving.drain.phase == DRAIN_RUNNING;

    drain_begin(&w->leaving.drain, &o, mode, rr_mono_us(w->clock));
    if (first)
        log_notice("drain", "%s: %u sockets, %u grabs in flight",
                   mode == DRAIN_LEAVE  ? "the server leaves"
                   : mode == DRAIN_HAND ? "another worker took over"
                                        : "at once",
                   session_count(w->sessions), grab_path_inflight(w->grabs));
    rr_metric_set(&w->metrics->draining, 1);
    worker_drain_tick(w);
}

void worker_drain_fini(struct worker *w)
{
    free(w->leaving.told);
    w->leaving.told = NULL;
}
