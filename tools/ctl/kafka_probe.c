/* Asks the brokers for all topics: unlike a question about one topic that never makes it. */
#include "names.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <string.h>

enum { PROBE_MS = 5000 };

void ctl_topic_name(const struct rr_conf *conf, char out[TOPIC_NAME_MAX])
{
    snprintf(out, TOPIC_NAME_MAX, "%s%s", conf->server_namespace, conf->kafka_topic);
}

static rd_kafka_t *client_new(const struct rr_conf *c, char *message, size_t cap)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_t *rk = NULL;

    if (rd_kafka_conf_set(conf, "bootstrap.servers", c->kafka_bootstrap, message, cap) ==
            RD_KAFKA_CONF_OK &&
        rd_kafka_conf_set(conf, "log_level", "2", message, cap) == RD_KAFKA_CONF_OK)
        rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, message, cap);
    if (!rk)
        rd_kafka_conf_destroy(conf);
    return rk;
}

enum rr_err ctl_kafka_probe(const struct rr_conf *conf, int *partitions, char *message, size_t cap)
{
    const struct rd_kafka_metadata *all = NULL;
    char topic[TOPIC_NAME_MAX];
    rd_kafka_t *rk = client_new(conf, message, cap);

    *partitions = 0;
    if (!rk)
        return RR_CONFIG;
    rd_kafka_resp_err_t code = rd_kafka_metadata(rk, 1, NULL, &all, PROBE_MS);
    if (code) {
        snprintf(message, cap, "%s", rd_kafka_err2str(code));
        rd_kafka_destroy(rk);
        return RR_UNAVAILABLE;
    }
    ctl_topic_name(conf, topic);
    for (int i = 0; i < all->topic_cnt; i++) {
        if (!strcmp(all->topics[i].topic, topic) && !all->topics[i].err)
            *partitions = all->topics[i].partition_cnt;
    }
    snprintf(message, cap, "%d broker(s), topic %s", all->broker_cnt, topic);
    rd_kafka_metadata_destroy(all);
    rd_kafka_destroy(rk);
    return *partitions ? RR_OK : RR_NOT_FOUND;
}
