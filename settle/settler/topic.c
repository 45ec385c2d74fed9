#include "settler/topic.h"

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "settler/kafka_conf.h"

enum { TIMEOUT_MS = 15000, CONTROLLER_MS = 3000, ERROR_MAX = 512 };

static const char *const settings[][2] = {
    {"retention.ms", "604800000"},
    {"unclean.leader.election.enable", "false"},
    {"cleanup.policy", "delete"},
};

static enum rr_err build(const char *topic, int32_t partitions, int32_t replication,
                         rd_kafka_NewTopic_t **out, char *message, size_t cap)
{
    char why[ERROR_MAX] = "";
    rd_kafka_NewTopic_t *nt =
        rd_kafka_NewTopic_new(topic, partitions, replication, why, sizeof(why));

    *out = NULL;
    if (!nt) {
        snprintf(message, cap, "%s", why);
        return RR_BAD_REQUEST;
    }
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
        rd_kafka_NewTopic_set_config(nt, settings[i][0], settings[i][1]);
    if (replication >= 3)
        rd_kafka_NewTopic_set_config(nt, "min.insync.replicas", "2");
    *out = nt;
    return RR_OK;
}

static enum rr_err verdict(rd_kafka_event_t *event, char *message, size_t cap)
{
    const rd_kafka_topic_result_t **results = NULL;
    const char *text = NULL;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__TIMED_OUT;
    size_t n = 0;

    if (event) {
        code = rd_kafka_event_error(event);
        text = rd_kafka_event_error_string(event);
    }
    if (!code) {
        results =
            rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &n);
        code = n == 1 ? rd_kafka_topic_result_error(results[0]) : RD_KAFKA_RESP_ERR_UNKNOWN;
        text = n == 1 ? rd_kafka_topic_result_error_string(results[0]) : NULL;
    }
    if (!code || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        return RR_OK;
    snprintf(message, cap, "%s", text ? text : rd_kafka_err2str(code));
    return code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR__TRANSPORT ||
                   code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN ||
                   code == RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT
               ? RR_UNAVAILABLE
               : RR_SYSTEM;
}

/* A broker that has the topic need not be asked to make it; one without a controller (the broker in memory) could not. Where the
 * brokers make topics by themselves this makes it, with their defaults. */
static bool is_there(rd_kafka_t *rk, const char *topic)
{
    const struct rd_kafka_metadata *md = NULL;
    rd_kafka_topic_t *handle = NULL;
    bool found = false;

    if (rd_kafka_controllerid(rk, CONTROLLER_MS) >= 0) {
        if (rd_kafka_metadata(rk, 1, NULL, &md, TIMEOUT_MS) == 0) {
            for (int i = 0; i < md->topic_cnt; i++)
                found = found || (strcmp(md->topics[i].topic, topic) == 0 &&
                                  md->topics[i].partition_cnt > 0);
        }
    } else {
        handle = rd_kafka_topic_new(rk, topic, NULL);
        found = rd_kafka_metadata(rk, 0, handle, &md, TIMEOUT_MS) == 0 && md->topic_cnt == 1 &&
                md->topics[0].partition_cnt > 0;
        rd_kafka_topic_destroy(handle);
    }
    if (md)
        rd_kafka_metadata_destroy(md);
    return found;
}

static enum rr_err create(rd_kafka_t *rk, rd_kafka_NewTopic_t *nt, char *message, size_t cap)
{
    char why[ERROR_MAX];
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_event_t *event = NULL;
    enum rr_err err = RR_OK;

    rd_kafka_AdminOptions_set_request_timeout(options, TIMEOUT_MS, why, sizeof(why));
    rd_kafka_AdminOptions_set_operation_timeout(options, TIMEOUT_MS, why, sizeof(why));
    rd_kafka_CreateTopics(rk, &nt, 1, options, queue);
    event = rd_kafka_queue_poll(queue, TIMEOUT_MS + 1000);
    err = verdict(event, message, cap);
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    return err;
}

enum rr_err settler_topic_ensure(const struct rr_conf *c, const char *topic, int32_t partitions,
                                 int32_t replication, char *message, size_t cap)
{
    char why[ERROR_MAX] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_NewTopic_t *nt = NULL;
    rd_kafka_t *rk = NULL;
    enum rr_err err = build(topic, partitions, replication, &nt, message, cap);

    if (!err && (settler_kafka_conf(c, conf, why, sizeof(why)) ||
                 rd_kafka_conf_set(conf, "log_level", "2", why, sizeof(why)) ||
                 !(rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why))))) {
        snprintf(message, cap, "%s", why);
        err = RR_CONFIG;
    }
    if (rk)
        err = is_there(rk, topic) ? RR_OK : create(rk, nt, message, cap);
    else
        rd_kafka_conf_destroy(conf);
    if (nt)
        rd_kafka_NewTopic_destroy(nt);
    if (rk)
        rd_kafka_destroy(rk);
    return err;
}
