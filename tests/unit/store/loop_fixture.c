#include "loop_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rain/split.h"

enum { WAIT_MS = 20000 };

static void on_beat(uv_timer_t *t)
{
    (void)t;
}

static void on_state(void *arg, bool up)
{
    struct loop_fixture *l = arg;

    l->up = up;
    if (up)
        l->ups++;
    else
        l->downs++;
}

void loop_open(struct loop_fixture *l, const struct store_opts *opts,
               const struct room_bus_events *events)
{
    struct room_bus_events mine = {0};

    if (events)
        mine = *events;
    mine.arg = l;
    mine.state = on_state;
    *l = (struct loop_fixture){0};
    uv_loop_init(&l->loop);
    uv_timer_init(&l->loop, &l->beat);
    uv_timer_start(&l->beat, on_beat, 5, 5);
    assert_int_equal(store_async_create(&l->store, &l->loop, opts, &mine), RR_OK);
}

static void on_closed(void *arg)
{
    ((struct loop_fixture *)arg)->closed = true;
}

void loop_close(struct loop_fixture *l)
{
    store_async_close(l->store, on_closed, l);
    loop_until(l, &l->closed);
    uv_close((uv_handle_t *)&l->beat, NULL);
    uv_run(&l->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&l->loop), 0);
}

void loop_until(struct loop_fixture *l, const bool *flag)
{
    int64_t deadline = test_now_ms() + WAIT_MS;

    while (!*flag) {
        if (test_now_ms() > deadline)
            fail_msg("nothing came in %d ms", WAIT_MS);
        uv_run(&l->loop, UV_RUN_ONCE);
    }
}

void loop_until_up(struct loop_fixture *l)
{
    loop_until(l, &l->up);
}

void loop_until_count(struct loop_fixture *l, const uint32_t *count, uint32_t n)
{
    int64_t deadline = test_now_ms() + WAIT_MS;

    while (*count < n) {
        if (test_now_ms() > deadline)
            fail_msg("%u of %u came in %d ms", *count, n, WAIT_MS);
        uv_run(&l->loop, UV_RUN_ONCE);
    }
}

static void on_grab(void *arg, enum rr_err err, const struct pool_grab_reply *reply)
{
    struct grab_answer *a = arg;

    assert_false(a->done);
    a->done = true;
    a->err = err;
    if (reply) {
        a->reply = *reply;
        memcpy(a->results, reply->items, reply->n * sizeof(*a->results));
    }
}

void loop_grab(struct loop_fixture *l, const struct pool_shard *at,
               const struct pool_grab_item *items, uint32_t n, struct grab_answer *out)
{
    const struct pool_grab *pool = store_pool(l->store);

    *out = (struct grab_answer){0};
    pool->grab(pool->impl, at, items, n, on_grab, out);
    assert_false(out->done);
    loop_until(l, &out->done);
}

struct pool_grab_result loop_grab_one(struct loop_fixture *l, const struct pool_shard *at,
                                      int64_t user_id, uint32_t seq)
{
    struct pool_grab_item item = {user_id, seq, false};
    struct grab_answer a;

    loop_grab(l, at, &item, 1, &a);
    assert_int_equal(a.err, RR_OK);
    return a.results[0];
}

struct pool_shard test_shard(uint32_t no)
{
    struct pool_shard at = {0};

    snprintf(at.code, sizeof(at.code), "code%018u", no);
    return at;
}

enum rr_err seal_plain(struct store_sync *s, const struct pool_shard *at, uint32_t n,
                       uint32_t limit, char rid[RR_RID_LEN + 1])
{
    const struct pool_admin *pool = store_sync_pool(s);
    int64_t *amounts = calloc(n + 1, sizeof(*amounts));
    struct pool_seal seal = {
        .at = *at, .room_id = "r1", .amounts_fen = amounts, .count = n, .limit = limit};
    enum rr_err err = RR_OK;

    for (uint32_t i = 0; i < n; i++)
        amounts[i] = i + 1;
    rain_amounts_hash(amounts, n, seal.amounts_hash);
    err = pool->seal(pool->impl, &seal, rid);
    free(amounts);
    return err;
}

void open_plain(struct store_sync *s, const struct pool_shard *at, uint32_t n, uint32_t limit)
{
    const struct pool_admin *pool = store_sync_pool(s);
    char rid[RR_RID_LEN + 1];
    int64_t now = 0;

    assert_int_equal(seal_plain(s, at, n, limit, rid), RR_OK);
    assert_int_equal(pool->now_ms(pool->impl, &now), RR_OK);
    assert_int_equal(pool->open(pool->impl, at, now - 1000, now + 3600000), RR_OK);
}
