/* kafka_produce.c - how soon a record is safe: produced by a schedule, its delivery report awaited, nothing else. What the time
 * until a grab is told is measured beside. Same settings as the product's producer: idempotent, acks=all, linger 1 ms.
 *   redrain-ref-kafka-produce BOOTSTRAP TOPIC PER_SECOND SECONDS */
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RECORD_BYTES = 160, TOPIC_WAIT_MS = 15000 };

struct times {
    int64_t *us;
    size_t n, cap;
};

static int64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    struct times *t = opaque;

    (void)rk;
    if (!m->err && t->n < t->cap)
        t->us[t->n++] = now_us() - (int64_t)(intptr_t)m->_private;
}

static void option(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[256];

    if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) != RD_KAFKA_CONF_OK) {
        fprintf(stderr, "%s\n", text);
        exit(1);
    }
}

static void make_topic(rd_kafka_t *rk, const char *name)
{
    char text[256];
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, 4, 1, text, sizeof(text));
    rd_kafka_queue_t *q = rd_kafka_queue_new(rk);

    rd_kafka_CreateTopics(rk, &topic, 1, NULL, q);
    rd_kafka_event_destroy(rd_kafka_queue_poll(q, TOPIC_WAIT_MS));
    rd_kafka_NewTopic_destroy(topic);
    rd_kafka_queue_destroy(q);
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    char record[RECORD_BYTES];
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    struct times t = {0};
    rd_kafka_t *rk = NULL;

    if (argc != 5)
        return 2;
    double per_s = atof(argv[3]);
    t.cap = (size_t)(per_s * atof(argv[4])) + 1;
    t.us = calloc(t.cap, sizeof(*t.us));
    memset(record, 'x', sizeof(record));
    option(conf, "bootstrap.servers", argv[1]);
    option(conf, "enable.idempotence", "true");
    option(conf, "linger.ms", "1");
    option(conf, "queue.buffering.max.messages", "1000000");
    rd_kafka_conf_set_dr_msg_cb(conf, on_report);
    rd_kafka_conf_set_opaque(conf, &t);
    rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (!rk || !t.us)
        return 1;
    make_topic(rk, argv[2]);
    /* The first record pays for connections and leaders; it does not count. */
    rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(argv[2]), RD_KAFKA_V_VALUE(record, sizeof(record)),
                      RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    rd_kafka_flush(rk, TOPIC_WAIT_MS);
    t.n = 0;
    int64_t begun_us = now_us();
    for (size_t i = 0; i < t.cap;) {
        int64_t due_us = begun_us + (int64_t)((double)i * 1e6 / per_s);

        if (due_us > now_us()) {
            rd_kafka_poll(rk, 1);
            continue;
        }
        if (rd_kafka_producev(
                rk, RD_KAFKA_V_TOPIC(argv[2]), RD_KAFKA_V_VALUE(record, sizeof(record)),
                RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(&i, sizeof(i)),
                RD_KAFKA_V_OPAQUE((void *)(intptr_t)due_us),
                RD_KAFKA_V_END) == RD_KAFKA_RESP_ERR_NO_ERROR)
            i++;
        if (i % 64 == 0)
            rd_kafka_poll(rk, 0);
    }
    rd_kafka_flush(rk, 10000);
    qsort(t.us, t.n, sizeof(*t.us), by_size);
    printf("{\"produced\":%zu,\"acknowledged\":%zu,\"p50_us\":%" PRId64 ",\"p99_us\":%" PRId64
           "}\n",
           t.cap, t.n, t.n ? t.us[t.n / 2] : 0, t.n ? t.us[t.n * 99 / 100] : 0);
    rd_kafka_destroy(rk);
    free(t.us);
    return 0;
}
