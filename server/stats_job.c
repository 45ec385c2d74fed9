#include "stats_job.h"

#include "base/alloc.h"
#include "ledger/room_stats.h"

#include <stdlib.h>
#include <string.h>

/* Grants that were settled after the step wrote the figures. */
static enum rr_err add_settled(struct rain_info *r, struct store_sync *store)
{
    int64_t count = 0;
    int64_t fen = 0;
    enum rr_err err = RR_OK;

    if (r->status != RAIN_SENT && r->status != RAIN_CLOSING)
        return RR_OK;
    err = store_sync_rain_totals(store, r->code, &count, &fen);
    if (!err && count > r->settled_count) {
        r->remain_fen -= fen - r->settled_fen;
        r->settled_fen = fen;
        r->settled_count = count;
    }
    return err;
}

static bool pick(struct rain_job *j, const struct rain_info *all, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (strcmp(all[i].code, j->code) == 0) {
            *j->rains = all[i];
            j->rains_n = 1;
            return true;
        }
    }
    return false; /* older than the newest: SQL knows */
}

bool stats_job_cached(struct rain_job *j, struct db_ctx *ctx)
{
    struct rain_info *all = rr_xcalloc(ROOM_STATS_RAINS, sizeof(*all));
    struct rr_slice bytes;
    uint32_t n = 0;
    bool ok = store_sync_room_stats(ctx->store, j->room_id, &bytes) == RR_OK &&
              room_stats_decode(bytes, all, ROOM_STATS_RAINS, &n) == RR_OK;

    for (uint32_t i = 0; ok && i < n; i++)
        ok = add_settled(&all[i], ctx->store) == RR_OK;
    j->wallet = (struct wallet){.user_id = j->user_id};
    ok = ok && store_sync_balance(ctx->store, j->user_id, &j->wallet.balance_fen) == RR_OK;
    if (ok && j->kind == RAIN_JOB_SHOW) {
        ok = pick(j, all, n);
    } else if (ok) {
        memcpy(j->rains, all, n * sizeof(*all));
        j->rains_n = n;
    }
    free(all);
    return ok;
}
