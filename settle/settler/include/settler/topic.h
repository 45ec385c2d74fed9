/* topic.h - the Kafka topic of granted packets, made by `redrainctl migrate`. Blocking. */
#ifndef SETTLER_TOPIC_H
#define SETTLER_TOPIC_H

#include <stddef.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/err.h"

/* RR_OK: the topic is there (made now or before; an existing one is not changed). Retention 7 days, min.insync.replicas
 * 2 from 3 replicas on, no unclean election.
 * RR_UNAVAILABLE: no broker in time; RR_SYSTEM: refused. *message (of cap bytes) says why. */
RR_MUST_CHECK enum rr_err settler_topic_ensure(const struct rr_conf *c, const char *topic,
                                               int32_t partitions, int32_t replication,
                                               char *message, size_t cap);
/* retention.ms as the brokers have it; -1: for ever. RR_UNAVAILABLE: no broker in time, or one that cannot say; RR_NOT_FOUND: no
 * such topic. */
RR_MUST_CHECK enum rr_err settler_topic_retention(const struct rr_conf *c, const char *topic,
                                                  int64_t *ms, char *message, size_t cap);

#endif
