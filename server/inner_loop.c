#include "inner_loop.h"

#include "base/err.h"
#include "base/log.h"

/* To wake up is all: inner_loop_turn() comes before the outer loop waits again. */
static void on_events(uv_poll_t *poll, int status, int events)
{
    (void)poll;
    (void)status;
    (void)events;
}

static void on_due(uv_timer_t *timer)
{
    (void)timer;
}

void inner_loop_init(struct inner_loop *l, uv_loop_t *outer)
{
    RR_ASSERT(uv_loop_init(&l->loop) == 0);
    RR_ASSERT(uv_poll_init(outer, &l->poll, uv_backend_fd(&l->loop)) == 0);
    uv_timer_init(outer, &l->timer);
    uv_poll_start(&l->poll, UV_READABLE, on_events);
    uv_unref((uv_handle_t *)&l->poll);
    uv_unref((uv_handle_t *)&l->timer);
    l->running = false;
}

void inner_loop_run(struct inner_loop *l)
{
    if (l->running)
        return;
    l->running = true;
    uv_run(&l->loop, UV_RUN_NOWAIT);
    l->running = false;
}

void inner_loop_turn(struct inner_loop *l)
{
    int wait_ms = 0;

    inner_loop_run(l);
    wait_ms = uv_loop_alive(&l->loop) ? uv_backend_timeout(&l->loop)
                                      : -1; /* libuv says 0 of an empty loop */
    if (wait_ms < 0)
        uv_timer_stop(&l->timer);
    else
        uv_timer_start(&l->timer, on_due, (uint64_t)wait_ms, 0);
}

void inner_loop_close(struct inner_loop *l)
{
    uv_close((uv_handle_t *)&l->poll, NULL);
    uv_close((uv_handle_t *)&l->timer, NULL);
    uv_run(&l->loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&l->loop) != 0)
        log_warn("loop_busy", "handles of Redis or Kafka are still open at exit");
}
