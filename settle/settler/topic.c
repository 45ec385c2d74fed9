#include "settler/topic.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>

enum { ANSWER_MS = 10000 };

static enum rr_err read_answer(rd_kafka_event_t *ev, char *message, size_t cap)
{
    const rd_kafka_CreateTopics_result_t *result = rd_kafka_event_CreateTopics_result(ev);
    const rd_kafka_topic_result_t **topics = NULL;
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;
    size_t n = 0;

    if (rd_kafka_event_error(ev) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        snprintf(message, cap, "%s", rd_kafka_event_error_string(ev));
        return RR_UNAVAILABLE;
    }
    topics = result ? rd_kafka_CreateTopics_result_topics(result, &n) : NULL;
    if (n != 1) {
        snprintf(message, cap, "the broker's answer names no topic");
        return RR_UNAVAILABLE;
    }
    err = rd_kafka_topic_result_error(topics[0]);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR || err == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        return RR_OK;
    snprintf(message, cap, "%s: %s", rd_kafka_topic_result_name(topics[0]),
             rd_kafka_topic_result_error_string(topics[0]));
    return RR_CONFIG;
}

static enum rr_err create_topic(rd_kafka_t *rk, rd_kafka_NewTopic_t *topic, char *message,
                                size_t cap)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_event_t *ev = NULL;
    enum rr_err err = RR_UNAVAILABLE;

    rd_kafka_CreateTopics(rk, &topic, 1, NULL, queue);
    ev = rd_kafka_queue_poll(queue, ANSWER_MS);
    if (ev)
        err = read_answer(ev, message, cap);
    else
        snprintf(message, cap, "no broker answered in %d s", ANSWER_MS / 1000);
    if (ev)
        rd_kafka_event_destroy(ev);
    rd_kafka_queue_destroy(queue);
    return err;
}

enum rr_err settler_topic_ensure(const char *bootstrap, const char *topic, int partitions,
                                 int replication, char *message, size_t cap)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_NewTopic_t *new_topic = NULL;
    rd_kafka_t *rk = NULL;
    enum rr_err err = RR_CONFIG;

    message[0] = 0;
    if (rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, message, cap) == RD_KAFKA_CONF_OK)
        rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, message, cap);
    if (!rk) {
        rd_kafka_conf_destroy(conf);
        return RR_CONFIG;
    }
    new_topic = rd_kafka_NewTopic_new(topic, partitions, replication, message, cap);
    if (new_topic) {
        err = create_topic(rk, new_topic, message, cap);
        rd_kafka_NewTopic_destroy(new_topic);
    }
    rd_kafka_destroy(rk);
    return err;
}
