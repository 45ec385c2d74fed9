/* Load shedding: which level follows which, and how long it takes. */
#include "cm.h"

#include <string.h>

#include "shed.h"

enum { MS = 1000, TICK = 100 * MS };

static struct shed s;
static struct shed_view v;

static int setup(void **state)
{
    (void)state;
    memset(&s, 0, sizeof(s));
    s.opts = (struct shed_opts){.lag_us = 200 * MS, .queue_bytes = 1000, .hold_us = 2000 * MS};
    v = (struct shed_view){.now_us = 5000 * MS};
    return 0;
}

/* So long, in steps of 100 ms; how often the level changed. */
static int pass(int64_t us)
{
    int changes = 0;

    for (int64_t end_us = v.now_us + us; v.now_us < end_us;) {
        enum shed_level before = s.level;
        bool changed = false;

        v.now_us += TICK;
        changed = shed_step(&s, &v);
        assert_int_equal(changed, s.level != before);
        if (changed)
            assert_true(s.level == before + 1 || before == s.level + 1);
        changes += changed;
    }
    return changes;
}

static void test_nothing_without_pressure(void **state)
{
    (void)state;
    v.lag_us = 199 * MS;
    v.queue_bytes = 999;
    assert_int_equal(pass(60 * 1000 * MS), 0);
    assert_int_equal(s.level, SHED_NONE);
}

/* Each level has its pressure, by lag and by bytes, and lasting pressure goes no further. */
static void test_each_level_has_its_pressure(void **state)
{
    static const struct {
        int64_t lag_us;
        int64_t bytes;
        enum shed_level level;
    } rows[] = {
        {200 * MS, 0, SHED_CONNECTIONS}, {299 * MS, 0, SHED_CONNECTIONS},
        {300 * MS, 0, SHED_LATEST},      {399 * MS, 0, SHED_LATEST},
        {400 * MS, 0, SHED_COMMANDS},    {599 * MS, 0, SHED_COMMANDS},
        {600 * MS, 0, SHED_GRABS},       {60000 * MS, 0, SHED_GRABS},
        {0, 1000, SHED_CONNECTIONS},     {0, 1500, SHED_LATEST},
        {0, 2000, SHED_COMMANDS},        {0, 3000, SHED_GRABS},
        {100 * MS, 2999, SHED_COMMANDS}, {450 * MS, 1000, SHED_COMMANDS},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        setup(state);
        v.lag_us = rows[i].lag_us;
        v.stall_us = rows[i].lag_us;
        v.queue_bytes = rows[i].bytes;
        pass(60 * 1000 * MS);
        assert_int_equal(s.level, rows[i].level);
    }
}

/* Turns of the loop may be long while grabs go on in between; they are refused when these stand still too. */
static void test_a_long_turn_refuses_no_grabs(void **state)
{
    (void)state;
    v.lag_us = 5000 * MS;
    v.stall_us = 599 * MS;
    pass(60 * 1000 * MS);
    assert_int_equal(s.level, SHED_COMMANDS);
    v.stall_us = 600 * MS;
    pass(60 * 1000 * MS);
    assert_int_equal(s.level, SHED_GRABS);
    v.stall_us = 10 * MS;
    pass(60 * 1000 * MS);
    assert_int_equal(s.level, SHED_COMMANDS);
}

static void test_one_level_at_a_time(void **state)
{
    (void)state;
    v.lag_us = v.stall_us = 5000 * MS;
    assert_int_equal(pass(500 * MS), 0);
    for (int level = SHED_CONNECTIONS; level <= SHED_GRABS; level++) {
        assert_int_equal(pass(600 * MS), 1);
        assert_int_equal(s.level, level);
    }
    assert_int_equal(pass(60 * 1000 * MS), 0);
}

/* A process that stood still for long has one late tick. */
static void test_a_spike_is_no_pressure(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        v.lag_us = 10000 * MS;
        assert_int_equal(pass(TICK), 0);
        v.now_us += 10000 * MS;
        v.lag_us = 0;
        assert_int_equal(pass(TICK), 0);
    }
}

static void test_down_one_by_one_after_the_hold(void **state)
{
    (void)state;
    v.lag_us = v.stall_us = 700 * MS;
    pass(10 * 1000 * MS);
    assert_int_equal(s.level, SHED_GRABS);
    v.lag_us = 0;
    assert_int_equal(pass(2000 * MS), 0);
    for (int level = SHED_COMMANDS; level >= SHED_NONE; level--) {
        assert_int_equal(pass(2100 * MS), 1);
        assert_int_equal(s.level, level);
    }
    assert_int_equal(pass(60 * 1000 * MS), 0);
}

/* Between 70 % of its pressure and the next one's a level stays for ever. */
static void test_it_does_not_flap(void **state)
{
    (void)state;
    v.lag_us = 300 * MS;
    pass(10 * 1000 * MS);
    assert_int_equal(s.level, SHED_LATEST);
    for (int i = 0; i < 1000; i++) {
        v.lag_us = i % 2 ? 211 * MS : 399 * MS;
        assert_int_equal(pass(TICK), 0);
    }
    v.lag_us = 211 * MS;
    assert_int_equal(pass(60 * 1000 * MS), 0);
    v.lag_us = 209 * MS;
    assert_int_equal(pass(2100 * MS), 1);
    assert_int_equal(s.level, SHED_CONNECTIONS);
}

/* Who refuses grabs does everything before that too; grabs themselves have their bound. */
static void test_refused_grabs(void **state)
{
    (void)state;
    v.grabs_refused = true;
    pass(60 * 1000 * MS);
    assert_int_equal(s.level, SHED_COMMANDS);
    v.grabs_refused = false;
    pass(60 * 1000 * MS);
    assert_int_equal(s.level, SHED_NONE);
}

static void test_what_is_not_looked_at(void **state)
{
    (void)state;
    s.opts.lag_us = 0;
    v.lag_us = INT64_MAX / 1000;
    assert_int_equal(pass(60 * 1000 * MS), 0);
    s.opts.queue_bytes = 0;
    v.queue_bytes = INT64_MAX / 1000;
    assert_int_equal(pass(60 * 1000 * MS), 0);
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(shed_level_name(SHED_NONE), "none");
    assert_string_equal(shed_level_name(SHED_GRABS), "grabs");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_nothing_without_pressure, setup),
        cmocka_unit_test_setup(test_each_level_has_its_pressure, setup),
        cmocka_unit_test_setup(test_a_long_turn_refuses_no_grabs, setup),
        cmocka_unit_test_setup(test_one_level_at_a_time, setup),
        cmocka_unit_test_setup(test_a_spike_is_no_pressure, setup),
        cmocka_unit_test_setup(test_down_one_by_one_after_the_hold, setup),
        cmocka_unit_test_setup(test_it_does_not_flap, setup),
        cmocka_unit_test_setup(test_refused_grabs, setup),
        cmocka_unit_test_setup(test_what_is_not_looked_at, setup),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
