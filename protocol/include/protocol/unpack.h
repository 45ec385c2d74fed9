/* unpack.h - reads one msgpack value from a peer without trusting it: bounds, depth, counts and the
 * end are checked over the whole value before anything is allocated, and nothing is ever allocated
 * from a length in the bytes. A view is a cursor into the caller's bytes; getters of a missing key
 * return RR_NOT_FOUND, of a wrong type RR_MALFORMED. */
#ifndef PROTOCOL_UNPACK_H
#define PROTOCOL_UNPACK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

/* RR_OK: bytes are exactly one well-formed value, depth <= depth_max, all lengths inside, no ext
 * types, map keys strings. depth_max: arrays and maps inside each other, at most 32 (a scalar has
 * 0). */
RR_MUST_CHECK enum rr_err unpack_scan(struct rr_slice bytes, uint32_t depth_max);

enum unpack_type {
    UNPACK_NIL,
    UNPACK_BOOL,
    UNPACK_INT,
    UNPACK_FLOAT,
    UNPACK_STR,
    UNPACK_BIN,
    UNPACK_ARRAY,
    UNPACK_MAP
};

/* A decoded scalar, or an array/map with its number of items; raw = the whole encoded value. */
struct unpack_value {
    enum unpack_type type;
    union {
        bool b;
        int64_t i; /* uint64 above INT64_MAX is RR_MALFORMED */
        double f;
        struct rr_slice s;
        uint32_t n;
    } as;
    struct rr_slice raw;
    struct rr_slice items; /* bytes of the items of an array or map */
};

/* Decodes the value at the front of *cursor and moves past it, also past an integer above
 * INT64_MAX, which is RR_MALFORMED. Call only on bytes unpack_scan() accepted. */
RR_MUST_CHECK enum rr_err unpack_next(struct rr_slice *cursor, struct unpack_value *out);

/* Looks a key up in a map value. RR_NOT_FOUND when missing. */
RR_MUST_CHECK enum rr_err unpack_get(const struct unpack_value *map, const char *key,
                                     struct unpack_value *out);
RR_MUST_CHECK enum rr_err unpack_get_int(const struct unpack_value *map, const char *key,
                                         int64_t *out);
RR_MUST_CHECK enum rr_err unpack_get_str(const struct unpack_value *map, const char *key,
                                         struct rr_slice *out);
RR_MUST_CHECK enum rr_err unpack_get_bool(const struct unpack_value *map, const char *key,
                                          bool *out);
/* RR_OK: no key occurs twice and there are at most RR_PAIRS_MAX. Maps we read fields from must
 * pass: with a key twice, two readers could see two different messages. */
RR_MUST_CHECK enum rr_err unpack_map_unique(const struct unpack_value *map);
/* Valid UTF-8 without a NUL. */
bool unpack_text_ok(struct rr_slice s);
/* Decimal string -> positive int64. No sign, no leading zero. RR_MALFORMED otherwise. */
RR_MUST_CHECK enum rr_err unpack_user_id(struct rr_slice s, int64_t *out);

#endif
