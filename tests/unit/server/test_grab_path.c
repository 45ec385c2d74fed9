/* A grab's way through a worker: what is told, when, and to whom. */
#include "../room/cm.h"

#include <stdio.h>
#include <string.h>

#include "fake_worker.h"
#include "protocol/pack.h"

enum { MS = 1000, RID_LEN = RR_RID_LEN };

#define RID "0123456789abcdef0123456789abcdef01234567"

static struct fake_worker *f;

/* Person 0 (user 7) and 1 (user 8) in r1, where rain A is open for 60 s. */
static int setup(void **state)
{
    (void)state;
    f = fake_worker_create();
    fake_hello(f, 0, "7 viewer *");
    fake_hello(f, 1, "8 viewer *");
    fake_join(f, 0, "r1");
    fake_join(f, 1, "r1");
    fake_rain(f, "r1", 2, RAIN_A, fake_now_ms(f) - 1000, fake_now_ms(f) + 60000, 3, 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_worker_destroy(f);
    return 0;
}

static void grab_code(int who, const char *code, uint32_t id, int64_t seq, bool again)
{
    struct rr_buf b = {0};

    pack_map(&b, 3);
    pack_kv_str(&b, "code", code);
    pack_kv_int(&b, "seq", seq);
    pack_kv_bool(&b, "again", again);
    fake_send(f, who, MSG_GRAB, id, &b);
}

static void grab(int who, uint32_t id, int64_t seq, bool again)
{
    grab_code(who, RAIN_A, id, seq, again);
}

static struct pool_grab_reply reply(const char *outbox_id, uint32_t left)
{
    struct pool_grab_reply r = {.now_ms = fake_now_ms(f),
                                .t0_ms = fake_now_ms(f) - 1000,
                                .t1_ms = fake_now_ms(f) + 50000,
                                .granted = 100 - left,
                                .granted_fen = 100 * (100 - left),
                                .left = left};

    memcpy(r.rid, RID, sizeof(r.rid));
    snprintf(r.outbox_id, sizeof(r.outbox_id), "%s", outbox_id);
    return r;
}

/* The n-th call of the pool: everybody in it gets the same. */
static void script_says_with(uint32_t n, enum rr_err rc, bool replay, struct pool_grab_reply *r)
{
    struct pool_grab_result results[POOL_GRAB_MAX];

    for (uint32_t i = 0; i < POOL_GRAB_MAX; i++)
        results[i] = (struct pool_grab_result){
            .rc = rc, .replay = replay, .seq = 2, .packet_no = 30 + i, .amount_fen = 88 + i};
    fake_pool_answer(f, n, RR_OK, results, r);
}

static void script_grants(uint32_t n, const char *outbox_id)
{
    struct pool_grab_reply r = reply(outbox_id, 40);

    script_says_with(n, RR_OK, false, &r);
}

static void script_says(uint32_t n, enum rr_err rc)
{
    struct pool_grab_reply r = reply("", 40);

    script_says_with(n, rc, false, &r);
}

/* The n-th frame of who is the REPLY to id with this result. */
static struct unpack_value assert_reply(int who, int n, uint32_t id, enum result_code code)
{
    struct wire w;

    assert_true(wire_of(&f->conns[who], n, &w));
    assert_int_equal(w.op, MSG_REPLY);
    assert_int_equal(w.id, id);
    assert_int_equal(wire_int(&w.body, "result"), code);
    return w.body;
}

static void assert_frames(int who, uint32_t n)
{
    assert_int_equal(f->conns[who].sent_n, n);
}

static void test_ok_is_told_only_after_the_report(void **state)
{
    struct unpack_value body;

    (void)state;
    grab(0, 11, 0, false);
    assert_int_equal(f->calls_n, 0);
    fake_advance(f, 1 * MS);
    assert_int_equal(f->calls_n, 1);
    assert_int_equal(f->calls[0].n, 1);
    assert_int_equal(f->calls[0].items[0].user_id, 7);
    assert_int_equal(f->calls[0].items[0].seq, 0);
    assert_string_equal(f->calls[0].at.code, RAIN_A);
    script_grants(0, "1-0");
    assert_int_equal(f->records_n, 1);
    assert_string_equal(f->records[0].code, RAIN_A);
    assert_string_equal(f->records[0].room_id, "r1");
    assert_string_equal(f->records[0].rid, RID);
    assert_int_equal(f->records[0].user_id, 7);
    assert_int_equal(f->records[0].seq, 0);
    assert_int_equal(f->records[0].amount_fen, 88);
    assert_int_equal(f->records[0].packet_no, 30);
    fake_advance(f, 50 * MS);
    assert_frames(0, 0); /* not a word before the broker has it */
    fake_report(f, 0, true);
    assert_frames(0, 1);
    body = assert_reply(0, 0, 11, RESULT_OK);
    assert_int_equal(wire_int(&body, "amount"), 88);
    assert_int_equal(wire_int(&body, "no"), 30);
    assert_int_equal(wire_int(&body, "seq"), 0);
    assert_int_equal(wire_int(&body, "left"), 40);
    assert_true(wire_str_is(&body, "code", RAIN_A));
    assert_int_equal(grab_path_inflight(f->w.grabs), 0);
    fake_report(f, 0, true); /* a report without a record */
    fake_advance(f, 70000 * MS);
    assert_frames(0, 1);
    assert_int_equal(f->calls_n, 1);
}

static void test_a_batch_of_two(void **state)
{
    (void)state;
    grab(0, 11, 0, false);
    grab(1, 12, 0, false);
    fake_advance(f, 1 * MS);
    assert_int_equal(f->calls_n, 1);
    assert_int_equal(f->calls[0].n, 2);
    script_grants(0, "1-0");
    fake_report(f, 1, true);
    assert_frames(0, 0);
    assert_reply(1, 0, 12, RESULT_OK);
    fake_report(f, 0, true);
    assert_reply(0, 0, 11, RESULT_OK);
}

static void test_pending_then_final_with_the_same_id(void **state)
{
    struct unpack_value body;

    (void)state;
    grab(0, 11, 0, false);
    fake_advance(f, 1 * MS);
    script_grants(0, "1-0");
    fake_advance(f, 298 * MS);
    assert_frames(0, 0);
    fake_advance(f, 1 * MS);
    assert_frames(0, 1);
    body = assert_reply(0, 0, 11, RESULT_PENDING);
    assert_true(wire_str_is(&body, "code", RAIN_A));
    assert_false(wire_has(&body, "amount"));
    fake_advance(f, 500 * MS);
    assert_frames(0, 1); /* said once */
    fake_report(f, 0, true);
    assert_frames(0, 2);
    assert_reply(0, 1, 11, RESULT_OK);
}

static void test_no_answer_of_redis_is_pending(void **state)
{
    (void)state;
    grab(0, 11, 0, false);
    fake_advance(f, 1 * MS);
    fake_advance(f, 300 * MS);
    assert_reply(0, 0, 11, RESULT_PENDING);
    fake_pool_answer(f, 0, RR_PENDING, NULL, NULL); /* sent, then the connection broke */
    fake_advance(f, 2000 * MS);
    fake_advance(f, 1 * MS);
    assert_int_equal(f->calls_n, 2); /* the same (user, seq) again */
    assert_int_equal(f->calls[1].items[0].seq, 0);
    script_says(1, RR_SOLD_OUT);
    assert_frames(0, 2);
    assert_reply(0, 1, 11, RESULT_SOLD_OUT);
}

static void test_session_gone(void **state)
{
    struct wire w = {0};
    struct rr_slice bytes;

    (void)state;
    grab(0, 11, 0, false);
    grab(1, 12, 0, false);
    fake_advance(f, 1 * MS);
    script_grants(0, "1-0");
    fake_disconnect(f, 0);
    session_close(f->people[1], CLOSE_NO_PONG); /* closing counts as gone */
    fake_report(f, 0, true);
    fake_report(f, 1, true);
    assert_int_equal(f->bus.outs_n, 2);
    assert_int_equal(f->bus.outs[0].kind, FAKE_PUSH_USER);
    assert_string_equal(f->bus.outs[0].biz_code, "GRAB_RESULT");
    assert_int_equal(f->bus.outs[0].user_id, 7);
    assert_int_equal(f->bus.outs[1].user_id, 8);
    assert_true(f->bus.outs[0].logged);
    bytes = rr_slice_of(f->bus.outs[0].payload.p, f->bus.outs[0].payload.len);
    assert_int_equal(unpack_scan(bytes, 4), RR_OK);
    assert_int_equal(unpack_next(&bytes, &w.body), RR_OK);
    assert_int_equal(wire_int(&w.body, "result"), RESULT_OK);
    assert_int_equal(wire_int(&w.body, "amount"), 88);
    assert_int_equal(wire_int(&w.body, "seq"), 0);
    assert_true(wire_str_is(&w.body, "code", RAIN_A));
}

static void test_gone_and_refused_is_nobodys_news(void **state)
{
    (void)state;
    grab(0, 11, 0, false);
    fake_advance(f, 1 * MS);
    fake_disconnect(f, 0);
    script_says(0, RR_SOLD_OUT);
    assert_int_equal(f->bus.outs_n, 0);
}

static void test_a_late_report_runs_again(void **state)
{
    struct pool_grab_reply r;

    (void)state;
    grab(0, 11, 0, false);
    fake_advance(f, 1 * MS);
    script_grants(0, "1-0");
    fake_advance(f, 2001 * MS);
    assert_frames(0, 1); /* PENDING */
    fake_report(f, 0, true);
    assert_frames(0, 1); /* too late: another Redis may have granted it since */
    fake_advance(f, 1 * MS);
    fake_advance(f, 1 * MS);
    assert_int_equal(f->calls_n, 2);
    r = reply("", 40);
    script_says_with(1, RR_OK, true, &r);
    assert_int_equal(f->records_n, 2); /* a replay is produced too */
    assert_frames(0, 1);
    fake_report(f, 1, true);
    assert_frames(0, 2);
    assert_reply(0, 1, 11, RESULT_OK);
}

static void test_a_failed_report_runs_again(void **state)
{
    struct pool_grab_reply r;

    (void)state;
    grab(0, 11, 0, false);
    fake_advance(f, 1 * MS);
    script_grants(0, "1-0");
    fake_report(f, 0, false);
    assert_frames(0, 0);
    fake_advance(f, 600 * MS);
    fake_advance(f, 1 * MS);
    assert_int_equal(f->calls_n, 2);
    r = reply("", 40);
    script_says_with(1, RR_OK, true, &r);
    fake_report(f, 1, true);
    assert_reply(0, -1, 11, RESULT_OK);
    fake_advance(f, 100 * MS);
    assert_int_equal(f->deleted_n, 0); /* the failed record's entry is the sweeper's */
}

static void test_a_full_producer_runs_again(void **state)
{
    (void)state;
    f->produce_err = RR_FULL;
    grab(0, 11, 0, false);
    fake_advance(f, 1 * MS);
    script_grants(0, "1-0");
    assert_int_equal(f->records_n, 0);
    assert_frames(0, 0);
    f->produce_err = RR_OK;
    fake_advance(f, 600 * MS);
    fake_advance(f, 1 * MS);
    assert_int_equal(f->calls_n, 2);
    assert_int_equal(f->deleted_n, 0);
}

static void test_outbox_entry_waits_for_all_its_reports(void **state)
{
    (void)state;
    grab(0, 11, 0, false);
    grab(1, 12, 0, false);
    fake_advance(f, 1 * MS);
    script_grants(0, "5-0");
    fake_advance(f, 100 * MS);
    assert_int_equal(f->deleted_n, 0);
    fake_report(f, 0, true);
    fake_advance(f, 100 * MS);
    assert_int_equal(f->deleted_n, 0);
    fake_report(f, 1, true);
    fake_advance(f, 100 * MS);
    assert_int_equal(f->deleted_n, 1);
    assert_string_equal(f->deleted[0], "5-0");
    fake_advance(f, 100 * MS);
    assert_int_equal(f->deleted_n, 1);
}

/* A replay's record belongs to the entry of the call that granted it. */
static void test_a_replay_is_not_of_this_entry(void **state)
{
    struct pool_grab_result results[2] = {{.rc = RR_OK, .packet_no = 1, .amount_fen = 5},
                                          {.rc = RR_OK, .replay = true, .amount_fen = 6}};
    struct pool_grab_reply r;

    (void)state;
    grab(0, 11, 0, false);
    grab(1, 12, 0, true);
    fake_advance(f, 1 * MS);
    r = reply("5-0", 40);
    fake_pool_answer(f, 0, RR_OK, results, &r);
    assert_int_equal(f->records_n, 2);
    fake_report(f, 1, false);
    fake_report(f, 0, true);
    fake_advance(f, 100 * MS);
    assert_int_equal(f->deleted_n, 1);
}

static void test_one_failed_report_keeps_the_entry(void **state)
{
    (void)state;
    grab(0, 11, 0, false);
    grab(1, 12, 0, false);
    fake_advance(f, 1 * MS);
    script_grants(0, "5-0");
    fake_report(f, 0, false);
    fake_report(f, 1, true);
    fake_advance(f, 100 * MS);
    assert_int_equal(f->deleted_n, 0);
}

/* ---- around the opening ---- */

static void test_early_grab_waits_for_t0(void **state)
{
    int64_t t0_ms = fake_now_ms(f) + 500;
    struct unpack_value body;

    (void)state;
    fake_rain(f, "r1", 3, RAIN_B, t0_ms, t0_ms + 30000, 1, 1);
    grab_code(0, RAIN_B, 20, 0, false);
    body = assert_reply(0, 0, 20, RESULT_NOT_STARTED); /* half a second is too early */
    (void)body;
    fake_advance(f, 420 * MS);
    grab_code(0, RAIN_B, 21, 0, false); /* 80 ms */
    fake_advance(f, 70 * MS);
    assert_frames(0, 1);
    assert_int_equal(f->calls_n, 0);
    fake_advance(f, 10 * MS);
    fake_advance(f, 1 * MS);
    assert_int_equal(f->calls_n, 1);
    script_grants(0, "1-0");
    fake_report(f, 0, true);
    assert_reply(0, 1, 21, RESULT_OK);
}

static void test_script_says_a_moment_too_early(void **state)
{
    struct pool_grab_reply r;

    (void)state;
    grab(0, 11, 0, false);
    fake_advance(f, 1 * MS);
    r = reply("", 100);
    r.t0_ms = r.now_ms + 40; /* Redis' clock is behind ours */
    script_says_with(0, RR_NOT_STARTED, false, &r);
    assert_frames(0, 0);
    fake_advance(f, 39 * MS);
    assert_int_equal(f->calls_n, 1);
    fake_advance(f, 2 * MS);
    fake_advance(f, 1 * MS);
    assert_int_equal(f->calls_n, 2);
    assert_frames(0, 0);
    script_grants(1, "1-0");
    fake_report(f, 0, true);
    assert_reply(0, 0, 11, RESULT_OK);
}

static void test_script_says_much_too_early(void **state)
{
    struct pool_grab_reply r;

    (void)state;
    grab(0, 11, 0, false);
    fake_advance(f, 1 * MS);
    r = reply("", 100);
    r.t0_ms = r.now_ms + 101;
    script_says_with(0, RR_NOT_STARTED, false, &r);
    assert_reply(0, 0, 11, RESULT_NOT_STARTED);
    assert_int_equal(grab_path_inflight(f->w.grabs), 0);
}

/* ---- refusals ---- */

static void test_script_refusals(void **state)
{
    static const enum rr_err refusals[] = {RR_SOLD_OUT, RR_LIMIT,   RR_ENDED,
                                           RR_BUSY,     RR_BAD_SEQ, RR_RECOVERING};
    uint32_t id = 50;

    (void)state;
    for (uint32_t i = 0; i < RR_COUNTOF(refusals); i++, id++) {
        struct unpack_value body;

        grab(0, id, 1, false);
        fake_advance(f, 1 * MS);
        assert_int_equal(f->calls_n, i + 1);
        script_says(i, refusals[i]);
        body = assert_reply(0, (int)i, id, result_of(refusals[i]));
        assert_int_equal(wire_has(&body, "retry_after_ms"),
                         result_retryable(result_of(refusals[i])));
        if (refusals[i] == RR_BAD_SEQ)
            assert_int_equal(wire_int(&body, "next"), 2);
        assert_false(wire_has(&body, "amount"));
    }
    assert_int_equal(f->records_n, 0);
    assert_int_equal(grab_path_inflight(f->w.grabs), 0);
}

/* Asked again while the pool is lost: the books are asked before the pool is, once more. */
static struct rain_job *recovering_until_books(int who, uint32_t id, uint32_t job)
{
    grab(who, id, 2, true);
    fake_advance(f, 1 * MS);
    script_says(f->calls_n - 1, RR_RECOVERING);
    assert_int_equal(f->jobs_n, job);
    fake_advance(f, 600 * MS);
    assert_reply(who, -1, id, RESULT_PENDING);
    assert_int_equal(f->jobs_n, job + 1);
    assert_int_equal(f->jobs[job]->kind, RAIN_JOB_GRAB);
    assert_string_equal(f->jobs[job]->code, RAIN_A);
    assert_string_equal(f->jobs[job]->room_id, "r1");
    assert_int_equal(f->jobs[job]->seq, 2);
    return f->jobs[job];
}

static void test_lost_pool_books_know(void **state)
{
    struct rain_job *j = recovering_until_books(0, 11, 0);
    struct unpack_value body;

    (void)state;
    assert_int_equal(f->calls_n, 1);
    assert_int_equal(j->user_id, 7);
    j->grants->row = (struct grant_row){.packet_no = 30, .seq = 2, .amount_fen = 88};
    fake_job_done(f, 0, RR_OK);
    body = assert_reply(0, -1, 11, RESULT_OK);
    assert_int_equal(wire_int(&body, "amount"), 88);
    assert_int_equal(wire_int(&body, "no"), 30);
    assert_int_equal(wire_int(&body, "seq"), 2);
    assert_int_equal(f->records_n, 0); /* it is in the books */
    recovering_until_books(1, 12, 1);
    fake_job_done(f, 1, RR_ENDED);
    assert_reply(1, -1, 12, RESULT_ENDED);
    assert_int_equal(grab_path_inflight(f->w.grabs), 0);
}

static void test_lost_pool_books_do_not_know(void **state)
{
    static const enum rr_err no_answer[] = {RR_RECOVERING, RR_UNAVAILABLE, RR_NOT_FOUND};
    uint32_t calls = 1;

    (void)state;
    recovering_until_books(0, 11, 0);
    for (uint32_t i = 0; i < RR_COUNTOF(no_answer); i++) {
        fake_job_done(f, i, no_answer[i]);
        fake_advance(f, 2 * MS);
        assert_int_equal(f->calls_n, ++calls); /* the pool may be back */
        script_says(calls - 1, RR_RECOVERING);
        fake_advance(f, 2100 * MS);
        assert_int_equal(f->jobs_n, i + 2);
    }
    f->submit_err = RR_BUSY; /* too many ask the books: the pool alone is asked */
    fake_job_done(f, 3, RR_RECOVERING);
    fake_advance(f, 2 * MS);
    script_says(calls++, RR_RECOVERING);
    fake_advance(f, 2100 * MS);
    fake_advance(f, 2 * MS);
    assert_int_equal(f->jobs_n, 4);
    assert_int_equal(f->calls_n, calls + 1);
    assert_reply(0, -1, 11, RESULT_PENDING);
    assert_int_equal(grab_path_inflight(f->w.grabs), 1);
}

static void test_never_sent(void **state)
{
    (void)state;
    grab(0, 11, 0, false);
    grab(1, 12, 0, true); /* may have won before: no "unavailable" for him */
    fake_advance(f, 1 * MS);
    fake_pool_answer(f, 0, RR_UNAVAILABLE, NULL, NULL);
    assert_reply(0, 0, 11, RESULT_UNAVAILABLE);
    assert_frames(1, 0);
    fake_advance(f, 600 * MS);
    fake_advance(f, 1 * MS);
    assert_int_equal(f->calls_n, 2);
    assert_int_equal(f->calls[1].n, 1);
    assert_int_equal(f->calls[1].items[0].user_id, 8);
}

/* A first try of who may not is refused here; a repeated one may have won under an earlier token. */
static void test_not_eligible(void **state)
{
    (void)state;
    rains_find(f->w.rains, rr_slice_str(RAIN_A))->live.min_level = 3;
    f->people[1]->level = 3;
    grab(0, 5, 0, false);
    assert_frames(0, 1);
    assert_reply(0, 0, 5, RESULT_NOT_ELIGIBLE);
    assert_int_equal(f->calls_n, 0);
    grab(0, 6, 0, true);
    grab(1, 7, 0, false);
    fake_advance(f, 2 * MS);
    assert_int_equal(f->calls_n, 1);
    assert_int_equal(f->calls[0].n, 2);
    assert_true(f->calls[0].items[0].replay_only);
    assert_false(f->calls[0].items[1].replay_only);
    script_says(0, RR_NOT_ELIGIBLE);
    assert_reply(0, -1, 6, RESULT_NOT_ELIGIBLE);
}

static void test_other_rooms_rain(void **state)
{
    (void)state;
    fake_hello(f, 2, "9 viewer *");
    fake_join(f, 2, "r2");
    grab(2, 11, 0, false);
    assert_reply(2, 0, 11, RESULT_NOT_FOUND);
    grab(2, 12, 0, true);
    assert_reply(2, 1, 12, RESULT_NOT_FOUND);
    grab_code(0, RAIN_B, 13, 0, false); /* nobody knows it */
    assert_reply(0, 0, 13, RESULT_NOT_FOUND);
    grab_code(0, "x", 14, 0, false);
    assert_reply(0, 1, 14, RESULT_NOT_FOUND);
    fake_advance(f, 10 * MS);
    assert_int_equal(f->calls_n, 0);
}

static void test_sold_out_from_memory_only_without_again(void **state)
{
    struct pool_grab_reply r;

    (void)state;
    grab(0, 11, 0, false);
    fake_advance(f, 1 * MS);
    r = reply("", 0);
    script_says_with(0, RR_SOLD_OUT, false, &r);
    assert_reply(0, 0, 11, RESULT_SOLD_OUT);
    grab(1, 12, 0, false);
    assert_reply(1, 0, 12, RESULT_SOLD_OUT);
    fake_advance(f, 10 * MS);
    assert_int_equal(f->calls_n, 1);
    grab(1, 13, 0, true);
    fake_advance(f, 1 * MS);
    assert_int_equal(f->calls_n, 2);
}

static void test_after_the_end(void **state)
{
    (void)state;
    fake_advance(f, 60200 * (int64_t)MS);
    grab(0, 11, 0, false);
    assert_reply(0, 0, 11, RESULT_ENDED);
    grab(0, 12, 3, true); /* even beyond the limit: the script knows */
    fake_advance(f, 1 * MS);
    assert_int_equal(f->calls_n, 1);
    script_says(0, RR_ENDED);
    assert_reply(0, 1, 12, RESULT_ENDED);
}

static void test_busy_when_the_queue_is_full(void **state)
{
    struct unpack_value body;
    uint32_t n = 0;

    (void)state;
    f->conf.limits_grab_per_s = 100000;
    f->conf.shed_grab_wait_ms = 0;
    limiter_reload(f->w.limiter);
    grab_path_slice(f->w.grabs, rr_mono_us(f->w.clock));
    while (f->conns[0].sent_n == 0 && n < 20000)
        grab(0, ++n, 0, false);
    /* One call of 500 on its way, 8,192 wait. */
    assert_int_equal(n, 500 + 8192 + 1);
    assert_int_equal(f->calls_n, 1);
    body = assert_reply(0, 0, n, RESULT_BUSY);
    assert_true(wire_int(&body, "retry_after_ms") > 0);
    assert_int_equal(grab_path_inflight(f->w.grabs), 500 + 8192);
    assert_int_equal(f->people[0]->account->grabs, n);
    assert_int_equal(f->people[0]->account->grabs_failed, 1);
}

/* More than the worker answers in time; one that may have been granted has room left, at every level of shedding. */
static void test_busy_when_too_many_wait(void **state)
{
    struct unpack_value body;
    uint32_t n = 0;

    (void)state;
    f->conf.limits_grab_per_s = 100000;
    f->conf.shed_grabs_least = 10;
    limiter_reload(f->w.limiter);
    grab_path_slice(f->w.grabs, rr_mono_us(f->w.clock));
    while (f->conns[0].sent_n == 0 && n < 100)
        grab(0, ++n, 0, false);
    assert_int_equal(n, 11);
    body = assert_reply(0, 0, n, RESULT_BUSY);
    assert_true(wire_int(&body, "retry_after_ms") >= 200);
    assert_int_equal(grab_path_inflight(f->w.grabs), 10);
    assert_true(grab_path_slice(f->w.grabs, rr_mono_us(f->w.clock) + 100 * MS));
    f->w.shed.level = SHED_GRABS;
    grab(0, ++n, 0, true);
    assert_frames(0, 1);
    assert_int_equal(grab_path_inflight(f->w.grabs), 11);
    f->conf.shed_grabs_least = 1000;
    grab_path_slice(f->w.grabs, rr_mono_us(f->w.clock) + 200 * MS);
    grab(0, ++n, 0, false); /* there is room, but the worker is under pressure */
    body = assert_reply(0, 1, n, RESULT_BUSY);
    assert_in_range(wire_int(&body, "retry_after_ms"), 1000, 1999);
    f->w.shed.level = SHED_COMMANDS;
    grab(0, ++n, 0, false);
    assert_frames(0, 2);
    assert_int_equal(grab_path_inflight(f->w.grabs), 12);
}

static void test_forgotten_rain(void **state)
{
    (void)state;
    grab(0, 11, 0, false);
    fake_advance(f, 1 * MS);
    grab_path_forget(f->w.grabs, RAIN_A); /* a call is on its way */
    script_grants(0, "1-0");
    fake_report(f, 0, true);
    assert_reply(0, 0, 11, RESULT_OK);
    grab_path_forget(f->w.grabs, RAIN_A);
    fake_advance(f, 100 * MS);
}

static void test_given_up_after_a_minute(void **state)
{
    (void)state;
    grab(0, 11, 0, false);
    fake_advance(f, 1 * MS);
    fake_advance(f, 300 * MS);
    fake_advance(f, 61000 * (int64_t)MS);
    assert_int_equal(grab_path_inflight(f->w.grabs), 0);
    script_grants(0, "9-0"); /* the answer comes after all: produced, told to nobody */
    assert_int_equal(f->records_n, 1);
    fake_report(f, 0, true);
    assert_frames(0, 1); /* PENDING */
    fake_advance(f, 100 * MS);
    assert_int_equal(f->deleted_n, 1);
}

static void test_destroyed_with_everything_open(void **state)
{
    (void)state;
    grab(0, 11, 0, false);
    fake_advance(f, 1 * MS);
    script_grants(0, "1-0"); /* a record without its report */
    grab(0, 12, 1, false);
    fake_advance(f, 1 * MS); /* a call without its reply */
    grab(1, 13, 0, false);   /* waits for the batch */
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_ok_is_told_only_after_the_report),
        TEST(test_a_batch_of_two),
        TEST(test_pending_then_final_with_the_same_id),
        TEST(test_no_answer_of_redis_is_pending),
        TEST(test_session_gone),
        TEST(test_gone_and_refused_is_nobodys_news),
        TEST(test_a_late_report_runs_again),
        TEST(test_a_failed_report_runs_again),
        TEST(test_a_full_producer_runs_again),
        TEST(test_outbox_entry_waits_for_all_its_reports),
        TEST(test_a_replay_is_not_of_this_entry),
        TEST(test_one_failed_report_keeps_the_entry),
        TEST(test_early_grab_waits_for_t0),
        TEST(test_script_says_a_moment_too_early),
        TEST(test_script_says_much_too_early),
        TEST(test_script_refusals),
        TEST(test_lost_pool_books_know),
        TEST(test_lost_pool_books_do_not_know),
        TEST(test_never_sent),
        TEST(test_not_eligible),
        TEST(test_other_rooms_rain),
        TEST(test_sold_out_from_memory_only_without_again),
        TEST(test_after_the_end),
        TEST(test_busy_when_the_queue_is_full),
        TEST(test_busy_when_too_many_wait),
        TEST(test_forgotten_rain),
        TEST(test_given_up_after_a_minute),
        TEST(test_destroyed_with_everything_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
