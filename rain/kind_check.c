/* kind_check.c - what a request for a packet of a kind must and must not say, beside its numbers. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "rain/rain.h"
#include "rain/split.h"
#include "rand_stream.h"

static bool users_valid(const struct rain_spec *s)
{
    for (uint32_t i = 0; i < s->users_n; i++) {
        if (s->users[i] <= (i ? s->users[i - 1] : 0))
            return false;
    }
    return s->users_n <= RR_USERS_MAX;
}

static const char *bad_users(const struct rain_spec *s, const struct rain_kind_rule *rule)
{
    static const struct {
        uint32_t min, max;
    } of[] = {
        [KIND_LIST_NEVER] = {0, 0},
        [KIND_LIST_MAY] = {0, RR_USERS_MAX},
        [KIND_LIST_NEEDED] = {1, RR_USERS_MAX},
        [KIND_LIST_ONE] = {1, 1},
    };

    if (s->users_n < of[rule->list].min || s->users_n > of[rule->list].max || !users_valid(s))
        return "users";
    /* More packets than the named users may have would come back in any case. */
    if (s->users_n && (int64_t)s->count > (int64_t)s->users_n * s->limit)
        return "count";
    return NULL;
}

const char *rain_kind_check(const struct rain_spec *s)
{
    const struct rain_kind_rule *rule = rain_kind_rule(s->kind);
    const char *bad = NULL;

    if (!rule || !(rule->creators & s->by))
        return "kind";
    bad = bad_users(s, rule);
    if (bad)
        return bad;
    if ((s->min_level && !rule->rules) || s->min_level > INT32_MAX)
        return "level";
    if (s->new_user_days > (rule->rules ? RR_NEW_USER_DAYS_MAX : 0))
        return "new_days";
    if (s->kind == KIND_EQUAL && s->split != RAIN_EQUAL)
        return "split";
    if (s->kind == KIND_PERSONAL && s->limit != 1)
        return "limit";
    /* Its amount is between the bounds: a total beside them would say something else. */
    if (s->random && (s->kind != KIND_PERSONAL || s->total_fen != s->hi_fen))
        return "random";
    if (s->start_at_ms && s->send)
        return "start_at";
    return NULL;
}

const char *rain_times_check(struct rain_spec *s, int64_t now_ms)
{
    const struct rain_kind_rule *rule = rain_kind_rule(s->kind);
    int64_t from_ms = now_ms;

    if (!rule)
        return "kind";
    if (s->start_at_ms) {
        if (s->start_at_ms < now_ms || s->start_at_ms > now_ms + RR_EXPIRE_MAX_MS)
            return "start_at";
        from_ms = s->start_at_ms;
    }
    if (s->send)
        s->start_at_ms = now_ms;
    if (s->expire_at_ms == 0)
        s->expire_at_ms = from_ms + rule->unstarted_ms;
    if (s->expire_at_ms < from_ms + RR_DURATION_MIN_MS ||
        s->expire_at_ms > from_ms + RR_EXPIRE_MAX_MS)
        return "expire_at";
    if (s->new_user_days)
        s->new_since_s = now_ms / 1000 - (int64_t)s->new_user_days * 24 * 3600;
    return NULL;
}

void rain_draw_total(struct rain_spec *s)
{
    static const char no_code[RR_CODE_LEN + 1] = "AAAAAAAAAAAAAAAAAAAAAA";
    uint8_t seed[RAIN_SEED_BYTES];
    struct rand_stream r;

    rain_seed_new(seed);
    rand_stream_init(&r, seed, no_code, RAIN_SPLIT_VERSION);
    s->total_fen =
        s->lo_fen + (int64_t)rand_stream_below(&r, (uint64_t)(s->hi_fen - s->lo_fen) + 1);
    sodium_memzero(&r, sizeof(r));
    sodium_memzero(seed, sizeof(seed));
}

/* ---- lists ---- */

static int ascending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* Decimal without sign or leading zero; leaves *at behind it. */
static bool read_id(struct rr_slice text, size_t *at, int64_t *id)
{
    size_t from = *at;

    *id = 0;
    while (*at < text.len && text.p[*at] >= '0' && text.p[*at] <= '9') {
        if (__builtin_mul_overflow(*id, 10, id) ||
            __builtin_add_overflow(*id, text.p[*at] - '0', id))
            return false;
        ++*at;
    }
    return *at > from && text.p[from] != '0';
}

static uint32_t sort_unique(int64_t *ids, uint32_t n)
{
    uint32_t kept = 0;

    qsort(ids, n, sizeof(*ids), ascending);
    for (uint32_t i = 0; i < n; i++) {
        if (kept == 0 || ids[kept - 1] != ids[i])
            ids[kept++] = ids[i];
    }
    return kept;
}

enum rr_err rain_users_parse(struct rr_slice text, int64_t **out, uint32_t *n)
{
    int64_t *ids = NULL;
    uint32_t have = 0;
    size_t at = 0;
    enum rr_err err = RR_OK;

    *out = NULL;
    *n = 0;
    if (text.len == 0)
        return RR_OK;
    ids = rr_xcalloc(RR_USERS_MAX, sizeof(*ids));
    while (!err) {
        if (have == RR_USERS_MAX)
            err = RR_TOO_BIG;
        else if (!read_id(text, &at, &ids[have++]))
            err = RR_BAD_REQUEST;
        else if (at == text.len)
            break;
        else if (text.p[at++] != ',')
            err = RR_BAD_REQUEST;
    }
    if (err) {
        free(ids);
        return err;
    }
    *n = sort_unique(ids, have);
    *out = ids;
    return RR_OK;
}
