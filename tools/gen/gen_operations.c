/* Options and metrics, from base/conf_map.h and base/metrics_map.h. */
#include "gen.h"

#include "base/conf.h"
#include "base/metrics_map.h"

void gen_options(struct rr_buf *out)
{
    rr_conf_markdown(out);
}

void gen_config(struct rr_buf *out)
{
    rr_conf_print(NULL, out);
}

#define TYPE_COUNTER "counter"
#define TYPE_GAUGE "gauge"
#define TYPE_HISTOGRAM "histogram"
#define X(field, type, help)                                                                       \
    rr_buf_puts(out, "| `redrain_" #field "` | " TYPE_##type " | " help " |\n");

void gen_metrics(struct rr_buf *out)
{
    rr_buf_puts(out, "| metric | type | what it counts |\n|---|---|---|\n");
    METRIC_MAP(X)
}

void gen_settler_metrics(struct rr_buf *out)
{
    rr_buf_puts(out, "| metric | type | what it counts |\n|---|---|---|\n");
    SETTLER_METRIC_MAP(X)
}
#undef X
