/* notify.h - port through which the rain's steps tell people. Blocking (threads that may block).
 * payload: one encoded msgpack value, at most RR_PAYLOAD_MAX_BYTES. */
#ifndef RAIN_NOTIFY_H
#define RAIN_NOTIFY_H

#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

struct rain_user_push {
    int64_t user_id;
    struct rr_slice payload;
};

struct rain_notify {
    void *impl;
    /* PushToRoom: must-arrive, logged. keep_code non-NULL: the payload is also kept as the current
     * state of that rain, for late joiners (JOIN's snapshot), until a later push with the same
     * keep_code replaces it. final: the rain is over, its kept state is dropped once a few newer
     * rains have ended. */
    enum rr_err (*push_room)(void *impl, const char *room_id, const char *biz_code,
                             struct rr_slice payload, const char *keep_code, int final);
    /* PushToUser to many users in one message (not logged: they can ask again by MY_GRANTS). */
    enum rr_err (*push_users)(void *impl, const char *biz_code, const struct rain_user_push *pushes,
                              uint32_t n);
    /* What the settler lags behind, for STATS and metrics. */
    enum rr_err (*settle_lag)(void *impl, int64_t lag_ms);
    /* What STATS answers from while a rain runs: the room's rains as read from at_us on (an older reading is ignored), and a
     * user's balance. May be NULL: not kept. */
    enum rr_err (*room_stats)(void *impl, const char *room_id, int64_t at_us,
                              struct rr_slice bytes);
    enum rr_err (*balance)(void *impl, int64_t user_id, int64_t balance_fen);
};

#endif
