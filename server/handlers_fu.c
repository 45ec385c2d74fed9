/* handlers_fu.c - 集五福 over the socket. Dispatch has checked that s is in a room, and the anchor where that is asked. */
#include "handlers.h"

#include "fu_job.h"
#include "protocol/pack.h"

#include <string.h>

/* ---- answers ---- */

static void pack_five(struct rr_buf *b, const char *key, const uint32_t v[FU_CARDS])
{
    pack_cstr(b, key);
    pack_array(b, FU_CARDS);
    for (unsigned i = 0; i < FU_CARDS; i++)
        pack_int(b, v[i]);
}

static void build_mine(struct worker *w, const struct fu_job *j, struct rr_buf *b)
{
    const struct fu_campaign *c = &j->campaign;

    msg_reply_begin(b, j->req_id, RESULT_OK, 21 + 2 * (uint32_t)j->anchor);
    pack_kv_str(b, "code", c->code);
    pack_kv_str(b, "state", fu_state_name(c->state));
    pack_kv_str(b, "text", c->spec.text);
    pack_kv_int(b, "pool", c->spec.pool_fen);
    pack_kv_str(b, "split", rain_split_name(c->spec.split));
    pack_kv_int(b, "winners", c->winners);
    pack_kv_int(b, "winners_max", c->spec.winners_max);
    pack_kv_int(b, "day_draws", c->spec.day_draws);
    pack_kv_int(b, "day_gifts", c->spec.day_gifts);
    pack_kv_int(b, "created_at", c->created_at_ms);
    pack_kv_int(b, "share_at", c->spec.share_at_ms);
    pack_kv_int(b, "now", worker_rain_now_ms(w));
    if (c->rain_code[0])
        pack_kv_str(b, "rain", c->rain_code);
    else
        pack_kv_nil(b, "rain");
    if (c->reason[0])
        pack_kv_str(b, "reason", c->reason);
    else
        pack_kv_nil(b, "reason");
    pack_five(b, "weights", c->spec.weight);
    pack_five(b, "held", j->user.held);
    pack_kv_int(b, "day", j->user.day);
    pack_kv_int(b, "draws", j->user.draws);
    pack_kv_int(b, "gifts", j->user.gifts);
    pack_kv_bool(b, "joined", j->user.joined);
    pack_cstr(b, "drawn");
    pack_array(b, j->drawn_n);
    for (uint32_t i = 0; i < j->drawn_n; i++) {
        pack_map(b, 3);
        pack_kv_str(b, "event", j->drawn[i].event);
        pack_kv_int(b, "card", j->drawn[i].card);
        pack_kv_int(b, "at", j->drawn[i].at_ms);
    }
    if (j->anchor) {
        pack_five(b, "stock", c->spec.stock);
        pack_five(b, "left", c->left);
    }
}

static void build(struct worker *w, const struct fu_job *j, struct rr_buf *b)
{
    switch (j->kind) {
    case FU_JOB_MINE: build_mine(w, j, b); return;
    case FU_JOB_JOIN:
        msg_reply_begin(b, j->req_id, RESULT_OK, 3);
        pack_kv_str(b, "code", j->q.code);
        pack_kv_int(b, "winners", j->done.winners);
        pack_five(b, "held", j->done.user.held);
        return;
    case FU_JOB_DRAW:
    case FU_JOB_GIVE:
        msg_reply_begin(b, j->req_id, RESULT_OK, 6);
        pack_kv_str(b, "code", j->q.code);
        pack_kv_int(b, "card", j->done.card);
        pack_kv_bool(b, "again", j->err == RR_DUPLICATE);
        pack_kv_int(b, "draws", j->done.user.draws);
        pack_kv_int(b, "gifts", j->done.user.gifts);
        pack_five(b, "held", j->done.user.held);
        return;
    default:
        msg_reply_begin(b, j->req_id, RESULT_OK, 4);
        pack_kv_str(b, "code", j->campaign.code);
        pack_kv_str(b, "state", fu_state_name(j->campaign.state));
        pack_kv_int(b, "share_at", j->campaign.spec.share_at_ms);
        pack_kv_int(b, "balance", j->balance_fen);
    }
}

/* What was done now; an answer that is given again counts nothing. */
static void count(struct rr_metrics *m, const struct fu_job *j)
{
    if (j->err)
        return;
    if (j->kind == FU_JOB_DRAW)
        rr_metric_add(&m->fu_cards_total, 1);
    else if (j->kind == FU_JOB_GIVE)
        rr_metric_add(&m->fu_gifts_total, 1);
    else if (j->kind == FU_JOB_JOIN)
        rr_metric_add(&m->fu_joins_total, 1);
}

static void answer(struct fu_job *j)
{
    struct worker *w = j->owner;
    struct session *s = session_by_id(w->sessions, j->session_id);
    struct refusal why = {.field = j->field, .reason = fu_job_reason(j)};
    struct rr_buf b = {0};

    count(w->metrics, j);
    if (!s)
        return;
    if (j->err != RR_OK && j->err != RR_DUPLICATE) {
        reply_error(w, s, j->req_id, j->err, &why);
        return;
    }
    build(w, j, &b);
    reply_send(w, s, &b);
    rr_buf_fini(&b);
}

/* ---- requests ---- */

static struct fu_job *job_of(struct worker *w, const struct session *s, const struct msg *m,
                             enum fu_job_kind kind)
{
    struct fu_job *j = fu_job_new(kind, answer, w);

    j->session_id = s->id;
    j->req_id = m->id;
    j->anchor = s->role == ROLE_ANCHOR;
    j->q.user_id = s->user_id;
    j->q.now_ms = worker_rain_now_ms(w);
    memcpy(j->q.room_id, room_id_of(s->room), strlen(room_id_of(s->room)) + 1);
    return j;
}

static bool take_code(struct rr_slice from, char to[RR_CODE_LEN + 1])
{
    return rain_code_valid(from) && rr_slice_copy(from, to, RR_CODE_LEN + 1);
}

enum rr_err on_fu_draw(struct worker *w, struct session *s, const struct msg *m,
                       struct refusal *why)
{
    enum fu_event event = fu_event_parse(m->u.fu_draw.event);
    struct fu_request q = {.event = event};
    struct fu_job *j = NULL;

    if (!take_code(m->u.fu_draw.code, q.code))
        why->field = "code";
    else if (!event)
        why->field = "event";
    else if ((event == FU_EVENT_RAIN) != m->u.fu_draw.has_rain ||
             (event == FU_EVENT_RAIN && !take_code(m->u.fu_draw.rain, q.rain_code)))
        why->field = "rain";
    if (why->field)
        return RR_BAD_REQUEST;
    j = job_of(w, s, m, FU_JOB_DRAW);
    j->q.event = event;
    memcpy(j->q.code, q.code, sizeof(q.code));
    memcpy(j->q.rain_code, q.rain_code, sizeof(q.rain_code));
    return fu_job_submit(w->db, j, DB_LANE_VIEWER);
}

static enum rr_err submit_code(struct worker *w, struct session *s, const struct msg *m,
                               struct rr_slice code, enum fu_job_kind kind, struct refusal *why)
{
    struct fu_job *j = NULL;

    if (!rain_code_valid(code)) {
        why->field = "code";
        return RR_BAD_REQUEST;
    }
    j = job_of(w, s, m, kind);
    memcpy(j->q.code, code.p, RR_CODE_LEN);
    return fu_job_submit(w->db, j, kind == FU_JOB_CANCEL ? DB_LANE_ANCHOR : DB_LANE_VIEWER);
}

enum rr_err on_fu_join(struct worker *w, struct session *s, const struct msg *m,
                       struct refusal *why)
{
    return submit_code(w, s, m, m->u.fu_join.code, FU_JOB_JOIN, why);
}

enum rr_err on_fu_cancel(struct worker *w, struct session *s, const struct msg *m,
                         struct refusal *why)
{
    return submit_code(w, s, m, m->u.fu_cancel.code, FU_JOB_CANCEL, why);
}

enum rr_err on_fu_give(struct worker *w, struct session *s, const struct msg *m,
                       struct refusal *why)
{
    char biz_id[RR_BIZ_ID_MAX + 1];
    struct fu_job *j = NULL;

    if (!rr_slice_copy(m->u.fu_give.biz_id, biz_id, sizeof(biz_id)) || !fu_key_valid(biz_id))
        why->field = "biz_id";
    else if (!rain_code_valid(m->u.fu_give.code))
        why->field = "code";
    else if (m->u.fu_give.to == s->user_id)
        why->field = "to";
    if (why->field)
        return RR_BAD_REQUEST;
    j = job_of(w, s, m, FU_JOB_GIVE);
    memcpy(j->q.code, m->u.fu_give.code.p, RR_CODE_LEN);
    memcpy(j->q.biz_id, biz_id, sizeof(biz_id));
    j->q.card = (unsigned)m->u.fu_give.card;
    j->q.to_user = m->u.fu_give.to;
    return fu_job_submit(w->db, j, DB_LANE_VIEWER);
}

enum rr_err on_fu_mine(struct worker *w, struct session *s, const struct msg *m,
                       struct refusal *why)
{
    (void)why;
    return fu_job_submit(w->db, job_of(w, s, m, FU_JOB_MINE), DB_LANE_VIEWER);
}

static bool take_u32(bool has, int64_t from, uint32_t *to)
{
    if (has && (from <= 0 || from > INT32_MAX))
        return false;
    *to = (uint32_t)from;
    return true;
}

/* NULL, or the first field that cannot be taken over; the rest is fu_spec_check's. */
static const char *spec_of(const struct msg_fu_create *m, struct fu_spec *spec)
{
    if (!rr_slice_copy(m->biz_id, spec->biz_id, sizeof(spec->biz_id)))
        return "biz_id";
    if (!rr_slice_copy(m->text, spec->text, sizeof(spec->text)))
        return "text";
    spec->pool_fen = m->pool;
    spec->share_at_ms = m->share_at;
    if (m->has_split && !(spec->split = rain_split_parse(m->split)))
        return "split";
    if (!take_u32(m->has_winners, m->winners, &spec->winners_max))
        return "winners";
    if (!take_u32(m->has_day_draws, m->day_draws, &spec->day_draws))
        return "day_draws";
    if (!take_u32(m->has_day_gifts, m->day_gifts, &spec->day_gifts))
        return "day_gifts";
    if (m->has_weights && !fu_list_parse(m->weights, spec->weight))
        return "weights";
    return m->has_stock && !fu_list_parse(m->stock, spec->stock) ? "stock" : NULL;
}

enum rr_err on_fu_create(struct worker *w, struct session *s, const struct msg *m,
                         struct refusal *why)
{
    struct fu_spec spec = {.sender_id = s->user_id, .anchor_id = s->user_id};
    struct fu_job *j = NULL;

    why->field = spec_of(&m->u.fu_create, &spec);
    if (why->field)
        return RR_BAD_REQUEST;
    j = job_of(w, s, m, FU_JOB_CREATE);
    memcpy(spec.room_id, j->q.room_id, sizeof(spec.room_id));
    j->spec = spec;
    return fu_job_submit(w->db, j, DB_LANE_ANCHOR);
}
