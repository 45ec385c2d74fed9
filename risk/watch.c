#include "watch_private.h"

#include <math.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/alloc.h"

enum {
    USERS_MAX = 65536,
    ADDRESSES_MAX = 65536,
    MEMBERS_MAX = 1000000,
    GAP_MIN_US = 20000,    /* mean: faster is for the rate rule */
    GAP_MAX_US = 10000000, /* mean: slower is nobody's series */
    SERIES_US = 60000000,  /* a pause this long begins a new one */
};

struct risk_watch *risk_watch_create(const struct risk_watch_opts *o)
{
    struct risk_watch *w = rr_xcalloc(1, sizeof(*w));

    w->opts.users_max = o->users_max ? o->users_max : USERS_MAX;
    w->opts.addresses_max = o->addresses_max ? o->addresses_max : ADDRESSES_MAX;
    w->opts.members_max = o->members_max ? o->members_max : MEMBERS_MAX;
    return w;
}

static void user_drop(struct risk_watch *w, struct user_node *u)
{
    HASH_DEL(w->users, u);
    DL_DELETE(w->users_lru, u);
    if (u->dirty)
        DL_DELETE2(w->users_dirty, u, dirty_prev, dirty_next);
    free(u);
}

void risk_watch_destroy(struct risk_watch *w)
{
    struct user_node *u = NULL;
    struct user_node *tmp = NULL;

    if (!w)
        return;
    HASH_ITER (hh, w->users, u, tmp)
        user_drop(w, u);
    risk__addresses_fini(w);
    free(w);
}

struct user_node *risk__user_find(struct risk_watch *w, int64_t user_id)
{
    struct user_node *u = NULL;

    HASH_FIND(hh, w->users, &user_id, sizeof(user_id), u);
    return u;
}

static struct user_node *user_get(struct risk_watch *w, int64_t user_id)
{
    struct user_node *u = risk__user_find(w, user_id);

    if (u) {
        DL_DELETE(w->users_lru, u);
        DL_APPEND(w->users_lru, u);
        return u;
    }
    if (HASH_COUNT(w->users) >= w->opts.users_max) {
        user_drop(w, w->users_lru);
        w->forgotten++;
    }
    u = rr_xcalloc(1, sizeof(*u));
    u->user_id = user_id;
    HASH_ADD(hh, w->users, user_id, sizeof(u->user_id), u);
    DL_APPEND(w->users_lru, u);
    return u;
}

void risk__user_dirty(struct risk_watch *w, struct user_node *u)
{
    if (u->dirty)
        return;
    u->dirty = true;
    DL_APPEND2(w->users_dirty, u, dirty_prev, dirty_next);
}

/* ---- counts ---- */

static void count_add(struct risk_count *c, int64_t window)
{
    if (c->window != window)
        *c = (struct risk_count){.window = window};
    c->local++;
}

int64_t risk__count_seen(const struct risk_count *c)
{
    /* What others told, and what we have not told yet. */
    return c->merged + (int64_t)c->local - (int64_t)(c->merged ? c->sent : 0);
}

struct early_count *risk__early_find(struct user_node *u, uint64_t rain)
{
    for (int i = 0; i < RISK_RAINS_PER_USER; i++) {
        if (u->early[i].rain == rain)
            return &u->early[i];
    }
    return NULL;
}

static struct early_count *early_get(struct user_node *u, uint64_t rain)
{
    struct early_count *e = risk__early_find(u, rain);

    if (e)
        return e;
    e = &u->early[u->early_next++ % RISK_RAINS_PER_USER];
    *e = (struct early_count){.rain = rain};
    return e;
}

/* ---- pace ---- */

static void pace_add(struct user_node *u, int64_t at_us)
{
    int64_t gap_us = u->tapped_us ? at_us - u->tapped_us : SERIES_US;

    u->tapped_us = at_us ? at_us : 1;
    if (gap_us >= SERIES_US || gap_us < 0) {
        u->gaps = 0;
        return;
    }
    u->gap_us[u->gaps++ % RISK_STEADY_TAPS] = (uint32_t)gap_us;
}

int64_t risk__steady_pct(const struct user_node *u)
{
    double mean = 0;
    double square = 0;

    if (u->gaps < RISK_STEADY_TAPS)
        return -1;
    for (int i = 0; i < RISK_STEADY_TAPS; i++)
        mean += (double)u->gap_us[i] / RISK_STEADY_TAPS;
    if (mean < GAP_MIN_US || mean > GAP_MAX_US)
        return -1;
    for (int i = 0; i < RISK_STEADY_TAPS; i++) {
        double d = (double)u->gap_us[i] - mean;

        square += d * d / RISK_STEADY_TAPS;
    }
    return (int64_t)(100.0 * sqrt(square) / mean);
}

/* ---- the rules ---- */

/* What a tap was found to be, by rule; -1: says nothing. */
struct findings {
    int64_t seen[RISK_RULES];
};

static void observe(struct risk_watch *w, const struct risk_tap *t, struct findings *f)
{
    struct user_node *u = user_get(w, t->user_id);
    struct early_count *e = NULL;

    count_add(&u->rate, t->now_ms / RISK_RATE_WINDOW_MS);
    f->seen[RISK_RATE] = risk__count_seen(&u->rate);
    if (t->early && !t->again)
        count_add(&early_get(u, t->rain)->count, t->opens_ms / RISK_EARLY_WINDOW_MS);
    e = risk__early_find(u, t->rain);
    if (e)
        f->seen[RISK_EARLY] = risk__count_seen(&e->count);
    risk__user_dirty(w, u);
    if (!t->again) {
        pace_add(u, t->at_us);
        f->seen[RISK_STEADY] = risk__steady_pct(u);
    }
    if (t->address)
        f->seen[RISK_ADDRESS] =
            risk__address_add(w, t->address, t->now_ms / RISK_ADDRESS_WINDOW_MS, u);
    if (t->since_s > 0)
        f->seen[RISK_FRESH] = t->now_ms / 1000 - t->since_s;
    if (t->sender_id == t->user_id)
        f->seen[RISK_OWN] = 1;
}

static bool breaks(enum risk_rule rule, int64_t seen, int64_t bound)
{
    if (bound <= 0 || seen < 0)
        return false;
    switch (rule) {
    case RISK_OWN: return seen > 0;
    case RISK_STEADY:
    case RISK_FRESH: return seen < bound;
    default: return seen > bound;
    }
}

struct risk_verdict risk_watch_tap(struct risk_watch *w, const struct risk_rules *rules,
                                   const struct risk_tap *tap)
{
    /* Those that deny come first in the order of the table. */
    static const enum risk_rule order[] = {RISK_OWN,     RISK_RATE,   RISK_EARLY,
                                           RISK_ADDRESS, RISK_STEADY, RISK_FRESH};
    struct findings f;

    for (int i = 0; i < RISK_RULES; i++)
        f.seen[i] = -1;
    observe(w, tap, &f);
    for (size_t i = 0; i < RR_COUNTOF(order); i++) {
        enum risk_rule r = order[i];

        if (breaks(r, f.seen[r], rules->v[r]))
            return (struct risk_verdict){.rule = r, .seen = f.seen[r], .bound = rules->v[r]};
    }
    return (struct risk_verdict){.rule = RISK_NONE};
}

void risk_watch_counters(const struct risk_watch *w, struct risk_watch_counters *out)
{
    *out = (struct risk_watch_counters){.users = HASH_COUNT(w->users),
                                        .addresses = HASH_COUNT(w->addresses),
                                        .members = w->members,
                                        .forgotten = w->forgotten};
}
