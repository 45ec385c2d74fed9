/* session.h - one client's socket as the room sees it: who he is, where he is, what waits to be
 * sent to him. State = list membership; session_set_state() is the only place that moves a session:
 *   NEW      nobody yet, waits for HELLO            (no list)
 *   AUTHED   knows the user                         (user index)
 *   JOINED   member of s->room                      (user index + the room's member array)
 *   CLOSING  close was asked for, no frame goes out (no list); freed by session_destroy in the
 * transport's close callback Thread: the worker's loop. Owner: the session table; everybody else
 * holds the id. */
#ifndef ROOM_SESSION_H
#define ROOM_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/frame.h"
#include "protocol/msg.h"
#include "room/delivery.h"
#include "room/out_queue.h"

enum session_state { SESSION_NEW, SESSION_AUTHED, SESSION_JOINED, SESSION_CLOSING };
enum session_role { ROLE_GUEST, ROLE_VIEWER, ROLE_ANCHOR };

struct room;
struct session_table;

/* Port to the socket. */
struct transport {
    void *impl;
    size_t headroom; /* bytes in front of every frame */
    /* Sends now if nothing is in the way. RR_OK: handed to the socket. RR_BUSY: not now, nothing
     * was sent. RR_CLOSED: the socket is broken (it will be closed asynchronously). */
    enum rr_err (*write_now)(void *impl, void *conn, struct rr_frame *frame);
    /* Asks for session_on_writable() once the socket takes bytes again. */
    void (*want_write)(void *impl, void *conn);
    /* Asks for the close handshake; asynchronous. */
    void (*close)(void *impl, void *conn, enum close_code code);
    /* Only reads, so that write_now() soon after finds the socket's state in the cache; NULL: nothing to read. */
    void (*warm)(void *conn);
};

/* What the limits know of a session (server/limiter.h); opaque here. */
struct session_limits {
    uint64_t user;    /* keyed hash; 0 before HELLO */
    uint64_t address; /* keyed hash; 0: not limited by address */
    int64_t command_tat_us;
    int64_t grab_tat_us;
};

/* For the answer of a JOIN: the user's next seq in the open rain. */
struct session_next {
    uint32_t seq;
    char code[RR_CODE_LEN + 1];
};

/* There is one per viewer: what not everybody has at any time is behind a pointer. First what sending to him reads: a fan-out asks
 * for it ahead (session_warm()). */
struct session {
    enum session_state state;
    uint32_t corked; /* answers of his that wait for session_table_flush() */
    struct out_queue out;
    struct session_table *table;
    void *conn;                /* the transport's */
    struct delivery *account;  /* of the room, kept beside the table's counters; NULL: none */
    uint64_t id;               /* generation << 32 | slot; never reused within 2^32 generations */
    struct room *room;         /* JOINED only */
    uint32_t member_index;     /* in room->members */
    uint32_t join_no;          /* counts JOINs and LEAVEs: only the latest JOIN takes effect */
    int64_t user_id;           /* from the token and from nowhere else; 0: a guest without one */
    struct session *user_next; /* in its bucket of the user index */
    struct session_limits limits;
    int64_t heard_us; /* last byte from the client */
    int64_t pinged_us;
    int64_t roomless_us;  /* since when he is seen in no room; 0: he is in one */
    uint64_t wire_bytes;  /* of the socket, when last looked at … */
    uint64_t heard_bytes; /* … and of whole messages since then, with their headers at most */
    int64_t level;        /* of the token, 0 when it says none */
    int64_t
        since_s; /* when the user registered, seconds since 1970; 0 when the token says nothing */
    int64_t token_exp_s;
    uint64_t address;          /* keyed hash of where he comes from; 0: not to be counted */
    char *name;                /* of the token, NULL: it says none; owned */
    char *rooms;               /* ",r1,r2," allowed rooms, NULL with all_rooms; owned */
    struct session_next *next; /* of the JOIN being worked on; NULL: not known; owned */
    enum session_role role;
    bool all_rooms;
    bool may_send;
    bool user_counted; /* by the limits */
};

/* Exact at any instant: expected = sent + dropped + closed + queued. */
struct session_counters {
    uint64_t expected;
    uint64_t sent;
    uint64_t sent_bytes;
    uint64_t dropped;
    uint64_t closed;
    uint64_t queued;
    uint64_t slow_closed;
    uint64_t must_bytes;
};

struct session_table_opts {
    const struct transport *transport;
    size_t queue_bytes;   /* must-arrive bytes per session */
    int64_t queue_age_us; /* longest a frame waits for its socket; 0: no bound */
    uint32_t reply_burst; /* answers that wait for session_table_flush() at most; 0: none does */
    /* Called when a session leaves JOINED, before it changes (the room's own list is already
     * updated). */
    void (*left_room)(void *arg, struct session *s);
    void *arg;
};

struct session_table *session_table_create(const struct session_table_opts *o);
void session_table_destroy(struct session_table *t); /* all sessions must be gone */
void session_table_set_queue(struct session_table *t, size_t queue_bytes, int64_t queue_age_us);
/* The time that waiting frames are stamped with; coarse: once per tick. */
void session_table_set_now(struct session_table *t, int64_t now_us);

struct session *session_create(struct session_table *t, void *conn, int64_t now_us);
/* Frees; the id is dead from now on. */
void session_destroy(struct session *s);
struct session *session_by_id(struct session_table *t, uint64_t id); /* NULL when gone */
uint32_t session_count(const struct session_table *t);
/* Newest socket of a user, and the one before it. */
struct session *session_by_user(struct session_table *t, int64_t user_id);
struct session *session_user_next(const struct session *s);
/* Slot iteration for coarse wheels: the session in slot i < session_slots(), or NULL. */
uint32_t session_slots(const struct session_table *t);
struct session *session_at(struct session_table *t, uint32_t slot);
const struct session_counters *session_table_counters(const struct session_table *t);

/* room: only for SESSION_JOINED. Impossible transitions assert. */
void session_set_state(struct session *s, enum session_state state, struct room *room);
static inline const char *session_name(const struct session *s)
{
    return s->name ? s->name : "";
}
bool session_may_enter(const struct session *s, const char *room_id);

/* Asks for the memory that sending to s will read. */
static inline void session_warm(const struct session *s)
{
    __builtin_prefetch(&s->state);
    __builtin_prefetch(&s->account);
}

/* Must arrive: in order, never dropped; a reader too slow for it is closed with 4008. Takes its own
 * reference. */
void session_send(struct session *s, struct rr_frame *frame);
/* An answer: must arrive, after all that was sent to s before. Written by session_table_flush() together with the others of this
 * turn of the loop: a burst of writes wakes a client on the same machine once instead of once per answer, and runs through
 * the same code again and again (docs/adr/0038-answers-in-bursts.md). */
void session_reply(struct session *s, struct rr_frame *frame);
/* Writes the answers that wait. Whoever owns the loop calls it before the loop sleeps. */
void session_table_flush(struct session_table *t);
/* Latest wins: an unsent frame with the same key is replaced; at most OUT_LATEST_MAX wait. */
void session_send_latest(struct session *s, struct rr_frame *frame, uint64_t key);
/* The socket takes bytes: sends what waits. */
void session_on_writable(struct session *s);
/* What waits too long: a must-arrive frame closes the session with 4008, latest-wins frames are dropped. From a coarse wheel. */
void session_expire(struct session *s);
/* Books what is sent to s into a room's account too: what waits for him moves into it, and out of it (as closed) with NULL. */
void session_set_account(struct session *s, struct delivery *account);
/* Marks; leaves every list at once; the socket follows asynchronously. Repeatable (the first code
 * stays). */
void session_close(struct session *s, enum close_code code);

#endif
