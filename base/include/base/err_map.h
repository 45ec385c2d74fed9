/* err_map.h - every error a function of ours can return: one row each.
 * Peer faults and dependency states; a bug is RR_ASSERT, not an error. */
#ifndef BASE_ERR_MAP_H
#define BASE_ERR_MAP_H

/*        name            text                                                      */
#define RR_ERR_MAP(X)                                                                              \
    X(OK, "ok")                                                                                    \
    X(PENDING, "outcome unknown, will be known later")                                             \
    X(SOLD_OUT, "no packet is left")                                                               \
    X(LIMIT, "the user's limit is reached")                                                        \
    X(NOT_STARTED, "the rain has not opened yet")                                                  \
    X(ENDED, "the rain is over")                                                                   \
    X(RATE_LIMITED, "too many commands")                                                           \
    X(NOT_ELIGIBLE, "not allowed for this user")                                                   \
    X(BUSY, "a queue is full, try again")                                                          \
    X(BAD_REQUEST, "malformed request")                                                            \
    X(RECOVERING, "the rain is being recovered")                                                   \
    X(BAD_SEQ, "sequence number skips a grant")                                                    \
    X(CONFLICT, "contradicts what is stored or the current state")                                 \
    X(UNAVAILABLE, "a dependency is down or not configured")                                       \
    X(NOT_FOUND, "no such thing, or not for this user")                                            \
    X(UNAUTHORIZED, "not authenticated")                                                           \
    X(OVER_BUDGET, "the budget of the sender for the day is spent")                                \
    X(NO_MONEY, "the wallet does not hold that much")                                              \
    X(FULL, "a bounded buffer is full")                                                            \
    X(TOO_BIG, "larger than its limit")                                                            \
    X(MALFORMED, "bytes do not parse")                                                             \
    X(CLOSED, "closed")                                                                            \
    X(TIMEOUT, "timed out")                                                                        \
    X(DUPLICATE, "already there with the same content")                                            \
    X(RETRY, "transient failure of a dependency, run it again")                                    \
    X(SYSTEM, "the operating system refused")                                                      \
    X(CONFIG, "configuration error")                                                               \
    X(CORRUPT, "stored data contradict an invariant")

#endif
