#include "cm.h"

#include <stdio.h>
#include <string.h>

#include "rain/rain.h"

/* ---- transitions: the whole table, so every pair not named here is a conflict ---- */

#define EVENTS 7
#define OK_(to)                                                                                    \
    {                                                                                              \
        RR_OK, RAIN_##to                                                                           \
    }
#define DUP_                                                                                       \
    {                                                                                              \
        RR_DUPLICATE, 0                                                                            \
    }
#define NO_                                                                                        \
    {                                                                                              \
        RR_CONFLICT, 0                                                                             \
    }

static const struct {
    enum rain_status s;
    struct {
        enum rr_err err;
        int next; /* 0: stays */
    } by[EVENTS];
} rows[] = {
    /*   PREPARE        START      CLOSE         SETTLE        CANCEL        CALL_OFF      GIVE_BACK */
    {RAIN_CREATED, {OK_(PREPARED), NO_, NO_, NO_, OK_(CANCELLED), NO_, NO_}},
    {RAIN_PREPARED, {DUP_, OK_(SENT), NO_, NO_, OK_(CANCELLED), NO_, NO_}},
    {RAIN_SENT, {DUP_, DUP_, OK_(CLOSING), NO_, NO_, OK_(CLOSING), NO_}},
    {RAIN_CLOSING, {DUP_, DUP_, DUP_, OK_(SETTLED), NO_, DUP_, OK_(CANCELLED)}},
    {RAIN_SETTLED, {DUP_, DUP_, DUP_, DUP_, NO_, NO_, NO_}},
    {RAIN_CANCELLED, {NO_, NO_, NO_, NO_, DUP_, DUP_, DUP_}},
};

static void transition_every_pair_matches_table(void **state)
{
    (void)state;
    for (size_t r = 0; r < RR_COUNTOF(rows); r++) {
        for (int ev = 0; ev < EVENTS; ev++) {
            enum rain_status next = 99;
            enum rr_err err = rain_transition(rows[r].s, (enum rain_event)ev, &next);
            int want = rows[r].by[ev].next;

            if (err != rows[r].by[ev].err ||
                next != (enum rain_status)(want ? want : (int)rows[r].s))
                fail_msg("%s, event %d: %s", rain_status_name(rows[r].s), ev, rr_err_name(err));
        }
    }
}

static void transition_outside_enums_conflicts(void **state)
{
    enum rain_status next = 0;

    (void)state;
    assert_int_equal(rain_transition((enum rain_status)0, RAIN_EV_PREPARE, &next), RR_CONFLICT);
    assert_int_equal(rain_transition((enum rain_status)7, RAIN_EV_PREPARE, &next), RR_CONFLICT);
    assert_int_equal(next, 7);
    assert_int_equal(rain_transition(RAIN_CREATED, (enum rain_event)EVENTS, &next), RR_CONFLICT);
    assert_int_equal(rain_transition((enum rain_status) - 1, (enum rain_event) - 1, &next),
                     RR_CONFLICT);
}

static void names_round_trip(void **state)
{
    (void)state;
    assert_string_equal(rain_status_name(RAIN_CREATED), "CREATED");
    assert_string_equal(rain_status_name(RAIN_PREPARED), "PREPARED");
    assert_string_equal(rain_status_name(RAIN_SENT), "SENT");
    assert_string_equal(rain_status_name(RAIN_CLOSING), "CLOSING");
    assert_string_equal(rain_status_name(RAIN_SETTLED), "SETTLED");
    assert_string_equal(rain_status_name(RAIN_CANCELLED), "CANCELLED");
    assert_string_equal(rain_status_name((enum rain_status)0), "?");
    assert_string_equal(rain_status_name((enum rain_status)7), "?");
    for (unsigned s = RAIN_DOUBLE_MEAN; s <= RAIN_EQUAL; s++) {
        const char *name = rain_split_name((enum rain_split)s);

        assert_int_equal(rain_split_parse(rr_slice_str(name)), s);
    }
    assert_string_equal(rain_split_name(RAIN_LINE_CUT), "line-cut");
    assert_string_equal(rain_split_name((enum rain_split)0), "?");
    assert_string_equal(rain_split_name((enum rain_split)4), "?");
    assert_int_equal(rain_split_parse(rr_slice_str("double_mean")), 0);
    assert_int_equal(rain_split_parse(rr_slice_str("equal ")), 0);
    assert_int_equal(rain_split_parse(rr_slice_str("")), 0);
}

/* ---- spec ---- */

static struct rain_spec good_spec(void)
{
    return (struct rain_spec){.sender_id = 7,
                              .room_id = "room-1",
                              .biz_id = "b:1",
                              .text = "恭喜发财",
                              .total_fen = 10000,
                              .count = 100};
}

static void spec_defaults_are_filled(void **state)
{
    struct rain_spec s = good_spec();
    const char *field = "x";

    (void)state;
    assert_int_equal(rain_spec_check(&s, &field), RR_OK);
    assert_null(field);
    assert_int_equal(s.lo_fen, 1);
    assert_int_equal(s.hi_fen, 10000);
    assert_int_equal(s.limit, 1);
    assert_int_equal(s.shards, 1);
    assert_int_equal(s.split, RAIN_DOUBLE_MEAN);
    assert_int_equal(s.duration_ms, 30000);
}

static void spec_values_are_kept(void **state)
{
    struct rain_spec s = good_spec();
    const char *field = NULL;

    (void)state;
    s.lo_fen = 10;
    s.hi_fen = 300;
    s.limit = 3;
    s.shards = 64;
    s.split = RAIN_EQUAL;
    s.duration_ms = RR_DURATION_MAX_MS;
    assert_int_equal(rain_spec_check(&s, &field), RR_OK);
    assert_int_equal(s.lo_fen, 10);
    assert_int_equal(s.hi_fen, 300);
    assert_int_equal(s.limit, 3);
    assert_int_equal(s.shards, 64);
    assert_int_equal(s.split, RAIN_EQUAL);
    assert_int_equal(s.duration_ms, RR_DURATION_MAX_MS);
}

static void spec_default_shards_grow_with_packets(void **state)
{
    static const struct {
        uint32_t count;
        uint32_t shards;
    } t[] = {{1, 1}, {50000, 1}, {50001, 2}, {100000, 2}, {RR_PACKETS_MAX, 20}};

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(t); i++) {
        struct rain_spec s = good_spec();
        const char *field = NULL;

        s.total_fen = 10 * RR_PACKETS_MAX;
        s.count = t[i].count;
        assert_int_equal(rain_spec_check(&s, &field), RR_OK);
        assert_int_equal(s.shards, t[i].shards);
    }
}

/* One bad thing each. set() spoils a good spec. */
#define BAD(name, ...)                                                                             \
    static void bad_##name(struct rain_spec *s)                                                    \
    {                                                                                              \
        __VA_ARGS__;                                                                               \
    }
BAD(sender_zero, s->sender_id = 0)
BAD(sender_negative, s->sender_id = -1)
BAD(room_empty, s->room_id[0] = 0)
BAD(room_char, strcpy(s->room_id, "room 1"))
BAD(room_utf8, strcpy(s->room_id, "房间"))
BAD(room_unterminated, memset(s->room_id, 'r', sizeof(s->room_id)))
BAD(biz_id_empty, s->biz_id[0] = 0)
BAD(biz_id_space, strcpy(s->biz_id, "a b"))
BAD(biz_id_control, strcpy(s->biz_id, "a\n"))
BAD(biz_id_utf8, strcpy(s->biz_id, "\xc3\xa9"))
BAD(biz_id_del, strcpy(s->biz_id, "\x7f"))
BAD(biz_id_unterminated, memset(s->biz_id, 'b', sizeof(s->biz_id)))
BAD(text_utf8, strcpy(s->text, "\xff"))
BAD(text_control, strcpy(s->text, "a\x1b[0m"))
BAD(text_unterminated, memset(s->text, 't', sizeof(s->text)))
BAD(total_zero, s->total_fen = 0)
BAD(total_negative, s->total_fen = -5)
BAD(total_large, s->total_fen = RR_FEN_MAX + 1)
BAD(total_int64, s->total_fen = INT64_MAX)
BAD(count_zero, s->count = 0)
BAD(count_large, s->count = RR_PACKETS_MAX + 1)
BAD(count_above_fens, s->total_fen = 99)
BAD(count_times_lo, s->lo_fen = 101)
BAD(split_unknown, s->split = (enum rain_split)4)
BAD(split_negative, s->split = (enum rain_split) - 1)
BAD(lo_negative, s->lo_fen = -1)
BAD(lo_above_total, s->lo_fen = 10001)
BAD(hi_below_lo, s->lo_fen = 50; s->hi_fen = 49)
BAD(hi_negative, s->hi_fen = -1)
BAD(hi_too_small, s->hi_fen = 99)
BAD(hi_large, s->hi_fen = RR_FEN_MAX + 1)
BAD(hi_line_cut, s->split = RAIN_LINE_CUT; s->hi_fen = 9900)
BAD(limit_large, s->limit = RR_GRANT_LIMIT_MAX + 1)
BAD(shards_large, s->shards = RR_SHARDS_MAX + 1)
BAD(shards_above_count, s->count = 10; s->shards = 11)
BAD(duration_short, s->duration_ms = RR_DURATION_MIN_MS - 1)
BAD(duration_long, s->duration_ms = INT64_C(1) + RR_DURATION_MAX_MS)
BAD(duration_negative, s->duration_ms = -1)

static const struct {
    const char *what;
    const char *field;
    void (*spoil)(struct rain_spec *s);
} bad[] = {
#define ROW(name, field)                                                                           \
    {                                                                                              \
#name, field, bad_##name                                                                   \
    }
    ROW(sender_zero, "sender"),
    ROW(sender_negative, "sender"),
    ROW(room_empty, "room"),
    ROW(room_char, "room"),
    ROW(room_utf8, "room"),
    ROW(room_unterminated, "room"),
    ROW(biz_id_empty, "biz_id"),
    ROW(biz_id_space, "biz_id"),
    ROW(biz_id_control, "biz_id"),
    ROW(biz_id_utf8, "biz_id"),
    ROW(biz_id_del, "biz_id"),
    ROW(biz_id_unterminated, "biz_id"),
    ROW(text_utf8, "text"),
    ROW(text_control, "text"),
    ROW(text_unterminated, "text"),
    ROW(total_zero, "total"),
    ROW(total_negative, "total"),
    ROW(total_large, "total"),
    ROW(total_int64, "total"),
    ROW(count_zero, "count"),
    ROW(count_large, "count"),
    ROW(count_above_fens, "count"),
    ROW(count_times_lo, "count"),
    ROW(split_unknown, "split"),
    ROW(split_negative, "split"),
    ROW(lo_negative, "lo"),
    ROW(lo_above_total, "lo"),
    ROW(hi_below_lo, "hi"),
    ROW(hi_negative, "hi"),
    ROW(hi_too_small, "hi"),
    ROW(hi_large, "hi"),
    ROW(hi_line_cut, "hi"),
    ROW(limit_large, "limit"),
    ROW(shards_large, "shards"),
    ROW(shards_above_count, "shards"),
    ROW(duration_short, "duration_ms"),
    ROW(duration_long, "duration_ms"),
    ROW(duration_negative, "duration_ms"),
#undef ROW
};

static void spec_bad_names_the_field(void **state)
{
    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(bad); i++) {
        struct rain_spec s = good_spec();
        const char *field = NULL;

        bad[i].spoil(&s);
        if (rain_spec_check(&s, &field) != RR_BAD_REQUEST || strcmp(field, bad[i].field) != 0)
            fail_msg("%s: field %s", bad[i].what, field ? field : "none");
    }
}

static void spec_at_every_limit_passes(void **state)
{
    struct rain_spec s = good_spec();
    const char *field = NULL;

    (void)state;
    memset(s.room_id, 'r', RR_ROOM_ID_MAX);
    memset(s.biz_id, '~', RR_BIZ_ID_MAX);
    memset(s.text, 't', RR_TEXT_MAX_BYTES);
    s.total_fen = RR_FEN_MAX;
    s.count = RR_PACKETS_MAX;
    s.lo_fen = RR_FEN_MAX / RR_PACKETS_MAX;
    s.hi_fen = RR_FEN_MAX;
    s.limit = RR_GRANT_LIMIT_MAX;
    s.shards = RR_SHARDS_MAX;
    s.duration_ms = RR_DURATION_MIN_MS;
    assert_int_equal(rain_spec_check(&s, &field), RR_OK);
    s = good_spec();
    s.text[0] = 0;
    s.split = RAIN_LINE_CUT;
    s.hi_fen = 9901; /* what one packet gets when all others get lo */
    assert_int_equal(rain_spec_check(&s, &field), RR_OK);
}

/* ---- character sets ---- */

static void ids_have_their_charset(void **state)
{
    char long_room[RR_ROOM_ID_MAX + 2];

    (void)state;
    memset(long_room, 'a', sizeof(long_room));
    assert_true(rain_code_valid(rr_slice_str("AZaz09_-AZaz09_-AZaz09")));
    assert_false(rain_code_valid(rr_slice_str("AZaz09_-AZaz09_-AZaz0")));
    assert_false(rain_code_valid(rr_slice_str("AZaz09_-AZaz09_-AZaz099")));
    assert_false(rain_code_valid(rr_slice_str("AZaz09+/AZaz09_-AZaz09")));
    assert_false(rain_code_valid(rr_slice_of(NULL, 0)));
    assert_true(rain_room_id_valid(rr_slice_str("A-z_0")));
    assert_true(rain_room_id_valid(rr_slice_of(long_room, RR_ROOM_ID_MAX)));
    assert_false(rain_room_id_valid(rr_slice_of(long_room, RR_ROOM_ID_MAX + 1)));
    assert_false(rain_room_id_valid(rr_slice_str("")));
    assert_false(rain_room_id_valid(rr_slice_str("a:b")));
    assert_false(rain_room_id_valid(rr_slice_str("a{b}")));
    assert_false(rain_room_id_valid(rr_slice_of("a\0b", 3)));
    assert_true(rain_biz_code_valid(rr_slice_str("RED_PACKET_2")));
    assert_false(rain_biz_code_valid(rr_slice_str("red")));
    assert_false(rain_biz_code_valid(rr_slice_str("A-B")));
    assert_false(rain_biz_code_valid(rr_slice_str("")));
    assert_false(rain_biz_code_valid(rr_slice_of("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 33)));
}

static void utf8_accepts_only_well_formed_text(void **state)
{
    static const char *const good[] = {
        "",
        "plain ~",
        "\xc2\xa0",
        "\xdf\xbf",
        "\xe0\xa0\x80",
        "\xed\x9f\xbf",
        "\xee\x80\x80",
        "\xef\xbf\xbf",
        "\xf0\x90\x80\x80",
        "\xf4\x8f\xbf\xbf",
        "红包🧧",
    };
    static const char *const wrong[] = {
        "\n",
        "\x7f",
        "\xc2\x80",
        "\xc2\x9f",
        "\x80",
        "\xbf",
        "\xc0\xaf",
        "\xc1\xbf",
        "\xc3",
        "\xc3(",
        "\xc3\xc3",
        "\xe0\x9f\xbf",
        "\xe1\x80",
        "\xe1\x80(",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xf0\x8f\xbf\xbf",
        "\xf1\x80\x80",
        "\xf1\x80\x80(",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xff",
        "ok then \xe7\xba",
        "\t",
    };

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(good); i++) {
        if (!rain_utf8_valid(rr_slice_str(good[i])))
            fail_msg("good %zu", i);
    }
    for (size_t i = 0; i < RR_COUNTOF(wrong); i++) {
        if (rain_utf8_valid(rr_slice_str(wrong[i])))
            fail_msg("wrong %zu", i);
    }
    assert_false(rain_utf8_valid(rr_slice_of("a\0b", 3)));
}

static void code_new_is_valid_and_new(void **state)
{
    char a[RR_CODE_LEN + 1];
    char b[RR_CODE_LEN + 1];

    (void)state;
    rain_code_new(a);
    rain_code_new(b);
    assert_true(rain_code_valid(rr_slice_str(a)));
    assert_true(rain_code_valid(rr_slice_str(b)));
    assert_string_not_equal(a, b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transition_every_pair_matches_table),
        cmocka_unit_test(transition_outside_enums_conflicts),
        cmocka_unit_test(names_round_trip),
        cmocka_unit_test(spec_defaults_are_filled),
        cmocka_unit_test(spec_values_are_kept),
        cmocka_unit_test(spec_default_shards_grow_with_packets),
        cmocka_unit_test(spec_bad_names_the_field),
        cmocka_unit_test(spec_at_every_limit_passes),
        cmocka_unit_test(ids_have_their_charset),
        cmocka_unit_test(utf8_accepts_only_well_formed_text),
        cmocka_unit_test(code_new_is_valid_and_new),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
