/* supervisor.h - owns the listening sockets and the children; links neither lws nor librdkafka nor
 * MySQL into its own work: it forks and executes this program again as worker or admin child,
 * handing the sockets down. A child that ends is started again on the same socket, so no
 * queued connection is reset; a slot that keeps failing for more than a second closes it. */
#ifndef SERVER_SUPERVISOR_H
#define SERVER_SUPERVISOR_H

#include <signal.h>

#include "base/conf.h"

/* From the admin child, by sigqueue(): the worker of the slot in the value leaves, another one follows. */
#define SUPERVISOR_DRAIN_SIGNAL (SIGRTMIN + 1)

/* From the kernel, to each child when the supervisor died: child_end.h. */
#define CHILD_ORPHAN_SIGNAL (SIGRTMIN + 2)

/* SIGUSR2: upgrade.h. Runs until SIGTERM or SIGINT (once: everybody is asked to leave, twice: at once, three times:
 * killed). argv is this program's, passed to the children. */
int supervisor_main(struct rr_conf *conf, int argc, char **argv);

/* What a child gets through its environment. */
#define CHILD_ROLE_ENV "REDRAIN_CHILD_ROLE"        /* "worker" or "admin" */
#define CHILD_SLOT_ENV "REDRAIN_CHILD_SLOT"        /* number of the slot */
#define CHILD_LISTEN_FD_ENV "REDRAIN_CHILD_LISTEN" /* inherited listening socket */
#define CHILD_CONF_FD_ENV "REDRAIN_CHILD_CONF"     /* inherited: conf_share.h */
#define CHILD_HOLD_ENV "REDRAIN_CHILD_HOLD"        /* set: accepts nobody before SIGUSR1 */
#define CHILD_METRICS_FD_ENV                                                                       \
    "REDRAIN_CHILD_METRICS" /* inherited mapping; workers + 1 slots, the admin child's is last */
/* CHILD_LIMITS_FD_ENV and CHILD_RISK_KEY_ENV: limit_map.h, risk_guard.h. */

#endif
