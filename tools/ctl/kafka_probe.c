/* Asks the brokers for all topics: unlike a question about one topic that never makes it. */
#include "names.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <string.h>

#include "settler/kafka_conf.h"

enum { PROBE_MS = 5000 };

void ctl_topic_name(const struct rr_conf *conf, char out[TOPIC_NAME_MAX])
{
    snprintf(out, TOPIC_NAME_MAX, "%s%s", conf->server_namespace, conf->kafka_topic);
}

struct reason {
    char text[400];
};

/* A refused login or certificate ends as a timeout of whatever was asked; only here it is said why. */
static void on_error(rd_kafka_t *rk, int code, const char *why, void *opaque)
{
    struct reason *r = opaque;

    (void)rk;
    if (code == RD_KAFKA_RESP_ERR__AUTHENTICATION || code == RD_KAFKA_RESP_ERR__SSL || !r->text[0])
        snprintf(r->text, sizeof(r->text), "%s", why);
}

static rd_kafka_t *client_new(const struct rr_conf *c, struct reason *r, char *message, size_t cap)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_t *rk = NULL;

    rd_kafka_conf_set_opaque(conf, r);
    rd_kafka_conf_set_error_cb(conf, on_error);
    if (settler_kafka_conf(c, conf, message, cap) == RR_OK &&
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
    struct reason reason = {.text = ""};
    rd_kafka_t *rk = client_new(conf, &reason, message, cap);

    *partitions = 0;
    if (!rk)
        return RR_CONFIG;
    rd_kafka_resp_err_t code = rd_kafka_metadata(rk, 1, NULL, &all, PROBE_MS);
    if (code) {
        rd_kafka_poll(rk, 0);
        snprintf(message, cap, "%s%s%s", rd_kafka_err2str(code), reason.text[0] ? ": " : "",
                 reason.text);
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
