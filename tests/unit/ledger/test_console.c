/* Rows of rp_audit and rp_template, and the checker's word on a rain, on a real MariaDB. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ledger/console.h"
#include "rains.h"
#include "testdb.h"

static struct audit_row row_of(const char *room, const char *action)
{
    struct audit_row row = {.user_id = 9};

    snprintf(row.room_id, sizeof(row.room_id), "%s", room);
    snprintf(row.action, sizeof(row.action), "%s", action);
    snprintf(row.detail, sizeof(row.detail), "公告 '); --");
    return row;
}

static void audit_begins_and_ends(void **state)
{
    struct ledger *l = testdb_open();
    struct audit_row row = row_of("r1", "CLOSE");
    struct audit_row out[4];
    uint32_t n = 0;

    (void)state;
    assert_int_equal(ledger_audit_begin(l, &row), RR_OK);
    assert_true(row.id > 0 && row.at_ms > 0);
    assert_int_equal(ledger_audit_page(l, "r1", 0, out, 4, &n), RR_OK);
    assert_int_equal(n, 1);
    assert_string_equal(out[0].result, ""); /* not known to have ended */
    assert_int_equal(out[0].ended_ms, 0);
    assert_string_equal(out[0].detail, "公告 '); --");
    strcpy(row.result, "CONFLICT");
    assert_int_equal(ledger_audit_end(l, &row), RR_OK);
    strcpy(row.result, "OK"); /* what is told once stays */
    assert_int_equal(ledger_audit_end(l, &row), RR_OK);
    assert_int_equal(ledger_audit_page(l, "r1", 0, out, 4, &n), RR_OK);
    assert_string_equal(out[0].result, "CONFLICT");
    assert_true(out[0].ended_ms >= out[0].at_ms);
    testdb_close(l);
}

static void audit_pages_of_a_room(void **state)
{
    struct ledger *l = testdb_open();
    struct audit_row out[4];
    uint32_t n = 0;

    (void)state;
    for (int i = 0; i < 9; i++) {
        struct audit_row row = row_of(i % 3 == 2 ? "other" : "r1", "MUTE");

        strcpy(row.result, "OK");
        assert_int_equal(ledger_audit_begin(l, &row), RR_OK);
    }
    assert_int_equal(ledger_audit_page(l, "r1", 0, out, 4, &n), RR_OK);
    assert_int_equal(n, 4);
    assert_true(out[0].id > out[1].id && out[2].id > out[3].id);
    assert_int_equal(ledger_audit_page(l, "r1", out[3].id, out, 4, &n), RR_OK);
    assert_int_equal(n, 2);
    for (uint32_t i = 0; i < n; i++)
        assert_string_equal(out[i].room_id, "r1");
    assert_int_equal(ledger_audit_page(l, "nobody", 0, out, 4, &n), RR_OK);
    assert_int_equal(n, 0);
    testdb_close(l);
}

static void templates_are_few_and_ones_own(void **state)
{
    struct ledger *l = testdb_open();
    struct template_row out[TEMPLATES_MAX];
    char name[16];
    uint32_t n = 0;

    (void)state;
    for (int i = 0; i < TEMPLATES_MAX; i++) {
        snprintf(name, sizeof(name), "t%02d", i);
        assert_int_equal(ledger_template_put(l, 9, rr_slice_str(name), rr_slice_str("{}")), RR_OK);
    }
    assert_int_equal(ledger_template_put(l, 9, rr_slice_str("more"), rr_slice_str("{}")), RR_FULL);
    assert_int_equal(ledger_template_put(l, 9, rr_slice_str("t03"), rr_slice_str("{\"a\":1}")),
                     RR_OK); /* one of them again */
    assert_int_equal(ledger_template_list(l, 9, out, &n), RR_OK);
    assert_int_equal(n, TEMPLATES_MAX);
    assert_string_equal(out[3].name, "t03");
    assert_string_equal(out[3].spec, "{\"a\":1}");
    assert_int_equal(ledger_template_remove(l, 8, rr_slice_str("t03")), RR_OK); /* another's */
    assert_int_equal(ledger_template_remove(l, 9, rr_slice_str("t00")), RR_OK);
    assert_int_equal(ledger_template_list(l, 9, out, &n), RR_OK);
    assert_int_equal(n, TEMPLATES_MAX - 1);
    assert_int_equal(ledger_template_list(l, 8, out, &n), RR_OK);
    assert_int_equal(n, 0);
    testdb_close(l);
}

static void the_checker_is_asked_once_a_rain_is_over(void **state)
{
    struct ledger *l = testdb_open();
    struct rain_info r = rain_create(l, 1000, 10, 1, 1);
    struct rain_checked c;

    (void)state;
    assert_int_equal(ledger_rain_checked(l, &r, &c), RR_CONFLICT);
    testdb_execf(l, "UPDATE t_red_packet_config SET status = 6 WHERE config_code = '%s'", r.code);
    r.status = RAIN_CANCELLED;
    assert_int_equal(ledger_rain_checked(l, &r, &c), RR_OK); /* called off, its money still there */
    assert_true(c.findings > 0);
    testdb_execf(l, "UPDATE rp_escrow SET refunded = total, remain = 0 WHERE code = '%s'", r.code);
    testdb_execf(l, "INSERT INTO rp_checked (code, checked_at) VALUES ('%s', 4242)", r.code);
    assert_int_equal(ledger_rain_checked(l, &r, &c), RR_OK); /* an earlier run's word */
    assert_int_equal(c.findings, 0);
    assert_int_equal(c.at_ms, 4242);
    /* One with findings is not remembered. */
    testdb_exec(l, "DELETE FROM rp_checked");
    assert_int_equal(ledger_rain_checked(l, &r, &c), RR_OK);
    assert_true(c.findings > 0);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_checked"), 0);
    testdb_close(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(audit_begins_and_ends),
        cmocka_unit_test(audit_pages_of_a_room),
        cmocka_unit_test(templates_are_few_and_ones_own),
        cmocka_unit_test(the_checker_is_asked_once_a_rain_is_over),
    };

    return cmocka_run_group_tests(tests, testdb_setup, testdb_teardown);
}
