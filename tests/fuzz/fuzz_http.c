/* fuzz_http.c - any bytes on a socket of the private listener, through lws and admin_http.c: no crash, no leak, nothing that
 * stays open once the client is gone, and no request that is larger than it may be.
 * Input: one byte (its low bit: answer later, when the client may be gone), then what the client sends, all at once, before
 * he closes. */
#include "fuzz.h"

#include "admin.h"
#include "admin_http.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { TURNS_MAX = 2000, WAITING_MAX = 64 };

static struct admin admin;
static struct sockaddr_un address;
static socklen_t address_len;
static uint64_t waiting[WAITING_MAX]; /* requests that are answered at the end */
static uint32_t waiting_n;
static int later;

void __wrap_admin_route(struct admin *a, const struct admin_request *rq);

static void answer(uint64_t id)
{
    struct rr_buf b = {0};

    rr_buf_puts(&b, "{}");
    admin_http_answer(admin.http, id, 200, "application/json", &b);
    rr_buf_fini(&b);
}

void __wrap_admin_route(struct admin *a, const struct admin_request *rq)
{
    RR_ASSERT(a == &admin);
    RR_ASSERT(strnlen(rq->path, sizeof(rq->path)) < sizeof(rq->path));
    RR_ASSERT(strnlen(rq->query, sizeof(rq->query)) < sizeof(rq->query));
    RR_ASSERT(strnlen(rq->bearer, sizeof(rq->bearer)) < sizeof(rq->bearer));
    RR_ASSERT(strnlen(rq->key, sizeof(rq->key)) < sizeof(rq->key));
    RR_ASSERT(rq->body.len <= ADMIN_BODY_MAX && !rq->body.failed);
    if (later && waiting_n < WAITING_MAX)
        waiting[waiting_n++] = rq->id;
    else
        answer(rq->id);
}

static void listen_make(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    rr_log_init("fuzz", RR_LOG_ERROR);
    address.sun_family = AF_UNIX;
    /* an abstract name: no file */
    address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                              (size_t)snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1,
                                               "redrain-fuzz-%d", (int)getpid()));
    RR_ASSERT(fd >= 0 && bind(fd, (struct sockaddr *)&address, address_len) == 0 &&
              listen(fd, 16) == 0);
    RR_ASSERT(uv_loop_init(&admin.loop) == 0);
    RR_ASSERT(admin_http_create(&admin.http, &admin, fd) == RR_OK);
    admin_http_accept(admin.http);
}

static void answer_all(void)
{
    uint32_t n = waiting_n;

    waiting_n = 0;
    for (uint32_t i = 0; i < n; i++)
        answer(waiting[i]);
    uv_run(&admin.loop, UV_RUN_NOWAIT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char heard[4096];
    int fd = -1;

    if (size == 0)
        return 0;
    if (!admin.http)
        listen_make();
    later = data[0] & 1;
    waiting_n = 0;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    RR_ASSERT(fd >= 0 && connect(fd, (struct sockaddr *)&address, address_len) == 0);
    (void)!send(fd, data + 1, size - 1, MSG_NOSIGNAL);
    for (int i = 0; i < 6; i++)
        uv_run(&admin.loop, UV_RUN_NOWAIT);
    while (recv(fd, heard, sizeof(heard), MSG_DONTWAIT) > 0)
        uv_run(&admin.loop, UV_RUN_NOWAIT);
    if (data[0] & 2)
        answer_all(); /* while he still listens */
    close(fd);
    /* lws looks at a socket again once its request is answered, and a request that waited behind it may come then. */
    for (int i = 0; i < TURNS_MAX && admin_http_connections(admin.http) > 0; i++) {
        uv_run(&admin.loop, UV_RUN_NOWAIT);
        answer_all();
    }
    RR_ASSERT(admin_http_connections(admin.http) == 0);
    answer_all(); /* nobody is there */
    return 0;
}
