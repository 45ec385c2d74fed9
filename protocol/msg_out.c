#include "protocol/msg.h"
#include "protocol/pack.h"

#include <inttypes.h>
#include <stdio.h>

static void begin(struct rr_buf *out, enum msg_op op, uint32_t id)
{
    pack_array(out, 3);
    pack_uint(out, op);
    pack_uint(out, id);
}

void msg_reply_begin(struct rr_buf *out, uint32_t id, enum result_code code, uint32_t more)
{
    begin(out, MSG_REPLY, id);
    pack_map(out, 1 + more);
    pack_kv_int(out, "result", code);
}

void msg_push(struct rr_buf *out, const char *room, uint64_t epoch, uint64_t seq,
              struct rr_slice biz_code, struct rr_slice payload)
{
    char hex[17];

    begin(out, MSG_PUSH, 0);
    pack_map(out, (room ? 1U : 0) + (epoch ? 2U : 0) + 2);
    if (room)
        pack_kv_str(out, "room", room);
    if (epoch) {
        snprintf(hex, sizeof(hex), "%016" PRIx64, epoch);
        pack_kv_str(out, "epoch", hex);
        pack_cstr(out, "seq");
        pack_uint(out, seq);
    }
    pack_kv_slice(out, "biz_code", biz_code);
    pack_kv_raw(out, "payload", payload);
}

void msg_goaway(struct rr_buf *out, uint32_t delay_ms)
{
    begin(out, MSG_GOAWAY, 0);
    pack_map(out, 1);
    pack_kv_int(out, "delay_ms", delay_ms);
}
