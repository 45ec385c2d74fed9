/* The draws of double mean before they are shuffled: the shuffle would hide a bias of early or late
 * draws. */
#include "cm.h"

#include <math.h>

#include "split.c"

enum { COUNT = 40, RUNS = 40000 };

static const struct {
    int64_t total;
    int64_t lo;
    int64_t hi;
} rows[] = {
    {COUNT + 1, 1, COUNT + 1}, /* one fen to give away */
    {100, 1, 100},             /* rounding of the mean matters most */
    {4000, 1, 4000},
    {4000, 50, 150},
    {5990, 50, 150}, /* drawn from the upper bound */
    {4700, 50, 150},
};

/* E[x] = total / n at every draw. A draw's own variance is used: late draws vary more. */
static void every_draw_has_the_same_mean(void **state)
{
    (void)state;
    for (size_t k = 0; k < RR_COUNTOF(rows); k++) {
        struct split_spec s = {
            .total_fen = rows[k].total, .lo_fen = rows[k].lo, .hi_fen = rows[k].hi, .count = COUNT};
        double mean = (double)s.total_fen / (double)COUNT;
        double sum[COUNT] = {0};
        double squares[COUNT] = {0};

        for (uint32_t run = 0; run < RUNS; run++) {
            struct rand_stream r;
            int64_t x[COUNT];

            memcpy(s.seed, &run, sizeof(run));
            rand_stream_init(&r, s.seed, "AAAAAAAAAAAAAAAAAAAAAA", 1);
            split_double_mean(&r, &s, x);
            for (unsigned i = 0; i < COUNT; i++) {
                sum[i] += (double)x[i] - mean;
                squares[i] += ((double)x[i] - mean) * ((double)x[i] - mean);
            }
        }
        for (unsigned i = 0; i < COUNT; i++) {
            double z = sum[i] / sqrt(squares[i]);

            if (fabs(z) > 4.5)
                fail_msg("row %zu, draw %u: z %f", k, COUNT - i, z);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_draw_has_the_same_mean),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
