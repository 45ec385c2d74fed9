/* Counts of risk control in a real Redis: sums over workers, caps, keys that go by themselves. */
#include <string.h>

#include "base/err.h"
#include "loop_fixture.h"
#include "store/store_risk.h"

static struct redis_fixture redis;
static struct loop_fixture loop;

struct answer {
    bool done;
    enum rr_err err;
    int64_t totals[STORE_RISK_MAX];
    uint32_t n;
};

static int setup(void **state)
{
    struct store_opts opts;

    (void)state;
    redis_start(&redis);
    opts = redis_opts(&redis, "w1");
    loop_open(&loop, &opts, NULL);
    loop_until_up(&loop);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    loop_close(&loop);
    redis_stop(&redis);
    return 0;
}

static void answered(void *arg, enum rr_err err, const int64_t *totals, uint32_t n)
{
    struct answer *a = arg;

    a->done = true;
    a->err = err;
    a->n = n;
    if (totals)
        memcpy(a->totals, totals, n * sizeof(*totals));
}

static struct answer counts(const struct store_risk_count *c, uint32_t n)
{
    struct answer a = {.done = false};

    store_async_risk_counts(loop.store, "a_rule", 7, 60000, c, n, answered, &a);
    loop_until(&loop, &a.done);
    assert_int_equal(a.err, RR_OK);
    assert_int_equal(a.n, n);
    return a;
}

static void counts_add_up(void **state)
{
    const struct store_risk_count two[] = {{.id = 1, .delta = 3}, {.id = UINT64_MAX, .delta = 5}};
    struct answer a = counts(two, 2);

    (void)state;
    assert_int_equal(a.totals[0], 3);
    assert_int_equal(a.totals[1], 5);
    a = counts(two + 1, 1);
    assert_int_equal(a.totals[0], 10);
    assert_in_range(redis_do_int(&redis, "PTTL t1_redpkt:risk:{a_rule:7}"), 1, 60000);
}

static void users_of_an_address_add_up(void **state)
{
    const uint64_t users[] = {1, 2, 3, 2};
    const uint64_t more[] = {3, 4};
    struct answer a = {.done = false};

    (void)state;
    store_async_risk_crowd(loop.store, 0xabc, 9, 60000, users, 4, answered, &a);
    loop_until(&loop, &a.done);
    assert_int_equal(a.err, RR_OK);
    assert_int_equal(a.totals[0], 3);
    a.done = false;
    store_async_risk_crowd(loop.store, 0xabc, 9, 60000, more, 2, answered, &a);
    loop_until(&loop, &a.done);
    assert_int_equal(a.totals[0], 4);
    assert_in_range(redis_do_int(&redis, "PTTL t1_redpkt:risk:{address:0000000000000abc:9}"), 1,
                    60000);
}

static void what_is_no_count_is_not_known(void **state)
{
    const struct store_risk_count one = {.id = 1, .delta = 1};
    struct answer a = {.done = false};

    (void)state;
    redis_do_int(&redis, "LPUSH t1_redpkt:risk:{other:7} x");
    store_async_risk_counts(loop.store, "other", 7, 60000, &one, 1, answered, &a);
    loop_until(&loop, &a.done);
    assert_int_not_equal(a.err, RR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_add_up),
        cmocka_unit_test(users_of_an_address_add_up),
        cmocka_unit_test(what_is_no_count_is_not_known),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
