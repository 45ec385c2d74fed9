/* settler.c - the main thread: polls Kafka, queues records per partition for the lanes, follows the books. No money moves here. */
#include "settler/settler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "consumer.h"
#include "ledger/settle_batch.h"
#include "part.h"
#include "settler_impl.h"
#include "store/store_sync.h"
#include "tasks.h"

/* ---- partitions ---- */

static void release(void *owner)
{
    rd_kafka_message_destroy(owner);
}

struct part *settler__part(struct settler *s, int32_t id)
{
    for (uint32_t i = 0; i < s->parts_n; i++) {
        if (s->parts[i].id == id)
            return &s->parts[i];
    }
    return NULL;
}

/* Blocks until MySQL and Kafka answered: without the offset nothing may be fetched. */
static void on_assigned(void *arg, int32_t partition, int64_t *next)
{
    struct settler *s = arg;
    enum rr_err err = RR_RETRY;

    *next = RD_KAFKA_OFFSET_END; /* only when stopping: nothing is read any more */
    while (!settler__stopping(s)) {
        err = settler__resolve(s, partition, next);
        if (!err)
            break;
        settler__complain(&s->fail_log, s->ledger, "finding the offset of a partition", err);
        usleep(200000);
    }
    if (err || settler__part(s, partition))
        return;
    pthread_mutex_lock(&s->mu);
    s->parts = rr_xrealloc(s->parts, s->parts_n + 1, sizeof(*s->parts));
    part_init(&s->parts[s->parts_n++], partition, *next, (uint32_t)s->conf->settler_batch_max,
              release);
    pthread_mutex_unlock(&s->mu);
    log_info("assigned", "partition %d from %lld", (int)partition, (long long)*next);
}

/* A batch under way is waited for: its messages are borrowed. */
static void on_revoked(void *arg, int32_t partition)
{
    struct settler *s = arg;
    struct part *p = settler__part(s, partition);

    if (!p)
        return;
    pthread_mutex_lock(&s->mu);
    p->lost = true; /* no lane takes it again */
    while (p->busy)
        pthread_cond_wait(&s->idle, &s->mu);
    log_info("revoked", "partition %d at %lld", (int)partition, (long long)p->next);
    part_fini(p);
    *p = s->parts[--s->parts_n];
    pthread_mutex_unlock(&s->mu);
}

/* ---- fetching ---- */

static void accept_gap(struct settler *s, struct part *p, const struct part_item *item)
{
    int64_t low = 0;
    int64_t high = 0;
    int64_t want = part_want(p);

    if (p->gap_seeks < GAP_SEEKS) {
        if (consumer_watermarks(s->consumer, p->id, &low, &high) != RR_OK || low <= want) {
            p->gap_seeks++;
            p->seek = true;
            release(item->owner);
            return;
        }
    }
    settler__finding(s, p->id, "records are gone", want, item->offset);
    part_push(p, item, settler__now_us());
}

static void on_message(struct settler *s, rd_kafka_message_t *m)
{
    rd_kafka_timestamp_type_t type;
    int64_t timestamp_ms = rd_kafka_message_timestamp(m, &type);
    struct part *p = settler__part(s, m->partition);
    struct part_item item = {.offset = m->offset,
                             .timestamp_ms = timestamp_ms > 0 ? timestamp_ms : 0,
                             .p = m->payload,
                             .len = m->len,
                             .owner = m};

    /* A full queue or a seek to come: the fetcher was told, this one was on its way; it comes again. */
    if (!p || p->seek) {
        release(m);
        return;
    }
    if (part_full(p)) {
        p->seek = true;
        release(m);
        return;
    }
    switch (part_offer(p, &item, settler__now_us())) {
    case PART_TAKEN: break;
    case PART_OLD: release(m); break;
    case PART_GAP: accept_gap(s, p, &item); break;
    }
    if (p->n == 1 || p->n % (uint32_t)s->conf->settler_batch_max == 0)
        lanes_wake(s);
    if (part_full(p) && !p->paused) {
        p->paused = true;
        consumer_pause(s->consumer, p->id, true);
    }
}

static void on_lost(struct settler *s, int32_t partition)
{
    struct part *p = settler__part(s, partition);

    if (!p)
        return;
    pthread_mutex_lock(&s->mu);
    p->lost = true;
    s->reread_us = 0;
    pthread_mutex_unlock(&s->mu);
}

/* Moves the fetcher and lets it run again, where that is due. Seeking asks the broker: without the lock, lanes go on. */
static void steer(struct settler *s, uint32_t i)
{
    struct part *p = &s->parts[i];
    int64_t want = 0;
    bool seek = false;
    bool resume = false;

    pthread_mutex_lock(&s->mu);
    resume = p->paused && part_drained(p);
    p->paused = p->paused && !resume;
    seek = p->seek && !p->paused;
    want = part_want(p);
    if (seek)
        p->seek = false;
    pthread_mutex_unlock(&s->mu);
    if (resume)
        consumer_pause(s->consumer, p->id, false);
    if (!seek || consumer_seek(s->consumer, p->id, want) == RR_OK)
        return;
    pthread_mutex_lock(&s->mu);
    p->seek = true;
    pthread_mutex_unlock(&s->mu);
}

/* ---- the books moved ---- */

/* The busy partition of `o` goes on where the books, or the log, say. The log is asked without the lock. */
static void follow(struct settler *s, const struct ledger_offset *o)
{
    struct part *p = settler__part(s, o->partition);
    int64_t next = o->next;
    bool lost = false;
    enum rr_err err = RR_OK;

    pthread_mutex_lock(&s->mu);
    lost = p->lost = p->lost || next == LEDGER_NO_OFFSET;
    pthread_mutex_unlock(&s->mu);
    if (lost)
        err = settler__resolve(s, p->id, &next);
    if (err) { /* asked again: the fetcher says it once only */
        settler__complain(&s->fail_log, s->ledger, "finding the offset of a partition", err);
        return;
    }
    pthread_mutex_lock(&s->mu);
    if (lost || next != p->next) {
        log_notice("offset_moved", "partition %d: %lld here, %lld in the books", (int)p->id,
                   (long long)p->next, (long long)next);
        /* Where the fetcher stands is unknown when it said so itself. */
        if (!part_moved(p, next) || lost)
            p->seek = true;
        p->lost = false;
    }
    pthread_mutex_unlock(&s->mu);
}

/* A partition that settles meets the books in each batch. One that is idle may be moved under it, back to the start of the log,
 * by a settler that was late; nobody else would go through it again. */
static uint32_t hold_idle(struct settler *s, struct ledger_offset *o)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < s->parts_n; i++) {
        struct part *p = &s->parts[i];

        if (p->busy && p->lost)
            s->reread_us = 0; /* soon: it waits for us */
        if (p->busy || !(p->n == 0 || p->lost))
            continue;
        p->busy = true;
        o[n++] = (struct ledger_offset){.partition = p->id, .next = LEDGER_NO_OFFSET};
    }
    return n;
}

static void reread(struct settler *s)
{
    struct ledger_offset *o = NULL;
    uint32_t n = 0;
    enum rr_err err = RR_OK;

    pthread_mutex_lock(&s->mu);
    if (settler__now_us() >= s->reread_us && s->parts_n) {
        s->reread_us = settler__now_us() + REREAD_US;
        o = rr_xcalloc(s->parts_n, sizeof(*o));
        n = hold_idle(s, o);
    }
    pthread_mutex_unlock(&s->mu);
    if (n)
        err = ledger_offsets(s->ledger, consumer_topic(s->consumer), o, n);
    if (err)
        settler__complain(&s->fail_log, s->ledger, "reading the offsets of idle partitions", err);
    for (uint32_t i = 0; !err && i < n; i++)
        follow(s, &o[i]);
    pthread_mutex_lock(&s->mu);
    for (uint32_t i = 0; i < n; i++)
        settler__part(s, o[i].partition)->busy = false;
    if (n)
        pthread_cond_broadcast(&s->due);
    pthread_mutex_unlock(&s->mu);
    free(o);
}

static void fetch(struct settler *s)
{
    int timeout_ms = POLL_MAX_MS;

    for (int i = 0; i < FETCH_MAX && !settler__stopping(s); i++) {
        int32_t lost = -1;
        rd_kafka_message_t *m = consumer_poll(s->consumer, timeout_ms, &lost);

        timeout_ms = 0;
        if (lost >= 0)
            on_lost(s, lost);
        if (!m)
            break;
        pthread_mutex_lock(&s->mu);
        on_message(s, m);
        pthread_mutex_unlock(&s->mu);
    }
}

static void note_lag(struct settler *s)
{
    int64_t messages = 0;
    int64_t lag_ms = 0;

    pthread_mutex_lock(&s->mu);
    for (uint32_t i = 0; i < s->parts_n; i++) {
        const struct part *p = &s->parts[i];
        int64_t high = consumer_high(s->consumer, p->id);
        int64_t ms = part_lag_ms(p, high, rr_wall_ms(rr_clock_system()));

        messages += high > p->next ? high - p->next : 0;
        lag_ms = ms > lag_ms ? ms : lag_ms;
    }
    pthread_mutex_unlock(&s->mu);
    rr_metric_set(&s->metrics.settle_lag_messages, messages);
    atomic_store(&s->lag_ms, lag_ms);
}

static void take_rules(struct settler *s)
{
    struct risk_rules rules;

    risk_rules_read(&rules, s->conf);
    risk_cell_set(&s->rules, &rules);
}

static void note_config_taken(struct settler *s)
{
    rr_metric_set(&s->metrics.settler_config_last_reload_timestamp_seconds,
                  rr_wall_ms(rr_clock_system()) / 1000);
}

/* SIGHUP came: between two batches, so that each is decided by one set of rules. */
static void reload_if_asked(struct settler *s)
{
    bool ok = false;

    if (!s->reload || !atomic_exchange(s->reload, false))
        return;
    ok = rr_conf_reload(s->conf);
    rr_metric_set(&s->metrics.settler_config_reload_success, ok);
    if (!ok)
        return;
    note_config_taken(s);
    take_rules(s);
}

static void run(struct settler *s)
{
    while (!settler__stopping(s)) {
        reload_if_asked(s);
        fetch(s);
        reread(s);
        for (uint32_t i = 0; i < s->parts_n && !settler__stopping(s); i++)
            steer(s, i);
        note_lag(s);
    }
}

/* ---- life ---- */

static enum rr_err make_consumer(struct settler *s)
{
    struct consumer_events events = {.arg = s, .assigned = on_assigned, .revoked = on_revoked};
    char message[512] = "";
    enum rr_err err = consumer_create(&s->consumer, s->conf, &events, message, sizeof(message));

    if (err)
        log_error("config", "kafka: %s", message);
    return err;
}

enum rr_err settler__ledger(struct settler *s, struct ledger **out)
{
    struct ledger_opts o =
        ledger_opts_of(s->conf, tasks_ledger_timeout_s(s->conf->mysql_timeout_ms));
    enum rr_err err = RR_OK;

    o.rules = &s->rules;
    err = ledger_create(out, &o);
    if (err)
        log_error("config", "mysql.url is malformed");
    return err;
}

static enum rr_err log_ends(void *impl, struct grant_log_end *out, uint32_t max, uint32_t *n)
{
    return consumer_ends(impl, out, max, n);
}

static enum rr_err make_tasks(struct settler *s)
{
    struct tasks_opts o = {.conf = s->conf,
                           .name = s->name,
                           .metrics = &s->metrics,
                           .lag_ms = &s->lag_ms,
                           .log = &s->log,
                           .rules = &s->rules};

    s->log = (struct grant_log){
        .impl = s->consumer, .topic = consumer_topic(s->consumer), .ends = log_ends};

    return tasks_create(&s->tasks, &o);
}

static void locks_init(struct settler *s)
{
    pthread_condattr_t attr;

    pthread_mutex_init(&s->mu, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->due, &attr);
    pthread_cond_init(&s->idle, &attr);
    pthread_condattr_destroy(&attr);
}

static void locks_fini(struct settler *s)
{
    pthread_cond_destroy(&s->due);
    pthread_cond_destroy(&s->idle);
    pthread_mutex_destroy(&s->mu);
}

enum rr_err settler_run(struct rr_conf *conf, const atomic_bool *stop, atomic_bool *reload)
{
    struct settler *s = rr_xcalloc(1, sizeof(*s));
    enum rr_err err = RR_OK;

    s->conf = conf;
    s->stop = stop;
    s->reload = reload;
    take_rules(s);
    rr_metric_set(&s->metrics.settler_config_reload_success, 1);
    note_config_taken(s);
    locks_init(s);
    settler__name(s->name, sizeof(s->name));
    ledger_global_init();
    ledger_thread_init();
    err = settler__ledger(s, &s->ledger);
    if (!err)
        err = make_consumer(s);
    if (!err)
        err = settler__wait_all(s);
    if (!err && !settler__stopping(s))
        err = make_tasks(s);
    if (!err && !settler__stopping(s))
        err = lanes_start(s);
    if (!err && !settler__stopping(s))
        err = consumer_subscribe(s->consumer);
    if (!err && !settler__stopping(s)) {
        log_notice("ready", "settler %s on topic %s", s->name, consumer_topic(s->consumer));
        run(s);
        log_notice("stopping", "settler %s", s->name);
    }
    atomic_store(&s->end, true);
    lanes_join(s->lanes);
    tasks_destroy(s->tasks); /* they ask the consumer's connection */
    while (s->parts_n)       /* a message that is held would hold its broker's thread */
        part_fini(&s->parts[--s->parts_n]);
    consumer_destroy(s->consumer);
    free(s->parts);
    ledger_destroy(s->ledger);
    locks_fini(s);
    ledger_thread_fini();
    free(s);
    return err;
}
