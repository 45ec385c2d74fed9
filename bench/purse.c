/* purse.c - see purse.h. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/err.h"
#include "purse.h"

static struct purse *purse_of(struct user *u, const struct rain_view *rain)
{
    for (uint32_t i = 0; i < u->n_purses; i++) {
        if (u->purse[i].rain == rain)
            return &u->purse[i];
    }
    u->purse = rr_xrealloc(u->purse, u->n_purses + 1, sizeof(*u->purse));
    u->purse[u->n_purses] = (struct purse){.rain = rain};
    return &u->purse[u->n_purses++];
}

struct purse_entry *user_entry(struct user *u, const struct rain_view *rain, int64_t seq)
{
    if (seq < 0 || seq >= PURSE_SEQ_MAX)
        return NULL;
    struct purse *p = purse_of(u, rain);
    if ((uint64_t)seq >= p->n) {
        uint32_t n = (uint32_t)seq + 4;
        p->entry = rr_xrealloc(p->entry, n, sizeof(*p->entry));
        memset(p->entry + p->n, 0, (n - p->n) * sizeof(*p->entry));
        p->n = n;
    }
    return &p->entry[seq];
}

enum purse_news user_told(struct user *u, const struct rain_view *rain, const struct grant *g)
{
    struct purse_entry *e = user_entry(u, rain, g->seq);
    RR_ASSERT(e);
    if (!e->told) {
        e->told = true;
        e->grant = *g;
        u->wins++;
        return PURSE_NEW;
    }
    bool same = e->grant.shard == g->shard && e->grant.packet_no == g->packet_no &&
                e->grant.amount_fen == g->amount_fen;
    return same ? PURSE_SAME : PURSE_DIFFERS;
}

void user_fini(struct user *u)
{
    for (uint32_t i = 0; i < u->n_purses; i++)
        free(u->purse[i].entry);
    free(u->purse);
    free(u->id);
    free(u->token);
    *u = (struct user){0};
}
