/* redis_fixture.h - a redis-server of the test's own: free port, temporary directory, every write on disk before its answer.
 * Tests end when it cannot be started: a missing redis-server is a failure, not a skip. */
#ifndef TEST_REDIS_FIXTURE_H
#define TEST_REDIS_FIXTURE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>
#include <sys/types.h>

#include "store/store_opts.h"

struct redis_fixture {
    char dir[64];
    char url[64];
    char password[32]; /* "" when none */
    int port;
    int bus_port;
    bool cluster;      /* --cluster-enabled; set before redis_start */
    pid_t pid;         /* 0: not running */
    redisContext *ctx; /* for the test's own look inside; made again after a restart */
};

void redis_start(struct redis_fixture *f);
/* Starts again on the same port and data: another run id. */
void redis_restart(struct redis_fixture *f);
/* Never signals anything but the server: without one the test fails. */
void redis_signal(const struct redis_fixture *f, int sig);
/* For a test's own setup: whatever the one before left, the server runs. */
void redis_ensure(struct redis_fixture *f);
void redis_kill9(struct redis_fixture *f);
/* Kills, and removes the directory. */
void redis_stop(struct redis_fixture *f);

/* One command of the test; fails the test when there is no answer. */
__attribute__((format(printf, 2, 3))) redisReply *redis_do(struct redis_fixture *f, const char *fmt,
                                                           ...);
__attribute__((format(printf, 2, 3))) int64_t redis_do_int(struct redis_fixture *f, const char *fmt,
                                                           ...);
/* Result in a static buffer; "" for nil. */
__attribute__((format(printf, 2, 3))) const char *redis_do_str(struct redis_fixture *f,
                                                               const char *fmt, ...);
struct store_opts redis_opts(const struct redis_fixture *f, const char *name);
int64_t test_now_ms(void);

#endif
