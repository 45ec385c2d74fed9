#include "settler/kafka_conf.h"

#include <librdkafka/rdkafka.h>

#include "base/secret.h"

/* librdkafka leaves its texts where ours go. */
struct target {
    rd_kafka_conf_t *k;
    char *message;
    size_t cap;
};

static enum rr_err set(void *arg, const char *key, const char *value)
{
    struct target *t = arg;

    return rd_kafka_conf_set(t->k, key, value, t->message, t->cap) == RD_KAFKA_CONF_OK ? RR_OK
                                                                                       : RR_CONFIG;
}

enum rr_err settler_kafka_conf(const struct rr_conf *c, struct rd_kafka_conf_s *k, char *message,
                               size_t cap)
{
    struct target t = {.k = k, .message = message, .cap = cap};
    enum rr_err err = set(&t, "bootstrap.servers", c->kafka_bootstrap);

    return err ? err : rr_kafka_security(c, set, &t, message, cap);
}
