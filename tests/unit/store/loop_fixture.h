/* loop_fixture.h - a libuv loop with a store_async on it, and grabs that wait for their answer. */
#ifndef TEST_LOOP_FIXTURE_H
#define TEST_LOOP_FIXTURE_H

#include <stdbool.h>
#include <uv.h>

#include "redis_fixture.h"
#include "store/store_async.h"
#include "store/store_sync.h"

struct loop_fixture {
    uv_loop_t loop;
    uv_timer_t beat; /* so that waiting always ends */
    struct store_async *store;
    bool closed;
    bool up;
    uint32_t ups;
    uint32_t downs;
};

/* events: those of the test, or NULL; its arg and state() are replaced. */
void loop_open(struct loop_fixture *l, const struct store_opts *opts,
               const struct room_bus_events *events);
void loop_close(struct loop_fixture *l);
/* Runs the loop until *flag, at most 20 s, then fails the test. */
void loop_until(struct loop_fixture *l, const bool *flag);
void loop_until_up(struct loop_fixture *l);
/* Runs the loop until *count >= n. */
void loop_until_count(struct loop_fixture *l, const uint32_t *count, uint32_t n);

/* One batch, waited for. items[] of the reply are copied to results. */
struct grab_answer {
    bool done;
    enum rr_err err;
    struct pool_grab_reply reply;
    struct pool_grab_result results[POOL_GRAB_MAX];
};
void loop_grab(struct loop_fixture *l, const struct pool_shard *at,
               const struct pool_grab_item *items, uint32_t n, struct grab_answer *out);
/* One grab; the reply must have come. */
struct pool_grab_result loop_grab_one(struct loop_fixture *l, const struct pool_shard *at,
                                      int64_t user_id, uint32_t seq);

/* Seals a shard with amounts 1…n. */
enum rr_err seal_plain(struct store_sync *s, const struct pool_shard *at, uint32_t n,
                       uint32_t limit, char rid[RR_RID_LEN + 1]);
/* Seals and opens for an hour around now. */
void open_plain(struct store_sync *s, const struct pool_shard *at, uint32_t n, uint32_t limit);
struct pool_shard test_shard(uint32_t no);

#endif
