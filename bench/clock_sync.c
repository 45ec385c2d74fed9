/* clock_sync.c - see clock_sync.h. */
#include "clock_sync.h"

enum { DISTRUST_PPM = 200 }; /* more than two quartz clocks drift apart */

void clock_sync_sample(struct clock_sync *c, int64_t sent_us, int64_t t1_us, int64_t t2_us,
                       int64_t received_us)
{
    int64_t rtt_us = (received_us - sent_us) - (t2_us - t1_us);
    if (rtt_us < 0)
        rtt_us = 0;
    int64_t aged_us = c->rtt_us + (received_us - c->taken_us) * DISTRUST_PPM / 1000000;
    if (c->samples++ && rtt_us > aged_us)
        return;
    c->rtt_us = rtt_us;
    c->taken_us = received_us;
    c->offset_us = ((t1_us - sent_us) + (t2_us - received_us)) / 2;
}

void clock_sync_guess(struct clock_sync *c, int64_t rain_us, int64_t received_us)
{
    if (c->samples == 0)
        c->offset_us = rain_us - received_us;
}

int64_t clock_sync_mono_us(const struct clock_sync *c, int64_t rain_ms)
{
    return rain_ms * 1000 - c->offset_us;
}

int64_t clock_sync_rain_ms(const struct clock_sync *c, int64_t mono_us)
{
    return (mono_us + c->offset_us) / 1000;
}
