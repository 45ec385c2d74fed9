/* rains.h - the live rains a worker knows, by code. Learned only from the pushes of their rooms
 * (RED_PACKET_*), so that a grab needs neither SQL nor Redis to be refused, and a code counts only
 * together with its room. Thread: the worker's loop. */
#ifndef ROOM_RAINS_H
#define ROOM_RAINS_H

#include "base/err.h"
#include "base/slice.h"
#include "rain/gate.h"

struct rains;

struct rain_entry {
    struct live_rain live;
    bool over;     /* END, RESULT or CANCEL was seen */
    bool end_told; /* this worker pushed END at t1 */
    bool sums_inflight;
    bool list_inflight;
    int64_t list_asked_us; /* 0: never */
    int64_t *list;         /* live.allowed; owned */
    int64_t granted;       /* of all shards, as last read */
    int64_t granted_fen;
    int64_t sold_out_at_ms;
    int64_t ticked_us;
    int64_t told_granted; /* in the last tick */
    int64_t over_since_us;
};

typedef void (*rain_entry_fn)(void *arg, struct rain_entry *e);

struct rains *rains_create(void);
void rains_destroy(struct rains *rs);
/* Payload of a RED_PACKET_* push of room_id. RR_BAD_REQUEST: not a valid one (ignored). */
RR_MUST_CHECK enum rr_err rains_learn(struct rains *rs, const char *room_id,
                                      struct rr_slice biz_code, struct rr_slice payload,
                                      int64_t now_us);
struct rain_entry *rains_find(struct rains *rs, struct rr_slice code);
/* fn may not add or remove. */
void rains_each(struct rains *rs, rain_entry_fn fn, void *arg);
/* Forgets rains that have been over for keep_us; gone(code) for each. */
void rains_sweep(struct rains *rs, int64_t now_us, int64_t keep_us,
                 void (*gone)(void *arg, const char *code), void *arg);
/* The named users of a rain, ascending; copied. */
void rains_set_list(struct rain_entry *e, const int64_t *users, uint32_t n);
uint32_t rains_count(const struct rains *rs);

#endif
