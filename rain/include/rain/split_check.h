/* split_check.h - statistics of a splitter over many runs, for `redrainctl split check` and the
 * tests. */
#ifndef RAIN_SPLIT_CHECK_H
#define RAIN_SPLIT_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "rain/split.h"

typedef enum rr_err (*split_fn)(const struct split_spec *spec, int64_t *amounts_fen);

struct split_report {
    uint64_t runs;
    uint64_t bad_sum;    /* runs whose amounts do not add up */
    uint64_t bad_bounds; /* runs with an amount outside [lo, hi] */
    double mean;         /* of one packet; statistics only, no money is computed from it */
    double expected_mean;
    double variance;
    double expected_variance; /* < 0 when no closed form is known. Exact for line cut and equal;
                               * double mean: when hi does not bind and the mean is at least 50 fen
                               * above lo, good to about 1 % */
    double worst_position_z;  /* |z| of the position whose mean is farthest from expected_mean */
    int64_t min_fen;
    int64_t max_fen;
    bool ok;             /* bad_* are 0, runs >= 100 and worst_position_z < 4.5 */
    const char *verdict; /* "ok" or what is wrong; constant */
};

/* Runs `runs` splits with the seeds SHA-256(spec->seed || run number); fn is rain_split or a
 * control. Of more than 10,000 positions the first and the last 5,000 are judged. RR_BAD_REQUEST:
 * no runs or no packets; else what fn returns. *out is then not a result. */
RR_MUST_CHECK enum rr_err split_check(const struct split_spec *spec, split_fn fn, uint64_t runs,
                                      struct split_report *out);

#endif
