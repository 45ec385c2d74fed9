#include "canary.h"

#include "base/err.h"
#include "base/log.h"

#include <sys/random.h>

static void canary_send(struct canary *c, int64_t now_us)
{
    c->sent++;
    c->sent_us[c->sent % CANARY_OPEN_MAX] = now_us;
    c->bus->echo(c->bus->impl, c->sent);
}

void canary_init(struct canary *c, const struct rr_clock *clock, const struct room_bus *bus,
                 struct rr_metrics *metrics)
{
    uint32_t random = 0;

    RR_ASSERT(getrandom(&random, sizeof(random), 0) == sizeof(random));
    *c = (struct canary){.clock = clock,
                         .bus = bus,
                         .metrics = metrics,
                         .sent = (uint64_t)(random >> 1 | 1) << 32,
                         .reset_after_us = CANARY_LATE_US,
                         .since_us = rr_mono_us(clock)};
    c->back = c->sent;
}

/* Every room is subscribed and loaded again: nobody misses what was lost. */
static void canary_lost(struct canary *c, int64_t now_us, const char *what)
{
    if (!c->lost)
        log_warn("pushes_lost", "%s, the subscriber connection is made anew", what);
    c->lost = true;
    c->since_us = now_us;
    rr_metric_add(&c->metrics->pushes_lost_total, 1);
    c->bus->resubscribe(c->bus->impl);
}

void canary_tick(struct canary *c, bool bus_up)
{
    int64_t now_us = rr_mono_us(c->clock);

    rr_metric_set(&c->metrics->pushes_up, canary_fresh(c->metrics, now_us));
    if (!bus_up) {
        c->since_us = now_us; /* the connection's own matter */
        return;
    }
    if (now_us - c->since_us > c->reset_after_us) {
        c->reset_after_us = c->reset_after_us * 2 > CANARY_RESET_MAX_US ? CANARY_RESET_MAX_US
                                                                        : c->reset_after_us * 2;
        canary_lost(c, now_us, "what this worker publishes does not come back");
    } else if (now_us - c->sent_us[c->sent % CANARY_OPEN_MAX] >= CANARY_EVERY_US) {
        canary_send(c, now_us);
    }
}

void canary_echo(struct canary *c, uint64_t number)
{
    int64_t now_us = rr_mono_us(c->clock);
    int64_t took_us = now_us - c->sent_us[number % CANARY_OPEN_MAX];

    if (number == 0) {
        c->back = c->sent; /* what is on its way may have passed us by */
        canary_send(c, now_us);
        return;
    }
    /* One that was held up for long proves nothing about now. */
    if (number <= c->back || number > c->sent || c->sent - number >= CANARY_OPEN_MAX ||
        took_us > CANARY_LATE_US)
        return;
    if (number != c->back + 1)
        canary_lost(c, now_us, "some of what this worker published did not come back");
    c->back = number;
    c->since_us = now_us;
    c->reset_after_us = CANARY_LATE_US;
    rr_metric_observe_us(&c->metrics->push_seconds, took_us);
    __atomic_store_n((int64_t *)&c->metrics->pushed_us, now_us, __ATOMIC_RELAXED);
    if (c->lost)
        log_notice("pushes_back", "pushes arrive again");
    c->lost = false;
}

bool canary_fresh(const struct rr_metrics *slot, int64_t now_us)
{
    int64_t at_us = __atomic_load_n((const int64_t *)&slot->pushed_us, __ATOMIC_RELAXED);

    return at_us && now_us - at_us <= CANARY_LATE_US;
}
