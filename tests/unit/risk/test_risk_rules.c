/* The table of rules, days, and the cell threads read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "risk/rules.h"

static void every_rule_has_a_name_a_text_and_a_stage(void **state)
{
    (void)state;
    for (int r = 0; r < RISK_RULES; r++) {
        assert_true(strlen(risk_rule_name((enum risk_rule)r)) > 0);
        assert_true(strlen(risk_rule_name((enum risk_rule)r)) <= 24);
        assert_true(strlen(risk_rule_text((enum risk_rule)r)) > 0);
    }
    assert_string_equal(risk_rule_name(RISK_NONE), "none");
    assert_string_equal(risk_rule_text(RISK_NONE), "");
    assert_int_equal(risk_rule_stage(RISK_OWN), RISK_STAGE_DENY);
    assert_int_equal(risk_rule_stage(RISK_ANCHOR_DAY), RISK_STAGE_DENY);
    assert_int_equal(risk_rule_stage(RISK_GRAB_FEN), RISK_STAGE_HOLD);
    assert_int_equal(risk_rule_stage(RISK_FRESH), RISK_STAGE_HOLD);
}

static void rules_come_from_the_configuration(void **state)
{
    const char *flags[] = {"risk.deny_own=false", "risk.hold_grab_fen=77",
                           "risk.utc_offset_min=60"};
    char message[200];
    struct rr_conf c;
    struct risk_rules r;

    (void)state;
    assert_int_equal(rr_conf_load(&c, NULL, flags, 3, message, sizeof(message)), RR_OK);
    risk_rules_read(&r, &c);
    assert_int_equal(r.v[RISK_OWN], 0);
    assert_int_equal(r.v[RISK_GRAB_FEN], 77);
    assert_int_equal(r.v[RISK_RATE], c.risk_deny_grabs_per_min);
    assert_int_equal(r.day_offset_ms, 3600000);
    rr_conf_fini(&c);
}

static void a_day_begins_where_the_rules_count(void **state)
{
    const int64_t china = 8 * 3600000;
    const int64_t noon = 20000 * 86400000LL + 12 * 3600000; /* UTC */

    (void)state;
    assert_int_equal(risk_day(noon, 0), 20000);
    assert_int_equal(risk_day(noon, china), 20000);
    assert_int_equal(risk_day(noon + 4 * 3600000 - 1, china), 20000);
    assert_int_equal(risk_day(noon + 4 * 3600000, china), 20001);
    assert_int_equal(risk_day_start_ms(20001, china), noon + 4 * 3600000);
    assert_int_equal(risk_day(-1, 0), -1);
    assert_int_equal(risk_day(-86400000, 0), -1);
    assert_int_equal(risk_day(0, -3600000), -1);
}

static void a_cell_says_what_it_was_told(void **state)
{
    struct risk_cell cell;
    struct risk_rules in = {.day_offset_ms = 5};
    struct risk_rules out;

    (void)state;
    memset(&cell, 0, sizeof(cell));
    risk_cell_get(&cell, &out);
    for (int r = 0; r < RISK_RULES; r++) {
        assert_int_equal(out.v[r], 0);
        in.v[r] = 100 + r;
    }
    risk_cell_set(&cell, &in);
    risk_cell_get(&cell, &out);
    assert_memory_equal(&in, &out, sizeof(in));
    risk_cell_get(NULL, &out);
    assert_int_equal(out.v[RISK_GRAB_FEN], 0);
    assert_int_equal(out.day_offset_ms, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rule_has_a_name_a_text_and_a_stage),
        cmocka_unit_test(rules_come_from_the_configuration),
        cmocka_unit_test(a_day_begins_where_the_rules_count),
        cmocka_unit_test(a_cell_says_what_it_was_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
