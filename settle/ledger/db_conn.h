/* db_conn.h - what db.c, db_stmt.c and db_rows.c share. */
#ifndef SETTLE_LEDGER_DB_CONN_H
#define SETTLE_LEDGER_DB_CONN_H

#include <mysql.h>

#include "db.h"
#include "db_url.h"

#ifdef MARIADB_PACKAGE_VERSION_ID
typedef my_bool db_bool;
#else
typedef bool db_bool;
#endif

enum { DB_STMTS_MAX = 64 };

struct db_cached {
    const char *sql; /* compared by address */
    MYSQL_STMT *stmt;
};

struct db {
    MYSQL *my; /* NULL: not connected */
    struct db_url url;
    bool tls;
    bool tls_verify;
    char *tls_ca_file; /* owned */
    int timeout_s;
    int default_timeout_s;
    bool mariadb;
    bool in_tx;
    uint32_t version;
    unsigned last_errno;
    int64_t last_used_us;
    uint64_t statements;
    uint64_t deadlocks;
    uint32_t stmt_n;
    struct db_cached stmts[DB_STMTS_MAX];
    char error[300];
};

/* Notes the failure, counts deadlocks, drops a broken connection. */
enum rr_err db__fail(struct db *d, unsigned code, const char *text);
enum rr_err db__need(struct db *d);
void db__rows_init(struct db_rows *r, uint32_t cols);
/* Cells in row order; p NULL is SQL's NULL. */
void db__rows_add(struct db_rows *r, uint32_t col, const char *p, size_t len);

#endif
