#include "rain/split_check.h"

#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

/* Memory is bounded: of a larger rain the first and the last 5,000 positions are tracked, where a
 * bias would show. */
enum { POSITIONS_MAX = 10000, RUNS_MIN = 100 };
static const double z_max = 4.5;

struct tally {
    double *position; /* sum of (amount - expected mean) per tracked position */
    uint32_t positions;
    double sum;
    double squares;
};

static void seed_of_run(const uint8_t seed[RAIN_SEED_BYTES], uint64_t run,
                        uint8_t out[RAIN_SEED_BYTES])
{
    uint8_t in[RAIN_SEED_BYTES + 8];

    memcpy(in, seed, RAIN_SEED_BYTES);
    for (unsigned i = 0; i < 8; i++)
        in[RAIN_SEED_BYTES + i] = (uint8_t)(run >> (8 * i));
    crypto_hash_sha256(out, in, sizeof(in));
}

static void tally_position(struct tally *t, uint32_t count, uint32_t i, double off)
{
    uint32_t half = t->positions / 2;

    if (i < half)
        t->position[i] += off;
    else if (i >= count - (t->positions - half))
        t->position[i - (count - t->positions)] += off;
}

static void tally_run(struct tally *t, const struct split_spec *s, const int64_t *x,
                      struct split_report *out)
{
    int64_t hi = s->split == RAIN_LINE_CUT ? s->total_fen : s->hi_fen;
    int64_t rest = s->total_fen;
    bool bounds = true;

    for (uint32_t i = 0; i < s->count; i++) {
        double off = (double)x[i] - out->expected_mean;

        /* A broken splitter may return anything: no overflow while judging it. */
        rest = (int64_t)((uint64_t)rest - (uint64_t)x[i]);
        bounds = bounds && x[i] >= s->lo_fen && x[i] <= hi;
        t->sum += off;
        t->squares += off * off;
        tally_position(t, s->count, i, off);
        if (x[i] < out->min_fen)
            out->min_fen = x[i];
        if (x[i] > out->max_fen)
            out->max_fen = x[i];
    }
    out->bad_sum += rest != 0;
    out->bad_bounds += !bounds;
}

/* Double mean without an upper bound that binds: with m packets left and A above the floor, d is
 * uniform in [0, 2A/m], so E[d^2] = 4/3 (A/m)^2 and E[A'^2] = A^2 (1 - 2/m + 4/(3 m^2)).
 * Continuous: good when fens are small beside the mean. */
static double variance_double_mean(const struct split_spec *s)
{
    double n = (double)s->count;
    double above = (double)(s->total_fen - s->lo_fen * s->count);
    double a2 = above * above;
    double squares = 0;

    if (s->hi_fen < s->total_fen || above < 50 * n)
        return -1;
    for (uint32_t left = s->count; left > 1; left--) {
        double m = left;

        squares += a2 * 4 / (3 * m * m);
        a2 *= 1 - 2 / m + 4 / (3 * m * m);
    }
    return (squares + a2) / n - above / n * (above / n);
}

/* Of one packet at any position; exact for line cut (uniform compositions) and equal. */
static double variance_expected(const struct split_spec *s)
{
    double n = (double)s->count;
    double above = (double)(s->total_fen - s->lo_fen * s->count);
    double more = (double)(s->total_fen % s->count) / n;

    switch (s->split) {
    case RAIN_DOUBLE_MEAN: return variance_double_mean(s);
    case RAIN_LINE_CUT: return above / n * (1 - 1 / n) * (n + above) / (n + 1);
    case RAIN_EQUAL: return more * (1 - more);
    }
    return -1;
}

/* All positions of a sound splitter have one distribution, so the variance is taken over all of
 * them: steadier. */
static double worst_z(const struct tally *t, const struct split_report *r)
{
    double sd_of_mean = sqrt(r->variance / (double)r->runs);
    double worst = 0;

    for (uint32_t i = 0; i < t->positions; i++)
        worst = fmax(worst, fabs(t->position[i] / (double)r->runs));
    /* Rounding of the sums is no deviation. */
    if (worst <= 1e-9 * fmax(1, r->expected_mean))
        return 0;
    return sd_of_mean > 0 ? worst / sd_of_mean : INFINITY;
}

static const char *verdict_of(const struct split_report *r)
{
    if (r->bad_sum)
        return "amounts do not add up to the total";
    if (r->bad_bounds)
        return "an amount is outside its bounds";
    if (r->runs < RUNS_MIN)
        return "too few runs to judge positions";
    if (!(r->worst_position_z < z_max))
        return "the mean depends on the position";
    return "ok";
}

enum rr_err split_check(const struct split_spec *spec, split_fn fn, uint64_t runs,
                        struct split_report *out)
{
    struct split_spec s = *spec;
    struct tally t = {.positions = s.count < POSITIONS_MAX ? s.count : POSITIONS_MAX};
    int64_t *amounts = NULL;
    enum rr_err err = RR_OK;
    double n = 0;

    *out = (struct split_report){.runs = runs, .min_fen = INT64_MAX, .max_fen = INT64_MIN};
    if (runs == 0 || s.count == 0 || s.count > RR_PACKETS_MAX)
        return RR_BAD_REQUEST;
    n = (double)runs * (double)s.count;
    out->expected_mean = (double)s.total_fen / (double)s.count;
    out->expected_variance = variance_expected(&s);
    amounts = rr_xcalloc(s.count, sizeof(*amounts));
    t.position = rr_xcalloc(t.positions, sizeof(*t.position));
    for (uint64_t run = 0; run < runs && !err; run++) {
        seed_of_run(spec->seed, run, s.seed);
        err = fn(&s, amounts);
        if (!err)
            tally_run(&t, &s, amounts, out);
    }
    out->mean = out->expected_mean + t.sum / n;
    out->variance = fmax(0, t.squares / n - t.sum / n * (t.sum / n));
    out->worst_position_z = worst_z(&t, out);
    out->verdict = verdict_of(out);
    out->ok = strcmp(out->verdict, "ok") == 0;
    free(t.position);
    free(amounts);
    return err;
}
