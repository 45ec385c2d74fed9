#include "cm.h"

#include "rand_stream.h"

static const uint8_t seed[RAIN_SEED_BYTES] = {1, 2, 3};
static const char code[] = "AAAAAAAAAAAAAAAAAAAAAA";

/* n just above 2^63: almost every second number must be drawn again, or small results would be
 * twice as likely. */
static void below_draws_again_what_would_bias(void **state)
{
    const uint64_t n = (UINT64_C(1) << 63) + 1;
    struct rand_stream raw;
    struct rand_stream r;
    uint32_t skipped = 0;

    (void)state;
    rand_stream_init(&raw, seed, code, 1);
    rand_stream_init(&r, seed, code, 1);
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t x = rand_stream_next(&raw);

        while (x < 0 - n) { /* 2^64 mod n */
            skipped++;
            x = rand_stream_next(&raw);
        }
        assert_true(rand_stream_below(&r, n) == x % n);
    }
    assert_true(skipped > 800 && skipped < 1250);
}

static void below_one_is_zero_and_takes_its_bytes(void **state)
{
    struct rand_stream raw;
    struct rand_stream r;

    (void)state;
    rand_stream_init(&raw, seed, code, 1);
    rand_stream_init(&r, seed, code, 1);
    (void)rand_stream_next(&raw);
    assert_int_equal(rand_stream_below(&r, 1), 0);
    assert_true(rand_stream_next(&raw) == rand_stream_next(&r));
}

static void stream_depends_on_seed_code_and_version(void **state)
{
    static const uint8_t other_seed[RAIN_SEED_BYTES] = {1, 2, 4};
    struct rand_stream r[4];
    uint64_t x[4];

    (void)state;
    rand_stream_init(&r[0], seed, code, 1);
    rand_stream_init(&r[1], other_seed, code, 1);
    rand_stream_init(&r[2], seed, "BAAAAAAAAAAAAAAAAAAAAA", 1);
    rand_stream_init(&r[3], seed, code, 256);
    for (unsigned i = 0; i < 4; i++) {
        x[i] = rand_stream_next(&r[i]);
        for (unsigned k = 0; k < i; k++)
            assert_true(x[i] != x[k]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(below_draws_again_what_would_bias),
        cmocka_unit_test(below_one_is_zero_and_takes_its_bytes),
        cmocka_unit_test(stream_depends_on_seed_code_and_version),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
