/* gcra.h - one rate limit: the generic cell rate algorithm in its virtual scheduling form (ITU-T
 * I.371, annex A; the form in which routers and Redis modules limit commands).
 *
 * A key's whole state is one number, its theoretical arrival time (TAT): when it will have paid for
 * everything it was let do. Each pass moves it on by one step. Who is ahead of the clock by more
 * than the burst is over the limit, and the difference is how long he has to wait. A TAT in the past
 * says nothing any more: it is the same as none, which is what lets idle keys be forgotten without
 * anybody gaining by it.
 *
 * Pure: no clock, no memory of its own. rate_slots.h keeps many of them for many processes. */
#ifndef BASE_GCRA_H
#define BASE_GCRA_H

#include <stdint.h>

struct gcra_rate {
    int64_t step_us;  /* between two passes in the long run; at least 1 */
    int64_t burst_us; /* how far ahead of the clock a key may be */
};

/* n per period; after a pause `burst` of them at once. n and burst at least 1. */
struct gcra_rate gcra_rate_of(int64_t n, int64_t period_us, int64_t burst);

/* The TAT after one more pass, or -1 when it is over the limit: then *retry_after_us is how long
 * until it is not. */
int64_t gcra_next(int64_t tat_us, int64_t now_us, const struct gcra_rate *rate,
                  int64_t *retry_after_us);

#endif
