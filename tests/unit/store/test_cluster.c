/* Slots, the table of slots and redirections of Redis Cluster, without a server; and that the keys of each script are in one slot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cluster.h"

static uint16_t slot_of(const char *key)
{
    return cluster_slot(rr_slice_str(key));
}

/* The specification's own vector: CRC16 of "123456789" is 0x31C3; the others were asked of a server (CLUSTER KEYSLOT). */
static void slots_are_those_of_the_specification(void **state)
{
    static const struct {
        const char *key;
        unsigned slot;
    } rows[] = {
        {"123456789", 0x31C3 % 16384},
        {"", 0},
        {"a", 15495},
        {"foo", 12182},
        {"hello", 866},
        {"somekey", 11058},
        {"user1000", 3443},
        {"bar", 5061},
        {"foo{hash_tag}", 2515},
        {"bar{hash_tag}", 2515},
        {"{user1000}.following", 3443},
    };

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(rows); i++)
        assert_int_equal(slot_of(rows[i].key), rows[i].slot);
}

static void only_a_whole_tag_counts(void **state)
{
    (void)state;
    assert_int_equal(slot_of("{user1000}.following"), slot_of("{user1000}.followers"));
    assert_int_not_equal(slot_of("foo{}{bar}"), slot_of("bar")); /* an empty tag is none */
    assert_int_equal(slot_of("foo{{bar}}zap"), slot_of("{bar"));
    assert_int_equal(slot_of("foo{bar}{zap}"), slot_of("bar"));
    assert_int_not_equal(slot_of("foo{bar"), slot_of("bar"));
    assert_int_equal(cluster_slot(rr_slice_of("{\0}x", 4)), cluster_slot(rr_slice_of("\0", 1)));
}

static void the_slot_of_a_command_is_its_first_keys(void **state)
{
    struct redis_cmd c = {0};
    struct store_key keys[2];
    uint16_t slot = 0;

    (void)state;
    redis_cmd_strs(&c, "HGET", "foo", "bar", (char *)NULL);
    assert_true(cluster_cmd_slot(&c, false, &slot));
    assert_int_equal(slot, 12182);
    redis_cmd_fini(&c);
    keys[0] = key_room("ns_", "user1000", "meta");
    keys[1] = key_room("ns_", "user1000", "log");
    redis_cmd_keys(&c, keys, 2);
    redis_cmd_str(&c, "x");
    assert_true(cluster_cmd_slot(&c, true, &slot));
    assert_int_equal(slot, 3443);
    redis_cmd_fini(&c);
    redis_cmd_strs(&c, "PUBLISH", "users", "x", (char *)NULL);
    assert_false(cluster_cmd_slot(&c, false, &slot));
    redis_cmd_fini(&c);
    redis_cmd_str(&c, "PING");
    assert_false(cluster_cmd_slot(&c, false, &slot));
    redis_cmd_fini(&c);
}

static void all_keys_of_a_script_are_in_one_slot(void **state)
{
    static const char *const parts[] = {
        "list", "state", "users", "outbox", "fence", "sweep", "tmp:0123456789abcdef"};
    static const char *const of_room[] = {"meta", "log", "live", "done", "count", "stats", "ch"};
    struct pool_shard at = {.code = "AbCdEfGhIjKlMnOpQrStUv", .shard = 63};
    const char *ns = "ns_";

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(parts); i++)
        assert_int_equal(slot_of(key_pool(ns, &at, parts[i]).s),
                         slot_of(key_pool(ns, &at, "list").s));
    at.shard = 0;
    assert_int_not_equal(slot_of(key_pool(ns, &at, "list").s),
                         slot_of("ns_redpkt:{AbCdEfGhIjKlMnOpQrStUv:63}:list"));
    for (size_t i = 0; i < RR_COUNTOF(of_room); i++)
        assert_int_equal(slot_of(key_room(ns, "room-1", of_room[i]).s), slot_of("room-1"));
    assert_int_equal(slot_of(key_bucket(ns, "total_get_count", at.code).s),
                     slot_of(key_bucket(ns, "total_get_price", at.code).s));
}

/* ---- the table ---- */

static redisReply *parse(const char *text)
{
    redisReader *reader = redisReaderCreate();
    void *r = NULL;

    assert_int_equal(redisReaderFeed(reader, text, strlen(text)), REDIS_OK);
    assert_int_equal(redisReaderGetReply(reader, &r), REDIS_OK);
    assert_non_null(r);
    redisReaderFree(reader);
    return r;
}

static enum rr_err read_map(const char *text, struct cluster_map *m)
{
    struct redis_addr asked = {"10.0.0.9", 7009};
    redisReply *r = parse(text);
    enum rr_err err = cluster_map_read(r, &asked, m);

    freeReplyObject(r);
    return err;
}

#define NODE(host, port) "*3\r\n" host ":" port "\r\n$1\r\nx\r\n"

static void the_table_of_slots_is_read(void **state)
{
    struct cluster_map *m = calloc(1, sizeof(*m));

    (void)state;
    assert_non_null(m);
    assert_int_equal(
        read_map("*3\r\n*4\r\n:0\r\n:5460\r\n" NODE("$9\r\n127.0.0.1\r\n", "7000")
                     NODE("$9\r\n127.0.0.1\r\n", "7003") /* a replica: not asked */
                 "*3\r\n:5461\r\n:16382\r\n" NODE(
                     "$0\r\n\r\n", "7001") "*3\r\n:16383\r\n:16383\r\n" NODE("$9\r\n127.0.0.1\r\n",
                                                                             "7000"),
                 m),
        RR_OK);
    assert_int_equal(m->n, 2);
    assert_int_equal(m->owner[0], 1);
    assert_int_equal(m->owner[5460], 1);
    assert_int_equal(m->owner[5461], 2);
    assert_int_equal(m->owner[16383], 1);
    assert_string_equal(m->primaries[0].host, "127.0.0.1");
    assert_int_equal(m->primaries[0].port, 7000);
    assert_string_equal(m->primaries[1].host,
                        "10.0.0.9"); /* an empty host is the one that answered */
    assert_int_equal(m->primaries[1].port, 7001);
    assert_int_equal(read_map("*0\r\n", m), RR_OK);
    assert_int_equal(m->n, 0);
    assert_int_equal(m->owner[0], 0);
    free(m);
}

static void a_malformed_table_is_refused(void **state)
{
    static const char *const texts[] = {
        "+OK\r\n",
        "*1\r\n:1\r\n",
        "*1\r\n*2\r\n:0\r\n:1\r\n",
        "*1\r\n*3\r\n:0\r\n:16384\r\n" NODE("$1\r\nh\r\n", "1"),
        "*1\r\n*3\r\n:-1\r\n:5\r\n" NODE("$1\r\nh\r\n", "1"),
        "*1\r\n*3\r\n:0\r\n:5\r\n" NODE("$1\r\nh\r\n", "0"),
        "*1\r\n*3\r\n:0\r\n:5\r\n" NODE("$1\r\nh\r\n", "65536"),
        "*1\r\n*3\r\n:0\r\n:5\r\n:7\r\n",
        "*1\r\n*3\r\n$1\r\n0\r\n:5\r\n" NODE("$1\r\nh\r\n", "1"),
    };
    struct cluster_map *m = calloc(1, sizeof(*m));

    (void)state;
    assert_non_null(m);
    for (size_t i = 0; i < RR_COUNTOF(texts); i++)
        assert_int_equal(read_map(texts[i], m), RR_MALFORMED);
    free(m);
}

static void hints_are_read(void **state)
{
    static const struct {
        const char *text;
        enum cluster_hint hint;
        unsigned slot;
        const char *host;
        unsigned port;
    } rows[] = {
        {"MOVED 3999 127.0.0.1:6381", CLUSTER_MOVED, 3999, "127.0.0.1", 6381},
        {"ASK 16383 redis-2.example:6379", CLUSTER_ASK, 16383, "redis-2.example", 6379},
        {"MOVED 0 ::1:7000", CLUSTER_MOVED, 0, "::1", 7000},
        {"MOVED 5 :7000", CLUSTER_MOVED, 5, "10.0.0.9", 7000},
        {"TRYAGAIN Multiple keys request during rehashing of slot", CLUSTER_LATER, 0, NULL, 0},
        {"CLUSTERDOWN Hash slot not served", CLUSTER_LATER, 0, NULL, 0},
        {"MOVED 16384 h:1", CLUSTER_LATER, 0, NULL, 0},
        {"MOVED x h:1", CLUSTER_LATER, 0, NULL, 0},
        {"MOVED 1 h:", CLUSTER_LATER, 0, NULL, 0},
        {"MOVED 1 h:99999", CLUSTER_LATER, 0, NULL, 0},
        {"ASK ", CLUSTER_LATER, 0, NULL, 0},
        {"MOVEDX 1 h:1", CLUSTER_NO_HINT, 0, NULL, 0},
        {"ERR unknown", CLUSTER_NO_HINT, 0, NULL, 0},
        {"", CLUSTER_NO_HINT, 0, NULL, 0},
    };
    struct redis_addr asked = {"10.0.0.9", 7009};

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(rows); i++) {
        struct redis_addr to = {"", 0};
        uint16_t slot = 0;

        assert_int_equal(cluster_hint(rr_slice_str(rows[i].text), &asked, &slot, &to),
                         rows[i].hint);
        if (!rows[i].host)
            continue;
        assert_int_equal(slot, rows[i].slot);
        assert_string_equal(to.host, rows[i].host);
        assert_int_equal(to.port, rows[i].port);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_are_those_of_the_specification),
        cmocka_unit_test(only_a_whole_tag_counts),
        cmocka_unit_test(the_slot_of_a_command_is_its_first_keys),
        cmocka_unit_test(all_keys_of_a_script_are_in_one_slot),
        cmocka_unit_test(the_table_of_slots_is_read),
        cmocka_unit_test(a_malformed_table_is_refused),
        cmocka_unit_test(hints_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
