/* settle_job.h - one batch on its way through settling; shared by settle_*.c. */
#ifndef SETTLE_LEDGER_SETTLE_JOB_H
#define SETTLE_LEDGER_SETTLE_JOB_H

#include "ledger_impl.h"
#include "settle_decide.h"

struct held_grant;

struct settle_entry {
    const struct settle_item *item;
    struct settle_decision first;     /* without the books; constant after the plan */
    struct settle_decision now;       /* of this attempt */
    char room_id[RR_ROOM_ID_MAX + 1]; /* of the rain */
    int64_t after_fen;                /* balance of the user after this grant */
    bool held;                        /* of this attempt: paid into frozen */
};

struct settle_wallet {
    int64_t user_id;
    int64_t sum_fen;
    int64_t running_fen; /* while the log is written */
    int64_t running_frozen_fen;
    int64_t day_fen;  /* won that day before this batch, running while holds are decided */
    int64_t held_fen; /* of sum_fen */
    int32_t day;      /* the latest one of his grants here */
};

struct settle_job {
    const struct settle_batch *batch;
    bool
        direct; /* no offset: from the users hash at close, or a parked record; unknown codes are not stored again */
    bool slow;  /* the batch itself calls for row-wise decisions */
    bool cas_failed;
    int64_t sql_offset;
    struct settle_entry
        *entries; /* sorted: records by code, shard, packet_no; then the undecodable */
    uint32_t n;
    struct settle_entry **take; /* of this attempt: what is paid, in the same order */
    uint32_t take_n;
    struct settle_wallet *wallets; /* of this attempt */
    uint32_t wallets_n;
    struct held_grant *held; /* of this attempt; NULL: none */
    uint32_t held_n;
    struct risk_rules rules; /* of this attempt */
};

/* Looks the rains up, decides what needs no books, sorts, finds duplicates inside the batch. */
RR_MUST_CHECK enum rr_err settle__plan(struct ledger *l, struct settle_job *job);
void settle__job_fini(struct settle_job *job);

/* Transactions for ledger__tx(); arg is the job.
 * fast: RR_DUPLICATE (some row exists), RR_CONFLICT (offset when cas_failed; else an escrow's condition failed). */
enum rr_err settle__fast_tx(struct ledger *l, void *job);
enum rr_err settle__slow_tx(struct ledger *l, void *job);

/* ---- rows; each is one statement, in the lock order offset, grants, wallets, log, escrow ---- */
RR_MUST_CHECK enum rr_err settle__move_offset(struct ledger *l, struct settle_job *job);
RR_MUST_CHECK enum rr_err settle__pay(struct ledger *l, struct settle_job *job, int64_t now_ms);
/* The entry of a user in job->wallets, which is ascending. */
struct settle_wallet *settle__wallet(const struct settle_job *job, int64_t user_id);
/* After the wallets are paid and read: what is to be held moves on into frozen, its grants become state 2, rp_risk says why.
 * One read when nothing is held. */
RR_MUST_CHECK enum rr_err settle__hold(struct ledger *l, struct settle_job *job, int64_t now_ms);
/* After COMMIT: a line per held grant. */
void settle__hold_log(const struct settle_job *job);
/* rp_dead and rp_conflict rows of what is not paid. */
RR_MUST_CHECK enum rr_err settle__put_aside(struct ledger *l, const struct settle_job *job,
                                            int64_t now_ms);

#endif
