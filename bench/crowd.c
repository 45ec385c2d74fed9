/* crowd.c - the loop: connects at a bounded rate, serves sockets and timers, decides when it is
 * over; see crowd.h. */
#include "crowd.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "protocol/msg.h"
#include "report.h"
#include "viewer.h"

enum {
    EVENTS_MAX = 512,
    TICK_US = 50 * 1000,       /* how often the end is looked for and the ramp goes on */
    JOINING_MAX = 1000,        /* connects, HELLOs and JOINs under way at once */
    FDS_SPARE = 64,            /* everything that is no viewer */
    FAREWELL_US = 1000 * 1000, /* for the peer's answer to our close frames */
};

int64_t crowd_now_us(void)
{
    return rr_mono_us(rr_clock_system());
}

int64_t crowd_wall_ms(const struct crowd *c, int64_t now_us)
{
    return (now_us + c->wall_offset_us) / 1000;
}

struct rain_view *crowd_rain(struct crowd *c, struct rr_slice code, bool make)
{
    for (uint32_t i = 0; i < c->n_rains; i++) {
        if (rr_slice_eq_str(code, c->rains[i].code))
            return &c->rains[i];
    }
    if (!make || c->n_rains == CROWD_RAINS_MAX || !wire_code_ok(code))
        return NULL;
    struct rain_view *rain = &c->rains[c->n_rains];
    if (!rr_slice_copy(code, rain->code, sizeof(rain->code)))
        return NULL;
    c->n_rains++;
    return rain;
}

uint64_t crowd_losers(const struct crowd *c)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < c->n_viewers; i++)
        n += c->viewers[i].user->wins == 0;
    return n;
}

int64_t crowd_open_us(const struct crowd *c, int64_t now_us)
{
    int64_t sum_us = 0;
    for (uint32_t i = 0; i < c->n_rains; i++) {
        int64_t from_us = clock_sync_mono_us(&c->clock, c->rains[i].open_ms);
        int64_t to_us = clock_sync_mono_us(&c->clock, c->rains[i].end_ms);
        if (to_us > now_us)
            to_us = now_us;
        if (to_us > from_us)
            sum_us += to_us - from_us;
    }
    return sum_us;
}

/* --- start and end -------------------------------------------------------------------------- */

static enum rr_err raise_fd_limit(uint32_t viewers)
{
    struct rlimit lim;
    if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
        return RR_SYSTEM;
    lim.rlim_cur = lim.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &lim) < 0)
        return RR_SYSTEM;
    if (lim.rlim_cur != RLIM_INFINITY && lim.rlim_cur < (rlim_t)viewers + FDS_SPARE) {
        fprintf(stderr,
                "redrain-bench: %u viewers need %u file descriptors, the limit is %" PRIu64 "\n",
                viewers, viewers + FDS_SPARE, (uint64_t)lim.rlim_cur);
        return RR_CONFIG;
    }
    return RR_OK;
}

static enum rr_err crowd_init(struct crowd *c, const struct crowd_opts *opts)
{
    *c = (struct crowd){.opts = opts, .net = {.epoll_fd = -1}};
    enum rr_err err = tokens_load(opts->tokens_file, &c->users, &c->n_users);
    if (err)
        return err;
    uint32_t n = opts->viewers ? opts->viewers : c->n_users;
    err = raise_fd_limit(n);
    if (err)
        return err;
    err = ws_net_init(&c->net, opts->url, opts->origin);
    if (err) {
        fprintf(stderr, "redrain-bench: cannot use %s\n", opts->url);
        return err;
    }
    c->net.subprotocol = RR_SUBPROTOCOL;
    c->net.on = viewer_handlers;
    err = wins_log_open(&c->wins_log, opts->wins_log);
    if (err) {
        fprintf(stderr, "redrain-bench: %s: %s\n", opts->wins_log, strerror(errno));
        return err;
    }
    timers_init(&c->timers, n);
    c->n_viewers = n;
    c->viewers = rr_xcalloc(n, sizeof(*c->viewers));
    /* More viewers than tokens: users with several sockets. */
    for (uint32_t i = 0; i < n; i++)
        viewer_init(&c->viewers[i], c, i, &c->users[i % c->n_users]);
    c->begun_us = crowd_now_us();
    c->wall_offset_us = rr_wall_ms(rr_clock_system()) * 1000 - c->begun_us;
    return RR_OK;
}

static void crowd_fini(struct crowd *c)
{
    for (uint32_t i = 0; i < c->n_viewers; i++)
        viewer_fini(&c->viewers[i]);
    for (uint32_t i = 0; i < c->n_users; i++)
        user_fini(&c->users[i]);
    free(c->viewers);
    free(c->users);
    timers_fini(&c->timers);
    ws_net_fini(&c->net);
}

/* --- one turn of the loop ------------------------------------------------------------------- */

/* Starts the connections that are due by the rate, as long as not too many are half way. */
static void ramp(struct crowd *c, int64_t now_us)
{
    int64_t due = (now_us - c->begun_us) * c->opts->connect_rate / 1000000 + 1;
    uint64_t under_way = c->started - c->stats.joined_ever;
    while (c->started < c->n_viewers && c->started < due && under_way < JOINING_MAX) {
        viewer_connect(&c->viewers[c->started++], now_us);
        under_way++;
    }
}

/* In microseconds where the kernel can: waking late would count as latency of the server. */
static int wait_for_events(const struct crowd *c, struct epoll_event *ev, int64_t wait_us)
{
    if (wait_us < 0)
        wait_us = 0;
    struct timespec ts = {.tv_sec = wait_us / 1000000, .tv_nsec = wait_us % 1000000 * 1000};
    int n = epoll_pwait2(c->net.epoll_fd, ev, EVENTS_MAX, &ts, NULL);
    if (n < 0 && errno == ENOSYS)
        n = epoll_wait(c->net.epoll_fd, ev, EVENTS_MAX, (int)((wait_us + 999) / 1000));
    return n;
}

static void wait_and_serve(struct crowd *c, int64_t until_us)
{
    struct epoll_event ev[EVENTS_MAX];
    int n = wait_for_events(c, ev, until_us - crowd_now_us());
    for (int i = 0; i < n; i++)
        ws_client_event(ev[i].data.ptr, ev[i].events);
    int64_t now_us = crowd_now_us();
    for (uint32_t k = 0; k < EVENTS_MAX; k++) {
        uint32_t slot = timers_pop(&c->timers, now_us);
        if (slot == UINT32_MAX)
            break;
        viewer_wake(&c->viewers[slot], now_us);
    }
}

/* Every rain is done for everybody who is there, and there was one; or nobody can come any more. */
static bool all_finished(const struct crowd *c)
{
    bool anyone = false;
    bool played = false;
    if (c->started < c->n_viewers)
        return false;
    for (uint32_t i = 0; i < c->n_viewers; i++) {
        const struct viewer *v = &c->viewers[i];
        anyone = anyone || v->state != VIEWER_GONE;
        played = played || v->n_books > 0;
        if (!viewer_finished(v))
            return false;
    }
    return played || !anyone;
}

/* A clock sample per second, from another viewer each time. */
static void sample_clock(struct crowd *c, int64_t now_us)
{
    uint32_t from = (uint32_t)(ws_net_random(&c->net) % c->n_viewers);
    for (uint32_t i = 0; i < c->n_viewers; i++) {
        struct viewer *v = &c->viewers[(from + i) % c->n_viewers];
        if (v->state == VIEWER_JOINED) {
            viewer_ping(v, now_us);
            return;
        }
    }
}

struct pace {
    int64_t second_us;   /* next full second since the start */
    int64_t finished_us; /* when all was seen to be over, 0 = not yet */
    uint64_t grabs;      /* at the last full second */
};

static void each_second(struct crowd *c, struct pace *p, int64_t now_us)
{
    if (now_us < p->second_us)
        return;
    p->second_us = now_us + 1000000;
    if (c->opts->progress)
        report_progress(c, now_us, c->stats.grabs - p->grabs);
    p->grabs = c->stats.grabs;
    sample_clock(c, now_us);
    wins_log_flush(&c->wins_log);
}

static bool is_over(struct crowd *c, struct pace *p, int64_t now_us)
{
    const struct crowd_opts *o = c->opts;
    if (o->endless)
        return false;
    if (o->duration_max_ms && now_us - c->begun_us >= o->duration_max_ms * 1000)
        return true;
    if (!all_finished(c)) {
        p->finished_us = 0;
        return false;
    }
    if (!p->finished_us)
        p->finished_us = now_us;
    return now_us - p->finished_us >= o->linger_ms * 1000;
}

/* What the signals ask for: a storm drops every second viewer's connection, the other half each time. */
static void obey_signals(struct crowd *c, const struct crowd_signals *signals, int64_t now_us)
{
    c->calm = signals->calm;
    if (c->storms < (uint64_t)signals->storms) {
        c->storms++;
        for (uint32_t i = c->storms % 2; i < c->n_viewers; i += 2)
            viewer_drop(&c->viewers[i], now_us);
    }
    for (uint32_t i = 0; c->opts->stall_pct && i < c->n_viewers; i++)
        viewer_stall(&c->viewers[i], now_us);
}

static void loop(struct crowd *c, const struct crowd_signals *signals)
{
    struct pace p = {.second_us = c->begun_us + 1000000};
    int64_t tick_us = c->begun_us;

    while (!signals->stop) {
        int64_t now_us = crowd_now_us();
        ramp(c, now_us);
        if (now_us >= tick_us) {
            each_second(c, &p, now_us);
            obey_signals(c, signals, now_us);
            if (is_over(c, &p, now_us))
                break;
            tick_us = now_us + TICK_US;
        }
        int64_t until_us = timers_next(&c->timers);
        if (until_us > tick_us)
            until_us = tick_us;
        if (c->started < c->n_viewers && until_us > now_us + 1000)
            until_us = now_us + 1000;
        wait_and_serve(c, until_us);
    }
}

/* Questions that never got their final answer, as (user, rain, seq). */
static uint64_t count_unanswered(struct crowd *c)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < c->n_viewers; i++) {
        struct viewer *v = &c->viewers[i];
        for (uint32_t k = 0; k < v->n_books; k++) {
            const struct book *b = &v->books[k];
            struct purse_entry *e = b->open ? user_entry(v->user, b->rain, b->seq) : NULL;
            if (!e || e->told || e->counted)
                continue;
            e->counted = true;
            n++;
        }
    }
    return n;
}

/* Close frames to all, and a moment for their answers: the server books clean closes, not resets.
 */
static void farewell(struct crowd *c)
{
    int64_t until_us = crowd_now_us() + FAREWELL_US;
    c->ending = true;
    for (uint32_t i = 0; i < c->n_viewers; i++) {
        timers_set(&c->timers, i, TIMER_NEVER);
        ws_client_close(&c->viewers[i].ws, CLOSE_NORMAL);
    }
    bool any = true;
    while (any && crowd_now_us() < until_us) {
        struct epoll_event ev[EVENTS_MAX];
        int n = epoll_wait(c->net.epoll_fd, ev, EVENTS_MAX, TICK_US / 1000);
        for (int i = 0; i < n; i++)
            ws_client_event(ev[i].data.ptr, ev[i].events);
        any = false;
        for (uint32_t i = 0; i < c->n_viewers && !any; i++)
            any = c->viewers[i].ws.fd >= 0;
    }
}

enum rr_err crowd_run(const struct crowd_opts *opts, const struct crowd_signals *signals,
                      bool *joined)
{
    struct crowd *c = rr_xcalloc(1, sizeof(*c));
    enum rr_err err = crowd_init(c, opts);
    if (err)
        goto out;
    loop(c, signals);
    int64_t end_us = crowd_now_us();
    if (opts->progress)
        report_progress(c, end_us, 0);
    farewell(c); /* also takes answers that were on their way, so the figures come after it */
    for (uint32_t i = 0; i < c->n_viewers; i++)
        viewer_lost(&c->viewers[i], end_us);
    report_final(c, end_us, count_unanswered(c));
    *joined = c->stats.joined_ever > 0;
out:
    if (wins_log_close(&c->wins_log) && !err) {
        fprintf(stderr, "redrain-bench: %s could not be written\n", opts->wins_log);
        err = RR_SYSTEM;
    }
    crowd_fini(c);
    free(c);
    return err;
}
