/* viewer.h - one viewer: connection, HELLO, JOIN, what was pushed to him, his grabs, reconnects.
 * Life: OFFLINE → CONNECTING → HELLO → JOINING → JOINED, back to OFFLINE when the socket closes,
 * GONE for good after a close code that forbids coming back. Owner: the crowd. */
#ifndef BENCH_VIEWER_H
#define BENCH_VIEWER_H

#include <stdbool.h>
#include <stdint.h>

#include "book.h"
#include "crowd.h"
#include "wire.h"
#include "ws_client.h"

enum viewer_state {
    VIEWER_OFFLINE, /* connects at wake_us */
    VIEWER_CONNECTING,
    VIEWER_HELLO,   /* HELLO sent, or to be repeated at wake_us */
    VIEWER_JOINING, /* JOIN sent, or to be repeated at wake_us */
    VIEWER_JOINED,
    VIEWER_GONE,
};

struct viewer {
    struct ws_client ws;
    struct ws_client old; /* after GOAWAY: goes on until ws has joined */
    struct crowd *crowd;
    struct user *user;
    uint32_t index;
    enum viewer_state state;
    int64_t wake_us;     /* state's own deadline or retry */
    int64_t heard_us;    /* last look at ws.heard that found it set */
    int64_t sent_us;     /* last HELLO or JOIN */
    int64_t leave_us;    /* after GOAWAY: move to another connection then; 0 = no */
    int64_t ping_us;     /* PING under way since; 0 = none */
    uint32_t last_id;    /* frame ids, never reused by this viewer */
    uint32_t control_id; /* of the HELLO or JOIN that waits for its answer; 0 = none */
    uint32_t ping_id;
    uint32_t attempts; /* connects since the last JOIN */
    char epoch[17];    /* position in the room's pushes; "" before the first JOIN */
    int64_t room_seq;
    int64_t base_seq;      /* room_seq when he first came; -1: not yet */
    uint64_t seqs;         /* pushes with a position that he got, each once */
    int64_t stall_us;      /* reads nothing until then; 0: reads */
    int64_t next_stall_us; /* after the crowd's begin; 0: never */
    bool moving;           /* ws is the other connection that GOAWAY asked for */
    bool heard_old;        /* the message being worked on came on old */
    bool connected;        /* counted in stats.connected */
    bool ever_joined;
    bool got_push; /* counted in stats.push_received */
    bool by_join;  /* counted in stats.config_by_join */
    struct book *books;
    uint32_t n_books;
};

void viewer_init(struct viewer *v, struct crowd *c, uint32_t index, struct user *u);
void viewer_fini(struct viewer *v);
void viewer_connect(struct viewer *v, int64_t now_us);
/* The viewer's timer fired. */
void viewer_wake(struct viewer *v, int64_t now_us);
/* Drops the connection as a lost network does; comes back by himself. */
void viewer_drop(struct viewer *v, int64_t now_us);
/* Stalled readers: begins or ends a stall that is due. */
void viewer_stall(struct viewer *v, int64_t now_us);
/* A clock sample, if none is under way. */
void viewer_ping(struct viewer *v, int64_t now_us);
/* True when nothing is awaited any more: every rain he saw is done and no question is open. */
bool viewer_finished(const struct viewer *v);
extern const struct ws_handlers viewer_handlers;

/* viewer_rain.c: pushes and grabs of a joined viewer. */
void viewer_on_push(struct viewer *v, const struct unpack_value *body, bool live, int64_t now_us);
/* One payload, pushed or from JOIN's snapshot. */
void viewer_on_payload(struct viewer *v, struct rr_slice biz, const struct unpack_value *payload,
                       bool live, int64_t now_us);
/* His book of the rain with this code, NULL when he has none. */
struct book *viewer_book(struct viewer *v, struct rr_slice code);
void viewer_on_grab_reply(struct viewer *v, const struct wire_msg *m, int64_t now_us);
void viewer_grab(struct viewer *v, int64_t now_us);
void viewer_lost(struct viewer *v, int64_t now_us);
int64_t viewer_grab_wake_us(const struct viewer *v);

/* One line on stderr for each of the first viewers who missed pushes. */
void viewer_missed(const struct viewer *v, const char *how, int64_t n);
/* viewer_join.c: answer of JOIN: position, state of the rains, next seqs, missed pushes. */
void viewer_on_join(struct viewer *v, const struct unpack_value *body, int64_t now_us);

#endif
