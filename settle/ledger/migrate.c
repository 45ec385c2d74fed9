/* migrate.c - brings a database to the newest schema; refuses servers too old to enforce CHECKs or to skip locked rows. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "ledger_impl.h"
#include "schema.h"

enum { MYSQL_MIN = 80016, MARIADB_MIN = 100600 };

static int newest_version(void)
{
    int v = 0;

    for (const struct schema_file *f = schema_files; f->version; f++)
        v = f->version;
    return v;
}

static enum rr_err server_check(struct ledger *l)
{
    bool mariadb = false;
    uint32_t v = db_version(l->db, &mariadb);

    if (v >= (uint32_t)(mariadb ? MARIADB_MIN : MYSQL_MIN))
        return RR_OK;
    db_set_error(l->db, "server too old: needs MySQL >= 8.0.16 or MariaDB >= 10.6");
    return RR_CONFIG;
}

static int file_count(void)
{
    int n = 0;

    while (schema_files[n].version)
        n++;
    return n;
}

/* What is applied of what this program knows, and the oldest program that may still use it. */
struct schema_state {
    int applied;
    int compatible_from;
};

static enum rr_err schema_read(struct ledger *l, struct schema_state *out)
{
    struct db_arg newest = db_int(newest_version());
    struct db_rows rows;
    enum rr_err err = db_select(l->db,
                                "SELECT COUNT(CASE WHEN version <= ? THEN 1 END),"
                                " COALESCE(MAX(compatible_from), 1) FROM rp_schema",
                                &newest, 1, &rows);

    if (!err)
        *out = (struct schema_state){.applied = (int)db_i64(&rows, 0, 0),
                                     .compatible_from = (int)db_i64(&rows, 0, 1)};
    db_rows_fini(&rows);
    return err;
}

/* Of what was read; says in the ledger's error what is to be done. */
static enum rr_err schema_judge(struct ledger *l, const struct schema_state *is)
{
    char text[160];

    if (is->compatible_from > newest_version()) {
        snprintf(text, sizeof(text),
                 "the schema is too new: it needs a program of version %d, this one knows %d",
                 is->compatible_from, newest_version());
        db_set_error(l->db, text);
        return RR_UNAVAILABLE;
    }
    if (is->applied < file_count()) {
        db_set_error(l->db, "the schema is old: run redrainctl migrate");
        return RR_UNAVAILABLE;
    }
    return RR_OK;
}

enum rr_err ledger_ping(struct ledger *l)
{
    enum { NO_SUCH_COLUMN = 1054, NO_SUCH_TABLE = 1146 };
    struct schema_state is = {0};
    enum rr_err err = db_open(l->db);

    if (!err)
        err = server_check(l);
    if (!err)
        err = schema_read(l, &is);
    if (err == RR_SYSTEM && db_errno(l->db) == NO_SUCH_TABLE) {
        db_set_error(l->db, "the schema is missing: run redrainctl migrate");
        return RR_UNAVAILABLE;
    }
    if (err == RR_SYSTEM && db_errno(l->db) == NO_SUCH_COLUMN) /* older than its first version */
        return schema_judge(l, &(struct schema_state){.applied = 0});
    return err ? err : schema_judge(l, &is);
}

/* Said in its first line; 1: everybody. */
static int compatible_from_of(const struct schema_file *f)
{
    int v = 1;

    return sscanf(f->sql, "-- compatible_from: %d", &v) == 1 ? v : 1;
}

static enum rr_err run_file(struct ledger *l, const struct schema_file *f)
{
    const char *at = f->sql;
    const char *end = NULL;
    char sql[200];
    enum rr_err err = RR_OK;

    while (!err && (end = strstr(at, ";\n"))) {
        err = db_exec(l->db, at, (size_t)(end - at), NULL);
        at = end + 2;
    }
    if (err)
        return err;
    if (compatible_from_of(f) > 1)
        snprintf(sql, sizeof(sql),
                 "INSERT INTO rp_schema (version, name, compatible_from) VALUES (%d, '%s', %d)",
                 f->version, f->name, compatible_from_of(f));
    else /* also before there was the column */
        snprintf(sql, sizeof(sql), "INSERT INTO rp_schema (version, name) VALUES (%d, '%s')",
                 f->version, f->name);
    return db_execs(l->db, sql);
}

static enum rr_err is_applied(struct ledger *l, const struct schema_file *f, bool *yes)
{
    struct db_arg version = db_int(f->version);
    struct db_rows rows;
    enum rr_err err =
        db_select(l->db, "SELECT COUNT(*) FROM rp_schema WHERE version = ?", &version, 1, &rows);

    if (!err)
        *yes = db_i64(&rows, 0, 0) > 0;
    db_rows_fini(&rows);
    return err;
}

static enum rr_err migrate_locked(struct ledger *l)
{
    bool have = false;
    enum rr_err err = db_execs(l->db, "CREATE TABLE IF NOT EXISTS rp_schema (version INT NOT NULL,"
                                      " name VARCHAR(64) NOT NULL, applied_at TIMESTAMP NOT NULL"
                                      " DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY (version))"
                                      " ENGINE = InnoDB DEFAULT CHARSET = utf8mb4");

    for (const struct schema_file *f = schema_files; !err && f->version; f++) {
        err = is_applied(l, f, &have);
        if (err || have)
            continue;
        err = run_file(l, f);
        if (!err)
            log_notice("schema_applied", "%s in database %s", f->name, db_name(l->db));
    }
    return err;
}

enum rr_err ledger_migrate(struct ledger *l)
{
    struct db_rows rows = {.cols = 0};
    enum rr_err err = db_open_create(l->db);

    if (!err)
        err = server_check(l);
    if (!err)
        err = db_select(l->db, "SELECT GET_LOCK(CONCAT('redrain_migrate_', DATABASE()), 1)", NULL,
                        0, &rows);
    if (err)
        return err;
    if (db_i64(&rows, 0, 0) != 1) {
        db_rows_fini(&rows);
        db_set_error(l->db, "another migrate is running");
        return RR_RETRY;
    }
    db_rows_fini(&rows);
    err = migrate_locked(l);
    db_close(l->db); /* drops the lock, and statements that saw the old schema */
    return err;
}
