#include "producer.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fail.h"
#include "base/log.h"
#include "base/secret.h"

#include <errno.h>
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { DRAIN_PER_WAKEUP = 4096 };

struct producer {
    const struct rr_conf *conf;
    struct rr_metrics *metrics;
    producer_report_fn report;
    void *arg;
    uv_loop_t *loop;
    uv_poll_t poll;
    uv_timer_t timer; /* remakes a fatal producer; drains what a wake-up left */
    int event_fd;
    uint32_t handles;        /* open libuv handles while closing */
    pthread_mutex_t ping_mu; /* rk and topic are not dropped while a thread asks through them */
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    rd_kafka_topic_t *topic;
    char *topic_name;
    uint32_t outstanding;
    bool up;
    bool fatal;
    struct rr_ratelog log;
    struct rr_buf scratch;
};

/* What a record's report needs: allocated per record, owned by librdkafka as its opaque. */
struct in_flight {
    uint64_t id;
    int64_t sent_us;
};

static bool conf_set(rd_kafka_conf_t *c, const char *key, const char *value)
{
    char text[256];

    if (rd_kafka_conf_set(c, key, value, text, sizeof(text)) == RD_KAFKA_CONF_OK)
        return true;
    log_error("kafka_conf", "%s: %s", key, text);
    return false;
}

static bool conf_set_int(rd_kafka_conf_t *c, const char *key, int64_t value)
{
    char text[32];

    snprintf(text, sizeof(text), "%" PRId64, value);
    return conf_set(c, key, text);
}

static enum rr_err set_property(void *conf, const char *key, const char *value)
{
    return conf_set(conf, key, value) ? RR_OK : RR_CONFIG;
}

static bool security_set(rd_kafka_conf_t *c, const struct rr_conf *conf)
{
    char message[512] = "";

    if (rr_kafka_security(conf, set_property, c, message, sizeof(message)) == RR_OK)
        return true;
    if (message[0])
        log_error("kafka_conf", "%s", message);
    return false;
}

/* The settler drops duplicates, so librdkafka's own idempotence is not needed; before 2.4 it turns
 * fatal after a disconnect with OUT_OF_ORDER. */
static const char *idempotence(void)
{
    return rd_kafka_version() >= 0x02040000 ? "true" : "false";
}

static void on_timer(uv_timer_t *t);

static enum rr_err producer_open(struct producer *p)
{
    rd_kafka_conf_t *c = rd_kafka_conf_new();
    char text[256];
    uint64_t one = 1;

    if (!conf_set(c, "bootstrap.servers", p->conf->kafka_bootstrap) || !security_set(c, p->conf) ||
        !conf_set(c, "client.id", "redrain-server") || !conf_set(c, "acks", "all") ||
        !conf_set(c, "enable.idempotence", idempotence()) || !conf_set(c, "linger.ms", "1") ||
        !conf_set(c, "compression.codec", "lz4") || !conf_set(c, "log.connection.close", "false") ||
        !conf_set(c, "log.queue", "true") || !conf_set(c, "reconnect.backoff.ms", "50") ||
        !conf_set(c, "reconnect.backoff.max.ms", "1000") ||
        !conf_set_int(c, "message.timeout.ms", p->conf->kafka_message_timeout_ms) ||
        !conf_set_int(c, "queue.buffering.max.messages", p->conf->kafka_queue_max)) {
        rd_kafka_conf_destroy(c);
        return RR_CONFIG;
    }
    rd_kafka_conf_set_events(c, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG);
    p->rk = rd_kafka_new(RD_KAFKA_PRODUCER, c, text, sizeof(text));
    if (!p->rk) {
        log_error("kafka_new", "%s", text);
        rd_kafka_conf_destroy(c);
        return RR_CONFIG;
    }
    p->topic = rd_kafka_topic_new(p->rk, p->topic_name, NULL);
    p->queue = rd_kafka_queue_get_main(p->rk);
    rd_kafka_set_log_queue(p->rk, NULL);
    rd_kafka_queue_io_event_enable(p->queue, p->event_fd, &one, sizeof(one));
    /* An event from before (a broker that is down) has not written to the fd, and none would after it: drain once. */
    uv_timer_start(&p->timer, on_timer, 0, 0);
    p->fatal = false;
    return RR_OK;
}

static void producer_drop(struct producer *p)
{
    pthread_mutex_lock(&p->ping_mu);
    if (p->topic)
        rd_kafka_topic_destroy(p->topic);
    if (p->queue)
        rd_kafka_queue_destroy(p->queue);
    if (p->rk)
        rd_kafka_destroy(p->rk);
    p->topic = NULL;
    p->queue = NULL;
    p->rk = NULL;
    pthread_mutex_unlock(&p->ping_mu);
}

bool producer_ping(struct producer *p, int timeout_ms)
{
    const struct rd_kafka_metadata *md = NULL;
    bool ok = false;

    pthread_mutex_lock(&p->ping_mu);
    ok = p->rk && rd_kafka_metadata(p->rk, 0, p->topic, &md, timeout_ms) == 0 &&
         md->topic_cnt == 1 && md->topics[0].partition_cnt > 0;
    if (md)
        rd_kafka_metadata_destroy(md);
    pthread_mutex_unlock(&p->ping_mu);
    return ok;
}

static void on_report(struct producer *p, const rd_kafka_message_t *m)
{
    struct in_flight *f = m->_private;
    uint64_t suppressed = 0;
    int64_t now_us = rr_mono_us(rr_clock_system());
    bool ok = m->err == RD_KAFKA_RESP_ERR_NO_ERROR;

    p->outstanding--;
    p->up = ok;
    rr_metric_add(ok ? &p->metrics->kafka_delivered_total : &p->metrics->kafka_failed_total, 1);
    rr_metric_observe_us(&p->metrics->kafka_delivery_seconds, now_us - f->sent_us);
    if (!ok && rr_ratelog_pass(&p->log, now_us, 5000000, &suppressed))
        log_warn("kafka_delivery", "%s (%" PRIu64 " more): stays in the outbox",
                 rd_kafka_err2str(m->err), suppressed);
    p->report(p->arg, f->id, ok);
    free(f);
}

static void on_error_event(struct producer *p, rd_kafka_event_t *ev)
{
    uint64_t suppressed = 0;

    if (rd_kafka_event_error_is_fatal(ev)) {
        log_error("kafka_fatal", "%s: the producer is made again", rd_kafka_event_error_string(ev));
        p->fatal = true;
        return;
    }
    if (rr_ratelog_pass(&p->log, rr_mono_us(rr_clock_system()), 5000000, &suppressed))
        log_warn("kafka", "%s (%" PRIu64 " more)", rd_kafka_event_error_string(ev), suppressed);
}

static void on_log_event(struct producer *p, rd_kafka_event_t *ev)
{
    const char *facility = "";
    const char *text = "";
    uint64_t suppressed = 0;
    int level = 0;

    if (rd_kafka_event_log(ev, &facility, &text, &level) == 0 &&
        rr_ratelog_pass(&p->log, rr_mono_us(rr_clock_system()), 5000000, &suppressed))
        log_warn("kafka", "%s: %s (%" PRIu64 " more)", facility, text, suppressed);
}

/* Serves events; true when there may be more. */
static bool serve(struct producer *p, int wait_ms)
{
    for (int i = 0; i < DRAIN_PER_WAKEUP && p->queue; i++) {
        rd_kafka_event_t *ev = rd_kafka_queue_poll(p->queue, i == 0 ? wait_ms : 0);
        const rd_kafka_message_t *m = NULL;

        if (!ev)
            return false;
        if (rd_kafka_event_type(ev) == RD_KAFKA_EVENT_DR) {
            while ((m = rd_kafka_event_message_next(ev)) != NULL)
                on_report(p, m);
        } else if (rd_kafka_event_type(ev) == RD_KAFKA_EVENT_ERROR) {
            on_error_event(p, ev);
        } else if (rd_kafka_event_type(ev) == RD_KAFKA_EVENT_LOG) {
            on_log_event(p, ev);
        }
        rd_kafka_event_destroy(ev);
    }
    return true;
}

static void serve_and_arm(struct producer *p)
{
    bool more = serve(p, 0);

    if (rr_fail_error(PRODUCER_FATAL))
        p->fatal = true;
    rr_metric_set(&p->metrics->kafka_queue_messages, p->outstanding);
    if (p->fatal && p->rk) { /* what was dropped still wakes us until the timer makes another */
        /* Purged records are reported as failed: they stay in the outbox. */
        rd_kafka_purge(p->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        while (p->outstanding && serve(p, 10))
            ;
        if (p->outstanding == 0)
            producer_drop(p);
        uv_timer_start(&p->timer, on_timer, 500, 0);
    } else if (more) {
        uv_timer_start(&p->timer, on_timer, 0, 0);
    }
}

static void on_timer(uv_timer_t *t)
{
    struct producer *p = t->data;

    if (!p->rk && producer_open(p) != RR_OK) {
        uv_timer_start(&p->timer, on_timer, 1000, 0);
        return;
    }
    serve_and_arm(p);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct producer *p = poll->data;
    uint64_t n = 0;

    (void)status;
    (void)events;
    if (read(p->event_fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
        return;
    /* The fd is written only when the queue turns non-empty: drain it, or come back by the timer.
     */
    serve_and_arm(p);
}

enum rr_err producer_create(struct producer **out, uv_loop_t *loop, const struct rr_conf *conf,
                            struct rr_metrics *metrics, producer_report_fn report, void *arg)
{
    struct producer *p = rr_xcalloc(1, sizeof(*p));
    struct rr_buf name = {0};
    enum rr_err err = RR_OK;

    p->conf = conf;
    p->metrics = metrics;
    p->report = report;
    p->arg = arg;
    p->loop = loop;
    p->up = true;
    pthread_mutex_init(&p->ping_mu, NULL);
    rr_buf_printf(&name, "%s%s", conf->server_namespace, conf->kafka_topic);
    p->topic_name = name.p;
    p->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    RR_ASSERT(p->event_fd >= 0);
    uv_timer_init(loop, &p->timer);
    uv_poll_init(loop, &p->poll, p->event_fd);
    p->timer.data = p;
    p->poll.data = p;
    p->handles = 2;
    uv_poll_start(&p->poll, UV_READABLE, on_readable);
    err = producer_open(p);
    if (err) {
        producer_destroy(p, 0);
        return err;
    }
    *out = p;
    return RR_OK;
}

enum rr_err producer_send(struct producer *p, const struct grant_record *r, uint64_t id)
{
    struct in_flight *f = NULL;
    char key[RR_CODE_LEN + 16];
    int key_len = snprintf(key, sizeof(key), "%s:%u", r->code, r->shard);

    if (!p->rk || p->fatal)
        return RR_UNAVAILABLE;
    if (rr_fail_error(PRODUCE_REFUSED))
        return RR_FULL;
    rr_buf_clear(&p->scratch);
    if (grant_record_encode(r, &p->scratch) != RR_OK)
        return RR_TOO_BIG;
    f = rr_xcalloc(1, sizeof(*f));
    f->id = id;
    f->sent_us = rr_mono_us(rr_clock_system());
    if (rd_kafka_produce(p->topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, p->scratch.p,
                         p->scratch.len, key, (size_t)key_len, f) != 0) {
        rr_metric_add(&p->metrics->kafka_failed_total, 1);
        free(f);
        return RR_FULL;
    }
    p->outstanding++;
    rr_metric_add(&p->metrics->kafka_produced_total, 1);
    return RR_OK;
}

uint32_t producer_outstanding(const struct producer *p)
{
    return p->outstanding;
}

bool producer_up(const struct producer *p)
{
    return p->up && p->rk && !p->fatal;
}

static void handle_closed(uv_handle_t *h)
{
    struct producer *p = h->data;

    if (--p->handles > 0)
        return;
    close(p->event_fd);
    pthread_mutex_destroy(&p->ping_mu);
    free(p->topic_name);
    free(p);
}

void producer_destroy(struct producer *p, int wait_ms)
{
    int64_t until_us = rr_mono_us(rr_clock_system()) + (int64_t)wait_ms * 1000;

    if (!p)
        return;
    while (p->outstanding && rr_mono_us(rr_clock_system()) < until_us)
        serve(p, 20);
    if (p->outstanding && p->rk) {
        rd_kafka_purge(p->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        until_us = rr_mono_us(rr_clock_system()) + 1000000;
        while (p->outstanding && rr_mono_us(rr_clock_system()) < until_us)
            serve(p, 20);
    }
    producer_drop(p);
    rr_buf_fini(&p->scratch);
    uv_poll_stop(&p->poll);
    uv_timer_stop(&p->timer);
    uv_close((uv_handle_t *)&p->poll, handle_closed);
    uv_close((uv_handle_t *)&p->timer, handle_closed);
}
