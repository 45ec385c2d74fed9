#include "risk_api.h"

#include "admin_json.h"
#include "base/alloc.h"
#include "base/log.h"
#include "ledger/risk_book.h"
#include "protocol/unpack.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_MAX = 200 };

enum risk_ask { ASK_LIST, ASK_RELEASE, ASK_TAKE_BACK };

struct risk_job {
    struct db_job base; /* first */
    struct admin *admin;
    uint64_t request_id;
    enum risk_ask ask;
    /* in */
    struct risk_query query;
    char code[RR_CODE_LEN + 1];
    char state[16];
    struct risk_packet packet;
    char account[RISK_ACCOUNT_MAX + 1];
    /* out */
    enum rr_err err;
    struct risk_item *items; /* LIST_MAX for ASK_LIST; owned */
    uint32_t n;
    struct risk_closed closed;
};

/* ---- on a database thread ---- */

/* [thread] */
static void job_run(struct db_job *base, struct db_ctx *ctx)
{
    struct risk_job *j = (struct risk_job *)base;

    switch (j->ask) {
    case ASK_LIST:
        j->err = ledger_risk_list(ctx->ledger, &j->query, j->items, LIST_MAX, &j->n);
        return;
    case ASK_RELEASE: j->err = ledger_risk_release(ctx->ledger, &j->packet, &j->closed); break;
    case ASK_TAKE_BACK:
        j->err = ledger_risk_take_back(ctx->ledger, &j->packet, j->account, &j->closed);
        break;
    }
    if (j->err == RR_RETRY)
        j->err = RR_UNAVAILABLE;
    if (j->err && j->err != RR_DUPLICATE)
        return;
    log_notice(j->ask == ASK_RELEASE ? "risk_release" : "risk_take_back",
               "rain=%s shard=%u no=%u user=%" PRId64 " amount=%" PRId64 "%s%s%s", j->packet.code,
               j->packet.shard, j->packet.packet_no, j->closed.user_id, j->closed.amount_fen,
               j->account[0] ? " to=" : "", j->account, j->err ? " replayed" : "");
    /* A repeat tells him again: the first time the push may have been lost. */
    if (risk_closed_push(ctx->saga.notify, &j->packet, &j->closed) != RR_OK)
        log_warn("risk_not_told", "rain=%s user=%" PRId64, j->packet.code, j->closed.user_id);
}

/* ---- answers ---- */

static void set_known(json_t *o, const char *key, int64_t v)
{
    if (v >= 0)
        json_object_set_new(o, key, json_integer(v));
}

static void set_text(json_t *o, const char *key, const char *text)
{
    if (text[0])
        json_object_set_new(o, key, json_string(text));
}

static void set_user(json_t *o, int64_t user_id)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRId64, user_id);
    json_object_set_new(o, "user", json_string(text));
}

static json_t *item_json(const struct risk_item *r)
{
    json_t *o = json_pack("{s:I, s:s, s:s, s:s}", "id", (json_int_t)r->id, "decision", r->decision,
                          "state", r->state, "rule", r->rule);

    set_user(o, r->user_id);
    set_text(o, "code", r->code);
    set_known(o, "shard", r->shard);
    set_known(o, "no", r->packet_no);
    set_known(o, "seq", r->seq);
    set_known(o, "amount", r->amount_fen);
    json_object_set_new(o, "seen", json_integer(r->seen));
    json_object_set_new(o, "bound", json_integer(r->bound));
    set_text(o, "address", r->address);
    set_text(o, "account", r->account);
    json_object_set_new(o, "at", json_integer(r->created_at_ms));
    if (r->closed_at_ms)
        json_object_set_new(o, "closed_at", json_integer(r->closed_at_ms));
    return o;
}

static json_t *result_json(const struct risk_job *j)
{
    json_t *o = json_object();
    json_t *list = NULL;

    if (j->ask != ASK_LIST) {
        set_user(o, j->closed.user_id);
        json_object_set_new(o, "amount", json_integer(j->closed.amount_fen));
        json_object_set_new(o, "state",
                            json_string(j->ask == ASK_RELEASE ? "settled" : "taken_back"));
        if (j->err == RR_DUPLICATE)
            json_object_set_new(o, "replayed", json_true());
    } else {
        list = json_array();
        for (uint32_t i = 0; i < j->n; i++)
            json_array_append_new(list, item_json(&j->items[i]));
        json_object_set_new(o, "items", list);
    }
    json_object_set_new(o, "result", json_integer(RESULT_OK));
    json_object_set_new(o, "name", json_string(result_name(RESULT_OK)));
    return o;
}

static void answer_error(struct admin *a, uint64_t request_id, enum rr_err err, const char *field)
{
    struct rr_buf b = {0};

    admin_json_error(err, field, err == RR_CONFLICT ? "it is not held" : NULL, &b);
    admin_http_answer(a->http, request_id, admin_json_status(err), "application/json", &b);
    rr_buf_fini(&b);
}

static void job_free(struct risk_job *j)
{
    free(j->items);
    free(j);
}

/* [loop] */
static void job_done(struct db_job *base)
{
    struct risk_job *j = (struct risk_job *)base;
    struct rr_buf b = {0};
    json_t *o = NULL;
    char *text = NULL;

    if (j->err && j->err != RR_DUPLICATE) {
        answer_error(j->admin, j->request_id, j->err, NULL);
    } else {
        o = result_json(j);
        text = json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER);
        rr_buf_puts(&b, text ? text : "{}");
        rr_buf_puts(&b, "\n");
        admin_http_answer(j->admin->http, j->request_id, 200, "application/json", &b);
        free(text);
        json_decref(o);
        rr_buf_fini(&b);
    }
    job_free(j);
}

/* ---- requests ---- */

/* One "key=value" of the query. False: not one of ours, or not valid. */
static bool take_pair(struct risk_job *j, struct rr_slice key, struct rr_slice value)
{
    char number[24];
    char *end = NULL;

    if (rr_slice_eq_str(key, "user"))
        return unpack_user_id(value, &j->query.user_id) == RR_OK;
    if (rr_slice_eq_str(key, "rain")) {
        j->query.code = j->code;
        return rain_code_valid(value) && rr_slice_copy(value, j->code, sizeof(j->code));
    }
    if (rr_slice_eq_str(key, "state")) {
        j->query.state = j->state;
        return rr_slice_copy(value, j->state, sizeof(j->state));
    }
    if (!rr_slice_eq_str(key, "before") || !rr_slice_copy(value, number, sizeof(number)))
        return false;
    j->query.before_id = strtoll(number, &end, 10);
    return number[0] && !*end && j->query.before_id > 0;
}

/* lws puts a sign of its own between the arguments. */
static bool take_query(struct risk_job *j, const char *query)
{
    while (*query) {
        size_t len = strcspn(query, "&;,");
        size_t key = strcspn(query, "=&;,");

        if (key >= len ||
            !take_pair(j, rr_slice_of(query, key), rr_slice_of(query + key + 1, len - key - 1)))
            return false;
        query += len + (query[len] != 0);
    }
    return true;
}

static bool take_u32(json_t *o, const char *key, uint32_t *out)
{
    json_t *v = json_object_get(o, key);

    *out = (uint32_t)json_integer_value(v);
    return json_is_integer(v) && json_integer_value(v) >= 0 && json_integer_value(v) <= INT32_MAX;
}

/* NULL, or the field that is wrong. */
static const char *take_body(struct risk_job *j, const struct rr_buf *body)
{
    json_t *o = json_loadb(body->p ? body->p : "", body->len, JSON_REJECT_DUPLICATES, NULL);
    const char *code = json_string_value(json_object_get(o, "code"));
    const char *to = json_string_value(json_object_get(o, "to"));
    const char *field = NULL;

    if (!json_is_object(o))
        field = "body";
    else if (!code || !rain_code_valid(rr_slice_str(code)) ||
             !rr_slice_copy(rr_slice_str(code), j->packet.code, sizeof(j->packet.code)))
        field = "code";
    else if (!take_u32(o, "shard", &j->packet.shard))
        field = "shard";
    else if (!take_u32(o, "no", &j->packet.packet_no))
        field = "no";
    else if (j->ask == ASK_TAKE_BACK && (!to || !risk_account_valid(to)))
        field = "to";
    else if (j->ask == ASK_TAKE_BACK)
        (void)rr_slice_copy(rr_slice_str(to), j->account, sizeof(j->account));
    json_decref(o);
    return field;
}

static void submit(struct risk_job *j)
{
    enum rr_err err = RR_OK;

    j->base.run = job_run;
    j->base.done = job_done;
    err = db_pool_submit(j->admin->db, DB_LANE_ANCHOR, &j->base);
    if (err) {
        answer_error(j->admin, j->request_id, err, NULL);
        job_free(j);
    }
}

void risk_api_route(struct admin *a, const struct admin_request *rq, struct rr_slice action)
{
    bool release = rr_slice_eq_str(action, "release");
    struct risk_job *j = NULL;
    const char *field = NULL;

    if (rq->post ? !release && !rr_slice_eq_str(action, "take-back") : action.len > 0) {
        answer_error(a, rq->id, RR_NOT_FOUND, NULL);
        return;
    }
    j = rr_xcalloc(1, sizeof(*j));
    j->admin = a;
    j->request_id = rq->id;
    j->ask = !rq->post ? ASK_LIST : release ? ASK_RELEASE : ASK_TAKE_BACK;
    if (rq->post)
        field = take_body(j, &rq->body);
    else if (!take_query(j, rq->query))
        field = "query";
    if (field) {
        answer_error(a, rq->id, RR_BAD_REQUEST, field);
        job_free(j);
        return;
    }
    if (!rq->post)
        j->items = rr_xcalloc(LIST_MAX, sizeof(*j->items));
    submit(j);
}
