/* record.h - one granted packet on its way to the ledger: value of a Kafka record on topic
 * receive_red_packet, a msgpack map; key "code:shard". biz_id on the wire is code:user:seq. */
#ifndef PROTOCOL_RECORD_H
#define PROTOCOL_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "protocol/limits.h"

#define RR_RECORD_VERSION 1

struct grant_record {
    char code[RR_CODE_LEN + 1];
    char room_id[RR_ROOM_ID_MAX + 1];
    char rid[RR_RID_LEN + 1]; /* run id of the Redis that granted it */
    int64_t user_id;          /* > 0 */
    int64_t amount_fen;       /* > 0; "price" on the wire */
    int64_t granted_at_ms;
    uint32_t shard;
    uint32_t packet_no;
    uint32_t seq;
};

/* Appends the encoded record to *out. RR_MALFORMED: a field is out of range (nothing appended:
 * whoever reads it would have to refuse it). RR_TOO_BIG: the buffer's cap is hit. */
RR_MUST_CHECK enum rr_err grant_record_encode(const struct grant_record *r, struct rr_buf *out);
/* RR_MALFORMED: not a msgpack map, a field missing, of a wrong type or out of range, biz_id that
 * does not match, trailing bytes, or an unknown version. Unknown keys are ignored. */
RR_MUST_CHECK enum rr_err grant_record_decode(struct rr_slice bytes, struct grant_record *out);
/* The version a record says it has, whether it can be read or not; 0: none. Above RR_RECORD_VERSION a newer program wrote it. Within
 * a version keys may be added: who does not know them skips them. */
int64_t grant_record_version(struct rr_slice bytes);

/* Whose packet a record is about. These three pairs mean the same in every version: a record that cannot be read still keeps its
 * rain from ending and its packet from others. */
struct record_place {
    char code[RR_CODE_LEN + 1];
    int64_t shard; /* -1: not readable */
    int64_t packet_no;
};
/* False: no code in it. */
bool grant_record_place(struct rr_slice bytes, struct record_place *out);

#endif
