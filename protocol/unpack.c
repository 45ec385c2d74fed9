#include "protocol/unpack.h"

#include "protocol/limits.h"

/* The first bytes of a value: its type, a scalar's value, and how far the rest reaches. */
struct head {
    enum unpack_type type;
    size_t len;     /* bytes of the head itself; of a scalar, all of it */
    uint32_t body;  /* bytes of a string or binary after the head */
    uint32_t count; /* items of an array, pairs of a map */
    bool too_big;   /* an unsigned integer above INT64_MAX */
    bool b;
    int64_t i;
    double f;
};

static uint64_t big_endian(const uint8_t *p, size_t bytes)
{
    uint64_t v = 0;

    for (size_t i = 0; i < bytes; i++)
        v = v << 8 | p[i];
    return v;
}

static double double_of(uint64_t bits)
{
    double v;

    memcpy(&v, &bits, sizeof(v));
    return v;
}

static double float_of(uint32_t bits)
{
    float v;

    memcpy(&v, &bits, sizeof(v));
    return (double)v;
}

/* Two's complement of `bytes` bytes without a conversion the standard leaves open. */
static int64_t sign_extend(uint64_t v, size_t bytes)
{
    uint64_t sign = UINT64_C(1) << (bytes * 8 - 1);

    if (!(v & sign))
        return (int64_t)v;
    return -(int64_t)((sign - 1) - (v & (sign - 1))) - 1;
}

static void head_of_fix(uint8_t c, struct head *h)
{
    h->len = 1;
    if (c <= 0x7f || c >= 0xe0) {
        h->type = UNPACK_INT;
        h->i = sign_extend(c, 1);
    } else if (c <= 0x8f) {
        h->type = UNPACK_MAP;
        h->count = c & 0x0f;
    } else if (c <= 0x9f) {
        h->type = UNPACK_ARRAY;
        h->count = c & 0x0f;
    } else {
        h->type = UNPACK_STR;
        h->body = c & 0x1f;
    }
}

/* Bytes after the type byte for 0xc0 … 0xdf; 0xff: reserved or an extension, which nobody here
 * sends. */
static const uint8_t extra_bytes[32] = {
    0,    0xff, 0, 0, 1,    2,    4,    0xff, /* nil, reserved, false, true, bin 8/16/32, ext 8 */
    0xff, 0xff, 4, 8, 1,    2,    4,    8,    /* ext 16/32, float 32/64, uint 8/16/32/64 */
    1,    2,    4, 8, 0xff, 0xff, 0xff, 0xff, /* int 8/16/32/64, fixext 1/2/4/8 */
    0xff, 1,    2, 4, 2,    4,    2,    4,    /* fixext 16, str 8/16/32, array 16/32, map 16/32 */
};

static void head_of_sized(uint8_t c, uint64_t v, size_t extra, struct head *h)
{
    if (c == 0xc0) {
        h->type = UNPACK_NIL;
    } else if (c == 0xc2 || c == 0xc3) {
        h->type = UNPACK_BOOL;
        h->b = c == 0xc3;
    } else if (c <= 0xc6) {
        h->type = UNPACK_BIN;
        h->body = (uint32_t)v;
    } else if (c == 0xca || c == 0xcb) {
        h->type = UNPACK_FLOAT;
        h->f = c == 0xca ? float_of((uint32_t)v) : double_of(v);
    } else if (c <= 0xcf) {
        h->type = UNPACK_INT;
        h->too_big = v > INT64_MAX;
        h->i = h->too_big ? INT64_MAX : (int64_t)v;
    } else if (c <= 0xd3) {
        h->type = UNPACK_INT;
        h->i = sign_extend(v, extra);
    } else if (c <= 0xdb) {
        h->type = UNPACK_STR;
        h->body = (uint32_t)v;
    } else {
        h->type = c <= 0xdd ? UNPACK_ARRAY : UNPACK_MAP;
        h->count = (uint32_t)v;
    }
}

/* Reads the head at p; what it announces must fit into the `left` bytes there are, at least one. */
static enum rr_err head_read(const char *p, size_t left, struct head *h)
{
    const uint8_t *u = (const uint8_t *)p;
    size_t extra = 0;

    *h = (struct head){.type = UNPACK_NIL};
    if (u[0] < 0xc0 || u[0] > 0xdf) {
        head_of_fix(u[0], h);
    } else {
        extra = extra_bytes[u[0] - 0xc0];
        if (extra == 0xff || extra > left - 1)
            return RR_MALFORMED;
        h->len = 1 + extra;
        head_of_sized(u[0], big_endian(u + 1, extra), extra, h);
    }
    left -= h->len;
    if (h->body > left)
        return RR_MALFORMED;
    if (h->count > (h->type == UNPACK_MAP ? left / 2 : left))
        return RR_MALFORMED;
    return RR_OK;
}

enum { SCAN_DEPTH_LIMIT = 32 };

/* Where the value at the front of s ends. No recursion: the open containers are a short stack of
 * counters. */
static enum rr_err value_end(struct rr_slice s, uint32_t depth_max, size_t *end)
{
    struct {
        uint64_t left; /* values still to come; of a map, keys and values */
        bool map;
    } open[SCAN_DEPTH_LIMIT];
    uint32_t depth = 0;
    size_t at = 0;

    RR_ASSERT(depth_max <= SCAN_DEPTH_LIMIT);
    do {
        struct head h;
        enum rr_err err = at < s.len ? head_read(s.p + at, s.len - at, &h) : RR_MALFORMED;

        if (err)
            return err;
        if (depth && open[depth - 1].map && open[depth - 1].left % 2 == 0 && h.type != UNPACK_STR)
            return RR_MALFORMED;
        at += h.len + h.body;
        if (depth)
            open[depth - 1].left--;
        if (h.type == UNPACK_ARRAY || h.type == UNPACK_MAP) {
            if (depth == depth_max)
                return RR_MALFORMED;
            open[depth].map = h.type == UNPACK_MAP;
            open[depth].left = open[depth].map ? (uint64_t)h.count * 2 : h.count;
            depth++;
        }
        while (depth && open[depth - 1].left == 0)
            depth--;
    } while (depth);
    *end = at;
    return RR_OK;
}

enum rr_err unpack_scan(struct rr_slice bytes, uint32_t depth_max)
{
    size_t end = 0;
    enum rr_err err = value_end(bytes, depth_max, &end);

    if (err)
        return err;
    return end == bytes.len ? RR_OK : RR_MALFORMED;
}

static struct rr_slice slice_from(struct rr_slice s, size_t at)
{
    return rr_slice_of(s.len ? s.p + at : s.p, s.len - at);
}

enum rr_err unpack_next(struct rr_slice *cursor, struct unpack_value *out)
{
    struct rr_slice s = *cursor;
    struct head h;
    size_t end = 0;
    enum rr_err err = value_end(s, SCAN_DEPTH_LIMIT, &end);

    *out = (struct unpack_value){.type = UNPACK_NIL};
    if (!err)
        err = head_read(s.p, s.len, &h);
    if (err)
        return err;
    out->type = h.type;
    out->raw = rr_slice_of(s.p, end);
    *cursor = slice_from(s, end);
    switch (h.type) {
    case UNPACK_NIL: break;
    case UNPACK_BOOL: out->as.b = h.b; break;
    case UNPACK_INT:
        if (h.too_big)
            return RR_MALFORMED;
        out->as.i = h.i;
        break;
    case UNPACK_FLOAT: out->as.f = h.f; break;
    case UNPACK_STR:
    case UNPACK_BIN: out->as.s = rr_slice_of(s.p + h.len, h.body); break;
    case UNPACK_ARRAY:
    case UNPACK_MAP:
        out->as.n = h.count;
        out->items = rr_slice_of(s.p + h.len, end - h.len);
        break;
    }
    return RR_OK;
}

/* Takes the next key of a map off *rest; its value is at the front of *rest then. */
static enum rr_err key_next(struct rr_slice *rest, struct rr_slice *key)
{
    struct unpack_value v;
    enum rr_err err = unpack_next(rest, &v);

    if (err)
        return err;
    *key = v.as.s;
    return v.type == UNPACK_STR ? RR_OK : RR_MALFORMED;
}

static enum rr_err value_skip(struct rr_slice *rest)
{
    size_t end = 0;
    enum rr_err err = value_end(*rest, SCAN_DEPTH_LIMIT, &end);

    if (!err)
        *rest = slice_from(*rest, end);
    return err;
}

enum rr_err unpack_get(const struct unpack_value *map, const char *key, struct unpack_value *out)
{
    struct rr_slice rest = map->items;
    struct rr_slice name;
    enum rr_err err = map->type == UNPACK_MAP ? RR_OK : RR_MALFORMED;

    for (uint32_t i = 0; !err && i < map->as.n; i++) {
        err = key_next(&rest, &name);
        if (!err && rr_slice_eq_str(name, key))
            return unpack_next(&rest, out);
        if (!err)
            err = value_skip(&rest);
    }
    return err ? err : RR_NOT_FOUND;
}

static enum rr_err get_typed(const struct unpack_value *map, const char *key, enum unpack_type type,
                             struct unpack_value *v)
{
    enum rr_err err = unpack_get(map, key, v);

    if (!err && v->type != type)
        err = RR_MALFORMED;
    return err;
}

enum rr_err unpack_get_int(const struct unpack_value *map, const char *key, int64_t *out)
{
    struct unpack_value v;
    enum rr_err err = get_typed(map, key, UNPACK_INT, &v);

    if (!err)
        *out = v.as.i;
    return err;
}

enum rr_err unpack_get_str(const struct unpack_value *map, const char *key, struct rr_slice *out)
{
    struct unpack_value v;
    enum rr_err err = get_typed(map, key, UNPACK_STR, &v);

    if (!err)
        *out = v.as.s;
    return err;
}

enum rr_err unpack_get_bool(const struct unpack_value *map, const char *key, bool *out)
{
    struct unpack_value v;
    enum rr_err err = get_typed(map, key, UNPACK_BOOL, &v);

    if (!err)
        *out = v.as.b;
    return err;
}

enum rr_err unpack_map_unique(const struct unpack_value *map)
{
    struct rr_slice seen[RR_PAIRS_MAX];
    struct rr_slice rest = map->items;
    enum rr_err err = RR_OK;

    if (map->type != UNPACK_MAP || map->as.n > RR_PAIRS_MAX)
        return RR_MALFORMED;
    for (uint32_t i = 0; i < map->as.n; i++) {
        err = key_next(&rest, &seen[i]);
        for (uint32_t k = 0; !err && k < i; k++) {
            if (rr_slice_eq(seen[k], seen[i]))
                err = RR_MALFORMED;
        }
        if (!err)
            err = value_skip(&rest);
        if (err)
            return err;
    }
    return RR_OK;
}
