/* The port pool_admin: a shard's life from sealing to retiring. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/fail.h"
#include "base/log.h"
#include "sync_private.h"

enum {
    PUSH_BATCH = 100, /* amounts per RPUSH */
    PIPELINE = 64,    /* RPUSHes per round trip */
    TMP_TTL_S = 600,  /* a dead attempt's list goes by itself */
    RETIRED_TTL_S = 7 * 24 * 3600,
    SCAN_COUNT = 500,
    TOTALS_SOME = 500, /* users per round trip */
};

static enum rr_err pool_now_ms(void *impl, int64_t *now_ms)
{
    struct redis_cmd cmd = {0};
    redisReply *r = NULL;
    int64_t s = 0;
    int64_t us = 0;
    enum rr_err err = RR_OK;

    redis_cmd_str(&cmd, "TIME");
    err = sync__call(impl, NULL, &cmd, &r);
    if (err)
        return err;
    if (!reply_is_array(r, 2) || !reply_int(r->element[0], &s) || !reply_int(r->element[1], &us))
        err = RR_CORRUPT;
    *now_ms = s * 1000 + us / 1000;
    freeReplyObject(r);
    return err;
}

/* ---- seal ---- */

/* A name no other attempt has, in the shard's slot. */
struct store_key sync__tmp_key(const char *ns, const struct pool_shard *at)
{
    uint64_t r[2];
    char part[48];

    RR_ASSERT(getrandom(r, sizeof(r), 0) == sizeof(r));
    snprintf(part, sizeof(part), "tmp:%016" PRIx64 "%016" PRIx64, r[0], r[1]);
    return key_pool(ns, at, part);
}

/* RPUSH in batches, pipelined; the TTL goes along with each round so that a dead attempt never
 * stays. */
enum rr_err sync__fill_list(struct store_sync *s, const struct store_key *tmp,
                            const int64_t *amounts_fen, uint32_t count)
{
    char ttl[16];
    uint32_t i = 0;
    enum rr_err err = RR_OK;

    snprintf(ttl, sizeof(ttl), "%d", TMP_TTL_S);
    while (!err && i < count) {
        struct rr_buf bytes = {0};
        struct redis_cmd cmd = {0};
        uint32_t n = 0;

        for (; n < PIPELINE && i < count; n++) {
            uint32_t end = count - i > PUSH_BATCH ? i + PUSH_BATCH : count;

            redis_cmd_strs(&cmd, "RPUSH", tmp->s, (char *)NULL);
            for (; i < end; i++)
                redis_cmd_int(&cmd, amounts_fen[i]);
            redis_cmd_write(&cmd, NULL, false, &bytes);
            redis_cmd_fini(&cmd);
        }
        redis_cmd_strs(&cmd, "EXPIRE", tmp->s, ttl, (char *)NULL);
        redis_cmd_write(&cmd, NULL, false, &bytes);
        redis_cmd_fini(&cmd);
        err = sync__pipeline(s, tmp, &bytes, n + 1);
        rr_buf_fini(&bytes);
        rr_fail(PREPARE_MID_LIST);
    }
    return err;
}

/* The list as one string: a worker reads it whole, once per packet. */
static enum rr_err pool_allow(void *impl, const char *code, const int64_t *users, uint32_t n)
{
    struct store_sync *s = impl;
    struct store_key key = key_rain(s->ns, "allow", code);
    struct redis_cmd cmd = {0};
    struct rr_buf text = {0};
    enum rr_err err = RR_TOO_BIG;

    for (uint32_t i = 0; i < n; i++)
        rr_buf_printf(&text, "%s%" PRId64, i ? "," : "", users[i]);
    if (!text.failed) {
        redis_cmd_strs(&cmd, "SET", key.s, text.p ? text.p : "", (char *)NULL);
        err = sync__run(s, NULL, &cmd);
    }
    rr_buf_fini(&text);
    return err;
}

static enum rr_err seal_verdict(const redisReply *r, const struct pool_seal *p,
                                char rid[RR_RID_LEN + 1])
{
    struct rr_slice verdict;

    if (!reply_is_array(r, 2) || !reply_text(r->element[1], rid, RR_RID_LEN + 1))
        return RR_CORRUPT;
    verdict = reply_slice(r->element[0]);
    if (rr_slice_eq_str(verdict, "sealed") || rr_slice_eq_str(verdict, "exists"))
        return RR_OK;
    log_error("seal_refused", "%s:%" PRIu32 ": %.*s", p->at.code, p->at.shard, (int)verdict.len,
              verdict.p);
    /* A short list lost its beginning to a restart or its TTL: another attempt may do better. */
    return rr_slice_eq_str(verdict, "length") ? RR_RETRY : RR_CORRUPT;
}

static enum rr_err pool_seal(void *impl, const struct pool_seal *p, char rid[RR_RID_LEN + 1])
{
    struct store_sync *s = impl;
    struct redis_cmd cmd = {0};
    struct store_key keys[5];
    redisReply *r = NULL;
    enum rr_err err = RR_OK;

    rid[0] = 0;
    keys[0] = key_pool(s->ns, &p->at, "list");
    keys[1] = key_pool(s->ns, &p->at, "state");
    keys[2] = key_pool(s->ns, &p->at, "users");
    keys[3] = key_pool(s->ns, &p->at, "outbox");
    keys[4] = sync__tmp_key(s->ns, &p->at);
    err = sync__fill_list(s, &keys[4], p->amounts_fen, p->count);
    if (err)
        return err;
    redis_cmd_keys(&cmd, keys, 5);
    redis_cmd_int(&cmd, p->count);
    redis_cmd_str(&cmd, p->amounts_hash);
    redis_cmd_int(&cmd, p->limit);
    redis_cmd_str(&cmd, p->room_id);
    err = sync__call(s, &script_pool_seal, &cmd, &r);
    if (err)
        return err;
    err = seal_verdict(r, p, rid);
    freeReplyObject(r);
    return err;
}

/* ---- open, extend, close, state ---- */

struct verdict {
    const char *word;
    enum rr_err err;
};

static enum rr_err judge(struct rr_slice word, const struct verdict *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (rr_slice_eq_str(word, list[i].word))
            return list[i].err;
    }
    return RR_CORRUPT;
}

/* A pool that a newer version sealed: nothing of it is touched, whoever knows it goes on. */
static enum rr_err newer(const struct pool_shard *at)
{
    log_error("newer_layout",
              "%s:%" PRIu32 ": its pool is of a newer layout, this program knows %d: left to a "
              "newer program",
              at->code, at->shard, POOL_LAYOUT);
    return RR_UNAVAILABLE;
}

static enum rr_err judge_gate(struct rr_slice word, const struct verdict *list, size_t n,
                              const struct pool_shard *at)
{
    return rr_slice_eq_str(word, "newer") ? newer(at) : judge(word, list, n);
}

static enum rr_err pool_open(void *impl, const struct pool_shard *at, int64_t t0_ms, int64_t t1_ms)
{
    static const struct verdict verdicts[] = {
        {"opened", RR_OK}, {"noop", RR_OK}, {"none", RR_NOT_FOUND}, {"rid", RR_RECOVERING}};
    struct store_sync *s = impl;
    struct store_key key = key_pool(s->ns, at, "state");
    struct redis_cmd cmd = {0};
    redisReply *r = NULL;
    enum rr_err err = RR_OK;

    redis_cmd_keys(&cmd, &key, 1);
    redis_cmd_int(&cmd, t0_ms);
    redis_cmd_int(&cmd, t1_ms);
    err = sync__call(s, &script_pool_open, &cmd, &r);
    if (err)
        return err;
    err = judge_gate(reply_slice(r), verdicts, RR_COUNTOF(verdicts), at);
    freeReplyObject(r);
    return err;
}

static enum rr_err pool_extend(void *impl, const struct pool_shard *at, int64_t t1_ms)
{
    static const struct verdict verdicts[] = {
        {"ok", RR_OK}, {"none", RR_NOT_FOUND}, {"closed", RR_CONFLICT}, {"rid", RR_RECOVERING}};
    struct store_sync *s = impl;
    struct store_key key = key_pool(s->ns, at, "state");
    struct redis_cmd cmd = {0};
    redisReply *r = NULL;
    enum rr_err err = RR_OK;

    redis_cmd_keys(&cmd, &key, 1);
    redis_cmd_int(&cmd, t1_ms);
    err = sync__call(s, &script_pool_extend, &cmd, &r);
    if (err)
        return err;
    err = judge_gate(reply_slice(r), verdicts, RR_COUNTOF(verdicts), at);
    freeReplyObject(r);
    return err;
}

static enum rr_err pool_close(void *impl, const struct pool_shard *at, bool force,
                              struct pool_state *out)
{
    static const struct verdict verdicts[] = {
        {"closed", RR_OK}, {"early", RR_CONFLICT}, {"none", RR_NOT_FOUND}};
    struct store_sync *s = impl;
    struct redis_cmd cmd = {0};
    struct store_key keys[2];
    redisReply *r = NULL;
    enum rr_err err = RR_OK;

    keys[0] = key_pool(s->ns, at, "list");
    keys[1] = key_pool(s->ns, at, "state");
    redis_cmd_keys(&cmd, keys, 2);
    redis_cmd_str(&cmd, force ? "1" : "0");
    err = sync__call(s, &script_pool_close, &cmd, &r);
    if (err)
        return err;
    if (reply_state(r, out))
        err = RR_CORRUPT;
    else
        err = judge_gate(reply_slice(r->element[0]), verdicts, RR_COUNTOF(verdicts), at);
    freeReplyObject(r);
    return err;
}

static enum rr_err pool_state(void *impl, const struct pool_shard *at, struct pool_state *out)
{
    struct store_sync *s = impl;
    struct store_key keys[2];
    struct redis_cmd cmd = {0};
    redisReply *r = NULL;
    enum rr_err err = RR_OK;

    keys[0] = key_pool(s->ns, at, "state");
    keys[1] = key_pool(s->ns, at, "list");
    redis_cmd_keys(&cmd, keys, 2);
    err = sync__call(s, &script_pool_state, &cmd, &r);
    if (err)
        return err;
    if (reply_state(r, out))
        err = RR_CORRUPT;
    else if (out->layout > POOL_LAYOUT)
        err = newer(at);
    freeReplyObject(r);
    return err;
}

/* ---- grants ---- */

static enum rr_err report_scan(const redisReply *list, pool_grant_fn fn, void *arg)
{
    enum rr_err err = RR_OK;
    uint64_t user_id = 0;

    for (size_t i = 0; !err && i + 1 < list->elements; i += 2) {
        if (!reply_u64(reply_slice(list->element[i]), INT64_MAX, &user_id))
            return RR_CORRUPT;
        err = reply_user_record(reply_slice(list->element[i + 1]), (int64_t)user_id, fn, arg);
        if (err == RR_MALFORMED)
            err = RR_CORRUPT;
    }
    return err;
}

static enum rr_err pool_grants(void *impl, const struct pool_shard *at, pool_grant_fn fn, void *arg)
{
    struct store_sync *s = impl;
    struct store_key key = key_pool(s->ns, at, "users");
    char cursor[24] = "0";
    enum rr_err err = RR_OK;

    do {
        struct redis_cmd cmd = {0};
        redisReply *r = NULL;

        redis_cmd_strs(&cmd, "HSCAN", key.s, cursor, "COUNT", (char *)NULL);
        redis_cmd_int(&cmd, SCAN_COUNT);
        err = sync__call(s, NULL, &cmd, &r);
        if (err)
            return err;
        if (!reply_is_array(r, 2) || !reply_text(r->element[0], cursor, sizeof(cursor)) ||
            r->element[1]->type != REDIS_REPLY_ARRAY)
            err = RR_CORRUPT;
        else
            err = report_scan(r->element[1], fn, arg);
        freeReplyObject(r);
    } while (!err && strcmp(cursor, "0") != 0);
    return err;
}

static enum rr_err pool_user_grants(void *impl, const struct pool_shard *at, int64_t user_id,
                                    pool_grant_fn fn, void *arg)
{
    struct store_sync *s = impl;
    struct redis_cmd cmd = {0};
    redisReply *r = NULL;
    enum rr_err err = RR_OK;

    redis_cmd_strs(&cmd, "HGET", key_pool(s->ns, at, "users").s, (char *)NULL);
    redis_cmd_int(&cmd, user_id);
    err = sync__call(s, NULL, &cmd, &r);
    if (err)
        return err;
    err = reply_user_record(reply_slice(r), user_id, fn, arg);
    freeReplyObject(r);
    return err == RR_MALFORMED ? RR_CORRUPT : err;
}

/* ---- the end, locks, markers, statistics ---- */

static enum rr_err expire_marker(struct store_sync *s, const char *marker, const char *code)
{
    struct redis_cmd cmd = {0};

    redis_cmd_strs(&cmd, "EXPIRE", key_rain(s->ns, marker, code).s, (char *)NULL);
    redis_cmd_int(&cmd, RETIRED_TTL_S);
    return sync__run(s, NULL, &cmd);
}

static enum rr_err pool_retire(void *impl, const struct pool_shard *at)
{
    static const struct verdict verdicts[] = {{"ok", RR_OK}, {"open", RR_CONFLICT}};
    struct store_sync *s = impl;
    struct redis_cmd cmd = {0};
    struct store_key keys[4];
    redisReply *r = NULL;
    enum rr_err err = RR_OK;

    keys[0] = key_pool(s->ns, at, "list");
    keys[1] = key_pool(s->ns, at, "state");
    keys[2] = key_pool(s->ns, at, "users");
    keys[3] = key_pool(s->ns, at, "outbox");
    redis_cmd_keys(&cmd, keys, 4);
    redis_cmd_int(&cmd, RETIRED_TTL_S);
    err = sync__call(s, &script_pool_retire, &cmd, &r);
    if (err)
        return err;
    err = judge(reply_slice(r), verdicts, RR_COUNTOF(verdicts));
    freeReplyObject(r);
    /* The markers belong to the whole rain; each shard may set their end, it is the same. */
    if (!err)
        err = expire_marker(s, "prepare:ok", at->code);
    if (!err)
        err = expire_marker(s, "notify", at->code);
    if (!err)
        err = expire_marker(s, "allow", at->code);
    return err;
}

static enum rr_err pool_lock(void *impl, const char *code, const char *owner, int64_t ttl_ms)
{
    struct store_sync *s = impl;
    struct store_key key = key_rain(s->ns, "init:lock", code);
    struct redis_cmd cmd = {0};
    redisReply *r = NULL;
    enum rr_err err = RR_OK;

    redis_cmd_keys(&cmd, &key, 1);
    redis_cmd_str(&cmd, owner);
    redis_cmd_int(&cmd, ttl_ms);
    err = sync__call(s, &script_lock, &cmd, &r);
    if (err)
        return err;
    err = r->integer == 1 ? RR_OK : RR_BUSY;
    freeReplyObject(r);
    return err;
}

static void pool_unlock(void *impl, const char *code, const char *owner)
{
    struct store_sync *s = impl;
    struct store_key key = key_rain(s->ns, "init:lock", code);
    struct redis_cmd cmd = {0};

    redis_cmd_keys(&cmd, &key, 1);
    redis_cmd_str(&cmd, owner);
    if (sync__run(s, &script_unlock, &cmd))
        log_notice("unlock_failed", "%s: the lock goes by its TTL", code);
}

static enum rr_err pool_mark(void *impl, const char *marker, const char *code, const char *value)
{
    struct store_sync *s = impl;
    struct redis_cmd cmd = {0};

    if (strcmp(marker, "prepare:ok") != 0 && strcmp(marker, "notify") != 0)
        return RR_BAD_REQUEST;
    /* NX: it shows the first owner; a repeated step changes nothing. */
    redis_cmd_strs(&cmd, "SET", key_rain(s->ns, marker, code).s, value, "NX", (char *)NULL);
    return sync__run(s, NULL, &cmd);
}

static enum rr_err pool_stats(void *impl, const char *code, int64_t count, int64_t price_fen)
{
    struct store_sync *s = impl;
    struct redis_cmd cmd = {0};
    struct store_key keys[2];

    keys[0] = key_bucket(s->ns, "total_get_count", code);
    keys[1] = key_bucket(s->ns, "total_get_price", code);
    redis_cmd_keys(&cmd, keys, 2);
    redis_cmd_str(&cmd, code);
    redis_cmd_int(&cmd, count);
    redis_cmd_int(&cmd, price_fen);
    return sync__run(s, &script_stats_max, &cmd);
}

static void total_cmd(const struct store_sync *s, const struct pool_user_total *t,
                      struct redis_cmd *cmd)
{
    struct store_key key = key_user_total(s->ns, t->user_id);

    redis_cmd_keys(cmd, &key, 1);
    redis_cmd_int(cmd, t->total_fen);
}

/* The first one alone: it loads the script where that is missing. A round trip per user would hold up what is told after it. */
static enum rr_err pool_user_totals(void *impl, const struct pool_user_total *totals, uint32_t n)
{
    struct store_sync *s = impl;
    struct redis_cmd cmd = {0};
    enum rr_err err = RR_OK;

    if (n == 0)
        return RR_OK;
    total_cmd(s, &totals[0], &cmd);
    err = sync__run(s, &script_user_total_max, &cmd);
    /* The users of a cluster are in slots of their own. */
    for (uint32_t i = 1; !err && s->cluster && i < n; i++) {
        total_cmd(s, &totals[i], &cmd);
        err = sync__run(s, &script_user_total_max, &cmd);
    }
    for (uint32_t i = 1; !err && !s->cluster && i < n;) {
        uint32_t some = n - i < TOTALS_SOME ? n - i : TOTALS_SOME;
        struct rr_buf bytes = {0};

        for (uint32_t end = i + some; i < end; i++) {
            total_cmd(s, &totals[i], &cmd);
            redis_cmd_write(&cmd, &script_user_total_max, false, &bytes);
            redis_cmd_fini(&cmd);
        }
        err = sync__pipeline(s, NULL, &bytes, some);
        rr_buf_fini(&bytes);
    }
    return err;
}

void sync__pool_init(struct store_sync *s)
{
    s->pool = (struct pool_admin){
        .impl = s,
        .now_ms = pool_now_ms,
        .allow = pool_allow,
        .seal = pool_seal,
        .open = pool_open,
        .extend = pool_extend,
        .close = pool_close,
        .state = pool_state,
        .grants = pool_grants,
        .user_grants = pool_user_grants,
        .retire = pool_retire,
        .lock = pool_lock,
        .unlock = pool_unlock,
        .mark = pool_mark,
        .stats = pool_stats,
        .user_totals = pool_user_totals,
    };
    sync__recover_init(s);
}
