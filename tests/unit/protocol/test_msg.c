#include "protocol/msg.h"

#include "protocol/pack.h"
#include "vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum kind { KIND_STR, KIND_INT, KIND_BOOL, KIND_USER };

static void value_equals(const char *name, const char *key, enum kind kind, const void *got,
                         const json_t *want)
{
    struct rr_slice s;
    int64_t i = 0;
    bool same = false;

    if (kind == KIND_STR) {
        memcpy(&s, got, sizeof(s));
        same = rr_slice_eq(s, rr_slice_of(json_string_value(want), json_string_length(want)));
    } else if (kind == KIND_BOOL) {
        same = *(const bool *)got == json_is_true(want);
    } else {
        memcpy(&i, got, sizeof(i));
        same = i == (kind == KIND_INT ? json_integer_value(want)
                                      : strtoll(json_string_value(want), NULL, 10));
    }
    if (!same)
        fail_msg("%s: %s differs", name, key);
}

/* Every row of the table: present in the JSON means has_ and equal, absent or null means zero. */
static void fields_equal(const char *name, const struct msg *m, const json_t *body)
{
    static const char zero[sizeof(struct rr_slice)];
    const json_t *want = NULL;

#define X(message, member, key, type, need, min, max)                                              \
    want = json_object_get(body, #key);                                                            \
    if (m->op == MSG_##message && want && !json_is_null(want)) {                                   \
        assert_true(m->u.member.has_##key);                                                        \
        value_equals(name, #key, KIND_##type, &m->u.member.key, want);                             \
    } else if (m->op == MSG_##message) {                                                           \
        assert_false(m->u.member.has_##key);                                                       \
        assert_memory_equal(&m->u.member.key, zero, sizeof(m->u.member.key));                      \
    }
    MSG_FIELD_MAP(X)
#undef X
}

static void check_request(const json_t *v)
{
    const char *name = vector_text(v, "name");
    const char *expect = vector_text(v, "expect");
    const json_t *json = json_object_get(v, "json");
    struct rr_slice frame = bytes_of_hex(vector_text(v, "hex"));
    struct msg_fault fault;
    struct msg m;
    enum rr_err err = msg_decode(frame, &m, &fault);
    enum rr_err want = strcmp(expect, "ok") == 0          ? RR_OK
                       : strcmp(expect, "malformed") == 0 ? RR_MALFORMED
                                                          : RR_BAD_REQUEST;

    if (err != want)
        fail_msg("%s: %s, not %s", name, rr_err_name(err), rr_err_name(want));
    if (err && (!fault.field || strcmp(fault.field, vector_text(v, "field")) != 0))
        fail_msg("%s: field %s", name, fault.field ? fault.field : "none");
    if (!err && json) {
        assert_int_equal(m.op, json_integer_value(json_array_get(json, 0)));
        assert_int_equal(m.id, json_integer_value(json_array_get(json, 1)));
        fields_equal(name, &m, json_array_get(json, 2));
    }
    if (json && err != RR_MALFORMED)
        assert_int_equal(fault.id, json_integer_value(json_array_get(json, 1)));
    free((void *)frame.p);
}

static void decode_vectors_as_expected(void **state)
{
    json_t *list = vectors_load("messages.json");
    size_t checked = 0;
    size_t i = 0;
    json_t *v = NULL;

    (void)state;
    json_array_foreach(list, i, v)
    {
        if (strcmp(vector_text(v, "dir"), "c2s") == 0) {
            check_request(v);
            checked++;
        }
    }
    assert_true(checked > 60);
    json_decref(list);
}

static void encode_push(struct rr_buf *out, const json_t *body)
{
    struct rr_buf payload = {0};
    const char *epoch = vector_text(body, "epoch");

    json_pack_value(&payload, json_object_get(body, "payload"));
    msg_push(out, vector_text(body, "room"), epoch ? strtoull(epoch, NULL, 16) : 0,
             (uint64_t)json_integer_value(json_object_get(body, "seq")),
             rr_slice_str(vector_text(body, "biz_code")), rr_slice_of(payload.p, payload.len));
    rr_buf_fini(&payload);
}

static void encode_reply(struct rr_buf *out, uint32_t id, json_t *body)
{
    const char *key = NULL;
    json_t *item = NULL;

    msg_reply_begin(out, id, (enum result_code)json_integer_value(json_object_get(body, "result")),
                    (uint32_t)json_object_size(body) - 1);
    json_object_foreach(body, key, item)
    {
        if (strcmp(key, "result") != 0) {
            pack_cstr(out, key);
            json_pack_value(out, item);
        }
    }
}

static void encode_vectors_byte_for_byte(void **state)
{
    json_t *list = vectors_load("messages.json");
    struct rr_buf out = {0};
    size_t i = 0;
    json_t *v = NULL;

    (void)state;
    json_array_foreach(list, i, v)
    {
        json_t *json = json_object_get(v, "json");
        json_t *body = json_array_get(json, 2);
        json_int_t op = json_integer_value(json_array_get(json, 0));

        if (strcmp(vector_text(v, "dir"), "s2c") != 0)
            continue;
        rr_buf_clear(&out);
        if (op == MSG_REPLY)
            encode_reply(&out, (uint32_t)json_integer_value(json_array_get(json, 1)), body);
        else if (op == MSG_PUSH)
            encode_push(&out, body);
        else
            msg_goaway(&out, (uint32_t)json_integer_value(json_object_get(body, "delay_ms")));
        assert_bytes(&out, vector_text(v, "hex"), vector_text(v, "name"));
    }
    rr_buf_fini(&out);
    json_decref(list);
}

/* Each prefix of each good message is malformed, and so is each with a byte after it. */
static void decode_truncated_or_trailing_is_malformed(void **state)
{
    json_t *list = vectors_load("messages.json");
    struct msg_fault fault;
    struct msg m;
    size_t i = 0;
    json_t *v = NULL;

    (void)state;
    json_array_foreach(list, i, v)
    {
        struct rr_slice frame = bytes_of_hex(vector_text(v, "hex"));
        struct rr_slice longer = bytes_of_hex(vector_text(v, "hex"));
        const char *expect = vector_text(v, "expect");

        for (size_t len = 0; expect && strcmp(expect, "ok") == 0 && len < frame.len; len++) {
            struct rr_slice cut = bytes_exact(frame.p, len);

            assert_int_equal(msg_decode(cut, &m, &fault), RR_MALFORMED);
            assert_string_equal(fault.field, "frame");
            free((void *)cut.p);
        }
        longer.p = realloc((void *)longer.p, longer.len + 1);
        assert_non_null(longer.p);
        ((char *)longer.p)[longer.len++] = (char)0xc0;
        if (strcmp(vector_text(v, "name"), "empty") != 0)
            assert_int_not_equal(msg_decode(longer, &m, &fault), RR_OK);
        free((void *)frame.p);
        free((void *)longer.p);
    }
    json_decref(list);
}

/* Every byte of every good message set to every value: never a crash, never a field out of its
 * range. */
static void decode_one_byte_changed_is_safe(void **state)
{
    json_t *list = vectors_load("messages.json");
    struct msg_fault fault;
    struct msg m;
    size_t i = 0;
    json_t *v = NULL;

    (void)state;
    json_array_foreach(list, i, v)
    {
        struct rr_slice frame = bytes_of_hex(vector_text(v, "hex"));
        bool request = strcmp(vector_text(v, "dir"), "c2s") == 0;

        for (size_t at = 0; request && at < frame.len; at++) {
            char was = frame.p[at];

            for (int c = 0; c < 256; c++) {
                ((char *)frame.p)[at] = (char)c;
                if (msg_decode(frame, &m, &fault) == RR_OK && m.op == MSG_GRAB)
                    assert_in_range(m.u.grab.seq, 0, RR_GRANT_LIMIT_MAX);
            }
            ((char *)frame.p)[at] = was;
        }
        free((void *)frame.p);
    }
    json_decref(list);
}

static enum rr_err decode_buf(const struct rr_buf *b, struct msg_fault *fault)
{
    struct msg m;
    struct rr_slice frame = bytes_exact(b->p, b->len);
    enum rr_err err = msg_decode(frame, &m, fault);

    free((void *)frame.p);
    return err;
}

static void leave_begin(struct rr_buf *b, uint32_t pairs)
{
    rr_buf_clear(b);
    pack_array(b, 3);
    pack_int(b, MSG_LEAVE);
    pack_int(b, 77);
    pack_map(b, pairs);
}

static void decode_body_with_too_many_keys_is_malformed(void **state)
{
    struct rr_buf b = {0};
    struct msg_fault fault;

    (void)state;
    for (uint32_t pairs = RR_PAIRS_MAX; pairs <= RR_PAIRS_MAX + 1; pairs++) {
        leave_begin(&b, pairs);
        for (uint32_t i = 0; i < pairs; i++) {
            char key[16];

            snprintf(key, sizeof(key), "k%u", i);
            pack_kv_nil(&b, key);
        }
        assert_int_equal(decode_buf(&b, &fault), pairs > RR_PAIRS_MAX ? RR_MALFORMED : RR_OK);
        assert_int_equal(fault.id, 77);
    }
    assert_string_equal(fault.field, "body");
    rr_buf_fini(&b);
}

static void decode_frame_above_cap_is_malformed(void **state)
{
    static const char filler[RR_VIEWER_MESSAGE_MAX_BYTES];
    struct rr_buf b = {0};
    struct msg_fault fault;

    (void)state;
    for (size_t over = 0; over <= 1; over++) {
        leave_begin(&b, 1);
        pack_cstr(&b, "x");
        /* the string's own head is 3 bytes */
        pack_str(&b, rr_slice_of(filler, RR_VIEWER_MESSAGE_MAX_BYTES - b.len - 3 + over));
        assert_int_equal(b.len, RR_VIEWER_MESSAGE_MAX_BYTES + over);
        assert_int_equal(decode_buf(&b, &fault), over ? RR_MALFORMED : RR_OK);
    }
    assert_string_equal(fault.field, "frame");
    rr_buf_fini(&b);
}

/* A member of struct msg's union without a row in MSG_FIELD_MAP would be more than padding. */
static void union_has_no_member_without_a_row(void **state)
{
    (void)state;
#define X(message, member, key, type, need, min, max)                                              \
    +(MSG_##message == op ? sizeof(((struct msg *)0)->u.member.key) + sizeof(bool) : 0)
#define WHOLE(message, member)                                                                     \
    {                                                                                              \
        enum msg_op op = MSG_##message;                                                            \
        size_t rows = 0 MSG_FIELD_MAP(X);                                                          \
                                                                                                   \
        assert_true(sizeof(((struct msg *)0)->u.member) - rows < sizeof(int64_t));                 \
    }
    WHOLE(HELLO, hello)
    WHOLE(JOIN, join)
    WHOLE(PING, ping)
    WHOLE(GRAB, grab)
    WHOLE(MY_GRANTS, my_grants)
    WHOLE(MY_SENT, my_sent)
    WHOLE(REFRESH, refresh)
    WHOLE(SAY, say)
    WHOLE(CREATE, create)
    WHOLE(PREPARE, prepare)
    WHOLE(START, start)
    WHOLE(EXTEND, extend)
    WHOLE(CLOSE, close)
    WHOLE(CANCEL, cancel)
    WHOLE(ANNOUNCE, announce)
    WHOLE(KICK, kick)
    WHOLE(MUTE, mute)
    WHOLE(STATS, stats)
    WHOLE(WINNERS, winners)
    WHOLE(AUDIT, audit)
    WHOLE(TEMPLATES, templates)
    WHOLE(CHECK, check)
    WHOLE(FU_DRAW, fu_draw)
    WHOLE(FU_JOIN, fu_join)
    WHOLE(FU_GIVE, fu_give)
    WHOLE(FU_CREATE, fu_create)
    WHOLE(FU_CANCEL, fu_cancel)
#undef WHOLE
#undef X
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decode_vectors_as_expected),
        cmocka_unit_test(encode_vectors_byte_for_byte),
        cmocka_unit_test(decode_truncated_or_trailing_is_malformed),
        cmocka_unit_test(decode_one_byte_changed_is_safe),
        cmocka_unit_test(decode_body_with_too_many_keys_is_malformed),
        cmocka_unit_test(decode_frame_above_cap_is_malformed),
        cmocka_unit_test(union_has_no_member_without_a_row),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
