/* For each rule of behaviour a crowd of bots that it flags; and people, of whom the rules with their default numbers flag fewer
 * than one in a thousand. The models are in crowd.h; they are deterministic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "crowd.h"

enum { PEOPLE = 40000, PER_ADDRESS = 200, BOTS = 1000 };

static struct risk_rules defaults(void)
{
    struct rr_conf c;
    struct risk_rules r;
    char message[200];

    assert_int_equal(rr_conf_load(&c, NULL, NULL, 0, message, sizeof(message)), RR_OK);
    risk_rules_read(&r, &c);
    rr_conf_fini(&c);
    return r;
}

static struct risk_watch *watch_new(void)
{
    return risk_watch_create(&(struct risk_watch_opts){.users_max = 100000});
}

/* How many of the bots a rule finds. */
static uint32_t found(const struct actor *bot, uint32_t n, enum risk_rule rule)
{
    struct risk_watch *w = watch_new();
    struct risk_rules rules = defaults();
    struct rng r = {.s = 42};
    uint32_t hits = 0;

    for (uint32_t i = 0; i < n; i++) {
        struct actor a = *bot;

        a.user_id = bot->user_id ? bot->user_id : 1000 + i;
        hits += crowd_play(w, &rules, &r, &a) == rule;
    }
    risk_watch_destroy(w);
    return hits;
}

static void people_are_left_alone(void **state)
{
    struct risk_rules rules = defaults();
    uint32_t flagged[RISK_RULES + 1] = {0};
    uint32_t sum = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct risk_watch *w = watch_new();
        struct rng r = {.s = seed};

        for (int i = 0; i < PEOPLE; i++) {
            struct actor a = {.user_id = 1000 + i, .address = 1 + (uint64_t)(i / PER_ADDRESS)};

            flagged[crowd_play(w, &rules, &r, &a)]++;
        }
        risk_watch_destroy(w);
    }
    for (int i = 0; i < RISK_RULES; i++) {
        if (flagged[i])
            print_message("%s flagged %u of %d people\n", risk_rule_name((enum risk_rule)i),
                          flagged[i], 3 * PEOPLE);
        sum += flagged[i];
    }
    assert_true(sum * 1000 < 3 * PEOPLE);
}

static void hammering_bots_are_denied(void **state)
{
    const struct actor bot = {.gap_ms = 30, .jitter_ms = 15};

    (void)state;
    assert_in_range(found(&bot, BOTS, RISK_RATE), BOTS * 99 / 100, BOTS);
}

static void bots_that_begin_before_the_opening_are_denied(void **state)
{
    const struct actor bot = {.gap_ms = 60, .jitter_ms = 30, .early_ms = 5000};

    (void)state;
    assert_in_range(found(&bot, BOTS, RISK_EARLY), BOTS * 99 / 100, BOTS);
}

static void timers_are_held(void **state)
{
    const struct actor fast = {.gap_ms = 200, .jitter_ms = 4};
    const struct actor slow = {.gap_ms = 1000, .jitter_ms = 10};

    (void)state;
    assert_in_range(found(&fast, BOTS, RISK_STEADY), BOTS * 99 / 100, BOTS);
    assert_in_range(found(&slow, BOTS, RISK_STEADY), BOTS * 99 / 100, BOTS);
}

static void a_farm_behind_one_address_is_held(void **state)
{
    const struct actor bot = {.address = 99};

    (void)state;
    /* Everybody after the first 500. */
    assert_in_range(found(&bot, 5000, RISK_ADDRESS), 4450, 4500);
}

static void accounts_made_for_it_are_held(void **state)
{
    const struct actor bot = {.age_s = 5};

    (void)state;
    assert_in_range(found(&bot, BOTS, RISK_FRESH), BOTS * 99 / 100, BOTS);
}

static void senders_are_denied(void **state)
{
    const struct actor sender = {.user_id = 5, .sender_id = 5};

    (void)state;
    assert_int_equal(found(&sender, 10, RISK_OWN), 10);
}

/* What the rules do not see: a bot that draws its pauses like a thumb, an old account, an address for every few. */
static void a_bot_that_acts_like_people_is_not_found(void **state)
{
    const struct actor bot = {.gap_ms = 200, .jitter_ms = 45, .age_s = 999999};
    uint32_t hits = 0;

    (void)state;
    for (int rule = 0; rule < RISK_RULES; rule++)
        hits += found(&bot, 200, (enum risk_rule)rule);
    assert_in_range(hits, 0, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(people_are_left_alone),
        cmocka_unit_test(hammering_bots_are_denied),
        cmocka_unit_test(bots_that_begin_before_the_opening_are_denied),
        cmocka_unit_test(timers_are_held),
        cmocka_unit_test(a_farm_behind_one_address_is_held),
        cmocka_unit_test(accounts_made_for_it_are_held),
        cmocka_unit_test(senders_are_denied),
        cmocka_unit_test(a_bot_that_acts_like_people_is_not_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
