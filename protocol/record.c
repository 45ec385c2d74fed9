#include "protocol/record.h"

#include "protocol/pack.h"
#include "protocol/unpack.h"

#include <inttypes.h>
#include <stdio.h>

enum { RECORD_PAIRS = 11, BIZ_ID_BYTES = RR_CODE_LEN + 1 + 20 + 1 + 10 + 1 };

/* code:user:seq, the ledger's key of a grant. */
static void biz_id_format(const struct grant_record *r, char out[BIZ_ID_BYTES])
{
    snprintf(out, BIZ_ID_BYTES, "%s:%" PRId64 ":%" PRIu32, r->code, r->user_id, r->seq);
}

/* 1 to cap - 1 characters of base64url, which is all that codes, room ids and run ids are made of.
 */
static bool token_ok(const char *s, size_t cap)
{
    static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    size_t len = strnlen(s, cap);

    return len > 0 && len < cap && strspn(s, set) == len;
}

static bool record_ok(const struct grant_record *r)
{
    return token_ok(r->code, sizeof(r->code)) && token_ok(r->room_id, sizeof(r->room_id)) &&
           token_ok(r->rid, sizeof(r->rid)) && r->user_id > 0 && r->amount_fen > 0 &&
           r->amount_fen <= RR_FEN_MAX && r->granted_at_ms > 0 && r->shard < RR_SHARDS_MAX &&
           r->packet_no < RR_PACKETS_MAX && r->seq < RR_GRANT_LIMIT_MAX;
}

enum rr_err grant_record_encode(const struct grant_record *r, struct rr_buf *out)
{
    char biz_id[BIZ_ID_BYTES];

    if (!record_ok(r))
        return RR_MALFORMED;
    biz_id_format(r, biz_id);
    pack_map(out, RECORD_PAIRS);
    pack_kv_int(out, "version", RR_RECORD_VERSION);
    pack_kv_str(out, "biz_id", biz_id);
    pack_kv_str(out, "code", r->code);
    pack_kv_int(out, "shard", r->shard);
    pack_kv_int(out, "packet_no", r->packet_no);
    pack_kv_int(out, "user_id", r->user_id);
    pack_kv_str(out, "room_id", r->room_id);
    pack_kv_int(out, "seq", r->seq);
    pack_kv_int(out, "price", r->amount_fen);
    pack_kv_int(out, "granted_at", r->granted_at_ms);
    pack_kv_str(out, "rid", r->rid);
    return out->failed ? RR_TOO_BIG : RR_OK;
}

static bool text_read(const struct unpack_value *map, const char *key, char *dst, size_t cap)
{
    struct rr_slice s;

    return !unpack_get_str(map, key, &s) && rr_slice_copy(s, dst, cap);
}

static bool u32_read(const struct unpack_value *map, const char *key, uint32_t *out)
{
    int64_t v = 0;

    if (unpack_get_int(map, key, &v) || v < 0 || v > UINT32_MAX)
        return false;
    *out = (uint32_t)v;
    return true;
}

static bool fields_read(const struct unpack_value *map, struct grant_record *r)
{
    return text_read(map, "code", r->code, sizeof(r->code)) &&
           text_read(map, "room_id", r->room_id, sizeof(r->room_id)) &&
           text_read(map, "rid", r->rid, sizeof(r->rid)) && u32_read(map, "shard", &r->shard) &&
           u32_read(map, "packet_no", &r->packet_no) && u32_read(map, "seq", &r->seq) &&
           !unpack_get_int(map, "user_id", &r->user_id) &&
           !unpack_get_int(map, "price", &r->amount_fen) &&
           !unpack_get_int(map, "granted_at", &r->granted_at_ms);
}

enum rr_err grant_record_decode(struct rr_slice bytes, struct grant_record *out)
{
    struct grant_record r = {.user_id = 0};
    struct unpack_value map;
    struct rr_slice biz_id;
    char expected[BIZ_ID_BYTES];
    int64_t version = 0;

    if (unpack_scan(bytes, RR_DEPTH_MAX) || unpack_next(&bytes, &map) || unpack_map_unique(&map))
        return RR_MALFORMED;
    if (unpack_get_int(&map, "version", &version) || version != RR_RECORD_VERSION)
        return RR_MALFORMED;
    if (!fields_read(&map, &r) || !record_ok(&r))
        return RR_MALFORMED;
    biz_id_format(&r, expected);
    if (unpack_get_str(&map, "biz_id", &biz_id) || !rr_slice_eq_str(biz_id, expected))
        return RR_MALFORMED;
    *out = r;
    return RR_OK;
}

int64_t grant_record_version(struct rr_slice bytes)
{
    struct unpack_value map;
    int64_t version = 0;

    if (unpack_scan(bytes, RR_DEPTH_MAX) || unpack_next(&bytes, &map) || map.type != UNPACK_MAP ||
        unpack_get_int(&map, "version", &version))
        return 0;
    return version;
}

bool grant_record_place(struct rr_slice bytes, struct record_place *out)
{
    struct unpack_value map;
    uint32_t v = 0;

    *out = (struct record_place){.shard = -1, .packet_no = -1};
    if (unpack_scan(bytes, RR_DEPTH_MAX) || unpack_next(&bytes, &map) || map.type != UNPACK_MAP ||
        !text_read(&map, "code", out->code, sizeof(out->code)) ||
        !token_ok(out->code, sizeof(out->code)))
        return false;
    if (u32_read(&map, "shard", &v) && v < RR_SHARDS_MAX)
        out->shard = v;
    if (u32_read(&map, "packet_no", &v) && v < RR_PACKETS_MAX)
        out->packet_no = v;
    return true;
}
