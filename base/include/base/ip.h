/* ip.h - an IP address as 16 bytes, lists of networks, and the one rule that says which address a
 * client behind proxies has. Pure. */
#ifndef BASE_IP_H
#define BASE_IP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

struct sockaddr;

enum { RR_IP_TEXT = 46 };

/* IPv4 as ::ffff:a.b.c.d, so that 10.0.0.1 and ::ffff:10.0.0.1 are the same. All zero: none. */
struct rr_ip {
    uint8_t b[16];
};

bool rr_ip_none(const struct rr_ip *a);
bool rr_ip_is4(const struct rr_ip *a);
bool rr_ip_equal(const struct rr_ip *a, const struct rr_ip *b);
void rr_ip_from4(struct rr_ip *out, const uint8_t v4[4]);
/* Of AF_INET or AF_INET6; anything else is none. */
void rr_ip_of_sockaddr(struct rr_ip *out, const struct sockaddr *sa);
/* "203.0.113.7" or "2001:db8::1", nothing around it. */
bool rr_ip_parse(struct rr_ip *out, const char *text);
/* IPv4 as a.b.c.d; "" for none. */
void rr_ip_print(const struct rr_ip *a, char out[RR_IP_TEXT]);

/* "10.0.0.0/8, 127.0.0.1, fd00::/8": at most RR_IP_NETS_MAX, a bare address is a net of one. */
enum { RR_IP_NETS_MAX = 64 };
struct rr_ip_nets {
    struct {
        struct rr_ip ip;
        uint8_t bits; /* of 128 */
    } net[RR_IP_NETS_MAX];
    uint32_t n;
};
/* RR_CONFIG: not such a list, or a net with bits set behind its prefix. */
RR_MUST_CHECK enum rr_err rr_ip_nets_parse(struct rr_ip_nets *out, const char *text);
bool rr_ip_nets_have(const struct rr_ip_nets *nets, const struct rr_ip *a);

/* The client's address: the peer's, unless the peer is a proxy we trust. Then the entry the nearest
 * proxy wrote, which is the last of the header ("a, b, c"), and while that is a trusted proxy too
 * the one before it. What stands left of the first address that is not trusted was sent by the
 * client and is not looked at. An entry that is no address ends the walk at the hop that sent it.
 * Entries may carry a port: 203.0.113.7:4711, [2001:db8::1]:4711. */
struct rr_ip rr_ip_client(const struct rr_ip *peer, struct rr_slice forwarded_for,
                          const struct rr_ip_nets *trusted);

#endif
