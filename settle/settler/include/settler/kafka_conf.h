/* kafka_conf.h - where the brokers are and how one comes in, from [kafka]: what every client of the settler and of redrainctl
 * begins with. */
#ifndef SETTLER_KAFKA_CONF_H
#define SETTLER_KAFKA_CONF_H

#include <stddef.h>

#include "base/conf.h"
#include "base/err.h"

struct rd_kafka_conf_s;

/* RR_CONFIG: *message says what is wrong. */
RR_MUST_CHECK enum rr_err settler_kafka_conf(const struct rr_conf *c, struct rd_kafka_conf_s *k,
                                             char *message, size_t cap);

#endif
