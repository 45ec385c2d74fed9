#include "cm.h"

#include <stdlib.h>
#include <string.h>

#include "rain/grab_pending.h"

enum { MS = 1000, START_US = 1000 * 1000, SEEN_MAX = 4096 };

/* What the callbacks saw, and what run_again does about it. */
struct fixture {
    struct grab_pending *t;
    int64_t now_us;
    struct pending_grab pending[SEEN_MAX];
    struct pending_grab again[SEEN_MAX];
    struct pending_grab gave_up[SEEN_MAX];
    uint32_t n_pending;
    uint32_t n_again;
    uint32_t n_gave_up;
    bool refuse;    /* run_again: the batch is full */
    bool open_more; /* gave_up: the free place is taken at once */
};

static struct fixture *f;
static const struct pool_shard at = {.code = "AAAAAAAAAAAAAAAAAAAAAA", .shard = 2};

static uint64_t open_grab(int64_t user, bool again)
{
    struct grab g = {.session_id = (uint64_t)user + 100,
                     .user_id = user,
                     .received_us = f->now_us,
                     .req_id = 5,
                     .seq = 1};

    return grab_pending_open(f->t, &at, &g, again);
}

static enum pending_action outcome(uint64_t id, enum rr_err rc, struct pending_grab *out)
{
    struct grab_outcome o = {.rc = rc,
                             .seq = 1,
                             .packet_no = 8,
                             .amount_fen = 66,
                             .sent_us = rc == RR_UNAVAILABLE ? 0 : f->now_us};

    return grab_pending_outcome(f->t, id, &o, f->now_us, out);
}

static enum pending_action report(uint64_t opaque, bool ok, struct pending_grab *out)
{
    return grab_pending_report(f->t, opaque, ok, f->now_us, out);
}

static void on_pending(void *arg, const struct pending_grab *p)
{
    assert_ptr_equal(arg, f);
    f->pending[f->n_pending++] = *p;
}

static void on_again(void *arg, const struct pending_grab *p)
{
    struct pending_grab out;

    assert_ptr_equal(arg, f);
    f->again[f->n_again++] = *p;
    if (f->refuse)
        assert_int_equal(outcome(p->id, RR_UNAVAILABLE, &out), PENDING_STAY);
}

static void on_gave_up(void *arg, const struct pending_grab *p)
{
    assert_ptr_equal(arg, f);
    f->gave_up[f->n_gave_up++] = *p;
    if (f->open_more)
        assert_int_not_equal(open_grab(77, false), 0);
}

static void start(uint32_t cap, pending_fn gave_up)
{
    struct grab_pending_opts o = {.tell_pending = on_pending,
                                  .run_again = on_again,
                                  .gave_up = gave_up,
                                  .arg = f,
                                  .cap = cap};

    grab_pending_destroy(f->t);
    f->t = grab_pending_create(&o);
}

static int setup(void **state)
{
    (void)state;
    f = calloc(1, sizeof(*f));
    f->now_us = START_US;
    start(4, on_gave_up);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    grab_pending_destroy(f->t);
    free(f);
    return 0;
}

/* Moves to ms after the start and ticks. */
static void at_ms(int64_t ms)
{
    f->now_us = START_US + ms * MS;
    grab_pending_tick(f->t, f->now_us);
}

static int64_t next_ms(void)
{
    int64_t us = grab_pending_next_us(f->t);

    return us == INT64_MAX ? -1 : (us - START_US) / MS;
}

/* ---- the amount ---- */

static void grant_is_told_by_its_report_in_time(void **state)
{
    struct pending_grab p;
    uint64_t id = open_grab(1, false);

    (void)state;
    assert_int_not_equal(id, 0);
    at_ms(5);
    assert_int_equal(outcome(id, RR_OK, &p), PENDING_PRODUCE);
    assert_int_equal(p.id, id);
    assert_int_not_equal(p.opaque, id);
    assert_int_equal(p.grab.tag, id);
    at_ms(20);
    assert_int_equal(report(p.opaque, true, &p), PENDING_TELL);
    assert_int_equal(p.grab.user_id, 1);
    assert_int_equal(p.grab.session_id, 101);
    assert_int_equal(p.grab.req_id, 5);
    assert_int_equal(p.outcome.amount_fen, 66);
    assert_int_equal(p.outcome.packet_no, 8);
    assert_int_equal(p.at.shard, 2);
    assert_string_equal(p.at.code, at.code);
    assert_false(p.told_pending);
    assert_int_equal(grab_pending_count(f->t), 0);
    assert_int_equal(next_ms(), -1);
    assert_int_equal(report(p.opaque, true, &p), PENDING_UNKNOWN); /* told once */
    at_ms(100000);
    assert_int_equal(f->n_pending + f->n_again + f->n_gave_up, 0);
}

static void report_at_x_is_in_time_and_after_x_is_late(void **state)
{
    struct pending_grab p;
    uint64_t in_time = open_grab(1, false);
    uint64_t late = open_grab(2, false);
    uint64_t opaque[2];

    (void)state;
    assert_int_equal(outcome(in_time, RR_OK, &p), PENDING_PRODUCE);
    opaque[0] = p.opaque;
    assert_int_equal(outcome(late, RR_OK, &p), PENDING_PRODUCE);
    opaque[1] = p.opaque;
    at_ms(2000);
    assert_int_equal(report(opaque[0], true, &p), PENDING_TELL);
    assert_true(p.told_pending);
    f->now_us++;
    assert_int_equal(report(opaque[1], true, &p), PENDING_STAY);
    assert_int_equal(f->n_again, 0);
    assert_int_equal(next_ms(), 2000); /* now */
    at_ms(2001);
    assert_int_equal(f->n_again, 1);
    assert_int_equal(f->again[0].id, late);
    assert_int_equal(f->again[0].grab.tag, late);
    assert_int_equal(f->again[0].grab.seq, 1);
    assert_int_equal(outcome(late, RR_OK, &p), PENDING_PRODUCE);
    assert_int_not_equal(p.opaque, opaque[1]);
    at_ms(2010);
    assert_int_equal(report(p.opaque, true, &p), PENDING_TELL);
    assert_int_equal(p.id, late);
}

/* A record of an earlier attempt was produced before this attempt's reply: it proves nothing about
 * it. */
static void report_of_an_earlier_attempt_tells_nothing(void **state)
{
    struct pending_grab first;
    struct pending_grab p;
    uint64_t id = open_grab(1, false);

    (void)state;
    assert_int_equal(outcome(id, RR_OK, &first), PENDING_PRODUCE);
    at_ms(6000); /* no report at all */
    assert_int_equal(f->n_again, 1);
    assert_int_equal(report(first.opaque, true, &p), PENDING_UNKNOWN); /* the script runs */
    assert_int_equal(outcome(id, RR_OK, &p), PENDING_PRODUCE);
    assert_int_equal(report(first.opaque, true, &first), PENDING_UNKNOWN); /* the record is out */
    assert_int_equal(report(p.opaque, true, &p), PENDING_TELL);
    assert_int_equal(grab_pending_outcome(f->t, id, &p.outcome, f->now_us, &first),
                     PENDING_UNKNOWN);
}

static void missing_report_runs_again_after_x_and_late(void **state)
{
    struct pending_grab p;
    uint64_t id = open_grab(1, false);

    (void)state;
    at_ms(10);
    assert_int_equal(outcome(id, RR_OK, &p), PENDING_PRODUCE);
    at_ms(6009);
    assert_int_equal(f->n_again, 0);
    assert_int_equal(next_ms(), 6010);
    at_ms(6010);
    assert_int_equal(f->n_again, 1);
    assert_true(f->again[0].told_pending);
}

static void failed_reports_back_off_and_a_late_one_resets(void **state)
{
    static const int64_t delays_ms[] = {500, 1000, 2000, 2000, 2000};
    struct pending_grab p;
    uint64_t id = open_grab(1, false);
    int64_t ms = 0;

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(delays_ms); i++) {
        assert_int_equal(outcome(id, RR_OK, &p), PENDING_PRODUCE);
        assert_int_equal(report(p.opaque, false, &p), PENDING_STAY);
        assert_int_equal(report(p.opaque, false, &p), PENDING_UNKNOWN);
        at_ms(ms + delays_ms[i] - 1);
        assert_int_equal(f->n_again, i);
        at_ms(ms += delays_ms[i]);
        assert_int_equal(f->n_again, i + 1);
        assert_int_equal(f->again[i].id, id);
    }
    assert_int_equal(outcome(id, RR_OK, &p), PENDING_PRODUCE);
    at_ms(ms += 3000);
    assert_int_equal(report(p.opaque, true, &p), PENDING_STAY);
    at_ms(ms);
    assert_int_equal(outcome(id, RR_OK, &p), PENDING_PRODUCE);
    assert_int_equal(report(p.opaque, false, &p), PENDING_STAY);
    at_ms(ms + 500);
    assert_int_equal(f->n_again, RR_COUNTOF(delays_ms) + 2);
    assert_int_equal(f->n_pending, 1);
}

/* ---- outcomes that are no grant ---- */

static const struct {
    enum rr_err rc;
    enum pending_action first;      /* nothing was tried before */
    enum pending_action again;      /* the frame says again */
    enum pending_action after_lost; /* an attempt of ours ended unknown */
} no[] = {
    {RR_SOLD_OUT, PENDING_TELL, PENDING_TELL, PENDING_TELL},
    {RR_LIMIT, PENDING_TELL, PENDING_TELL, PENDING_TELL},
    {RR_NOT_STARTED, PENDING_TELL, PENDING_TELL, PENDING_TELL},
    {RR_ENDED, PENDING_TELL, PENDING_TELL, PENDING_TELL},
    {RR_BAD_SEQ, PENDING_TELL, PENDING_TELL, PENDING_TELL},
    {RR_BUSY, PENDING_TELL, PENDING_TELL, PENDING_TELL},
    {RR_RECOVERING, PENDING_TELL, PENDING_STAY, PENDING_STAY},
    {RR_UNAVAILABLE, PENDING_TELL, PENDING_STAY, PENDING_STAY},
    {RR_PENDING, PENDING_STAY, PENDING_STAY, PENDING_STAY},
};

static void outcomes_without_a_grant(void **state)
{
    struct pending_grab p;

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(no); i++) {
        uint64_t id;

        start(4, on_gave_up);
        f->now_us = START_US;
        if (outcome(open_grab(1, false), no[i].rc, &p) != no[i].first)
            fail_msg("%s first", rr_err_name(no[i].rc));
        assert_int_equal(p.outcome.rc, no[i].rc);
        if (outcome(open_grab(2, true), no[i].rc, &p) != no[i].again)
            fail_msg("%s again", rr_err_name(no[i].rc));
        id = open_grab(3, false);
        assert_int_equal(outcome(id, RR_PENDING, &p), PENDING_STAY);
        assert_int_equal(outcome(id, no[i].rc, &p), PENDING_UNKNOWN); /* not asked meanwhile */
        at_ms(500);
        if (outcome(id, no[i].rc, &p) != no[i].after_lost)
            fail_msg("%s after lost", rr_err_name(no[i].rc));
        assert_true(p.told_pending);
    }
}

/* A grant that cannot be confirmed, then a rain being recovered: still no final no. */
static void recovering_after_a_grant_stays(void **state)
{
    struct pending_grab p;
    uint64_t id = open_grab(1, false);

    (void)state;
    assert_int_equal(outcome(id, RR_OK, &p), PENDING_PRODUCE);
    assert_int_equal(report(p.opaque, false, &p), PENDING_STAY);
    at_ms(500);
    assert_int_equal(outcome(id, RR_RECOVERING, &p), PENDING_STAY);
    at_ms(1500);
    assert_int_equal(outcome(id, RR_OK, &p), PENDING_PRODUCE);
    assert_int_equal(report(p.opaque, true, &p), PENDING_TELL);
    assert_int_equal(f->n_pending, 1);
}

static void refused_run_again_backs_off(void **state)
{
    struct pending_grab p;

    (void)state;
    assert_int_equal(outcome(open_grab(1, true), RR_UNAVAILABLE, &p), PENDING_STAY);
    f->refuse = true;
    at_ms(500);
    at_ms(1500);
    at_ms(3500);
    assert_int_equal(f->n_again, 3);
    assert_int_equal(next_ms(), 5500);
}

static void deferred_runs_again_at_its_time(void **state)
{
    struct pending_grab p;
    uint64_t a = open_grab(1, false);
    uint64_t b = open_grab(2, false);
    uint64_t c = open_grab(3, false);
    int64_t t0 = START_US + 80 * MS;

    (void)state;
    assert_int_equal(grab_pending_defer(f->t, a, t0, &p), PENDING_STAY);
    assert_int_equal(grab_pending_defer(f->t, c, t0 + 5 * MS, &p), PENDING_STAY);
    assert_int_equal(grab_pending_defer(f->t, b, t0 - MS, &p),
                     PENDING_STAY); /* sooner, added later */
    assert_int_equal(grab_pending_defer(f->t, a, t0, &p), PENDING_UNKNOWN);
    assert_int_equal(grab_pending_defer(f->t, 12345, t0, &p), PENDING_UNKNOWN);
    assert_int_equal(next_ms(), 79);
    at_ms(82);
    assert_int_equal(f->n_again, 2);
    assert_int_equal(f->again[0].id, b);
    assert_int_equal(f->again[1].id, a);
    assert_int_equal(outcome(a, RR_NOT_STARTED, &p), PENDING_TELL);
    at_ms(85);
    assert_int_equal(f->n_again, 3);
}

/* ---- clocks ---- */

static void pending_is_told_once_at_300_ms(void **state)
{
    struct pending_grab p;
    uint64_t a = open_grab(1, false);
    uint64_t b;

    (void)state;
    at_ms(100);
    b = open_grab(2, false);
    assert_int_equal(next_ms(), 300);
    at_ms(299);
    assert_int_equal(f->n_pending, 0);
    at_ms(300);
    assert_int_equal(f->n_pending, 1);
    assert_int_equal(f->pending[0].id, a);
    assert_true(f->pending[0].told_pending);
    assert_int_equal(next_ms(), 400);
    assert_int_equal(outcome(b, RR_SOLD_OUT, &p), PENDING_TELL);
    assert_false(p.told_pending);
    assert_int_equal(outcome(a, RR_SOLD_OUT, &p), PENDING_TELL);
    assert_true(p.told_pending);
    at_ms(1000);
    assert_int_equal(f->n_pending, 1);
}

/* A frame that waited somewhere may have an older received_us than one opened before it. */
static void older_grab_opened_later_is_told_in_time(void **state)
{
    uint64_t a;
    uint64_t b;

    (void)state;
    f->now_us = START_US + 50 * MS;
    a = open_grab(1, false);
    f->now_us = START_US;
    b = open_grab(2, false);
    at_ms(300);
    assert_int_equal(f->n_pending, 1);
    assert_int_equal(f->pending[0].id, b);
    at_ms(350);
    assert_int_equal(f->pending[1].id, a);
}

static void given_up_after_60_s_in_every_phase(void **state)
{
    struct pending_grab p;
    uint64_t script = open_grab(1, false);
    uint64_t reported = open_grab(2, false);
    uint64_t backoff = open_grab(3, false);

    (void)state;
    at_ms(59000);
    assert_int_equal(outcome(reported, RR_OK, &p), PENDING_PRODUCE);
    assert_int_equal(outcome(backoff, RR_PENDING, &p), PENDING_STAY);
    at_ms(59999);
    assert_int_equal(f->n_again, 1);
    assert_int_equal(outcome(backoff, RR_PENDING, &p), PENDING_STAY);
    assert_int_equal(f->n_gave_up, 0);
    f->open_more = true;
    at_ms(60000);
    assert_int_equal(f->n_gave_up, 3);
    assert_int_equal(f->gave_up[0].id, script);
    assert_int_equal(grab_pending_count(f->t), 3); /* the ones opened inside gave_up() */
    assert_int_equal(outcome(script, RR_OK, &p), PENDING_UNKNOWN);
    assert_int_equal(report(reported | 1, true, &p), PENDING_UNKNOWN);
    f->open_more = false;
    start(4, NULL); /* nobody wants to know */
    (void)open_grab(1, false);
    at_ms(200000);
    assert_int_equal(grab_pending_count(f->t), 0);
    assert_int_equal(f->n_gave_up, 3);
}

/* ---- bounds ---- */

static void full_table_refuses_until_something_ends(void **state)
{
    struct pending_grab p;
    uint64_t ids[4];

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        assert_false(grab_pending_full(f->t));
        ids[i] = open_grab(i + 1, false);
        assert_int_not_equal(ids[i], 0);
    }
    assert_true(grab_pending_full(f->t));
    assert_int_equal(open_grab(9, false), 0);
    assert_int_equal(outcome(ids[2], RR_SOLD_OUT, &p), PENDING_TELL);
    grab_pending_cancel(f->t, ids[1]);
    grab_pending_cancel(f->t, ids[1]);
    assert_int_equal(grab_pending_count(f->t), 2);
    assert_int_not_equal(open_grab(10, false), ids[2]); /* a used slot gets a new id */
    assert_int_not_equal(open_grab(11, false), 0);
    assert_int_equal(open_grab(12, false), 0);
    assert_int_equal(outcome(ids[2], RR_OK, &p), PENDING_UNKNOWN);
    assert_int_equal(outcome(0, RR_OK, &p), PENDING_UNKNOWN);
    assert_int_equal(outcome(UINT64_MAX, RR_OK, &p), PENDING_UNKNOWN);
    grab_pending_cancel(f->t, ids[0]); /* from the middle of every list */
    grab_pending_cancel(f->t, ids[3]);
    at_ms(300);
    assert_int_equal(f->n_pending, 2);
}

/* 65,536 by default; one tick runs at most 1,024 of a kind, so the loop is never held up for long.
 */
static void many_entries_are_run_in_slices(void **state)
{
    struct pending_grab p;
    uint32_t opened = 0;

    (void)state;
    start(0, on_gave_up);
    for (uint64_t id; (id = open_grab(opened + 1, true)) != 0; opened++) {
        if (opened < 3000)
            assert_int_equal(outcome(id, RR_RECOVERING, &p), PENDING_STAY);
    }
    assert_int_equal(opened, 65536);
    at_ms(500);
    assert_int_equal(f->n_again, 1024);
    assert_int_equal(f->n_pending, 1024);
    assert_true(grab_pending_next_us(f->t) <= f->now_us);
    at_ms(500);
    at_ms(500);
    assert_int_equal(f->n_again, 3000);
    for (uint32_t i = 0; i < 3000; i++)
        assert_int_equal(f->again[i].grab.user_id, i + 1);
    f->n_again = f->n_pending = 0;
    at_ms(60000);
    assert_int_equal(f->n_gave_up, 1024);
    assert_int_equal(grab_pending_count(f->t), 65536 - 1024);
    grab_pending_destroy(NULL);
}

static void options_replace_the_defaults(void **state)
{
    struct grab_pending_opts o = {.tell_pending = on_pending,
                                  .run_again = on_again,
                                  .arg = f,
                                  .cap = 2,
                                  .pending_us = 100,
                                  .report_us = 1000,
                                  .late_us = 50,
                                  .backoff_min_us = 200,
                                  .backoff_max_us = 300,
                                  .give_up_us = 9000};
    struct pending_grab p;
    uint64_t id;

    (void)state;
    grab_pending_destroy(f->t);
    f->t = grab_pending_create(&o);
    id = open_grab(1, false);
    assert_int_equal(grab_pending_next_us(f->t), START_US + 100);
    grab_pending_tick(f->t, START_US + 100);
    assert_int_equal(f->n_pending, 1);
    assert_int_equal(outcome(id, RR_OK, &p), PENDING_PRODUCE);
    assert_int_equal(grab_pending_next_us(f->t), START_US + 1050);
    assert_int_equal(report(p.opaque, false, &p), PENDING_STAY);
    assert_int_equal(grab_pending_next_us(f->t), START_US + 200);
    grab_pending_tick(f->t, START_US + 200);
    assert_int_equal(outcome(id, RR_PENDING, &p), PENDING_STAY);
    assert_int_equal(grab_pending_next_us(f->t), START_US + 300);
    grab_pending_tick(f->t, START_US + 9000);
    assert_int_equal(grab_pending_count(f->t), 0);
}

/* Any order of events: every entry ends once, an amount is told only by the report of its last
 * attempt within X. */
static void random_schedule_keeps_the_rules(void **state)
{
    enum { USERS = 200 };
    struct pending_grab p;
    uint64_t ids[USERS] = {0};
    uint64_t opaque[USERS] = {0};
    int64_t sent_us[USERS] = {0};
    uint32_t ended = 0;
    uint32_t seed = 12345;

    (void)state;
    start(USERS, on_gave_up);
    for (unsigned i = 0; i < USERS; i++)
        ids[i] = open_grab(i + 1, i % 2);
    for (unsigned step = 0; step < 200000 && grab_pending_count(f->t) > 0; step++) {
        unsigned i;
        enum pending_action a;

        seed = seed * 1664525 + 1013904223;
        i = (seed >> 8) % USERS;
        f->n_pending = f->n_again = 0;
        f->now_us += (seed >> 28) * MS;
        grab_pending_tick(f->t, f->now_us);
        switch (seed >> 16 & 7) {
        case 0:
        case 1: a = outcome(ids[i], RR_OK, &p); break;
        case 2: a = outcome(ids[i], RR_PENDING, &p); break;
        case 3: a = outcome(ids[i], RR_RECOVERING, &p); break;
        case 4: a = outcome(ids[i], step % 16 ? RR_PENDING : RR_SOLD_OUT, &p); break;
        case 5: a = report(opaque[i], false, &p); break;
        default: a = report(opaque[i], true, &p); break;
        }
        if (a == PENDING_PRODUCE) {
            opaque[i] = p.opaque;
            sent_us[i] = f->now_us;
        }
        if (a == PENDING_TELL) {
            ended++;
            assert_int_equal(p.id, ids[i]);
            if (p.outcome.rc == RR_OK)
                assert_true(f->now_us - sent_us[i] <= 2000 * MS);
            ids[i] = 0;
        }
    }
    assert_int_equal(ended + f->n_gave_up, USERS);
    assert_true(ended > USERS / 2);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(grant_is_told_by_its_report_in_time),
        T(report_at_x_is_in_time_and_after_x_is_late),
        T(report_of_an_earlier_attempt_tells_nothing),
        T(missing_report_runs_again_after_x_and_late),
        T(failed_reports_back_off_and_a_late_one_resets),
        T(outcomes_without_a_grant),
        T(recovering_after_a_grant_stays),
        T(refused_run_again_backs_off),
        T(deferred_runs_again_at_its_time),
        T(pending_is_told_once_at_300_ms),
        T(older_grab_opened_later_is_told_in_time),
        T(given_up_after_60_s_in_every_phase),
        T(full_table_refuses_until_something_ends),
        T(many_entries_are_run_in_slices),
        T(options_replace_the_defaults),
        T(random_schedule_keeps_the_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
