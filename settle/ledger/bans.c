/* bans.c - rows of rp_ban. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/bans.h"
#include "ledger_impl.h"

static const char *const names[BAN_SCOPES] = {[BAN_USER] = "user", [BAN_ADDRESS] = "address"};

#define HOLDS "lifted_at IS NULL AND (until_at IS NULL OR until_at > ?)"

const char *ban_scope_name(enum ban_scope scope)
{
    return names[scope];
}

bool ban_scope_parse(struct rr_slice name, enum ban_scope *out)
{
    for (int i = 0; i < BAN_SCOPES; i++) {
        if (rr_slice_eq_str(name, names[i])) {
            *out = (enum ban_scope)i;
            return true;
        }
    }
    return false;
}

void ban_subject_print(enum ban_scope scope, uint64_t who, char out[BAN_SUBJECT_MAX + 1])
{
    if (scope == BAN_USER)
        snprintf(out, BAN_SUBJECT_MAX + 1, "%" PRId64, (int64_t)who);
    else
        snprintf(out, BAN_SUBJECT_MAX + 1, "%016" PRIx64, who);
}

enum rr_err ban_subject_parse(enum ban_scope scope, struct rr_slice text, uint64_t *out)
{
    char s[BAN_SUBJECT_MAX + 1];
    char again[BAN_SUBJECT_MAX + 1];
    uint64_t who = 0;

    if (!rr_slice_copy(text, s, sizeof(s)))
        return RR_BAD_REQUEST;
    errno = 0;
    who = strtoull(s, NULL, scope == BAN_USER ? 10 : 16);
    if (errno || who == 0 || (scope == BAN_USER && who > INT64_MAX))
        return RR_BAD_REQUEST;
    /* One spelling only. */
    ban_subject_print(scope, who, again);
    if (strcmp(s, again) != 0)
        return RR_BAD_REQUEST;
    *out = who;
    return RR_OK;
}

/* ---- changes ---- */

static enum rr_err end_open(struct ledger *l, enum ban_scope scope, uint64_t who, const char *by,
                            int64_t now_ms, uint64_t *n)
{
    char subject[BAN_SUBJECT_MAX + 1];

    ban_subject_print(scope, who, subject);
    return db_stmt(
        l->db,
        "UPDATE rp_ban SET lifted_at = ?, lifted_by = ? WHERE scope = ? AND subject = ?"
        " AND " HOLDS,
        DB_ARGS(db_int(now_ms), db_str(by), db_str(names[scope]), db_str(subject), db_int(now_ms)),
        n);
}

static enum rr_err add_tx(struct ledger *l, void *arg)
{
    struct ban_row *b = arg;
    char subject[BAN_SUBJECT_MAX + 1];
    uint64_t n = 0;
    enum rr_err err = RR_OK;

    b->created_at_ms = ledger__now_ms();
    ban_subject_print(b->scope, b->who, subject);
    err = end_open(l, b->scope, b->who, b->made_by, b->created_at_ms, &n);
    if (err)
        return err;
    return db_stmt(l->db,
                   "INSERT INTO rp_ban (scope, subject, reason, made_by, created_at, until_at)"
                   " VALUES (?, ?, ?, ?, ?, ?)",
                   DB_ARGS(db_str(names[b->scope]), db_str(subject), db_str(b->reason),
                           db_str(b->made_by), db_int(b->created_at_ms),
                           b->until_ms == INT64_MAX ? db_null() : db_int(b->until_ms)),
                   NULL);
}

enum rr_err ledger_ban_add(struct ledger *l, struct ban_row *b)
{
    if (b->who == 0 || !b->reason[0] || !b->made_by[0])
        return RR_BAD_REQUEST;
    return ledger__tx(l, add_tx, b);
}

enum rr_err ledger_ban_lift(struct ledger *l, enum ban_scope scope, uint64_t who,
                            const char *lifted_by)
{
    uint64_t n = 0;
    enum rr_err err = db_open(l->db);

    if (!err)
        err = end_open(l, scope, who, lifted_by, ledger__now_ms(), &n);
    return err ? err : n ? RR_OK : RR_NOT_FOUND;
}

/* ---- reading ---- */

static bool row_read(const struct db_rows *rows, uint32_t i, struct ban_row *b)
{
    *b = (struct ban_row){.id = db_i64(rows, i, 0),
                          .created_at_ms = db_i64(rows, i, 5),
                          .until_ms = db_null_at(rows, i, 6) ? INT64_MAX : db_i64(rows, i, 6)};
    return ban_scope_parse(db_text(rows, i, 1), &b->scope) &&
           ban_subject_parse(b->scope, db_text(rows, i, 2), &b->who) == RR_OK &&
           db_copy(rows, i, 3, b->reason, sizeof(b->reason)) &&
           db_copy(rows, i, 4, b->made_by, sizeof(b->made_by));
}

enum rr_err ledger_ban_each(struct ledger *l, uint32_t max, ledger_ban_fn fn, void *arg)
{
    struct db_rows rows = {.cols = 0};
    struct ban_row b;
    enum rr_err err = db_open(l->db);

    if (!err)
        err = db_select(l->db,
                        "SELECT id, scope, subject, reason, made_by, created_at, until_at"
                        " FROM rp_ban WHERE " HOLDS " ORDER BY id DESC LIMIT ?",
                        DB_ARGS(db_int(ledger__now_ms()), db_int(max)), &rows);
    for (uint32_t i = 0; !err && i < rows.n; i++) {
        if (row_read(&rows, i, &b))
            fn(arg, &b);
    }
    db_rows_fini(&rows);
    return err;
}
