/* admin_http.h - the private HTTP/1.1 listener: requests in, one JSON or text answer out. The only
 * lws code of the admin child. */
#ifndef SERVER_ADMIN_HTTP_H
#define SERVER_ADMIN_HTTP_H

#include "admin.h"
#include "protocol/limits.h"

enum { ADMIN_BODY_MAX = 256 * 1024, ADMIN_PATH_MAX = 256 };

struct admin_request {
    uint64_t id; /* asynchronous answers hold it, never the pointer */
    bool post;
    char path[ADMIN_PATH_MAX];  /* without the query */
    char query[ADMIN_PATH_MAX]; /* as sent, not decoded */
    char bearer[256];           /* "" when absent */
    /* Idempotency-Key; "" when absent, longer than any valid one when too long */
    char key[RR_BIZ_ID_MAX + 2];
    struct rr_buf body;
};

RR_MUST_CHECK enum rr_err admin_http_create(struct admin_http **out, struct admin *a,
                                            int listen_fd);
/* Accepts nobody before, and nobody after. */
void admin_http_accept(struct admin_http *h);
void admin_http_stop(struct admin_http *h);
void admin_http_close(struct admin_http *h); /* the loop must run on; then admin_http_free() */
void admin_http_free(struct admin_http *h);

/* Sockets that are open. */
uint32_t admin_http_connections(const struct admin_http *h);

/* The answer to a request; nothing happens when it is gone. type: "application/json" or
 * "text/plain; version=0.0.4". */
void admin_http_answer(struct admin_http *h, uint64_t request_id, unsigned status, const char *type,
                       const struct rr_buf *body);

/* The answer that follows will carry "Idempotency-Replayed: true". */
void admin_http_replayed(struct admin_http *h, uint64_t request_id);

/* admin_api.c: routes a whole request. It is answered before this returns, or later by its id. */
void admin_route(struct admin *a, const struct admin_request *rq);

#endif
