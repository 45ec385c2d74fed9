#include "cm.h"

#include <math.h>
#include <string.h>

#include "rain/split_check.h"

static struct split_spec spec_of(enum rain_split split, int64_t total, uint32_t count, int64_t lo,
                                 int64_t hi)
{
    return (struct split_spec){.total_fen = total,
                               .lo_fen = lo,
                               .hi_fen = hi,
                               .count = count,
                               .version = RAIN_SPLIT_VERSION,
                               .split = split,
                               .seed = {1, 2, 3},
                               .code = "AAAAAAAAAAAAAAAAAAAAAA"};
}

/* ---- controls: splitters that were seen in the wild, each must fail ---- */

/* A small generator of the tests' own, started from the spec's seed. */
static uint64_t control_state;

static uint64_t control_rand(void)
{
    uint64_t z = control_state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* max = floor(rest / m) * 2 and a draw from [1, max): both round down, so the last ones get what
 * the first ones miss. */
static enum rr_err floor_before_double(const struct split_spec *s, int64_t *x)
{
    int64_t rest = s->total_fen;

    memcpy(&control_state, s->seed, sizeof(control_state));
    for (int64_t m = s->count; m > 1; m--) {
        int64_t max = rest / m * 2;
        int64_t v = max > 1 ? 1 + (int64_t)(control_rand() % (uint64_t)(max - 1)) : 1;

        x[s->count - m] = v;
        rest -= v;
    }
    x[s->count - 1] = rest;
    return RR_OK;
}

/* nextLong() % n is negative half of the time. */
static enum rr_err signed_modulo(const struct split_spec *s, int64_t *x)
{
    int64_t rest = s->total_fen;

    memcpy(&control_state, s->seed, sizeof(control_state));
    for (int64_t m = s->count; m > 1; m--) {
        int64_t max = rest / m * 2;

        x[s->count - m] = max > 1 ? 1 + (int64_t)control_rand() % max : 1;
        rest -= x[s->count - m];
    }
    x[s->count - 1] = rest;
    return RR_OK;
}

static enum rr_err one_fen_lost(const struct split_spec *s, int64_t *x)
{
    enum rr_err err = rain_split(s, x);

    x[0]--;
    return err;
}

/* The mean is right, but the first one always gets exactly more and the last one exactly less. */
static enum rr_err fixed_and_biased(const struct split_spec *s, int64_t *x)
{
    for (uint32_t i = 0; i < s->count; i++)
        x[i] = s->total_fen / s->count;
    x[0]++;
    x[s->count - 1]--;
    return RR_OK;
}

static enum rr_err above_hi(const struct split_spec *s, int64_t *x)
{
    enum rr_err err = rain_split(s, x);

    x[0] = s->hi_fen + 1;
    return err;
}

/* Nothing varies, and nobody gets the mean. */
static enum rr_err all_one_less(const struct split_spec *s, int64_t *x)
{
    for (uint32_t i = 0; i < s->count; i++)
        x[i] = s->total_fen / s->count - 1;
    return RR_OK;
}

static enum rr_err refuses(const struct split_spec *s, int64_t *x)
{
    (void)s;
    (void)x;
    return RR_BAD_REQUEST;
}

static void controls_fail(void **state)
{
    struct split_spec s = spec_of(RAIN_DOUBLE_MEAN, 350, 100, 1, 350);
    struct split_report r;

    (void)state;
    assert_int_equal(split_check(&s, rain_split, 5000, &r), RR_OK);
    assert_true(r.ok);
    assert_int_equal(split_check(&s, floor_before_double, 5000, &r), RR_OK);
    assert_int_equal(r.bad_sum + r.bad_bounds, 0); /* nothing but statistics can see it */
    assert_false(r.ok);
    assert_true(r.worst_position_z > 4.5);
    assert_string_equal(r.verdict, "the mean depends on the position");

    s.total_fen = s.hi_fen = 10000;
    assert_int_equal(split_check(&s, signed_modulo, 1000, &r), RR_OK);
    assert_false(r.ok);
    assert_int_equal(r.bad_sum, 0);
    assert_int_equal(r.bad_bounds, 1000); /* every single one is wrong */
    assert_string_equal(r.verdict, "an amount is outside its bounds");

    assert_int_equal(split_check(&s, one_fen_lost, 100, &r), RR_OK);
    assert_false(r.ok);
    assert_int_equal(r.bad_sum, 100);
    assert_string_equal(r.verdict, "amounts do not add up to the total");

    assert_int_equal(split_check(&s, above_hi, 100, &r), RR_OK);
    assert_int_equal(r.bad_bounds, 100);
    assert_int_equal(split_check(&s, all_one_less, 100, &r), RR_OK);
    assert_int_equal(r.bad_sum, 100);
    assert_true(isinf(r.worst_position_z));

    assert_int_equal(split_check(&s, fixed_and_biased, 200, &r), RR_OK);
    assert_false(r.ok);
    s.count = 20000; /* tracked: the first and the last 5,000 */
    s.total_fen = 2000000;
    assert_int_equal(split_check(&s, fixed_and_biased, 200, &r), RR_OK);
    assert_false(r.ok);
    assert_string_equal(r.verdict, "the mean depends on the position");
}

/* ---- ours must pass ---- */

static const struct {
    enum rain_split split;
    int64_t total;
    uint32_t count;
    int64_t lo;
    int64_t hi;
    uint32_t runs;
    double tolerance; /* of the variance, relative; < 0: no closed form is known */
} rows[] = {
    {RAIN_DOUBLE_MEAN, 10000, 100, 1, 10000, 20000, 0.02},
    {RAIN_DOUBLE_MEAN, 1000000, 10, 1, 1000000, 20000, 0.01},
    {RAIN_DOUBLE_MEAN, 100000000, 2, 1, 100000000, 20000, 0.02},
    {RAIN_DOUBLE_MEAN, 500, 100, 1, 500, 5000, -1},     /* too few fens */
    {RAIN_DOUBLE_MEAN, 15000, 100, 100, 200, 5000, -1}, /* hi binds */
    {RAIN_DOUBLE_MEAN, 17500, 100, 100, 200, 5000, -1},
    {RAIN_DOUBLE_MEAN, 150, 100, 1, 2, 5000, -1},
    {RAIN_DOUBLE_MEAN, 100, 100, 1, 100, 200, -1}, /* all at lo */
    {RAIN_DOUBLE_MEAN, 7, 1, 1, 7, 200, -1},
    {RAIN_LINE_CUT, 10000, 100, 1, 10000, 5000, 0.02},
    {RAIN_LINE_CUT, 120, 100, 1, 120, 5000, 0.02},
    {RAIN_LINE_CUT, 50000, 10, 1000, 50000, 5000, 0.02},
    {RAIN_LINE_CUT, 50, 50, 1, 50, 100, 0},
    {RAIN_EQUAL, 10030, 100, 1, 10030, 1000, 0.0001},
    {RAIN_EQUAL, 10000, 100, 1, 10000, 1000, 0},
};

static void ours_pass(void **state)
{
    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(rows); i++) {
        struct split_spec s =
            spec_of(rows[i].split, rows[i].total, rows[i].count, rows[i].lo, rows[i].hi);
        double mean = (double)rows[i].total / rows[i].count;
        struct split_report r;

        assert_int_equal(split_check(&s, rain_split, rows[i].runs, &r), RR_OK);
        if (!r.ok)
            fail_msg("row %zu: %s, z %f", i, r.verdict, r.worst_position_z);
        assert_int_equal(r.runs, rows[i].runs);
        assert_true(fabs(r.mean - mean) < 1e-6 * mean);
        assert_true(r.min_fen >= rows[i].lo && r.max_fen <= rows[i].hi);
        if (rows[i].tolerance < 0)
            assert_true(r.expected_variance < 0);
        else if (fabs(r.variance - r.expected_variance) > rows[i].tolerance * r.expected_variance)
            fail_msg("row %zu: variance %f, expected %f", i, r.variance, r.expected_variance);
    }
}

static void large_rain_is_judged_in_bounded_memory(void **state)
{
    struct split_spec s = spec_of(RAIN_LINE_CUT, 2000000, 20000, 1, 2000000);
    struct split_report r;

    (void)state;
    assert_int_equal(split_check(&s, rain_split, 200, &r), RR_OK);
    assert_true(r.worst_position_z > 1); /* of 10,000 positions some are off by chance */
    assert_true(r.worst_position_z < 6);
    assert_true(fabs(r.variance / r.expected_variance - 1) < 0.02);
}

static void too_few_runs_are_no_proof(void **state)
{
    struct split_spec s = spec_of(RAIN_EQUAL, 100, 10, 1, 100);
    struct split_report r;

    (void)state;
    assert_int_equal(split_check(&s, rain_split, 99, &r), RR_OK);
    assert_false(r.ok);
    assert_string_equal(r.verdict, "too few runs to judge positions");
    assert_int_equal(split_check(&s, rain_split, 100, &r), RR_OK);
    assert_true(r.ok);
}

static void nonsense_is_refused(void **state)
{
    struct split_spec s = spec_of(RAIN_EQUAL, 100, 10, 1, 100);
    struct split_report r;

    (void)state;
    assert_int_equal(split_check(&s, rain_split, 0, &r), RR_BAD_REQUEST);
    assert_int_equal(split_check(&s, refuses, 10, &r), RR_BAD_REQUEST);
    s.split = (enum rain_split)9;
    assert_int_equal(split_check(&s, rain_split, 10, &r), RR_BAD_REQUEST);
    s.split = RAIN_EQUAL;
    s.count = 0;
    assert_int_equal(split_check(&s, rain_split, 10, &r), RR_BAD_REQUEST);
    s.count = RR_PACKETS_MAX + 1;
    assert_int_equal(split_check(&s, rain_split, 10, &r), RR_BAD_REQUEST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(controls_fail),
        cmocka_unit_test(ours_pass),
        cmocka_unit_test(large_rain_is_judged_in_bounded_memory),
        cmocka_unit_test(too_few_runs_are_no_proof),
        cmocka_unit_test(nonsense_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
