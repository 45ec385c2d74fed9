/* dispatch.h - from a whole client message to its handler, and the one place where errors become
 * wire codes. */
#ifndef SERVER_DISPATCH_H
#define SERVER_DISPATCH_H

#include "base/slice.h"
#include "protocol/msg.h"
#include "room/session.h"

struct worker;

/* Details of a refusal, filled by a handler beside its error. */
struct refusal {
    const char *field;  /* BAD_REQUEST */
    const char *reason; /* short English, optional */
    int64_t retry_after_ms;
    int64_t next; /* BAD_SEQ */
    bool has_next;
};

/* One whole binary message of s; s may be closed when it returns. */
void dispatch(struct worker *w, struct session *s, struct rr_slice message);

/* Sends an encoded message to one session (must-arrive lane). Frees nothing. */
void reply_send(struct worker *w, struct session *s, const struct rr_buf *message);
/* {result} with the refusal's details. */
void reply_error(struct worker *w, struct session *s, uint32_t req_id, enum rr_err err,
                 const struct refusal *why);
/* {result: OK}. */
void reply_ok(struct worker *w, struct session *s, uint32_t req_id);

#endif
