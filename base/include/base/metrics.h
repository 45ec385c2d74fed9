/* metrics.h - counters, gauges and histograms of metrics_map.h in memory shared by all processes of
 * one server. One process writes its own slot (relaxed atomics, no locks); the admin child reads
 * all slots and sums them. Units: histograms are fed in microseconds and shown in seconds. Thread:
 * any. */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/metrics_map.h"

/* Upper bounds of the buckets in µs: 1-2-5 from 100 µs to 10 s. */
#define RR_HISTOGRAM_BOUNDS_US                                                                     \
    {                                                                                              \
        100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000, 500000, 1000000,     \
            2000000, 5000000, 10000000                                                             \
    }
enum { RR_HISTOGRAM_BUCKETS = 16 };

struct rr_histogram {
    _Atomic uint64_t bucket[RR_HISTOGRAM_BUCKETS + 1]; /* not cumulative; the last: longer */
    _Atomic uint64_t sum_us;
};

#define METRIC_T_COUNTER _Atomic uint64_t
#define METRIC_T_GAUGE _Atomic int64_t
#define METRIC_T_HISTOGRAM struct rr_histogram

/* One slot: one process. */
struct rr_metrics {
    _Alignas(64) _Atomic int64_t pid; /* 0: nobody is running in this slot */
    _Atomic int64_t
        pushed_us; /* workers: monotonic time of the last push that came back; 0: none */
#define X(field, type, help) METRIC_T_##type field;
    METRIC_MAP(X)
#undef X
};

struct rr_settler_metrics {
#define X(field, type, help) METRIC_T_##type field;
    SETTLER_METRIC_MAP(X)
#undef X
};

void rr_metric_add(_Atomic uint64_t *counter, uint64_t n);
void rr_metric_set(_Atomic int64_t *gauge, int64_t value);
void rr_metric_move(_Atomic int64_t *gauge, int64_t delta);
/* Negative durations count as 0. */
void rr_metric_observe_us(struct rr_histogram *h, int64_t us);

/* The mapping. fd is inherited by exec'ed children (not close-on-exec); each attaches with the same
 * n. */
struct rr_metrics_mapping {
    struct rr_metrics *slots;
    uint32_t n;
    int fd;
};
RR_MUST_CHECK enum rr_err rr_metrics_mapping_create(uint32_t n, struct rr_metrics_mapping *out);
/* RR_CONFIG: fd is not a mapping of n slots of this program's layout. */
RR_MUST_CHECK enum rr_err rr_metrics_mapping_attach(int fd, uint32_t n,
                                                    struct rr_metrics_mapping *out);
/* Unmaps and closes fd; harmless on a zeroed struct with fd -1 or slots NULL. */
void rr_metrics_mapping_close(struct rr_metrics_mapping *m);

/* A process died: its gauges become 0, its counters stay so that sums never go back. */
void rr_metrics_slot_reap(struct rr_metrics *slot);
/* Before that: the frames that the dead process had expected and not finished are lost with it. Returns how many. */
uint64_t rr_metrics_book_lost(struct rr_metrics *slot);

/* Text format 0.0.4: every metric summed over n slots, redrain_build_info, and redrain_process_up
 * per slot. */
void rr_metrics_prometheus(const struct rr_metrics *slots, uint32_t n, struct rr_buf *out);
/* The settler's metrics in the same format. */
void rr_settler_metrics_prometheus(const struct rr_settler_metrics *m, struct rr_buf *out);
/* Such texts of many settlers as one: each sample once per settler, with its name as label `settler`. What a text does not have
 * is left out. Names must need no escaping. */
struct rr_settler_text {
    char name[65];
    char *text; /* NUL-terminated */
};
void rr_settler_metrics_join(const struct rr_settler_text *texts, uint32_t n, struct rr_buf *out);

#endif
