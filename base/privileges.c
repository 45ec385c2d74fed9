#include "base/privileges.h"

#include "base/log.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

void rr_privileges_drop(void)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        log_warn("privileges", "no_new_privs: %s", strerror(errno));
    if (geteuid() == 0)
        log_warn("privileges", "runs as root, which it does not need");
}
