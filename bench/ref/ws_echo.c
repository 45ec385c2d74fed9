/* ws_echo.c - the least a WebSocket server can do: handshake, and every frame goes back as it came. Plain epoll, one process per
 * core on a shared port, no limits, no timers, no rooms. What the product's grab, lose and storm are measured beside.
 *   redrain-ref-ws-echo PORT PROCESSES     prints "ready", ends with its parent or by a signal */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EVENTS_MAX = 512, READ_BYTES = 16384, KEEP_BYTES = 4096, ACCEPTS = 64 };

struct conn {
    int fd;
    int open; /* the handshake is over */
    size_t len;
    char kept
        [KEEP_BYTES]; /* an unfinished head or frame; allocated with the first byte that needs it */
};

static void drop(struct conn *c)
{
    close(c->fd);
    free(c);
}

static int put(int fd, const char *p, size_t len)
{
    return send(fd, p, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static int handshake(struct conn *c, const char *head)
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    const char *key = strcasestr(head, "Sec-WebSocket-Key: ");
    unsigned char sha[SHA_DIGEST_LENGTH];
    char joined[64];
    char accept[32];
    char out[256];
    int n = 0;

    if (!key)
        return 0;
    n = snprintf(joined, sizeof(joined), "%.24s%s", key + 19, guid);
    SHA1((const unsigned char *)joined, (size_t)n, sha);
    EVP_EncodeBlock((unsigned char *)accept, sha, sizeof(sha));
    n = snprintf(out, sizeof(out),
                 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: redrain.v1\r\n\r\n",
                 accept);
    c->open = 1;
    return put(c->fd, out, (size_t)n);
}

/* Bytes used of one frame at p, 0: more are needed, -1: over. Frames of up to 64 KiB, as clients send them. */
static ssize_t echo_frame(const struct conn *c, unsigned char *p, size_t len)
{
    size_t n = len > 1 ? p[1] & 0x7fU : 0;
    size_t head = 2;
    unsigned char out[KEEP_BYTES];

    if (len < 2)
        return 0;
    if (n == 126) {
        if (len < 4)
            return 0;
        n = (size_t)p[2] << 8 | p[3];
        head = 4;
    }
    if (len < head + 4 + n)
        return 0;
    if (n > sizeof(out) - 4 || (p[0] & 0xfU) == 8)
        return -1;
    memcpy(out, p, head);
    out[1] &= 0x7f;
    for (size_t i = 0; i < n; i++)
        out[head + i] = p[head + 4 + i] ^ p[head + (i & 3U)];
    return put(c->fd, (char *)out, head + n) ? (ssize_t)(head + 4 + n) : -1;
}

static int on_bytes(struct conn *c, char *p, size_t len)
{
    if (!c->open) {
        char *end = NULL;

        p[len] = 0;
        end = strstr(p, "\r\n\r\n");
        if (end && !handshake(c, p))
            return 0;
        if (end) {
            len -= (size_t)(end + 4 - p);
            p = end + 4;
        }
    }
    while (c->open && len) {
        ssize_t used = echo_frame(c, (unsigned char *)p, len);

        if (used < 0)
            return 0;
        if (used == 0)
            break;
        p += used;
        len -= (size_t)used;
    }
    if (len > KEEP_BYTES)
        return 0;
    memcpy(c->kept, p, len);
    c->len = len;
    return 1;
}

static void on_readable(struct conn *c)
{
    char buf[READ_BYTES + KEEP_BYTES + 1];
    size_t kept = c->len;
    ssize_t n = 0;

    memcpy(buf, c->kept, kept);
    n = recv(c->fd, buf + kept, READ_BYTES, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    c->len = 0;
    if (n <= 0 || !on_bytes(c, buf, kept + (size_t)n))
        drop(c);
}

static void on_acceptable(int ep, int listener)
{
    int one = 1;

    for (int i = 0; i < ACCEPTS; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        struct epoll_event ev = {.events = EPOLLIN};
        struct conn *c = NULL;

        if (fd < 0)
            return;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        c = calloc(1, sizeof(*c));
        if (!c)
            abort();
        c->fd = fd;
        ev.data.ptr = c;
        epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
    }
}

static void serve(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((unsigned short)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int ep = epoll_create1(0);
    struct epoll_event ev[EVENTS_MAX] = {{.events = EPOLLIN}};
    int one = 1;

    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
    if (bind(listener, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(listener, 4096) != 0) {
        perror("redrain-ref-ws-echo");
        exit(1);
    }
    epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev[0]);
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(ep, ev, EVENTS_MAX, -1);

        for (int i = 0; i < n; i++) {
            if (ev[i].data.ptr)
                on_readable(ev[i].data.ptr);
            else
                on_acceptable(ep, listener);
        }
    }
}

int main(int argc, char **argv)
{
    struct rlimit lim;

    if (argc != 3)
        return 2;
    if (getrlimit(RLIMIT_NOFILE, &lim) == 0) {
        lim.rlim_cur = lim.rlim_max;
        setrlimit(RLIMIT_NOFILE, &lim);
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    for (int i = 1; i < atoi(argv[2]); i++) {
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGTERM);
            break;
        }
    }
    serve(atoi(argv[1]));
}
