/* producer.h - grants on their way to Kafka. Never blocks the loop: a full queue or an error leaves
 * the record in the outbox. Delivery reports wake the loop through a file descriptor. Broker errors
 * heal by themselves; a fatal producer is destroyed and made again. */
#ifndef SERVER_PRODUCER_H
#define SERVER_PRODUCER_H

#include <uv.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/metrics.h"
#include "protocol/record.h"

struct producer;

/* Exactly once per accepted record. ok: on the broker's disks (acks=all). */
typedef void (*producer_report_fn)(void *arg, uint64_t id, bool ok);

RR_MUST_CHECK enum rr_err producer_create(struct producer **out, uv_loop_t *loop,
                                          const struct rr_conf *conf, struct rr_metrics *metrics,
                                          producer_report_fn report, void *arg);
/* RR_FULL: local queue full; RR_UNAVAILABLE: the producer is being made again. No report follows
 * then. */
RR_MUST_CHECK enum rr_err producer_send(struct producer *p, const struct grant_record *r,
                                        uint64_t id);
uint32_t producer_outstanding(const struct producer *p);
/* False after a report failed, true again after one succeeded (or none was sent yet). */
bool producer_up(const struct producer *p);
/* Any thread but the loop's: asks the brokers for the topic's metadata. */
bool producer_ping(struct producer *p, int timeout_ms);
/* Waits at most wait_ms for outstanding reports, serving them; then destroys. The loop must run
 * once afterwards. */
void producer_destroy(struct producer *p, int wait_ms);

#endif
