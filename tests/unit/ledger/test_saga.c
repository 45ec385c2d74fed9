/* The steps of a rain on a real MariaDB with a pool in memory: each once, each resumable, every fen accounted for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fakes.h"
#include "protocol/unpack.h"
#include "rains.h"
#include "task.h"
#include "testdb.h"

static struct fakes f;
static struct ledger *l;
static struct saga saga;

static void begin(void)
{
    fakes_init(&f);
    l = testdb_open();
    saga = (struct saga){.ledger = l, .pool = &f.pool, .notify = &f.notify, .owner = "test/1"};
}

static void end(void)
{
    assert_int_equal(testdb_int(l, "SELECT COALESCE(SUM(delta), 0) FROM account_log"), 0);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM wallet w WHERE balance <> (SELECT"
                                   " COALESCE(SUM(delta), 0) FROM account_log WHERE account_kind ="
                                   " 'balance' AND account_id = w.user_id)"),
                     0);
    testdb_close(l);
}

static struct rain_info started(int64_t total_fen, uint32_t count, uint32_t shards, uint32_t limit)
{
    struct rain_info r = rain_create(l, total_fen, count, shards, limit);

    assert_int_equal(saga_prepare(&saga, NULL, r.code, &r), RR_OK);
    assert_int_equal(saga_start(&saga, NULL, r.code, 3000, 20000, &r), RR_OK);
    f.now_ms += 3000;
    return r;
}

static void settle_grant(const struct rain_info *r, uint32_t shard, const struct pool_grant *g)
{
    struct settle_item item = item_at(l, r, shard, g->packet_no, g->user_id, g->seq, 0);
    struct settle_batch b = {.topic = TOPIC, .items = &item, .n = 1};
    struct settle_outcome o = {.settled = 0};
    int64_t sql_offset = 0;

    if (ledger_offset_get(l, TOPIC, 0, &b.expected_offset) == RR_NOT_FOUND) {
        assert_int_equal(ledger_offset_set(l, TOPIC, 0, 0), RR_OK);
        b.expected_offset = 0;
    }
    b.next_offset = b.expected_offset + 1;
    assert_int_equal(ledger_settle(l, &b, &o, &sql_offset), RR_OK);
    settle_outcome_fini(&o);
}

static void run_due(int64_t after_ms)
{
    uint32_t ran = 0;

    assert_int_equal(saga_run_due(&saga, ledger__now_ms() + after_ms, 20, &ran), RR_OK);
}

static struct unpack_value map_of(const struct fake_push *p)
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

static int64_t int_of(const struct fake_push *p, const char *key)
{
    struct unpack_value map = map_of(p);
    int64_t v = 0;

    assert_int_equal(unpack_get_int(&map, key, &v), RR_OK);
    return v;
}

static void create_checks_the_request(void **state)
{
    struct rain_info r;
    const char *field = NULL;
    struct wallet w;
    struct rain_spec s = {.sender_id = SENDER, .total_fen = 99, .count = 100};

    (void)state;
    begin();
    strcpy(s.room_id, "r1");
    strcpy(s.biz_id, "x1");
    assert_int_equal(saga_create(&saga, &s, &r, &field), RR_BAD_REQUEST);
    assert_non_null(field);
    s.total_fen = 1000;
    assert_int_equal(saga_create(&saga, &s, &r, &field), RR_NO_MONEY);
    assert_int_equal(ledger_deposit(l, SENDER, 1000, "d", &w), RR_OK);
    assert_int_equal(saga_create(&saga, &s, &r, &field), RR_OK);
    assert_int_equal(r.spec.limit, 1);
    assert_int_equal(r.spec.shards, 1);
    assert_int_equal(saga_create(&saga, &s, &r, &field), RR_DUPLICATE);
    end();
}

static void prepare_seals_once_and_stores_the_rid(void **state)
{
    struct rain_info r;

    (void)state;
    begin();
    r = rain_create(l, 1000, 11, 3, 1);
    strcpy(f.locked_by, "somebody");
    assert_int_equal(saga_prepare(&saga, NULL, r.code, &r), RR_BUSY);
    f.locked_by[0] = 0;
    assert_int_equal(saga_prepare(&saga, NULL, r.code, &r), RR_OK);
    assert_int_equal(r.status, RAIN_PREPARED);
    assert_int_equal(f.seals, 3);
    assert_string_equal(f.locked_by, "");
    assert_string_equal(f.prepare_ok, "test/1");
    assert_int_equal(testdb_intf(l, "SELECT COUNT(*) FROM rp_escrow WHERE rid = '%s'", f.rid), 3);
    assert_int_equal(saga_prepare(&saga, NULL, r.code, &r), RR_DUPLICATE);
    assert_int_equal(saga_start(&saga, NULL, r.code, 0, 0, &r), RR_OK);
    assert_int_equal(saga_prepare(&saga, NULL, r.code, &r), RR_CONFLICT);
    end();
}

static void another_rooms_anchor_sees_nothing(void **state)
{
    struct saga_actor other = {.user_id = 5, .room_id = "r2"};
    struct saga_actor own = {.user_id = 5, .room_id = "r1"};
    struct rain_info r;
    struct rain_info out;

    (void)state;
    begin();
    r = rain_create(l, 1000, 10, 1, 1);
    assert_int_equal(saga_prepare(&saga, &other, r.code, &out), RR_NOT_FOUND);
    assert_int_equal(saga_start(&saga, &other, r.code, 0, 0, &out), RR_NOT_FOUND);
    assert_int_equal(saga_close(&saga, &other, r.code, true, &out), RR_NOT_FOUND);
    assert_int_equal(saga_cancel(&saga, &other, r.code, &out), RR_NOT_FOUND);
    assert_int_equal(saga_extend(&saga, &other, r.code, 1000, &out), RR_NOT_FOUND);
    assert_int_equal(saga_prepare(&saga, NULL, "not a code", &out), RR_NOT_FOUND);
    assert_int_equal(saga_prepare(&saga, &own, r.code, &out), RR_OK);
    end();
}

static void start_opens_and_tells_once(void **state)
{
    const struct fake_push *p = NULL;
    struct rain_info r;

    (void)state;
    begin();
    r = rain_create(l, 1000, 10, 2, 1);
    assert_int_equal(saga_start(&saga, NULL, r.code, 3000, 0, &r), RR_CONFLICT);
    assert_int_equal(saga_prepare(&saga, NULL, r.code, &r), RR_OK);
    assert_int_equal(saga_start(&saga, NULL, r.code, -1, 0, &r), RR_BAD_REQUEST);
    assert_int_equal(saga_start(&saga, NULL, r.code, 0, 5, &r), RR_BAD_REQUEST);
    assert_int_equal(saga_start(&saga, NULL, r.code, 3000, 20000, &r), RR_OK);
    assert_int_equal(r.status, RAIN_SENT);
    assert_int_equal(r.t0_ms, f.now_ms + 3000);
    assert_int_equal(r.t1_ms, f.now_ms + 23000);
    assert_int_equal(fake_at(&f, r.code, 1)->st.st, 'O');
    assert_int_equal(fake_at(&f, r.code, 1)->st.t1_ms, r.t1_ms);
    assert_string_equal(f.notify_mark, "test/1");
    assert_int_equal(saga_start(&saga, NULL, r.code, 3000, 20000, &r), RR_CONFLICT);

    p = fake_push_of(&f, "RED_PACKET_CONFIG", 0);
    assert_int_equal(map_of(p).as.n, 15);
    assert_int_equal(int_of(p, "open_at"), r.t0_ms);
    assert_int_equal(int_of(p, "countdown_ms"), 3000);
    assert_string_equal(p->room_id, "r1");
    assert_string_equal(p->keep_code, r.code);
    assert_int_equal(p->final, 0);
    assert_null(fake_push_of(&f, "RED_PACKET_CONFIG", 1));
    /* Nothing is left to do but the close at t1. */
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_task WHERE state = 0"), 1);
    end();
}

static void start_goes_on_by_its_task(void **state)
{
    struct rain_info r;
    int64_t t0_ms = 0;

    (void)state;
    begin();
    r = rain_create(l, 1000, 10, 2, 1);
    assert_int_equal(saga_prepare(&saga, NULL, r.code, &r), RR_OK);
    f.fail_push = 1;
    assert_int_equal(saga_start(&saga, NULL, r.code, 5000, 20000, &r), RR_PENDING);
    t0_ms = r.t0_ms;
    assert_null(fake_push_of(&f, "RED_PACKET_CONFIG", 0));
    f.now_ms += 1000;
    run_due(6000);
    assert_int_equal(int_of(fake_push_of(&f, "RED_PACKET_CONFIG", 0), "open_at"), t0_ms);
    assert_int_equal(int_of(fake_push_of(&f, "RED_PACKET_CONFIG", 0), "countdown_ms"), 4000);
    run_due(16000);
    assert_null(fake_push_of(&f, "RED_PACKET_CONFIG", 1));
    end();
}

static void extend_moves_the_end(void **state)
{
    struct rain_info r;
    int64_t t1_ms = 0;

    (void)state;
    begin();
    r = started(1000, 10, 2, 1);
    t1_ms = r.t1_ms;
    assert_int_equal(saga_extend(&saga, NULL, r.code, 0, &r), RR_BAD_REQUEST);
    assert_int_equal(saga_extend(&saga, NULL, r.code, 7000, &r), RR_OK);
    assert_int_equal(r.t1_ms, t1_ms + 7000);
    assert_int_equal(fake_at(&f, r.code, 0)->st.t1_ms, t1_ms + 7000);
    assert_int_equal(int_of(fake_push_of(&f, "RED_PACKET_CONFIG", 1), "end_at"), t1_ms + 7000);
    /* The close waits for the new end. */
    f.now_ms = t1_ms + 1000;
    run_due(25000);
    assert_int_equal(ledger_rain_get(l, r.code, &r), RR_OK);
    assert_int_equal(r.status, RAIN_SENT);
    f.now_ms = t1_ms + 7000;
    assert_int_equal(saga_extend(&saga, NULL, r.code, 7000, &r), RR_CONFLICT);
    end();
}

static void close_refunds_what_was_not_granted(void **state)
{
    struct pool_grant g;
    struct rain_info r;
    int64_t granted_fen = 0;
    int64_t before_fen = 0;

    (void)state;
    begin();
    r = started(10000, 40, 2, 5);
    before_fen = balance_of(l, SENDER);
    for (int i = 0; i < 10; i++) {
        granted_fen += fake_grab(&f, r.code, 0, 1 + i % 3, &g);
        settle_grant(&r, 0, &g);
    }
    assert_int_equal(saga_close(&saga, NULL, r.code, false, &r), RR_CONFLICT);
    f.now_ms += 5000;
    assert_int_equal(saga_close(&saga, NULL, r.code, true, &r), RR_OK);
    assert_int_equal(r.status, RAIN_SETTLED);
    assert_int_equal(r.t1_ms, f.now_ms);
    assert_int_equal(r.total_get, 10);
    assert_int_equal(r.total_get_fen, granted_fen);
    assert_int_equal(r.refunded_fen, 10000 - granted_fen);
    assert_int_equal(balance_of(l, SENDER) - before_fen, 10000 - granted_fen);
    assert_int_equal(r.sold_out_at_ms, 0);
    assert_int_equal(fake_at(&f, r.code, 0)->st.st, 'C');
    assert_true(fake_at(&f, r.code, 0)->retired && fake_at(&f, r.code, 1)->retired);
    assert_int_equal(map_of(fake_push_of(&f, "RED_PACKET_END", 0)).as.n, 9);
    assert_int_equal(int_of(fake_push_of(&f, "RED_PACKET_END", 0), "end_at"), f.now_ms);
    assert_int_equal(map_of(fake_push_of(&f, "RED_PACKET_RESULT", 0)).as.n, 17);
    assert_int_equal(int_of(fake_push_of(&f, "RED_PACKET_RESULT", 0), "granted_price"),
                     granted_fen);
    assert_int_equal(fake_push_of(&f, "RED_PACKET_RESULT", 0)->final, 1);
    assert_int_equal(f.stats_fen, granted_fen);
    /* Again: nothing moves. */
    assert_int_equal(saga_close(&saga, NULL, r.code, true, &r), RR_OK);
    assert_int_equal(balance_of(l, SENDER) - before_fen, 10000 - granted_fen);
    assert_null(fake_push_of(&f, "RED_PACKET_RESULT", 1));
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_task WHERE state = 0"), 0);
    end();
}

static void close_at_the_end_is_a_task(void **state)
{
    struct pool_grant g;
    struct rain_info r;

    (void)state;
    begin();
    r = started(1000, 4, 1, 4);
    for (int i = 0; i < 4; i++) {
        fake_grab(&f, r.code, 0, 1 + i, &g);
        settle_grant(&r, 0, &g);
    }
    f.now_ms = r.t1_ms + 1;
    run_due(60000);
    assert_int_equal(ledger_rain_get(l, r.code, &r), RR_OK);
    assert_int_equal(r.status, RAIN_SETTLED);
    assert_int_equal(r.refunded_fen, 0);
    assert_true(r.sold_out_at_ms > 0);
    assert_null(fake_push_of(&f, "RED_PACKET_END", 0)); /* every worker's own timer said it */
    assert_non_null(fake_push_of(&f, "RED_PACKET_RESULT", 0));
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_task WHERE state = 0"), 0);
    end();
}

/* Kafka lost everything, or is late: the users hash is the list of the grants. */
static void close_settles_what_only_the_pool_knows(void **state)
{
    struct pool_grant g;
    struct pool_grant late;
    struct rain_info r;
    int64_t granted_fen = 0;

    (void)state;
    begin();
    r = started(10000, 40, 2, 5);
    for (int i = 0; i < 8; i++) {
        granted_fen += fake_grab(&f, r.code, 1, 1 + i, &g);
        if (i % 2)
            settle_grant(&r, 1, &g);
        else
            late = g;
    }
    f.now_ms = r.t1_ms;
    assert_int_equal(saga_close(&saga, NULL, r.code, false, &r), RR_OK);
    assert_int_equal(r.status, RAIN_SETTLED);
    assert_int_equal(r.total_get, 8);
    assert_int_equal(r.total_get_fen, granted_fen);
    assert_int_equal(f.user_pushes, 4);
    assert_true(balance_of(l, 1) > 0);
    /* The record arrives after all: a duplicate. */
    settle_grant(&r, 1, &late);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_conflict"), 0);
    assert_int_equal(testdb_int(l, "SELECT SUM(settled_cnt) FROM rp_escrow"), 8);
    end();
}

static void close_voids_a_packet_nobody_has(void **state)
{
    struct pool_grant g;
    struct rain_info r;
    int64_t before_fen = 0;
    int64_t void_fen = 0;

    (void)state;
    begin();
    r = started(1000, 4, 1, 4);
    before_fen = balance_of(l, SENDER);
    for (int i = 0; i < 4; i++) {
        fake_grab(&f, r.code, 0, 1 + i, &g);
        if (i == 2) { /* popped and then lost: seen in no unfenced rain */
            void_fen = g.amount_fen;
            fake_at(&f, r.code, 0)->grants[2].user_id = 0;
        } else {
            settle_grant(&r, 0, &g);
        }
    }
    f.now_ms = r.t1_ms;
    assert_int_equal(saga_close(&saga, NULL, r.code, false, &r), RR_OK);
    assert_int_equal(r.status, RAIN_SETTLED);
    assert_int_equal(r.total_get, 3);
    assert_int_equal(r.refunded_fen, void_fen);
    assert_int_equal(balance_of(l, SENDER) - before_fen, void_fen);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_grant WHERE state = 3"), 1);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM account_log WHERE biz_type = 'void'"), 2);
    end();
}

static void close_waits_while_something_is_set_aside(void **state)
{
    struct pool_grant g;
    struct rain_info r;
    struct settle_item item;
    struct settle_batch b;
    struct settle_outcome o;
    int64_t sql_offset = 0;

    (void)state;
    begin();
    r = started(1000, 4, 1, 4);
    fake_grab(&f, r.code, 0, 1, &g);
    settle_grant(&r, 0, &g);
    item = item_at(l, &r, 0, g.packet_no, 2, 0, 1); /* the same packet for another user */
    b = batch_of(&item, 1, 1);
    assert_int_equal(ledger_settle(l, &b, &o, &sql_offset), RR_OK);
    assert_int_equal(o.conflicts, 1);
    settle_outcome_fini(&o);
    f.now_ms = r.t1_ms;
    assert_int_equal(saga_close(&saga, NULL, r.code, false, &r), RR_OK);
    assert_int_equal(r.status, RAIN_CLOSING);
    assert_int_equal(r.remain_fen, 0);
    testdb_exec(l, "UPDATE rp_conflict SET state = 'closed'");
    run_due(60000);
    assert_int_equal(ledger_rain_get(l, r.code, &r), RR_OK);
    assert_int_equal(r.status, RAIN_SETTLED);
    end();
}

/* A restarted Redis may have lost grants: nothing is refunded by its word. */
static void close_never_guesses_after_a_restart(void **state)
{
    struct pool_grant g;
    struct rain_info r;
    int64_t before_fen = 0;

    (void)state;
    begin();
    r = started(1000, 4, 1, 4);
    fake_grab(&f, r.code, 0, 1, &g);
    before_fen = balance_of(l, SENDER);
    strcpy(f.rid, OLD_RID);
    f.now_ms = r.t1_ms;
    assert_int_equal(saga_close(&saga, NULL, r.code, false, &r), RR_OK);
    assert_int_equal(r.status, RAIN_CLOSING);
    fake_at(&f, r.code, 0)->st.exists = false; /* wiped */
    run_due(60000);
    assert_int_equal(ledger_rain_get(l, r.code, &r), RR_OK);
    assert_int_equal(r.status, RAIN_CLOSING);
    assert_int_equal(balance_of(l, SENDER), before_fen);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_escrow WHERE granted_k IS NOT NULL"),
                     0);
    assert_int_equal(
        testdb_int(l, "SELECT COUNT(*) FROM rp_task WHERE kind = 'close' AND state = 0"), 1);
    end();
}

static void close_halfway_is_finished_by_anyone(void **state)
{
    struct pool_grant g;
    struct rain_info r;
    int64_t granted_fen = 0;

    (void)state;
    begin();
    r = started(10000, 40, 4, 5);
    for (uint32_t i = 0; i < 8; i++) {
        granted_fen += fake_grab(&f, r.code, i % 4, 1 + i, &g);
        settle_grant(&r, i % 4, &g);
    }
    f.fail_close = 1;
    assert_int_equal(saga_close(&saga, NULL, r.code, true, &r), RR_OK);
    assert_int_equal(r.status, RAIN_CLOSING);
    f.fail_push = 1; /* RESULT fails once too */
    run_due(10000);
    assert_int_equal(ledger_rain_get(l, r.code, &r), RR_OK);
    assert_int_equal(r.status, RAIN_SETTLED);
    assert_null(fake_push_of(&f, "RED_PACKET_RESULT", 0));
    run_due(60000);
    assert_non_null(fake_push_of(&f, "RED_PACKET_RESULT", 0));
    assert_int_equal(r.total_get_fen, granted_fen);
    assert_int_equal(r.refunded_fen, 10000 - granted_fen);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_task WHERE state = 0"), 0);
    end();
}

static void cancel_gives_everything_back(void **state)
{
    struct rain_info r;
    int64_t before_fen = 0;

    (void)state;
    begin();
    r = rain_create(l, 1000, 10, 3, 1);
    before_fen = balance_of(l, SENDER);
    assert_int_equal(saga_prepare(&saga, NULL, r.code, &r), RR_OK);
    assert_int_equal(saga_cancel(&saga, NULL, r.code, &r), RR_OK);
    assert_int_equal(r.status, RAIN_CANCELLED);
    assert_int_equal(r.refunded_fen, 1000);
    assert_int_equal(balance_of(l, SENDER) - before_fen, 1000);
    assert_int_equal(fake_at(&f, r.code, 0)->st.st, 'C');
    assert_int_equal(fake_push_of(&f, "RED_PACKET_CANCEL", 0)->final, 1);
    assert_int_equal(saga_cancel(&saga, NULL, r.code, &r), RR_OK);
    assert_int_equal(balance_of(l, SENDER) - before_fen, 1000);
    assert_int_equal(saga_start(&saga, NULL, r.code, 0, 0, &r), RR_CONFLICT);

    r = rain_create(l, 1000, 10, 1, 1); /* never prepared */
    assert_int_equal(saga_cancel(&saga, NULL, r.code, &r), RR_OK);
    r = started(1000, 10, 1, 1);
    assert_int_equal(saga_cancel(&saga, NULL, r.code, &r), RR_CONFLICT);
    end();
}

static void a_parked_record_is_paid_when_its_rain_appears(void **state)
{
    struct rain_info r;
    struct settle_item item;
    struct settle_batch b;
    struct settle_outcome o;
    struct rr_buf raw = {0};
    int64_t sql_offset = 0;

    (void)state;
    begin();
    r = rain_sent(l, 1000, 10, 1, 1);
    item = item_at(l, &r, 0, 0, 1, 0, 0);
    assert_int_equal(grant_record_encode(&item.rec, &raw), RR_OK);
    item.raw = rr_slice_of(raw.p, raw.len);
    rain_cache_fini(&l->cache);
    testdb_exec(l, "UPDATE t_red_packet_config SET config_code = REVERSE(config_code)");
    assert_int_equal(ledger_offset_set(l, TOPIC, 0, 0), RR_OK);
    b = batch_of(&item, 1, 0);
    assert_int_equal(ledger_settle(l, &b, &o, &sql_offset), RR_OK);
    assert_int_equal(o.parked, 1);
    settle_outcome_fini(&o);
    run_due(0);
    assert_int_equal(balance_of(l, 1), 0);
    testdb_exec(l, "UPDATE t_red_packet_config SET config_code = REVERSE(config_code)");
    run_due(70000);
    assert_int_equal(balance_of(l, 1), item.rec.amount_fen);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_dead WHERE state <> 'closed'"), 0);
    rr_buf_fini(&raw);
    end();
}

static void two_claimers_share_the_tasks(void **state)
{
    struct ledger *other = NULL;
    struct task a[8];
    struct task b[8];
    uint32_t an = 0;
    uint32_t bn = 0;

    (void)state;
    begin();
    other = testdb_again();
    for (int i = 0; i < 6; i++)
        testdb_execf(l,
                     "INSERT INTO rp_task (biz_id, kind, code, next_at, created_at)"
                     " VALUES ('x:%d', 'x', '', 1, 1)",
                     i);
    /* The first claim's rows are locked by an open transaction: the second passes over them. */
    testdb_exec(l, "START TRANSACTION");
    assert_int_equal(testdb_int(l,
                                "SELECT COUNT(*) FROM (SELECT id FROM rp_task WHERE state = 0 AND"
                                " next_at <= 5 ORDER BY next_at LIMIT 4 FOR UPDATE SKIP LOCKED) x"),
                     4);
    assert_int_equal(task_claim(other, 5, 8, b, &bn), RR_OK);
    testdb_exec(l, "COMMIT");
    assert_true(bn >= 1 && bn <= 2);
    assert_int_equal(task_claim(l, 5, 8, a, &an), RR_OK);
    assert_int_equal(an + bn, 6);
    assert_int_equal(task_claim(l, 5, 8, a, &an), RR_OK);
    assert_int_equal(an, 0); /* leased */
    ledger_destroy(other);
    end();
}

static void live_codes_are_sent_or_closing(void **state)
{
    struct rain_info r[4];
    struct rain_info sent;
    uint32_t n = 0;

    (void)state;
    begin();
    rain_create(l, 1000, 10, 1, 1);
    sent = started(1000, 10, 1, 1);
    assert_int_equal(saga_live_codes(&saga, r, 4, &n), RR_OK);
    assert_int_equal(n, 1);
    assert_string_equal(r[0].code, sent.code);
    end();
}

static void backoff_grows_to_its_cap(void **state)
{
    (void)state;
    assert_int_equal(task_backoff_ms(0), 200);
    assert_int_equal(task_backoff_ms(1), 200);
    assert_int_equal(task_backoff_ms(3), 800);
    assert_int_equal(task_backoff_ms(1000000), TASK_BACKOFF_MAX_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create_checks_the_request),
        cmocka_unit_test(prepare_seals_once_and_stores_the_rid),
        cmocka_unit_test(another_rooms_anchor_sees_nothing),
        cmocka_unit_test(start_opens_and_tells_once),
        cmocka_unit_test(start_goes_on_by_its_task),
        cmocka_unit_test(extend_moves_the_end),
        cmocka_unit_test(close_refunds_what_was_not_granted),
        cmocka_unit_test(close_at_the_end_is_a_task),
        cmocka_unit_test(close_settles_what_only_the_pool_knows),
        cmocka_unit_test(close_voids_a_packet_nobody_has),
        cmocka_unit_test(close_waits_while_something_is_set_aside),
        cmocka_unit_test(close_never_guesses_after_a_restart),
        cmocka_unit_test(close_halfway_is_finished_by_anyone),
        cmocka_unit_test(cancel_gives_everything_back),
        cmocka_unit_test(a_parked_record_is_paid_when_its_rain_appears),
        cmocka_unit_test(two_claimers_share_the_tasks),
        cmocka_unit_test(live_codes_are_sent_or_closing),
        cmocka_unit_test(backoff_grows_to_its_cap),
    };

    return cmocka_run_group_tests(tests, testdb_setup, testdb_teardown);
}
