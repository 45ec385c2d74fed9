/* The grab script through the asynchronous port: order of the checks, replays, limits, what it writes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "loop_fixture.h"

static struct redis_fixture redis;
static struct loop_fixture loop;
static struct store_sync *sync_side;
static uint32_t next_shard;

static int setup(void **state)
{
    struct store_opts opts;

    (void)state;
    redis_start(&redis);
    opts = redis_opts(&redis, "w1");
    assert_int_equal(store_sync_create(&sync_side, &opts), RR_OK);
    loop_open(&loop, &opts, NULL);
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

static struct pool_shard opened(uint32_t n, uint32_t limit)
{
    struct pool_shard at = test_shard(next_shard++);

    open_plain(sync_side, &at, n, limit);
    return at;
}

static enum rr_err grab_rc(const struct pool_shard *at, int64_t user_id, uint32_t seq)
{
    return loop_grab_one(&loop, at, user_id, seq).rc;
}

static void set_state(const struct pool_shard *at, const char *field, const char *value)
{
    redis_do_int(&redis, "HSET t1_redpkt:{%s:0}:state %s %s", at->code, field, value);
}

static void grab_open_grants_in_pop_order_and_writes_everything(void **state)
{
    struct pool_shard at = opened(3, 1);
    struct pool_grab_item items[2] = {{11, 0, false}, {12, 0, false}};
    struct grab_answer a;

    (void)state;
    loop_grab(&loop, &at, items, 2, &a);
    assert_int_equal(a.err, RR_OK);
    assert_true(a.results[0].rc == RR_OK && !a.results[0].replay && a.results[0].packet_no == 0 &&
                a.results[0].amount_fen == 1);
    assert_true(a.results[1].packet_no == 1 && a.results[1].amount_fen == 2);
    assert_true(a.reply.granted == 2 && a.reply.granted_fen == 3 && a.reply.left == 1 &&
                a.reply.sold_out_at_ms == 0 && a.reply.t1_ms > a.reply.now_ms &&
                a.reply.now_ms >= a.reply.t0_ms);
    assert_int_equal(strlen(a.reply.rid), RR_RID_LEN);
    assert_string_equal(redis_do_str(&redis, "HGET t1_redpkt:{%s:0}:users 12", at.code), "0:1:2");
    assert_int_equal(redis_do_int(&redis, "XLEN t1_redpkt:{%s:0}:outbox", at.code), 1);
    {
        redisReply *r = redis_do(&redis, "XRANGE t1_redpkt:{%s:0}:outbox - +", at.code);
        redisReply *f = r->element[0]->element[1];

        assert_string_equal(r->element[0]->element[0]->str, a.reply.outbox_id);
        assert_int_equal(f->elements, 12);
        assert_string_equal(f->element[1]->str, at.code);
        assert_string_equal(f->element[5]->str, "r1");
        assert_string_equal(f->element[7]->str, a.reply.rid);
        assert_true(strtoll(f->element[9]->str, NULL, 10) == a.reply.now_ms);
        assert_string_equal(f->element[11]->str, "11:0:0:1;12:0:1:2");
        freeReplyObject(r);
    }
    assert_int_equal(grab_rc(&at, 13, 0), RR_OK);
    assert_int_equal(redis_do_int(&redis, "HGET t1_redpkt:{%s:0}:state granted", at.code), 3);
    assert_int_equal(redis_do_int(&redis, "HGET t1_redpkt:{%s:0}:state fen", at.code), 6);
}

static void grab_before_t0_or_prepared_is_not_started(void **state)
{
    struct pool_shard at = test_shard(next_shard++);
    const struct pool_admin *pool = store_sync_pool(sync_side);
    char rid[RR_RID_LEN + 1];
    int64_t now = 0;

    (void)state;
    assert_int_equal(seal_plain(sync_side, &at, 3, 1, rid), RR_OK);
    assert_int_equal(grab_rc(&at, 1, 0), RR_NOT_STARTED);
    assert_int_equal(pool->now_ms(pool->impl, &now), RR_OK);
    assert_int_equal(pool->open(pool->impl, &at, now + 60000, now + 120000), RR_OK);
    assert_int_equal(grab_rc(&at, 1, 0), RR_NOT_STARTED);
    assert_int_equal(redis_do_int(&redis, "EXISTS t1_redpkt:{%s:0}:users", at.code), 0);
}

static void grab_after_t1_or_closed_is_ended(void **state)
{
    struct pool_shard at = opened(3, 1);
    const struct pool_admin *pool = store_sync_pool(sync_side);
    struct pool_state st;

    (void)state;
    set_state(&at, "t1", "5");
    set_state(&at, "t0", "4");
    assert_int_equal(grab_rc(&at, 1, 0), RR_ENDED);
    set_state(&at, "t1", "99999999999999");
    assert_int_equal(pool->close(pool->impl, &at, true, &st), RR_OK);
    assert_int_equal(grab_rc(&at, 1, 0), RR_ENDED);
}

static void grab_full_outbox_is_busy_before_seq_limit_and_sold_out(void **state)
{
    struct pool_shard at = opened(1, 1);

    (void)state;
    assert_int_equal(grab_rc(&at, 1, 0), RR_OK);
    store_async_set_outbox_max(loop.store, 1);
    assert_int_equal(grab_rc(&at, 2, 0), RR_BUSY); /* would be SOLD_OUT */
    assert_int_equal(grab_rc(&at, 1, 1), RR_BUSY); /* would be LIMIT */
    assert_int_equal(grab_rc(&at, 1, 5), RR_BUSY); /* would be BAD_SEQ */
    assert_int_equal(grab_rc(&at, 1, 0), RR_OK);   /* a replay always answers */
    set_state(&at, "t1", "5");
    assert_int_equal(grab_rc(&at, 2, 0), RR_ENDED); /* the end comes first */
    store_async_set_outbox_max(loop.store, 100000);
}

static void grab_seq_is_checked_before_limit_before_sold_out(void **state)
{
    struct pool_shard at = opened(1, 1);
    struct pool_grab_result r;

    (void)state;
    r = loop_grab_one(&loop, &at, 1, 1);
    assert_true(r.rc == RR_BAD_SEQ && r.seq == 0); /* not LIMIT, though 1 >= limit */
    assert_int_equal(grab_rc(&at, 1, 0), RR_OK);
    assert_int_equal(grab_rc(&at, 1, 1), RR_LIMIT); /* not SOLD_OUT */
    r = loop_grab_one(&loop, &at, 1, 7);
    assert_true(r.rc == RR_BAD_SEQ && r.seq == 1);
    assert_int_equal(grab_rc(&at, 2, 0), RR_SOLD_OUT);
}

static void grab_replay_answers_in_every_state(void **state)
{
    struct pool_shard at = opened(4, 2);
    const struct pool_admin *pool = store_sync_pool(sync_side);
    struct pool_state st;
    struct pool_grab_result r;
    static const char *const times[][2] = {
        {"1", "99999999999999"}, {"99999999999998", "99999999999999"}, {"1", "2"}};

    (void)state;
    assert_int_equal(grab_rc(&at, 9, 0), RR_OK);
    assert_int_equal(grab_rc(&at, 9, 1), RR_OK);
    for (size_t i = 0; i <= RR_COUNTOF(times); i++) {
        if (i < RR_COUNTOF(times)) {
            set_state(&at, "t0", times[i][0]);
            set_state(&at, "t1", times[i][1]);
        } else {
            assert_int_equal(pool->close(pool->impl, &at, true, &st), RR_OK);
        }
        r = loop_grab_one(&loop, &at, 9, 0);
        assert_true(r.rc == RR_OK && r.replay && r.packet_no == 0 && r.amount_fen == 1);
        r = loop_grab_one(&loop, &at, 9, 1);
        assert_true(r.rc == RR_OK && r.replay && r.packet_no == 1 && r.amount_fen == 2 &&
                    r.seq == 1);
    }
    assert_int_equal(redis_do_int(&redis, "XLEN t1_redpkt:{%s:0}:outbox", at.code), 2);
}

static void grab_user_several_times_in_a_batch(void **state)
{
    struct pool_shard at = opened(10, 2);
    /* 0, the same 0 again, 1, one too many, a skipped one, and another user between. */
    struct pool_grab_item items[] = {{5, 0, false}, {5, 0, false}, {6, 0, false}, {5, 1, false},
                                     {5, 1, false}, {5, 2, false}, {5, 4, false}};
    struct grab_answer a;

    (void)state;
    loop_grab(&loop, &at, items, RR_COUNTOF(items), &a);
    assert_int_equal(a.err, RR_OK);
    assert_true(a.results[0].rc == RR_OK && !a.results[0].replay && a.results[0].packet_no == 0);
    assert_true(a.results[1].rc == RR_OK && a.results[1].replay && a.results[1].packet_no == 0 &&
                a.results[1].amount_fen == a.results[0].amount_fen);
    assert_true(a.results[2].rc == RR_OK && a.results[2].packet_no == 1);
    assert_true(a.results[3].rc == RR_OK && !a.results[3].replay && a.results[3].packet_no == 2);
    assert_true(a.results[4].rc == RR_OK && a.results[4].replay && a.results[4].packet_no == 2);
    assert_int_equal(a.results[5].rc, RR_LIMIT);
    assert_true(a.results[6].rc == RR_BAD_SEQ && a.results[6].seq == 2);
    assert_int_equal(a.reply.granted, 3);
    assert_string_equal(redis_do_str(&redis, "HGET t1_redpkt:{%s:0}:users 5", at.code),
                        "0:0:1;1:2:3");
    /* A later batch goes on from the stored record. */
    assert_int_equal(grab_rc(&at, 5, 2), RR_LIMIT);
    assert_true(loop_grab_one(&loop, &at, 5, 1).replay);
    assert_int_equal(grab_rc(&at, 6, 1), RR_OK);
    assert_string_equal(redis_do_str(&redis, "HGET t1_redpkt:{%s:0}:users 6", at.code),
                        "0:1:2;1:3:4");
}

/* For users who may not have it: what they were granted is given back in every state, more is not. */
static void grab_replay_only_gives_back_and_never_grants(void **state)
{
    struct pool_shard at = opened(3, 2);
    struct pool_grab_item items[] = {{5, 0, true}, {6, 0, false}, {6, 0, true}, {6, 1, true}};
    struct grab_answer a;

    (void)state;
    loop_grab(&loop, &at, items, RR_COUNTOF(items), &a);
    assert_int_equal(a.err, RR_OK);
    assert_int_equal(a.results[0].rc, RR_NOT_ELIGIBLE);
    assert_true(a.results[1].rc == RR_OK && !a.results[1].replay);
    assert_true(a.results[2].rc == RR_OK && a.results[2].replay &&
                a.results[2].amount_fen == a.results[1].amount_fen);
    assert_int_equal(a.results[3].rc, RR_NOT_ELIGIBLE);
    assert_int_equal(a.reply.granted, 1);
    assert_int_equal(redis_do_int(&redis, "HEXISTS t1_redpkt:{%s:0}:users 5", at.code), 0);
    set_state(&at, "st", "C");
    loop_grab(&loop, &at, items, RR_COUNTOF(items), &a);
    assert_int_equal(a.results[0].rc, RR_NOT_ELIGIBLE);
    assert_true(a.results[2].rc == RR_OK && a.results[2].replay);
    /* A Redis that may have lost it says so: that is no no. */
    set_state(&at, "rid", "0000000000000000000000000000000000000000");
    loop_grab(&loop, &at, items, RR_COUNTOF(items), &a);
    assert_int_equal(a.results[0].rc, RR_RECOVERING);
}

static void grab_last_packet_sets_sold_out_once(void **state)
{
    struct pool_shard at = opened(2, 1);
    struct pool_grab_item items[] = {{1, 0, false}, {2, 0, false}, {3, 0, false}};
    struct grab_answer a;
    int64_t sold_out_at = 0;

    (void)state;
    loop_grab(&loop, &at, items, 3, &a);
    assert_int_equal(a.results[1].rc, RR_OK);
    assert_int_equal(a.results[2].rc, RR_SOLD_OUT);
    assert_int_equal(a.reply.left, 0);
    sold_out_at = a.reply.sold_out_at_ms;
    assert_true(sold_out_at == a.reply.now_ms);
    loop_grab(&loop, &at, items + 2, 1, &a);
    assert_int_equal(a.results[0].rc, RR_SOLD_OUT);
    assert_true(a.reply.sold_out_at_ms == sold_out_at);
    assert_string_equal(a.reply.outbox_id, "");
}

static void grab_ten_thousand_users_one_packet_one_win(void **state)
{
    struct pool_shard at = opened(1, 1);
    struct pool_grab_item items[POOL_GRAB_MAX];
    struct grab_answer *a = calloc(1, sizeof(*a));
    uint32_t wins = 0;

    (void)state;
    for (int64_t user = 1; user <= 10000;) {
        uint32_t n = 0;

        for (; n < POOL_GRAB_MAX && user <= 10000; n++)
            items[n] = (struct pool_grab_item){user++, 0, false};
        loop_grab(&loop, &at, items, n, a);
        assert_int_equal(a->err, RR_OK);
        for (uint32_t i = 0; i < n; i++) {
            wins += a->results[i].rc == RR_OK;
            assert_true(a->results[i].rc == RR_OK || a->results[i].rc == RR_SOLD_OUT);
        }
    }
    assert_int_equal(wins, 1);
    assert_int_equal(redis_do_int(&redis, "HLEN t1_redpkt:{%s:0}:users", at.code), 1);
    free(a);
}

static void grab_largest_batch_wins_all(void **state)
{
    struct pool_shard at = opened(POOL_GRAB_MAX, 1);
    struct pool_grab_item items[POOL_GRAB_MAX];
    struct grab_answer *a = calloc(1, sizeof(*a));

    (void)state;
    for (uint32_t i = 0; i < POOL_GRAB_MAX; i++)
        items[i] = (struct pool_grab_item){INT64_MAX - i, 0, false};
    loop_grab(&loop, &at, items, POOL_GRAB_MAX, a);
    assert_int_equal(a->err, RR_OK);
    for (uint32_t i = 0; i < POOL_GRAB_MAX; i++)
        assert_true(a->results[i].rc == RR_OK && a->results[i].packet_no == i &&
                    a->results[i].amount_fen == i + 1);
    assert_true(a->reply.left == 0 && a->reply.sold_out_at_ms > 0);
    free(a);
}

static void grab_large_amounts_keep_every_digit(void **state)
{
    struct pool_shard at = test_shard(next_shard++);
    const struct pool_admin *pool = store_sync_pool(sync_side);
    static const int64_t amounts[] = {999999999999, 1};
    struct pool_seal seal = {
        .at = at, .room_id = "r1", .amounts_fen = amounts, .count = 2, .limit = 2};
    char rid[RR_RID_LEN + 1];
    struct grab_answer a;
    struct pool_grab_item items[] = {{1, 0, false}, {1, 1, false}};

    (void)state;
    snprintf(seal.amounts_hash, sizeof(seal.amounts_hash), "%s",
             redis_do_str(&redis, "EVAL %s 0", "return redis.sha1hex('999999999999,1')"));
    assert_int_equal(pool->seal(pool->impl, &seal, rid), RR_OK);
    assert_int_equal(pool->open(pool->impl, &at, 1, 99999999999999), RR_OK);
    loop_grab(&loop, &at, items, 2, &a);
    assert_true(a.results[0].amount_fen == 999999999999);
    assert_true(a.reply.granted_fen == 1000000000000);
    assert_string_equal(redis_do_str(&redis, "HGET t1_redpkt:{%s:0}:state fen", at.code),
                        "1000000000000");
}

static void grab_without_state_or_with_a_wrong_sum_is_recovering(void **state)
{
    struct pool_shard at = test_shard(next_shard++);
    struct pool_shard hurt = opened(5, 1);

    (void)state;
    assert_int_equal(grab_rc(&at, 1, 0), RR_RECOVERING);
    assert_int_equal(grab_rc(&hurt, 1, 0), RR_OK);
    redis_do_int(&redis, "HSET t1_redpkt:{%s:0}:state granted 0", hurt.code);
    assert_int_equal(grab_rc(&hurt, 1, 0),
                     RR_RECOVERING); /* a replay too: it might be rolled back */
    redis_do_int(&redis, "HSET t1_redpkt:{%s:0}:state granted 1", hurt.code);
    assert_int_equal(grab_rc(&hurt, 1, 0), RR_OK);
    redis_do_int(&redis, "DEL t1_redpkt:{%s:0}:list", hurt.code);
    assert_int_equal(grab_rc(&hurt, 2, 0), RR_RECOVERING);
}

static void grab_out_of_memory_changes_nothing(void **state)
{
    struct pool_shard at = opened(5, 1);
    struct pool_grab_item item = {1, 0, false};
    struct grab_answer a;

    (void)state;
    freeReplyObject(redis_do(&redis, "CONFIG SET maxmemory 1"));
    loop_grab(&loop, &at, &item, 1, &a);
    freeReplyObject(redis_do(&redis, "CONFIG SET maxmemory 0"));
    assert_int_equal(a.err, RR_UNAVAILABLE);
    assert_int_equal(redis_do_int(&redis, "LLEN t1_redpkt:{%s:0}:list", at.code), 5);
    assert_int_equal(redis_do_int(&redis, "EXISTS t1_redpkt:{%s:0}:users t1_redpkt:{%s:0}:outbox",
                                  at.code, at.code),
                     0);
    assert_int_equal(grab_rc(&at, 1, 0), RR_OK);
}

static void grab_read_only_replica_changes_nothing(void **state)
{
    struct pool_shard at = opened(5, 1);
    struct pool_grab_item item = {1, 0, false};
    struct grab_answer a;

    (void)state;
    freeReplyObject(redis_do(&redis, "REPLICAOF 127.0.0.1 1"));
    loop_grab(&loop, &at, &item, 1, &a);
    freeReplyObject(redis_do(&redis, "REPLICAOF NO ONE"));
    assert_int_equal(a.err, RR_UNAVAILABLE);
    assert_int_equal(grab_rc(&at, 1, 0), RR_OK);
}

static void grab_wrong_type_is_unknown_not_a_no(void **state)
{
    struct pool_shard at = test_shard(next_shard++);
    struct pool_grab_item item = {1, 0, false};
    struct grab_answer a;

    (void)state;
    freeReplyObject(redis_do(&redis, "SET t1_redpkt:{%s:0}:state x", at.code));
    loop_grab(&loop, &at, &item, 1, &a);
    assert_int_equal(a.err, RR_PENDING);
    assert_true(loop.up);
}

static void grab_after_script_flush_still_works(void **state)
{
    struct pool_shard at = opened(5, 1);

    (void)state;
    freeReplyObject(redis_do(&redis, "SCRIPT FLUSH"));
    assert_int_equal(grab_rc(&at, 1, 0), RR_OK);
    assert_int_equal(grab_rc(&at, 2, 0), RR_OK);
}

struct sums {
    bool done;
    enum rr_err err;
    int64_t granted, fen, sold_out_at;
};

static void on_sums(void *arg, enum rr_err err, int64_t granted, int64_t fen, int64_t sold_out_at)
{
    struct sums *s = arg;

    assert_false(s->done);
    *s = (struct sums){true, err, granted, fen, sold_out_at};
}

static struct sums ask_sums(const char *code, uint32_t shards)
{
    const struct pool_grab *pool = store_pool(loop.store);
    struct sums s = {0};

    pool->sums(pool->impl, code, shards, on_sums, &s);
    assert_false(s.done);
    loop_until(&loop, &s.done);
    return s;
}

static void sums_adds_shards_and_knows_when_all_are_sold_out(void **state)
{
    struct pool_shard a = test_shard(next_shard++);
    struct pool_shard b = a;
    struct sums s;

    (void)state;
    b.shard = 1;
    open_plain(sync_side, &a, 1, 1);
    open_plain(sync_side, &b, 2, 1);
    assert_int_equal(grab_rc(&a, 1, 0), RR_OK);
    assert_int_equal(grab_rc(&b, 2, 0), RR_OK);
    s = ask_sums(a.code, 2);
    assert_true(s.err == RR_OK && s.granted == 2 && s.fen == 2 && s.sold_out_at == 0);
    assert_int_equal(grab_rc(&b, 3, 0), RR_OK);
    s = ask_sums(a.code, 2);
    assert_true(s.err == RR_OK && s.granted == 3 && s.fen == 4 && s.sold_out_at > 0);
    assert_int_equal(ask_sums(a.code, 3).err, RR_NOT_FOUND);
}

static void outbox_del_removes_reported_entries(void **state)
{
    struct pool_shard at = opened(5, 1);
    const struct pool_grab *pool = store_pool(loop.store);
    struct pool_grab_item item = {1, 0, false};
    struct grab_answer a;
    const char *ids[1];

    (void)state;
    loop_grab(&loop, &at, &item, 1, &a);
    ids[0] = a.reply.outbox_id;
    pool->outbox_del(pool->impl, &at, ids, 1);
    ask_sums(at.code, 1); /* behind it on the same connection */
    assert_int_equal(redis_do_int(&redis, "XLEN t1_redpkt:{%s:0}:outbox", at.code), 0);
}

/* Last: it restarts Redis. */
static void grab_after_restart_is_recovering(void **state)
{
    struct pool_shard at = opened(5, 1);
    struct grab_answer a;
    struct pool_grab_item item = {1, 0, false};
    char rid[RR_RID_LEN + 1];

    (void)state;
    loop_grab(&loop, &at, &item, 1, &a);
    memcpy(rid, a.reply.rid, sizeof(rid));
    redis_kill9(&redis);
    redis_restart(&redis);
    loop_until_count(&loop, &loop.downs, 1);
    loop_until_up(&loop);
    loop_grab(&loop, &at, &item, 1, &a);
    assert_int_equal(a.err, RR_OK);
    assert_int_equal(a.results[0].rc, RR_RECOVERING);
    assert_string_not_equal(a.reply.rid, rid);
    assert_int_equal(store_sync_pool(sync_side)->open(sync_side, &at, 1, 2), RR_RECOVERING);
    assert_int_equal(store_sync_pool(sync_side)->extend(sync_side, &at, 99999999999999),
                     RR_RECOVERING);
    /* The data are whole (appendfsync always): with the new id it goes on, and the first answer is kept. */
    redis_do_int(&redis, "HSET t1_redpkt:{%s:0}:state rid %s", at.code, a.reply.rid);
    assert_true(loop_grab_one(&loop, &at, 1, 0).replay);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grab_open_grants_in_pop_order_and_writes_everything),
        cmocka_unit_test(grab_before_t0_or_prepared_is_not_started),
        cmocka_unit_test(grab_after_t1_or_closed_is_ended),
        cmocka_unit_test(grab_full_outbox_is_busy_before_seq_limit_and_sold_out),
        cmocka_unit_test(grab_seq_is_checked_before_limit_before_sold_out),
        cmocka_unit_test(grab_replay_answers_in_every_state),
        cmocka_unit_test(grab_user_several_times_in_a_batch),
        cmocka_unit_test(grab_replay_only_gives_back_and_never_grants),
        cmocka_unit_test(grab_last_packet_sets_sold_out_once),
        cmocka_unit_test(grab_ten_thousand_users_one_packet_one_win),
        cmocka_unit_test(grab_largest_batch_wins_all),
        cmocka_unit_test(grab_large_amounts_keep_every_digit),
        cmocka_unit_test(grab_without_state_or_with_a_wrong_sum_is_recovering),
        cmocka_unit_test(grab_out_of_memory_changes_nothing),
        cmocka_unit_test(grab_read_only_replica_changes_nothing),
        cmocka_unit_test(grab_wrong_type_is_unknown_not_a_no),
        cmocka_unit_test(grab_after_script_flush_still_works),
        cmocka_unit_test(sums_adds_shards_and_knows_when_all_are_sold_out),
        cmocka_unit_test(outbox_del_removes_reported_entries),
        cmocka_unit_test(grab_after_restart_is_recovering),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
