#include "dispatch.h"

#include "base/log.h"
#include "handlers.h"
#include "protocol/pack.h"
#include "worker_shed.h"

#include <assert.h>

/* What a message requires before its handler runs. */
enum {
    ANON_OK = 1 << 0,    /* before HELLO; everything else needs a user */
    NEEDS_ROOM = 1 << 1, /* a member of a room */
    ANCHOR = 1 << 2,     /* the anchor of that room */
    NOT_GUEST = 1 << 3,
    RATE_GRAB = 1 << 4, /* which limits it is charged to; without one: those of commands */
    RATE_SAY = 1 << 5,
    RATE_SEND = 1 << 6,
    RATE_JOIN = 1 << 8,
    MAY_SEND = 1 << 7,    /* the token says so, or he is an anchor */
    HAS_ACCOUNT = 1 << 9, /* a user of his own, not a guest without a token */
    KEPT = 1 << 10, /* answered under pressure too: costs next to nothing, or somebody must act */
};

enum { FRAME_HEAD_MAX = 14 };

struct row {
    enum msg_op op;
    handler_fn handler;
    unsigned needs;
};

static const struct row rows[] = {
    {MSG_HELLO, on_hello, ANON_OK | KEPT},
    {MSG_JOIN, on_join, RATE_JOIN},
    {MSG_LEAVE, on_leave, KEPT},
    {MSG_PING, on_ping, KEPT},
    {MSG_GRAB, on_grab, NEEDS_ROOM | NOT_GUEST | RATE_GRAB | KEPT},
    {MSG_MY_GRANTS, on_my_grants, HAS_ACCOUNT},
    {MSG_SAY, on_say, NEEDS_ROOM | NOT_GUEST | RATE_SAY},
    {MSG_SEND, on_send, NEEDS_ROOM | NOT_GUEST | MAY_SEND | RATE_SEND},
    {MSG_MY_SENT, on_my_sent, HAS_ACCOUNT},
    {MSG_REFRESH, on_refresh, HAS_ACCOUNT | KEPT},
    {MSG_FU_DRAW, on_fu_draw, NEEDS_ROOM | NOT_GUEST},
    {MSG_FU_JOIN, on_fu_join, NEEDS_ROOM | NOT_GUEST},
    {MSG_FU_GIVE, on_fu_give, NEEDS_ROOM | NOT_GUEST},
    {MSG_FU_MINE, on_fu_mine, NEEDS_ROOM | NOT_GUEST},
    {MSG_CREATE, on_create, NEEDS_ROOM | ANCHOR | KEPT},
    {MSG_PREPARE, on_prepare, NEEDS_ROOM | ANCHOR | KEPT},
    {MSG_START, on_start, NEEDS_ROOM | ANCHOR | KEPT},
    {MSG_EXTEND, on_extend, NEEDS_ROOM | ANCHOR | KEPT},
    {MSG_CLOSE, on_close, NEEDS_ROOM | ANCHOR | KEPT},
    {MSG_CANCEL, on_cancel, NEEDS_ROOM | ANCHOR | KEPT},
    {MSG_ANNOUNCE, on_announce, NEEDS_ROOM | ANCHOR | KEPT},
    {MSG_KICK, on_kick, NEEDS_ROOM | ANCHOR | KEPT},
    {MSG_MUTE, on_mute, NEEDS_ROOM | ANCHOR | KEPT},
    {MSG_STATS, on_stats, NEEDS_ROOM | ANCHOR},
    {MSG_WINNERS, on_winners, NEEDS_ROOM | ANCHOR},
    {MSG_AUDIT, on_audit, NEEDS_ROOM | ANCHOR},
    {MSG_TEMPLATES, on_templates, NEEDS_ROOM | ANCHOR},
    {MSG_CHECK, on_check, NEEDS_ROOM | ANCHOR},
    {MSG_FU_CREATE, on_fu_create, NEEDS_ROOM | ANCHOR | KEPT},
    {MSG_FU_CANCEL, on_fu_cancel, NEEDS_ROOM | ANCHOR | KEPT},
};
static_assert(RR_COUNTOF(rows) == MSG_C2S_COUNT, "every client message needs one dispatch row");

static const struct row *row_of(enum msg_op op)
{
    for (size_t i = 0; i < RR_COUNTOF(rows); i++) {
        if (rows[i].op == op)
            return &rows[i];
    }
    return NULL;
}

void reply_send(struct worker *w, struct session *s, const struct rr_buf *message)
{
    struct rr_frame *f = NULL;

    RR_ASSERT(!message->failed);
    f = rr_frame_create(message->p, message->len, w->transport->headroom);
    session_reply(s, f);
    rr_frame_unref(&f);
}

void reply_ok(struct worker *w, struct session *s, uint32_t req_id)
{
    struct rr_buf b = {0};

    msg_reply_begin(&b, req_id, RESULT_OK, 0);
    reply_send(w, s, &b);
    rr_buf_fini(&b);
}

void reply_error(struct worker *w, struct session *s, uint32_t req_id, enum rr_err err,
                 const struct refusal *why)
{
    static const struct refusal none = {0};
    enum result_code code = result_of(err);
    struct rr_buf b = {0};
    int64_t retry_ms = 0;

    why = why ? why : &none;
    retry_ms = why->retry_after_ms;
    if (retry_ms == 0 && (code == RESULT_BUSY || code == RESULT_RATE_LIMITED))
        retry_ms = 200;
    msg_reply_begin(
        &b, req_id, code,
        (uint32_t)((why->field != NULL) + (why->reason != NULL) + (retry_ms != 0) + why->has_next));
    if (why->field)
        pack_kv_str(&b, "field", why->field);
    if (why->reason)
        pack_kv_str(&b, "reason", why->reason);
    if (retry_ms)
        pack_kv_int(&b, "retry_after_ms", retry_ms);
    if (why->has_next)
        pack_kv_int(&b, "next", why->next);
    reply_send(w, s, &b);
    rr_buf_fini(&b);
}

static enum limit_class limit_class_of(unsigned needs)
{
    return needs & RATE_GRAB   ? LIMIT_OF_GRAB
           : needs & RATE_JOIN ? LIMIT_OF_JOIN
           : needs & RATE_SAY  ? LIMIT_OF_SAY
           : needs & RATE_SEND ? LIMIT_OF_SEND
                               : LIMIT_OF_COMMAND;
}

static enum rr_err requirements_check(struct worker *w, struct session *s, unsigned needs,
                                      const struct msg *m, struct refusal *why)
{
    struct rr_slice code = needs & RATE_GRAB ? m->u.grab.code : rr_slice_of(NULL, 0);

    if (!(needs & KEPT) && worker_sheds(w, SHED_COMMANDS)) {
        rr_metric_add(&w->metrics->shed_command_total, 1);
        why->retry_after_ms = worker_shed_retry_ms(s->id);
        return RR_RATE_LIMITED;
    }
    if (limiter_message(w->limiter, s, limit_class_of(needs), code, &why->retry_after_ms))
        return RR_RATE_LIMITED;
    if (s->state == SESSION_NEW && !(needs & ANON_OK))
        return RR_UNAUTHORIZED;
    if ((needs & NOT_GUEST) && s->role == ROLE_GUEST)
        return RR_NOT_ELIGIBLE;
    if ((needs & HAS_ACCOUNT) && s->user_id == 0)
        return RR_NOT_ELIGIBLE;
    if ((needs & NEEDS_ROOM) && s->state != SESSION_JOINED) {
        why->reason = "join a room first";
        return RR_NOT_ELIGIBLE;
    }
    if ((needs & ANCHOR) && s->role != ROLE_ANCHOR)
        return RR_NOT_ELIGIBLE;
    if ((needs & MAY_SEND) && !s->may_send && s->role != ROLE_ANCHOR)
        return RR_NOT_ELIGIBLE;
    return RR_OK;
}

void dispatch(struct worker *w, struct session *s, struct rr_slice message)
{
    struct msg m;
    struct msg_fault fault = {0};
    struct refusal why = {0};
    const struct row *row = NULL;
    enum rr_err err = msg_decode(message, &m, &fault);

    rr_metric_add(&w->metrics->frames_received_total, 1);
    rr_metric_add(&w->metrics->bytes_received_total, message.len);
    s->heard_bytes += message.len + FRAME_HEAD_MAX;
    if (err == RR_MALFORMED) {
        rr_metric_add(&w->metrics->protocol_errors_total, 1);
        session_close(s, CLOSE_INVALID_PAYLOAD);
        return;
    }
    if (err) {
        rr_metric_add(&w->metrics->protocol_errors_total, 1);
        if (limiter_message(w->limiter, s, LIMIT_OF_COMMAND, rr_slice_of(NULL, 0),
                            &why.retry_after_ms))
            err = RR_RATE_LIMITED;
        else
            why.field = fault.field;
        reply_error(w, s, fault.id, err, &why);
        return;
    }
    row = row_of(m.op);
    RR_ASSERT(row);
    err = requirements_check(w, s, row->needs, &m, &why);
    if (!err)
        err = row->handler(w, s, &m, &why);
    if (err)
        reply_error(w, s, m.id, err, &why);
}
