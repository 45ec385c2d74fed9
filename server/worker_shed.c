#include "worker_shed.h"

#include "base/log.h"
#include "worker.h"

enum { RETRY_MS = 1000, RETRY_SPREAD_MS = 1000 };

bool worker_sheds(const struct worker *w, enum shed_level level)
{
    return w->shed.level >= level;
}

int64_t worker_shed_retry_ms(uint64_t session_id)
{
    uint64_t mixed = session_id * UINT64_C(0x9e3779b97f4a7c15);

    return RETRY_MS + (int64_t)((mixed >> 32) % RETRY_SPREAD_MS);
}

static void tell(const struct worker *w, const struct shed_view *v, enum shed_level before)
{
    enum rr_log_level log = w->shed.level > before ? RR_LOG_WARN : RR_LOG_NOTICE;

    rr_log(log, "shed_level",
           "%d (%s), was %d: the loop is %lld ms late, %lld bytes wait for sockets, grabs over "
           "their bound: %s",
           (int)w->shed.level, shed_level_name(w->shed.level), (int)before,
           (long long)(v->lag_us / 1000), (long long)v->queue_bytes,
           v->grabs_refused ? "yes" : "no");
}

void worker_shed_tick(struct worker *w, int64_t lag_us)
{
    const struct rr_conf *c = w->conf;
    enum shed_level before = w->shed.level;
    struct shed_view v = {.now_us = rr_mono_us(w->clock),
                          .lag_us = lag_us,
                          .stall_us = w->stall_us,
                          .queue_bytes = (int64_t)session_table_counters(w->sessions)->must_bytes};

    w->stall_us = 0;
    v.grabs_refused = grab_path_slice(w->grabs, v.now_us);
    w->shed.opts = (struct shed_opts){.lag_us = c->shed_lag_ms * 1000,
                                      .queue_bytes = c->shed_queue_bytes,
                                      .hold_us = c->shed_hold_ms * 1000};
    if (!shed_step(&w->shed, &v))
        return;
    hub_shed_latest(w->hub, worker_sheds(w, SHED_LATEST));
    rr_metric_set(&w->metrics->shed_level, (int64_t)w->shed.level);
    tell(w, &v, before);
}
