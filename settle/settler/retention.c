/* retention.c - how long the brokers keep the topic's records: until then a record may come again. */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "settler/kafka_conf.h"
#include "settler/topic.h"

enum { ASK_MS = 10000 };

static enum rr_err find(rd_kafka_event_t *event, int64_t *ms, char *message, size_t cap)
{
    const rd_kafka_ConfigResource_t **res = NULL;
    const rd_kafka_ConfigEntry_t **entries = NULL;
    size_t n = 0;

    if (!event || rd_kafka_event_error(event)) {
        snprintf(message, cap, "%s",
                 event ? rd_kafka_event_error_string(event) : "no answer from the brokers");
        return RR_UNAVAILABLE;
    }
    res =
        rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event), &n);
    if (n != 1 || rd_kafka_ConfigResource_error(res[0])) {
        snprintf(message, cap, "%s",
                 n == 1 ? rd_kafka_ConfigResource_error_string(res[0]) : "no such topic");
        return RR_NOT_FOUND;
    }
    entries = rd_kafka_ConfigResource_configs(res[0], &n);
    for (size_t i = 0; i < n; i++) {
        const char *value = rd_kafka_ConfigEntry_value(entries[i]);

        if (value && strcmp(rd_kafka_ConfigEntry_name(entries[i]), "retention.ms") == 0) {
            *ms = strtoll(value, NULL, 10);
            return RR_OK;
        }
    }
    snprintf(message, cap, "the brokers name no retention.ms");
    return RR_NOT_FOUND;
}

enum rr_err settler_topic_retention(const struct rr_conf *c, const char *topic, int64_t *ms,
                                    char *message, size_t cap)
{
    char why[512] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_t *rk = NULL;
    rd_kafka_queue_t *queue = NULL;
    rd_kafka_event_t *event = NULL;
    rd_kafka_AdminOptions_t *options = NULL;
    rd_kafka_ConfigResource_t *res = NULL;
    enum rr_err err = RR_OK;

    if (settler_kafka_conf(c, conf, why, sizeof(why)) ||
        rd_kafka_conf_set(conf, "log_level", "2", why, sizeof(why)) ||
        !(rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why)))) {
        rd_kafka_conf_destroy(conf);
        snprintf(message, cap, "%s", why);
        return RR_CONFIG;
    }
    queue = rd_kafka_queue_new(rk);
    options = rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_AdminOptions_set_request_timeout(options, ASK_MS, why, sizeof(why));
    res = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    rd_kafka_DescribeConfigs(rk, &res, 1, options, queue);
    event = rd_kafka_queue_poll(queue, ASK_MS + 1000);
    err = find(event, ms, message, cap);
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_ConfigResource_destroy(res);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(rk);
    return err;
}
