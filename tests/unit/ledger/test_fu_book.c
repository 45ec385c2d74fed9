/* 集五福 on a real MariaDB: cards are neither lost nor doubled, stock is never exceeded, also with many at once; the pool's
 * money is in one place at any time, and the checker sees what is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fu_impl.h"
#include "saga_env.h"

enum { POOL = 10000, THREADS = 8 };

static struct fu_campaign c;

static struct fu_spec spec_of(const char *biz_id)
{
    struct fu_spec s = {.sender_id = SENDER,
                        .room_id = "r1",
                        .pool_fen = POOL,
                        .share_at_ms = f.now_ms + 60000,
                        .day_draws = FU_DAY_DRAWS_MAX,
                        .day_gifts = FU_DAY_GIFTS_MAX};

    snprintf(s.biz_id, sizeof(s.biz_id), "%s", biz_id);
    return s;
}

static void fund(int64_t fen)
{
    struct wallet w;

    assert_int_equal(ledger_deposit(l, SENDER, fen, "fund", &w), RR_OK);
}

static void create(struct fu_spec s)
{
    const char *field = NULL;

    assert_int_equal(saga_fu_create(&saga, &s, &c, &field), RR_OK);
}

static void begin_books(void)
{
    begin();
    f.now_ms = ledger__now_ms();
}

static void begin_with(struct fu_spec s)
{
    fund(POOL);
    create(s);
}

static struct fu_request ask(int64_t user_id)
{
    struct fu_request q = {.user_id = user_id, .now_ms = f.now_ms, .event = FU_EVENT_JOIN};

    memcpy(q.code, c.code, sizeof(q.code));
    memcpy(q.room_id, c.spec.room_id, sizeof(q.room_id));
    return q;
}

static struct fu_request gift(int64_t from, int64_t to, unsigned card, const char *biz_id)
{
    struct fu_request q = ask(from);

    q.to_user = to;
    q.card = card;
    snprintf(q.biz_id, sizeof(q.biz_id), "%s", biz_id);
    return q;
}

/* What he would have drawn, with the rows that say so: the books stay whole. */
static void plant(int64_t user_id, unsigned card)
{
    static int no;

    testdb_execf(l, "INSERT INTO fu_draw VALUES ('%s', %d, 'rain:planted%d', %u, 1)", c.code,
                 (int)user_id, no++, card);
    testdb_execf(l,
                 "UPDATE fu_stock SET left_n = left_n - 1, issued = issued + 1"
                 " WHERE code = '%s' AND card = %u",
                 c.code, card);
    testdb_execf(l,
                 "INSERT INTO fu_user (code, user_id, c%u) VALUES ('%s', %d, 1)"
                 " ON DUPLICATE KEY UPDATE c%u = c%u + 1",
                 card, c.code, (int)user_id, card, card);
}

static void plant_all(int64_t user_id)
{
    for (unsigned card = 1; card <= FU_CARDS; card++)
        plant(user_id, card);
}

static int64_t held(int64_t user_id, unsigned card)
{
    return testdb_intf(l, "SELECT COALESCE(SUM(c%u), 0) FROM fu_user WHERE user_id = %d", card,
                       (int)user_id);
}

static char found[2000];

static void note_finding(void *arg, const struct ledger_finding *x)
{
    (void)arg;
    strncat(found, x->invariant, sizeof(found) - strlen(found) - 1);
    strncat(found, " ", sizeof(found) - strlen(found) - 1);
}

static int64_t verify(void)
{
    int64_t unaccounted_fen = -1;

    found[0] = 0;
    assert_int_equal(ledger_verify(l, NULL, note_finding, NULL, &unaccounted_fen), RR_OK);
    return unaccounted_fen;
}

static void assert_clean(void)
{
    int64_t unaccounted_fen = verify();

    assert_string_equal(found, "");
    assert_int_equal(unaccounted_fen, 0);
}

static void end_clean(void)
{
    assert_clean();
    end();
}

/* ---- campaigns ---- */

static void the_pool_is_taken_with_the_campaign(void **state)
{
    struct fu_campaign again;
    struct fu_spec s;
    const char *field = NULL;

    (void)state;
    begin_books();
    s = spec_of("b1");
    assert_int_equal(saga_fu_create(&saga, &s, &c, &field), RR_NO_MONEY);
    fund(POOL + 5);
    create(s);
    assert_int_equal(balance_of(l, SENDER), 5);
    assert_int_equal(
        testdb_int(l, "SELECT SUM(delta) FROM account_log WHERE account_kind = 'platform'"), POOL);
    assert_non_null(fake_push_of(&f, "FU_CAMPAIGN", 0));
    assert_string_equal(fake_push_of(&f, "FU_CAMPAIGN", 0)->keep_code, "fu");
    /* Once per biz id, once per room. */
    assert_int_equal(saga_fu_create(&saga, &s, &again, &field), RR_DUPLICATE);
    assert_string_equal(again.code, c.code);
    s.pool_fen--;
    assert_int_equal(saga_fu_create(&saga, &s, &again, &field), RR_CONFLICT);
    s = spec_of("b2");
    s.pool_fen = 5;
    s.winners_max = 5;
    assert_int_equal(saga_fu_create(&saga, &s, &again, &field), RR_CONFLICT);
    assert_string_equal(field, "room");
    s.share_at_ms = f.now_ms;
    assert_int_equal(saga_fu_create(&saga, &s, &again, &field), RR_BAD_REQUEST);
    assert_string_equal(field, "share_at");
    assert_int_equal(balance_of(l, SENDER), 5);
    end_clean();
}

static void who_gives_it_up_gets_the_pool_back(void **state)
{
    struct fu_campaign after;
    struct fu_done done;
    struct fu_request q;

    (void)state;
    begin_books();
    begin_with(spec_of("b1"));
    assert_int_equal(saga_fu_cancel(&saga, "r2", c.code, &after), RR_NOT_FOUND);
    assert_int_equal(saga_fu_cancel(&saga, "r1", c.code, &after), RR_OK);
    assert_int_equal(after.state, FU_GIVEN_BACK);
    assert_int_equal(balance_of(l, SENDER), POOL);
    assert_int_equal(saga_fu_cancel(&saga, "r1", c.code, &after), RR_DUPLICATE);
    assert_int_equal(balance_of(l, SENDER), POOL);
    q = ask(7);
    assert_int_equal(ledger_fu_draw(l, &q, &done), RR_ENDED);
    assert_clean();
    /* The room may have another one; not once somebody is in the pool. */
    create(spec_of("b2"));
    plant_all(7);
    q = ask(7);
    assert_int_equal(ledger_fu_join(l, &q, &done), RR_OK);
    assert_int_equal(saga_fu_cancel(&saga, "r1", c.code, &after), RR_CONFLICT);
    end_clean();
}

/* ---- draws ---- */

static void an_event_draws_once(void **state)
{
    struct fu_request q;
    struct fu_done first;
    struct fu_done again;
    struct fu_spec s;
    struct rain_info r;

    (void)state;
    begin_books();
    s = spec_of("b1");
    s.day_draws = 3;
    begin_with(s);
    q = ask(7);
    assert_int_equal(ledger_fu_draw(l, &q, &first), RR_OK);
    assert_in_range(first.card, 1, FU_CARDS);
    assert_int_equal(first.user.held[first.card - 1], 1);
    assert_int_equal(first.user.draws, 1);
    assert_int_equal(ledger_fu_draw(l, &q, &again), RR_DUPLICATE);
    assert_int_equal(again.card, first.card);
    assert_int_equal(again.user.draws, 1);
    q.event = FU_EVENT_SIGNIN;
    assert_int_equal(ledger_fu_draw(l, &q, &again), RR_OK);
    assert_int_equal(again.user.draws, 2);
    /* A rain of the room that has opened, since the campaign began. */
    q.event = FU_EVENT_RAIN;
    r = started(1000, 4, 1, 1);
    q.now_ms = f.now_ms;
    memcpy(q.rain_code, r.code, sizeof(q.rain_code));
    testdb_exec(l, "UPDATE t_red_packet_config SET kind = 'group'");
    assert_int_equal(ledger_fu_draw(l, &q, &again), RR_NOT_ELIGIBLE);
    testdb_exec(l, "UPDATE t_red_packet_config SET kind = 'rain', room_id = 'r2'");
    assert_int_equal(ledger_fu_draw(l, &q, &again), RR_NOT_ELIGIBLE);
    testdb_exec(l, "UPDATE t_red_packet_config SET room_id = 'r1'");
    assert_int_equal(ledger_fu_draw(l, &q, &again), RR_OK);
    assert_int_equal(ledger_fu_draw(l, &q, &again), RR_DUPLICATE);
    /* The day's limit; another day is another day. */
    q.event = FU_EVENT_SIGNIN;
    testdb_exec(l, "UPDATE fu_draw SET event = 'signin:1' WHERE event LIKE 'signin:%'");
    assert_int_equal(ledger_fu_draw(l, &q, &again), RR_LIMIT);
    testdb_exec(l, "UPDATE fu_user SET day = 1");
    assert_int_equal(ledger_fu_draw(l, &q, &again), RR_OK);
    assert_int_equal(again.user.draws, 1);
    snprintf(q.room_id, sizeof(q.room_id), "r2");
    assert_int_equal(ledger_fu_draw(l, &q, &again), RR_NOT_FOUND);
    end_clean();
}

static void a_draw_ends_with_the_campaign_and_its_answer_stays(void **state)
{
    struct fu_request q;
    struct fu_done done;

    (void)state;
    begin_books();
    begin_with(spec_of("b1"));
    q = ask(7);
    assert_int_equal(ledger_fu_draw(l, &q, &done), RR_OK);
    q.now_ms = c.spec.share_at_ms;
    assert_int_equal(ledger_fu_draw(l, &q, &done), RR_DUPLICATE);
    q.user_id = 8;
    assert_int_equal(ledger_fu_draw(l, &q, &done), RR_ENDED);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM fu_user"), 1);
    end_clean();
}

struct crowd {
    struct ledger *l;
    int64_t user_from;
    int64_t user_to;
    bool same; /* all of them ask for the same */
    enum fu_event event;
    uint32_t ok, duplicate, sold_out, other;
};

static void *draw_some(void *arg)
{
    struct crowd *k = arg;

    ledger_thread_init();
    for (int64_t user = k->user_from; user < k->user_to; user++) {
        struct fu_request q = ask(user);
        struct fu_done done;
        enum rr_err err = RR_OK;

        q.event = k->event;
        do {
            err = ledger_fu_draw(k->l, &q, &done);
        } while (err == RR_RETRY || err == RR_BUSY);
        k->ok += err == RR_OK;
        k->duplicate += err == RR_DUPLICATE;
        k->sold_out += err == RR_SOLD_OUT;
        k->other += err != RR_OK && err != RR_DUPLICATE && err != RR_SOLD_OUT;
    }
    ledger_thread_fini();
    return NULL;
}

static struct crowd run_crowd(int users_each, bool same)
{
    struct crowd k[THREADS];
    struct crowd all = {.l = NULL};
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++) {
        int from = same ? 1 : 1 + i * users_each;

        k[i] = (struct crowd){.l = testdb_again(),
                              .user_from = from,
                              .user_to = from + users_each,
                              .event = FU_EVENT_JOIN};
        pthread_create(&threads[i], NULL, draw_some, &k[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        ledger_destroy(k[i].l);
        all.ok += k[i].ok;
        all.duplicate += k[i].duplicate;
        all.sold_out += k[i].sold_out;
        all.other += k[i].other;
    }
    return all;
}

static void stock_is_never_exceeded(void **state)
{
    struct fu_spec s;
    struct crowd all;

    (void)state;
    begin_books();
    s = spec_of("b1");
    memcpy(s.stock, (uint32_t[]){10, 40, 5, 12, 3}, sizeof(s.stock));
    begin_with(s);
    all = run_crowd(40, false); /* 320 users, 70 cards */
    assert_int_equal(all.ok, 70);
    assert_int_equal(all.sold_out, THREADS * 40 - 70);
    assert_int_equal(all.other, 0);
    assert_int_equal(testdb_int(l, "SELECT SUM(left_n) FROM fu_stock"), 0);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM fu_draw"), 70);
    end_clean();
}

static void the_same_draw_at_the_same_moment_is_one(void **state)
{
    struct crowd all;

    (void)state;
    begin_books();
    begin_with(spec_of("b1"));
    all = run_crowd(10, true);
    assert_int_equal(all.ok, 10);
    assert_int_equal(all.duplicate, THREADS * 10 - 10);
    assert_int_equal(testdb_int(l, "SELECT SUM(c1 + c2 + c3 + c4 + c5) FROM fu_user"), 10);
    end_clean();
}

/* ---- gifts ---- */

static void a_gift_moves_one_card_once(void **state)
{
    struct fu_request q;
    struct fu_done done;

    (void)state;
    begin_books();
    begin_with(spec_of("b1"));
    plant(7, 3);
    q = gift(7, 8, 3, "g1");
    assert_int_equal(ledger_fu_give(l, &q, &done), RR_OK);
    assert_int_equal(held(7, 3), 0);
    assert_int_equal(held(8, 3), 1);
    assert_int_equal(ledger_fu_give(l, &q, &done), RR_DUPLICATE);
    q.to_user = 9;
    assert_int_equal(ledger_fu_give(l, &q, &done), RR_CONFLICT);
    q = gift(7, 8, 3, "g2");
    assert_int_equal(ledger_fu_give(l, &q, &done), RR_NOT_ELIGIBLE); /* he has none */
    q = gift(7, 7, 3, "g3");
    assert_int_equal(ledger_fu_give(l, &q, &done), RR_BAD_REQUEST);
    q = gift(8, 7, 6, "g4");
    assert_int_equal(ledger_fu_give(l, &q, &done), RR_BAD_REQUEST);
    testdb_execf(l, "UPDATE fu_campaign SET day_gifts = 1");
    plant(7, 1);
    q = gift(7, 8, 1, "g5");
    assert_int_equal(ledger_fu_give(l, &q, &done), RR_LIMIT);
    q = gift(8, 7, 3, "g1"); /* another's request ids are his own */
    assert_int_equal(ledger_fu_give(l, &q, &done), RR_OK);
    q = gift(7, 8, 1, "g6");
    q.now_ms = c.spec.share_at_ms;
    assert_int_equal(ledger_fu_give(l, &q, &done), RR_ENDED);
    assert_int_equal(held(7, 1), 1);
    end_clean();
}

struct giver {
    struct ledger *l;
    int no;
    uint32_t ok;
};

/* Half of them one way, half of them the other, each pair at the same moment. */
static void *give_some(void *arg)
{
    struct giver *k = arg;

    ledger_thread_init();
    for (int i = 0; i < 15; i++) {
        char id[24];
        struct fu_request q;
        struct fu_done done;
        enum rr_err err = RR_OK;

        snprintf(id, sizeof(id), "g%d-%d", k->no, i);
        q = gift(k->no % 2 ? 7 : 8, k->no % 2 ? 8 : 7, 2, id);
        do {
            err = ledger_fu_give(k->l, &q, &done);
        } while (err == RR_RETRY);
        assert_true(err == RR_OK || err == RR_NOT_ELIGIBLE || err == RR_LIMIT);
        k->ok += err == RR_OK;
    }
    ledger_thread_fini();
    return NULL;
}

static void gifts_that_cross_lose_nothing(void **state)
{
    struct giver k[THREADS];
    pthread_t threads[THREADS];
    uint32_t ok = 0;

    (void)state;
    begin_books();
    begin_with(spec_of("b1"));
    for (int i = 0; i < 5; i++) {
        plant(7, 2);
        plant(8, 2);
    }
    for (int i = 0; i < THREADS; i++) {
        k[i] = (struct giver){.l = testdb_again(), .no = i};
        pthread_create(&threads[i], NULL, give_some, &k[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        ledger_destroy(k[i].l);
        ok += k[i].ok;
    }
    assert_true(ok > 0);
    assert_int_equal(held(7, 2) + held(8, 2), 10);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM fu_gift"), ok);
    end_clean();
}

/* ---- the pool ---- */

static void joining_burns_five_cards_once(void **state)
{
    struct fu_request q;
    struct fu_done done;
    struct fu_spec s;

    (void)state;
    begin_books();
    s = spec_of("b1");
    s.winners_max = 1;
    begin_with(s);
    q = ask(7);
    assert_int_equal(ledger_fu_join(l, &q, &done), RR_NOT_ELIGIBLE);
    for (unsigned card = 1; card < FU_CARDS; card++)
        plant(7, card);
    assert_int_equal(ledger_fu_join(l, &q, &done), RR_NOT_ELIGIBLE);
    plant(7, 5);
    plant(7, 5);
    assert_int_equal(ledger_fu_join(l, &q, &done), RR_OK);
    assert_int_equal(done.winners, 1);
    assert_int_equal(held(7, 1) + held(7, 2) + held(7, 3) + held(7, 4), 0);
    assert_int_equal(held(7, 5), 1);
    assert_int_equal(ledger_fu_join(l, &q, &done), RR_DUPLICATE);
    assert_int_equal(held(7, 5), 1);
    plant_all(8);
    q = ask(8);
    assert_int_equal(ledger_fu_join(l, &q, &done), RR_SOLD_OUT);
    assert_int_equal(held(8, 1), 1);
    q.now_ms = c.spec.share_at_ms;
    assert_int_equal(ledger_fu_join(l, &q, &done), RR_ENDED);
    end_clean();
}

static void an_empty_pool_pays_nothing_and_goes_back(void **state)
{
    (void)state;
    begin_books();
    begin_with(spec_of("b1"));
    run_due(0);
    assert_int_equal(testdb_int(l, "SELECT state FROM fu_campaign"), FU_OPEN);
    f.now_ms = c.spec.share_at_ms;
    run_due(120000);
    assert_int_equal(testdb_int(l, "SELECT state FROM fu_campaign"), FU_GIVEN_BACK);
    assert_int_equal(balance_of(l, SENDER), POOL);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM t_red_packet_config"), 0);
    testdb_exec(l, "UPDATE rp_task SET state = 0");
    run_due(120000); /* the step again */
    assert_int_equal(balance_of(l, SENDER), POOL);
    end_clean();
}

static void join_pool(int64_t user_id)
{
    struct fu_request q = ask(user_id);
    struct fu_done done;

    plant_all(user_id);
    assert_int_equal(ledger_fu_join(l, &q, &done), RR_OK);
}

static void the_pool_becomes_one_packet_per_winner(void **state)
{
    struct fu_campaign after;
    struct rain_info r;
    struct pool_grant g;
    int64_t sum = 0;

    (void)state;
    begin_books();
    begin_with(spec_of("b1"));
    for (int64_t user = 11; user <= 13; user++)
        join_pool(user);
    f.now_ms = c.spec.share_at_ms;
    run_due(120000);
    assert_int_equal(ledger_fu_get(l, c.code, &after), RR_OK);
    assert_int_equal(after.state, FU_SHARED);
    assert_int_equal(ledger_rain_get(l, after.rain_code, &r), RR_OK);
    assert_int_equal(r.status, RAIN_SENT);
    assert_int_equal(r.spec.total_fen, POOL);
    assert_int_equal(r.spec.count, 3);
    assert_int_equal(r.spec.kind, KIND_ENTERPRISE);
    assert_int_equal(r.spec.shards, 1);
    assert_int_equal(f.allowed_n, 3);
    assert_int_equal(f.allowed[0], 11);
    assert_clean(); /* in the escrow now, and nowhere else */
    /* The step again makes no second one. */
    testdb_exec(l, "UPDATE rp_task SET state = 0 WHERE kind = 'fu'");
    run_due(120000);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM t_red_packet_config"), 1);
    /* Two of three open theirs; the third's share goes back to who gave the pool. */
    for (int64_t user = 11; user <= 12; user++) {
        int64_t fen = fake_grab(&f, r.code, 0, user, &g);

        assert_true(fen > 0);
        settle_grant(&r, 0, &g);
        assert_int_equal(balance_of(l, user), fen);
        sum += fen;
    }
    assert_int_equal(saga_close(&saga, NULL, r.code, true, &r), RR_OK);
    assert_int_equal(r.status, RAIN_SETTLED);
    assert_int_equal(balance_of(l, SENDER), POOL - sum);
    end_clean();
}

static void an_equal_share_is_equal(void **state)
{
    struct fu_campaign after;
    struct fu_spec s;
    struct rain_info r;

    (void)state;
    begin_books();
    s = spec_of("b1");
    s.split = RAIN_EQUAL;
    begin_with(s);
    join_pool(11);
    join_pool(12);
    f.now_ms = c.spec.share_at_ms;
    run_due(120000);
    assert_int_equal(ledger_fu_get(l, c.code, &after), RR_OK);
    assert_int_equal(ledger_rain_get(l, after.rain_code, &r), RR_OK);
    assert_int_equal(rain_amount(l, &r, 0, 0), POOL / 2);
    assert_int_equal(rain_amount(l, &r, 0, 1), POOL / 2);
    end_clean();
}

/* The room's Redis is away: the packet's own step goes on, the money is in its escrow meanwhile. */
static void a_share_that_breaks_off_is_gone_on_with(void **state)
{
    struct fu_campaign after;
    struct rain_info r;

    (void)state;
    begin_books();
    begin_with(spec_of("b1"));
    join_pool(11);
    f.now_ms = c.spec.share_at_ms;
    f.fail_push = 3;
    run_due(120000);
    assert_int_equal(ledger_fu_get(l, c.code, &after), RR_OK);
    assert_int_equal(after.state, FU_SHARED);
    assert_clean();
    for (int i = 0; i < 4; i++)
        run_due(600000);
    assert_int_equal(ledger_rain_get(l, after.rain_code, &r), RR_OK);
    assert_int_equal(r.status, RAIN_SENT);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_task WHERE kind = 'fu' AND state = 0"),
                     0);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM t_red_packet_config"), 1);
    end_clean();
}

static void step_again(int tries)
{
    for (int i = 0; i < tries; i++)
        run_due(600000);
}

/* Another packet of the sender's has it: what nobody can do from outside, for the id is never told. */
static void take_the_packets_id(void)
{
    struct rain_spec s = {.sender_id = SENDER,
                          .room_id = "r1",
                          .total_fen = 1,
                          .count = 1,
                          .limit = 1,
                          .shards = 1,
                          .kind = KIND_RAIN,
                          .by = KIND_BY_BACKEND,
                          .split = RAIN_EQUAL,
                          .duration_ms = 20000};
    struct rain_info r;
    struct wallet w;
    const char *field = NULL;

    memcpy(s.biz_id, c.rain_req, sizeof(c.rain_req));
    assert_int_equal(ledger_deposit(l, SENDER, 1, "fund1", &w), RR_OK);
    assert_int_equal(saga_create(&saga, &s, &r, &field), RR_OK);
}

/* For good: half a minute of tries, then the pool goes back and the room is free. */
static void a_packet_that_cannot_be_made_ends_the_campaign(void **state)
{
    struct saga_fu_ends ends = {.shared = 0};
    struct fu_campaign after;
    int64_t day_fen = 0;

    (void)state;
    begin_books();
    begin_with(spec_of("b1"));
    saga.fu = &ends;
    join_pool(11);
    take_the_packets_id();
    f.now_ms = c.spec.share_at_ms;
    run_due(120000);
    step_again(6);
    assert_int_equal(testdb_int(l, "SELECT state FROM fu_campaign"), FU_SHARING);
    assert_int_equal(balance_of(l, SENDER), 0);
    step_again(1);
    assert_int_equal(ledger_fu_get(l, c.code, &after), RR_OK);
    assert_int_equal(after.state, FU_FAILED);
    assert_string_equal(after.reason, "CONFLICT");
    assert_int_equal(balance_of(l, SENDER), POOL);
    assert_int_equal(ends.failed, 1);
    assert_int_equal(ends.shared + ends.given_back, 0);
    assert_non_null(fake_push_of(&f, "FU_CAMPAIGN", 0));
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_task WHERE kind = 'fu' AND state = 0"),
                     0);
    assert_clean();
    /* Nothing is paid twice, whoever comes late; the day's sum and the room are free again. */
    assert_int_equal(ledger_fu_fail(l, c.code, "again", &after), RR_DUPLICATE);
    assert_string_equal(after.reason, "CONFLICT");
    assert_int_equal(fu__pool_pays(l, c.code, "BBBBBBBBBBBBBBBBBBBBBB", POOL), RR_CONFLICT);
    testdb_exec(l, "UPDATE rp_task SET state = 0 WHERE kind = 'fu'");
    step_again(1);
    assert_int_equal(balance_of(l, SENDER), POOL);
    assert_int_equal(saga_fu_cancel(&saga, "r1", c.code, &after), RR_CONFLICT);
    create(spec_of("b2"));
    assert_int_equal(ledger__risk_create(l, SENDER, ledger__now_ms(), &day_fen), RR_OK);
    end_clean();
}

/* What is down comes back: the money waits for it, however long. */
static void a_share_waits_for_what_is_down(void **state)
{
    (void)state;
    begin_books();
    begin_with(spec_of("b1"));
    join_pool(11);
    testdb_exec(l, "UPDATE fu_campaign SET winners = 2"); /* the books contradict themselves */
    f.now_ms = c.spec.share_at_ms;
    run_due(120000);
    step_again(12);
    assert_int_equal(testdb_int(l, "SELECT state FROM fu_campaign"), FU_SHARING);
    assert_int_equal(balance_of(l, SENDER), 0);
    assert_true(testdb_int(l, "SELECT tries FROM rp_task WHERE kind = 'fu'") > 12);
    testdb_exec(l, "UPDATE fu_campaign SET winners = 1");
    step_again(1);
    assert_int_equal(testdb_int(l, "SELECT state FROM fu_campaign"), FU_SHARED);
    end_clean();
}

/* A client's own biz ids cannot stand in the packet's way. */
static void the_packets_biz_id_is_nobodys_guess(void **state)
{
    (void)state;
    begin_books();
    begin_with(spec_of("b1"));
    assert_int_equal(strlen(c.rain_req), RR_CODE_LEN);
    assert_string_not_equal(c.rain_req, c.code);
    end_clean();
}

/* ---- the day's rule, the checker ---- */

static void a_pool_counts_among_the_days_rains_once(void **state)
{
    struct risk_cell cell = {.day_offset_ms = 0};
    struct risk_rules rules = {.day_offset_ms = 0};
    struct fu_spec s;
    const char *field = NULL;
    int64_t day_fen = 0;

    (void)state;
    begin_books();
    rules.v[RISK_ANCHOR_DAY] = POOL + 10;
    risk_cell_set(&cell, &rules);
    begin_with(spec_of("b1"));
    join_pool(11);
    f.now_ms = c.spec.share_at_ms;
    run_due(120000); /* the packet is no second sum */
    l->rules = &cell;
    assert_int_equal(ledger__risk_create(l, SENDER, ledger__now_ms(), &day_fen), RR_OK);
    assert_int_equal(day_fen, POOL);
    testdb_exec(l, "UPDATE wallet SET balance = balance"); /* nothing is left to spend */
    assert_int_equal(ledger_deposit(l, SENDER, POOL, "more", &(struct wallet){0}), RR_OK);
    s = spec_of("b2");
    s.share_at_ms = f.now_ms + 60000;
    assert_int_equal(saga_fu_create(&saga, &s, &c, &field), RR_NOT_ELIGIBLE);
    l->rules = NULL;
    end_clean();
}

static void assert_found(const char *sql, const char *invariant, int64_t fen)
{
    testdb_exec(l, sql);
    assert_int_equal(verify(), fen);
    if (!strstr(found, invariant))
        fail_msg("%s: found %s", sql, found);
}

static void the_checker_sees_what_is_wrong(void **state)
{
    (void)state;
    begin_books();
    begin_with(spec_of("b1"));
    join_pool(11);
    plant(12, 5);
    assert_clean();
    assert_found("UPDATE fu_user SET c5 = c5 + 1 WHERE user_id = 12", "fu_held", 0);
    assert_found("UPDATE fu_user SET c5 = 0 WHERE user_id = 12", "fu_held", 0);
    testdb_exec(l, "UPDATE fu_user SET c5 = 1 WHERE user_id = 12");
    assert_found("UPDATE fu_stock SET left_n = left_n - 1, issued = issued + 1 WHERE card = 5",
                 "fu_stock", 0);
    testdb_exec(l, "UPDATE fu_stock SET left_n = left_n + 1, issued = issued - 1 WHERE card = 5");
    assert_found("UPDATE fu_campaign SET winners = 2", "fu_winners", 0);
    testdb_exec(l, "UPDATE fu_campaign SET winners = 1");
    assert_found("UPDATE fu_campaign SET pool = pool - 1", "fu_pool", 1);
    testdb_exec(l, "UPDATE fu_campaign SET pool = pool + 1");
    assert_found("UPDATE rp_task SET state = 1", "fu_task", 0);
    testdb_exec(l, "UPDATE rp_task SET state = 0");
    f.now_ms = c.spec.share_at_ms;
    run_due(120000);
    assert_clean();
    assert_found("UPDATE rp_rain_user SET user_id = 99", "fu_named", 0);
    testdb_exec(l, "UPDATE rp_rain_user SET user_id = 11");
    assert_found("UPDATE t_red_packet_config SET sender_id = 99", "fu_packet", 0);
    testdb_execf(l, "UPDATE t_red_packet_config SET sender_id = %d", SENDER);
    assert_found("UPDATE account_log SET account_id = 'fu:AAAAAAAAAAAAAAAAAAAAAA'"
                 " WHERE account_kind = 'platform' AND biz_type = 'create'",
                 "log_fu", POOL);
    end();
}

static void what_a_user_has_is_shown(void **state)
{
    struct fu_drawn draws[FU_DRAWS_SHOWN];
    struct fu_campaign of_room;
    struct fu_request q;
    struct fu_done done;
    struct fu_user u;
    uint32_t n = 0;

    (void)state;
    begin_books();
    assert_int_equal(ledger_fu_of_room(l, "r1", &of_room), RR_NOT_FOUND);
    begin_with(spec_of("b1"));
    assert_int_equal(ledger_fu_mine(l, c.code, 7, &u, draws, &n), RR_OK);
    assert_int_equal(n, 0);
    q = ask(7);
    assert_int_equal(ledger_fu_draw(l, &q, &done), RR_OK);
    assert_int_equal(ledger_fu_mine(l, c.code, 7, &u, draws, &n), RR_OK);
    assert_int_equal(n, 1);
    assert_int_equal(draws[0].card, done.card);
    assert_int_equal(u.held[done.card - 1], 1);
    assert_int_equal(u.draws, 1);
    assert_false(u.joined);
    assert_int_equal(ledger_fu_of_room(l, "r1", &of_room), RR_OK);
    assert_string_equal(of_room.code, c.code);
    assert_int_equal(saga_fu_cancel(&saga, NULL, c.code, &of_room), RR_OK);
    assert_int_equal(ledger_fu_of_room(l, "r1", &of_room), RR_OK);
    assert_int_equal(of_room.state, FU_GIVEN_BACK);
    end_clean();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_pool_is_taken_with_the_campaign),
        cmocka_unit_test(who_gives_it_up_gets_the_pool_back),
        cmocka_unit_test(an_event_draws_once),
        cmocka_unit_test(a_draw_ends_with_the_campaign_and_its_answer_stays),
        cmocka_unit_test(stock_is_never_exceeded),
        cmocka_unit_test(the_same_draw_at_the_same_moment_is_one),
        cmocka_unit_test(a_gift_moves_one_card_once),
        cmocka_unit_test(gifts_that_cross_lose_nothing),
        cmocka_unit_test(joining_burns_five_cards_once),
        cmocka_unit_test(an_empty_pool_pays_nothing_and_goes_back),
        cmocka_unit_test(the_pool_becomes_one_packet_per_winner),
        cmocka_unit_test(an_equal_share_is_equal),
        cmocka_unit_test(a_share_that_breaks_off_is_gone_on_with),
        cmocka_unit_test(a_packet_that_cannot_be_made_ends_the_campaign),
        cmocka_unit_test(a_share_waits_for_what_is_down),
        cmocka_unit_test(the_packets_biz_id_is_nobodys_guess),
        cmocka_unit_test(a_pool_counts_among_the_days_rains_once),
        cmocka_unit_test(the_checker_sees_what_is_wrong),
        cmocka_unit_test(what_a_user_has_is_shown),
    };

    return cmocka_run_group_tests(tests, testdb_setup, testdb_teardown);
}
