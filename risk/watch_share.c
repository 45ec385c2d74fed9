/* watch_share.c - what workers tell each other. Only what is worth it: a count is told from a part of its bound on, so that
 * a million people who tap a few times cost the others nothing. */
#include <utlist.h>

#include "watch_private.h"

static bool worth_telling(int64_t local, int64_t bound)
{
    return bound > 0 && local * RISK_SHARE_PART >= bound;
}

/* Counter ids of early grabs: one per user and rain. */
static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t x = a ^ (b * UINT64_C(0x9e3779b97f4a7c15));

    x ^= x >> 32;
    x *= UINT64_C(0xd6e8feb86659fd93);
    return x ^ (x >> 32);
}

static bool take(struct risk_count *c, int64_t bound, struct risk_share *out)
{
    if (c->local == c->sent || !worth_telling(c->local, bound))
        return false;
    out->window = c->window;
    out->delta = c->local - c->sent;
    c->sent = c->local;
    return true;
}

static uint32_t take_user(struct user_node *u, const struct risk_rules *rules,
                          struct risk_share *out)
{
    uint32_t n = 0;

    if (take(&u->rate, rules->v[RISK_RATE], &out[n])) {
        out[n].rule = RISK_RATE;
        out[n].id = (uint64_t)u->user_id;
        out[n].user_id = u->user_id;
        out[n++].rain = 0;
    }
    for (int i = 0; i < RISK_RAINS_PER_USER; i++) {
        struct early_count *e = &u->early[i];

        if (!e->rain || !take(&e->count, rules->v[RISK_EARLY], &out[n]))
            continue;
        out[n].rule = RISK_EARLY;
        out[n].id = mix((uint64_t)u->user_id, e->rain);
        out[n].user_id = u->user_id;
        out[n++].rain = e->rain;
    }
    return n;
}

uint32_t risk_watch_collect(struct risk_watch *w, const struct risk_rules *rules,
                            struct risk_share *out, uint32_t max)
{
    uint32_t n = 0;

    while (w->users_dirty && n + 1 + RISK_RAINS_PER_USER <= max) {
        struct user_node *u = w->users_dirty;

        DL_DELETE2(w->users_dirty, u, dirty_prev, dirty_next);
        u->dirty = false;
        n += take_user(u, rules, out + n);
    }
    return n;
}

static struct risk_count *count_of(struct risk_watch *w, const struct risk_share *s)
{
    struct user_node *u = risk__user_find(w, s->user_id);
    struct early_count *e = u && s->rule == RISK_EARLY ? risk__early_find(u, s->rain) : NULL;
    struct risk_count *c = !u ? NULL : s->rule == RISK_EARLY ? (e ? &e->count : NULL) : &u->rate;

    return c && c->window == s->window ? c : NULL;
}

void risk_watch_merge(struct risk_watch *w, const struct risk_share *s, int64_t total)
{
    struct risk_count *c = count_of(w, s);

    if (c && total > c->merged)
        c->merged = total;
}

void risk_watch_unsend(struct risk_watch *w, const struct risk_share *s)
{
    struct risk_count *c = count_of(w, s);

    if (!c)
        return;
    c->sent -= s->delta < c->sent ? s->delta : c->sent;
    risk__user_dirty(w, risk__user_find(w, s->user_id));
}

bool risk_watch_collect_crowd(struct risk_watch *w, const struct risk_rules *rules,
                              struct risk_crowd *out)
{
    while (w->addresses_dirty) {
        struct address_node *a = w->addresses_dirty;

        DL_DELETE2(w->addresses_dirty, a, dirty_prev, dirty_next);
        a->dirty = false;
        if (a->n == a->sent || !worth_telling(a->n, rules->v[RISK_ADDRESS]))
            continue;
        *out = (struct risk_crowd){.address = a->address,
                                   .window = a->window,
                                   .users = a->users + a->sent,
                                   .n = a->n - a->sent};
        a->sent = a->n;
        return true;
    }
    return false;
}

void risk_watch_merge_crowd(struct risk_watch *w, uint64_t address, int64_t window, int64_t total)
{
    struct address_node *a = risk__address_find(w, address);

    if (a && a->window == window && total > a->merged)
        a->merged = total;
}
