#include "fu_api.h"

#include "admin_json.h"
#include "fu_job.h"
#include "protocol/unpack.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void answer_error(struct admin *a, uint64_t request_id, enum rr_err err, const char *field,
                         const char *reason)
{
    struct rr_buf b = {0};

    admin_json_error(err, field, reason, &b);
    admin_http_answer(a->http, request_id, admin_json_status(err), "application/json", &b);
    rr_buf_fini(&b);
}

/* ---- answers ---- */

static json_t *five(const uint32_t v[FU_CARDS])
{
    json_t *list = json_array();

    for (unsigned i = 0; i < FU_CARDS; i++)
        json_array_append_new(list, json_integer(v[i]));
    return list;
}

static json_t *campaign_json(const struct fu_job *j)
{
    const struct fu_campaign *c = &j->campaign;
    char sender[24];
    json_t *o = NULL;

    snprintf(sender, sizeof(sender), "%" PRId64, c->spec.sender_id);
    o = json_pack(
        "{s:i, s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "result",
        RESULT_OK, "name", result_name(RESULT_OK), "code", c->code, "room", c->spec.room_id,
        "state", fu_state_name(c->state), "sender", sender, "pool", (json_int_t)c->spec.pool_fen,
        "split", rain_split_name(c->spec.split), "winners", (json_int_t)c->winners, "winners_max",
        (json_int_t)c->spec.winners_max, "day_draws", (json_int_t)c->spec.day_draws, "day_gifts",
        (json_int_t)c->spec.day_gifts, "created_at", (json_int_t)c->created_at_ms, "share_at",
        (json_int_t)c->spec.share_at_ms, "ended_at", (json_int_t)c->ended_at_ms);
    json_object_set_new(o, "text", json_string(c->spec.text));
    json_object_set_new(o, "rain", c->rain_code[0] ? json_string(c->rain_code) : json_null());
    json_object_set_new(o, "reason", c->reason[0] ? json_string(c->reason) : json_null());
    json_object_set_new(o, "weights", five(c->spec.weight));
    json_object_set_new(o, "stock", five(c->spec.stock));
    json_object_set_new(o, "left", five(c->left));
    return o;
}

static void answer(struct fu_job *j)
{
    struct admin *a = j->owner;
    struct rr_buf b = {0};
    json_t *o = NULL;
    char *text = NULL;

    if (j->err != RR_OK && j->err != RR_DUPLICATE) {
        answer_error(a, j->session_id, j->err, j->field, fu_job_reason(j));
        return;
    }
    o = campaign_json(j);
    text = json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER);
    rr_buf_puts(&b, text ? text : "{}");
    rr_buf_puts(&b, "\n");
    admin_http_answer(a->http, j->session_id, 200, "application/json", &b);
    free(text);
    json_decref(o);
    rr_buf_fini(&b);
}

/* ---- bodies ---- */

static bool take_text(json_t *o, const char *key, char *out, size_t cap)
{
    json_t *v = json_object_get(o, key);

    return !v ||
           (json_is_string(v) &&
            rr_slice_copy(rr_slice_of(json_string_value(v), json_string_length(v)), out, cap));
}

static bool take_int(json_t *o, const char *key, int64_t max, int64_t *out)
{
    json_t *v = json_object_get(o, key);

    if (v && (!json_is_integer(v) || json_integer_value(v) <= 0 || json_integer_value(v) > max))
        return false;
    *out = v ? json_integer_value(v) : 0;
    return true;
}

static bool take_u32(json_t *o, const char *key, uint32_t *out)
{
    int64_t v = 0;
    bool ok = take_int(o, key, INT32_MAX, &v);

    *out = (uint32_t)v;
    return ok;
}

static bool take_five(json_t *o, const char *key, uint32_t out[FU_CARDS])
{
    json_t *v = json_object_get(o, key);

    if (v && (!json_is_array(v) || json_array_size(v) != FU_CARDS))
        return false;
    for (unsigned i = 0; v && i < FU_CARDS; i++) {
        json_int_t n = json_integer_value(json_array_get(v, i));

        if (n <= 0 || n > FU_STOCK_MAX)
            return false;
        out[i] = (uint32_t)n;
    }
    return true;
}

/* NULL, or the bad field. */
static const char *take_spec(json_t *o, struct fu_spec *s)
{
    const char *sender = json_string_value(json_object_get(o, "sender"));
    const char *split = json_string_value(json_object_get(o, "split"));

    if (!sender || unpack_user_id(rr_slice_str(sender), &s->sender_id) != RR_OK)
        return "sender";
    if (!take_text(o, "room", s->room_id, sizeof(s->room_id)))
        return "room";
    if (!take_text(o, "biz_id", s->biz_id, sizeof(s->biz_id)))
        return "biz_id";
    if (!take_text(o, "text", s->text, sizeof(s->text)))
        return "text";
    if (!take_int(o, "pool", RR_FEN_MAX, &s->pool_fen))
        return "pool";
    if (!take_int(o, "share_at", INT64_MAX, &s->share_at_ms))
        return "share_at";
    if (json_object_get(o, "split") &&
        (!split || !(s->split = rain_split_parse(rr_slice_str(split)))))
        return "split";
    if (!take_u32(o, "winners", &s->winners_max))
        return "winners";
    if (!take_u32(o, "day_draws", &s->day_draws))
        return "day_draws";
    if (!take_u32(o, "day_gifts", &s->day_gifts))
        return "day_gifts";
    if (!take_five(o, "weights", s->weight))
        return "weights";
    return take_five(o, "stock", s->stock) ? NULL : "stock";
}

static const char *take_body(const struct rr_buf *body, struct fu_spec *s)
{
    json_t *o = json_loadb(body->p ? body->p : "", body->len, JSON_REJECT_DUPLICATES, NULL);
    const char *field = json_is_object(o) ? take_spec(o, s) : "body";

    json_decref(o);
    return field;
}

/* ---- requests ---- */

static void submit(struct admin *a, const struct admin_request *rq, struct fu_job *j)
{
    enum rr_err err = RR_OK;

    j->session_id = rq->id;
    err = fu_job_submit(a->db, j, DB_LANE_ANCHOR);
    if (err)
        answer_error(a, rq->id, err, NULL, NULL);
}

static void create(struct admin *a, const struct admin_request *rq)
{
    struct fu_spec spec = {.sender_id = 0};
    const char *field = take_body(&rq->body, &spec);
    struct fu_job *j = NULL;

    if (field) {
        answer_error(a, rq->id, RR_BAD_REQUEST, field, NULL);
        return;
    }
    j = fu_job_new(FU_JOB_CREATE, answer, a);
    j->spec = spec;
    submit(a, rq, j);
}

static void show_room(struct admin *a, const struct admin_request *rq)
{
    const char *room = strncmp(rq->query, "room=", 5) == 0 ? rq->query + 5 : "";
    struct fu_job *j = NULL;

    if (!rain_room_id_valid(rr_slice_str(room))) {
        answer_error(a, rq->id, RR_BAD_REQUEST, "room", NULL);
        return;
    }
    j = fu_job_new(FU_JOB_SHOW, answer, a);
    (void)rr_slice_copy(rr_slice_str(room), j->q.room_id, sizeof(j->q.room_id));
    submit(a, rq, j);
}

void fu_api_route(struct admin *a, const struct admin_request *rq, struct rr_slice code,
                  struct rr_slice action)
{
    bool cancel = rq->post && rr_slice_eq_str(action, "cancel");
    struct fu_job *j = NULL;

    if (code.len == 0 && action.len == 0) {
        if (rq->post)
            create(a, rq);
        else
            show_room(a, rq);
        return;
    }
    if (!rain_code_valid(code) || (!cancel && (rq->post || action.len))) {
        answer_error(a, rq->id, RR_NOT_FOUND, NULL, NULL);
        return;
    }
    j = fu_job_new(cancel ? FU_JOB_CANCEL : FU_JOB_SHOW, answer, a);
    (void)rr_slice_copy(code, j->q.code, sizeof(j->q.code));
    submit(a, rq, j);
}
