#include "supervisor_private.h"

#include "base/alloc.h"
#include "base/log.h"
#include "conf_share.h"
#include "listener.h"
#include "notify.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KILL_AFTER_MS = 10000 /* beyond the drain's timeout, or after the second signal */ };

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
        s->leave_at_us = supervisor__now_us() + s->conf->drain_ready_wait_ms * 1000;
        s->kill_at_us = supervisor__now_us() + (s->conf->drain_timeout_ms + KILL_AFTER_MS) * 1000;
        for (uint32_t i = 0; i < s->n; i++)
            supervisor__ask_to_leave(&s->children[i], SIGTERM);
    } else if (s->stops == 2) {
        s->leave_at_us = supervisor__now_us();
        s->kill_at_us = supervisor__now_us() + KILL_AFTER_MS * 1000;
        supervisor__signal_workers(s, SIGTERM);
    } else {
        supervisor__signal_children(s, SIGKILL);
    }
}

static void stop_go_on(struct supervisor *s)
{
    if (supervisor__now_us() >= s->leave_at_us)
        listeners_leave(s);
    if (supervisor__workers_alive(s) == 0 && !s->admin_stops && s->children[s->n - 1].pid) {
        s->admin_stops = true;
        kill(s->children[s->n - 1].pid, SIGTERM);
    }
    if (supervisor__now_us() > s->kill_at_us)
        supervisor__signal_children(s, SIGKILL);
}

/* ---- one worker ---- */

/* By the admin child. The others take over; when it has gone another one starts in its slot. */
static void worker_leaves(struct supervisor *s, int slot)
{
    struct child *c = slot >= 0 && slot + 1 < (int)s->n ? &s->children[slot] : NULL;
    uint32_t leaving = 0;

    for (uint32_t i = 0; i < s->n; i++)
        leaving += s->children[i].leave_at_us != 0;
    if (!c || !c->pid || leaving || s->upgrade.pid || !s->accepts ||
        supervisor__workers_alive(s) < 2) {
        log_warn("worker_stays", "slot %d: it is not there, or nobody else is to take over", slot);
        return;
    }
    log_notice("worker_leaves", "slot %d pid %d, another one follows", slot, (int)c->pid);
    supervisor__ask_to_leave(c, SIGTERM);
    c->leave_at_us = supervisor__now_us() + s->conf->drain_ready_wait_ms * 1000;
    c->kill_at_us = supervisor__now_us() + (s->conf->drain_timeout_ms + KILL_AFTER_MS) * 1000;
}

static void leaving_go_on(struct supervisor *s)
{
    for (uint32_t i = 0; i + 1 < s->n; i++) {
        struct child *c = &s->children[i];

        if (!c->leave_at_us)
            continue;
        if (supervisor__now_us() >= c->leave_at_us)
            listener_leaves(s, c);
        if (supervisor__now_us() > c->kill_at_us)
            kill(c->pid, SIGKILL);
    }
}

/* ---- the service manager ---- */

static void manager_tell(struct supervisor *s)
{
    bool ready = s->metrics.slots[s->n - 1].ready == 1;
    int64_t every_us = notify_watchdog_us();

    if (every_us && supervisor__now_us() >= s->watchdog_at_us) {
        s->watchdog_at_us = supervisor__now_us() + every_us;
        notify("WATCHDOG=1");
    }
    if (s->stopping || !s->accepts || (s->told_up && s->told_ready == ready))
        return;
    s->told_up = true;
    s->told_ready = ready;
    notify("READY=1\nSTATUS=%s", ready ? "ready" : "serves, not ready: see /readyz?verbose");
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
    s->leave_at_us = supervisor__now_us() + s->conf->drain_ready_wait_ms * 1000;
    s->kill_at_us = supervisor__now_us() + (s->conf->drain_timeout_ms + KILL_AFTER_MS) * 1000;
    for (uint32_t i = 0; i < s->n; i++) {
        struct child *c = &s->children[i];
        bool theirs = i == s->n - 1 ? taken->admin : i < taken->workers;

        if (theirs && c->listen_fd >= 0) {
            close(c->listen_fd);
            c->listen_fd = -1;
        }
        supervisor__ask_to_leave(c, theirs ? SIGUSR2 : SIGTERM);
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
    supervisor__signal_children(s, SIGUSR1);
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
            supervisor__reload(s);
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
        supervisor__child_ended(s, pid, status);
    }
}

static void restart_due(struct supervisor *s)
{
    for (uint32_t i = 0; i < s->n; i++) {
        struct child *c = &s->children[i];

        if (!c->pid && supervisor__now_us() >= c->restart_at_us)
            supervisor__child_start(s, c);
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

    while (!s->stopping || !supervisor__all_ended(s)) {
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
        conf_share_create(&s.conf_fd) != RR_OK || supervisor__conf_publish(&s) != RR_OK ||
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
