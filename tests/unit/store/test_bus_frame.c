#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/limits.h"
#include "store/bus_frame.h"

/* Exactly as long as the message: the sanitizer sees every byte read behind it. */
static enum rr_err parse_copy(const void *p, size_t len, struct room_msg *m)
{
    char *copy = malloc(len ? len : 1);
    enum rr_err err = RR_OK;

    memcpy(copy, p, len);
    err = bus_parse(rr_slice_of(copy, len), m);
    if (!err) {
        assert_true(m->payload.len <= len);
        m->biz_code = rr_slice_of(NULL, 0);
        m->payload = rr_slice_of(NULL, m->payload.len);
    }
    free(copy);
    return err;
}

static void parse_room_message_gives_its_parts(void **state)
{
    static const char text[] = "00000000000000ff|42|SAY|a|b\0c";
    struct room_msg m;

    (void)state;
    assert_int_equal(bus_parse(rr_slice_of(text, sizeof(text) - 1), &m), RR_OK);
    assert_int_equal(m.epoch, 255);
    assert_int_equal(m.seq, 42);
    assert_true(rr_slice_eq_str(m.biz_code, "SAY"));
    assert_int_equal(m.payload.len, 5);
    assert_memory_equal(m.payload.p, "a|b\0c", 5);
    assert_int_equal(bus_parse(rr_slice_str("ffffffffffffffff|9223372036854775807|X|"), &m), RR_OK);
    assert_true(m.epoch == UINT64_MAX && m.seq == INT64_MAX && m.payload.len == 0);
}

static void parse_room_message_malformed_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "|",
        "0123456789abcdef",
        "0123456789abcdef|",
        "0123456789abcdef|1",
        "0123456789abcdef|1|SAY",
        "0123456789abcde|1|SAY|p",
        "0123456789abcdef0|1|SAY|p",
        "0123456789abcdeg|1|SAY|p",
        "0123456789ABCDEF|1|SAY|p",
        "0123456789abcdef||SAY|p",
        "0123456789abcdef|-1|SAY|p",
        "0123456789abcdef|9223372036854775808|SAY|p",
        "0123456789abcdef|99999999999999999999|SAY|p",
        "0123456789abcdef|1||p",
        "0123456789abcdef|1|say|p",
        "0123456789abcdef|1|ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456|p",
    };
    struct room_msg m;
    char *big = calloc(1, RR_PAYLOAD_MAX_BYTES + 64);

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(bad); i++) {
        if (parse_copy(bad[i], strlen(bad[i]), &m) != RR_MALFORMED)
            fail_msg("accepted: %s", bad[i]);
    }
    strcpy(big, "0123456789abcdef|1|SAY|");
    assert_int_equal(parse_copy(big, strlen(big) + RR_PAYLOAD_MAX_BYTES, &m), RR_OK);
    assert_int_equal(parse_copy(big, strlen(big) + RR_PAYLOAD_MAX_BYTES + 1, &m), RR_MALFORMED);
    free(big);
}

struct seen {
    uint32_t n;
    int64_t user_id[8];
    char payload[8][32];
};

static void on_user(void *arg, int64_t user_id, struct rr_slice biz_code, struct rr_slice payload)
{
    struct seen *s = arg;

    assert_true(rr_slice_eq_str(biz_code, "GRANT_SETTLED"));
    s->user_id[s->n] = user_id;
    assert_true(rr_slice_copy(payload, s->payload[s->n], sizeof(s->payload[0])));
    s->n++;
}

static void parse_users_gives_every_push(void **state)
{
    struct rr_buf b = {0};
    struct seen s = {0};

    (void)state;
    bus_user_append(&b, 7, "GRANT_SETTLED", rr_slice_str("x|1|"));
    bus_user_append(&b, INT64_MAX, "GRANT_SETTLED", rr_slice_str(""));
    bus_user_append(&b, 8, "GRANT_SETTLED", rr_slice_str("last"));
    assert_int_equal(bus_parse_users(rr_slice_of(b.p, b.len), on_user, &s), RR_OK);
    assert_int_equal(s.n, 3);
    assert_true(s.user_id[0] == 7 && s.user_id[1] == INT64_MAX && s.user_id[2] == 8);
    assert_string_equal(s.payload[0], "x|1|");
    assert_string_equal(s.payload[1], "");
    assert_string_equal(s.payload[2], "last");
    /* Cut anywhere inside the last push: the others arrive, then it is refused. */
    for (size_t cut = 1; cut < strlen("8|GRANT_SETTLED|4|last"); cut++) {
        s = (struct seen){0};
        assert_int_equal(bus_parse_users(rr_slice_of(b.p, b.len - cut), on_user, &s), RR_MALFORMED);
        assert_int_equal(s.n, 2);
    }
    rr_buf_fini(&b);
}

static void parse_users_malformed_is_refused(void **state)
{
    static const char *const bad[] = {
        "0|GRANT_SETTLED|0|",      "x|GRANT_SETTLED|0|",     "1|bad|0|",
        "1|GRANT_SETTLED|5|abcd",  "1|GRANT_SETTLED|-1|",    "1|GRANT_SETTLED|99999|a",
        "1|GRANT_SETTLED|123456|", "1|GRANT_SETTLED|16385|", "-1|GRANT_SETTLED|0|",
    };
    struct seen s = {0};

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(bad); i++) {
        if (bus_parse_users(rr_slice_str(bad[i]), on_user, &s) != RR_MALFORMED)
            fail_msg("accepted: %s", bad[i]);
    }
    assert_int_equal(s.n, 0);
}

static void ignore_user(void *arg, int64_t user_id, struct rr_slice biz_code,
                        struct rr_slice payload)
{
    volatile char sum = 0;

    (void)arg;
    (void)user_id;
    for (size_t i = 0; i < biz_code.len; i++)
        sum = (char)(sum + biz_code.p[i]);
    for (size_t i = 0; i < payload.len; i++)
        sum = (char)(sum + payload.p[i]);
}

/* Random changes of good messages: nothing may be read outside. Deterministic. */
static void parse_mutated_bytes_stays_inside(void **state)
{
    static const char *const seeds[] = {
        "0123456789abcdef|123|RED_PACKET_CONFIG|payload",
        "12|GRANT_SETTLED|3|abc34|GRANT_SETTLED|2|xy",
        "SAY|payload",
    };
    static const char alphabet[] = "0123456789abcdef|||AZ_\xff\n ";
    uint64_t x = 88172645463325252U;

    (void)state;
    for (uint32_t round = 0; round < 200000; round++) {
        const char *seed = seeds[round % RR_COUNTOF(seeds)];
        size_t len = strlen(seed);
        char *p = malloc(len);
        struct room_msg m;
        struct rr_slice a;
        struct rr_slice b;

        memcpy(p, seed, len);
        for (uint32_t i = 0; i < 1 + round % 4; i++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            p[x % len] = alphabet[(x >> 32) % (sizeof(alphabet) - 1)];
        }
        len -= (x >> 20) % len;
        p = realloc(p, len);
        if (!bus_parse(rr_slice_of(p, len), &m))
            ignore_user(NULL, 1, m.biz_code, m.payload);
        if (!bus_parse_kept(rr_slice_of(p, len), &a, &b))
            ignore_user(NULL, 1, a, b);
        if (bus_parse_users(rr_slice_of(p, len), ignore_user, NULL))
            assert_true(len > 0);
        free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_room_message_gives_its_parts),
        cmocka_unit_test(parse_room_message_malformed_is_refused),
        cmocka_unit_test(parse_users_gives_every_push),
        cmocka_unit_test(parse_users_malformed_is_refused),
        cmocka_unit_test(parse_mutated_bytes_stays_inside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
