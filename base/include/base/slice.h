/* slice.h - borrowed bytes: valid until the callee returns, never NUL-terminated. */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct rr_slice {
    const char *p; /* may be NULL iff len is 0 */
    size_t len;    /* bytes */
};

static inline struct rr_slice rr_slice_of(const void *p, size_t len)
{
    return (struct rr_slice){.p = p, .len = len};
}

static inline struct rr_slice rr_slice_str(const char *s)
{
    return (struct rr_slice){.p = s, .len = s ? strlen(s) : 0};
}

static inline bool rr_slice_eq(struct rr_slice a, struct rr_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static inline bool rr_slice_eq_str(struct rr_slice a, const char *s)
{
    return rr_slice_eq(a, rr_slice_str(s));
}

/* Copies into dst[cap] and terminates it; false (and "") when it does not fit or holds a NUL. */
__attribute__((nonnull)) static inline bool rr_slice_copy(struct rr_slice s, char *dst, size_t cap)
{
    if (s.len + 1 > cap || (s.len && memchr(s.p, 0, s.len))) {
        if (cap)
            dst[0] = 0;
        return false;
    }
    if (s.len)
        memcpy(dst, s.p, s.len);
    dst[s.len] = 0;
    return true;
}

#endif
