#include "protocol/msg.h"

const char *msg_op_name(enum msg_op op)
{
    switch (op) {
#define X(name, number, dir, doc)                                                                  \
    case MSG_##name: return #name;
        MSG_MAP(X)
#undef X
    }
    return "?";
}

const char *result_name(enum result_code code)
{
    switch (code) {
#define X(name, n, retry, zh, en)                                                                  \
    case RESULT_##name: return #name;
        RESULT_MAP(X)
#undef X
    }
    return "?";
}

const char *close_name(enum close_code code)
{
    switch (code) {
#define X(name, n, reconnect, zh, en)                                                              \
    case CLOSE_##name: return #name;
        CLOSE_MAP(X)
#undef X
    }
    return "?";
}

bool result_retryable(enum result_code code)
{
    switch (code) {
#define X(name, n, retry, zh, en)                                                                  \
    case RESULT_##name: return retry;
        RESULT_MAP(X)
#undef X
    }
    return false;
}

/* No default: an error added to err_map.h does not compile until somebody decides what viewers are
 * told. */
enum result_code result_of(enum rr_err err)
{
    switch (err) {
    case RR_OK: return RESULT_OK;
    case RR_PENDING: return RESULT_PENDING;
    case RR_SOLD_OUT: return RESULT_SOLD_OUT;
    case RR_LIMIT: return RESULT_LIMIT;
    case RR_NOT_STARTED: return RESULT_NOT_STARTED;
    case RR_ENDED: return RESULT_ENDED;
    case RR_RATE_LIMITED: return RESULT_RATE_LIMITED;
    case RR_NOT_ELIGIBLE: return RESULT_NOT_ELIGIBLE;
    case RR_BUSY: return RESULT_BUSY;
    case RR_BAD_REQUEST: return RESULT_BAD_REQUEST;
    case RR_RECOVERING: return RESULT_RECOVERING;
    case RR_BAD_SEQ: return RESULT_BAD_SEQ;
    case RR_CONFLICT: return RESULT_CONFLICT;
    case RR_UNAVAILABLE: return RESULT_UNAVAILABLE;
    case RR_NOT_FOUND: return RESULT_NOT_FOUND;
    case RR_UNAUTHORIZED: return RESULT_UNAUTHORIZED;
    case RR_NO_MONEY: return RESULT_CONFLICT; /* with the state of the wallet */
    case RR_OVER_BUDGET: return RESULT_OVER_BUDGET;
    case RR_FULL: return RESULT_BUSY;
    case RR_TOO_BIG: return RESULT_BAD_REQUEST;
    case RR_MALFORMED: return RESULT_BAD_REQUEST;
    case RR_CLOSED: return RESULT_UNAVAILABLE;
    case RR_TIMEOUT: return RESULT_UNAVAILABLE;
    case RR_DUPLICATE: return RESULT_OK; /* the same request again: what it asked for is there */
    case RR_RETRY: return RESULT_BUSY;
    case RR_SYSTEM: return RESULT_UNAVAILABLE;
    case RR_CONFIG: return RESULT_UNAVAILABLE;
    case RR_CORRUPT: return RESULT_UNAVAILABLE;
    case RR_ERR_COUNT: break;
    }
    return RESULT_UNAVAILABLE;
}
