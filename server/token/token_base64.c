/* base64url of RFC 7515, strict: every byte string has exactly one accepted text, so a token cannot
 * be altered unnoticed. */
#include "token_impl.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '-')
        return 62;
    return c == '_' ? 63 : -1;
}

bool token_base64_decode(struct rr_slice in, unsigned char *out, size_t cap, size_t *len)
{
    uint32_t bits = 0;
    unsigned have = 0;
    size_t n = 0;

    if (in.len % 4 == 1 || in.len / 4 * 3 + 2 > cap)
        return false;
    for (size_t i = 0; i < in.len; i++) {
        int v = value_of(in.p[i]);
        if (v < 0)
            return false;
        bits = bits << 6 | (uint32_t)v;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[n++] = (unsigned char)(bits >> have);
            bits &= (1U << have) - 1;
        }
    }
    *len = n;
    return bits == 0;
}

void token_base64_encode(const void *in, size_t len, struct rr_buf *out)
{
    const unsigned char *p = in;
    uint32_t bits = 0;
    unsigned have = 0;

    for (size_t i = 0; i < len; i++) {
        bits = bits << 8 | p[i];
        have += 8;
        while (have >= 6) {
            have -= 6;
            rr_buf_append(out, &alphabet[bits >> have & 63], 1);
        }
        bits &= (1U << have) - 1;
    }
    if (have)
        rr_buf_append(out, &alphabet[bits << (6 - have) & 63], 1);
}
