/* The reader's side: slots summed into Prometheus' text format. */
#include "base/metrics.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/version.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric_row {
    const char *name;
    const char *help;
    size_t offset;
    enum metric_type type;
};

#define X(field_, type_, help_)                                                                    \
    {.name = #field_,                                                                              \
     .help = help_,                                                                                \
     .offset = offsetof(struct rr_metrics, field_),                                                \
     .type = METRIC_##type_},
static const struct metric_row server_rows[] = {METRIC_MAP(X)};
#undef X
#define X(field_, type_, help_)                                                                    \
    {.name = #field_,                                                                              \
     .help = help_,                                                                                \
     .offset = offsetof(struct rr_settler_metrics, field_),                                        \
     .type = METRIC_##type_},
static const struct metric_row settler_rows[] = {SETTLER_METRIC_MAP(X)};
#undef X

#define X(field_, family_, label_, value_)                                                         \
    {.field = #field_, .family = #family_, .labels = "{" label_ "=\"" value_ "\"}"},
static const struct {
    const char *field;
    const char *family;
    const char *labels;
} label_rows[] = {METRIC_LABEL_MAP(X)};
#undef X

/* n structs of `stride` bytes, one after the other. */
struct slots {
    const char *p;
    size_t stride;
    uint32_t n;
};

static const char *const type_names[] = {"counter", "gauge", "histogram"};
static const uint64_t bounds_us[RR_HISTOGRAM_BUCKETS] = RR_HISTOGRAM_BOUNDS_US;

static uint64_t load_u64(const void *p)
{
    return __atomic_load_n((const uint64_t *)p, __ATOMIC_RELAXED);
}

static uint64_t sum_u64(const struct slots *s, size_t offset)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < s->n; i++)
        sum += load_u64(s->p + i * s->stride + offset);
    return sum;
}

/* µs as decimal seconds, exactly. */
static void put_seconds(struct rr_buf *out, uint64_t us)
{
    rr_buf_printf(out, "%" PRIu64, us / 1000000);
    if (us % 1000000)
        rr_buf_printf(out, ".%06" PRIu64, us % 1000000);
}

static void put_histogram(struct rr_buf *out, const struct slots *s, const struct metric_row *row)
{
    uint64_t count = 0;

    for (size_t b = 0; b <= RR_HISTOGRAM_BUCKETS; b++) {
        count += sum_u64(s, row->offset + offsetof(struct rr_histogram, bucket) + 8 * b);
        rr_buf_printf(out, "redrain_%s_bucket{le=\"", row->name);
        if (b < RR_HISTOGRAM_BUCKETS)
            put_seconds(out, bounds_us[b]);
        else
            rr_buf_puts(out, "+Inf");
        rr_buf_printf(out, "\"} %" PRIu64 "\n", count);
    }
    rr_buf_printf(out, "redrain_%s_sum ", row->name);
    put_seconds(out, sum_u64(s, row->offset + offsetof(struct rr_histogram, sum_us)));
    rr_buf_printf(out, "\nredrain_%s_count %" PRIu64 "\n", row->name, count);
}

/* The name a row is shown by, and its labels. */
static const char *family_of(const struct metric_row *row, const char **labels)
{
    *labels = "";
    for (size_t i = 0; i < RR_COUNTOF(label_rows); i++) {
        if (strcmp(label_rows[i].field, row->name) == 0) {
            *labels = label_rows[i].labels;
            return label_rows[i].family;
        }
    }
    return row->name;
}

static void put_row(struct rr_buf *out, const struct slots *s, const struct metric_row *row,
                    bool first)
{
    const char *labels = NULL;
    const char *family = family_of(row, &labels);
    uint64_t sum = 0;

    if (first)
        rr_buf_printf(out, "# HELP redrain_%s %s\n# TYPE redrain_%s %s\n", family, row->help,
                      family, type_names[row->type]);
    if (row->type == METRIC_HISTOGRAM) {
        put_histogram(out, s, row);
        return;
    }
    sum = sum_u64(s, row->offset);
    if (row->type == METRIC_GAUGE)
        rr_buf_printf(out, "redrain_%s%s %" PRId64 "\n", family, labels, (int64_t)sum);
    else
        rr_buf_printf(out, "redrain_%s%s %" PRIu64 "\n", family, labels, sum);
}

static void put_rows(struct rr_buf *out, const struct slots *s, const struct metric_row *rows,
                     size_t n)
{
    const char *labels = NULL;

    for (size_t i = 0; i < n; i++)
        put_row(out, s, &rows[i],
                i == 0 ||
                    strcmp(family_of(&rows[i], &labels), family_of(&rows[i - 1], &labels)) != 0);
}

void rr_metrics_prometheus(const struct rr_metrics *slots, uint32_t n, struct rr_buf *out)
{
    struct slots s = {.p = (const char *)slots, .stride = sizeof(*slots), .n = n};

    rr_buf_printf(out,
                  "# HELP redrain_build_info version of the running program\n"
                  "# TYPE redrain_build_info gauge\n"
                  "redrain_build_info{version=\"%s\"} 1\n"
                  "# HELP redrain_process_up 1 when a process runs in the slot\n"
                  "# TYPE redrain_process_up gauge\n",
                  RR_VERSION);
    for (uint32_t i = 0; i < n; i++)
        rr_buf_printf(out, "redrain_process_up{slot=\"%" PRIu32 "\"} %d\n", i,
                      load_u64(&slots[i].pid) != 0);
    put_rows(out, &s, server_rows, RR_COUNTOF(server_rows));
}

void rr_settler_metrics_prometheus(const struct rr_settler_metrics *m, struct rr_buf *out)
{
    struct slots s = {.p = (const char *)m, .stride = sizeof(*m), .n = 1};

    put_rows(out, &s, settler_rows, RR_COUNTOF(settler_rows));
}

/* The value of a metric in a text: what follows its name at a line's start. */
static struct rr_slice value_of(const char *text, const char *name)
{
    char key[96];
    int n = snprintf(key, sizeof(key), "\nredrain_%s ", name);
    const char *at = NULL;

    RR_ASSERT(n > 0 && (size_t)n < sizeof(key));
    at = strstr(text, key);
    if (!at)
        return rr_slice_of("", 0);
    at += n;
    return rr_slice_of(at, strcspn(at, "\n"));
}

void rr_settler_metrics_join(const struct rr_settler_text *texts, uint32_t n, struct rr_buf *out)
{
    for (size_t i = 0; n && i < RR_COUNTOF(settler_rows); i++) {
        const struct metric_row *row = &settler_rows[i];

        rr_buf_printf(out, "# HELP redrain_%s %s\n# TYPE redrain_%s %s\n", row->name, row->help,
                      row->name, type_names[row->type]);
        for (uint32_t k = 0; k < n; k++) {
            struct rr_slice value = value_of(texts[k].text, row->name);

            if (value.len)
                rr_buf_printf(out, "redrain_%s{settler=\"%s\"} %.*s\n", row->name, texts[k].name,
                              (int)value.len, value.p);
        }
    }
}
