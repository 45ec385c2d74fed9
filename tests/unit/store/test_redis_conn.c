/* What the asynchronous side does when Redis goes away, hangs, forgets its scripts or refuses: every callback exactly once,
 * with the one error that is true, and everything comes back by itself. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "loop_fixture.h"

static struct redis_fixture redis;
static struct loop_fixture loop;
static struct store_sync *sync_side;
static uint32_t next_shard = 300;
static uint32_t subscribed;
static uint32_t msgs;

static void on_subscribed(void *arg, const char *room_id)
{
    (void)arg;
    (void)room_id;
    subscribed++;
}

static void on_msg(void *arg, const char *room_id, const struct room_msg *m)
{
    (void)arg;
    (void)room_id;
    (void)m;
    msgs++;
}

static int setup(void **state)
{
    const struct room_bus_events events = {.subscribed = on_subscribed, .room_msg = on_msg};
    struct store_opts opts;

    (void)state;
    subscribed = 0;
    redis_start(&redis);
    opts = redis_opts(&redis, "w1");
    opts.timeout_ms = 400;
    opts.outstanding_max = 64;
    assert_int_equal(store_sync_create(&sync_side, &opts), RR_OK);
    loop_open(&loop, &opts, &events);
    loop_until_up(&loop);
    return 0;
}

/* Before each test. */
static int running(void **state)
{
    (void)state;
    redis_ensure(&redis);
    loop_until_up(&loop);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    loop_close(&loop);
    store_sync_destroy(sync_side);
    redis_stop(&redis);
    return 0;
}

enum { CALLS = 50 };

struct many {
    uint32_t done;
    uint32_t by_err[RR_ERR_COUNT];
    uint8_t seen[256];
};

struct one {
    struct many *all;
    uint32_t i;
};

static void on_grab(void *arg, enum rr_err err, const struct pool_grab_reply *reply)
{
    struct one *o = arg;

    assert_true((err == RR_OK) == (reply != NULL));
    assert_int_equal(o->all->seen[o->i], 0);
    o->all->seen[o->i] = 1;
    o->all->done++;
    o->all->by_err[err]++;
}

/* n grabs of different users, all sent without waiting. */
static void send_many(const struct pool_shard *at, struct many *all, struct one *ones, uint32_t n)
{
    const struct pool_grab *pool = store_pool(loop.store);

    *all = (struct many){0};
    for (uint32_t i = 0; i < n; i++) {
        struct pool_grab_item item = {i + 1, 0, false};

        ones[i] = (struct one){all, i};
        pool->grab(pool->impl, at, &item, 1, on_grab, &ones[i]);
    }
    assert_int_equal(all->done, 0);
}

static void turn(void)
{
    uv_run(&loop.loop, UV_RUN_NOWAIT);
}

static void adopt_rid(const struct pool_shard *at)
{
    struct pool_state st;
    const struct pool_admin *pool = store_sync_pool(sync_side);

    assert_int_equal(pool->state(pool->impl, at, &st), RR_OK);
    redis_do_int(&redis, "HSET t1_redpkt:{%s:0}:state rid %s", at->code, st.now_rid);
}

static void kill9_in_flight_is_pending_and_repeats_safely(void **state)
{
    struct pool_shard at = test_shard(next_shard++);
    struct many all;
    struct one ones[CALLS];
    uint32_t granted = 0;

    (void)state;
    open_plain(sync_side, &at, 1000, 1);
    redis_signal(&redis, SIGSTOP); /* sent, surely without an answer */
    send_many(&at, &all, ones, CALLS);
    turn();
    turn();
    redis_kill9(&redis);
    loop_until_count(&loop, &all.done, CALLS);
    assert_int_equal(all.by_err[RR_PENDING], CALLS);
    assert_false(loop.up);
    /* Down: nothing is sent. */
    send_many(&at, &all, ones, CALLS);
    loop_until_count(&loop, &all.done, CALLS);
    assert_int_equal(all.by_err[RR_UNAVAILABLE], CALLS);
    redis_restart(&redis);
    loop_until_up(&loop);
    adopt_rid(&at);
    send_many(&at, &all, ones, CALLS);
    loop_until_count(&loop, &all.done, CALLS);
    assert_int_equal(all.by_err[RR_OK], CALLS);
    granted = (uint32_t)redis_do_int(&redis, "HGET t1_redpkt:{%s:0}:state granted", at.code);
    assert_int_equal(granted, CALLS);
}

/* Kills Redis again and again in the middle of a stream of grabs: whatever was unknown, asked again it is one grant. */
static void kill9_while_granting_never_grants_twice(void **state)
{
    struct pool_shard at = test_shard(next_shard++);
    struct many all;
    struct one ones[CALLS];

    (void)state;
    open_plain(sync_side, &at, 1000, 1);
    for (uint32_t round = 0; round < 5; round++) {
        send_many(&at, &all, ones, CALLS);
        for (uint32_t i = 0; i < round; i++)
            turn();
        redis_kill9(&redis);
        loop_until_count(&loop, &all.done, CALLS);
        assert_int_equal(all.by_err[RR_OK] + all.by_err[RR_PENDING] + all.by_err[RR_UNAVAILABLE],
                         CALLS);
        redis_restart(&redis);
        if (loop.up)
            loop_until_count(&loop, &loop.downs, loop.downs + 1);
        loop_until_up(&loop);
        adopt_rid(&at);
    }
    send_many(&at, &all, ones, CALLS);
    loop_until_count(&loop, &all.done, CALLS);
    assert_int_equal(all.by_err[RR_OK], CALLS);
    assert_int_equal(redis_do_int(&redis, "HLEN t1_redpkt:{%s:0}:users", at.code), CALLS);
    assert_int_equal(redis_do_int(&redis, "HGET t1_redpkt:{%s:0}:state granted", at.code), CALLS);
    assert_int_equal(redis_do_int(&redis, "LLEN t1_redpkt:{%s:0}:list", at.code), 1000 - CALLS);
}

static void hang_is_dropped_at_the_deadline(void **state)
{
    struct pool_shard at = test_shard(next_shard++);
    struct many all;
    struct one ones[CALLS];
    int64_t start = 0;
    uint32_t downs = loop.downs;

    (void)state;
    open_plain(sync_side, &at, 1000, 1);
    redis_signal(&redis, SIGSTOP);
    start = test_now_ms();
    send_many(&at, &all, ones, CALLS);
    loop_until_count(&loop, &all.done, CALLS);
    assert_int_equal(all.by_err[RR_PENDING], CALLS);
    assert_true(test_now_ms() - start >= 390);
    assert_int_equal(loop.downs, downs + 1);
    redis_signal(&redis, SIGCONT);
    loop_until_up(&loop);
    send_many(&at, &all, ones, CALLS);
    loop_until_count(&loop, &all.done, CALLS);
    assert_int_equal(all.by_err[RR_OK], CALLS);
}

/* An idle connection to a hanging server is noticed by the ping. */
static void hang_while_idle_is_noticed(void **state)
{
    uint32_t downs = loop.downs;

    (void)state;
    redis_signal(&redis, SIGSTOP);
    loop_until_count(&loop, &loop.downs, downs + 1);
    redis_signal(&redis, SIGCONT);
    loop_until_up(&loop);
}

/* We ourselves were stopped for longer than the deadline, the answers lie in the socket: nothing is lost. */
static void late_loop_reads_before_it_judges(void **state)
{
    struct pool_shard at = test_shard(next_shard++);
    struct many all;
    struct one ones[CALLS];
    uint32_t downs = loop.downs;

    (void)state;
    open_plain(sync_side, &at, 1000, 1);
    send_many(&at, &all, ones, CALLS);
    turn(); /* written */
    usleep(600 * 1000);
    loop_until_count(&loop, &all.done, CALLS);
    assert_int_equal(all.by_err[RR_OK], CALLS);
    assert_int_equal(loop.downs, downs);
}

static void client_kill_reconnects_and_subscribes_again(void **state)
{
    const struct room_bus *bus = store_bus(loop.store);
    char room_id[16];
    uint32_t downs = loop.downs;
    struct store_counters c;
    uint64_t reconnects = 0;

    (void)state;
    store_async_counters(loop.store, &c);
    reconnects = c.reconnects;
    subscribed = 0;
    for (int i = 0; i < 300; i++) { /* more than one SUBSCRIBE holds */
        snprintf(room_id, sizeof(room_id), "k%d", i);
        bus->subscribe(bus->impl, room_id);
    }
    loop_until_count(&loop, &subscribed, 300);
    subscribed = 0;
    freeReplyObject(redis_do(&redis, "CLIENT KILL TYPE pubsub"));
    loop_until_count(&loop, &loop.downs, downs + 1);
    loop_until_up(&loop);
    loop_until_count(&loop, &subscribed, 300);
    subscribed = 0;
    freeReplyObject(redis_do(&redis, "CLIENT KILL TYPE normal SKIPME yes"));
    loop_until_count(&loop, &loop.downs, downs + 2);
    loop_until_up(&loop);
    loop_until_count(&loop, &subscribed, 300); /* the owner loads each room again */
    msgs = 0;
    bus->push_room(bus->impl, "k299", "SAY", rr_slice_str("x"), NULL, false, NULL, NULL);
    loop_until_count(&loop, &msgs, 1);
    store_async_counters(loop.store, &c);
    assert_true(c.up && c.reconnects == reconnects + 2 && c.outstanding == 0);
    for (int i = 0; i < 300; i++) {
        snprintf(room_id, sizeof(room_id), "k%d", i);
        bus->unsubscribe(bus->impl, room_id);
    }
}

static void subscribe_while_down_is_made_up_for(void **state)
{
    const struct room_bus *bus = store_bus(loop.store);
    uint32_t downs = loop.downs;

    (void)state;
    redis_kill9(&redis);
    loop_until_count(&loop, &loop.downs, downs + 1);
    subscribed = 0;
    bus->subscribe(bus->impl, "d1");
    bus->subscribe(bus->impl, "d2");
    bus->unsubscribe(bus->impl, "d2");
    redis_restart(&redis);
    loop_until_up(&loop);
    loop_until_count(&loop, &subscribed, 1);
    turn();
    assert_int_equal(subscribed, 1);
    bus->unsubscribe(bus->impl, "d1");
}

static void script_flush_is_mended_by_eval(void **state)
{
    struct pool_shard at = test_shard(next_shard++);
    struct many all;
    struct one ones[CALLS];
    uint32_t downs = loop.downs;

    (void)state;
    open_plain(sync_side, &at, 1000, 1);
    freeReplyObject(redis_do(&redis, "SCRIPT FLUSH"));
    send_many(&at, &all, ones, CALLS);
    loop_until_count(&loop, &all.done, CALLS);
    assert_int_equal(all.by_err[RR_OK], CALLS);
    assert_int_equal(loop.downs, downs);
    assert_int_equal(redis_do_int(&redis, "HGET t1_redpkt:{%s:0}:state granted", at.code), CALLS);
}

static void more_than_outstanding_max_is_unavailable(void **state)
{
    struct pool_shard at = test_shard(next_shard++);
    struct many all;
    struct one ones[100];

    (void)state;
    open_plain(sync_side, &at, 1000, 1);
    send_many(&at, &all, ones, 100);
    loop_until_count(&loop, &all.done, 100);
    assert_int_equal(all.by_err[RR_OK], 64);
    assert_int_equal(all.by_err[RR_UNAVAILABLE], 36);
    assert_int_equal(redis_do_int(&redis, "HGET t1_redpkt:{%s:0}:state granted", at.code), 64);
}

/* A script that runs for long makes Redis answer BUSY to everybody else. */
static void busy_script_is_busy_not_unknown(void **state)
{
    struct pool_shard at = test_shard(next_shard++);
    redisContext *slow = redisConnect("127.0.0.1", redis.port);
    struct many all = {0};
    struct one ones[1];
    int64_t deadline = test_now_ms() + 10000;
    void *r = NULL;

    (void)state;
    open_plain(sync_side, &at, 1000, 1);
    freeReplyObject(redis_do(&redis, "CONFIG SET lua-time-limit 20"));
    redisAppendCommand(slow, "EVAL %s 0", "while true do end");
    for (int done = 0; !done;)
        redisBufferWrite(slow, &done);
    while (!all.by_err[RR_BUSY] && test_now_ms() < deadline) {
        send_many(&at, &all, ones, 1);
        loop_until_count(&loop, &all.done, 1);
    }
    assert_int_equal(all.by_err[RR_BUSY], 1);
    freeReplyObject(redis_do(&redis, "SCRIPT KILL"));
    redisGetReply(slow, &r);
    freeReplyObject(r);
    redisFree(slow);
    loop_until_up(&loop);
    send_many(&at, &all, ones, 1);
    loop_until_count(&loop, &all.done, 1);
    assert_int_equal(all.by_err[RR_OK], 1);
}

struct closing {
    struct many all;
    bool closed;
};

static void on_closed(void *arg)
{
    struct closing *c = arg;

    assert_int_equal(c->all.done, CALLS); /* every answer was given before */
    c->closed = true;
}

static void close_answers_what_is_in_flight(void **state)
{
    struct pool_shard at = test_shard(next_shard++);
    struct store_opts opts = redis_opts(&redis, "w2");
    struct one ones[CALLS];
    struct closing c = {0};

    (void)state;
    open_plain(sync_side, &at, 1000, 1);
    for (uint32_t turns = 0; turns < 3; turns++) {
        send_many(&at, &c.all, ones, CALLS);
        for (uint32_t i = 0; i < turns; i++)
            turn();
        c.closed = false;
        store_async_close(loop.store, on_closed, &c);
        loop_until(&loop, &c.closed);
        if (turns == 0) /* nothing left the process */
            assert_int_equal(c.all.by_err[RR_UNAVAILABLE], CALLS);
        assert_int_equal(
            c.all.by_err[RR_UNAVAILABLE] + c.all.by_err[RR_PENDING] + c.all.by_err[RR_OK], CALLS);
        uv_close((uv_handle_t *)&loop.beat, NULL);
        uv_run(&loop.loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&loop.loop), 0);
        loop_open(&loop, &opts, NULL);
        loop_until_up(&loop);
    }
}

/* Closing at any moment of connecting leaves nothing behind (the sanitizer looks). */
static void close_while_connecting_is_clean(void **state)
{
    struct store_opts opts = redis_opts(&redis, "w3");
    struct loop_fixture l;

    (void)state;
    for (uint32_t turns = 0; turns < 8; turns++) {
        loop_open(&l, &opts, NULL);
        for (uint32_t i = 0; i < turns; i++)
            uv_run(&l.loop, UV_RUN_ONCE);
        loop_close(&l);
    }
    opts.url = "redis://127.0.0.1:1";
    loop_open(&l, &opts, NULL);
    for (uint32_t i = 0; i < 20; i++)
        uv_run(&l.loop, UV_RUN_ONCE);
    assert_false(l.up);
    loop_close(&l);
}

static uint32_t latencies;

static void on_latency(void *arg, int64_t us)
{
    (void)arg;
    assert_true(us >= 0 && us < 20000000);
    latencies++;
}

static void counters_and_latency_are_kept(void **state)
{
    struct store_opts opts = redis_opts(&redis, "w4");
    struct pool_shard at = test_shard(next_shard++);
    struct loop_fixture l;
    struct store_counters c;

    (void)state;
    opts.latency = on_latency;
    open_plain(sync_side, &at, 10, 1);
    loop_open(&l, &opts, NULL);
    store_async_counters(l.store, &c);
    assert_true(!c.up && c.calls == 0);
    loop_until_up(&l);
    latencies = 0;
    loop_grab_one(&l, &at, 1, 0);
    loop_grab_one(&l, &at, 2, 0);
    store_async_counters(l.store, &c);
    assert_true(c.up && c.calls == 2 && c.errors == 0 && c.reconnects == 0 && c.outstanding == 0);
    assert_int_equal(latencies, 2);
    loop_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(kill9_in_flight_is_pending_and_repeats_safely, running),
        cmocka_unit_test_setup(kill9_while_granting_never_grants_twice, running),
        cmocka_unit_test_setup(hang_is_dropped_at_the_deadline, running),
        cmocka_unit_test_setup(hang_while_idle_is_noticed, running),
        cmocka_unit_test_setup(late_loop_reads_before_it_judges, running),
        cmocka_unit_test_setup(client_kill_reconnects_and_subscribes_again, running),
        cmocka_unit_test_setup(subscribe_while_down_is_made_up_for, running),
        cmocka_unit_test_setup(script_flush_is_mended_by_eval, running),
        cmocka_unit_test_setup(more_than_outstanding_max_is_unavailable, running),
        cmocka_unit_test_setup(busy_script_is_busy_not_unknown, running),
        cmocka_unit_test_setup(close_answers_what_is_in_flight, running),
        cmocka_unit_test_setup(close_while_connecting_is_clean, running),
        cmocka_unit_test_setup(counters_and_latency_are_kept, running),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
