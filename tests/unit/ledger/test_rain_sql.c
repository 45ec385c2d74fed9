/* Wallets, creating rains and reading them, on a real MariaDB. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ledger_impl.h"
#include "testdb.h"

static struct rain_spec spec_of(int64_t sender, int64_t total_fen, uint32_t count, uint32_t shards,
                                const char *biz_id)
{
    struct rain_spec s = {.kind = KIND_RAIN,
                          .sender_id = sender,
                          .total_fen = total_fen,
                          .lo_fen = 1,
                          .hi_fen = total_fen,
                          .duration_ms = 30000,
                          .count = count,
                          .limit = 1,
                          .shards = shards,
                          .split = RAIN_DOUBLE_MEAN};

    strcpy(s.room_id, "r1");
    strcpy(s.biz_id, biz_id);
    strcpy(s.text, "恭喜发财 '); --");
    return s;
}

static void migrate_twice_is_a_noop(void **state)
{
    struct ledger *l = testdb_open();
    int64_t files = testdb_int(l, "SELECT COUNT(*) FROM rp_schema");

    (void)state;
    assert_int_equal(ledger_migrate(l), RR_OK);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_schema"), files);
    testdb_close(l);
}

static void ping_without_schema_says_migrate(void **state)
{
    struct ledger *l = testdb_open();

    (void)state;
    testdb_exec(l, "DROP TABLE rp_schema");
    assert_int_equal(ledger_ping(l), RR_UNAVAILABLE);
    assert_non_null(strstr(ledger_error(l), "migrate"));
    testdb_close(l);
}

/* Expanded it serves older programs; contracted it says whom no more. */
static void ping_of_a_newer_schema(void **state)
{
    struct ledger *l = testdb_open();

    (void)state;
    testdb_exec(l, "INSERT INTO rp_schema (version, name) VALUES (998, 'adds something')");
    assert_int_equal(ledger_ping(l), RR_OK);
    testdb_exec(l, "INSERT INTO rp_schema (version, name, compatible_from)"
                   " VALUES (999, 'takes something away', 998)");
    assert_int_equal(ledger_ping(l), RR_UNAVAILABLE);
    assert_non_null(strstr(ledger_error(l), "too new: it needs a program of version 998"));
    testdb_exec(l, "DELETE FROM rp_schema WHERE version = 999");
    assert_int_equal(ledger_ping(l), RR_OK);
    testdb_exec(l, "DELETE FROM rp_schema WHERE version = 7");
    assert_int_equal(ledger_ping(l), RR_UNAVAILABLE);
    assert_non_null(strstr(ledger_error(l), "is old: run redrainctl migrate"));
    testdb_exec(l, "ALTER TABLE rp_schema DROP COLUMN compatible_from");
    assert_int_equal(ledger_ping(l), RR_UNAVAILABLE);
    assert_non_null(strstr(ledger_error(l), "is old: run redrainctl migrate"));
    testdb_close(l);
}

static void ping_without_server_is_unavailable(void **state)
{
    struct ledger_opts o = {.url = "mysql://u:p%40ss@127.0.0.1:1/x", .namespace_ = "n_"};
    struct ledger *l = NULL;

    (void)state;
    assert_int_equal(ledger_create(&l, &o), RR_OK);
    assert_int_equal(ledger_ping(l), RR_UNAVAILABLE);
    assert_null(strstr(ledger_error(l), "p@ss"));
    ledger_destroy(l);
}

static void deposit_twice_pays_once(void **state)
{
    struct ledger *l = testdb_open();
    struct wallet w;

    (void)state;
    assert_int_equal(ledger_deposit(l, 7, 500, "d'1", &w), RR_OK);
    assert_int_equal(w.balance_fen, 500);
    assert_int_equal(ledger_deposit(l, 7, 500, "d'1", &w), RR_DUPLICATE);
    assert_int_equal(w.balance_fen, 500);
    assert_int_equal(ledger_deposit(l, 7, 501, "d'1", &w), RR_CONFLICT);
    assert_int_equal(ledger_deposit(l, 8, 500, "d'1", &w), RR_CONFLICT);
    assert_int_equal(ledger_deposit(l, 7, 20, "d2", &w), RR_OK);
    assert_int_equal(w.balance_fen, 520);
    assert_int_equal(testdb_int(l, "SELECT SUM(delta) FROM account_log"), 0);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM account_log"), 4);
    assert_int_equal(ledger_deposit(l, 0, 20, "d3", &w), RR_BAD_REQUEST);
    assert_int_equal(ledger_deposit(l, 7, 0, "d3", &w), RR_BAD_REQUEST);
    assert_int_equal(ledger_deposit(l, 7, RR_FEN_MAX + 1, "d3", &w), RR_BAD_REQUEST);
    assert_int_equal(ledger_deposit(l, 7, 1, "", &w), RR_BAD_REQUEST);
    assert_int_equal(ledger_deposit(l, 7, 1, "a b", &w), RR_BAD_REQUEST);
    assert_int_equal(ledger_wallet(l, 99, &w), RR_OK);
    assert_int_equal(w.balance_fen, 0);
    testdb_close(l);
}

static void create_moves_money_into_escrow(void **state)
{
    struct ledger *l = testdb_open();
    struct rain_spec s = spec_of(7, 10000, 101, 3, "c1");
    struct rain_info r;
    struct rain_info again;
    struct wallet w;
    int64_t *amounts_fen = NULL;
    int64_t sum_fen = 0;

    (void)state;
    assert_int_equal(ledger_deposit(l, 7, 15000, "d1", &w), RR_OK);
    assert_int_equal(ledger_rain_create(l, &s, &r), RR_OK);
    assert_int_equal(r.status, RAIN_CREATED);
    assert_int_equal(ledger_wallet(l, 7, &w), RR_OK);
    assert_int_equal(w.balance_fen, 5000);
    assert_int_equal(w.frozen_fen, 0);
    assert_int_equal(testdb_int(l, "SELECT SUM(remain) FROM rp_escrow"), 10000);
    assert_int_equal(testdb_int(l, "SELECT SUM(delta) FROM account_log WHERE biz_type='create'"),
                     0);

    assert_int_equal(ledger_rain_get(l, r.code, &again), RR_OK);
    assert_string_equal(again.spec.text, s.text);
    assert_string_equal(again.spec.biz_id, "c1");
    assert_string_equal(again.seed_hash, r.seed_hash);
    assert_memory_equal(again.seed, r.seed, RAIN_SEED_BYTES);
    assert_int_equal(again.remain_fen, 10000);
    assert_int_equal(ledger_rain_amounts(l, &again, &amounts_fen), RR_OK);
    for (uint32_t i = 0; i < 101; i++)
        sum_fen += amounts_fen[i];
    assert_int_equal(sum_fen, 10000);
    free(amounts_fen);

    for (uint32_t shard = 0; shard < 3; shard++) {
        const struct cached_rain *cached = NULL;
        int64_t shard_fen = 0;

        assert_int_equal(rain_cache_get(l, r.code, &cached), RR_OK);
        for (uint32_t no = 0; cached_rain_amount(cached, shard, no) >= 0; no++)
            shard_fen += cached_rain_amount(cached, shard, no);
        assert_int_equal(testdb_intf(l, "SELECT total FROM rp_escrow WHERE shard = %u", shard),
                         shard_fen);
        assert_int_equal(cached_rain_amount(cached, 3, 0), -1);
    }
    testdb_close(l);
}

static void create_again_returns_the_first(void **state)
{
    struct ledger *l = testdb_open();
    struct rain_spec s = spec_of(7, 1000, 10, 1, "c1");
    struct rain_spec other = s;
    struct rain_info r;
    struct rain_info again;
    struct wallet w;

    (void)state;
    assert_int_equal(ledger_deposit(l, 7, 5000, "d1", &w), RR_OK);
    assert_int_equal(ledger_rain_create(l, &s, &r), RR_OK);
    assert_int_equal(ledger_rain_create(l, &s, &again), RR_DUPLICATE);
    assert_string_equal(r.code, again.code);
    other.count = 11;
    assert_int_equal(ledger_rain_create(l, &other, &again), RR_CONFLICT);
    assert_int_equal(ledger_wallet(l, 7, &w), RR_OK);
    assert_int_equal(w.balance_fen, 4000);
    testdb_close(l);
}

static void create_without_money_changes_nothing(void **state)
{
    struct ledger *l = testdb_open();
    struct rain_spec s = spec_of(7, 1000, 10, 1, "c1");
    struct rain_info r;
    struct wallet w;

    (void)state;
    assert_int_equal(ledger_rain_create(l, &s, &r), RR_NO_MONEY);
    assert_int_equal(ledger_deposit(l, 7, 999, "d1", &w), RR_OK);
    assert_int_equal(ledger_rain_create(l, &s, &r), RR_NO_MONEY);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM t_red_packet_config"), 0);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_escrow"), 0);
    assert_int_equal(ledger_deposit(l, 7, 1, "d2", &w), RR_OK);
    assert_int_equal(ledger_rain_create(l, &s, &r), RR_OK);
    assert_int_equal(ledger_wallet(l, 7, &w), RR_OK);
    assert_int_equal(w.balance_fen, 0);
    testdb_close(l);
}

static void list_filters_by_room_and_sender(void **state)
{
    struct ledger *l = testdb_open();
    struct rain_info r[8];
    struct rain_info made;
    struct wallet w;
    uint32_t n = 0;

    (void)state;
    assert_int_equal(ledger_deposit(l, 7, 5000, "d1", &w), RR_OK);
    assert_int_equal(ledger_deposit(l, 8, 5000, "d2", &w), RR_OK);
    for (int i = 0; i < 4; i++) {
        char biz_id[8] = {'c', (char)('0' + i), 0};
        struct rain_spec s = spec_of(i % 2 ? 7 : 8, 1000, 10, 2, biz_id);

        if (i == 3)
            strcpy(s.room_id, "r2");
        assert_int_equal(ledger_rain_create(l, &s, &made), RR_OK);
    }
    assert_int_equal(ledger_rain_list(l, "r1", 0, r, 8, &n), RR_OK);
    assert_int_equal(n, 3);
    assert_string_equal(r[0].spec.biz_id, "c2");
    assert_int_equal(ledger_rain_list(l, NULL, 7, r, 8, &n), RR_OK);
    assert_int_equal(n, 2);
    assert_int_equal(ledger_rain_list(l, "r2", 7, r, 8, &n), RR_OK);
    assert_int_equal(n, 1);
    assert_string_equal(r[0].code, made.code);
    assert_int_equal(r[0].remain_fen, 1000);
    assert_int_equal(ledger_rain_list(l, NULL, 0, r, 2, &n), RR_OK);
    assert_int_equal(n, 2);
    assert_int_equal(ledger_rain_get(l, "AAAAAAAAAAAAAAAAAAAAAA", &made), RR_NOT_FOUND);
    /* A sender's pages: the newest, then what is older than its last. */
    assert_int_equal(ledger_sent_list(l, 7, "", r, 1, &n), RR_OK);
    assert_int_equal(n, 1);
    assert_string_equal(r[0].spec.biz_id, "c3");
    assert_int_equal(ledger_sent_list(l, 7, r[0].code, &r[1], 2, &n), RR_OK);
    assert_int_equal(n, 1);
    assert_string_equal(r[1].spec.biz_id, "c1");
    assert_int_equal(ledger_sent_list(l, 7, r[1].code, &r[2], 2, &n), RR_OK);
    assert_int_equal(n, 0);
    assert_int_equal(ledger_sent_list(l, 8, r[0].code, &r[2], 2, &n), RR_OK); /* not his */
    assert_int_equal(n, 0);
    testdb_close(l);
}

static void a_killed_connection_is_replaced(void **state)
{
    struct ledger *l = testdb_open();
    struct ledger *other = testdb_again();
    struct wallet w;

    (void)state;
    int64_t id = testdb_int(l, "SELECT CONNECTION_ID()");
    testdb_execf(other, "KILL %lld", (long long)id);
    /* A transaction's first statement is sent again on a new connection; a lone read reports it once. */
    assert_int_equal(ledger_deposit(l, 7, 5, "d1", &w), RR_OK);
    ledger_destroy(other);
    testdb_close(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(migrate_twice_is_a_noop),
        cmocka_unit_test(ping_without_schema_says_migrate),
        cmocka_unit_test(ping_of_a_newer_schema),
        cmocka_unit_test(ping_without_server_is_unavailable),
        cmocka_unit_test(deposit_twice_pays_once),
        cmocka_unit_test(create_moves_money_into_escrow),
        cmocka_unit_test(create_again_returns_the_first),
        cmocka_unit_test(create_without_money_changes_nothing),
        cmocka_unit_test(list_filters_by_room_and_sender),
        cmocka_unit_test(a_killed_connection_is_replaced),
    };

    return cmocka_run_group_tests(tests, testdb_setup, testdb_teardown);
}
