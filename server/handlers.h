/* handlers.h - one function per client message; dispatch.c binds them to rows with their
 * requirements, so no handler checks who may call it. RR_OK: answered, or will be. Anything else:
 * nothing happened, dispatch answers with that error. */
#ifndef SERVER_HANDLERS_H
#define SERVER_HANDLERS_H

#include "dispatch.h"
#include "worker.h"

typedef enum rr_err (*handler_fn)(struct worker *w, struct session *s, const struct msg *m,
                                  struct refusal *why);

enum rr_err on_hello(struct worker *w, struct session *s, const struct msg *m, struct refusal *why);
enum rr_err on_join(struct worker *w, struct session *s, const struct msg *m, struct refusal *why);
enum rr_err on_leave(struct worker *w, struct session *s, const struct msg *m, struct refusal *why);
enum rr_err on_ping(struct worker *w, struct session *s, const struct msg *m, struct refusal *why);
enum rr_err on_grab(struct worker *w, struct session *s, const struct msg *m, struct refusal *why);
enum rr_err on_my_grants(struct worker *w, struct session *s, const struct msg *m,
                         struct refusal *why);
enum rr_err on_say(struct worker *w, struct session *s, const struct msg *m, struct refusal *why);
enum rr_err on_send(struct worker *w, struct session *s, const struct msg *m, struct refusal *why);
enum rr_err on_my_sent(struct worker *w, struct session *s, const struct msg *m,
                       struct refusal *why);
enum rr_err on_refresh(struct worker *w, struct session *s, const struct msg *m,
                       struct refusal *why);
enum rr_err on_create(struct worker *w, struct session *s, const struct msg *m,
                      struct refusal *why);
enum rr_err on_prepare(struct worker *w, struct session *s, const struct msg *m,
                       struct refusal *why);
enum rr_err on_start(struct worker *w, struct session *s, const struct msg *m, struct refusal *why);
enum rr_err on_extend(struct worker *w, struct session *s, const struct msg *m,
                      struct refusal *why);
enum rr_err on_close(struct worker *w, struct session *s, const struct msg *m, struct refusal *why);
enum rr_err on_cancel(struct worker *w, struct session *s, const struct msg *m,
                      struct refusal *why);
enum rr_err on_announce(struct worker *w, struct session *s, const struct msg *m,
                        struct refusal *why);
enum rr_err on_kick(struct worker *w, struct session *s, const struct msg *m, struct refusal *why);
enum rr_err on_mute(struct worker *w, struct session *s, const struct msg *m, struct refusal *why);
enum rr_err on_stats(struct worker *w, struct session *s, const struct msg *m, struct refusal *why);
enum rr_err on_winners(struct worker *w, struct session *s, const struct msg *m,
                       struct refusal *why);
enum rr_err on_audit(struct worker *w, struct session *s, const struct msg *m, struct refusal *why);
enum rr_err on_templates(struct worker *w, struct session *s, const struct msg *m,
                         struct refusal *why);
enum rr_err on_check(struct worker *w, struct session *s, const struct msg *m, struct refusal *why);
enum rr_err on_fu_draw(struct worker *w, struct session *s, const struct msg *m,
                       struct refusal *why);
enum rr_err on_fu_join(struct worker *w, struct session *s, const struct msg *m,
                       struct refusal *why);
enum rr_err on_fu_give(struct worker *w, struct session *s, const struct msg *m,
                       struct refusal *why);
enum rr_err on_fu_mine(struct worker *w, struct session *s, const struct msg *m,
                       struct refusal *why);
enum rr_err on_fu_create(struct worker *w, struct session *s, const struct msg *m,
                         struct refusal *why);
enum rr_err on_fu_cancel(struct worker *w, struct session *s, const struct msg *m,
                         struct refusal *why);

/* hub's answer to a JOIN (handlers_viewer.c). */
void join_answer(void *worker, struct session *s, uint32_t req_id, enum rr_err err,
                 const struct hub_join_answer *a);
/* A JOIN whose room was loaded for it goes on (hub_opts.loaded). */
void join_resume(void *worker, struct session *s, uint32_t req_id, const char *room_id,
                 uint64_t epoch, uint64_t seq);
/* A kick or mute that a room remembers (hub_opts.sanction). */
void room_sanctioned(void *worker, const char *room_id, const struct room_sanction *x);
/* A control message from any worker or the admin child (handlers_anchor.c): kick, mute, ban. */
void control_message(struct worker *w, struct rr_slice payload);

#endif
