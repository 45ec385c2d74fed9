#include "risk_share.h"

#include "base/alloc.h"
#include "store/store_risk.h"
#include "worker.h"

#include <stdlib.h>
#include <string.h>

enum {
    EVERY_US = 190000, /* with a tick of 100 ms: every second one */
    CROWDS_MAX = 32,   /* per exchange */
};

struct risk_share_link {
    struct worker *w;
    struct risk_watch *watch;
    int64_t told_us;
};

struct counts_call {
    struct risk_share_link *link;
    uint32_t n;
    struct risk_share shares[STORE_RISK_MAX];
};

struct crowd_call {
    struct risk_share_link *link;
    uint64_t address;
    int64_t window;
};

static void counts_back(void *arg, enum rr_err err, const int64_t *totals, uint32_t n)
{
    struct counts_call *c = arg;

    /* Not known: taken as added. A count too low for one window harms less than one too high. */
    for (uint32_t i = 0; i < n; i++) {
        if (!err)
            risk_watch_merge(c->link->watch, &c->shares[i], totals[i]);
        else if (err != RR_PENDING)
            risk_watch_unsend(c->link->watch, &c->shares[i]);
    }
    free(c);
}

static int64_t window_ms(enum risk_rule rule)
{
    return rule == RISK_RATE ? RISK_RATE_WINDOW_MS : RISK_EARLY_WINDOW_MS;
}

static void tell(struct risk_share_link *l, const struct risk_share *shares, uint32_t n)
{
    struct counts_call *c = rr_xcalloc(1, sizeof(*c));
    struct store_risk_count counts[STORE_RISK_MAX];

    c->link = l;
    c->n = n;
    memcpy(c->shares, shares, n * sizeof(*shares));
    for (uint32_t i = 0; i < n; i++)
        counts[i] = (struct store_risk_count){.id = shares[i].id, .delta = shares[i].delta};
    store_async_risk_counts(l->w->store, risk_rule_name(shares->rule), shares->window,
                            2 * window_ms(shares->rule), counts, n, counts_back, c);
}

static int by_window(const void *pa, const void *pb)
{
    const struct risk_share *a = pa;
    const struct risk_share *b = pb;

    if (a->rule != b->rule)
        return a->rule < b->rule ? -1 : 1;
    return (a->window > b->window) - (a->window < b->window);
}

static void tell_counts(struct risk_share_link *l, const struct risk_rules *rules)
{
    struct risk_share shares[STORE_RISK_MAX];
    uint32_t n = risk_watch_collect(l->watch, rules, shares, STORE_RISK_MAX);
    uint32_t from = 0;

    qsort(shares, n, sizeof(*shares), by_window);
    for (uint32_t i = 1; i <= n; i++) {
        if (i < n && by_window(&shares[i], &shares[from]) == 0)
            continue;
        tell(l, shares + from, i - from);
        from = i;
    }
}

static void crowd_back(void *arg, enum rr_err err, const int64_t *totals, uint32_t n)
{
    struct crowd_call *c = arg;

    (void)n;
    if (!err)
        risk_watch_merge_crowd(c->link->watch, c->address, c->window, totals[0]);
    free(c);
}

static void tell_crowds(struct risk_share_link *l, const struct risk_rules *rules)
{
    struct risk_crowd crowd;

    for (int i = 0; i < CROWDS_MAX && risk_watch_collect_crowd(l->watch, rules, &crowd); i++) {
        struct crowd_call *c = rr_xcalloc(1, sizeof(*c));

        *c = (struct crowd_call){.link = l, .address = crowd.address, .window = crowd.window};
        store_async_risk_crowd(l->w->store, crowd.address, crowd.window, 2 * RISK_ADDRESS_WINDOW_MS,
                               crowd.users, crowd.n, crowd_back, c);
    }
}

void risk_share_tick(struct risk_share_link *l, const struct risk_rules *rules)
{
    int64_t now_us = rr_mono_us(l->w->clock);

    if (!l->w->bus_up || !l->w->store || now_us - l->told_us < EVERY_US)
        return;
    l->told_us = now_us;
    tell_counts(l, rules);
    tell_crowds(l, rules);
}

struct risk_share_link *risk_share_create(struct worker *w, struct risk_watch *watch)
{
    struct risk_share_link *l = rr_xcalloc(1, sizeof(*l));

    l->w = w;
    l->watch = watch;
    return l;
}

void risk_share_destroy(struct risk_share_link *l)
{
    free(l);
}
