#include "admin_json.h"

#include "protocol/msg.h"
#include "protocol/pack.h"
#include "protocol/unpack.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* ---- bodies ---- */

static enum rr_err take_str(json_t *o, const char *key, bool needed, char *dst, size_t cap,
                            const char **field)
{
    json_t *v = json_object_get(o, key);

    if (!v && !needed)
        return RR_OK;
    if (json_is_string(v) &&
        rr_slice_copy(rr_slice_of(json_string_value(v), json_string_length(v)), dst, cap))
        return RR_OK;
    *field = key;
    return RR_BAD_REQUEST;
}

static enum rr_err take_int(json_t *o, const char *key, bool needed, int64_t min, int64_t max,
                            int64_t *out, const char **field)
{
    json_t *v = json_object_get(o, key);

    if (!v && !needed)
        return RR_OK;
    if (json_is_integer(v) && json_integer_value(v) >= min && json_integer_value(v) <= max) {
        *out = json_integer_value(v);
        return RR_OK;
    }
    *field = key;
    return RR_BAD_REQUEST;
}

static enum rr_err take_u32(json_t *o, const char *key, bool needed, uint32_t *out,
                            const char **field)
{
    int64_t v = 0;
    enum rr_err err = take_int(o, key, needed, 1, UINT32_MAX, &v, field);

    *out = (uint32_t)v;
    return err;
}

/* User ids as on the wire: decimal strings; plain integers are taken too. */
static enum rr_err take_user(json_t *o, const char *key, int64_t *out, const char **field)
{
    json_t *v = json_object_get(o, key);

    if (json_is_string(v) &&
        unpack_user_id(rr_slice_of(json_string_value(v), json_string_length(v)), out) == RR_OK)
        return RR_OK;
    return take_int(o, key, true, 1, INT64_MAX, out, field);
}

/* A list of user ids, or the text of a frame: ids joined by commas. */
static enum rr_err take_users(json_t *o, struct rain_job *j, const char **field)
{
    json_t *v = json_object_get(o, "users");
    struct rr_buf text = {0};
    json_t *item = NULL;
    size_t i = 0;
    enum rr_err err = RR_OK;

    if (!v)
        return RR_OK;
    if (json_is_string(v))
        rr_buf_append(&text, json_string_value(v), json_string_length(v));
    else if (!json_is_array(v))
        err = RR_BAD_REQUEST;
    json_array_foreach(v, i, item)
    {
        if (json_is_string(item))
            rr_buf_printf(&text, "%s%s", i ? "," : "", json_string_value(item));
        else if (json_is_integer(item))
            rr_buf_printf(&text, "%s%" JSON_INTEGER_FORMAT, i ? "," : "", json_integer_value(item));
        else
            err = RR_BAD_REQUEST;
    }
    if (!err)
        err = rain_users_parse(rr_slice_of(text.p, text.len), &j->users, &j->spec.users_n);
    rr_buf_fini(&text);
    j->spec.users = j->users;
    if (err)
        *field = "users";
    return err ? RR_BAD_REQUEST : RR_OK;
}

/* Everything beside a rain's own numbers. */
static enum rr_err fill_rules(json_t *o, struct rain_job *j, const char **field)
{
    struct rain_spec *s = &j->spec;
    json_t *random = json_object_get(o, "random");
    char kind[17] = "rain";
    enum rr_err err = take_str(o, "kind", false, kind, sizeof(kind), field);

    s->kind = rain_kind_parse(rr_slice_str(kind));
    if (!err && !s->kind) {
        *field = "kind";
        err = RR_BAD_REQUEST;
    }
    err = err ? err : take_int(o, "start_at", false, 1, INT64_MAX, &s->start_at_ms, field);
    err = err ? err : take_int(o, "expire_at", false, 1, INT64_MAX, &s->expire_at_ms, field);
    err = err ? err : take_u32(o, "level", false, &s->min_level, field);
    err = err ? err : take_u32(o, "new_days", false, &s->new_user_days, field);
    if (!err && json_object_get(o, "anchor"))
        err = take_user(o, "anchor", &s->anchor_id, field);
    else if (!err && s->kind == KIND_RAIN)
        s->anchor_id = s->sender_id;
    if (!err && random && !json_is_boolean(random)) {
        *field = "random";
        err = RR_BAD_REQUEST;
    }
    s->random = json_is_true(random);
    s->by = KIND_BY_BACKEND;
    return err ? err : take_users(o, j, field);
}

static enum rr_err fill_create(json_t *o, struct rain_job *j, const char **field)
{
    struct rain_spec *s = &j->spec;
    char split[32] = "";
    enum rr_err err = take_str(o, "room", true, s->room_id, sizeof(s->room_id), field);

    err = err ? err : take_user(o, "sender", &s->sender_id, field);
    err = err ? err : take_str(o, "biz_id", true, s->biz_id, sizeof(s->biz_id), field);
    err = err ? err : take_str(o, "text", false, s->text, sizeof(s->text), field);
    err = err ? err : take_str(o, "split", false, split, sizeof(split), field);
    err = err ? err : fill_rules(o, j, field);
    err = err ? err : take_int(o, "total", !s->random, INT64_MIN, INT64_MAX, &s->total_fen, field);
    err = err ? err : take_u32(o, "count", s->kind != KIND_PERSONAL, &s->count, field);
    err = err ? err : take_u32(o, "limit", false, &s->limit, field);
    err = err ? err : take_u32(o, "shards", false, &s->shards, field);
    err = err ? err : take_int(o, "lo", false, 1, RR_FEN_MAX, &s->lo_fen, field);
    err = err ? err : take_int(o, "hi", false, 1, RR_FEN_MAX, &s->hi_fen, field);
    err = err ? err
              : take_int(o, "duration_ms", false, RR_DURATION_MIN_MS, RR_DURATION_MAX_MS,
                         &s->duration_ms, field);
    if (!err && split[0]) {
        s->split = rain_split_parse(rr_slice_str(split));
        if (!s->split) {
            *field = "split";
            return RR_BAD_REQUEST;
        }
    }
    return err;
}

/* Any JSON value as msgpack: what PushToRoom carries. */
static bool pack_json(json_t *v, uint32_t depth, struct rr_buf *b)
{
    const char *key = NULL;
    json_t *item = NULL;
    size_t i = 0;

    if (depth == 0)
        return false;
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        pack_map(b, (uint32_t)json_object_size(v));
        json_object_foreach(v, key, item)
        {
            pack_cstr(b, key);
            if (!pack_json(item, depth - 1, b))
                return false;
        }
        return true;
    case JSON_ARRAY:
        pack_array(b, (uint32_t)json_array_size(v));
        json_array_foreach(v, i, item)
        {
            if (!pack_json(item, depth - 1, b))
                return false;
        }
        return true;
    case JSON_STRING:
        pack_str(b, rr_slice_of(json_string_value(v), json_string_length(v)));
        return true;
    case JSON_INTEGER: pack_int(b, json_integer_value(v)); return true;
    case JSON_REAL: pack_double(b, json_real_value(v)); return true;
    case JSON_TRUE:
    case JSON_FALSE: pack_bool(b, json_is_true(v)); return true;
    default: pack_nil(b); return true;
    }
}

static enum rr_err fill_push(json_t *o, struct rain_job *j, const char **field)
{
    static const char reserved[] = "RED_PACKET_";
    json_t *payload = json_object_get(o, "payload");
    struct rr_buf b = {.cap = RR_PAYLOAD_MAX_BYTES};
    enum rr_err err = take_str(o, "biz_code", true, j->biz_code, sizeof(j->biz_code), field);

    if (err)
        return err;
    /* Those of rains and campaigns come from their steps only: a forged one would mislead every worker. */
    if (!rain_biz_code_valid(rr_slice_str(j->biz_code)) ||
        strncmp(j->biz_code, reserved, sizeof(reserved) - 1) == 0 ||
        strcmp(j->biz_code, "FU_CAMPAIGN") == 0) {
        *field = "biz_code";
        return RR_BAD_REQUEST;
    }
    if (!payload || !pack_json(payload, RR_DEPTH_MAX - 3, &b) || b.failed) {
        rr_buf_fini(&b);
        *field = "payload";
        return RR_BAD_REQUEST;
    }
    j->payload = b.p;
    j->payload_len = b.len;
    return RR_OK;
}

static enum rr_err fill_start(json_t *o, struct rain_job *j, const char **field)
{
    enum rr_err err = RR_OK;

    j->countdown_ms = 5000;
    err = take_int(o, "countdown_ms", false, 0, RR_COUNTDOWN_MAX_MS, &j->countdown_ms, field);
    return err ? err
               : take_int(o, "duration_ms", false, RR_DURATION_MIN_MS, RR_DURATION_MAX_MS,
                          &j->duration_ms, field);
}

static enum rr_err fill_wallet_op(json_t *o, struct rain_job *j, const char **field)
{
    struct wallet_request *r = &j->wallet_op;
    enum rr_err err = take_user(o, "user", &r->user_id, field);

    if (!err && wallet_op_has_to(r->op))
        err = take_user(o, "to", &r->to_user_id, field);
    if (!err && wallet_op_has_of(r->op))
        err = take_str(o, "of", true, r->of, sizeof(r->of), field);
    return err ? err : take_int(o, "amount", true, 1, RR_FEN_MAX, &r->amount_fen, field);
}

static enum rr_err fill_codes(json_t *o, struct rain_job *j, const char **field)
{
    json_t *list = json_object_get(o, "codes");
    json_t *v = NULL;
    size_t i = 0;

    *field = "codes";
    if (!json_is_array(list) || json_array_size(list) == 0 ||
        json_array_size(list) > RAIN_JOB_PAGE_MAX)
        return RR_BAD_REQUEST;
    json_array_foreach(list, i, v)
    {
        struct rr_slice code =
            rr_slice_of(json_is_string(v) ? json_string_value(v) : "", json_string_length(v));

        if (!rain_code_valid(code) ||
            !rr_slice_copy(code, j->codes[j->codes_n++], sizeof(j->codes[0])))
            return RR_BAD_REQUEST;
    }
    return RR_OK;
}

static enum rr_err fill(json_t *o, struct rain_job *j, const char **field)
{
    enum rr_err err = RR_OK;

    switch (j->kind) {
    case RAIN_JOB_CREATE: return fill_create(o, j, field);
    case RAIN_JOB_PUSH: return fill_push(o, j, field);
    case RAIN_JOB_START: return fill_start(o, j, field);
    case RAIN_JOB_EXTEND:
        return take_int(o, "add_ms", true, 1, RR_DURATION_MAX_MS, &j->add_ms, field);
    case RAIN_JOB_DEPOSIT:
        err = take_int(o, "amount", true, 1, RR_FEN_MAX, &j->amount_fen, field);
        return err ? err : take_str(o, "biz_id", true, j->biz_id, sizeof(j->biz_id), field);
    case RAIN_JOB_WALLET_OP: return fill_wallet_op(o, j, field);
    case RAIN_JOB_STATS: return fill_codes(o, j, field);
    default: return RR_OK;
    }
}

enum rr_err admin_json_fill(struct rr_slice body, struct rain_job *j, const char **field)
{
    json_t *o =
        body.len ? json_loadb(body.p, body.len, JSON_REJECT_DUPLICATES, NULL) : json_object();
    enum rr_err err = RR_BAD_REQUEST;

    *field = "body";
    if (json_is_object(o))
        err = fill(o, j, field);
    json_decref(o);
    return err;
}

/* ---- answers ---- */

static void user_set(json_t *o, const char *key, int64_t user_id)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRId64, user_id);
    json_object_set_new(o, key, json_string(text));
}

static json_t *rain_json(const struct rain_info *r)
{
    json_t *o = json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:s, s:I, s:I, s:s, s:s, s:s}", "code", r->code, "room",
        r->spec.room_id, "biz_id", r->spec.biz_id, "total", (json_int_t)r->spec.total_fen, "count",
        (json_int_t)r->spec.count, "split", rain_split_name(r->spec.split), "limit",
        (json_int_t)r->spec.limit, "shards", (json_int_t)r->spec.shards, "text", r->spec.text,
        "status", rain_status_name(r->status), "seed_hash", r->seed_hash);

    user_set(o, "sender", r->spec.sender_id);
    user_set(o, "anchor", r->spec.anchor_id);
    json_object_set_new(o, "kind", json_string(rain_kind_name(r->spec.kind)));
    json_object_set_new(o, "start_at", json_integer(r->spec.start_at_ms));
    json_object_set_new(o, "expire_at", json_integer(r->spec.expire_at_ms));
    json_object_set_new(o, "level", json_integer(r->spec.min_level));
    json_object_set_new(o, "new_since", json_integer(r->spec.new_since_s));
    json_object_set_new(o, "listed", json_integer(r->spec.users_n));
    json_object_set_new(o, "lo", json_integer(r->spec.lo_fen));
    json_object_set_new(o, "hi", json_integer(r->spec.hi_fen));
    json_object_set_new(o, "duration_ms", json_integer(r->spec.duration_ms));
    json_object_set_new(o, "open_at", json_integer(r->t0_ms));
    json_object_set_new(o, "end_at", json_integer(r->t1_ms));
    json_object_set_new(o, "created_at", json_integer(r->created_at_ms));
    json_object_set_new(o, "settled", json_integer(r->settled_count));
    json_object_set_new(o, "settled_fen", json_integer(r->settled_fen));
    json_object_set_new(o, "refunded_fen", json_integer(r->refunded_fen));
    json_object_set_new(o, "remain_fen", json_integer(r->remain_fen));
    json_object_set_new(o, "total_get", json_integer(r->total_get));
    json_object_set_new(o, "total_get_price", json_integer(r->total_get_fen));
    json_object_set_new(o, "max_get_price", json_integer(r->max_get_fen));
    json_object_set_new(o, "sold_out_at",
                        r->sold_out_at_ms ? json_integer(r->sold_out_at_ms) : json_null());
    return o;
}

/* One rain, with what its pool goes through. */
static json_t *show_json(const struct rain_job *j)
{
    json_t *o = rain_json(j->rains);

    json_object_set_new(o, "recovery", j->recovery ? json_string(j->recovery) : json_null());
    json_object_set_new(o, "recovering_since",
                        j->recovery ? json_integer(j->recovering_since_ms) : json_null());
    return o;
}

static json_t *wallet_log_json(const struct rain_job *j)
{
    json_t *o = json_object();
    json_t *list = json_array();

    user_set(o, "user", j->user_id);
    for (uint32_t i = 0; i < j->wallet_log_n; i++) {
        const struct wallet_log_row *r = &j->wallet_log[i];
        bool noted = r->after_fen >= 0;

        json_array_append_new(
            list, json_pack("{s:I, s:s, s:I, s:o, s:o, s:s, s:s, s:I}", "id", (json_int_t)r->id,
                            "account", r->frozen ? "frozen" : "balance", "delta",
                            (json_int_t)r->delta_fen, "before",
                            noted ? json_integer(r->before_fen) : json_null(), "after",
                            noted ? json_integer(r->after_fen) : json_null(), "type", r->biz_type,
                            "biz_id", r->biz_id, "at", (json_int_t)r->at_ms));
    }
    json_object_set_new(o, "log", list);
    return o;
}

static const char *grant_state_text(char state)
{
    switch (state) {
    case 's': return "settled";
    case 'h': return "held";
    default: return "void";
    }
}

/* next: what to ask for after this page; null after the last one. */
static json_t *rain_grants_json(const struct rain_job *j)
{
    json_t *list = json_array();
    json_t *next = json_null();

    for (uint32_t i = 0; i < j->grants_n; i++) {
        const struct grant_row *g = &j->grants[i].row;
        json_t *o =
            json_pack("{s:I, s:I, s:I, s:s, s:I}", "shard", (json_int_t)g->shard, "no",
                      (json_int_t)g->packet_no, "amount", (json_int_t)g->amount_fen, "state",
                      grant_state_text(g->state), "at", (json_int_t)g->granted_at_ms);

        if (g->user_id) {
            user_set(o, "user", g->user_id);
            json_object_set_new(o, "seq", json_integer(g->seq));
        }
        json_array_append_new(list, o);
    }
    if (j->grants_n == j->limit)
        next =
            json_pack("{s:I, s:I}", "after_shard", (json_int_t)j->grants[j->grants_n - 1].row.shard,
                      "after_no", (json_int_t)j->grants[j->grants_n - 1].row.packet_no);
    return json_pack("{s:s, s:o, s:o}", "code", j->code, "grants", list, "next", next);
}

static json_t *result_json(const struct rain_job *j)
{
    json_t *o = NULL;
    json_t *list = NULL;

    switch (j->kind) {
    case RAIN_JOB_DEPOSIT:
    case RAIN_JOB_WALLET:
        o = json_object();
        user_set(o, "user", j->wallet.user_id);
        json_object_set_new(o, "balance", json_integer(j->wallet.balance_fen));
        json_object_set_new(o, "frozen", json_integer(j->wallet.frozen_fen));
        return o;
    case RAIN_JOB_WALLET_LOG: return wallet_log_json(j);
    case RAIN_JOB_PUSH: return json_object();
    case RAIN_JOB_SHOW: return show_json(j);
    case RAIN_JOB_RAIN_GRANTS: return rain_grants_json(j);
    case RAIN_JOB_STATS:
    case RAIN_JOB_LIST:
        list = json_array();
        for (uint32_t i = 0; i < j->rains_n; i++)
            json_array_append_new(list, rain_json(&j->rains[i]));
        return json_pack("{s:o}", "rains", list);
    default: return rain_json(j->rains);
    }
}

static void dump(json_t *o, struct rr_buf *out)
{
    char *text = json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER);

    rr_buf_puts(out, text ? text : "{}");
    rr_buf_puts(out, "\n");
    free(text);
    json_decref(o);
}

void admin_json_result(const struct rain_job *j, struct rr_buf *out)
{
    json_t *o = result_json(j);
    enum result_code code = result_of(j->err == RR_DUPLICATE ? RR_OK : j->err);

    json_object_set_new(o, "result", json_integer(code));
    json_object_set_new(o, "name", json_string(result_name(code)));
    if (j->err == RR_DUPLICATE)
        json_object_set_new(o, "replayed", json_true());
    dump(o, out);
}

void admin_json_error(enum rr_err err, const char *field, const char *reason, struct rr_buf *out)
{
    enum result_code code = result_of(err);
    json_t *o = json_pack("{s:i, s:s, s:b}", "result", (int)code, "name", result_name(code),
                          "retryable", (int)result_retryable(code));

    if (field)
        json_object_set_new(o, "field", json_string(field));
    if (reason)
        json_object_set_new(o, "reason", json_string(reason));
    dump(o, out);
}

unsigned admin_json_status(enum rr_err err)
{
    switch (result_of(err)) {
    case RESULT_OK: return 200;
    case RESULT_PENDING: return 202;
    case RESULT_BAD_REQUEST: return 400;
    case RESULT_UNAUTHORIZED: return 401;
    case RESULT_NOT_ELIGIBLE: return 403;
    case RESULT_NOT_FOUND: return 404;
    case RESULT_RATE_LIMITED: return 429;
    case RESULT_BUSY:
    case RESULT_RECOVERING:
    case RESULT_UNAVAILABLE: return 503;
    default: return 409;
    }
}
