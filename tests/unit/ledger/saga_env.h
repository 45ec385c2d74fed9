/* saga_env.h - what tests of a rain's steps stand on: a database, a pool and a notifier in memory. */
#ifndef TESTS_LEDGER_SAGA_ENV_H
#define TESTS_LEDGER_SAGA_ENV_H

#include "fakes.h"
#include "protocol/unpack.h"
#include "rains.h"
#include "testdb.h"

extern struct fakes f;
extern struct ledger *l;
extern struct saga saga;

void begin(void); /* fresh books and an empty pool */
void end(void);   /* the books must add up */
/* A rain that is open now. */
struct rain_info started(int64_t total_fen, uint32_t count, uint32_t shards, uint32_t limit);
/* The grant's record arrives and is settled. */
void settle_grant(const struct rain_info *r, uint32_t shard, const struct pool_grant *g);
/* Runs the tasks that are due after_ms from now. */
void run_due(int64_t after_ms);
struct unpack_value map_of(const struct fake_push *p);
int64_t int_of(const struct fake_push *p, const char *key);

#endif
