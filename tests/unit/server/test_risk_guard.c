/* Risk control on a grab's way: who is denied before the pop, who waits for his mark, and that `again` is never told no. */
#include "../room/cm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_worker.h"
#include "ledger/risk_book.h"
#include "protocol/pack.h"

enum { MS = 1000 };

static struct fake_worker *f;
/* What the last job stored, and how that ends. */
static struct risk_note stored[600];
static uint32_t stored_n;
static enum rr_err store_err;

enum rr_err __wrap_ledger_risk_note(struct ledger *l, const struct risk_note *notes, uint32_t n);
enum rr_err __wrap_ledger_risk_note(struct ledger *l, const struct risk_note *notes, uint32_t n)
{
    (void)l;
    assert_true(n <= 600);
    memcpy(stored, notes, n * sizeof(*notes));
    stored_n = n;
    return store_err;
}

static struct live_rain *rain(void)
{
    return &rains_find(f->w.rains, rr_slice_str(RAIN_A))->live;
}

/* Person 0 (user 7) and 1 (user 8) in r1, where rain A of user 9 is open for 60 s. */
static int setup(void **state)
{
    (void)state;
    f = fake_worker_create();
    store_err = RR_OK;
    fake_hello(f, 0, "7 viewer *");
    fake_hello(f, 1, "8 viewer *");
    fake_join(f, 0, "r1");
    fake_join(f, 1, "r1");
    fake_rain(f, "r1", 2, RAIN_A, fake_now_ms(f) - 1000, fake_now_ms(f) + 60000, 3, 1);
    rain()->sender_id = 9;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_worker_destroy(f);
    return 0;
}

static void grab(int who, uint32_t id, int64_t seq, bool again)
{
    struct rr_buf b = {0};

    pack_map(&b, 3);
    pack_kv_str(&b, "code", RAIN_A);
    pack_kv_int(&b, "seq", seq);
    pack_kv_bool(&b, "again", again);
    fake_send(f, who, MSG_GRAB, id, &b);
}

static void assert_reply(int who, int n, uint32_t id, enum result_code code)
{
    struct wire w;

    assert_true(wire_of(&f->conns[who], n, &w));
    assert_int_equal(w.id, id);
    assert_int_equal(wire_int(&w.body, "result"), code);
}

/* The n-th database job runs and comes back. */
static void store(uint32_t n)
{
    struct db_job *job = (struct db_job *)f->jobs[n];
    struct db_ctx ctx = {.ledger = NULL};

    assert_non_null(job);
    f->jobs[n] = NULL;
    job->run(job, &ctx);
    job->done(job);
}

static uint32_t asked(void)
{
    fake_advance(f, 1 * MS);
    return f->calls_n;
}

static void with(void (*set)(struct rr_conf *c))
{
    set(&f->conf);
    risk_guard_reload(f->w.guard);
}

static void own_on(struct rr_conf *c)
{
    c->risk_deny_own = true;
}

static void rate_on(struct rr_conf *c)
{
    c->risk_deny_grabs_per_min = 2;
}

static void early_on(struct rr_conf *c)
{
    c->risk_deny_early_grabs = 1;
}

static void fresh_on(struct rr_conf *c)
{
    c->risk_hold_fresh_s = 60;
}

static void make_fresh(int who)
{
    f->people[who]->since_s = fake_now_ms(f) / 1000 - 5;
}

static void without_rules_nothing_is_asked_of_the_books(void **state)
{
    (void)state;
    rain()->sender_id = 7;
    grab(0, 11, 0, false);
    assert_int_equal(asked(), 1);
    assert_int_equal(f->jobs_n, 0);
}

static void a_sender_is_denied_and_it_is_stored_once(void **state)
{
    (void)state;
    with(own_on);
    rain()->sender_id = 7;
    grab(0, 11, 0, false);
    grab(0, 12, 0, false);
    assert_reply(0, 0, 11, RESULT_NOT_ELIGIBLE);
    assert_reply(0, 1, 12, RESULT_NOT_ELIGIBLE);
    assert_int_equal(asked(), 0);
    assert_int_equal(f->jobs_n, 1);
    store(0);
    assert_int_equal(stored_n, 1);
    assert_int_equal(stored[0].decision, RISK_DECIDED_DENY);
    assert_int_equal(stored[0].rule, RISK_OWN);
    assert_int_equal(stored[0].user_id, 7);
    assert_string_equal(stored[0].code, RAIN_A);
    assert_int_equal(f->metrics.risk_denied_total, 2);
    grab(1, 13, 0, false);
    assert_int_equal(asked(), 1);
}

/* His first try may have won: he is not told no. What it wins is held. */
static void again_is_marked_instead_of_denied(void **state)
{
    (void)state;
    with(own_on);
    rain()->sender_id = 7;
    grab(0, 11, 0, true);
    assert_int_equal(asked(), 0);
    assert_int_equal(f->conns[0].sent_n, 0);
    assert_int_equal(f->jobs_n, 1);
    store(0);
    assert_int_equal(stored[0].decision, RISK_DECIDED_MARK);
    assert_int_equal(stored[0].seq, 0);
    assert_int_equal(asked(), 1);
    assert_int_equal(f->calls[0].items[0].user_id, 7);
}

static void grabs_per_minute_are_denied(void **state)
{
    (void)state;
    with(rate_on);
    grab(0, 11, 0, false);
    grab(0, 12, 1, false);
    grab(0, 13, 2, false);
    assert_reply(0, 0, 13, RESULT_NOT_ELIGIBLE);
    grab(1, 14, 0, false);
    (void)asked();
    assert_int_equal(f->calls[0].n, 3);
    store(0);
    assert_int_equal(stored[0].rule, RISK_RATE);
    assert_int_equal(stored[0].seen, 3);
    assert_int_equal(stored[0].bound, 2);
}

static void early_grabs_are_denied_when_it_is_open(void **state)
{
    (void)state;
    with(early_on);
    rain()->t0_ms = fake_now_ms(f) + 1000;
    for (uint32_t id = 11; id < 13; id++) {
        grab(0, id, 0, false);
        assert_reply(0, (int)id - 11, id, RESULT_NOT_STARTED);
    }
    rain()->t0_ms = fake_now_ms(f);
    grab(0, 13, 0, false);
    assert_reply(0, 2, 13, RESULT_NOT_ELIGIBLE);
    assert_int_equal(asked(), 0);
    store(0);
}

static void a_mark_is_stored_before_the_script_runs(void **state)
{
    (void)state;
    with(fresh_on);
    make_fresh(0);
    grab(0, 11, 0, false);
    grab(0, 12, 1, false); /* waits for the same mark */
    assert_int_equal(asked(), 0);
    assert_int_equal(f->jobs_n, 1);
    store(0);
    assert_int_equal(stored_n, 1);
    assert_int_equal(stored[0].decision, RISK_DECIDED_MARK);
    assert_int_equal(stored[0].rule, RISK_FRESH);
    assert_int_equal(stored[0].seen, 5);
    assert_int_equal(asked(), 1);
    assert_int_equal(f->calls[0].n, 2);
    /* Marked already: straight on. */
    grab(0, 13, 2, false);
    assert_int_equal(f->jobs_n, 1);
}

static void nobody_slips_below_his_mark(void **state)
{
    (void)state;
    with(fresh_on);
    make_fresh(0);
    grab(0, 11, 2, false);
    store(0);
    assert_int_equal(stored[0].seq, 2);
    f->people[0]->since_s = 0; /* he looks old now */
    grab(0, 12, 0, true);
    assert_int_equal(f->jobs_n, 2);
    store(1);
    assert_int_equal(stored[0].decision, RISK_DECIDED_MARK);
    assert_int_equal(stored[0].seq, 0);
    assert_int_equal(stored[0].rule, RISK_FRESH);
}

static void books_that_are_down_make_the_grab_wait_outside(void **state)
{
    (void)state;
    with(fresh_on);
    make_fresh(0);
    store_err = RR_UNAVAILABLE;
    grab(0, 11, 0, false);
    store(0);
    assert_reply(0, 0, 11, RESULT_BUSY);
    assert_int_equal(asked(), 0);
    store_err = RR_OK;
    grab(0, 12, 0, true);
    store(1);
    assert_int_equal(asked(), 1);
}

static void a_full_lane_is_tried_again(void **state)
{
    (void)state;
    with(fresh_on);
    make_fresh(0);
    f->submit_err = RR_BUSY;
    grab(0, 11, 0, false);
    assert_int_equal(f->jobs_n, 0);
    f->submit_err = RR_OK;
    risk_guard_tick(f->w.guard);
    assert_int_equal(f->jobs_n, 1);
    store(0);
    assert_int_equal(asked(), 1);
}

static void who_left_meanwhile_gets_nothing(void **state)
{
    (void)state;
    with(fresh_on);
    make_fresh(0);
    make_fresh(1);
    grab(0, 11, 0, false);
    grab(1, 12, 0, false);
    fake_disconnect(f, 0);
    fake_send_empty(f, 1, MSG_LEAVE, 13);
    for (uint32_t i = 0; i < f->jobs_n; i++)
        store(i);
    assert_reply(1, 0, 13, RESULT_OK);
    assert_reply(1, 1, 12, RESULT_NOT_FOUND);
    assert_int_equal(asked(), 0);
}

static void a_rain_that_ended_meanwhile_is_over(void **state)
{
    (void)state;
    with(fresh_on);
    make_fresh(0);
    grab(0, 11, 0, false);
    rain()->ended = true;
    store(0);
    assert_reply(0, 0, 11, RESULT_ENDED);
    assert_int_equal(asked(), 0);
}

static void addresses_are_hashed_with_a_key(void **state)
{
    uint64_t a = risk_guard_address(f->w.guard, "203.0.113.7");

    (void)state;
    assert_int_not_equal(a, 0);
    assert_int_equal(a, risk_guard_address(f->w.guard, "203.0.113.7"));
    assert_int_equal(risk_guard_address(f->w.guard, "127.0.0.1"), 0);
    with(fresh_on);
    make_fresh(0);
    f->people[0]->address = a;
    grab(0, 11, 0, false);
    store(0);
    assert_int_equal(strlen(stored[0].address), 16);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(without_rules_nothing_is_asked_of_the_books),
        test(a_sender_is_denied_and_it_is_stored_once),
        test(again_is_marked_instead_of_denied),
        test(grabs_per_minute_are_denied),
        test(early_grabs_are_denied_when_it_is_open),
        test(a_mark_is_stored_before_the_script_runs),
        test(nobody_slips_below_his_mark),
        test(books_that_are_down_make_the_grab_wait_outside),
        test(a_full_lane_is_tried_again),
        test(who_left_meanwhile_gets_nothing),
        test(a_rain_that_ended_meanwhile_is_over),
        test(addresses_are_hashed_with_a_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
