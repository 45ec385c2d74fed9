/* repair.h - mending what the checker found, by appended entries only: no balance is ever overwritten.
 * Two phases: repair_plan() says what would be done and gives it a hash; repair_apply() does exactly that plan or nothing.
 * What completes an ordinary step (a grant, a refund, a void) runs as that step, under its biz ids, so that the step itself can
 * never be done a second time; what no step ever does (a told win paid by the platform, a difference between a wallet and its
 * log) is booked as biz type "repair" under a biz id of its own. Every applied proposal is a row of rp_repair, written before it
 * is done and completed after it. Blocking; one thread per ledger. */
#ifndef LEDGER_REPAIR_H
#define LEDGER_REPAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "ledger/ledger.h"
#include "rain/pool.h"

/* X(ID, name, what it does) */
#define REPAIR_MAP(X)                                                                              \
    X(GRANT, "grant", "a packet that was granted is paid out of its escrow")                       \
    X(TOLD, "told", "a win that contradicts the books is paid by the platform")                    \
    X(CLOSE_PAID, "close-paid", "a record whose grant is in the books is closed")                  \
    X(CLOSE_REJECTED, "close-rejected", "a record is closed unpaid")                               \
    X(REFUND, "refund", "packets of a closed shard that nobody got go back to the sender")         \
    X(VOID_REFUND, "void-refund", "a void packet goes back to the sender")                         \
    X(WALLET, "wallet", "a wallet's difference to its log is booked against the platform")         \
    X(MAKE_GOOD, "make-good", "what a wallet lost is paid by the platform")                        \
    X(CLOSE_AGAIN, "close-again", "the step that ends the rain is armed")

enum repair_kind {
#define X(id, name, text) REPAIR_##id,
    REPAIR_MAP(X)
#undef X
        REPAIR_KIND_COUNT
};

enum { REPAIR_ENTRIES_MAX = 500 };

struct repair_entry {
    enum repair_kind kind;
    bool
        undecided; /* a win the operator must accept or reject first; kind is what accepting would do */
    char claim[32]; /* what --accept and --reject call it: c12, d7, h0:5; "" without a choice */
    char code[RR_CODE_LEN + 1];
    uint32_t shard;
    uint32_t packet_no;
    uint32_t seq;
    int64_t user_id; /* who gets the money; 0: nobody */
    int64_t amount_fen;
    char from[48]; /* accounts, for people */
    char to[48];
    char biz_type[17];
    char biz_id[81];
    int64_t dead_id;     /* row to close; 0: none */
    int64_t conflict_id; /* the same */
    char finding[200];
    /* of an applied one: the accounts and rows it touches, before and after */
    char before[300];
    char after[300];
};

struct repair_plan {
    struct repair_entry *entries; /* malloc'ed; in the order they are applied */
    uint32_t n;
    uint32_t undecided;
    bool truncated;   /* more than REPAIR_ENTRIES_MAX: apply, then ask again */
    char notes[1000]; /* what could not be looked at or needs a person; lines */
    char hash[65];    /* of every entry that would be applied */
};

struct repair_ask {
    const char *code;   /* NULL: the wallets */
    const char *accept; /* "all", or claims with commas; NULL: none */
    const char *reject;
    bool make_good;                /* wallets */
    const struct pool_admin *pool; /* NULL: the users hash is not compared */
};

const char *repair_kind_name(enum repair_kind k);
const char *repair_kind_text(enum repair_kind k);

/* RR_NOT_FOUND: no such rain. RR_BAD_REQUEST: an accepted or rejected claim is not there. */
RR_MUST_CHECK enum rr_err repair_plan(struct ledger *l, const struct repair_ask *ask,
                                      struct repair_plan *out);
void repair_plan_fini(struct repair_plan *p); /* safe on a zeroed one */
/* Plans again; RR_CONFLICT when that is not the plan with this hash (*out is the new one, nothing is done). Stops at the first
 * failure; what was done stays done and is not proposed again. *done: how many. */
RR_MUST_CHECK enum rr_err repair_apply(struct ledger *l, const struct repair_ask *ask,
                                       const char *hash, const char *who, struct repair_plan *out,
                                       uint32_t *done);

struct repair_row {
    int64_t id;
    int64_t user_id;
    int64_t amount_fen;
    int64_t applied_at_ms;
    char plan[65];
    char code[RR_CODE_LEN + 1];
    char kind[25];
    char biz_type[17];
    char biz_id[81];
    char finding[301];
    char before[301];
    char after[301];
    char who[65];
};
/* The repair log, newest first; code NULL: all. */
RR_MUST_CHECK enum rr_err repair_log(struct ledger *l, const char *code, struct repair_row *out,
                                     uint32_t max, uint32_t *n);

#endif
