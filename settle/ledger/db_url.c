#include "db_url.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/slice.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool percent_decode(struct rr_slice in, char *out, size_t cap)
{
    size_t n = 0;

    for (size_t i = 0; i < in.len; i++) {
        char c = in.p[i];

        if (c == '%') {
            if (i + 2 >= in.len || hex_digit(in.p[i + 1]) < 0 || hex_digit(in.p[i + 2]) < 0)
                return false;
            c = (char)(hex_digit(in.p[i + 1]) * 16 + hex_digit(in.p[i + 2]));
            i += 2;
        }
        if (c == 0 || n + 1 >= cap)
            return false;
        out[n++] = c;
    }
    out[n] = 0;
    return true;
}

/* Splits s at the first c: *head before it, s after it. False (s unchanged) when there is none. */
static bool cut(struct rr_slice *s, char c, struct rr_slice *head)
{
    const char *at = s->len ? memchr(s->p, c, s->len) : NULL;

    if (!at)
        return false;
    *head = rr_slice_of(s->p, (size_t)(at - s->p));
    *s = rr_slice_of(at + 1, s->len - head->len - 1);
    return true;
}

static bool parse_port(struct rr_slice s, uint16_t *port)
{
    uint32_t v = 0;

    if (s.len == 0 || s.len > 5)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        v = v * 10 + (uint32_t)(s.p[i] - '0');
    }
    *port = (uint16_t)v;
    return v > 0 && v <= 65535;
}

static bool parse_host(struct rr_slice s, struct db_url *out)
{
    struct rr_slice host = s;

    out->port = 3306;
    if (s.len && s.p[0] == '[') { /* [::1]:3306 */
        s = rr_slice_of(s.p + 1, s.len - 1);
        if (!cut(&s, ']', &host))
            return false;
        if (s.len && (s.p[0] != ':' || !parse_port(rr_slice_of(s.p + 1, s.len - 1), &out->port)))
            return false;
    } else if (cut(&s, ':', &host)) {
        if (!parse_port(s, &out->port))
            return false;
    }
    return host.len > 0 && percent_decode(host, out->host, sizeof(out->host));
}

static bool parse_database(struct rr_slice s, const char *namespace_, struct db_url *out)
{
    size_t n = namespace_ ? strlen(namespace_) : 0;

    if (s.len == 0 || n + s.len + 1 > sizeof(out->database))
        return false;
    if (n)
        memcpy(out->database, namespace_, n);
    memcpy(out->database + n, s.p, s.len);
    out->database[n + s.len] = 0;
    return strspn(out->database,
                  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == n + s.len;
}

enum rr_err db_url_parse(const char *url, const char *namespace_, struct db_url *out,
                         const char **what)
{
    static const char scheme[] = "mysql://";
    struct rr_slice s = rr_slice_str(url);
    struct rr_slice auth = {0};
    struct rr_slice user = {0};
    struct rr_slice query = {0};

    *out = (struct db_url){.port = 0};
    *what = "scheme (mysql://user:password@host:port/database)";
    if (s.len < sizeof(scheme) - 1 || memcmp(s.p, scheme, sizeof(scheme) - 1) != 0)
        return RR_CONFIG;
    s = rr_slice_of(s.p + sizeof(scheme) - 1, s.len - (sizeof(scheme) - 1));

    *what = "database";
    if (!cut(&s, '/', &auth))
        return RR_CONFIG;
    query = s;
    if (cut(&query, '?', &s)) {
        *what = "query (only socket=/path)";
        if (query.len < 7 || memcmp(query.p, "socket=", 7) != 0 ||
            !percent_decode(rr_slice_of(query.p + 7, query.len - 7), out->socket,
                            sizeof(out->socket)))
            return RR_CONFIG;
        *what = "database";
    }
    if (!parse_database(s, namespace_, out))
        return RR_CONFIG;

    *what = "user or password";
    if (cut(&auth, '@', &user)) {
        struct rr_slice password = user;

        if (cut(&password, ':', &user) &&
            !percent_decode(password, out->password, sizeof(out->password)))
            return RR_CONFIG;
        if (!percent_decode(user, out->user, sizeof(out->user)))
            return RR_CONFIG;
    }
    *what = "host or port";
    return parse_host(auth, out) ? RR_OK : RR_CONFIG;
}
