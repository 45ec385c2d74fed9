#include "base/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static void create_copies_behind_the_headroom(void **state)
{
    char bytes[] = "payload";
    struct rr_frame *f = rr_frame_create(bytes, 7, 32);

    (void)state;
    memset(bytes, 'x', 7);
    assert_int_equal(f->len, 7);
    assert_int_equal(f->headroom, 32);
    assert_ptr_equal(rr_frame_payload(f), f->data + 32);
    assert_memory_equal(rr_frame_payload(f), "payload", 7);
    memset(f->data, 0xff, 32); /* the transport writes there */
    assert_memory_equal(rr_frame_payload(f), "payload", 7);
    rr_frame_unref(&f);
}

static void last_unref_frees_and_every_unref_nulls(void **state)
{
    struct rr_frame *a = rr_frame_create("x", 1, 0);
    struct rr_frame *b = rr_frame_ref(a);

    (void)state;
    assert_int_equal(a->refs, 2);
    rr_frame_unref(&a);
    assert_null(a);
    assert_int_equal(b->refs, 1);
    assert_int_equal(rr_frame_payload(b)[0], 'x');
    rr_frame_unref(&b);
    assert_null(b);
    rr_frame_unref(&b);
}

static void empty_frame_is_a_frame(void **state)
{
    struct rr_frame *f = rr_frame_create(NULL, 0, 0);

    (void)state;
    assert_int_equal(f->len, 0);
    rr_frame_unref(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create_copies_behind_the_headroom),
        cmocka_unit_test(last_unref_frees_and_every_unref_nulls),
        cmocka_unit_test(empty_frame_is_a_frame),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
