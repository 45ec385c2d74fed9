/* Bodies of the admin API into jobs, each bad field by its name; answers and HTTP status. */
#include "../room/cm.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin_json.h"
#include "protocol/msg.h"
#include "protocol/unpack.h"

static void no_answer(struct rain_job *j)
{
    (void)j;
}

static struct rain_job *job(enum rain_job_kind kind)
{
    return rain_job_alloc(kind, no_answer, NULL);
}

static enum rr_err fill(const char *body, struct rain_job *j, const char **field)
{
    return admin_json_fill(rr_slice_str(body), j, field);
}

/* Replaces one key of a good body (value NULL: removes it) and expects that key to be named. */
static void assert_bad(enum rain_job_kind kind, const char *good, const char *key,
                       const char *value)
{
    json_t *o = json_loads(good, 0, NULL);
    struct rain_job *j = job(kind);
    const char *field = NULL;
    char *text = NULL;

    assert_non_null(o);
    if (value)
        json_object_set_new(o, key, json_loads(value, JSON_DECODE_ANY, NULL));
    else
        json_object_del(o, key);
    text = json_dumps(o, 0);
    if (fill(text, j, &field) != RR_BAD_REQUEST || strcmp(field, key) != 0)
        fail_msg("%s: %s should be refused", key, text);
    free(text);
    json_decref(o);
    rain_job_free(j);
}

/* ---- create ---- */

static const char create[] =
    "{\"room\":\"r1\",\"sender\":\"9223372036854775807\",\"total\":1000,\"count\":10,"
    "\"split\":\"line-cut\",\"limit\":2,\"shards\":4,\"lo\":1,\"hi\":500,\"duration_ms\":20000,"
    "\"biz_id\":\"b1\",\"text\":\"恭喜发财\",\"unknown\":[1]}";

static void test_create(void **state)
{
    struct rain_job *j = job(RAIN_JOB_CREATE);
    const char *field = NULL;

    (void)state;
    assert_int_equal(fill(create, j, &field), RR_OK);
    assert_string_equal(j->spec.room_id, "r1");
    assert_int_equal(j->spec.sender_id, INT64_MAX);
    assert_int_equal(j->spec.total_fen, 1000);
    assert_int_equal(j->spec.count, 10);
    assert_int_equal(j->spec.split, RAIN_LINE_CUT);
    assert_int_equal(j->spec.limit, 2);
    assert_int_equal(j->spec.shards, 4);
    assert_int_equal(j->spec.lo_fen, 1);
    assert_int_equal(j->spec.hi_fen, 500);
    assert_int_equal(j->spec.duration_ms, 20000);
    assert_string_equal(j->spec.biz_id, "b1");
    assert_string_equal(j->spec.text, "恭喜发财");
    rain_job_free(j);
}

static void test_create_minimal(void **state)
{
    struct rain_job *j = job(RAIN_JOB_CREATE);
    const char *field = NULL;

    (void)state;
    assert_int_equal(fill("{\"room\":\"r1\",\"sender\":7,\"total\":1000,\"count\":10,"
                          "\"biz_id\":\"b1\"}",
                          j, &field),
                     RR_OK);
    assert_int_equal(j->spec.sender_id, 7);
    assert_int_equal(j->spec.limit, 0); /* defaults are rain_spec_check()'s */
    assert_int_equal(j->spec.shards, 0);
    assert_int_equal(j->spec.split, 0);
    assert_string_equal(j->spec.text, "");
    rain_job_free(j);
}

static void test_create_bad_fields(void **state)
{
    static const struct {
        const char *key;
        const char *value;
    } bad[] = {
        {"room", NULL},
        {"room", "1"},
        {"room", "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\""},
        {"sender", NULL},
        {"sender", "\"0\""},
        {"sender", "\"007\""},
        {"sender", "0"},
        {"sender", "-1"},
        {"sender", "1.0"},
        {"sender", "\"9223372036854775808\""},
        {"total", NULL},
        {"total", "\"1000\""},
        {"total", "10.5"},
        {"count", NULL},
        {"count", "0"},
        {"count", "-1"},
        {"count", "4294967296"},
        {"split", "\"fair\""},
        {"split", "1"},
        {"limit", "0"},
        {"limit", "null"},
        {"shards", "0"},
        {"lo", "0"},
        {"hi", "1000000000001"},
        {"duration_ms", "999"},
        {"duration_ms", "86400001"},
        {"biz_id", NULL},
        {"biz_id", "[]"},
        {"text", "{}"},
    };

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(bad); i++)
        assert_bad(RAIN_JOB_CREATE, create, bad[i].key, bad[i].value);
}

static void test_no_object(void **state)
{
    static const char *const bodies[] = {
        "[]",    "1",        "\"x\"",
        "null",  "{",        "{\"room\":\"r1\"",
        "{} {}", " ",        "{\"a\":1,\"a\":2}",
        "nan",   "\xff\xfe",
    };

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(bodies); i++) {
        struct rain_job *j = job(RAIN_JOB_CREATE);
        const char *field = NULL;

        assert_int_equal(fill(bodies[i], j, &field), RR_BAD_REQUEST);
        assert_string_equal(field, "body");
        rain_job_free(j);
    }
}

/* ---- the others ---- */

static void test_start(void **state)
{
    struct rain_job *j = job(RAIN_JOB_START);
    const char *field = NULL;

    (void)state;
    assert_int_equal(fill("", j, &field), RR_OK); /* no body at all */
    assert_int_equal(j->countdown_ms, 5000);
    assert_int_equal(j->duration_ms, 0);
    assert_int_equal(fill("{\"countdown_ms\":0,\"duration_ms\":1000}", j, &field), RR_OK);
    assert_int_equal(j->countdown_ms, 0);
    assert_int_equal(j->duration_ms, 1000);
    rain_job_free(j);
    assert_bad(RAIN_JOB_START, "{}", "countdown_ms", "-1");
    assert_bad(RAIN_JOB_START, "{}", "countdown_ms", "3600001");
    assert_bad(RAIN_JOB_START, "{}", "duration_ms", "1");
}

static void test_extend_and_deposit(void **state)
{
    struct rain_job *j = job(RAIN_JOB_EXTEND);
    const char *field = NULL;

    (void)state;
    assert_int_equal(fill("{\"add_ms\":5000}", j, &field), RR_OK);
    assert_int_equal(j->add_ms, 5000);
    rain_job_free(j);
    assert_bad(RAIN_JOB_EXTEND, "{}", "add_ms", NULL);
    assert_bad(RAIN_JOB_EXTEND, "{}", "add_ms", "0");
    j = job(RAIN_JOB_DEPOSIT);
    assert_int_equal(fill("{\"amount\":1000000000000,\"biz_id\":\"d\"}", j, &field), RR_OK);
    assert_int_equal(j->amount_fen, RR_FEN_MAX);
    rain_job_free(j);
    assert_bad(RAIN_JOB_DEPOSIT, "{\"amount\":1,\"biz_id\":\"d\"}", "amount", "0");
    assert_bad(RAIN_JOB_DEPOSIT, "{\"amount\":1,\"biz_id\":\"d\"}", "amount", "1.5");
    assert_bad(RAIN_JOB_DEPOSIT, "{\"amount\":1,\"biz_id\":\"d\"}", "amount", "1000000000001");
    assert_bad(RAIN_JOB_DEPOSIT, "{\"amount\":1,\"biz_id\":\"d\"}", "biz_id", NULL);
}

/* ---- push ---- */

static void test_push(void **state)
{
    struct rain_job *j = job(RAIN_JOB_PUSH);
    const char *field = NULL;
    struct unpack_value map;
    struct unpack_value v;
    struct rr_slice bytes;

    (void)state;
    assert_int_equal(fill("{\"biz_code\":\"GIFT\",\"payload\":{\"n\":-5,\"s\":\"雨\",\"a\":[1,2.5,"
                          "true,null]}}",
                          j, &field),
                     RR_OK);
    assert_string_equal(j->biz_code, "GIFT");
    bytes = rr_slice_of(j->payload, j->payload_len);
    assert_int_equal(unpack_scan(bytes, RR_DEPTH_MAX), RR_OK);
    assert_int_equal(unpack_next(&bytes, &map), RR_OK);
    assert_int_equal(unpack_get(&map, "n", &v), RR_OK);
    assert_int_equal(v.as.i, -5);
    assert_int_equal(unpack_get(&map, "s", &v), RR_OK);
    assert_true(rr_slice_eq_str(v.as.s, "雨"));
    assert_int_equal(unpack_get(&map, "a", &v), RR_OK);
    assert_int_equal(v.as.n, 4);
    rain_job_free(j);
}

static void test_push_bad(void **state)
{
    static const char good[] = "{\"biz_code\":\"GIFT\",\"payload\":{}}";

    (void)state;
    assert_bad(RAIN_JOB_PUSH, good, "biz_code", NULL);
    assert_bad(RAIN_JOB_PUSH, good, "biz_code", "\"\"");
    assert_bad(RAIN_JOB_PUSH, good, "biz_code", "\"gift\"");
    assert_bad(RAIN_JOB_PUSH, good, "biz_code", "\"RED_PACKET_CONFIG\""); /* forged */
    assert_bad(RAIN_JOB_PUSH, good, "biz_code", "\"RED_PACKET_X\"");
    assert_bad(RAIN_JOB_PUSH, good, "payload", NULL);
}

/* A payload of `depth` arrays in each other. */
static enum rr_err push_depth(uint32_t depth, bool *scans)
{
    struct rain_job *j = job(RAIN_JOB_PUSH);
    char body[256] = "{\"biz_code\":\"X\",\"payload\":";
    const char *field = NULL;
    enum rr_err err = RR_OK;

    for (uint32_t i = 0; i < depth; i++)
        strcat(body, "[");
    strcat(body, "1");
    for (uint32_t i = 0; i < depth; i++)
        strcat(body, "]");
    strcat(body, "}");
    err = fill(body, j, &field);
    if (err)
        assert_string_equal(field, "payload");
    else
        *scans = unpack_scan(rr_slice_of(j->payload, j->payload_len), RR_DEPTH_MAX) == RR_OK;
    rain_job_free(j);
    return err;
}

static void test_push_depth(void **state)
{
    bool scans = false;

    (void)state;
    assert_int_equal(push_depth(0, &scans), RR_OK);
    assert_int_equal(push_depth(4, &scans), RR_OK);
    assert_true(scans);
    assert_int_equal(push_depth(5, &scans), RR_BAD_REQUEST);
    assert_int_equal(push_depth(60, &scans), RR_BAD_REQUEST);
}

static void test_push_size(void **state)
{
    char *body = malloc(64 * 1024);

    (void)state;
    for (int over = 0; over < 2; over++) {
        struct rain_job *j = job(RAIN_JOB_PUSH);
        const char *field = NULL;
        size_t text = RR_PAYLOAD_MAX_BYTES - 3 + (size_t)over; /* str16 has a header of 3 */
        int at = sprintf(body, "{\"biz_code\":\"X\",\"payload\":\"");

        memset(body + at, 'a', text);
        strcpy(body + at + text, "\"}");
        assert_int_equal(fill(body, j, &field), over ? RR_BAD_REQUEST : RR_OK);
        if (!over)
            assert_int_equal(j->payload_len, RR_PAYLOAD_MAX_BYTES);
        rain_job_free(j);
    }
    free(body);
}

/* ---- answers ---- */

static json_t *parse(struct rr_buf *b)
{
    json_t *o = json_loadb(b->p, b->len, 0, NULL);

    assert_non_null(o);
    rr_buf_fini(b);
    return o;
}

static const char *str_of(json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static int64_t int_of(json_t *o, const char *key)
{
    assert_true(json_is_integer(json_object_get(o, key)));
    return json_integer_value(json_object_get(o, key));
}

static void test_result_of_a_rain(void **state)
{
    struct rain_job *j = job(RAIN_JOB_SHOW);
    struct rr_buf b = {0};
    json_t *o = NULL;

    (void)state;
    strcpy(j->rains->code, "AAAAAAAAAAAAAAAAAAAAAA");
    strcpy(j->rains->spec.room_id, "r1");
    j->rains->spec.sender_id = INT64_MAX;
    j->rains->spec.total_fen = 1000;
    j->rains->spec.split = RAIN_EQUAL;
    j->rains->status = RAIN_SENT;
    j->rains_n = 1;
    admin_json_result(j, &b);
    o = parse(&b);
    assert_string_equal(str_of(o, "code"), "AAAAAAAAAAAAAAAAAAAAAA");
    assert_string_equal(str_of(o, "sender"), "9223372036854775807");
    assert_string_equal(str_of(o, "status"), "SENT");
    assert_string_equal(str_of(o, "split"), "equal");
    assert_int_equal(int_of(o, "total"), 1000);
    assert_int_equal(int_of(o, "result"), 0);
    assert_true(json_is_null(json_object_get(o, "sold_out_at")));
    assert_null(json_object_get(o, "replayed"));
    json_decref(o);
    j->err = RR_DUPLICATE;
    admin_json_result(j, &b);
    o = parse(&b);
    assert_int_equal(int_of(o, "result"), 0);
    assert_true(json_is_true(json_object_get(o, "replayed")));
    json_decref(o);
    rain_job_free(j);
}

static void test_other_results(void **state)
{
    struct rain_job *j = job(RAIN_JOB_LIST);
    struct rr_buf b = {0};
    json_t *o = NULL;

    (void)state;
    j->rains_n = 2;
    admin_json_result(j, &b);
    o = parse(&b);
    assert_int_equal(json_array_size(json_object_get(o, "rains")), 2);
    json_decref(o);
    rain_job_free(j);
    j = job(RAIN_JOB_WALLET);
    j->wallet = (struct wallet){.user_id = 7, .balance_fen = 55, .frozen_fen = 5};
    admin_json_result(j, &b);
    o = parse(&b);
    assert_string_equal(str_of(o, "user"), "7");
    assert_int_equal(int_of(o, "balance"), 55);
    assert_int_equal(int_of(o, "frozen"), 5);
    json_decref(o);
    rain_job_free(j);
    j = job(RAIN_JOB_PUSH);
    j->err = RR_PENDING;
    admin_json_result(j, &b);
    o = parse(&b);
    assert_string_equal(str_of(o, "name"), "PENDING");
    json_decref(o);
    rain_job_free(j);
}

static void test_errors(void **state)
{
    struct rr_buf b = {0};
    json_t *o = NULL;

    (void)state;
    admin_json_error(RR_BAD_REQUEST, "total", "too little", &b);
    o = parse(&b);
    assert_int_equal(int_of(o, "result"), RESULT_BAD_REQUEST);
    assert_string_equal(str_of(o, "name"), "BAD_REQUEST");
    assert_string_equal(str_of(o, "field"), "total");
    assert_string_equal(str_of(o, "reason"), "too little");
    assert_true(json_is_false(json_object_get(o, "retryable")));
    json_decref(o);
    admin_json_error(RR_BUSY, NULL, NULL, &b);
    o = parse(&b);
    assert_true(json_is_true(json_object_get(o, "retryable")));
    assert_null(json_object_get(o, "field"));
    assert_null(json_object_get(o, "reason"));
    json_decref(o);
}

static void test_status(void **state)
{
    static const struct {
        enum rr_err err;
        unsigned status;
    } rows[] = {
        {RR_OK, 200},       {RR_DUPLICATE, 200},    {RR_PENDING, 202},      {RR_BAD_REQUEST, 400},
        {RR_TOO_BIG, 400},  {RR_UNAUTHORIZED, 401}, {RR_NOT_ELIGIBLE, 403}, {RR_NOT_FOUND, 404},
        {RR_CONFLICT, 409}, {RR_NO_MONEY, 409},     {RR_RATE_LIMITED, 429}, {RR_BUSY, 503},
        {RR_FULL, 503},     {RR_RETRY, 503},        {RR_RECOVERING, 503},   {RR_UNAVAILABLE, 503},
        {RR_SYSTEM, 503},
    };

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(rows); i++)
        assert_int_equal(admin_json_status(rows[i].err), rows[i].status);
    for (int err = 0; err < RR_ERR_COUNT; err++)
        assert_in_range(admin_json_status((enum rr_err)err), 200, 503);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create),
        cmocka_unit_test(test_create_minimal),
        cmocka_unit_test(test_create_bad_fields),
        cmocka_unit_test(test_no_object),
        cmocka_unit_test(test_start),
        cmocka_unit_test(test_extend_and_deposit),
        cmocka_unit_test(test_push),
        cmocka_unit_test(test_push_bad),
        cmocka_unit_test(test_push_depth),
        cmocka_unit_test(test_push_size),
        cmocka_unit_test(test_result_of_a_rain),
        cmocka_unit_test(test_other_results),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_status),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
