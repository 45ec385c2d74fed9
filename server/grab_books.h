/* grab_books.h - grabs that the pool cannot answer any more: this worker does not know the rain, or Redis lost its pool. The books say
 * what was won, or that the rain is over without it.
 * Guarantees: no final no while a grant may still come. At most one question a second by a user, and the bounded lane of
 *   viewers' reads for all.
 * Thread: the worker's loop. */
#ifndef SERVER_GRAB_BOOKS_H
#define SERVER_GRAB_BOOKS_H

#include "dispatch.h"
#include "rain/grab_pending.h"

/* A GRAB with `again` of a rain this worker does not know. RR_OK: the answer follows. */
RR_MUST_CHECK enum rr_err grab_books_unknown(struct worker *w, struct session *s,
                                             const struct msg *m, struct refusal *why);
/* A pending grab whose pool says RECOVERING; grab_path_booked() follows. RR_BUSY: not taken. */
RR_MUST_CHECK enum rr_err grab_books_pending(struct worker *w, const struct pending_grab *g);

#endif
