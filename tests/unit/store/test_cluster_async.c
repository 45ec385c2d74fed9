/* The loop's side against a real cluster of three primaries: grabs reach their slot while it moves and after a primary was away,
 * no answer is a false no, and a room is heard wherever its slot is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster.h"
#include "cluster_fixture.h"
#include "keys.h"
#include "loop_fixture.h"

static struct cluster_fixture cluster;
static struct loop_fixture loop;
static struct store_sync *sync_side;
static uint32_t next_shard = 500;
static uint32_t subscribed;
static uint32_t msgs;
static uint64_t last_seq;

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
    msgs++;
    last_seq = m->seq;
}

static int setup(void **state)
{
    const struct room_bus_events events = {.subscribed = on_subscribed, .room_msg = on_msg};
    struct store_opts opts;

    (void)state;
    cluster_start(&cluster);
    opts = cluster_opts(&cluster, "w1");
    assert_int_equal(store_sync_create(&sync_side, &opts), RR_OK);
    loop_open(&loop, &opts, &events);
    loop_until_up(&loop);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    loop_close(&loop);
    store_sync_destroy(sync_side);
    cluster_stop(&cluster);
    return 0;
}

static unsigned slot_of(const struct pool_shard *at)
{
    return cluster_slot(rr_slice_str(key_pool("t1_", at, "list").s));
}

static struct store_counters counters(void)
{
    struct store_counters c;

    store_async_counters(loop.store, &c);
    return c;
}

/* What is no refusal of Redis' state is granted; asks until then. */
static enum rr_err grab_until(const struct pool_shard *at, int64_t user, enum rr_err want)
{
    int64_t deadline = test_now_ms() + 15000;
    struct pool_grab_item item = {user, 0, false};
    struct grab_answer a;

    do {
        loop_grab(&loop, at, &item, 1, &a);
        assert_true(a.err == RR_OK || a.err == RR_UNAVAILABLE || a.err == RR_PENDING);
        if (a.err == RR_OK && a.results[0].rc == want)
            return want;
    } while (test_now_ms() < deadline);
    return a.err ? a.err : a.results[0].rc;
}

static void grabs_reach_the_shard_of_their_slot(void **state)
{
    uint32_t seen[CLUSTER_TEST_NODES] = {0};
    struct pool_shard at = test_shard(next_shard++);

    (void)state;
    for (at.shard = 0; at.shard < 12; at.shard++) {
        uint32_t owner = cluster_owner(&cluster, slot_of(&at));

        open_plain(sync_side, &at, 3, 1);
        assert_int_equal(grab_until(&at, 7, RR_OK), RR_OK);
        assert_int_equal(
            redis_do_int(&cluster.nodes[owner], "HGET %s granted", key_pool("t1_", &at, "state").s),
            1);
        seen[owner]++;
    }
    for (uint32_t i = 0; i < CLUSTER_TEST_NODES; i++)
        assert_true(seen[i] > 0);
    assert_int_equal(counters().redirects, 0);
}

/* ASK before, MOVED after: the batch is answered by the new primary, which says RECOVERING, never sold out. */
static void a_moving_slot_never_says_no(void **state)
{
    struct pool_shard at = test_shard(next_shard++);
    unsigned slot = slot_of(&at);
    uint32_t from = cluster_owner(&cluster, slot);
    uint32_t to = (from + 1) % CLUSTER_TEST_NODES;
    uint64_t before = counters().redirects;
    struct pool_grab_item item = {8, 0, false};
    struct grab_answer a;

    (void)state;
    open_plain(sync_side, &at, 5, 1);
    assert_int_equal(grab_until(&at, 7, RR_OK), RR_OK);
    cluster_move_begin(&cluster, slot, from, to);
    redis_do_int(&cluster.nodes[from], "MIGRATE 127.0.0.1 %d %s 0 5000", cluster.nodes[to].port,
                 key_pool("t1_", &at, "list").s);
    /* TRYAGAIN: half of the keys are over. */
    loop_grab(&loop, &at, &item, 1, &a);
    assert_int_equal(a.err, RR_UNAVAILABLE);
    cluster_move_keys(&cluster, slot, from, to);
    loop_grab(&loop, &at, &item, 1, &a); /* ASK */
    assert_int_equal(a.err, RR_OK);
    assert_int_equal(a.results[0].rc, RR_RECOVERING);
    assert_int_equal(a.reply.left, 4);
    assert_int_equal(counters().redirects, before + 1);
    cluster_move_end(&cluster, slot, from, to);
    loop_grab(&loop, &at, &item, 1, &a); /* MOVED, or the table was read anew meanwhile */
    assert_int_equal(a.err, RR_OK);
    assert_int_equal(a.results[0].rc, RR_RECOVERING);
    for (int i = 0; i < 100; i++) {
        loop_grab(&loop, &at, &item, 1, &a);
        assert_int_equal(a.err, RR_OK);
    }
    assert_true(counters().redirects <= before + 2); /* the table knows */
}

static void push(const char *room)
{
    uint64_t epoch = 0;
    uint64_t seq = 0;

    assert_int_equal(
        store_sync_push_room(sync_side, room, "X", rr_slice_str("\xc0"), NULL, 0, &epoch, &seq),
        RR_OK);
}

static void hear_and_move(const char *room)
{
    const struct room_bus *bus = store_bus(loop.store);
    unsigned slot = cluster_slot(rr_slice_str(room));
    uint32_t from = cluster_owner(&cluster, slot);
    uint32_t to = (from + 1) % CLUSTER_TEST_NODES;

    subscribed = msgs = 0;
    bus->subscribe(bus->impl, room);
    loop_until_count(&loop, &subscribed, 1);
    push(room);
    loop_until_count(&loop, &msgs, 1);
    assert_int_equal(last_seq, 1);
    bus->publish(bus->impl, room, "Y", rr_slice_str("\xc0"));
    loop_until_count(&loop, &msgs, 2);
    assert_int_equal(last_seq, 0);
    cluster_move_begin(&cluster, slot, from, to);
    cluster_move_keys(&cluster, slot, from, to);
    cluster_move_end(&cluster, slot, from, to);
    loop_until_count(&loop, &subscribed, 2); /* heard anew: who hears it loads what was missed */
    push(room);
    loop_until_count(&loop, &msgs, 3);
    bus->unsubscribe(bus->impl, room);
}

static void a_room_is_heard_where_its_slot_goes(void **state)
{
    (void)state;
    hear_and_move("room-1");
    assert_int_equal(redis_do_int(&cluster.nodes[0], "PUBLISH x y"), 0);
}

/* Sharded: only the primary of the slot has the channel. */
static void a_room_is_sharded(void **state)
{
    const struct room_bus *bus = store_bus(loop.store);
    uint32_t owner = cluster_owner(&cluster, cluster_slot(rr_slice_str("room-2")));

    (void)state;
    subscribed = 0;
    bus->subscribe(bus->impl, "room-2");
    loop_until_count(&loop, &subscribed, 1);
    for (uint32_t i = 0; i < CLUSTER_TEST_NODES; i++) {
        redisReply *r = redis_do(&cluster.nodes[i], "PUBSUB SHARDNUMSUB t1_{room-2}:ch");

        assert_int_equal(r->element[1]->integer, i == owner);
        freeReplyObject(r);
    }
    bus->unsubscribe(bus->impl, "room-2");
}

static uint32_t user_msgs;

static void on_user_msg(void *arg, int64_t user_id, struct rr_slice biz_code,
                        struct rr_slice payload)
{
    (void)arg;
    (void)user_id;
    (void)biz_code;
    (void)payload;
    user_msgs++;
}

/* No sharded pub/sub, as before Redis 7 or where a rule forbids it: ordinary messages. */
static void without_sharded_pubsub_rooms_are_heard_too(void **state)
{
    const struct room_bus_events events = {
        .subscribed = on_subscribed, .room_msg = on_msg, .user_msg = on_user_msg};
    struct store_opts opts = cluster_opts(&cluster, "w2");
    struct loop_fixture other;
    const struct room_bus *bus = NULL;

    (void)state;
    for (uint32_t i = 0; i < CLUSTER_TEST_NODES; i++)
        redis_do_str(&cluster.nodes[i], "ACL SETUSER default -ssubscribe -spublish");
    loop_open(&other, &opts, &events);
    loop_until_up(&other);
    bus = store_bus(other.store);
    subscribed = msgs = user_msgs = 0;
    bus->subscribe(bus->impl, "room-3");
    loop_until_count(&other, &subscribed, 1);
    push("room-3");
    loop_until_count(&other, &msgs, 1);
    bus->push_user(bus->impl, 5, "Z", rr_slice_str("\xc0"), true);
    loop_until_count(&other, &user_msgs, 1);
    loop_close(&other);
    for (uint32_t i = 0; i < CLUSTER_TEST_NODES; i++)
        redis_do_str(&cluster.nodes[i], "ACL SETUSER default +ssubscribe +spublish");
}

static void a_dead_primary_takes_only_its_own_with_it(void **state)
{
    const struct room_bus *bus = store_bus(loop.store);
    struct pool_shard at = test_shard(next_shard++);
    struct pool_grab_item item = {9, 0, false};
    struct grab_answer a;
    uint32_t dead = 2;
    uint32_t on_dead = 0;
    char room[16] = "";

    (void)state;
    for (int i = 0; !room[0] || cluster_owner(&cluster, cluster_slot(rr_slice_str(room))) != dead;
         i++)
        snprintf(room, sizeof(room), "dead-%d", i);
    subscribed = msgs = 0;
    bus->subscribe(bus->impl, room);
    loop_until_count(&loop, &subscribed, 1);
    for (at.shard = 0; at.shard < 12; at.shard++) {
        open_plain(sync_side, &at, 3, 1);
        on_dead += cluster_owner(&cluster, slot_of(&at)) == dead;
    }
    assert_true(on_dead > 0 && on_dead < 12);
    redis_kill9(&cluster.nodes[dead]);
    for (at.shard = 0; at.shard < 12; at.shard++) {
        loop_grab(&loop, &at, &item, 1, &a);
        /* Away: nothing happened, or not known. Nobody says that it is sold out. */
        assert_true((a.err == RR_OK && a.results[0].rc == RR_OK) || a.err == RR_UNAVAILABLE ||
                    a.err == RR_PENDING);
        on_dead -= a.err != RR_OK;
    }
    assert_int_equal(on_dead, 0);
    assert_true(loop.up);
    subscribed = 0;
    loop_until_count(&loop, &subscribed, 1); /* joins are answered */
    redis_restart(&cluster.nodes[dead]);
    cluster_until_whole(&cluster);
    for (at.shard = 0; at.shard < 12; at.shard++)
        assert_true(grab_until(&at, 9, RR_OK) == RR_OK ||
                    grab_until(&at, 9, RR_RECOVERING) == RR_RECOVERING);
    /* Heard again after the server is back. */
    msgs = 0;
    for (int64_t deadline = test_now_ms() + 15000; msgs == 0 && test_now_ms() < deadline;) {
        push(room);
        for (int i = 0; i < 20; i++)
            uv_run(&loop.loop, UV_RUN_ONCE);
    }
    assert_true(msgs > 0);
    bus->unsubscribe(bus->impl, room);
}

static void on_late(void *arg, enum rr_err err, const struct pool_grab_reply *reply)
{
    struct grab_answer *a = arg;

    (void)reply;
    a->done = true;
    a->err = err;
}

static void closing_answers_what_is_in_flight(void **state)
{
    struct store_opts opts = cluster_opts(&cluster, "w3");
    struct loop_fixture other;
    struct pool_shard at = test_shard(next_shard++);
    struct pool_grab_item item = {1, 0, false};
    struct grab_answer a = {0};

    (void)state;
    open_plain(sync_side, &at, 3, 1);
    loop_open(&other, &opts, NULL);
    /* Before anything is connected: it waits for the first login, or is refused. */
    store_pool(other.store)->grab(store_pool(other.store)->impl, &at, &item, 1, on_late, &a);
    loop_close(&other);
    assert_true(a.done);
    assert_true(a.err == RR_UNAVAILABLE || a.err == RR_PENDING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grabs_reach_the_shard_of_their_slot),
        cmocka_unit_test(a_moving_slot_never_says_no),
        cmocka_unit_test(a_room_is_heard_where_its_slot_goes),
        cmocka_unit_test(a_room_is_sharded),
        cmocka_unit_test(without_sharded_pubsub_rooms_are_heard_too),
        cmocka_unit_test(a_dead_primary_takes_only_its_own_with_it),
        cmocka_unit_test(closing_answers_what_is_in_flight),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
