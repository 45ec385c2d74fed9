#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/count_slots.h"

static struct count_slots make(uint32_t keys, uint32_t owners)
{
    struct count_slots s = {.section = count_slots_section(keys), .owners = owners};

    s.words = calloc((size_t)s.section * owners, sizeof(*s.words));
    s.used = calloc(owners, sizeof(*s.used));
    assert_non_null(s.words);
    assert_non_null(s.used);
    return s;
}

static void drop(struct count_slots *s)
{
    free((void *)s->words);
    free((void *)s->used);
}

static uint64_t hash_of(uint64_t n)
{
    uint64_t z = n * UINT64_C(0x9e3779b97f4a7c15) + 1;

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void up_to_the_limit_over_all_owners(void **state)
{
    struct count_slots s = make(1000, 3);
    uint64_t a = hash_of(1);
    uint64_t b = hash_of(2);

    (void)state;
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(count_slots_take(&s, i % 3, a, 10), COUNT_TAKEN);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(count_slots_take(&s, i, a, 10), COUNT_OVER);
    assert_int_equal(count_slots_sum(&s, a), 10);
    assert_int_equal(count_slots_take(&s, 2, b, 10), COUNT_TAKEN);
    count_slots_give(&s, 1, a);
    assert_int_equal(count_slots_sum(&s, a), 9);
    assert_int_equal(count_slots_take(&s, 2, a, 10), COUNT_TAKEN);
    assert_int_equal(count_slots_take(&s, 1, a, 10), COUNT_OVER);
    drop(&s);
}

static void a_dead_owner_holds_nothing(void **state)
{
    struct count_slots s = make(1000, 2);
    uint64_t a = hash_of(1);

    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(count_slots_take(&s, 0, a, 10), COUNT_TAKEN);
        assert_int_equal(count_slots_take(&s, 1, a, 10), COUNT_TAKEN);
    }
    assert_int_equal(count_slots_take(&s, 1, a, 10), COUNT_OVER);
    count_slots_clear(&s, 0);
    assert_int_equal(count_slots_sum(&s, a), 5);
    count_slots_give(&s, 0, a); /* of before: harmless */
    assert_int_equal(count_slots_sum(&s, a), 5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(count_slots_take(&s, 0, a, 10), COUNT_TAKEN);
    assert_int_equal(count_slots_take(&s, 0, a, 10), COUNT_OVER);
    drop(&s);
}

/* Random takes and gives, the same sums as an array. Words are used again by other keys. */
static void same_as_an_array(void **state)
{
    enum { KEYS = 500, OWNERS = 3, STEPS = 100000, MAX = 12 };
    static uint32_t model[OWNERS][KEYS];
    struct count_slots s = make(KEYS, OWNERS);
    uint64_t over = 0;

    (void)state;
    for (uint64_t i = 0; i < STEPS; i++) {
        uint64_t r = hash_of(i + 1000000);
        uint32_t k = (uint32_t)(r % KEYS);
        uint32_t owner = (uint32_t)(r >> 20) % OWNERS;
        uint32_t sum = model[0][k] + model[1][k] + model[2][k];

        if (r >> 63 && model[owner][k]) {
            count_slots_give(&s, owner, hash_of(k));
            model[owner][k]--;
        } else if (count_slots_take(&s, owner, hash_of(k), MAX) == COUNT_TAKEN) {
            assert_true(sum < MAX);
            model[owner][k]++;
        } else {
            assert_int_equal(sum, MAX);
            over++;
        }
        sum = model[0][k] + model[1][k] + model[2][k];
        assert_int_equal(count_slots_sum(&s, hash_of(k)), sum);
    }
    assert_true(over > 100);
    drop(&s);
}

static void as_many_keys_as_promised(void **state)
{
    enum { KEYS = 20000 };
    struct count_slots s = make(KEYS, 1);
    uint32_t unknown = 0;

    (void)state;
    for (uint64_t k = 0; k < KEYS; k++)
        unknown += count_slots_take(&s, 0, hash_of(k), 1) == COUNT_UNKNOWN;
    assert_int_equal(unknown, 0);
    for (uint64_t k = 0; k < KEYS; k++)
        assert_int_equal(count_slots_sum(&s, hash_of(k)), 1);
    drop(&s);
}

static void a_full_bucket_says_so(void **state)
{
    struct count_slots s = make(1, 1); /* one bucket */
    uint64_t k = 0;

    (void)state;
    for (k = 0; k < COUNT_BUCKET; k++)
        assert_int_equal(count_slots_take(&s, 0, hash_of(k), 1), COUNT_TAKEN);
    assert_int_equal(count_slots_take(&s, 0, hash_of(k), 1), COUNT_UNKNOWN);
    assert_int_equal(count_slots_take(&s, 0, hash_of(0), 1), COUNT_OVER);
    count_slots_give(&s, 0, hash_of(3));
    assert_int_equal(count_slots_take(&s, 0, hash_of(k), 1), COUNT_TAKEN);
    drop(&s);
}

/* A page of shared memory that is only read is there from then on, and counts as much as one that was written. */
static void who_takes_nothing_has_no_memory(void **state)
{
    enum { OWNERS = 3, KEYS = 20480 };
    struct count_slots s = {.section = count_slots_section(KEYS), .owners = OWNERS};
    size_t section = s.section * sizeof(*s.words);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char there[4096] = {0};
    size_t of[OWNERS] = {0};
    void *map =
        mmap(NULL, section * OWNERS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    _Atomic bool used[OWNERS] = {false};

    (void)state;
    assert_true(map != MAP_FAILED);
    assert_int_equal(section % page, 0); /* or a page would be of two owners */
    assert_true(section / page * OWNERS <= sizeof(there));
    s.words = map;
    s.used = used;
    for (uint64_t k = 0; k < KEYS; k++)
        assert_int_equal(count_slots_take(&s, 1, hash_of(k), 2), COUNT_TAKEN);
    for (uint64_t k = 0; k < KEYS; k++)
        assert_int_equal(count_slots_sum(&s, hash_of(k)), 1);
    count_slots_clear(&s, 2);
    assert_int_equal(mincore(map, section * OWNERS, there), 0);
    for (size_t i = 0; i < section / page * OWNERS; i++)
        of[i / (section / page)] += there[i] & 1;
    assert_int_equal(of[0], 0);
    assert_int_equal(of[1], section / page);
    assert_int_equal(of[2], 0);
    munmap(map, section * OWNERS);
}

/* ---- many at once ---- */

enum { THREADS = 6, ROUNDS = 3000, MAX = 4 };

struct runner {
    pthread_t thread;
    const struct count_slots *s;
    uint32_t owner;
    _Atomic int *held; /* by all */
    _Atomic int *worst;
};

static void *run(void *arg)
{
    struct runner *x = arg;

    for (int i = 0; i < ROUNDS; i++) {
        if (count_slots_take(x->s, x->owner, hash_of(9), MAX) != COUNT_TAKEN)
            continue;
        int held = ++*x->held;
        if (held > *x->worst)
            *x->worst = held;
        --*x->held;
        count_slots_give(x->s, x->owner, hash_of(9));
    }
    return NULL;
}

/* Owners on their own sections, and two of them on the same one: never a place too many. */
static void threads_never_exceed_the_limit(void **state)
{
    struct count_slots s = make(100, THREADS - 1);
    struct runner x[THREADS];
    _Atomic int held = 0;
    _Atomic int worst = 0;

    (void)state;
    for (uint32_t i = 0; i < THREADS; i++) {
        x[i] = (struct runner){.s = &s, .owner = i % (THREADS - 1), .held = &held, .worst = &worst};
        assert_int_equal(pthread_create(&x[i].thread, NULL, run, &x[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(x[i].thread, NULL);
    assert_true(worst <= MAX);
    assert_int_equal(count_slots_sum(&s, hash_of(9)), 0);
    drop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(up_to_the_limit_over_all_owners),
        cmocka_unit_test(a_dead_owner_holds_nothing),
        cmocka_unit_test(same_as_an_array),
        cmocka_unit_test(as_many_keys_as_promised),
        cmocka_unit_test(a_full_bucket_says_so),
        cmocka_unit_test(who_takes_nothing_has_no_memory),
        cmocka_unit_test(threads_never_exceed_the_limit),
    };
    return cmocka_run_group_tests_name("count_slots", tests, NULL, NULL);
}
