/* Metrics: sums over slots, the text format, what stays when a process dies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/metrics.h"

static struct rr_metrics_mapping make(uint32_t n)
{
    struct rr_metrics_mapping m;

    assert_int_equal(rr_metrics_mapping_create(n, &m), RR_OK);
    return m;
}

static char *text_of(const struct rr_metrics_mapping *m, struct rr_buf *out)
{
    rr_buf_clear(out);
    rr_metrics_prometheus(m->slots, m->n, out);
    assert_false(out->failed);
    return out->p;
}

static void sum_over_slots_is_shown(void **state)
{
    struct rr_metrics_mapping m = make(3);
    struct rr_buf out = {0};

    (void)state;
    rr_metric_add(&m.slots[0].grabs_total, 2);
    rr_metric_add(&m.slots[2].grabs_total, 3);
    rr_metric_set(&m.slots[0].connections, 10);
    rr_metric_move(&m.slots[1].connections, 5);
    rr_metric_move(&m.slots[1].connections, -1);
    rr_metric_set(&m.slots[1].pid, 123);
    const char *text = text_of(&m, &out);
    assert_non_null(strstr(text, "\n# HELP redrain_grabs_total GRAB messages\n"
                                 "# TYPE redrain_grabs_total counter\nredrain_grabs_total 5\n"));
    assert_non_null(strstr(text, "# TYPE redrain_connections gauge\nredrain_connections 14\n"));
    assert_non_null(strstr(text, "redrain_build_info{version=\""));
    assert_non_null(strstr(text, "redrain_process_up{slot=\"0\"} 0\n"
                                 "redrain_process_up{slot=\"1\"} 1\n"));
    rr_buf_fini(&out);
    rr_metrics_mapping_close(&m);
    rr_metrics_mapping_close(&m);
}

static void histogram_is_cumulative_in_seconds(void **state)
{
    struct rr_metrics_mapping m = make(2);
    struct rr_buf out = {0};
    static const int64_t us[] = {-5, 0, 100, 101, 2000, 10000000, 10000001};

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(us); i++)
        rr_metric_observe_us(&m.slots[i % 2].grab_seconds, us[i]);
    const char *text = text_of(&m, &out);
    assert_non_null(strstr(text, "# TYPE redrain_grab_seconds histogram\n"
                                 "redrain_grab_seconds_bucket{le=\"0.000100\"} 3\n"
                                 "redrain_grab_seconds_bucket{le=\"0.000200\"} 4\n"));
    assert_non_null(strstr(text, "redrain_grab_seconds_bucket{le=\"0.002000\"} 5\n"));
    assert_non_null(strstr(text, "redrain_grab_seconds_bucket{le=\"1\"} 5\n"));
    assert_non_null(strstr(text, "redrain_grab_seconds_bucket{le=\"10\"} 6\n"
                                 "redrain_grab_seconds_bucket{le=\"+Inf\"} 7\n"
                                 "redrain_grab_seconds_sum 20.002202\n"
                                 "redrain_grab_seconds_count 7\n"));
    rr_buf_fini(&out);
    rr_metrics_mapping_close(&m);
}

static void every_line_is_a_sample_or_a_comment(void **state)
{
    struct rr_metrics_mapping m = make(1);
    struct rr_buf out = {0};
    char *save = NULL;
    size_t samples = 0;

    (void)state;
    char *text = text_of(&m, &out);
    assert_int_equal(text[out.len - 1], '\n');
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char name[100];
        double value;
        if (line[0] == '#') {
            assert_true(!strncmp(line, "# HELP redrain_", 15) ||
                        !strncmp(line, "# TYPE redrain_", 15));
            continue;
        }
        assert_int_equal(sscanf(line, "%99s %lf", name, &value), 2);
        assert_memory_equal(name, "redrain_", 8);
        samples++;
    }
    assert_true(samples > 40);
    rr_buf_fini(&out);
    rr_metrics_mapping_close(&m);
}

static void what_a_dead_process_had_queued_is_lost(void **state)
{
    struct rr_metrics m = {.frames_expected_total = 100,
                           .frames_sent_total = 80,
                           .frames_dropped_total = 3,
                           .frames_closed_total = 10};

    (void)state;
    assert_int_equal(rr_metrics_book_lost(&m), 7);
    assert_int_equal(m.frames_lost_total, 7);
    assert_int_equal(rr_metrics_book_lost(&m), 0);
    m.frames_sent_total += 5; /* killed while it told: never less than nothing */
    assert_int_equal(rr_metrics_book_lost(&m), 0);
    assert_int_equal(m.frames_lost_total, 7);
}

static void reap_keeps_counters_and_clears_gauges(void **state)
{
    struct rr_metrics_mapping m = make(1);

    (void)state;
    rr_metric_set(&m.slots->pid, 1);
    rr_metric_set(&m.slots->connections, 7);
    rr_metric_set(&m.slots->db_up, 1);
    rr_metric_add(&m.slots->grabs_total, 7);
    rr_metric_observe_us(&m.slots->loop_lag_seconds, 1);
    rr_metrics_slot_reap(m.slots);
    assert_int_equal(m.slots->pid, 0);
    assert_int_equal(m.slots->connections, 0);
    assert_int_equal(m.slots->db_up, 0);
    assert_int_equal(m.slots->grabs_total, 7);
    assert_int_equal(m.slots->loop_lag_seconds.bucket[0], 1);
    rr_metrics_mapping_close(&m);
}

static void child_shares_the_mapping(void **state)
{
    struct rr_metrics_mapping m = make(2);
    int status = -1;

    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        struct rr_metrics_mapping mine;
        if (rr_metrics_mapping_attach(dup(m.fd), 2, &mine) != RR_OK)
            _exit(1);
        rr_metric_add(&mine.slots[1].joins_total, 42);
        rr_metrics_mapping_close(&mine);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(m.slots[1].joins_total, 42);
    rr_metrics_mapping_close(&m);
}

static void attach_refuses_another_layout(void **state)
{
    struct rr_metrics_mapping m = make(2);
    struct rr_metrics_mapping other;

    (void)state;
    assert_int_equal(rr_metrics_mapping_attach(m.fd, 3, &other), RR_CONFIG);
    assert_int_equal(rr_metrics_mapping_attach(m.fd, 0, &other), RR_CONFIG);
    assert_int_equal(rr_metrics_mapping_attach(-1, 2, &other), RR_CONFIG);
    assert_null(other.slots);
    rr_metrics_mapping_close(&other);
    rr_metrics_mapping_close(&m);
}

static void settler_metrics_have_their_own_rows(void **state)
{
    struct rr_settler_metrics s = {0};
    struct rr_buf out = {0};

    (void)state;
    rr_metric_add(&s.settled_total, 9);
    rr_metric_set(&s.money_unaccounted_fen, -3);
    rr_settler_metrics_prometheus(&s, &out);
    assert_non_null(strstr(out.p, "redrain_settled_total 9\n"));
    assert_non_null(strstr(out.p, "redrain_money_unaccounted_fen -3\n"));
    rr_buf_fini(&out);
}

static void settlers_are_told_apart_by_a_label(void **state)
{
    struct rr_settler_metrics s = {0};
    struct rr_buf a = {0};
    struct rr_buf b = {0};
    struct rr_buf out = {0};
    struct rr_settler_text texts[3] = {{.name = "one"}, {.name = "two"}, {.name = "older"}};
    char none[] = "# of another version\n";

    (void)state;
    rr_metric_add(&s.settled_total, 9);
    rr_settler_metrics_prometheus(&s, &a);
    rr_metric_add(&s.settled_total, 3);
    rr_metric_set(&s.findings, -1);
    rr_settler_metrics_prometheus(&s, &b);
    rr_buf_append(&a, "", 1);
    rr_buf_append(&b, "", 1);
    texts[0].text = a.p;
    texts[1].text = b.p;
    texts[2].text = none;
    rr_settler_metrics_join(texts, 3, &out);
    assert_non_null(strstr(out.p, "# TYPE redrain_settled_total counter\n"
                                  "redrain_settled_total{settler=\"one\"} 9\n"
                                  "redrain_settled_total{settler=\"two\"} 12\n# HELP"));
    assert_non_null(strstr(out.p, "redrain_findings{settler=\"two\"} -1\n"));
    rr_buf_clear(&out);
    rr_settler_metrics_join(texts, 0, &out);
    assert_int_equal(out.len, 0);
    rr_buf_fini(&a);
    rr_buf_fini(&b);
    rr_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sum_over_slots_is_shown),
        cmocka_unit_test(histogram_is_cumulative_in_seconds),
        cmocka_unit_test(every_line_is_a_sample_or_a_comment),
        cmocka_unit_test(what_a_dead_process_had_queued_is_lost),
        cmocka_unit_test(reap_keeps_counters_and_clears_gauges),
        cmocka_unit_test(child_shares_the_mapping),
        cmocka_unit_test(attach_refuses_another_layout),
        cmocka_unit_test(settler_metrics_have_their_own_rows),
        cmocka_unit_test(settlers_are_told_apart_by_a_label),
    };
    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
