#include "cm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rain/outbox_track.h"

static const struct pool_shard s0 = {.code = "AAAAAAAAAAAAAAAAAAAAAA", .shard = 0};
static const struct pool_shard s1 = {.code = "AAAAAAAAAAAAAAAAAAAAAA", .shard = 1};
static const struct pool_shard other = {.code = "BBBBBBBBBBBBBBBBBBBBBB", .shard = 0};

static struct outbox_track *t;

/* Deleted ids as "code-letter shard:id " in the order they came. */
static char deleted[4096];
static uint32_t calls;
static uint32_t largest;

static void on_del(void *arg, const struct pool_shard *at, const char *const *ids, uint32_t n)
{
    assert_ptr_equal(arg, &calls);
    calls++;
    if (n > largest)
        largest = n;
    for (uint32_t i = 0; i < n; i++)
        snprintf(deleted + strlen(deleted), sizeof(deleted) - strlen(deleted), "%c%u:%s ",
                 at->code[0], at->shard, ids[i]);
}

static const char *flush(void)
{
    deleted[0] = 0;
    calls = 0;
    largest = 0;
    outbox_track_flush(t, on_del, &calls);
    assert_int_equal(outbox_track_ready(t), 0);
    return deleted;
}

static uint64_t entry(const struct pool_shard *at, const char *id, unsigned records)
{
    uint64_t h = outbox_track_open(t, at, id);

    for (unsigned i = 0; i < records; i++)
        outbox_track_add(t, h);
    outbox_track_seal(t, h);
    return h;
}

static int setup(void **state)
{
    (void)state;
    t = outbox_track_create(0, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    outbox_track_destroy(t);
    return 0;
}

static void restart(uint32_t cap, uint32_t del_max)
{
    outbox_track_destroy(t);
    t = outbox_track_create(cap, del_max);
}

static void entry_is_deletable_when_every_record_is_reported(void **state)
{
    uint64_t h = entry(&s0, "1-0", 3);

    (void)state;
    assert_int_not_equal(h, 0);
    outbox_track_report(t, h, true);
    outbox_track_report(t, h, true);
    assert_int_equal(outbox_track_ready(t), 0);
    assert_string_equal(flush(), "");
    assert_int_equal(calls, 0);
    outbox_track_report(t, h, true);
    assert_int_equal(outbox_track_ready(t), 1);
    assert_int_equal(outbox_track_count(t), 1);
    assert_string_equal(flush(), "A0:1-0 ");
    assert_string_equal(flush(), "");
    assert_int_equal(outbox_track_count(t), 0);
    outbox_track_report(t, h, true); /* a handle that is gone */
    outbox_track_add(t, h);
    outbox_track_seal(t, h);
    assert_int_equal(outbox_track_count(t), 0);
}

/* Reports may come before the last record of the entry was produced. */
static void entry_is_not_deletable_before_it_is_sealed(void **state)
{
    uint64_t h = outbox_track_open(t, &s0, "1-0");

    (void)state;
    outbox_track_add(t, h);
    outbox_track_report(t, h, true);
    assert_int_equal(outbox_track_ready(t), 0);
    outbox_track_add(t, h);
    outbox_track_seal(t, h);
    assert_int_equal(outbox_track_ready(t), 0);
    outbox_track_report(t, h, true);
    assert_string_equal(flush(), "A0:1-0 ");
}

static void failed_record_leaves_the_entry_to_the_sweeper(void **state)
{
    uint64_t h = outbox_track_open(t, &s0, "1-0");

    (void)state;
    outbox_track_add(t, h);
    outbox_track_report(t, h, false); /* the producer refused it */
    outbox_track_add(t, h);
    outbox_track_seal(t, h);
    assert_int_equal(outbox_track_count(t), 1);
    outbox_track_report(t, h, true);
    assert_int_equal(outbox_track_count(t), 0);
    assert_string_equal(flush(), "");
    h = outbox_track_open(t, &s0, "1-1");
    outbox_track_report(t, h, false); /* a record that was not even counted */
    outbox_track_seal(t, h);
    assert_int_equal(outbox_track_count(t), 0);
}

static void entry_without_records_is_forgotten(void **state)
{
    (void)state;
    (void)entry(&s0, "1-0", 0);
    assert_int_equal(outbox_track_count(t), 0);
    assert_string_equal(flush(), "");
}

static void untracked_entries_are_ignored(void **state)
{
    uint64_t h = 0;

    (void)state;
    assert_int_equal(outbox_track_open(t, &s0, ""), 0);
    outbox_track_add(t, 0);
    outbox_track_report(t, 0, true);
    outbox_track_seal(t, 0);
    restart(2, 0);
    h = entry(&s0, "1-0", 1);
    (void)entry(&s1, "1-0", 1);
    assert_int_equal(outbox_track_open(t, &s0, "1-1"), 0); /* full */
    outbox_track_report(t, h, true);
    assert_int_equal(outbox_track_open(t, &s0, "1-1"),
                     0); /* until the deletable ones are flushed */
    (void)flush();
    assert_int_not_equal(outbox_track_open(t, &s0, "1-1"), 0);
}

static void flush_groups_by_shard_and_caps_a_call(void **state)
{
    char id[32];
    uint64_t mid = 0;

    (void)state;
    restart(0, 4);
    for (unsigned i = 0; i < 10; i++) {
        snprintf(id, sizeof(id), "%u-0", i);
        outbox_track_report(t, entry(&s0, id, 1), true);
    }
    outbox_track_report(t, entry(&s1, "7-7", 1), true);
    mid = entry(&other, "1-1", 1); /* open: stays */
    (void)flush();
    assert_int_equal(calls, 3 + 1);
    assert_int_equal(largest, 4);
    assert_non_null(strstr(deleted, "A0:9-0 "));
    assert_non_null(strstr(deleted, "A0:0-0 "));
    assert_non_null(strstr(deleted, "A1:7-7 "));
    assert_int_equal(outbox_track_count(t), 1);
    outbox_track_report(t, mid, true);
    assert_string_equal(flush(), "B0:1-1 ");
}

static void shard_with_open_and_deletable_entries_keeps_the_open_ones(void **state)
{
    uint64_t a = entry(&s0, "1-0", 1);
    uint64_t b = entry(&s0, "2-0", 1);
    uint64_t c = entry(&s0, "3-0", 1);

    (void)state;
    outbox_track_report(t, b, true); /* from the middle */
    assert_string_equal(flush(), "A0:2-0 ");
    outbox_track_report(t, a, true);
    outbox_track_report(t, c, false); /* the last open one goes, the deletable one stays */
    assert_string_equal(flush(), "A0:1-0 ");
}

static void deletes_are_capped_at_the_maximum(void **state)
{
    char id[32];

    (void)state;
    restart(0, 100000);
    for (unsigned i = 0; i < OUTBOX_DEL_MAX + 1; i++) {
        snprintf(id, sizeof(id), "%u", i);
        outbox_track_report(t, entry(&s0, id, 1), true);
    }
    (void)flush();
    assert_int_equal(calls, 2);
    assert_int_equal(largest, OUTBOX_DEL_MAX);
}

/* A cut id could be that of another entry. */
static void too_long_id_is_not_tracked(void **state)
{
    (void)state;
    assert_int_equal(outbox_track_open(t, &s0, "1234567890123456-123456789012345"), 0);
    outbox_track_report(t, entry(&s0, "1234567890123456-12345678901234", 1), true);
    assert_string_equal(flush(), "A0:1234567890123456-12345678901234 ");
}

static void forget_drops_one_rain_only(void **state)
{
    uint64_t a = entry(&s0, "1-0", 1);
    uint64_t b = entry(&s1, "1-0", 1);
    uint64_t c = entry(&other, "1-0", 1);

    (void)state;
    (void)entry(&s0, "2-0", 1);
    outbox_track_report(t, b, true);
    outbox_track_forget(t, s0.code);
    assert_int_equal(outbox_track_count(t), 1);
    assert_int_equal(outbox_track_ready(t), 0);
    outbox_track_report(t, a, true);
    outbox_track_report(t, c, true);
    assert_string_equal(flush(), "B0:1-0 ");
    outbox_track_destroy(NULL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(entry_is_deletable_when_every_record_is_reported),
        T(entry_is_not_deletable_before_it_is_sealed),
        T(failed_record_leaves_the_entry_to_the_sweeper),
        T(entry_without_records_is_forgotten),
        T(untracked_entries_are_ignored),
        T(flush_groups_by_shard_and_caps_a_call),
        T(shard_with_open_and_deletable_entries_keeps_the_open_ones),
        T(deletes_are_capped_at_the_maximum),
        T(too_long_id_is_not_tracked),
        T(forget_drops_one_rain_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
