#include "console_job.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/metrics.h"
#include "protocol/pack.h"
#include "rain_reply.h"
#include "worker.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rain_job *console_job_new(struct worker *w, const struct session *s, uint32_t req_id,
                                 enum rain_job_kind kind)
{
    struct rain_job *j = rain_job_new(w, s, req_id, kind);

    j->console = rr_xcalloc(1, sizeof(*j->console));
    return j;
}

void console_ask_free(struct console_ask *c)
{
    if (!c)
        return;
    free(c->rows);
    free(c->templates);
    free(c);
}

/* ---- on a database thread ---- */

/* [thread] A rain of another room is not to be seen. */
static enum rr_err own_rain(struct rain_job *j, struct db_ctx *ctx)
{
    enum rr_err err = ledger_rain_get(ctx->ledger, j->code, j->rains);

    return !err && strcmp(j->rains->spec.room_id, j->room_id) != 0 ? RR_NOT_FOUND : err;
}

/* [thread] */
static void run_winners(struct rain_job *j, struct db_ctx *ctx)
{
    struct grant_row *rows = rr_xcalloc(RAIN_JOB_PAGE_MAX, sizeof(*rows));
    uint32_t n = 0;

    j->err = own_rain(j, ctx);
    if (!j->err && j->console->user_id)
        j->err =
            ledger_user_grants(ctx->ledger, j->console->user_id, j->code, 0, rows, j->limit, &n);
    else if (!j->err)
        j->err = ledger_rain_grants(ctx->ledger, j->code, j->after, rows, j->limit, &n);
    for (uint32_t i = 0; !j->err && i < n; i++)
        j->grants[j->grants_n++] = (struct rain_job_grant){.row = rows[i], .in_sql = true};
    free(rows);
}

/* [thread] */
static void run_audit(struct rain_job *j, struct db_ctx *ctx)
{
    struct console_ask *c = j->console;

    c->rows = rr_xcalloc(CONSOLE_AUDIT_MAX, sizeof(*c->rows));
    j->err = ledger_audit_page(ctx->ledger, j->room_id, c->before, c->rows, CONSOLE_AUDIT_MAX,
                               &c->rows_n);
}

/* [thread] */
static void run_templates(struct rain_job *j, struct db_ctx *ctx)
{
    struct console_ask *c = j->console;

    if (c->name[0] && c->spec[0])
        j->err = ledger_template_put(ctx->ledger, j->user_id, rr_slice_str(c->name),
                                     rr_slice_str(c->spec));
    else if (c->name[0])
        j->err = ledger_template_remove(ctx->ledger, j->user_id, rr_slice_str(c->name));
    if (j->err == RR_FULL) { /* the same again cannot help: another name must go */
        j->field = "name";
        j->err = RR_BAD_REQUEST;
    }
    c->templates = rr_xcalloc(TEMPLATES_MAX, sizeof(*c->templates));
    if (!j->err)
        j->err = ledger_template_list(ctx->ledger, j->user_id, c->templates, &c->templates_n);
}

/* [thread] One at a time in a process: it may take its thread for as long as a rain is big, and the other threads are everybody's. */
static void run_check(struct rain_job *j, struct db_ctx *ctx)
{
    static atomic_flag running = ATOMIC_FLAG_INIT;

    if (atomic_flag_test_and_set(&running)) {
        j->err = RR_BUSY;
        return;
    }
    j->err = ledger_rain_checked(ctx->ledger, j->rains, &j->console->checked);
    atomic_flag_clear(&running);
}

void console_job_run(struct rain_job *j, struct db_ctx *ctx)
{
    switch (j->kind) {
    case RAIN_JOB_WINNERS: run_winners(j, ctx); break;
    case RAIN_JOB_AUDIT: run_audit(j, ctx); break;
    case RAIN_JOB_TEMPLATES: run_templates(j, ctx); break;
    case RAIN_JOB_CHECK:
        j->err = own_rain(j, ctx);
        if (!j->err)
            run_check(j, ctx);
        break;
    case RAIN_JOB_NOTE: j->err = ledger_audit_begin(ctx->ledger, &j->console->note); break;
    default: rr_assert_fail("a console job", __FILE__, __LINE__, __func__);
    }
}

/* ---- rows of actions ---- */

static const char *action_of(enum rain_job_kind kind)
{
    switch (kind) {
    case RAIN_JOB_CREATE: return "CREATE";
    case RAIN_JOB_PREPARE: return "PREPARE";
    case RAIN_JOB_START: return "START";
    case RAIN_JOB_EXTEND: return "EXTEND";
    case RAIN_JOB_CLOSE: return "CLOSE";
    default: return "CANCEL";
    }
}

static void detail_of(const struct rain_job *j, char *out, size_t cap)
{
    const struct rain_spec *x = &j->spec;

    if (j->kind == RAIN_JOB_CREATE)
        snprintf(out, cap,
                 "total=%" PRId64 " count=%" PRIu32 " limit=%" PRIu32 " kind=%s start_at=%" PRId64
                 " biz_id=%s",
                 x->total_fen, x->count, x->limit, rain_kind_name(x->kind), x->start_at_ms,
                 x->biz_id);
    else if (j->kind == RAIN_JOB_START)
        snprintf(out, cap, "countdown_ms=%" PRId64 " duration_ms=%" PRId64, j->countdown_ms,
                 j->duration_ms);
    else if (j->kind == RAIN_JOB_EXTEND)
        snprintf(out, cap, "add_ms=%" PRId64, j->add_ms);
}

void console_audit_row(const struct rain_job *j, struct audit_row *row)
{
    *row = (struct audit_row){.user_id = j->any_room ? 0 : j->user_id};
    snprintf(row->action, sizeof(row->action), "%s", action_of(j->kind));
    memcpy(row->room_id, j->kind == RAIN_JOB_CREATE ? j->spec.room_id : j->room_id,
           sizeof(row->room_id));
    memcpy(row->code, j->code, sizeof(row->code));
    detail_of(j, row->detail, sizeof(row->detail));
}

void console_audit_ended(const struct rain_job *j, struct audit_row *row)
{
    bool ok = j->err == RR_OK || j->err == RR_DUPLICATE || j->err == RR_PENDING;

    snprintf(row->result, sizeof(row->result), "%s",
             result_name(j->err == RR_DUPLICATE ? RESULT_OK : result_of(j->err)));
    if (!ok || !j->rains->code[0])
        return;
    memcpy(row->code, j->rains->code, sizeof(row->code));
    memcpy(row->room_id, j->rains->spec.room_id, sizeof(row->room_id));
}

static void count_lost(struct worker *w, const struct audit_row *row)
{
    rr_metric_add(&w->metrics->audit_lost_total, 1);
    log_warn("audit_lost", "%s of user %" PRId64 " in %s", row->action, row->user_id, row->room_id);
}

static void noted(struct rain_job *j)
{
    if (j->err)
        count_lost(j->owner, &j->console->note);
}

struct audit_row console_note_row(const struct session *s, const char *action,
                                  struct rr_slice detail)
{
    struct audit_row row = {.user_id = s->user_id};

    snprintf(row.room_id, sizeof(row.room_id), "%s", room_id_of(s->room));
    snprintf(row.action, sizeof(row.action), "%s", action);
    if (!rr_slice_copy(detail, row.detail, sizeof(row.detail)))
        row.detail[0] = '\0';
    return row;
}

void console_note(struct worker *w, const struct audit_row *row, enum rr_err err)
{
    struct rain_job *j = rain_job_alloc(RAIN_JOB_NOTE, noted, w);

    j->console = rr_xcalloc(1, sizeof(*j->console));
    j->console->note = *row;
    snprintf(j->console->note.result, sizeof(j->console->note.result), "%s",
             result_name(result_of(err)));
    if (rain_job_submit(j, DB_LANE_ANCHOR) != RR_OK)
        count_lost(w, row);
}

/* ---- answers ---- */

/* A packet nobody has is no winner; the page goes on after it all the same. */
static uint32_t winners_count(const struct rain_job *j)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < j->grants_n; i++)
        n += j->grants[i].row.user_id != 0;
    return n;
}

static void build_winners(const struct rain_job *j, struct rr_buf *b)
{
    bool more = j->console->user_id == 0 && j->grants_n == j->limit;

    msg_reply_begin(b, j->req_id, RESULT_OK, 3);
    pack_kv_str(b, "code", j->code);
    pack_cstr(b, "winners");
    pack_array(b, winners_count(j));
    for (uint32_t i = 0; i < j->grants_n; i++) {
        const struct grant_row *g = &j->grants[i].row;

        if (g->user_id == 0)
            continue;
        pack_map(b, 7);
        pack_kv_user(b, "user", g->user_id);
        pack_kv_int(b, "seq", g->seq);
        pack_kv_int(b, "shard", g->shard);
        pack_kv_int(b, "no", g->packet_no);
        pack_kv_int(b, "amount", g->amount_fen);
        pack_kv_str(b, "state", grant_state_name(&j->grants[i]));
        pack_kv_int(b, "at", g->granted_at_ms);
    }
    if (!more) {
        pack_kv_nil(b, "next");
        return;
    }
    pack_cstr(b, "next");
    pack_map(b, 2);
    pack_kv_int(b, "shard", j->grants[j->grants_n - 1].row.shard);
    pack_kv_int(b, "no", j->grants[j->grants_n - 1].row.packet_no);
}

static void build_audit(const struct rain_job *j, struct rr_buf *b)
{
    msg_reply_begin(b, j->req_id, RESULT_OK, 1);
    pack_cstr(b, "rows");
    pack_array(b, j->console->rows_n);
    for (uint32_t i = 0; i < j->console->rows_n; i++) {
        const struct audit_row *row = &j->console->rows[i];

        pack_map(b, 7);
        pack_kv_int(b, "id", row->id);
        pack_kv_int(b, "at", row->at_ms);
        pack_kv_str(b, "action", row->action);
        pack_kv_str(b, "code", row->code);
        pack_kv_str(b, "detail", row->detail);
        pack_kv_str(b, "result", row->result);
        if (row->user_id)
            pack_kv_user(b, "user", row->user_id);
        else
            pack_kv_nil(b, "user");
    }
}

static void build_templates(const struct rain_job *j, struct rr_buf *b)
{
    msg_reply_begin(b, j->req_id, RESULT_OK, 1);
    pack_cstr(b, "templates");
    pack_array(b, j->console->templates_n);
    for (uint32_t i = 0; i < j->console->templates_n; i++) {
        pack_map(b, 2);
        pack_kv_str(b, "name", j->console->templates[i].name);
        pack_kv_str(b, "spec", j->console->templates[i].spec);
    }
}

void console_reply_build(const struct rain_job *j, struct rr_buf *b)
{
    const struct rain_info *r = j->rains;
    const struct rain_checked *c = &j->console->checked;

    switch (j->kind) {
    case RAIN_JOB_WINNERS: build_winners(j, b); return;
    case RAIN_JOB_AUDIT: build_audit(j, b); return;
    case RAIN_JOB_TEMPLATES: build_templates(j, b); return;
    default: break;
    }
    msg_reply_begin(b, j->req_id, RESULT_OK, 9);
    pack_kv_str(b, "code", r->code);
    pack_kv_str(b, "status", rain_status_name(r->status));
    pack_kv_int(b, "total", r->spec.total_fen);
    pack_kv_int(b, "settled_fen", r->settled_fen);
    pack_kv_int(b, "remain_fen", r->remain_fen);
    pack_kv_int(b, "refunded_fen", r->refunded_fen);
    pack_kv_int(b, "findings", c->findings);
    pack_kv_int(b, "unaccounted_fen", c->unaccounted_fen);
    pack_kv_int(b, "at", c->at_ms);
}
