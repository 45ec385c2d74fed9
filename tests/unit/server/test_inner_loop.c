/* A loop inside of a loop: it runs when asked to, and the outer one wakes for it. */
#include "cm.h"

#include <poll.h>
#include <unistd.h>

#include "inner_loop.h"

static uv_loop_t outer;
static struct inner_loop inner;
static uv_prepare_t turn;
static int fds[2];
static int seen;

static void on_turn(uv_prepare_t *p)
{
    (void)p;
    inner_loop_turn(&inner);
}

static int setup(void **state)
{
    (void)state;
    seen = 0;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(uv_loop_init(&outer), 0);
    inner_loop_init(&inner, &outer);
    uv_prepare_init(&outer, &turn);
    uv_prepare_start(&turn, on_turn);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    uv_close((uv_handle_t *)&turn, NULL);
    inner_loop_close(&inner);
    uv_run(&outer, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&outer), 0);
    close(fds[0]);
    close(fds[1]);
    return 0;
}

static void on_byte(uv_poll_t *p, int status, int events)
{
    char byte = 0;

    (void)events;
    assert_int_equal(status, 0);
    assert_int_equal(read(fds[0], &byte, 1), 1);
    seen++;
    inner_loop_run(&inner); /* inside of itself: nothing */
    if (byte == 'q')
        uv_close((uv_handle_t *)p, NULL);
}

static void on_timer(uv_timer_t *t)
{
    seen++;
    uv_close((uv_handle_t *)t, NULL);
}

/* What epoll_wait() of the outer loop would find now. */
static bool outer_would_wake(void)
{
    struct pollfd p = {.fd = uv_backend_fd(&outer), .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

static void test_the_outer_loop_wakes_for_its_events(void **state)
{
    uv_poll_t poll;

    (void)state;
    uv_poll_init(&inner.loop, &poll, fds[0]);
    uv_poll_start(&poll, UV_READABLE, on_byte);
    uv_run(
        &outer,
        UV_RUN_NOWAIT); /* the inner loop's epoll knows the pipe now, the outer one's the inner one */
    assert_false(outer_would_wake());
    assert_int_equal(write(fds[1], "aq", 2), 2);
    assert_true(outer_would_wake());
    uv_run(&outer, UV_RUN_NOWAIT);
    assert_true(seen >= 1); /* a byte per turn */
    uv_run(&outer, UV_RUN_NOWAIT);
    assert_int_equal(seen, 2);
    assert_false(outer_would_wake());
}

static void test_it_runs_in_between(void **state)
{
    uv_poll_t poll;

    (void)state;
    uv_poll_init(&inner.loop, &poll, fds[0]);
    uv_poll_start(&poll, UV_READABLE, on_byte);
    assert_int_equal(write(fds[1], "q", 1), 1);
    inner_loop_run(&inner);
    assert_int_equal(seen, 1); /* without a turn of the outer one */
}

static void test_the_outer_loop_wakes_for_its_timers(void **state)
{
    uv_timer_t timer;

    (void)state;
    uv_run(&outer, UV_RUN_NOWAIT);
    assert_int_equal(uv_backend_timeout(&outer), -1); /* nothing is due, ever */
    uv_timer_init(&inner.loop, &timer);
    uv_timer_start(&timer, on_timer, 60000, 0);
    inner_loop_turn(&inner);
    assert_in_range(uv_backend_timeout(&outer), 1, 60000);
    assert_int_equal(seen, 0);
    uv_timer_start(&timer, on_timer, 0, 0);
    inner_loop_turn(&inner);
    assert_int_equal(seen, 1);
    inner_loop_turn(&inner);
    assert_int_equal(uv_backend_timeout(&outer), -1);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_outer_loop_wakes_for_its_events),
        TEST(test_it_runs_in_between),
        TEST(test_the_outer_loop_wakes_for_its_timers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
