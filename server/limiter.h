/* limiter.h - what one user, one address and one connection may do, for a worker: the table of
 * limits over the memory that all workers of the machine share (limit_map.h).
 *
 * A message is charged in the order connection, user, address. The first that refuses ends it, so
 * that a user over his share does not use up that of everybody behind his address.
 * Several machines: each counts for itself.
 * Thread: the worker's loop. */
#ifndef SERVER_LIMITER_H
#define SERVER_LIMITER_H

#include <stdbool.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/ip.h"
#include "base/metrics.h"
#include "base/slice.h"
#include "limit_map.h"

struct session;
struct limiter;

/*        id               scope       n per period (c: struct rr_conf)      period   burst */
#define LIMIT_MAP(X)                                                                               \
    X(CONN_COMMAND, CONNECTION, c->limits_command_per_s, 1000000, 2)                               \
    X(CONN_GRAB, CONNECTION, c->limits_grab_per_s, 1000000, 2)                                     \
    X(USER_COMMAND, USER, c->limits_command_per_s, 1000000, 2)                                     \
    X(USER_GRAB, USER, c->limits_grab_per_s, 1000000, 2) /* of each rain */                        \
    X(USER_JOIN, USER, c->limits_join_per_s, 1000000, 2)                                           \
    X(USER_SAY, USER, c->limits_say_per_s, 1000000, 2)                                             \
    X(USER_SEND, USER, c->limits_send_per_min, 60000000, 2)                                        \
    X(USER_GRANTS, USER, 1, 1000000, 1) /* the list of all grants, a rain nobody knows */          \
    X(USER_SENT, USER, 1, 1000000, 1)   /* the list of all that was sent */                        \
    X(USER_CHECK, USER, 1, 1000000, 1)  /* the checker's word on a rain */                         \
    X(ADDRESS_COMMAND, ADDRESS, c->limits_address_command_per_s, 1000000, 2)                       \
    X(ADDRESS_JOIN, ADDRESS, c->limits_address_join_per_s, 1000000, 2)

#define X(id, scope, n, period_us, burst) LIMIT_##id,
enum limit_id { LIMIT_MAP(X) LIMIT_COUNT };
#undef X

/* What kind of message asks. */
enum limit_class { LIMIT_OF_COMMAND, LIMIT_OF_GRAB, LIMIT_OF_JOIN, LIMIT_OF_SAY, LIMIT_OF_SEND };

struct limiter_opts {
    const struct limit_map *map; /* stays the caller's */
    uint32_t owner;              /* this worker's section */
    const struct rr_conf *conf;
    const struct rr_clock *clock;
    struct rr_metrics *metrics;
};
struct limiter *limiter_create(const struct limiter_opts *o);
void limiter_destroy(struct limiter *l); /* NULL-safe */
/* Takes the numbers from conf again. */
void limiter_reload(struct limiter *l);

/* One message. code: of the rain, for LIMIT_OF_GRAB; anything else: empty.
 * RR_RATE_LIMITED: *retry_after_ms says when it would have passed. */
RR_MUST_CHECK enum rr_err limiter_message(struct limiter *l, struct session *s, enum limit_class of,
                                          struct rr_slice code, int64_t *retry_after_ms);
/* One of the table by itself, of the user. */
RR_MUST_CHECK enum rr_err limiter_user(struct limiter *l, struct session *s, enum limit_id id,
                                       int64_t *retry_after_ms);

/* ---- connections ---- */

/* Key of an address (IPv6: its /64); 0: none, or one that limits.exempt excepts. */
uint64_t limiter_address_key(const struct limiter *l, const struct rr_ip *a);
/* RR_FULL: the address has limits.connections_per_address already. *taken: a place was taken, and is to be given back. */
RR_MUST_CHECK enum rr_err limiter_address_enter(struct limiter *l, uint64_t key, bool *taken);
void limiter_address_leave(struct limiter *l, uint64_t key, bool *taken);
/* The session has a user now. RR_FULL: he has limits.connections_per_user already. */
RR_MUST_CHECK enum rr_err limiter_user_enter(struct limiter *l, struct session *s);
void limiter_user_leave(struct limiter *l, struct session *s); /* harmless if he never entered */
/* RR_FULL: the machine has limits.connections already. */
RR_MUST_CHECK enum rr_err limiter_socket_enter(struct limiter *l);
void limiter_socket_leave(struct limiter *l);

#endif
