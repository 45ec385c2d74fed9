/* names.h - Kafka from the operator's side: names with the namespace, and whether a broker and the topic are there. */
#ifndef CTL_NAMES_H
#define CTL_NAMES_H

#include <stddef.h>

#include "base/conf.h"
#include "base/err.h"

enum { TOPIC_NAME_MAX = 256 };

void ctl_topic_name(const struct rr_conf *conf, char out[TOPIC_NAME_MAX]);
/* RR_OK: *partitions of the topic. RR_NOT_FOUND: brokers answer, the topic is not there. RR_UNAVAILABLE: no broker.
 * *message says more. Creates nothing. */
RR_MUST_CHECK enum rr_err ctl_kafka_probe(const struct rr_conf *conf, int *partitions,
                                          char *message, size_t cap);

#endif
