/* fuzz_record.c - any bytes through grant_record_decode; what is accepted must survive encode and
 * decode unchanged. */
#include "fuzz.h"

#include "protocol/record.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct grant_record r;
    struct grant_record again;
    struct rr_buf b = {0};

    if (grant_record_decode(rr_slice_of(data, size), &r)) {
        (void)grant_record_version(rr_slice_of(data, size));
        return 0;
    }
    RR_ASSERT(grant_record_version(rr_slice_of(data, size)) == RR_RECORD_VERSION);
    memset(&again, 0, sizeof(again));
    RR_ASSERT(grant_record_encode(&r, &b) == RR_OK);
    RR_ASSERT(grant_record_decode(rr_slice_of(b.p, b.len), &again) == RR_OK);
    RR_ASSERT(strcmp(r.code, again.code) == 0 && strcmp(r.room_id, again.room_id) == 0 &&
              strcmp(r.rid, again.rid) == 0);
    RR_ASSERT(r.user_id == again.user_id && r.amount_fen == again.amount_fen &&
              r.granted_at_ms == again.granted_at_ms && r.shard == again.shard &&
              r.packet_no == again.packet_no && r.seq == again.seq);
    rr_buf_fini(&b);
    return 0;
}
