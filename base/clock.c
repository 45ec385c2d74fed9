#include "base/clock.h"

#include <time.h>

static int64_t system_mono_us(const struct rr_clock *c)
{
    struct timespec ts;

    (void)c;
    clock_gettime(CLOCK_BOOTTIME, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int64_t system_wall_ms(const struct rr_clock *c)
{
    struct timespec ts;

    (void)c;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

const struct rr_clock *rr_clock_system(void)
{
    static const struct rr_clock clock = {.mono_us = system_mono_us, .wall_ms = system_wall_ms};

    return &clock;
}

static int64_t fake_mono_us(const struct rr_clock *c)
{
    return ((const struct rr_clock_fake *)c)->now_us;
}

static int64_t fake_wall_ms(const struct rr_clock *c)
{
    const struct rr_clock_fake *f = (const struct rr_clock_fake *)c;

    return f->wall_offset_ms + f->now_us / 1000;
}

void rr_clock_fake_init(struct rr_clock_fake *f, int64_t now_us, int64_t wall_ms)
{
    f->base = (struct rr_clock){.mono_us = fake_mono_us, .wall_ms = fake_wall_ms};
    f->now_us = now_us;
    f->wall_offset_ms = wall_ms - now_us / 1000;
}
