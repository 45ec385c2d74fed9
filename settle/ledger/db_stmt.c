#include "db_conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"

enum { ARGS_MAX = 32, COLS_MAX = 48 };

static enum rr_err fail_stmt(struct db *d, MYSQL_STMT *stmt)
{
    return db__fail(d, mysql_stmt_errno(stmt), mysql_stmt_error(stmt));
}

static enum rr_err prepare(struct db *d, const char *sql, MYSQL_STMT **out)
{
    MYSQL_STMT *stmt = NULL;

    for (uint32_t i = 0; i < d->stmt_n; i++) {
        if (d->stmts[i].sql == sql) {
            *out = d->stmts[i].stmt;
            return RR_OK;
        }
    }
    stmt = mysql_stmt_init(d->my);
    RR_ASSERT(stmt);
    if (mysql_stmt_prepare(stmt, sql, (unsigned long)strlen(sql)) != 0) {
        unsigned code = mysql_stmt_errno(stmt);
        char text[256];

        /* The statement goes before the connection it belongs to. */
        snprintf(text, sizeof(text), "%s", mysql_stmt_error(stmt));
        mysql_stmt_close(stmt);
        return db__fail(d, code, text);
    }
    if (d->stmt_n == DB_STMTS_MAX) {
        mysql_stmt_close(d->stmts[0].stmt);
        memmove(d->stmts, d->stmts + 1, (DB_STMTS_MAX - 1) * sizeof(d->stmts[0]));
        d->stmt_n--;
    }
    d->stmts[d->stmt_n++] = (struct db_cached){.sql = sql, .stmt = stmt};
    *out = stmt;
    return RR_OK;
}

static void bind_arg(MYSQL_BIND *b, const struct db_arg *a)
{
    memset(b, 0, sizeof(*b));
    switch (a->type) {
    case DB_NULL: b->buffer_type = MYSQL_TYPE_NULL; break;
    case DB_INT:
        b->buffer_type = MYSQL_TYPE_LONGLONG;
        b->buffer = (void *)(uintptr_t)&a->i;
        break;
    case DB_STR:
    case DB_BYTES:
        b->buffer_type = a->type == DB_STR ? MYSQL_TYPE_STRING : MYSQL_TYPE_BLOB;
        b->buffer = (void *)(uintptr_t)(a->s.p ? a->s.p : "");
        b->buffer_length = (unsigned long)a->s.len;
        break;
    }
}

static enum rr_err execute(struct db *d, const char *sql, const struct db_arg *args, size_t n,
                           MYSQL_STMT **out)
{
    MYSQL_BIND binds[ARGS_MAX];
    MYSQL_STMT *stmt = NULL;
    enum rr_err err = db__need(d);

    RR_ASSERT(n <= ARGS_MAX);
    if (!err)
        err = prepare(d, sql, &stmt);
    if (err)
        return err;
    RR_ASSERT(mysql_stmt_param_count(stmt) == n);
    for (size_t i = 0; i < n; i++)
        bind_arg(&binds[i], &args[i]);
    if (n && mysql_stmt_bind_param(stmt, binds) != 0)
        return fail_stmt(d, stmt);
    d->statements++;
    if (mysql_stmt_execute(stmt) != 0)
        return fail_stmt(d, stmt);
    d->last_used_us = rr_mono_us(rr_clock_system());
    *out = stmt;
    return RR_OK;
}

enum rr_err db_stmt(struct db *d, const char *sql, const struct db_arg *args, size_t n,
                    uint64_t *affected)
{
    MYSQL_STMT *stmt = NULL;
    enum rr_err err = execute(d, sql, args, n, &stmt);

    if (!err && affected)
        *affected = (uint64_t)mysql_stmt_affected_rows(stmt);
    return err;
}

struct columns {
    uint32_t n;
    MYSQL_BIND bind[COLS_MAX];
    char *buf[COLS_MAX];
    unsigned long len[COLS_MAX];
    db_bool null[COLS_MAX];
};

static void columns_bind(struct columns *c, MYSQL_RES *meta)
{
    const MYSQL_FIELD *fields = mysql_fetch_fields(meta);

    c->n = mysql_num_fields(meta);
    RR_ASSERT(c->n <= COLS_MAX);
    for (uint32_t i = 0; i < c->n; i++) {
        /* Numbers come as text too, whatever max_length says of their binary form. */
        size_t cap = fields[i].max_length > 64 ? fields[i].max_length : 64;

        c->buf[i] = rr_xcalloc(1, cap + 1);
        memset(&c->bind[i], 0, sizeof(c->bind[i]));
        c->bind[i].buffer_type = MYSQL_TYPE_STRING;
        c->bind[i].buffer = c->buf[i];
        c->bind[i].buffer_length = (unsigned long)cap;
        c->bind[i].length = &c->len[i];
        c->bind[i].is_null = &c->null[i];
    }
}

static enum rr_err fetch_all(struct db *d, MYSQL_STMT *stmt, struct columns *c, struct db_rows *out)
{
    int rc = 0;

    if (mysql_stmt_bind_result(stmt, c->bind) != 0)
        return fail_stmt(d, stmt);
    db__rows_init(out, c->n);
    while ((rc = mysql_stmt_fetch(stmt)) == 0) {
        for (uint32_t i = 0; i < c->n; i++)
            db__rows_add(out, i, c->null[i] ? NULL : c->buf[i], (size_t)c->len[i]);
    }
    RR_ASSERT(rc != MYSQL_DATA_TRUNCATED); /* buffers were sized from the stored result */
    if (rc != MYSQL_NO_DATA)
        return fail_stmt(d, stmt);
    return out->text.failed ? RR_TOO_BIG : RR_OK;
}

enum rr_err db_select(struct db *d, const char *sql, const struct db_arg *args, size_t n,
                      struct db_rows *out)
{
    struct columns *c = NULL;
    MYSQL_STMT *stmt = NULL;
    MYSQL_RES *meta = NULL;
    db_bool yes = 1;
    enum rr_err err = RR_OK;

    *out = (struct db_rows){.cols = 0};
    err = execute(d, sql, args, n, &stmt);
    if (err)
        return err;
    c = rr_xcalloc(1, sizeof(*c));
    mysql_stmt_attr_set(stmt, STMT_ATTR_UPDATE_MAX_LENGTH, &yes);
    if (mysql_stmt_store_result(stmt) != 0) {
        err = fail_stmt(d, stmt);
        goto out;
    }
    meta = mysql_stmt_result_metadata(stmt);
    RR_ASSERT(meta); /* only statements with a result come here */
    columns_bind(c, meta);
    err = fetch_all(d, stmt, c, out);
    if (d->my)
        mysql_stmt_free_result(stmt);
out:
    if (meta)
        mysql_free_result(meta);
    for (uint32_t i = 0; i < c->n; i++)
        free(c->buf[i]);
    free(c);
    if (err)
        db_rows_fini(out);
    return err;
}
