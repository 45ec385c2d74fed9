#include "admin.h"

#include "admin_http.h"
#include "base/alloc.h"
#include "base/fail.h"
#include "base/log.h"
#include "canary.h"
#include "child_end.h"
#include "conf_share.h"
#include "supervisor.h"
#include "sweeper.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HAND_OVER_US = 3000000, /* longer than MySQL may take */
    TICK_MS = 1000,
    DRAIN_KAFKA_MS = 3000,
    TOKEN_MIN_BYTES = 16
};

/* ---- probing the dependencies [thread], once a second ---- */

struct probe_job {
    struct db_job base; /* first */
    struct admin *admin;
    struct admin_probe result;
};

static void probe_run(struct db_job *base, struct db_ctx *ctx)
{
    struct probe_job *j = (struct probe_job *)base;
    enum rr_err err = ledger_ping(ctx->ledger);

    j->result.mysql = err == RR_OK;
    if (err)
        snprintf(j->result.mysql_text, sizeof(j->result.mysql_text), "%s: %s", rr_err_name(err),
                 ledger_error(ctx->ledger));
    j->result.redis = store_sync_ping(ctx->store) == RR_OK;
    j->result.kafka = producer_ping(j->admin->producer, 1000);
}

static void note_change(const char *name, bool before, bool after, const char *text)
{
    if (before && !after)
        log_warn("dependency_down", "waiting for %s %s", name, text);
    else if (!before && after)
        log_notice("dependency_up", "%s", name);
}

static void probe_done(struct db_job *base)
{
    struct probe_job *j = (struct probe_job *)base;
    struct admin *a = j->admin;

    note_change("redis", a->probe.redis, j->result.redis, "");
    note_change("mysql", a->probe.mysql, j->result.mysql, j->result.mysql_text);
    note_change("kafka", a->probe.kafka, j->result.kafka, "");
    a->probe = j->result;
    a->probe.known = true;
    rr_metric_set(&a->metrics->db_up, a->probe.mysql);
    rr_metric_set(&a->metrics->kafka_up, a->probe.kafka);
    free(j);
}

static void probe_start(struct admin *a)
{
    struct probe_job *j = NULL;

    if (a->probe.inflight)
        return;
    j = rr_xcalloc(1, sizeof(*j));
    j->admin = a;
    j->base.background = true;
    j->base.run = probe_run;
    j->base.done = probe_done;
    a->probe.inflight = true;
    if (db_pool_submit(a->db, DB_LANE_ANCHOR, &j->base) != RR_OK) {
        a->probe.inflight = false;
        free(j);
    }
}

enum worker_sign { WORKER_RUNS, WORKER_HAS_REDIS, WORKER_HEARS_PUSHES };

static bool worker_shows(const struct rr_metrics *m, enum worker_sign sign)
{
    switch (sign) {
    case WORKER_RUNS: return m->pid != 0;
    case WORKER_HAS_REDIS: return m->redis_up == 1;
    case WORKER_HEARS_PUSHES: return canary_fresh(m, rr_mono_us(rr_clock_system()));
    }
    return false;
}

static uint32_t workers_with(const struct admin *a, enum worker_sign sign)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i + 1 < a->mapping->n; i++)
        n += worker_shows(&a->mapping->slots[i], sign);
    return n;
}

static void line(struct rr_buf *out, bool ok, bool needed, const char *name, const char *text)
{
    rr_buf_printf(out, "[%s]%s %s\n", ok ? "+" : needed ? "-" : "!", name, text);
}

/* Only shown when one of them is not well. */
static void worker_line(const struct admin *a, uint32_t slot, struct rr_buf *out)
{
    const struct rr_metrics *m = &a->mapping->slots[slot];
    char name[24];
    const char *text = "hears its pushes";

    snprintf(name, sizeof(name), "worker %u", slot);
    if (!worker_shows(m, WORKER_RUNS))
        text = "starting";
    else if (!worker_shows(m, WORKER_HAS_REDIS))
        text = "waiting for redis";
    else if (!worker_shows(m, WORKER_HEARS_PUSHES))
        text = "does not hear its own pushes";
    line(out, worker_shows(m, WORKER_HEARS_PUSHES), true, name, text);
}

bool admin_ready(struct admin *a, struct rr_buf *out)
{
    uint32_t workers = a->mapping->n - 1;
    uint32_t alive = workers_with(a, WORKER_RUNS);
    uint32_t with_redis = workers_with(a, WORKER_HAS_REDIS);
    uint32_t hearing = workers_with(a, WORKER_HEARS_PUSHES);
    bool core = alive == workers && with_redis == workers && hearing == workers && !a->draining;
    bool books = a->probe.known && a->probe.mysql && a->probe.kafka;

    if (core && books)
        a->was_ready = true;
    line(out, alive == workers, true, "workers", alive == workers ? "running" : "starting");
    line(out, with_redis == workers, true, "redis",
         with_redis == workers ? "ok" : "waiting for redis");
    line(out, hearing == workers, true, "pushes",
         hearing == workers ? "come back" : "what is published does not come back");
    for (uint32_t i = 0;
         i < workers && (alive != workers || with_redis != workers || hearing != workers); i++)
        worker_line(a, i, out);
    line(out, a->probe.mysql, !a->was_ready, "mysql",
         a->probe.mysql ? "ok" : "waiting for mysql: rain commands answer UNAVAILABLE");
    line(out, a->probe.kafka, !a->was_ready, "kafka",
         a->probe.kafka ? "ok" : "waiting for kafka: grabs answer PENDING");
    if (a->draining)
        line(out, false, true, "drain", "this server is leaving");
    return core && a->was_ready;
}

/* ---- life ---- */

static void stop(struct admin *a)
{
    a->stopping = true;
    uv_stop(&a->loop);
}

static void on_tick(uv_timer_t *t)
{
    struct admin *a = t->data;
    struct rr_buf text = {0};
    bool was = a->was_ready;
    bool ready = false;

    probe_start(a);
    if (a->probe.known && a->probe.redis && a->probe.mysql && a->probe.kafka)
        sweeper_tick(a->sweeper);
    ready = admin_ready(a, &text);
    rr_metric_set(&a->metrics->ready, ready);
    if (ready && !was)
        log_notice("ready", "every dependency is there");
    rr_buf_fini(&text);
    if (getppid() != a->parent ||
        (a->leave_at_us && rr_mono_us(rr_clock_system()) >= a->leave_at_us))
        stop(
            a); /* the supervisor is gone, or another generation is there and what was asked is answered */
}

/* Once: the workers leave, /readyz says so. Twice: they are gone. */
static void on_signal(uv_signal_t *sig, int signum)
{
    struct admin *a = sig->data;

    if (signum == SIGUSR1) {
        admin_http_accept(a->http);
        return;
    }
    /* SIGUSR2: another generation answers on the same socket. */
    if (signum == SIGUSR2) {
        a->leave_at_us = rr_mono_us(rr_clock_system()) + HAND_OVER_US;
        admin_http_stop(a->http);
        return;
    }
    if (a->draining)
        stop(a);
    a->draining = true;
    rr_metric_set(&a->metrics->draining, 1);
    rr_metric_set(&a->metrics->ready, 0);
}

static void on_sighup(uv_signal_t *sig, int signum)
{
    struct admin *a = sig->data;

    (void)signum;
    if (conf_share_reload(a->conf) == RR_OK) {
        db_pool_reload(a->db);
        log_notice("config_reloaded", "what reloads is in force");
    }
}

/* The API's bearer token, without the newline of its file. */
static enum rr_err token_read(const char *file, char **out)
{
    char buf[256];
    struct stat st;
    ssize_t n = 0;
    int fd = -1;

    if (!file[0]) {
        log_notice("api_off", "admin.token_file is not set: the JSON API is off");
        return RR_OK;
    }
    fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0 || (st.st_mode & 077)) {
        log_error("api_token", "%s cannot be read, or is readable by others (chmod 600)", file);
        if (fd >= 0)
            close(fd);
        return RR_CONFIG;
    }
    n = read(fd, buf, sizeof(buf) - 1);
    close(fd);
    while (n > 0 && (buf[n - 1] == '\n' || buf[n - 1] == '\r'))
        n--;
    if (n < TOKEN_MIN_BYTES) {
        log_error("api_token", "%s holds fewer than %d bytes", file, TOKEN_MIN_BYTES);
        return RR_CONFIG;
    }
    *out = rr_xstrndup(buf, (size_t)n);
    return RR_OK;
}

static enum rr_err admin_wire(struct admin *a, int listen_fd)
{
    enum rr_err err = token_read(a->conf->admin_token_file, &a->api_token);

    if (!err)
        err = db_pool_create(&a->db, &a->loop, a->conf, a->metrics, a->name);
    if (!err) {
        a->sweeper = sweeper_create(a);
        err = producer_create(&a->producer, &a->loop, a->conf, a->metrics, sweeper_report,
                              a->sweeper);
    }
    if (!err)
        err = admin_http_create(&a->http, a, listen_fd);
    return err;
}

static void admin_stop(struct admin *a)
{
    child_end_begin();
    uv_timer_stop(&a->tick);
    uv_close((uv_handle_t *)&a->tick, NULL);
    uv_close((uv_handle_t *)&a->sigterm, NULL);
    uv_close((uv_handle_t *)&a->sigusr1, NULL);
    uv_close((uv_handle_t *)&a->sigusr2, NULL);
    uv_close((uv_handle_t *)&a->sighup, NULL);
    /* Jobs end first (a sweep may still submit its deletes, which are refused), then their answers
     * have nowhere to go. */
    rr_fail(ADMIN_ENDS);
    db_pool_destroy(a->db);
    producer_destroy(a->producer, DRAIN_KAFKA_MS);
    admin_http_close(a->http);
    uv_run(&a->loop, UV_RUN_DEFAULT);
    sweeper_destroy(a->sweeper);
    admin_http_free(a->http);
    free(a->api_token);
    if (uv_loop_close(&a->loop) != 0)
        log_warn("loop_busy", "handles are still open at exit");
}

int admin_main(struct rr_conf *conf, int listen_fd, struct rr_metrics_mapping *mapping,
               uint32_t slot)
{
    struct admin *a = rr_xcalloc(1, sizeof(*a));
    char host[32] = "host";
    enum rr_err err = RR_OK;

    gethostname(host, sizeof(host) - 1);
    snprintf(a->name, sizeof(a->name), "admin-%.20s-%d", host, (int)getpid());
    a->conf = conf;
    a->mapping = mapping;
    a->metrics = &mapping->slots[slot];
    a->probe.redis = a->probe.mysql = a->probe.kafka = true; /* so that the first miss is logged */
    ledger_global_init();
    uv_loop_init(&a->loop);
    err = admin_wire(a, listen_fd);
    if (err) {
        log_error("start_failed", "admin: %s", rr_err_text(err));
        _exit(1); /* half-built: the kernel takes it back */
    }
    a->metrics->pid = (int64_t)getpid();
    a->parent = getppid();
    child_orphan_watch();
    signal(SIGINT, SIG_IGN); /* Ctrl-C reaches the whole group: the supervisor says when to leave */
    uv_timer_init(&a->loop, &a->tick);
    uv_signal_init(&a->loop, &a->sigterm);
    uv_signal_init(&a->loop, &a->sigusr1);
    uv_signal_init(&a->loop, &a->sigusr2);
    a->tick.data = a;
    a->sigterm.data = a;
    a->sigusr1.data = a;
    a->sigusr2.data = a;
    uv_timer_start(&a->tick, on_tick, 0, TICK_MS);
    uv_signal_start(&a->sigterm, on_signal, SIGTERM);
    uv_signal_start(&a->sigusr1, on_signal, SIGUSR1);
    uv_signal_start(&a->sigusr2, on_signal, SIGUSR2);
    if (!getenv(CHILD_HOLD_ENV))
        admin_http_accept(a->http);
    uv_signal_init(&a->loop, &a->sighup);
    a->sighup.data = a;
    uv_signal_start(&a->sighup, on_sighup, SIGHUP);
    uv_run(&a->loop, UV_RUN_DEFAULT);
    admin_stop(a);
    free(a);
    return 0;
}
