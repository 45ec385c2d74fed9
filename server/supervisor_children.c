/* supervisor_children.c - children: started, ended, told; see supervisor_private.h. */
#include "supervisor_private.h"

#include "base/fail.h"
#include "base/log.h"
#include "conf_share.h"
#include "listener.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    RESTART_MAX_MS = 5000,
    YOUNG_MS = 5000,
    SOCKET_KEPT_MS = 1000, /* a slot that is not served for longer closes its socket */
};

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

void supervisor__child_start(struct supervisor *s, struct child *c)
{
    pid_t supervisor = getpid();
    pid_t pid = -1;

    c->started_us = supervisor__now_us();
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

void supervisor__child_ended(struct supervisor *s, pid_t pid, int status)
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
        supervisor__conf_gauges(s);
        limit_map_reap(&s->limits, (uint32_t)c->slot);
        if (s->stopping)
            return;
        c->backoff_ms = supervisor__now_us() - c->started_us > YOUNG_MS * 1000LL ? RESTART_MIN_MS
                        : c->backoff_ms * 2 > RESTART_MAX_MS                     ? RESTART_MAX_MS
                                                             : c->backoff_ms * 2;
        c->restart_at_us = supervisor__now_us() + c->backoff_ms * 1000;
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

void supervisor__signal_children(const struct supervisor *s, int signum)
{
    for (uint32_t i = 0; i < s->n; i++) {
        if (s->children[i].pid)
            kill(s->children[i].pid, signum);
    }
}

void supervisor__ask_to_leave(const struct child *c, int signum)
{
    if (c->pid && !c->leave_at_us)
        kill(c->pid, signum);
}

uint32_t supervisor__workers_alive(const struct supervisor *s)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i + 1 < s->n; i++)
        n += s->children[i].pid != 0;
    return n;
}

bool supervisor__all_ended(const struct supervisor *s)
{
    return supervisor__workers_alive(s) == 0 && s->children[s->n - 1].pid == 0;
}

void supervisor__signal_workers(const struct supervisor *s, int signum)
{
    for (uint32_t i = 0; i + 1 < s->n; i++) {
        if (s->children[i].pid)
            kill(s->children[i].pid, signum);
    }
}
