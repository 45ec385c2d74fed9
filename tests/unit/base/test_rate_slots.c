#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/rate_slots.h"

#define S INT64_C(1000000)
#define NOW (1000 * S)

static uint64_t rng(uint64_t *x)
{
    *x += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = *x;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Shared with children of fork. */
static struct rate_slots make(uint32_t n)
{
    struct rate_slots s = {.n = rate_slots_size(n)};
    void *p = mmap(NULL, s.n * sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                   -1, 0);

    assert_true(p != MAP_FAILED);
    s.words = p;
    return s;
}

static void drop(struct rate_slots *s)
{
    munmap((void *)s->words, s->n * sizeof(uint64_t));
}

static bool pass(const struct rate_slots *s, uint64_t hash, int64_t now_us,
                 const struct gcra_rate *r)
{
    struct rate_take t;

    return rate_slots_take(s, hash, now_us, r, &t) == RR_OK;
}

static void sizes(void **state)
{
    (void)state;
    assert_int_equal(rate_slots_size(0), RATE_BUCKET);
    assert_int_equal(rate_slots_size(9), 16);
    assert_int_equal(rate_slots_size(131072), 131072);
}

static void one_key(void **state)
{
    struct rate_slots s = make(64);
    struct gcra_rate r = gcra_rate_of(10, S, 20);
    struct rate_take t;
    int passed = 0;

    (void)state;
    while (rate_slots_take(&s, 42, NOW, &r, &t) == RR_OK)
        passed++;
    assert_int_equal(passed, 20);
    assert_int_equal(t.retry_after_us, S / 10);
    assert_int_equal(rate_slots_busy(&s, NOW), 1);
    assert_false(pass(&s, 42, NOW + t.retry_after_us - 1, &r));
    assert_true(pass(&s, 42, NOW + t.retry_after_us, &r));
    assert_int_equal(rate_slots_busy(&s, NOW + 3 * S), 0);
    assert_true(pass(&s, 0, NOW, &r));
    drop(&s);
}

/* Any keys in any order, as long as their buckets have room: the same answers as each key with a
 * number of its own. */
static void same_as_one_number_per_key(void **state)
{
    enum { KEYS = 100, STEPS = 50000 };
    struct rate_slots s = make(4096);
    uint64_t seed = 7;
    uint64_t hashes[KEYS];
    int64_t tats[KEYS] = {0};
    int64_t now_us = NOW;
    int refused = 0;

    (void)state;
    for (int i = 0; i < KEYS; i++)
        hashes[i] = rng(&seed);
    for (int i = 0; i < STEPS; i++) {
        uint64_t k = rng(&seed) % KEYS;
        struct gcra_rate r = gcra_rate_of((int64_t)k % 9 + 1, S, (int64_t)k % 9 + 1);
        struct rate_take t = {0};
        int64_t retry_us = 0;
        int64_t next_us = gcra_next(tats[k], now_us, &r, &retry_us);
        enum rr_err err = rate_slots_take(&s, hashes[k], now_us, &r, &t);

        assert_int_equal(err, next_us < 0 ? RR_RATE_LIMITED : RR_OK);
        assert_false(t.forgot);
        if (next_us < 0) {
            assert_int_equal(t.retry_after_us, retry_us);
            refused++;
        } else {
            tats[k] = next_us;
        }
        now_us += (int64_t)(rng(&seed) % 2000);
    }
    assert_true(refused > STEPS / 20);
    drop(&s);
}

static void idle_words_are_taken_by_others(void **state)
{
    struct rate_slots s = make(RATE_BUCKET); /* one bucket */
    struct gcra_rate r = gcra_rate_of(1, S, 1);
    struct rate_take t;

    (void)state;
    for (uint64_t round = 0; round < 10; round++) {
        for (uint64_t k = 1; k <= RATE_BUCKET; k++) {
            assert_int_equal(rate_slots_take(&s, round * 100 + k, NOW + (int64_t)round * S, &r, &t),
                             RR_OK);
            assert_false(t.forgot);
        }
        assert_int_equal(rate_slots_busy(&s, NOW + (int64_t)round * S), RATE_BUCKET);
    }
    drop(&s);
}

static void a_full_bucket_forgets_who_owes_least(void **state)
{
    struct rate_slots s = make(RATE_BUCKET);
    struct gcra_rate slow = gcra_rate_of(1, 60 * S, 2);
    struct gcra_rate quick = gcra_rate_of(1, S, 1);
    struct rate_take t;

    (void)state;
    assert_true(pass(&s, 1, NOW, &slow)); /* the abuser owes a minute and more */
    assert_true(pass(&s, 1, NOW, &slow));
    for (uint64_t k = 2; k <= RATE_BUCKET; k++)
        assert_true(pass(&s, k, NOW, &quick));
    for (uint64_t k = 100; k < 1000; k++) { /* a stream of strangers */
        assert_int_equal(rate_slots_take(&s, k, NOW, &quick, &t), RR_OK);
        assert_true(t.forgot);
    }
    assert_false(pass(&s, 1, NOW, &slow));
    drop(&s);
}

/* Two years later, and after a word of long ago: nobody is limited by the past. */
static void time_goes_round(void **state)
{
    struct gcra_rate r = gcra_rate_of(1, S, 1);
    int64_t ages_us[] = {2 * S,           3600 * S,        40 * 86400 * S,
                         400 * 86400 * S, 800 * 86400 * S, (INT64_C(1) << 46) - 3 * S,
                         5000 * 86400 * S};

    (void)state;
    for (size_t i = 0; i < sizeof(ages_us) / sizeof(*ages_us); i++) {
        struct rate_slots s = make(RATE_BUCKET);
        int64_t then_us = NOW + ages_us[i];

        assert_true(pass(&s, 5, NOW, &r));
        /* Once in two years a word of long ago looks like one of now, for as long as it is ahead. */
        if (i != 5)
            assert_true(pass(&s, 5, then_us, &r));
        assert_true(pass(&s, 5, then_us + 10 * S, &r));
        assert_false(pass(&s, 5, then_us + 10 * S, &r));
        drop(&s);
    }
}

/* ---- many at once ---- */

enum { THREADS = 6, TRIES = 4000 };

struct runner {
    pthread_t thread;
    const struct rate_slots *s;
    const struct gcra_rate *r;
    uint64_t first;
    uint64_t keys;
    uint32_t passed[8];
};

static void *run(void *arg)
{
    struct runner *x = arg;

    for (uint32_t i = 0; i < TRIES; i++) {
        uint64_t k = i % x->keys;

        x->passed[k] += pass(x->s, x->first + k * 7919, NOW, x->r);
    }
    return NULL;
}

/* The clock stands still: exactly the burst passes, whoever asks. */
static void threads_share_one_burst(void **state)
{
    struct rate_slots s = make(1024);
    struct gcra_rate r = gcra_rate_of(100, S, 500);
    struct runner x[THREADS];

    (void)state;
    for (uint64_t k = 0; k < 8; k++)
        assert_true(pass(&s, 1000 + k * 7919, NOW, &r)); /* known: no race for a word */
    for (int i = 0; i < THREADS; i++) {
        x[i] = (struct runner){.s = &s, .r = &r, .first = 1000, .keys = 8};
        assert_int_equal(pthread_create(&x[i].thread, NULL, run, &x[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(x[i].thread, NULL);
    for (int k = 0; k < 8; k++) {
        uint32_t sum = 1;

        for (int i = 0; i < THREADS; i++)
            sum += x[i].passed[k];
        assert_int_equal(sum, 500);
    }
    drop(&s);
}

/* All want a word of the same few buckets: nobody hangs, no word is torn. */
static void threads_fight_for_words(void **state)
{
    struct rate_slots s = make(RATE_BUCKET);
    struct gcra_rate r = gcra_rate_of(1, S, 3);
    struct runner x[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++) {
        x[i] = (struct runner){.s = &s, .r = &r, .first = (uint64_t)i * 1000003, .keys = 8};
        assert_int_equal(pthread_create(&x[i].thread, NULL, run, &x[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(x[i].thread, NULL);
    assert_int_equal(rate_slots_busy(&s, NOW), RATE_BUCKET);
    drop(&s);
}

/* Processes, and some of them die in the middle of it. */
static void processes_share_one_burst(void **state)
{
    enum { CHILDREN = 4, KILLED = 2 };
    struct rate_slots s = make(1024);
    struct gcra_rate r = gcra_rate_of(1, S, 1000);
    pid_t pids[CHILDREN + KILLED];
    int pipes[2];
    uint32_t sum = 0;

    (void)state;
    assert_int_equal(pipe(pipes), 0);
    for (int i = 0; i < CHILDREN + KILLED; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            uint32_t passed = 0;

            while (i >= CHILDREN)
                (void)pass(&s, 99, NOW, &r); /* until it is killed */
            for (int n = 0; n < TRIES; n++)
                passed += pass(&s, 7, NOW, &r);
            _exit(write(pipes[1], &passed, sizeof(passed)) != sizeof(passed));
        }
    }
    for (int i = CHILDREN; i < CHILDREN + KILLED; i++)
        kill(pids[i], SIGKILL);
    for (int i = 0; i < CHILDREN; i++) {
        uint32_t passed = 0;

        assert_int_equal(read(pipes[0], &passed, sizeof(passed)), sizeof(passed));
        sum += passed;
    }
    for (int i = 0; i < CHILDREN + KILLED; i++)
        waitpid(pids[i], NULL, 0);
    close(pipes[0]);
    close(pipes[1]);
    /* The first pass of each may have raced for a word: one more per process at most. */
    assert_in_range(sum, 1000, 1000 + CHILDREN - 1);
    drop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(one_key),
        cmocka_unit_test(same_as_one_number_per_key),
        cmocka_unit_test(idle_words_are_taken_by_others),
        cmocka_unit_test(a_full_bucket_forgets_who_owes_least),
        cmocka_unit_test(time_goes_round),
        cmocka_unit_test(threads_share_one_burst),
        cmocka_unit_test(threads_fight_for_words),
        cmocka_unit_test(processes_share_one_burst),
    };
    return cmocka_run_group_tests_name("rate_slots", tests, NULL, NULL);
}
