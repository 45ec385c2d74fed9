/* fu_book.h - 集五福 in SQL: campaigns, the stock of each card, what users drew, hold, give and join. The rules are in
 * rain/fu.h. Every call is one transaction; the same request again gets the first answer (RR_DUPLICATE).
 * Lock order: campaign, users ascending, stock. A user's row is locked by each of his draws, gifts and joins.
 * The pool's money: from the sender's wallet to the platform account "fu:<code>" at the create, from there into the escrow of
 * one packet for the winners (spec.fu_code of its create), or back.
 * Blocking; one thread per ledger. */
#ifndef LEDGER_FU_BOOK_H
#define LEDGER_FU_BOOK_H

#include "ledger/saga.h"
#include "rain/fu.h"

enum fu_state { FU_OPEN = 1, FU_SHARING = 2, FU_SHARED = 3, FU_GIVEN_BACK = 4, FU_FAILED = 5 };
const char *fu_state_name(enum fu_state s); /* "OPEN" …, "?" */

enum { FU_REASON_MAX = 64 };

struct fu_campaign {
    struct fu_spec spec;
    char code[RR_CODE_LEN + 1];
    enum fu_state state;
    uint32_t winners;
    int64_t created_at_ms;
    int64_t ended_at_ms;             /* 0: not over */
    char rain_code[RR_CODE_LEN + 1]; /* SHARED: the winners' packet */
    char reason[FU_REASON_MAX + 1];  /* FAILED: why */
    uint32_t left[FU_CARDS];
    uint8_t seed[RAIN_SEED_BYTES];  /* secret */
    char rain_req[RR_CODE_LEN + 1]; /* secret */
};

struct fu_user {
    uint32_t held[FU_CARDS];
    int32_t day;    /* today, as events are counted */
    uint32_t draws; /* of today */
    uint32_t gifts;
    bool joined;
};

enum { FU_EVENT_KEY_MAX = 32, FU_DRAWS_SHOWN = 20 };
struct fu_drawn {
    char event[FU_EVENT_KEY_MAX + 1]; /* "join:<day>", "signin:<day>", "rain:<code>" */
    unsigned card;
    int64_t at_ms;
};

/* Who asks, of which campaign of which room; now_ms is rain time: the campaign ends by it. */
struct fu_request {
    char code[RR_CODE_LEN + 1];
    char room_id[RR_ROOM_ID_MAX + 1];
    int64_t user_id;
    int64_t now_ms;
    enum fu_event event;             /* draw */
    char rain_code[RR_CODE_LEN + 1]; /* draw of a rain */
    unsigned card;                   /* gift */
    int64_t to_user;                 /* gift */
    char biz_id[RR_BIZ_ID_MAX + 1];  /* gift */
};

struct fu_done {
    unsigned card; /* drawn or given */
    struct fu_user user;
    uint32_t winners; /* join */
};

/* spec went through fu_spec_check(). RR_DUPLICATE: (sender, biz_id) again: *out is that campaign. RR_CONFLICT: with another
 * payload, or the room has a campaign that is not over (*field: "room"). RR_BAD_REQUEST: share_at (*field). RR_NO_MONEY.
 * RR_NOT_ELIGIBLE: more than the sender may put into rains in a day. */
RR_MUST_CHECK enum rr_err ledger_fu_create(struct ledger *l, const struct fu_spec *spec,
                                           int64_t now_ms, struct fu_campaign *out,
                                           const char **field);
RR_MUST_CHECK enum rr_err ledger_fu_get(struct ledger *l, const char *code,
                                        struct fu_campaign *out);
/* The room's campaign that is not over, else its newest. */
RR_MUST_CHECK enum rr_err ledger_fu_of_room(struct ledger *l, const char *room_id,
                                            struct fu_campaign *out);
/* The newest campaigns, of a room or (NULL) of all; without their cards. */
RR_MUST_CHECK enum rr_err ledger_fu_list(struct ledger *l, const char *room_id,
                                         struct fu_campaign *out, uint32_t max, uint32_t *n);
/* What a user has, and his newest draws; n <= FU_DRAWS_SHOWN. */
RR_MUST_CHECK enum rr_err ledger_fu_mine(struct ledger *l, const char *code, int64_t user_id,
                                         struct fu_user *out, struct fu_drawn *draws, uint32_t *n);

/* All three: RR_NOT_FOUND: no such campaign in this room. RR_ENDED: it is over. */
/* RR_LIMIT: no more today. RR_SOLD_OUT: no card is left. RR_NOT_ELIGIBLE: no such rain since the campaign began. */
RR_MUST_CHECK enum rr_err ledger_fu_draw(struct ledger *l, const struct fu_request *q,
                                         struct fu_done *out);
/* RR_CONFLICT: biz_id with another card or receiver. RR_NOT_ELIGIBLE: holds no such card. RR_LIMIT. */
RR_MUST_CHECK enum rr_err ledger_fu_give(struct ledger *l, const struct fu_request *q,
                                         struct fu_done *out);
/* RR_NOT_ELIGIBLE: a card is missing. RR_SOLD_OUT: the pool has all the winners it takes. */
RR_MUST_CHECK enum rr_err ledger_fu_join(struct ledger *l, const struct fu_request *q,
                                         struct fu_done *out);

/* OPEN -> SHARING, or GIVEN_BACK when nobody joined. cancel: only if nobody joined, else RR_CONFLICT. RR_DUPLICATE: was not
 * open any more. *out as it is now. */
RR_MUST_CHECK enum rr_err ledger_fu_close(struct ledger *l, const char *code, bool cancel,
                                          struct fu_campaign *out);
/* SHARING -> FAILED: the whole pool goes back to the sender's wallet. RR_DUPLICATE: is not SHARING any more. *out as it is now. */
RR_MUST_CHECK enum rr_err ledger_fu_fail(struct ledger *l, const char *code, const char *reason,
                                         struct fu_campaign *out);
/* Who joined, ascending; malloc'ed. */
RR_MUST_CHECK enum rr_err ledger_fu_winners(struct ledger *l, const char *code, int64_t **ids,
                                            uint32_t *n);

/* ---- with the room told ---- */
RR_MUST_CHECK enum rr_err saga_fu_create(struct saga *s, struct fu_spec *spec,
                                         struct fu_campaign *out, const char **field);
/* room_id NULL: a backend. RR_CONFLICT: somebody joined, or it is over. */
RR_MUST_CHECK enum rr_err saga_fu_cancel(struct saga *s, const char *room_id, const char *code,
                                         struct fu_campaign *out);
/* FU_CARD to who got a card. Lost is no loss: FU_MINE shows it. */
RR_MUST_CHECK enum rr_err saga_fu_tell_gift(struct saga *s, const struct fu_request *q);

#endif
