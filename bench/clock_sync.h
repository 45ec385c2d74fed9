/* clock_sync.h - what rain time (the server's Redis time) is now, seen from our monotonic clock.
 * The sample with the shortest round trip wins; an old winner is believed a little less each
 * second, so that clocks may drift. One estimate for the whole process. */
#ifndef BENCH_CLOCK_SYNC_H
#define BENCH_CLOCK_SYNC_H

#include <stdint.h>

struct clock_sync {
    int64_t offset_us; /* rain time minus our monotonic time */
    int64_t rtt_us;    /* of the winning sample */
    int64_t taken_us;  /* when it was taken */
    uint32_t samples;
};

/* A PING: sent and received on our clock, the server's stamps t1 <= t2 on rain time. */
void clock_sync_sample(struct clock_sync *c, int64_t sent_us, int64_t t1_us, int64_t t2_us,
                       int64_t received_us);
/* A first guess from a message that carries the time: used only until a PING is answered. */
void clock_sync_guess(struct clock_sync *c, int64_t rain_us, int64_t received_us);
int64_t clock_sync_mono_us(const struct clock_sync *c, int64_t rain_ms);
int64_t clock_sync_rain_ms(const struct clock_sync *c, int64_t mono_us);

#endif
