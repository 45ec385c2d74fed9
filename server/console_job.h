/* console_job.h - what only the anchor's console asks of the books: winners, who did what, templates, the checker's word. Kinds of
 * struct rain_job with their questions and answers in struct console_ask. Reads wait in the viewers' lane: an export never stands
 * in the way of a START. Thread: as said; the rest: the worker's loop. */
#ifndef SERVER_CONSOLE_JOB_H
#define SERVER_CONSOLE_JOB_H

#include "ledger/console.h"
#include "rain_job.h"

enum { CONSOLE_AUDIT_MAX = 50, CONSOLE_WINNERS_DEFAULT = 100 };

struct console_ask {
    /* in */
    int64_t user_id;                        /* WINNERS: only his; 0: all */
    int64_t before;                         /* AUDIT: an id; 0: from the newest */
    char name[RR_NAME_MAX_BYTES + 1];       /* TEMPLATES: which; "": none is changed */
    char spec[TEMPLATE_SPEC_MAX_BYTES + 1]; /* "": removed */
    struct audit_row note;                  /* NOTE */
    /* out */
    struct audit_row *rows; /* AUDIT; owned */
    uint32_t rows_n;
    struct template_row *templates; /* owned */
    uint32_t templates_n;
    struct rain_checked checked;
};

/* A job of rain_job_new() with its question. */
struct rain_job *console_job_new(struct worker *w, const struct session *s, uint32_t req_id,
                                 enum rain_job_kind kind);
void console_ask_free(struct console_ask *c); /* NULL-safe */
/* [thread] */
void console_job_run(struct rain_job *j, struct db_ctx *ctx);
void console_reply_build(const struct rain_job *j, struct rr_buf *b);

/* [thread] The row of an action, before and after it. */
void console_audit_row(const struct rain_job *j, struct audit_row *row);
void console_audit_ended(const struct rain_job *j, struct audit_row *row);
/* Something that is done without SQL (ANNOUNCE, KICK, MUTE): its row, and how it ended. The row is written when a thread has time.
 * When there is no place for it or SQL is away, it is lost and counted (audit_lost_total): such an action does not wait for the
 * books. */
struct audit_row console_note_row(const struct session *s, const char *action,
                                  struct rr_slice detail);
void console_note(struct worker *w, const struct audit_row *row, enum rr_err err);

#endif
