/* room_private.h - struct room, shared by hub.c (membership, fan-out) and feed.c (what the bus
 * brings). */
#ifndef ROOM_PRIVATE_H
#define ROOM_PRIVATE_H

#include <uthash.h>

#include "room/hub.h"

enum {
    ROOM_LOG_MAX = BUS_TAIL_MAX, /* recent must-arrive pushes kept for recovery */
    ROOM_HELD_MAX = 1024,        /* live messages held while the log is loaded */
    ROOM_KEPT_MAX = 16,          /* rain states kept for late joiners */
    ROOM_IDLE_US = 60000000,     /* unsubscribe an empty room after this */
    ROOM_COUNT_US = 1000000,     /* presence is published at most this often */
    ROOM_RETRY_US = 500000,      /* a failed load is tried again after this */
};

#define ROOM_ROTATE_STEP UINT32_C(0x9e3779b9)

/* Keys of unlogged pushes never meet those of tickers and counts. */
#define ROOM_UNLOGGED_KEY (UINT64_C(1) << 63)

/* FEED_SUBSCRIBING: waits for the ack. FEED_LOADING: reads the log, holds what comes. FEED_LIVE:
 * follows. */
enum feed_state { FEED_SUBSCRIBING, FEED_LOADING, FEED_LIVE };

struct log_item {
    uint64_t seq;
    struct rr_frame *frame;
};

/* An owned copy of a message or of a kept state. */
struct msg_copy {
    uint64_t epoch;
    uint64_t seq;
    char *biz_code;
    char *code; /* kept states only */
    char *payload;
    size_t payload_len;
};

struct waiting_join {
    uint64_t session_id;
    uint64_t epoch;
    uint64_t seq;
    uint32_t req_id;
    uint32_t join_no; /* the session's when it asked */
    struct waiting_join *next;
};

/* One fan-out: goes once around the members there are, starting at a rotating index. Who joins later
 * stands behind them: his snapshot has what is being sent. */
struct fanout {
    struct rr_frame *frame;
    uint64_t latest_key; /* 0: must arrive */
    uint32_t start;
    uint32_t done; /* members visited */
    uint32_t n;    /* members when it began */
    struct fanout *next;
};

struct room {
    char id[RR_ROOM_ID_MAX + 1];
    struct hub *hub;
    enum feed_state feed;
    uint64_t life; /* tells this time of following the room from an earlier one */
    struct delivery delivery;
    uint64_t load_no; /* of the latest load, unique in the hub; answers of older ones are ignored */
    uint64_t epoch;
    uint64_t seq;
    struct log_item log[ROOM_LOG_MAX]; /* ring by seq % ROOM_LOG_MAX */
    struct msg_copy *held;             /* ROOM_HELD_MAX, allocated on first use */
    uint32_t held_n;
    bool held_overflow;
    struct msg_copy kept[ROOM_KEPT_MAX]; /* oldest first */
    uint32_t kept_n;
    struct waiting_join *waiting;
    struct waiting_join **waiting_tail;
    struct session **members; /* NULL = hole, compacted when no fan-out runs */
    uint32_t members_n;       /* slots in use, holes included */
    uint32_t members_cap;
    uint32_t members_live;
    struct fanout *jobs; /* FIFO */
    struct fanout **jobs_tail;
    uint32_t rotate; /* where the next fan-out starts, as a fraction of 2^32 of the members */
    int64_t online;
    int64_t online_told;
    int64_t counted_us;
    uint32_t counted_members;
    bool count_inflight;
    int64_t empty_since_us;
    int64_t retry_at_us; /* 0: no load to retry */
    UT_hash_handle hh;
};

struct hub {
    struct hub_opts opts;
    struct room *rooms;
    bool bus_up;
    uint64_t load_no;
    uint64_t lives;
    uint32_t members; /* of all rooms */
    uint64_t broadcasts;
    bool shed_latest;
    uint64_t latest_shed;
    uint64_t unlogged; /* numbers the keys of unlogged pushes */
};

struct room *hub__room_find(const struct hub *h, const char *room_id);
void hub__fanout(struct room *r, struct rr_frame *frame, uint64_t latest_key);
struct rr_frame *hub__push_frame(struct hub *h, const char *room_id, uint64_t epoch, uint64_t seq,
                                 struct rr_slice biz_code, struct rr_slice payload);
/* Answers one JOIN from memory. */
void hub__answer(struct room *r, struct session *s, uint32_t req_id, uint64_t epoch, uint64_t seq);
void hub__answer_waiting(struct room *r, enum rr_err err);

void feed__load(struct room *r);
void feed__message(struct room *r, const struct room_msg *m);
void feed__clear(struct room *r);

#endif
