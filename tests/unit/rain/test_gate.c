#include "cm.h"

#include <string.h>

#include "rain/gate.h"
#include "rain/split.h"

static const char rid_a[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
static const char rid_b[] = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

static struct live_rain live(void)
{
    struct live_rain r = {.code = "AAAAAAAAAAAAAAAAAAAAAA",
                          .room_id = "r1",
                          .t0_ms = 1000,
                          .t1_ms = 5000,
                          .total_fen = 10000,
                          .count = 100,
                          .limit = 2,
                          .shards = 4};

    memcpy(r.rid, rid_a, sizeof(rid_a));
    return r;
}

static const struct {
    const char *what;
    const char *room;
    int64_t now_ms;
    int64_t slack_ms;
    uint32_t seq;
    bool again;
    bool ended;
    bool sold_out; /* at the user's home */
    enum rr_err want;
} rows[] = {
    {"open", "r1", 2000, 0, 0, false, false, false, RR_OK},
    {"last seq", "r1", 2000, 0, 1, false, false, false, RR_OK},
    {"other room", "r2", 2000, 0, 0, false, false, false, RR_NOT_FOUND},
    {"other room, again", "r2", 2000, 0, 0, true, false, false, RR_NOT_FOUND},
    {"other room, ended", "r2", 9000, 0, 0, false, true, false, RR_NOT_FOUND},
    {"early", "r1", 999, 0, 0, false, false, false, RR_NOT_STARTED},
    {"at t0", "r1", 1000, 0, 0, false, false, false, RR_OK},
    {"early within slack", "r1", 980, 20, 0, false, false, false, RR_OK},
    {"early beyond slack", "r1", 979, 20, 0, false, false, false, RR_NOT_STARTED},
    {"early, again", "r1", 1, 0, 0, true, false, false, RR_OK},
    {"last ms", "r1", 4999, 0, 0, false, false, false, RR_OK},
    {"at t1", "r1", 5000, 0, 0, false, false, false, RR_ENDED},
    {"late within slack", "r1", 5019, 20, 0, false, false, false, RR_OK},
    {"late beyond slack", "r1", 5020, 20, 0, false, false, false, RR_ENDED},
    {"late, again", "r1", 99999, 0, 0, true, false, false, RR_OK},
    {"ended early", "r1", 2000, 50, 0, false, true, false, RR_ENDED},
    {"ended early, again", "r1", 2000, 50, 0, true, true, true, RR_OK},
    {"limit", "r1", 2000, 0, 2, false, false, false, RR_LIMIT},
    {"limit, again", "r1", 2000, 0, 2, true, false, false, RR_OK},
    {"limit before sold out", "r1", 2000, 0, 2, false, false, true, RR_LIMIT},
    {"sold out", "r1", 2000, 0, 1, false, false, true, RR_SOLD_OUT},
    {"sold out, again", "r1", 2000, 0, 1, true, false, true, RR_OK},
    {"sold out, ended", "r1", 6000, 0, 1, false, false, true, RR_ENDED},
};

static void check_every_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(rows); i++) {
        struct live_rain r = live();
        enum rr_err err;

        r.ended = rows[i].ended;
        if (rows[i].sold_out)
            r.sold_out = UINT64_C(1) << rain_home_shard(77, r.shards);
        err = gate_check(&r, rows[i].room, 77, rows[i].seq, rows[i].again, rows[i].now_ms,
                         rows[i].slack_ms);
        if (err != rows[i].want)
            fail_msg("%s: %s", rows[i].what, rr_err_name(err));
    }
}

static void sold_out_is_per_home_shard(void **state)
{
    struct live_rain r = live();

    (void)state;
    r.shards = 64;
    gate_learn(&r, 63, rid_a, true, 0);
    for (int64_t user = 1; user < 500; user++) {
        bool home = rain_home_shard(user, 64) == 63;

        assert_int_equal(gate_check(&r, "r1", user, 0, false, 2000, 0), home ? RR_SOLD_OUT : RR_OK);
    }
}

static void learn_same_rid_keeps_what_is_known(void **state)
{
    struct live_rain r = live();

    (void)state;
    gate_learn(&r, 0, rid_a, true, 5000);
    gate_learn(&r, 3, rid_a, true, 5000);
    gate_learn(&r, 1, rid_a, false, 5000);
    assert_int_equal(r.sold_out, 9);
    assert_int_equal(r.t1_ms, 5000);
}

static void learn_other_rid_forgets_sold_out(void **state)
{
    struct live_rain r = live();

    (void)state;
    gate_learn(&r, 0, rid_a, true, 5000);
    gate_learn(&r, 1, rid_b, true, 5000);
    assert_int_equal(r.sold_out, 2);
    assert_string_equal(r.rid, rid_b);
    gate_learn(&r, 1, rid_a, false, 5000);
    assert_int_equal(r.sold_out, 0);
}

static void learn_t1_only_moves_on(void **state)
{
    struct live_rain r = live();

    (void)state;
    gate_learn(&r, 0, rid_a, false, 9000);
    assert_int_equal(r.t1_ms, 9000);
    gate_learn(&r, 0, rid_a, false, 6000); /* an older reply */
    assert_int_equal(r.t1_ms, 9000);
    assert_int_equal(gate_check(&r, "r1", 1, 0, false, 8999, 0), RR_OK);
}

static void eligible_by_level_age_and_list(void **state)
{
    static const int64_t list[] = {3, 7, 9};
    struct live_rain r = live();
    struct gate_user u = {.user_id = 7};

    (void)state;
    assert_int_equal(gate_eligible(&r, &u), RR_OK);
    r.min_level = 3;
    assert_int_equal(gate_eligible(&r, &u), RR_NOT_ELIGIBLE);
    u.level = 2;
    assert_int_equal(gate_eligible(&r, &u), RR_NOT_ELIGIBLE);
    u.level = 3;
    assert_int_equal(gate_eligible(&r, &u), RR_OK);
    r.new_since_s = 1000;
    assert_int_equal(gate_eligible(&r, &u), RR_NOT_ELIGIBLE); /* a token that does not say */
    u.since_s = 999;
    assert_int_equal(gate_eligible(&r, &u), RR_NOT_ELIGIBLE);
    u.since_s = 1000;
    assert_int_equal(gate_eligible(&r, &u), RR_OK);
    r.listed = 3;
    assert_int_equal(gate_eligible(&r, &u), RR_BUSY); /* not known yet is no no */
    r.allowed = list;
    r.allowed_n = 3;
    for (int64_t id = 1; id < 12; id++) {
        u.user_id = id;
        assert_int_equal(gate_eligible(&r, &u),
                         id == 3 || id == 7 || id == 9 ? RR_OK : RR_NOT_ELIGIBLE);
    }
    u.level = 0; /* what the token rules out is said without the list */
    r.allowed = NULL;
    assert_int_equal(gate_eligible(&r, &u), RR_NOT_ELIGIBLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eligible_by_level_age_and_list),
        cmocka_unit_test(check_every_row),
        cmocka_unit_test(sold_out_is_per_home_shard),
        cmocka_unit_test(learn_same_rid_keeps_what_is_known),
        cmocka_unit_test(learn_other_rid_forgets_sold_out),
        cmocka_unit_test(learn_t1_only_moves_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
