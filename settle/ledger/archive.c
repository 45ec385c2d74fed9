#include "ledger/archive.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ledger_impl.h"

enum { CODES_PAGE = 100 };

enum archive_state { COPYING = 1, MOVED = 2, DONE = 3 };

struct run {
    const struct archive_opts *o;
    struct archive_outcome *out;
    int64_t rows; /* so far */
};

struct one {
    const char *code;
    enum archive_state state;
    const char *why; /* it stays */
    uint32_t shard;
    int64_t no;
    uint64_t n;
};

static bool spent(const struct run *r)
{
    return r->o->max_rows > 0 && r->rows >= r->o->max_rows;
}

/* A statement with the code for each of its parameters. */
static enum rr_err select_of(struct ledger *l, const char *sql, const char *code,
                             struct db_rows *rows)
{
    struct db_arg args[4];
    size_t n = 0;

    for (const char *at = sql; *at; at++) {
        RR_ASSERT(n < RR_COUNTOF(args) || *at != '?');
        if (*at == '?')
            args[n++] = db_str(code);
    }
    return db_select(l->db, sql, args, n, rows);
}

static enum rr_err read_int(struct ledger *l, const char *sql, const char *code, int64_t *out)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = select_of(l, sql, code, &rows);

    if (!err)
        *out = rows.n ? db_i64(&rows, 0, 0) : 0;
    db_rows_fini(&rows);
    return err;
}

/* ---- may it go? ---- */

static enum rr_err why_not(struct ledger *l, const char *code, const char **why)
{
    static const struct {
        const char *sql; /* 0: it may */
        const char *why;
    } reasons[] = {
        {"SELECT COUNT(*) FROM rp_task WHERE code = ? AND state = 0", "a step of it is still open"},
        {"SELECT COUNT(*) FROM rp_dead WHERE code = ? AND state <> 'closed'",
         "it has open rows in rp_dead"},
        {"SELECT COUNT(*) FROM rp_conflict WHERE code = ? AND state <> 'closed'",
         "it has open rows in rp_conflict"},
        {"SELECT COUNT(*) FROM rp_grant WHERE code = ? AND state = 2",
         "grants of it are held for review"},
        {"SELECT COUNT(*) FROM rp_escrow WHERE code = ? AND (remain <> 0 OR granted_k IS NULL)",
         "its escrow is not empty"},
        {"SELECT ((SELECT COUNT(*) FROM rp_grant WHERE code = ? AND state <> 3)"
         " <> (SELECT COALESCE(SUM(settled_cnt), 0) FROM rp_escrow WHERE code = ?))"
         " + ((SELECT COALESCE(SUM(amount), 0) FROM rp_grant WHERE code = ? AND state <> 3)"
         " <> (SELECT COALESCE(SUM(settled), 0) FROM rp_escrow WHERE code = ?))",
         "its grants are not what its escrow says; verify it"},
    };
    enum rr_err err = RR_OK;

    *why = NULL;
    for (size_t i = 0; !err && !*why && i < RR_COUNTOF(reasons); i++) {
        int64_t n = 0;

        err = read_int(l, reasons[i].sql, code, &n);
        if (n)
            *why = reasons[i].why;
    }
    return err;
}

/* ---- transactions ---- */

static enum rr_err begin_tx(struct ledger *l, void *arg)
{
    struct one *p = arg;
    struct rain_info r;
    enum rr_err err = ledger__rain_lock(l, p->code, &r);

    if (!err && r.status != RAIN_SETTLED && r.status != RAIN_CANCELLED)
        p->why = "it is not over";
    if (!err && !p->why)
        err = why_not(l, p->code, &p->why);
    if (err || p->why)
        return err;
    err = db_stmt(l->db, "INSERT INTO rp_archive (code, state, started_at) VALUES (?, ?, ?)",
                  DB_ARGS(db_str(p->code), db_int(COPYING), db_int(ledger__now_ms())), NULL);
    if (!err)
        err = db_stmt(l->db,
                      "INSERT INTO t_red_packet_config_archive SELECT * FROM t_red_packet_config"
                      " WHERE config_code = ?",
                      DB_ARGS(db_str(p->code)), NULL);
    if (!err)
        err = db_stmt(l->db, "INSERT INTO rp_escrow_archive SELECT * FROM rp_escrow WHERE code = ?",
                      DB_ARGS(db_str(p->code)), NULL);
    return err;
}

/* Packet numbers are dense: a range of numbers is a bounded number of rows. */
static enum rr_err copy_tx(struct ledger *l, void *arg)
{
    struct one *p = arg;

    return db_stmt(
        l->db,
        "INSERT INTO rp_grant_archive SELECT * FROM rp_grant WHERE code = ?"
        " AND shard = ? AND packet_no >= ? AND packet_no < ?",
        DB_ARGS(db_str(p->code), db_int(p->shard), db_int(p->no), db_int(p->no + ARCHIVE_ROWS)),
        &p->n);
}

/* What must be equal, as one row each. */
#define SUMS(config, escrow, grants)                                                               \
    "SELECT (SELECT CONCAT_WS(':', c.ver, c.status, c.total_get, c.total_get_price) FROM " config  \
    " c WHERE c.config_code = ?), (SELECT CONCAT_WS(':', COUNT(*), SUM(e.total),"                  \
    " SUM(e.remain), SUM(e.settled), SUM(e.settled_cnt), SUM(e.refunded), SUM(e.granted_k)) "      \
    "FROM " escrow " e WHERE e.code = ?), (SELECT CONCAT_WS(':', COUNT(*), SUM(g.amount),"         \
    " SUM(g.state), SUM(CRC32(CONCAT_WS(':', g.shard, g.packet_no, g.user_id, g.seq, g.amount,"    \
    " g.state)))) FROM " grants " g WHERE g.code = ?)"

static enum rr_err same_sums(struct ledger *l, const char *code, bool *same)
{
    struct db_rows live = {.cols = 0};
    struct db_rows copy = {.cols = 0};
    enum rr_err err =
        select_of(l, SUMS("t_red_packet_config", "rp_escrow", "rp_grant"), code, &live);

    if (!err)
        err = select_of(
            l, SUMS("t_red_packet_config_archive", "rp_escrow_archive", "rp_grant_archive"), code,
            &copy);
    *same = !err;
    for (uint32_t i = 0; !err && i < 3; i++)
        *same = *same && rr_slice_eq(db_text(&live, 0, i), db_text(&copy, 0, i));
    db_rows_fini(&live);
    db_rows_fini(&copy);
    return err;
}

static enum rr_err move_tx(struct ledger *l, void *arg)
{
    static const char *const deletes[] = {
        "DELETE FROM rp_escrow WHERE code = ?",
        "DELETE FROM t_red_packet_config WHERE config_code = ?",
        "DELETE FROM rp_task WHERE code = ? AND state = 1",
    };
    struct one *p = arg;
    struct rain_info r;
    bool same = false;
    enum rr_err err = ledger__rain_lock(l, p->code, &r);

    if (!err)
        err = why_not(l, p->code, &p->why);
    if (!err && !p->why)
        err = same_sums(l, p->code, &same);
    if (!err && !p->why && !same)
        p->why = "it changed while it was copied";
    if (err || p->why)
        return err;
    for (size_t i = 0; !err && i < RR_COUNTOF(deletes); i++)
        err = db_stmt(l->db, deletes[i], DB_ARGS(db_str(p->code)), NULL);
    if (!err)
        err = db_stmt(
            l->db,
            "UPDATE rp_archive SET state = ?, moved_at = ?, grants ="
            " (SELECT COUNT(*) FROM rp_grant_archive g WHERE g.code = ?)"
            " WHERE rp_archive.code = ?",
            DB_ARGS(db_int(MOVED), db_int(ledger__now_ms()), db_str(p->code), db_str(p->code)),
            NULL);
    return err;
}

static enum rr_err undo_tx(struct ledger *l, void *arg)
{
    static const char *const deletes[] = {
        "DELETE FROM rp_escrow_archive WHERE code = ?",
        "DELETE FROM t_red_packet_config_archive WHERE config_code = ?",
        "DELETE FROM rp_archive WHERE code = ? AND state = 1",
    };
    const struct one *p = arg;
    enum rr_err err = RR_OK;

    for (size_t i = 0; !err && i < RR_COUNTOF(deletes); i++)
        err = db_stmt(l->db, deletes[i], DB_ARGS(db_str(p->code)), NULL);
    return err;
}

static enum rr_err delete_some(struct ledger *l, const char *sql, const char *code, uint64_t *n)
{
    enum rr_err err = db_open(l->db);

    return err ? err : db_stmt(l->db, sql, DB_ARGS(db_str(code), db_int(ARCHIVE_ROWS)), n);
}

/* ---- one rain, from wherever it is ---- */

static enum rr_err copy(struct ledger *l, struct run *run, struct one *p)
{
    struct rain_info r;
    struct db_rows rows = {.cols = 0};
    enum rr_err err = ledger_rain_get(l, p->code, &r);

    if (err)
        return err;
    /* Goes on after the last packet that was copied. */
    err = db_select(l->db,
                    "SELECT shard, packet_no FROM rp_grant_archive WHERE code = ?"
                    " ORDER BY code DESC, shard DESC, packet_no DESC LIMIT 1",
                    DB_ARGS(db_str(p->code)), &rows);
    if (!err && rows.n) {
        p->shard = (uint32_t)db_i64(&rows, 0, 0);
        p->no = db_i64(&rows, 0, 1) + 1;
    }
    db_rows_fini(&rows);
    while (!err && p->shard < r.spec.shards && !spent(run)) {
        err = ledger__tx(l, copy_tx, p);
        run->rows += (int64_t)p->n;
        p->no += ARCHIVE_ROWS;
        if (p->no >= (int64_t)rain_shard_count(r.spec.count, r.spec.shards, p->shard)) {
            p->shard++;
            p->no = 0;
        }
    }
    if (!err && p->shard < r.spec.shards)
        run->out->more = true;
    return err;
}

static enum rr_err keep(struct ledger *l, struct run *run, struct one *p, bool copied)
{
    uint64_t n = copied ? 1 : 0;
    enum rr_err err = RR_OK;

    while (!err && n)
        err = delete_some(l,
                          "DELETE FROM rp_grant_archive WHERE code = ?"
                          " ORDER BY shard, packet_no LIMIT ?",
                          p->code, &n);
    if (!err && copied)
        err = ledger__tx(l, undo_tx, p);
    run->out->kept++;
    if (run->o->tell)
        run->o->tell(run->o->arg, p->code, p->why);
    return err;
}

static enum rr_err clear(struct ledger *l, struct run *run, struct one *p)
{
    /* Of risk control's decisions those about money stay: what was held, released, taken back. */
    static const char *const deletes[] = {
        "DELETE FROM rp_grant WHERE code = ? ORDER BY shard, packet_no LIMIT ?",
        "DELETE FROM rp_risk_mark WHERE code = ? ORDER BY user_id LIMIT ?",
        "DELETE FROM rp_risk WHERE code = ? AND decision <> 'hold' ORDER BY id LIMIT ?",
    };
    uint64_t n = 0;
    enum rr_err err = RR_OK;

    for (size_t i = 0; !err && !n && i < RR_COUNTOF(deletes); i++) {
        n = 1;
        while (!err && n && !spent(run)) {
            err = delete_some(l, deletes[i], p->code, &n);
            run->rows += err ? 0 : (int64_t)n;
        }
    }
    if (err || n) {
        run->out->more = true;
        return err;
    }
    err = db_stmt(l->db, "UPDATE rp_archive SET state = ? WHERE code = ?",
                  DB_ARGS(db_int(DONE), db_str(p->code)), NULL);
    if (!err) {
        int64_t grants = 0;

        err = read_int(l, "SELECT grants FROM rp_archive WHERE code = ?", p->code, &grants);
        run->out->moved++;
        run->out->grants += grants;
        if (run->o->tell)
            run->o->tell(run->o->arg, p->code, NULL);
    }
    return err;
}

static enum rr_err archive_one(struct ledger *l, struct run *run, struct one *p)
{
    enum rr_err err = RR_OK;

    if (p->state == 0) {
        err = ledger__tx(l, begin_tx, p);
        if (!err && p->why)
            return keep(l, run, p, false);
        p->state = COPYING;
    }
    if (!err && p->state == COPYING) {
        err = copy(l, run, p);
        if (err || run->out->more)
            return err;
        err = ledger__tx(l, move_tx, p);
        if (!err && p->why)
            return keep(l, run, p, true);
    }
    return err ? err : clear(l, run, p);
}

/* ---- all ---- */

static enum rr_err begun(struct ledger *l, struct run *run)
{
    uint32_t n = CODES_PAGE;
    char after[RR_CODE_LEN + 1] = "";
    enum rr_err err = RR_OK;

    for (int state = COPYING; !err && state <= MOVED; state++) {
        after[0] = 0;
        n = CODES_PAGE;
        while (!err && n == CODES_PAGE && !run->out->more) {
            struct db_rows rows = {.cols = 0};

            err = db_open(l->db);
            if (!err)
                err = db_select(l->db,
                                "SELECT code FROM rp_archive WHERE state = ? AND code > ?"
                                " ORDER BY code LIMIT ?",
                                DB_ARGS(db_int(state), db_str(after), db_int(CODES_PAGE)), &rows);
            n = rows.n;
            for (uint32_t i = 0; !err && i < n && !run->out->more; i++) {
                struct one p = {.code = after, .state = (enum archive_state)state};

                RR_ASSERT(db_copy(&rows, i, 0, after, sizeof(after)));
                err = archive_one(l, run, &p);
            }
            db_rows_fini(&rows);
        }
    }
    return err;
}

static enum rr_err begin_new(struct ledger *l, struct run *run)
{
    int64_t at_ms = 0;
    int64_t id = 0;
    uint32_t n = CODES_PAGE;
    enum rr_err err = RR_OK;

    while (!err && n == CODES_PAGE && !run->out->more) {
        struct db_rows rows = {.cols = 0};

        err = db_open(l->db);
        if (!err)
            err = db_select(l->db,
                            "SELECT settled_at, id, config_code FROM t_red_packet_config"
                            " WHERE settled_at < ? AND (settled_at > ? OR (settled_at = ? AND"
                            " id > ?)) ORDER BY settled_at, id LIMIT ?",
                            DB_ARGS(db_int(run->o->before_ms), db_int(at_ms), db_int(at_ms),
                                    db_int(id), db_int(CODES_PAGE)),
                            &rows);
        n = rows.n;
        for (uint32_t i = 0; !err && i < n && !run->out->more; i++) {
            char code[RR_CODE_LEN + 1];
            struct one p = {.code = code};

            at_ms = db_i64(&rows, i, 0);
            id = db_i64(&rows, i, 1);
            RR_ASSERT(db_copy(&rows, i, 2, code, sizeof(code)));
            if (spent(run))
                run->out->more = true;
            else
                err = archive_one(l, run, &p);
        }
        db_rows_fini(&rows);
    }
    return err;
}

/* ---- what belongs to no rain, by its age ---- */

/* Oldest first, a page at a time: only rows of the page are locked, and it ends at a page that has nothing old. */
struct pruning {
    const char *page; /* the highest old id of the first ARCHIVE_ROWS rows */
    const char *del;  /* up to it */
    int64_t before_ms;
};

static enum rr_err prune_page(struct ledger *l, const struct pruning *p, uint64_t *n)
{
    struct db_rows rows = {.cols = 0};
    int64_t last_id = 0;
    enum rr_err err = db_open(l->db);

    *n = 0;
    if (!err)
        err = db_select(l->db, p->page, DB_ARGS(db_int(ARCHIVE_ROWS), db_int(p->before_ms)), &rows);
    if (!err && rows.n)
        last_id = db_i64(&rows, 0, 0);
    db_rows_fini(&rows);
    if (err || last_id == 0)
        return err;
    return db_stmt(l->db, p->del, DB_ARGS(db_int(last_id), db_int(p->before_ms)), n);
}

static enum rr_err prune(struct ledger *l, struct run *run)
{
    const struct pruning all[] = {
        {"SELECT COALESCE(MAX(p.id), 0) FROM (SELECT id, created_at FROM rp_risk"
         " WHERE code IS NULL AND decision = 'deny' ORDER BY id LIMIT ?) p WHERE p.created_at < ?",
         "DELETE FROM rp_risk WHERE code IS NULL AND decision = 'deny' AND id <= ?"
         " AND created_at < ?",
         run->o->before_ms},
        {"SELECT COALESCE(MAX(p.id), 0) FROM (SELECT id, created_at FROM rp_audit"
         " ORDER BY id LIMIT ?) p WHERE p.created_at < ?",
         "DELETE FROM rp_audit WHERE id <= ? AND created_at < ?", run->o->audit_before_ms},
    };
    uint64_t n = 0;
    enum rr_err err = RR_OK;

    for (size_t i = 0; !err && !n && i < RR_COUNTOF(all); i++) {
        n = 1;
        while (!err && n && !spent(run)) {
            err = prune_page(l, &all[i], &n);
            run->rows += err ? 0 : (int64_t)n;
            run->out->pruned += err ? 0 : (int64_t)n;
        }
    }
    run->out->more = run->out->more || (!err && n);
    return err;
}

enum rr_err ledger_archive(struct ledger *l, const struct archive_opts *o,
                           struct archive_outcome *out)
{
    struct run run = {.o = o, .out = out};
    enum rr_err err = RR_OK;

    *out = (struct archive_outcome){.moved = 0};
    err = begun(l, &run);
    if (!err && !out->more)
        err = begin_new(l, &run);
    return err || out->more ? err : prune(l, &run);
}
