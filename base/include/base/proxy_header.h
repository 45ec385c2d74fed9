/* proxy_header.h - version 2 of the PROXY protocol (haproxy.org, proxy-protocol.txt): the bytes a proxy puts in front of a
 * connection to say whom it speaks for. Pure. TLVs are skipped, version 1 (text) is not spoken.
 *
 * A header is asked for in steps that never reach behind it, so that whoever reads a socket by them leaves what follows, a
 * ClientHello or a request, where it is. */
#ifndef BASE_PROXY_HEADER_H
#define BASE_PROXY_HEADER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/ip.h"
#include "base/slice.h"

enum { RR_PROXY_FIXED_BYTES = 16, RR_PROXY_MAX_BYTES = 536 };

struct rr_proxy_header {
    bool
        has_client; /* false: LOCAL (the proxy itself, a health check), or an address of another family */
    struct rr_ip client; /* with has_client */
    const char *fault;   /* why it was refused; a literal */
};

/* bytes: what is there so far, from the first byte on.
 * RR_OK: whole, of *need bytes. RR_PENDING: ask again once *need bytes are there. RR_MALFORMED: no such header, as soon as the
 * bytes say so. RR_TOO_BIG: longer than RR_PROXY_MAX_BYTES. */
RR_MUST_CHECK enum rr_err rr_proxy_parse(struct rr_slice bytes, struct rr_proxy_header *out,
                                         size_t *need);

#endif
