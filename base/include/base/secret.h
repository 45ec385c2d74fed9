/* secret.h - passwords that live in files of their own: one line, readable by their owner only. */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include "base/conf.h"
#include "base/err.h"

enum { RR_SECRET_MAX = 1024 };

/* The file's content without its last line break. RR_CONFIG: message says why: missing, readable by others, empty, longer than
 * RR_SECRET_MAX - 1 bytes, more than a line. The caller wipes out. */
RR_MUST_CHECK enum rr_err rr_secret_read(const char *file, char out[RR_SECRET_MAX], char *message,
                                         size_t cap);

/* ---- what a Kafka client needs to come in ---- */

/* Sets one property of librdkafka; RR_CONFIG and a text of its own when that refuses. */
typedef enum rr_err (*rr_property_fn)(void *arg, const char *key, const char *value);
/* security.protocol and what belongs to it, from [kafka]; nothing for plaintext, the default. RR_CONFIG: message, unless it was
 * set() that failed. */
RR_MUST_CHECK enum rr_err rr_kafka_security(const struct rr_conf *c, rr_property_fn set, void *arg,
                                            char *message, size_t cap);

#endif
