/* fu_job.h - what viewers, anchors and platforms ask about 集五福, as one kind of database job (ledger/fu_book.h). */
#ifndef SERVER_FU_JOB_H
#define SERVER_FU_JOB_H

#include "db_pool.h"
#include "ledger/fu_book.h"

enum fu_job_kind {
    FU_JOB_DRAW,
    FU_JOB_JOIN,
    FU_JOB_GIVE,
    FU_JOB_MINE, /* of q.user_id in q.room_id */
    FU_JOB_SHOW, /* q.code, or the campaign of q.room_id */
    FU_JOB_CREATE,
    FU_JOB_CANCEL
};

struct fu_job {
    struct db_job base; /* first */
    enum fu_job_kind kind;
    void (*answer)(struct fu_job *j); /* on the loop; frees nothing */
    void *owner;                      /* struct worker or struct admin */
    uint64_t session_id;              /* or an admin request's */
    uint32_t req_id;
    bool anchor; /* sees the stock */
    /* in */
    struct fu_request q; /* room_id "": any, for a backend */
    struct fu_spec spec; /* CREATE */
    /* out */
    enum rr_err err;
    const char *field;
    struct fu_done done;
    struct fu_campaign campaign;
    struct fu_user user;
    struct fu_drawn drawn[FU_DRAWS_SHOWN];
    uint32_t drawn_n;
    int64_t balance_fen; /* the sender's, CREATE and CANCEL */
};

struct fu_job *fu_job_new(enum fu_job_kind kind, void (*answer)(struct fu_job *j), void *owner);
/* RR_OK: taken, answer() follows. The job is freed in any case. */
RR_MUST_CHECK enum rr_err fu_job_submit(struct db_pool *db, struct fu_job *j, enum db_lane lane);
/* What a refusal is about, short English; NULL: its name says it all. */
const char *fu_job_reason(const struct fu_job *j);

#endif
