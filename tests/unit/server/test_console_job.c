/* What the console asks: who may, what reaches the threads, what comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "console_job.h"
#include "base/alloc.h"
#include "cm.h"
#include "fake_worker.h"
#include "protocol/pack.h"

static struct fake_worker *f;

enum { VIEWER, ANCHOR };

static int setup(void **state)
{
    (void)state;
    f = fake_worker_create();
    for (int who = VIEWER; who <= ANCHOR; who++) {
        fake_connect(f, who);
        fake_hello(f, who, who == ANCHOR ? "9 anchor *" : "7 viewer *");
        fake_join(f, who, "r1");
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_worker_destroy(f);
    return 0;
}

static struct unpack_value answer(int who, uint32_t id, enum result_code code)
{
    struct wire w;

    assert_true(wire_of(&f->conns[who], -1, &w));
    assert_int_equal(w.id, id);
    assert_int_equal(wire_int(&w.body, "result"), code);
    return w.body;
}

static void ask_winners(int who, uint32_t id, int64_t shard, int64_t no, const char *user)
{
    struct rr_buf b = {0};

    pack_map(&b, (uint32_t)(2 + (shard >= 0) + (no >= 0)));
    pack_kv_str(&b, "code", RAIN_A);
    if (shard >= 0)
        pack_kv_int(&b, "after_shard", shard);
    if (no >= 0)
        pack_kv_int(&b, "after_no", no);
    if (user)
        pack_kv_str(&b, "user", user);
    else
        pack_kv_int(&b, "limit", 2);
    fake_send(f, who, MSG_WINNERS, id, &b);
}

static void winners_page(void **state)
{
    struct unpack_value body;
    struct unpack_value list;
    struct unpack_value next;
    struct rain_job *j = NULL;

    (void)state;
    ask_winners(VIEWER, 4, -1, -1, NULL);
    answer(VIEWER, 4, RESULT_NOT_ELIGIBLE);
    ask_winners(ANCHOR, 5, 1, -1, NULL); /* half a place */
    body = answer(ANCHOR, 5, RESULT_BAD_REQUEST);
    assert_true(wire_str_is(&body, "field", "after_no"));
    assert_int_equal(f->jobs_n, 0);
    ask_winners(ANCHOR, 6, 1, 41, NULL);
    j = f->jobs[0];
    assert_int_equal(j->kind, RAIN_JOB_WINNERS);
    assert_int_equal(f->lanes[0], DB_LANE_VIEWER); /* never before a START */
    assert_string_equal(j->room_id, "r1");
    assert_int_equal(j->after.shard, 1);
    assert_int_equal(j->after.packet_no, 41);
    assert_int_equal(j->limit, 2);
    j->grants_n = 2;
    j->grants[0] = (struct rain_job_grant){
        .row = {.user_id = 88, .shard = 1, .packet_no = 42, .amount_fen = 5, .state = 's'},
        .in_sql = true};
    j->grants[1] = (struct rain_job_grant){
        .row = {.shard = 1, .packet_no = 43, .amount_fen = 6, .state = 'v'}, .in_sql = true};
    fake_job_done(f, 0, RR_OK);
    body = answer(ANCHOR, 6, RESULT_OK);
    assert_int_equal(unpack_get(&body, "winners", &list), RR_OK);
    assert_int_equal(list.as.n, 1); /* nobody has the other */
    assert_int_equal(unpack_get(&body, "next", &next), RR_OK);
    assert_int_equal(wire_int(&next, "no"), 43); /* but the page goes on after it */
    ask_winners(ANCHOR, 7, -1, -1, "88");
    assert_int_equal(f->jobs[1]->console->user_id, 88);
    assert_int_equal(f->jobs[1]->after.packet_no, -1);
    fake_job_done(f, 1, RR_NOT_FOUND);
    answer(ANCHOR, 7, RESULT_NOT_FOUND);
}

static void audit_page(void **state)
{
    struct unpack_value body;
    struct unpack_value list;
    struct unpack_value row;
    struct rain_job *j = NULL;
    struct rr_buf b = {0};

    (void)state;
    pack_map(&b, 1);
    pack_kv_int(&b, "before", 12);
    fake_send(f, ANCHOR, MSG_AUDIT, 5, &b);
    j = f->jobs[0];
    assert_int_equal(j->console->before, 12);
    j->console->rows = rr_xcalloc(1, sizeof(struct audit_row));
    j->console->rows_n = 1;
    *j->console->rows = (struct audit_row){.id = 11, .action = "CLOSE", .result = "OK"};
    fake_job_done(f, 0, RR_OK);
    body = answer(ANCHOR, 5, RESULT_OK);
    assert_int_equal(unpack_get(&body, "rows", &list), RR_OK);
    assert_int_equal(unpack_next(&list.items, &row), RR_OK);
    assert_int_equal(wire_int(&row, "id"), 11);
    assert_true(wire_str_is(&row, "action", "CLOSE"));
    fake_send_empty(f, VIEWER, MSG_AUDIT, 6);
    answer(VIEWER, 6, RESULT_NOT_ELIGIBLE);
}

static void ask_templates(uint32_t id, const char *name, const char *spec)
{
    struct rr_buf b = {0};

    pack_map(&b, (uint32_t)((name != NULL) + (spec != NULL)));
    if (name)
        pack_kv_str(&b, "name", name);
    if (spec)
        pack_kv_str(&b, "spec", spec);
    fake_send(f, ANCHOR, MSG_TEMPLATES, id, &b);
}

static void templates_are_the_anchors_own(void **state)
{
    struct unpack_value body;

    (void)state;
    ask_templates(5, NULL, "{}");
    body = answer(ANCHOR, 5, RESULT_BAD_REQUEST);
    assert_true(wire_str_is(&body, "field", "name"));
    ask_templates(6, "a\nb", "{}");
    answer(ANCHOR, 6, RESULT_BAD_REQUEST);
    assert_int_equal(f->jobs_n, 0);
    ask_templates(7, "周五", "{\"total\":1}");
    assert_int_equal(f->jobs[0]->user_id, 9); /* from the token */
    assert_string_equal(f->jobs[0]->console->name, "周五");
    assert_string_equal(f->jobs[0]->console->spec, "{\"total\":1}");
    f->jobs[0]->field = "name";
    fake_job_done(f, 0, RR_BAD_REQUEST);
    body = answer(ANCHOR, 7, RESULT_BAD_REQUEST);
    assert_true(wire_str_is(&body, "field", "name"));
}

static void check_is_rare(void **state)
{
    struct unpack_value body;
    struct rr_buf b = {0};

    (void)state;
    for (uint32_t id = 5; id <= 6; id++) {
        pack_map(&b, 1);
        pack_kv_str(&b, "code", RAIN_A);
        fake_send(f, ANCHOR, MSG_CHECK, id, &b);
        b = (struct rr_buf){0};
    }
    answer(ANCHOR, 6, RESULT_RATE_LIMITED);
    assert_int_equal(f->jobs_n, 1);
    f->jobs[0]->console->checked = (struct rain_checked){.at_ms = 77, .findings = 2};
    fake_job_done(f, 0, RR_OK);
    body = answer(ANCHOR, 5, RESULT_OK);
    assert_int_equal(wire_int(&body, "findings"), 2);
    assert_int_equal(wire_int(&body, "at"), 77);
}

/* KICK and MUTE do not wait for the books, ANNOUNCE's row says how it ended. */
static void notes_follow(void **state)
{
    struct fake_out *o = NULL;
    struct rr_buf b = {0};

    (void)state;
    pack_map(&b, 2);
    pack_kv_str(&b, "user", "7");
    pack_kv_int(&b, "secs", 60);
    fake_send(f, ANCHOR, MSG_MUTE, 5, &b);
    answer(ANCHOR, 5, RESULT_OK);
    assert_int_equal(f->jobs[0]->kind, RAIN_JOB_NOTE);
    assert_string_equal(f->jobs[0]->console->note.action, "MUTE");
    assert_string_equal(f->jobs[0]->console->note.detail, "user=7 secs=60");
    assert_string_equal(f->jobs[0]->console->note.result, "OK");
    assert_string_equal(f->jobs[0]->console->note.room_id, "r1");
    fake_job_done(f, 0, RR_UNAVAILABLE);
    assert_int_equal(f->metrics.audit_lost_total, 1);
    b = (struct rr_buf){0};
    pack_map(&b, 1);
    pack_kv_str(&b, "text", "hi");
    fake_send(f, ANCHOR, MSG_ANNOUNCE, 6, &b);
    assert_int_equal(f->jobs_n, 1);
    o = &f->bus.outs[f->bus.outs_n - 1];
    o->done(o->arg, RR_PENDING, 0, 0);
    o->done = NULL;
    assert_string_equal(f->jobs[1]->console->note.result, "UNAVAILABLE");
    fake_job_done(f, 1, RR_OK);
    f->submit_err = RR_BUSY;
    b = (struct rr_buf){0};
    pack_map(&b, 1);
    pack_kv_str(&b, "user", "7");
    fake_send(f, ANCHOR, MSG_KICK, 7, &b);
    answer(ANCHOR, 7, RESULT_OK);
    assert_int_equal(f->metrics.audit_lost_total, 2);
}

static void rows_say_what_was_done(void **state)
{
    struct rain_job *j = rain_job_alloc(RAIN_JOB_CREATE, NULL, NULL);
    struct audit_row row;

    (void)state;
    j->user_id = 9;
    j->spec = (struct rain_spec){.total_fen = 2000, .count = 8, .limit = 3, .kind = KIND_RAIN};
    strcpy(j->spec.room_id, "r1");
    strcpy(j->spec.biz_id, "b1");
    console_audit_row(j, &row);
    assert_int_equal(row.user_id, 9);
    assert_string_equal(row.action, "CREATE");
    assert_string_equal(row.room_id, "r1");
    assert_string_equal(row.detail, "total=2000 count=8 limit=3 kind=rain start_at=0 biz_id=b1");
    j->err = RR_NO_MONEY;
    console_audit_ended(j, &row);
    assert_string_equal(row.result, "CONFLICT");
    assert_string_equal(row.code, "");
    j->err = RR_DUPLICATE;
    strcpy(j->rains->code, RAIN_A);
    strcpy(j->rains->spec.room_id, "r1");
    console_audit_ended(j, &row);
    assert_string_equal(row.result, "OK");
    assert_string_equal(row.code, RAIN_A);
    j->any_room = true; /* the platform's backend, by a code alone */
    j->kind = RAIN_JOB_CLOSE;
    strcpy(j->code, RAIN_A);
    console_audit_row(j, &row);
    assert_int_equal(row.user_id, 0);
    assert_string_equal(row.room_id, "");
    console_audit_ended(j, &row);
    assert_string_equal(row.room_id, "r1");
    rain_job_free(j);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(winners_page),  TEST(audit_page),   TEST(templates_are_the_anchors_own),
        TEST(check_is_rare), TEST(notes_follow), TEST(rows_say_what_was_done),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
