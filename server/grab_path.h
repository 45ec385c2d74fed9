/* grab_path.h - a grab's way inside a worker: gate, batch, script, Kafka, reply.
 *
 *   on_grab -> grab_path_submit -> gate_check -> grab_batch_add -> pool (script)
 *           -> scripted -> producer_send -> grab_path_report -> tell
 *
 * The rules: an amount leaves only after a delivery report for a record produced after this
 * script's reply and within 2 s of its call (rain/grab_pending.h); PENDING after rain.pending_ms;
 * the final answer goes to whatever socket the user has then. */
#ifndef SERVER_GRAB_PATH_H
#define SERVER_GRAB_PATH_H

#include "base/err.h"
#include "protocol/msg.h"
#include "risk_guard.h"
#include "room/session.h"

struct worker;
struct refusal;
struct pending_grab;
struct grant_row;
struct grab_path;

struct grab_path *grab_path_create(struct worker *w);
/* Closes its timer; the loop must run once afterwards. */
void grab_path_destroy(struct grab_path *p);

/* One GRAB of a joined session. */
/* A GRAB of s ends in err: counted for its room when we are to blame. */
void grab_path_failed(struct session *s, enum rr_err err);
RR_MUST_CHECK enum rr_err grab_path_submit(struct grab_path *p, struct session *s,
                                           const struct msg *m, struct refusal *why);
/* A grab that waited for its mark (risk_guard.h) goes on, or is answered with err. */
void grab_path_resume(struct grab_path *p, const struct risk_frame *f, enum rr_err err);
/* A delivery report (producer_report_fn). */
void grab_path_report(void *grab_path, uint64_t id, bool ok);
/* What the books say of a grab that grab_books_pending() took: OK with its row, ENDED, or anything that is no answer: then the
 * pool is asked again. */
void grab_path_booked(struct grab_path *p, const struct pending_grab *g, enum rr_err err,
                      const struct grant_row *row);
/* Grabs without an answer, and outbox entries that wait to be deleted. */
uint32_t grab_path_unfinished(const struct grab_path *p);
uint32_t grab_path_inflight(const struct grab_path *p);
/* A rain is forgotten: so are its queues. */
void grab_path_forget(struct grab_path *p, const char *code);
/* Every 100 ms, for load shedding: true when grabs were refused since the last time because too many wait (grab_bound.h). */
bool grab_path_slice(struct grab_path *p, int64_t now_us);
/* Every 100 ms: PENDING answers, runs again, outbox deletes. */
void grab_path_tick(struct grab_path *p);
/* The answers told so far were written. */
void grab_path_flushed(struct grab_path *p);

#endif
