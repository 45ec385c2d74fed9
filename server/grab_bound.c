#include "grab_bound.h"

enum {
    RETRY_MIN_MS = 200,
    RETRY_MAX_MS = 2000,
    SLICE_MIN_US = 20 * 1000,
    SHARE_OF_MORE = 2, /* a pace that grows counts for half, one that shrinks for a quarter */
    SHARE_OF_LESS = 4,
    TOO_LONG = 3, /* times wait_us: only who waits that long was taken in vain */
};

static uint32_t bound(const struct grab_bound *b)
{
    double n = b->per_s * (double)b->wait_us / 1e6;

    return n > (double)b->least ? (uint32_t)n : b->least;
}

/* Until as many as were taken are answered, at the pace. */
static int64_t retry_after(const struct grab_bound *b, uint32_t waiting)
{
    double ms = b->per_s > 0 ? (double)waiting * 1000 / b->per_s : RETRY_MAX_MS;

    return ms > RETRY_MAX_MS ? RETRY_MAX_MS : ms < RETRY_MIN_MS ? RETRY_MIN_MS : (int64_t)ms;
}

bool grab_bound_take(struct grab_bound *b, uint32_t waiting, bool again, int64_t *retry_after_ms)
{
    if (waiting < b->low)
        b->low = waiting;
    if (b->wait_us && waiting / (again ? 2 : 1) >= bound(b)) {
        b->refused = true;
        *retry_after_ms = retry_after(b, waiting);
        return false;
    }
    b->taken++;
    return true;
}

/* By Little's law. A loop that is busy with other things answers later however few it has taken: taking fewer would only make the
 * pace smaller, the bound with it, and so on down to the least. */
static bool waits_too_long(const struct grab_bound *b, double per_s)
{
    return (double)b->low * 1e6 > per_s * (double)b->wait_us * TOO_LONG;
}

bool grab_bound_tick(struct grab_bound *b, uint32_t waiting, int64_t now_us)
{
    uint64_t came = b->taken - b->last_taken;
    int64_t us = now_us - b->last_us;
    bool refused = b->refused;
    double per_s = 0;

    if (us < SLICE_MIN_US)
        return false; /* too short to say anything */
    if (waiting < b->low)
        b->low = waiting;
    per_s = ((double)b->last_waiting + (double)came - (double)waiting) * 1e6 / (double)us;
    if (b->last_us && per_s > b->per_s)
        b->per_s += (per_s - b->per_s) / SHARE_OF_MORE;
    else if (b->last_us && b->low > b->least / 2 && waits_too_long(b, per_s))
        b->per_s += (per_s - b->per_s) / SHARE_OF_LESS;
    b->last_us = now_us;
    b->last_taken = b->taken;
    b->last_waiting = waiting;
    b->low = waiting;
    b->refused = false;
    return refused;
}
