#include "db.h"

#include <errmsg.h>
#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "db_conn.h"

static const char session_sql[] =
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION',"
    " time_zone = '+00:00', autocommit = 1, wait_timeout = 10, innodb_lock_wait_timeout = 5";

enum rr_err db_create(struct db **out, const char *url, const char *namespace_, int timeout_s)
{
    struct db *d = rr_xcalloc(1, sizeof(*d));
    const char *what = "";
    enum rr_err err = RR_OK;

    *out = NULL;
    err = db_url_parse(url, namespace_, &d->url, &what);
    if (err) {
        free(d);
        return err;
    }
    d->default_timeout_s = timeout_s > 0 ? timeout_s : 2;
    d->timeout_s = d->default_timeout_s;
    *out = d;
    return RR_OK;
}

void db_destroy(struct db *d)
{
    if (!d)
        return;
    db_close(d);
    explicit_bzero(&d->url, sizeof(d->url));
    free(d->tls_ca_file);
    free(d);
}

void db_set_tls(struct db *d, const char *mode, const char *ca_file)
{
    free(d->tls_ca_file);
    d->tls_verify = mode && strcmp(mode, "verify") == 0;
    d->tls = d->tls_verify || (mode && strcmp(mode, "required") == 0);
    d->tls_ca_file = rr_xstrdup(ca_file ? ca_file : "");
}

const char *db_name(const struct db *d)
{
    return d->url.database;
}

const char *db_error(const struct db *d)
{
    return d->error;
}

void db_set_error(struct db *d, const char *text)
{
    snprintf(d->error, sizeof(d->error), "%s", text);
}

unsigned db_errno(const struct db *d)
{
    return d->last_errno;
}

uint64_t db_statements(const struct db *d)
{
    return d->statements;
}

uint64_t db_deadlocks(const struct db *d)
{
    return d->deadlocks;
}

void db_in_tx(struct db *d, bool in_tx)
{
    d->in_tx = in_tx;
}

void db_set_timeout(struct db *d, int timeout_s)
{
    d->timeout_s = timeout_s ? timeout_s : d->default_timeout_s;
}

uint32_t db_version(const struct db *d, bool *mariadb)
{
    *mariadb = d->mariadb;
    return d->version;
}

void db_close(struct db *d)
{
    for (uint32_t i = 0; i < d->stmt_n; i++)
        mysql_stmt_close(d->stmts[i].stmt);
    d->stmt_n = 0;
    if (d->my)
        mysql_close(d->my);
    d->my = NULL;
}

/* One class per server or client error number; the table of MONEY.md section 4. */
static enum rr_err classify(unsigned code)
{
    switch (code) {
    case 1213: /* deadlock */
    case 1205: /* lock wait timeout */
    case 1020: /* record has changed since last read */ return RR_RETRY;
    case 1062: /* duplicate key */
    case 1586: return RR_DUPLICATE;
    case 3819: /* CHECK violated, MySQL */
    case 4025: /* CHECK violated, MariaDB */ return RR_CORRUPT;
    case 1040: /* too many connections */
    case 1042:
    case 1043:
    case 1044:
    case 1045:
    case 1049: /* not (yet) allowed in, no database */
    case 1053: /* server shutdown */
    case 1077:
    case 1079:
    case 1080:
    case 1129:
    case 1152:
    case 1153:
    case 1158:
    case 1159:
    case 1160:
    case 1161: /* broken in the middle */
    case 1203:
    case 1226: /* too many of this user */
    case 1290:
    case 1792:
    case 1836: /* read only */
    case 1317:
    case 1927:
    case 1969:
    case 3024: /* killed, timed out */
    case 4031: /* disconnected for inactivity, MySQL */ return RR_UNAVAILABLE;
    default:
        /* 2000 and up: errors of the client library, all about the connection. */
        return code >= CR_MIN_ERROR && code < 3000 ? RR_UNAVAILABLE : RR_SYSTEM;
    }
}

enum rr_err db__fail(struct db *d, unsigned code, const char *text)
{
    enum rr_err err = classify(code);

    d->last_errno = code;
    snprintf(d->error, sizeof(d->error), "%u: %s", code, text);
    if (code == 1213)
        d->deadlocks++;
    if (err == RR_UNAVAILABLE)
        db_close(d);
    return err;
}

static enum rr_err fail_conn(struct db *d)
{
    return db__fail(d, mysql_errno(d->my), mysql_error(d->my));
}

/* Said in full in every mode: from Connector/C 3.4 on the certificate is checked unless told otherwise, before it never was, and
 * neither library encrypts (or refuses not to) without being asked. */
static void set_tls(const struct db *d)
{
#ifdef MARIADB_PACKAGE_VERSION_ID
    db_bool enforce = d->tls;
    db_bool verify = d->tls_verify;

    mysql_options(d->my, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
    if (d->tls) {
        mysql_options(d->my, MYSQL_OPT_SSL_ENFORCE, &enforce);
        mysql_options(d->my, MARIADB_OPT_TLS_VERSION, "TLSv1.2,TLSv1.3");
    }
#else
    unsigned mode = d->tls_verify ? SSL_MODE_VERIFY_IDENTITY
                    : d->tls      ? SSL_MODE_REQUIRED
                                  : SSL_MODE_DISABLED;

    mysql_options(d->my, MYSQL_OPT_SSL_MODE, &mode);
    if (d->tls)
        mysql_options(d->my, MYSQL_OPT_TLS_VERSION, "TLSv1.2,TLSv1.3");
#endif
    if (d->tls_verify)
        mysql_options(d->my, MYSQL_OPT_SSL_CA, d->tls_ca_file);
}

static enum rr_err connect_to(struct db *d, const char *database)
{
    unsigned timeout_s = (unsigned)d->timeout_s;
    unsigned protocol = d->url.socket[0] ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
    const char *v = NULL;
    unsigned major = 0;
    unsigned minor = 0;
    unsigned patch = 0;

    d->my = mysql_init(NULL);
    RR_ASSERT(d->my);
    mysql_options(d->my, MYSQL_OPT_CONNECT_TIMEOUT, &timeout_s);
    mysql_options(d->my, MYSQL_OPT_READ_TIMEOUT, &timeout_s);
    mysql_options(d->my, MYSQL_OPT_WRITE_TIMEOUT, &timeout_s);
    mysql_options(d->my, MYSQL_OPT_PROTOCOL, &protocol);
    mysql_options(d->my, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    set_tls(d);
    if (!mysql_real_connect(d->my, d->url.host, d->url.user, d->url.password, database, d->url.port,
                            d->url.socket[0] ? d->url.socket : NULL, CLIENT_FOUND_ROWS))
        return fail_conn(d);
    v = mysql_get_server_info(d->my);
    d->mariadb = strstr(v, "MariaDB") != NULL;
    if (strncmp(v, "5.5.5-", 6) == 0) /* how MariaDB 10 greets old clients */
        v += 6;
    if (sscanf(v, "%u.%u.%u", &major, &minor, &patch) < 2)
        major = 0;
    d->version = major * 10000 + minor * 100 + patch;
    d->last_used_us = rr_mono_us(rr_clock_system());
    return RR_OK;
}

static enum rr_err session_init(struct db *d)
{
    enum rr_err err = db_execs(d, session_sql);

    if (!err)
        err = db_execs(d, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
    if (err)
        db_close(d);
    return err;
}

/* Half of wait_timeout would do; a check costs a round trip, so only after a pause. */
enum { IDLE_CHECK_US = 2000000 };

static bool alive(struct db *d)
{
    int64_t now_us = rr_mono_us(rr_clock_system());

    if (now_us - d->last_used_us < IDLE_CHECK_US)
        return true;
    if (mysql_ping(d->my) != 0) {
        db_close(d);
        return false;
    }
    d->last_used_us = now_us;
    return true;
}

enum rr_err db_open(struct db *d)
{
    enum rr_err err = RR_OK;

    if (d->in_tx)
        return db__need(d);
    if (d->my && alive(d))
        return RR_OK;
    err = connect_to(d, d->url.database);
    return err ? err : session_init(d);
}

enum rr_err db_open_create(struct db *d)
{
    char sql[160];
    enum rr_err err = db_open(d);

    if (err != RR_UNAVAILABLE || d->last_errno != 1049)
        return err;
    err = connect_to(d, NULL);
    if (err)
        return err;
    snprintf(sql, sizeof(sql), "CREATE DATABASE IF NOT EXISTS `%s` CHARACTER SET utf8mb4",
             d->url.database);
    err = db_execs(d, sql);
    db_close(d);
    return err ? err : db_open(d);
}

enum rr_err db__need(struct db *d)
{
    if (d->my)
        return RR_OK;
    db_set_error(d, "not connected");
    return RR_UNAVAILABLE;
}

enum rr_err db_exec(struct db *d, const char *sql, size_t len, uint64_t *affected)
{
    enum rr_err err = db__need(d);

    if (err)
        return err;
    d->statements++;
    if (mysql_real_query(d->my, sql, (unsigned long)len) != 0)
        return fail_conn(d);
    if (mysql_field_count(d->my) > 0) { /* a result nobody wants */
        MYSQL_RES *res = mysql_store_result(d->my);

        if (!res)
            return fail_conn(d);
        mysql_free_result(res);
    }
    if (affected)
        *affected = (uint64_t)mysql_affected_rows(d->my);
    d->last_used_us = rr_mono_us(rr_clock_system());
    return RR_OK;
}

enum rr_err db_execs(struct db *d, const char *sql)
{
    return db_exec(d, sql, strlen(sql), NULL);
}

enum rr_err db_exec_buf(struct db *d, struct rr_buf *b, uint64_t *affected)
{
    enum rr_err err = b->failed ? RR_TOO_BIG : db_exec(d, b->p, b->len, affected);

    rr_buf_clear(b);
    return err;
}

enum rr_err db_query(struct db *d, const char *sql, size_t len, struct db_rows *out)
{
    enum rr_err err = db__need(d);
    MYSQL_RES *res = NULL;
    MYSQL_ROW row = NULL;

    *out = (struct db_rows){.cols = 0};
    if (err)
        return err;
    d->statements++;
    if (mysql_real_query(d->my, sql, (unsigned long)len) != 0)
        return fail_conn(d);
    res = mysql_store_result(d->my);
    if (!res)
        return fail_conn(d);
    db__rows_init(out, mysql_num_fields(res));
    while ((row = mysql_fetch_row(res))) {
        const unsigned long *lens = mysql_fetch_lengths(res);

        for (uint32_t c = 0; c < out->cols; c++)
            db__rows_add(out, c, row[c], (size_t)lens[c]);
    }
    mysql_free_result(res);
    d->last_used_us = rr_mono_us(rr_clock_system());
    if (out->text.failed) {
        db_rows_fini(out);
        return RR_TOO_BIG;
    }
    return RR_OK;
}

enum rr_err db_query_buf(struct db *d, struct rr_buf *b, struct db_rows *out)
{
    enum rr_err err = RR_TOO_BIG;

    *out = (struct db_rows){.cols = 0};
    if (!b->failed)
        err = db_query(d, b->p, b->len, out);
    rr_buf_clear(b);
    return err;
}
