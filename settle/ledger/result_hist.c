/* result_hist.c - see result_hist.h. */
#include "result_hist.h"

#include <stdbool.h>

#include "base/err.h"

/* A step ends with the last of an amount, once it holds 1/share of what is above it; share 0: at once. RESULT_HIST_MAX + 1: too many. */
static uint32_t steps(const int64_t *amounts_fen, uint32_t n, uint32_t share,
                      struct hist_step out[RESULT_HIST_MAX])
{
    uint32_t steps_n = 0;
    uint32_t from = 0;

    for (uint32_t i = 0; i < n; i++) {
        bool last_of_amount = i + 1 == n || amounts_fen[i + 1] != amounts_fen[i];
        bool full = i + 1 == n || !share || i + 1 - from >= from / share;

        if (!last_of_amount || !full)
            continue;
        if (steps_n == RESULT_HIST_MAX)
            return RESULT_HIST_MAX + 1;
        out[steps_n++] = (struct hist_step){.hi_fen = amounts_fen[from], .n = i + 1 - from};
        from = i + 1;
    }
    return steps_n;
}

uint32_t result_hist(const int64_t *amounts_fen, uint32_t n, struct hist_step out[RESULT_HIST_MAX])
{
    uint32_t steps_n = steps(amounts_fen, n, 0, out);

    if (steps_n > RESULT_HIST_MAX)
        steps_n = steps(amounts_fen, n, 3, out);
    RR_ASSERT(steps_n <= RESULT_HIST_MAX); /* a third each: 49 steps for RR_PACKETS_MAX */
    return steps_n;
}
