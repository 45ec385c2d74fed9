/* control.h - tells a serving broker in memory what to do wrong: lines on stdin, one "ok" or "error: …" each on stdout.
 *
 *   errors API N CODE…    the next requests of this kind (0 Produce, 1 Fetch, 11 JoinGroup …) get these errors, N times over
 *   rtt BROKER MS         every answer of this broker takes so long
 *   down BROKER, up BROKER
 *   topic TOPIC PARTITIONS    makes it, on as many replicas as there are brokers, at most 3
 *   leader TOPIC PARTITION BROKER
 *
 * Thread: one of its own; librdkafka's mock calls may come from any. */
#ifndef MEMBROKER_CONTROL_H
#define MEMBROKER_CONTROL_H

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

/* Serves stdin until its end, then raises SIGTERM: a broker does not outlive the test that steers it. */
int control_start(rd_kafka_mock_cluster_t *cluster, int brokers);

#endif
