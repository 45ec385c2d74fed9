#include "store/redis_url.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/slice.h"

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Percent-decodes into dst[cap]; no NUL may come out of it. */
static bool decode(struct rr_slice s, char *dst, size_t cap)
{
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];

        if (c == '%') {
            bool whole = s.len - i > 2;
            int hi = whole ? hex_value(s.p[i + 1]) : -1;
            int lo = whole ? hex_value(s.p[i + 2]) : -1;

            if (hi < 0 || lo < 0)
                return false;
            c = (char)(hi * 16 + lo);
            i += 2;
        }
        if (c == 0 || n + 1 >= cap)
            return false;
        dst[n++] = c;
    }
    dst[n] = 0;
    return true;
}

static bool parse_number(struct rr_slice s, uint32_t max, uint32_t *out)
{
    uint32_t v = 0;

    if (s.len == 0 || s.len > 5)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        v = v * 10 + (uint32_t)(s.p[i] - '0');
    }
    *out = v;
    return v <= max;
}

static const char *find(struct rr_slice s, char c)
{
    return s.len ? memchr(s.p, c, s.len) : NULL;
}

/* user:password@ */
static bool parse_login(struct rr_slice login, struct redis_url *out)
{
    const char *colon = find(login, ':');
    size_t user_len = colon ? (size_t)(colon - login.p) : login.len;

    if (!decode(rr_slice_of(login.p, user_len), out->user, sizeof(out->user)))
        return false;
    if (!colon)
        return true;
    return decode(rr_slice_of(colon + 1, login.len - user_len - 1), out->password,
                  sizeof(out->password));
}

/* host[:port], IPv6 in brackets */
static bool parse_host(struct rr_slice s, struct redis_addr *out)
{
    struct rr_slice host = s;
    const char *end = find(s, ':');
    uint32_t port = 6379;

    if (s.len && s.p[0] == '[') {
        const char *close = find(s, ']');

        if (!close)
            return false;
        host = rr_slice_of(s.p + 1, (size_t)(close - s.p) - 1);
        end = close + 1 < s.p + s.len ? close + 1 : NULL;
        if (end && *end != ':')
            return false;
    } else if (end) {
        host.len = (size_t)(end - s.p);
    }
    if (end &&
        (!parse_number(rr_slice_of(end + 1, s.len - (size_t)(end + 1 - s.p)), 65535, &port) ||
         port == 0))
        return false;
    out->port = (uint16_t)port;
    return host.len > 0 && rr_slice_copy(host, out->host, sizeof(out->host));
}

/* host[:port],… */
static bool parse_hosts(struct rr_slice s, struct redis_url *out)
{
    const char *comma = NULL;

    do {
        comma = find(s, ',');
        if (out->seeds_n == REDIS_URL_SEEDS_MAX ||
            !parse_host(rr_slice_of(s.p, comma ? (size_t)(comma - s.p) : s.len),
                        &out->seeds[out->seeds_n++]))
            return false;
        if (comma)
            s = rr_slice_of(comma + 1, s.len - (size_t)(comma + 1 - s.p));
    } while (comma);
    memcpy(out->host, out->seeds[0].host, sizeof(out->host));
    out->port = out->seeds[0].port;
    return true;
}

enum rr_err redis_url_parse(const char *url, struct redis_url *out)
{
    static const char scheme[] = "redis://";
    struct rr_slice rest;
    struct rr_slice authority;
    const char *slash = NULL;
    const char *at = NULL;

    *out = (struct redis_url){0};
    if (!url || strncmp(url, scheme, sizeof(scheme) - 1) != 0)
        return RR_CONFIG;
    rest = rr_slice_str(url + sizeof(scheme) - 1);
    slash = find(rest, '/');
    authority = slash ? rr_slice_of(rest.p, (size_t)(slash - rest.p)) : rest;
    if (slash && slash[1] && !parse_number(rr_slice_str(slash + 1), 99999, &out->db))
        return RR_CONFIG;
    /* The last @: a password should be percent-encoded, but a raw @ in it is clear enough. */
    at = authority.len ? memrchr(authority.p, '@', authority.len) : NULL;
    if (at) {
        size_t n = (size_t)(at - authority.p);

        if (!parse_login(rr_slice_of(authority.p, n), out))
            return RR_CONFIG;
        authority = rr_slice_of(at + 1, authority.len - n - 1);
    }
    return parse_hosts(authority, out) ? RR_OK : RR_CONFIG;
}
