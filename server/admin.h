/* admin.h - the admin child: private HTTP listener (/livez, /readyz, /metrics, the JSON API of
 * platforms' backends), and the sweeper of the outbox. Blocking work runs on its database threads,
 * exactly as in a worker. */
#ifndef SERVER_ADMIN_H
#define SERVER_ADMIN_H

#include <uv.h>

#include "base/conf.h"
#include "base/log.h"
#include "base/metrics.h"
#include "db_pool.h"
#include "producer.h"

struct admin_http;
struct sweeper;

/* What the last probe of each dependency said. */
struct admin_probe {
    bool redis;
    bool mysql;
    bool kafka;
    bool known; /* a probe has come back */
    bool inflight;
    char mysql_text[160];
};

struct admin {
    char name[64]; /* owner of leases and locks */
    struct rr_conf *conf;
    struct rr_metrics_mapping *mapping;
    struct rr_metrics *metrics; /* own slot */
    uv_loop_t loop;
    uv_timer_t tick;
    uv_signal_t sigterm;
    uv_signal_t sigusr1;
    uv_signal_t sigusr2;
    uv_signal_t sighup;
    struct db_pool *db;
    struct producer *producer;
    struct admin_http *http;
    struct sweeper *sweeper;
    struct admin_probe probe;
    char *api_token; /* NULL: the API is off */
    struct rr_ratelog refused_log;
    bool was_ready;      /* every dependency was there once */
    bool draining;       /* the workers leave */
    bool stopping;       /* they are gone */
    pid_t parent;        /* the supervisor */
    int64_t leave_at_us; /* another generation answers; 0: none */
};

int admin_main(struct rr_conf *conf, int listen_fd, struct rr_metrics_mapping *mapping,
               uint32_t slot);

/* Ready: workers run, Redis answers; until that was so once, MySQL and Kafka too. Later their
 * absence only degrades what needs them: taking every viewer off because the books are behind would
 * help nobody. Text for /readyz?verbose into *out. */
bool admin_ready(struct admin *a, struct rr_buf *out);

#endif
