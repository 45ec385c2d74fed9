/* What a worker tells its rooms about their rains by itself. */
#include "../room/cm.h"

#include "fake_worker.h"
#include "rain_watch.h"

enum { MS = 1000 };

static struct fake_worker *f;
static int64_t open_at;
static int64_t end_at;

/* Person 0 (user 7) in r1, where rain A opens in 1 s and ends 10 s later. */
static int setup(void **state)
{
    (void)state;
    f = fake_worker_create();
    fake_hello(f, 0, "7 viewer *");
    fake_join(f, 0, "r1");
    open_at = fake_now_ms(f) + 1000;
    end_at = open_at + 10000;
    fake_rain(f, "r1", 2, RAIN_A, open_at, end_at, 3, 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_worker_destroy(f);
    return 0;
}

static void tick_at(int64_t rain_ms)
{
    f->clock.now_us += (rain_ms - fake_now_ms(f)) * MS;
    rain_watch_tick(&f->w);
    while (hub_run(f->w.hub, 1000))
        ;
}

/* The n-th frame person 0 got is this push of rain A. */
static void assert_push(int n, const char *biz_code)
{
    struct unpack_value payload;
    struct wire m;

    assert_true(wire_of(&f->conns[0], n, &m));
    assert_true(wire_str_is(&m.body, "biz_code", biz_code));
    payload = wire_payload(&m);
    assert_true(wire_str_is(&payload, "config_code", RAIN_A));
}

/* Named users are read once; a list that Redis lost is put there again from the books. */
static void a_list_is_read_until_it_is_here(void **state)
{
    struct rain_entry *e = rains_find(f->w.rains, rr_slice_str(RAIN_A));

    (void)state;
    tick_at(open_at - 500);
    assert_int_equal(f->lists_n, 0);
    e->live.listed = 2;
    tick_at(open_at - 400);
    assert_int_equal(f->lists_n, 1);
    assert_int_equal(f->jobs_n, 1);
    assert_int_equal(f->jobs[0]->kind, RAIN_JOB_PUT_LIST);
    assert_string_equal(f->jobs[0]->code, RAIN_A);
    assert_null(e->live.allowed);
    fake_job_done(f, 0, RR_OK);
    f->list[0] = 7;
    f->list[1] = 8;
    f->list_n = 2;
    tick_at(open_at - 300);
    assert_int_equal(f->lists_n, 1); /* once a second */
    tick_at(open_at + 700);
    assert_int_equal(f->lists_n, 2);
    assert_int_equal(e->live.allowed_n, 2);
    assert_int_equal(e->live.allowed[1], 8);
    tick_at(open_at + 3000);
    assert_int_equal(f->lists_n, 2);
}

static void end_is_told_once_at_its_time(void **state)
{
    (void)state;
    tick_at(end_at - 1);
    assert_int_equal(f->conns[0].sent_n, 0);
    tick_at(end_at);
    assert_int_equal(f->conns[0].sent_n, 1);
    assert_push(0, "RED_PACKET_END");
    tick_at(end_at + 100);
    assert_int_equal(f->conns[0].sent_n, 1);
}

static void a_result_that_comes_first_is_told_after_end(void **state)
{
    (void)state;
    tick_at(end_at - 1); /* the last tick before the end: the settler is faster than the next */
    fake_rain_push(f, "r1", 3, "RED_PACKET_RESULT", RAIN_A, open_at, end_at, 3, 1);
    assert_int_equal(f->conns[0].sent_n, 2);
    assert_push(0, "RED_PACKET_END");
    assert_push(1, "RED_PACKET_RESULT");
    tick_at(end_at + 100);
    assert_int_equal(f->conns[0].sent_n, 2);
}

static void a_result_after_end_is_told_alone(void **state)
{
    (void)state;
    tick_at(end_at);
    fake_rain_push(f, "r1", 3, "RED_PACKET_RESULT", RAIN_A, open_at, end_at, 3, 1);
    assert_int_equal(f->conns[0].sent_n, 2);
    assert_push(1, "RED_PACKET_RESULT");
}

static void an_end_from_the_room_is_not_told_again(void **state)
{
    (void)state;
    fake_rain_push(f, "r1", 3, "RED_PACKET_END", RAIN_A, open_at, end_at, 3, 1);
    tick_at(end_at + 100);
    fake_rain_push(f, "r1", 4, "RED_PACKET_RESULT", RAIN_A, open_at, end_at, 3, 1);
    assert_int_equal(f->conns[0].sent_n, 2);
    assert_push(0, "RED_PACKET_END");
    assert_push(1, "RED_PACKET_RESULT");
}

static void the_ticker_tells_what_changed_and_not_too_often(void **state)
{
    (void)state;
    tick_at(open_at - 1);
    assert_int_equal(f->sums_n, 0);
    f->sums_granted = 5;
    tick_at(open_at);
    assert_int_equal(f->sums_n, 1);
    assert_push(0, "RED_PACKET_TICK");
    tick_at(open_at + 199);
    assert_int_equal(f->sums_n, 1);
    tick_at(open_at + 200);
    assert_int_equal(f->sums_n, 2);
    assert_int_equal(f->conns[0].sent_n, 1); /* nothing new */
    f->sums_granted = 6;
    tick_at(open_at + 400);
    assert_int_equal(f->conns[0].sent_n, 2);
}

static void nobody_there_asks_nothing(void **state)
{
    (void)state;
    fake_disconnect(f, 0);
    f->sums_granted = 5;
    tick_at(open_at + 1);
    assert_int_equal(f->sums_n, 0);
    tick_at(end_at);
}

static void what_is_over_is_forgotten_after_ten_minutes(void **state)
{
    (void)state;
    tick_at(end_at);
    fake_rain_push(f, "r1", 3, "RED_PACKET_RESULT", RAIN_A, open_at, end_at, 3, 1);
    tick_at(end_at + 599 * 1000);
    assert_int_equal(rains_count(f->w.rains), 1);
    tick_at(end_at + 601 * 1000);
    assert_int_equal(rains_count(f->w.rains), 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_list_is_read_until_it_is_here),
        TEST(end_is_told_once_at_its_time),
        TEST(a_result_that_comes_first_is_told_after_end),
        TEST(a_result_after_end_is_told_alone),
        TEST(an_end_from_the_room_is_not_told_again),
        TEST(the_ticker_tells_what_changed_and_not_too_often),
        TEST(nobody_there_asks_nothing),
        TEST(what_is_over_is_forgotten_after_ten_minutes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
