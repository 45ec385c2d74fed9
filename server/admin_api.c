/* admin_api.c - the routes of the private listener. Rain and wallet commands become the same jobs
 * an anchor's frames become. */
#include "admin_http.h"

#include "admin_json.h"
#include "base/alloc.h"
#include "base/log.h"
#include "protocol/unpack.h"
#include "rain_job.h"

#include <libwebsockets.h>
#include <stdlib.h>
#include <string.h>

#define TYPE_JSON "application/json"
#define TYPE_TEXT "text/plain; version=0.0.4; charset=utf-8"

static void answer_text(struct admin *a, const struct admin_request *rq, unsigned status,
                        const char *text)
{
    struct rr_buf b = {0};

    rr_buf_puts(&b, text);
    admin_http_answer(a->http, rq->id, status, TYPE_TEXT, &b);
    rr_buf_fini(&b);
}

static void answer_error(struct admin *a, uint64_t request_id, enum rr_err err, const char *field,
                         const char *reason)
{
    struct rr_buf b = {0};

    admin_json_error(err, field, reason, &b);
    admin_http_answer(a->http, request_id, admin_json_status(err), TYPE_JSON, &b);
    rr_buf_fini(&b);
}

/* ---- probes and metrics ---- */

static void route_livez(struct admin *a, const struct admin_request *rq)
{
    answer_text(a, rq, 200, "ok\n");
}

static void route_readyz(struct admin *a, const struct admin_request *rq)
{
    struct rr_buf detail = {0};
    bool ready = admin_ready(a, &detail);
    bool verbose = strncmp(rq->query, "verbose", 7) == 0;

    if (verbose) {
        rr_buf_printf(&detail, "readyz check %s\n", ready ? "passed" : "failed");
        admin_http_answer(a->http, rq->id, ready ? 200 : 503, TYPE_TEXT, &detail);
    } else {
        answer_text(a, rq, ready ? 200 : 503, ready ? "ok\n" : "not ready\n");
    }
    rr_buf_fini(&detail);
}

static void metrics_answer(struct rain_job *j)
{
    struct admin *a = j->owner;
    struct rr_buf b = {0};

    rr_metrics_prometheus(a->mapping->slots, a->mapping->n, &b);
    if (j->payload)
        rr_buf_append(&b, j->payload, j->payload_len);
    admin_http_answer(a->http, j->session_id, 200, TYPE_TEXT, &b);
    rr_buf_fini(&b);
}

static void submit(struct admin *a, const struct admin_request *rq, struct rain_job *j)
{
    enum rr_err err = RR_OK;

    j->session_id = rq->id;
    j->any_room = true;
    err = rain_job_submit_to(a->db, j, DB_LANE_ANCHOR);
    if (err)
        answer_error(a, rq->id, err, NULL, NULL);
}

/* The settlers' own numbers come from Redis, so they are read on a thread. */
static void route_metrics(struct admin *a, const struct admin_request *rq)
{
    submit(a, rq, rain_job_alloc(RAIN_JOB_SETTLER_METRICS, metrics_answer, a));
}

/* ---- jobs ---- */

static void job_answer(struct rain_job *j)
{
    struct admin *a = j->owner;
    struct rr_buf b = {0};

    if (j->err != RR_OK && j->err != RR_DUPLICATE && j->err != RR_PENDING) {
        answer_error(a, j->session_id, j->err, j->field,
                     j->err == RR_NO_MONEY ? "the wallet does not hold that much" : NULL);
        return;
    }
    admin_json_result(j, &b);
    admin_http_answer(a->http, j->session_id, j->err == RR_PENDING ? 202 : 200, TYPE_JSON, &b);
    rr_buf_fini(&b);
}

static struct rain_job *job_new(struct admin *a, enum rain_job_kind kind)
{
    return rain_job_alloc(kind, job_answer, a);
}

/* Fills a job from the body and runs it, or answers what is wrong with it. */
static void run_with_body(struct admin *a, const struct admin_request *rq, struct rain_job *j)
{
    const char *field = NULL;

    if (admin_json_fill(rr_slice_of(rq->body.p, rq->body.len), j, &field) != RR_OK) {
        rain_job_free(j);
        answer_error(a, rq->id, RR_BAD_REQUEST, field, NULL);
        return;
    }
    submit(a, rq, j);
}

static void route_rooms(struct admin *a, const struct admin_request *rq, struct rr_slice id,
                        struct rr_slice action)
{
    struct rain_job *j = NULL;

    if (!rq->post || !rr_slice_eq_str(action, "push") || !rain_room_id_valid(id)) {
        answer_error(a, rq->id, RR_NOT_FOUND, NULL, NULL);
        return;
    }
    j = job_new(a, RAIN_JOB_PUSH);
    (void)rr_slice_copy(id, j->room_id, sizeof(j->room_id));
    run_with_body(a, rq, j);
}

static void route_rain_list(struct admin *a, const struct admin_request *rq)
{
    struct rain_job *j = job_new(a, RAIN_JOB_LIST);
    const char *room = strncmp(rq->query, "room=", 5) == 0 ? rq->query + 5 : NULL;

    if (room && !rain_room_id_valid(rr_slice_str(room))) {
        rain_job_free(j);
        answer_error(a, rq->id, RR_BAD_REQUEST, "room", NULL);
        return;
    }
    if (room)
        snprintf(j->room_id, sizeof(j->room_id), "%.*s", RR_ROOM_ID_MAX, room);
    submit(a, rq, j);
}

static void route_rains(struct admin *a, const struct admin_request *rq, struct rr_slice code,
                        struct rr_slice action)
{
    static const struct {
        const char *action;
        enum rain_job_kind kind;
    } actions[] = {
        {"prepare", RAIN_JOB_PREPARE}, {"start", RAIN_JOB_START},   {"extend", RAIN_JOB_EXTEND},
        {"close", RAIN_JOB_CLOSE},     {"cancel", RAIN_JOB_CANCEL},
    };
    struct rain_job *j = NULL;

    if (code.len == 0 && action.len == 0) {
        if (rq->post)
            run_with_body(a, rq, job_new(a, RAIN_JOB_CREATE));
        else
            route_rain_list(a, rq);
        return;
    }
    if (rain_code_valid(code) && !rq->post && action.len == 0)
        j = job_new(a, RAIN_JOB_SHOW);
    for (size_t i = 0; i < RR_COUNTOF(actions) && rain_code_valid(code) && rq->post; i++) {
        if (rr_slice_eq_str(action, actions[i].action))
            j = job_new(a, actions[i].kind);
    }
    if (!j) {
        answer_error(a, rq->id, RR_NOT_FOUND, NULL, NULL);
        return;
    }
    (void)rr_slice_copy(code, j->code, sizeof(j->code));
    run_with_body(a, rq, j);
}

static void route_wallets(struct admin *a, const struct admin_request *rq, struct rr_slice user,
                          struct rr_slice action)
{
    struct rain_job *j = NULL;
    int64_t user_id = 0;

    if (unpack_user_id(user, &user_id) == RR_OK) {
        if (rq->post && rr_slice_eq_str(action, "deposit"))
            j = job_new(a, RAIN_JOB_DEPOSIT);
        else if (!rq->post && action.len == 0)
            j = job_new(a, RAIN_JOB_WALLET);
    }
    if (!j) {
        answer_error(a, rq->id, RR_NOT_FOUND, NULL, NULL);
        return;
    }
    j->user_id = user_id;
    run_with_body(a, rq, j);
}

/* ---- routing ---- */

/* Next path segment after *at; empty when there is none. */
static struct rr_slice segment(const char **at)
{
    struct rr_slice s = {0};

    while (**at == '/')
        ++*at;
    s.p = *at;
    while (**at && **at != '/')
        ++*at;
    s.len = (size_t)(*at - s.p);
    return s;
}

static bool authorized(const struct admin *a, const struct admin_request *rq)
{
    char given[sizeof(rq->bearer)] = {0};
    char wanted[sizeof(rq->bearer)] = {0};

    if (!a->api_token)
        return false;
    snprintf(given, sizeof(given), "%s", rq->bearer);
    snprintf(wanted, sizeof(wanted), "%s", a->api_token);
    return lws_timingsafe_bcmp(given, wanted, sizeof(given)) == 0;
}

static void route_api(struct admin *a, const struct admin_request *rq, const char *rest)
{
    struct rr_slice kind = segment(&rest);
    struct rr_slice id = segment(&rest);
    struct rr_slice action = segment(&rest);

    if (!authorized(a, rq)) {
        log_notice("api_unauthorized", "a request without the right token was refused");
        answer_error(a, rq->id, RR_UNAUTHORIZED, NULL, NULL);
        return;
    }
    if (rr_slice_eq_str(kind, "rooms"))
        route_rooms(a, rq, id, action);
    else if (rr_slice_eq_str(kind, "rains"))
        route_rains(a, rq, id, action);
    else if (rr_slice_eq_str(kind, "wallets"))
        route_wallets(a, rq, id, action);
    else
        answer_error(a, rq->id, RR_NOT_FOUND, NULL, NULL);
}

void admin_route(struct admin *a, const struct admin_request *rq)
{
    static const char api[] = "/api/v1/";

    if (!rq->post && (strcmp(rq->path, "/livez") == 0 || strcmp(rq->path, "/healthz") == 0))
        route_livez(a, rq);
    else if (!rq->post && strcmp(rq->path, "/readyz") == 0)
        route_readyz(a, rq);
    else if (!rq->post && strcmp(rq->path, "/metrics") == 0)
        route_metrics(a, rq);
    else if (strncmp(rq->path, api, sizeof(api) - 1) == 0)
        route_api(a, rq, rq->path + sizeof(api) - 1);
    else
        answer_text(a, rq, 404, "not found\n");
}
