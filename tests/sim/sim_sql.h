/* sim_sql.h - the simulated books: one rain's rows, transactions one after the other.
 * A transaction works on a copy; COMMIT puts it in place. Its locks are one lock: whoever stalls inside keeps the others out
 * until wait_timeout (10 s); whoever waits longer than innodb_lock_wait_timeout (5 s) gets RR_RETRY. */
#ifndef SIM_SQL_H
#define SIM_SQL_H

#include "sim.h"

enum { SQL_GRANTS = 192, SQL_FENCED = 96, SQL_SENDER_FEN = 1000000 };
enum sql_grant_state { SQL_SETTLED = 1, SQL_VOID = 3 };
enum sql_task_kind { TASK_OPEN, TASK_CLOSE, TASK_RESULT, TASK_RECOVER, TASK_KINDS };
enum sql_fence_state {
    FENCE_NONE,
    FENCE_BEGUN,
    FENCE_WAITS,
    FENCE_DRAINS,
    FENCE_APPLIES,
    FENCE_DONE,
    FENCE_VOID
};

struct sql_grant {
    enum sql_grant_state state;
    int64_t user_id;
    uint32_t seq;
    uint32_t shard;
    uint32_t packet_no;
    int64_t amount_fen;
};

struct sql_escrow {
    int64_t total_fen;
    int64_t remain_fen;
    int64_t settled_fen;
    int64_t refunded_fen;
    bool closed;
    uint32_t granted_k;
    char rid[RR_RID_LEN + 1];
};

struct sql_task {
    bool there;
    bool done;
    int64_t next_at_us;
    uint32_t ver;
    uint32_t tries;
};

/* rp_fence, its ends and shards: the newest recovery. */
struct sql_fence {
    uint32_t id;
    enum sql_fence_state state;
    char run[RR_RID_LEN + 1];
    int64_t wait_until_us;
    int64_t high[SIM_PARTS];
    struct {
        bool lost;
        char old_rid[RR_RID_LEN + 1];
        char new_rid[RR_RID_LEN + 1];
        uint32_t floor;
    } shards[SIM_SHARDS];
};

struct sql_books {
    enum rain_status status; /* 0: no row */
    int64_t t0_ms;
    int64_t t1_ms;
    struct sql_escrow escrow[SIM_SHARDS];
    struct sql_grant grants[SQL_GRANTS];
    uint32_t grants_n;
    int64_t wallet_fen[SIM_USERS + 1]; /* 0: the sender */
    bool refund_logged[SIM_SHARDS];    /* UNIQUE (biz_type, biz_id, leg) */
    int64_t offset[SIM_PARTS];
    uint32_t conflicts_open;
    uint32_t conflicts_stale; /* of a run id that was given up: kept, block nothing */
    uint32_t dead_open;
    uint32_t voids;
    struct sql_task tasks[TASK_KINDS];
    struct sql_fence fence;
    struct {
        uint32_t shard;
        uint32_t floor;
        char rid[RR_RID_LEN + 1];
        char new_rid[RR_RID_LEN + 1];
    } fenced[SQL_FENCED]; /* rids that a recovery took away */
    uint32_t fenced_n;
    uint32_t fenced_done; /* of these, by recoveries up to the last one that ended */
    char last_conflict[64];
};

void sql_init(void);
/* What is committed, at this instant; for reads outside of transactions and for the oracle. */
const struct sql_books *sql_books(void);
bool sql_settled(void);
/* Rows of (user, seq), void ones not counted. */
uint32_t sql_grant_of(int64_t user_id, uint32_t seq, struct sql_grant *out);
uint32_t sql_next_no(const struct sql_books *b, uint32_t shard); /* highest no + 1 */
void sql_down(int64_t us);
bool sql_up(void);

/* Latency and outage of one statement outside of a transaction. */
RR_MUST_CHECK enum rr_err sql_read(void);
RR_MUST_CHECK enum rr_err sql_begin(struct sql_books **work);
/* Of one statement inside; an error has rolled back. stall: where the actor may be paused. */
RR_MUST_CHECK enum rr_err sql_stmt(enum sim_hit stall);
void sql_rollback(void);
/* RR_UNAVAILABLE: not known whether it happened. */
RR_MUST_CHECK enum rr_err sql_commit(enum sim_hit dead_before, enum sim_hit dead_after);

/* RR_DUPLICATE: a unique key. */
RR_MUST_CHECK enum rr_err sql_insert_grant(struct sql_books *b, const struct sql_grant *g);
void sql_task_put(struct sql_books *b, enum sql_task_kind kind, int64_t next_at_us);

/* The settling transaction over decoded or undecodable records; part -1: from the users hash, no offset.
 * RR_CONFLICT: the offset in SQL is another. */
struct settle_input {
    const struct kafka_rec *records;
    const struct grant_record *direct; /* part -1 */
    uint32_t n;
    int part;
    int64_t expected;
    int64_t next;
};
RR_MUST_CHECK enum rr_err sim_settle(const struct settle_input *in);

#endif
