/* ws_net.c - what all WebSocket clients share: the peer's address, the epoll set, buffers, random
 * numbers. */
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/alloc.h"
#include "ws_client.h"

/* Splits ws://HOST[:PORT][/PATH]; [IPv6] hosts keep their brackets in host only. */
static enum rr_err split_url(struct ws_net *net, const char *url, char **name, char **port)
{
    if (strncmp(url, "ws://", 5) != 0)
        return RR_CONFIG;
    url += 5;
    size_t authority_len = strcspn(url, "/");
    if (authority_len == 0)
        return RR_CONFIG;
    net->host = rr_xstrndup(url, authority_len);
    net->path = rr_xstrdup(url[authority_len] ? url + authority_len : "/");
    const char *colon = strrchr(net->host, ':');
    const char *bracket = strrchr(net->host, ']');
    if (colon && bracket && colon < bracket)
        colon = NULL;
    *port = rr_xstrdup(colon ? colon + 1 : "80");
    size_t name_len = colon ? (size_t)(colon - net->host) : strlen(net->host);
    if (bracket && net->host[0] == '[')
        *name = rr_xstrndup(net->host + 1, (size_t)(bracket - net->host) - 1);
    else
        *name = rr_xstrndup(net->host, name_len);
    return RR_OK;
}

static enum rr_err resolve(struct ws_net *net, const char *name, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;

    if (getaddrinfo(name, port, &hints, &found) != 0 || !found)
        return RR_CONFIG;
    memcpy(&net->peer, found->ai_addr, found->ai_addrlen);
    net->peer_len = found->ai_addrlen;
    if (found->ai_family == AF_INET) {
        struct sockaddr_in in4;
        memcpy(&in4, found->ai_addr, sizeof(in4));
        net->loopback = ntohl(in4.sin_addr.s_addr) >> 24 == 127;
    }
    freeaddrinfo(found);
    return RR_OK;
}

enum rr_err ws_net_init(struct ws_net *net, const char *url, const char *origin)
{
    char *name = NULL;
    char *port = NULL;

    *net = (struct ws_net){.epoll_fd = -1};
    enum rr_err err = split_url(net, url, &name, &port);
    if (err)
        goto out;
    err = resolve(net, name, port);
    if (err)
        goto out;
    net->origin = origin ? rr_xstrdup(origin) : NULL;
    net->read_buf = rr_xcalloc(1, WS_READ_BYTES);
    if (getrandom(&net->rng, sizeof(net->rng), 0) != sizeof(net->rng))
        net->rng = (uint64_t)getpid();
    net->rng |= 1;
    net->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (net->epoll_fd < 0)
        err = RR_SYSTEM;
out:
    free(name);
    free(port);
    return err;
}

void ws_net_fini(struct ws_net *net)
{
    if (net->epoll_fd >= 0)
        close(net->epoll_fd);
    free(net->host);
    free(net->path);
    free(net->origin);
    free(net->read_buf);
    rr_buf_fini(&net->scratch);
    *net = (struct ws_net){.epoll_fd = -1};
}

/* xorshift64*: masks and jitter need spread, not secrecy. */
uint64_t ws_net_random(struct ws_net *net)
{
    net->rng ^= net->rng >> 12;
    net->rng ^= net->rng << 25;
    net->rng ^= net->rng >> 27;
    return net->rng * UINT64_C(2685821657736338717);
}
