#include "listener.h"

#include "base/err.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096, TCP_FLAGS_OFFSET = 13, TCP_SYN = 0x02, TCP_ACK = 0x10 };

static struct addrinfo *resolve(const char *host, int64_t port)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *ai = NULL;
    char service[16];

    snprintf(service, sizeof(service), "%d", (int)port);
    if (getaddrinfo(host, service, &hints, &ai) != 0)
        return NULL;
    RR_ASSERT(ai);
    return ai;
}

int64_t listener_port(int fd)
{
    struct sockaddr_in6 in6 = {0}; /* the port is in the same place in both families */
    socklen_t len = sizeof(in6);

    if (getsockname(fd, (struct sockaddr *)&in6, &len) != 0)
        return 0;
    return ntohs(in6.sin6_port);
}

int listener_open(const char *host, int64_t *port)
{
    struct addrinfo *ai = resolve(host, *port);
    int one = 1;
    int fd = -1;

    if (!ai)
        return -1;
    fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
                    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) != 0 ||
                    bind(fd, ai->ai_addr, ai->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0)) {
        int saved = errno;

        close(fd);
        errno = saved;
        fd = -1;
    }
    freeaddrinfo(ai);
    if (fd >= 0)
        *port = listener_port(fd);
    return fd;
}

bool listener_port_is_free(const char *host, int64_t port)
{
    struct addrinfo *ai = resolve(host, port);
    int one = 1;
    int fd = -1;
    bool is_free = false;

    if (!ai)
        return false;
    fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        is_free = bind(fd, ai->ai_addr, ai->ai_addrlen) == 0;
        close(fd);
    }
    freeaddrinfo(ai);
    return is_free;
}

bool listener_matches(int fd, const char *host, int64_t port)
{
    struct addrinfo *ai = resolve(host, port ? port : listener_port(fd));
    struct sockaddr_storage have;
    socklen_t len = sizeof(have);
    int listens = 0;
    socklen_t int_len = sizeof(listens);
    bool same = false;

    memset(&have, 0, sizeof(have));
    same = ai && getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &int_len) == 0 && listens &&
           getsockname(fd, (struct sockaddr *)&have, &len) == 0 && len == ai->ai_addrlen &&
           memcmp(&have, ai->ai_addr, len) == 0;
    if (ai)
        freeaddrinfo(ai);
    return same;
}

bool listener_refuse_new(int fd)
{
    /* A socket's filter sees the segment from its TCP header on. */
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, TCP_FLAGS_OFFSET),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, TCP_SYN | TCP_ACK),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TCP_SYN, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0;
}
