#include "base/ip.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

enum { V4_AT = sizeof(v4_prefix), BITS = 128, V4_BITS = 96, NET_TEXT = RR_IP_TEXT + 4 };

bool rr_ip_none(const struct rr_ip *a)
{
    static const struct rr_ip none = {{0}};

    return memcmp(a, &none, sizeof(none)) == 0;
}

bool rr_ip_is4(const struct rr_ip *a)
{
    return memcmp(a->b, v4_prefix, sizeof(v4_prefix)) == 0;
}

bool rr_ip_equal(const struct rr_ip *a, const struct rr_ip *b)
{
    return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

void rr_ip_from4(struct rr_ip *out, const uint8_t v4[4])
{
    memcpy(out->b, v4_prefix, sizeof(v4_prefix));
    memcpy(out->b + V4_AT, v4, 4);
}

void rr_ip_of_sockaddr(struct rr_ip *out, const struct sockaddr *sa)
{
    struct sockaddr_in in4;
    struct sockaddr_in6 in6;

    memset(out, 0, sizeof(*out));
    if (sa->sa_family == AF_INET) {
        uint8_t v4[4];

        memcpy(&in4, sa, sizeof(in4));
        memcpy(v4, &in4.sin_addr, sizeof(v4));
        rr_ip_from4(out, v4);
    } else if (sa->sa_family == AF_INET6) {
        memcpy(&in6, sa, sizeof(in6));
        memcpy(out->b, &in6.sin6_addr, sizeof(out->b));
    }
}

bool rr_ip_parse(struct rr_ip *out, const char *text)
{
    uint8_t v4[4];

    memset(out, 0, sizeof(*out));
    if (inet_pton(AF_INET6, text, out->b) == 1)
        return true;
    memset(out, 0, sizeof(*out));
    if (inet_pton(AF_INET, text, v4) != 1)
        return false;
    rr_ip_from4(out, v4);
    return true;
}

void rr_ip_print(const struct rr_ip *a, char out[RR_IP_TEXT])
{
    out[0] = 0;
    if (rr_ip_is4(a))
        inet_ntop(AF_INET, a->b + V4_AT, out, RR_IP_TEXT);
    else if (!rr_ip_none(a))
        inet_ntop(AF_INET6, a->b, out, RR_IP_TEXT);
}

/* ---- networks ---- */

static bool same_prefix(const struct rr_ip *a, const struct rr_ip *b, uint32_t bits)
{
    uint32_t whole = bits / 8;
    uint32_t rest = bits % 8;
    uint8_t mask = (uint8_t)(0xff00 >> rest);

    if (memcmp(a->b, b->b, whole) != 0)
        return false;
    return rest == 0 || ((a->b[whole] ^ b->b[whole]) & mask) == 0;
}

static bool nothing_behind(const struct rr_ip *a, uint32_t bits)
{
    for (uint32_t i = bits; i < BITS; i++) {
        if (a->b[i / 8] & (0x80 >> (i % 8)))
            return false;
    }
    return true;
}

static bool net_parse(const char *text, struct rr_ip *ip, uint8_t *bits)
{
    char copy[NET_TEXT];
    char *slash = NULL;
    char *end = NULL;
    long n = BITS;

    strcpy(copy, text); /* the caller has measured it */
    slash = strchr(copy, '/');
    if (slash)
        *slash = 0;
    if (!rr_ip_parse(ip, copy))
        return false;
    if (slash) {
        n = strtol(slash + 1, &end, 10);
        if (end == slash + 1 || *end || slash[1] < '0' || slash[1] > '9')
            return false;
        if (!strchr(copy, ':')) /* of an IPv4 address */
            n = n <= BITS - V4_BITS ? n + V4_BITS : -1;
    }
    if (n < 0 || n > BITS || !nothing_behind(ip, (uint32_t)n))
        return false;
    *bits = (uint8_t)n;
    return true;
}

enum rr_err rr_ip_nets_parse(struct rr_ip_nets *out, const char *text)
{
    memset(out, 0, sizeof(*out));
    for (;;) {
        char one[NET_TEXT];
        size_t len = 0;

        text += strspn(text, ", \t");
        len = strcspn(text, ", \t");
        if (len == 0)
            return RR_OK;
        if (len >= sizeof(one) || out->n == RR_IP_NETS_MAX)
            return RR_CONFIG;
        memcpy(one, text, len);
        one[len] = 0;
        if (!net_parse(one, &out->net[out->n].ip, &out->net[out->n].bits))
            return RR_CONFIG;
        out->n++;
        text += len;
    }
}

bool rr_ip_nets_have(const struct rr_ip_nets *nets, const struct rr_ip *a)
{
    for (uint32_t i = 0; i < nets->n; i++) {
        if (same_prefix(&nets->net[i].ip, a, nets->net[i].bits))
            return true;
    }
    return false;
}

/* ---- behind proxies ---- */

static bool digits(const char *p)
{
    size_t n = strspn(p, "0123456789");

    return n > 0 && n <= 5 && p[n] == 0;
}

/* An address, maybe with a port. text is cut. */
static bool entry_parse(struct rr_ip *out, char *text)
{
    char *colon = strchr(text, ':');

    if (text[0] == '[') {
        char *close = strchr(text, ']');

        if (!close || (close[1] != 0 && (close[1] != ':' || !digits(close + 2))))
            return false;
        *close = 0;
        return rr_ip_parse(out, text + 1);
    }
    if (colon && !strchr(colon + 1, ':')) {
        if (!digits(colon + 1))
            return false;
        *colon = 0;
    }
    return rr_ip_parse(out, text);
}

/* The last entry of *list, which is cut off. False: none, or none that is an address. */
static bool entry_pop(struct rr_slice *list, struct rr_ip *out)
{
    char text[RR_IP_TEXT + 8];
    size_t end = list->len;
    size_t start = 0;

    while (end > 0 && (list->p[end - 1] == ' ' || list->p[end - 1] == '\t'))
        end--;
    start = end;
    while (start > 0 && list->p[start - 1] != ',')
        start--;
    list->len = start ? start - 1 : 0;
    while (start < end && (list->p[start] == ' ' || list->p[start] == '\t'))
        start++;
    if (start == end || end - start >= sizeof(text))
        return false;
    memcpy(text, list->p + start, end - start);
    text[end - start] = 0;
    return strlen(text) == end - start && entry_parse(out, text);
}

struct rr_ip rr_ip_client(const struct rr_ip *peer, struct rr_slice forwarded_for,
                          const struct rr_ip_nets *trusted)
{
    struct rr_ip at = *peer;
    struct rr_ip next;

    while (rr_ip_nets_have(trusted, &at) && entry_pop(&forwarded_for, &next))
        at = next;
    return at;
}
