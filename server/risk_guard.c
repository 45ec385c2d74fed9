#include "risk_guard.h"

#include "base/alloc.h"
#include "base/log.h"
#include "ledger/risk_book.h"
#include "risk/address.h"
#include "risk_share.h"
#include "worker.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

enum {
    CASES_MAX = 65536,  /* (user, rain, rule) that are remembered as decided */
    QUEUE_MAX = 4096,   /* decisions that wait to be stored */
    WAITERS_MAX = 4096, /* grabs that wait for a mark */
    JOB_MAX = 500,
};

struct waiter {
    struct risk_frame frame;
    struct waiter *prev;
    struct waiter *next;
};

/* Hashed as bytes. kind: a rule that denied, or RISK_NONE for the mark. */
struct case_key {
    int64_t user_id;
    uint64_t rain;
    uint64_t kind;
};

struct decided {
    struct case_key key;
    UT_hash_handle hh;
    struct decided *prev; /* oldest first */
    struct decided *next;
    enum risk_rule rule;
    int64_t queued_from;  /* lowest seq on its way to SQL … */
    int64_t written_from; /* … and in it; INT64_MAX: none */
    struct waiter *waiters;
};

struct risk_guard {
    struct worker *w;
    struct risk_watch *watch;
    struct risk_share_link *link;
    struct risk_rules rules;
    struct risk_key key;
    struct decided *cases; /* hash */
    struct decided *cases_lru;
    uint32_t waiters_n;
    struct risk_note *queue; /* QUEUE_MAX; NULL until the first */
    uint32_t queue_n;
    bool writing;
    bool closed;
    uint64_t told_forgotten;
};

struct note_job {
    struct db_job base; /* first */
    struct risk_guard *guard;
    struct risk_note *notes;
    uint32_t n;
    enum rr_err err;
};

/* ---- what was decided ---- */

static uint64_t rain_hash(const char *code)
{
    uint64_t h = UINT64_C(14695981039346656037); /* FNV-1a; the code is random */

    for (const char *p = code; *p; p++)
        h = (h ^ (unsigned char)*p) * UINT64_C(1099511628211);
    return h ? h : 1;
}

static struct case_key key_of(int64_t user_id, const char *code, enum risk_rule kind)
{
    struct case_key key;

    memset(&key, 0, sizeof(key));
    key.user_id = user_id;
    key.rain = rain_hash(code);
    key.kind = (uint64_t)kind;
    return key;
}

static struct decided *case_find(struct risk_guard *g, const struct case_key *key)
{
    struct decided *d = NULL;

    HASH_FIND(hh, g->cases, key, sizeof(*key), d);
    return d;
}

static void waiters_free(struct risk_guard *g, struct decided *d)
{
    struct waiter *x = NULL;
    struct waiter *tmp = NULL;

    DL_FOREACH_SAFE(d->waiters, x, tmp)
    {
        DL_DELETE(d->waiters, x);
        free(x);
        g->waiters_n--;
    }
}

static void case_drop(struct risk_guard *g, struct decided *d)
{
    waiters_free(g, d);
    HASH_DEL(g->cases, d);
    DL_DELETE(g->cases_lru, d);
    free(d);
}

static struct decided *case_add(struct risk_guard *g, const struct case_key *key,
                                enum risk_rule rule)
{
    struct decided *d = NULL;

    /* Whoever is waited for stays: only the oldest without waiters goes. A case that was forgotten is decided again. */
    if (HASH_COUNT(g->cases) >= CASES_MAX && !g->cases_lru->waiters)
        case_drop(g, g->cases_lru);
    d = rr_xcalloc(1, sizeof(*d));
    d->key = *key;
    d->rule = rule;
    d->queued_from = INT64_MAX;
    d->written_from = INT64_MAX;
    HASH_ADD(hh, g->cases, key, sizeof(d->key), d);
    DL_APPEND(g->cases_lru, d);
    return d;
}

/* ---- storing ---- */

static void write_some(struct risk_guard *g);

/* [thread] */
static void job_run(struct db_job *base, struct db_ctx *ctx)
{
    struct note_job *j = (struct note_job *)base;

    j->err = ledger_risk_note(ctx->ledger, j->notes, j->n);
}

static void release(struct risk_guard *g, struct decided *d, enum rr_err err)
{
    struct waiter *x = NULL;
    struct waiter *tmp = NULL;

    DL_FOREACH_SAFE(d->waiters, x, tmp)
    {
        if (!err && x->frame.seq < d->written_from)
            continue;
        DL_DELETE(d->waiters, x);
        g->waiters_n--;
        if (!g->closed)
            grab_path_resume(g->w->grabs, &x->frame, err);
        free(x);
    }
}

static void note_done(struct risk_guard *g, const struct risk_note *n, enum rr_err err)
{
    struct case_key key = key_of(n->user_id, n->code, RISK_NONE);
    struct decided *d = n->decision == RISK_DECIDED_MARK ? case_find(g, &key) : NULL;

    if (err && n->decision != RISK_DECIDED_MARK)
        rr_metric_add(&g->w->metrics->risk_notes_dropped_total, 1);
    if (!d)
        return;
    if (!err && n->seq < d->written_from)
        d->written_from = n->seq;
    release(g, d, err);
    if (err)
        case_drop(g, d);
}

/* [loop] */
static void job_done(struct db_job *base)
{
    struct note_job *j = (struct note_job *)base;
    struct risk_guard *g = j->guard;

    g->writing = false;
    if (j->err)
        log_warn("risk_not_stored", "%u decisions: %s", j->n, rr_err_name(j->err));
    for (uint32_t i = 0; i < j->n; i++)
        note_done(g, &j->notes[i], j->err ? RR_BUSY : RR_OK);
    free(j->notes);
    free(j);
    write_some(g);
}

/* One job at a time: what comes meanwhile goes together in the next. */
static void write_some(struct risk_guard *g)
{
    struct note_job *j = NULL;

    if (g->writing || g->queue_n == 0 || g->closed)
        return;
    j = rr_xcalloc(1, sizeof(*j));
    j->base.run = job_run;
    j->base.done = job_done;
    j->guard = g;
    j->n = g->queue_n < JOB_MAX ? g->queue_n : JOB_MAX;
    j->notes = rr_xcalloc(j->n, sizeof(*j->notes));
    memcpy(j->notes, g->queue, j->n * sizeof(*j->notes));
    if (db_pool_submit(g->w->db, DB_LANE_VIEWER, &j->base) != RR_OK) {
        free(j->notes); /* the lane is full: the next tick tries again */
        free(j);
        return;
    }
    g->writing = true;
    g->queue_n -= j->n;
    memmove(g->queue, g->queue + j->n, g->queue_n * sizeof(*g->queue));
}

static bool queue_note(struct risk_guard *g, const struct risk_note *n)
{
    if (g->queue_n == QUEUE_MAX)
        return false;
    if (!g->queue)
        g->queue = rr_xcalloc(QUEUE_MAX, sizeof(*g->queue));
    g->queue[g->queue_n++] = *n;
    write_some(g);
    return true;
}

static struct risk_note note_of(const struct session *s, const struct risk_frame *f,
                                const struct risk_verdict *v)
{
    struct risk_note n = {
        .rule = v->rule, .user_id = s->user_id, .seq = f->seq, .seen = v->seen, .bound = v->bound};

    memcpy(n.code, f->code, sizeof(n.code));
    risk_address_print(s->address, n.address);
    return n;
}

static void log_note(const char *event, const struct risk_note *n)
{
    log_notice(event,
               "rule=%s user=%" PRId64 " rain=%s seq=%u seen=%" PRId64 " bound=%" PRId64
               " address=%s",
               risk_rule_name(n->rule), n->user_id, n->code, n->seq, n->seen, n->bound,
               n->address[0] ? n->address : "-");
}

/* ---- deny, hold ---- */

/* Logged and stored the first time; the metric counts every one. */
static enum rr_err deny(struct risk_guard *g, const struct session *s, const struct risk_frame *f,
                        const struct risk_verdict *v)
{
    struct case_key key = key_of(s->user_id, f->code, v->rule);
    struct risk_note n = note_of(s, f, v);

    rr_metric_add(&g->w->metrics->risk_denied_total, 1);
    if (case_find(g, &key))
        return RR_NOT_ELIGIBLE;
    (void)case_add(g, &key, v->rule);
    n.decision = RISK_DECIDED_DENY;
    log_note("risk_deny", &n);
    if (!queue_note(g, &n))
        rr_metric_add(&g->w->metrics->risk_notes_dropped_total, 1);
    return RR_NOT_ELIGIBLE;
}

static void wait_for(struct risk_guard *g, struct decided *d, const struct risk_frame *f)
{
    struct waiter *x = rr_xcalloc(1, sizeof(*x));

    x->frame = *f;
    DL_APPEND(d->waiters, x);
    g->waiters_n++;
}

static enum rr_err hold(struct risk_guard *g, const struct session *s, const struct risk_frame *f,
                        const struct risk_verdict *v)
{
    struct case_key key = key_of(s->user_id, f->code, RISK_NONE);
    struct decided *d = case_find(g, &key);
    struct risk_note n = note_of(s, f, v);

    if (d && f->seq >= d->written_from)
        return RR_OK;
    if (g->waiters_n == WAITERS_MAX || g->queue_n == QUEUE_MAX)
        return RR_BUSY;
    if (!d)
        d = case_add(g, &key, v->rule);
    wait_for(g, d, f);
    if (f->seq >= d->queued_from)
        return RR_PENDING;
    n.decision = RISK_DECIDED_MARK;
    d->queued_from = f->seq;
    rr_metric_add(&g->w->metrics->risk_marked_total, 1);
    log_note("risk_mark", &n);
    RR_ASSERT(queue_note(g, &n));
    return RR_PENDING;
}

/* Somebody marked from a later seq on may not slip below it. */
static bool below_mark(struct risk_guard *g, const struct session *s, const struct risk_frame *f,
                       struct risk_verdict *v)
{
    struct case_key key = key_of(s->user_id, f->code, RISK_NONE);
    const struct decided *d = case_find(g, &key);

    if (!d || f->seq >= d->written_from)
        return false;
    v->rule = d->rule;
    return true;
}

enum rr_err risk_guard_check(struct risk_guard *g, const struct session *s,
                             const struct rain_entry *e, const struct risk_frame *f,
                             enum rr_err gate)
{
    struct risk_tap tap = {.user_id = s->user_id,
                           .sender_id = e->live.sender_id,
                           .rain = rain_hash(f->code),
                           .address = s->address,
                           .since_s = s->since_s,
                           .now_ms = worker_rain_now_ms(g->w),
                           .opens_ms = e->live.t0_ms,
                           .at_us = rr_mono_us(g->w->clock),
                           .again = f->again,
                           .early = gate == RR_NOT_STARTED};
    struct risk_verdict v = risk_watch_tap(g->watch, &g->rules, &tap);

    if (gate)
        return gate;
    if (v.rule == RISK_NONE && !below_mark(g, s, f, &v))
        return RR_OK;
    if (risk_rule_stage(v.rule) == RISK_STAGE_DENY && !f->again)
        return deny(g, s, f, &v);
    return hold(g, s, f, &v);
}

/* ---- life ---- */

uint64_t risk_guard_address(const struct risk_guard *g, const char *text)
{
    return risk_address_hash(&g->key, text);
}

void risk_guard_reload(struct risk_guard *g)
{
    risk_rules_read(&g->rules, g->w->conf);
}

void risk_guard_tick(struct risk_guard *g)
{
    struct risk_watch_counters c;

    write_some(g);
    risk_share_tick(g->link, &g->rules);
    risk_watch_counters(g->watch, &c);
    rr_metric_set(&g->w->metrics->risk_users, c.users);
    rr_metric_add(&g->w->metrics->risk_forgotten_total, c.forgotten - g->told_forgotten);
    g->told_forgotten = c.forgotten;
}

struct risk_guard *risk_guard_create(struct worker *w)
{
    struct risk_guard *g = rr_xcalloc(1, sizeof(*g));
    const char *hex = getenv(CHILD_RISK_KEY_ENV);

    g->w = w;
    if (!hex || risk_key_parse(&g->key, hex) != RR_OK)
        risk_key_random(&g->key);
    g->watch = risk_watch_create(&(struct risk_watch_opts){.users_max = 0});
    g->link = risk_share_create(w, g->watch);
    risk_guard_reload(g);
    return g;
}

void risk_guard_close(struct risk_guard *g)
{
    g->closed = true;
}

void risk_guard_destroy(struct risk_guard *g)
{
    if (!g)
        return;
    while (g->cases_lru)
        case_drop(g, g->cases_lru);
    risk_share_destroy(g->link);
    risk_watch_destroy(g->watch);
    free(g->queue);
    free(g);
}
