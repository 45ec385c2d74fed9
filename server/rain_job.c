#include "rain_job.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/metrics.h"
#include "console_job.h"
#include "dispatch.h"
#include "protocol/pack.h"
#include "rain_reply.h"
#include "stats_job.h"
#include "worker.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SETTLERS_MAX = 64 }; /* whose numbers are shown */

struct session_ref *session_ref_new(struct worker *w, const struct session *s, uint32_t req_id)
{
    struct session_ref *ref = rr_xcalloc(1, sizeof(*ref));

    ref->worker = w;
    ref->session_id = s->id;
    ref->req_id = req_id;
    return ref;
}

struct rain_job *rain_job_alloc(enum rain_job_kind kind, void (*answer)(struct rain_job *j),
                                void *owner)
{
    struct rain_job *j = rr_xcalloc(1, sizeof(*j));

    j->kind = kind;
    j->answer = answer;
    j->owner = owner;
    j->rains = rr_xcalloc(kind == RAIN_JOB_LIST || kind == RAIN_JOB_SENT ? RAIN_JOB_LIST_MAX
                          : kind == RAIN_JOB_STATS                       ? RAIN_JOB_PAGE_MAX
                                                                         : 1,
                          sizeof(*j->rains));
    if (kind == RAIN_JOB_GRANTS)
        j->grants = rr_xcalloc(RAIN_JOB_GRANTS_MAX, sizeof(*j->grants));
    if (kind == RAIN_JOB_GRAB)
        j->grants = rr_xcalloc(1, sizeof(*j->grants));
    if (kind == RAIN_JOB_RAIN_GRANTS || kind == RAIN_JOB_WINNERS)
        j->grants = rr_xcalloc(RAIN_JOB_PAGE_MAX, sizeof(*j->grants));
    if (kind == RAIN_JOB_STATS)
        j->codes = rr_xcalloc(RAIN_JOB_PAGE_MAX, sizeof(*j->codes));
    if (kind == RAIN_JOB_WALLET_LOG)
        j->wallet_log = rr_xcalloc(RAIN_JOB_WALLET_LOG_MAX, sizeof(*j->wallet_log));
    return j;
}

const char *rain_job_reason(enum rr_err err)
{
    switch (err) {
    case RR_NO_MONEY: return "the wallet does not hold that much";
    case RR_OVER_BUDGET: return "the sender's budget of the day is spent";
    case RR_FULL: return "too many unfinished packets";
    default: return NULL;
    }
}

/* The answer to a session: errors by the one mapping, results by rain_reply.c. */
static void answer_session(struct rain_job *j)
{
    struct worker *w = j->owner;
    struct session *s = session_by_id(w->sessions, j->session_id);
    struct refusal why = {.field = j->field};
    struct rr_buf b = {0};

    if (!s)
        return;
    why.reason = rain_job_reason(j->err);
    if (j->kind == RAIN_JOB_GRAB && j->err == RR_RECOVERING)
        why.retry_after_ms = 1000;
    if (j->err != RR_OK && j->err != RR_DUPLICATE) {
        reply_error(w, s, j->req_id, j->err, &why);
        return;
    }
    if (j->live)
        rr_metric_add(j->cached ? &w->metrics->stats_cached_total : &w->metrics->stats_missed_total,
                      1);
    rain_reply_build(w, j, &b);
    reply_send(w, s, &b);
    rr_buf_fini(&b);
}

struct rain_job *rain_job_new(struct worker *w, const struct session *s, uint32_t req_id,
                              enum rain_job_kind kind)
{
    struct rain_job *j = rain_job_alloc(kind, answer_session, w);

    j->session_id = s->id;
    j->req_id = req_id;
    j->user_id = s->user_id;
    if (s->room)
        memcpy(j->room_id, room_id_of(s->room), strlen(room_id_of(s->room)) + 1);
    return j;
}

void rain_job_free(struct rain_job *j)
{
    if (!j)
        return;
    free(j->rains);
    free(j->grants);
    free(j->codes);
    free(j->wallet_log);
    free(j->payload);
    free(j->users);
    console_ask_free(j->console);
    free(j);
}

/* [thread] A grant the pool knows; SQL's word replaces it when it is there. */
static enum rr_err add_pool_grant(void *arg, const struct pool_grant *g)
{
    struct rain_job *j = arg;
    struct rain_job_grant *out = NULL;

    for (uint32_t i = 0; i < j->grants_n; i++) {
        if (j->grants[i].row.seq == g->seq)
            return RR_OK;
    }
    if (j->grants_n == RAIN_JOB_GRANTS_MAX)
        return RR_OK;
    out = &j->grants[j->grants_n++];
    memcpy(out->row.code, j->code, sizeof(out->row.code));
    out->row.shard = rain_home_shard(j->user_id, j->shards);
    out->row.packet_no = g->packet_no;
    out->row.seq = g->seq;
    return RR_OK;
}

/* [thread] SQL first; what only the pool knows is shown without its amount: it may not be told yet.
 */
static void run_grants(struct rain_job *j, struct db_ctx *ctx)
{
    struct grant_row rows[RAIN_JOB_GRANTS_MAX];
    uint32_t n = 0;

    j->err = ledger_user_grants(ctx->ledger, j->user_id, j->code[0] ? j->code : NULL, j->before_ms,
                                rows, RAIN_JOB_GRANTS_MAX, &n);
    if (j->err)
        return;
    for (uint32_t i = 0; i < n; i++)
        j->grants[j->grants_n++] = (struct rain_job_grant){.row = rows[i], .in_sql = true};
    if (j->code[0] && j->shards) {
        struct pool_shard at = {.shard = rain_home_shard(j->user_id, j->shards)};
        enum rr_err err = RR_OK;

        memcpy(at.code, j->code, sizeof(at.code));
        err = ctx->saga.pool->user_grants(ctx->saga.pool->impl, &at, j->user_id, add_pool_grant, j);
        if (err && err != RR_NOT_FOUND)
            log_info("grants_partial", "pool not readable: %s", rr_err_name(err));
    }
}

/* [thread] */
static void run_rain_grants(struct rain_job *j, struct db_ctx *ctx)
{
    struct grant_row *rows = rr_xcalloc(RAIN_JOB_PAGE_MAX, sizeof(*rows));
    uint32_t n = 0;

    /* So that an unknown code is not an empty list. */
    j->err = ledger_rain_get(ctx->ledger, j->code, j->rains);
    if (!j->err)
        j->err = ledger_rain_grants(ctx->ledger, j->code, j->after, rows, j->limit, &n);
    for (uint32_t i = 0; !j->err && i < n; i++)
        j->grants[j->grants_n++] = (struct rain_job_grant){.row = rows[i], .in_sql = true};
    free(rows);
}

/* [thread] Redis may know nothing of the rain any more (it is long over, or was wiped), but the books do. While it is not over a
 * grant may still come: then nobody can say no. Its status is read before the grant: what is SETTLED has all its grants. */
static void run_grab(struct rain_job *j, struct db_ctx *ctx)
{
    j->err = ledger_rain_get(ctx->ledger, j->code, j->rains);
    if (!j->err && strcmp(j->rains->spec.room_id, j->room_id) != 0)
        j->err = RR_NOT_FOUND;
    if (j->err)
        return;
    j->err = ledger_user_grant(ctx->ledger, j->user_id, j->code, j->seq, &j->grants->row);
    if (j->err != RR_NOT_FOUND)
        return;
    j->err = j->rains->status == RAIN_SETTLED || j->rains->status == RAIN_CANCELLED ? RR_ENDED
                                                                                    : RR_RECOVERING;
}

/* [thread] A rain of another room is not to be seen. */
static void run_show(struct rain_job *j, struct db_ctx *ctx)
{
    j->err = ledger_rain_get(ctx->ledger, j->code, j->rains);
    if (!j->err && !j->any_room && strcmp(j->rains->spec.room_id, j->room_id) != 0)
        j->err = RR_NOT_FOUND;
    if (!j->err && j->any_room)
        j->err = saga_recovery_of(&ctx->saga, j->code, &j->recovery, &j->recovering_since_ms);
    j->rains_n = j->err ? 0 : 1;
}

static void run_saga(struct rain_job *j, struct db_ctx *ctx)
{
    struct saga_actor actor = {.user_id = j->user_id, .room_id = j->any_room ? NULL : j->room_id};
    struct saga *saga = &ctx->saga;

    j->rains_n = 1;
    switch (j->kind) {
    case RAIN_JOB_CREATE: j->err = saga_create(saga, &j->spec, j->rains, &j->field); break;
    case RAIN_JOB_SEND:
        j->err = saga_send(saga, &j->spec, j->rains, &j->field);
        /* It is there, and goes on by itself: the answer says how far it is. */
        if (j->err == RR_PENDING)
            j->err = RR_OK;
        break;
    case RAIN_JOB_PREPARE: j->err = saga_prepare(saga, &actor, j->code, j->rains); break;
    case RAIN_JOB_START:
        j->err = saga_start(saga, &actor, j->code, j->countdown_ms, j->duration_ms, j->rains);
        break;
    case RAIN_JOB_EXTEND: j->err = saga_extend(saga, &actor, j->code, j->add_ms, j->rains); break;
    case RAIN_JOB_CLOSE: j->err = saga_close(saga, &actor, j->code, true, j->rains); break;
    case RAIN_JOB_CANCEL: j->err = saga_cancel(saga, &actor, j->code, j->rains); break;
    default: rr_assert_fail("a saga job", __FILE__, __LINE__, __func__);
    }
}

/* [thread] What an anchor or a platform does to a rain: never without a row that says so. */
static void run_action(struct rain_job *j, struct db_ctx *ctx)
{
    struct audit_row row;

    console_audit_row(j, &row);
    j->err = ledger_audit_begin(ctx->ledger, &row);
    if (j->err)
        return;
    run_saga(j, ctx);
    j->audit_id = row.id;
    console_audit_ended(j, &row);
    if (ledger_audit_end(ctx->ledger, &row) != RR_OK)
        log_warn("audit_unfinished", "id=%" PRId64 " %s ended %s", row.id, row.action, row.result);
}

/* [thread] Texts the settlers leave in Redis; none when no settler runs. A name without a text is of one that ended. */
static void run_settler_metrics(struct rain_job *j, struct db_ctx *ctx)
{
    struct rr_settler_text texts[SETTLERS_MAX];
    store_name names[SETTLERS_MAX];
    struct rr_buf out = {0};
    uint32_t names_n = 0;
    uint32_t n = 0;
    enum rr_err err = store_sync_kv_names(ctx->store, names, SETTLERS_MAX, &names_n);

    for (uint32_t i = 0; !err && i < names_n; i++) {
        struct rr_slice value;

        err = store_sync_kv_get(ctx->store, names[i], &value);
        if (!err) {
            memcpy(texts[n].name, names[i], sizeof(texts[n].name));
            texts[n++].text = rr_xstrndup(value.p, value.len);
        }
        if (err == RR_NOT_FOUND)
            err = store_sync_kv_name(ctx->store, names[i], false);
    }
    rr_settler_metrics_join(texts, n, &out);
    if (out.len && !out.failed) {
        j->payload = rr_xstrndup(out.p, out.len);
        j->payload_len = out.len;
    }
    while (n)
        free(texts[--n].text);
    rr_buf_fini(&out);
}

/* [thread] The console shows what is left to spend. */
static void read_balance(struct rain_job *j, struct db_ctx *ctx)
{
    const struct rain_notify *notify = ctx->saga.notify;

    if (ledger_wallet(ctx->ledger, j->user_id, &j->wallet) != RR_OK)
        j->wallet = (struct wallet){.user_id = j->user_id};
    else if (j->live && notify->balance(notify->impl, j->user_id, j->wallet.balance_fen) != RR_OK)
        log_info("balance_not_kept", "the next STATS asks SQL again");
}

/* [thread] A deposit in the middle of a rain is there to be spent. */
static void keep_balance(const struct rain_job *j, struct db_ctx *ctx)
{
    const struct rain_notify *notify = ctx->saga.notify;
    const struct wallet *w = &j->wallet;

    if (!j->err && notify->balance(notify->impl, w->user_id, w->balance_fen) != RR_OK)
        log_info("balance_not_kept", "STATS shows the former one until the rain ends");
}

/* [thread] */
static void job_run(struct db_job *base, struct db_ctx *ctx)
{
    struct rain_job *j = (struct rain_job *)base;

    j->cached = j->live && stats_job_cached(j, ctx);
    switch (j->cached ? RAIN_JOB_NONE : j->kind) {
    case RAIN_JOB_NONE: break;
    case RAIN_JOB_SHOW: run_show(j, ctx); break;
    case RAIN_JOB_LIST:
        j->err = ledger_rain_list(ctx->ledger, j->room_id[0] ? j->room_id : NULL, 0, j->rains,
                                  RAIN_JOB_LIST_MAX, &j->rains_n);
        break;
    case RAIN_JOB_SENT:
        j->err = ledger_sent_list(ctx->ledger, j->user_id, j->code, j->rains, RAIN_JOB_LIST_MAX,
                                  &j->rains_n);
        break;
    case RAIN_JOB_PUT_LIST: j->err = saga_put_list(&ctx->saga, j->code); break;
    case RAIN_JOB_GRANTS: run_grants(j, ctx); break;
    case RAIN_JOB_GRAB: run_grab(j, ctx); break;
    case RAIN_JOB_RAIN_GRANTS: run_rain_grants(j, ctx); break;
    case RAIN_JOB_STATS:
        j->err = ledger_rain_stats(ctx->ledger, (const char(*)[RR_CODE_LEN + 1]) j->codes,
                                   j->codes_n, j->rains, &j->rains_n);
        break;
    case RAIN_JOB_DEPOSIT:
        j->err = ledger_deposit(ctx->ledger, j->user_id, j->amount_fen, j->biz_id, &j->wallet);
        keep_balance(j, ctx);
        break;
    case RAIN_JOB_WALLET: j->err = ledger_wallet(ctx->ledger, j->user_id, &j->wallet); break;
    case RAIN_JOB_WALLET_OP:
        j->err = ledger_wallet_op(ctx->ledger, &j->wallet_op, &j->wallet_done);
        break;
    case RAIN_JOB_WALLET_LOG:
        j->err = ledger_wallet_log(ctx->ledger, j->user_id, j->before_ms, j->wallet_log,
                                   j->wallet_log_n, &j->wallet_log_n);
        break;
    case RAIN_JOB_SETTLER_METRICS: run_settler_metrics(j, ctx); break;
    case RAIN_JOB_PUSH:
        j->err = ctx->saga.notify->push_room(ctx->saga.notify->impl, j->room_id, j->biz_code,
                                             rr_slice_of(j->payload, j->payload_len), NULL, 0);
        break;
    case RAIN_JOB_WINNERS:
    case RAIN_JOB_AUDIT:
    case RAIN_JOB_TEMPLATES:
    case RAIN_JOB_CHECK:
    case RAIN_JOB_NOTE: console_job_run(j, ctx); break;
    case RAIN_JOB_SEND: run_saga(j, ctx); break;
    default: run_action(j, ctx);
    }
    if ((j->err == RR_OK || j->err == RR_DUPLICATE) && !j->any_room && !j->cached &&
        (j->kind == RAIN_JOB_CREATE || j->kind == RAIN_JOB_SEND || j->kind == RAIN_JOB_SENT ||
         j->kind == RAIN_JOB_CANCEL || j->kind == RAIN_JOB_LIST || j->kind == RAIN_JOB_SHOW))
        read_balance(j, ctx);
    if ((j->kind == RAIN_JOB_LIST || j->kind == RAIN_JOB_SHOW) &&
        store_sync_settle_lag(ctx->store, &j->lag_ms) != RR_OK)
        j->lag_ms = -1;
    if ((j->kind == RAIN_JOB_LIST || j->kind == RAIN_JOB_SHOW) && !j->any_room &&
        store_sync_delivery(ctx->store, j->room_id, &j->delivery, &j->delivery_lost) != RR_OK)
        log_info("delivery_unknown", "STATS shows none");
    if (j->err == RR_RETRY)
        j->err = RR_UNAVAILABLE;
    if (j->err && j->err != RR_DUPLICATE)
        log_info("job_failed", "kind %d: %s (%s)", (int)j->kind, rr_err_name(j->err),
                 ledger_error(ctx->ledger));
}

/* [loop] */
static void job_done(struct db_job *base)
{
    struct rain_job *j = (struct rain_job *)base;

    j->answer(j);
    rain_job_free(j);
}

enum rr_err rain_job_submit_to(struct db_pool *db, struct rain_job *j, enum db_lane lane)
{
    enum rr_err err = RR_OK;

    j->base.run = job_run;
    j->base.done = job_done;
    err = db_pool_submit(db, lane, &j->base);
    if (err)
        rain_job_free(j);
    return err;
}

enum rr_err rain_job_submit(struct rain_job *j, enum db_lane lane)
{
    return rain_job_submit_to(((struct worker *)j->owner)->db, j, lane);
}
