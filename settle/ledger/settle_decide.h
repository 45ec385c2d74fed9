/* settle_decide.h - what a consumed record is: new money, a duplicate, a contradiction, poison. Pure: facts in, verdict out.
 * Why: every wrong verdict is money paid twice or lost; here each rule is one line with one test. */
#ifndef SETTLE_LEDGER_SETTLE_DECIDE_H
#define SETTLE_LEDGER_SETTLE_DECIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "ledger/settle_batch.h"
#include "risk/rules.h"

enum settle_verdict {
    SETTLE_NEW,       /* pay it */
    SETTLE_DUPLICATE, /* already in the books with the same content */
    SETTLE_CONFLICT,  /* contradicts the books: to rp_conflict, unpaid */
    SETTLE_STALE_RID, /* granted by a Redis whose state was given up: to rp_conflict, unpaid */
    SETTLE_DEAD,      /* never valid: to rp_dead */
    SETTLE_PARK       /* its rain is not known here (yet): kept and tried again */
};

struct settle_decision {
    enum settle_verdict verdict;
    const char *reason; /* short constant for rp_dead and rp_conflict, "" for NEW and DUPLICATE */
};

/* ---- what can be said of a record without the books ---- */
struct settle_rain_facts {
    bool known;         /* a rain with this code exists */
    uint32_t limit;     /* packets per user */
    int64_t amount_fen; /* split(seed, shard, packet_no); -1: no such packet */
};
/* NEW (goes on to settle_decide_row), DEAD or PARK. */
struct settle_decision settle_decide_record(const struct settle_item *item,
                                            const struct settle_rain_facts *rain);

/* ---- against the rows of the books ---- */
struct settle_grant_fact {
    bool found;
    bool is_void;
    int64_t user_id;
    int64_t amount_fen;
    uint32_t shard;
    uint32_t packet_no;
    uint32_t seq;
};
struct settle_row_facts {
    struct settle_grant_fact by_packet; /* the row of (code, shard, packet_no) */
    struct settle_grant_fact by_seq;    /* the row of (code, user, seq) */
    const char *rid;                    /* of the escrow; NULL or "": never prepared */
    int64_t remain_fen;                 /* of the escrow */
    bool closed;                        /* granted_k is set */
    uint32_t granted_k;
};
/* NEW, DUPLICATE, CONFLICT or STALE_RID. A duplicate stays one after the rain was closed or recovered. */
struct settle_decision settle_decide_row(const struct grant_record *rec,
                                         const struct settle_row_facts *facts);

/* ---- is what is paid held for review? ---- */
struct settle_hold_facts {
    const struct risk_rules *rules;
    bool marked; /* a worker marked this user in this rain, from this seq or an earlier one on */
    int64_t amount_fen;
    int64_t day_fen; /* what the user won that day, this grant included */
};
struct settle_hold {
    bool held;
    enum risk_rule rule; /* RISK_NONE: the mark's own */
    int64_t seen;
    int64_t bound;
};
/* Allow or hold, never a refusal: the packet is his. A mark comes before the amounts. */
struct settle_hold settle_decide_hold(const struct settle_hold_facts *facts);

/* ---- inside one batch ---- */
enum settle_same {
    SETTLE_SAME_NOT, /* two different grants */
    SETTLE_SAME,     /* the same grant twice */
    SETTLE_SAME_BUT  /* the same packet, another content */
};
enum settle_same settle_same(const struct grant_record *a, const struct grant_record *b);
/* Order of grants: code, shard, packet_no. */
int settle_order(const struct grant_record *a, const struct grant_record *b);

#endif
