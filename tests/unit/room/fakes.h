/* fakes.h - the ports of room/ without sockets and Redis: a transport that keeps what was written,
 * and a bus whose answers wait until the test gives them. Also used by the tests of server/ and by
 * fuzz_session, so nothing here asserts. */
#ifndef TESTS_UNIT_ROOM_FAKES_H
#define TESTS_UNIT_ROOM_FAKES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "protocol/unpack.h"
#include "room/bus.h"
#include "room/session.h"

/* ---- transport ---- */

enum { FAKE_SENT_MAX = 512, FAKE_HEADROOM = 16 };

/* A socket: what write_now() answers, and what it took. */
struct fake_conn {
    bool busy;
    bool broken;
    bool wants_write;
    int close_code; /* 0: open */
    uint32_t closes;
    uint32_t warmed; /* how often warm() read it */
    uint32_t sent_n; /* may pass FAKE_SENT_MAX: the oldest are forgotten */
    struct rr_frame *sent[FAKE_SENT_MAX];
};

extern const struct transport fake_transport;

void fake_conn_clear(struct fake_conn *c); /* forgets the frames */

/* A server message taken apart. */
struct wire {
    int64_t op;
    int64_t id;
    struct unpack_value body;
};

/* False when f is no [op, id, {…}]. */
bool wire_decode(struct rr_frame *f, struct wire *out);
bool wire_decode_bytes(struct rr_slice bytes, struct wire *out);
/* The n-th frame a socket took, 0 first; -1 the last. False when there is none. */
bool wire_of(const struct fake_conn *c, int n, struct wire *out);
/* INT64_MIN when missing or no integer. */
int64_t wire_int(const struct unpack_value *map, const char *key);
/* Empty when missing or no string. */
struct rr_slice wire_str(const struct unpack_value *map, const char *key);
bool wire_str_is(const struct unpack_value *map, const char *key, const char *want);
bool wire_has(const struct unpack_value *map, const char *key);
/* The payload of a push, as a map. */
struct unpack_value wire_payload(const struct wire *w);

/* ---- bus ---- */

enum { FAKE_CALLS_MAX = 256 };

struct fake_load {
    char room_id[RR_ROOM_ID_MAX + 1];
    uint64_t epoch;
    uint64_t seq;
    bus_load_fn done; /* NULL: answered */
    void *arg;
};

struct fake_count {
    char room_id[RR_ROOM_ID_MAX + 1];
    uint32_t members;
    uint64_t life;
    struct delivery delivery;
    bus_count_fn done;
    void *arg;
};

enum fake_out_kind { FAKE_PUSH_ROOM, FAKE_PUBLISH, FAKE_PUSH_USER, FAKE_CONTROL };

/* Something that left by the bus. */
struct fake_out {
    enum fake_out_kind kind;
    char room_id[RR_ROOM_ID_MAX + 1];
    char biz_code[RR_BIZ_CODE_MAX + 1];
    int64_t user_id;
    bool logged;
    struct rr_buf payload;
    bus_push_fn done;
    void *arg;
};

struct fake_user_log {
    int64_t user_id;
    bus_user_log_fn done;
    void *arg;
};

struct fake_bus {
    struct room_bus bus;
    uint32_t subscribes;
    uint32_t unsubscribes;
    uint64_t echoed; /* the last number published to ourselves */
    uint32_t resubscribes;
    struct fake_load loads[FAKE_CALLS_MAX];
    uint32_t loads_n;
    struct fake_count counts[FAKE_CALLS_MAX];
    uint32_t counts_n;
    struct fake_out outs[FAKE_CALLS_MAX];
    uint32_t outs_n;
    char sanction[128]; /* the last one kept: "ROOM kick:7 60" */
    struct fake_user_log logs[FAKE_CALLS_MAX];
    uint32_t logs_n;
};

void fake_bus_init(struct fake_bus *b);
/* Answers everything that still waits with RR_UNAVAILABLE and frees what was kept. */
void fake_bus_fini(struct fake_bus *b);
/* After fake_bus_fini(): as after fake_bus_init(), without touching all of it. */
void fake_bus_reset(struct fake_bus *b);
/* Answers the n-th call of its kind; a call is answered once. FAKE_CALLS_MAX later it was answered
 * with RR_UNAVAILABLE. */
void fake_bus_load(struct fake_bus *b, uint32_t n, enum rr_err err,
                   const struct room_snapshot *snap);
void fake_bus_count(struct fake_bus *b, uint32_t n, enum rr_err err, int64_t online);
/* Frees and forgets outs (done callbacks get RR_OK). */
void fake_bus_outs_clear(struct fake_bus *b);

/* ---- payloads ---- */

/* {config_code, room, total_count, total_price, split, limit, shards, open_at, end_at, …}: 100
 * packets, 10,000 fen. */
void fake_rain_config(struct rr_buf *b, const char *code, int64_t open_at, int64_t end_at,
                      int64_t limit, int64_t shards);
/* Its pairs alone: 8 of a map with more. */
void fake_rain_pairs(struct rr_buf *b, const char *code, int64_t open_at, int64_t end_at,
                     int64_t limit, int64_t shards);
/* {config_code} */
void fake_rain_code(struct rr_buf *b, const char *code);

#endif
