/* The blocking port pool_admin: every branch of seal, open, extend, close, state, retire, locks, markers, statistics. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "loop_fixture.h"
#include "rain/split.h"

static struct redis_fixture redis;
static struct store_sync *store;
static const struct pool_admin *pool;
static uint32_t next_shard = 100;

#define HOUR 3600000

static int setup(void **state)
{
    struct store_opts opts;

    (void)state;
    redis_start(&redis);
    opts = redis_opts(&redis, "s1");
    assert_int_equal(store_sync_create(&store, &opts), RR_OK);
    pool = store_sync_pool(store);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    store_sync_destroy(store);
    redis_stop(&redis);
    return 0;
}

static int64_t now_ms(void)
{
    int64_t now = 0;

    assert_int_equal(pool->now_ms(pool->impl, &now), RR_OK);
    return now;
}

static void keys_without_tmp(const struct pool_shard *at)
{
    redisReply *r = redis_do(&redis, "KEYS t1_redpkt:{%s:%u}:tmp:*", at->code, at->shard);

    assert_int_equal(r->elements, 0);
    freeReplyObject(r);
}

static void seal_puts_list_and_state_in_place(void **state)
{
    struct pool_shard at = test_shard(next_shard++);
    struct pool_state st;
    char rid[RR_RID_LEN + 1];

    (void)state;
    assert_int_equal(pool->state(pool->impl, &at, &st), RR_OK);
    assert_false(st.exists);
    assert_int_equal(seal_plain(store, &at, 12345, 3, rid),
                     RR_OK); /* several rounds of the pipeline */
    assert_int_equal(pool->state(pool->impl, &at, &st), RR_OK);
    assert_true(st.exists && st.st == 'P' && st.n == 12345 && st.granted == 0 &&
                st.granted_fen == 0 && st.t0_ms == 0 && st.sold_out_at_ms == 0);
    assert_string_equal(st.rid, rid);
    assert_string_equal(st.now_rid, rid);
    assert_int_equal(redis_do_int(&redis, "LLEN t1_redpkt:{%s:0}:list", at.code), 12345);
    assert_int_equal(redis_do_int(&redis, "TTL t1_redpkt:{%s:0}:list", at.code), -1);
    assert_int_equal(redis_do_int(&redis, "TTL t1_redpkt:{%s:0}:state", at.code), -1);
    assert_string_equal(redis_do_str(&redis, "HGET t1_redpkt:{%s:0}:state room", at.code), "r1");
    assert_string_equal(redis_do_str(&redis, "HGET t1_redpkt:{%s:0}:state limit", at.code), "3");
    assert_int_equal(redis_do_int(&redis, "LINDEX t1_redpkt:{%s:0}:list 12344", at.code), 12345);
    keys_without_tmp(&at);
}

static void seal_twice_is_a_noop_in_every_state(void **state)
{
    struct pool_shard at = test_shard(next_shard++);
    struct pool_state st;
    char rid[RR_RID_LEN + 1];
    char again[RR_RID_LEN + 1];

    (void)state;
    assert_int_equal(seal_plain(store, &at, 10, 1, rid), RR_OK);
    assert_int_equal(seal_plain(store, &at, 20, 1, again), RR_OK);
    assert_string_equal(again, rid);
    assert_int_equal(pool->open(pool->impl, &at, 1, now_ms() + HOUR), RR_OK);
    assert_int_equal(seal_plain(store, &at, 10, 1, again), RR_OK);
    assert_int_equal(pool->close(pool->impl, &at, true, &st), RR_OK);
    assert_int_equal(seal_plain(store, &at, 10, 1, again), RR_OK);
    assert_int_equal(pool->state(pool->impl, &at, &st), RR_OK);
    assert_true(st.st == 'C' && st.n == 10);
    assert_int_equal(redis_do_int(&redis, "LLEN t1_redpkt:{%s:0}:list", at.code), 10);
    keys_without_tmp(&at);
}

static void seal_ignores_the_tmp_of_a_dead_attempt(void **state)
{
    struct pool_shard at = test_shard(next_shard++);
    char rid[RR_RID_LEN + 1];

    (void)state;
    redis_do_int(&redis, "RPUSH t1_redpkt:{%s:0}:tmp:dead 1 2 3", at.code);
    redis_do_int(&redis, "RPUSH t1_redpkt:{%s:0}:list 7 7 7",
                 at.code); /* a list without a state is no shard */
    assert_int_equal(seal_plain(store, &at, 10, 1, rid), RR_OK);
    assert_int_equal(redis_do_int(&redis, "LLEN t1_redpkt:{%s:0}:list", at.code), 10);
    assert_int_equal(redis_do_int(&redis, "LLEN t1_redpkt:{%s:0}:tmp:dead", at.code), 3);
}

static void seal_wrong_hash_changes_nothing(void **state)
{
    struct pool_shard at = test_shard(next_shard++);
    int64_t amounts[3] = {1, 2, 3};
    struct pool_seal seal = {
        .at = at, .room_id = "r1", .amounts_fen = amounts, .count = 3, .limit = 1};
    struct pool_state st;
    char rid[RR_RID_LEN + 1];
    redisReply *r = NULL;

    (void)state;
    rain_amounts_hash(amounts, 3, seal.amounts_hash);
    amounts[1] = 5;
    assert_int_equal(pool->seal(pool->impl, &seal, rid), RR_CORRUPT);
    assert_int_equal(pool->state(pool->impl, &at, &st), RR_OK);
    assert_false(st.exists);
    /* What the attempt leaves goes by itself. */
    r = redis_do(&redis, "KEYS t1_redpkt:{%s:0}:tmp:*", at.code);
    assert_int_equal(r->elements, 1);
    assert_true(redis_do_int(&redis, "TTL %s", r->element[0]->str) > 0);
    freeReplyObject(r);
    amounts[1] = 2;
    assert_int_equal(pool->seal(pool->impl, &seal, rid), RR_OK);
}

static void seal_over_grants_without_a_state_is_refused(void **state)
{
    struct pool_shard at = test_shard(next_shard++);
    char rid[RR_RID_LEN + 1];

    (void)state;
    redis_do_int(&redis, "HSET t1_redpkt:{%s:0}:users 1 0:0:1", at.code);
    assert_int_equal(seal_plain(store, &at, 10, 1, rid), RR_CORRUPT);
    assert_int_equal(redis_do_int(&redis, "EXISTS t1_redpkt:{%s:0}:list", at.code), 0);
}

static void seal_empty_shard_can_be_opened_and_closed(void **state)
{
    struct pool_shard at = test_shard(next_shard++);
    struct pool_state st;
    char rid[RR_RID_LEN + 1];

    (void)state;
    assert_int_equal(seal_plain(store, &at, 0, 1, rid), RR_OK);
    assert_int_equal(pool->open(pool->impl, &at, 1, now_ms() + HOUR), RR_OK);
    assert_int_equal(pool->close(pool->impl, &at, true, &st), RR_OK);
    assert_true(st.st == 'C' && st.n == 0 && st.granted == 0);
}

static void open_only_from_prepared(void **state)
{
    struct pool_shard at = test_shard(next_shard++);
    struct pool_state st;
    char rid[RR_RID_LEN + 1];

    (void)state;
    assert_int_equal(pool->open(pool->impl, &at, 1, 2), RR_NOT_FOUND);
    assert_int_equal(seal_plain(store, &at, 5, 1, rid), RR_OK);
    assert_int_equal(pool->open(pool->impl, &at, 1000, 2000), RR_OK);
    assert_int_equal(pool->open(pool->impl, &at, 3000, 4000),
                     RR_OK); /* the second start changes nothing */
    assert_int_equal(pool->state(pool->impl, &at, &st), RR_OK);
    assert_true(st.st == 'O' && st.t0_ms == 1000 && st.t1_ms == 2000);
    assert_int_equal(pool->close(pool->impl, &at, false, &st), RR_OK); /* t1 is long over */
    assert_int_equal(pool->open(pool->impl, &at, 1000, now_ms() + HOUR), RR_OK);
    assert_int_equal(pool->state(pool->impl, &at, &st), RR_OK);
    assert_true(st.st == 'C' && st.t1_ms == 2000); /* a stalled starter does not un-close */
    redis_do_int(&redis, "HSET t1_redpkt:{%s:0}:state rid other", at.code);
    assert_int_equal(pool->open(pool->impl, &at, 1, 2),
                     RR_OK); /* closed is for ever, on any Redis */
    redis_do_int(&redis, "HSET t1_redpkt:{%s:0}:state st P", at.code);
    assert_int_equal(pool->open(pool->impl, &at, 1, 2), RR_RECOVERING);
}

static void extend_only_open_and_only_later(void **state)
{
    struct pool_shard at = test_shard(next_shard++);
    struct pool_state st;
    char rid[RR_RID_LEN + 1];

    (void)state;
    assert_int_equal(pool->extend(pool->impl, &at, 1), RR_NOT_FOUND);
    assert_int_equal(seal_plain(store, &at, 5, 1, rid), RR_OK);
    assert_int_equal(pool->extend(pool->impl, &at, 5000), RR_CONFLICT);
    assert_int_equal(pool->open(pool->impl, &at, 1000, 2000), RR_OK);
    assert_int_equal(pool->extend(pool->impl, &at, 5000), RR_OK);
    assert_int_equal(pool->extend(pool->impl, &at, 3000), RR_OK);
    assert_int_equal(pool->state(pool->impl, &at, &st), RR_OK);
    assert_true(st.t1_ms == 5000 && st.t0_ms == 1000);
    assert_int_equal(pool->close(pool->impl, &at, true, &st), RR_OK);
    assert_int_equal(pool->extend(pool->impl, &at, 9000), RR_CONFLICT);
}

static void close_before_t1_needs_force(void **state)
{
    struct pool_shard at = test_shard(next_shard++);
    struct pool_state st;
    char rid[RR_RID_LEN + 1];

    (void)state;
    assert_int_equal(pool->close(pool->impl, &at, true, &st), RR_NOT_FOUND);
    assert_int_equal(seal_plain(store, &at, 5, 1, rid), RR_OK);
    assert_int_equal(pool->close(pool->impl, &at, false, &st), RR_CONFLICT); /* never started */
    assert_int_equal(pool->open(pool->impl, &at, 1, now_ms() + HOUR), RR_OK);
    assert_int_equal(pool->close(pool->impl, &at, false, &st), RR_CONFLICT);
    assert_true(st.st == 'O');
    assert_int_equal(pool->close(pool->impl, &at, true, &st), RR_OK);
    assert_true(st.st == 'C');
    assert_int_equal(pool->close(pool->impl, &at, false, &st), RR_OK); /* repeatable */
}

static void close_of_prepared_is_final(void **state)
{
    struct pool_shard at = test_shard(next_shard++);
    struct pool_state st;
    char rid[RR_RID_LEN + 1];

    (void)state;
    assert_int_equal(seal_plain(store, &at, 5, 1, rid), RR_OK);
    assert_int_equal(pool->close(pool->impl, &at, true, &st), RR_OK);
    assert_int_equal(pool->open(pool->impl, &at, 1, now_ms() + HOUR), RR_OK);
    assert_int_equal(pool->state(pool->impl, &at, &st), RR_OK);
    assert_true(st.st == 'C');
}

static void close_shows_both_run_ids_after_a_restart(void **state)
{
    struct pool_shard at = test_shard(next_shard++);
    struct pool_state st;
    char rid[RR_RID_LEN + 1];

    (void)state;
    assert_int_equal(seal_plain(store, &at, 5, 1, rid), RR_OK);
    redis_do_int(&redis, "HSET t1_redpkt:{%s:0}:state rid other", at.code);
    assert_int_equal(pool->close(pool->impl, &at, true, &st), RR_OK);
    assert_string_equal(st.rid, "other");
    assert_string_equal(st.now_rid, rid);
}

/* A version to come has another layout: what this one does not know it leaves alone, gate and recovery included. */
static void a_newer_layout_is_left_alone(void **state)
{
    struct pool_shard at = test_shard(next_shard++);
    struct pool_state st;
    char rid[RR_RID_LEN + 1];

    (void)state;
    assert_int_equal(seal_plain(store, &at, 5, 1, rid), RR_OK);
    assert_int_equal(redis_do_int(&redis, "HGET t1_redpkt:{%s:0}:state v", at.code), 1);
    redis_do_int(&redis, "HSET t1_redpkt:{%s:0}:state v 2", at.code);
    assert_int_equal(pool->open(pool->impl, &at, 1000, now_ms() + HOUR), RR_UNAVAILABLE);
    assert_int_equal(pool->state(pool->impl, &at, &st), RR_UNAVAILABLE);
    assert_int_equal(st.layout, 2);
    redis_do_int(&redis, "HSET t1_redpkt:{%s:0}:state v 1", at.code);
    assert_int_equal(pool->open(pool->impl, &at, 1000, now_ms() + HOUR), RR_OK);
    redis_do_int(&redis, "HSET t1_redpkt:{%s:0}:state v 2", at.code);
    assert_int_equal(pool->extend(pool->impl, &at, now_ms() + 2 * HOUR), RR_UNAVAILABLE);
    assert_int_equal(pool->close(pool->impl, &at, true, &st), RR_UNAVAILABLE);
    redis_do_int(&redis, "HSET t1_redpkt:{%s:0}:state v 1", at.code);
    assert_int_equal(pool->state(pool->impl, &at, &st), RR_OK);
    assert_true(st.st == 'O' && st.layout == 1 && st.t1_ms < now_ms() + 2 * HOUR - HOUR / 2);
    /* Sealed before layouts had a number. */
    redis_do_int(&redis, "HDEL t1_redpkt:{%s:0}:state v", at.code);
    assert_int_equal(pool->close(pool->impl, &at, true, &st), RR_OK);
    assert_true(st.st == 'C' && st.layout == 1);
}

struct seen {
    uint32_t n;
    int64_t sum_fen;
    int64_t user_id;
    uint32_t stop_at;
};

static enum rr_err on_grant(void *arg, const struct pool_grant *g)
{
    struct seen *s = arg;

    s->n++;
    s->sum_fen += g->amount_fen;
    s->user_id = g->user_id;
    return s->stop_at && s->n == s->stop_at ? RR_FULL : RR_OK;
}

static void grants_reports_every_record(void **state)
{
    struct pool_shard at = test_shard(next_shard++);
    struct seen seen = {0};

    (void)state;
    assert_int_equal(pool->grants(pool->impl, &at, on_grant, &seen), RR_OK);
    assert_int_equal(seen.n, 0);
    freeReplyObject(
        redis_do(&redis, "EVAL %s 1 t1_redpkt:{%s:0}:users",
                 "for i = 1, 3000 do redis.call('HSET', KEYS[1], i, '0:' .. (2 * i) .. ':1;1:' .. "
                 "(2 * i + 1) .. ':2') end",
                 at.code));
    assert_int_equal(pool->grants(pool->impl, &at, on_grant, &seen), RR_OK);
    assert_int_equal(seen.n, 6000);
    assert_int_equal(seen.sum_fen, 9000);
    seen = (struct seen){.stop_at = 10};
    assert_int_equal(pool->grants(pool->impl, &at, on_grant, &seen), RR_FULL);
    assert_int_equal(seen.n, 10);
    seen = (struct seen){0};
    assert_int_equal(pool->user_grants(pool->impl, &at, 77, on_grant, &seen), RR_OK);
    assert_true(seen.n == 2 && seen.sum_fen == 3 && seen.user_id == 77);
    seen = (struct seen){0};
    assert_int_equal(pool->user_grants(pool->impl, &at, 5000, on_grant, &seen), RR_OK);
    assert_int_equal(seen.n, 0);
    redis_do_int(&redis, "HSET t1_redpkt:{%s:0}:users 1 nonsense", at.code);
    assert_int_equal(pool->user_grants(pool->impl, &at, 1, on_grant, &seen), RR_CORRUPT);
    assert_int_equal(pool->grants(pool->impl, &at, on_grant, &seen), RR_CORRUPT);
}

static void retire_only_closed_and_never_before(void **state)
{
    struct pool_shard at = test_shard(next_shard++);
    struct pool_state st;

    (void)state;
    open_plain(store, &at, 5, 1);
    assert_int_equal(pool->mark(pool->impl, "notify", at.code, "task-1"), RR_OK);
    redis_do_int(&redis, "HSET t1_redpkt:{%s:0}:users 1 0:0:1", at.code);
    freeReplyObject(redis_do(&redis, "XADD t1_redpkt:{%s:0}:outbox * a b", at.code));
    assert_int_equal(pool->retire(pool->impl, &at), RR_CONFLICT);
    assert_int_equal(redis_do_int(&redis, "TTL t1_redpkt:{%s:0}:users", at.code), -1);
    assert_int_equal(pool->close(pool->impl, &at, true, &st), RR_OK);
    assert_int_equal(pool->retire(pool->impl, &at), RR_OK);
    assert_int_equal(pool->retire(pool->impl, &at), RR_OK);
    assert_int_equal(redis_do_int(&redis, "EXISTS t1_redpkt:{%s:0}:outbox", at.code), 0);
    assert_true(redis_do_int(&redis, "TTL t1_redpkt:{%s:0}:users", at.code) > 6 * 86400);
    assert_true(redis_do_int(&redis, "TTL t1_redpkt:{%s:0}:state", at.code) > 6 * 86400);
    assert_true(redis_do_int(&redis, "TTL t1_redpkt:notify:{%s}", at.code) > 6 * 86400);
}

static void lock_belongs_to_one_owner(void **state)
{
    (void)state;
    assert_int_equal(pool->lock(pool->impl, "c1", "a", 60000), RR_OK);
    assert_int_equal(pool->lock(pool->impl, "c1", "a", 60000), RR_OK); /* renewed */
    assert_int_equal(pool->lock(pool->impl, "c1", "b", 60000), RR_BUSY);
    assert_true(redis_do_int(&redis, "PTTL t1_redpkt:init:lock:{c1}") > 0);
    pool->unlock(pool->impl, "c1", "b");
    assert_int_equal(pool->lock(pool->impl, "c1", "b", 60000), RR_BUSY);
    pool->unlock(pool->impl, "c1", "a");
    assert_int_equal(pool->lock(pool->impl, "c1", "b", 60000), RR_OK);
}

static void mark_keeps_the_first_value(void **state)
{
    (void)state;
    assert_int_equal(pool->mark(pool->impl, "notify", "c1", "one"), RR_OK);
    assert_int_equal(pool->mark(pool->impl, "notify", "c1", "two"), RR_OK);
    assert_string_equal(redis_do_str(&redis, "GET t1_redpkt:notify:{c1}"), "one");
    assert_int_equal(pool->mark(pool->impl, "prepare:ok", "c1", "x"), RR_OK);
    assert_string_equal(redis_do_str(&redis, "GET t1_redpkt:prepare:ok:{c1}"), "x");
    assert_int_equal(pool->mark(pool->impl, "else", "c1", "x"), RR_BAD_REQUEST);
}

static int64_t stat_of(const char *name, const char *code)
{
    int64_t found = 0;

    for (int bucket = 0; bucket < 16; bucket++) {
        const char *v = redis_do_str(&redis, "HGET t1_redpkt:%s:{%d} %s", name, bucket, code);

        if (v[0])
            found += strtoll(v, NULL, 10);
    }
    return found;
}

static void stats_only_grow(void **state)
{
    (void)state;
    assert_int_equal(pool->stats(pool->impl, "c1", 10, 1000), RR_OK);
    assert_int_equal(pool->stats(pool->impl, "c1", 9, 900), RR_OK);
    assert_int_equal(stat_of("total_get_count", "c1"), 10);
    assert_int_equal(stat_of("total_get_price", "c1"), 1000);
    assert_int_equal(pool->stats(pool->impl, "c1", 100, 1000000000000), RR_OK);
    assert_int_equal(stat_of("total_get_count", "c1"), 100);
    assert_true(stat_of("total_get_price", "c1") == 1000000000000);
}

static void user_total(int64_t user_id, int64_t total_fen)
{
    struct pool_user_total t = {.user_id = user_id, .total_fen = total_fen};

    assert_int_equal(pool->user_totals(pool->impl, &t, 1), RR_OK);
}

/* More than go into one round trip, and the first call after Redis lost its scripts. */
static void user_totals_only_grow(void **state)
{
    static struct pool_user_total many[1203];

    (void)state;
    user_total(7, 50);
    user_total(7, 9);
    assert_int_equal(redis_do_int(&redis, "GET t1_redpkt:user_total:{7}"), 50);
    user_total(7, 100);
    assert_int_equal(redis_do_int(&redis, "GET t1_redpkt:user_total:{7}"), 100);
    for (uint32_t i = 0; i < RR_COUNTOF(many); i++)
        many[i] = (struct pool_user_total){.user_id = 1 + i, .total_fen = 40 + i};
    redis_do_str(&redis, "SCRIPT FLUSH");
    assert_int_equal(pool->user_totals(pool->impl, many, RR_COUNTOF(many)), RR_OK);
    assert_int_equal(redis_do_int(&redis, "GET t1_redpkt:user_total:{7}"), 100);
    for (uint32_t i = 0; i < RR_COUNTOF(many); i += 13) {
        if (i != 6)
            assert_int_equal(redis_do_int(&redis, "GET t1_redpkt:user_total:{%u}", 1 + i), 40 + i);
    }
    assert_int_equal(redis_do_int(&redis, "GET t1_redpkt:user_total:{1203}"), 1242);
    assert_int_equal(pool->user_totals(pool->impl, NULL, 0), RR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seal_puts_list_and_state_in_place),
        cmocka_unit_test(seal_twice_is_a_noop_in_every_state),
        cmocka_unit_test(seal_ignores_the_tmp_of_a_dead_attempt),
        cmocka_unit_test(seal_wrong_hash_changes_nothing),
        cmocka_unit_test(seal_over_grants_without_a_state_is_refused),
        cmocka_unit_test(seal_empty_shard_can_be_opened_and_closed),
        cmocka_unit_test(open_only_from_prepared),
        cmocka_unit_test(extend_only_open_and_only_later),
        cmocka_unit_test(close_before_t1_needs_force),
        cmocka_unit_test(close_of_prepared_is_final),
        cmocka_unit_test(close_shows_both_run_ids_after_a_restart),
        cmocka_unit_test(a_newer_layout_is_left_alone),
        cmocka_unit_test(grants_reports_every_record),
        cmocka_unit_test(retire_only_closed_and_never_before),
        cmocka_unit_test(lock_belongs_to_one_owner),
        cmocka_unit_test(mark_keeps_the_first_value),
        cmocka_unit_test(stats_only_grow),
        cmocka_unit_test(user_totals_only_grow),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
