/* saga_impl.h - the steps behind saga.h. Every step reads what SQL says, makes the world match it, and may be run again. */
#ifndef SETTLE_LEDGER_SAGA_IMPL_H
#define SETTLE_LEDGER_SAGA_IMPL_H

#include "ledger/saga.h"
#include "result_hist.h"
#include "ledger_impl.h"
#include "task.h"

/* RR_NOT_FOUND also for a malformed code and for another room's rain. */
RR_MUST_CHECK enum rr_err saga__get(struct saga *s, const struct saga_actor *a, const char *code,
                                    struct rain_info *out);

/* Runs a step of a task this process just armed; done or later. RR_PENDING: the task goes on later. */
RR_MUST_CHECK enum rr_err saga__run_inline(struct saga *s, const struct task *t);
/* One step by its kind: open, close, end, result, cancel, park, recover, start, expire, invite, report, tell, fu. RR_OK: done.
 * RR_PENDING: wait for something known. */
RR_MUST_CHECK enum rr_err saga__step(struct saga *s, const struct task *t, int64_t *next_at_ms);

enum rr_err saga__step_open(struct saga *s, const struct task *t, int64_t *next_at_ms);
enum rr_err saga__step_close(struct saga *s, const struct task *t, int64_t *next_at_ms);
enum rr_err saga__step_end(struct saga *s, const struct task *t, int64_t *next_at_ms);
enum rr_err saga__step_result(struct saga *s, const struct task *t, int64_t *next_at_ms);
enum rr_err saga__step_cancel(struct saga *s, const struct task *t, int64_t *next_at_ms);
enum rr_err saga__step_recover(struct saga *s, const struct task *t, int64_t *next_at_ms);
enum rr_err saga__step_start(struct saga *s, const struct task *t, int64_t *next_at_ms);
enum rr_err saga__step_expire(struct saga *s, const struct task *t, int64_t *next_at_ms);
enum rr_err saga__step_invite(struct saga *s, const struct task *t, int64_t *next_at_ms);
enum rr_err saga__step_report(struct saga *s, const struct task *t, int64_t *next_at_ms);
enum rr_err saga__step_tell(struct saga *s, const struct task *t, int64_t *next_at_ms);
enum rr_err saga__step_fu(struct saga *s, const struct task *t, int64_t *next_at_ms);
enum rr_err saga__step_park(struct saga *s, const struct task *t, int64_t *next_at_ms);

/* saga_start of a PREPARED rain (*out, read before), with the opening at t0_ms. */
RR_MUST_CHECK enum rr_err saga__start_at(struct saga *s, const char *code, int64_t t0_ms,
                                         struct rain_info *out);
/* Named users go where the workers read them. Nothing to do without a list. */
RR_MUST_CHECK enum rr_err saga__put_list(struct saga *s, const struct rain_info *r);

/* SENT -> CLOSING with its tasks. RR_OK also when it is CLOSING or SETTLED already. RR_PENDING: not before t1 (*out is set). */
RR_MUST_CHECK enum rr_err saga__close_begin(struct saga *s, const char *code, bool force,
                                            struct rain_info *out, struct task *end,
                                            struct task *close);

/* ---- recovery ---- */
/* Arms one, unless it is armed. */
RR_MUST_CHECK enum rr_err saga__recover_arm(struct saga *s, const char *code);
/* The pool's state of a shard is not the one its books name, or is damaged: it grants nothing and proves nothing. */
bool saga__pool_lost(const struct rain_info *r, uint32_t shard, const char *rid,
                     const struct pool_state *st);

/* ---- one shard's books ---- */
struct escrow_row {
    uint32_t shard;
    int64_t total_fen;
    int64_t remain_fen;
    int64_t settled_count;
    bool closed; /* granted_k is set */
    uint32_t granted_k;
    char rid[RR_RID_LEN + 1];
};
/* rows holds the rain's shards. RR_CORRUPT: not as many rows as shards. */
RR_MUST_CHECK enum rr_err escrow_read(struct ledger *l, const struct rain_info *r,
                                      struct escrow_row rows[RR_SHARDS_MAX]);
/* Writes granted_k once: max(k, highest no in SQL + 1); row->granted_k is what stands. RR_CONFLICT: other rid. */
RR_MUST_CHECK enum rr_err escrow_close(struct ledger *l, const char *code, struct escrow_row *row,
                                       uint32_t k);
/* Refunds the packets >= granted_k, once. */
RR_MUST_CHECK enum rr_err escrow_refund(struct ledger *l, const struct rain_info *r,
                                        const struct escrow_row *row, int64_t amount_fen);
/* A packet nobody has: a VOID row and its refund, once. */
RR_MUST_CHECK enum rr_err escrow_void(struct ledger *l, const struct rain_info *r,
                                      const struct escrow_row *row, uint32_t packet_no,
                                      int64_t amount_fen);
/* Only the refund of a VOID row that lacks it, once. */
RR_MUST_CHECK enum rr_err escrow_void_refund(struct ledger *l, const struct rain_info *r,
                                             const struct escrow_row *row, uint32_t packet_no,
                                             int64_t amount_fen);
/* What the users hash of a closed shard has and SQL lacks is settled; what both lack becomes VOID. */
RR_MUST_CHECK enum rr_err saga__compare(struct saga *s, const struct rain_info *r,
                                        const struct escrow_row *row);
/* The sender's wallet += amount, two legs, inside a transaction; the escrow's columns are the caller's. */
RR_MUST_CHECK enum rr_err escrow__give_back(struct ledger *l, const struct rain_info *r,
                                            uint32_t shard, const char *biz_type,
                                            const char *biz_id, int64_t amount_fen);

/* ---- pushes (payloads: docs/PROTOCOL.md) ---- */
RR_MUST_CHECK enum rr_err push_config(struct saga *s, const struct rain_info *r, int64_t now_ms);
/* state: RECOVERING, OPEN or CLOSED. Not kept: late joiners see the rain's configuration. */
RR_MUST_CHECK enum rr_err push_state(struct saga *s, const struct rain_info *r, const char *state,
                                     int64_t now_ms);
RR_MUST_CHECK enum rr_err push_end(struct saga *s, const struct rain_info *r);
RR_MUST_CHECK enum rr_err push_cancel(struct saga *s, const struct rain_info *r);
/* To each named user; to the sender. */
RR_MUST_CHECK enum rr_err push_invite(struct saga *s, const struct rain_info *r,
                                      const int64_t *users, uint32_t n);
RR_MUST_CHECK enum rr_err push_report(struct saga *s, const struct rain_info *r);
struct rain_winner {
    int64_t user_id;
    int64_t amount_fen;
    uint32_t shard;
    uint32_t packet_no;
};
enum { TOP_MAX = 10 };
struct rain_result {
    struct rain_winner top[TOP_MAX];
    uint32_t top_n;
    struct hist_step hist[RESULT_HIST_MAX];
    uint32_t hist_n;
};
RR_MUST_CHECK enum rr_err push_result(struct saga *s, const struct rain_info *r,
                                      const struct rain_result *result);

#endif
