/* settler.c - the main thread: poll, queue per partition, settle, go on. Money moves only in settle_some(). */
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
#include "protocol/record.h"
#include "settler_impl.h"
#include "store/store_sync.h"
#include "tasks.h"

static int64_t now_us(void)
{
    return rr_mono_us(rr_clock_system());
}

static bool stopping(const struct settler *s)
{
    return atomic_load(s->stop);
}

/* ---- partitions ---- */

static void release(void *owner)
{
    rd_kafka_message_destroy(owner);
}

static struct part *part_find(struct settler *s, int32_t id)
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
    while (!stopping(s)) {
        err = settler__resolve(s, partition, next);
        if (!err)
            break;
        settler__complain(s, "finding the offset of a partition", err);
        usleep(200000);
    }
    if (err || part_find(s, partition))
        return;
    s->parts = rr_xrealloc(s->parts, s->parts_n + 1, sizeof(*s->parts));
    part_init(&s->parts[s->parts_n++], partition, *next, (uint32_t)s->conf->settler_batch_max,
              release);
    log_info("assigned", "partition %d from %lld", (int)partition, (long long)*next);
}

static void on_revoked(void *arg, int32_t partition)
{
    struct settler *s = arg;
    struct part *p = part_find(s, partition);

    if (!p)
        return;
    log_info("revoked", "partition %d at %lld", (int)partition, (long long)p->next);
    part_fini(p);
    *p = s->parts[--s->parts_n];
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
    part_push(p, item, now_us());
}

static void on_message(struct settler *s, rd_kafka_message_t *m)
{
    rd_kafka_timestamp_type_t type;
    int64_t timestamp_ms = rd_kafka_message_timestamp(m, &type);
    struct part *p = part_find(s, m->partition);
    struct part_item item = {.offset = m->offset,
                             .timestamp_ms = timestamp_ms > 0 ? timestamp_ms : 0,
                             .p = m->payload,
                             .len = m->len,
                             .owner = m};

    /* A full queue or a seek under way: the fetcher was told, this one was on its way; it comes again. */
    if (!p || p->seek) {
        release(m);
        return;
    }
    if (part_full(p)) {
        p->seek = true;
        release(m);
        return;
    }
    switch (part_offer(p, &item, now_us())) {
    case PART_TAKEN: break;
    case PART_OLD: release(m); break;
    case PART_GAP: accept_gap(s, p, &item); break;
    }
    if (part_full(p) && !p->paused) {
        p->paused = true;
        consumer_pause(s->consumer, p->id, true);
    }
}

static void on_lost(struct settler *s, int32_t partition)
{
    struct part *p = part_find(s, partition);
    int64_t next = 0;
    enum rr_err err = RR_OK;

    if (!p)
        return;
    err = settler__resolve(s, partition, &next);
    p->lost = err != RR_OK; /* asked again by reread(): the fetcher says it once only */
    if (err) {
        settler__complain(s, "finding the offset of a partition", err);
        return;
    }
    part_moved(p, next);
    p->seek = true;
}

/* Moves the fetcher and lets it run again, where that is due. */
static void steer(struct settler *s, struct part *p)
{
    if (p->paused && part_drained(p)) {
        p->paused = false;
        consumer_pause(s->consumer, p->id, false);
    }
    if (p->seek && !p->paused && consumer_seek(s->consumer, p->id, part_want(p)) == RR_OK)
        p->seek = false;
}

/* ---- settling ---- */

static void count(struct settler *s, const struct settle_outcome *o)
{
    rr_metric_add(&s->metrics.settled_total, o->settled);
    rr_metric_add(&s->metrics.held_total, o->held);
    rr_metric_add(&s->metrics.settled_fen_total, (uint64_t)o->settled_fen);
    rr_metric_add(&s->metrics.duplicates_total, o->duplicates);
    rr_metric_add(&s->metrics.conflicts_total, o->conflicts);
    rr_metric_add(&s->metrics.dead_total, o->dead);
    if (o->conflicts || o->dead || o->parked)
        log_error("set_aside", "%u conflicts, %u dead, %u of unknown rains", o->conflicts, o->dead,
                  o->parked);
}

static uint32_t build(const struct settler *s, const struct part *p, struct settle_item *items)
{
    uint32_t n =
        p->n < (uint32_t)s->conf->settler_batch_max ? p->n : (uint32_t)s->conf->settler_batch_max;

    for (uint32_t i = 0; i < n; i++) {
        items[i] = (struct settle_item){.offset = p->items[i].offset,
                                        .raw = rr_slice_of(p->items[i].p, p->items[i].len)};
        items[i].decoded = grant_record_decode(items[i].raw, &items[i].rec) == RR_OK;
    }
    return n;
}

static void on_moved(struct settler *s, struct part *p, int64_t sql_offset)
{
    log_notice("offset_moved", "partition %d: %lld here, %lld in the books", (int)p->id,
               (long long)p->next, (long long)sql_offset);
    if (!part_moved(p, sql_offset))
        p->seek = true;
    (void)s;
}

static void settle_some(struct settler *s, struct part *p)
{
    struct settle_outcome o = {.settled = 0};
    int64_t sql_offset = -1;
    uint32_t n = build(s, p, s->items);
    struct settle_batch b = {.topic = consumer_topic(s->consumer),
                             .partition = p->id,
                             .expected_offset = p->next,
                             .next_offset = p->items[n - 1].offset + 1,
                             .items = s->items,
                             .n = n};
    enum rr_err err = ledger_settle(s->ledger, &b, &o, &sql_offset);

    switch (err) {
    case RR_OK:
        part_settled(p, n, b.next_offset, now_us());
        count(s, &o);
        tasks_credit(s->tasks, o.credits, o.settled);
        break;
    case RR_CONFLICT: on_moved(s, p, sql_offset); break;
    case RR_NOT_FOUND: on_lost(s, p->id); break;
    default:
        /* A database that fails is not poison: the same batch again, for ever. */
        rr_metric_add(&s->metrics.mysql_errors_total, 1);
        settler__complain(s, "settling", err);
        part_failed(p, now_us());
        break;
    }
    settle_outcome_fini(&o);
}

/* A partition that settles meets the books in each batch. One that is idle may be moved under it, back to the start of the log,
 * by a settler that was late; nobody else would go through it again. */
static void reread(struct settler *s)
{
    struct ledger_offset *o = NULL;
    uint32_t n = 0;
    enum rr_err err = RR_OK;

    if (now_us() < s->reread_us || !s->parts_n)
        return;
    s->reread_us = now_us() + REREAD_US;
    o = rr_xcalloc(s->parts_n, sizeof(*o));
    for (uint32_t i = 0; i < s->parts_n; i++) {
        if (s->parts[i].n == 0 || s->parts[i].lost)
            o[n++].partition = s->parts[i].id;
    }
    if (n)
        err = ledger_offsets(s->ledger, consumer_topic(s->consumer), o, n);
    if (err)
        settler__complain(s, "reading the offsets of idle partitions", err);
    for (uint32_t i = 0; !err && i < n; i++) {
        struct part *p = part_find(s, o[i].partition);

        if (p->lost || o[i].next == LEDGER_NO_OFFSET)
            on_lost(s, p->id);
        else if (o[i].next != p->next)
            on_moved(s, p, o[i].next);
    }
    free(o);
}

static int poll_ms(const struct settler *s)
{
    int64_t wait_us = POLL_MAX_MS * 1000;

    for (uint32_t i = 0; i < s->parts_n; i++) {
        int64_t us = part_wait_us(&s->parts[i], now_us(), (uint32_t)s->conf->settler_batch_max,
                                  s->conf->settler_batch_wait_ms * 1000);

        wait_us = us < wait_us ? us : wait_us;
    }
    return (int)((wait_us + 999) / 1000);
}

static void fetch(struct settler *s)
{
    int timeout_ms = poll_ms(s);

    for (int i = 0; i < FETCH_MAX && !stopping(s); i++) {
        int32_t lost = -1;
        rd_kafka_message_t *m = consumer_poll(s->consumer, timeout_ms, &lost);

        timeout_ms = 0;
        if (lost >= 0)
            on_lost(s, lost);
        if (!m)
            break;
        on_message(s, m);
    }
}

static void note_lag(struct settler *s)
{
    int64_t messages = 0;
    int64_t lag_ms = 0;

    for (uint32_t i = 0; i < s->parts_n; i++) {
        const struct part *p = &s->parts[i];
        int64_t high = consumer_high(s->consumer, p->id);
        int64_t ms = part_lag_ms(p, high, rr_wall_ms(rr_clock_system()));

        messages += high > p->next ? high - p->next : 0;
        lag_ms = ms > lag_ms ? ms : lag_ms;
    }
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
    while (!stopping(s)) {
        reload_if_asked(s);
        fetch(s);
        reread(s);
        for (uint32_t i = 0; i < s->parts_n && !stopping(s); i++) {
            struct part *p = &s->parts[i];

            if (part_due(p, now_us(), (uint32_t)s->conf->settler_batch_max,
                         s->conf->settler_batch_wait_ms * 1000))
                settle_some(s, p);
            steer(s, p);
        }
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

static enum rr_err make_ledger(struct settler *s)
{
    struct ledger_opts o = {.url = s->conf->mysql_url,
                            .namespace_ = s->conf->server_namespace,
                            .timeout_s = tasks_ledger_timeout_s(s->conf->mysql_timeout_ms),
                            .rules = &s->rules};
    enum rr_err err = ledger_create(&s->ledger, &o);

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
    s->items = rr_xcalloc((size_t)conf->settler_batch_max, sizeof(*s->items));
    settler__name(s->name, sizeof(s->name));
    ledger_global_init();
    ledger_thread_init();
    err = make_ledger(s);
    if (!err)
        err = make_consumer(s);
    if (!err)
        err = settler__wait_all(s);
    if (!err && !stopping(s))
        err = make_tasks(s);
    if (!err && !stopping(s))
        err = consumer_subscribe(s->consumer);
    if (!err && !stopping(s)) {
        log_notice("ready", "settler %s on topic %s", s->name, consumer_topic(s->consumer));
        run(s);
        log_notice("stopping", "settler %s", s->name);
    }
    tasks_destroy(s->tasks); /* they ask the consumer's connection */
    consumer_destroy(s->consumer);
    while (s->parts_n)
        part_fini(&s->parts[--s->parts_n]);
    free(s->parts);
    free(s->items);
    ledger_destroy(s->ledger);
    ledger_thread_fini();
    free(s);
    return err;
}
