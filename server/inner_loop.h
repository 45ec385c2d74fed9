/* inner_loop.h - a loop inside of a loop. Clients are served by the outer one; Redis, Kafka and what waits for them by the inner
 * one, which runs in every turn of the outer one and whenever its owner asks for it in between.
 *
 * Why: with thousands of sockets readable at once libuv hands them out 1024 at a time and looks for more up to 48 times before a
 * timer, an idle handle or the end of the turn comes (uv__io_poll), and a reply of Redis stands in line behind all of them. What
 * was taken would wait for what is being refused. Embedding as libuv's guide has it: uv_backend_fd(), uv_backend_timeout().
 * Thread: the outer loop's. */
#ifndef SERVER_INNER_LOOP_H
#define SERVER_INNER_LOOP_H

#include <stdbool.h>
#include <uv.h>

struct inner_loop {
    uv_loop_t loop;
    uv_poll_t poll;   /* of the outer loop: the inner one has events … */
    uv_timer_t timer; /* … or a timer that is due */
    bool running;
};

/* The outer loop must live longer. Neither handle keeps it alive. */
void inner_loop_init(struct inner_loop *l, uv_loop_t *outer);
/* What is due, without waiting. From anywhere; inside of itself it does nothing. */
void inner_loop_run(struct inner_loop *l);
/* Before the outer loop waits: runs, and sees to it that it wakes in time for the inner one. */
void inner_loop_turn(struct inner_loop *l);
/* All handles of it were closed by their owners: runs it to its end. The outer loop must run once more. */
void inner_loop_close(struct inner_loop *l);

#endif
