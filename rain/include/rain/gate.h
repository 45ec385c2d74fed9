/* gate.h - answers a grab from memory where that is safe: before the opening, after the end, sold
 *   out.
 * Rule (MONEY): only a frame whose `again` is false may be answered from memory; `again` means an
 *   earlier try may have won.
 * Pure decision code; rain time in ms (Redis TIME), kept by the worker's clock offset. */
#ifndef RAIN_GATE_H
#define RAIN_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "rain/kind.h"
#include "rain/rain.h"

/* What a worker remembers about a live rain. Loaded from RED_PACKET_CONFIG, never from SQL. */
struct live_rain {
    char code[RR_CODE_LEN + 1];
    char room_id[RR_ROOM_ID_MAX + 1];
    int64_t t0_ms;
    int64_t t1_ms;
    int64_t total_fen;
    int64_t sender_id; /* whose money it is; 0: not known */
    enum rain_kind kind;
    uint32_t count;
    uint32_t limit;
    uint32_t shards;   /* 1…64 */
    bool ended;        /* closed early */
    uint64_t sold_out; /* bit per shard; cleared when the run id changes */
    char rid[RR_RID_LEN + 1];
    /* Who may have it, beside being in the room; all 0: everybody. */
    uint32_t min_level;
    uint32_t listed;        /* named users; 0: no list */
    int64_t new_since_s;    /* registered since */
    const int64_t *allowed; /* the named users, ascending; NULL: not known here yet. Borrowed */
    uint32_t allowed_n;
};

/* What a token says about a user. */
struct gate_user {
    int64_t user_id;
    int64_t level;   /* 0: not said */
    int64_t since_s; /* 0: not said */
};

/* RR_OK: ask the pool.
 * RR_NOT_FOUND: room_id is not this rain's room (code–room check; in every state, also for
 * `again`). RR_LIMIT: never from memory unless seq >= limit and !again. RR_NOT_STARTED, RR_ENDED,
 * RR_SOLD_OUT: only if !again. slack_ms: how far our idea of rain time may be off. What comes up to
 * slack_ms early or late is let through: the script decides. */
RR_MUST_CHECK enum rr_err gate_check(const struct live_rain *r, const char *room_id,
                                     int64_t user_id, uint32_t seq, bool again, int64_t now_ms,
                                     int64_t slack_ms);
/* RR_OK, RR_NOT_ELIGIBLE, or RR_BUSY: the list is not here yet, ask again shortly.
 * For a frame with `again` NOT_ELIGIBLE is no answer yet: an earlier token may have said more, and
 * that frame may have won. It goes to the pool as replay_only, which gives back what was granted
 * and grants nothing. */
RR_MUST_CHECK enum rr_err gate_eligible(const struct live_rain *r, const struct gate_user *u);
/* After a script's reply: remembers sold-out per (code, shard, rid), and t1 when it was extended.
 * t1_ms 0: not known. */
void gate_learn(struct live_rain *r, uint32_t shard, const char *rid, bool sold_out, int64_t t1_ms);

#endif
