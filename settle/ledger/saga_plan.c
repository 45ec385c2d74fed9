/* saga_plan.c - what happens to a packet without anybody asking: it starts at its time, what nobody started is given back at
 * its expiry, its named users are invited, its sender hears how it ended. And SEND: all the steps of a packet in one. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "rain_rules.h"
#include "saga_impl.h"

/* The task comes back when there are `lead_ms` left to at_ms, rain time. False: it is time. */
static bool too_early(int64_t at_ms, int64_t lead_ms, int64_t now_ms, int64_t *next_at_ms)
{
    if (now_ms >= at_ms - lead_ms)
        return false;
    *next_at_ms = ledger__now_ms() + at_ms - lead_ms - now_ms;
    return true;
}

static bool waits(const struct rain_info *r)
{
    return r->status == RAIN_CREATED || r->status == RAIN_PREPARED;
}

static enum rr_err start_now(struct saga *s, struct rain_info *r, int64_t now_ms)
{
    bool at_once = r->spec.start_at_ms <= r->created_at_ms; /* SEND */
    int64_t t0_ms = r->spec.start_at_ms;
    enum rr_err err = RR_OK;

    if (at_once || t0_ms < now_ms)
        t0_ms = now_ms + (at_once || r->spec.kind != KIND_RAIN ? 0 : RAIN_LATE_MS);
    err = saga__start_at(s, r->code, t0_ms, r);
    if (err != RR_CONFLICT)
        return err == RR_PENDING ? RR_OK : err; /* started: its own task goes on */
    err = ledger_rain_get(s->ledger, r->code, r);
    return !err && waits(r) ? RR_CONFLICT : err; /* else somebody else was first */
}

enum rr_err saga__step_start(struct saga *s, const struct task *t, int64_t *next_at_ms)
{
    struct rain_info r;
    int64_t now_ms = 0;
    enum rr_err err = ledger_rain_get(s->ledger, t->code, &r);

    if (err || !waits(&r))
        return err;
    err = s->pool->now_ms(s->pool->impl, &now_ms);
    if (err || now_ms >= r.spec.expire_at_ms) /* too late: the expire task gives it back */
        return err;
    if (too_early(r.spec.start_at_ms, RAIN_PREPARE_LEAD_MS, now_ms, next_at_ms))
        return RR_PENDING;
    err = saga_prepare(s, NULL, r.code, &r);
    if (err && err != RR_DUPLICATE)
        return err;
    if (too_early(r.spec.start_at_ms, RAIN_START_LEAD_MS, now_ms, next_at_ms))
        return RR_PENDING;
    return start_now(s, &r, now_ms);
}

enum rr_err saga__step_expire(struct saga *s, const struct task *t, int64_t *next_at_ms)
{
    struct rain_info r;
    int64_t now_ms = 0;
    enum rr_err err = ledger_rain_get(s->ledger, t->code, &r);

    if (err || !waits(&r))
        return err;
    err = s->pool->now_ms(s->pool->impl, &now_ms);
    if (err)
        return err;
    if (too_early(r.spec.expire_at_ms, 0, now_ms, next_at_ms))
        return RR_PENDING;
    err = saga_cancel(s, NULL, r.code, &r);
    if (!err)
        log_info("rain_expired", "%s was never started and is given back", t->code);
    return err == RR_CONFLICT ? RR_OK : err; /* started meanwhile */
}

enum rr_err saga__step_invite(struct saga *s, const struct task *t, int64_t *next_at_ms)
{
    struct rain_info r;
    int64_t *users = NULL;
    uint32_t n = 0;
    enum rr_err err = ledger_rain_get(s->ledger, t->code, &r);

    (void)next_at_ms;
    if (err || r.status != RAIN_SENT) /* over: nobody needs to come */
        return err;
    err = ledger_rain_users(s->ledger, t->code, &users, &n);
    if (!err)
        err = push_invite(s, &r, users, n);
    free(users);
    return err;
}

enum rr_err saga__step_report(struct saga *s, const struct task *t, int64_t *next_at_ms)
{
    struct rain_info r;
    enum rr_err err = ledger_rain_get(s->ledger, t->code, &r);

    (void)next_at_ms;
    return err ? err : push_report(s, &r);
}

/* The list as the workers read it: complete before anything can be granted. */
enum rr_err saga__put_list(struct saga *s, const struct rain_info *r)
{
    int64_t *users = NULL;
    uint32_t n = 0;
    enum rr_err err = RR_OK;

    if (r->spec.users_n == 0)
        return RR_OK;
    err = ledger_rain_users(s->ledger, r->code, &users, &n);
    if (!err && n != r->spec.users_n)
        err = RR_CORRUPT;
    if (!err)
        err = s->pool->allow(s->pool->impl, r->code, users, n);
    free(users);
    return err;
}

enum rr_err saga_put_list(struct saga *s, const char *code)
{
    struct rain_info r;
    enum rr_err err = ledger_rain_get(s->ledger, code, &r);

    return err ? err : saga__put_list(s, &r);
}

/* ---- SEND ---- */

enum rr_err saga_send(struct saga *s, struct rain_spec *spec, struct rain_info *out,
                      const char **field)
{
    struct task t = {.kind = "start"};
    int64_t next_at_ms = 0;
    enum rr_err err = RR_OK;
    enum rr_err created = RR_OK;

    spec->send = true;
    created = saga_create(s, spec, out, field);
    if (created && created != RR_DUPLICATE)
        return created;
    if (!waits(out))
        return created;
    /* Its task does the same a little later, if this ends here. */
    memcpy(t.code, out->code, sizeof(t.code));
    err = saga__step_start(s, &t, &next_at_ms);
    if (err)
        log_info("send_goes_on", "packet %s: %s", out->code, rr_err_name(err));
    if (ledger_rain_get(s->ledger, t.code, out) != RR_OK)
        return RR_PENDING;
    return waits(out) ? RR_PENDING : created;
}
