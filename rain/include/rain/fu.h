/* fu.h - 集五福: the five cards, what a campaign may be, and which card a draw gives.
 *   Odds of a kind = weight / (held + 1), 0 when none is left: who has a kind already gets it more rarely, so that the
 *   kinds he lacks come up. Whole numbers throughout.
 *   The roll of (campaign, user, event) is fixed by the campaign's secret seed: a draw that was answered with an error is
 *   not rolled anew, and nobody can try until a rare card comes.
 * Not here: where cards are kept (ledger), who may ask (server). */
#ifndef RAIN_FU_H
#define RAIN_FU_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "rain/rain.h"
#include "rain/split.h"

/*        name      value  zh     en             weight of 10,000 */
#define FU_CARD_MAP(X)                                                                             \
    X(PROSPERITY, 1, "富强", "Prosperity", 3000)                                                   \
    X(DEMOCRACY, 2, "民主", "Democracy", 2500)                                                     \
    X(CIVILITY, 3, "文明", "Civility", 2500)                                                       \
    X(HARMONY, 4, "和谐", "Harmony", 1500)                                                         \
    X(PATRIOTISM, 5, "爱国", "Patriotism", 500)

enum fu_card {
#define X(name, value, ...) FU_##name = (value),
    FU_CARD_MAP(X)
#undef X
};

/* What gives a draw: one per user, event and, where the event recurs, day or rain. */
#define FU_EVENT_MAP(X)                                                                            \
    X(JOIN, 1, "join")     /* in the room, once a day */                                           \
    X(SIGNIN, 2, "signin") /* asked for, once a day */                                             \
    X(RAIN, 3, "rain")     /* a rain of the room that has opened since the campaign began */

enum fu_event {
#define X(name, value, wire) FU_EVENT_##name = (value),
    FU_EVENT_MAP(X)
#undef X
};
enum fu_event fu_event_parse(struct rr_slice name); /* 0 on unknown name */

enum {
    FU_CARDS = RR_FU_CARDS, /* kinds */
    FU_WEIGHT_SUM = 10000,
    FU_STOCK_MAX = 10000000, /* cards of one kind */
    FU_DAY_DRAWS_MAX = 100,
    FU_DAY_GIFTS_MAX = 100,
    FU_DAY_DRAWS_DEFAULT = 5,
    FU_DAY_GIFTS_DEFAULT = 20,
    FU_STOCK_PER_WEIGHT = 10, /* without a stock of its own: 100,000 cards in all */
    FU_ROLL_VERSION = 1
};
#define FU_OPEN_MS (24 * 3600 * INT64_C(1000)) /* winners open their packets within */

struct fu_spec {
    int64_t sender_id; /* whose money it is, and who gets back what nobody takes */
    int64_t anchor_id; /* of the room, where the request says it; 0: not known */
    char room_id[RR_ROOM_ID_MAX + 1];
    char biz_id[RR_BIZ_ID_MAX + 1];
    char text[RR_TEXT_MAX_BYTES + 1];
    int64_t pool_fen;
    int64_t share_at_ms;
    uint32_t winners_max;      /* 0 -> as many as a packet may name, and as the pool has fen */
    uint32_t day_draws;        /* per user; 0 -> default */
    uint32_t day_gifts;        /* given away per user; 0 -> default */
    enum rain_split split;     /* equal or double mean; 0 -> double mean */
    uint32_t weight[FU_CARDS]; /* all 0 -> default */
    uint32_t stock[FU_CARDS];  /* all 0 -> default */
};

/* Fills the defaults and checks every rule but the time. RR_BAD_REQUEST: *field names the first bad one: sender room biz_id
 * text pool winners day_draws day_gifts split weights stock. */
RR_MUST_CHECK enum rr_err fu_spec_check(struct fu_spec *spec, const char **field);
/* "3000,2500,2500,1500,500": five numbers; false: not that. */
bool fu_list_parse(struct rr_slice text, uint32_t out[FU_CARDS]);

/* Printable ASCII without space, not empty. */
bool fu_key_valid(const char *key);

/* The odds of each kind, and their sum; 0: nothing is left. */
uint64_t fu_odds(const uint32_t weight[FU_CARDS], const uint32_t left[FU_CARDS],
                 const uint32_t held[FU_CARDS], uint64_t odds[FU_CARDS]);
/* The index (card - 1) in which a roll below the sum falls. */
unsigned fu_pick(const uint64_t odds[FU_CARDS], uint64_t roll);
/* The roll of an event, below sum > 0. */
uint64_t fu_roll(const uint8_t seed[RAIN_SEED_BYTES], const char *code, int64_t user_id,
                 const char *event, uint64_t sum);

#endif
