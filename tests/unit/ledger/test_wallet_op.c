/* The wallet service on a real MariaDB: once per biz id for ever, never below zero, conserved, also with many at once. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "rains.h"
#include "testdb.h"

static struct wallet_request ask(enum wallet_op op, int64_t user_id, int64_t amount_fen,
                                 const char *biz_id)
{
    struct wallet_request r = {.op = op, .user_id = user_id, .amount_fen = amount_fen};

    snprintf(r.biz_id, sizeof(r.biz_id), "%s", biz_id);
    return r;
}

static enum rr_err simple(struct ledger *l, enum wallet_op op, int64_t user_id, int64_t amount_fen,
                          const char *biz_id)
{
    struct wallet_request r = ask(op, user_id, amount_fen, biz_id);
    struct wallet_done done;

    return ledger_wallet_op(l, &r, &done);
}

static enum rr_err give_back(struct ledger *l, enum wallet_op op, int64_t user_id,
                             int64_t amount_fen, const char *biz_id, const char *of,
                             const char **field)
{
    struct wallet_request r = ask(op, user_id, amount_fen, biz_id);
    struct wallet_done done;
    enum rr_err err = RR_OK;

    snprintf(r.of, sizeof(r.of), "%s", of);
    err = ledger_wallet_op(l, &r, &done);
    *field = done.field ? done.field : "";
    return err;
}

static enum rr_err transfer(struct ledger *l, int64_t from, int64_t to, int64_t amount_fen,
                            const char *biz_id)
{
    struct wallet_request r = ask(WALLET_TRANSFER, from, amount_fen, biz_id);
    struct wallet_done done;

    r.to_user_id = to;
    return ledger_wallet_op(l, &r, &done);
}

static void assert_wallet(struct ledger *l, int64_t user_id, int64_t balance_fen,
                          int64_t frozen_fen)
{
    struct wallet w;

    assert_int_equal(ledger_wallet(l, user_id, &w), RR_OK);
    assert_int_equal(w.balance_fen, balance_fen);
    assert_int_equal(w.frozen_fen, frozen_fen);
}

static void assert_clean(struct ledger *l)
{
    int64_t unaccounted_fen = -1;

    assert_int_equal(ledger_verify(l, NULL, NULL, NULL, &unaccounted_fen), RR_OK);
    assert_int_equal(unaccounted_fen, 0);
    assert_int_equal(testdb_int(l, "SELECT findings FROM rp_check ORDER BY id DESC LIMIT 1"), 0);
}

static void each_operation_moves_its_two_legs(void **state)
{
    struct ledger *l = testdb_open();
    const char *field = NULL;

    (void)state;
    assert_int_equal(simple(l, WALLET_DEPOSIT, 7, 1000, "d"), RR_OK);
    assert_wallet(l, 7, 1000, 0);
    assert_int_equal(simple(l, WALLET_DEBIT, 7, 300, "b"), RR_OK);
    assert_wallet(l, 7, 700, 0);
    assert_int_equal(simple(l, WALLET_FREEZE, 7, 200, "f"), RR_OK);
    assert_wallet(l, 7, 500, 200);
    assert_int_equal(give_back(l, WALLET_UNFREEZE, 7, 150, "u", "f", &field), RR_OK);
    assert_wallet(l, 7, 650, 50);
    assert_int_equal(give_back(l, WALLET_REFUND, 7, 300, "r", "b", &field), RR_OK);
    assert_wallet(l, 7, 950, 50);
    assert_int_equal(transfer(l, 7, 8, 50, "t"), RR_OK);
    assert_wallet(l, 7, 900, 50);
    assert_wallet(l, 8, 50, 0);
    assert_int_equal(simple(l, WALLET_WITHDRAW, 7, 900, "w"), RR_OK);
    assert_wallet(l, 7, 0, 50);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM account_log"), 14);
    assert_int_equal(testdb_int(l, "SELECT SUM(delta) FROM account_log"), 0);
    assert_int_equal(testdb_int(l, "SELECT SUM(delta) FROM account_log"
                                   " WHERE account_kind = 'platform' AND account_id = 'debit'"),
                     0);
    assert_clean(l);
    testdb_close(l);
}

static void the_first_answer_is_the_answer(void **state)
{
    struct ledger *l = testdb_open();
    struct wallet_request r = ask(WALLET_DEPOSIT, 7, 1000, "k");
    struct wallet_done first;
    struct wallet_done again;

    (void)state;
    assert_int_equal(ledger_wallet_op(l, &r, &first), RR_OK);
    assert_non_null(strstr(first.answer, "\"op\":\"deposit\",\"user\":\"7\",\"amount\":1000,"
                                         "\"balance\":1000,\"frozen\":0,"));
    assert_int_equal(simple(l, WALLET_DEBIT, 7, 1, "other"), RR_OK);
    /* However late: no row of it ever goes away, and the answer is not made again. */
    testdb_exec(l, "UPDATE rp_wallet_op SET created_at = 1");
    assert_int_equal(ledger_wallet_op(l, &r, &again), RR_DUPLICATE);
    assert_string_equal(again.answer, first.answer);
    assert_wallet(l, 7, 999, 0);
    /* Anything else under that name is not that request. */
    r.amount_fen = 1001;
    assert_int_equal(ledger_wallet_op(l, &r, &again), RR_CONFLICT);
    r = ask(WALLET_DEPOSIT, 8, 1000, "k");
    assert_int_equal(ledger_wallet_op(l, &r, &again), RR_CONFLICT);
    assert_int_equal(simple(l, WALLET_FREEZE, 7, 1000, "k"), RR_CONFLICT);
    assert_int_equal(transfer(l, 7, 8, 1000, "k"), RR_CONFLICT);
    assert_wallet(l, 7, 999, 0);
    assert_wallet(l, 8, 0, 0);
    testdb_close(l);
}

static void a_refusal_moves_nothing_and_is_not_kept(void **state)
{
    struct ledger *l = testdb_open();

    (void)state;
    assert_int_equal(simple(l, WALLET_DEBIT, 7, 1, "b"), RR_NO_MONEY);
    assert_int_equal(simple(l, WALLET_DEPOSIT, 7, 100, "d"), RR_OK);
    assert_int_equal(simple(l, WALLET_DEBIT, 7, 101, "b2"), RR_NO_MONEY);
    assert_int_equal(simple(l, WALLET_FREEZE, 7, 101, "f"), RR_NO_MONEY);
    assert_int_equal(simple(l, WALLET_WITHDRAW, 7, 101, "w"), RR_NO_MONEY);
    assert_int_equal(transfer(l, 7, 8, 101, "t"), RR_NO_MONEY);
    assert_int_equal(simple(l, WALLET_DEBIT, 7, 101, "b2"), RR_NO_MONEY);
    assert_wallet(l, 7, 100, 0);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_wallet_op"), 1);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM wallet WHERE user_id = 8"), 0);
    assert_int_equal(simple(l, WALLET_DEPOSIT, 7, 1, "d2"), RR_OK);
    assert_int_equal(simple(l, WALLET_DEBIT, 7, 101, "b2"), RR_OK);
    assert_wallet(l, 7, 0, 0);
    testdb_close(l);
}

static void no_more_is_given_back_than_was_taken(void **state)
{
    struct ledger *l = testdb_open();
    const char *field = NULL;

    (void)state;
    assert_int_equal(simple(l, WALLET_DEPOSIT, 7, 1000, "d"), RR_OK);
    assert_int_equal(simple(l, WALLET_DEBIT, 7, 100, "b"), RR_OK);
    assert_int_equal(give_back(l, WALLET_REFUND, 7, 60, "r1", "b", &field), RR_OK);
    assert_int_equal(give_back(l, WALLET_REFUND, 7, 41, "r2", "b", &field), RR_CONFLICT);
    assert_string_equal(field, "amount");
    assert_int_equal(give_back(l, WALLET_REFUND, 7, 40, "r2", "b", &field), RR_OK);
    assert_int_equal(give_back(l, WALLET_REFUND, 7, 40, "r2", "b", &field), RR_DUPLICATE);
    assert_int_equal(give_back(l, WALLET_REFUND, 7, 1, "r3", "b", &field), RR_CONFLICT);
    /* Not of another user, not of another kind, not of nothing. */
    assert_int_equal(simple(l, WALLET_DEBIT, 7, 100, "b2"), RR_OK);
    assert_int_equal(give_back(l, WALLET_REFUND, 8, 1, "r4", "b2", &field), RR_NOT_FOUND);
    assert_string_equal(field, "of");
    assert_int_equal(give_back(l, WALLET_UNFREEZE, 7, 1, "u", "b2", &field), RR_NOT_FOUND);
    assert_int_equal(give_back(l, WALLET_REFUND, 7, 1, "r4", "d", &field), RR_NOT_FOUND);
    assert_int_equal(give_back(l, WALLET_REFUND, 7, 1, "r4", "none", &field), RR_NOT_FOUND);
    assert_wallet(l, 7, 900, 0);
    /* What somebody else froze is not unfrozen here. */
    assert_int_equal(simple(l, WALLET_FREEZE, 7, 10, "f"), RR_OK);
    testdb_exec(l, "UPDATE wallet SET frozen = frozen + 50 WHERE user_id = 7");
    assert_int_equal(give_back(l, WALLET_UNFREEZE, 7, 11, "u", "f", &field), RR_CONFLICT);
    testdb_close(l);
}

static void bad_requests_are_named(void **state)
{
    static const struct {
        struct wallet_request r;
        const char *field;
    } bad[] = {
        {{.op = WALLET_NONE, .user_id = 1, .amount_fen = 1, .biz_id = "x"}, "op"},
        {{.op = WALLET_OP_COUNT, .user_id = 1, .amount_fen = 1, .biz_id = "x"}, "op"},
        {{.op = WALLET_DEBIT, .user_id = 0, .amount_fen = 1, .biz_id = "x"}, "user"},
        {{.op = WALLET_DEBIT, .user_id = 1, .amount_fen = 0, .biz_id = "x"}, "amount"},
        {{.op = WALLET_DEBIT, .user_id = 1, .amount_fen = -1, .biz_id = "x"}, "amount"},
        {{.op = WALLET_DEBIT, .user_id = 1, .amount_fen = RR_FEN_MAX + 1, .biz_id = "x"}, "amount"},
        {{.op = WALLET_TRANSFER, .user_id = 1, .amount_fen = 1, .biz_id = "x"}, "to"},
        {{.op = WALLET_TRANSFER, .user_id = 1, .to_user_id = 1, .amount_fen = 1, .biz_id = "x"},
         "to"},
        {{.op = WALLET_DEBIT, .user_id = 1, .to_user_id = 2, .amount_fen = 1, .biz_id = "x"}, "to"},
        {{.op = WALLET_REFUND, .user_id = 1, .amount_fen = 1, .biz_id = "x"}, "of"},
        {{.op = WALLET_DEBIT, .user_id = 1, .amount_fen = 1, .biz_id = "x", .of = "y"}, "of"},
        {{.op = WALLET_DEBIT, .user_id = 1, .amount_fen = 1, .biz_id = ""}, "Idempotency-Key"},
        {{.op = WALLET_DEBIT, .user_id = 1, .amount_fen = 1, .biz_id = "a b"}, "Idempotency-Key"},
        {{.op = WALLET_DEBIT, .user_id = 1, .amount_fen = 1, .biz_id = "a\"b"}, "Idempotency-Key"},
    };
    struct ledger *l = testdb_open();
    struct wallet_done done;

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(bad); i++) {
        if (ledger_wallet_op(l, &bad[i].r, &done) != RR_BAD_REQUEST || !done.field ||
            strcmp(done.field, bad[i].field) != 0)
            fail_msg("row %zu: %s", i, done.field ? done.field : "-");
    }
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_wallet_op"), 0);
    testdb_close(l);
}

static void a_wallet_has_an_upper_end(void **state)
{
    struct ledger *l = testdb_open();

    (void)state;
    testdb_exec(l, "INSERT INTO wallet (user_id, balance) VALUES (7, 8999999999999999), (8, 5)");
    assert_int_equal(simple(l, WALLET_DEPOSIT, 7, 2, "d"), RR_CONFLICT);
    assert_int_equal(transfer(l, 8, 7, 2, "t"), RR_CONFLICT);
    assert_wallet(l, 8, 5, 0);
    assert_int_equal(transfer(l, 8, 7, 1, "t"), RR_OK);
    assert_wallet(l, 7, WALLET_FEN_MAX, 0);
    testdb_close(l);
}

static void the_log_has_before_and_after(void **state)
{
    struct ledger *l = testdb_open();
    struct wallet_log_row rows[10];
    uint32_t n = 0;

    (void)state;
    assert_int_equal(simple(l, WALLET_DEPOSIT, 7, 1000, "d"), RR_OK);
    assert_int_equal(simple(l, WALLET_DEPOSIT, 77, 5, "e"), RR_OK);
    assert_int_equal(simple(l, WALLET_FREEZE, 7, 300, "f"), RR_OK);
    assert_int_equal(transfer(l, 7, 77, 100, "t"), RR_OK);
    assert_int_equal(ledger_wallet_log(l, 7, 0, rows, 10, &n), RR_OK);
    assert_int_equal(n, 4);
    assert_string_equal(rows[0].biz_type, "transfer");
    assert_string_equal(rows[0].biz_id, "t");
    assert_int_equal(rows[0].before_fen, 700);
    assert_int_equal(rows[0].delta_fen, -100);
    assert_int_equal(rows[0].after_fen, 600);
    assert_true(rows[1].frozen && !rows[2].frozen);
    assert_int_equal(rows[1].before_fen, 0);
    assert_int_equal(rows[1].after_fen, 300);
    assert_int_equal(rows[3].before_fen, 0);
    assert_int_equal(rows[3].after_fen, 1000);
    /* By pages. */
    assert_int_equal(ledger_wallet_log(l, 7, rows[1].id, rows, 1, &n), RR_OK);
    assert_int_equal(n, 1);
    assert_int_equal(rows[0].delta_fen, -300);
    assert_int_equal(ledger_wallet_log(l, 7, rows[0].id, rows, 10, &n), RR_OK);
    assert_int_equal(n, 1);
    assert_int_equal(rows[0].delta_fen, 1000);
    assert_int_equal(ledger_wallet_log(l, 7, rows[0].id, rows, 10, &n), RR_OK);
    assert_int_equal(n, 0);
    assert_int_equal(ledger_wallet_log(l, 78, 0, rows, 10, &n), RR_OK);
    assert_int_equal(n, 0);
    testdb_close(l);
}

/* ---- many at once ---- */

enum { THREADS = 8, ROUNDS = 25 };

struct racer {
    struct ledger *l;
    pthread_barrier_t *start;
    struct wallet_request r;
    struct wallet_done done;
    enum rr_err err;
    uint32_t index;
};

static void *race_once(void *arg)
{
    struct racer *x = arg;

    ledger_thread_init();
    pthread_barrier_wait(x->start);
    do {
        x->err = ledger_wallet_op(x->l, &x->r, &x->done);
    } while (x->err == RR_RETRY);
    ledger_thread_fini();
    return NULL;
}

static void race(struct racer *x, void *(*run)(void *arg))
{
    pthread_t threads[THREADS];
    pthread_barrier_t start;

    pthread_barrier_init(&start, NULL, THREADS);
    for (uint32_t i = 0; i < THREADS; i++) {
        x[i].start = &start;
        x[i].index = i;
        assert_int_equal(pthread_create(&threads[i], NULL, run, &x[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&start);
}

static void the_same_biz_id_at_once_is_one_effect(void **state)
{
    struct ledger *l = testdb_open();
    struct racer x[THREADS] = {{.l = NULL}};

    (void)state;
    assert_int_equal(simple(l, WALLET_DEPOSIT, 7, 1000, "d"), RR_OK);
    for (uint32_t i = 0; i < THREADS; i++)
        x[i].l = testdb_again();
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t ok = 0;
        uint32_t first = 0;

        for (uint32_t i = 0; i < THREADS; i++) {
            x[i].r = ask(round % 2 ? WALLET_TRANSFER : WALLET_DEBIT, 7, 10, "");
            x[i].r.to_user_id = round % 2 ? 8 : 0;
            snprintf(x[i].r.biz_id, sizeof(x[i].r.biz_id), "r%d", round);
        }
        race(x, race_once);
        for (uint32_t i = 0; i < THREADS; i++) {
            assert_true(x[i].err == RR_OK || x[i].err == RR_DUPLICATE);
            ok += x[i].err == RR_OK;
            first = x[i].err == RR_OK ? i : first;
        }
        assert_int_equal(ok, 1);
        for (uint32_t i = 0; i < THREADS; i++)
            assert_string_equal(x[i].done.answer, x[first].done.answer);
        assert_wallet(l, 7, 1000 - 10 * (round + 1), 0);
    }
    /* The same name for different users: one of them gets it. */
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t ok = 0;

        for (uint32_t i = 0; i < THREADS; i++) {
            x[i].r = ask(WALLET_DEPOSIT, 100 + i, 10, "");
            snprintf(x[i].r.biz_id, sizeof(x[i].r.biz_id), "s%d", round);
        }
        race(x, race_once);
        for (uint32_t i = 0; i < THREADS; i++) {
            assert_true(x[i].err == RR_OK || x[i].err == RR_CONFLICT);
            ok += x[i].err == RR_OK;
        }
        assert_int_equal(ok, 1);
    }
    assert_int_equal(testdb_int(l, "SELECT SUM(balance) FROM wallet WHERE user_id >= 100"),
                     10 * ROUNDS);
    assert_clean(l);
    for (uint32_t i = 0; i < THREADS; i++)
        ledger_destroy(x[i].l);
    testdb_close(l);
}

/* Half of them A to B, half B to A; one balance is often too small. */
static void *race_transfers(void *arg)
{
    struct racer *x = arg;

    ledger_thread_init();
    pthread_barrier_wait(x->start);
    for (int i = 0; i < ROUNDS && (x->err == RR_OK || x->err == RR_NO_MONEY); i++) {
        x->r = ask(WALLET_TRANSFER, x->index % 2 ? 8 : 7, 7 + i % 5, "");
        x->r.to_user_id = x->index % 2 ? 7 : 8;
        snprintf(x->r.biz_id, sizeof(x->r.biz_id), "x%u-%d", x->index, i);
        do {
            x->err = ledger_wallet_op(x->l, &x->r, &x->done);
        } while (x->err == RR_RETRY);
    }
    ledger_thread_fini();
    return NULL;
}

static void opposite_transfers_go_through(void **state)
{
    struct ledger *l = testdb_open();
    struct racer x[THREADS] = {{.l = NULL}};
    uint64_t deadlocks = 0;

    (void)state;
    assert_int_equal(simple(l, WALLET_DEPOSIT, 7, 30, "d7"), RR_OK);
    assert_int_equal(simple(l, WALLET_DEPOSIT, 8, 30, "d8"), RR_OK);
    for (uint32_t i = 0; i < THREADS; i++)
        x[i].l = testdb_again();
    race(x, race_transfers);
    for (uint32_t i = 0; i < THREADS; i++) {
        assert_true(x[i].err == RR_OK || x[i].err == RR_NO_MONEY);
        deadlocks += ledger_counters(x[i].l).deadlocks;
        ledger_destroy(x[i].l);
    }
    assert_int_equal(deadlocks, 0); /* wallets are locked in one order */
    assert_int_equal(testdb_int(l, "SELECT SUM(balance) FROM wallet"), 60);
    assert_clean(l);
    testdb_close(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_operation_moves_its_two_legs),
        cmocka_unit_test(the_first_answer_is_the_answer),
        cmocka_unit_test(a_refusal_moves_nothing_and_is_not_kept),
        cmocka_unit_test(no_more_is_given_back_than_was_taken),
        cmocka_unit_test(bad_requests_are_named),
        cmocka_unit_test(a_wallet_has_an_upper_end),
        cmocka_unit_test(the_log_has_before_and_after),
        cmocka_unit_test(the_same_biz_id_at_once_is_one_effect),
        cmocka_unit_test(opposite_transfers_go_through),
    };

    return cmocka_run_group_tests(tests, testdb_setup, testdb_teardown);
}
