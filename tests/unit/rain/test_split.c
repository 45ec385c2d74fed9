#include "cm.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rain/split.h"

static struct split_spec spec_of(enum rain_split split, int64_t total, uint32_t count, int64_t lo,
                                 int64_t hi, uint32_t run)
{
    struct split_spec s = {.total_fen = total,
                           .lo_fen = lo,
                           .hi_fen = hi,
                           .count = count,
                           .version = RAIN_SPLIT_VERSION,
                           .split = split,
                           .code = "AAAAAAAAAAAAAAAAAAAAAA"};

    memcpy(s.seed, &run, sizeof(run));
    return s;
}

/* ---- sum and bounds ---- */

static const struct {
    enum rain_split split;
    int64_t total;
    uint32_t count;
    int64_t lo;
    int64_t hi;
} sane[] = {
    {RAIN_DOUBLE_MEAN, 1, 1, 1, 1},
    {RAIN_DOUBLE_MEAN, RR_FEN_MAX, 1, 1, RR_FEN_MAX},
    {RAIN_DOUBLE_MEAN, 10000, 100, 1, 10000},
    {RAIN_DOUBLE_MEAN, 100, 100, 1, 100},     /* total = lo * n */
    {RAIN_DOUBLE_MEAN, 101, 100, 1, 101},     /* one fen above it */
    {RAIN_DOUBLE_MEAN, 700, 100, 3, 7},       /* total = hi * n */
    {RAIN_DOUBLE_MEAN, 699, 100, 3, 7},       /* one fen below it */
    {RAIN_DOUBLE_MEAN, 500, 100, 5, 5},       /* lo = hi */
    {RAIN_DOUBLE_MEAN, 15000, 100, 100, 200}, /* both bounds bind */
    {RAIN_DOUBLE_MEAN, 19900, 100, 100, 200},
    {RAIN_DOUBLE_MEAN, 3, 2, 1, 2},
    {RAIN_DOUBLE_MEAN, 1000, 3, 1, INT64_MAX}, /* a hi beyond any sense */
    {RAIN_DOUBLE_MEAN, RR_FEN_MAX, RR_PACKETS_MAX, 1, RR_FEN_MAX},
    {RAIN_DOUBLE_MEAN, RR_FEN_MAX, 2, RR_FEN_MAX / 2, RR_FEN_MAX},
    {RAIN_LINE_CUT, 1, 1, 1, 1},
    {RAIN_LINE_CUT, 10000, 100, 1, 10000},
    {RAIN_LINE_CUT, 100, 100, 1, 100}, /* a cut at every fen: must end */
    {RAIN_LINE_CUT, 101, 100, 1, 101},
    {RAIN_LINE_CUT, 1000, 10, 100, 1000},
    {RAIN_LINE_CUT, 1007, 10, 99, 1007},
    {RAIN_LINE_CUT, RR_PACKETS_MAX, RR_PACKETS_MAX, 1, RR_PACKETS_MAX},
    {RAIN_LINE_CUT, RR_FEN_MAX, 50000, 1, RR_FEN_MAX},
    {RAIN_EQUAL, 1, 1, 1, 1},
    {RAIN_EQUAL, 1003, 10, 1, 1003},
    {RAIN_EQUAL, 1003, 10, 100, 101},
    {RAIN_EQUAL, 1000, 10, 100, 100},
    {RAIN_EQUAL, RR_FEN_MAX, 999999, 1, RR_FEN_MAX},
};

static void split_sums_and_stays_in_bounds(void **state)
{
    int64_t *x = malloc(RR_PACKETS_MAX * sizeof(*x));

    (void)state;
    for (size_t k = 0; k < RR_COUNTOF(sane); k++) {
        uint32_t runs = sane[k].count > 1000 ? 1 : 200;

        for (uint32_t run = 0; run < runs; run++) {
            struct split_spec s =
                spec_of(sane[k].split, sane[k].total, sane[k].count, sane[k].lo, sane[k].hi, run);
            int64_t rest = sane[k].total;

            assert_int_equal(rain_split(&s, x), RR_OK);
            for (uint32_t i = 0; i < s.count; i++) {
                if (x[i] < sane[k].lo || x[i] > sane[k].hi)
                    fail_msg("row %zu run %u: %lld", k, run, (long long)x[i]);
                rest -= x[i];
            }
            assert_int_equal(rest, 0);
        }
    }
    free(x);
}

static void split_refuses_what_cannot_be_split(void **state)
{
    struct split_spec bad[] = {
        spec_of(RAIN_DOUBLE_MEAN, 99, 100, 1, 99, 0),
        spec_of(RAIN_DOUBLE_MEAN, 100, 0, 1, 100, 0),
        spec_of(RAIN_DOUBLE_MEAN, RR_FEN_MAX, RR_PACKETS_MAX + 1, 1, RR_FEN_MAX, 0),
        spec_of(RAIN_DOUBLE_MEAN, 0, 1, 1, 1, 0),
        spec_of(RAIN_DOUBLE_MEAN, -5, 1, 1, 1, 0),
        spec_of(RAIN_DOUBLE_MEAN, RR_FEN_MAX + 1, 2, 1, RR_FEN_MAX, 0),
        spec_of(RAIN_DOUBLE_MEAN, 100, 10, 0, 100, 0),
        spec_of(RAIN_DOUBLE_MEAN, 100, 10, 11, 100, 0),
        spec_of(RAIN_DOUBLE_MEAN, 100, 10, 5, 9, 0),
        spec_of(RAIN_DOUBLE_MEAN, 101, 10, 5, 10, 0),
        spec_of(RAIN_DOUBLE_MEAN, 100, 10, 5, 4, 0),
        spec_of(RAIN_DOUBLE_MEAN, 100, 10, 1, -1, 0),
        spec_of(RAIN_LINE_CUT, 9, 10, 1, 9, 0),
        spec_of(RAIN_EQUAL, 9, 10, 1, 9, 0),
        spec_of((enum rain_split)0, 100, 10, 1, 100, 0),
        spec_of((enum rain_split)4, 100, 10, 1, 100, 0),
    };
    struct split_spec version = spec_of(RAIN_EQUAL, 100, 10, 1, 100, 0);
    int64_t x[10] = {0};

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(bad); i++) {
        if (rain_split(&bad[i], x) != RR_BAD_REQUEST)
            fail_msg("row %zu", i);
    }
    version.version = RAIN_SPLIT_VERSION + 1;
    assert_int_equal(rain_split(&version, x), RR_BAD_REQUEST);
}

static void split_depends_on_seed_and_code_only(void **state)
{
    struct split_spec s = spec_of(RAIN_DOUBLE_MEAN, 100000, 100, 1, 100000, 1);
    int64_t a[100];
    int64_t b[100];

    (void)state;
    assert_int_equal(rain_split(&s, a), RR_OK);
    assert_int_equal(rain_split(&s, b), RR_OK);
    assert_memory_equal(a, b, sizeof(a));
    s.hi_fen = INT64_MAX; /* cannot bind either: the same amounts */
    assert_int_equal(rain_split(&s, b), RR_OK);
    assert_memory_equal(a, b, sizeof(a));
    s.code[0] = 'B';
    assert_int_equal(rain_split(&s, b), RR_OK);
    assert_memory_not_equal(a, b, sizeof(a));
    s.code[0] = 'A';
    s.seed[31] = 1;
    assert_int_equal(rain_split(&s, b), RR_OK);
    assert_memory_not_equal(a, b, sizeof(a));
}

/* ---- vectors ---- */

static int64_t number(const json_t *v, const char *key)
{
    return json_integer_value(json_object_get(v, key));
}

static void vector_check(const json_t *v)
{
    const char *name = json_string_value(json_object_get(v, "name"));
    const char *seed = json_string_value(json_object_get(v, "seed"));
    const json_t *first = json_object_get(v, "amounts");
    struct split_spec s = spec_of(
        rain_split_parse(rr_slice_str(json_string_value(json_object_get(v, "split")))),
        number(v, "total"), (uint32_t)number(v, "count"), number(v, "lo"), number(v, "hi"), 0);
    int64_t *x = calloc(s.count, sizeof(*x));
    int64_t *part = calloc(s.count, sizeof(*part));
    uint32_t shards = (uint32_t)number(v, "shards");
    char hash[65];

    for (unsigned i = 0; i < RAIN_SEED_BYTES; i++)
        s.seed[i] = (uint8_t)strtoul((char[]){seed[2 * i], seed[2 * i + 1], 0}, NULL, 16);
    strcpy(s.code, json_string_value(json_object_get(v, "code")));
    if (rain_split(&s, x) != RR_OK)
        fail_msg("%s", name);
    for (size_t i = 0; i < json_array_size(first); i++)
        assert_int_equal(x[i], json_integer_value(json_array_get(first, i)));
    rain_amounts_hash(x, s.count, hash);
    assert_string_equal(hash, json_string_value(json_object_get(v, "amounts_hash")));
    rain_seed_hash(s.seed, hash);
    assert_string_equal(hash, json_string_value(json_object_get(v, "seed_hash")));
    for (uint32_t k = 0; k < shards; k++) {
        rain_shard_amounts(x, s.count, shards, k, part);
        rain_amounts_hash(part, rain_shard_count(s.count, shards, k), hash);
        assert_string_equal(
            hash, json_string_value(json_array_get(json_object_get(v, "shard_hashes"), k)));
    }
    free(part);
    free(x);
}

static void split_matches_vectors(void **state)
{
    json_error_t err;
    json_t *root = json_load_file(RR_VECTORS_DIR "/split.json", 0, &err);
    json_t *v = NULL;
    size_t i = 0;

    (void)state;
    if (!root)
        fail_msg("%s:%d %s", err.source, err.line, err.text);
    assert_true(json_array_size(json_object_get(root, "vectors")) >= 15);
    json_array_foreach(json_object_get(root, "vectors"), i, v) vector_check(v);
    json_decref(root);
}

/* ---- distributions; seeds are fixed, so a result is always the same ---- */

/* Two packets: the first one drawn is uniform in lo … total - lo, and so is the other. 99 values,
 * 98 degrees of freedom: chi-square is above 160 once in 10,000 seed sets. */
static void double_mean_of_two_is_uniform(void **state)
{
    enum { RUNS = 99000, VALUES = 99 };
    uint32_t seen[VALUES + 1] = {0};
    double chi2 = 0;

    (void)state;
    for (uint32_t run = 0; run < RUNS; run++) {
        struct split_spec s = spec_of(RAIN_DOUBLE_MEAN, 100, 2, 1, 100, run);
        int64_t x[2];

        assert_int_equal(rain_split(&s, x), RR_OK);
        seen[x[0]]++;
    }
    for (unsigned i = 1; i <= VALUES; i++)
        chi2 += (seen[i] - 1000.0) * (seen[i] - 1000.0) / 1000.0;
    assert_int_equal(seen[0], 0);
    if (chi2 > 160 || chi2 < 50)
        fail_msg("chi-square %f", chi2);
}

/* Fisher-Yates: the one larger packet of an equal split is at each of 50 positions equally often
 * (49 degrees). */
static void shuffle_reaches_every_position_equally(void **state)
{
    enum { RUNS = 50000, COUNT = 50 };
    uint32_t seen[COUNT] = {0};
    double chi2 = 0;

    (void)state;
    for (uint32_t run = 0; run < RUNS; run++) {
        struct split_spec s = spec_of(RAIN_EQUAL, 10 * COUNT + 1, COUNT, 1, 501, run);
        int64_t x[COUNT];

        assert_int_equal(rain_split(&s, x), RR_OK);
        for (unsigned i = 0; i < COUNT; i++)
            seen[i] += x[i] == 11;
    }
    for (unsigned i = 0; i < COUNT; i++)
        chi2 += (seen[i] - 1000.0) * (seen[i] - 1000.0) / 1000.0;
    if (chi2 > 100 || chi2 < 15)
        fail_msg("chi-square %f", chi2);
}

static int cmp_double(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Kolmogorov-Smirnov: a piece of a line cut into n at uniform points is Beta(1, n-1): F(x) = 1 -
 * (1-x)^(n-1). */
static void line_cut_follows_beta(void **state)
{
    enum { RUNS = 20000, COUNT = 10 };
    static double x_of[RUNS];
    const int64_t total = 1000000000;
    double worst = 0;

    (void)state;
    for (unsigned position = 0; position < COUNT; position += 3) {
        for (uint32_t run = 0; run < RUNS; run++) {
            struct split_spec s = spec_of(RAIN_LINE_CUT, total, COUNT, 1, total, run);
            int64_t x[COUNT];

            assert_int_equal(rain_split(&s, x), RR_OK);
            x_of[run] = (double)x[position] / (double)total;
        }
        qsort(x_of, RUNS, sizeof(x_of[0]), cmp_double);
        worst = 0;
        for (unsigned i = 0; i < RUNS; i++) {
            double f = 1 - pow(1 - x_of[i], COUNT - 1);

            worst = fmax(worst, fmax(f - i / (double)RUNS, (i + 1) / (double)RUNS - f));
        }
        /* sqrt(n) * D is above 1.95 once in 1,000 samples. */
        if (worst * sqrt(RUNS) > 1.95)
            fail_msg("position %u: D %f", position, worst);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(split_sums_and_stays_in_bounds),
        cmocka_unit_test(split_refuses_what_cannot_be_split),
        cmocka_unit_test(split_depends_on_seed_and_code_only),
        cmocka_unit_test(split_matches_vectors),
        cmocka_unit_test(double_mean_of_two_is_uniform),
        cmocka_unit_test(shuffle_reaches_every_position_equally),
        cmocka_unit_test(line_cut_follows_beta),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
