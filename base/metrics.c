/* The mapping and the writers' side. */
#include "base/metrics.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint64_t bounds_us[RR_HISTOGRAM_BUCKETS] = RR_HISTOGRAM_BOUNDS_US;

void rr_metric_add(_Atomic uint64_t *counter, uint64_t n)
{
    __atomic_fetch_add((uint64_t *)counter, n, __ATOMIC_RELAXED);
}

void rr_metric_set(_Atomic int64_t *gauge, int64_t value)
{
    __atomic_store_n((int64_t *)gauge, value, __ATOMIC_RELAXED);
}

void rr_metric_move(_Atomic int64_t *gauge, int64_t delta)
{
    __atomic_fetch_add((int64_t *)gauge, delta, __ATOMIC_RELAXED);
}

void rr_metric_observe_us(struct rr_histogram *h, int64_t us)
{
    uint64_t value = us > 0 ? (uint64_t)us : 0;
    size_t i = 0;

    while (i < RR_HISTOGRAM_BUCKETS && value > bounds_us[i])
        i++;
    rr_metric_add(&h->bucket[i], 1);
    rr_metric_add(&h->sum_us, value);
}

static size_t mapping_bytes(uint32_t n)
{
    return (size_t)n * sizeof(struct rr_metrics);
}

enum rr_err rr_metrics_mapping_create(uint32_t n, struct rr_metrics_mapping *out)
{
    int fd = memfd_create("redrain-metrics", 0);

    out->slots = NULL;
    out->fd = -1;
    if (fd < 0)
        return RR_SYSTEM;
    if (ftruncate(fd, (off_t)mapping_bytes(n))) {
        close(fd);
        return RR_SYSTEM;
    }
    enum rr_err err = rr_metrics_mapping_attach(fd, n, out);
    if (err != RR_OK)
        close(fd);
    return err;
}

enum rr_err rr_metrics_mapping_attach(int fd, uint32_t n, struct rr_metrics_mapping *out)
{
    struct stat st;

    out->slots = NULL;
    out->n = n;
    out->fd = -1;
    if (n == 0 || fstat(fd, &st) || st.st_size != (off_t)mapping_bytes(n))
        return RR_CONFIG;
    void *p = mmap(NULL, mapping_bytes(n), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return RR_SYSTEM;
    out->slots = p;
    out->fd = fd;
    return RR_OK;
}

void rr_metrics_mapping_close(struct rr_metrics_mapping *m)
{
    if (!m->slots)
        return;
    munmap(m->slots, mapping_bytes(m->n));
    close(m->fd);
    m->slots = NULL;
    m->fd = -1;
}

static void reap_gauge(_Atomic int64_t *gauge)
{
    rr_metric_set(gauge, 0);
}

static uint64_t counted(const _Atomic uint64_t *counter)
{
    return __atomic_load_n((const uint64_t *)counter, __ATOMIC_RELAXED);
}

uint64_t rr_metrics_book_lost(struct rr_metrics *slot)
{
    uint64_t finished = counted(&slot->frames_sent_total) + counted(&slot->frames_dropped_total) +
                        counted(&slot->frames_closed_total) + counted(&slot->frames_lost_total);
    uint64_t expected = counted(&slot->frames_expected_total);
    uint64_t lost = expected > finished ? expected - finished : 0;

    rr_metric_add(&slot->frames_lost_total, lost);
    return lost;
}

void rr_metrics_slot_reap(struct rr_metrics *slot)
{
    reap_gauge(&slot->pid);
    reap_gauge(&slot->pushed_us);
#define REAP_COUNTER(field)
#define REAP_GAUGE(field) reap_gauge(&slot->field);
#define REAP_HISTOGRAM(field)
#define X(field, type, help) REAP_##type(field)
    METRIC_MAP(X)
#undef X
#undef REAP_COUNTER
#undef REAP_GAUGE
#undef REAP_HISTOGRAM
}
