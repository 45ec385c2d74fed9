#include "notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { TEXT_MAX = 256 };

/* A path, or a name that begins with @ in the abstract namespace. */
static bool address_of(const char *name, struct sockaddr_un *to, socklen_t *len)
{
    size_t n = name ? strlen(name) : 0;

    if (n < 2 || n >= sizeof(to->sun_path) || (name[0] != '/' && name[0] != '@'))
        return false;
    memset(to, 0, sizeof(*to));
    to->sun_family = AF_UNIX;
    memcpy(to->sun_path, name, n);
    if (name[0] == '@')
        to->sun_path[0] = 0;
    *len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    return true;
}

bool notify(const char *fmt, ...)
{
    struct sockaddr_un to;
    socklen_t len = 0;
    char text[TEXT_MAX];
    va_list args;
    bool sent = false;
    int fd = -1;

    if (!address_of(getenv("NOTIFY_SOCKET"), &to, &len))
        return false;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    sent = sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&to, len) > 0;
    close(fd);
    return sent;
}

int64_t notify_watchdog_us(void)
{
    const char *text = getenv("WATCHDOG_USEC");
    long long us = text ? strtoll(text, NULL, 10) : 0;

    return us > 0 ? us / 2 : 0;
}
