/* pool.h - ports to the pool of amounts (Redis in production, a fake in tests).
 * struct pool_admin: blocking, for threads that may block (DB threads of the server, the settler,
 *   redrainctl).
 * struct pool_grab: asynchronous, for the worker's loop.
 * Every operation is one script: all or nothing, and repeatable. */
#ifndef RAIN_POOL_H
#define RAIN_POOL_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "base/slice.h"
#include "protocol/limits.h"

/* ---- run ids ---- */

/* A rid names one life of a shard's pool: the first 32 digits are of the run of Redis it lives in, the last 8 are the run's
 * own too until a recovery puts its number there. */
enum { POOL_RUN_LEN = 32 };
static inline bool pool_same_run(const char *a, const char *b)
{
    return a[0] && strncmp(a, b, POOL_RUN_LEN) == 0;
}
/* What a state says of the life `rid`, also after fence() took the first digit away. */
static inline bool pool_same_life(const char *state_rid, const char *rid)
{
    return state_rid[0] && rid[0] && strcmp(state_rid + 1, rid + 1) == 0;
}

/* ---- blocking side ---- */

struct pool_shard {
    char code[RR_CODE_LEN + 1];
    uint32_t shard;
};

struct pool_seal {
    struct pool_shard at;
    char room_id[RR_ROOM_ID_MAX + 1];
    const int64_t *amounts_fen; /* in pop order; borrowed */
    uint32_t count;
    uint32_t limit;
    char amounts_hash[41];
};

struct pool_state {
    bool exists;
    char st;                      /* 'P' prepared, 'O' open, 'C' closed */
    char rid[RR_RID_LEN + 1];     /* as stored in the state */
    char now_rid[RR_RID_LEN + 1]; /* of the Redis that answered; differs after a restart */
    int64_t t0_ms;
    int64_t t1_ms;
    int64_t granted_fen;
    int64_t sold_out_at_ms; /* 0: not sold out */
    uint32_t n;
    uint32_t granted;
    uint32_t left;   /* in the list; n - granted, or the pool is damaged */
    uint32_t layout; /* of its keys in Redis; a pool from before there were layouts is of 1 */
};

struct pool_grant {
    int64_t user_id;
    int64_t amount_fen;
    uint32_t seq;
    uint32_t packet_no;
};
typedef enum rr_err (*pool_grant_fn)(void *arg, const struct pool_grant *g);

/* What a recovery puts in the place of a lost pool. Borrowed. */
struct pool_refill {
    struct pool_shard at;
    char room_id[RR_ROOM_ID_MAX + 1];
    char from_rid[RR_RID_LEN + 1]; /* what the state must still say; "": there is none */
    char rid[RR_RID_LEN + 1];      /* of the new life; the fence must say it too */
    char st;                       /* 'P', 'O', 'C'; a closed shard stays closed */
    int64_t t0_ms;                 /* 0: no times yet */
    int64_t t1_ms;
    const int64_t *amounts_fen; /* of all n packets in pop order */
    const struct pool_grant
        *grants;          /* of all users, ascending by user and seq; packet_no < floor */
    const bool *in_books; /* per grant; the others are written to the outbox */
    uint32_t grants_n;
    uint32_t n;
    uint32_t floor; /* packets below are granted */
    uint32_t limit;
};

/* A Redis that answers. */
struct pool_epoch {
    char rid[RR_RID_LEN + 1]; /* its run id */
    char mark[33];            /* random; another one after a wipe */
};

struct pool_user_total {
    int64_t user_id;
    int64_t total_fen;
};

/* All of them: one, or the primaries of a cluster, each with pools of its own. */
enum { POOL_EPOCHS_MAX = 64 };
struct pool_epochs {
    struct pool_epoch of[POOL_EPOCHS_MAX]; /* ascending by rid; what is not set is 0 */
    uint32_t n;
    uint32_t away; /* primaries that did not answer */
};

struct pool_admin {
    void *impl;
    /* Rain time: Redis TIME. */
    enum rr_err (*now_ms)(void *impl, int64_t *now_ms);
    /* The named users of a rain, for pool_grab.allowed: ascending. Repeatable. */
    enum rr_err (*allow)(void *impl, const char *code, const int64_t *users, uint32_t n);
    /* Fills a list unique to this attempt in batches of 100, checks length and hash, then puts it
     * in place with state P. RR_OK also when this shard was already sealed (any state). *rid: the
     * run id stored in the state. */
    enum rr_err (*seal)(void *impl, const struct pool_seal *s, char rid[RR_RID_LEN + 1]);
    /* P -> O only, with t0 and t1; O or C: no-op (RR_OK). RR_NOT_FOUND: no state. RR_RECOVERING:
     * other run id. */
    enum rr_err (*open)(void *impl, const struct pool_shard *at, int64_t t0_ms, int64_t t1_ms);
    /* O: t1 = max(t1, new). P or C: RR_CONFLICT. */
    enum rr_err (*extend)(void *impl, const struct pool_shard *at, int64_t t1_ms);
    /* O or P -> C; before t1 only with force (else RR_CONFLICT). Irreversible, repeatable; *out is
     * the state after. */
    enum rr_err (*close)(void *impl, const struct pool_shard *at, bool force,
                         struct pool_state *out);
    enum rr_err (*state)(void *impl, const struct pool_shard *at, struct pool_state *out);
    /* Every grant of the shard's users hash, by HSCAN; a grant may be reported twice. */
    enum rr_err (*grants)(void *impl, const struct pool_shard *at, pool_grant_fn fn, void *arg);
    /* One user's grants in his shard, by HGET. */
    enum rr_err (*user_grants)(void *impl, const struct pool_shard *at, int64_t user_id,
                               pool_grant_fn fn, void *arg);
    /* Which Redis answers, and whether it was wiped. RR_UNAVAILABLE: none does. */
    enum rr_err (*epochs)(void *impl, struct pool_epochs *out);
    /* How many servers share the shards; 0: not known. NULL: one. */
    uint32_t (*primaries)(void *impl);
    /* True: every acknowledged write is on disk (AOF, appendfsync always, also while rewriting). False: not, or not known. */
    bool (*durable)(void *impl);
    /* Begins a recovery of the shard into the life rid: it grants nothing any more, and refill() takes this rid only. */
    enum rr_err (*fence)(void *impl, const struct pool_shard *at, const char *rid);
    /* Ends it. RR_OK: in place, now or before. RR_CONFLICT: a wipe, a restart or another recovery came between, nothing was
     * done: begin again. RR_RETRY: nothing was done, the state is to be read again. */
    enum rr_err (*refill)(void *impl, const struct pool_refill *r);
    /* After SETTLED: UNLINK the outbox, TTL of 7 days on the rest. */
    enum rr_err (*retire)(void *impl, const struct pool_shard *at);
    /* Prepare lock redpkt:init:lock:{code} (an optimisation only): RR_BUSY when somebody else holds
     * it. */
    enum rr_err (*lock)(void *impl, const char *code, const char *owner, int64_t ttl_ms);
    void (*unlock)(void *impl, const char *code, const char *owner);
    /* Markers redpkt:prepare:ok:{code} and redpkt:notify:{code} (value = owner of the start). */
    enum rr_err (*mark)(void *impl, const char *marker, const char *code, const char *value);
    /* Statistics after COMMIT, set-if-greater: totals of a rain, totals of any number of users. */
    enum rr_err (*stats)(void *impl, const char *code, int64_t count, int64_t price_fen);
    enum rr_err (*user_totals)(void *impl, const struct pool_user_total *totals, uint32_t n);
};

/* ---- asynchronous side ---- */

struct pool_grab_item {
    int64_t user_id;
    uint32_t seq;
    bool replay_only; /* what was granted is given back as ever, else NOT_ELIGIBLE */
};

enum { POOL_GRAB_MAX = 500 };

struct pool_grab_result {
    /* OK, SOLD_OUT, LIMIT, NOT_STARTED, ENDED, BUSY, RECOVERING, BAD_SEQ, NOT_ELIGIBLE */
    enum rr_err rc;
    bool replay;  /* OK: granted by an earlier call */
    uint32_t seq; /* BAD_SEQ: the next one */
    uint32_t packet_no;
    int64_t amount_fen;
};

struct pool_grab_reply {
    const struct pool_grab_result *items; /* one per item, same order; borrowed */
    uint32_t n;
    char rid[RR_RID_LEN + 1];
    char outbox_id[32]; /* stream id of the entry written by this call, "" when none */
    int64_t now_ms;     /* Redis TIME inside the script */
    int64_t t0_ms;
    int64_t t1_ms;
    int64_t granted_fen;    /* of the shard */
    int64_t sold_out_at_ms; /* 0: not */
    uint32_t granted;       /* of the shard */
    uint32_t left;          /* of the shard */
};

/* err RR_OK: reply is set. RR_UNAVAILABLE: the call was never sent (nothing happened).
 * RR_PENDING: sent, outcome unknown. Called exactly once per call, from the loop. */
typedef void (*pool_grab_fn)(void *arg, enum rr_err err, const struct pool_grab_reply *reply);
typedef void (*pool_sums_fn)(void *arg, enum rr_err err, int64_t granted, int64_t granted_fen,
                             int64_t sold_out_at_ms);

/* next: the user's next seq, i.e. how many grants he has. */
typedef void (*pool_next_fn)(void *arg, enum rr_err err, uint32_t next);

/* RR_OK: *users (ascending, borrowed). RR_NOT_FOUND: nobody has put the list there. */
typedef void (*pool_allowed_fn)(void *arg, enum rr_err err, const int64_t *users, uint32_t n);

struct pool_grab {
    void *impl;
    /* The list of pool_admin.allow. */
    void (*allowed)(void *impl, const char *code, pool_allowed_fn done, void *arg);
    /* items are copied before return. n <= POOL_GRAB_MAX. */
    void (*grab)(void *impl, const struct pool_shard *at, const struct pool_grab_item *items,
                 uint32_t n, pool_grab_fn done, void *arg);
    /* Removes outbox entries whose records are all reported. Fire and forget. */
    void (*outbox_del)(void *impl, const struct pool_shard *at, const char *const *ids, uint32_t n);
    /* Sum of granted over all shards of a rain; sold_out_at is the latest, 0 unless all shards are
     * sold out. */
    void (*sums)(void *impl, const char *code, uint32_t shards, pool_sums_fn done, void *arg);
    /* For JOIN's answer: one read of one user's record. */
    void (*next_seq)(void *impl, const struct pool_shard *at, int64_t user_id, pool_next_fn done,
                     void *arg);
};

#endif
