/* rain.h - what a red-packet rain is: its numbers, its life, and the rules a request for one must
 *   pass.
 * Not here: where it is stored (ledger, store) and who may ask (room). */
#ifndef RAIN_RAIN_H
#define RAIN_RAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "protocol/limits.h"
#include "rain/kind.h"

/*        name         value  wire name  zh */
#define RAIN_STATUS_MAP(X)                                                                         \
    X(CREATED, 1, "CREATED", "待准备")                                                             \
    X(PREPARED, 2, "PREPARED", "已准备")                                                           \
    X(SENT, 3, "SENT", "已发送")                                                                   \
    X(CLOSING, 4, "CLOSING", "结算中")                                                             \
    X(SETTLED, 5, "SETTLED", "已结清")                                                             \
    X(CANCELLED, 6, "CANCELLED", "已取消")

enum rain_status {
#define X(name, value, wire, zh) RAIN_##name = (value),
    RAIN_STATUS_MAP(X)
#undef X
};

enum rain_event {
    RAIN_EV_PREPARE,
    RAIN_EV_START,
    RAIN_EV_CLOSE,
    RAIN_EV_SETTLE,
    RAIN_EV_CANCEL,
    RAIN_EV_CALL_OFF,
    RAIN_EV_GIVE_BACK,
};

/* The only transition function.
 *   CREATED -PREPARE-> PREPARED -START-> SENT -CLOSE-> CLOSING -SETTLE-> SETTLED;
 *   CREATED|PREPARED -CANCEL-> CANCELLED;
 *   in the countdown SENT -CALL_OFF-> CLOSING, and once every shard is closed with nothing granted
 *   CLOSING -GIVE_BACK-> CANCELLED (SETTLE when something was granted after all).
 * A rain that was SENT may have been granted from: it is closed, its pool says whether it was. The
 * caller knows whether a closing rain was called off: only then GIVE_BACK is allowed.
 * RR_OK: *next is the state after ev. RR_DUPLICATE: ev already happened (*next = s).
 * RR_CONFLICT: not allowed in this state (*next = s). */
RR_MUST_CHECK enum rr_err rain_transition(enum rain_status s, enum rain_event ev,
                                          enum rain_status *next);
const char *rain_status_name(enum rain_status s); /* "CREATED" …, "?" */

enum rain_split { RAIN_DOUBLE_MEAN = 1, RAIN_LINE_CUT = 2, RAIN_EQUAL = 3 };
const char *rain_split_name(enum rain_split s); /* "double-mean", "line-cut", "equal" */
/* 0 on unknown name. */
enum rain_split rain_split_parse(struct rr_slice name);

/* Old versions stay in the code: amounts of old rains must be recomputable. */
#define RAIN_SPLIT_VERSION 1

/* What a sender asks for. Zero means "default" where noted. */
struct rain_spec {
    enum rain_kind kind; /* 0 -> rain */
    unsigned by;         /* KIND_BY_… of who asks; 0 -> backend */
    int64_t sender_id;   /* whose money it is */
    int64_t anchor_id;   /* of the room, where the request says it; 0: not known */
    char room_id[RR_ROOM_ID_MAX + 1];
    char biz_id[RR_BIZ_ID_MAX + 1]; /* the client's idempotence key */
    char text[RR_TEXT_MAX_BYTES + 1];
    char fu_code[RR_CODE_LEN + 1]; /* the pool of that campaign (fu.h) pays; "": the sender */
    int64_t total_fen;
    int64_t lo_fen;      /* smallest packet; 0 -> 1 */
    int64_t hi_fen;      /* largest packet; 0 -> total */
    int64_t duration_ms; /* 0 -> of a rain its kind's, else until expire_at */
    int64_t start_at_ms; /* 0: started by hand; else it opens then by itself */
    /* 0 -> by kind. What was not started by then is given back; a packet is open until then. */
    int64_t expire_at_ms;
    int64_t new_since_s;  /* only users registered since; made of new_user_days; 0: all */
    int64_t budget_fen;   /* the most this sender may put into such packets in a day */
    int64_t day;          /* which day that is */
    const int64_t *users; /* named users, ascending; borrowed, NULL when read back */
    uint32_t users_n;
    uint32_t new_user_days;
    uint32_t min_level; /* of the token; 0: all */
    uint32_t open_max;  /* unfinished packets of this sender, of this room; 0: no cap */
    uint32_t room_max;
    bool random; /* personal: the amount is drawn from lo … hi; only that much is taken */
    bool send;   /* prepare and start follow at once */
    uint32_t count;
    uint32_t limit;        /* packets per user; 0 -> 1 */
    uint32_t shards;       /* 0 -> ceil(count / 50,000) */
    enum rain_split split; /* 0 -> double mean */
};

/* Fills the defaults and checks every rule (lo*n <= T <= hi*n, ranges of limits.h, room and biz id
 * charset, UTF-8; line cut takes no hi that could bind).
 * RR_BAD_REQUEST: *field names the first bad field (a constant): kind users level new_days
 * random start_at expire_at sender room biz_id text total count split lo hi limit shards duration_ms. */
RR_MUST_CHECK enum rr_err rain_spec_check(struct rain_spec *spec, const char **field);

/* What a kind asks for beyond the numbers; part of rain_spec_check(). NULL, or the bad field. */
const char *rain_kind_check(const struct rain_spec *spec);
/* Not for everybody in the room. */
static inline bool rain_restricted(const struct rain_spec *spec)
{
    return spec->min_level || spec->new_since_s || spec->users_n;
}
/* Fills and checks start_at, expire_at and new_since against now. NULL, or the bad field. Not part
 * of rain_spec_check(): a repeated request must find its rain also when its times have passed. */
const char *rain_times_check(struct rain_spec *spec, int64_t now_ms);
/* The amount of a random packet, lo … hi. */
void rain_draw_total(struct rain_spec *spec);
/* "3,1,2" or "" -> ascending ids without doubles. RR_BAD_REQUEST: not that; RR_TOO_BIG: more than
 * RR_USERS_MAX. *ids is malloc'ed, NULL when there are none. */
RR_MUST_CHECK enum rr_err rain_users_parse(struct rr_slice text, int64_t **ids, uint32_t *n);

bool rain_code_valid(struct rr_slice code); /* 22 characters of base64url */
bool rain_room_id_valid(struct rr_slice room_id);
bool rain_biz_code_valid(struct rr_slice biz_code);
bool rain_utf8_valid(struct rr_slice text); /* well-formed, no control characters */
/* 128 random bits. */
void rain_code_new(char code[RR_CODE_LEN + 1]);

#endif
