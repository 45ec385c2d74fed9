#include "upgrade.h"

#include "base/clock.h"
#include "listener.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define INHERIT_ENV "REDRAIN_INHERIT" /* "public,public,…;admin;pipe" */

static void env_write(const int *fds, uint32_t n, int admin_fd, int ready_fd)
{
    char text[16 * (UPGRADE_SOCKETS_MAX + 2)] = "";
    size_t len = 0;

    for (uint32_t i = 0; i < n; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%d", i ? "," : "", fds[i]);
    snprintf(text + len, sizeof(text) - len, ";%d;%d", admin_fd, ready_fd);
    setenv(INHERIT_ENV, text, 1);
}

static void program_exec(char **argv)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execvp(argv[0], argv); /* the file that is there now, not the one we run */
    fprintf(stderr, "redrain-server: %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

enum rr_err upgrade_start(struct upgrade *u, char **argv, const int *fds, uint32_t n, int admin_fd,
                          const int *close_fds)
{
    int ends[2];
    pid_t pid = -1;

    if (n > UPGRADE_SOCKETS_MAX || pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return RR_SYSTEM;
    pid = fork();
    if (pid == 0) {
        for (; *close_fds >= 0; close_fds++)
            close(*close_fds);
        fcntl(ends[1], F_SETFD, 0);
        env_write(fds, n, admin_fd, ends[1]);
        program_exec(argv);
    }
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return RR_SYSTEM;
    }
    u->pid = pid;
    u->fd = ends[0];
    u->until_us = rr_mono_us(rr_clock_system()) + UPGRADE_READY_MS * 1000LL;
    return RR_OK;
}

enum upgrade_state upgrade_poll(struct upgrade *u, struct upgrade_taken *taken)
{
    char text[32] = "";
    ssize_t n = read(u->fd, text, sizeof(text) - 1);
    unsigned workers = 0;
    unsigned admin = 0;
    bool ready = n > 0 && sscanf(text, "ready %u %u", &workers, &admin) == 2;

    if (!ready && n < 0 && (errno == EAGAIN || errno == EINTR) &&
        rr_mono_us(rr_clock_system()) < u->until_us)
        return UPGRADE_WAITS;
    close(u->fd);
    if (!ready)
        kill(u->pid, SIGKILL); /* its children go with it; they accepted nobody */
    u->pid = 0;
    *taken = (struct upgrade_taken){.workers = workers, .admin = admin != 0};
    return ready ? UPGRADE_READY : UPGRADE_FAILED;
}

bool inherited_read(struct inherited *in)
{
    const char *p = getenv(INHERIT_ENV);
    char *end = NULL;

    *in = (struct inherited){.admin_fd = -1, .ready_fd = -1};
    if (!p)
        return false;
    for (; *p && *p != ';' && in->n < UPGRADE_SOCKETS_MAX; p = *end == ',' ? end + 1 : end) {
        in->fds[in->n++] = (int)strtol(p, &end, 10);
        if (end == p)
            break;
    }
    if (sscanf(p, ";%d;%d", &in->admin_fd, &in->ready_fd) == 2)
        fcntl(in->ready_fd, F_SETFD, FD_CLOEXEC);
    unsetenv(INHERIT_ENV);
    return true;
}

int inherited_take(struct inherited *in, const char *host, int64_t port)
{
    for (uint32_t i = 0; i < in->n; i++) {
        int fd = in->fds[i];

        if (fd < 0 || !listener_matches(fd, host, port))
            continue;
        in->fds[i] = -1;
        return fd;
    }
    return -1;
}

int inherited_take_admin(struct inherited *in, const char *host, int64_t port)
{
    int fd = in->admin_fd;

    if (fd < 0 || !listener_matches(fd, host, port))
        return -1;
    in->admin_fd = -1;
    return fd;
}

void inherited_drop(struct inherited *in)
{
    for (uint32_t i = 0; i < in->n; i++) {
        if (in->fds[i] >= 0)
            close(in->fds[i]);
    }
    if (in->admin_fd >= 0)
        close(in->admin_fd);
    in->n = 0;
    in->admin_fd = -1;
}

void inherited_ready(struct inherited *in, const struct upgrade_taken *taken)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "ready %u %d", taken->workers, taken->admin);

    if (in->ready_fd < 0)
        return;
    if (write(in->ready_fd, text, (size_t)n) != n)
        fprintf(stderr, "redrain-server: the old generation is gone\n");
    close(in->ready_fd);
    in->ready_fd = -1;
}
