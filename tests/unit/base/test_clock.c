#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <cmocka.h>

static void system_clock_goes_forward(void **state)
{
    const struct rr_clock *c = rr_clock_system();
    int64_t before = rr_mono_us(c);
    int64_t wall = rr_wall_ms(c);

    (void)state;
    for (int i = 0; i < 1000; i++) {
        int64_t now = rr_mono_us(c);

        assert_true(now >= before);
        before = now;
    }
    assert_true(wall / 1000 - (int64_t)time(NULL) <= 1);
    assert_true((int64_t)time(NULL) - wall / 1000 <= 5);
}

static void fake_clock_stands_still_until_moved(void **state)
{
    struct rr_clock_fake f;

    (void)state;
    rr_clock_fake_init(&f, 5000000, INT64_C(1767225600000));
    assert_true(rr_mono_us(&f.base) == 5000000);
    assert_true(rr_mono_us(&f.base) == 5000000);
    assert_true(rr_wall_ms(&f.base) == INT64_C(1767225600000));
    f.now_us += 1500000;
    assert_true(rr_mono_us(&f.base) == 6500000);
    assert_true(rr_wall_ms(&f.base) == INT64_C(1767225601500));
    f.wall_offset_ms -= 3600000; /* the wall clock jumps, the other does not */
    assert_true(rr_wall_ms(&f.base) == INT64_C(1767222001500));
    assert_true(rr_mono_us(&f.base) == 6500000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(system_clock_goes_forward),
        cmocka_unit_test(fake_clock_stands_still_until_moved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
