/* rains.h - rains and records for tests of the books. */
#ifndef TESTS_LEDGER_RAINS_H
#define TESTS_LEDGER_RAINS_H

#include "ledger/settle_batch.h"
#include "ledger_impl.h"

#define RID "0123456789abcdef0123456789abcdef01234567"
#define OLD_RID "ffffffffffffffffffffffffffffffffffffffff"
#define TOPIC "grants"

enum { SENDER = 9000001 };

/* A funded rain in room r1 of SENDER, CREATED. */
struct rain_info rain_create(struct ledger *l, int64_t total_fen, uint32_t count, uint32_t shards,
                             uint32_t limit);
/* As a start would leave it: SENT, every shard with RID. */
struct rain_info rain_sent(struct ledger *l, int64_t total_fen, uint32_t count, uint32_t shards,
                           uint32_t limit);
int64_t rain_amount(struct ledger *l, const struct rain_info *r, uint32_t shard, uint32_t no);
/* A valid record of packet (shard, no). */
struct settle_item item_at(struct ledger *l, const struct rain_info *r, uint32_t shard, uint32_t no,
                           int64_t user_id, uint32_t seq, int64_t offset);
/* A batch on TOPIC/0 that ends at expected + n. */
struct settle_batch batch_of(const struct settle_item *items, uint32_t n, int64_t expected);
int64_t balance_of(struct ledger *l, int64_t user_id);

#endif
