/* saga_look.c - notices that Redis is another one, or was wiped, and arms recoveries. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "saga_impl.h"

enum {
    ARM_MAX = 64,         /* rains armed by one look; the next look finds the others */
    WALK_SOME = 32,       /* rains whose pool is looked at by one look */
    WALK_EVERY_MS = 5000, /* a pool that was lost alone is found by this */
};

struct arm {
    const char *code;
    bool armed;
};

static enum rr_err arm_tx(struct ledger *l, void *arg)
{
    struct arm *p = arg;
    struct db_rows rows = {.cols = 0};
    struct rain_info r;
    struct task task;
    char biz_id[48] = "recover:";
    enum rr_err err = ledger__rain_lock(l, p->code, &r);

    strncat(biz_id, p->code, sizeof(biz_id) - sizeof("recover:"));
    if (!err)
        err = db_select(l->db, "SELECT 1 FROM rp_task WHERE biz_id = ? AND state = 0",
                        DB_ARGS(db_str(biz_id)), &rows);
    p->armed = !err && rows.n == 0;
    db_rows_fini(&rows);
    if (p->armed)
        err = task_put(l, "recover", p->code, 0, ledger__now_ms(), &task);
    return err;
}

enum rr_err saga__recover_arm(struct saga *s, const char *code)
{
    struct arm p = {.code = code};
    enum rr_err err = ledger__tx(s->ledger, arm_tx, &p);

    if (!err && p.armed)
        log_warn("recovery_armed", "rain %s", code);
    return err;
}

/* ---- another run of Redis: the books alone say which rains it concerns ---- */

static enum rr_err arm_others(struct saga *s, const struct pool_epochs *now)
{
    struct ledger *l = s->ledger;
    struct db_rows rows = {.cols = 0};
    char runs[POOL_EPOCHS_MAX * (POOL_RUN_LEN + 1) + 1] = "";
    enum rr_err err = db_open(l->db);

    for (uint32_t i = 0; i < now->n; i++) {
        size_t used = strlen(runs);

        snprintf(runs + used, sizeof(runs) - used, "%s%.*s", i ? "," : "", POOL_RUN_LEN,
                 now->of[i].rid);
    }

    if (!err)
        err = db_select(l->db,
                        "SELECT c.config_code FROM t_red_packet_config c FORCE INDEX (ix_status)"
                        " WHERE c.status IN (2, 3, 4) AND (SELECT COUNT(*) FROM rp_escrow e"
                        " WHERE e.code = c.config_code AND FIND_IN_SET(LEFT(e.rid, 32), ?) = 0) > 0"
                        " AND NOT EXISTS (SELECT 1 FROM rp_task t WHERE t.state = 0"
                        " AND t.biz_id = CONCAT('recover:', c.config_code)) LIMIT ?",
                        DB_ARGS(db_str(runs), db_int(ARM_MAX)), &rows);
    for (uint32_t i = 0; !err && i < rows.n; i++) {
        char code[RR_CODE_LEN + 1];

        RR_ASSERT(db_copy(&rows, i, 0, code, sizeof(code)));
        err = saga__recover_arm(s, code);
    }
    db_rows_fini(&rows);
    return err;
}

/* ---- a wipe, or a pool that is gone alone: Redis is asked, a few rains at a time ---- */

static enum rr_err look_at(struct saga *s, const char *code)
{
    struct escrow_row rows[RR_SHARDS_MAX];
    struct rain_info r;
    struct pool_shard at = {.shard = 0};
    enum rr_err err = ledger_rain_get(s->ledger, code, &r);

    if (!err)
        err = escrow_read(s->ledger, &r, rows);
    memcpy(at.code, code, sizeof(at.code));
    for (; !err && at.shard < r.spec.shards; at.shard++) {
        struct pool_state st;

        err = s->pool->state(s->pool->impl, &at, &st);
        if (!err && saga__pool_lost(&r, at.shard, rows[at.shard].rid, &st))
            return saga__recover_arm(s, code);
    }
    return err;
}

static enum rr_err walk(struct saga *s)
{
    struct saga_recovery *c = s->recovery;
    struct rain_cursor next = c->walk_at;
    struct rain_ref rains[WALK_SOME];
    uint32_t n = 0;
    enum rr_err err = ledger_rain_unfinished(s->ledger, &next, rains, WALK_SOME, &n);

    for (uint32_t i = 0; !err && i < n; i++) {
        err = look_at(s, rains[i].code);
        /* One primary of a cluster that is away keeps nobody from looking at the rains of the others. */
        if (err == RR_NOT_FOUND || (err == RR_UNAVAILABLE && c->seen.n + c->seen.away > 1))
            err = RR_OK;
    }
    if (!err) {
        c->walk_at = next;
        c->walk_over = n < WALK_SOME;
    }
    return err;
}

static void walk_again(struct saga_recovery *c)
{
    c->walk_at = (struct rain_cursor){.status = 0};
    c->walk_over = false;
}

static const char *what_changed(const struct pool_epochs *was, const struct pool_epochs *now)
{
    if (was->away != now->away)
        return now->away ? "a primary is away" : "all primaries answer";
    for (uint32_t i = 0; i < now->n; i++) {
        if (i >= was->n || strcmp(was->of[i].rid, now->of[i].rid) != 0)
            return "another run of Redis answers";
    }
    return was->n == now->n ? "Redis was wiped" : "the cluster has fewer primaries";
}

enum rr_err saga_look_for_losses(struct saga *s, int64_t now_ms)
{
    struct saga_recovery *c = s->recovery;
    struct pool_epochs now;
    enum rr_err err = s->pool->epochs(s->pool->impl, &now);
    bool first = c->seen.n == 0;

    if (err)
        return err;
    if (memcmp(&now, &c->seen, sizeof(now)) != 0) {
        if (!first) {
            c->epoch_changes++;
            log_warn("redis_changed", "%s", what_changed(&c->seen, &now));
        }
        c->seen = now;
        walk_again(c);
    }
    /* Who is away may come back as he was: whose run is not there is only then another one when all are. */
    if (now.away == 0)
        err = arm_others(s, &now);
    if (!err && c->walk_over && now_ms >= c->next_walk_ms)
        walk_again(c);
    if (!err && !c->walk_over) {
        err = walk(s);
        c->next_walk_ms = now_ms + WALK_EVERY_MS;
    }
    return err;
}

enum rr_err saga_recovering(struct saga *s, int64_t *n)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_open(s->ledger->db);

    *n = 0;
    if (!err)
        err = db_select(s->ledger->db, "SELECT COUNT(*) FROM rp_fence WHERE state < 5", NULL, 0,
                        &rows);
    if (!err)
        *n = db_i64(&rows, 0, 0);
    db_rows_fini(&rows);
    return err;
}

enum rr_err saga_recovery_of(struct saga *s, const char *code, const char **state,
                             int64_t *since_ms)
{
    static const char *const names[] = {NULL, "begun", "waits", "drains", "applies"};
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_open(s->ledger->db);
    int64_t n = 0;

    *state = NULL;
    *since_ms = 0;
    if (!err)
        err = db_select(s->ledger->db,
                        "SELECT state, (SELECT MIN(f.created_at) FROM rp_fence f WHERE f.code = ?"
                        " AND f.id > (SELECT COALESCE(MAX(d.id), 0) FROM rp_fence d"
                        " WHERE d.code = ? AND d.state = 5))"
                        " FROM rp_fence WHERE code = ? ORDER BY id DESC LIMIT 1",
                        DB_ARGS(db_str(code), db_str(code), db_str(code)), &rows);
    if (!err && rows.n)
        n = db_i64(&rows, 0, 0);
    if (n > 0 && n < (int64_t)RR_COUNTOF(names)) {
        *state = names[n];
        *since_ms = db_i64(&rows, 0, 1);
    }
    db_rows_fini(&rows);
    return err;
}
