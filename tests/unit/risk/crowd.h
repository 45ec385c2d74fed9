/* crowd.h - simulated people and bots in front of a watch, on a clock of their own, from a seed: the same every time.
 *
 * People, as modelled (numbers of reaction and tapping studies, rounded; not measured on this product):
 *   reaction to the opening log-normal, median 0.4 s, sigma 0.35; gaps between taps log-normal, median 190 ms, sigma 0.25 plus a
 *   drift of each person's own; one question at a time, answers after log-normal 50 ms, sigma 0.5; 15 % tap before the opening,
 *   the eager ones for the last 2 s; 2 % made their account for this rain, registration to first tap log-normal, median 8 min,
 *   sigma 1; 200 share an address.
 * What the model leaves out: people who use auto-clickers, shared accounts, screens that freeze. */
#ifndef TESTS_UNIT_RISK_CROWD_H
#define TESTS_UNIT_RISK_CROWD_H

#include "risk/watch.h"

struct rng {
    uint64_t s;
};
double rng_unit(struct rng *r);   /* (0, 1) */
double rng_normal(struct rng *r); /* 0, 1 */
double rng_lognormal(struct rng *r, double median, double sigma);

enum { CROWD_RAIN_MS = 30000, CROWD_OPENS_MS = 10000000 };

/* What each of them does differently; a person when zeroed but for user_id. */
struct actor {
    int64_t user_id;
    uint64_t address;
    int64_t sender_id;
    double gap_ms;    /* of a timer, 0: a thumb */
    double jitter_ms; /* of the timer and the network */
    double early_ms;  /* a bot that begins this long before the opening */
    int64_t age_s;    /* of the account; 0: as people have it */
};

/* Plays one rain. Returns the first rule that spoke (RISK_NONE: none). */
enum risk_rule crowd_play(struct risk_watch *w, const struct risk_rules *rules, struct rng *r,
                          const struct actor *a);

#endif
