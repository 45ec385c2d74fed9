#include "cm.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "rain/split.h"

static void home_matches_vectors(void **state)
{
    json_error_t err;
    json_t *root = json_load_file(RR_VECTORS_DIR "/shard.json", 0, &err);
    json_t *shards = json_object_get(root, "shards");
    json_t *v = NULL;
    size_t i = 0;

    (void)state;
    if (!root)
        fail_msg("%s:%d %s", err.source, err.line, err.text);
    assert_true(json_array_size(json_object_get(root, "vectors")) >= 10);
    json_array_foreach(json_object_get(root, "vectors"), i, v)
    {
        int64_t user = strtoll(json_string_value(json_object_get(v, "user")), NULL, 10);

        assert_int_equal(json_array_size(json_object_get(v, "home")), json_array_size(shards));
        for (size_t k = 0; k < json_array_size(shards); k++) {
            uint32_t n = (uint32_t)json_integer_value(json_array_get(shards, k));

            assert_int_equal(rain_home_shard(user, n),
                             json_integer_value(json_array_get(json_object_get(v, "home"), k)));
        }
    }
    json_decref(root);
}

/* 64,000 users over 64 shards: chi-square with 63 degrees of freedom is above 120 once in 50,000
 * such sets. */
static void home_spreads_users_evenly(void **state)
{
    uint32_t users[64] = {0};
    double chi2 = 0;

    (void)state;
    for (int64_t user = 1; user <= 64000; user++)
        users[rain_home_shard(user, 64)]++;
    for (unsigned i = 0; i < 64; i++)
        chi2 += (users[i] - 1000.0) * (users[i] - 1000.0) / 1000.0;
    assert_true(chi2 < 120);
}

static void shards_partition_the_rain(void **state)
{
    static const struct {
        uint32_t count;
        uint32_t shards;
    } t[] = {{1, 1}, {10, 3}, {64, 64}, {100, 7}, {1000, 64}, {12, 4}};

    (void)state;
    for (size_t k = 0; k < RR_COUNTOF(t); k++) {
        uint32_t total = 0;
        int64_t all[1000];
        int64_t part[1000];

        for (uint32_t i = 0; i < t[k].count; i++)
            all[i] = 1000 + i;
        for (uint32_t s = 0; s < t[k].shards; s++) {
            uint32_t n = rain_shard_count(t[k].count, t[k].shards, s);

            rain_shard_amounts(all, t[k].count, t[k].shards, s, part);
            for (uint32_t no = 0; no < n; no++)
                assert_int_equal(part[no], 1000 + no * t[k].shards + s);
            total += n;
        }
        assert_int_equal(total, t[k].count);
    }
    assert_int_equal(rain_shard_count(2, 3, 2), 0);
}

static void amounts_hash_is_sha1_of_joined_decimals(void **state)
{
    static const int64_t three[] = {1, 20, 300};
    static const int64_t large[] = {INT64_MAX, INT64_MIN, INT64_MIN};
    char hash[41];

    (void)state;
    rain_amounts_hash(three, 3, hash);
    assert_string_equal(hash, "5591a76edddb144db626e701c9f77ab6683e1ccd");
    rain_amounts_hash(three, 1, hash);
    assert_string_equal(hash, "356a192b7913b04c54574d18c28d46e6395428ab"); /* SHA-1 of "1" */
    rain_amounts_hash(three, 0, hash);
    assert_string_equal(hash, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    rain_amounts_hash(large, 3, hash); /* the longest decimals fit */
    assert_int_equal(strlen(hash), 40);
}

static void seed_hash_is_sha256(void **state)
{
    uint8_t seed[RAIN_SEED_BYTES] = {0};
    uint8_t other[RAIN_SEED_BYTES] = {0};
    char hash[65];

    (void)state;
    rain_seed_hash(seed, hash);
    assert_string_equal(hash, "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925");
    rain_seed_new(seed);
    rain_seed_new(other);
    assert_memory_not_equal(seed, other, RAIN_SEED_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(home_matches_vectors),
        cmocka_unit_test(home_spreads_users_evenly),
        cmocka_unit_test(shards_partition_the_rain),
        cmocka_unit_test(amounts_hash_is_sha1_of_joined_decimals),
        cmocka_unit_test(seed_hash_is_sha256),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
