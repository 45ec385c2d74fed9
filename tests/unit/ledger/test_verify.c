/* The checker: silent on clean books, and each planted corruption is found by its invariant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rains.h"
#include "testdb.h"

struct findings {
    char names[1000];
    uint32_t n;
};

static void note(void *arg, const struct ledger_finding *f)
{
    struct findings *x = arg;

    x->n++;
    if (strlen(x->names) + strlen(f->invariant) + 2 < sizeof(x->names)) {
        strcat(x->names, f->invariant);
        strcat(x->names, " ");
    }
}

static int64_t verify(struct ledger *l, const char *code, struct findings *out)
{
    int64_t unaccounted_fen = -1;
    enum rr_err err = RR_OK;

    memset(out, 0, sizeof(*out));
    err = ledger_verify(l, code, note, out, &unaccounted_fen);
    if (err)
        print_message("verify: %s\n", ledger_error(l));
    assert_int_equal(err, RR_OK);
    return unaccounted_fen;
}

/* Books with one rain half settled. */
static struct rain_info books(struct ledger *l)
{
    struct rain_info r = rain_sent(l, 1000, 10, 2, 2);
    struct settle_item items[6];
    struct settle_batch b;
    struct settle_outcome o;
    int64_t sql_offset = 0;

    for (uint32_t i = 0; i < 6; i++)
        items[i] = item_at(l, &r, i % 2, i / 2, 1 + i % 4, i / 4, i);
    assert_int_equal(ledger_offset_set(l, TOPIC, 0, 0), RR_OK);
    b = batch_of(items, 6, 0);
    assert_int_equal(ledger_settle(l, &b, &o, &sql_offset), RR_OK);
    assert_int_equal(o.settled, 6);
    settle_outcome_fini(&o);
    return r;
}

static void clean_books_have_no_finding(void **state)
{
    struct ledger *l = testdb_open();
    struct rain_info r = books(l);
    struct findings f;

    (void)state;
    assert_int_equal(verify(l, NULL, &f), 0);
    assert_string_equal(f.names, "");
    assert_int_equal(verify(l, r.code, &f), 0);
    assert_string_equal(f.names, "");
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_check WHERE findings = 0"), 2);
    assert_int_equal(ledger_ping(l), RR_OK);
    testdb_close(l);
}

static void empty_books_are_clean(void **state)
{
    struct ledger *l = testdb_open();
    struct findings f;
    int64_t unaccounted_fen = 0;

    (void)state;
    assert_int_equal(verify(l, NULL, &f), 0);
    assert_int_equal(f.n, 0);
    assert_int_equal(ledger_verify(l, "AAAAAAAAAAAAAAAAAAAAAA", note, &f, &unaccounted_fen),
                     RR_NOT_FOUND);
    assert_int_equal(ledger_verify(l, "nonsense", note, &f, &unaccounted_fen), RR_NOT_FOUND);
    testdb_close(l);
}

/* Each: SQL to plant (checks off), the invariants that must speak, whether money is missing, whether one rain's check sees it. */
static const struct {
    const char *sql;
    const char *finds;
    bool money;
    bool rain;
} plants[] = {
    {"UPDATE wallet SET balance = balance + 5 WHERE user_id = 1", "wallet_log", true, false},
    {"UPDATE wallet SET balance = balance - 5 WHERE user_id = 9000001", "", true, false},
    {"DELETE FROM wallet WHERE user_id = 2", "log_wallet", true, false},
    {"UPDATE rp_escrow SET remain = remain - 5 WHERE shard = 0", "escrow_sum", true, true},
    {"UPDATE rp_escrow SET remain = remain - 5, refunded = refunded + 5 WHERE shard = 0",
     "escrow_log", true, true},
    {"UPDATE rp_escrow SET remain = remain - 5, settled = settled + 5 WHERE shard = 0", "grant_sum",
     true, true},
    {"UPDATE rp_escrow SET settled_cnt = settled_cnt + 1 WHERE shard = 0", "grant_sum", false,
     true},
    {"UPDATE rp_escrow SET total = total + 1, remain = remain + 1 WHERE shard = 0", "escrow_total",
     true, true},
    {"UPDATE rp_grant SET amount = amount + 1 WHERE shard = 0 AND packet_no = 0", "split_amount",
     true, true},
    {"UPDATE rp_grant SET user_id = 99 WHERE shard = 0 AND packet_no = 0", "grant_log", true, true},
    {"DELETE FROM rp_grant WHERE shard = 0 AND packet_no = 0", "log_grant", true, true},
    {"UPDATE rp_grant SET seq = 2 WHERE shard = 0 AND packet_no = 0", "grant_seq", true, true},
    {"UPDATE rp_escrow SET granted_k = 1 WHERE shard = 0", "grant_closed", false, true},
    {"UPDATE rp_grant SET packet_no = 4 WHERE shard = 0 AND packet_no = 0", "split_amount", true,
     true},
    {"UPDATE account_log SET delta = delta + 1 WHERE biz_type = 'grant' AND leg = 0 LIMIT 1",
     "log_sum", true, true},
    {"DELETE FROM account_log WHERE biz_type = 'create' AND leg = 1", "escrow_log", true, true},
    {"DELETE FROM account_log WHERE biz_type = 'deposit'", "wallet_log", true, false},
    {"UPDATE t_red_packet_config SET status = 5", "end_remain", false, true},
    {"UPDATE t_red_packet_config SET seed = REPEAT('x', 32)", "split_amount", true, true},
};

static void every_planted_corruption_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(plants); i++) {
        struct ledger *l = testdb_open();
        struct rain_info r = books(l);
        struct findings f;
        int64_t unaccounted_fen = 0;

        testdb_exec(l, "SET SESSION check_constraint_checks = 0");
        testdb_exec(l, plants[i].sql);
        unaccounted_fen = verify(l, NULL, &f);
        if (!strstr(f.names, plants[i].finds) || !f.n || (unaccounted_fen > 0) != plants[i].money)
            fail_msg("%s -> %s, unaccounted %lld", plants[i].sql, f.names,
                     (long long)unaccounted_fen);
        verify(l, r.code, &f);
        if (plants[i].rain != (f.n > 0))
            fail_msg("one rain: %s -> %s", plants[i].sql, f.names);
        testdb_close(l);
    }
}

static void open_rows_of_a_settled_rain_are_findings(void **state)
{
    struct ledger *l = testdb_open();
    struct rain_info r = books(l);
    struct findings f;

    (void)state;
    testdb_execf(l,
                 "INSERT INTO rp_dead (code, reason, state, raw, created_at) VALUES"
                 " ('%s', 'x', 'open', '', 1)",
                 r.code);
    testdb_execf(
        l,
        "INSERT INTO rp_conflict (code, shard, packet_no, user_id, seq, amount, rid, reason,"
        " state, raw, created_at) VALUES ('%s', 0, 0, 1, 0, 1, '', 'x', 'open', '', 1)",
        r.code);
    verify(l, NULL, &f);
    assert_string_equal(f.names, "");
    testdb_exec(l, "UPDATE t_red_packet_config SET status = 5");
    verify(l, NULL, &f);
    assert_non_null(strstr(f.names, "end_open_dead"));
    assert_non_null(strstr(f.names, "end_open_conflict"));
    assert_non_null(strstr(f.names, "end_totals"));
    testdb_close(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clean_books_have_no_finding),
        cmocka_unit_test(empty_books_are_clean),
        cmocka_unit_test(every_planted_corruption_is_found),
        cmocka_unit_test(open_rows_of_a_settled_rain_are_findings),
    };

    return cmocka_run_group_tests(tests, testdb_setup, testdb_teardown);
}
