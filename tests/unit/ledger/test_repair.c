/* Repair on a real MariaDB with a pool in memory: what is proposed, that only that is done and once, and that the checker is
 * silent afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ledger/repair.h"
#include "saga_env.h"
#include "repair_impl.h"

static struct repair_ask ask_of(const char *code)
{
    return (struct repair_ask){.code = code, .pool = &f.pool};
}

#define ASK(code_) (&(struct repair_ask){.code = (code_), .pool = &f.pool})

/* "kind kind?" in order; '?' marks what is undecided. */
static const char *kinds_of(const struct repair_plan *p)
{
    static char text[1000];

    text[0] = 0;
    for (uint32_t i = 0; i < p->n; i++) {
        if (i)
            strcat(text, " ");
        strcat(text, repair_kind_name(p->entries[i].kind));
        if (p->entries[i].undecided)
            strcat(text, "?");
    }
    return text;
}

static void assert_plan(const struct repair_ask *ask, const char *kinds)
{
    struct repair_plan p;

    assert_int_equal(repair_plan(l, ask, &p), RR_OK);
    assert_string_equal(kinds_of(&p), kinds);
    repair_plan_fini(&p);
}

/* Plans, and does that plan. */
static void apply(const struct repair_ask *ask, const char *kinds, uint32_t wanted)
{
    struct repair_plan p;
    struct repair_plan again;
    uint32_t done = 0;

    assert_int_equal(repair_plan(l, ask, &p), RR_OK);
    assert_string_equal(kinds_of(&p), kinds);
    assert_int_equal(repair_apply(l, ask, p.hash, "tester", &again, &done), RR_OK);
    assert_int_equal(done, wanted);
    repair_plan_fini(&p);
    repair_plan_fini(&again);
}

static int64_t findings(void)
{
    int64_t unaccounted_fen = -1;

    assert_int_equal(ledger_verify(l, NULL, NULL, NULL, &unaccounted_fen), RR_OK);
    return testdb_int(l, "SELECT findings FROM rp_check ORDER BY id DESC LIMIT 1");
}

static void assert_clean(void)
{
    assert_int_equal(findings(), 0);
}

static int64_t platform(void)
{
    return testdb_int(
        l, "SELECT COALESCE(SUM(delta), 0) FROM account_log WHERE account_kind = 'platform'");
}

/* ---- a program of the next version: it reads records of version 2, which are those of today under another number ---- */

static bool next_version;

enum rr_err __real_grant_record_decode(struct rr_slice bytes, struct grant_record *out);
enum rr_err __wrap_grant_record_decode(struct rr_slice bytes, struct grant_record *out);

/* A copy whose version is another one. */
static struct rr_slice with_version(struct rr_slice bytes, char version)
{
    static char copy[512];
    static const char key[] = "version";
    char *at = NULL;

    assert_true(bytes.len < sizeof(copy));
    memcpy(copy, bytes.p, bytes.len);
    at = memmem(copy, bytes.len, key, sizeof(key) - 1);
    assert_non_null(at);
    at[sizeof(key) - 1] = version;
    return rr_slice_of(copy, bytes.len);
}

enum rr_err __wrap_grant_record_decode(struct rr_slice bytes, struct grant_record *out)
{
    if (next_version && grant_record_version(bytes) == RR_RECORD_VERSION + 1)
        bytes = with_version(bytes, RR_RECORD_VERSION);
    return __real_grant_record_decode(bytes, out);
}

/* To the settler of today. */
static void newer_record(const struct rain_info *r, uint32_t no, int64_t user_id, uint32_t seq)
{
    struct settle_item item = item_at(l, r, 0, no, user_id, seq, 0);
    struct settle_batch b = {.topic = TOPIC, .items = &item, .n = 1, .next_offset = 1};
    struct settle_outcome o = {.settled = 0};
    struct rr_buf raw = {0};
    int64_t sql_offset = 0;

    assert_int_equal(grant_record_encode(&item.rec, &raw), RR_OK);
    item = (struct settle_item){
        .raw = with_version(rr_slice_of(raw.p, raw.len), RR_RECORD_VERSION + 1)};
    assert_int_equal(ledger_offset_move(l, TOPIC, 0, LEDGER_NO_OFFSET, 0), RR_OK);
    assert_int_equal(ledger_settle(l, &b, &o, &sql_offset), RR_OK);
    assert_int_equal(o.dead, 1);
    settle_outcome_fini(&o);
    rr_buf_fini(&raw);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_dead WHERE reason = 'newer_version'"),
                     1);
}

static void record(const struct rain_info *r, uint32_t no, int64_t user_id, uint32_t seq,
                   const char *rid, int64_t add_fen)
{
    struct settle_item item = item_at(l, r, 0, no, user_id, seq, 0);
    struct rr_buf raw = {0};
    struct settle_batch b = {.topic = TOPIC, .items = &item, .n = 1};
    struct settle_outcome o = {.settled = 0};
    int64_t sql_offset = 0;

    strcpy(item.rec.rid, rid);
    item.rec.amount_fen += add_fen;
    assert_int_equal(grant_record_encode(&item.rec, &raw), RR_OK);
    item.raw = rr_slice_of(raw.p, raw.len);
    if (ledger_offset_get(l, TOPIC, 0, &b.expected_offset) == RR_NOT_FOUND) {
        assert_int_equal(ledger_offset_move(l, TOPIC, 0, LEDGER_NO_OFFSET, 0), RR_OK);
        b.expected_offset = 0;
    }
    item.offset = b.expected_offset;
    b.next_offset = b.expected_offset + 1;
    assert_int_equal(ledger_settle(l, &b, &o, &sql_offset), RR_OK);
    assert_int_equal(o.conflicts + o.dead, 1);
    settle_outcome_fini(&o);
    rr_buf_fini(&raw);
}

static void close_now(struct rain_info *r, enum rain_status wanted)
{
    f.now_ms = r->t1_ms;
    assert_int_equal(saga_close(&saga, NULL, r->code, false, r), RR_OK);
    assert_int_equal(r->status, wanted);
}

static void goes_on(struct rain_info *r, enum rain_status wanted)
{
    run_due(0);
    assert_int_equal(ledger_rain_get(l, r->code, r), RR_OK);
    assert_int_equal(r->status, wanted);
}

/* ---- wins that are not in the books ---- */

/* Granted by a Redis that was given up, then lost from the users hash: the packet is still in the escrow. */
static void a_free_packet_is_paid_from_its_escrow(void **state)
{
    struct repair_ask ask;
    struct rain_info r;
    struct pool_grant g;

    (void)state;
    begin();
    r = started(100000, 2, 1, 1);
    fake_grab(&f, r.code, 0, 1, &g);
    fake_at(&f, r.code, 0)->grants[0].user_id = 0;
    record(&r, 0, 1, 0, OLD_RID, 0);
    ask = ask_of(r.code);
    ask.accept = "all";
    assert_plan(&ask, "grant?"); /* open: the packet may still be granted */
    close_now(&r, RAIN_CLOSING);
    ask.accept = NULL;
    assert_plan(&ask, "grant?");
    ask.accept = "c1";
    apply(&ask, "grant", 1);
    assert_int_equal(balance_of(l, 1), g.amount_fen);
    assert_int_equal(platform(), 0);
    goes_on(&r, RAIN_SETTLED);
    assert_int_equal(r.total_get, 1);
    assert_plan(ASK(r.code), "");
    assert_clean();
    end();
}

static void a_rejected_record_is_closed_and_its_packet_goes_back(void **state)
{
    struct repair_ask ask;
    struct rain_info r;
    struct pool_grant g;

    (void)state;
    begin();
    r = started(100000, 2, 1, 1);
    fake_grab(&f, r.code, 0, 1, &g);
    fake_at(&f, r.code, 0)->grants[0].user_id = 0;
    record(&r, 0, 1, 0, OLD_RID, 0);
    close_now(&r, RAIN_CLOSING);
    ask = ask_of(r.code);
    ask.reject = "c1";
    apply(&ask, "close-rejected", 1);
    assert_int_equal(balance_of(l, 1), 0);
    goes_on(&r, RAIN_SETTLED);
    assert_int_equal(r.refunded_fen, 100000);
    assert_clean();
    end();
}

/* Two records and two users for one packet: one has it, the other was perhaps told so. */
static void a_told_win_is_paid_by_the_platform_once(void **state)
{
    struct repair_ask ask;
    struct rain_info r;
    struct pool_grant g;

    (void)state;
    begin();
    r = started(100000, 2, 1, 1);
    fake_grab(&f, r.code, 0, 1, &g);
    settle_grant(&r, 0, &g);
    record(&r, 0, 2, 0, OLD_RID, 0);
    record(&r, 0, 2, 0, RID, 0); /* the same win by another record */
    record(&r, 0, 3, 0, OLD_RID, 0);
    close_now(&r, RAIN_CLOSING);
    ask = ask_of(r.code);
    assert_plan(&ask, "told? told? told?");
    ask.accept = "c1,c2";
    ask.reject = "c3";
    apply(&ask, "told told close-rejected", 3);
    assert_int_equal(balance_of(l, 2), g.amount_fen);
    assert_int_equal(balance_of(l, 3), 0);
    assert_int_equal(platform(), -g.amount_fen);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_conflict WHERE state = 'open'"), 0);
    goes_on(&r, RAIN_SETTLED);
    assert_clean();
    end();
}

static void what_is_in_the_books_is_only_closed(void **state)
{
    struct repair_ask ask;
    struct rain_info r;
    struct pool_grant g;

    (void)state;
    begin();
    r = started(100000, 2, 1, 1);
    fake_grab(&f, r.code, 0, 1, &g);
    record(&r, 0, 1, 0, OLD_RID, 0);
    close_now(&r, RAIN_CLOSING); /* paid from the users hash */
    assert_int_equal(balance_of(l, 1), g.amount_fen);
    ask = ask_of(r.code);
    apply(&ask, "close-paid", 1);
    goes_on(&r, RAIN_SETTLED);
    assert_int_equal(balance_of(l, 1), g.amount_fen);
    assert_clean();
    end();
}

static void dead_records_are_paid_or_closed(void **state)
{
    struct repair_ask ask;
    struct rain_info r;

    (void)state;
    begin();
    r = started(100000, 2, 1, 1);
    record(&r, 0, 1, 0, RID, 5); /* another amount than the split says */
    testdb_execf(l,
                 "INSERT INTO rp_dead (code, reason, state, raw, created_at) VALUES"
                 " ('%s', 'undecodable', 'open', 'xyz', 1)",
                 r.code);
    close_now(&r, RAIN_CLOSING);
    ask = ask_of(r.code);
    ask.accept = "all";
    assert_plan(&ask, "told close-rejected?");
    ask.reject = "d2";
    apply(&ask, "told close-rejected", 2);
    assert_int_equal(balance_of(l, 1), rain_amount(l, &r, 0, 0) + 5);
    goes_on(&r, RAIN_SETTLED);
    assert_clean();
    end();
}

static void assert_note(const struct repair_ask *ask, const char *text)
{
    struct repair_plan p;

    assert_int_equal(repair_plan(l, ask, &p), RR_OK);
    assert_non_null(strstr(p.notes, text));
    repair_plan_fini(&p);
}

/* Only the record knows of the win: its packet stays whose it is until somebody comes who can read it. */
static void a_newer_record_is_settled_by_the_newer_program(void **state)
{
    struct repair_ask ask;
    struct rain_info r;
    struct pool_grant g;

    (void)state;
    begin();
    r = started(100000, 2, 1, 1);
    fake_grab(&f, r.code, 0, 1, &g);
    fake_at(&f, r.code, 0)->grants[0].user_id = 0;
    newer_record(&r, 0, 1, 0);
    close_now(&r, RAIN_CLOSING);
    run_due(100000);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_grant"), 0); /* nor void */
    /* Who cannot read it can neither pay it, nor close it among all others. */
    ask = ask_of(r.code);
    ask.accept = "all";
    ask.reject = "all";
    apply(&ask, "close-rejected?", 0);
    assert_note(&ask, "newer version");
    ask.reject = "d1"; /* forged, and read by nobody */
    assert_plan(&ask, "close-rejected");
    goes_on(&r, RAIN_CLOSING);
    next_version = true;
    ask = ask_of(r.code);
    apply(&ask, "grant", 1);
    assert_int_equal(balance_of(l, 1), rain_amount(l, &r, 0, 0));
    assert_plan(&ask, "");
    run_due(100000);
    goes_on(&r, RAIN_SETTLED);
    assert_int_equal(balance_of(l, 1), rain_amount(l, &r, 0, 0));
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_grant"), 1);
    assert_clean();
    next_version = false;
    end();
}

/* The close pays what the users hash has; the record is one more copy of it. */
static void a_newer_record_that_was_paid_at_the_close_is_not_paid_again(void **state)
{
    struct repair_ask ask;
    struct rain_info r;
    struct pool_grant g;

    (void)state;
    begin();
    r = started(100000, 2, 1, 1);
    fake_grab(&f, r.code, 0, 1, &g);
    newer_record(&r, 0, 1, 0);
    close_now(&r, RAIN_CLOSING);
    run_due(100000);
    assert_int_equal(balance_of(l, 1), rain_amount(l, &r, 0, 0));
    assert_int_equal(ledger_rain_get(l, r.code, &r), RR_OK);
    assert_int_equal(r.status, RAIN_CLOSING);
    next_version = true;
    ask = ask_of(r.code);
    apply(&ask, "close-paid", 1);
    run_due(100000);
    goes_on(&r, RAIN_SETTLED);
    assert_int_equal(balance_of(l, 1), rain_amount(l, &r, 0, 0));
    assert_clean();
    next_version = false;
    end();
}

/* A void packet whose winner turns up in the users hash after all. */
static void the_users_hash_is_compared(void **state)
{
    struct repair_ask ask;
    struct rain_info r;
    struct pool_grant g;

    (void)state;
    begin();
    r = started(100000, 2, 1, 1);
    fake_grab(&f, r.code, 0, 1, &g);
    fake_at(&f, r.code, 0)->grants[0].user_id = 0;
    close_now(&r, RAIN_SETTLED);
    assert_int_equal(r.refunded_fen, 100000);
    ask = ask_of(r.code);
    assert_plan(&ask, "");
    fake_at(&f, r.code, 0)->grants[0].user_id = 1;
    assert_plan(&ask, "told?");
    ask.reject = "h0:0";
    assert_plan(&ask, "");
    ask.reject = NULL;
    ask.accept = "h0:0";
    apply(&ask, "told", 1);
    assert_int_equal(balance_of(l, 1), g.amount_fen);
    assert_int_equal(platform(), -g.amount_fen);
    assert_plan(&ask, "");
    assert_clean();
    end();
}

/* ---- refunds and ends ---- */

static void a_missing_refund_is_made(void **state)
{
    struct rain_info r;
    struct pool_grant g;
    int64_t back_fen = 0;

    (void)state;
    begin();
    r = started(100000, 4, 1, 1);
    fake_grab(&f, r.code, 0, 1, &g);
    settle_grant(&r, 0, &g);
    close_now(&r, RAIN_SETTLED);
    back_fen = r.refunded_fen;
    testdb_execf(l, "UPDATE rp_escrow SET remain = refunded, refunded = 0 WHERE code = '%s'",
                 r.code);
    testdb_execf(l, "UPDATE wallet SET balance = balance - %lld WHERE user_id = %d",
                 (long long)back_fen, SENDER);
    testdb_exec(l, "DELETE FROM account_log WHERE biz_type = 'refund'");
    assert_true(findings() > 0);
    apply(ASK(r.code), "refund", 1);
    assert_int_equal(balance_of(l, SENDER), back_fen);
    assert_plan(ASK(r.code), "");
    assert_clean();
    end();
}

static void a_void_without_refund_is_refunded(void **state)
{
    struct rain_info r;
    struct pool_grant g;

    (void)state;
    begin();
    r = started(100000, 1, 1, 1);
    fake_grab(&f, r.code, 0, 1, &g);
    fake_at(&f, r.code, 0)->grants[0].user_id = 0;
    close_now(&r, RAIN_SETTLED);
    testdb_exec(l, "UPDATE rp_escrow SET remain = refunded, refunded = 0");
    testdb_execf(l, "UPDATE wallet SET balance = balance - 100000 WHERE user_id = %d", SENDER);
    testdb_exec(l, "DELETE FROM account_log WHERE biz_type = 'void'");
    assert_true(findings() > 0);
    apply(ASK(r.code), "void-refund", 1);
    assert_int_equal(balance_of(l, SENDER), 100000);
    assert_plan(ASK(r.code), "");
    assert_clean();
    end();
}

static void an_end_nobody_brings_about_is_armed(void **state)
{
    struct rain_info r;
    struct pool_grant g;

    (void)state;
    begin();
    r = started(100000, 2, 1, 1);
    fake_grab(&f, r.code, 0, 1, &g);
    f.now_ms = r.t1_ms;
    testdb_exec(l, "DELETE FROM rp_task");
    assert_int_equal(findings(), 1);
    apply(ASK(r.code), "close-again", 1);
    assert_plan(ASK(r.code), "");
    goes_on(&r, RAIN_SETTLED);
    assert_int_equal(balance_of(l, 1), g.amount_fen);
    assert_clean();
    /* Over too early: a granted packet is neither paid nor void. */
    testdb_execf(l, "DELETE FROM rp_grant WHERE code = '%s'", r.code);
    testdb_execf(l, "UPDATE wallet SET balance = 0 WHERE user_id = 1");
    testdb_execf(l, "DELETE FROM account_log WHERE biz_type = 'grant'");
    testdb_execf(l, "UPDATE rp_escrow SET remain = settled, settled = 0, settled_cnt = 0");
    assert_true(findings() > 0);
    testdb_exec(l, "UPDATE t_red_packet_config SET total_get = 0, total_get_price = 0");
    apply(ASK(r.code), "grant", 1); /* the users hash still has it */
    assert_int_equal(balance_of(l, 1), g.amount_fen);
    end();
}

static void a_settled_rain_with_money_left_is_closed_again(void **state)
{
    struct rain_info r;
    struct pool_grant g;

    (void)state;
    begin();
    r = started(100000, 2, 1, 1);
    fake_grab(&f, r.code, 0, 1, &g);
    fake_at(&f, r.code, 0)->grants[0].user_id = 0;
    close_now(&r, RAIN_SETTLED);
    /* The void row and its refund were never written. */
    testdb_exec(l, "DELETE FROM rp_grant");
    testdb_execf(l, "UPDATE wallet SET balance = balance - %lld WHERE user_id = %d",
                 (long long)g.amount_fen, SENDER);
    testdb_exec(l, "DELETE FROM account_log WHERE biz_type = 'void'");
    testdb_execf(l, "UPDATE rp_escrow SET remain = %lld, refunded = refunded - %lld",
                 (long long)g.amount_fen, (long long)g.amount_fen);
    assert_int_equal(findings(), 1);
    apply(ASK(r.code), "close-again", 1);
    goes_on(&r, RAIN_SETTLED);
    assert_int_equal(r.refunded_fen, 100000);
    assert_clean();
    end();
}

/* ---- wallets ---- */

static void a_wallets_difference_is_booked_and_the_wallet_stays(void **state)
{
    struct repair_ask ask = {.code = NULL};
    struct wallet w;

    (void)state;
    begin();
    assert_int_equal(ledger_deposit(l, 1, 100, "d1", &w), RR_OK);
    assert_int_equal(ledger_deposit(l, 2, 100, "d2", &w), RR_OK);
    assert_int_equal(ledger_deposit(l, 3, 100, "d3", &w), RR_OK);
    assert_plan(&ask, "");
    testdb_exec(l, "UPDATE wallet SET balance = balance + 7, frozen = 3 WHERE user_id = 1");
    testdb_exec(l, "UPDATE wallet SET balance = balance - 40 WHERE user_id = 2");
    testdb_exec(l, "DELETE FROM wallet WHERE user_id = 3");
    apply(&ask, "wallet wallet wallet wallet", 4);
    assert_int_equal(balance_of(l, 1), 107);
    assert_int_equal(balance_of(l, 2), 60);
    assert_int_equal(balance_of(l, 3), 0);
    assert_int_equal(platform(), -7 - 3 + 40 + 100);
    assert_plan(&ask, "");
    assert_clean();
    /* The same difference once more is another one. */
    testdb_exec(l, "UPDATE wallet SET balance = balance + 7 WHERE user_id = 1");
    apply(&ask, "wallet", 1);
    assert_clean();
    testdb_close(l);
}

static void what_a_wallet_lost_can_be_made_good(void **state)
{
    struct repair_ask ask = {.code = NULL, .make_good = true};
    struct wallet w;

    (void)state;
    begin();
    assert_int_equal(ledger_deposit(l, 1, 100, "d1", &w), RR_OK);
    assert_int_equal(ledger_deposit(l, 2, 100, "d2", &w), RR_OK);
    testdb_exec(l, "UPDATE wallet SET balance = balance - 40 WHERE user_id = 1");
    testdb_exec(l, "DELETE FROM wallet WHERE user_id = 2");
    apply(&ask, "wallet make-good wallet make-good", 4);
    assert_int_equal(balance_of(l, 1), 100);
    assert_int_equal(balance_of(l, 2), 100);
    assert_int_equal(platform(), 0);
    assert_plan(&ask, "");
    assert_clean();
    end();
}

/* ---- two phases ---- */

static void only_the_plan_that_was_shown_is_done(void **state)
{
    struct repair_ask ask = {.code = NULL};
    struct repair_plan p;
    struct repair_plan other;
    uint32_t done = 9;
    struct wallet w;

    (void)state;
    begin();
    assert_int_equal(ledger_deposit(l, 1, 100, "d1", &w), RR_OK);
    testdb_exec(l, "UPDATE wallet SET balance = balance + 7 WHERE user_id = 1");
    assert_int_equal(repair_plan(l, &ask, &p), RR_OK);
    testdb_exec(l, "UPDATE wallet SET balance = balance + 1 WHERE user_id = 1");
    assert_int_equal(repair_apply(l, &ask, p.hash, "tester", &other, &done), RR_CONFLICT);
    assert_int_equal(done, 0);
    assert_string_not_equal(p.hash, other.hash);
    assert_int_equal(platform(), 0);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_repair"), 0);
    repair_plan_fini(&p);
    /* Between the plan and its locks. */
    testdb_exec(l, "UPDATE wallet SET balance = balance + 1 WHERE user_id = 1");
    assert_int_equal(repair__do(l, &other.entries[0]), RR_CONFLICT);
    testdb_exec(l, "UPDATE wallet SET balance = balance - 1 WHERE user_id = 1");
    assert_int_equal(repair__do(l, &other.entries[0]), RR_OK);
    assert_int_equal(repair__do(l, &other.entries[0]), RR_OK); /* once */
    assert_int_equal(platform(), -8);
    repair_plan_fini(&other);
    ask = (struct repair_ask){.code = "AAAAAAAAAAAAAAAAAAAAAA"};
    assert_int_equal(repair_plan(l, &ask, &p), RR_NOT_FOUND);
    testdb_close(l);
}

static void every_repair_is_in_the_repair_log(void **state)
{
    struct repair_row rows[4];
    struct repair_ask ask;
    struct rain_info r;
    struct pool_grant g;
    uint32_t n = 0;

    (void)state;
    begin();
    r = started(100000, 2, 1, 1);
    fake_grab(&f, r.code, 0, 1, &g);
    settle_grant(&r, 0, &g);
    record(&r, 0, 2, 0, OLD_RID, 0);
    close_now(&r, RAIN_CLOSING);
    ask = ask_of(r.code);
    ask.accept = "nothing";
    {
        struct repair_plan p;

        assert_int_equal(repair_plan(l, &ask, &p), RR_BAD_REQUEST);
    }
    ask.accept = "all";
    apply(&ask, "told", 1);
    assert_int_equal(repair_log(l, r.code, rows, 4, &n), RR_OK);
    assert_int_equal(n, 1);
    assert_string_equal(rows[0].kind, "told");
    assert_string_equal(rows[0].who, "tester");
    assert_string_equal(rows[0].biz_type, "repair");
    assert_int_equal(rows[0].user_id, 2);
    assert_int_equal(rows[0].amount_fen, g.amount_fen);
    assert_non_null(strstr(rows[0].finding, "stale_rid"));
    assert_non_null(strstr(rows[0].before, "rp_conflict 1: open"));
    assert_non_null(strstr(rows[0].after, "rp_conflict 1: closed"));
    assert_non_null(strstr(rows[0].after, "user 2: balance"));
    assert_int_equal(repair_log(l, NULL, rows, 4, &n), RR_OK);
    assert_int_equal(n, 1);
    assert_int_equal(repair_log(l, "AAAAAAAAAAAAAAAAAAAAAA", rows, 4, &n), RR_OK);
    assert_int_equal(n, 0);
    /* An apply that died between the money and its note: again, and nothing is paid twice. */
    testdb_exec(l, "UPDATE rp_repair SET state_after = ''");
    testdb_exec(l, "UPDATE rp_conflict SET state = 'open'");
    apply(ASK(r.code), "close-paid", 1);
    assert_int_equal(balance_of(l, 2), g.amount_fen);
    goes_on(&r, RAIN_SETTLED);
    assert_clean();
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_free_packet_is_paid_from_its_escrow),
        cmocka_unit_test(a_rejected_record_is_closed_and_its_packet_goes_back),
        cmocka_unit_test(a_told_win_is_paid_by_the_platform_once),
        cmocka_unit_test(what_is_in_the_books_is_only_closed),
        cmocka_unit_test(dead_records_are_paid_or_closed),
        cmocka_unit_test(a_newer_record_is_settled_by_the_newer_program),
        cmocka_unit_test(a_newer_record_that_was_paid_at_the_close_is_not_paid_again),
        cmocka_unit_test(the_users_hash_is_compared),
        cmocka_unit_test(a_missing_refund_is_made),
        cmocka_unit_test(a_void_without_refund_is_refunded),
        cmocka_unit_test(an_end_nobody_brings_about_is_armed),
        cmocka_unit_test(a_settled_rain_with_money_left_is_closed_again),
        cmocka_unit_test(a_wallets_difference_is_booked_and_the_wallet_stays),
        cmocka_unit_test(what_a_wallet_lost_can_be_made_good),
        cmocka_unit_test(only_the_plan_that_was_shown_is_done),
        cmocka_unit_test(every_repair_is_in_the_repair_log),
    };

    return cmocka_run_group_tests(tests, testdb_setup, testdb_teardown);
}
