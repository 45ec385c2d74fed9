#include "grab_books.h"

#include <string.h>

#include "grab_path.h"
#include "rain_job.h"
#include "worker.h"

enum rr_err grab_books_unknown(struct worker *w, struct session *s, const struct msg *m,
                               struct refusal *why)
{
    struct rain_job *j = NULL;
    enum rr_err err = limiter_user(w->limiter, s, LIMIT_USER_GRANTS, &why->retry_after_ms);

    if (err)
        return err;
    j = rain_job_new(w, s, m->id, RAIN_JOB_GRAB);
    memcpy(j->code, m->u.grab.code.p, RR_CODE_LEN);
    j->seq = (uint32_t)m->u.grab.seq;
    return rain_job_submit(j, DB_LANE_VIEWER);
}

static void answer_pending(struct rain_job *j)
{
    const struct worker *w = j->owner;

    if (w->grabs)
        grab_path_booked(w->grabs, &j->pending, j->err, &j->grants->row);
}

enum rr_err grab_books_pending(struct worker *w, const struct pending_grab *g)
{
    const struct rain_entry *e = rains_find(w->rains, rr_slice_str(g->at.code));
    struct rain_job *j = NULL;

    if (!e)
        return RR_NOT_FOUND;
    j = rain_job_alloc(RAIN_JOB_GRAB, answer_pending, w);
    j->user_id = g->grab.user_id;
    j->seq = g->grab.seq;
    j->pending = *g;
    memcpy(j->code, g->at.code, sizeof(j->code));
    memcpy(j->room_id, e->live.room_id, sizeof(j->room_id));
    return rain_job_submit(j, DB_LANE_VIEWER);
}
