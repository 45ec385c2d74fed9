#include "cm.h"

#include <string.h>

#include "fakes.h"
#include "protocol/pack.h"
#include "room/rains.h"

#define CODE "AAAAAAAAAAAAAAAAAAAAAA"
#define OTHER "BBBBBBBBBBBBBBBBBBBBBB"

enum { OPEN_AT = 10000, END_AT = 40000 };

static struct rains *rs;

static int setup(void **state)
{
    (void)state;
    rs = rains_create();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rains_destroy(rs);
    return 0;
}

static enum rr_err learn(const char *room, const char *biz_code, struct rr_buf *b, int64_t now_us)
{
    enum rr_err err =
        rains_learn(rs, room, rr_slice_str(biz_code), rr_slice_of(b->p, b->len), now_us);

    rr_buf_fini(b);
    return err;
}

static enum rr_err learn_config(const char *room, const char *biz_code, const char *code,
                                int64_t end_at, int64_t now_us)
{
    struct rr_buf b = {0};

    fake_rain_config(&b, code, OPEN_AT, end_at, 3, 2);
    return learn(room, biz_code, &b, now_us);
}

static enum rr_err learn_code(const char *room, const char *biz_code, const char *code,
                              int64_t now_us)
{
    struct rr_buf b = {0};

    fake_rain_code(&b, code);
    return learn(room, biz_code, &b, now_us);
}

static struct rain_entry *find(const char *code)
{
    return rains_find(rs, rr_slice_str(code));
}

static void test_learns_config(void **state)
{
    struct rain_entry *e = NULL;

    (void)state;
    assert_int_equal(learn_config("r1", "RED_PACKET_CONFIG", CODE, END_AT, 5), RR_OK);
    e = find(CODE);
    assert_non_null(e);
    assert_string_equal(e->live.code, CODE);
    assert_string_equal(e->live.room_id, "r1");
    assert_int_equal(e->live.t0_ms, OPEN_AT);
    assert_int_equal(e->live.t1_ms, END_AT);
    assert_int_equal(e->live.count, 100);
    assert_int_equal(e->live.total_fen, 10000);
    assert_int_equal(e->live.limit, 3);
    assert_int_equal(e->live.shards, 2);
    assert_false(e->over);
    assert_false(e->live.ended);
    assert_int_equal(rains_count(rs), 1);
    assert_null(find(OTHER));
    assert_null(find("short"));
    assert_null(rains_find(rs, rr_slice_of(NULL, 0)));
}

/* CONFIG, END and RESULT say whose money it is and what kind; what they do not say is a rain's. */
static void test_learns_origin(void **state)
{
    struct rr_buf b = {0};

    (void)state;
    assert_int_equal(learn_config("r1", "RED_PACKET_CONFIG", CODE, END_AT, 5), RR_OK);
    assert_int_equal(find(CODE)->live.kind, KIND_RAIN);
    assert_int_equal(find(CODE)->live.sender_id, 0);
    pack_map(&b, 10);
    fake_rain_pairs(&b, CODE, OPEN_AT, END_AT, 3, 2);
    pack_kv_str(&b, "kind", "personal");
    pack_kv_user(&b, "sender", 77);
    assert_int_equal(learn("r1", "RED_PACKET_CONFIG", &b, 6), RR_OK);
    assert_int_equal(find(CODE)->live.kind, KIND_PERSONAL);
    assert_int_equal(find(CODE)->live.sender_id, 77);
}

/* Rules are learned once, kept through END, and the list is the entry's own. */
static void test_learns_rules(void **state)
{
    static const int64_t list[] = {5, 6};
    struct rr_buf b = {0};

    (void)state;
    pack_map(&b, 11);
    fake_rain_pairs(&b, CODE, OPEN_AT, END_AT, 3, 2);
    pack_kv_int(&b, "min_level", 4);
    pack_kv_int(&b, "new_since", 1700000000);
    pack_kv_int(&b, "listed", 2);
    assert_int_equal(learn("r1", "RED_PACKET_CONFIG", &b, 6), RR_OK);
    assert_int_equal(find(CODE)->live.min_level, 4);
    assert_int_equal(find(CODE)->live.new_since_s, 1700000000);
    assert_int_equal(find(CODE)->live.listed, 2);
    assert_null(find(CODE)->live.allowed);
    rains_set_list(find(CODE), list, 2);
    rains_set_list(find(CODE), list, 2);
    assert_int_equal(find(CODE)->live.allowed[1], 6);
    assert_int_equal(learn_config("r1", "RED_PACKET_END", CODE, END_AT, 9), RR_OK);
    assert_int_equal(find(CODE)->live.min_level, 4);
    assert_int_equal(find(CODE)->live.allowed_n, 2);
    assert_int_equal(learn_config("r1", "RED_PACKET_CONFIG", OTHER, END_AT, 5), RR_OK);
    assert_int_equal(find(OTHER)->live.listed, 0);
}

static void test_extend(void **state)
{
    (void)state;
    assert_int_equal(learn_config("r1", "RED_PACKET_CONFIG", CODE, END_AT, 5), RR_OK);
    find(CODE)->granted = 7;
    find(CODE)->end_told = true; /* this worker was a moment too early */
    assert_int_equal(learn_config("r1", "RED_PACKET_CONFIG", CODE, END_AT + 5000, 6), RR_OK);
    assert_int_equal(find(CODE)->live.t1_ms, END_AT + 5000);
    assert_int_equal(find(CODE)->granted, 7); /* what was learned elsewhere stays */
    assert_false(find(CODE)->end_told);
    find(CODE)->end_told = true;
    assert_int_equal(learn_config("r1", "RED_PACKET_CONFIG", CODE, END_AT + 5000, 6), RR_OK);
    assert_true(find(CODE)->end_told); /* the same config again is no extension */
    assert_int_equal(rains_count(rs), 1);
}

/* Its pool was lost: sold out there is not sold out here. */
static void test_state_forgets_the_pool(void **state)
{
    (void)state;
    assert_int_equal(learn_config("r1", "RED_PACKET_CONFIG", CODE, END_AT, 5), RR_OK);
    find(CODE)->granted = 7;
    find(CODE)->live.sold_out = 3;
    strcpy(find(CODE)->live.rid, "old");
    assert_int_equal(learn_code("r2", "RED_PACKET_STATE", CODE, 6), RR_BAD_REQUEST);
    assert_int_equal(find(CODE)->granted, 7);
    assert_int_equal(learn_code("r1", "RED_PACKET_STATE", CODE, 6), RR_OK);
    assert_int_equal(find(CODE)->granted, 0);
    assert_int_equal(find(CODE)->live.sold_out, 0);
    assert_int_equal(find(CODE)->live.rid[0], 0);
    assert_int_equal(find(CODE)->live.t1_ms, END_AT);
    assert_false(find(CODE)->over);
    assert_int_equal(learn_code("r1", "RED_PACKET_STATE", OTHER, 6), RR_OK); /* not known here */
    assert_null(find(OTHER));
}

static void test_end_without_config(void **state)
{
    const char *const last[] = {"RED_PACKET_END", "RED_PACKET_RESULT"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        const char *code = i == 0 ? CODE : OTHER;

        assert_int_equal(learn_config("r1", last[i], code, END_AT, 77), RR_OK);
        assert_non_null(find(code));
        assert_true(find(code)->over);
        assert_true(find(code)->live.ended);
        /* END was heard by the viewers too; RESULT may have overtaken this worker's own END */
        assert_int_equal(find(code)->end_told, i == 0);
        assert_int_equal(find(code)->live.shards, 2);
        assert_int_equal(find(code)->over_since_us, 77);
    }
}

static void test_end_after_config(void **state)
{
    (void)state;
    assert_int_equal(learn_config("r1", "RED_PACKET_CONFIG", CODE, END_AT, 5), RR_OK);
    assert_int_equal(learn_code("r1", "RED_PACKET_END", CODE, 100), RR_OK);
    assert_true(find(CODE)->over);
    assert_int_equal(find(CODE)->live.t1_ms, END_AT);
    assert_int_equal(learn_code("r1", "RED_PACKET_RESULT", CODE, 200), RR_OK);
    assert_int_equal(find(CODE)->over_since_us, 100); /* of the first word of it */
}

static void test_cancel(void **state)
{
    (void)state;
    assert_int_equal(learn_config("r1", "RED_PACKET_CONFIG", CODE, END_AT, 5), RR_OK);
    assert_int_equal(learn_code("r1", "RED_PACKET_CANCEL", CODE, 9), RR_OK);
    assert_true(find(CODE)->over);
    assert_true(find(CODE)->live.ended);
    /* Given up before it started: nothing to know. */
    (void)learn_code("r1", "RED_PACKET_CANCEL", OTHER, 9);
    assert_null(find(OTHER));
}

static void test_unknown_end_without_config_fields(void **state)
{
    (void)state;
    assert_int_equal(learn_code("r1", "RED_PACKET_END", CODE, 9), RR_BAD_REQUEST);
    assert_null(find(CODE));
    assert_int_equal(rains_count(rs), 0);
}

static void test_a_code_never_changes_its_room(void **state)
{
    (void)state;
    assert_int_equal(learn_config("r1", "RED_PACKET_CONFIG", CODE, END_AT, 5), RR_OK);
    assert_int_equal(learn_config("r2", "RED_PACKET_CONFIG", CODE, END_AT + 1, 5), RR_BAD_REQUEST);
    assert_int_equal(learn_code("r2", "RED_PACKET_END", CODE, 9), RR_BAD_REQUEST);
    assert_string_equal(find(CODE)->live.room_id, "r1");
    assert_int_equal(find(CODE)->live.t1_ms, END_AT);
    assert_false(find(CODE)->over);
}

static void test_bad_numbers(void **state)
{
    static const struct {
        int64_t open_at, end_at, limit, shards;
    } bad[] = {
        {-1, END_AT, 1, 1},
        {OPEN_AT, OPEN_AT - 1, 1, 1},
        {OPEN_AT, END_AT, 0, 1},
        {OPEN_AT, END_AT, RR_GRANT_LIMIT_MAX + 1, 1},
        {OPEN_AT, END_AT, 1, 0},
        {OPEN_AT, END_AT, 1, RR_SHARDS_MAX + 1},
        {OPEN_AT, END_AT, 1, INT64_MAX},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct rr_buf b = {0};

        fake_rain_config(&b, CODE, bad[i].open_at, bad[i].end_at, bad[i].limit, bad[i].shards);
        assert_int_equal(learn("r1", "RED_PACKET_CONFIG", &b, 5), RR_BAD_REQUEST);
        assert_null(find(CODE));
    }
    /* A bad one does not spoil what is known, and is not taken for a good one. */
    assert_int_equal(learn_config("r1", "RED_PACKET_CONFIG", CODE, END_AT, 5), RR_OK);
    assert_int_equal(learn_config("r1", "RED_PACKET_CONFIG", CODE, OPEN_AT - 1, 5), RR_BAD_REQUEST);
    assert_int_equal(find(CODE)->live.t1_ms, END_AT);
}

static void test_malformed(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
        {"", 0},
        {"\xc0", 1},             /* nil */
        {"\x80", 1},             /* {} */
        {"\x81", 1},             /* cut off */
        {"\x93\x01\x02\x03", 4}, /* no map */
        {"\x80\x80", 2},         /* two values */
        {"\x81\xab"
         "config_code\x01",
         14}, /* no string */
    };
    const char *const codes[] = {"", "AAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAA",
                                 "AAAAAAAAAAAAAAAAAAAAA+"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(rains_learn(rs, "r1", rr_slice_str("RED_PACKET_CONFIG"),
                                     rr_slice_of(bad[i].bytes, bad[i].len), 1),
                         RR_BAD_REQUEST);
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        assert_int_equal(learn_config("r1", "RED_PACKET_CONFIG", codes[i], END_AT, 1),
                         RR_BAD_REQUEST);
    assert_int_equal(rains_count(rs), 0);
}

static void on_each(void *arg, struct rain_entry *e)
{
    assert_non_null(e->live.code);
    ++*(int *)arg;
}

static void on_gone(void *arg, const char *code)
{
    strcat(arg, code); /* 22 bytes each, the test has room for two */
}

static void test_sweep(void **state)
{
    char gone[64] = "";
    int n = 0;

    (void)state;
    assert_int_equal(learn_config("r1", "RED_PACKET_CONFIG", CODE, END_AT, 5), RR_OK);
    assert_int_equal(learn_config("r1", "RED_PACKET_END", OTHER, END_AT, 1000), RR_OK);
    rains_each(rs, on_each, &n);
    assert_int_equal(n, 2);
    rains_sweep(rs, 1499, 500, on_gone, gone);
    assert_string_equal(gone, "");
    rains_sweep(rs, 1500, 500, on_gone, gone);
    assert_string_equal(gone, OTHER);
    assert_null(find(OTHER));
    assert_non_null(find(CODE)); /* alive, however old */
    rains_sweep(rs, INT64_MAX, 500, on_gone, gone);
    assert_int_equal(rains_count(rs), 1);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_learns_config),
        TEST(test_learns_origin),
        TEST(test_learns_rules),
        TEST(test_extend),
        TEST(test_state_forgets_the_pool),
        TEST(test_end_without_config),
        TEST(test_end_after_config),
        TEST(test_cancel),
        TEST(test_unknown_end_without_config_fields),
        TEST(test_a_code_never_changes_its_room),
        TEST(test_bad_numbers),
        TEST(test_malformed),
        TEST(test_sweep),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
