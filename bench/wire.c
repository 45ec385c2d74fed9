/* wire.c - see wire.h. */
#include "wire.h"

#include "protocol/msg.h"
#include "protocol/pack.h"

static void begin(struct rr_buf *out, enum msg_op op, uint32_t id, uint32_t pairs)
{
    pack_array(out, 3);
    pack_int(out, (int64_t)op);
    pack_uint(out, id);
    pack_map(out, pairs);
}

void wire_hello(struct rr_buf *out, uint32_t id, const char *token)
{
    begin(out, MSG_HELLO, id, 2);
    pack_kv_str(out, "token", token);
    pack_kv_int(out, "ver", RR_PROTOCOL_VERSION);
}

void wire_join(struct rr_buf *out, uint32_t id, const char *room, const char *epoch, int64_t seq)
{
    begin(out, MSG_JOIN, id, epoch[0] ? 3 : 1);
    pack_kv_str(out, "room", room);
    if (!epoch[0])
        return;
    pack_kv_str(out, "epoch", epoch);
    pack_kv_int(out, "seq", seq);
}

void wire_ping(struct rr_buf *out, uint32_t id, int64_t t0)
{
    begin(out, MSG_PING, id, 1);
    pack_kv_int(out, "t0", t0);
}

void wire_grab(struct rr_buf *out, uint32_t id, const char *code, int64_t seq, bool again)
{
    begin(out, MSG_GRAB, id, again ? 3 : 2);
    pack_kv_str(out, "code", code);
    pack_kv_int(out, "seq", seq);
    if (again)
        pack_kv_bool(out, "again", true);
}

enum rr_err wire_decode(struct rr_slice frame, struct wire_msg *out)
{
    struct unpack_value array, op, id;
    struct rr_slice cursor = frame;

    if (unpack_scan(frame, RR_DEPTH_MAX + 2) || unpack_next(&cursor, &array) ||
        array.type != UNPACK_ARRAY || array.as.n != 3)
        return RR_MALFORMED;
    cursor = array.items;
    if (unpack_next(&cursor, &op) || unpack_next(&cursor, &id) || unpack_next(&cursor, &out->body))
        return RR_MALFORMED;
    if (op.type != UNPACK_INT || id.type != UNPACK_INT || id.as.i < 0 || id.as.i > UINT32_MAX ||
        out->body.type != UNPACK_MAP)
        return RR_MALFORMED;
    out->op = op.as.i;
    out->id = (uint32_t)id.as.i;
    return RR_OK;
}

enum rr_err wire_push_of(const struct unpack_value *body, struct wire_push *out)
{
    *out = (struct wire_push){.seq = wire_int(body, "seq", -1)};
    if (unpack_get_str(body, "biz_code", &out->biz_code) ||
        unpack_get(body, "payload", &out->payload))
        return RR_MALFORMED;
    if (out->seq >= 0 && unpack_get_str(body, "epoch", &out->epoch))
        return RR_MALFORMED;
    return RR_OK;
}

enum rr_err wire_grant_of(const struct unpack_value *body, struct rr_slice *code, struct grant *out)
{
    *out = (struct grant){
        .seq = wire_int(body, "seq", -1),
        .shard = wire_int(body, "shard", -1),
        .packet_no = wire_int(body, "no", -1),
        .amount_fen = wire_int(body, "amount", -1),
    };
    if (unpack_get_str(body, "code", code) || out->seq < 0 || out->seq >= PURSE_SEQ_MAX ||
        out->shard < 0 || out->packet_no < 0 || out->amount_fen < 0)
        return RR_MALFORMED;
    return RR_OK;
}

int64_t wire_int(const struct unpack_value *map, const char *key, int64_t missing)
{
    int64_t v = 0;
    return map->type == UNPACK_MAP && !unpack_get_int(map, key, &v) ? v : missing;
}

enum rr_err wire_time_us(const struct unpack_value *map, const char *key, int64_t *out)
{
    const int64_t max_ms = INT64_C(1) << 50;
    struct unpack_value v;

    if (unpack_get(map, key, &v))
        return RR_MALFORMED;
    if (v.type == UNPACK_INT && v.as.i >= 0 && v.as.i < max_ms) {
        *out = v.as.i * 1000;
        return RR_OK;
    }
    if (v.type == UNPACK_FLOAT && v.as.f >= 0 && v.as.f < (double)max_ms) {
        *out = (int64_t)(v.as.f * 1000.0);
        return RR_OK;
    }
    return RR_MALFORMED;
}

bool wire_code_ok(struct rr_slice code)
{
    if (code.len == 0 || code.len > 64)
        return false;
    for (size_t i = 0; i < code.len; i++) {
        char c = code.p[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-';
        if (!ok)
            return false;
    }
    return true;
}
