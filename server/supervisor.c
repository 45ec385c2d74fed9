#include "supervisor.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fail.h"
#include "base/log.h"
#include "base/metrics.h"
#include "conf_check.h"
#include "conf_share.h"
#include "listener.h"
#include "limit_map.h"
#include "notify.h"
#include "risk/address.h"
#include "risk_guard.h"
#include "tls.h"
#include "upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    RESTART_MIN_MS = 100, /* doubles while a child keeps dying young */
    RESTART_MAX_MS = 5000,
    YOUNG_MS = 5000,
    SOCKET_KEPT_MS = 1000, /* a slot that is not served for longer closes its socket */
    KILL_AFTER_MS = 10000, /* beyond the drain's timeout, or after the second signal */
};

struct child {
    const char *role;
    int slot;      /* of the metrics mapping */
    int listen_fd; /* -1: closed, opened again at the next start */
    const char *host;
    int64_t port;
    pid_t pid; /* 0: not running */
    int64_t started_us;
    int64_t restart_at_us;
    int64_t backoff_ms;
    int64_t leave_at_us; /* asked to leave alone: when its socket is shut; 0: not asked */
    int64_t kill_at_us;
};

struct supervisor {
    struct rr_conf *conf;
    char **argv;
    struct rr_metrics_mapping metrics;
    struct limit_map limits;
    struct child *children;
    uint32_t n;
    bool stopping;
    uint32_t stops; /* signals to stop so far */
    bool admin_stops;
    bool accepts;            /* children accept; false: a new generation that is not ready yet */
    struct inherited before; /* what the generation before us handed down */
    struct upgrade_taken took;
    struct upgrade upgrade; /* the generation after us, while it starts */
    bool told_up;           /* the service manager, and what of */
    bool told_ready;
    int64_t watchdog_at_us;
    int64_t leave_at_us; /* when the listening sockets are shut */
    int64_t kill_at_us;
    int signal_fd;
    int conf_fd; /* conf as children get it */
    bool conf_good;
    int64_t conf_taken_s;
    int64_t tls_expiry_s;                  /* 0: no TLS */
    char risk_key[2 * RISK_KEY_BYTES + 1]; /* hex; the same for all workers */
};

static int64_t now_us(void)
{
    return rr_mono_us(rr_clock_system());
}

static void env_int(const char *name, int value)
{
    char text[16];

    snprintf(text, sizeof(text), "%d", value);
    setenv(name, text, 1);
}

static void child_exec(const struct supervisor *s, const struct child *c, pid_t supervisor)
{
    sigset_t none;

    /* A child never outlives its supervisor, also one that died before the child could ask for the signal: it would keep
     * the port from the next. */
    rr_fail(CHILD_FORKED);
    prctl(PR_SET_PDEATHSIG, CHILD_ORPHAN_SIGNAL);
    if (getppid() != supervisor)
        _exit(0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (uint32_t i = 0; i < s->n; i++) {
        if (&s->children[i] != c && s->children[i].listen_fd >= 0)
            close(s->children[i].listen_fd);
    }
    close(s->signal_fd);
    setenv(CHILD_ROLE_ENV, c->role, 1);
    env_int(CHILD_SLOT_ENV, c->slot);
    env_int(CHILD_LISTEN_FD_ENV, c->listen_fd);
    env_int(CHILD_METRICS_FD_ENV, s->metrics.fd);
    if (!s->accepts)
        setenv(CHILD_HOLD_ENV, "1", 1);
    fcntl(s->conf_fd, F_SETFD, 0);
    env_int(CHILD_CONF_FD_ENV, s->conf_fd);
    env_int(CHILD_LIMITS_FD_ENV, s->limits.fd);
    setenv(CHILD_RISK_KEY_ENV, s->risk_key, 1);
    execv("/proc/self/exe", s->argv);
    _exit(127);
}

static void child_start(struct supervisor *s, struct child *c)
{
    pid_t supervisor = getpid();
    pid_t pid = -1;

    c->started_us = now_us();
    if (c->listen_fd < 0)
        c->listen_fd = listener_open(c->host, &c->port);
    if (c->listen_fd < 0) {
        log_error("listen_failed", "%s slot %d: %s", c->role, c->slot, strerror(errno));
        c->restart_at_us = c->started_us + RESTART_MAX_MS * 1000;
        return;
    }
    pid = fork();
    if (pid == 0)
        child_exec(s, c, supervisor);
    if (pid < 0) {
        log_error("fork_failed", "%s", strerror(errno));
        c->restart_at_us = c->started_us + RESTART_MAX_MS * 1000;
        return;
    }
    c->pid = pid;
    log_info("child_started", "%s slot %d pid %d", c->role, c->slot, (int)pid);
}

/* In the admin child's slot: the same for the whole server. A child that ends takes its gauges along. */
static void conf_gauges(struct supervisor *s)
{
    struct rr_metrics *m = &s->metrics.slots[s->n - 1];

    rr_metric_set(&m->config_reload_success, s->conf_good);
    rr_metric_set(&m->config_last_reload_timestamp_seconds, s->conf_taken_s);
    rr_metric_set(&m->tls_certificate_expiry_timestamp_seconds, s->tls_expiry_s);
}

static void child_ended(struct supervisor *s, pid_t pid, int status)
{
    for (uint32_t i = 0; i < s->n; i++) {
        struct child *c = &s->children[i];
        uint64_t lost = 0;

        if (c->pid != pid)
            continue;
        c->pid = 0;
        c->leave_at_us = 0;
        lost = rr_metrics_book_lost(&s->metrics.slots[c->slot]);
        rr_metrics_slot_reap(&s->metrics.slots[c->slot]);
        conf_gauges(s);
        limit_map_reap(&s->limits, (uint32_t)c->slot);
        if (s->stopping)
            return;
        c->backoff_ms = now_us() - c->started_us > YOUNG_MS * 1000LL ? RESTART_MIN_MS
                        : c->backoff_ms * 2 > RESTART_MAX_MS         ? RESTART_MAX_MS
                                                                     : c->backoff_ms * 2;
        c->restart_at_us = now_us() + c->backoff_ms * 1000;
        /* Connections must not wait in a queue that nobody serves: the other slots take them. */
        if (c->backoff_ms > SOCKET_KEPT_MS && c->listen_fd >= 0) {
            close(c->listen_fd);
            c->listen_fd = -1;
        }
        log_warn("child_ended", "%s slot %d pid %d %s %d, %llu queued frames lost, again in %d ms",
                 c->role, c->slot, (int)pid, WIFSIGNALED(status) ? "signal" : "exit",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
                 (unsigned long long)lost, (int)c->backoff_ms);
        return;
    }
}

static void signal_children(const struct supervisor *s, int signum)
{
    for (uint32_t i = 0; i < s->n; i++) {
        if (s->children[i].pid)
            kill(s->children[i].pid, signum);
    }
}

/* Asked to leave once more, one that leaves already would hurry. */
static void ask_to_leave(const struct child *c, int signum)
{
    if (c->pid && !c->leave_at_us)
        kill(c->pid, signum);
}

static uint32_t workers_alive(const struct supervisor *s)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i + 1 < s->n; i++)
        n += s->children[i].pid != 0;
    return n;
}

static bool all_ended(const struct supervisor *s)
{
    return workers_alive(s) == 0 && s->children[s->n - 1].pid == 0;
}

static void signal_workers(const struct supervisor *s, int signum)
{
    for (uint32_t i = 0; i + 1 < s->n; i++) {
        if (s->children[i].pid)
            kill(s->children[i].pid, signum);
    }
}

/* Nobody new; the worker takes who is in the queue and closes. Only it holds the socket from here on. */
static void listener_leaves(const struct supervisor *s, struct child *c)
{
    if (c->listen_fd < 0)
        return;
    /* Of a generation that never accepted the sockets are not its own. */
    if (s->accepts && !listener_refuse_new(c->listen_fd))
        log_warn("listener", "%s: who connects just now may be reset", strerror(errno));
    close(c->listen_fd);
    c->listen_fd = -1;
}

static void listeners_leave(struct supervisor *s)
{
    for (uint32_t i = 0; i + 1 < s->n; i++)
        listener_leaves(s, &s->children[i]);
}

/* Once: everybody is asked to leave, in his time. Twice: at once. Three times: no questions. The admin child says 503 from the
 * first signal on, and stays until the workers are gone. */
static void stop_begin(struct supervisor *s)
{
    static const char *const texts[] = {"the server leaves", "at once", "killed"};

    log_notice("stop", "%s", texts[s->stops < 3 ? s->stops : 2]);
    s->stopping = true;
    if (s->stops++ == 0) {
        notify("STOPPING=1\nSTATUS=the server leaves");
        s->leave_at_us = now_us() + s->conf->drain_ready_wait_ms * 1000;
        s->kill_at_us = now_us() + (s->conf->drain_timeout_ms + KILL_AFTER_MS) * 1000;
        for (uint32_t i = 0; i < s->n; i++)
            ask_to_leave(&s->children[i], SIGTERM);
    } else if (s->stops == 2) {
        s->leave_at_us = now_us();
        s->kill_at_us = now_us() + KILL_AFTER_MS * 1000;
        signal_workers(s, SIGTERM);
    } else {
        signal_children(s, SIGKILL);
    }
}

static void stop_go_on(struct supervisor *s)
{
    if (now_us() >= s->leave_at_us)
        listeners_leave(s);
    if (workers_alive(s) == 0 && !s->admin_stops && s->children[s->n - 1].pid) {
        s->admin_stops = true;
        kill(s->children[s->n - 1].pid, SIGTERM);
    }
    if (now_us() > s->kill_at_us)
        signal_children(s, SIGKILL);
}

/* ---- one worker ---- */

/* By the admin child. The others take over; when it has gone another one starts in its slot. */
static void worker_leaves(struct supervisor *s, int slot)
{
    struct child *c = slot >= 0 && slot + 1 < (int)s->n ? &s->children[slot] : NULL;
    uint32_t leaving = 0;

    for (uint32_t i = 0; i < s->n; i++)
        leaving += s->children[i].leave_at_us != 0;
    if (!c || !c->pid || leaving || s->upgrade.pid || !s->accepts || workers_alive(s) < 2) {
        log_warn("worker_stays", "slot %d: it is not there, or nobody else is to take over", slot);
        return;
    }
    log_notice("worker_leaves", "slot %d pid %d, another one follows", slot, (int)c->pid);
    ask_to_leave(c, SIGTERM);
    c->leave_at_us = now_us() + s->conf->drain_ready_wait_ms * 1000;
    c->kill_at_us = now_us() + (s->conf->drain_timeout_ms + KILL_AFTER_MS) * 1000;
}

static void leaving_go_on(struct supervisor *s)
{
    for (uint32_t i = 0; i + 1 < s->n; i++) {
        struct child *c = &s->children[i];

        if (!c->leave_at_us)
            continue;
        if (now_us() >= c->leave_at_us)
            listener_leaves(s, c);
        if (now_us() > c->kill_at_us)
            kill(c->pid, SIGKILL);
    }
}

/* ---- the service manager ---- */

static void manager_tell(struct supervisor *s)
{
    bool ready = s->metrics.slots[s->n - 1].ready == 1;
    int64_t every_us = notify_watchdog_us();

    if (every_us && now_us() >= s->watchdog_at_us) {
        s->watchdog_at_us = now_us() + every_us;
        notify("WATCHDOG=1");
    }
    if (s->stopping || !s->accepts || (s->told_up && s->told_ready == ready))
        return;
    s->told_up = true;
    s->told_ready = ready;
    notify("READY=1\nSTATUS=%s", ready ? "ready" : "serves, not ready: see /readyz?verbose");
}

/* ---- the configuration ---- */

/* When the certificate expires; it was checked before, so what fails now is only the metric. */
static int64_t expiry_of(const struct rr_conf *c)
{
    struct tls *t = NULL;
    char message[512];
    int64_t at_s = 0;

    if (tls_load(&t, c, message, sizeof(message)) != RR_OK || !t)
        return 0;
    at_s = tls_expiry_s(t);
    if (at_s < rr_wall_ms(rr_clock_system()) / 1000)
        log_warn("tls_expired", "the certificate in %s has expired", c->server_tls_cert_file);
    tls_free(t);
    return at_s;
}

/* What conf says is in force from now on, also for children that start later. */
static enum rr_err conf_publish(struct supervisor *s)
{
    enum rr_err err = conf_share_write(s->conf_fd, s->conf);

    s->conf_good = !err;
    if (!err)
        s->conf_taken_s = rr_wall_ms(rr_clock_system()) / 1000;
    s->tls_expiry_s = expiry_of(s->conf);
    conf_gauges(s);
    return err;
}

/* SIGHUP. Nothing changes anywhere unless all of it is in order. */
static void conf_reload(struct supervisor *s)
{
    struct rr_conf fresh;

    if (rr_conf_reread(s->conf, &fresh, server_conf_check) != RR_OK) {
        rr_metric_add(&s->metrics.slots[s->n - 1].config_refused_total, 1);
        s->conf_good = false;
        conf_gauges(s);
        return;
    }
    if (tls_wanted(s->conf) != tls_wanted(&fresh)) {
        log_notice("config_waits", "needs a restart: TLS on or off");
        free(fresh.server_tls_cert_file);
        free(fresh.server_tls_key_file);
        fresh.server_tls_cert_file = rr_xstrdup(s->conf->server_tls_cert_file);
        fresh.server_tls_key_file = rr_xstrdup(s->conf->server_tls_key_file);
    }
    rr_conf_take(s->conf, &fresh);
    rr_conf_fini(&fresh);
    rr_log_level_set(s->conf->log_level);
    if (conf_publish(s) != RR_OK) {
        log_error("config_share", "the children cannot be told: %s", strerror(errno));
        return;
    }
    log_notice("config_read", "%u workers are told", workers_alive(s));
    signal_children(s, SIGHUP);
}

static void reload(struct supervisor *s)
{
    notify("RELOADING=1\nMONOTONIC_USEC=%lld", (long long)now_us());
    conf_reload(s);
    notify("READY=1");
}

/* ---- another generation ---- */

static void upgrade_begin(struct supervisor *s)
{
    int fds[UPGRADE_SOCKETS_MAX];
    const struct child *admin = &s->children[s->n - 1];
    const int ours[] = {s->metrics.fd, s->limits.fd, -1}; /* of this generation's layout */

    if (s->upgrade.pid || !s->accepts) {
        log_warn("upgrade_failed", "another one is under way");
        return;
    }
    for (uint32_t i = 0; i + 1 < s->n; i++)
        fds[i] = s->children[i].listen_fd;
    if (upgrade_start(&s->upgrade, s->argv, fds, s->n - 1, admin->listen_fd, ours) != RR_OK) {
        log_error("upgrade_failed", "%s", strerror(errno));
        return;
    }
    log_notice("upgrade", "%s is started as pid %d", s->argv[0], (int)s->upgrade.pid);
}

/* The others accept now: who is here moves over, each in his slot. */
static void hand_over(struct supervisor *s, const struct upgrade_taken *taken)
{
    s->stopping = true;
    s->stops = 1;
    s->leave_at_us = now_us() + s->conf->drain_ready_wait_ms * 1000;
    s->kill_at_us = now_us() + (s->conf->drain_timeout_ms + KILL_AFTER_MS) * 1000;
    for (uint32_t i = 0; i < s->n; i++) {
        struct child *c = &s->children[i];
        bool theirs = i == s->n - 1 ? taken->admin : i < taken->workers;

        if (theirs && c->listen_fd >= 0) {
            close(c->listen_fd);
            c->listen_fd = -1;
        }
        ask_to_leave(c, theirs ? SIGUSR2 : SIGTERM);
    }
    s->admin_stops = taken->admin;
}

static void upgrade_go_on(struct supervisor *s)
{
    struct upgrade_taken taken;
    pid_t pid = s->upgrade.pid;
    enum upgrade_state state = pid ? upgrade_poll(&s->upgrade, &taken) : UPGRADE_WAITS;

    if (state == UPGRADE_FAILED) {
        log_error("upgrade_failed", "pid %d ended or was not ready within %d s: this one stays",
                  (int)pid, UPGRADE_READY_MS / 1000);
    } else if (state == UPGRADE_READY) {
        notify("MAINPID=%d\nREADY=1", (int)pid);
        log_notice("upgraded", "pid %d has taken over, this one leaves", (int)pid);
        hand_over(s, &taken);
    }
}

static void pid_write(const struct supervisor *s)
{
    const char *path = s->conf->server_pid_file;
    struct rr_buf tmp = {0};
    FILE *f = NULL;

    if (!path[0])
        return;
    rr_buf_printf(&tmp, "%s.%d", path, (int)getpid());
    f = fopen(tmp.p, "we");
    if (!f || fprintf(f, "%d\n", (int)getpid()) < 0 || fclose(f) != 0 || rename(tmp.p, path) != 0)
        log_error("pid_file", "%s: %s", path, strerror(errno));
    rr_buf_fini(&tmp);
}

/* A new generation is ready: it accepts from here on. */
static void accept_all(struct supervisor *s)
{
    if (s->accepts || s->metrics.slots[s->n - 1].ready != 1)
        return;
    s->accepts = true;
    signal_children(s, SIGUSR1);
    pid_write(s);
    inherited_ready(&s->before, &s->took);
    log_notice("took_over", "pid %d, %u of %u public sockets", (int)getpid(), s->took.workers,
               s->n - 1);
}

static void signals_read(struct supervisor *s)
{
    struct signalfd_siginfo info;

    while (read(s->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
            stop_begin(s);
        else if (info.ssi_signo == SIGHUP && !s->stopping)
            reload(s);
        else if ((int)info.ssi_signo == SUPERVISOR_DRAIN_SIGNAL && !s->stopping &&
                 (pid_t)info.ssi_pid == s->children[s->n - 1].pid)
            worker_leaves(s, info.ssi_int);
        else if (info.ssi_signo == SIGUSR2 && !s->stopping)
            upgrade_begin(s);
    }
    for (;;) {
        int status = 0;
        pid_t pid = waitpid(-1, &status, WNOHANG);

        if (pid <= 0)
            break;
        child_ended(s, pid, status);
    }
}

static void restart_due(struct supervisor *s)
{
    for (uint32_t i = 0; i < s->n; i++) {
        struct child *c = &s->children[i];

        if (!c->pid && now_us() >= c->restart_at_us)
            child_start(s, c);
    }
}

static int listeners_open(struct supervisor *s)
{
    int64_t port = s->conf->server_port;
    int64_t admin_port = s->conf->admin_port;

    if (s->accepts && ((port && !listener_port_is_free(s->conf->server_host, port)) ||
                       (admin_port && !listener_port_is_free(s->conf->admin_host, admin_port)))) {
        log_error("port_taken", "%s:%d or %s:%d is in use or no address of this machine",
                  s->conf->server_host, (int)port, s->conf->admin_host, (int)admin_port);
        return -1;
    }
    for (uint32_t i = 0; i < s->n; i++) {
        struct child *c = &s->children[i];
        bool admin = i == s->n - 1;

        c->role = admin ? "admin" : "worker";
        c->slot = (int)i;
        c->backoff_ms = RESTART_MIN_MS;
        c->host = admin ? s->conf->admin_host : s->conf->server_host;
        c->listen_fd = admin ? inherited_take_admin(&s->before, c->host, admin_port)
                             : inherited_take(&s->before, c->host, port);
        if (c->listen_fd >= 0) {
            *(admin ? &admin_port : &port) = listener_port(c->listen_fd);
            s->took.workers += !admin;
            s->took.admin = s->took.admin || admin;
        } else {
            c->listen_fd = listener_open(c->host, admin ? &admin_port : &port);
        }
        c->port = admin ? admin_port : port;
        if (c->listen_fd < 0) {
            log_error("listen_failed", "%s: %s", c->role, strerror(errno));
            return -1;
        }
    }
    log_notice("listening", "public=%s:%d admin=%s:%d", s->conf->server_host, (int)port,
               s->conf->admin_host, (int)admin_port);
    inherited_drop(&s->before);
    return 0;
}

static void run(struct supervisor *s)
{
    struct pollfd pfd = {.fd = s->signal_fd, .events = POLLIN};

    while (!s->stopping || !all_ended(s)) {
        if (s->stopping) {
            stop_go_on(s);
        } else {
            leaving_go_on(s);
            restart_due(s);
            upgrade_go_on(s);
            accept_all(s);
        }
        manager_tell(s);
        poll(&pfd, 1, 100);
        signals_read(s);
    }
}

static enum rr_err risk_key_make(struct supervisor *s)
{
    const char *file = s->conf->risk_address_key_file;
    struct risk_key key;

    if (!file[0])
        risk_key_random(&key);
    else if (risk_key_load(&key, file) != RR_OK) {
        log_error("risk_key", "%s cannot be read or holds fewer than %d bytes", file,
                  RISK_KEY_BYTES);
        return RR_CONFIG;
    }
    risk_key_print(&key, s->risk_key);
    return RR_OK;
}

int supervisor_main(struct rr_conf *conf, int argc, char **argv)
{
    struct supervisor s = {.conf = conf, .argv = argv, .n = (uint32_t)conf->server_workers + 1};
    sigset_t set;

    (void)argc;
    s.children = rr_xcalloc(s.n, sizeof(*s.children));
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR2);
    sigaddset(&set, SUPERVISOR_DRAIN_SIGNAL);
    sigprocmask(SIG_BLOCK, &set, NULL);
    s.accepts = !inherited_read(&s.before);
    s.signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (risk_key_make(&s) != RR_OK || rr_metrics_mapping_create(s.n, &s.metrics) != RR_OK ||
        conf_share_create(&s.conf_fd) != RR_OK || conf_publish(&s) != RR_OK ||
        limit_map_create(conf, &s.limits) != RR_OK || listeners_open(&s) != 0) {
        free(s.children);
        return 1;
    }
    if (s.accepts)
        pid_write(&s);
    run(&s);
    log_notice("stopped", "all children ended");
    rr_metrics_mapping_close(&s.metrics);
    limit_map_close(&s.limits);
    free(s.children);
    return 0;
}
