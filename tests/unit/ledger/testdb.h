/* testdb.h - a MariaDB server of this test binary alone: own data folder, own port, gone with the process. */
#ifndef TESTS_LEDGER_TESTDB_H
#define TESTS_LEDGER_TESTDB_H

#include <stdbool.h>
#include <stdint.h>

#include "ledger/ledger.h"

/* cmocka group setup and teardown. Without mariadbd in PATH every test that calls testdb_need() is skipped. */
int testdb_setup(void **state);
int testdb_teardown(void **state);

/* A ledger on a fresh, migrated database of its own. Destroy it with testdb_close(). */
struct ledger *testdb_open(void);
/* One more connection to the database of the last testdb_open(). */
struct ledger *testdb_again(void);
void testdb_close(struct ledger *l);
const char *testdb_url(void); /* of the last testdb_open() */

/* Straight SQL, for planting and looking. */
void testdb_exec(struct ledger *l, const char *sql);
int64_t testdb_int(struct ledger *l,
                   const char *sql); /* first cell; fails the test when there is none */
__attribute__((format(printf, 2, 3))) int64_t testdb_intf(struct ledger *l, const char *fmt, ...);
__attribute__((format(printf, 2, 3))) void testdb_execf(struct ledger *l, const char *fmt, ...);

#endif
