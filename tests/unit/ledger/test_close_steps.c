/* A closer that dies at any step: at that instant the books add up, whoever goes on finishes it, and each refund, void and grant
 * is there once. Dying before a statement is a trigger that refuses it: what was not committed is gone, as with the process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "saga_env.h"
#include "saga_impl.h"

static const struct {
    const char *dies_at;
    const char *table;
    const char *event;
    const char *when; /* "": nothing of SQL fails */
    uint32_t fail_close;
    uint32_t fail_push;
} deaths[] = {
    {"the gate of the first shard", "", "", "", 1, 0},
    {"granted_k of the first shard", "rp_escrow", "UPDATE",
     "OLD.granted_k IS NULL AND NEW.granted_k IS NOT NULL AND NEW.shard = 0", 0, 0},
    {"granted_k of the second shard", "rp_escrow", "UPDATE",
     "OLD.granted_k IS NULL AND NEW.granted_k IS NOT NULL AND NEW.shard = 1", 0, 0},
    {"the sender's wallet", "wallet", "UPDATE", "NEW.user_id = 9000001", 0, 0},
    {"the first refund's log", "account_log", "INSERT",
     "NEW.biz_type = 'refund' AND NEW.biz_id LIKE '%:0' AND NEW.leg = 0", 0, 0},
    {"the first refund's second leg", "account_log", "INSERT",
     "NEW.biz_type = 'refund' AND NEW.biz_id LIKE '%:0' AND NEW.leg = 1", 0, 0},
    {"the first refund's escrow", "rp_escrow", "UPDATE",
     "NEW.refunded > OLD.refunded AND NEW.shard = 0", 0, 0},
    {"the second refund's log", "account_log", "INSERT",
     "NEW.biz_type = 'refund' AND NEW.biz_id LIKE '%:1' AND NEW.leg = 0", 0, 0},
    {"the second refund's escrow", "rp_escrow", "UPDATE",
     "NEW.refunded > OLD.refunded AND NEW.shard = 1", 0, 0},
    {"a grant from the users hash", "rp_grant", "INSERT", "NEW.state = 1", 0, 0},
    {"that grant's log", "account_log", "INSERT", "NEW.biz_type = 'grant' AND NEW.leg = 1", 0, 0},
    {"that grant's escrow", "rp_escrow", "UPDATE", "NEW.settled > OLD.settled", 0, 0},
    {"a void row", "rp_grant", "INSERT", "NEW.state = 3", 0, 0},
    {"a void's log", "account_log", "INSERT", "NEW.biz_type = 'void' AND NEW.leg = 0", 0, 0},
    {"a void's escrow", "rp_escrow", "UPDATE",
     "NEW.refunded > OLD.refunded AND EXISTS (SELECT 1 FROM rp_grant WHERE state = 3)", 0, 0},
    {"SETTLED", "t_red_packet_config", "UPDATE", "NEW.status = 5 AND OLD.status = 4", 0, 0},
    {"the task of the result", "rp_task", "INSERT", "NEW.kind = 'result'", 0, 0},
    {"the note that the close is done", "rp_task", "UPDATE", "NEW.kind = 'close' AND NEW.state = 1",
     0, 0},
    {"the result", "", "", "", 0, 1},
};

static void assert_adds_up(const char *where)
{
    int64_t unaccounted_fen = -1;

    assert_int_equal(ledger_verify(l, NULL, NULL, NULL, &unaccounted_fen), RR_OK);
    if (testdb_int(l, "SELECT findings FROM rp_check ORDER BY id DESC LIMIT 1") != 0)
        fail_msg("%s: the books do not add up", where);
}

static void a_closer_may_die_anywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(deaths); i++) {
        struct pool_grant paid;
        struct pool_grant late;
        struct pool_grant lost;
        struct pool_grant other;
        struct rain_info r;
        int64_t back_fen = 0;

        begin();
        r = started(1000000, 8, 2, 4);
        fake_grab(&f, r.code, 0, 1, &paid);
        settle_grant(&r, 0, &paid);
        fake_grab(&f, r.code, 0, 2, &late); /* only in the users hash */
        fake_grab(&f, r.code, 0, 3, &lost); /* nowhere */
        fake_at(&f, r.code, 0)->grants[2].user_id = 0;
        fake_grab(&f, r.code, 1, 4, &other);
        settle_grant(&r, 1, &other);
        back_fen = 1000000 - paid.amount_fen - late.amount_fen - other.amount_fen;
        if (deaths[i].when[0])
            testdb_execf(l,
                         "CREATE TRIGGER dies BEFORE %s ON %s FOR EACH ROW BEGIN IF %s THEN"
                         " SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'dead'; END IF; END",
                         deaths[i].event, deaths[i].table, deaths[i].when);
        f.fail_close = deaths[i].fail_close;
        f.fail_push = deaths[i].fail_push;
        f.now_ms = r.t1_ms;
        assert_int_equal(saga_close(&saga, NULL, r.code, false, &r), RR_OK);
        assert_adds_up(deaths[i].dies_at);
        if (testdb_int(l, "SELECT COUNT(*) FROM rp_task WHERE state = 0") == 0)
            fail_msg("%s: it did not die there", deaths[i].dies_at);
        if (deaths[i].when[0])
            testdb_exec(l, "DROP TRIGGER dies");
        for (int more = 0; more < 3; more++)
            run_due(60000);
        assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_task WHERE state = 0"), 0);
        assert_int_equal(ledger_rain_get(l, r.code, &r), RR_OK);
        assert_int_equal(r.status, RAIN_SETTLED);
        assert_int_equal(r.total_get, 3);
        assert_int_equal(balance_of(l, 1), paid.amount_fen);
        assert_int_equal(balance_of(l, 2), late.amount_fen);
        assert_int_equal(balance_of(l, 3), 0);
        assert_int_equal(balance_of(l, 4), other.amount_fen);
        assert_int_equal(balance_of(l, SENDER), back_fen);
        assert_int_equal(
            testdb_int(l, "SELECT COUNT(*) FROM account_log WHERE biz_type = 'refund'"), 4);
        assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM account_log WHERE biz_type = 'void'"),
                         2);
        assert_non_null(fake_push_of(&f, "RED_PACKET_RESULT", 0));
        assert_adds_up(deaths[i].dies_at);
        end();
    }
}

/* The last look at what is open happens under the same locks as the end. */
static void settled_only_with_nothing_left_and_nothing_open(void **state)
{
    struct rain_info r;

    (void)state;
    begin();
    r = started(1000000, 2, 2, 1);
    f.now_ms = r.t1_ms;
    /* What appears between the look and the transaction. */
    testdb_execf(l,
                 "CREATE TRIGGER late BEFORE INSERT ON account_log FOR EACH ROW BEGIN"
                 " IF NEW.biz_type = 'refund' AND NEW.biz_id LIKE '%%:1' AND NEW.leg = 1 THEN"
                 " INSERT INTO rp_dead (code, reason, state, raw, created_at) VALUES"
                 " ('%s', 'x', 'open', '', 1); END IF; END",
                 r.code);
    assert_int_equal(saga_close(&saga, NULL, r.code, false, &r), RR_OK);
    assert_int_equal(r.status, RAIN_CLOSING);
    assert_int_equal(r.remain_fen, 0);
    testdb_exec(l, "DROP TRIGGER late");
    testdb_exec(l, "UPDATE rp_dead SET state = 'closed'");
    run_due(60000);
    assert_int_equal(ledger_rain_get(l, r.code, &r), RR_OK);
    assert_int_equal(r.status, RAIN_SETTLED);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_closer_may_die_anywhere),
        cmocka_unit_test(settled_only_with_nothing_left_and_nothing_open),
    };

    return cmocka_run_group_tests(tests, testdb_setup, testdb_teardown);
}
