#include "ban_watch.h"

#include "ban_list.h"
#include "base/alloc.h"
#include "base/log.h"
#include "protocol/pack.h"
#include "worker.h"

#include <stdlib.h>

enum {
    BANS_MAX = 100000,
    RETRY_US = 1000000, /* after a failure */
};

struct ban_watch {
    struct worker *w;
    struct ban_list *list;
    int64_t due_us;
    bool reading;
    bool overtaken; /* the control channel said something since the reading began */
    bool failed;
};

struct read_job {
    struct db_job base; /* first */
    struct ban_watch *watch;
    struct ban *bans; /* owned; grows */
    uint32_t n;
    uint32_t cap;
    enum rr_err err;
};

/* ---- reading the list ---- */

/* [thread] */
static void take_row(void *arg, const struct ban_row *row)
{
    struct read_job *j = arg;

    if (j->n == j->cap) {
        j->cap = j->cap ? j->cap * 2 : 64;
        j->bans = rr_xrealloc(j->bans, j->cap, sizeof(*j->bans));
    }
    j->bans[j->n++] = (struct ban){.scope = row->scope, .who = row->who, .until_ms = row->until_ms};
}

/* [thread] */
static void job_run(struct db_job *base, struct db_ctx *ctx)
{
    struct read_job *j = (struct read_job *)base;

    j->err = ledger_ban_each(ctx->ledger, BANS_MAX, take_row, j);
}

static void close_banned(struct ban_watch *b)
{
    for (uint32_t i = 0; i < session_slots(b->w->sessions); i++) {
        struct session *s = session_at(b->w->sessions, i);

        if (s && s->state != SESSION_NEW && s->state != SESSION_CLOSING && ban_watch_has(b, s))
            ban_watch_close(b, s);
    }
}

static void note_failure(struct ban_watch *b, enum rr_err err)
{
    if (err && !b->failed)
        log_warn("bans_not_read", "%s; the last list holds", rr_err_name(err));
    b->failed = err != RR_OK;
}

/* [loop] */
static void job_done(struct db_job *base)
{
    struct read_job *j = (struct read_job *)base;
    struct ban_watch *b = j->watch;
    int64_t now_us = rr_mono_us(b->w->clock);

    b->reading = false;
    note_failure(b, j->err);
    /* A list that is older than what the control channel said is thrown away and read again. */
    if (j->err || b->overtaken)
        b->due_us = b->overtaken ? now_us : now_us + RETRY_US;
    else if (ban_list_replace(b->list, j->bans, j->n, rr_wall_ms(b->w->clock)))
        close_banned(b);
    rr_metric_set(&b->w->metrics->bans, ban_list_count(b->list));
    free(j->bans);
    free(j);
}

void ban_watch_tick(struct ban_watch *b)
{
    int64_t now_us = rr_mono_us(b->w->clock);
    struct read_job *j = NULL;

    if (b->reading || now_us < b->due_us)
        return;
    j = rr_xcalloc(1, sizeof(*j));
    j->base.run = job_run;
    j->base.done = job_done;
    j->base.background = true;
    j->watch = b;
    b->due_us = now_us + b->w->conf->server_bans_every_ms * 1000;
    b->overtaken = false;
    if (db_pool_submit(b->w->db, DB_LANE_ANCHOR, &j->base) != RR_OK) {
        b->due_us = now_us + RETRY_US;
        free(j);
        return;
    }
    b->reading = true;
}

void ban_watch_reload(struct ban_watch *b)
{
    b->due_us = 0;
}

/* ---- asking ---- */

bool ban_watch_has(const struct ban_watch *b, const struct session *s)
{
    int64_t now_ms = rr_wall_ms(b->w->clock);

    return ban_list_has(b->list, BAN_USER, (uint64_t)s->user_id, now_ms) ||
           ban_list_has(b->list, BAN_ADDRESS, s->address, now_ms);
}

void ban_watch_close(struct ban_watch *b, struct session *s)
{
    rr_metric_add(&b->w->metrics->banned_closed_total, 1);
    session_close(s, CLOSE_BANNED);
}

/* ---- the control channel ---- */

void ban_control_pack(struct rr_buf *out, enum ban_scope scope, uint64_t who, int64_t until_ms)
{
    char subject[BAN_SUBJECT_MAX + 1];

    ban_subject_print(scope, who, subject);
    pack_map(out, 4);
    pack_kv_str(out, "kind", "ban");
    pack_kv_str(out, "scope", ban_scope_name(scope));
    pack_kv_str(out, "subject", subject);
    pack_kv_int(out, "until", until_ms);
}

enum rr_err ban_watch_control(struct ban_watch *b, const struct unpack_value *map)
{
    struct rr_slice scope;
    struct rr_slice subject;
    struct ban ban = {.scope = BAN_USER};

    if (unpack_get_str(map, "scope", &scope) || unpack_get_str(map, "subject", &subject) ||
        unpack_get_int(map, "until", &ban.until_ms) || !ban_scope_parse(scope, &ban.scope) ||
        ban_subject_parse(ban.scope, subject, &ban.who))
        return RR_MALFORMED;
    b->overtaken = true;
    if (ban_list_set(b->list, &ban, rr_wall_ms(b->w->clock)) != RR_OK)
        log_warn("bans_full", "more than %d bans: this one holds from the next reading on",
                 BANS_MAX);
    close_banned(b);
    rr_metric_set(&b->w->metrics->bans, ban_list_count(b->list));
    return RR_OK;
}

/* ---- life ---- */

struct ban_watch *ban_watch_create(struct worker *w)
{
    struct ban_watch *b = rr_xcalloc(1, sizeof(*b));

    b->w = w;
    b->list = ban_list_create(BANS_MAX);
    return b;
}

void ban_watch_destroy(struct ban_watch *b)
{
    if (!b)
        return;
    ban_list_destroy(b->list);
    free(b);
}
