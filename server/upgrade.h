/* upgrade.h - another generation of this program on the same listening sockets. The old supervisor forks and executes the file
 * it was started as, which inherits the sockets and starts children that accept nobody yet. When its /readyz would be 200 it lets
 * them accept and says so through a pipe; only then the old generation leaves. If it ends, or is not ready in time, nothing has
 * happened: the sockets are still the old one's. Thread: the supervisor's. */
#ifndef SERVER_UPGRADE_H
#define SERVER_UPGRADE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

enum { UPGRADE_SOCKETS_MAX = 64, UPGRADE_READY_MS = 30000 };

/* ---- the old generation ---- */

struct upgrade {
    pid_t pid; /* 0: none is under way */
    int fd;    /* its end of the pipe is closed when it ends */
    int64_t until_us;
};

struct upgrade_taken {
    uint32_t workers; /* the first so many public sockets are accepted on by the other generation */
    bool admin;
};

enum upgrade_state { UPGRADE_WAITS, UPGRADE_READY, UPGRADE_FAILED };

/* fds: public sockets in the order of their slots, -1 for a closed one; close_fds, ended by -1, are not handed
 * down. */
RR_MUST_CHECK enum rr_err upgrade_start(struct upgrade *u, char **argv, const int *fds, uint32_t n,
                                        int admin_fd, const int *close_fds);
/* READY and FAILED end it; a program that failed is killed. */
enum upgrade_state upgrade_poll(struct upgrade *u, struct upgrade_taken *taken);

/* ---- the new generation ---- */

struct inherited {
    int fds[UPGRADE_SOCKETS_MAX]; /* -1: taken or closed */
    uint32_t n;
    int admin_fd;
    int ready_fd; /* -1: nobody waits */
};

/* What the environment says, which is cleared. False: started by hand. */
bool inherited_read(struct inherited *in);
/* The next public socket, or the admin's, if it listens there; -1: open one. */
int inherited_take(struct inherited *in, const char *host, int64_t port);
int inherited_take_admin(struct inherited *in, const char *host, int64_t port);
/* Closes what nobody took: it stays the old generation's. */
void inherited_drop(struct inherited *in);
void inherited_ready(struct inherited *in, const struct upgrade_taken *taken);

#endif
