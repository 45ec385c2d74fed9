#include "fu_job.h"

#include "base/alloc.h"
#include "base/log.h"
#include "ledger/console.h"
#include "protocol/msg.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fu_job *fu_job_new(enum fu_job_kind kind, void (*answer)(struct fu_job *j), void *owner)
{
    struct fu_job *j = rr_xcalloc(1, sizeof(*j));

    j->kind = kind;
    j->answer = answer;
    j->owner = owner;
    return j;
}

const char *fu_job_reason(const struct fu_job *j)
{
    switch (j->err) {
    case RR_NO_MONEY: return "the wallet does not hold that much";
    case RR_NOT_ELIGIBLE:
        return j->kind == FU_JOB_DRAW   ? "no such rain since the campaign began"
               : j->kind == FU_JOB_GIVE ? "you hold no such card"
               : j->kind == FU_JOB_JOIN ? "a card is missing"
                                        : NULL;
    case RR_SOLD_OUT:
        return j->kind == FU_JOB_JOIN ? "the pool has all the winners it takes" : "no card is left";
    case RR_LIMIT: return "no more today";
    case RR_CONFLICT:
        return j->kind == FU_JOB_CREATE && j->field ? "the room has a campaign that is not over"
               : j->kind == FU_JOB_CANCEL           ? "somebody joined, or it is over"
                                                    : NULL;
    default: return NULL;
    }
}

/* [thread] */
static enum rr_err show(struct fu_job *j, struct ledger *l)
{
    enum rr_err err = j->q.code[0] ? ledger_fu_get(l, j->q.code, &j->campaign)
                                   : ledger_fu_of_room(l, j->q.room_id, &j->campaign);

    if (!err && j->kind == FU_JOB_MINE)
        err = ledger_fu_mine(l, j->campaign.code, j->q.user_id, &j->user, j->drawn, &j->drawn_n);
    return err;
}

/* [thread] */
static enum rr_err give(struct fu_job *j, struct db_ctx *ctx)
{
    enum rr_err err = ledger_fu_give(ctx->ledger, &j->q, &j->done);

    if (!err && saga_fu_tell_gift(&ctx->saga, &j->q) != RR_OK)
        log_info("fu_gift_not_told", "the next FU_MINE shows it");
    return err;
}

/* [thread] */
static void read_balance(struct fu_job *j, struct db_ctx *ctx)
{
    const struct rain_notify *notify = ctx->saga.notify;
    struct wallet w;

    if (ledger_wallet(ctx->ledger, j->campaign.spec.sender_id, &w) != RR_OK)
        return;
    j->balance_fen = w.balance_fen;
    if (notify->balance && notify->balance(notify->impl, w.user_id, w.balance_fen) != RR_OK)
        log_info("balance_not_kept", "STATS shows the former one until the rain ends");
}

static struct audit_row audit_row_of(const struct fu_job *j)
{
    bool create = j->kind == FU_JOB_CREATE;
    struct audit_row row = {.user_id = j->q.user_id};

    snprintf(row.action, sizeof(row.action), "%s", create ? "FU_CREATE" : "FU_CANCEL");
    memcpy(row.code, j->q.code, sizeof(row.code));
    memcpy(row.room_id, create ? j->spec.room_id : j->q.room_id, sizeof(row.room_id));
    if (create)
        snprintf(row.detail, sizeof(row.detail), "pool=%" PRId64 " share_at=%" PRId64 " biz_id=%s",
                 j->spec.pool_fen, j->spec.share_at_ms, j->spec.biz_id);
    return row;
}

/* [thread] What an anchor or a platform does to a campaign: never without a row that says so. */
static void run_action(struct fu_job *j, struct db_ctx *ctx)
{
    const char *room_id = j->q.room_id[0] ? j->q.room_id : NULL;
    struct audit_row row = audit_row_of(j);
    bool ok = false;

    j->err = ledger_audit_begin(ctx->ledger, &row);
    if (j->err)
        return;
    if (j->kind == FU_JOB_CREATE)
        j->err = saga_fu_create(&ctx->saga, &j->spec, &j->campaign, &j->field);
    else
        j->err = saga_fu_cancel(&ctx->saga, room_id, j->q.code, &j->campaign);
    ok = j->err == RR_OK || j->err == RR_DUPLICATE;
    snprintf(row.result, sizeof(row.result), "%s", result_name(ok ? RESULT_OK : result_of(j->err)));
    if (ok) {
        memcpy(row.code, j->campaign.code, sizeof(row.code));
        memcpy(row.room_id, j->campaign.spec.room_id, sizeof(row.room_id));
    }
    if (ledger_audit_end(ctx->ledger, &row) != RR_OK)
        log_warn("audit_unfinished", "id=%" PRId64 " %s ended %s", row.id, row.action, row.result);
    if (ok)
        read_balance(j, ctx);
}

/* [thread] */
static void job_run(struct db_job *base, struct db_ctx *ctx)
{
    struct fu_job *j = (struct fu_job *)base;

    switch (j->kind) {
    case FU_JOB_DRAW: j->err = ledger_fu_draw(ctx->ledger, &j->q, &j->done); break;
    case FU_JOB_JOIN: j->err = ledger_fu_join(ctx->ledger, &j->q, &j->done); break;
    case FU_JOB_GIVE: j->err = give(j, ctx); break;
    case FU_JOB_MINE:
    case FU_JOB_SHOW: j->err = show(j, ctx->ledger); break;
    case FU_JOB_CREATE:
    case FU_JOB_CANCEL: run_action(j, ctx); break;
    }
    if (j->err == RR_RETRY)
        j->err = RR_UNAVAILABLE;
    if (j->err == RR_UNAVAILABLE || j->err == RR_SYSTEM || j->err == RR_CORRUPT)
        log_info("fu_job_failed", "kind %d: %s (%s)", (int)j->kind, rr_err_name(j->err),
                 ledger_error(ctx->ledger));
}

/* [loop] */
static void job_done(struct db_job *base)
{
    struct fu_job *j = (struct fu_job *)base;

    j->answer(j);
    free(j);
}

enum rr_err fu_job_submit(struct db_pool *db, struct fu_job *j, enum db_lane lane)
{
    enum rr_err err = RR_OK;

    j->base.run = job_run;
    j->base.done = job_done;
    err = db_pool_submit(db, lane, &j->base);
    if (err)
        free(j);
    return err;
}
