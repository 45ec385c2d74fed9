/* redis_url.h - parses redis://[user][:password@]host[:port][,host[:port]…][/db]. Pure. */
#ifndef STORE_REDIS_URL_H
#define STORE_REDIS_URL_H

#include <stdint.h>

#include "base/err.h"

enum {
    REDIS_URL_HOST_MAX = 255,
    REDIS_URL_PASSWORD_MAX = 512,
    REDIS_URL_USER_MAX = 128,
    REDIS_URL_SEEDS_MAX = 16
};

struct redis_addr {
    char host[REDIS_URL_HOST_MAX + 1]; /* name, IPv4, or IPv6 without brackets */
    uint16_t port;
};

struct redis_url {
    char host[REDIS_URL_HOST_MAX + 1]; /* of the first address */
    char user[REDIS_URL_USER_MAX + 1]; /* "" when none; percent-decoded, like the password */
    char password[REDIS_URL_PASSWORD_MAX + 1];
    uint16_t port; /* default 6379 */
    uint32_t db;   /* default 0 */
    /* Every address, the first too: nodes of a cluster, or sentinels. */
    struct redis_addr seeds[REDIS_URL_SEEDS_MAX];
    uint32_t seeds_n;
};

/* RR_CONFIG: another scheme (TLS is not spoken), or a part that is malformed, too long or out of
 * range. */
RR_MUST_CHECK enum rr_err redis_url_parse(const char *url, struct redis_url *out);

#endif
