/* db_url.h - mysql://user:password@host:port/database[?socket=/path], percent-encoded where needed. Pure. */
#ifndef SETTLE_LEDGER_DB_URL_H
#define SETTLE_LEDGER_DB_URL_H

#include <stdint.h>

#include "base/err.h"

struct db_url {
    char user[129];
    char password[257];
    char host[256];
    char database[65]; /* [A-Za-z0-9_-]+, namespace included */
    char socket[108];  /* "" : TCP */
    uint16_t port;
};

/* RR_CONFIG: *what names the bad part (a constant). */
RR_MUST_CHECK enum rr_err db_url_parse(const char *url, const char *namespace_, struct db_url *out,
                                       const char **what);

#endif
