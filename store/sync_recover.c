/* The part of the port pool_admin that recovery uses: which Redis answers, the fence, the refill. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "rain/split.h"
#include "sync_private.h"

enum {
    FENCE_TTL_S = 24 * 3600, /* of a recovery nobody ends: the next one sets its own */
    TMP_TTL_S = 600,
    HSET_BATCH = 100, /* users per HSET */
    PIPELINE = 32,    /* HSETs per round trip */
    ITEMS_MAX = 100   /* grants per outbox entry */
};

void sync__epoch_cmd(struct redis_cmd *cmd, const struct store_key *key)
{
    uint64_t random[2];
    char mark[33];

    RR_ASSERT(getrandom(random, sizeof(random), 0) == sizeof(random));
    snprintf(mark, sizeof(mark), "%016" PRIx64 "%016" PRIx64, random[0], random[1]);
    redis_cmd_keys(cmd, key, 1);
    redis_cmd_str(cmd, mark);
}

enum rr_err sync__epoch_read(const redisReply *r, struct pool_epoch *out)
{
    return reply_is_array(r, 2) && reply_text(r->element[0], out->rid, sizeof(out->rid)) &&
                   reply_text(r->element[1], out->mark, sizeof(out->mark)) && out->rid[0]
               ? RR_OK
               : RR_CORRUPT;
}

static enum rr_err pool_epochs(void *impl, struct pool_epochs *out)
{
    struct store_sync *s = impl;
    struct store_key key = key_global(s->ns, "redpkt:epoch");
    struct redis_cmd cmd = {0};
    redisReply *r = NULL;
    enum rr_err err = RR_OK;

    memset(out, 0, sizeof(*out));
    if (s->cluster)
        return sync__cluster_epochs(s, out);
    sync__epoch_cmd(&cmd, &key);
    err = sync__call(s, &script_pool_epoch, &cmd, &r);
    if (err)
        return err;
    err = sync__epoch_read(r, &out->of[0]);
    out->n = 1;
    freeReplyObject(r);
    return err;
}

static uint32_t pool_primaries(void *impl)
{
    struct store_sync *s = impl;

    return s->cluster ? sync__cluster_primaries(s) : 1;
}

static bool setting_is(struct store_sync *s, const char *name, const char *want)
{
    char value[32];

    return store_sync_config_get(s, name, value, sizeof(value)) == RR_OK &&
           strcmp(value, want) == 0;
}

static bool pool_durable(void *impl)
{
    return setting_is(impl, "appendonly", "yes") && setting_is(impl, "appendfsync", "always") &&
           setting_is(impl, "no-appendfsync-on-rewrite", "no");
}

static enum rr_err pool_fence(void *impl, const struct pool_shard *at, const char *rid)
{
    struct store_sync *s = impl;
    struct store_key keys[2];
    struct redis_cmd cmd = {0};

    keys[0] = key_pool(s->ns, at, "fence");
    keys[1] = key_pool(s->ns, at, "state");
    redis_cmd_keys(&cmd, keys, 2);
    redis_cmd_str(&cmd, rid);
    redis_cmd_int(&cmd, FENCE_TTL_S);
    return sync__run(s, &script_pool_fence, &cmd);
}

/* ---- refill ---- */

/* The record of one user: a word per seq, '-' where a grant is missing. Returns the index after his last grant. */
static uint32_t user_record(const struct pool_refill *p, uint32_t i, struct rr_buf *out)
{
    int64_t user_id = p->grants[i].user_id;
    uint32_t next = 0;

    rr_buf_clear(out);
    for (; i < p->grants_n && p->grants[i].user_id == user_id; i++) {
        const struct pool_grant *g = &p->grants[i];

        for (; next < g->seq; next++)
            rr_buf_puts(out, next ? ";-" : "-");
        rr_buf_printf(out, "%s%" PRIu32 ":%" PRIu32 ":%" PRId64, next ? ";" : "", g->seq,
                      g->packet_no, g->amount_fen);
        next = g->seq + 1;
    }
    return i;
}

/* Fills the users of the new life under a name of this attempt; *users: how many. */
static enum rr_err fill_users(struct store_sync *s, const struct store_key *tmp,
                              const struct pool_refill *p, uint32_t *users)
{
    struct rr_buf record = {0};
    char ttl[16];
    uint32_t i = 0;
    enum rr_err err = RR_OK;

    *users = 0;
    snprintf(ttl, sizeof(ttl), "%d", TMP_TTL_S);
    while (!err && i < p->grants_n) {
        struct rr_buf bytes = {0};
        struct redis_cmd cmd = {0};
        uint32_t n = 0;

        for (; n < PIPELINE && i < p->grants_n; n++) {
            redis_cmd_strs(&cmd, "HSET", tmp->s, (char *)NULL);
            for (uint32_t k = 0; k < HSET_BATCH && i < p->grants_n; k++, ++*users) {
                int64_t user_id = p->grants[i].user_id;

                i = user_record(p, i, &record);
                redis_cmd_int(&cmd, user_id);
                redis_cmd_arg(&cmd, rr_slice_of(record.p, record.len));
            }
            redis_cmd_write(&cmd, NULL, false, &bytes);
            redis_cmd_fini(&cmd);
        }
        redis_cmd_strs(&cmd, "EXPIRE", tmp->s, ttl, (char *)NULL);
        redis_cmd_write(&cmd, NULL, false, &bytes);
        redis_cmd_fini(&cmd);
        err = record.failed ? RR_TOO_BIG : sync__pipeline(s, tmp, &bytes, n + 1);
        rr_buf_fini(&bytes);
    }
    rr_buf_fini(&record);
    return err;
}

/* Grants that survived and are in no books: the sweeper brings them there. */
static void outbox_items(struct redis_cmd *cmd, const struct pool_refill *p)
{
    struct rr_buf items = {0};
    uint32_t n = 0;

    for (uint32_t i = 0; i < p->grants_n; i++) {
        const struct pool_grant *g = &p->grants[i];

        if (!p->in_books[i])
            rr_buf_printf(&items, "%s%" PRId64 ":%" PRIu32 ":%" PRIu32 ":%" PRId64, n++ ? ";" : "",
                          g->user_id, g->seq, g->packet_no, g->amount_fen);
        if (n && (n == ITEMS_MAX || i + 1 == p->grants_n)) {
            redis_cmd_arg(cmd, rr_slice_of(items.p, items.len));
            rr_buf_clear(&items);
            n = 0;
        }
    }
    rr_buf_fini(&items);
}

static void refill_args(struct redis_cmd *cmd, const struct pool_refill *p, uint32_t users)
{
    int64_t fen = 0;
    char st[2] = {p->st, 0};
    char hash[41];

    for (uint32_t no = 0; no < p->floor; no++)
        fen += p->amounts_fen[no];
    rain_amounts_hash(p->amounts_fen + p->floor, p->n - p->floor, hash);
    redis_cmd_str(cmd, p->rid);
    redis_cmd_str(cmd, p->from_rid);
    redis_cmd_int(cmd, p->n);
    redis_cmd_int(cmd, p->floor);
    redis_cmd_int(cmd, fen);
    redis_cmd_str(cmd, st);
    redis_cmd_int(cmd, p->t0_ms);
    redis_cmd_int(cmd, p->t1_ms);
    redis_cmd_int(cmd, p->limit);
    redis_cmd_str(cmd, p->room_id);
    redis_cmd_int(cmd, users);
    redis_cmd_str(cmd, hash);
    redis_cmd_str(cmd, p->at.code);
    redis_cmd_int(cmd, p->at.shard);
    outbox_items(cmd, p);
}

static enum rr_err refill_verdict(const redisReply *r, const struct pool_refill *p)
{
    struct rr_slice word = reply_slice(r);

    if (rr_slice_eq_str(word, "applied") || rr_slice_eq_str(word, "done"))
        return RR_OK;
    log_warn("refill_refused", "%s:%" PRIu32 ": %.*s", p->at.code, p->at.shard, (int)word.len,
             word.p);
    /* A tmp key that is short was cut by its TTL; what was read of the state is not true any more: once more. */
    if (rr_slice_eq_str(word, "tmp") || rr_slice_eq_str(word, "moved"))
        return RR_RETRY;
    return word.len ? RR_CONFLICT : RR_CORRUPT;
}

static enum rr_err pool_refill(void *impl, const struct pool_refill *p)
{
    static const char *const parts[] = {"list", "state", "users", "outbox", "fence"};
    struct store_sync *s = impl;
    struct redis_cmd cmd = {0};
    struct store_key keys[7];
    redisReply *r = NULL;
    uint32_t users = 0;
    enum rr_err err = RR_OK;

    RR_ASSERT(p->floor <= p->n);
    for (size_t i = 0; i < RR_COUNTOF(parts); i++)
        keys[i] = key_pool(s->ns, &p->at, parts[i]);
    keys[5] = sync__tmp_key(s->ns, &p->at);
    keys[6] = sync__tmp_key(s->ns, &p->at);
    err = sync__fill_list(s, &keys[5], p->amounts_fen + p->floor, p->n - p->floor);
    if (!err)
        err = fill_users(s, &keys[6], p, &users);
    if (err)
        return err;
    redis_cmd_keys(&cmd, keys, 7);
    refill_args(&cmd, p, users);
    err = sync__call(s, &script_pool_refill, &cmd, &r);
    if (err)
        return err;
    err = refill_verdict(r, p);
    freeReplyObject(r);
    return err;
}

void sync__recover_init(struct store_sync *s)
{
    s->pool.epochs = pool_epochs;
    s->pool.primaries = pool_primaries;
    s->pool.durable = pool_durable;
    s->pool.fence = pool_fence;
    s->pool.refill = pool_refill;
}
