/* risk_guard.h - risk control on a grab's way in a worker: what the rules say before the pop.
 *
 *   grab_path_submit -> risk_guard_check -> RR_OK            to the script
 *                                        -> RR_NOT_ELIGIBLE  denied (never a frame with `again`)
 *                                        -> RR_PENDING       a mark is written to SQL first; then
 *                                                            grab_path_resume()
 *
 * A frame whose `again` is true may ask about a grab that won: it is never refused here. Where a
 * rule would deny it, what it wins is held instead, like by a rule that holds. A hold is a mark of
 * (rain, user, first seq) that is committed before the script runs, so that settling sees it.
 * Counts are shared over workers every 200 ms through Redis, told and not asked: a grab never waits
 * for them. Without Redis or MySQL: counts are those of this worker; a grab that must be marked is
 * answered BUSY.
 * Thread: the worker's loop. */
#ifndef SERVER_RISK_GUARD_H
#define SERVER_RISK_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "protocol/limits.h"

#define CHILD_RISK_KEY_ENV "REDRAIN_CHILD_RISK_KEY"

struct worker;
struct session;
struct rain_entry;
struct risk_guard;

struct risk_guard *risk_guard_create(struct worker *w);
/* No grab is resumed any more. */
void risk_guard_close(struct risk_guard *g);
void risk_guard_destroy(struct risk_guard *g); /* no job or call of it may be open; NULL-safe */
/* Takes the rules from w->conf. */
void risk_guard_reload(struct risk_guard *g);
/* Every 100 ms. */
void risk_guard_tick(struct risk_guard *g);

/* A client's address for its session; 0 when it is not counted. */
uint64_t risk_guard_address(const struct risk_guard *g, const char *text);

struct risk_frame {
    uint64_t session_id;
    char code[RR_CODE_LEN + 1];
    uint32_t req_id;
    uint32_t seq;
    bool again;
};

/* gate: what memory says to this grab; the frame is counted in any case, and judged when it is
 * RR_OK. RR_BUSY: it would have to be marked, and that is not possible now. */
RR_MUST_CHECK enum rr_err risk_guard_check(struct risk_guard *g, const struct session *s,
                                           const struct rain_entry *e, const struct risk_frame *f,
                                           enum rr_err gate);

#endif
