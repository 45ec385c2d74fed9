/* Recovery on a real MariaDB with a pool and a log in memory: whatever Redis lost, what was told is paid, no packet goes to two,
 * and the rain ends at zero. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "saga_env.h"

#define NEW_RUN "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define THIRD_RUN "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct grant_log_end log_end;
static uint32_t ends_asked;
static struct grant_log grant_log;
static struct saga_recovery recovery;

static enum rr_err ends(void *impl, struct grant_log_end *out, uint32_t max, uint32_t *n)
{
    (void)impl;
    assert_true(max > 0);
    ends_asked++;
    out[0] = log_end;
    *n = 1;
    return RR_OK;
}

static void begin_recovery(void)
{
    begin();
    log_end = (struct grant_log_end){.part = 0};
    ends_asked = 0;
    grant_log = (struct grant_log){.topic = TOPIC, .ends = ends};
    recovery = (struct saga_recovery){.log = &grant_log, .single = true};
    saga.recovery = &recovery;
    assert_int_equal(saga_look_for_losses(&saga, 1), RR_OK); /* knows the first Redis */
}

static void look(void)
{
    assert_int_equal(saga_look_for_losses(&saga, ledger__now_ms()), RR_OK);
}

/* Looks and runs what is due, until nothing recovers any more. */
static void recover(void)
{
    int64_t n = 1;

    look();
    for (int i = 0; i < 20 && n; i++) {
        run_due(60000);
        assert_int_equal(saga_recovering(&saga, &n), RR_OK);
    }
    assert_int_equal(n, 0);
}

static struct settle_outcome settle_as(const struct rain_info *r, uint32_t shard,
                                       const struct pool_grant *g, const char *rid)
{
    struct settle_item item = item_at(l, r, shard, g->packet_no, g->user_id, g->seq, 0);
    struct settle_batch b = {.topic = TOPIC, .items = &item, .n = 1};
    struct settle_outcome o = {.settled = 0};
    int64_t sql_offset = 0;

    strcpy(item.rec.rid, rid);
    if (ledger_offset_get(l, TOPIC, 0, &b.expected_offset) == RR_NOT_FOUND) {
        assert_int_equal(ledger_offset_move(l, TOPIC, 0, LEDGER_NO_OFFSET, 0), RR_OK);
        b.expected_offset = 0;
    }
    b.next_offset = b.expected_offset + 1;
    assert_int_equal(ledger_settle(l, &b, &o, &sql_offset), RR_OK);
    settle_outcome_fini(&o);
    return o;
}

static const char *rid_of(const struct rain_info *r, uint32_t shard)
{
    return fake_at(&f, r->code, shard)->st.rid;
}

static void assert_books_and_pool_agree(const struct rain_info *r)
{
    for (uint32_t i = 0; i < r->spec.shards; i++)
        assert_int_equal(testdb_intf(l,
                                     "SELECT COUNT(*) FROM rp_escrow WHERE code = '%s'"
                                     " AND shard = %u AND rid = '%s'",
                                     r->code, i, rid_of(r, i)),
                         1);
}

/* Closes; everything must end at zero. */
static struct rain_info end_of(const struct rain_info *r)
{
    struct rain_info out;

    f.now_ms = r->t1_ms + 1;
    assert_int_equal(saga_close(&saga, NULL, r->code, true, &out), RR_OK);
    for (int i = 0; i < 5 && out.status != RAIN_SETTLED; i++) {
        run_due(60000);
        assert_int_equal(ledger_rain_get(l, r->code, &out), RR_OK);
    }
    assert_int_equal(out.status, RAIN_SETTLED);
    assert_int_equal(out.settled_fen + out.refunded_fen, out.spec.total_fen);
    return out;
}

/* ---- what is lost ---- */

/* Five granted, the first three told and settled; Redis comes back without the last two, or with all. */
static struct rain_info five_granted(struct pool_grant g[5])
{
    struct rain_info r = started(1000, 10, 1, 3);

    for (int i = 0; i < 5; i++)
        fake_grab(&f, r.code, 0, 1 + i % 4, &g[i]);
    for (int i = 0; i < 3; i++)
        settle_grant(&r, 0, &g[i]);
    log_end.high = 3;
    return r;
}

static void a_wiped_rain_is_rebuilt_from_the_books(void **state)
{
    struct pool_grant g[5];
    struct pool_grant again;
    struct rain_info r;

    (void)state;
    begin_recovery();
    r = five_granted(g);
    fake_wipe(&f);
    recover();
    assert_books_and_pool_agree(&r);
    assert_int_equal(fake_at(&f, r.code, 0)->st.st, 'O');
    assert_int_equal(fake_at(&f, r.code, 0)->st.t1_ms, r.t1_ms);
    assert_int_equal(fake_at(&f, r.code, 0)->st.granted, 3);
    assert_int_equal(fake_at(&f, r.code, 0)->st.n, 10);
    for (int i = 0; i < 3; i++)
        assert_memory_equal(&fake_at(&f, r.code, 0)->grants[i], &g[i], sizeof(g[i]));
    assert_int_equal(recovery.full, 1);
    assert_int_equal(recovery.epoch_changes, 1);
    /* A rid of its own although it is the same run: the lost grants are of another life. */
    assert_true(pool_same_run(rid_of(&r, 0), RID) && strcmp(rid_of(&r, 0), RID) != 0);
    /* Packet 3 goes to somebody else, and the old grant of it is stale. */
    assert_true(fake_grab(&f, r.code, 0, 77, &again) > 0);
    assert_int_equal(again.packet_no, 3);
    assert_int_equal(settle_as(&r, 0, &g[3], RID).conflicts, 1);
    assert_int_equal(settle_as(&r, 0, &again, rid_of(&r, 0)).settled, 1);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_conflict WHERE reason = 'stale_rid'"
                                   " AND state = 'closed'"),
                     1);
    /* A copy of what is in the books is a duplicate, whatever life it is of. */
    assert_int_equal(settle_as(&r, 0, &g[0], RID).duplicates, 1);
    r = end_of(&r);
    assert_int_equal(r.total_get, 4);
    end();
}

static void assert_state(const struct fake_push *p, const char *want)
{
    struct unpack_value map = map_of(p);
    struct rr_slice is = {0};

    assert_int_equal(unpack_get_str(&map, "state", &is), RR_OK);
    assert_true(rr_slice_eq_str(is, want));
}

static void the_room_hears_that_it_pauses_and_goes_on(void **state)
{
    struct pool_grant g[5];
    struct rain_info r;
    uint32_t configs = 0;
    uint32_t told = 0;

    (void)state;
    begin_recovery();
    recovery.wait_ms = 3000;
    r = five_granted(g);
    fake_restart(&f, NEW_RUN);
    while (fake_push_of(&f, "RED_PACKET_CONFIG", configs))
        configs++;
    look();
    run_due(0);
    assert_non_null(fake_push_of(&f, "RED_PACKET_STATE", 0));
    assert_null(fake_push_of(&f, "RED_PACKET_STATE", 1));
    assert_string_equal(fake_push_of(&f, "RED_PACKET_STATE", 0)->keep_code, "");
    assert_int_equal(map_of(fake_push_of(&f, "RED_PACKET_STATE", 0)).as.n, 5);
    assert_int_equal(int_of(fake_push_of(&f, "RED_PACKET_STATE", 0), "t1"), r.t1_ms);
    /* A room that was wiped away knows the rain again. */
    assert_non_null(fake_push_of(&f, "RED_PACKET_CONFIG", configs));
    testdb_exec(l, "UPDATE rp_fence SET wait_until = wait_until - 3000");
    recover();
    assert_non_null(fake_push_of(&f, "RED_PACKET_STATE", 1));
    assert_non_null(fake_push_of(&f, "RED_PACKET_CONFIG", configs + 1));
    /* That it goes on is told twice, too. */
    while (fake_push_of(&f, "RED_PACKET_STATE", told))
        told++;
    assert_state(fake_push_of(&f, "RED_PACKET_STATE", told - 1), "OPEN");
    run_due(1000);
    assert_null(fake_push_of(&f, "RED_PACKET_STATE", told));
    run_due(2500);
    assert_state(fake_push_of(&f, "RED_PACKET_STATE", told), "OPEN");
    run_due(4000);
    assert_null(fake_push_of(&f, "RED_PACKET_STATE", told + 1));
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_task WHERE kind = 'recover'"
                                   " AND state = 0"),
                     0);
    end();
}

/* Grants below the floor that only Redis knows are kept and go to the outbox; those from the floor on are granted anew. */
static void survivors_below_the_floor_stay(void **state)
{
    struct pool_grant g[5];
    struct rain_info r;
    struct fake_shard *x = NULL;

    (void)state;
    begin_recovery();
    r = started(1000, 10, 1, 3);
    for (int i = 0; i < 5; i++)
        fake_grab(&f, r.code, 0, 1 + i, &g[i]);
    settle_grant(&r, 0, &g[0]);
    settle_grant(&r, 0, &g[3]);
    log_end.high = 2;
    fake_restart(&f, NEW_RUN);
    recover();
    x = fake_at(&f, r.code, 0);
    assert_int_equal(x->st.granted, 4);
    assert_int_equal(x->outbox, 2);
    assert_int_equal(x->grants[1].user_id, 2);
    assert_int_equal(x->grants[2].user_id, 3);
    assert_int_equal(x->grants[4].user_id, 0); /* user 5 was told nothing, and has nothing */
    assert_int_equal(settle_as(&r, 0, &g[1], x->st.rid).settled, 1);
    r = end_of(&r);
    assert_int_equal(r.total_get, 4); /* the users hash pays packet 2 */
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_grant WHERE state = 3"), 0);
    end();
}

/* Rolled back: Redis lost grants that are in the books. What nobody has is void at the end. */
static void a_rolled_back_rain_grants_no_packet_twice(void **state)
{
    struct pool_grant g[5];
    struct pool_grant again;
    struct rain_info r;

    (void)state;
    begin_recovery();
    r = started(1000, 10, 1, 3);
    for (int i = 0; i < 5; i++)
        fake_grab(&f, r.code, 0, 1 + i, &g[i]);
    settle_grant(&r, 0, &g[0]);
    settle_grant(&r, 0, &g[4]);
    log_end.high = 2;
    fake_restart(&f, NEW_RUN);
    fake_roll_back(&f, 2);
    recover();
    assert_int_equal(fake_at(&f, r.code, 0)->st.granted, 5);
    assert_true(fake_grab(&f, r.code, 0, 9, &again) > 0);
    assert_int_equal(again.packet_no, 5);
    r = end_of(&r);
    assert_int_equal(r.total_get, 4); /* packets 0, 1 (survived), 4, 5 */
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_grant WHERE state = 3"), 2);
    end();
}

/* A Redis of before the last recovery: its grants may have gone to others since. */
static void a_pool_of_an_older_life_is_not_believed(void **state)
{
    struct pool_grant g[5];
    struct pool_grant other;
    struct fake_shard old;
    struct rain_info r;

    (void)state;
    begin_recovery();
    r = five_granted(g);
    old = *fake_at(&f, r.code, 0);
    fake_restart(&f, NEW_RUN);
    fake_wipe(&f);
    recover();
    assert_true(fake_grab(&f, r.code, 0, 98, &other) > 0);
    assert_int_equal(other.packet_no, 3); /* its record never arrives */
    assert_true(fake_grab(&f, r.code, 0, 99, &other) > 0);
    settle_as(&r, 0, &other, rid_of(&r, 0));
    log_end.high = 4;
    /* The old life comes back, in which packets 3 and 4 were others'. */
    fake_restart(&f, THIRD_RUN);
    *fake_at(&f, r.code, 0) = old;
    recover();
    assert_int_equal(fake_at(&f, r.code, 0)->st.granted, 5);
    assert_int_equal(fake_at(&f, r.code, 0)->grants[3].user_id, 0);
    assert_int_equal(fake_at(&f, r.code, 0)->grants[4].user_id, 99);
    r = end_of(&r);
    assert_int_equal(r.total_get, 4);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_grant WHERE state = 3"), 1);
    end();
}

/* The lost grants' records arrive after their packets and seqs went to others: kept, closed, and in nobody's way. */
static void late_records_of_an_older_life_block_nothing(void **state)
{
    struct pool_grant g[5];
    struct pool_grant other;
    struct pool_grant same;
    struct rain_info r;

    (void)state;
    begin_recovery();
    r = started(1000, 10, 1, 3);
    for (int i = 0; i < 5; i++)
        fake_grab(&f, r.code, 0, 1 + i, &g[i]);
    settle_grant(&r, 0, &g[0]);
    log_end.high = 1;
    fake_wipe(&f);
    recover();
    fake_grab(&f, r.code, 0, 77, &other); /* packet 1, which was user 2's */
    fake_grab(&f, r.code, 0, 4, &same); /* packet 2 for seq 0 of user 4, who had packet 3 for it */
    assert_int_equal(settle_as(&r, 0, &other, rid_of(&r, 0)).settled, 1);
    assert_int_equal(settle_as(&r, 0, &same, rid_of(&r, 0)).settled, 1);
    for (int i = 1; i < 5; i++)
        assert_int_equal(settle_as(&r, 0, &g[i], RID).conflicts, 1);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_conflict WHERE state = 'closed'"), 4);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_conflict WHERE reason <> 'stale_rid'"),
                     0);
    r = end_of(&r);
    assert_int_equal(r.total_get, 3);
    end();
}

/* ---- the order ---- */

static void nothing_is_fixed_before_the_wait_is_over(void **state)
{
    struct pool_grant g[5];
    struct rain_info r;

    (void)state;
    begin_recovery();
    recovery.wait_ms = 3000;
    r = five_granted(g);
    fake_restart(&f, NEW_RUN);
    look();
    run_due(0);
    assert_int_equal(testdb_int(l, "SELECT state FROM rp_fence"), 2);
    run_due(60000);
    run_due(60000);
    assert_int_equal(ends_asked, 0);
    assert_int_equal(testdb_int(l, "SELECT state FROM rp_fence"), 2);
    /* What was told meanwhile is settled under the old rid, and counts. */
    assert_int_equal(settle_as(&r, 0, &g[3], RID).settled, 1);
    log_end.high = 4;
    testdb_exec(l, "UPDATE rp_fence SET wait_until = wait_until - 3000");
    recover();
    assert_int_equal(fake_at(&f, r.code, 0)->st.granted, 4);
    end();
}

static void the_floor_waits_for_the_settlers(void **state)
{
    struct pool_grant g[5];
    struct rain_info r;

    (void)state;
    begin_recovery();
    r = five_granted(g);
    log_end.high = 5; /* two more records are in Kafka */
    fake_wipe(&f);
    look();
    run_due(60000);
    assert_int_equal(testdb_int(l, "SELECT state FROM rp_fence"), 3);
    assert_int_equal(testdb_intf(l, "SELECT COUNT(*) FROM rp_escrow WHERE rid = '%s'", RID), 1);
    log_end.high = 9; /* what comes later is not waited for */
    settle_grant(&r, 0, &g[3]);
    run_due(60000);
    assert_int_equal(testdb_int(l, "SELECT state FROM rp_fence"), 3);
    settle_grant(&r, 0, &g[4]);
    recover();
    assert_int_equal(fake_at(&f, r.code, 0)->st.granted, 5);
    assert_int_equal(ends_asked, 1);
    end();
}

static void a_topic_made_anew_is_not_waited_for(void **state)
{
    struct pool_grant g[5];

    (void)state;
    begin_recovery();
    (void)five_granted(g);
    log_end.high = 500;
    fake_wipe(&f);
    look();
    run_due(60000);
    log_end.high = 3;
    testdb_exec(l, "UPDATE rp_task SET tries = 63 WHERE kind = 'recover'");
    recover();
    end();
}

static void set_aside_records_keep_their_packets(void **state)
{
    struct pool_grant g[5];
    struct rain_info r;

    (void)state;
    begin_recovery();
    r = five_granted(g);
    testdb_execf(
        l,
        "INSERT INTO rp_conflict (code, shard, packet_no, user_id, seq, amount, rid, reason,"
        " state, raw, created_at) VALUES ('%s', 0, 6, 5, 0, 1, 'x', 'test', 'open', '', 1)",
        r.code);
    fake_wipe(&f);
    recover();
    assert_int_equal(fake_at(&f, r.code, 0)->st.granted, 7);
    end();
}

/* ---- states of the rain ---- */

static void a_prepared_rain_is_recovered_and_starts(void **state)
{
    struct rain_info r;

    (void)state;
    begin_recovery();
    r = rain_create(l, 1000, 10, 2, 1);
    assert_int_equal(saga_prepare(&saga, NULL, r.code, &r), RR_OK);
    fake_restart(&f, NEW_RUN);
    fake_wipe(&f);
    assert_int_equal(saga_start(&saga, NULL, r.code, 0, 0, &r), RR_RECOVERING);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_task WHERE kind = 'recover'"), 1);
    recover();
    assert_books_and_pool_agree(&r);
    assert_int_equal(fake_at(&f, r.code, 1)->st.st, 'P');
    assert_null(fake_push_of(&f, "RED_PACKET_STATE", 0)); /* nobody knows of it yet */
    assert_int_equal(saga_start(&saga, NULL, r.code, 0, 0, &r), RR_OK);
    assert_int_equal(fake_at(&f, r.code, 1)->st.st, 'O');
    r = end_of(&r);
    assert_int_equal(r.refunded_fen, 1000);
    end();
}

static void a_closing_rain_is_recovered_and_settled(void **state)
{
    struct pool_grant g[5];
    struct rain_info r;

    (void)state;
    begin_recovery();
    r = five_granted(g);
    fake_restart(&f, NEW_RUN);
    fake_roll_back(&f, 1);
    f.now_ms = r.t1_ms + 1;
    assert_int_equal(saga_close(&saga, NULL, r.code, true, &r), RR_OK);
    assert_int_equal(r.status, RAIN_CLOSING);
    recover();
    assert_int_equal(fake_at(&f, r.code, 0)->st.st, 'C');
    run_due(60000);
    assert_int_equal(ledger_rain_get(l, r.code, &r), RR_OK);
    assert_int_equal(r.status, RAIN_SETTLED);
    assert_int_equal(r.total_get, 3);
    end();
}

/* granted_k is written, then the pool is lost before the grants were compared. */
static void a_shard_that_is_closed_in_the_books_keeps_its_k(void **state)
{
    struct pool_grant g[5];
    struct rain_info r;

    (void)state;
    begin_recovery();
    r = five_granted(g);
    f.now_ms = r.t1_ms + 1;
    testdb_execf(l, "UPDATE rp_escrow SET granted_k = 5 WHERE code = '%s'", r.code);
    testdb_execf(l, "UPDATE t_red_packet_config SET status = 4 WHERE config_code = '%s'", r.code);
    fake_wipe(&f);
    recover();
    assert_int_equal(fake_at(&f, r.code, 0)->st.granted, 5);
    run_due(60000);
    assert_int_equal(ledger_rain_get(l, r.code, &r), RR_OK);
    assert_int_equal(r.status, RAIN_SETTLED);
    assert_int_equal(r.total_get, 3);
    end();
}

static void by_policy_the_rain_ends(void **state)
{
    struct pool_grant g[5];
    struct rain_info r;

    (void)state;
    begin_recovery();
    recovery.close = true;
    r = five_granted(g);
    fake_restart(&f, NEW_RUN);
    recover();
    assert_int_equal(fake_at(&f, r.code, 0)->st.st, 'C');
    run_due(60000);
    assert_int_equal(ledger_rain_get(l, r.code, &r), RR_OK);
    assert_int_equal(r.status, RAIN_SETTLED);
    assert_int_equal(r.total_get, 3);
    assert_non_null(fake_push_of(&f, "RED_PACKET_END", 0));
    end();
}

static void a_durable_redis_keeps_everything(void **state)
{
    struct pool_grant g[5];
    struct rain_info r;

    (void)state;
    begin_recovery();
    f.durable = true;
    r = five_granted(g);
    fake_restart(&f, NEW_RUN);
    recover();
    assert_int_equal(recovery.quick, 1);
    assert_int_equal(recovery.full, 0);
    assert_int_equal(fake_at(&f, r.code, 0)->st.granted, 5);
    assert_int_equal(fake_at(&f, r.code, 0)->outbox, 2);
    /* Rolled back all the same: then it is not believed. */
    settle_as(&r, 0, &g[3], rid_of(&r, 0));
    settle_as(&r, 0, &g[4], rid_of(&r, 0));
    log_end.high = 5;
    fake_restart(&f, THIRD_RUN);
    fake_roll_back(&f, 1);
    recover();
    assert_int_equal(recovery.full, 1);
    assert_int_equal(fake_at(&f, r.code, 0)->st.granted, 5);
    r = end_of(&r);
    assert_int_equal(r.total_get, 5);
    end();
}

/* ---- crashes, and two at once ---- */

static void a_lost_answer_is_asked_again(void **state)
{
    struct pool_grant g[5];
    struct pool_grant next;
    struct rain_info r;

    (void)state;
    begin_recovery();
    r = five_granted(g);
    fake_wipe(&f);
    f.lose_refill = true;
    look();
    run_due(60000);
    assert_int_equal(testdb_int(l, "SELECT state FROM rp_fence"), 4);
    /* The pool is back, so grants go on before anybody could say that it is. */
    assert_true(fake_grab(&f, r.code, 0, 50, &next) > 0);
    settle_as(&r, 0, &next, rid_of(&r, 0));
    recover();
    assert_int_equal(f.refills, 1);
    assert_int_equal(fake_at(&f, r.code, 0)->st.granted, 4);
    end();
}

/* The pool was filled, granted from, and wiped again before anybody noted that it had been filled. */
static void a_wipe_after_the_refill_is_another_recovery(void **state)
{
    struct pool_grant g[5];
    struct pool_grant told;
    struct pool_grant next;
    struct rain_info r;

    (void)state;
    begin_recovery();
    r = five_granted(g);
    fake_wipe(&f);
    f.lose_refill = true;
    look();
    run_due(60000);
    assert_true(fake_grab(&f, r.code, 0, 50, &told) > 0);
    settle_as(&r, 0, &told, rid_of(&r, 0));
    log_end.high = 4;
    fake_wipe(&f);
    recover();
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_fence WHERE state = 6"), 1);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_fence WHERE state = 5"), 1);
    assert_true(fake_grab(&f, r.code, 0, 51, &next) > 0);
    assert_true(next.packet_no > told.packet_no);
    assert_int_equal(settle_as(&r, 0, &next, rid_of(&r, 0)).settled, 1);
    end();
}

static void a_restart_in_the_middle_begins_again(void **state)
{
    struct pool_grant g[5];
    struct rain_info r;

    (void)state;
    begin_recovery();
    recovery.wait_ms = 3000;
    r = five_granted(g);
    fake_restart(&f, NEW_RUN);
    look();
    run_due(0);
    fake_restart(&f, THIRD_RUN);
    run_due(60000);
    testdb_exec(l, "UPDATE rp_fence SET wait_until = wait_until - 3000");
    recover();
    assert_books_and_pool_agree(&r);
    assert_true(pool_same_run(rid_of(&r, 0), THIRD_RUN));
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_fence WHERE state = 6"), 1);
    end();
}

/* The books have the new rid, the pool has not: what only its users hash holds is still of the life the books go on from. */
static void a_recovery_that_only_reached_the_books_forgets_nothing(void **state)
{
    struct pool_grant g[5];
    struct rain_info r;
    struct fake_shard *x = NULL;

    (void)state;
    begin_recovery();
    f.durable = true;
    r = started(1000, 10, 1, 3);
    for (int i = 0; i < 5; i++)
        fake_grab(&f, r.code, 0, 1 + i, &g[i]);
    settle_grant(&r, 0, &g[0]);
    log_end.high = 1; /* the others' records are lost */
    fake_restart(&f, NEW_RUN);
    f.no_refill = true;
    recover();
    x = fake_at(&f, r.code, 0);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_fence WHERE state = 6"), 1);
    assert_int_equal(recovery.quick, 1);
    assert_int_equal(x->st.granted, 5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(x->grants[i].user_id, 1 + i);
    r = end_of(&r);
    assert_int_equal(r.total_get, 5);
    end();
}

/* The same, but the pool was filled, and then rolled back to before: from that recovery's floor on packets went to others. */
static void a_pool_of_before_an_unended_recovery_is_believed_below_its_floor(void **state)
{
    struct pool_grant g[5];
    struct pool_grant other;
    struct fake_shard old;
    struct rain_info r;
    struct fake_shard *x = NULL;

    (void)state;
    begin_recovery();
    r = started(1000, 10, 1, 3);
    for (int i = 0; i < 5; i++)
        fake_grab(&f, r.code, 0, 1 + i, &g[i]);
    settle_grant(&r, 0, &g[0]);
    settle_grant(&r, 0, &g[2]); /* floor 3; packet 1 is only in the pool */
    log_end.high = 2;
    old = *fake_at(&f, r.code, 0);
    fake_restart(&f, NEW_RUN);
    f.lose_refill = true;
    look();
    run_due(0);
    assert_int_equal(testdb_int(l, "SELECT state FROM rp_fence"), 4);
    fake_grab(&f, r.code, 0, 98, &other);
    assert_int_equal(other.packet_no, 3); /* its record never arrives */
    fake_grab(&f, r.code, 0, 99, &other);
    settle_as(&r, 0, &other, rid_of(&r, 0));
    log_end.high = 3;
    fake_restart(&f, THIRD_RUN);
    *fake_at(&f, r.code, 0) = old;
    recover();
    x = fake_at(&f, r.code, 0);
    assert_int_equal(x->st.granted, 5);
    assert_int_equal(x->grants[1].user_id, 2);
    assert_int_equal(x->grants[3].user_id, 0); /* user 4 had it, before it was granted anew */
    assert_int_equal(x->grants[4].user_id, 99);
    r = end_of(&r);
    assert_int_equal(r.total_get, 4);
    end();
}

/* A recoverer that slept through another recovery wakes with the answers of its own in hand. */
static void a_late_recoverer_changes_nothing(void **state)
{
    struct pool_grant g[5];
    struct pool_grant next;
    struct pool_refill late = {.st = 'O', .n = 10, .floor = 0, .limit = 3};
    struct rain_info r;
    int64_t amounts_fen[10];

    (void)state;
    begin_recovery();
    r = five_granted(g);
    for (uint32_t i = 0; i < 10; i++)
        amounts_fen[i] = rain_amount(l, &r, 0, i);
    fake_wipe(&f);
    f.lose_refill = true;
    look();
    run_due(60000);
    memcpy(late.at.code, r.code, sizeof(late.at.code));
    strcpy(late.rid, rid_of(&r, 0));
    late.amounts_fen = amounts_fen;
    fake_wipe(&f);
    recover();
    assert_true(fake_grab(&f, r.code, 0, 50, &next) > 0);
    strcpy(late.from_rid, rid_of(&r, 0));
    assert_int_equal(f.pool.refill(f.pool.impl, &late), RR_CONFLICT);
    fake_wipe(&f);
    late.from_rid[0] = 0;
    assert_int_equal(f.pool.refill(f.pool.impl, &late), RR_CONFLICT);
    end();
}

static void looking_finds_a_pool_that_is_gone_alone(void **state)
{
    struct pool_grant g[5];
    struct rain_info r;

    (void)state;
    begin_recovery();
    r = five_granted(g);
    look();
    fake_at(&f, r.code, 0)->st.exists = false;
    assert_int_equal(saga_look_for_losses(&saga, ledger__now_ms() + 6000), RR_OK);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_task WHERE kind = 'recover'"
                                   " AND state = 0"),
                     1);
    recover();
    assert_int_equal(fake_at(&f, r.code, 0)->st.granted, 3);
    assert_int_equal(recovery.epoch_changes, 0);
    end();
}

static void looking_twice_arms_once(void **state)
{
    struct pool_grant g[5];

    (void)state;
    begin_recovery();
    (void)five_granted(g);
    fake_restart(&f, NEW_RUN);
    look();
    testdb_exec(l, "UPDATE rp_task SET tries = 7 WHERE kind = 'recover'");
    look();
    look();
    assert_int_equal(testdb_int(l, "SELECT tries FROM rp_task WHERE kind = 'recover'"), 7);
    assert_int_equal(recovery.epoch_changes, 1);
    end();
}

static void other_processes_leave_it_to_the_settler(void **state)
{
    struct pool_grant g[5];

    (void)state;
    begin_recovery();
    (void)five_granted(g);
    fake_restart(&f, NEW_RUN);
    look();
    saga.recovery = NULL;
    run_due(0);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_fence"), 0);
    saga.recovery = &recovery;
    recover();
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wiped_rain_is_rebuilt_from_the_books),
        cmocka_unit_test(the_room_hears_that_it_pauses_and_goes_on),
        cmocka_unit_test(survivors_below_the_floor_stay),
        cmocka_unit_test(a_rolled_back_rain_grants_no_packet_twice),
        cmocka_unit_test(a_pool_of_an_older_life_is_not_believed),
        cmocka_unit_test(late_records_of_an_older_life_block_nothing),
        cmocka_unit_test(nothing_is_fixed_before_the_wait_is_over),
        cmocka_unit_test(the_floor_waits_for_the_settlers),
        cmocka_unit_test(a_topic_made_anew_is_not_waited_for),
        cmocka_unit_test(set_aside_records_keep_their_packets),
        cmocka_unit_test(a_prepared_rain_is_recovered_and_starts),
        cmocka_unit_test(a_closing_rain_is_recovered_and_settled),
        cmocka_unit_test(a_shard_that_is_closed_in_the_books_keeps_its_k),
        cmocka_unit_test(by_policy_the_rain_ends),
        cmocka_unit_test(a_durable_redis_keeps_everything),
        cmocka_unit_test(a_lost_answer_is_asked_again),
        cmocka_unit_test(a_wipe_after_the_refill_is_another_recovery),
        cmocka_unit_test(a_restart_in_the_middle_begins_again),
        cmocka_unit_test(a_recovery_that_only_reached_the_books_forgets_nothing),
        cmocka_unit_test(a_pool_of_before_an_unended_recovery_is_believed_below_its_floor),
        cmocka_unit_test(a_late_recoverer_changes_nothing),
        cmocka_unit_test(looking_finds_a_pool_that_is_gone_alone),
        cmocka_unit_test(looking_twice_arms_once),
        cmocka_unit_test(other_processes_leave_it_to_the_settler),
    };

    return cmocka_run_group_tests(tests, testdb_setup, testdb_teardown);
}
