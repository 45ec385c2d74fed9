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

static enum rr_err schema_version(struct ledger *l, int *version)
{
    struct db_rows rows;
    enum rr_err err =
        db_select(l->db, "SELECT COALESCE(MAX(version), 0) FROM rp_schema", NULL, 0, &rows);

    if (!err)
        *version = (int)db_i64(&rows, 0, 0);
    db_rows_fini(&rows);
    return err;
}

enum rr_err ledger_ping(struct ledger *l)
{
    int version = 0;
    enum rr_err err = db_open(l->db);

    if (!err)
        err = server_check(l);
    if (!err)
        err = schema_version(l, &version);
    if (err == RR_SYSTEM && db_errno(l->db) == 1146) {
        db_set_error(l->db, "the schema is missing: run redrainctl migrate");
        return RR_UNAVAILABLE;
    }
    if (!err && version < newest_version()) {
        db_set_error(l->db, "the schema is old: run redrainctl migrate");
        return RR_UNAVAILABLE;
    }
    return err;
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
    snprintf(sql, sizeof(sql), "INSERT INTO rp_schema (version, name) VALUES (%d, '%s')",
             f->version, f->name);
    return db_execs(l->db, sql);
}

static enum rr_err migrate_locked(struct ledger *l)
{
    int have = 0;
    enum rr_err err = db_execs(l->db, "CREATE TABLE IF NOT EXISTS rp_schema (version INT NOT NULL,"
                                      " name VARCHAR(64) NOT NULL, applied_at TIMESTAMP NOT NULL"
                                      " DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY (version))"
                                      " ENGINE = InnoDB DEFAULT CHARSET = utf8mb4");

    if (!err)
        err = schema_version(l, &have);
    for (const struct schema_file *f = schema_files; !err && f->version; f++) {
        if (f->version <= have)
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
