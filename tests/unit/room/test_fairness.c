/* Chances are fair: whoever joined first, and whatever worker he is on, wins as often as everybody else. Two workers with the
 * real fan-out and the real batches of grabs, one pool; every viewer taps in the moment the push reaches his socket, so the order
 * of sending is the order of winning: the worst case. Seeds are fixed. The control takes the rotation away and must fail. */
#include "cm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "fakes.h"
#include "rain/grab_batch.h"
#include "room/hub.h"

enum {
    WORKERS = 2,
    MEMBERS = 20, /* per worker */
    PACKETS = 10,
    RAINS = 1200,
    CALLS_MAX = 64,
    SLICE = 3,
};

#define EPOCH UINT64_C(0xe1)

struct world;

struct viewer {
    struct world *world;
    int worker;
    int place; /* in the order of joining */
    uint64_t session_id;
};

struct side {
    struct fake_bus bus;
    struct session_table *sessions;
    struct hub *hub;
    struct grab_batch *grabs;
    struct session *people[MEMBERS];
    struct viewer viewers[MEMBERS];
};

/* The shared pool: calls of both workers in the order in which they were sent. */
struct call {
    struct pool_grab_item items[POOL_GRAB_MAX];
    uint32_t n;
    pool_grab_fn done;
    void *arg;
};

struct world {
    struct rr_clock_fake clock;
    struct side side[WORKERS];
    struct pool_grab pool;
    struct call calls[CALLS_MAX];
    uint32_t calls_n;
    uint32_t left;
    uint64_t rng;
    uint64_t seq;
    int wins[WORKERS][MEMBERS];
    int rain_wins[WORKERS];
    int rains_led[WORKERS]; /* rains in which a worker's viewers won more than the other's */
};

static const struct pool_shard shard = {.code = "AAAAAAAAAAAAAAAAAAAAAA", .shard = 0};

static uint64_t next_random(struct world *w)
{
    uint64_t z = (w->rng += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* ---- viewers ---- */

static enum rr_err write_now(void *impl, void *conn, struct rr_frame *frame)
{
    struct viewer *v = conn;
    struct grab g = {.session_id = v->session_id,
                     .user_id = 1 + v->worker * MEMBERS + v->place,
                     .received_us = v->world->clock.now_us};

    (void)impl;
    (void)frame;
    assert_int_equal(grab_batch_add(v->world->side[v->worker].grabs, &shard, &g), RR_OK);
    return RR_OK;
}

static void want_write(void *impl, void *conn)
{
    (void)impl;
    (void)conn;
}

static void close_conn(void *impl, void *conn, enum close_code code)
{
    (void)impl;
    (void)conn;
    (void)code;
}

static const struct transport transport = {.headroom = FAKE_HEADROOM,
                                           .write_now = write_now,
                                           .want_write = want_write,
                                           .close = close_conn};

/* ---- the pool ---- */

static void pool_call(void *impl, const struct pool_shard *at, const struct pool_grab_item *items,
                      uint32_t n, pool_grab_fn done, void *arg)
{
    struct world *w = impl;
    struct call *c = &w->calls[w->calls_n++];

    (void)at;
    assert_true(w->calls_n <= CALLS_MAX);
    *c = (struct call){.n = n, .done = done, .arg = arg};
    memcpy(c->items, items, n * sizeof(*items));
}

static void pool_run(struct world *w)
{
    for (uint32_t i = 0; i < w->calls_n; i++) {
        struct call c = w->calls[i];
        struct pool_grab_result results[POOL_GRAB_MAX] = {0};
        struct pool_grab_reply reply = {.items = results, .n = c.n, .outbox_id = "1-1"};

        for (uint32_t k = 0; k < c.n; k++) {
            if (w->left == 0) {
                results[k].rc = RR_SOLD_OUT;
                continue;
            }
            results[k] = (struct pool_grab_result){.packet_no = w->left--, .amount_fen = 1};
        }
        c.done(c.arg, RR_OK, &reply);
    }
    w->calls_n = 0;
}

static void on_grab_done(void *arg, const struct pool_shard *at, const struct grab *g,
                         const struct grab_outcome *o, const struct pool_grab_reply *reply)
{
    struct world *w = arg;
    int worker = (int)(g->user_id - 1) / MEMBERS;

    (void)at;
    (void)reply;
    if (o->rc != RR_OK)
        return;
    w->wins[worker][(g->user_id - 1) % MEMBERS]++;
    w->rain_wins[worker]++;
}

/* ---- rooms ---- */

static void on_joined(void *arg, struct session *s, uint32_t req_id, enum rr_err err,
                      const struct hub_join_answer *a)
{
    (void)arg;
    (void)s;
    (void)req_id;
    (void)a;
    assert_int_equal(err, RR_OK);
}

static void on_state(void *arg, const char *room_id, struct rr_slice biz_code,
                     struct rr_slice payload)
{
    (void)arg;
    (void)room_id;
    (void)biz_code;
    (void)payload;
}

static void on_work(void *arg)
{
    (void)arg;
}

static void side_open(struct world *w, int i, uint64_t seed)
{
    struct side *s = &w->side[i];
    struct room_snapshot snap = {.epoch = EPOCH, .seq = w->seq};

    fake_bus_init(&s->bus);
    s->sessions = session_table_create(&(struct session_table_opts){
        .transport = &transport, .queue_bytes = 4096, .left_room = hub_on_left});
    s->hub = hub_create(&(struct hub_opts){.clock = &w->clock.base,
                                           .bus = &s->bus.bus,
                                           .transport = &transport,
                                           .sessions = s->sessions,
                                           .joined = on_joined,
                                           .rain_state = on_state,
                                           .work = on_work,
                                           .seed = seed,
                                           .arg = w});
    s->grabs = grab_batch_create(&(struct grab_batch_opts){
        .clock = &w->clock.base, .pool = &w->pool, .done = on_grab_done, .arg = w});
    hub_on_bus_state(s->hub, true);
    for (int k = 0; k < MEMBERS; k++) {
        s->viewers[k] = (struct viewer){.world = w, .worker = i, .place = k};
        s->people[k] = session_create(s->sessions, &s->viewers[k], 0);
        s->people[k]->user_id = 1 + i * MEMBERS + k;
        session_set_state(s->people[k], SESSION_AUTHED, NULL);
        hub_join(s->hub, s->people[k], 1, "r1", 0, 0);
    }
    hub_on_subscribed(s->hub, "r1");
    fake_bus_load(&s->bus, 0, RR_OK, &snap);
    assert_int_equal(hub_members(s->hub, "r1"), MEMBERS);
}

static void side_close(struct side *s)
{
    fake_bus_fini(&s->bus);
    for (int k = 0; k < MEMBERS; k++)
        session_destroy(s->people[k]);
    hub_destroy(s->hub);
    session_table_destroy(s->sessions);
    grab_batch_destroy(s->grabs);
}

/* Who hears the push first, and whose loop turns next, is chance. */
static void rain_play(struct world *w)
{
    struct room_msg m = {.epoch = EPOCH,
                         .seq = ++w->seq,
                         .biz_code = rr_slice_str("ANNOUNCE"),
                         .payload = rr_slice_of("\xc0", 1)};
    int first = (int)(next_random(w) % WORKERS);
    bool busy = true;

    w->left = PACKETS;
    memset(w->rain_wins, 0, sizeof(w->rain_wins));
    hub_on_room_msg(w->side[first].hub, "r1", &m);
    hub_on_room_msg(w->side[1 - first].hub, "r1", &m);
    for (int idle = 0; busy || idle < 20; idle++) {
        int i = (int)(next_random(w) % WORKERS);

        busy = hub_run(w->side[i].hub, SLICE);
        w->clock.now_us += 100;
        for (int k = 0; k < WORKERS; k++)
            grab_batch_tick(w->side[k].grabs);
        if (next_random(w) % 2)
            pool_run(w);
    }
    for (int i = 0; i < WORKERS; i++)
        (void)hub_run(w->side[i].hub, 1000);
    for (int i = 0; i < 5; i++) {
        w->clock.now_us += 2000;
        for (int k = 0; k < WORKERS; k++)
            grab_batch_tick(w->side[k].grabs);
        pool_run(w);
    }
    assert_int_equal(w->rain_wins[0] + w->rain_wins[1], PACKETS);
    if (w->rain_wins[0] != w->rain_wins[1])
        w->rains_led[w->rain_wins[0] < w->rain_wins[1]]++;
}

/* rooms: each rain in a room of its own, else all in one; fixed: without rotation. */
static struct world *play(uint64_t seed, bool rooms, bool fixed)
{
    struct world *w = rr_xcalloc(1, sizeof(*w));

    w->rng = seed;
    rr_clock_fake_init(&w->clock, 1000000000, 1800000000000);
    w->pool = (struct pool_grab){.impl = w, .grab = pool_call};
    for (int n = 0; n < RAINS; n++) {
        for (int i = 0; i < WORKERS && (rooms || fixed || n == 0); i++)
            side_open(w, i, fixed ? 0 : next_random(w));
        rain_play(w);
        for (int i = 0; i < WORKERS && (rooms || fixed || n == RAINS - 1); i++)
            side_close(&w->side[i]);
    }
    return w;
}

/* Every member's wins against the mean, in units of their variance: chi-square with 39 degrees of freedom. */
static double chi_square(const struct world *w)
{
    double p = (double)PACKETS / (WORKERS * MEMBERS);
    double sum = 0;

    for (int i = 0; i < WORKERS; i++) {
        for (int k = 0; k < MEMBERS; k++) {
            double off = w->wins[i][k] - RAINS * p;

            sum += off * off / (RAINS * p * (1 - p));
        }
    }
    return sum;
}

/* The 0.1 % point of 39 degrees of freedom. */
static const double LIMIT = 72.05;

static void assert_fair(bool rooms)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct world *w = play(seed, rooms, false);
        int led = w->rains_led[0] + w->rains_led[1];
        double off = w->rains_led[0] - led / 2.0;

        print_message("seed %d: chi-square %.1f, workers %d : %d\n", (int)seed, chi_square(w),
                      w->rains_led[0], w->rains_led[1]);
        assert_true(chi_square(w) < LIMIT);
        assert_true(off * off / (led / 4.0) < 10.83); /* 0.1 %, one degree of freedom */
        free(w);
    }
}

static void test_many_rains_in_one_room(void **state)
{
    (void)state;
    assert_fair(false);
}

static void test_each_rain_in_a_new_room(void **state)
{
    (void)state;
    assert_fair(true);
}

static void test_a_fixed_order_is_seen(void **state)
{
    struct world *w = play(1, true, true);

    (void)state;
    print_message("fixed order: chi-square %.0f\n", chi_square(w));
    assert_true(chi_square(w) > 10 * LIMIT);
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_rains_in_one_room),
        cmocka_unit_test(test_each_rain_in_a_new_room),
        cmocka_unit_test(test_a_fixed_order_is_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
