#include "base/proxy_header.h"

#include <stdint.h>
#include <string.h>

static const uint8_t signature[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                      0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};
static const char text_version[] = "PROXY ";

enum {
    VERSION_AT = sizeof(signature),
    FAMILY_AT,
    LENGTH_AT,
    VERSION = 2,
    LOCAL = 0,
    PROXY = 1,
    V6_BYTES = 16,
};

/* Only streams: what comes here is one. */
static const struct {
    uint8_t family;
    uint16_t least; /* bytes of its two ends */
} families[] = {
    {0x00, 0},   /* unspecified */
    {0x11, 12},  /* IPv4 */
    {0x21, 36},  /* IPv6 */
    {0x31, 216}, /* local sockets */
};

static enum rr_err refuse(struct rr_proxy_header *out, enum rr_err err, const char *fault)
{
    out->fault = fault;
    return err;
}

static bool begins(struct rr_slice bytes, const void *with, size_t n)
{
    return bytes.len == 0 || memcmp(bytes.p, with, bytes.len < n ? bytes.len : n) == 0;
}

/* The client of a PROXY command. */
static enum rr_err client_parse(const uint8_t *p, size_t length, struct rr_proxy_header *out)
{
    const uint8_t *ends = p + RR_PROXY_FIXED_BYTES;
    size_t i = 0;

    while (i < RR_COUNTOF(families) && families[i].family != p[FAMILY_AT])
        i++;
    if (i == RR_COUNTOF(families))
        return refuse(out, RR_MALFORMED, "an unknown family of addresses");
    if (length < families[i].least)
        return refuse(out, RR_MALFORMED, "too short for its addresses");
    if (p[FAMILY_AT] == 0x11)
        rr_ip_from4(&out->client, ends);
    else if (p[FAMILY_AT] == 0x21)
        memcpy(out->client.b, ends, V6_BYTES);
    out->has_client = !rr_ip_none(&out->client);
    return RR_OK;
}

enum rr_err rr_proxy_parse(struct rr_slice bytes, struct rr_proxy_header *out, size_t *need)
{
    const uint8_t *p = (const uint8_t *)bytes.p;
    size_t length = 0;

    memset(out, 0, sizeof(*out));
    *need = RR_PROXY_FIXED_BYTES;
    if (!begins(bytes, signature, sizeof(signature)))
        return refuse(out, RR_MALFORMED,
                      begins(bytes, text_version, sizeof(text_version) - 1)
                          ? "version 1 of the PROXY protocol; the proxy must send version 2"
                          : "no PROXY protocol header");
    if (bytes.len > VERSION_AT && p[VERSION_AT] >> 4 != VERSION)
        return refuse(out, RR_MALFORMED, "another version of the PROXY protocol than 2");
    if (bytes.len > VERSION_AT && (p[VERSION_AT] & 0x0f) > PROXY)
        return refuse(out, RR_MALFORMED, "an unknown command");
    if (bytes.len < RR_PROXY_FIXED_BYTES)
        return RR_PENDING;
    length = (size_t)p[LENGTH_AT] << 8 | p[LENGTH_AT + 1];
    *need += length;
    if (*need > RR_PROXY_MAX_BYTES)
        return refuse(out, RR_TOO_BIG, "longer than 536 bytes");
    if (bytes.len < *need)
        return RR_PENDING;
    return (p[VERSION_AT] & 0x0f) == LOCAL ? RR_OK : client_parse(p, length, out);
}
