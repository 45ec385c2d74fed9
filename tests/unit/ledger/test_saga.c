/* The steps of a rain on a real MariaDB with a pool in memory: each once, each resumable, every fen accounted for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "saga_env.h"
#include "task.h"

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
    assert_int_equal(map_of(p).as.n, 19);
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
    assert_int_equal(ledger_offset_move(l, TOPIC, 0, LEDGER_NO_OFFSET, 0), RR_OK);
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

static void live_rains_are_sent_or_closing_page_by_page(void **state)
{
    struct rain_cursor at = {.status = 0};
    struct rain_ref page[2];
    struct rain_info sent[5];
    uint32_t seen[5] = {0};
    uint32_t n = 2;

    (void)state;
    begin();
    rain_create(l, 1000, 10, 1, 1);
    for (int i = 0; i < 5; i++)
        sent[i] = started(1000, 10, 1 + (uint32_t)i, 1);
    testdb_exec(l, "UPDATE t_red_packet_config SET status = 4 WHERE config_code IN"
                   " (SELECT code FROM rp_escrow WHERE shard = 3)"); /* the last two */
    while (n == 2) {
        assert_int_equal(ledger_rain_live(l, &at, page, 2, &n), RR_OK);
        for (uint32_t k = 0; k < n; k++) {
            for (uint32_t i = 0; i < 5; i++) {
                if (strcmp(page[k].code, sent[i].code) == 0) {
                    seen[i]++;
                    assert_int_equal(page[k].shards, i + 1);
                }
            }
        }
    }
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(seen[i], 1);
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
        cmocka_unit_test(cancel_gives_everything_back),
        cmocka_unit_test(a_parked_record_is_paid_when_its_rain_appears),
        cmocka_unit_test(two_claimers_share_the_tasks),
        cmocka_unit_test(live_rains_are_sent_or_closing_page_by_page),
        cmocka_unit_test(backoff_grows_to_its_cap),
    };

    return cmocka_run_group_tests(tests, testdb_setup, testdb_teardown);
}
