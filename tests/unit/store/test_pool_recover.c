/* Fence and refill on a real Redis: a lost shard grants nothing, one recovery brings it back, once; then grabs go on where the
 * books ended, gaps and survivors included. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "loop_fixture.h"

enum { N = 6, LIMIT = 3 };

static struct redis_fixture redis;
static struct loop_fixture loop;
static struct store_sync *store;
static const struct pool_admin *pool;
static uint32_t next_shard = 500;
static const int64_t amounts_fen[N] = {1, 2, 3, 4, 5, 6};

static int setup(void **state)
{
    struct store_opts opts;

    (void)state;
    redis_start(&redis);
    opts = redis_opts(&redis, "w1");
    assert_int_equal(store_sync_create(&store, &opts), RR_OK);
    pool = store_sync_pool(store);
    loop_open(&loop, &opts, NULL);
    loop_until_up(&loop);
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

static struct pool_state state_of(const struct pool_shard *at)
{
    struct pool_state st;

    assert_int_equal(pool->state(pool->impl, at, &st), RR_OK);
    return st;
}

/* Of this run of Redis, the no-th life. */
static void rid_now(uint32_t no, char rid[RR_RID_LEN + 1])
{
    struct pool_epochs e;

    assert_int_equal(pool->epochs(pool->impl, &e), RR_OK);
    snprintf(rid, RR_RID_LEN + 1, "%.32s%08x", e.of[0].rid, no);
}

static struct pool_shard lost(void)
{
    struct pool_shard at = test_shard(next_shard++);

    open_plain(store, &at, N, LIMIT);
    return at;
}

/* Packets 0 (user 7, seq 0), 1 (8, seq 0), 3 (7, seq 2) are known; 2 is nobody's. */
static const struct pool_grant known[] = {{7, 1, 0, 0}, {7, 4, 2, 3}, {8, 2, 0, 1}};
static const bool all_in_books[] = {true, true, true};

static struct pool_refill refill_of(const struct pool_shard *at, const char *from, const char *rid)
{
    struct pool_refill r = {.at = *at,
                            .room_id = "r1",
                            .st = 'O',
                            .t0_ms = 1,
                            .t1_ms = 99999999999999,
                            .amounts_fen = amounts_fen,
                            .grants = known,
                            .in_books = all_in_books,
                            .grants_n = RR_COUNTOF(known),
                            .n = N,
                            .floor = 4,
                            .limit = LIMIT};

    strcpy(r.from_rid, from);
    strcpy(r.rid, rid);
    return r;
}

static void no_tmp_is_left(const struct pool_shard *at)
{
    redisReply *r = redis_do(&redis, "KEYS t1_redpkt:{%s:0}:tmp:*", at->code);

    assert_int_equal(r->elements, 0);
    freeReplyObject(r);
}

static void a_fence_stops_every_grab_and_says_which_life_it_was(void **state)
{
    struct pool_shard at = lost();
    char rid[RR_RID_LEN + 1];
    char was[RR_RID_LEN + 1];

    (void)state;
    rid_now(1, rid);
    strcpy(was, state_of(&at).rid);
    assert_int_equal(loop_grab_one(&loop, &at, 7, 0).rc, RR_OK);
    assert_int_equal(pool->fence(pool->impl, &at, rid), RR_OK);
    assert_int_equal(pool->fence(pool->impl, &at, rid), RR_OK);
    assert_true(pool_same_life(state_of(&at).rid, was));
    assert_string_not_equal(state_of(&at).rid, was);
    assert_int_equal(loop_grab_one(&loop, &at, 7, 0).rc, RR_RECOVERING);
    assert_int_equal(loop_grab_one(&loop, &at, 9, 0).rc, RR_RECOVERING);
    assert_int_equal(pool->extend(pool->impl, &at, 99999999999999), RR_RECOVERING);
}

static void a_wiped_shard_goes_on_where_the_books_ended(void **state)
{
    struct pool_shard at = lost();
    struct pool_grab_result g;
    struct pool_refill r;
    struct pool_state st;
    char rid[RR_RID_LEN + 1];

    (void)state;
    rid_now(1, rid);
    redis_do_int(&redis, "DEL t1_redpkt:{%s:0}:state t1_redpkt:{%s:0}:list", at.code, at.code);
    assert_int_equal(pool->fence(pool->impl, &at, rid), RR_OK);
    assert_false(state_of(&at).exists);
    r = refill_of(&at, "", rid);
    assert_int_equal(pool->refill(pool->impl, &r), RR_OK);
    st = state_of(&at);
    assert_true(st.st == 'O' && st.n == N && st.granted == 4 && st.left == 2 && st.t0_ms == 1 &&
                st.granted_fen == 10 && st.sold_out_at_ms == 0);
    assert_string_equal(st.rid, rid);
    assert_string_equal(redis_do_str(&redis, "HGET t1_redpkt:{%s:0}:users 7", at.code),
                        "0:0:1;-;2:3:4");
    assert_int_equal(redis_do_int(&redis, "TTL t1_redpkt:{%s:0}:users", at.code), -1);
    assert_int_equal(redis_do_int(&redis, "TTL t1_redpkt:{%s:0}:list", at.code), -1);
    assert_int_equal(redis_do_int(&redis, "EXISTS t1_redpkt:{%s:0}:fence", at.code), 0);
    assert_int_equal(redis_do_int(&redis, "EXISTS t1_redpkt:{%s:0}:outbox", at.code), 0);
    no_tmp_is_left(&at);
    /* What is known is replayed. */
    g = loop_grab_one(&loop, &at, 7, 0);
    assert_true(g.rc == RR_OK && g.replay && g.packet_no == 0 && g.amount_fen == 1);
    g = loop_grab_one(&loop, &at, 7, 2);
    assert_true(g.rc == RR_OK && g.replay && g.seq == 2 && g.packet_no == 3);
    /* The seq that was lost is granted anew, in its place. */
    g = loop_grab_one(&loop, &at, 7, 1);
    assert_true(g.rc == RR_OK && !g.replay && g.seq == 1 && g.packet_no == 4 && g.amount_fen == 5);
    assert_string_equal(redis_do_str(&redis, "HGET t1_redpkt:{%s:0}:users 7", at.code),
                        "0:0:1;1:4:5;2:3:4");
    assert_int_equal(loop_grab_one(&loop, &at, 7, 3).rc, RR_LIMIT);
    assert_true(loop_grab_one(&loop, &at, 9, 0).packet_no == 5);
    assert_int_equal(loop_grab_one(&loop, &at, 10, 0).rc, RR_SOLD_OUT);
}

/* The records of the new life name it, not the run of Redis. */
static void grants_of_the_new_life_carry_its_rid(void **state)
{
    struct pool_shard at = lost();
    struct pool_refill r;
    struct pool_grab_item item = {.user_id = 9};
    struct grab_answer a;
    char rid[RR_RID_LEN + 1];
    redisReply *x = NULL;

    (void)state;
    rid_now(77, rid);
    assert_int_equal(pool->fence(pool->impl, &at, rid), RR_OK);
    r = refill_of(&at, state_of(&at).rid, rid);
    assert_int_equal(pool->refill(pool->impl, &r), RR_OK);
    loop_grab(&loop, &at, &item, 1, &a);
    assert_string_equal(a.reply.rid, rid);
    x = redis_do(&redis, "XRANGE t1_redpkt:{%s:0}:outbox - +", at.code);
    assert_int_equal(x->elements, 1);
    assert_string_equal(x->element[0]->element[1]->element[7]->str, rid);
    freeReplyObject(x);
}

struct seen {
    uint32_t n;
    struct grant_record last;
};

static enum rr_err see(void *arg, const char *id, const struct grant_record *records, uint32_t n)
{
    struct seen *s = arg;

    (void)id;
    s->n += n;
    s->last = records[n - 1];
    return RR_OK;
}

static void survivors_go_to_the_outbox_and_the_old_entries_go(void **state)
{
    static const bool some[] = {true, false, true};
    struct pool_shard at = lost();
    struct pool_refill r;
    struct seen seen = {.n = 0};
    char rid[RR_RID_LEN + 1];

    (void)state;
    rid_now(1, rid);
    for (int64_t user = 20; user < 23; user++)
        assert_int_equal(loop_grab_one(&loop, &at, user, 0).rc, RR_OK);
    assert_int_equal(redis_do_int(&redis, "XLEN t1_redpkt:{%s:0}:outbox", at.code), 3);
    assert_int_equal(pool->fence(pool->impl, &at, rid), RR_OK);
    r = refill_of(&at, state_of(&at).rid, rid);
    r.in_books = some;
    assert_int_equal(pool->refill(pool->impl, &r), RR_OK);
    assert_int_equal(redis_do_int(&redis, "XLEN t1_redpkt:{%s:0}:outbox", at.code), 1);
    assert_int_equal(store_sync_outbox_read(store, &at, 0, 10, NULL, see, &seen), RR_OK);
    assert_int_equal(seen.n, 1);
    assert_true(seen.last.user_id == 7 && seen.last.seq == 2 && seen.last.packet_no == 3 &&
                seen.last.amount_fen == 4 && seen.last.shard == at.shard);
    assert_string_equal(seen.last.rid, rid);
    assert_string_equal(seen.last.room_id, "r1");
    /* Users of the lost life who are in no book are gone, and win anew. */
    assert_int_equal(redis_do_int(&redis, "HEXISTS t1_redpkt:{%s:0}:users 20", at.code), 0);
    assert_true(loop_grab_one(&loop, &at, 20, 0).packet_no == 4);
}

static void a_refill_is_done_once(void **state)
{
    struct pool_shard at = lost();
    struct pool_refill r;
    char rid[RR_RID_LEN + 1];
    char from[RR_RID_LEN + 1];

    (void)state;
    rid_now(1, rid);
    assert_int_equal(pool->fence(pool->impl, &at, rid), RR_OK);
    strcpy(from, state_of(&at).rid);
    r = refill_of(&at, from, rid);
    assert_int_equal(pool->refill(pool->impl, &r), RR_OK);
    assert_int_equal(loop_grab_one(&loop, &at, 30, 0).packet_no, 4);
    /* Again by somebody who does not know: nothing changes, also no fence. */
    assert_int_equal(pool->refill(pool->impl, &r), RR_OK);
    assert_int_equal(pool->fence(pool->impl, &at, rid), RR_OK);
    assert_int_equal(state_of(&at).granted, 5);
    assert_int_equal(loop_grab_one(&loop, &at, 31, 0).packet_no, 5);
}

/* The state is gone again after the refill: without the fence, which was used up, the same refill would grant twice. */
static void a_refill_after_another_wipe_is_refused(void **state)
{
    struct pool_shard at = lost();
    struct pool_refill r;
    char rid[RR_RID_LEN + 1];

    (void)state;
    rid_now(1, rid);
    assert_int_equal(pool->fence(pool->impl, &at, rid), RR_OK);
    r = refill_of(&at, state_of(&at).rid, rid);
    assert_int_equal(pool->refill(pool->impl, &r), RR_OK);
    redis_do_int(&redis, "DEL t1_redpkt:{%s:0}:state", at.code);
    r = refill_of(&at, "", rid);
    assert_int_equal(pool->refill(pool->impl, &r), RR_CONFLICT);
    assert_false(state_of(&at).exists);
}

static void of_two_recoveries_the_later_one_wins(void **state)
{
    struct pool_shard at = lost();
    struct pool_refill r;
    char first[RR_RID_LEN + 1];
    char second[RR_RID_LEN + 1];

    (void)state;
    rid_now(1, first);
    rid_now(2, second);
    assert_int_equal(pool->fence(pool->impl, &at, first), RR_OK);
    assert_int_equal(pool->fence(pool->impl, &at, second), RR_OK);
    r = refill_of(&at, state_of(&at).rid, first);
    assert_int_equal(pool->refill(pool->impl, &r), RR_CONFLICT);
    r = refill_of(&at, state_of(&at).rid, second);
    assert_int_equal(pool->refill(pool->impl, &r), RR_OK);
    r = refill_of(&at, second, first);
    assert_int_equal(pool->refill(pool->impl, &r), RR_CONFLICT);
    assert_string_equal(state_of(&at).rid, second);
}

static void what_was_read_must_still_be_so(void **state)
{
    struct pool_shard at = lost();
    struct pool_refill r;
    char rid[RR_RID_LEN + 1];

    (void)state;
    rid_now(1, rid);
    assert_int_equal(pool->fence(pool->impl, &at, rid), RR_OK);
    r = refill_of(&at, "", rid); /* read when there was none */
    assert_int_equal(pool->refill(pool->impl, &r), RR_RETRY);
    r = refill_of(&at, state_of(&at).rid, rid);
    redis_do_int(&redis, "DEL t1_redpkt:{%s:0}:state", at.code);
    assert_int_equal(pool->refill(pool->impl, &r), RR_RETRY);
}

static void another_run_refuses_a_refill_for_the_one_before(void **state)
{
    struct pool_shard at = lost();
    struct pool_refill r;
    char rid[RR_RID_LEN + 1];

    (void)state;
    rid_now(1, rid);
    assert_int_equal(pool->fence(pool->impl, &at, rid), RR_OK);
    r = refill_of(&at, state_of(&at).rid, rid);
    redis_kill9(&redis);
    redis_restart(&redis);
    while (pool->refill(pool->impl, &r) == RR_RETRY)
        ;
    assert_int_equal(pool->refill(pool->impl, &r), RR_CONFLICT);
    loop_until_count(&loop, &loop.downs, 1);
    loop_until_up(&loop);
    assert_int_equal(loop_grab_one(&loop, &at, 7, 0).rc, RR_RECOVERING);
}

static void a_closed_shard_stays_closed(void **state)
{
    struct pool_shard at = lost();
    struct pool_refill r;
    struct pool_state st;
    char rid[RR_RID_LEN + 1];

    (void)state;
    rid_now(1, rid);
    assert_int_equal(pool->close(pool->impl, &at, true, &st), RR_OK);
    assert_int_equal(pool->fence(pool->impl, &at, rid), RR_OK);
    r = refill_of(&at, state_of(&at).rid, rid);
    assert_int_equal(pool->refill(pool->impl, &r), RR_OK);
    assert_int_equal(state_of(&at).st, 'C');
    assert_int_equal(loop_grab_one(&loop, &at, 30, 0).rc, RR_ENDED);
    assert_true(loop_grab_one(&loop, &at, 8, 0).replay);
}

static void a_prepared_shard_and_an_empty_rest(void **state)
{
    struct pool_shard at = lost();
    struct pool_refill r;
    char rid[RR_RID_LEN + 1];

    (void)state;
    rid_now(1, rid);
    redis_do_int(&redis, "DEL t1_redpkt:{%s:0}:state", at.code);
    assert_int_equal(pool->fence(pool->impl, &at, rid), RR_OK);
    r = refill_of(&at, "", rid);
    r.st = 'P';
    r.t0_ms = 0;
    r.grants_n = 0;
    r.floor = 0;
    assert_int_equal(pool->refill(pool->impl, &r), RR_OK);
    assert_true(state_of(&at).st == 'P' && state_of(&at).t0_ms == 0 && state_of(&at).left == N);
    assert_int_equal(redis_do_int(&redis, "EXISTS t1_redpkt:{%s:0}:users", at.code), 0);
    assert_int_equal(pool->open(pool->impl, &at, 1, 99999999999999), RR_OK);
    assert_int_equal(loop_grab_one(&loop, &at, 7, 0).packet_no, 0);
    /* All granted: an empty list. */
    at = lost();
    assert_int_equal(pool->fence(pool->impl, &at, rid), RR_OK);
    r = refill_of(&at, state_of(&at).rid, rid);
    r.floor = N;
    assert_int_equal(pool->refill(pool->impl, &r), RR_OK);
    assert_true(state_of(&at).left == 0 && state_of(&at).granted == N &&
                state_of(&at).sold_out_at_ms > 0);
    assert_int_equal(loop_grab_one(&loop, &at, 70, 0).rc, RR_SOLD_OUT);
    assert_true(loop_grab_one(&loop, &at, 8, 0).replay);
}

static void many_users_go_in_batches(void **state)
{
    enum { MANY = 8000 };
    struct pool_shard at = test_shard(next_shard++);
    struct pool_grant *grants = calloc(MANY, sizeof(*grants));
    int64_t *all_fen = calloc(MANY + 1, sizeof(*all_fen));
    bool *none = calloc(MANY, sizeof(*none));
    struct pool_refill r;
    struct seen seen = {.n = 0};
    char rid[RR_RID_LEN + 1];

    (void)state;
    rid_now(1, rid);
    for (uint32_t i = 0; i < MANY; i++) {
        all_fen[i] = i + 1;
        grants[i] = (struct pool_grant){
            .user_id = 1000 + i, .packet_no = i, .amount_fen = all_fen[i], .seq = 0};
    }
    all_fen[MANY] = 5;
    assert_int_equal(pool->fence(pool->impl, &at, rid), RR_OK);
    r = refill_of(&at, "", rid);
    r.amounts_fen = all_fen;
    r.grants = grants;
    r.in_books = none;
    r.grants_n = MANY;
    r.n = MANY + 1;
    r.floor = MANY;
    assert_int_equal(pool->refill(pool->impl, &r), RR_OK);
    assert_int_equal(redis_do_int(&redis, "HLEN t1_redpkt:{%s:0}:users", at.code), MANY);
    assert_int_equal(store_sync_outbox_read(store, &at, 0, 1000, NULL, see, &seen), RR_OK);
    assert_int_equal(seen.n, MANY);
    assert_int_equal(loop_grab_one(&loop, &at, 1000 + MANY - 1, 0).packet_no, MANY - 1);
    assert_int_equal(loop_grab_one(&loop, &at, 5, 0).packet_no, MANY);
    free(grants);
    free(all_fen);
    free(none);
}

static void the_epoch_changes_with_a_wipe_and_with_a_restart(void **state)
{
    struct pool_epochs a;
    struct pool_epochs b;

    (void)state;
    assert_int_equal(pool->epochs(pool->impl, &a), RR_OK);
    assert_int_equal(pool->epochs(pool->impl, &b), RR_OK);
    assert_string_equal(a.of[0].rid, b.of[0].rid);
    assert_string_equal(a.of[0].mark, b.of[0].mark);
    redis_do_str(&redis, "FLUSHALL");
    assert_int_equal(pool->epochs(pool->impl, &b), RR_OK);
    assert_string_equal(a.of[0].rid, b.of[0].rid);
    assert_string_not_equal(a.of[0].mark, b.of[0].mark);
    redis_kill9(&redis);
    redis_restart(&redis);
    while (pool->epochs(pool->impl, &a) != RR_OK)
        ;
    assert_string_not_equal(a.of[0].rid, b.of[0].rid);
    assert_string_equal(a.of[0].mark, b.of[0].mark);
}

static void durable_is_what_redis_says(void **state)
{
    (void)state;
    redis_do_str(&redis, "CONFIG SET appendfsync always");
    redis_do_str(&redis, "CONFIG SET no-appendfsync-on-rewrite no");
    assert_true(pool->durable(pool->impl));
    redis_do_str(&redis, "CONFIG SET no-appendfsync-on-rewrite yes");
    assert_false(pool->durable(pool->impl));
    redis_do_str(&redis, "CONFIG SET no-appendfsync-on-rewrite no");
    redis_do_str(&redis, "CONFIG SET appendfsync everysec");
    assert_false(pool->durable(pool->impl));
    redis_do_str(&redis, "CONFIG SET appendfsync always");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fence_stops_every_grab_and_says_which_life_it_was),
        cmocka_unit_test(a_wiped_shard_goes_on_where_the_books_ended),
        cmocka_unit_test(grants_of_the_new_life_carry_its_rid),
        cmocka_unit_test(survivors_go_to_the_outbox_and_the_old_entries_go),
        cmocka_unit_test(a_refill_is_done_once),
        cmocka_unit_test(a_refill_after_another_wipe_is_refused),
        cmocka_unit_test(of_two_recoveries_the_later_one_wins),
        cmocka_unit_test(what_was_read_must_still_be_so),
        cmocka_unit_test(a_closed_shard_stays_closed),
        cmocka_unit_test(a_prepared_shard_and_an_empty_rest),
        cmocka_unit_test(many_users_go_in_batches),
        cmocka_unit_test(durable_is_what_redis_says),
        cmocka_unit_test(another_run_refuses_a_refill_for_the_one_before),
        cmocka_unit_test(the_epoch_changes_with_a_wipe_and_with_a_restart),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
