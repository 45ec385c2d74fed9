#include "conf_share.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "supervisor.h"

enum { READ_TRIES = 1000, READ_PAUSE_US = 1000 };

/* In front of the packed options. The writer sets `begun`, writes the options, sets `done`; who finds the two equal around his
 * reading saw one writing whole. */
struct head {
    uint64_t begun;
    uint64_t done;
    uint64_t len;
};

enum rr_err conf_share_create(int *fd)
{
    struct head h = {0};

    *fd = memfd_create("redrain-conf", MFD_CLOEXEC);
    if (*fd < 0)
        return RR_SYSTEM;
    if (pwrite(*fd, &h, sizeof(h), 0) == (ssize_t)sizeof(h))
        return RR_OK;
    close(*fd);
    *fd = -1;
    return RR_SYSTEM;
}

static bool put(int fd, const void *p, size_t len, size_t at)
{
    return pwrite(fd, p, len, (off_t)at) == (ssize_t)len;
}

enum rr_err conf_share_write(int fd, const struct rr_conf *c)
{
    struct rr_buf b = {0};
    struct head h = {0};
    bool ok = pread(fd, &h, sizeof(h), 0) == (ssize_t)sizeof(h);

    rr_conf_pack(c, &b);
    h.begun++;
    h.len = b.len;
    ok = ok && !b.failed && put(fd, &h.begun, sizeof(h.begun), offsetof(struct head, begun)) &&
         put(fd, &h.len, sizeof(h.len), offsetof(struct head, len)) &&
         put(fd, b.p, b.len, sizeof(h)) &&
         put(fd, &h.begun, sizeof(h.begun), offsetof(struct head, done));
    if (b.p)
        explicit_bzero(b.p, b.len);
    rr_buf_fini(&b);
    return ok ? RR_OK : RR_SYSTEM;
}

/* One look; NULL when it was cut by a writer. */
static char *look(int fd, size_t *len)
{
    struct head before = {0};
    struct head after = {0};
    char *p = NULL;

    if (pread(fd, &before, sizeof(before), 0) != (ssize_t)sizeof(before) || !before.done ||
        before.begun != before.done || before.len > (1U << 20))
        return NULL;
    p = rr_xcalloc(1, before.len + 1);
    if (pread(fd, p, before.len, sizeof(before)) == (ssize_t)before.len &&
        pread(fd, &after, sizeof(after), 0) == (ssize_t)sizeof(after) &&
        after.begun == before.begun) {
        *len = before.len;
        return p;
    }
    free(p);
    return NULL;
}

enum rr_err conf_share_read(int fd, struct rr_conf *c, char *message, size_t cap)
{
    enum rr_err err = RR_CONFIG;

    snprintf(message, cap, "not started by a supervisor of this version");
    for (int i = 0; i < READ_TRIES; i++) {
        size_t len = 0;
        char *p = look(fd, &len);

        if (p) {
            err = rr_conf_unpack(c, p, len, message, cap);
            explicit_bzero(p, len);
            free(p);
            return err;
        }
        if (fcntl(fd, F_GETFD) < 0)
            break;
        usleep(READ_PAUSE_US);
    }
    return err;
}

enum rr_err conf_share_reload(struct rr_conf *c)
{
    const char *fd = getenv(CHILD_CONF_FD_ENV);
    struct rr_conf fresh;
    char message[512];
    enum rr_err err = conf_share_read(fd ? atoi(fd) : -1, &fresh, message, sizeof(message));

    if (err) {
        log_error("config_refused", "%s; the old one stays", message);
        return err;
    }
    rr_conf_take(c, &fresh);
    rr_conf_fini(&fresh);
    rr_log_level_set(c->log_level);
    return RR_OK;
}
