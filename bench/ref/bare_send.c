#include "bare_send.h"

#include <sys/socket.h>

uint32_t bare_send(const int *fds, uint32_t n, const void *frame, size_t len)
{
    uint32_t refused = 0;

    for (uint32_t i = 0; i < n; i++) {
        if (send(fds[i], frame, len, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)len)
            refused++;
    }
    return refused;
}
