#include "cm.h"

#include <stdlib.h>
#include <string.h>

#include "rain/grab_batch.h"

/* ---- a pool that answers when it is told to ---- */

enum { CALLS_MAX = 256 };

struct fake_call {
    struct pool_shard at;
    struct pool_grab_item items[POOL_GRAB_MAX];
    uint32_t n;
    pool_grab_fn done;
    void *arg;
    bool answered;
};

struct fake_pool {
    struct pool_grab port;
    struct fake_call calls[CALLS_MAX];
    uint32_t n;
    enum rr_err at_once; /* not OK: every call is refused before it returns */
};

static void fake_grab(void *impl, const struct pool_shard *at, const struct pool_grab_item *items,
                      uint32_t n, pool_grab_fn done, void *arg)
{
    struct fake_pool *f = impl;
    struct fake_call *c = &f->calls[f->n++];

    assert_true(f->n <= CALLS_MAX);
    *c = (struct fake_call){.at = *at, .n = n, .done = done, .arg = arg};
    memcpy(c->items, items, n * sizeof(*items));
    if (f->at_once) {
        c->answered = true;
        done(arg, f->at_once, NULL);
    }
}

/* Every user wins the packet of his own number. */
static void answer(struct fake_pool *f, uint32_t call)
{
    struct fake_call *c = &f->calls[call];
    struct pool_grab_result results[POOL_GRAB_MAX] = {0};
    struct pool_grab_reply reply = {.items = results, .n = c->n, .outbox_id = "1-1", .left = 5};

    for (uint32_t i = 0; i < c->n; i++)
        results[i] = (struct pool_grab_result){.packet_no = (uint32_t)c->items[i].user_id,
                                               .amount_fen = 100 + c->items[i].user_id};
    assert_false(c->answered);
    c->answered = true;
    c->done(c->arg, RR_OK, &reply);
}

static void answer_err(struct fake_pool *f, uint32_t call, enum rr_err err)
{
    assert_false(f->calls[call].answered);
    f->calls[call].answered = true;
    f->calls[call].done(f->calls[call].arg, err, NULL);
}

/* ---- the owner ---- */

struct seen {
    struct grab g;
    struct grab_outcome o;
    struct pool_shard at;
    bool with_reply;
};

struct fixture {
    struct rr_clock_fake clock;
    struct fake_pool pool;
    struct grab_batch *b;
    struct seen seen[20000];
    uint32_t n;
    uint32_t replies;
    uint32_t done_before_after;
    int readd;           /* done() adds this many again */
    uint32_t destroy_at; /* this done() destroys the batch; 0: none */
    bool destroy_in_after;
};

static struct fixture *f;
static const struct pool_shard shard0 = {.code = "AAAAAAAAAAAAAAAAAAAAAA", .shard = 0};
static const struct pool_shard shard1 = {.code = "AAAAAAAAAAAAAAAAAAAAAA", .shard = 1};
static const struct pool_shard other = {.code = "BBBBBBBBBBBBBBBBBBBBBB", .shard = 0};

static enum rr_err add(const struct pool_shard *at, int64_t user)
{
    struct grab g = {.session_id = (uint64_t)user << 8,
                     .user_id = user,
                     .req_id = (uint32_t)user,
                     .seq = 3,
                     .tag = (uint64_t)user + 7};

    return grab_batch_add(f->b, at, &g);
}

static void on_done(void *arg, const struct pool_shard *at, const struct grab *g,
                    const struct grab_outcome *o, const struct pool_grab_reply *reply)
{
    assert_ptr_equal(arg, f);
    f->seen[f->n++] = (struct seen){*g, *o, *at, reply != NULL};
    if (f->readd > 0) {
        f->readd--;
        assert_int_equal(add(at, g->user_id), RR_OK);
    }
    if (f->n == f->destroy_at) {
        grab_batch_destroy(f->b);
        f->b = NULL;
    }
}

static void on_after(void *arg, const struct pool_shard *at, const struct pool_grab_reply *reply)
{
    assert_ptr_equal(arg, f);
    assert_non_null(at);
    assert_string_equal(reply->outbox_id, "1-1");
    f->replies++;
    f->done_before_after = f->n;
    if (f->destroy_in_after) {
        grab_batch_destroy(f->b);
        f->b = NULL;
    }
}

static void start(uint32_t max_items, uint32_t queue_max, int64_t window_us, grab_reply_fn after)
{
    struct grab_batch_opts o = {.clock = &f->clock.base,
                                .pool = &f->pool.port,
                                .done = on_done,
                                .after = after,
                                .arg = f,
                                .max_items = max_items,
                                .queue_max = queue_max,
                                .window_us = window_us};

    grab_batch_destroy(f->b);
    f->b = grab_batch_create(&o);
}

static int setup(void **state)
{
    (void)state;
    f = calloc(1, sizeof(*f));
    rr_clock_fake_init(&f->clock, 1000000, 1);
    f->pool.port = (struct pool_grab){.impl = &f->pool, .grab = fake_grab};
    start(4, 16, 0, on_after);
    return 0;
}

/* Calls still in flight are answered after the batch is gone: nothing may be touched then. */
static int teardown(void **state)
{
    uint32_t before = f->n;

    (void)state;
    grab_batch_destroy(f->b);
    for (uint32_t i = 0; i < f->pool.n; i++) {
        if (!f->pool.calls[i].answered)
            answer(&f->pool, i);
    }
    assert_int_equal(f->n, before);
    free(f);
    return 0;
}

static void pass_us(int64_t us)
{
    f->clock.now_us += us;
    grab_batch_tick(f->b);
}

/* ---- tests ---- */

static void flush_after_the_window(void **state)
{
    (void)state;
    assert_int_equal(grab_batch_next_us(f->b), INT64_MAX);
    assert_int_equal(add(&shard0, 1), RR_OK);
    assert_int_equal(grab_batch_next_us(f->b), 1001000);
    pass_us(500);
    assert_int_equal(add(&shard0, 2), RR_OK);
    pass_us(499);
    assert_int_equal(f->pool.n, 0);
    assert_int_equal(grab_batch_waiting(f->b), 2);
    pass_us(1);
    assert_int_equal(f->pool.n, 1);
    assert_int_equal(f->pool.calls[0].n, 2);
    assert_int_equal(f->pool.calls[0].items[1].user_id, 2);
    assert_int_equal(f->pool.calls[0].items[1].seq, 3);
    assert_int_equal(f->pool.calls[0].at.shard, 0);
    assert_int_equal(grab_batch_waiting(f->b), 0);
    assert_int_equal(grab_batch_next_us(f->b), INT64_MAX);
    f->clock.now_us += 77;
    answer(&f->pool, 0);
    assert_int_equal(f->n, 2);
    assert_int_equal(f->seen[1].g.user_id, 2);
    assert_int_equal(f->seen[1].g.tag, 9);
    assert_int_equal(f->seen[1].o.rc, RR_OK);
    assert_int_equal(f->seen[1].o.amount_fen, 102);
    assert_int_equal(f->seen[1].o.packet_no, 2);
    assert_int_equal(f->seen[1].o.seq, 3);
    assert_int_equal(f->seen[1].o.sent_us, 1001000);
    assert_true(f->seen[1].with_reply);
    assert_int_equal(f->replies, 1);
    assert_int_equal(f->done_before_after, 2);
}

static void full_batch_goes_at_once(void **state)
{
    (void)state;
    for (int64_t user = 1; user <= 4; user++)
        assert_int_equal(add(&shard0, user), RR_OK);
    assert_int_equal(f->pool.n, 1);
    assert_int_equal(f->pool.calls[0].n, 4);
}

static void one_call_in_flight_per_shard_and_order_kept(void **state)
{
    (void)state;
    for (int64_t user = 1; user <= 14; user++)
        assert_int_equal(add(&shard0, user), RR_OK);
    pass_us(5000);
    assert_int_equal(f->pool.n, 1);
    assert_int_equal(grab_batch_waiting(f->b), 10);
    assert_int_equal(grab_batch_next_us(f->b), INT64_MAX); /* the reply goes on, no timer needed */
    answer(&f->pool, 0);
    assert_int_equal(f->pool.n, 2);
    answer(&f->pool, 1);
    answer(&f->pool, 2);
    assert_int_equal(f->pool.n, 4);
    assert_int_equal(f->pool.calls[3].n, 2);
    answer(&f->pool, 3);
    assert_int_equal(f->n, 14);
    for (uint32_t i = 0; i < 14; i++)
        assert_int_equal(f->seen[i].g.user_id, i + 1);
}

static void reply_sends_what_came_meanwhile(void **state)
{
    (void)state;
    assert_int_equal(add(&shard0, 1), RR_OK);
    pass_us(1000);
    assert_int_equal(add(&shard0, 2), RR_OK);
    answer(&f->pool, 0);
    assert_int_equal(f->pool.n, 2);
    assert_int_equal(f->pool.calls[1].n, 1);
}

static void shards_and_codes_do_not_share_calls(void **state)
{
    struct pool_shard dirty =
        shard0; /* bytes behind the NUL and in the padding are no part of the key */

    (void)state;
    memset(dirty.code + 22, 0, 1);
    ((char *)&dirty)[23] = 'x';
    assert_int_equal(add(&shard0, 1), RR_OK);
    f->clock.now_us += 10;
    assert_int_equal(add(&shard1, 2), RR_OK);
    f->clock.now_us += 10;
    assert_int_equal(add(&other, 3), RR_OK);
    assert_int_equal(add(&dirty, 4), RR_OK);
    assert_int_equal(grab_batch_next_us(f->b), 1001000);
    pass_us(1000 - 15);
    assert_int_equal(f->pool.n, 1);
    assert_int_equal(f->pool.calls[0].n, 2);
    assert_int_equal(grab_batch_next_us(f->b), 1001010);
    pass_us(1000);
    assert_int_equal(f->pool.n, 3);
    assert_int_equal(f->pool.calls[1].at.shard, 1);
    assert_string_equal(f->pool.calls[2].at.code, other.code);
    answer(&f->pool, 2);
    assert_string_equal(f->seen[0].at.code, other.code);
}

/* The second of three ready shards fills up and goes first: the others keep their turn. */
static void full_shard_overtakes_waiting_ones(void **state)
{
    (void)state;
    assert_int_equal(add(&shard0, 1), RR_OK);
    assert_int_equal(add(&shard1, 2), RR_OK);
    assert_int_equal(add(&other, 3), RR_OK);
    for (int64_t user = 4; user <= 6; user++)
        assert_int_equal(add(&shard1, user), RR_OK);
    assert_int_equal(f->pool.n, 1);
    assert_int_equal(f->pool.calls[0].at.shard, 1);
    for (int64_t user = 7; user <= 9; user++) /* now the last one */
        assert_int_equal(add(&other, user), RR_OK);
    assert_int_equal(f->pool.n, 2);
    pass_us(1000);
    assert_int_equal(f->pool.n, 3);
    assert_int_equal(grab_batch_next_us(f->b), INT64_MAX);
}

static void full_queue_is_refused(void **state)
{
    (void)state;
    for (int64_t user = 1; user <= 4 + 16; user++)
        assert_int_equal(add(&shard0, user), RR_OK);
    assert_int_equal(add(&shard0, 99), RR_FULL);
    assert_int_equal(add(&shard1, 99), RR_OK);
    answer(&f->pool, 0);
    assert_int_equal(add(&shard0, 100), RR_OK);
    assert_int_equal(grab_batch_waiting(f->b), 12 + 1 + 1);
}

static void unsent_and_unknown_calls_tell_which(void **state)
{
    static const struct {
        enum rr_err err;
        enum rr_err rc;
        bool sent;
    } t[] = {
        {RR_UNAVAILABLE, RR_UNAVAILABLE, false},
        {RR_PENDING, RR_PENDING, true},
        {RR_TIMEOUT, RR_PENDING, true}, /* anything else says nothing either */
        {RR_OK, RR_PENDING, true},      /* without a reply */
    };

    (void)state;
    for (uint32_t i = 0; i < RR_COUNTOF(t); i++) {
        assert_int_equal(add(&shard0, 5), RR_OK);
        pass_us(1000);
        answer_err(&f->pool, i, t[i].err);
        assert_int_equal(f->seen[i].o.rc, t[i].rc);
        assert_int_equal(f->seen[i].o.sent_us != 0, t[i].sent);
        assert_int_equal(f->seen[i].o.seq, 3);
        assert_false(f->seen[i].with_reply);
    }
    assert_int_equal(f->replies, 0);
}

static void reply_of_another_length_is_unknown(void **state)
{
    struct pool_grab_result one = {.rc = RR_SOLD_OUT};
    struct pool_grab_reply reply = {.items = &one, .n = 1};

    (void)state;
    assert_int_equal(add(&shard0, 1), RR_OK);
    assert_int_equal(add(&shard0, 2), RR_OK);
    pass_us(1000);
    f->pool.calls[0].answered = true;
    f->pool.calls[0].done(f->pool.calls[0].arg, RR_OK, &reply);
    assert_int_equal(f->n, 2);
    assert_int_equal(f->seen[0].o.rc, RR_PENDING);
    assert_int_equal(f->seen[1].o.rc, RR_PENDING);
}

static void results_are_passed_on(void **state)
{
    struct pool_grab_result r[3] = {{.rc = RR_BAD_SEQ, .seq = 1},
                                    {.rc = RR_OK, .replay = true, .seq = 9, .amount_fen = 5},
                                    {.rc = RR_LIMIT}};
    struct pool_grab_reply reply = {.items = r, .n = 3};

    (void)state;
    start(3, 0, 0, NULL); /* nobody wants to know about replies */
    for (int64_t user = 1; user <= 3; user++)
        assert_int_equal(add(&shard0, user), RR_OK);
    f->pool.calls[0].answered = true;
    f->pool.calls[0].done(f->pool.calls[0].arg, RR_OK, &reply);
    assert_int_equal(f->seen[0].o.rc, RR_BAD_SEQ);
    assert_int_equal(f->seen[0].o.seq, 1);
    assert_true(f->seen[1].o.replay);
    assert_int_equal(f->seen[1].o.seq, 3);
    assert_int_equal(f->seen[2].o.rc, RR_LIMIT);
    assert_int_equal(f->replies, 0);
}

static void pool_that_refuses_at_once_answers_everybody(void **state)
{
    (void)state;
    for (int64_t user = 1; user <= 14; user++) /* 4 in flight, 10 wait */
        assert_int_equal(add(&shard0, user), RR_OK);
    f->pool.at_once = RR_UNAVAILABLE;
    answer(&f->pool, 0);
    assert_int_equal(f->n, 14);
    assert_int_equal(f->pool.n, 4);
    assert_int_equal(grab_batch_waiting(f->b), 0);
    assert_int_equal(grab_batch_next_us(f->b), INT64_MAX);
}

/* An owner who tries again inside done() gets a timer, not an endless loop. */
static void added_again_inside_done_waits_for_its_window(void **state)
{
    (void)state;
    f->pool.at_once = RR_UNAVAILABLE;
    f->readd = 6;
    assert_int_equal(add(&shard0, 1), RR_OK);
    pass_us(1000);
    assert_int_equal(f->n, 1);
    assert_int_equal(grab_batch_waiting(f->b), 1);
    assert_int_equal(grab_batch_next_us(f->b), f->clock.now_us + 1000);
    for (int64_t user = 2; user <= 4; user++)
        assert_int_equal(add(&shard0, user), RR_OK);
    assert_int_equal(f->n, 5); /* the four that waited, once */
    assert_int_equal(grab_batch_waiting(f->b), 4);
    f->readd = 0;
    pass_us(1000);
    assert_int_equal(f->n, 9);
    f->pool.at_once = RR_OK;
    f->readd = 1;
    assert_int_equal(add(&shard0, 9), RR_OK);
    pass_us(1000);
    answer(&f->pool, f->pool.n - 1);
    assert_int_equal(grab_batch_waiting(f->b), 0); /* sent again by the reply */
}

/* Refused at once while more came in than one call takes: what was there is answered, what was
 * added later waits. */
static void refused_call_may_take_what_was_added_meanwhile(void **state)
{
    (void)state;
    for (int64_t user = 1; user <= 4 + 5; user++) /* 5 wait: calls of 4 and 1 */
        assert_int_equal(add(&shard0, user), RR_OK);
    f->pool.at_once = RR_UNAVAILABLE;
    answer_err(&f->pool, 0, RR_PENDING);
    assert_int_equal(f->n, 9);
    for (int64_t user = 1; user <= 3; user++)
        assert_int_equal(add(&shard0, user), RR_OK);
    f->readd = 8;
    assert_int_equal(add(&shard0, 4), RR_OK); /* full: 4 refused, 4 added again */
    assert_int_equal(f->n, 13);
    assert_int_equal(grab_batch_waiting(f->b), 4);
    f->readd = 2;
    f->pool.at_once = RR_OK;
    pass_us(1000);
    assert_int_equal(add(&shard0, 20), RR_OK);
    f->pool.at_once = RR_UNAVAILABLE;
    answer_err(&f->pool, f->pool.n - 1, RR_PENDING); /* adds 2: 3 wait, one call of 3 takes all */
    assert_int_equal(f->n, 13 + 4 + 3);
    assert_int_equal(grab_batch_waiting(f->b), 0);
}

static void forget_drops_idle_queues_of_one_rain(void **state)
{
    (void)state;
    assert_int_equal(add(&shard0, 1), RR_OK);
    assert_int_equal(add(&other, 2), RR_OK);
    pass_us(1000);
    assert_int_equal(add(&shard1, 3), RR_OK);
    grab_batch_forget(f->b, shard0.code); /* one in flight, one waiting: both stay */
    answer(&f->pool, 0);
    answer(&f->pool, 1);
    pass_us(1000);
    answer(&f->pool, 2);
    assert_int_equal(f->n, 3);
    grab_batch_forget(f->b, shard0.code);
    assert_int_equal(add(&shard0, 4), RR_OK); /* and is simply there again */
    pass_us(1000);
    answer(&f->pool, 3);
    assert_int_equal(f->n, 4);
}

static void destroy_with_calls_in_flight_is_safe(void **state)
{
    (void)state;
    for (int64_t user = 1; user <= 10; user++)
        assert_int_equal(add(&shard0, user), RR_OK);
    assert_int_equal(add(&shard1, 1), RR_OK); /* ready, not sent */
    assert_int_equal(add(&other, 1), RR_OK);
    grab_batch_destroy(f->b);
    f->b = NULL;
    answer(&f->pool, 0);
    assert_int_equal(f->n, 0);
}

static void destroy_inside_done_is_safe(void **state)
{
    (void)state;
    for (int64_t user = 1; user <= 10; user++)
        assert_int_equal(add(&shard0, user), RR_OK);
    f->destroy_at = 1;
    answer(&f->pool, 0);
    assert_int_equal(f->n, 1);
    assert_int_equal(f->replies, 0);
    assert_int_equal(f->pool.n, 1);
    start(4, 16, 0, on_after);
    f->pool.at_once = RR_UNAVAILABLE; /* inside tick, inside the pool's call */
    assert_int_equal(add(&shard0, 1), RR_OK);
    assert_int_equal(add(&shard0, 2), RR_OK);
    assert_int_equal(add(&shard1, 2), RR_OK);
    f->destroy_at = 2;
    pass_us(1000);
    assert_null(f->b);
    assert_int_equal(f->n, 2);
    f->pool.at_once = RR_OK;
    start(4, 16, 0, on_after); /* inside a refused call, inside a reply, while more waits */
    for (int64_t user = 1; user <= 12; user++)
        assert_int_equal(add(&shard0, user), RR_OK);
    f->pool.at_once = RR_UNAVAILABLE;
    f->destroy_at = 2 + 4 + 1;
    answer(&f->pool, f->pool.n - 1);
    assert_null(f->b);
    assert_int_equal(f->n, 7);
}

static void destroy_inside_after_is_safe(void **state)
{
    (void)state;
    for (int64_t user = 1; user <= 5; user++)
        assert_int_equal(add(&shard0, user), RR_OK);
    f->destroy_in_after = true;
    answer(&f->pool, 0);
    assert_int_equal(f->n, 4);
    assert_int_equal(f->pool.n, 1);
    grab_batch_destroy(NULL);
}

static void defaults_hold_128_per_call_and_8192_waiting(void **state)
{
    uint32_t added = 0;

    (void)state;
    start(0, 0, 0, NULL);
    while (add(&shard0, 1) == RR_OK)
        added++;
    assert_int_equal(added, 128 + 8192);
    assert_int_equal(f->pool.calls[0].n, 128);
    for (uint32_t call = 0; call < f->pool.n; call++)
        answer(&f->pool, call);
    assert_int_equal(f->n, added);
    start(100000, 0, 5000, NULL); /* never more than the pool takes */
    for (uint32_t i = 0; i < POOL_GRAB_MAX; i++)
        assert_int_equal(add(&shard0, 1), RR_OK);
    assert_int_equal(f->pool.calls[f->pool.n - 1].n, POOL_GRAB_MAX);
}

/* A queue that never runs empty must not grow: the front is used again. */
static void long_running_queue_keeps_order(void **state)
{
    int64_t next = 1;
    uint32_t call = 0;

    (void)state;
    start(4, 64, 0, NULL);
    while (grab_batch_waiting(f->b) < 50)
        assert_int_equal(add(&shard0, next++), RR_OK);
    for (; call < 200; call++) {
        answer(&f->pool, call);
        for (int i = 0; i < 4; i++)
            assert_int_equal(add(&shard0, next++), RR_OK);
    }
    for (uint32_t i = 0; i < f->n; i++)
        assert_int_equal(f->seen[i].g.user_id, i + 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(flush_after_the_window),
        T(full_batch_goes_at_once),
        T(one_call_in_flight_per_shard_and_order_kept),
        T(reply_sends_what_came_meanwhile),
        T(shards_and_codes_do_not_share_calls),
        T(full_shard_overtakes_waiting_ones),
        T(full_queue_is_refused),
        T(unsent_and_unknown_calls_tell_which),
        T(reply_of_another_length_is_unknown),
        T(results_are_passed_on),
        T(pool_that_refuses_at_once_answers_everybody),
        T(added_again_inside_done_waits_for_its_window),
        T(refused_call_may_take_what_was_added_meanwhile),
        T(forget_drops_idle_queues_of_one_rain),
        T(destroy_with_calls_in_flight_is_safe),
        T(destroy_inside_done_is_safe),
        T(destroy_inside_after_is_safe),
        T(defaults_hold_128_per_call_and_8192_waiting),
        T(long_running_queue_keeps_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
