/* hub.h - all rooms of one worker: membership, the feed from the bus, fan-out, snapshot and
 * recovery. A room's feed (ARCHITECTURE section 5): SUBSCRIBE, wait for its ack, load what the log
 * has since our last seq, release the messages that came meanwhile; <= last: dropped, > last + 1:
 * loaded again. The first JOIN is answered after that; later ones from memory. Encode once, send
 * many: one shared frame per push, fan-out in slices so that nobody waits behind 10,000 sends.
 * Thread: the worker's loop. */
#ifndef ROOM_HUB_H
#define ROOM_HUB_H

#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "protocol/msg.h"
#include "room/bus.h"
#include "room/session.h"

struct hub;
struct room;

/* Borrowed until the callback returns. */
struct hub_join_answer {
    const char *room_id;
    uint64_t epoch;
    uint64_t seq;
    bool recovered;          /* missed[] is everything after the asked position */
    struct rr_slice *missed; /* encoded push messages */
    uint32_t missed_n;
    int64_t online;
    const struct room_kept *kept; /* current state of each rain */
    uint32_t kept_n;
};

/* A JOIN is ready to be answered: s is a member. err RR_UNAVAILABLE: the bus is down. RR_CONFLICT:
 * s asked for another room or left before this one was ready. */
typedef void (*hub_joined_fn)(void *arg, struct session *s, uint32_t req_id, enum rr_err err,
                              const struct hub_join_answer *answer);

struct hub_opts {
    const struct rr_clock *clock;
    const struct room_bus *bus;
    const struct transport *transport; /* headroom of frames */
    struct session_table *sessions;
    hub_joined_fn joined;
    /* May be NULL. The room that a JOIN waited for is followed now and its rains are known: the owner
     * calls hub_join() again, at once or when it has looked up what it needs for the answer. */
    void (*loaded)(void *arg, struct session *s, uint32_t req_id, const char *room_id,
                   uint64_t epoch, uint64_t seq);
    /* A state of a rain changed (RED_PACKET_* with a code): the worker's rain table learns from it.
     */
    void (*rain_state)(void *arg, const char *room_id, struct rr_slice biz_code,
                       struct rr_slice payload);
    /* Where the first fan-out of each room starts: not 0, which always starts at the first member (tests), but random, or who
     * joins a new room first would be served first. */
    uint64_t seed;
    /* May be NULL. A room was loaded, and this user is kicked or muted there. */
    void (*sanction)(void *arg, const char *room_id, const struct room_sanction *x);
    /* There is fan-out work: call hub_run() soon. */
    void (*work)(void *arg);
    void *arg;
};

struct hub *hub_create(const struct hub_opts *o);
void hub_destroy(struct hub *h); /* every session must have left */

/* To be wired into the bus's events. */
void hub_on_subscribed(struct hub *h, const char *room_id);
void hub_on_room_msg(struct hub *h, const char *room_id, const struct room_msg *m);
void hub_on_bus_state(struct hub *h, bool up);
/* Wired into session_table_opts.left_room. */
void hub_on_left(void *hub, struct session *s);

/* epoch 0: no position. The session leaves its room first. Answered by joined(), maybe before this
 * returns. */
void hub_join(struct hub *h, struct session *s, uint32_t req_id, const char *room_id,
              uint64_t epoch, uint64_t seq);
void hub_leave(struct session *s);
/* Whether a JOIN with this position would be answered with everything after it. */
bool hub_recovers(const struct hub *h, const char *room_id, uint64_t epoch, uint64_t seq);

/* Room-local frames: not logged, no seq. latest_key 0: must arrive. */
void hub_push_local(struct hub *h, const char *room_id, struct rr_slice biz_code,
                    struct rr_slice payload, uint64_t latest_key);
/* To all sockets of a user on this worker. */
uint32_t hub_push_user(struct hub *h, int64_t user_id, struct rr_slice biz_code,
                       struct rr_slice payload);

/* Up to budget sends of waiting fan-outs; true when more is waiting. */
bool hub_run(struct hub *h, uint32_t budget);
/* Presence, unsubscribing of empty rooms (60 s), retries of loads; call about every 250 ms. */
void hub_tick(struct hub *h);

const char *room_id_of(const struct room *r);
uint32_t hub_members(const struct hub *h, const char *room_id);
uint32_t hub_members_all(const struct hub *h); /* of all rooms */
int64_t hub_online(const struct hub *h, const char *room_id);
uint32_t hub_rooms(const struct hub *h);
uint64_t hub_broadcasts(const struct hub *h);
/* Under pressure: room-local frames of the lane latest wins and unlogged pushes are not sent while this is on; how many were not.
 * The last of a kind is sent once it is off. */
void hub_shed_latest(struct hub *h, bool on);
/* One would not be sent now; counts it. */
bool hub_sheds_latest(struct hub *h);
uint64_t hub_latest_shed(const struct hub *h);

#endif
