#include "rain/fu.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "rand_stream.h"

/* Odds are compared as whole numbers: fine enough that no two ranks of weight / (held + 1) become equal. */
#define ODDS_SCALE UINT64_C(1000000)

static const uint32_t default_weight[FU_CARDS] = {
#define X(name, value, zh, en, weight) weight,
    FU_CARD_MAP(X)
#undef X
};

enum fu_event fu_event_parse(struct rr_slice name)
{
#define X(id, value, wire)                                                                         \
    if (rr_slice_eq_str(name, wire))                                                               \
        return FU_EVENT_##id;
    FU_EVENT_MAP(X)
#undef X
    return (enum fu_event)0;
}

bool fu_list_parse(struct rr_slice text, uint32_t out[FU_CARDS])
{
    size_t at = 0;

    for (unsigned i = 0; i < FU_CARDS; i++) {
        size_t from = at;

        out[i] = 0;
        for (; at < text.len && text.p[at] >= '0' && text.p[at] <= '9'; at++) {
            if (out[i] > FU_STOCK_MAX)
                return false;
            out[i] = out[i] * 10 + (uint32_t)(text.p[at] - '0');
        }
        if (at == from ||
            (i + 1 < FU_CARDS ? at == text.len || text.p[at++] != ',' : at < text.len))
            return false;
    }
    return true;
}

static bool all_zero(const uint32_t v[FU_CARDS])
{
    static const uint32_t zeros[FU_CARDS];

    return memcmp(v, zeros, sizeof(zeros)) == 0;
}

static void fill(struct fu_spec *s)
{
    if (all_zero(s->weight))
        memcpy(s->weight, default_weight, sizeof(s->weight));
    if (!all_zero(s->stock))
        return;
    for (unsigned i = 0; i < FU_CARDS; i++)
        s->stock[i] = s->weight[i] * FU_STOCK_PER_WEIGHT;
}

static bool numbers_valid(const uint32_t v[FU_CARDS], uint32_t max, uint32_t sum)
{
    uint32_t have = 0;

    for (unsigned i = 0; i < FU_CARDS; i++) {
        if (v[i] == 0 || v[i] > max)
            return false;
        have += v[i];
    }
    return sum == 0 || have == sum;
}

bool fu_key_valid(const char *key)
{
    size_t len = strlen(key);

    for (size_t i = 0; i < len; i++) {
        if (key[i] <= ' ' || key[i] > '~')
            return false;
    }
    return len > 0;
}

static const char *bad_field(const struct fu_spec *s)
{
    if (s->sender_id <= 0)
        return "sender";
    if (!rain_room_id_valid(rr_slice_str(s->room_id)))
        return "room";
    if (!fu_key_valid(s->biz_id))
        return "biz_id";
    if (!rain_utf8_valid(rr_slice_str(s->text)))
        return "text";
    if (s->pool_fen <= 0 || s->pool_fen > RR_FEN_MAX)
        return "pool";
    if (s->winners_max == 0 || s->winners_max > RR_USERS_MAX || s->winners_max > s->pool_fen)
        return "winners";
    if (s->day_draws == 0 || s->day_draws > FU_DAY_DRAWS_MAX)
        return "day_draws";
    if (s->day_gifts == 0 || s->day_gifts > FU_DAY_GIFTS_MAX)
        return "day_gifts";
    if (s->split != RAIN_DOUBLE_MEAN && s->split != RAIN_EQUAL)
        return "split";
    if (!numbers_valid(s->weight, FU_WEIGHT_SUM, FU_WEIGHT_SUM))
        return "weights";
    return numbers_valid(s->stock, FU_STOCK_MAX, 0) ? NULL : "stock";
}

enum rr_err fu_spec_check(struct fu_spec *s, const char **field)
{
    fill(s);
    if (s->winners_max == 0)
        s->winners_max = s->pool_fen < RR_USERS_MAX ? (uint32_t)s->pool_fen : RR_USERS_MAX;
    s->day_draws = s->day_draws ? s->day_draws : FU_DAY_DRAWS_DEFAULT;
    s->day_gifts = s->day_gifts ? s->day_gifts : FU_DAY_GIFTS_DEFAULT;
    s->split = s->split ? s->split : RAIN_DOUBLE_MEAN;
    *field = bad_field(s);
    return *field ? RR_BAD_REQUEST : RR_OK;
}

uint64_t fu_odds(const uint32_t weight[FU_CARDS], const uint32_t left[FU_CARDS],
                 const uint32_t held[FU_CARDS], uint64_t odds[FU_CARDS])
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < FU_CARDS; i++) {
        odds[i] = left[i] ? weight[i] * ODDS_SCALE / ((uint64_t)held[i] + 1) : 0;
        sum += odds[i];
    }
    return sum;
}

unsigned fu_pick(const uint64_t odds[FU_CARDS], uint64_t roll)
{
    unsigned i = 0;

    while (roll >= odds[i]) {
        roll -= odds[i++];
        RR_ASSERT(i < FU_CARDS);
    }
    return i;
}

uint64_t fu_roll(const uint8_t seed[RAIN_SEED_BYTES], const char *code, int64_t user_id,
                 const char *event, uint64_t sum)
{
    char what[128];
    struct rand_stream r;
    uint64_t roll = 0;
    int n = snprintf(what, sizeof(what), "%s|%" PRId64 "|%s", code, user_id, event);

    RR_ASSERT(n > 0 && (size_t)n < sizeof(what));
    rand_stream_init(&r, seed, what, FU_ROLL_VERSION);
    roll = rand_stream_below(&r, sum);
    sodium_memzero(&r, sizeof(r));
    return roll;
}
