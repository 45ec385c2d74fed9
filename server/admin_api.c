/* admin_api.c - the routes of the private listener. Rain and wallet commands become the same jobs
 * an anchor's frames become. */
#include "admin_http.h"

#include "admin_json.h"
#include "ban_api.h"
#include "base/alloc.h"
#include "base/log.h"
#include "fu_api.h"
#include "protocol/unpack.h"
#include "rain_job.h"
#include "risk_api.h"
#include "workers_api.h"

#include <errno.h>
#include <libwebsockets.h>
#include <stdlib.h>
#include <string.h>

#define TYPE_JSON "application/json"
#define TYPE_TEXT "text/plain; version=0.0.4; charset=utf-8"

enum { REFUSED_LOG_US = 10000000 };

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
        answer_error(a, j->session_id, j->err, j->field, rain_job_reason(j->err));
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

/* The day and the money of a marketing packet are the platform's, not the caller's. */
static struct rain_job *create_job(struct admin *a)
{
    struct rain_job *j = job_new(a, RAIN_JOB_CREATE);
    int64_t minutes = rr_wall_ms(rr_clock_system()) / 60000 + a->conf->risk_utc_offset_min;

    j->spec.budget_fen = a->conf->marketing_budget_fen;
    j->spec.day = minutes / (24 * 60);
    return j;
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

static const char query_ends[] = "&;,";

/* A number of a query string; *out keeps its value when there is none. */
static bool query_number(const char *query, const char *name, int64_t min, int64_t max,
                         int64_t *out)
{
    size_t len = strlen(name);
    const char *at = query;
    char *end = NULL;
    long long v = 0;

    while (at && !(strncmp(at, name, len) == 0 && at[len] == '=')) {
        at = strpbrk(at, query_ends);
        at = at ? at + 1 : NULL;
    }
    if (!at)
        return true;
    at += len + 1;
    if (*at < '0' || *at > '9')
        return false;
    errno = 0;
    v = strtoll(at, &end, 10);
    if (errno || (*end && !strchr(query_ends, *end)) || v < min || v > max)
        return false;
    *out = v;
    return true;
}

static void route_rain_grants(struct admin *a, const struct admin_request *rq, struct rr_slice code)
{
    struct rain_job *j = job_new(a, RAIN_JOB_RAIN_GRANTS);
    const char *bad = NULL;
    int64_t shard = 0;
    int64_t limit = 100;

    j->after.packet_no = -1;
    if (!query_number(rq->query, "limit", 1, RAIN_JOB_PAGE_MAX, &limit))
        bad = "limit";
    if (!query_number(rq->query, "after_shard", 0, RR_SHARDS_MAX, &shard))
        bad = "after_shard";
    if (!query_number(rq->query, "after_no", 0, RR_PACKETS_MAX, &j->after.packet_no))
        bad = "after_no";
    if (bad) {
        rain_job_free(j);
        answer_error(a, rq->id, RR_BAD_REQUEST, bad, NULL);
        return;
    }
    j->after.shard = (uint32_t)shard;
    j->limit = (uint32_t)limit;
    (void)rr_slice_copy(code, j->code, sizeof(j->code));
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
            run_with_body(a, rq, create_job(a));
        else
            route_rain_list(a, rq);
        return;
    }
    if (rq->post && rr_slice_eq_str(code, "stats") && action.len == 0) {
        run_with_body(a, rq, job_new(a, RAIN_JOB_STATS));
        return;
    }
    if (rain_code_valid(code) && !rq->post && rr_slice_eq_str(action, "grants")) {
        route_rain_grants(a, rq, code);
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

/* The stored answer goes out as it is: a repeat gets the same bytes. */
static void wallet_op_answer(struct rain_job *j)
{
    struct admin *a = j->owner;
    struct rr_buf b = {0};

    if (j->err != RR_OK && j->err != RR_DUPLICATE) {
        answer_error(a, j->session_id, j->err, j->wallet_done.field, j->wallet_done.reason);
        return;
    }
    rr_buf_puts(&b, j->wallet_done.answer);
    if (j->err == RR_DUPLICATE)
        admin_http_replayed(a->http, j->session_id);
    admin_http_answer(a->http, j->session_id, 200, TYPE_JSON, &b);
    rr_buf_fini(&b);
}

static void route_wallet_op(struct admin *a, const struct admin_request *rq, struct rr_slice name)
{
    enum wallet_op op = rq->post ? wallet_op_parse(name) : WALLET_NONE;
    struct rain_job *j = NULL;

    if (op == WALLET_NONE) {
        answer_error(a, rq->id, RR_NOT_FOUND, NULL, NULL);
        return;
    }
    if (!wallet_key_valid(rr_slice_str(rq->key))) {
        answer_error(a, rq->id, RR_BAD_REQUEST, "Idempotency-Key",
                     rq->key[0] ? "1 to 64 printable characters, no space, quote or backslash"
                                : "the header is missing");
        return;
    }
    j = rain_job_alloc(RAIN_JOB_WALLET_OP, wallet_op_answer, a);
    j->wallet_op.op = op;
    memcpy(j->wallet_op.biz_id, rq->key, strlen(rq->key) + 1);
    run_with_body(a, rq, j);
}

/* lws puts a sign of its own between the arguments of a query string. */

static void route_wallet_log(struct admin *a, const struct admin_request *rq, int64_t user_id)
{
    struct rain_job *j = job_new(a, RAIN_JOB_WALLET_LOG);
    int64_t limit = 50;
    const char *bad = NULL;

    j->user_id = user_id;
    if (!query_number(rq->query, "limit", 1, RAIN_JOB_WALLET_LOG_MAX, &limit))
        bad = "limit";
    if (!query_number(rq->query, "before", 1, INT64_MAX, &j->before_ms))
        bad = "before";
    if (bad) {
        rain_job_free(j);
        answer_error(a, rq->id, RR_BAD_REQUEST, bad, NULL);
        return;
    }
    j->wallet_log_n = (uint32_t)limit;
    submit(a, rq, j);
}

static void route_wallets(struct admin *a, const struct admin_request *rq, struct rr_slice user,
                          struct rr_slice action)
{
    struct rain_job *j = NULL;
    int64_t user_id = 0;

    if (unpack_user_id(user, &user_id) == RR_OK) {
        if (!rq->post && rr_slice_eq_str(action, "log")) {
            route_wallet_log(a, rq, user_id);
            return;
        }
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

/* Who guesses is counted; he does not fill the disk. */
static void note_refused(struct admin *a)
{
    uint64_t suppressed = 0;

    rr_metric_add(&a->metrics->api_refused_total, 1);
    if (rr_ratelog_pass(&a->refused_log, rr_mono_us(rr_clock_system()), REFUSED_LOG_US,
                        &suppressed))
        log_notice("api_unauthorized", "a request without the right token was refused (%llu more)",
                   (unsigned long long)suppressed);
}

static void route_api(struct admin *a, const struct admin_request *rq, const char *rest)
{
    struct rr_slice kind = segment(&rest);
    struct rr_slice id = segment(&rest);
    struct rr_slice action = segment(&rest);

    if (!authorized(a, rq)) {
        note_refused(a);
        answer_error(a, rq->id, RR_UNAUTHORIZED, NULL, NULL);
        return;
    }
    if (rr_slice_eq_str(kind, "rooms"))
        route_rooms(a, rq, id, action);
    else if (rr_slice_eq_str(kind, "rains"))
        route_rains(a, rq, id, action);
    else if (rr_slice_eq_str(kind, "wallets"))
        route_wallets(a, rq, id, action);
    else if (rr_slice_eq_str(kind, "wallet") && action.len == 0)
        route_wallet_op(a, rq, id);
    else if (rr_slice_eq_str(kind, "risk"))
        risk_api_route(a, rq, id);
    else if (rr_slice_eq_str(kind, "fu"))
        fu_api_route(a, rq, id, action);
    else if (rr_slice_eq_str(kind, "workers"))
        workers_api_route(a, rq, id, action);
    else if (rr_slice_eq_str(kind, "bans") && action.len == 0)
        ban_api_route(a, rq, id);
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
