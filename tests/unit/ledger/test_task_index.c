/* Steps that the index of due steps does not show. An index of a real server cannot be damaged by SQL, so what is faked is what the
 * index says of a task. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "saga_env.h"
#include "task.h"

static int64_t hidden; /* id of a task the index lost; 0: none */
static bool steal;     /* another process claims it in between */

enum rr_err __real_task_indexed(struct ledger *led, const struct task *t, bool *indexed);
enum rr_err __wrap_task_indexed(struct ledger *led, const struct task *t, bool *indexed);

enum rr_err __wrap_task_indexed(struct ledger *led, const struct task *t, bool *indexed)
{
    enum rr_err err = __real_task_indexed(led, t, indexed);

    if (t->id == hidden)
        *indexed = false;
    if (t->id == hidden && steal)
        testdb_execf(l, "UPDATE rp_task SET next_at = next_at + 1 WHERE id = %lld",
                     (long long)t->id);
    return err;
}

static int64_t plant(const char *biz_id, int64_t due_ms_ago, int state)
{
    testdb_execf(
        l,
        "INSERT INTO rp_task (biz_id, kind, code, state, next_at, created_at) VALUES ('%s',"
        " 'x', '', %d, " DB_NOW_MS " - %lld, 1)",
        biz_id, state, (long long)due_ms_ago);
    return testdb_intf(l, "SELECT id FROM rp_task WHERE biz_id = '%s'", biz_id);
}

static void only_what_waits_for_long_is_overdue(void **state)
{
    struct task out[8];
    uint32_t n = 0;
    int64_t id = 0;

    (void)state;
    begin();
    plant("soon", -5000, 0);
    plant("due", 20000, 0);
    plant("done", 90000, 1);
    id = plant("overdue", 40000, 0);
    assert_int_equal(task_overdue(l, ledger__now_ms(), 8, out, &n), RR_OK);
    assert_int_equal(n, 1);
    assert_true(out[0].id == id);
    assert_string_equal(out[0].kind, "x");
    plant("overdue2", 40000, 0);
    plant("overdue3", 40000, 0);
    assert_int_equal(task_overdue(l, ledger__now_ms(), 2, out, &n), RR_OK);
    assert_int_equal(n, 2);
    end();
}

static bool plan_uses_ix_due(const char *sql)
{
    struct db_rows rows = {.cols = 0};
    bool uses = false;

    assert_int_equal(db_select(l->db, sql, DB_ARGS(db_int(0), db_int(8)), &rows), RR_OK);
    assert_true(rows.n == 1 && rows.cols > 5);
    uses = rr_slice_eq_str(db_text(&rows, 0, 5), "ix_due"); /* column "key" */
    db_rows_fini(&rows);
    return uses;
}

/* Read by the rows: the damaged index must have no part in it. Left alone, the server would take it. */
static void the_index_is_not_asked(void **state)
{
    (void)state;
    begin();
    testdb_exec(l, "INSERT INTO rp_task (biz_id, kind, code, state, next_at, created_at)"
                   " SELECT CONCAT('t', seq), 'x', '', 1, 1, 1 FROM seq_1_to_2000");
    plant("overdue", 40000, 0);
    testdb_exec(l, "ANALYZE TABLE rp_task");
    assert_true(plan_uses_ix_due("EXPLAIN SELECT id, arg, ver, tries, kind, code, next_at"
                                 " FROM rp_task WHERE state = 0 AND next_at <= " DB_NOW_MS
                                 " + ? ORDER BY id LIMIT ?"));
    assert_false(plan_uses_ix_due("EXPLAIN " TASK_OVERDUE_SQL));
    end();
}

static void what_the_index_shows_is_left_to_the_claims(void **state)
{
    uint32_t found = 1;

    (void)state;
    begin();
    plant("overdue", 40000, 0);
    assert_int_equal(saga_run_unindexed(&saga, ledger__now_ms(), &found), RR_OK);
    assert_int_equal(found, 0);
    assert_int_equal(testdb_int(l, "SELECT tries FROM rp_task"), 0);
    end();
}

static void a_close_that_the_index_hides_is_run(void **state)
{
    struct rain_info r;
    uint32_t found = 0;

    (void)state;
    begin();
    r = started(1000, 10, 2, 1);
    testdb_execf(l, "UPDATE rp_task SET next_at = " DB_NOW_MS " - 60000 WHERE biz_id = 'close:%s'",
                 r.code);
    hidden = testdb_intf(l, "SELECT id FROM rp_task WHERE biz_id = 'close:%s'", r.code);
    f.now_ms += 60000;
    assert_int_equal(saga_run_unindexed(&saga, ledger__now_ms(), &found), RR_OK);
    assert_int_equal(found, 1);
    assert_int_equal(testdb_intf(l, "SELECT state FROM rp_task WHERE id = %lld", (long long)hidden),
                     1);
    assert_int_equal(ledger_rain_get(l, r.code, &r), RR_OK);
    assert_int_equal(r.status, RAIN_SETTLED);
    assert_int_equal(saga_run_unindexed(&saga, ledger__now_ms(), &found), RR_OK);
    assert_int_equal(found, 0);
    hidden = 0;
    end();
}

static void a_claim_in_between_wins(void **state)
{
    uint32_t found = 1;

    (void)state;
    begin();
    hidden = plant("overdue", 40000, 0);
    steal = true;
    assert_int_equal(saga_run_unindexed(&saga, ledger__now_ms(), &found), RR_OK);
    assert_int_equal(found, 0);
    assert_int_equal(testdb_int(l, "SELECT tries FROM rp_task"), 0);
    hidden = 0;
    steal = false;
    end();
}

static void count_complaint(void *arg, const char *table, const char *said)
{
    (void)table;
    (void)said;
    ++*(int *)arg;
}

static void whole_tables_are_not_complained_of(void **state)
{
    int complaints = 0;

    (void)state;
    begin();
    assert_int_equal(ledger_check_tables(l, count_complaint, &complaints), RR_OK);
    assert_int_equal(complaints, 0);
    testdb_exec(l, "RENAME TABLE rp_task TO hidden_task");
    assert_int_equal(ledger_check_tables(l, count_complaint, &complaints), RR_OK);
    assert_true(complaints > 0);
    testdb_exec(l, "RENAME TABLE hidden_task TO rp_task");
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_waits_for_long_is_overdue),
        cmocka_unit_test(the_index_is_not_asked),
        cmocka_unit_test(what_the_index_shows_is_left_to_the_claims),
        cmocka_unit_test(a_close_that_the_index_hides_is_run),
        cmocka_unit_test(a_claim_in_between_wins),
        cmocka_unit_test(whole_tables_are_not_complained_of),
    };

    return cmocka_run_group_tests(tests, testdb_setup, testdb_teardown);
}
