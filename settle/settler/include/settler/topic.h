/* topic.h - makes sure the topic of granted packets exists. Blocking. */
#ifndef SETTLER_TOPIC_H
#define SETTLER_TOPIC_H

#include <stddef.h>

#include "base/err.h"

/* RR_OK: it exists now (made, or there before: then partitions and replication are left as they are).
 * RR_UNAVAILABLE: no broker answered in 10 s. RR_CONFIG: the broker refused; *message says why. */
RR_MUST_CHECK enum rr_err settler_topic_ensure(const char *bootstrap, const char *topic,
                                               int partitions, int replication, char *message,
                                               size_t cap);

#endif
