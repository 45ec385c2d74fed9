/* hook.c - makes a redrain-server that measures its own fan-out: the whole product, whose worker, once enough members are in the
 * room "bench", sends the same frame to all of them in turns by three ways over the same sockets:
 *   ours   what a push does: hub_push_local(), slices on the loop, accounting, the transport
 *   bare   send() on every socket, nothing else (bench/ref/bare_send.c)
 *   lws    lws_write() on every socket, nothing else
 * and bare a second time, so that a reader sees what the machine makes of no difference at all. Then paced broadcasts whose payload
 * holds the time they were due. REDRAIN_BENCH_FANOUT says "rounds=5 ms=4000 paced=20 gap=500 members=1000,10000"; the members come
 * and stay. One JSON line per pass on stdout, "end" after each number of members. */
#include <inttypes.h>
#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "bare_send.h"
#include "protocol/msg.h"
#include "protocol/pack.h"
#include "worker.h"

#define ROOM "bench"

enum {
    PAYLOAD_BYTES = 200,
    REST_MS = 400,
    WAIT_MS = 100,
    BURST = 64,
    FRAME_MAX_BYTES = 1024,
    STEPS_MAX = 16
};
enum way { OURS, BARE, LWS, BARE_AGAIN, PACED };
static const char *const way_names[] = {"ours", "bare", "lws", "bare2", "paced"};

static struct {
    struct worker *w;
    uint32_t rounds, paced, gap_ms;
    int64_t pass_us;
    uint32_t steps[STEPS_MAX], steps_n, step;
    uv_timer_t timer; /* rests, pacing, waiting for members */
    uv_idle_t idle;   /* active during a pass of ours */
    int *fds;
    struct lws **wsis;
    uint32_t n; /* members of this step */
    uint32_t round;
    enum way way;
    struct rr_buf frame; /* LWS_PRE, then the frame's message */
    uint8_t bare[FRAME_MAX_BYTES];
    size_t bare_len;
    char payload[PAYLOAD_BYTES + 8]; /* msgpack */
    size_t payload_len;
    /* the pass under way: bursts, with rests between that do not count */
    int64_t spent_us, spent_cpu_us;
    uint64_t pushes, refused;
    /* the burst under way */
    int64_t begun_us, cpu_us, due_us;
    uint64_t expected, burst;
} b;

static int64_t mono_us(void)
{
    return rr_mono_us(rr_clock_system());
}

static int64_t cpu_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static const struct session_counters *counters(void)
{
    return session_table_counters(b.w->sessions);
}

/* A payload of 200 bytes; with a stamp its end says when it was due. */
static void make_payload(int64_t stamp_us)
{
    char text[PAYLOAD_BYTES + 1];
    struct rr_buf out = {0};

    memset(text, '.', PAYLOAD_BYTES);
    if (stamp_us)
        snprintf(text + PAYLOAD_BYTES - 17, 18, "@%016" PRId64, stamp_us);
    pack_str(&out, rr_slice_of(text, PAYLOAD_BYTES));
    b.payload_len = out.len;
    RR_ASSERT(out.len <= sizeof(b.payload));
    memcpy(b.payload, out.p, out.len);
    rr_buf_fini(&out);
}

static void push(void)
{
    hub_push_local(b.w->hub, ROOM, rr_slice_str("BENCH"), rr_slice_of(b.payload, b.payload_len), 0);
}

/* The bytes that a push makes, for the ways that are not ours. */
static void make_frame(void)
{
    static const char pre[LWS_PRE];
    struct rr_buf message = {0};
    size_t n = 0;

    msg_push(&message, ROOM, 0, 0, rr_slice_str("BENCH"), rr_slice_of(b.payload, b.payload_len));
    n = message.len;
    RR_ASSERT(n > 125 && n + 4 <= sizeof(b.bare));
    rr_buf_clear(&b.frame);
    rr_buf_append(&b.frame, pre, LWS_PRE);
    rr_buf_append(&b.frame, message.p, n);
    b.bare[0] = 0x82;
    b.bare[1] = 126;
    b.bare[2] = (uint8_t)(n >> 8);
    b.bare[3] = (uint8_t)n;
    memcpy(b.bare + 4, message.p, n);
    b.bare_len = n + 4;
    rr_buf_fini(&message);
}

static void collect_members(void)
{
    uint32_t slots = session_slots(b.w->sessions);

    b.fds = rr_xrealloc(b.fds, slots, sizeof(*b.fds));
    b.wsis = rr_xrealloc(b.wsis, slots, sizeof(*b.wsis));
    b.n = 0;
    for (uint32_t i = 0; i < slots; i++) {
        struct session *s = session_at(b.w->sessions, i);

        if (!s || s->state != SESSION_JOINED)
            continue;
        b.wsis[b.n] = ws_socket(s->conn);
        b.fds[b.n] = lws_get_socket_fd(b.wsis[b.n]);
        b.n++;
    }
}

static void say_pass(void)
{
    const struct session_counters *c = counters();
    uint64_t frames = b.pushes * b.n;

    printf("{\"event\":\"pass\",\"way\":\"%s\",\"members\":%u,\"round\":%u,\"frames\":%" PRIu64
           ",\"us\":%" PRId64 ",\"cpu_us\":%" PRId64 ",\"refused\":%" PRIu64 ",\"queued\":%" PRIu64
           ",\"frame_bytes\":%zu}\n",
           way_names[b.way], b.n, b.round, frames, b.spent_us, b.spent_cpu_us, b.refused, c->queued,
           b.bare_len);
    fflush(stdout);
}

static void next_pass(void);
static void burst_begin(void);
static void on_waiting(uv_timer_t *t);

static void on_rested(uv_timer_t *t)
{
    (void)t;
    next_pass();
}

static void on_burst(uv_timer_t *t)
{
    (void)t;
    burst_begin();
}

static void pass_end(void)
{
    say_pass();
    b.way++;
    if (b.way == PACED) {
        b.way = OURS;
        b.round++;
    }
    uv_timer_start(&b.timer, on_rested, REST_MS, 0);
}

static bool burst_over(void)
{
    return b.burst == BURST || b.spent_us + mono_us() - b.begun_us >= b.pass_us;
}

static void burst_end(void)
{
    int64_t us = mono_us() - b.begun_us;

    b.spent_us += us;
    b.spent_cpu_us += cpu_us() - b.cpu_us;
    b.pushes += b.burst;
    if (b.spent_us >= b.pass_us) {
        pass_end();
        return;
    }
    /* The readers catch up: what is measured is sending, not a full socket. */
    uv_timer_start(&b.timer, on_burst, 10 + (uint64_t)(us / 2000), 0);
}

static void on_idle(uv_idle_t *idle)
{
    if (counters()->expected - b.expected < b.burst * b.n)
        return; /* the worker's own handle sends, slice by slice */
    if (burst_over()) {
        uv_idle_stop(idle);
        burst_end();
        return;
    }
    push();
    b.burst++;
}

static uint32_t lws_send_all(void)
{
    uint32_t refused = 0;

    for (uint32_t i = 0; i < b.n; i++) {
        if (lws_partial_buffered(b.wsis[i]) ||
            lws_write(b.wsis[i], (unsigned char *)b.frame.p + LWS_PRE, b.frame.len - LWS_PRE,
                      LWS_WRITE_BINARY) < 0)
            refused++;
    }
    return refused;
}

static void on_paced(uv_timer_t *t)
{
    make_payload(b.due_us);
    push();
    b.due_us += (int64_t)b.gap_ms * 1000;
    b.pushes++;
    if (b.pushes < b.paced)
        return;
    uv_timer_stop(t);
    b.way = PACED;
    say_pass();
    printf("{\"event\":\"end\",\"members\":%u}\n", b.n);
    fflush(stdout);
    b.step++;
    if (b.step < b.steps_n) {
        uv_timer_start(t, on_waiting, WAIT_MS, WAIT_MS);
        return;
    }
    uv_close((uv_handle_t *)&b.timer, NULL);
    uv_close((uv_handle_t *)&b.idle, NULL);
    rr_buf_fini(&b.frame);
    free(b.fds);
    free(b.wsis);
}

static void burst_begin(void)
{
    b.begun_us = mono_us();
    b.cpu_us = cpu_us();
    b.expected = counters()->expected;
    b.burst = 0;
    if (b.way == OURS) {
        uv_idle_start(&b.idle, on_idle);
        return;
    }
    while (!burst_over()) {
        b.refused += b.way == LWS ? lws_send_all() : bare_send(b.fds, b.n, b.bare, b.bare_len);
        b.burst++;
    }
    burst_end();
}

static void next_pass(void)
{
    b.spent_us = 0;
    b.spent_cpu_us = 0;
    b.pushes = 0;
    b.refused = 0;
    if (b.round < b.rounds) {
        burst_begin();
        return;
    }
    b.due_us = mono_us() + (int64_t)b.gap_ms * 1000;
    uv_timer_start(&b.timer, on_paced, b.gap_ms, b.gap_ms);
}

static void on_waiting(uv_timer_t *t)
{
    if (hub_members(b.w->hub, ROOM) < b.steps[b.step])
        return;
    (void)t;
    collect_members();
    b.round = 0;
    b.way = OURS;
    make_payload(0);
    make_frame();
    uv_timer_start(&b.timer, on_rested, REST_MS, 0);
}

static uint32_t number(const char *plan, const char *name, uint32_t fallback)
{
    const char *at = strstr(plan, name);

    return at ? (uint32_t)strtoul(at + strlen(name), NULL, 10) : fallback;
}

static void begin(struct worker *w)
{
    const char *plan = getenv("REDRAIN_BENCH_FANOUT");
    const char *members = plan ? strstr(plan, "members=") : NULL;

    if (!members || b.w)
        return;
    b.w = w;
    b.rounds = number(plan, "rounds=", 5);
    b.pass_us = number(plan, "ms=", 4000) * INT64_C(1000);
    b.paced = number(plan, "paced=", 20);
    b.gap_ms = number(plan, "gap=", 500);
    for (const char *p = members + 8; *p && b.steps_n < STEPS_MAX; p += *p == ',') {
        char *end = NULL;

        b.steps[b.steps_n++] = (uint32_t)strtoul(p, &end, 10);
        if (end == p)
            break;
        p = end;
    }
    uv_timer_init(&w->loop, &b.timer);
    uv_idle_init(&w->loop, &b.idle);
    uv_unref((uv_handle_t *)&b.timer);
    uv_timer_start(&b.timer, on_waiting, WAIT_MS, WAIT_MS);
}

__attribute__((constructor)) static void install(void)
{
    worker_on_start = begin;
}
