/* rain_job.h - everything an anchor or a platform asks of the books, as one kind of database job.
 * The WebSocket handlers and the admin API fill the same struct and end in the same functions
 * (ledger/saga.h). */
#ifndef SERVER_RAIN_JOB_H
#define SERVER_RAIN_JOB_H

#include "db_pool.h"
#include "ledger/wallet_op.h"
#include "rain/grab_pending.h"
#include "room/session.h"

struct worker;
struct console_ask;

enum rain_job_kind {
    RAIN_JOB_NONE, /* there is nothing left to do */
    RAIN_JOB_CREATE,
    RAIN_JOB_PREPARE,
    RAIN_JOB_START,
    RAIN_JOB_EXTEND,
    RAIN_JOB_CLOSE,
    RAIN_JOB_CANCEL,
    RAIN_JOB_SHOW,
    RAIN_JOB_LIST,
    RAIN_JOB_GRANTS,
    RAIN_JOB_GRAB,        /* what the books say of (user, code, seq) */
    RAIN_JOB_RAIN_GRANTS, /* a page of a rain's grants */
    RAIN_JOB_STATS,       /* numbers of many rains */
    RAIN_JOB_DEPOSIT,
    RAIN_JOB_WALLET,
    RAIN_JOB_WALLET_OP,
    RAIN_JOB_WALLET_LOG,
    RAIN_JOB_PUSH,
    RAIN_JOB_SETTLER_METRICS,
    RAIN_JOB_PUT_LIST,
    RAIN_JOB_SEND,
    RAIN_JOB_SENT,
    RAIN_JOB_WINNERS, /* these five: console_job.h */
    RAIN_JOB_AUDIT,
    RAIN_JOB_TEMPLATES,
    RAIN_JOB_CHECK,
    RAIN_JOB_NOTE
};

enum {
    RAIN_JOB_LIST_MAX = 50,
    RAIN_JOB_GRANTS_MAX = 100,
    RAIN_JOB_PAGE_MAX = 500,
    RAIN_JOB_WALLET_LOG_MAX = 500
};

/* A grant in Redis or in SQL; amount only when it is in SQL. */
struct rain_job_grant {
    struct grant_row row;
    bool in_sql;
};

struct rain_job {
    struct db_job base; /* first */
    enum rain_job_kind kind;
    /* Who gets the answer: set by the submitter, called on the loop with the job; frees nothing. */
    void (*answer)(struct rain_job *j);
    void *owner;         /* struct worker or struct admin */
    uint64_t session_id; /* an id: the session may be gone */
    uint32_t req_id;
    /* in */
    int64_t user_id; /* who acts or whose wallet / grants; 0: backend */
    bool any_room;   /* backend: room_id does not restrict */
    char room_id[RR_ROOM_ID_MAX + 1];
    char code[RR_CODE_LEN + 1];
    char biz_id[RR_BIZ_ID_MAX + 1];
    struct rain_spec spec;
    int64_t *users; /* of spec; owned */
    int64_t countdown_ms;
    int64_t duration_ms;
    int64_t add_ms;
    int64_t amount_fen;
    int64_t before_ms;               /* WALLET_LOG: an id */
    struct wallet_request wallet_op; /* WALLET_OP */
    struct grant_place after;        /* RAIN_GRANTS */
    uint32_t limit;                  /* RAIN_GRANTS: rows of the page */
    char (*codes)[RR_CODE_LEN + 1];  /* STATS: RAIN_JOB_PAGE_MAX; owned */
    uint32_t codes_n;
    uint32_t seq;                /* GRAB */
    struct pending_grab pending; /* GRAB: who waits for it */
    bool live; /* LIST, SHOW: a rain of the room runs, SQL is not to be asked if it can be helped */
    bool cached;                        /* out: it was not */
    uint32_t shards;                    /* GRANTS with a code: of that rain, 0: not known */
    char biz_code[RR_BIZ_CODE_MAX + 1]; /* PUSH */
    char *payload; /* PUSH: one msgpack value; SETTLER_METRICS: the text read; owned */
    size_t payload_len;
    struct console_ask *console; /* of the console's kinds; owned */
    /* out */
    enum rr_err err;
    const char *field;
    int64_t audit_id;        /* of an action: its row in rp_audit */
    struct rain_info *rains; /* RAIN_JOB_LIST_MAX for LIST and SENT, 1 otherwise; owned */
    uint32_t rains_n;
    struct rain_job_grant *grants; /* owned */
    uint32_t grants_n;
    struct wallet wallet;
    struct wallet_done wallet_done;    /* WALLET_OP */
    struct wallet_log_row *wallet_log; /* WALLET_LOG; owned */
    uint32_t wallet_log_n;             /* in: at most; out: how many */
    const char *recovery;              /* SHOW by the backend: its state; NULL: none */
    int64_t recovering_since_ms;
    struct delivery delivery; /* LIST, SHOW of an anchor: of the room's frames */
    uint64_t delivery_lost;
    int64_t lag_ms; /* LIST, SHOW: how far the books are behind; -1: not known */
};

/* A job whose answer goes to s as the REPLY to req_id. */
struct rain_job *rain_job_new(struct worker *w, const struct session *s, uint32_t req_id,
                              enum rain_job_kind kind);
/* A job of anybody else. */
struct rain_job *rain_job_alloc(enum rain_job_kind kind, void (*answer)(struct rain_job *j),
                                void *owner);
/* What a refusal is about, short English; NULL: its name says it all. */
const char *rain_job_reason(enum rr_err err);
void rain_job_free(struct rain_job *j);
/* RR_OK: taken, answer() follows and the job is freed after it. Else the job is freed at once. */
RR_MUST_CHECK enum rr_err rain_job_submit_to(struct db_pool *db, struct rain_job *j,
                                             enum db_lane lane);
/* For jobs of rain_job_new(). */
RR_MUST_CHECK enum rr_err rain_job_submit(struct rain_job *j, enum db_lane lane);

/* Who asked for something asynchronous: an id, never a pointer to the session. */
struct session_ref {
    struct worker *worker;
    uint64_t session_id;
    uint32_t req_id;
};
struct session_ref *session_ref_new(struct worker *w, const struct session *s, uint32_t req_id);

#endif
