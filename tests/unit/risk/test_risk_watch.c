/* Each rule by itself, what two workers tell each other, and that memory stays bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "risk/watch.h"

enum { RAIN = 77, MINUTE_MS = 60000 };

static struct risk_rules only(enum risk_rule r, int64_t bound)
{
    struct risk_rules rules = {.day_offset_ms = 0};

    rules.v[r] = bound;
    return rules;
}

static struct risk_tap tap(int64_t user_id, int64_t now_ms)
{
    return (struct risk_tap){.user_id = user_id,
                             .sender_id = 9000,
                             .rain = RAIN,
                             .now_ms = now_ms,
                             .opens_ms = 5000,
                             .at_us = now_ms * 1000};
}

static struct risk_watch *watch_new(void)
{
    return risk_watch_create(&(struct risk_watch_opts){.users_max = 0});
}

static void a_sender_may_not_grab_his_own(void **state)
{
    struct risk_watch *w = watch_new();
    struct risk_rules rules = only(RISK_OWN, 1);
    struct risk_rules off = only(RISK_OWN, 0);
    struct risk_tap t = tap(9000, 0);
    struct risk_tap unknown = tap(7, 0);

    (void)state;
    unknown.sender_id = 0;
    assert_int_equal(risk_watch_tap(w, &rules, &t).rule, RISK_OWN);
    assert_int_equal(risk_watch_tap(w, &off, &t).rule, RISK_NONE);
    t.user_id = 8;
    assert_int_equal(risk_watch_tap(w, &rules, &t).rule, RISK_NONE);
    assert_int_equal(risk_watch_tap(w, &rules, &unknown).rule, RISK_NONE);
    risk_watch_destroy(w);
    risk_watch_destroy(NULL);
}

static void grabs_of_a_minute_are_counted(void **state)
{
    struct risk_watch *w = watch_new();
    struct risk_rules rules = only(RISK_RATE, 3);
    struct risk_tap t = tap(7, MINUTE_MS);
    struct risk_tap other = tap(8, MINUTE_MS);
    struct risk_verdict v;

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(risk_watch_tap(w, &rules, &t).rule, RISK_NONE);
    t.again = true; /* also a retry is a grab */
    v = risk_watch_tap(w, &rules, &t);
    assert_int_equal(v.rule, RISK_RATE);
    assert_int_equal(v.seen, 4);
    assert_int_equal(v.bound, 3);
    assert_int_equal(risk_watch_tap(w, &rules, &other).rule, RISK_NONE);
    t.now_ms += MINUTE_MS;
    assert_int_equal(risk_watch_tap(w, &rules, &t).rule, RISK_NONE);
    risk_watch_destroy(w);
}

static void early_grabs_count_per_rain(void **state)
{
    struct risk_watch *w = watch_new();
    struct risk_rules rules = only(RISK_EARLY, 2);
    struct risk_tap t = tap(7, 1000);
    struct risk_tap retry = tap(7, 1000);

    (void)state;
    retry.early = true;
    retry.again = true;
    t.early = true;
    for (int i = 0; i < 2; i++)
        assert_int_equal(risk_watch_tap(w, &rules, &t).rule, RISK_NONE);
    assert_int_equal(risk_watch_tap(w, &rules, &retry).rule, RISK_NONE);
    assert_int_equal(risk_watch_tap(w, &rules, &t).rule, RISK_EARLY);
    t.early = false; /* open now: denied for this rain */
    assert_int_equal(risk_watch_tap(w, &rules, &t).rule, RISK_EARLY);
    for (uint64_t rain = 1; rain <= RISK_RAINS_PER_USER - 1; rain++) {
        t.rain = rain;
        assert_int_equal(risk_watch_tap(w, &rules, &t).rule, RISK_NONE);
        t.early = true;
        assert_int_equal(risk_watch_tap(w, &rules, &t).rule, RISK_NONE);
        t.early = false;
    }
    t.rain = RAIN;
    assert_int_equal(risk_watch_tap(w, &rules, &t).rule, RISK_EARLY);
    risk_watch_destroy(w);
}

static enum risk_rule taps_every(struct risk_watch *w, int64_t user_id, const int64_t *gaps_ms,
                                 int n, int rounds)
{
    struct risk_rules rules = only(RISK_STEADY, 5);
    struct risk_tap t = tap(user_id, 1000);
    enum risk_rule last = RISK_NONE;

    for (int i = 0; i < rounds; i++) {
        last = risk_watch_tap(w, &rules, &t).rule;
        t.now_ms += gaps_ms[i % n];
        t.at_us = t.now_ms * 1000;
    }
    return last;
}

static void a_clock_is_no_thumb(void **state)
{
    struct risk_watch *w = watch_new();
    const int64_t clock[] = {200};
    const int64_t nearly[] = {200, 205, 196, 203};
    const int64_t human[] = {180, 240, 150, 310, 200};
    const int64_t slow[] = {11000};
    const int64_t fast[] = {10};

    (void)state;
    assert_int_equal(taps_every(w, 1, clock, 1, RISK_STEADY_TAPS), RISK_NONE);
    assert_int_equal(taps_every(w, 2, clock, 1, RISK_STEADY_TAPS + 1), RISK_STEADY);
    assert_int_equal(taps_every(w, 3, nearly, 4, 40), RISK_STEADY);
    assert_int_equal(taps_every(w, 4, human, 5, 400), RISK_NONE);
    assert_int_equal(taps_every(w, 5, slow, 1, 40), RISK_NONE);
    assert_int_equal(taps_every(w, 6, fast, 1, 40), RISK_NONE);
    risk_watch_destroy(w);
}

static void a_pause_begins_a_new_series(void **state)
{
    struct risk_watch *w = watch_new();
    struct risk_rules rules = only(RISK_STEADY, 5);
    struct risk_tap t = tap(7, 1000);

    (void)state;
    for (int i = 0; i < 30; i++) {
        enum risk_rule r = risk_watch_tap(w, &rules, &t).rule;

        assert_int_equal(r, i < RISK_STEADY_TAPS ? RISK_NONE : RISK_STEADY);
        t.at_us += 200000;
    }
    t.again = true; /* the client's own retries neither help nor harm */
    t.at_us += 3000;
    assert_int_equal(risk_watch_tap(w, &rules, &t).rule, RISK_NONE);
    t.again = false;
    t.at_us += 61000000;
    assert_int_equal(risk_watch_tap(w, &rules, &t).rule, RISK_NONE);
    risk_watch_destroy(w);
}

static void users_of_an_address_are_counted_once_each(void **state)
{
    struct risk_watch *w = watch_new();
    struct risk_rules rules = only(RISK_ADDRESS, 5);
    struct risk_tap t = tap(1, 1000);

    (void)state;
    t.address = 42;
    for (int i = 0; i < 50; i++) {
        t.user_id = 1 + i % 5;
        assert_int_equal(risk_watch_tap(w, &rules, &t).rule, RISK_NONE);
    }
    t.user_id = 6;
    assert_int_equal(risk_watch_tap(w, &rules, &t).rule, RISK_ADDRESS);
    t.user_id = 1;
    assert_int_equal(risk_watch_tap(w, &rules, &t).rule, RISK_ADDRESS);
    t.address = 43;
    assert_int_equal(risk_watch_tap(w, &rules, &t).rule, RISK_NONE);
    t.address = 0;
    assert_int_equal(risk_watch_tap(w, &rules, &t).rule, RISK_NONE);
    t.address = 42;
    t.now_ms += RISK_ADDRESS_WINDOW_MS;
    assert_int_equal(risk_watch_tap(w, &rules, &t).rule, RISK_NONE);
    risk_watch_destroy(w);
}

static void an_account_grows_up(void **state)
{
    struct risk_watch *w = watch_new();
    struct risk_rules rules = only(RISK_FRESH, 60);
    struct risk_tap t = tap(1, 1000000);

    (void)state;
    t.since_s = 1000 - 59;
    assert_int_equal(risk_watch_tap(w, &rules, &t).rule, RISK_FRESH);
    t.since_s = 1000 - 60;
    assert_int_equal(risk_watch_tap(w, &rules, &t).rule, RISK_NONE);
    t.since_s = 0;
    assert_int_equal(risk_watch_tap(w, &rules, &t).rule, RISK_NONE);
    risk_watch_destroy(w);
}

static void what_denies_comes_before_what_holds(void **state)
{
    struct risk_watch *w = watch_new();
    struct risk_rules rules = only(RISK_FRESH, 60);
    struct risk_tap t = tap(9000, 1000000);

    (void)state;
    rules.v[RISK_OWN] = 1;
    t.since_s = 1000;
    assert_int_equal(risk_watch_tap(w, &rules, &t).rule, RISK_OWN);
    risk_watch_destroy(w);
}

/* ---- two workers ---- */

static int64_t sums[64]; /* by counter id */

static void exchange(struct risk_watch *w, const struct risk_rules *rules)
{
    struct risk_share shares[64];
    uint32_t n = risk_watch_collect(w, rules, shares, 64);

    for (uint32_t i = 0; i < n; i++) {
        int64_t *sum = &sums[shares[i].id % 64];

        *sum += shares[i].delta;
        risk_watch_merge(w, &shares[i], *sum);
    }
}

static void counts_of_two_workers_add_up(void **state)
{
    struct risk_watch *a = watch_new();
    struct risk_watch *b = watch_new();
    struct risk_rules rules = only(RISK_RATE, 32);
    struct risk_tap t = tap(7, 1000);
    int allowed = 0;

    (void)state;
    memset(sums, 0, sizeof(sums));
    for (int i = 0; i < 100; i++) {
        struct risk_watch *w = i % 2 ? a : b;

        allowed += risk_watch_tap(w, &rules, &t).rule == RISK_NONE;
        exchange(a, &rules);
        exchange(b, &rules);
    }
    /* Told from bound / 16 on; then a worker knows the other's part one exchange late at most. */
    assert_in_range(allowed, 32, 34);
    assert_int_equal(sums[7], 100);
    risk_watch_destroy(a);
    risk_watch_destroy(b);
}

static void small_counts_are_kept_to_oneself(void **state)
{
    struct risk_watch *w = watch_new();
    struct risk_rules rules = only(RISK_RATE, 320);
    struct risk_share out[16];
    struct risk_tap t = tap(7, 1000);

    (void)state;
    for (int i = 0; i < 19; i++)
        (void)risk_watch_tap(w, &rules, &t);
    assert_int_equal(risk_watch_collect(w, &rules, out, 16), 0);
    (void)risk_watch_tap(w, &rules, &t);
    assert_int_equal(risk_watch_collect(w, &rules, out, 16), 1);
    assert_int_equal(out[0].delta, 20);
    assert_int_equal(out[0].rule, RISK_RATE);
    assert_int_equal(risk_watch_collect(w, &rules, out, 16), 0);
    /* Not added after all: told again. */
    risk_watch_unsend(w, &out[0]);
    assert_int_equal(risk_watch_collect(w, &rules, out, 16), 1);
    assert_int_equal(out[0].delta, 20);
    /* An answer for a window that is over, or for somebody forgotten, changes nothing. */
    out[0].window--;
    risk_watch_merge(w, &out[0], 1000);
    risk_watch_unsend(w, &out[0]);
    out[0].user_id = 12345;
    risk_watch_merge(w, &out[0], 1000);
    assert_int_equal(risk_watch_tap(w, &rules, &t).rule, RISK_NONE);
    risk_watch_destroy(w);
}

static void early_counts_are_shared_too(void **state)
{
    struct risk_watch *a = watch_new();
    struct risk_watch *b = watch_new();
    struct risk_rules rules = only(RISK_EARLY, 10);
    struct risk_tap t = tap(7, 1000);

    (void)state;
    memset(sums, 0, sizeof(sums));
    t.early = true;
    for (int i = 0; i < 6; i++) {
        assert_int_equal(risk_watch_tap(a, &rules, &t).rule, RISK_NONE);
        exchange(a, &rules);
    }
    for (int i = 0; i < 5; i++) {
        (void)risk_watch_tap(b, &rules, &t);
        exchange(b, &rules);
    }
    t.early = false;
    assert_int_equal(risk_watch_tap(b, &rules, &t).rule, RISK_EARLY);
    risk_watch_destroy(a);
    risk_watch_destroy(b);
}

static void a_crowd_of_two_workers_adds_up(void **state)
{
    struct risk_watch *w = watch_new();
    struct risk_rules rules = only(RISK_ADDRESS, 32);
    struct risk_crowd crowd;
    struct risk_tap t = tap(1, 1000);

    (void)state;
    t.address = 42;
    (void)risk_watch_tap(w, &rules, &t);
    assert_false(risk_watch_collect_crowd(w, &rules, &crowd));
    t.user_id = 2;
    (void)risk_watch_tap(w, &rules, &t);
    assert_true(risk_watch_collect_crowd(w, &rules, &crowd));
    assert_int_equal(crowd.address, 42);
    assert_int_equal(crowd.n, 2);
    assert_int_equal(crowd.users[1], 2);
    assert_false(risk_watch_collect_crowd(w, &rules, &crowd));
    t.user_id = 3;
    (void)risk_watch_tap(w, &rules, &t);
    assert_true(risk_watch_collect_crowd(w, &rules, &crowd));
    assert_int_equal(crowd.n, 1);
    risk_watch_merge_crowd(w, 42, crowd.window, 33);
    risk_watch_merge_crowd(w, 41, crowd.window, 33);
    assert_int_equal(risk_watch_tap(w, &rules, &t).rule, RISK_ADDRESS);
    risk_watch_destroy(w);
}

/* ---- memory ---- */

static void who_was_not_seen_for_longest_is_forgotten(void **state)
{
    struct risk_watch *w = risk_watch_create(
        &(struct risk_watch_opts){.users_max = 10, .addresses_max = 5, .members_max = 8});
    struct risk_rules rules = only(RISK_RATE, 2);
    struct risk_watch_counters c;
    struct risk_tap t = tap(1, 1000);

    (void)state;
    rules.v[RISK_ADDRESS] = 2;
    for (int i = 0; i < 3; i++)
        (void)risk_watch_tap(w, &rules, &t);
    for (int64_t user = 2; user <= 10; user++) {
        t.user_id = user;
        t.address = (uint64_t)user;
        (void)risk_watch_tap(w, &rules, &t);
    }
    t.user_id = 1;
    t.address = 0;
    assert_int_equal(risk_watch_tap(w, &rules, &t).rule, RISK_RATE);
    t.user_id = 11; /* 2 goes */
    (void)risk_watch_tap(w, &rules, &t);
    risk_watch_counters(w, &c);
    assert_int_equal(c.users, 10);
    assert_int_equal(c.addresses, 5);
    assert_true(c.forgotten >= 5);
    for (int64_t user = 100; user < 200; user++) {
        t.user_id = user;
        t.address = 1000;
        (void)risk_watch_tap(w, &rules, &t);
    }
    risk_watch_counters(w, &c);
    assert_in_range(c.members, 1, 8);
    assert_int_equal(c.users, 10);
    risk_watch_destroy(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sender_may_not_grab_his_own),
        cmocka_unit_test(grabs_of_a_minute_are_counted),
        cmocka_unit_test(early_grabs_count_per_rain),
        cmocka_unit_test(a_clock_is_no_thumb),
        cmocka_unit_test(a_pause_begins_a_new_series),
        cmocka_unit_test(users_of_an_address_are_counted_once_each),
        cmocka_unit_test(an_account_grows_up),
        cmocka_unit_test(what_denies_comes_before_what_holds),
        cmocka_unit_test(counts_of_two_workers_add_up),
        cmocka_unit_test(small_counts_are_kept_to_oneself),
        cmocka_unit_test(early_counts_are_shared_too),
        cmocka_unit_test(a_crowd_of_two_workers_adds_up),
        cmocka_unit_test(who_was_not_seen_for_longest_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
