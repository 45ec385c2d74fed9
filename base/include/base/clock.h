/* clock.h - the only source of time. Production uses rr_clock_system(); tests hand in a fake.
 * Monotonic time is CLOCK_BOOTTIME: it goes on while the machine is suspended. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

struct rr_clock {
    int64_t (*mono_us)(const struct rr_clock *c); /* microseconds, never goes back */
    int64_t (*wall_ms)(const struct rr_clock *c); /* milliseconds since 1970, may jump */
};

const struct rr_clock *rr_clock_system(void);

static inline int64_t rr_mono_us(const struct rr_clock *c)
{
    return c->mono_us(c);
}

static inline int64_t rr_wall_ms(const struct rr_clock *c)
{
    return c->wall_ms(c);
}

/* For tests: time stands still until it is moved. */
struct rr_clock_fake {
    struct rr_clock base; /* first */
    int64_t now_us;
    int64_t wall_offset_ms;
};
void rr_clock_fake_init(struct rr_clock_fake *f, int64_t now_us, int64_t wall_ms);

#endif
