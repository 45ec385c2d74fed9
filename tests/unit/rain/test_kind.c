#include "cm.h"

#include <stdlib.h>
#include <string.h>

#include "rain/rain.h"

enum { DAY_S = 24 * 3600 };
#define NOW_MS INT64_C(1800000000000)

static const int64_t one[] = {7};
static const int64_t two[] = {7, 9};
static const int64_t unsorted[] = {9, 7};
static const int64_t twice[] = {7, 7};
static const int64_t nobody[] = {0};

static struct rain_spec spec_of(enum rain_kind kind)
{
    struct rain_spec s = {.kind = kind,
                          .by = KIND_BY_BACKEND,
                          .sender_id = 5,
                          .room_id = "r1",
                          .biz_id = "b1",
                          .total_fen = 1000,
                          .count = 2};

    if (kind == KIND_ENTERPRISE) {
        s.users = two;
        s.users_n = 2;
    } else if (kind == KIND_PERSONAL) {
        s.users = one;
        s.users_n = 1;
        s.count = 1;
    }
    return s;
}

static void each_kind_has_a_row(void **state)
{
    static const char *const names[] = {"rain",       "group",    "equal",
                                        "enterprise", "personal", "marketing"};

    (void)state;
    for (unsigned i = 0; i < RR_COUNTOF(names); i++) {
        enum rain_kind kind = rain_kind_parse(rr_slice_str(names[i]));
        struct rain_spec s = spec_of(kind);
        const char *field = NULL;

        assert_int_equal(kind, i + 1);
        assert_string_equal(rain_kind_name(kind), names[i]);
        assert_non_null(rain_kind_rule(kind)->zh);
        if (rain_spec_check(&s, &field) != RR_OK)
            fail_msg("%s: %s", names[i], field);
    }
    assert_int_equal(rain_kind_parse(rr_slice_str("Rain")), 0);
    assert_int_equal(rain_kind_parse(rr_slice_str("")), 0);
    assert_string_equal(rain_kind_name((enum rain_kind)0), "?");
    assert_null(rain_kind_rule((enum rain_kind)7));
}

static void who_may_create_what(void **state)
{
    static const struct {
        enum rain_kind kind;
        bool anchor, sender, backend;
    } rows[] = {
        {KIND_RAIN, true, false, true},    {KIND_GROUP, true, true, true},
        {KIND_EQUAL, true, true, true},    {KIND_ENTERPRISE, true, true, true},
        {KIND_PERSONAL, true, true, true}, {KIND_MARKETING, false, false, true},
    };

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(rows); i++) {
        const unsigned by[] = {KIND_BY_ANCHOR, KIND_BY_SENDER, KIND_BY_BACKEND};
        const bool may[] = {rows[i].anchor, rows[i].sender, rows[i].backend};

        for (size_t b = 0; b < RR_COUNTOF(by); b++) {
            struct rain_spec s = spec_of(rows[i].kind);
            const char *field = NULL;

            s.by = by[b];
            assert_int_equal(rain_spec_check(&s, &field), may[b] ? RR_OK : RR_BAD_REQUEST);
            if (!may[b])
                assert_string_equal(field, "kind");
        }
    }
}

#define BAD(name, of, ...)                                                                         \
    static struct rain_spec bad_##name(void)                                                       \
    {                                                                                              \
        struct rain_spec s = spec_of(KIND_##of);                                                   \
        __VA_ARGS__;                                                                               \
        return s;                                                                                  \
    }
BAD(unknown, RAIN, s.kind = (enum rain_kind)7)
BAD(rain_list, RAIN, s.users = one; s.users_n = 1)
BAD(group_list, GROUP, s.users = one; s.users_n = 1)
BAD(enterprise_without, ENTERPRISE, s.users_n = 0)
BAD(unsorted, ENTERPRISE, s.users = unsorted)
BAD(twice, ENTERPRISE, s.users = twice)
BAD(nobody, PERSONAL, s.users = nobody)
BAD(personal_two, PERSONAL, s.users = two; s.users_n = 2)
BAD(more_than_they_may_have, ENTERPRISE, s.count = 3)
BAD(personal_count, PERSONAL, s.count = 2)
BAD(personal_limit, PERSONAL, s.limit = 2)
BAD(rain_level, RAIN, s.min_level = 1)
BAD(personal_level, PERSONAL, s.min_level = 1)
BAD(level_large, MARKETING, s.min_level = UINT32_MAX)
BAD(rain_new, RAIN, s.new_user_days = 1)
BAD(new_large, MARKETING, s.new_user_days = RR_NEW_USER_DAYS_MAX + 1)
BAD(equal_split, EQUAL, s.split = RAIN_LINE_CUT)
BAD(group_random, GROUP, s.random = true)
BAD(random_total, PERSONAL, s.random = true; s.hi_fen = 2000)
BAD(send_later, GROUP, s.send = true; s.start_at_ms = NOW_MS)

static void bad_requests_name_the_field(void **state)
{
    static const struct {
        struct rain_spec (*make)(void);
        const char *field;
    } rows[] = {
        {bad_unknown, "kind"},
        {bad_rain_list, "users"},
        {bad_group_list, "users"},
        {bad_enterprise_without, "users"},
        {bad_unsorted, "users"},
        {bad_twice, "users"},
        {bad_nobody, "users"},
        {bad_personal_two, "users"},
        {bad_more_than_they_may_have, "count"},
        {bad_personal_count, "count"},
        {bad_personal_limit, "limit"},
        {bad_rain_level, "level"},
        {bad_personal_level, "level"},
        {bad_level_large, "level"},
        {bad_rain_new, "new_days"},
        {bad_new_large, "new_days"},
        {bad_equal_split, "split"},
        {bad_group_random, "random"},
        {bad_random_total, "random"},
        {bad_send_later, "start_at"},
    };

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(rows); i++) {
        struct rain_spec s = rows[i].make();
        const char *field = NULL;

        if (rain_spec_check(&s, &field) != RR_BAD_REQUEST || strcmp(field, rows[i].field) != 0)
            fail_msg("row %zu: %s instead of %s", i, field ? field : "ok", rows[i].field);
    }
}

static void kinds_fill_their_defaults(void **state)
{
    struct rain_spec s = spec_of(KIND_EQUAL);
    const char *field = NULL;

    (void)state;
    assert_int_equal(rain_spec_check(&s, &field), RR_OK);
    assert_int_equal(s.split, RAIN_EQUAL);
    assert_int_equal(s.duration_ms, 0); /* until it expires */
    s = spec_of(KIND_PERSONAL);
    s.count = 0;
    assert_int_equal(rain_spec_check(&s, &field), RR_OK);
    assert_int_equal(s.count, 1);
    s = spec_of(KIND_PERSONAL);
    s.random = true;
    s.total_fen = 0;
    s.lo_fen = 10;
    s.hi_fen = 90;
    assert_int_equal(rain_spec_check(&s, &field), RR_OK);
    assert_int_equal(s.total_fen, 90);
}

static void times_are_filled_and_bounded(void **state)
{
    struct rain_spec s = spec_of(KIND_GROUP);

    (void)state;
    assert_null(rain_times_check(&s, NOW_MS));
    assert_int_equal(s.expire_at_ms, NOW_MS + INT64_C(1000) * DAY_S);
    assert_int_equal(s.start_at_ms, 0);
    s = spec_of(KIND_RAIN);
    s.start_at_ms = NOW_MS + 5000;
    assert_null(rain_times_check(&s, NOW_MS));
    assert_int_equal(s.expire_at_ms, NOW_MS + 5000 + INT64_C(7000) * DAY_S);
    s = spec_of(KIND_GROUP);
    s.send = true;
    assert_null(rain_times_check(&s, NOW_MS));
    assert_int_equal(s.start_at_ms, NOW_MS);
    s = spec_of(KIND_MARKETING);
    s.new_user_days = 3;
    assert_null(rain_times_check(&s, NOW_MS));
    assert_int_equal(s.new_since_s, NOW_MS / 1000 - INT64_C(3) * DAY_S);

    s = spec_of(KIND_RAIN);
    s.start_at_ms = NOW_MS - 1;
    assert_string_equal(rain_times_check(&s, NOW_MS), "start_at");
    s.start_at_ms = NOW_MS + RR_EXPIRE_MAX_MS + 1;
    assert_string_equal(rain_times_check(&s, NOW_MS), "start_at");
    s.start_at_ms = NOW_MS + 9000;
    s.expire_at_ms = NOW_MS + 9000;
    assert_string_equal(rain_times_check(&s, NOW_MS), "expire_at");
    s.start_at_ms = 0;
    s.expire_at_ms = NOW_MS + RR_EXPIRE_MAX_MS + 1;
    assert_string_equal(rain_times_check(&s, NOW_MS), "expire_at");
    s.expire_at_ms = -1;
    assert_string_equal(rain_times_check(&s, NOW_MS), "expire_at");
}

static void a_random_amount_is_between_its_bounds(void **state)
{
    struct rain_spec s = spec_of(KIND_PERSONAL);
    bool seen[3] = {false};

    (void)state;
    s.lo_fen = 10;
    s.hi_fen = 12;
    for (int i = 0; i < 300; i++) {
        rain_draw_total(&s);
        assert_in_range(s.total_fen, 10, 12);
        seen[s.total_fen - 10] = true;
    }
    assert_true(seen[0] && seen[1] && seen[2]);
    s.hi_fen = 10;
    rain_draw_total(&s);
    assert_int_equal(s.total_fen, 10);
}

static void lists_are_read_sorted_and_bounded(void **state)
{
    static const char *const bad[] = {"1,", ",1", "1,,2", "0", "01",  "-1",
                                      "+1", "1 ", " 1",   "a", "1;2", "9223372036854775808"};
    struct rr_slice none = {0};
    int64_t *ids = NULL;
    uint32_t n = 9;
    char text[2 * (RR_USERS_MAX + 1)];

    (void)state;
    assert_int_equal(rain_users_parse(none, &ids, &n), RR_OK);
    assert_int_equal(n, 0);
    assert_null(ids);
    assert_int_equal(rain_users_parse(rr_slice_str("30,4,9223372036854775807,4"), &ids, &n), RR_OK);
    assert_int_equal(n, 3);
    assert_int_equal(ids[0], 4);
    assert_int_equal(ids[1], 30);
    assert_int_equal(ids[2], INT64_MAX);
    free(ids);
    for (size_t i = 0; i < RR_COUNTOF(bad); i++) {
        if (rain_users_parse(rr_slice_str(bad[i]), &ids, &n) != RR_BAD_REQUEST || ids || n)
            fail_msg("\"%s\"", bad[i]);
    }
    for (size_t i = 0; i <= RR_USERS_MAX; i++)
        memcpy(text + 2 * i, "7,", 2);
    assert_int_equal(rain_users_parse(rr_slice_of(text, sizeof(text) - 1), &ids, &n), RR_TOO_BIG);
    assert_int_equal(rain_users_parse(rr_slice_of(text, sizeof(text) - 3), &ids, &n), RR_OK);
    assert_int_equal(n, 1);
    free(ids);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_has_a_row),
        cmocka_unit_test(who_may_create_what),
        cmocka_unit_test(bad_requests_name_the_field),
        cmocka_unit_test(kinds_fill_their_defaults),
        cmocka_unit_test(times_are_filled_and_bounded),
        cmocka_unit_test(a_random_amount_is_between_its_bounds),
        cmocka_unit_test(lists_are_read_sorted_and_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
