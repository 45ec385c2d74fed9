/* A file of its own: <linux/tcp.h> and <netinet/tcp.h> define the same names. */
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "sockets.h"

uint64_t tcp_bytes_received(int fd)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof(info);

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
        return 0;
    return info.tcpi_bytes_received;
}
