/* handlers_send.c - packets of users: SEND and MY_SENT. Dispatch has checked that s may send. */
#include "handlers.h"

#include "packet_spec.h"
#include "rain_job.h"

enum rr_err on_send(struct worker *w, struct session *s, const struct msg *m, struct refusal *why)
{
    struct rain_job *j = rain_job_new(w, s, m->id, RAIN_JOB_SEND);
    bool anchor = s->role == ROLE_ANCHOR;

    why->field = packet_spec(j, &m->u.send);
    if (!why->field && !anchor &&
        (j->spec.total_fen > w->conf->limits_send_total_fen ||
         (j->spec.random && j->spec.hi_fen > w->conf->limits_send_total_fen)))
        why->field = "total";
    if (why->field) {
        rain_job_free(j);
        return RR_BAD_REQUEST;
    }
    j->spec.by = KIND_BY_SENDER;
    j->spec.sender_id = s->user_id;
    j->spec.anchor_id = anchor ? s->user_id : 0;
    j->spec.open_max = (uint32_t)w->conf->limits_send_open;
    j->spec.room_max = (uint32_t)w->conf->limits_send_room;
    return rain_job_submit(j, DB_LANE_VIEWER);
}

enum rr_err on_my_sent(struct worker *w, struct session *s, const struct msg *m,
                       struct refusal *why)
{
    struct rain_job *j = rain_job_new(w, s, m->id, RAIN_JOB_SENT);
    enum rr_err err = RR_OK;

    if (m->u.my_sent.has_before &&
        (!rain_code_valid(m->u.my_sent.before) ||
         !rr_slice_copy(m->u.my_sent.before, j->code, sizeof(j->code)))) {
        rain_job_free(j);
        why->field = "before";
        return RR_BAD_REQUEST;
    }
    err = limiter_user(w->limiter, s, LIMIT_USER_SENT, &why->retry_after_ms);
    if (err) {
        rain_job_free(j);
        return err;
    }
    return rain_job_submit(j, DB_LANE_VIEWER);
}
