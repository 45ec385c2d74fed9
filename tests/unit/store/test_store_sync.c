/* The rest of the blocking side: sweeper, notify, operator; and how the connection breaks and comes back. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "loop_fixture.h"

static struct redis_fixture redis;
static struct loop_fixture loop;
static struct store_sync *store;
static uint32_t next_shard = 200;

static int setup(void **state)
{
    struct store_opts opts;

    (void)state;
    strcpy(redis.password, "s3cret");
    redis_start(&redis);
    opts = redis_opts(&redis, "s1");
    opts.timeout_ms = 300;
    assert_int_equal(store_sync_create(&store, &opts), RR_OK);
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

static void create_bad_options_are_refused(void **state)
{
    struct store_sync *s = NULL;
    struct store_async *a = NULL;
    uv_loop_t l;
    const struct room_bus_events none = {0};
    struct store_opts bad[] = {
        {.url = "http://x", .worker_name = "w"},
        {.url = redis.url, .worker_name = "w", .namespace_ = "A"},
        {.url = redis.url, .worker_name = "w x"},
        {.url = redis.url, .worker_name = NULL},
        {.url = NULL, .worker_name = "w"},
    };

    (void)state;
    uv_loop_init(&l);
    for (size_t i = 0; i < RR_COUNTOF(bad); i++) {
        assert_int_equal(store_sync_create(&s, &bad[i]), RR_CONFIG);
        assert_null(s);
        assert_int_equal(store_async_create(&a, &l, &bad[i], &none), RR_CONFIG);
        assert_null(a);
    }
    assert_int_equal(uv_loop_close(&l), 0);
}

static void wrong_password_is_unavailable(void **state)
{
    struct store_opts opts = redis_opts(&redis, "s2");
    struct store_sync *s = NULL;
    char url[64];

    (void)state;
    snprintf(url, sizeof(url), "redis://:wrong@127.0.0.1:%d", redis.port);
    opts.url = url;
    assert_int_equal(store_sync_create(&s, &opts), RR_OK);
    assert_int_equal(store_sync_ping(s), RR_UNAVAILABLE);
    store_sync_destroy(s);
}

struct seen {
    uint32_t entries;
    uint32_t records;
    char last_id[32];
    struct grant_record last;
};

static enum rr_err on_entry(void *arg, const char *id, const struct grant_record *records,
                            uint32_t n)
{
    struct seen *s = arg;

    s->entries++;
    s->records += n;
    snprintf(s->last_id, sizeof(s->last_id), "%s", id);
    s->last = records[n - 1];
    return RR_OK;
}

static void outbox_read_pages_through_old_entries(void **state)
{
    struct pool_shard at = test_shard(next_shard++);
    struct pool_grab_item items[3] = {{1, 0, false}, {2, 0, false}, {3, 0, false}};
    struct grab_answer a[3];
    struct seen seen = {0};
    const char *ids[2];
    int64_t len = 0;

    (void)state;
    open_plain(store, &at, 10, 1);
    for (uint32_t i = 0; i < 3; i++)
        loop_grab(&loop, &at, items, i + 1, &a[i]); /* the third repeats two users */
    assert_int_equal(store_sync_outbox_len(store, &at, &len), RR_OK);
    assert_int_equal(len, 3);
    assert_int_equal(store_sync_outbox_read(store, &at, 60000, 10, NULL, on_entry, &seen), RR_OK);
    assert_int_equal(seen.entries, 0); /* too young */
    assert_int_equal(store_sync_outbox_read(store, &at, 0, 2, NULL, on_entry, &seen), RR_OK);
    assert_int_equal(seen.entries, 2);
    assert_string_equal(seen.last_id, a[1].reply.outbox_id);
    assert_true(seen.records == 2 && seen.last.user_id == 2 && seen.last.packet_no == 1 &&
                seen.last.amount_fen == 2 && seen.last.seq == 0 && seen.last.shard == 0);
    assert_string_equal(seen.last.code, at.code);
    assert_string_equal(seen.last.room_id, "r1");
    assert_string_equal(seen.last.rid, a[1].reply.rid);
    assert_true(seen.last.granted_at_ms == a[1].reply.now_ms);
    assert_int_equal(store_sync_outbox_read(store, &at, 0, 2, seen.last_id, on_entry, &seen),
                     RR_OK);
    assert_int_equal(seen.entries, 3);
    ids[0] = a[0].reply.outbox_id;
    ids[1] = a[2].reply.outbox_id;
    assert_int_equal(store_sync_outbox_del(store, &at, ids, 2), RR_OK);
    seen = (struct seen){0};
    assert_int_equal(store_sync_outbox_read(store, &at, 0, 10, NULL, on_entry, &seen), RR_OK);
    assert_int_equal(seen.entries, 1);
    freeReplyObject(redis_do(&redis, "XADD t1_redpkt:{%s:0}:outbox * code x", at.code));
    assert_int_equal(store_sync_outbox_read(store, &at, 0, 10, NULL, on_entry, &seen), RR_CORRUPT);
    assert_int_equal(seen.entries, 2); /* the good one is still reported */
}

static void sweep_lease_has_one_holder(void **state)
{
    struct pool_shard at = test_shard(next_shard++);

    (void)state;
    assert_int_equal(store_sync_sweep_lease(store, &at, "a", 60000), RR_OK);
    assert_int_equal(store_sync_sweep_lease(store, &at, "b", 60000), RR_BUSY);
    assert_int_equal(store_sync_sweep_lease(store, &at, "a", 60000), RR_OK);
    redis_do_int(&redis, "DEL t1_redpkt:{%s:0}:sweep", at.code);
    assert_int_equal(store_sync_sweep_lease(store, &at, "b", 60000), RR_OK);
}

static void kv_lag_and_config(void **state)
{
    struct rr_slice v;
    int64_t lag = 0;
    char text[64];
    store_name names[2];
    uint32_t n = 9;
    const struct rain_notify *notify = store_sync_notify(store);

    (void)state;
    assert_int_equal(store_sync_kv_get(store, "s1", &v), RR_NOT_FOUND);
    assert_int_equal(store_sync_kv_set(store, "s1", rr_slice_of("a\0b", 3), 60000), RR_OK);
    assert_int_equal(store_sync_kv_get(store, "s1", &v), RR_OK);
    assert_true(rr_slice_eq(v, rr_slice_of("a\0b", 3)));
    assert_true(redis_do_int(&redis, "PTTL t1_settler:metrics:s1") > 0);
    assert_int_equal(store_sync_kv_names(store, names, 2, &n), RR_OK);
    assert_int_equal(n, 0);
    assert_int_equal(store_sync_kv_name(store, "s1", true), RR_OK);
    assert_int_equal(store_sync_kv_name(store, "s1", true), RR_OK);
    assert_int_equal(store_sync_kv_names(store, names, 2, &n), RR_OK);
    assert_int_equal(n, 1);
    assert_string_equal(names[0], "s1");
    assert_int_equal(store_sync_kv_name(store, "s2", true), RR_OK);
    assert_int_equal(store_sync_kv_name(store, "s3", true), RR_OK);
    assert_int_equal(store_sync_kv_names(store, names, 2, &n), RR_OK);
    assert_int_equal(n, 2);
    assert_int_equal(store_sync_kv_name(store, "s 1", true), RR_BAD_REQUEST);
    for (int i = 1; i <= 3; i++) {
        snprintf(text, sizeof(text), "s%d", i);
        assert_int_equal(store_sync_kv_name(store, text, false), RR_OK);
    }
    assert_int_equal(store_sync_kv_names(store, names, 2, &n), RR_OK);
    assert_int_equal(n, 0);
    assert_int_equal(store_sync_kv_set(store, "s 1", v, 60000), RR_BAD_REQUEST);
    assert_int_equal(store_sync_kv_set(store, "s1", v, 0), RR_BAD_REQUEST);
    assert_int_equal(store_sync_settle_lag(store, &lag), RR_NOT_FOUND);
    assert_int_equal(notify->settle_lag(notify->impl, 1234), RR_OK);
    assert_int_equal(store_sync_settle_lag(store, &lag), RR_OK);
    assert_int_equal(lag, 1234);
    assert_int_equal(store_sync_config_get(store, "appendfsync", text, sizeof(text)), RR_OK);
    assert_string_equal(text, "always");
    assert_int_equal(store_sync_config_get(store, "nonsense", text, sizeof(text)), RR_NOT_FOUND);
}

static void call_after_idle_disconnect_reconnects(void **state)
{
    (void)state;
    assert_int_equal(store_sync_ping(store), RR_OK);
    freeReplyObject(redis_do(&redis, "CLIENT KILL TYPE normal SKIPME yes"));
    assert_int_equal(store_sync_ping(store), RR_OK);
}

static void call_without_answer_is_retry_then_works(void **state)
{
    (void)state;
    assert_int_equal(store_sync_ping(store), RR_OK);
    redis_signal(&redis, SIGSTOP);
    assert_int_equal(store_sync_ping(store), RR_RETRY);
    /* A stopped server still accepts; the login gets no answer. */
    assert_int_equal(store_sync_ping(store), RR_UNAVAILABLE);
    redis_signal(&redis, SIGCONT);
    assert_int_equal(store_sync_ping(store), RR_OK);
}

static void call_after_script_flush_and_restart_works(void **state)
{
    struct pool_shard at = test_shard(next_shard++);
    char rid[RR_RID_LEN + 1];
    char after[RR_RID_LEN + 1];

    (void)state;
    freeReplyObject(redis_do(&redis, "SCRIPT FLUSH"));
    assert_int_equal(seal_plain(store, &at, 10, 1, rid), RR_OK);
    redis_kill9(&redis);
    assert_int_equal(store_sync_ping(store), RR_UNAVAILABLE);
    redis_restart(&redis);
    assert_int_equal(seal_plain(store, &at, 10, 1, after), RR_OK);
    assert_string_equal(after, rid); /* the state's, not the new one's */
    loop_until_count(&loop, &loop.downs, 1);
    loop_until_up(&loop);
}

static void wrong_type_is_corrupt(void **state)
{
    struct pool_shard at = test_shard(next_shard++);
    struct pool_state st;

    (void)state;
    freeReplyObject(redis_do(&redis, "SET t1_redpkt:{%s:0}:state x", at.code));
    assert_int_equal(store_sync_pool(store)->state(store, &at, &st), RR_CORRUPT);
    assert_int_equal(store_sync_ping(store), RR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create_bad_options_are_refused),
        cmocka_unit_test(wrong_password_is_unavailable),
        cmocka_unit_test(outbox_read_pages_through_old_entries),
        cmocka_unit_test(sweep_lease_has_one_holder),
        cmocka_unit_test(kv_lag_and_config),
        cmocka_unit_test(call_after_idle_disconnect_reconnects),
        cmocka_unit_test(call_without_answer_is_retry_then_works),
        cmocka_unit_test(call_after_script_flush_and_restart_works),
        cmocka_unit_test(wrong_type_is_corrupt),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
