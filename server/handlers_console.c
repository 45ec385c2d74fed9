/* handlers_console.c - what the anchor's console reads. Dispatch has checked that s is the anchor of its room. */
#include "handlers.h"

#include <string.h>

#include "console_job.h"

static bool take_code(struct rain_job *j, struct rr_slice code)
{
    return rain_code_valid(code) && rr_slice_copy(code, j->code, sizeof(j->code));
}

static enum rr_err refuse(struct rain_job *j, const char *field, struct refusal *why)
{
    rain_job_free(j);
    why->field = field;
    return RR_BAD_REQUEST;
}

enum rr_err on_winners(struct worker *w, struct session *s, const struct msg *m,
                       struct refusal *why)
{
    struct rain_job *j = console_job_new(w, s, m->id, RAIN_JOB_WINNERS);

    if (!take_code(j, m->u.winners.code))
        return refuse(j, "code", why);
    if (m->u.winners.has_after_shard != m->u.winners.has_after_no)
        return refuse(j, "after_no", why);
    j->limit = m->u.winners.has_limit ? (uint32_t)m->u.winners.limit : CONSOLE_WINNERS_DEFAULT;
    j->after = (struct grant_place){.packet_no = -1};
    if (m->u.winners.has_after_no)
        j->after = (struct grant_place){.shard = (uint32_t)m->u.winners.after_shard,
                                        .packet_no = m->u.winners.after_no};
    j->console->user_id = m->u.winners.user;
    return rain_job_submit(j, DB_LANE_VIEWER);
}

enum rr_err on_audit(struct worker *w, struct session *s, const struct msg *m, struct refusal *why)
{
    struct rain_job *j = console_job_new(w, s, m->id, RAIN_JOB_AUDIT);

    (void)why;
    j->console->before = m->u.audit.before;
    return rain_job_submit(j, DB_LANE_VIEWER);
}

enum rr_err on_templates(struct worker *w, struct session *s, const struct msg *m,
                         struct refusal *why)
{
    struct rain_job *j = console_job_new(w, s, m->id, RAIN_JOB_TEMPLATES);
    struct console_ask *c = j->console;

    if (m->u.templates.has_spec && !m->u.templates.has_name)
        return refuse(j, "name", why);
    if (m->u.templates.has_name && (!rain_utf8_valid(m->u.templates.name) ||
                                    !rr_slice_copy(m->u.templates.name, c->name, sizeof(c->name))))
        return refuse(j, "name", why);
    if (m->u.templates.has_spec && (!rain_utf8_valid(m->u.templates.spec) ||
                                    !rr_slice_copy(m->u.templates.spec, c->spec, sizeof(c->spec))))
        return refuse(j, "spec", why);
    return rain_job_submit(j, DB_LANE_VIEWER);
}

enum rr_err on_check(struct worker *w, struct session *s, const struct msg *m, struct refusal *why)
{
    struct rain_job *j = console_job_new(w, s, m->id, RAIN_JOB_CHECK);
    enum rr_err err = RR_OK;

    if (!take_code(j, m->u.check.code))
        return refuse(j, "code", why);
    err = limiter_user(w->limiter, s, LIMIT_USER_CHECK, &why->retry_after_ms);
    if (err) {
        rain_job_free(j);
        return err;
    }
    return rain_job_submit(j, DB_LANE_VIEWER);
}
