/* db.h - one connection to MySQL or MariaDB, with the part of the C API both client libraries share.
 * Why: every error becomes one class the callers can act on, and every string from outside goes through a prepared statement.
 * Guarantees: strict SQL mode, READ COMMITTED, UTC, utf8mb4; wait_timeout 10 s and innodb_lock_wait_timeout 5 s, so that a
 * paused process does not hold row locks for long. No automatic reconnect inside a transaction.
 * Errors: RR_RETRY (deadlock, lock timeout, record changed: the server rolled back or nothing was done), RR_UNAVAILABLE (no
 * connection, server going down or read only: the connection is dropped), RR_DUPLICATE (unique key), RR_CORRUPT (CHECK),
 * RR_SYSTEM (anything else; db_error() has the server's text).
 * Thread: one at a time. Not here: what the statements mean. */
#ifndef SETTLE_LEDGER_DB_H
#define SETTLE_LEDGER_DB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

struct db;

/* Does not connect. RR_CONFIG: the URL or the resulting database name is malformed. */
RR_MUST_CHECK enum rr_err db_create(struct db **out, const char *url, const char *namespace_,
                                    int timeout_s);
/* "off", "required" or "verify" (NULL: off), and the authority's file for the last. Before the first db_open(). */
void db_set_tls(struct db *d, const char *mode, const char *ca_file);
void db_destroy(struct db *d); /* NULL-safe */
const char *db_name(const struct db *d);
/* Text of the last failure, without secrets. */
const char *db_error(const struct db *d);
void db_set_error(struct db *d, const char *text);
unsigned db_errno(const struct db *d);
/* Statements sent on this connection object, transactions' own too. */
uint64_t db_statements(const struct db *d);
/* Deadlocks the server reported on this connection object. */
uint64_t db_deadlocks(const struct db *d);
void db_set_timeout(struct db *d, int timeout_s); /* of the next connection; 0: as created */

/* Connects if there is no connection, or if an idle one turns out to be dead. Never inside a transaction. */
RR_MUST_CHECK enum rr_err db_open(struct db *d);
/* As db_open, but creates the database when it does not exist. */
RR_MUST_CHECK enum rr_err db_open_create(struct db *d);
void db_close(struct db *d);
/* Between true and false db_open() never connects: the rest of a transaction must not run on another connection. */
void db_in_tx(struct db *d, bool in_tx);

/* Text SQL: only integers and checked codes may be spliced in. affected counts matched rows; may be NULL. */
RR_MUST_CHECK enum rr_err db_exec(struct db *d, const char *sql, size_t len, uint64_t *affected);
RR_MUST_CHECK enum rr_err db_execs(struct db *d, const char *sql); /* NUL-terminated, no count */
/* Runs what was appended to b; RR_TOO_BIG when b failed. Clears b. */
RR_MUST_CHECK enum rr_err db_exec_buf(struct db *d, struct rr_buf *b, uint64_t *affected);

/* ---- arguments of prepared statements ---- */
enum db_type { DB_NULL, DB_INT, DB_STR, DB_BYTES };
struct db_arg {
    enum db_type type;
    int64_t i;
    struct rr_slice s;
};
static inline struct db_arg db_int(int64_t v)
{
    return (struct db_arg){.type = DB_INT, .i = v};
}
static inline struct db_arg db_slice(struct rr_slice s)
{
    return (struct db_arg){.type = DB_STR, .s = s};
}
static inline struct db_arg db_str(const char *s)
{
    return db_slice(rr_slice_str(s));
}
static inline struct db_arg db_bytes(const void *p, size_t len)
{
    return (struct db_arg){.type = DB_BYTES, .s = rr_slice_of(p, len)};
}
static inline struct db_arg db_null(void)
{
    return (struct db_arg){.type = DB_NULL};
}
#define DB_ARGS(...)                                                                               \
    (const struct db_arg[]){__VA_ARGS__},                                                          \
        sizeof((const struct db_arg[]){__VA_ARGS__}) / sizeof(struct db_arg)

/* sql: a string constant (the statement is cached by its address). */
RR_MUST_CHECK enum rr_err db_stmt(struct db *d, const char *sql, const struct db_arg *args,
                                  size_t n, uint64_t *affected);

/* ---- results: a copy of all rows, independent of the connection ---- */
struct db_cell {
    size_t at; /* offset into text */
    uint32_t len;
    bool null;
};
struct db_rows {
    struct rr_buf text;
    struct db_cell *cells; /* n * cols */
    uint32_t cols;
    uint32_t n;
    uint32_t alloc;
};
/* On errors out is empty; fini is always safe on a zeroed or filled one. */
RR_MUST_CHECK enum rr_err db_query(struct db *d, const char *sql, size_t len, struct db_rows *out);
RR_MUST_CHECK enum rr_err db_query_buf(struct db *d, struct rr_buf *b, struct db_rows *out);
RR_MUST_CHECK enum rr_err db_select(struct db *d, const char *sql, const struct db_arg *args,
                                    size_t n, struct db_rows *out);
void db_rows_fini(struct db_rows *r);
bool db_null_at(const struct db_rows *r, uint32_t row, uint32_t col);
int64_t db_i64(const struct db_rows *r, uint32_t row, uint32_t col); /* NULL -> 0 */
struct rr_slice db_text(const struct db_rows *r, uint32_t row, uint32_t col);
/* Copies text into dst[cap]; false when it does not fit. */
bool db_copy(const struct db_rows *r, uint32_t row, uint32_t col, char *dst, size_t cap);

/* ---- for migrate ---- */
/* Server version: major * 10000 + minor * 100 + patch. */
uint32_t db_version(const struct db *d, bool *mariadb);

#endif
