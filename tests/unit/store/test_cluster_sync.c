/* The blocking side against a real cluster of three primaries: each call reaches its slot, also while the slot moves. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster.h"
#include "cluster_fixture.h"
#include "loop_fixture.h"
#include "keys.h"

static struct cluster_fixture cluster;
static struct store_sync *store;
static const struct pool_admin *pool;
static uint32_t next_shard = 1;

static int setup(void **state)
{
    struct store_opts opts;

    (void)state;
    cluster_start(&cluster);
    opts = cluster_opts(&cluster, "s1");
    assert_int_equal(store_sync_create(&store, &opts), RR_OK);
    pool = store_sync_pool(store);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    store_sync_destroy(store);
    cluster_stop(&cluster);
    return 0;
}

static unsigned slot_of(const struct pool_shard *at)
{
    return cluster_slot(rr_slice_str(key_pool("t1_", at, "list").s));
}

static void shards_live_on_all_primaries(void **state)
{
    uint32_t seen[CLUSTER_TEST_NODES] = {0};
    struct pool_shard at = test_shard(next_shard++);

    (void)state;
    for (at.shard = 0; at.shard < 16; at.shard++) {
        struct pool_state st;
        uint32_t owner = cluster_owner(&cluster, slot_of(&at));

        open_plain(store, &at, 300, 1);
        assert_int_equal(pool->state(pool->impl, &at, &st), RR_OK);
        assert_int_equal(st.left, 300);
        assert_string_equal(st.rid, st.now_rid);
        /* The run id is that of the shard's own primary. */
        assert_non_null(strstr(redis_do_str(&cluster.nodes[owner], "INFO server"), st.now_rid));
        seen[owner]++;
    }
    for (uint32_t i = 0; i < CLUSTER_TEST_NODES; i++)
        assert_true(seen[i] > 0);
}

static void every_primary_has_an_epoch_of_its_own(void **state)
{
    struct pool_epochs a;
    struct pool_epochs b;

    (void)state;
    assert_int_equal(pool->primaries(pool->impl), CLUSTER_TEST_NODES);
    assert_int_equal(pool->epochs(pool->impl, &a), RR_OK);
    assert_int_equal(a.n, CLUSTER_TEST_NODES);
    assert_int_equal(a.away, 0);
    assert_int_equal(pool->epochs(pool->impl, &b), RR_OK);
    assert_memory_equal(&a, &b, sizeof(a));
    redis_do_str(&cluster.nodes[1], "FLUSHALL");
    assert_int_equal(pool->epochs(pool->impl, &b), RR_OK);
    assert_memory_not_equal(&a, &b, sizeof(a));
    for (uint32_t i = 0, other = 0; i < b.n; i++) {
        assert_string_equal(a.of[i].rid, b.of[i].rid);
        other += strcmp(a.of[i].mark, b.of[i].mark) != 0;
        assert_true(other <= 1);
    }
}

static void a_slot_on_its_way_is_asked_for_and_then_moved(void **state)
{
    struct pool_shard at = test_shard(next_shard++);
    unsigned slot = slot_of(&at);
    uint32_t from = cluster_owner(&cluster, slot);
    uint32_t to = (from + 1) % CLUSTER_TEST_NODES;
    struct pool_state st;
    char home[RR_RID_LEN + 1];

    (void)state;
    open_plain(store, &at, 250, 1);
    assert_int_equal(pool->state(pool->impl, &at, &st), RR_OK);
    strcpy(home, st.now_rid);
    cluster_move_begin(&cluster, slot, from, to);
    /* What is still there is served there. */
    assert_int_equal(pool->state(pool->impl, &at, &st), RR_OK);
    assert_string_equal(st.now_rid, home);
    cluster_move_keys(&cluster, slot, from, to);
    /* ASK: every key is gone over. */
    assert_int_equal(pool->state(pool->impl, &at, &st), RR_OK);
    assert_int_equal(st.left, 250);
    assert_string_not_equal(st.now_rid, home);
    cluster_move_end(&cluster, slot, from, to);
    /* MOVED. */
    assert_int_equal(pool->state(pool->impl, &at, &st), RR_OK);
    assert_int_equal(st.left, 250);
    assert_string_equal(st.rid, home); /* another primary: its grabs say RECOVERING */
    assert_string_not_equal(st.now_rid, home);
    /* A list is filled where the slot is now. */
    at.shard++;
    open_plain(store, &at, 250, 1);
}

/* The table still says the old primary when a whole list is sent. */
static void a_list_follows_a_moved_slot(void **state)
{
    struct pool_shard at = test_shard(next_shard++);
    unsigned slot = slot_of(&at);
    uint32_t from = cluster_owner(&cluster, slot);
    uint32_t to = (from + 1) % CLUSTER_TEST_NODES;

    (void)state;
    assert_int_equal(store_sync_ping(store), RR_OK);
    cluster_move_begin(&cluster, slot, from, to);
    cluster_move_end(&cluster, slot, from, to);
    open_plain(store, &at, 5000, 1);
}

static void half_of_a_shard_here_and_half_there_is_unavailable(void **state)
{
    struct pool_shard at = test_shard(next_shard++);
    unsigned slot = slot_of(&at);
    uint32_t from = cluster_owner(&cluster, slot);
    uint32_t to = (from + 1) % CLUSTER_TEST_NODES;
    struct pool_state st;

    (void)state;
    open_plain(store, &at, 10, 1);
    cluster_move_begin(&cluster, slot, from, to);
    redis_do_int(&cluster.nodes[from], "MIGRATE 127.0.0.1 %d %s 0 5000", cluster.nodes[to].port,
                 key_pool("t1_", &at, "list").s);
    assert_int_equal(pool->state(pool->impl, &at, &st), RR_UNAVAILABLE); /* TRYAGAIN */
    cluster_move_keys(&cluster, slot, from, to);
    cluster_move_end(&cluster, slot, from, to);
    assert_int_equal(pool->state(pool->impl, &at, &st), RR_OK);
    assert_int_equal(st.left, 10);
}

static void a_primary_that_is_away_takes_only_its_slots_with_it(void **state)
{
    struct pool_shard at = test_shard(next_shard++);
    struct pool_epochs e;
    struct pool_state st;
    int64_t now = 0;
    uint32_t dead = 2;
    uint32_t away = 0;

    (void)state;
    for (at.shard = 0; at.shard < 12; at.shard++)
        open_plain(store, &at, 10, 1);
    redis_kill9(&cluster.nodes[dead]);
    for (at.shard = 0; at.shard < 12; at.shard++) {
        bool there = slot_of(&at) < dead * 16384 / CLUSTER_TEST_NODES;
        enum rr_err err = pool->state(pool->impl, &at, &st);

        /* Slots that other tests moved may be anywhere. */
        if (err == RR_RETRY)
            err = pool->state(pool->impl, &at, &st);
        assert_true(err == RR_OK || err == RR_UNAVAILABLE);
        assert_true(there || err == RR_UNAVAILABLE);
        away += err == RR_UNAVAILABLE;
    }
    assert_true(away > 0 && away < 12);
    assert_int_equal(pool->epochs(pool->impl, &e), RR_OK);
    assert_int_equal(e.away, 1);
    assert_int_equal(pool->now_ms(pool->impl, &now), RR_OK);
    redis_restart(&cluster.nodes[dead]);
    cluster_until_whole(&cluster);
    for (at.shard = 0; at.shard < 12; at.shard++) {
        int64_t deadline = test_now_ms() + 10000;

        while (pool->state(pool->impl, &at, &st) != RR_OK)
            assert_true(test_now_ms() < deadline);
        assert_int_equal(st.left, 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shards_live_on_all_primaries),
        cmocka_unit_test(every_primary_has_an_epoch_of_its_own),
        cmocka_unit_test(a_slot_on_its_way_is_asked_for_and_then_moved),
        cmocka_unit_test(a_list_follows_a_moved_slot),
        cmocka_unit_test(half_of_a_shard_here_and_half_there_is_unavailable),
        cmocka_unit_test(a_primary_that_is_away_takes_only_its_slots_with_it),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
