#include "base/gcra.h"

struct gcra_rate gcra_rate_of(int64_t n, int64_t period_us, int64_t burst)
{
    int64_t step_us = n < period_us ? period_us / n : 1;

    return (struct gcra_rate){.step_us = step_us, .burst_us = step_us * burst};
}

int64_t gcra_next(int64_t tat_us, int64_t now_us, const struct gcra_rate *rate,
                  int64_t *retry_after_us)
{
    int64_t next_us = (tat_us > now_us ? tat_us : now_us) + rate->step_us;

    if (next_us - now_us > rate->burst_us) {
        *retry_after_us = next_us - now_us - rate->burst_us;
        return -1;
    }
    return next_us;
}
