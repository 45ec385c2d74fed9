/* redis_link.h - one TCP connection of a redis_conn, from name lookup to close; never used again
 * after it broke.
 * Owner: redis_conn, until redis_link_drop(); frees itself when libuv is done with it. */
#ifndef STORE_REDIS_LINK_H
#define STORE_REDIS_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hiredis/hiredis.h>
#include <uv.h>

#include "base/buf.h"
#include "base/err.h"

struct redis_link;

struct redis_link_events {
    void *arg;
    void (*connected)(void *arg);
    /* Return false when the link was dropped in there. Takes the reply. */
    bool (*reply)(void *arg, redisReply *reply);
    /* The owner drops the link in there; why is a short text. */
    void (*broken)(void *arg, const char *why);
    /* Memory and handles are gone; after drop, no other event comes. */
    void (*gone)(void *arg);
};

/* RR_SYSTEM: gone() follows. attempt picks the address when the name has several. */
RR_MUST_CHECK enum rr_err redis_link_open(struct redis_link **out, uv_loop_t *loop,
                                          const char *host, uint16_t port, uint32_t attempt,
                                          const struct redis_link_events *events);
/* Hands bytes to the kernel, keeps what it does not take (takes the buffer's memory).
 * RR_CLOSED: none of them were sent. RR_PENDING: some were, and the link is broken. */
RR_MUST_CHECK enum rr_err redis_link_write(struct redis_link *l, struct rr_buf *bytes);
size_t redis_link_queued(const struct redis_link *l);
/* Sets *l to NULL. */
void redis_link_drop(struct redis_link **l);

#endif
