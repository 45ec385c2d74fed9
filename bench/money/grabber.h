/* grabber.h - grabs a rain empty through what a worker uses: rain/grab_batch on store_async, one loop, one connection.
 * Each grab is of another user, in his home shard; as many are under way as keep every shard's next batch full.
 * With a producer every grant goes to Kafka as a worker sends it, and its outbox entry is deleted; without one the entry is
 * deleted with the answer.
 * Thread: the caller's; grabber_run() runs the loop until all is answered. */
#ifndef BENCH_MONEY_GRABBER_H
#define BENCH_MONEY_GRABBER_H

#include <stdbool.h>
#include <stdint.h>

#include "../hist.h"
#include "base/conf.h"
#include "base/err.h"
#include "protocol/limits.h"

struct grabber_opts {
    const struct rr_conf *conf; /* redis.*, rain.batch_*, kafka.* */
    const char *code;
    const char *room_id;
    uint32_t shards;
    uint32_t count;     /* grabs; spread over the shards as the rain's packets are */
    int64_t first_user; /* users are taken from here upwards */
    bool produce;
};

struct grabber_result {
    uint64_t wins;
    uint64_t sold_out;
    uint64_t other; /* anything else: the run is worth nothing */
    uint64_t calls; /* of the script */
    int64_t us;     /* from the first grab to the last answer, and to the last delivery report */
    struct hist latency_us;
};

RR_MUST_CHECK enum rr_err grabber_run(const struct grabber_opts *o, struct grabber_result *out);

#endif
