/* Closing a shard while its records are being settled, and closing it twice: no packet is both paid and refunded. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rains.h"
#include "saga_impl.h"
#include "testdb.h"

enum { PACKETS = 40, ROUNDS = 40 };

static struct escrow_row row_of(struct ledger *l, const struct rain_info *r)
{
    struct escrow_row rows[RR_SHARDS_MAX];

    assert_int_equal(escrow_read(l, r, rows), RR_OK);
    return rows[0];
}

/* What the packets from k on are worth. */
static int64_t rest_fen(struct ledger *l, const struct rain_info *r, uint32_t k)
{
    int64_t sum_fen = 0;

    for (; k < PACKETS; k++)
        sum_fen += rain_amount(l, r, 0, k);
    return sum_fen;
}

struct settling {
    struct ledger *l;
    struct settle_batch batch;
    pthread_barrier_t *start;
    enum rr_err err;
    uint32_t settled;
    uint32_t conflicts;
};

static void *settle(void *arg)
{
    struct settling *s = arg;
    struct settle_outcome o = {.settled = 0};
    int64_t sql_offset = 0;

    ledger_thread_init();
    pthread_barrier_wait(s->start);
    do {
        s->err = ledger_settle(s->l, &s->batch, &o, &sql_offset);
    } while (s->err == RR_RETRY);
    s->settled = o.settled;
    s->conflicts = o.conflicts;
    settle_outcome_fini(&o);
    ledger_thread_fini();
    return NULL;
}

static void a_packet_is_paid_or_refunded_never_both(void **state)
{
    struct ledger *l = testdb_open();
    struct ledger *other = testdb_again();
    struct settle_item items[PACKETS];
    int64_t unaccounted_fen = -1;

    (void)state;
    for (int32_t round = 0; round < ROUNDS; round++) {
        struct rain_info r = rain_sent(l, 10000, PACKETS, 1, 1);
        struct escrow_row row = row_of(l, &r);
        pthread_barrier_t start;
        struct settling s = {.l = other, .start = &start};
        pthread_t thread;
        int64_t fen = 0;

        for (uint32_t i = 0; i < PACKETS; i++)
            items[i] = item_at(l, &r, 0, i, 1 + i, 0, i);
        s.batch = batch_of(items, PACKETS, 0);
        s.batch.partition = round;
        assert_int_equal(ledger_offset_move(l, TOPIC, round, LEDGER_NO_OFFSET, 0), RR_OK);
        pthread_barrier_init(&start, NULL, 2);
        assert_int_equal(pthread_create(&thread, NULL, settle, &s), 0);
        pthread_barrier_wait(&start);
        assert_int_equal(escrow_close(l, r.code, &row, PACKETS / 2), RR_OK);
        fen = rest_fen(l, &r, row.granted_k);
        assert_int_equal(escrow_refund(l, &r, &row, fen), RR_OK);
        pthread_join(thread, NULL);
        pthread_barrier_destroy(&start);
        assert_int_equal(s.err, RR_OK);
        /* Whoever was first: all of it was paid before, or only what the close counted. */
        assert_int_equal(s.settled, row.granted_k);
        assert_int_equal(s.conflicts, PACKETS - row.granted_k);
        row = row_of(l, &r);
        assert_int_equal(row.remain_fen, 0);
    }
    assert_int_equal(ledger_verify(l, NULL, NULL, NULL, &unaccounted_fen), RR_OK);
    assert_int_equal(unaccounted_fen, 0);
    assert_int_equal(testdb_int(l, "SELECT MAX(findings) FROM rp_check"), 0);
    ledger_destroy(other);
    testdb_close(l);
}

static void a_refund_happens_once(void **state)
{
    struct ledger *l = testdb_open();
    struct rain_info r = rain_sent(l, 1000, PACKETS, 1, 1);
    struct escrow_row row = row_of(l, &r);
    struct escrow_row again = row;
    int64_t fen = rest_fen(l, &r, 5);

    (void)state;
    assert_int_equal(escrow_close(l, r.code, &row, 5), RR_OK);
    assert_int_equal(escrow_refund(l, &r, &row, fen), RR_OK);
    assert_int_equal(balance_of(l, SENDER), fen);
    /* A second closer with an older view gets what stands, and its refund is the same one. */
    assert_int_equal(escrow_close(l, r.code, &again, 3), RR_OK);
    assert_int_equal(again.granted_k, 5);
    assert_int_equal(escrow_refund(l, &r, &again, fen), RR_OK);
    assert_int_equal(balance_of(l, SENDER), fen);
    assert_int_equal(escrow_void(l, &r, &row, 2, rain_amount(l, &r, 0, 2)), RR_OK);
    assert_int_equal(escrow_void(l, &r, &row, 2, rain_amount(l, &r, 0, 2)), RR_OK);
    assert_int_equal(balance_of(l, SENDER), fen + rain_amount(l, &r, 0, 2));
    testdb_close(l);
}

/* The books know of more grants than the pool says: what is paid is never refunded. */
static void the_books_outvote_the_pool(void **state)
{
    struct ledger *l = testdb_open();
    struct rain_info r = rain_sent(l, 1000, PACKETS, 1, 1);
    struct escrow_row row = row_of(l, &r);
    struct settle_item item = item_at(l, &r, 0, 9, 1, 0, 0);
    struct settle_batch b = batch_of(&item, 1, 0);
    struct settle_outcome o;
    int64_t sql_offset = 0;

    (void)state;
    assert_int_equal(ledger_offset_move(l, TOPIC, 0, LEDGER_NO_OFFSET, 0), RR_OK);
    assert_int_equal(ledger_settle(l, &b, &o, &sql_offset), RR_OK);
    settle_outcome_fini(&o);
    assert_int_equal(escrow_close(l, r.code, &row, 4), RR_OK);
    assert_int_equal(row.granted_k, 10);
    testdb_close(l);
}

static void a_shard_of_another_run_is_not_closed(void **state)
{
    struct ledger *l = testdb_open();
    struct rain_info r = rain_sent(l, 1000, PACKETS, 1, 1);
    struct escrow_row row = row_of(l, &r);

    (void)state;
    strcpy(row.rid, OLD_RID);
    assert_int_equal(escrow_close(l, r.code, &row, 4), RR_CONFLICT);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_escrow WHERE granted_k IS NULL"), 1);
    testdb_close(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_packet_is_paid_or_refunded_never_both),
        cmocka_unit_test(a_refund_happens_once),
        cmocka_unit_test(the_books_outvote_the_pool),
        cmocka_unit_test(a_shard_of_another_run_is_not_closed),
    };

    return cmocka_run_group_tests(tests, testdb_setup, testdb_teardown);
}
