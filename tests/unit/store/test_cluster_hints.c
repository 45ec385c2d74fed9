/* What both sides make of redirections, by two servers that say what the test wants: each hint followed once, ASKING before exactly
 * one call, no endless walk, and a refusal is "nothing happened", never an answer. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster.h"
#include "fake_redis.h"
#include "loop_fixture.h"

enum says { SAYS_STATE, SAYS_MOVED, SAYS_ASK, SAYS_PING_PONG, SAYS_DOWN, SAYS_TRYAGAIN };

static struct fake_redis a;
static struct fake_redis b;
static enum says says; /* what server a answers to a script; b answers, but for SAYS_PING_PONG */
static struct store_opts opts;
static char url[64];

static void table(char *out, size_t cap)
{
    snprintf(out, cap, "*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:%d\r\n$1\r\nx\r\n",
             a.port);
}

/* pool_state, or pool_grab of one user: recovering, so that nothing of it matters. */
static void state_reply(const char *name, char *out, size_t cap)
{
    (void)name;
    snprintf(
        out, cap,
        "*13\r\n$4\r\nnone\r\n$0\r\n\r\n$0\r\n\r\n$40\r\n%040d\r\n:1\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0"
        "\r\n:0\r\n:0\r\n:1\r\n",
        7);
}

static void answer_a(struct fake_redis *f, const char *name, char *out, size_t cap)
{
    (void)f;
    if (strcmp(name, "CLUSTER") == 0) {
        table(out, cap);
        return;
    }
    if (strcmp(name, "EVALSHA") != 0)
        return;
    switch (says) {
    case SAYS_STATE: state_reply(name, out, cap); break;
    case SAYS_MOVED:
    case SAYS_PING_PONG: snprintf(out, cap, "-MOVED 1 127.0.0.1:%d\r\n", b.port); break;
    case SAYS_ASK: snprintf(out, cap, "-ASK 1 127.0.0.1:%d\r\n", b.port); break;
    case SAYS_DOWN: snprintf(out, cap, "-CLUSTERDOWN Hash slot not served\r\n"); break;
    case SAYS_TRYAGAIN: snprintf(out, cap, "-TRYAGAIN Multiple keys request\r\n"); break;
    }
}

static void answer_b(struct fake_redis *f, const char *name, char *out, size_t cap)
{
    bool asking = f->asked_n > 1 && strcmp(f->asked[f->asked_n - 2], "ASKING") == 0;

    if (strcmp(name, "CLUSTER") == 0)
        table(out, cap);
    else if (strcmp(name, "EVALSHA") != 0)
        return;
    else if (says == SAYS_PING_PONG || (says == SAYS_ASK && !asking))
        snprintf(out, cap, "-MOVED 1 127.0.0.1:%d\r\n", a.port);
    else
        state_reply(name, out, cap);
}

static int setup(void **state)
{
    (void)state;
    a.answer = answer_a;
    b.answer = answer_b;
    fake_redis_start(&a);
    fake_redis_start(&b);
    snprintf(url, sizeof(url), "redis://127.0.0.1:%d", a.port);
    opts = (struct store_opts){.url = url,
                               .namespace_ = "t1_",
                               .worker_name = "w1",
                               .timeout_ms = 2000,
                               .topology = STORE_CLUSTER};
    signal(SIGPIPE, SIG_IGN);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_redis_stop(&a);
    fake_redis_stop(&b);
    return 0;
}

static void expect(enum says what, enum rr_err want, unsigned at_a, unsigned at_b, unsigned asking)
{
    struct store_sync *s = NULL;
    struct pool_shard at = test_shard(1);
    struct pool_state st;

    says = what;
    assert_int_equal(store_sync_create(&s, &opts), RR_OK);
    assert_int_equal(store_sync_ping(s), RR_OK);
    fake_redis_forget(&a);
    fake_redis_forget(&b);
    assert_int_equal(store_sync_pool(s)->state(store_sync_pool(s)->impl, &at, &st), want);
    assert_int_equal(fake_redis_asked(&a, "EVALSHA"), at_a);
    assert_int_equal(fake_redis_asked(&b, "EVALSHA"), at_b);
    assert_int_equal(fake_redis_asked(&b, "ASKING"), asking);
    store_sync_destroy(s);
}

static void the_blocking_side_follows(void **state)
{
    (void)state;
    expect(SAYS_STATE, RR_OK, 1, 0, 0);
    expect(SAYS_MOVED, RR_OK, 1, 1, 0);
    expect(SAYS_ASK, RR_OK, 1, 1, 1);
    expect(SAYS_DOWN, RR_UNAVAILABLE, 1, 0, 0);
    expect(SAYS_TRYAGAIN, RR_UNAVAILABLE, 1, 0, 0);
    expect(SAYS_PING_PONG, RR_UNAVAILABLE, 3, 3, 0);
}

static void one_grab(struct loop_fixture *l, enum says what, enum rr_err want, unsigned at_a,
                     unsigned at_b, unsigned asking)
{
    struct pool_shard at = test_shard(1);
    struct pool_grab_item item = {7, 0, false};
    struct grab_answer got;

    says = what;
    fake_redis_forget(&a);
    fake_redis_forget(&b);
    loop_grab(l, &at, &item, 1, &got);
    assert_int_equal(got.err, want);
    assert_int_equal(fake_redis_asked(&a, "EVALSHA"), at_a);
    assert_int_equal(fake_redis_asked(&b, "EVALSHA"), at_b);
    assert_int_equal(fake_redis_asked(&b, "ASKING"), asking);
}

/* The fakes' answer is no grab's: it means "unknown", which is what a reply that makes no sense is. */
static void the_loop_follows(void **state)
{
    struct loop_fixture l;

    (void)state;
    says = SAYS_STATE;
    loop_open(&l, &opts, NULL);
    loop_until_up(&l);
    one_grab(&l, SAYS_STATE, RR_PENDING, 1, 0, 0);
    one_grab(&l, SAYS_ASK, RR_PENDING, 1, 1, 1);
    one_grab(&l, SAYS_STATE, RR_PENDING, 1, 0, 0); /* an ASK says nothing about the next call */
    one_grab(&l, SAYS_DOWN, RR_UNAVAILABLE, 1, 0, 0);
    one_grab(&l, SAYS_TRYAGAIN, RR_UNAVAILABLE, 1, 0, 0);
    one_grab(&l, SAYS_MOVED, RR_PENDING, 1, 1, 0);
    loop_close(&l);
}

static void the_loop_does_not_walk_for_ever(void **state)
{
    struct loop_fixture l;

    (void)state;
    says = SAYS_STATE;
    loop_open(&l, &opts, NULL);
    loop_until_up(&l);
    one_grab(&l, SAYS_PING_PONG, RR_UNAVAILABLE, 3, 3, 0);
    loop_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_blocking_side_follows),
        cmocka_unit_test(the_loop_follows),
        cmocka_unit_test(the_loop_does_not_walk_for_ever),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
