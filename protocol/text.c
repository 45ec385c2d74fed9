#include "protocol/unpack.h"

/* Bytes of the UTF-8 sequence at p, 0 when it is none: overlong forms, surrogates and values above
 * U+10FFFF are none (Unicode 15, table 3-7). */
static size_t utf8_len(const unsigned char *p, size_t left)
{
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

    if (p[0] > 0xf4 || n == 0 || n > left)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return n;
}

bool unpack_text_ok(struct rr_slice s)
{
    const unsigned char *p = (const unsigned char *)s.p;

    for (size_t i = 0; i < s.len;) {
        size_t n = utf8_len(p + i, s.len - i);

        if (n == 0 || p[i] == 0)
            return false;
        i += n;
    }
    return true;
}

enum rr_err unpack_user_id(struct rr_slice s, int64_t *out)
{
    int64_t v = 0;

    if (s.len == 0 || s.len > 19 || s.p[0] == '0')
        return RR_MALFORMED;
    for (size_t i = 0; i < s.len; i++) {
        int digit = s.p[i] - '0';

        if (digit < 0 || digit > 9 || v > (INT64_MAX - digit) / 10)
            return RR_MALFORMED;
        v = v * 10 + digit;
    }
    *out = v;
    return RR_OK;
}
