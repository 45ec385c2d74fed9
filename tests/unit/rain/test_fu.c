/* The five cards: what a campaign may say, and that the odds hold, also when kinds run out and are held already. */
#include "cm.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "rain/fu.h"

#define CODE "AAAAAAAAAAAAAAAAAAAAAA"

/* Upper 0.01 % points of chi-square with 1 … 4 degrees of freedom: the seeds are fixed, so these either hold for ever or the
 * rule is wrong. */
static const double chi_square_max[FU_CARDS] = {0, 15.1, 18.4, 21.1, 23.5};

static struct fu_spec valid_spec(void)
{
    return (struct fu_spec){
        .sender_id = 9, .room_id = "r1", .biz_id = "b1", .pool_fen = 100000, .share_at_ms = 1000};
}

static void defaults_are_filled(void **state)
{
    static const uint32_t weight[FU_CARDS] = {3000, 2500, 2500, 1500, 500};
    struct fu_spec s = valid_spec();
    const char *field = NULL;

    (void)state;
    assert_int_equal(fu_spec_check(&s, &field), RR_OK);
    assert_memory_equal(s.weight, weight, sizeof(weight));
    for (unsigned i = 0; i < FU_CARDS; i++)
        assert_int_equal(s.stock[i], weight[i] * FU_STOCK_PER_WEIGHT);
    assert_int_equal(s.winners_max, RR_USERS_MAX);
    assert_int_equal(s.split, RAIN_DOUBLE_MEAN);
    assert_int_equal(s.day_draws, FU_DAY_DRAWS_DEFAULT);
    s = valid_spec();
    s.pool_fen = 7; /* every winner gets a fen at least */
    assert_int_equal(fu_spec_check(&s, &field), RR_OK);
    assert_int_equal(s.winners_max, 7);
}

static void assert_refused(struct fu_spec s, const char *bad)
{
    const char *field = NULL;

    assert_int_equal(fu_spec_check(&s, &field), RR_BAD_REQUEST);
    assert_string_equal(field, bad);
}

static void what_breaks_a_rule_is_named(void **state)
{
    struct fu_spec s = valid_spec();

    (void)state;
#define REFUSED(change, bad)                                                                       \
    do {                                                                                           \
        s = valid_spec();                                                                          \
        change;                                                                                    \
        assert_refused(s, bad);                                                                    \
    } while (0)
    REFUSED(s.sender_id = 0, "sender");
    REFUSED(strcpy(s.room_id, "a b"), "room");
    REFUSED(strcpy(s.biz_id, "a b"), "biz_id");
    REFUSED(s.biz_id[0] = 0, "biz_id");
    REFUSED(strcpy(s.text, "\xff"), "text");
    REFUSED(s.pool_fen = 0, "pool");
    REFUSED(s.pool_fen = RR_FEN_MAX + 1, "pool");
    REFUSED(s.winners_max = RR_USERS_MAX + 1, "winners");
    REFUSED((s.pool_fen = 10, s.winners_max = 11), "winners");
    REFUSED(s.day_draws = FU_DAY_DRAWS_MAX + 1, "day_draws");
    REFUSED(s.day_gifts = FU_DAY_GIFTS_MAX + 1, "day_gifts");
    REFUSED(s.split = RAIN_LINE_CUT, "split");
    REFUSED(s.weight[0] = 10000, "weights"); /* the others could never be drawn */
    REFUSED((memcpy(s.weight, (uint32_t[]){1, 1, 1, 1, 1}, sizeof(s.weight))), "weights");
    REFUSED(s.stock[4] = 1, "stock");
    REFUSED((memcpy(s.stock, (uint32_t[]){1, 1, 1, 1, FU_STOCK_MAX + 1}, sizeof(s.stock))),
            "stock");
#undef REFUSED
}

static void lists_are_five_numbers(void **state)
{
    static const char *const bad[] = {
        "",         "1,2,3,4",   "1,2,3,4,",   "1,2,3,4,5,", "1,2,3,4,5,6",           ",1,2,3,4,5",
        "1,2,,4,5", "1,2,3,4,x", "1,2,3,4,-5", "1 ,2,3,4,5", "1,2,3,4,99999999999999"};
    uint32_t v[FU_CARDS];

    (void)state;
    assert_true(fu_list_parse(rr_slice_str("3000,2500,2500,1500,500"), v));
    assert_int_equal(v[0], 3000);
    assert_int_equal(v[4], 500);
    for (size_t i = 0; i < RR_COUNTOF(bad); i++) {
        if (fu_list_parse(rr_slice_str(bad[i]), v))
            fail_msg("\"%s\" was taken", bad[i]);
    }
}

static void events_have_names(void **state)
{
    (void)state;
    assert_int_equal(fu_event_parse(rr_slice_str("join")), FU_EVENT_JOIN);
    assert_int_equal(fu_event_parse(rr_slice_str("signin")), FU_EVENT_SIGNIN);
    assert_int_equal(fu_event_parse(rr_slice_str("rain")), FU_EVENT_RAIN);
    assert_int_equal(fu_event_parse(rr_slice_str("")), 0);
    assert_int_equal(fu_event_parse(rr_slice_str("rains")), 0);
}

static void a_roll_is_one_and_the_same_for_ever(void **state)
{
    uint8_t seed[RAIN_SEED_BYTES] = {7};
    uint64_t first = fu_roll(seed, CODE, 1001, "join:1", 1000000);

    (void)state;
    assert_int_equal(fu_roll(seed, CODE, 1001, "join:1", 1000000), first);
    assert_int_not_equal(fu_roll(seed, CODE, 1001, "join:2", 1000000), first);
    assert_int_not_equal(fu_roll(seed, CODE, 1002, "join:1", 1000000), first);
    assert_int_not_equal(fu_roll(seed, "BAAAAAAAAAAAAAAAAAAAAA", 1001, "join:1", 1000000), first);
    seed[0] = 8;
    assert_int_not_equal(fu_roll(seed, CODE, 1001, "join:1", 1000000), first);
    assert_int_equal(fu_roll(seed, CODE, 1001, "join:1", 1), 0);
}

/* n users draw once with these odds: the counts must be as the odds say. */
static void assert_odds_hold(const uint32_t weight[FU_CARDS], const uint32_t left[FU_CARDS],
                             const uint32_t held[FU_CARDS], uint8_t seed_no)
{
    enum { N = 40000 };
    uint8_t seed[RAIN_SEED_BYTES] = {seed_no};
    uint64_t odds[FU_CARDS];
    uint64_t sum = fu_odds(weight, left, held, odds);
    uint32_t count[FU_CARDS] = {0};
    double chi = 0;
    int kinds = 0;

    for (int64_t user = 1; user <= N; user++)
        count[fu_pick(odds, fu_roll(seed, CODE, user, "join:1", sum))]++;
    for (unsigned i = 0; i < FU_CARDS; i++) {
        double expected = N * ((double)weight[i] / (held[i] + 1.0));
        double all = 0;

        for (unsigned k = 0; k < FU_CARDS; k++)
            all += left[k] ? (double)weight[k] / (held[k] + 1.0) : 0;
        expected = left[i] ? expected / all : 0;
        if (!left[i]) {
            assert_int_equal(count[i], 0);
            continue;
        }
        kinds++;
        chi += (count[i] - expected) * (count[i] - expected) / expected;
    }
    if (chi > chi_square_max[kinds - 1])
        fail_msg("seed %u: chi-square %f with %d kinds", seed_no, chi, kinds);
}

static void the_weights_hold(void **state)
{
    static const uint32_t weight[FU_CARDS] = {3000, 2500, 2500, 1500, 500};
    static const uint32_t even[FU_CARDS] = {2000, 2000, 2000, 2000, 2000};
    static const uint32_t plenty[FU_CARDS] = {9, 9, 9, 9, 9};
    static const uint32_t some[FU_CARDS] = {1, 0, 1, 0, 1};
    static const uint32_t none[FU_CARDS] = {0};
    static const uint32_t held[FU_CARDS] = {3, 1, 0, 7, 2};

    (void)state;
    for (uint8_t seed = 1; seed <= 3; seed++) {
        assert_odds_hold(weight, plenty, none, seed);
        assert_odds_hold(even, plenty, none, seed);
        assert_odds_hold(weight, plenty, held, seed);
        assert_odds_hold(weight, some, held, seed);
    }
}

static void the_odds_are_the_weight_over_held_plus_one(void **state)
{
    static const uint32_t weight[FU_CARDS] = {3000, 2500, 2500, 1500, 500};
    static const uint32_t held[FU_CARDS] = {2, 0, 4, 0, 0};
    uint32_t left[FU_CARDS] = {1, 1, 1, 0, 1};
    uint64_t odds[FU_CARDS];

    (void)state;
    assert_int_equal(fu_odds(weight, left, held, odds),
                     1000000000 + 2500000000 + 500000000 + 500000000);
    assert_int_equal(odds[0], 1000000000);
    assert_int_equal(odds[1], 2500000000);
    assert_int_equal(odds[2], 500000000);
    assert_int_equal(odds[3], 0);
    assert_int_equal(odds[4], 500000000);
    assert_int_equal(fu_pick(odds, 999999999), 0);
    assert_int_equal(fu_pick(odds, 1000000000), 1);
    assert_int_equal(fu_pick(odds, 3999999999), 2);
    assert_int_equal(fu_pick(odds, 4000000000), 4);
    assert_int_equal(fu_pick(odds, 4499999999), 4);
    memset(left, 0, sizeof(left));
    assert_int_equal(fu_odds(weight, left, held, odds), 0);
}

/* Drawing on until all five are there takes fewer draws than with fixed odds. */
static void who_lacks_a_kind_gets_it_sooner(void **state)
{
    static const uint32_t weight[FU_CARDS] = {3000, 2500, 2500, 1500, 500};
    static const uint32_t plenty[FU_CARDS] = {9, 9, 9, 9, 9};
    static const uint32_t none[FU_CARDS] = {0};
    uint8_t seed[RAIN_SEED_BYTES] = {1};
    int64_t draws[2] = {0};

    (void)state;
    for (int64_t user = 1; user <= 500; user++) {
        for (int adjusted = 0; adjusted < 2; adjusted++) {
            uint32_t held[FU_CARDS] = {0};

            for (int n = 0; !(held[0] && held[1] && held[2] && held[3] && held[4]); n++) {
                char event[16];
                uint64_t odds[FU_CARDS];
                uint64_t sum = fu_odds(weight, plenty, adjusted ? held : none, odds);

                snprintf(event, sizeof(event), "join:%d", n);
                held[fu_pick(odds, fu_roll(seed, CODE, user, event, sum))]++;
                draws[adjusted]++;
            }
        }
    }
    assert_true(draws[1] * 3 < draws[0] * 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_filled),
        cmocka_unit_test(what_breaks_a_rule_is_named),
        cmocka_unit_test(lists_are_five_numbers),
        cmocka_unit_test(events_have_names),
        cmocka_unit_test(a_roll_is_one_and_the_same_for_ever),
        cmocka_unit_test(the_weights_hold),
        cmocka_unit_test(the_odds_are_the_weight_over_held_plus_one),
        cmocka_unit_test(who_lacks_a_kind_gets_it_sooner),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
