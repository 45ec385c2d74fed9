#include "saga_env.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

struct fakes f;
struct ledger *l;
struct saga saga;

void begin(void)
{
    fakes_init(&f);
    l = testdb_open();
    saga = (struct saga){.ledger = l, .pool = &f.pool, .notify = &f.notify, .owner = "test/1"};
}

void end(void)
{
    assert_int_equal(testdb_int(l, "SELECT COALESCE(SUM(delta), 0) FROM account_log"), 0);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM wallet w WHERE balance <> (SELECT"
                                   " COALESCE(SUM(delta), 0) FROM account_log WHERE account_kind ="
                                   " 'balance' AND account_id = w.user_id)"),
                     0);
    testdb_close(l);
}

struct rain_info started(int64_t total_fen, uint32_t count, uint32_t shards, uint32_t limit)
{
    struct rain_info r = rain_create(l, total_fen, count, shards, limit);

    assert_int_equal(saga_prepare(&saga, NULL, r.code, &r), RR_OK);
    assert_int_equal(saga_start(&saga, NULL, r.code, 3000, 20000, &r), RR_OK);
    f.now_ms += 3000;
    return r;
}

void settle_grant(const struct rain_info *r, uint32_t shard, const struct pool_grant *g)
{
    struct settle_item item = item_at(l, r, shard, g->packet_no, g->user_id, g->seq, 0);
    struct settle_batch b = {.topic = TOPIC, .items = &item, .n = 1};
    struct settle_outcome o = {.settled = 0};
    int64_t sql_offset = 0;

    if (ledger_offset_get(l, TOPIC, 0, &b.expected_offset) == RR_NOT_FOUND) {
        assert_int_equal(ledger_offset_move(l, TOPIC, 0, LEDGER_NO_OFFSET, 0), RR_OK);
        b.expected_offset = 0;
    }
    b.next_offset = b.expected_offset + 1;
    assert_int_equal(ledger_settle(l, &b, &o, &sql_offset), RR_OK);
    settle_outcome_fini(&o);
}

void run_due(int64_t after_ms)
{
    uint32_t ran = 0;

    assert_int_equal(saga_run_due(&saga, ledger__now_ms() + after_ms, 20, &ran), RR_OK);
}

struct unpack_value map_of(const struct fake_push *p)
{
    struct rr_slice bytes = {0};
    struct unpack_value map = {.type = UNPACK_NIL};

    assert_non_null(p);
    bytes = rr_slice_of(p->payload, p->len);
    assert_int_equal(unpack_scan(bytes, RR_DEPTH_MAX), RR_OK);
    assert_int_equal(unpack_next(&bytes, &map), RR_OK);
    assert_int_equal(map.type, UNPACK_MAP);
    return map;
}

int64_t int_of(const struct fake_push *p, const char *key)
{
    struct unpack_value map = map_of(p);
    int64_t v = 0;

    assert_int_equal(unpack_get_int(&map, key, &v), RR_OK);
    return v;
}
