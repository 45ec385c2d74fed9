/* Commands as bytes, error texts, replies of the scripts: everything that needs no server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "redis_cmd.h"
#include "replies.h"

static void write_encodes_binary_arguments(void **state)
{
    struct redis_cmd c = {0};
    struct rr_buf b = {0};
    static const char want[] =
        "*4\r\n$3\r\nSET\r\n$0\r\n\r\n$3\r\na\0b\r\n$20\r\n-9223372036854775808\r\n";

    (void)state;
    redis_cmd_strs(&c, "SET", "", (char *)NULL);
    redis_cmd_arg(&c, rr_slice_of("a\0b", 3));
    redis_cmd_int(&c, INT64_MIN);
    redis_cmd_write(&c, NULL, false, &b);
    assert_int_equal(b.len, sizeof(want) - 1);
    assert_memory_equal(b.p, want, b.len);
    redis_cmd_fini(&c);
    rr_buf_fini(&b);
}

static void write_script_by_sha_and_by_text(void **state)
{
    struct redis_cmd c = {0};
    struct rr_buf sha = {0};
    struct rr_buf body = {0};
    struct store_key key = key_room("ns_", "r1", "meta");
    static const struct store_script s = {"x", (const unsigned char *)"return 1", 8,
                                          "0123456789012345678901234567890123456789"};

    (void)state;
    redis_cmd_keys(&c, &key, 1);
    redis_cmd_write(&c, &s, false, &sha);
    redis_cmd_write(&c, &s, true, &body);
    assert_string_equal(sha.p,
                        "*4\r\n$7\r\nEVALSHA\r\n$40\r\n0123456789012345678901234567890123456789\r\n"
                        "$1\r\n1\r\n$12\r\nns_{r1}:meta\r\n");
    assert_string_equal(body.p,
                        "*4\r\n$4\r\nEVAL\r\n$8\r\nreturn 1\r\n$1\r\n1\r\n$12\r\nns_{r1}:meta\r\n");
    redis_cmd_fini(&c);
    rr_buf_fini(&sha);
    rr_buf_fini(&body);
}

static void error_kind_knows_the_states_of_redis(void **state)
{
    static const struct {
        const char *text;
        enum rr_err want;
    } rows[] = {
        {"LOADING Redis is loading the dataset in memory", RR_UNAVAILABLE},
        {"READONLY You can't write against a read only replica. script: x", RR_UNAVAILABLE},
        {"OOM command not allowed when used memory > 'maxmemory'. script: x", RR_UNAVAILABLE},
        {"MISCONF Redis is configured to save RDB snapshots", RR_UNAVAILABLE},
        {"BUSY Redis is busy running a script", RR_BUSY},
        {"NOSCRIPT No matching script", RR_NOT_FOUND},
        {"NOAUTH Authentication required.", RR_UNAVAILABLE},
        {"CLUSTERDOWN Hash slot not served", RR_UNAVAILABLE},
        {"ERR Error running script", RR_PENDING},
        {"WRONGTYPE Operation against a key", RR_PENDING},
        {"BUSYGROUP x", RR_PENDING},
        {"", RR_PENDING},
    };

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(rows); i++)
        assert_int_equal(redis_error_kind(rows[i].text, strlen(rows[i].text)), rows[i].want);
}

static void keys_are_those_of_the_design(void **state)
{
    struct pool_shard at = {"AbCdEfGhIjKlMnOpQrStUv", 3};
    char room[RR_ROOM_ID_MAX + 1];

    (void)state;
    assert_string_equal(key_pool("t1_", &at, "list").s,
                        "t1_redpkt:{AbCdEfGhIjKlMnOpQrStUv:3}:list");
    assert_string_equal(key_rain("", "init:lock", at.code).s,
                        "redpkt:init:lock:{AbCdEfGhIjKlMnOpQrStUv}");
    assert_string_equal(key_room("t1_", "r1", "ch").s, "t1_{r1}:ch");
    assert_string_equal(key_global("t1_", "users").s, "t1_users");
    assert_true(key_channel_room("t1_", "t1_{r1}:ch", 10, room));
    assert_string_equal(room, "r1");
    assert_false(key_channel_room("t2_", "t1_{r1}:ch", 10, room));
    assert_false(key_channel_room("t1_", "t1_{r1}:log", 11, room));
    assert_false(key_channel_room("t1_", "t1_{}:ch", 8, room));
    assert_false(key_channel_room("", "{", 1, room));
    assert_true(key_namespace_ok("") && key_namespace_ok("t1_"));
    assert_false(key_namespace_ok("T1") || key_namespace_ok("a{b") ||
                 key_namespace_ok("012345678901234567890123456789012"));
    assert_true(key_name_ok("w-1.a_B"));
    assert_false(key_name_ok("") || key_name_ok("a b") || key_name_ok("a:b"));
}

/* A reply from its RESP text. */
static redisReply *reply_of(const char *resp)
{
    redisReader *reader = redisReaderCreate();
    void *r = NULL;

    redisReaderFeed(reader, resp, strlen(resp));
    assert_int_equal(redisReaderGetReply(reader, &r), REDIS_OK);
    assert_non_null(r);
    redisReaderFree(reader);
    return r;
}

static enum rr_err parse_grab(const char *items, size_t n_items, struct pool_grab_result *out)
{
    struct rr_buf b = {0};
    struct pool_grab_reply reply;
    redisReply *r = NULL;
    enum rr_err err = RR_OK;

    rr_buf_printf(&b,
                  "*10\r\n$3\r\nabc\r\n:5\r\n:1\r\n:9\r\n:2\r\n:300\r\n:0\r\n:8\r\n$3\r\n7-0\r\n$%"
                  "zu\r\n%s\r\n",
                  strlen(items), items);
    r = reply_of(b.p);
    err = reply_grab(r, out, (uint32_t)n_items, &reply);
    if (!err) {
        assert_string_equal(reply.rid, "abc");
        assert_string_equal(reply.outbox_id, "7-0");
        assert_true(reply.now_ms == 5 && reply.t0_ms == 1 && reply.t1_ms == 9 &&
                    reply.granted == 2 && reply.granted_fen == 300 && reply.left == 8);
    }
    freeReplyObject(r);
    rr_buf_fini(&b);
    return err;
}

static void grab_reply_every_word_is_read(void **state)
{
    struct pool_grab_result out[16];

    (void)state;
    assert_int_equal(parse_grab("O:0:17:250;R:1:3:1000000000000;N;E;B;Q:2;L;S;X", 9, out), RR_OK);
    assert_true(out[0].rc == RR_OK && !out[0].replay && out[0].packet_no == 17 &&
                out[0].amount_fen == 250 && out[0].seq == 0);
    assert_true(out[1].rc == RR_OK && out[1].replay && out[1].seq == 1 &&
                out[1].amount_fen == INT64_C(1000000000000));
    assert_int_equal(out[2].rc, RR_NOT_STARTED);
    assert_int_equal(out[3].rc, RR_ENDED);
    assert_int_equal(out[4].rc, RR_BUSY);
    assert_true(out[5].rc == RR_BAD_SEQ && out[5].seq == 2);
    assert_int_equal(out[6].rc, RR_LIMIT);
    assert_int_equal(out[7].rc, RR_SOLD_OUT);
    assert_int_equal(out[8].rc, RR_RECOVERING);
}

static void grab_reply_malformed_is_refused(void **state)
{
    static const char *const bad[] = {
        "",           "S;S",
        ";",          "Z",
        "O",          "O:",
        "O:0",        "O:0:1",
        "O:0:1:0",    "O:0:1:2:3",
        "O:x:1:2",    "O:0:1:-2",
        "Q",          "Q:",
        "Q:x",        "Q:5000",
        "SS",         "O:0:9999999:1",
        "R:9999:1:1", "O:0:1:1000000000001",
        "Q:1:2",
    };
    struct pool_grab_result out[16];

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(bad); i++) {
        if (parse_grab(bad[i], 1, out) != RR_MALFORMED)
            fail_msg("accepted: %s", bad[i]);
    }
    assert_int_equal(parse_grab("S", 2, out), RR_MALFORMED);
}

static void outbox_entry_gives_whole_records(void **state)
{
    static const char good[] = "*2\r\n$3\r\n5-0\r\n*12\r\n$4\r\ncode\r\n$3\r\nabc\r\n$"
                               "5\r\nshard\r\n$1\r\n2\r\n$4\r\nroom\r\n$2\r\nr1\r\n"
                               "$3\r\nrid\r\n$2\r\nff\r\n$2\r\nat\r\n$4\r\n1234\r\n$5\r\nitems\r\n$"
                               "19\r\n42:0:7:250;43:1:8:5\r\n";
    redisReply *r = reply_of(good);
    struct grant_record *records = NULL;
    const char *id = NULL;
    uint32_t n = 0;

    (void)state;
    assert_int_equal(reply_outbox_entry(r, &id, &records, &n), RR_OK);
    assert_string_equal(id, "5-0");
    assert_int_equal(n, 2);
    assert_string_equal(records[1].code, "abc");
    assert_string_equal(records[1].room_id, "r1");
    assert_string_equal(records[1].rid, "ff");
    assert_true(records[1].user_id == 43 && records[1].seq == 1 && records[1].packet_no == 8 &&
                records[1].amount_fen == 5 && records[1].shard == 2 &&
                records[1].granted_at_ms == 1234);
    free(records);
    /* Any damage of the items is found. */
    for (size_t i = 0; i < 19; i++) {
        char *items = r->element[1]->element[11]->str;
        char was = items[i];

        items[i] = 'x';
        assert_int_equal(reply_outbox_entry(r, &id, &records, &n), RR_MALFORMED);
        assert_null(records);
        items[i] = was;
    }
    freeReplyObject(r);
    r = reply_of("*2\r\n$3\r\n5-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    assert_int_equal(reply_outbox_entry(r, &id, &records, &n), RR_MALFORMED);
    freeReplyObject(r);
    r = reply_of(":1\r\n");
    assert_int_equal(reply_outbox_entry(r, &id, &records, &n), RR_MALFORMED);
    freeReplyObject(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(write_encodes_binary_arguments),
        cmocka_unit_test(write_script_by_sha_and_by_text),
        cmocka_unit_test(error_kind_knows_the_states_of_redis),
        cmocka_unit_test(keys_are_those_of_the_design),
        cmocka_unit_test(grab_reply_every_word_is_read),
        cmocka_unit_test(grab_reply_malformed_is_refused),
        cmocka_unit_test(outbox_entry_gives_whole_records),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
