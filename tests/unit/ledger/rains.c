#include "rains.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "testdb.h"

struct rain_info rain_create(struct ledger *l, int64_t total_fen, uint32_t count, uint32_t shards,
                             uint32_t limit)
{
    static int made;
    struct rain_info r;
    struct wallet w;
    struct rain_spec s = {.kind = KIND_RAIN,
                          .sender_id = SENDER,
                          .total_fen = total_fen,
                          .lo_fen = 1,
                          .hi_fen = total_fen,
                          .duration_ms = 30000,
                          .count = count,
                          .limit = limit,
                          .shards = shards,
                          .split = RAIN_DOUBLE_MEAN};

    strcpy(s.room_id, "r1");
    snprintf(s.biz_id, sizeof(s.biz_id), "rain-%d", ++made);
    assert_int_equal(ledger_deposit(l, SENDER, total_fen, s.biz_id, &w), RR_OK);
    assert_int_equal(ledger_rain_create(l, &s, &r), RR_OK);
    return r;
}

struct rain_info rain_sent(struct ledger *l, int64_t total_fen, uint32_t count, uint32_t shards,
                           uint32_t limit)
{
    struct rain_info r = rain_create(l, total_fen, count, shards, limit);

    testdb_execf(l, "UPDATE rp_escrow SET rid = '" RID "' WHERE code = '%s'", r.code);
    testdb_execf(l,
                 "UPDATE t_red_packet_config SET status = 3, t0 = 1000, t1 = 31000"
                 " WHERE config_code = '%s'",
                 r.code);
    testdb_execf(l,
                 "INSERT INTO rp_task (biz_id, kind, code, next_at, created_at)"
                 " VALUES ('close:%s', 'close', '%s', 9999999999999, 1)",
                 r.code, r.code);
    assert_int_equal(ledger_rain_get(l, r.code, &r), RR_OK);
    return r;
}

int64_t rain_amount(struct ledger *l, const struct rain_info *r, uint32_t shard, uint32_t no)
{
    const struct cached_rain *cached = NULL;

    assert_int_equal(rain_cache_get(l, r->code, &cached), RR_OK);
    return cached_rain_amount(cached, shard, no);
}

struct settle_item item_at(struct ledger *l, const struct rain_info *r, uint32_t shard, uint32_t no,
                           int64_t user_id, uint32_t seq, int64_t offset)
{
    struct settle_item item = {.offset = offset, .decoded = true};

    item.rec = (struct grant_record){.user_id = user_id,
                                     .amount_fen = rain_amount(l, r, shard, no),
                                     .granted_at_ms = 2000,
                                     .shard = shard,
                                     .packet_no = no,
                                     .seq = seq};
    strcpy(item.rec.code, r->code);
    strcpy(item.rec.room_id, r->spec.room_id);
    strcpy(item.rec.rid, RID);
    item.raw = rr_slice_str("raw bytes");
    return item;
}

struct settle_batch batch_of(const struct settle_item *items, uint32_t n, int64_t expected)
{
    return (struct settle_batch){.topic = TOPIC,
                                 .partition = 0,
                                 .expected_offset = expected,
                                 .next_offset = expected + n,
                                 .items = items,
                                 .n = n};
}

int64_t balance_of(struct ledger *l, int64_t user_id)
{
    struct wallet w;

    assert_int_equal(ledger_wallet(l, user_id, &w), RR_OK);
    return w.balance_fen;
}
