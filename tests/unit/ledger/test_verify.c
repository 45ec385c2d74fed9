/* The checker: silent on clean books, and each planted corruption is found by its invariant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rains.h"
#include "saga_impl.h"
#include "testdb.h"

struct findings {
    char names[400]; /* of the invariants, in order, each once */
    uint32_t n;
};

static void count(void *arg, const struct ledger_finding *f)
{
    struct findings *x = arg;

    assert_true(f->invariant[0] && f->text[0]);
    x->n++;
}

/* What the run left in rp_finding. */
static void read_names(struct ledger *l, struct findings *out)
{
    static const char sql[] =
        "SELECT COALESCE(GROUP_CONCAT(DISTINCT invariant ORDER BY invariant SEPARATOR ' '), ''),"
        " COUNT(*) FROM rp_finding WHERE check_id = (SELECT MAX(id) FROM rp_check)";
    struct db_rows rows;

    assert_int_equal(db_open(l->db), RR_OK);
    assert_int_equal(db_query(l->db, sql, strlen(sql), &rows), RR_OK);
    assert_true(db_copy(&rows, 0, 0, out->names, sizeof(out->names)));
    assert_int_equal(db_i64(&rows, 0, 1), out->n);
    db_rows_fini(&rows);
}

static int64_t verify(struct ledger *l, const char *code, struct findings *out)
{
    int64_t unaccounted_fen = -1;
    enum rr_err err = RR_OK;

    memset(out, 0, sizeof(*out));
    err = ledger_verify(l, code, count, out, &unaccounted_fen);
    if (err)
        print_message("verify: %s\n", ledger_error(l));
    assert_int_equal(err, RR_OK);
    read_names(l, out);
    return unaccounted_fen;
}

static enum rr_err operate(struct ledger *l, enum wallet_op op, int64_t user_id, int64_t to,
                           int64_t amount_fen, const char *biz_id, const char *of)
{
    struct wallet_request r = {
        .op = op, .user_id = user_id, .to_user_id = to, .amount_fen = amount_fen};
    struct wallet_done done;

    strcpy(r.biz_id, biz_id);
    strcpy(r.of, of);
    return ledger_wallet_op(l, &r, &done);
}

static void settle_n(struct ledger *l, const struct rain_info *r, int32_t partition, uint32_t n)
{
    struct settle_item items[6];
    struct settle_batch b;
    struct settle_outcome o;
    int64_t sql_offset = 0;

    for (uint32_t i = 0; i < n; i++)
        items[i] = item_at(l, r, i % r->spec.shards, i / r->spec.shards, 1 + i % 4, i / 4, i);
    assert_int_equal(ledger_offset_move(l, TOPIC, partition, LEDGER_NO_OFFSET, 0), RR_OK);
    b = batch_of(items, n, 0);
    b.partition = partition;
    assert_int_equal(ledger_settle(l, &b, &o, &sql_offset), RR_OK);
    assert_int_equal(o.settled, n);
    settle_outcome_fini(&o);
}

/* A rain that ended: 3 packets paid, 1 void, 2 never granted. */
static struct rain_info over(struct ledger *l)
{
    struct rain_info r = rain_sent(l, 600000, 6, 1, 1);
    struct escrow_row rows[RR_SHARDS_MAX];
    int64_t rest_fen = 0;

    settle_n(l, &r, 1, 3);
    assert_int_equal(escrow_read(l, &r, rows), RR_OK);
    rest_fen = rain_amount(l, &r, 0, 4) + rain_amount(l, &r, 0, 5);
    assert_int_equal(escrow_close(l, r.code, &rows[0], 4), RR_OK);
    assert_int_equal(escrow_refund(l, &r, &rows[0], rest_fen), RR_OK);
    assert_int_equal(escrow_void(l, &r, &rows[0], 3, rain_amount(l, &r, 0, 3)), RR_OK);
    testdb_execf(l,
                 "UPDATE t_red_packet_config SET status = 5, total_get = 3, total_get_price ="
                 " (SELECT SUM(amount) FROM rp_grant WHERE code = '%s' AND state = 1)"
                 " WHERE config_code = '%s'",
                 r.code, r.code);
    testdb_execf(l, "UPDATE rp_task SET state = 1 WHERE code = '%s'", r.code);
    return r;
}

/* Books with one rain half settled, one over, and wallets that were used. codes[0], codes[1]: of the two rains. */
static void books(struct ledger *l, char codes[2][RR_CODE_LEN + 1])
{
    struct rain_info r = rain_sent(l, 1000000, 10, 2, 2);
    struct rain_info ended = over(l);

    settle_n(l, &r, 0, 6);
    assert_int_equal(operate(l, WALLET_DEPOSIT, 50, 0, 1000, "op-deposit", ""), RR_OK);
    assert_int_equal(operate(l, WALLET_DEBIT, 50, 0, 300, "op-debit", ""), RR_OK);
    assert_int_equal(operate(l, WALLET_REFUND, 50, 0, 100, "op-refund", "op-debit"), RR_OK);
    assert_int_equal(operate(l, WALLET_FREEZE, 50, 0, 200, "op-freeze", ""), RR_OK);
    assert_int_equal(operate(l, WALLET_UNFREEZE, 50, 0, 50, "op-unfreeze", "op-freeze"), RR_OK);
    assert_int_equal(operate(l, WALLET_TRANSFER, 50, 51, 100, "op-transfer", ""), RR_OK);
    memcpy(codes[0], r.code, sizeof(codes[0]));
    memcpy(codes[1], ended.code, sizeof(codes[1]));
}

static void clean_books_have_no_finding(void **state)
{
    struct ledger *l = testdb_open();
    char codes[2][RR_CODE_LEN + 1];
    struct findings f;

    (void)state;
    books(l, codes);
    assert_int_equal(verify(l, NULL, &f), 0);
    assert_string_equal(f.names, "");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(verify(l, codes[i], &f), 0);
        assert_string_equal(f.names, "");
    }
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_check WHERE findings = 0"), 3);
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
    assert_int_equal(ledger_verify(l, "AAAAAAAAAAAAAAAAAAAAAA", count, &f, &unaccounted_fen),
                     RR_NOT_FOUND);
    assert_int_equal(ledger_verify(l, "nonsense", count, &f, &unaccounted_fen), RR_NOT_FOUND);
    testdb_close(l);
}

/* Each: SQL to plant with checks off (several statements with ';'; 'R' is the code of the rain that runs, 'E' of the one that
 * ended), the invariants that speak, in order of their names, and no other; whether money is missing; whose own check sees it. */
enum sees { NEITHER = 0, RUNNING = 1, ENDED = 2 };
static const struct {
    const char *sql;
    const char *finds;
    bool money;
    enum sees sees;
} plants[] = {
    {"UPDATE wallet SET balance = balance + 5 WHERE user_id = 1", "conservation wallet_log", true,
     NEITHER},
    {"UPDATE wallet SET frozen = frozen - 5 WHERE user_id = 50", "conservation wallet_log", true,
     NEITHER},
    {"UPDATE wallet SET balance = balance + 5 WHERE user_id = 1; UPDATE wallet SET balance = "
     "balance - 5 WHERE user_id = 2",
     "wallet_log", true, NEITHER},
    {"DELETE FROM wallet WHERE user_id = 2", "conservation log_wallet", true, NEITHER},
    {"UPDATE wallet SET balance = -1 WHERE user_id = 51", "conservation wallet_log wallet_negative",
     true, NEITHER},
    {"INSERT INTO account_log (account_kind, account_id, delta, biz_type, biz_id, leg, created_at) "
     "VALUES ('other', 'x', 5, 'x', 'x', 0, 1), ('external', 'x', -5, 'x', 'x', 1, 1)",
     "conservation", true, NEITHER},
    {"UPDATE account_log SET delta = delta + 1 WHERE account_kind = 'external' LIMIT 1",
     "conservation log_sum", true, NEITHER},
    {"UPDATE account_log SET balance_after = balance_after + 1 WHERE account_kind = 'balance' AND "
     "account_id = '50' ORDER BY id DESC LIMIT 1",
     "log_after", false, NEITHER},
    {"DELETE FROM account_log WHERE biz_type = 'create' AND leg = 1 AND biz_id = 'R'",
     "escrow_log log_sum", true, RUNNING},
    {"INSERT INTO account_log (account_kind, account_id, delta, biz_type, biz_id, leg, created_at) "
     "VALUES ('escrow', 'AAAAAAAAAAAAAAAAAAAAAA:0', 5, 'x', 'x', 0, 1), ('external', 'x', -5, 'x', "
     "'x', 1, 1)",
     "conservation log_escrow", true, NEITHER},
    {"UPDATE account_log SET biz_type = 'refund' WHERE biz_type = 'grant' AND biz_id LIKE 'R:%' "
     "LIMIT 2",
     "escrow_paid grant_log", true, RUNNING},
    {"UPDATE rp_escrow SET remain = remain - 5 WHERE code = 'R' AND shard = 0",
     "conservation escrow_log escrow_sum", true, RUNNING},
    {"UPDATE rp_escrow SET remain = remain - 5, refunded = refunded + 5 WHERE code = 'R' AND shard "
     "= 0",
     "conservation escrow_log escrow_paid", true, RUNNING},
    {"UPDATE rp_escrow SET refunded = refunded - 5, settled = settled + 5 WHERE code = 'E'",
     "escrow_paid grant_sum", true, ENDED},
    {"UPDATE rp_escrow SET settled_cnt = settled_cnt + 1 WHERE code = 'R' AND shard = 0",
     "grant_sum", false, RUNNING},
    {"UPDATE rp_escrow SET total = total + 1, remain = remain + 1 WHERE code = 'R' AND shard = 0",
     "conservation escrow_log escrow_total split_total", true, RUNNING},
    {"UPDATE t_red_packet_config SET total_price = total_price + 1 WHERE config_code = 'R'",
     "escrow_total split_amount split_total", true, RUNNING},
    {"INSERT INTO rp_escrow (code, shard, total, remain, amounts_hash) VALUES "
     "('AAAAAAAAAAAAAAAAAAAAAA', 0, 0, 0, '')",
     "escrow_rain", false, NEITHER},
    {"INSERT INTO rp_grant VALUES ('R', 5, 0, NULL, NULL, 1, 3, 1, 1)", "grant_escrow void_log",
     true, RUNNING},
    {"UPDATE rp_grant SET amount = amount + 1 WHERE code = 'R' AND shard = 0 AND packet_no = 0",
     "grant_log grant_sum split_amount", true, RUNNING},
    {"UPDATE rp_grant SET amount = amount + 1 WHERE code = 'R' AND shard = 0 AND packet_no = 0; "
     "UPDATE rp_grant SET amount = amount - 1 WHERE code = 'R' AND shard = 0 AND packet_no = 1",
     "grant_log split_amount", true, RUNNING},
    {"UPDATE rp_grant SET packet_no = 4 WHERE code = 'R' AND shard = 0 AND packet_no = 0",
     "split_amount", true, RUNNING},
    {"UPDATE rp_grant SET user_id = 99 WHERE code = 'R' AND shard = 0 AND packet_no = 0",
     "grant_log log_grant", true, RUNNING},
    {"DELETE FROM rp_grant WHERE code = 'R' AND shard = 0 AND packet_no = 0", "grant_sum log_grant",
     true, RUNNING},
    {"UPDATE t_red_packet_config SET limit_per_user = 1 WHERE config_code = 'R'", "grant_seq",
     false, RUNNING},
    {"UPDATE rp_escrow SET granted_k = 1 WHERE code = 'R' AND shard = 0", "grant_closed", false,
     RUNNING},
    {"UPDATE t_red_packet_config SET seed = REPEAT('x', 32) WHERE config_code = 'E'",
     "refund_amount split_amount", true, ENDED},
    {"UPDATE rp_escrow SET granted_k = 5 WHERE code = 'E'", "refund_amount", true, ENDED},
    {"UPDATE account_log SET biz_id = CONCAT(biz_id, '0') WHERE biz_type = 'void'",
     "log_void void_log", true, ENDED},
    {"UPDATE rp_grant SET state = 1, user_id = 9, seq = 0 WHERE state = 3",
     "end_totals grant_log grant_sum log_void", true, ENDED},
    {"UPDATE t_red_packet_config SET total_get = 2 WHERE config_code = 'E'", "end_totals", false,
     ENDED},
    {"UPDATE t_red_packet_config SET status = 4 WHERE config_code = 'E'", "rain_task", false,
     ENDED},
    {"UPDATE t_red_packet_config SET status = 6 WHERE config_code = 'E'", "end_cancelled", false,
     ENDED},
    {"UPDATE t_red_packet_config SET status = 5 WHERE config_code = 'R'",
     "end_open_shard end_remain end_totals", false, RUNNING},
    {"UPDATE rp_escrow SET granted_k = NULL WHERE code = 'E'", "end_open_shard", false, ENDED},
    {"INSERT INTO rp_dead (code, reason, state, raw, created_at) VALUES ('E', 'x', 'open', '', 1)",
     "end_open_dead", false, ENDED},
    {"INSERT INTO rp_conflict (code, shard, packet_no, user_id, seq, amount, rid, reason, state, "
     "raw, created_at) VALUES ('E', 0, 0, 1, 0, 1, '', 'x', 'open', '', 1)",
     "end_open_conflict", false, ENDED},
    {"INSERT INTO rp_dead (code, reason, state, raw, created_at) VALUES ('R', 'x', 'open', '', 1)",
     "", false, NEITHER},
    {"UPDATE rp_grant SET state = 2 WHERE code = 'R' AND shard = 0 AND packet_no = 0", "held_log",
     true, RUNNING},
    {"UPDATE rp_grant SET state = 4 WHERE code = 'R' AND shard = 0 AND packet_no = 0", "held_log",
     true, RUNNING},
    {"INSERT INTO account_log (account_kind, account_id, delta, biz_type, biz_id, leg, created_at) "
     "VALUES ('frozen', '1', -5, 'release', CONCAT('H:', 'R', ':0:99'), 0, 1), ('frozen', '1', 5, "
     "'release', CONCAT('H:', 'R', ':0:99'), 1, 1)",
     "log_held", true, RUNNING},
    {"DELETE FROM rp_task WHERE code = 'R'", "rain_task", false, RUNNING},
    {"UPDATE rp_task SET next_at = 1 WHERE code = 'R'", "task_overdue", false, RUNNING},
    {"UPDATE rp_task SET tries = 100 WHERE code = 'R'", "task_failing", false, RUNNING},
    {"DELETE FROM rp_wallet_op WHERE biz_id = 'op-transfer'", "log_op", true, NEITHER},
    {"UPDATE rp_wallet_op SET amount = amount + 1 WHERE biz_id = 'op-transfer'", "op_log", true,
     NEITHER},
    {"UPDATE rp_wallet_op SET user_id = 51 WHERE biz_id = 'op-deposit'", "op_log", true, NEITHER},
    {"UPDATE rp_wallet_op SET of_biz_id = 'op-nothing' WHERE biz_id = 'op-refund'", "op_over", true,
     NEITHER},
};

/* Replaces 'R and 'E by the codes and runs each statement. */
static void plant(struct ledger *l, const char *sql, char codes[2][RR_CODE_LEN + 1])
{
    struct rr_buf b = {0};

    testdb_exec(l, "SET SESSION check_constraint_checks = 0");
    for (const char *at = sql;; at++) {
        if (*at == ';' || *at == 0) {
            assert_int_equal(db_exec_buf(l->db, &b, NULL), RR_OK);
            if (*at == 0)
                break;
            at++; /* the space */
        } else if (at > sql && at[-1] == '\'' && (*at == 'R' || *at == 'E') &&
                   (at[1] == '\'' || at[1] == ':')) {
            rr_buf_puts(&b, codes[*at == 'E']);
        } else {
            rr_buf_append(&b, at, 1);
        }
    }
    rr_buf_fini(&b);
}

static void every_planted_break_is_found_and_nothing_else(void **state)
{
    uint32_t wrong = 0;

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(plants); i++) {
        struct ledger *l = testdb_open();
        char codes[2][RR_CODE_LEN + 1];
        struct findings f;
        int64_t unaccounted_fen = 0;
        int sees = 0;

        books(l, codes);
        plant(l, plants[i].sql, codes);
        unaccounted_fen = verify(l, NULL, &f);
        for (int k = 0; k < 2; k++) {
            struct findings own;

            verify(l, codes[k], &own);
            sees |= own.n ? k + 1 : 0;
        }
        if (strcmp(f.names, plants[i].finds) != 0 || (unaccounted_fen > 0) != plants[i].money ||
            sees != (int)plants[i].sees) {
            print_message("%s\n  -> \"%s\", %s, %d\n", plants[i].sql, f.names,
                          unaccounted_fen > 0 ? "true" : "false", sees);
            wrong++;
        }
        testdb_close(l);
    }
    assert_int_equal(wrong, 0);
}

/* ---- quick runs, and whose turn it is ---- */

static int64_t quick(struct ledger *l)
{
    struct findings f = {.n = 0};
    int64_t unaccounted_fen = -1;

    assert_int_equal(ledger_verify_quick(l, count, &f, &unaccounted_fen), RR_OK);
    return f.n;
}

static void quick_runs_leave_out_what_ended_clean(void **state)
{
    struct ledger *l = testdb_open();
    char codes[2][RR_CODE_LEN + 1];

    (void)state;
    books(l, codes);
    assert_int_equal(quick(l), 0);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_checked"), 1);
    plant(l, "UPDATE t_red_packet_config SET total_get = 2 WHERE config_code = 'E'", codes);
    plant(l, "UPDATE rp_escrow SET settled_cnt = 9 WHERE code = 'R' AND shard = 0", codes);
    assert_int_equal(quick(l), 1); /* the one that runs */
    testdb_exec(l, "UPDATE rp_checked SET checked_at = checked_at - 86400001");
    assert_int_equal(quick(l), 2);
    /* With a finding it is not marked again. */
    assert_int_equal(quick(l), 2);
    testdb_close(l);
}

static void one_of_many_checks_per_interval(void **state)
{
    struct ledger *l = testdb_open();
    int64_t findings = 0;
    int64_t unaccounted_fen = 0;
    bool mine = false;

    (void)state;
    assert_int_equal(ledger_check_last(l, &findings, &unaccounted_fen), RR_NOT_FOUND);
    assert_int_equal(ledger_check_claim(l, "a", 60000, &mine), RR_OK);
    assert_true(mine);
    assert_int_equal(ledger_check_claim(l, "b", 60000, &mine), RR_OK);
    assert_false(mine);
    assert_int_equal(ledger_check_give_up(l, "b"), RR_OK); /* not b's to give up */
    assert_int_equal(ledger_check_claim(l, "b", 60000, &mine), RR_OK);
    assert_false(mine);
    assert_int_equal(ledger_check_give_up(l, "a"), RR_OK);
    assert_int_equal(ledger_check_claim(l, "b", 60000, &mine), RR_OK);
    assert_true(mine);
    testdb_exec(l, "UPDATE rp_lease SET next_at = next_at - 54001");
    assert_int_equal(ledger_check_claim(l, "a", 60000, &mine), RR_OK);
    assert_true(mine);
    assert_int_equal(quick(l), 0);
    testdb_exec(l, "INSERT INTO wallet (user_id, balance) VALUES (3, 7)");
    assert_int_equal(quick(l), 2);
    assert_int_equal(ledger_note(l, "a gap"), RR_OK);
    assert_int_equal(ledger_check_last(l, &findings, &unaccounted_fen), RR_OK);
    assert_int_equal(findings, 2);
    assert_int_equal(unaccounted_fen, 7);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_finding WHERE text = 'a gap'"), 1);
    testdb_close(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clean_books_have_no_finding),
        cmocka_unit_test(empty_books_are_clean),
        cmocka_unit_test(every_planted_break_is_found_and_nothing_else),
        cmocka_unit_test(quick_runs_leave_out_what_ended_clean),
        cmocka_unit_test(one_of_many_checks_per_interval),
    };

    return cmocka_run_group_tests(tests, testdb_setup, testdb_teardown);
}
