#include "ban_api.h"

#include "admin_json.h"
#include "ban_watch.h"
#include "base/alloc.h"
#include "base/log.h"
#include "protocol/unpack.h"
#include "risk/address.h"
#include "risk_guard.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_MAX = 1000 };
#define SECS_MAX INT64_C(3155760000) /* a hundred years */

enum ban_ask { ASK_LIST, ASK_ADD, ASK_REMOVE };

struct ban_job {
    struct db_job base; /* first */
    struct admin *admin;
    uint64_t request_id;
    enum ban_ask ask;
    struct ban_row ban; /* in; of ASK_REMOVE made_by is who lifts it */
    json_t *list;       /* out of ASK_LIST; owned */
    enum rr_err err;
    bool told; /* the workers, through Redis */
};

static json_t *ban_json(const struct ban_row *b)
{
    char subject[BAN_SUBJECT_MAX + 1];
    json_t *o = NULL;

    ban_subject_print(b->scope, b->who, subject);
    o = json_pack("{s:I, s:s, s:s, s:s, s:s, s:I}", "id", (json_int_t)b->id, "scope",
                  ban_scope_name(b->scope), b->scope == BAN_USER ? "user" : "hash", subject,
                  "reason", b->reason, "by", b->made_by, "at", (json_int_t)b->created_at_ms);
    json_object_set_new(o, "until",
                        b->until_ms == INT64_MAX ? json_null() : json_integer(b->until_ms));
    return o;
}

/* ---- on a database thread ---- */

/* [thread] */
static void take_row(void *arg, const struct ban_row *b)
{
    json_array_append_new(arg, ban_json(b));
}

/* [thread] What was decided, by whom and until when; the row says why. */
static void note(const struct ban_job *j)
{
    char subject[BAN_SUBJECT_MAX + 1];

    ban_subject_print(j->ban.scope, j->ban.who, subject);
    if (j->ask == ASK_REMOVE)
        log_notice("ban_lifted", "%s=%s by=%s", ban_scope_name(j->ban.scope), subject,
                   j->ban.made_by);
    else if (j->ban.until_ms == INT64_MAX)
        log_notice("ban_made", "%s=%s by=%s for good", ban_scope_name(j->ban.scope), subject,
                   j->ban.made_by);
    else
        log_notice("ban_made", "%s=%s by=%s until=%" PRId64, ban_scope_name(j->ban.scope), subject,
                   j->ban.made_by, j->ban.until_ms);
}

/* [thread] */
static void job_run(struct db_job *base, struct db_ctx *ctx)
{
    struct ban_job *j = (struct ban_job *)base;
    struct rr_buf b = {0};

    if (j->ask == ASK_LIST)
        j->err = ledger_ban_each(ctx->ledger, LIST_MAX, take_row, j->list);
    else if (j->ask == ASK_ADD)
        j->err = ledger_ban_add(ctx->ledger, &j->ban);
    else
        j->err = ledger_ban_lift(ctx->ledger, j->ban.scope, j->ban.who, j->ban.made_by);
    if (j->err == RR_RETRY)
        j->err = RR_UNAVAILABLE;
    if (j->err || j->ask == ASK_LIST)
        return;
    note(j);
    ban_control_pack(&b, j->ban.scope, j->ban.who, j->ask == ASK_ADD ? j->ban.until_ms : 0);
    j->told = store_sync_control_publish(ctx->store, rr_slice_of(b.p, b.len)) == RR_OK;
    rr_buf_fini(&b);
}

/* ---- answers ---- */

static void answer_error(struct admin *a, uint64_t request_id, enum rr_err err, const char *field,
                         const char *reason)
{
    struct rr_buf b = {0};

    admin_json_error(err, field, reason, &b);
    admin_http_answer(a->http, request_id, admin_json_status(err), "application/json", &b);
    rr_buf_fini(&b);
}

static void job_free(struct ban_job *j)
{
    json_decref(j->list);
    free(j);
}

static json_t *result_json(struct ban_job *j)
{
    json_t *o = NULL;

    if (j->ask == ASK_LIST)
        o = json_pack("{s:O}", "bans", j->list);
    else if (j->ask == ASK_ADD)
        o = ban_json(&j->ban);
    else
        o = json_object();
    if (j->ask == ASK_ADD)
        json_object_del(o, "id"); /* of no use to anybody */
    if (j->ask != ASK_LIST)
        json_object_set_new(o, "told", json_boolean(j->told));
    json_object_set_new(o, "result", json_integer(RESULT_OK));
    json_object_set_new(o, "name", json_string(result_name(RESULT_OK)));
    return o;
}

/* [loop] */
static void job_done(struct db_job *base)
{
    struct ban_job *j = (struct ban_job *)base;
    struct rr_buf b = {0};
    json_t *o = NULL;
    char *text = NULL;

    if (j->err) {
        answer_error(j->admin, j->request_id, j->err, NULL,
                     j->err == RR_NOT_FOUND ? "no such ban holds" : NULL);
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

/* NULL, or what is wrong with it. Without a key of one's own the hashes change with every start. */
static const char *take_address(struct ban_job *j, const char *address)
{
    const char *hex = getenv(CHILD_RISK_KEY_ENV);
    struct risk_key key;

    if (!j->admin->conf->risk_address_key_file[0])
        return "bans by address need risk.address_key_file";
    if (!hex || risk_key_parse(&key, hex) != RR_OK)
        return "no key";
    j->ban.scope = BAN_ADDRESS;
    j->ban.who = risk_address_hash(&key, address);
    return j->ban.who ? NULL : "no address, or one of a private network";
}

/* Exactly one of user, address, hash. */
static const char *take_subject(struct ban_job *j, json_t *o, const char **reason)
{
    const char *user = json_string_value(json_object_get(o, "user"));
    const char *address = json_string_value(json_object_get(o, "address"));
    const char *hash = json_string_value(json_object_get(o, "hash"));

    if ((user != NULL) + (address != NULL) + (hash != NULL) != 1) {
        *reason = "one of user, address, hash";
        return "user";
    }
    if (address) {
        *reason = take_address(j, address);
        return *reason ? "address" : NULL;
    }
    j->ban.scope = user ? BAN_USER : BAN_ADDRESS;
    if (ban_subject_parse(j->ban.scope, rr_slice_str(user ? user : hash), &j->ban.who) == RR_OK)
        return NULL;
    return user ? "user" : "hash";
}

static bool take_text(json_t *o, const char *key, const char *none, char *out, size_t cap)
{
    json_t *v = json_object_get(o, key);
    const char *text = v ? json_string_value(v) : none;

    return text && text[0] && rr_slice_copy(rr_slice_str(text), out, cap);
}

/* NULL, or the field that is wrong. */
static const char *take_fields(struct ban_job *j, json_t *o, const char **reason)
{
    json_t *secs = json_object_get(o, "secs");
    const char *field = take_subject(j, o, reason);

    if (field)
        return field;
    if (!take_text(o, "by", "api", j->ban.made_by, sizeof(j->ban.made_by)))
        return "by";
    if (j->ask == ASK_REMOVE)
        return NULL;
    if (!take_text(o, "reason", NULL, j->ban.reason, sizeof(j->ban.reason)))
        return "reason";
    if (secs && (!json_is_integer(secs) || json_integer_value(secs) < 1 ||
                 json_integer_value(secs) > SECS_MAX))
        return "secs";
    j->ban.until_ms =
        secs ? rr_wall_ms(rr_clock_system()) + json_integer_value(secs) * 1000 : INT64_MAX;
    return NULL;
}

static const char *take_body(struct ban_job *j, const struct rr_buf *body, const char **reason)
{
    json_t *o = json_loadb(body->p ? body->p : "", body->len, JSON_REJECT_DUPLICATES, NULL);
    const char *field = json_is_object(o) ? take_fields(j, o, reason) : "body";

    json_decref(o);
    return field;
}

void ban_api_route(struct admin *a, const struct admin_request *rq, struct rr_slice action)
{
    bool add = rr_slice_eq_str(action, "add");
    struct ban_job *j = NULL;
    const char *field = NULL;
    const char *reason = NULL;
    enum rr_err err = RR_OK;

    if (rq->post ? !add && !rr_slice_eq_str(action, "remove") : action.len > 0) {
        answer_error(a, rq->id, RR_NOT_FOUND, NULL, NULL);
        return;
    }
    j = rr_xcalloc(1, sizeof(*j));
    j->base.run = job_run;
    j->base.done = job_done;
    j->admin = a;
    j->request_id = rq->id;
    j->ask = !rq->post ? ASK_LIST : add ? ASK_ADD : ASK_REMOVE;
    if (!rq->post)
        j->list = json_array();
    else
        field = take_body(j, &rq->body, &reason);
    err = field ? RR_BAD_REQUEST : db_pool_submit(a->db, DB_LANE_ANCHOR, &j->base);
    if (err) {
        answer_error(a, rq->id, err, field, reason);
        job_free(j);
    }
}
