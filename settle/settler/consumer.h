/* consumer.h - the Kafka side: a consumer group member whose offsets live in MySQL. Plain poll loop, one thread.
 * Owner decides where a partition starts (assigned) and what a message is worth. */
#ifndef SETTLE_SETTLER_CONSUMER_H
#define SETTLE_SETTLER_CONSUMER_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/err.h"
#include "ledger/saga.h"

struct consumer;

struct consumer_events {
    void *arg;
    /* Called inside consumer_poll(). *next: where to start. May block. */
    void (*assigned)(void *arg, int32_t partition, int64_t *next);
    void (*revoked)(void *arg, int32_t partition);
};

/* Does not connect. RR_CONFIG: *message says why. */
RR_MUST_CHECK enum rr_err consumer_create(struct consumer **out, const struct rr_conf *conf,
                                          const struct consumer_events *events, char *message,
                                          size_t cap);
/* Leaves the group. NULL-safe. */
void consumer_destroy(struct consumer *c);
const char *consumer_topic(const struct consumer *c);
/* RR_UNAVAILABLE: no broker. RR_NOT_FOUND: no topic. */
RR_MUST_CHECK enum rr_err consumer_probe(struct consumer *c, int timeout_ms);
RR_MUST_CHECK enum rr_err consumer_subscribe(struct consumer *c);
/* A message to own (rd_kafka_message_destroy), or NULL. An offset outside the log: *lost is set to the partition. */
rd_kafka_message_t *consumer_poll(struct consumer *c, int timeout_ms, int32_t *lost);
RR_MUST_CHECK enum rr_err consumer_watermarks(struct consumer *c, int32_t partition, int64_t *low,
                                              int64_t *high);
/* Both ends of every partition, asked of the brokers. May be called on any thread while c lives. */
RR_MUST_CHECK enum rr_err consumer_ends(struct consumer *c, struct grant_log_end *out, uint32_t max,
                                        uint32_t *n);
/* The group gave its partitions to others, and the callback that says so is still to come. */
bool consumer_assignment_lost(struct consumer *c);
/* As last seen by the fetcher; -1: unknown. */
int64_t consumer_high(struct consumer *c, int32_t partition);
RR_MUST_CHECK enum rr_err consumer_seek(struct consumer *c, int32_t partition, int64_t offset);
void consumer_pause(struct consumer *c, int32_t partition, bool pause);

#endif
