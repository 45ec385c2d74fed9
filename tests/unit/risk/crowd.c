#include "crowd.h"

#include <math.h>

static uint64_t rng_next(struct rng *r)
{
    uint64_t z = r->s += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

double rng_unit(struct rng *r)
{
    return ((double)(rng_next(r) >> 11) + 0.5) / 9007199254740992.0;
}

double rng_normal(struct rng *r)
{
    double u = rng_unit(r);

    return sqrt(-2 * log(u)) * cos(2 * M_PI * rng_unit(r));
}

double rng_lognormal(struct rng *r, double median, double sigma)
{
    return median * exp(sigma * rng_normal(r));
}

static int64_t age_of(struct rng *r, const struct actor *a)
{
    if (a->age_s)
        return a->age_s;
    if (rng_unit(r) < 0.02)
        return 1 + (int64_t)rng_lognormal(r, 480, 1);
    return 86400 + (int64_t)(rng_unit(r) * 86400 * 1000);
}

static double first_ms(struct rng *r, const struct actor *a)
{
    if (a->early_ms > 0)
        return -a->early_ms;
    if (a->gap_ms > 0)
        return 5 + rng_unit(r) * 20;
    if (rng_unit(r) < 0.15)
        return -2000 * rng_unit(r);
    return rng_lognormal(r, 400, 0.35);
}

static double gap_ms(struct rng *r, const struct actor *a, double own)
{
    double answer = rng_lognormal(r, 50, 0.5);
    double gap = 0;

    if (a->gap_ms > 0) {
        gap = a->gap_ms + a->jitter_ms * rng_normal(r);
        return gap > 1 ? gap : 1;
    }
    /* Taps while a question is open are not sent: the next one after the answer is. */
    for (gap = 0; gap < answer;)
        gap += own * exp(0.25 * rng_normal(r));
    return gap;
}

enum risk_rule crowd_play(struct risk_watch *w, const struct risk_rules *rules, struct rng *r,
                          const struct actor *a)
{
    double own = rng_lognormal(r, 190, 0.2);
    double at_ms = first_ms(r, a);
    int64_t age_s = age_of(r, a);
    double until_ms = a->gap_ms > 0 ? CROWD_RAIN_MS : 2000 + rng_unit(r) * CROWD_RAIN_MS;
    enum risk_rule spoke = RISK_NONE;

    while (at_ms < until_ms && at_ms < CROWD_RAIN_MS) {
        double exact_us = (CROWD_OPENS_MS + at_ms) * 1000;
        struct risk_tap t = {.user_id = a->user_id,
                             .sender_id = a->sender_id ? a->sender_id : 1,
                             .rain = 77,
                             .address = a->address,
                             .since_s = CROWD_OPENS_MS / 1000 - age_s,
                             .now_ms = (int64_t)(exact_us / 1000),
                             .opens_ms = CROWD_OPENS_MS,
                             .at_us = (int64_t)exact_us,
                             .early = at_ms < -100};
        enum risk_rule rule = risk_watch_tap(w, rules, &t).rule;

        if (spoke == RISK_NONE)
            spoke = rule;
        at_ms += gap_ms(r, a, own);
        own *= exp(0.01 * rng_normal(r)); /* he gets tired, or excited */
    }
    return spoke;
}
