/* proxy_wait.h - a fresh socket of a trusted proxy until its PROXY protocol header is there: reads that and not a byte more.
 * Who starts it has the deadline. Thread: the loop's. */
#ifndef SERVER_PROXY_WAIT_H
#define SERVER_PROXY_WAIT_H

#include <uv.h>

#include "base/proxy_header.h"

struct proxy_wait;

/* The wait is over and freed; the descriptor is the callee's. RR_OK: *h says who the client is. RR_CLOSED: he left.
 * Else h->fault says what came instead. */
typedef void (*proxy_wait_fn)(void *arg, void *who, int fd, enum rr_err err,
                              const struct rr_proxy_header *h);

/* NULL: the loop refuses the descriptor, which stays the caller's. */
struct proxy_wait *proxy_wait_start(uv_loop_t *loop, int fd, proxy_wait_fn done, void *arg,
                                    void *who);
/* Ends it without done(); closes the descriptor. The loop must run once afterwards. */
void proxy_wait_cancel(struct proxy_wait *p);

#endif
