#include "drain.h"

enum {
    GRACE_MAX_US = 5000000,     /* after his slot: to connect anew, JOIN and close the old socket */
    HANDSHAKE_MAX_US = 1000000, /* sockets that are no sessions yet: a page, a slow handshake */
    FAST_US = 5000000,          /* for what is in flight when nobody is waited for */
    CLOSE_GRACE_US = 1000000,   /* for the answers to our close frames */
};

static void phase_set(struct drain *d, enum drain_phase phase, int64_t now_us)
{
    d->phase = phase;
    d->phase_us = now_us;
}

void drain_begin(struct drain *d, const struct drain_opts *o, enum drain_mode mode, int64_t now_us)
{
    if (d->phase == DRAIN_RUNNING) {
        d->opts = *o;
        d->began_us = now_us;
        d->mode = mode;
        d->deadline_us = now_us + o->timeout_us;
        phase_set(d,
                  mode == DRAIN_FAST   ? DRAIN_FLUSHING
                  : mode == DRAIN_HAND ? DRAIN_LEAVING
                                       : DRAIN_ANNOUNCED,
                  now_us);
    } else if (mode == DRAIN_FAST && d->mode != DRAIN_FAST) {
        d->mode = DRAIN_FAST;
        if (d->phase < DRAIN_FLUSHING)
            phase_set(d, DRAIN_FLUSHING, now_us);
    }
    if (mode == DRAIN_FAST && d->deadline_us > now_us + FAST_US)
        d->deadline_us = now_us + FAST_US;
}

/* Everybody had his slot, and the time to move. */
static bool all_left(const struct drain *d, const struct drain_view *v)
{
    int64_t grace_us = d->opts.spread_us < GRACE_MAX_US ? d->opts.spread_us : GRACE_MAX_US;
    int64_t from_us = d->last_slot_us > d->phase_us ? d->last_slot_us : d->phase_us;

    if (d->opts.spread_us == 0)
        return v->untold == 0;
    if (v->listening)
        return false;
    if (v->sessions == 0)
        return v->sockets == 0 || v->now_us - d->phase_us >= HANDSHAKE_MAX_US;
    return v->untold == 0 && v->now_us >= from_us + grace_us;
}

static enum drain_phase next(const struct drain *d, const struct drain_view *v)
{
    bool late = v->now_us >= d->deadline_us;

    switch (d->phase) {
    case DRAIN_ANNOUNCED:
        return late                                               ? DRAIN_CLOSING
               : v->now_us - d->began_us >= d->opts.ready_wait_us ? DRAIN_LEAVING
                                                                  : DRAIN_ANNOUNCED;
    case DRAIN_LEAVING:
        return late ? DRAIN_CLOSING : all_left(d, v) ? DRAIN_FLUSHING : DRAIN_LEAVING;
    case DRAIN_FLUSHING: return late || v->in_flight == 0 ? DRAIN_CLOSING : DRAIN_FLUSHING;
    case DRAIN_CLOSING:
        return v->sessions == 0 || v->now_us - d->phase_us >= CLOSE_GRACE_US ? DRAIN_DONE
                                                                             : DRAIN_CLOSING;
    case DRAIN_RUNNING:
    case DRAIN_DONE: break;
    }
    return d->phase;
}

bool drain_step(struct drain *d, const struct drain_view *v)
{
    enum drain_phase phase = next(d, v);

    if (phase == d->phase)
        return false;
    d->cut = d->cut || (phase == DRAIN_CLOSING && (d->phase != DRAIN_FLUSHING || v->in_flight > 0));
    phase_set(d, phase, v->now_us);
    return true;
}

bool drain_waits_for_rain(const struct drain *d, int64_t now_us)
{
    return d->phase == DRAIN_LEAVING && now_us - d->phase_us < d->opts.wait_rain_us;
}

uint32_t drain_slot_ms(struct drain *d, uint32_t i, uint32_t n, int64_t wave_us, int64_t now_us)
{
    int64_t slot_us = wave_us + d->opts.spread_us * (int64_t)i / (int64_t)(n ? n : 1);

    if (slot_us > d->deadline_us)
        slot_us = d->deadline_us;
    if (slot_us < now_us)
        slot_us = now_us;
    if (slot_us > d->last_slot_us)
        d->last_slot_us = slot_us;
    return (uint32_t)((slot_us - now_us) / 1000);
}
