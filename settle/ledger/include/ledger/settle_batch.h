/* settle_batch.h - brings a batch of records into the books in one transaction together with the
 * partition's offset. The decision code (what is new, duplicate, conflict, stale, poison) is pure
 * and lives in settle_decide.h. */
#ifndef LEDGER_SETTLE_BATCH_H
#define LEDGER_SETTLE_BATCH_H

#include "ledger/ledger.h"

/* One consumed Kafka message; undecodable ones carry raw bytes only. */
struct settle_item {
    int64_t offset;
    bool decoded;
    struct grant_record rec;
    struct rr_slice raw; /* kept whole in rp_dead / rp_conflict */
};

struct settle_batch {
    const char *topic;
    int32_t partition;
    int64_t expected_offset; /* what rp_offset must say: compare-and-set */
    int64_t next_offset;     /* after this batch */
    const struct settle_item *items;
    uint32_t n; /* <= 1000 */
};

struct settle_credit { /* for GRANT_SETTLED and statistics after COMMIT */
    char code[RR_CODE_LEN + 1];
    char room_id[RR_ROOM_ID_MAX + 1];
    int64_t user_id;
    int64_t amount_fen;
    uint32_t shard;
    uint32_t packet_no;
    uint32_t seq;
    bool held; /* for review: in frozen */
};

struct settle_outcome {
    uint32_t settled;
    uint32_t held; /* of them */
    uint32_t duplicates;
    uint32_t conflicts; /* to rp_conflict, unpaid */
    uint32_t dead;      /* to rp_dead */
    uint32_t parked;    /* decodable, unknown code: tried again */
    int64_t settled_fen;
    struct settle_credit
        *credits; /* `settled` items; malloc'ed, caller frees with settle_outcome_fini */
};
void settle_outcome_fini(struct settle_outcome *o);

/* Exactly once. RR_CONFLICT: the offset in SQL is not expected_offset (*sql_offset says what it
 * is): another settler was here, go on from there. RR_NOT_FOUND: it has no offset of this
 * partition. RR_RETRY / RR_UNAVAILABLE: run it again after reading the offset (COMMIT's answer may
 * be lost). */
RR_MUST_CHECK enum rr_err ledger_settle(struct ledger *l, const struct settle_batch *b,
                                        struct settle_outcome *out, int64_t *sql_offset);
/* Next offset to consume; RR_NOT_FOUND: no row yet. */
RR_MUST_CHECK enum rr_err ledger_offset_get(struct ledger *l, const char *topic, int32_t partition,
                                            int64_t *next);
/* Moves the row from the offset the caller saw, LEDGER_NO_OFFSET: there was no row. RR_CONFLICT: it says another one by now,
 * somebody else goes on from there. */
enum { LEDGER_NO_OFFSET = -1 };
RR_MUST_CHECK enum rr_err ledger_offset_move(struct ledger *l, const char *topic, int32_t partition,
                                             int64_t from, int64_t to);
/* What the books say of many partitions, by one statement; LEDGER_NO_OFFSET where they have no row. */
struct ledger_offset {
    int32_t partition;
    int64_t next;
};
RR_MUST_CHECK enum rr_err ledger_offsets(struct ledger *l, const char *topic,
                                         struct ledger_offset *io, uint32_t n);

#endif
