#include "rain/rain.h"

#include <sodium.h>
#include <string.h>

enum { CODE_BYTES = 16, PACKETS_PER_SHARD = 50000 };

#define DUP UINT8_C(0xff) /* the event already happened; 0 in the table: not allowed */

/* One row per state, one column per event: PREPARE, START, CLOSE, SETTLE, CANCEL, CALL_OFF,
 * GIVE_BACK. */
static const uint8_t transitions[][RAIN_EV_GIVE_BACK + 1] = {
    [RAIN_CREATED] = {RAIN_PREPARED, 0, 0, 0, RAIN_CANCELLED, 0, 0},
    [RAIN_PREPARED] = {DUP, RAIN_SENT, 0, 0, RAIN_CANCELLED, 0, 0},
    [RAIN_SENT] = {DUP, DUP, RAIN_CLOSING, 0, 0, RAIN_CLOSING, 0},
    [RAIN_CLOSING] = {DUP, DUP, DUP, RAIN_SETTLED, 0, DUP, RAIN_CANCELLED},
    [RAIN_SETTLED] = {DUP, DUP, DUP, DUP, 0, 0, 0},
    [RAIN_CANCELLED] = {0, 0, 0, 0, DUP, DUP, DUP},
};

enum rr_err rain_transition(enum rain_status s, enum rain_event ev, enum rain_status *next)
{
    uint8_t to = 0;

    *next = s;
    if ((unsigned)s < RR_COUNTOF(transitions) && (unsigned)ev <= RAIN_EV_GIVE_BACK)
        to = transitions[s][ev];
    if (to == 0)
        return RR_CONFLICT;
    if (to == DUP)
        return RR_DUPLICATE;
    *next = (enum rain_status)to;
    return RR_OK;
}

const char *rain_status_name(enum rain_status s)
{
    switch (s) {
#define X(name, value, wire, zh)                                                                   \
    case RAIN_##name: return wire;
        RAIN_STATUS_MAP(X)
#undef X
    }
    return "?";
}

static const char *const split_names[] = {
    [RAIN_DOUBLE_MEAN] = "double-mean",
    [RAIN_LINE_CUT] = "line-cut",
    [RAIN_EQUAL] = "equal",
};

const char *rain_split_name(enum rain_split s)
{
    if (s < RAIN_DOUBLE_MEAN || s > RAIN_EQUAL)
        return "?";
    return split_names[s];
}

enum rain_split rain_split_parse(struct rr_slice name)
{
    for (unsigned s = RAIN_DOUBLE_MEAN; s <= RAIN_EQUAL; s++) {
        if (rr_slice_eq_str(name, split_names[s]))
            return (enum rain_split)s;
    }
    return (enum rain_split)0;
}

/* ---- character sets ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_base64url(char c)
{
    return is_upper(c) || (c >= 'a' && c <= 'z') || is_digit(c) || c == '_' || c == '-';
}

static bool is_biz_code(char c)
{
    return is_upper(c) || is_digit(c) || c == '_';
}

static bool is_graph(char c)
{
    return c > ' ' && c <= '~';
}

static bool all_of(struct rr_slice s, size_t min, size_t max, bool (*is)(char))
{
    if (s.len < min || s.len > max)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!is(s.p[i]))
            return false;
    }
    return true;
}

bool rain_code_valid(struct rr_slice code)
{
    return all_of(code, RR_CODE_LEN, RR_CODE_LEN, is_base64url);
}

bool rain_room_id_valid(struct rr_slice room_id)
{
    return all_of(room_id, 1, RR_ROOM_ID_MAX, is_base64url);
}

bool rain_biz_code_valid(struct rr_slice biz_code)
{
    return all_of(biz_code, 1, RR_BIZ_CODE_MAX, is_biz_code);
}

/* Length of the well-formed UTF-8 sequence at p (n bytes are left), 0 when there is none or it is a
 * control character. Bounds of the second byte are those of the Unicode standard's table 3-7: no
 * overlong forms, no surrogates. */
static size_t utf8_step(const uint8_t *p, size_t n)
{
    uint8_t lo = 0x80;
    uint8_t hi = 0xbf;
    size_t len = 0;

    if (p[0] < 0x80)
        return p[0] >= 0x20 && p[0] != 0x7f;
    if (p[0] >= 0xc2 && p[0] <= 0xdf)
        len = 2;
    else if (p[0] >= 0xe0 && p[0] <= 0xef)
        len = 3;
    else if (p[0] >= 0xf0 && p[0] <= 0xf4)
        len = 4;
    if (len == 0 || len > n)
        return 0;
    switch (p[0]) {
    case 0xc2: lo = 0xa0; break; /* U+0080…U+009F are control characters */
    case 0xe0: lo = 0xa0; break;
    case 0xed: hi = 0x9f; break;
    case 0xf0: lo = 0x90; break;
    case 0xf4: hi = 0x8f; break;
    default: break;
    }
    if (p[1] < lo || p[1] > hi)
        return 0;
    for (size_t i = 2; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    return len;
}

bool rain_utf8_valid(struct rr_slice text)
{
    const uint8_t *p = (const uint8_t *)text.p;
    size_t at = 0;

    while (at < text.len) {
        size_t step = utf8_step(p + at, text.len - at);

        if (step == 0)
            return false;
        at += step;
    }
    return true;
}

void rain_code_new(char code[RR_CODE_LEN + 1])
{
    uint8_t bits[CODE_BYTES];

    RR_ASSERT(sodium_init() >= 0);
    randombytes_buf(bits, sizeof(bits));
    sodium_bin2base64(code, RR_CODE_LEN + 1, bits, sizeof(bits),
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

/* ---- spec ---- */

static struct rr_slice slice_of_array(const char *s, size_t size)
{
    return rr_slice_of(s, strnlen(s, size));
}

static void spec_defaults(struct rain_spec *spec)
{
    if (spec->kind == 0)
        spec->kind = KIND_RAIN;
    if (spec->by == 0)
        spec->by = KIND_BY_BACKEND;
    if (spec->kind == KIND_EQUAL && spec->split == 0)
        spec->split = RAIN_EQUAL;
    if (spec->kind == KIND_PERSONAL && spec->count == 0)
        spec->count = 1;
    if (spec->random && spec->total_fen == 0)
        spec->total_fen = spec->hi_fen;
    if (spec->lo_fen == 0)
        spec->lo_fen = 1;
    if (spec->hi_fen == 0)
        spec->hi_fen = spec->total_fen;
    if (spec->duration_ms == 0 && spec->kind == KIND_RAIN)
        spec->duration_ms = rain_kind_rule(KIND_RAIN)->open_ms;
    if (spec->limit == 0)
        spec->limit = 1;
    if (spec->split == 0)
        spec->split = RAIN_DOUBLE_MEAN;
}

static const char *spec_bad_name(const struct rain_spec *spec)
{
    struct rr_slice biz_id = slice_of_array(spec->biz_id, sizeof(spec->biz_id));
    struct rr_slice text = slice_of_array(spec->text, sizeof(spec->text));

    if (spec->sender_id <= 0)
        return "sender";
    if (!rain_room_id_valid(slice_of_array(spec->room_id, sizeof(spec->room_id))))
        return "room";
    if (!all_of(biz_id, 1, RR_BIZ_ID_MAX, is_graph))
        return "biz_id";
    if (text.len > RR_TEXT_MAX_BYTES || !rain_utf8_valid(text))
        return "text";
    return NULL;
}

/* Products cannot overflow: an amount is at most 10^12, a count at most 10^6. */
static const char *spec_bad_money(const struct rain_spec *spec)
{
    int64_t count = spec->count;

    if (spec->total_fen < 1 || spec->total_fen > RR_FEN_MAX)
        return "total";
    if (count < 1 || count > RR_PACKETS_MAX)
        return "count";
    if ((unsigned)spec->split > RAIN_EQUAL) /* 0 is the default by now */
        return "split";
    if (spec->lo_fen < 1 || spec->lo_fen > spec->total_fen)
        return "lo";
    if (spec->hi_fen < spec->lo_fen || spec->hi_fen > RR_FEN_MAX)
        return "hi";
    if (spec->lo_fen * count > spec->total_fen)
        return "count";
    if (spec->hi_fen * count < spec->total_fen)
        return "hi";
    /* Line cut knows no upper bound: one that could bind would be a promise nobody keeps. */
    if (spec->split == RAIN_LINE_CUT && spec->hi_fen < spec->total_fen - spec->lo_fen * (count - 1))
        return "hi";
    return NULL;
}

static const char *spec_bad_play(const struct rain_spec *spec)
{
    if (spec->limit > RR_GRANT_LIMIT_MAX)
        return "limit";
    if (spec->shards > RR_SHARDS_MAX || spec->shards > spec->count)
        return "shards";
    if (spec->duration_ms == 0 && spec->kind != KIND_RAIN)
        return NULL;
    if (spec->duration_ms < RR_DURATION_MIN_MS || spec->duration_ms > RR_DURATION_MAX_MS)
        return "duration_ms";
    return NULL;
}

enum rr_err rain_spec_check(struct rain_spec *spec, const char **field)
{
    spec_defaults(spec);
    *field = rain_kind_check(spec);
    if (!*field)
        *field = spec_bad_name(spec);
    if (!*field)
        *field = spec_bad_money(spec);
    if (!*field && spec->shards == 0)
        spec->shards = (spec->count + PACKETS_PER_SHARD - 1) / PACKETS_PER_SHARD;
    if (!*field)
        *field = spec_bad_play(spec);
    return *field ? RR_BAD_REQUEST : RR_OK;
}
