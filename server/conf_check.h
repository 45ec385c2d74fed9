/* conf_check.h - what a configuration of redrain-server must fulfil beyond each option's own rule: keys and certificates can be
 * read, options that go together do. The same check at start, for --check-config and before a reload. */
#ifndef SERVER_CONF_CHECK_H
#define SERVER_CONF_CHECK_H

#include "base/conf.h"

/* RR_CONFIG: message says what is wrong. */
RR_MUST_CHECK enum rr_err server_conf_check(const struct rr_conf *c, char *message, size_t cap);

#endif
