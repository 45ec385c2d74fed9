#include "consumer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "settler/kafka_conf.h"

enum { REQUEST_MS = 5000, ERROR_MAX = 512 };

struct consumer {
    rd_kafka_t *rk;
    char topic[250];
    struct consumer_events events;
    struct rr_ratelog error_log;
};

/* Sessions are short because a takeover too early costs nothing: rp_offset lets only one of two settle a record. */
static const char *const settings[][2] = {
    {"enable.auto.commit", "false"},
    {"enable.auto.offset.store", "false"},
    {"auto.offset.reset", "error"},
    {"check.crcs", "true"},
    {"enable.partition.eof", "false"},
    {"session.timeout.ms", "6000"},
    {"heartbeat.interval.ms", "2000"},
    {"max.poll.interval.ms", "3600000"}, /* a database may be down for long */
    {"queued.min.messages",
     "100000"}, /* of all partitions; reaching it costs a pause of up to 1 s */
    {"queued.max.messages.kbytes", "16384"},
    {"fetch.wait.max.ms", "50"},
    {"fetch.error.backoff.ms", "100"},
    {"reconnect.backoff.max.ms", "2000"},
    {"log.connection.close", "false"},
    {"client.id", "redrain-settler"},
};

static void on_log(const rd_kafka_t *rk, int level, const char *fac, const char *buf)
{
    (void)rk;
    if (level <= 3)
        log_warn("kafka", "%s: %s", fac, buf);
    else
        log_debug("kafka", "%s: %s", fac, buf);
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct consumer *c = opaque;
    uint64_t suppressed = 0;

    (void)rk;
    if (rr_ratelog_pass(&c->error_log, rr_mono_us(rr_clock_system()), 5000000, &suppressed))
        log_warn("kafka_error", "%s: %s, %llu more", rd_kafka_err2name((rd_kafka_resp_err_t)code),
                 reason, (unsigned long long)suppressed);
}

static void apply(rd_kafka_t *rk, rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t *list)
{
    bool cooperative = strcmp(rd_kafka_rebalance_protocol(rk), "COOPERATIVE") == 0;
    rd_kafka_error_t *error = NULL;

    if (what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS && cooperative)
        error = rd_kafka_incremental_assign(rk, list);
    else if (what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
        rd_kafka_assign(rk, list);
    else if (cooperative)
        error = rd_kafka_incremental_unassign(rk, list);
    else
        rd_kafka_assign(rk, NULL);
    if (error) {
        log_error("assign_failed", "%s", rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
    }
}

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t what,
                         rd_kafka_topic_partition_list_t *list, void *opaque)
{
    struct consumer *c = opaque;

    for (int i = 0; i < list->cnt; i++) {
        if (what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
            c->events.assigned(c->events.arg, list->elems[i].partition, &list->elems[i].offset);
        else
            c->events.revoked(c->events.arg, list->elems[i].partition);
    }
    apply(rk, what, list);
}

static enum rr_err set(rd_kafka_conf_t *k, const char *key, const char *value, char *message,
                       size_t cap)
{
    return rd_kafka_conf_set(k, key, value, message, cap) == RD_KAFKA_CONF_OK ? RR_OK : RR_CONFIG;
}

/* Before 2.3 a cooperative-sticky consumer that was never the group's leader aborts when it is destroyed (a NULL state is
 * asserted against). Exactness does not depend on it: the offset in SQL is compared and set. */
static const char *assignment_strategy(void)
{
    return rd_kafka_version() >= 0x02030000 ? "cooperative-sticky" : "range";
}

enum rr_err consumer_create(struct consumer **out, const struct rr_conf *conf,
                            const struct consumer_events *events, char *message, size_t cap)
{
    struct consumer *c = rr_xcalloc(1, sizeof(*c));
    rd_kafka_conf_t *k = rd_kafka_conf_new();
    char group[250];
    enum rr_err err = RR_OK;

    *out = NULL;
    c->events = *events;
    snprintf(c->topic, sizeof(c->topic), "%s%s", conf->server_namespace, conf->kafka_topic);
    snprintf(group, sizeof(group), "%s%s", conf->server_namespace, conf->kafka_group);
    rd_kafka_conf_set_opaque(k, c);
    rd_kafka_conf_set_rebalance_cb(k, on_rebalance);
    rd_kafka_conf_set_error_cb(k, on_error);
    rd_kafka_conf_set_log_cb(k, on_log);
    err = settler_kafka_conf(conf, k, message, cap);
    if (!err)
        err = set(k, "group.id", group, message, cap);
    if (!err)
        err = set(k, "partition.assignment.strategy", assignment_strategy(), message, cap);
    for (size_t i = 0; !err && i < RR_COUNTOF(settings); i++)
        err = set(k, settings[i][0], settings[i][1], message, cap);
    if (!err) {
        c->rk = rd_kafka_new(RD_KAFKA_CONSUMER, k, message, cap);
        err = c->rk ? RR_OK : RR_CONFIG;
    }
    if (err) {
        rd_kafka_conf_destroy(k);
        free(c);
        return err;
    }
    rd_kafka_poll_set_consumer(c->rk);
    *out = c;
    return RR_OK;
}

void consumer_destroy(struct consumer *c)
{
    if (!c)
        return;
    rd_kafka_consumer_close(c->rk);
    rd_kafka_destroy(c->rk);
    free(c);
}

const char *consumer_topic(const struct consumer *c)
{
    return c->topic;
}

enum rr_err consumer_probe(struct consumer *c, int timeout_ms)
{
    const struct rd_kafka_metadata *md = NULL;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(c->rk, c->topic, NULL);
    enum rr_err err = RR_UNAVAILABLE;

    if (topic && rd_kafka_metadata(c->rk, 0, topic, &md, timeout_ms) == 0) {
        err = md->topic_cnt == 1 && md->topics[0].err == 0 && md->topics[0].partition_cnt > 0
                  ? RR_OK
                  : RR_NOT_FOUND;
        rd_kafka_metadata_destroy(md);
    }
    if (topic)
        rd_kafka_topic_destroy(topic);
    return err;
}

enum rr_err consumer_subscribe(struct consumer *c)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_resp_err_t code = 0;

    rd_kafka_topic_partition_list_add(list, c->topic, RD_KAFKA_PARTITION_UA);
    code = rd_kafka_subscribe(c->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (code)
        log_error("subscribe_failed", "%s", rd_kafka_err2str(code));
    return code ? RR_SYSTEM : RR_OK;
}

rd_kafka_message_t *consumer_poll(struct consumer *c, int timeout_ms, int32_t *lost)
{
    rd_kafka_message_t *m = rd_kafka_consumer_poll(c->rk, timeout_ms);
    uint64_t suppressed = 0;

    *lost = -1;
    if (!m || !m->err)
        return m;
    if (m->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
        m->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE)
        *lost = m->partition;
    if (rr_ratelog_pass(&c->error_log, rr_mono_us(rr_clock_system()), 5000000, &suppressed))
        log_warn("kafka_error", "%s: %s, %llu more", rd_kafka_err2name(m->err),
                 rd_kafka_message_errstr(m), (unsigned long long)suppressed);
    rd_kafka_message_destroy(m);
    return NULL;
}

enum rr_err consumer_watermarks(struct consumer *c, int32_t partition, int64_t *low, int64_t *high)
{
    return rd_kafka_query_watermark_offsets(c->rk, c->topic, partition, low, high, REQUEST_MS)
               ? RR_UNAVAILABLE
               : RR_OK;
}

enum rr_err consumer_ends(struct consumer *c, struct grant_log_end *out, uint32_t max, uint32_t *n)
{
    const struct rd_kafka_metadata *md = NULL;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(c->rk, c->topic, NULL);
    enum rr_err err = RR_UNAVAILABLE;

    *n = 0;
    if (topic && rd_kafka_metadata(c->rk, 0, topic, &md, REQUEST_MS) == 0) {
        const struct rd_kafka_metadata_topic *t = &md->topics[0];

        if (md->topic_cnt == 1 && t->err == 0 && t->partition_cnt > 0)
            err = (uint32_t)t->partition_cnt > max ? RR_FULL : RR_OK;
        for (int i = 0; !err && i < t->partition_cnt; i++) {
            struct grant_log_end *e = &out[*n];

            e->part = t->partitions[i].id;
            err = consumer_watermarks(c, e->part, &e->low, &e->high);
            ++*n;
        }
        rd_kafka_metadata_destroy(md);
    }
    if (topic)
        rd_kafka_topic_destroy(topic);
    return err;
}

bool consumer_assignment_lost(struct consumer *c)
{
    return rd_kafka_assignment_lost(c->rk) != 0;
}

int64_t consumer_high(struct consumer *c, int32_t partition)
{
    int64_t low = -1;
    int64_t high = -1;

    if (rd_kafka_get_watermark_offsets(c->rk, c->topic, partition, &low, &high))
        return -1;
    return high;
}

enum rr_err consumer_seek(struct consumer *c, int32_t partition, int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_error_t *error = NULL;
    enum rr_err err = RR_OK;

    rd_kafka_topic_partition_list_add(list, c->topic, partition)->offset = offset;
    error = rd_kafka_seek_partitions(c->rk, list, REQUEST_MS);
    if (error || list->elems[0].err) {
        log_warn("seek_failed", "partition %d to %lld: %s", (int)partition, (long long)offset,
                 error ? rd_kafka_error_string(error) : rd_kafka_err2str(list->elems[0].err));
        err = RR_RETRY;
    }
    if (error)
        rd_kafka_error_destroy(error);
    rd_kafka_topic_partition_list_destroy(list);
    return err;
}

void consumer_pause(struct consumer *c, int32_t partition, bool pause)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    rd_kafka_topic_partition_list_add(list, c->topic, partition);
    if (pause)
        rd_kafka_pause_partitions(c->rk, list);
    else
        rd_kafka_resume_partitions(c->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
}
