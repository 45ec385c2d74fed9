/* conf_share.h - the configuration the supervisor stands by, for its children: a child never reads the
 * file, so a file that was edited and is wrong, or waits for a restart, cannot keep a child that died from
 * being started again. One memory file, rewritten at each reload; who reads while it is written reads again.
 * Thread: the loop's. */
#ifndef SERVER_CONF_SHARE_H
#define SERVER_CONF_SHARE_H

#include "base/conf.h"
#include "base/err.h"

/* The supervisor's: *fd is close-on-exec. RR_SYSTEM. */
RR_MUST_CHECK enum rr_err conf_share_create(int *fd);
RR_MUST_CHECK enum rr_err conf_share_write(int fd, const struct rr_conf *c);
/* A child's. RR_CONFIG: message says why. */
RR_MUST_CHECK enum rr_err conf_share_read(int fd, struct rr_conf *c, char *message, size_t cap);
/* A running child's, at SIGHUP: c gets the options of class RELOAD as they are now, the log its level. */
RR_MUST_CHECK enum rr_err conf_share_reload(struct rr_conf *c);

#endif
