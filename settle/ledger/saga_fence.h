/* saga_fence.h - the rows of a recovery: rp_fence, its shards, the ends of the log. Every change of state is made by one process
 * only; whoever comes later finds it made. Inside of saga_recover.c and its helpers. */
#ifndef SETTLE_LEDGER_SAGA_FENCE_H
#define SETTLE_LEDGER_SAGA_FENCE_H

#include "saga_impl.h"

enum fence_state {
    FENCE_BEGUN = 1, /* shards are being fenced in Redis */
    FENCE_WAITS,     /* for the end of what an older Redis could still have told */
    FENCE_DRAINS,    /* the settlers come up to where the log ended after the wait */
    FENCE_APPLIES,   /* new rids are in the books, the pool is filled */
    FENCE_DONE,
    FENCE_VOID /* Redis changed again: another recovery follows */
};

struct fence {
    int64_t id; /* 0: there was none yet */
    enum fence_state state;
    int64_t wait_left_ms;
};

struct fence_shard {
    uint32_t shard;
    char old_rid[RR_RID_LEN + 1];
    char new_rid[RR_RID_LEN + 1];
    uint32_t floor;
    uint32_t keep; /* quick: packets below it are known to be in the pool; 0: unknown */
};

/* Which shards are lost, and the run of the Redis that has each of them now: its own primary of a cluster. */
struct fence_runs {
    uint64_t lost;
    char now[RR_SHARDS_MAX][RR_RID_LEN + 1];
};

/* The newest one. */
RR_MUST_CHECK enum rr_err fence_read(struct ledger *l, const char *code, struct fence *out);
RR_MUST_CHECK enum rr_err fence_shards(struct ledger *l, const struct fence *f,
                                       struct fence_shard out[RR_SHARDS_MAX], uint32_t *n);
/* A new one after `last`, for the shards that are lost. RR_CONFLICT: somebody else was faster. */
RR_MUST_CHECK enum rr_err fence_begin(struct ledger *l, const char *code, const struct fence *last,
                                      const struct fence_runs *runs, const struct escrow_row *rows);
/* From state to the next one, wait_ms from now by the database's clock. RR_CONFLICT: it is not in `from` any more. */
RR_MUST_CHECK enum rr_err fence_move(struct ledger *l, const struct fence *f, enum fence_state from,
                                     enum fence_state to, int64_t wait_ms);
/* WAITS -> DRAINS with the log's ends. */
RR_MUST_CHECK enum rr_err fence_snapshot(struct ledger *l, const struct fence *f, const char *topic,
                                         const struct grant_log_end *ends, uint32_t n);
/* Records that are still to be settled, parked ones of this rain included. */
RR_MUST_CHECK enum rr_err fence_lag(struct ledger *l, const struct fence *f, const char *code,
                                    int64_t *records);
/* A topic that was made anew ends before the snapshot: what is gone is not waited for. */
RR_MUST_CHECK enum rr_err fence_lower(struct ledger *l, const struct fence *f, const char *topic,
                                      const struct grant_log_end *ends, uint32_t n);
/* DRAINS -> APPLIES: per shard floor and new rid at one instant. */
RR_MUST_CHECK enum rr_err fence_fix(struct ledger *l, const struct fence *f,
                                    const struct rain_info *r, struct fence_shard *shards,
                                    uint32_t n);
/* APPLIES -> DONE; the close step of a CLOSING rain is due at once. RR_CONFLICT: it was ended before. */
RR_MUST_CHECK enum rr_err fence_end(struct ledger *l, const struct fence *f, const char *code,
                                    const char *kind);

/* How far the state with state_rid is of the history the books' life goes on from: *below = packets whose grants in it still
 * stand, UINT32_MAX: all. It is of x->old_rid itself, or of a life before it when the recoveries between wrote their rids
 * and did not end. 0: it is of another life, nothing in it is believed. */
RR_MUST_CHECK enum rr_err fence_believed(struct ledger *l, const char *code,
                                         const struct fence_shard *x, const char *state_rid,
                                         uint32_t *below);
/* Fills one shard's pool from the books and what survived of `old_rid`. Errors of pool_admin.refill. */
RR_MUST_CHECK enum rr_err saga__refill(struct saga *s, const struct rain_info *r,
                                       const struct fence_shard *x);

#endif
