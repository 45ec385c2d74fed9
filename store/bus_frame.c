#include "store/bus_frame.h"

#include <inttypes.h>

#include "protocol/limits.h"

/* Takes the bytes before the next '|' off *rest. */
static bool take_field(struct rr_slice *rest, size_t max, struct rr_slice *field)
{
    const char *bar =
        rest->len ? memchr(rest->p, '|', rest->len < max + 1 ? rest->len : max + 1) : NULL;

    if (!bar)
        return false;
    *field = rr_slice_of(rest->p, (size_t)(bar - rest->p));
    *rest = rr_slice_of(bar + 1, rest->len - field->len - 1);
    return field->len > 0;
}

static bool parse_decimal(struct rr_slice s, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;

    if (s.len == 0 || s.len > 19)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(s.p[i] - '0');
    }
    *out = v;
    return v <= max;
}

static bool parse_epoch(struct rr_slice s, uint64_t *out)
{
    uint64_t v = 0;

    if (s.len != 16)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];

        if (c >= '0' && c <= '9')
            v = v * 16 + (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            v = v * 16 + (uint64_t)(c - 'a' + 10);
        else
            return false;
    }
    *out = v;
    return true;
}

static bool biz_code_ok(struct rr_slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];

        if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'))
            return false;
    }
    return s.len > 0 && s.len <= RR_BIZ_CODE_MAX;
}

enum rr_err bus_parse(struct rr_slice bytes, struct room_msg *out)
{
    struct rr_slice epoch;
    struct rr_slice seq;

    *out = (struct room_msg){0};
    if (!take_field(&bytes, 16, &epoch) || !parse_epoch(epoch, &out->epoch) ||
        !take_field(&bytes, 19, &seq) || !parse_decimal(seq, INT64_MAX, &out->seq) ||
        !take_field(&bytes, RR_BIZ_CODE_MAX, &out->biz_code) || !biz_code_ok(out->biz_code) ||
        bytes.len > RR_PAYLOAD_MAX_BYTES)
        return RR_MALFORMED;
    out->payload = bytes;
    return RR_OK;
}

void bus_user_append(struct rr_buf *out, int64_t user_id, const char *biz_code,
                     struct rr_slice payload)
{
    rr_buf_printf(out, "%" PRId64 "|%s|%zu|", user_id, biz_code, payload.len);
    rr_buf_append(out, payload.p, payload.len);
}

enum rr_err bus_parse_users(struct rr_slice bytes, bus_user_fn fn, void *arg)
{
    while (bytes.len) {
        struct rr_slice user;
        struct rr_slice biz_code;
        struct rr_slice len;
        uint64_t user_id = 0;
        uint64_t n = 0;

        if (!take_field(&bytes, 19, &user) || !parse_decimal(user, INT64_MAX, &user_id) ||
            user_id == 0 || !take_field(&bytes, RR_BIZ_CODE_MAX, &biz_code) ||
            !biz_code_ok(biz_code) || !take_field(&bytes, 5, &len) ||
            !parse_decimal(len, RR_PAYLOAD_MAX_BYTES, &n) || n > bytes.len)
            return RR_MALFORMED;
        fn(arg, (int64_t)user_id, biz_code, rr_slice_of(bytes.p, (size_t)n));
        bytes = rr_slice_of(bytes.p + n, bytes.len - (size_t)n);
    }
    return RR_OK;
}

enum rr_err bus_parse_kept(struct rr_slice bytes, struct rr_slice *biz_code,
                           struct rr_slice *payload)
{
    if (!take_field(&bytes, RR_BIZ_CODE_MAX, biz_code) || !biz_code_ok(*biz_code) ||
        bytes.len > RR_PAYLOAD_MAX_BYTES)
        return RR_MALFORMED;
    *payload = bytes;
    return RR_OK;
}
