/* swarm.c - sockets, the loop, the lines on stdin; see swarm.h. */
#include "swarm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "protocol/msg.h"

enum {
    EVENTS_MAX = 512,
    TICK_US = 20 * 1000,
    STAMP_DIGITS = 16,
    PAYLOAD_BYTES = 200,
    SOURCES = 500,             /* 127.0.1.0 … 127.0.2.249 */
    SOURCE_FIRST = 0x7f000100, /* 127.0.1.0 */
    LINE_MAX_BYTES = 4096,
};

void swarm_connect(struct swarm_conn *c, int64_t now_us)
{
    struct swarm *s = c->swarm;
    uint32_t k = s->source_no++ % SOURCES;
    uint32_t source = s->net.loopback ? SOURCE_FIRST + (k / 250 << 8) + k % 250 : 0;

    c->step = 0;
    c->asked = 0;
    c->room_seq = -1;
    c->due_us = now_us;
    if (ws_client_open(&c->ws, source)) {
        s->dropped++;
        return;
    }
    c->state = SWARM_CONNECTING;
    s->half_way++;
}

void swarm_send(struct swarm_conn *c, const struct rr_buf *b)
{
    RR_ASSERT(!b->failed);
    ws_client_send(&c->ws, rr_slice_of(b->p, b->len));
}

void swarm_entered(struct swarm_conn *c, int64_t now_us)
{
    struct swarm *s = c->swarm;

    c->state = SWARM_IN;
    s->half_way--;
    s->in++;
    if (!s->storm.active)
        return;
    s->storm.entered++;
    hist_record(&s->storm.enter_us, now_us - c->due_us);
    ws_client_close(&c->ws, CLOSE_NORMAL);
}

/* ---- broadcasts ---- */

static struct bcast *bcast_of(struct swarm_seen *e, int64_t stamp_us, int64_t now_us)
{
    uint32_t known = e->bcasts_n < BCASTS_MAX ? e->bcasts_n : BCASTS_MAX;

    for (uint32_t back = 1; back <= known; back++) {
        struct bcast *b = &e->bcasts[(e->bcasts_n - back) % BCASTS_MAX];

        if (b->stamp_us == stamp_us)
            return b;
    }
    struct bcast *b = &e->bcasts[e->bcasts_n++ % BCASTS_MAX];
    *b = (struct bcast){.stamp_us = stamp_us, .first_us = now_us};
    return b;
}

/* "@" and 16 digits, or -1: an "@" may be a byte of anything. */
static int64_t stamp_at(const char *at, const char *end)
{
    int64_t us = 0;

    if (end - at <= STAMP_DIGITS)
        return -1;
    for (int i = 1; i <= STAMP_DIGITS; i++) {
        if (at[i] < '0' || at[i] > '9')
            return -1;
        us = us * 10 + (at[i] - '0');
    }
    return us;
}

void swarm_stamps(struct swarm_conn *c, struct rr_slice bytes, int64_t now_us)
{
    struct swarm_seen *e = &c->swarm->seen;
    const char *end = bytes.p + bytes.len;
    const char *at = memchr(bytes.p, '@', bytes.len);

    if (!at && bytes.len < PAYLOAD_BYTES)
        return; /* a count, a ticker: not ours */
    e->pushes++;
    e->bytes += bytes.len;
    for (; at; at = memchr(at + 1, '@', (size_t)(end - at - 1))) {
        int64_t stamp_us = stamp_at(at, end);

        if (stamp_us < 0)
            continue;
        struct bcast *b = bcast_of(e, stamp_us, now_us);
        b->n++;
        b->last_us = now_us;
        e->deliveries++;
        hist_record(&e->delay_us, now_us - stamp_us);
    }
}

/* ---- sockets ---- */

static void on_open(struct ws_client *ws)
{
    struct swarm_conn *c = (struct swarm_conn *)ws;

    c->state = SWARM_ENTERING;
    c->swarm->opts->dialect->open(c);
}

static void on_message(struct ws_client *ws, struct rr_slice bytes)
{
    struct swarm_conn *c = (struct swarm_conn *)ws;

    c->swarm->opts->dialect->message(c, bytes, crowd_now_us());
}

static void on_closed(struct ws_client *ws, int code)
{
    struct swarm_conn *c = (struct swarm_conn *)ws;
    struct swarm *s = c->swarm;
    bool was_in = c->state == SWARM_IN;

    if (was_in)
        s->in--;
    else
        s->half_way--;
    swarm_run_lost(c);
    c->state = SWARM_OFFLINE;
    if (!was_in || !s->storm.active) {
        s->dropped++;
        s->last_code = code;
        s->storm.failed += s->storm.active;
    }
    if (s->storm.active && crowd_now_us() < s->storm.until_us)
        swarm_connect(c, crowd_now_us());
}

static const struct ws_handlers handlers = {
    .open = on_open, .message = on_message, .closed = on_closed};

static void ramp(struct swarm *s, int64_t now_us)
{
    while (s->started < s->opts->n && s->half_way < s->opts->entering)
        swarm_connect(&s->conns[s->started++], now_us);
    if (!s->ready_told && s->started == s->opts->n && s->half_way == 0) {
        s->ready_told = true;
        swarm_say_ready(s, now_us);
    }
}

/* ---- lines ---- */

/* "name=value" in a line; fallback when it is not there. */
static double number(const char *line, const char *name, double fallback)
{
    const char *at = strstr(line, name);
    size_t len = strlen(name);

    return at && at[len] == '=' ? strtod(at + len + 1, NULL) : fallback;
}

/* codes=A,B,…: the rains of a run, in this order. */
static void rains_of(struct swarm_run *r, const char *line)
{
    const char *at = strstr(line, "codes=");
    size_t len = 0;

    for (at = at ? at + 6 : ""; *at && *at != ' ' && r->codes_n < SWARM_RAINS;
         at += len + (at[len] == ',')) {
        len = strcspn(at, ", ");
        snprintf(r->codes[r->codes_n++], SWARM_CODE_BYTES, "%.*s", (int)len, at);
    }
    if (r->codes_n == 0)
        r->codes_n = 1; /* a rain that nobody knows */
}

static void begin_run(struct swarm *s, const char *line, int64_t now_us)
{
    struct swarm_run *r = &s->run;
    double conns = number(line, "conns", s->opts->n);

    free(r->idle);
    *r = (struct swarm_run){
        .kind = strstr(line, "ping") ? SWARM_PING : SWARM_GRAB,
        .until_us = (int64_t)(number(line, "secs", 4) * 1e6),
        .per_s = number(line, "rate", 0),
        .each = (int64_t)number(line, "each", 0),
        .conns = conns >= 1 && conns < s->opts->n ? (uint32_t)conns : s->opts->n,
    };
    rains_of(r, line);
    if (number(line, "fresh", 0) > 0) {
        for (uint32_t i = 0; i < s->opts->n; i++)
            s->conns[i].won = 0;
    }
    swarm_run_begin(s, now_us);
}

static void begin_storm(struct swarm *s, const char *line, int64_t now_us)
{
    double conns = number(line, "conns", 64);
    uint32_t n = conns < s->opts->n ? (uint32_t)conns : s->opts->n;

    s->storm = (struct swarm_storm){
        .begun_us = now_us,
        .until_us = now_us + (int64_t)(number(line, "secs", 4) * 1e6),
        .active = true,
    };
    for (uint32_t i = 0; i < n; i++) {
        if (s->conns[i].state == SWARM_OFFLINE)
            swarm_connect(&s->conns[i], now_us);
    }
}

static void storm_step(struct swarm *s, int64_t now_us)
{
    if (!s->storm.active || now_us < s->storm.until_us || s->in + s->half_way > 0)
        return;
    s->storm.active = false;
    swarm_say_storm(s, now_us);
}

static void obey(struct swarm *s, const char *line)
{
    int64_t now_us = crowd_now_us();

    if (strncmp(line, "run", 3) == 0)
        begin_run(s, line, now_us);
    else if (strncmp(line, "storm", 5) == 0)
        begin_storm(s, line, now_us);
    else if (strncmp(line, "seen", 4) == 0)
        swarm_say_seen(s);
    else if (strncmp(line, "reset", 5) == 0)
        s->seen = (struct swarm_seen){0};
    else if (strncmp(line, "quit", 4) == 0)
        s->quit = true;
    else
        fprintf(stderr, "redrain-bench: swarm: what is \"%s\"?\n", line);
}

static void read_lines(struct swarm *s)
{
    static char buf[LINE_MAX_BYTES];
    static size_t len;
    ssize_t n = read(STDIN_FILENO, buf + len, sizeof(buf) - len - 1);
    char *nl = NULL;

    if (n == 0 || len + 1 == sizeof(buf)) {
        s->quit = true;
        return;
    }
    if (n < 0)
        return;
    len += (size_t)n;
    buf[len] = 0;
    while ((nl = memchr(buf, '\n', len))) {
        size_t used = (size_t)(nl - buf) + 1;

        *nl = 0;
        obey(s, buf);
        memmove(buf, nl + 1, len - used);
        len -= used;
    }
}

/* ---- loop ---- */

static void wait_and_serve(struct swarm *s, int64_t now_us)
{
    struct epoll_event ev[EVENTS_MAX];
    int64_t until_us = swarm_run_next_us(s, now_us);

    if (until_us > now_us + TICK_US)
        until_us = now_us + TICK_US;
    int64_t wait_us = until_us > now_us ? until_us - now_us : 0;
    struct timespec ts = {.tv_nsec = wait_us * 1000};
    int n = epoll_pwait2(s->net.epoll_fd, ev, EVENTS_MAX, &ts, NULL);
    if (n < 0 && errno == ENOSYS)
        n = epoll_wait(s->net.epoll_fd, ev, EVENTS_MAX, (int)((wait_us + 999) / 1000));
    for (int i = 0; i < n; i++) {
        if (ev[i].data.ptr)
            ws_client_event(ev[i].data.ptr, ev[i].events);
        else
            read_lines(s);
    }
}

static enum rr_err begin(struct swarm *s, const struct swarm_opts *opts)
{
    struct rlimit lim;
    struct epoll_event ev = {.events = EPOLLIN}; /* no pointer: stdin */
    enum rr_err err = tokens_load(opts->tokens_file, &s->users, &s->n_users);

    if (err)
        return err;
    if (getrlimit(RLIMIT_NOFILE, &lim) == 0) {
        lim.rlim_cur = lim.rlim_max;
        setrlimit(RLIMIT_NOFILE, &lim);
    }
    s->opts = opts;
    err = ws_net_init(&s->net, opts->url, opts->origin);
    if (err) {
        fprintf(stderr, "redrain-bench: cannot use %s\n", opts->url);
        return err;
    }
    s->net.subprotocol = opts->dialect->subprotocol;
    s->net.text = opts->dialect->text;
    s->net.on = handlers;
    s->conns = rr_xcalloc(opts->n, sizeof(*s->conns));
    for (uint32_t i = 0; i < opts->n; i++)
        s->conns[i] = (struct swarm_conn){.ws = {.net = &s->net, .fd = -1},
                                          .swarm = s,
                                          .user = &s->users[i % s->n_users],
                                          .index = i,
                                          .room_seq = -1};
    fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
    s->begun_us = crowd_now_us();
    return epoll_ctl(s->net.epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &ev) == 0 ? RR_OK : RR_SYSTEM;
}

enum rr_err swarm_main_loop(const struct swarm_opts *opts, const volatile sig_atomic_t *stop)
{
    struct swarm *s = rr_xcalloc(1, sizeof(*s));
    enum rr_err err = begin(s, opts);

    while (!err && !*stop && !s->quit) {
        int64_t now_us = crowd_now_us();

        if (!s->storm.active && opts->entering > 0)
            ramp(s, now_us);
        storm_step(s, now_us);
        swarm_run_step(s, now_us);
        wait_and_serve(s, now_us);
    }
    for (uint32_t i = 0; s->conns && i < opts->n; i++)
        ws_client_fini(&s->conns[i].ws);
    for (uint32_t i = 0; i < s->n_users; i++)
        user_fini(&s->users[i]);
    free(s->run.idle);
    free(s->conns);
    free(s->users);
    ws_net_fini(&s->net);
    free(s);
    return err;
}
