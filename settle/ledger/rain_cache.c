#include "rain_cache.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "ledger_impl.h"

/* 8 bytes each: 64 MiB. One rain of any size always fits. */
enum { CACHE_AMOUNTS_MAX = 8 * 1024 * 1024 };

static void drop(struct rain_cache *c, uint32_t i)
{
    c->amounts -= c->items[i]->info.spec.count;
    free(c->items[i]->amounts_fen);
    free(c->items[i]);
    c->items[i] = c->items[--c->n];
}

static void make_room(struct rain_cache *c, uint32_t count)
{
    while (c->n && (c->n == RAIN_CACHE_MAX || c->amounts + count > CACHE_AMOUNTS_MAX)) {
        uint32_t oldest = 0;

        for (uint32_t i = 1; i < c->n; i++) {
            if (c->items[i]->used < c->items[oldest]->used)
                oldest = i;
        }
        drop(c, oldest);
    }
}

enum rr_err rain_cache_get(struct ledger *l, const char *code, const struct cached_rain **out)
{
    struct rain_cache *c = &l->cache;
    struct cached_rain *r = NULL;
    struct rain_info info;
    int64_t *amounts_fen = NULL;
    enum rr_err err = RR_OK;

    *out = NULL;
    for (uint32_t i = 0; i < c->n; i++) {
        if (memcmp(c->items[i]->info.code, code, RR_CODE_LEN + 1) == 0) {
            c->items[i]->used = ++c->clock;
            *out = c->items[i];
            return RR_OK;
        }
    }
    err = ledger_rain_get(l, code, &info);
    if (!err)
        err = ledger_rain_amounts(l, &info, &amounts_fen);
    if (err)
        return err;
    make_room(c, info.spec.count);
    r = rr_xcalloc(1, sizeof(*r));
    *r = (struct cached_rain){.info = info, .amounts_fen = amounts_fen, .used = ++c->clock};
    c->items[c->n++] = r;
    c->amounts += info.spec.count;
    *out = r;
    return RR_OK;
}

void rain_cache_fini(struct rain_cache *c)
{
    while (c->n)
        drop(c, c->n - 1);
}

int64_t cached_rain_amount(const struct cached_rain *r, uint32_t shard, uint32_t packet_no)
{
    const struct rain_spec *spec = &r->info.spec;

    if (shard >= spec->shards || packet_no >= rain_shard_count(spec->count, spec->shards, shard))
        return -1;
    return r->amounts_fen[(uint64_t)packet_no * spec->shards + shard];
}
