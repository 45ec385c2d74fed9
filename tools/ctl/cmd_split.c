/* redrainctl split check: runs a splitter many times and says what its packets look like. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "rain/split_check.h"

enum { RUNS_MAX = 10000000 };

struct split_args {
    const char *split;
    const char *total;
    const char *count;
    const char *runs;
    const char *lo;
    const char *hi;
    const char *seed;
};

/* 64 hex digits; with them a measurement can be made again. */
static int read_seed(const char *text, struct split_spec *spec)
{
    if (!text) {
        rain_seed_new(spec->seed);
        rain_code_new(spec->code);
        return CTL_OK;
    }
    if (strlen(text) != (size_t)2 * RAIN_SEED_BYTES ||
        strspn(text, "0123456789abcdef") != strlen(text))
        return ctl_usage_error("--seed: %d hex digits", 2 * RAIN_SEED_BYTES);
    for (size_t i = 0; i < RAIN_SEED_BYTES; i++) {
        char pair[3] = {text[2 * i], text[2 * i + 1], 0};
        spec->seed[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    memset(spec->code, 'A', RR_CODE_LEN);
    spec->code[RR_CODE_LEN] = 0;
    return CTL_OK;
}

static int fill(const struct split_args *a, struct split_spec *spec, int64_t *runs)
{
    int64_t count = 0;
    int rc = ctl_number("--total", a->total, 1, RR_FEN_MAX, &spec->total_fen);

    if (rc == CTL_OK)
        rc = ctl_number("--count", a->count, 1, RR_PACKETS_MAX, &count);
    if (rc == CTL_OK)
        rc = ctl_number("--runs", a->runs, 1, RUNS_MAX, runs);
    spec->lo_fen = 1;
    spec->hi_fen = spec->total_fen;
    if (rc == CTL_OK && a->lo)
        rc = ctl_number("--lo", a->lo, 1, RR_FEN_MAX, &spec->lo_fen);
    if (rc == CTL_OK && a->hi)
        rc = ctl_number("--hi", a->hi, 1, RR_FEN_MAX, &spec->hi_fen);
    if (rc != CTL_OK)
        return rc;
    spec->split = rain_split_parse(rr_slice_str(a->split));
    if (!spec->split)
        return ctl_usage_error("--split must be double-mean, line-cut or equal");
    spec->count = (uint32_t)count;
    spec->version = RAIN_SPLIT_VERSION;
    return read_seed(a->seed, spec);
}

static void print_report(const struct ctl *ctl, const struct split_spec *s,
                         const struct split_report *r)
{
    if (ctl->json) {
        json_t *o = json_pack(
            "{s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:I, s:f, s:s}", "split",
            rain_split_name(s->split), "total", (json_int_t)s->total_fen, "count",
            (json_int_t)s->count, "runs", (json_int_t)r->runs, "mean", r->mean, "expected_mean",
            r->expected_mean, "variance", r->variance, "expected_variance", r->expected_variance,
            "min", (json_int_t)r->min_fen, "max", (json_int_t)r->max_fen, "bad_sum",
            (json_int_t)r->bad_sum, "bad_bounds", (json_int_t)r->bad_bounds, "worst_position_z",
            r->worst_position_z, "verdict", r->verdict);
        if (o && r->expected_variance < 0)
            json_object_set_new(o, "expected_variance", json_null());
        ctl_print_json(o);
        json_decref(o);
        return;
    }
    printf("split          %s, %" PRId64 " fen into %" PRIu32 ", %" PRIu64 " runs\n",
           rain_split_name(s->split), s->total_fen, s->count, r->runs);
    printf("mean           %.4f (expected %.4f)\n", r->mean, r->expected_mean);
    if (r->expected_variance >= 0)
        printf("variance       %.4f (expected %.4f)\n", r->variance, r->expected_variance);
    else
        printf("variance       %.4f\n", r->variance);
    printf("smallest       %" PRId64 "\nlargest        %" PRId64 "\n", r->min_fen, r->max_fen);
    printf("wrong sums     %" PRIu64 "\nout of bounds  %" PRIu64 "\n", r->bad_sum, r->bad_bounds);
    printf("position bias  |z| = %.2f\nverdict        %s\n", r->worst_position_z, r->verdict);
}

int cmd_split(struct ctl *ctl)
{
    struct split_args a = {0};
    struct split_spec spec = {0};
    struct split_report report = {0};
    const char *words[1] = {NULL};
    const struct ctl_option options[] = {
        {"--split", &a.split, NULL}, {"--total", &a.total, NULL}, {"--count", &a.count, NULL},
        {"--runs", &a.runs, NULL},   {"--lo", &a.lo, NULL},       {"--hi", &a.hi, NULL},
        {"--seed", &a.seed, NULL},
    };
    int64_t runs = 0;
    size_t n;
    int rc = ctl_options(ctl, options, RR_COUNTOF(options), words, RR_COUNTOF(words), &n);

    if (rc == CTL_OK && (n != 1 || strcmp(words[0], "check") != 0))
        rc = ctl_usage_error("split check --split X --total FEN --count N --runs R");
    if (rc == CTL_OK)
        rc = fill(&a, &spec, &runs);
    if (rc != CTL_OK)
        return rc;
    enum rr_err err = split_check(&spec, rain_split, (uint64_t)runs, &report);
    if (err != RR_OK)
        return ctl_usage_error("these numbers allow no split: lo * count <= total <= hi * count "
                               "must hold");
    print_report(ctl, &spec, &report);
    return report.ok ? CTL_OK : CTL_FAILED;
}
