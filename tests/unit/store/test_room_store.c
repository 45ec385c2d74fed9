/* The port room_bus and the blocking pushes: numbers, log, states, users, control, presence, time. Two workers on one loop
 * each, so that what one sends the other hears. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "loop_fixture.h"

static struct redis_fixture redis;
static struct loop_fixture loop;
static const struct room_bus *bus;
static struct store_sync *store;

/* What the worker heard. */
static struct heard {
    uint32_t subscribed;
    char room_id[RR_ROOM_ID_MAX + 1];
    uint32_t msgs;
    uint64_t epoch, seq;
    char biz_code[RR_BIZ_CODE_MAX + 1];
    char payload[256];
    uint32_t users;
    int64_t user_id;
    int64_t user_sum;
    uint32_t controls;
    bool inside; /* a call of ours is on the stack: no event may come */
} heard;

static void on_subscribed(void *arg, const char *room_id)
{
    (void)arg;
    assert_false(heard.inside);
    heard.subscribed++;
    snprintf(heard.room_id, sizeof(heard.room_id), "%s", room_id);
}

static void on_msg(void *arg, const char *room_id, const struct room_msg *m)
{
    (void)arg;
    heard.msgs++;
    heard.epoch = m->epoch;
    heard.seq = m->seq;
    snprintf(heard.room_id, sizeof(heard.room_id), "%s", room_id);
    rr_slice_copy(m->biz_code, heard.biz_code, sizeof(heard.biz_code));
    rr_slice_copy(m->payload, heard.payload, sizeof(heard.payload));
}

static void on_user(void *arg, int64_t user_id, struct rr_slice biz_code, struct rr_slice payload)
{
    (void)arg;
    heard.users++;
    heard.user_id = user_id;
    heard.user_sum += user_id;
    rr_slice_copy(biz_code, heard.biz_code, sizeof(heard.biz_code));
    rr_slice_copy(payload, heard.payload, sizeof(heard.payload));
}

static void on_control(void *arg, struct rr_slice payload)
{
    (void)arg;
    heard.controls++;
    rr_slice_copy(payload, heard.payload, sizeof(heard.payload));
}

static uint64_t echoed;
static uint32_t echoes;

static void on_echo(void *arg, uint64_t number)
{
    (void)arg;
    echoed = number;
    echoes++;
}

static int setup(void **state)
{
    const struct room_bus_events events = {.subscribed = on_subscribed,
                                           .room_msg = on_msg,
                                           .user_msg = on_user,
                                           .control = on_control,
                                           .echo = on_echo};
    struct store_opts opts;

    (void)state;
    redis_start(&redis);
    opts = redis_opts(&redis, "w1");
    assert_int_equal(store_sync_create(&store, &opts), RR_OK);
    loop_open(&loop, &opts, &events);
    loop_until_up(&loop);
    bus = store_bus(loop.store);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    loop_close(&loop);
    store_sync_destroy(store);
    redis_stop(&redis);
    return 0;
}

static void subscribe(const char *room_id)
{
    uint32_t n = heard.subscribed;

    heard.inside = true;
    bus->subscribe(bus->impl, room_id);
    heard.inside = false;
    loop_until_count(&loop, &heard.subscribed, n + 1);
}

struct pushed {
    bool done;
    enum rr_err err;
    uint64_t epoch, seq;
};

static void on_pushed(void *arg, enum rr_err err, uint64_t epoch, uint64_t seq)
{
    struct pushed *p = arg;

    assert_false(p->done);
    *p = (struct pushed){true, err, epoch, seq};
}

static struct pushed push(const char *room_id, const char *biz_code, const char *payload,
                          const char *keep_code, bool final)
{
    struct pushed p = {0};

    bus->push_room(bus->impl, room_id, biz_code, rr_slice_str(payload), keep_code, final, on_pushed,
                   &p);
    assert_false(p.done);
    loop_until(&loop, &p.done);
    return p;
}

struct loaded {
    bool done;
    enum rr_err err;
    uint64_t epoch, seq;
    bool complete;
    uint32_t log_n, kept_n;
    uint64_t log_first, log_last;
    char log_payload[64];
    char kept[8][96];
};

static void on_loaded(void *arg, enum rr_err err, const struct room_snapshot *snap)
{
    struct loaded *l = arg;

    assert_false(l->done);
    l->done = true;
    l->err = err;
    if (err)
        return;
    l->epoch = snap->epoch;
    l->seq = snap->seq;
    l->complete = snap->complete;
    l->log_n = snap->log_n;
    l->kept_n = snap->kept_n;
    if (snap->log_n) {
        l->log_first = snap->log[0].seq;
        l->log_last = snap->log[snap->log_n - 1].seq;
        assert_true(snap->log[0].epoch == snap->epoch);
        rr_slice_copy(snap->log[0].payload, l->log_payload, sizeof(l->log_payload));
    }
    for (uint32_t i = 0; i < snap->kept_n && i < RR_COUNTOF(l->kept); i++)
        snprintf(l->kept[i], sizeof(l->kept[i]), "%.*s=%.*s:%.*s", (int)snap->kept[i].code.len,
                 snap->kept[i].code.p, (int)snap->kept[i].biz_code.len, snap->kept[i].biz_code.p,
                 (int)snap->kept[i].payload.len, snap->kept[i].payload.p);
}

static struct loaded load(const char *room_id, uint64_t epoch, uint64_t seq)
{
    struct loaded l = {0};

    bus->load(bus->impl, room_id, epoch, seq, on_loaded, &l);
    assert_false(l.done);
    loop_until(&loop, &l.done);
    assert_int_equal(l.err, RR_OK);
    return l;
}

static bool has_kept(const struct loaded *l, const char *text)
{
    for (uint32_t i = 0; i < l->kept_n; i++) {
        if (strcmp(l->kept[i], text) == 0)
            return true;
    }
    return false;
}

static void load_of_a_silent_room_is_empty_and_complete(void **state)
{
    struct loaded l = load("never", 0, 0);

    (void)state;
    assert_true(l.epoch == 0 && l.seq == 0 && l.complete && l.log_n == 0 && l.kept_n == 0);
    assert_false(load("never", 5, 1).complete);
}

static void push_numbers_logs_and_publishes(void **state)
{
    struct pushed a;
    struct pushed b;
    struct loaded l;

    (void)state;
    subscribe("p1");
    assert_string_equal(heard.room_id, "p1");
    a = push("p1", "SAY", "one", NULL, false);
    assert_true(a.err == RR_OK && a.epoch != 0 && a.seq == 1);
    loop_until_count(&loop, &heard.msgs, 1);
    assert_true(heard.epoch == a.epoch && heard.seq == 1);
    assert_string_equal(heard.biz_code, "SAY");
    assert_string_equal(heard.payload, "one");
    b = push("p1", "SAY", "two", NULL, false);
    assert_true(b.epoch == a.epoch && b.seq == 2);
    l = load("p1", a.epoch, 0);
    assert_true(l.complete && l.log_n == 2 && l.log_first == 1 && l.log_last == 2);
    assert_string_equal(l.log_payload, "one");
    l = load("p1", a.epoch, 2);
    assert_true(l.complete && l.log_n == 0 && l.seq == 2);
    assert_false(load("p1", a.epoch + 1, 1).complete); /* another epoch */
    assert_false(load("p1", a.epoch, 3).complete);     /* a number never given out */
    assert_true(redis_do_int(&redis, "TTL t1_{p1}:meta") > 86400);
}

static void push_payload_is_binary_safe(void **state)
{
    struct pushed p = {0};
    static const char bytes[] = "a\0|b\r\n";
    uint32_t msgs = heard.msgs;

    (void)state;
    subscribe("p2");
    bus->push_room(bus->impl, "p2", "SAY", rr_slice_of(bytes, 6), NULL, false, on_pushed, &p);
    loop_until(&loop, &p.done);
    loop_until_count(&loop, &heard.msgs, msgs + 1);
    assert_int_equal(heard.seq, 1);
    assert_int_equal(load("p2", p.epoch, 0).log_n, 1);
}

static void log_is_capped_and_says_so(void **state)
{
    struct pushed p = {0};
    struct loaded l;

    (void)state;
    for (uint32_t i = 0; i < 1000; i++) {
        p = (struct pushed){0};
        bus->push_room(bus->impl, "p3", "SAY", rr_slice_str("x"), NULL, false,
                       i == 999 ? on_pushed : NULL, &p);
    }
    loop_until(&loop, &p.done);
    assert_int_equal(p.seq, 1000);
    l = load("p3", p.epoch, 1);
    assert_true(!l.complete && l.seq == 1000); /* not all of it: the tail */
    assert_true(l.log_n == BUS_TAIL_MAX && l.log_last == 1000 &&
                l.log_first == 1001 - BUS_TAIL_MAX);
    l = load("p3", 0, 0);
    assert_true(!l.complete && l.seq == 1000 && l.epoch == p.epoch && l.log_n == BUS_TAIL_MAX);
    l = load("p3", p.epoch, 600);
    assert_true(l.complete && l.log_n == 400 && l.log_first == 601 && l.log_last == 1000);
}

static void kept_states_follow_the_rains(void **state)
{
    struct loaded l;
    char code[16];

    (void)state;
    push("p4", "RED_PACKET_CONFIG", "c1", "A", false);
    push("p4", "SAY", "no state", NULL, false);
    l = load("p4", 0, 0);
    assert_true(!l.complete && l.kept_n == 1 && has_kept(&l, "A=RED_PACKET_CONFIG:c1"));
    push("p4", "RED_PACKET_CONFIG", "c2", "A", false);
    push("p4", "RED_PACKET_RESULT", "r", "A", true);
    push("p4", "RED_PACKET_RESULT", "r", "A", true); /* a repeated step counts once */
    l = load("p4", 0, 0);
    assert_true(l.kept_n == 1 && has_kept(&l, "A=RED_PACKET_RESULT:r"));
    push("p4", "RED_PACKET_CONFIG", "live", "L", false);
    for (int i = 0; i < 3; i++) {
        snprintf(code, sizeof(code), "B%d", i);
        push("p4", "RED_PACKET_RESULT", "x", code, true);
    }
    l = load("p4", 0, 0);
    assert_true(l.kept_n == 5 && has_kept(&l, "A=RED_PACKET_RESULT:r"));
    push("p4", "RED_PACKET_RESULT", "x", "B3", true); /* the fifth ended one drops the oldest */
    l = load("p4", 0, 0);
    assert_true(l.kept_n == 5 && !has_kept(&l, "A=RED_PACKET_RESULT:r") &&
                has_kept(&l, "L=RED_PACKET_CONFIG:live") && has_kept(&l, "B3=RED_PACKET_RESULT:x"));
}

static void epoch_changes_when_meta_is_gone_or_redis_is_another(void **state)
{
    struct pushed a;
    struct pushed b;
    struct loaded l;

    (void)state;
    push("p5", "RED_PACKET_CONFIG", "c", "A", false);
    a = push("p5", "SAY", "x", NULL, false);
    redis_do_int(&redis, "HSET t1_{p5}:meta rid other"); /* as after a restart */
    b = push("p5", "SAY", "y", NULL, false);
    assert_true(b.err == RR_OK && b.epoch != a.epoch && b.seq == 1);
    l = load("p5", a.epoch, 2);
    assert_true(!l.complete && l.log_n == 1 && l.log_first == 1 && l.epoch == b.epoch);
    assert_true(l.kept_n == 1); /* the rains are still there */
    l = load("p5", b.epoch, 0);
    assert_true(l.complete && l.log_n == 1);
    redis_do_int(&redis, "DEL t1_{p5}:meta");
    a = push("p5", "SAY", "z", NULL, false);
    assert_true(a.epoch != b.epoch && a.seq == 1);
    assert_int_equal(load("p5", a.epoch, 0).log_n, 1);
}

static void unsubscribed_room_is_silent(void **state)
{
    uint32_t msgs = 0;

    (void)state;
    subscribe("p6");
    subscribe("p7");
    push("p6", "SAY", "heard", NULL, false);
    msgs = heard.msgs;
    bus->unsubscribe(bus->impl, "p6");
    bus->unsubscribe(bus->impl, "p6");
    push("p6", "SAY", "unheard", NULL, false);
    push("p7", "SAY", "after", NULL, false);
    loop_until_count(&loop, &heard.msgs, msgs + 1);
    while (strcmp(heard.payload, "after") != 0)
        loop_until_count(&loop, &heard.msgs, heard.msgs + 1);
    assert_string_equal(heard.room_id, "p7");
}

static void sync_push_is_heard_and_numbered(void **state)
{
    const struct rain_notify *notify = store_sync_notify(store);
    uint64_t epoch = 0;
    uint64_t seq = 0;
    uint32_t msgs = 0;
    char *big = calloc(1, RR_PAYLOAD_MAX_BYTES + 1);

    (void)state;
    subscribe("p8");
    msgs = heard.msgs;
    assert_int_equal(
        store_sync_push_room(store, "p8", "SAY", rr_slice_str("s"), NULL, 0, &epoch, &seq), RR_OK);
    loop_until_count(&loop, &heard.msgs, msgs + 1);
    assert_true(heard.epoch == epoch && heard.seq == seq && seq == 1);
    assert_int_equal(
        notify->push_room(notify->impl, "p8", "RED_PACKET_RESULT", rr_slice_str("r"), "A", 1),
        RR_OK);
    loop_until_count(&loop, &heard.msgs, msgs + 2);
    assert_int_equal(load("p8", epoch, 1).kept_n, 1);
    assert_int_equal(notify->push_room(notify->impl, "p8", "SAY",
                                       rr_slice_of(big, RR_PAYLOAD_MAX_BYTES + 1), NULL, 0),
                     RR_TOO_BIG);
    assert_int_equal(notify->push_room(notify->impl, "p8", "SAY",
                                       rr_slice_of(big, RR_PAYLOAD_MAX_BYTES), NULL, 0),
                     RR_OK);
    loop_until_count(&loop, &heard.msgs, msgs + 3);
    free(big);
}

static void push_users_reaches_every_one(void **state)
{
    const struct rain_notify *notify = store_sync_notify(store);
    enum { N = 5000 };
    struct rain_user_push *pushes = calloc(N, sizeof(*pushes));
    char payload[200];
    uint32_t users = heard.users;

    (void)state;
    memset(payload, 'p', sizeof(payload)); /* 1 MB in all: several messages */
    heard.user_sum = 0;
    for (uint32_t i = 0; i < N; i++)
        pushes[i] = (struct rain_user_push){i + 1, rr_slice_of(payload, sizeof(payload))};
    assert_int_equal(notify->push_users(notify->impl, "GRANT_SETTLED", pushes, N), RR_OK);
    loop_until_count(&loop, &heard.users, users + N);
    assert_int_equal(heard.user_id, N);
    assert_true(heard.user_sum == (int64_t)N * (N + 1) / 2);
    assert_string_equal(heard.biz_code, "GRANT_SETTLED");
    assert_int_equal(notify->push_users(notify->impl, "GRANT_SETTLED", pushes, 0), RR_OK);
    free(pushes);
}

struct user_log {
    bool done;
    enum rr_err err;
    uint32_t n;
    char first[64], last[64];
};

static void on_user_log(void *arg, enum rr_err err, const struct room_kept *items, uint32_t n)
{
    struct user_log *u = arg;

    assert_false(u->done);
    u->done = true;
    u->err = err;
    u->n = n;
    if (n) {
        snprintf(u->first, sizeof(u->first), "%.*s:%.*s", (int)items[0].biz_code.len,
                 items[0].biz_code.p, (int)items[0].payload.len, items[0].payload.p);
        snprintf(u->last, sizeof(u->last), "%.*s", (int)items[n - 1].payload.len,
                 items[n - 1].payload.p);
    }
}

static struct user_log take_log(int64_t user_id)
{
    struct user_log u = {0};

    bus->user_log(bus->impl, user_id, on_user_log, &u);
    assert_false(u.done);
    loop_until(&loop, &u.done);
    assert_int_equal(u.err, RR_OK);
    return u;
}

static void push_user_is_heard_and_waits_if_logged(void **state)
{
    struct user_log u;
    uint32_t users = heard.users;
    char payload[16];

    (void)state;
    bus->push_user(bus->impl, 42, "KICKED", rr_slice_str("k|1"), true);
    loop_until_count(&loop, &heard.users, users + 1);
    assert_int_equal(heard.user_id, 42);
    assert_string_equal(heard.payload, "k|1");
    assert_true(redis_do_int(&redis, "TTL t1_user:{42}:log") > 3000);
    u = take_log(42);
    assert_int_equal(u.n, 1);
    assert_string_equal(u.first, "KICKED:k|1");
    assert_int_equal(take_log(42).n, 0); /* taken is taken */
    bus->push_user(bus->impl, 42, "MUTED", rr_slice_str("m"), false);
    loop_until_count(&loop, &heard.users, users + 2);
    assert_int_equal(take_log(42).n, 0);
    for (int i = 0; i < 40; i++) {
        snprintf(payload, sizeof(payload), "%d", i);
        bus->push_user(bus->impl, 43, "SAY", rr_slice_str(payload), true);
    }
    u = take_log(43);
    assert_int_equal(u.n, 32);
    assert_string_equal(u.first, "SAY:8");
    assert_string_equal(u.last, "39");
}

static void control_reaches_every_worker(void **state)
{
    uint32_t n = heard.controls;

    (void)state;
    bus->control(bus->impl, rr_slice_str("reload"));
    loop_until_count(&loop, &heard.controls, n + 1);
    assert_string_equal(heard.payload, "reload");
    assert_int_equal(store_sync_control_publish(store, rr_slice_str("ban")), RR_OK);
    loop_until_count(&loop, &heard.controls, n + 2);
    assert_string_equal(heard.payload, "ban");
}

struct counted {
    bool done;
    enum rr_err err;
    int64_t online;
};

static void on_count(void *arg, enum rr_err err, int64_t online)
{
    *(struct counted *)arg = (struct counted){true, err, online};
}

static void count_sums_fresh_workers(void **state)
{
    const struct delivery none = {0};
    struct counted c = {0};
    int64_t online = 0;
    const char *now = redis_do_str(&redis, "EVAL %s 0",
                                   "local t = redis.call('TIME') return tostring(t[1] * 1000)");

    (void)state;
    redis_do_int(&redis, "HSET t1_{c1}:count w2 30@%s w3 500@1000 w4 broken", now);
    bus->count(bus->impl, "c1", 12, 1, &none, on_count, &c);
    loop_until(&loop, &c.done);
    assert_true(c.err == RR_OK && c.online == 42);
    assert_int_equal(store_sync_online(store, "c1", &online), RR_OK);
    assert_int_equal(online, 42);
    assert_int_equal(redis_do_int(&redis, "HLEN t1_{c1}:count"),
                     2); /* the dead ones are forgotten */
    c = (struct counted){0};
    bus->count(bus->impl, "c1", 0, 1, &none, on_count, &c);
    loop_until(&loop, &c.done);
    assert_int_equal(c.online, 30);
    assert_int_equal(store_sync_online(store, "empty", &online), RR_OK);
    assert_int_equal(online, 0);
    assert_int_equal(redis_do_int(&redis, "EXISTS t1_{empty}:count"), 0);
}

static void counted_with(uint64_t life, const struct delivery *d)
{
    struct counted c = {0};

    bus->count(bus->impl, "d1", 3, life, d, on_count, &c);
    loop_until(&loop, &c.done);
    assert_int_equal(c.err, RR_OK);
}

static void assert_delivery(uint64_t expected, uint64_t sent, uint64_t queued, uint64_t lost)
{
    struct delivery d = {0};
    uint64_t is_lost = 0;

    assert_int_equal(store_sync_delivery(store, "d1", &d, &is_lost), RR_OK);
    assert_int_equal(d.expected, expected);
    assert_int_equal(d.sent, sent);
    assert_int_equal(d.queued, queued);
    assert_int_equal(is_lost, lost);
    assert_int_equal(d.expected, d.sent + d.dropped + d.closed + d.queued + is_lost);
}

static void assert_grabs(uint64_t grabs, uint64_t failed)
{
    struct delivery d = {0};
    uint64_t lost = 0;

    assert_int_equal(store_sync_delivery(store, "d1", &d, &lost), RR_OK);
    assert_int_equal(d.grabs, grabs);
    assert_int_equal(d.grabs_failed, failed);
}

static void grabs_of_all_workers_living_and_dead(void **state)
{
    struct delivery d = {.grabs = 10, .grabs_failed = 2};

    (void)state;
    redis_do_int(&redis, "DEL t1_{d1}:grabs");
    assert_grabs(0, 0);
    counted_with(1, &d);
    d = (struct delivery){.grabs = 30, .grabs_failed = 3};
    counted_with(1, &d); /* told anew, not added */
    assert_grabs(30, 3);
    redis_do_int(&redis, "HSET t1_{d1}:grabs w9#1 20,1@1000 broken 1 w8#4 1,0@2000");
    assert_grabs(51, 4);
    counted_with(1, &d);
    assert_int_equal(redis_do_int(&redis, "HLEN t1_{d1}:grabs"), 2); /* the dead are one field */
    assert_grabs(51, 4);
}

static void delivery_of_all_workers_living_and_dead(void **state)
{
    struct delivery d = {.expected = 10, .sent = 6, .dropped = 2, .closed = 1, .queued = 1};

    (void)state;
    assert_delivery(0, 0, 0, 0);
    counted_with(1, &d);
    assert_delivery(10, 6, 1, 0);
    d = (struct delivery){.expected = 100, .sent = 90, .queued = 10};
    counted_with(1, &d); /* told anew, not added */
    assert_delivery(100, 90, 10, 0);
    d = (struct delivery){.expected = 7, .sent = 7};
    counted_with(2, &d); /* another time of following the room */
    assert_delivery(107, 97, 10, 0);
    redis_do_int(&redis,
                 "HSET t1_{d1}:delivery w9#1 20,15,0,0,5@1000 broken 1,2 w8#4 1,1,0,0,0@2000");
    assert_delivery(128, 113, 10, 5); /* a dead worker's queue is lost */
    counted_with(2, &d);
    assert_int_equal(redis_do_int(&redis, "HLEN t1_{d1}:delivery"), 3); /* the dead are one field */
    assert_delivery(128, 113, 10, 5);
    counted_with(2, &d);
    assert_delivery(128, 113, 10, 5);
}

static void an_echo_comes_back_to_its_sender(void **state)
{
    uint32_t before = echoes;

    (void)state;
    bus->echo(bus->impl, 1234567890123);
    loop_until_count(&loop, &echoes, before + 1);
    assert_int_equal(echoed, 1234567890123);
    /* A connection that was made anew subscribes it again, and says so. */
    bus->resubscribe(bus->impl);
    loop_until_count(&loop, &echoes, before + 2);
    assert_int_equal(echoed, 0);
    bus->echo(bus->impl, 5);
    loop_until_count(&loop, &echoes, before + 3);
    assert_int_equal(echoed, 5);
}

struct timed {
    bool done;
    enum rr_err err;
    int64_t sent, received, redis_us;
};

static void on_time(void *arg, enum rr_err err, int64_t sent, int64_t received, int64_t redis_us)
{
    *(struct timed *)arg = (struct timed){true, err, sent, received, redis_us};
}

static void time_brackets_the_round_trip(void **state)
{
    struct timed t = {0};
    const struct rr_clock *clock = rr_clock_system();
    int64_t before = rr_mono_us(clock);
    int64_t wall = rr_wall_ms(clock);

    (void)state;
    bus->time(bus->impl, on_time, &t);
    assert_false(t.done);
    loop_until(&loop, &t.done);
    assert_int_equal(t.err, RR_OK);
    assert_true(before <= t.sent && t.sent <= t.received && t.received <= rr_mono_us(clock));
    assert_true(llabs(t.redis_us / 1000 - wall) < 5000);
}

struct lag {
    bool done;
    enum rr_err err;
    int64_t ms;
};

static void on_lag(void *arg, enum rr_err err, int64_t ms)
{
    *(struct lag *)arg = (struct lag){true, err, ms};
}

static void settle_lag_is_read(void **state)
{
    const struct rain_notify *notify = store_sync_notify(store);
    struct lag lag = {0};

    (void)state;
    store_async_settle_lag(loop.store, on_lag, &lag);
    loop_until(&loop, &lag.done);
    assert_int_equal(lag.err, RR_NOT_FOUND);
    assert_int_equal(notify->settle_lag(notify->impl, 77), RR_OK);
    lag.done = false;
    store_async_settle_lag(loop.store, on_lag, &lag);
    loop_until(&loop, &lag.done);
    assert_true(lag.err == RR_OK && lag.ms == 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(load_of_a_silent_room_is_empty_and_complete),
        cmocka_unit_test(push_numbers_logs_and_publishes),
        cmocka_unit_test(push_payload_is_binary_safe),
        cmocka_unit_test(log_is_capped_and_says_so),
        cmocka_unit_test(kept_states_follow_the_rains),
        cmocka_unit_test(epoch_changes_when_meta_is_gone_or_redis_is_another),
        cmocka_unit_test(unsubscribed_room_is_silent),
        cmocka_unit_test(sync_push_is_heard_and_numbered),
        cmocka_unit_test(push_users_reaches_every_one),
        cmocka_unit_test(push_user_is_heard_and_waits_if_logged),
        cmocka_unit_test(control_reaches_every_worker),
        cmocka_unit_test(count_sums_fresh_workers),
        cmocka_unit_test(delivery_of_all_workers_living_and_dead),
        cmocka_unit_test(grabs_of_all_workers_living_and_dead),
        cmocka_unit_test(time_brackets_the_round_trip),
        cmocka_unit_test(settle_lag_is_read),
        cmocka_unit_test(an_echo_comes_back_to_its_sender),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
