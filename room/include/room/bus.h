/* bus.h - port to what carries pushes between processes (Redis in production).
 * Asynchronous, one loop. Every done() is called exactly once; after RR_UNAVAILABLE nothing was
 * sent, after RR_PENDING the outcome is unknown. Callbacks are never called from inside the call
 * that registered them. */
#ifndef ROOM_BUS_H
#define ROOM_BUS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "room/delivery.h"

/* A push. Position of a client is (epoch, seq); epoch: 64 random bits made with the room's meta. 0,
 * 0: not logged. */
struct room_msg {
    uint64_t epoch;
    uint64_t seq;
    struct rr_slice biz_code;
    struct rr_slice payload; /* one msgpack value */
};

/* Current state of one rain of a room, as last pushed with keep_code. */
struct room_kept {
    struct rr_slice code;
    struct rr_slice biz_code;
    struct rr_slice payload;
};

/* Somebody kicked or muted: "kick:7", "mute:7". */
struct room_sanction {
    struct rr_slice what;
    int64_t until_ms; /* rain time */
};

enum { BUS_TAIL_MAX = 128 }; /* what a load brings at least, if the log has it */

/* Answer of load(): borrowed until the callback returns. epoch 0: the room was never pushed to. */
struct room_snapshot {
    uint64_t epoch;
    uint64_t seq;  /* last one */
    bool complete; /* log holds every message after the asked seq */
    const struct room_msg
        *log; /* ascending; complete: after the asked seq, else the last BUS_TAIL_MAX */
    uint32_t log_n;
    const struct room_kept *kept;
    uint32_t kept_n;
    const struct room_sanction *sanctions; /* those that ended may be among them */
    uint32_t sanctions_n;
};

typedef void (*bus_load_fn)(void *arg, enum rr_err err, const struct room_snapshot *snap);
typedef void (*bus_push_fn)(void *arg, enum rr_err err, uint64_t epoch, uint64_t seq);
typedef void (*bus_count_fn)(void *arg, enum rr_err err, int64_t online);
typedef void (*bus_time_fn)(void *arg, enum rr_err err, int64_t sent_mono_us, int64_t recv_mono_us,
                            int64_t redis_us);
/* A logged push that waited for the user. */
typedef void (*bus_user_log_fn)(void *arg, enum rr_err err, const struct room_kept *items,
                                uint32_t n);

/* What arrives by itself. */
struct room_bus_events {
    void *arg;
    void (*subscribed)(void *arg, const char *room_id); /* ack of the (re)subscription */
    void (*room_msg)(void *arg, const char *room_id, const struct room_msg *m);
    void (*user_msg)(void *arg, int64_t user_id, struct rr_slice biz_code, struct rr_slice payload);
    void (*control)(void *arg,
                    struct rr_slice payload); /* user- and room-wide actions, to every worker */
    /* Our own echo() came back; 0: its channel is subscribed now. May be NULL. */
    void (*echo)(void *arg, uint64_t number);
    /* The command or the subscriber connection came up or went down. After going up every room is
     * subscribed again. */
    void (*state)(void *arg, bool up);
};

struct room_bus {
    void *impl;
    void (*subscribe)(void *impl, const char *room_id);
    void (*unsubscribe)(void *impl, const char *room_id);
    /* One call: meta, kept states and the log after (epoch, seq); another epoch, or none (0): complete =
     * false and the log's tail. */
    void (*load)(void *impl, const char *room_id, uint64_t epoch, uint64_t seq, bus_load_fn done,
                 void *arg);
    /* PushToRoom. done may be NULL. keep_code, final: see rain/notify.h. */
    void (*push_room)(void *impl, const char *room_id, const char *biz_code,
                      struct rr_slice payload, const char *keep_code, bool final, bus_push_fn done,
                      void *arg);
    /* Unlogged and without a position (it arrives as a room_msg of epoch 0, seq 0): for what only
     * the latest counts. */
    void (*publish)(void *impl, const char *room_id, const char *biz_code, struct rr_slice payload);
    /* PushToUser: to all sockets of the user on any worker; logged: also waits (capped, 1 h) for
     * the next HELLO. */
    void (*push_user)(void *impl, int64_t user_id, const char *biz_code, struct rr_slice payload,
                      bool logged);
    /* Takes what waits for a user (reads and deletes). */
    void (*user_log)(void *impl, int64_t user_id, bus_user_log_fn done, void *arg);
    void (*control)(void *impl, struct rr_slice payload);
    /* Keeps a kick or mute ("kick:7") with the room, for workers that load it later; secs 0: lifted. */
    void (*sanction)(void *impl, const char *room_id, const char *what, int64_t secs);
    /* Writes this worker's member count and answers the sum of the fields younger than 5 s. Also writes what became of the
     * room's frames here since the worker met it; life tells two such times of one worker apart. */
    void (*count)(void *impl, const char *room_id, uint32_t members, uint64_t life,
                  const struct delivery *delivery, bus_count_fn done, void *arg);
    void (*time)(void *impl, bus_time_fn done, void *arg);
    /* Publishes a number (not 0) to ourselves. */
    void (*echo)(void *impl, uint64_t number);
    /* Makes the subscriber connection anew: state(false), then as at the start. */
    void (*resubscribe)(void *impl);
};

#endif
