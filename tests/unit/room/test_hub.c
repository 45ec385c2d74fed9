#include "cm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "fakes.h"
#include "protocol/pack.h"
#include "room/hub.h"

enum { PEOPLE = 40, ANSWERS_MAX = 64, S = 1000000 };

#define CODE "AAAAAAAAAAAAAAAAAAAAAA"
#define E1 UINT64_C(0xe1)
#define E2 UINT64_C(0xe2)

/* What joined() said, copied. */
struct answer {
    uint64_t session_id;
    uint32_t req_id;
    enum rr_err err;
    uint64_t epoch;
    uint64_t seq;
    bool recovered;
    uint32_t missed_n;
    uint64_t missed[ANSWERS_MAX]; /* their seqs */
    int64_t online;
    uint32_t kept_n;
    char kept_biz[32]; /* of the last kept state */
};

struct fixture {
    struct rr_clock_fake clock;
    struct fake_bus bus;
    struct session_table *sessions;
    struct hub *hub;
    struct fake_conn conns[PEOPLE];
    struct session *people[PEOPLE];
    struct answer answers[ANSWERS_MAX];
    uint32_t answers_n;
    uint32_t states;
    uint32_t works;
};

static struct fixture *f;

static void on_joined(void *arg, struct session *s, uint32_t req_id, enum rr_err err,
                      const struct hub_join_answer *a)
{
    struct answer *out = &f->answers[f->answers_n++];

    assert_ptr_equal(arg, f);
    *out = (struct answer){.session_id = s->id, .req_id = req_id, .err = err};
    if (!a)
        return;
    out->epoch = a->epoch;
    out->seq = a->seq;
    out->recovered = a->recovered;
    out->missed_n = a->missed_n;
    out->online = a->online;
    out->kept_n = a->kept_n;
    for (uint32_t i = 0; i < a->missed_n && i < ANSWERS_MAX; i++) {
        struct wire w;

        assert_true(wire_decode_bytes(a->missed[i], &w));
        out->missed[i] = (uint64_t)wire_int(&w.body, "seq");
    }
    if (a->kept_n)
        assert_true(
            rr_slice_copy(a->kept[a->kept_n - 1].biz_code, out->kept_biz, sizeof(out->kept_biz)));
}

static void on_state(void *arg, const char *room_id, struct rr_slice biz_code,
                     struct rr_slice payload)
{
    assert_ptr_equal(arg, f);
    assert_true(room_id[0] && biz_code.len && payload.len);
    f->states++;
}

static void on_work(void *arg)
{
    ((struct fixture *)arg)->works++;
}

static int setup(void **state)
{
    (void)state;
    f = rr_xcalloc(1, sizeof(*f));
    rr_clock_fake_init(&f->clock, 1000 * (int64_t)S, 1800000000000);
    fake_bus_init(&f->bus);
    f->sessions = session_table_create(&(struct session_table_opts){.transport = &fake_transport,
                                                                    .queue_bytes = 4096,
                                                                    .reply_burst = 8,
                                                                    .left_room = hub_on_left});
    f->hub = hub_create(&(struct hub_opts){.clock = &f->clock.base,
                                           .bus = &f->bus.bus,
                                           .transport = &fake_transport,
                                           .sessions = f->sessions,
                                           .joined = on_joined,
                                           .rain_state = on_state,
                                           .work = on_work,
                                           .arg = f});
    for (int i = 0; i < PEOPLE; i++) {
        f->people[i] = session_create(f->sessions, &f->conns[i], 0);
        f->people[i]->user_id = i + 1;
        session_set_state(f->people[i], SESSION_AUTHED, NULL);
    }
    hub_on_bus_state(f->hub, true);
    return 0;
}

static void leave_for_good(int i)
{
    if (f->people[i])
        session_destroy(f->people[i]);
    f->people[i] = NULL;
}

static int teardown(void **state)
{
    (void)state;
    fake_bus_fini(&f->bus);
    for (int i = 0; i < PEOPLE; i++)
        leave_for_good(i);
    hub_destroy(f->hub);
    session_table_destroy(f->sessions);
    for (int i = 0; i < PEOPLE; i++)
        fake_conn_clear(&f->conns[i]);
    free(f);
    return 0;
}

/* ---- moves ---- */

static void join(int who, const char *room)
{
    hub_join(f->hub, f->people[who], (uint32_t)who + 100, room, 0, 0);
}

static const struct answer *last(void)
{
    assert_true(f->answers_n > 0);
    return &f->answers[f->answers_n - 1];
}

/* Answers the newest load. */
static void loaded(uint64_t epoch, uint64_t seq, bool complete)
{
    struct room_snapshot snap = {.epoch = epoch, .seq = seq, .complete = complete};

    fake_bus_load(&f->bus, f->bus.loads_n - 1, RR_OK, &snap);
}

/* A room that follows the bus at (epoch, seq), with people 0 … n - 1 in it. */
static void room_live(const char *room, uint64_t epoch, uint64_t seq, int n)
{
    for (int i = 0; i < n; i++)
        join(i, room);
    hub_on_subscribed(f->hub, room);
    loaded(epoch, seq, epoch == 0);
    assert_int_equal(hub_members(f->hub, room), n);
}

static void bus_says_biz(const char *room, uint64_t epoch, uint64_t seq, const char *biz_code,
                         const char *code)
{
    struct rr_buf b = {0};
    struct room_msg m = {.epoch = epoch, .seq = seq, .biz_code = rr_slice_str(biz_code)};

    fake_rain_code(&b, code);
    m.payload = rr_slice_of(b.p, b.len);
    hub_on_room_msg(f->hub, room, &m);
    rr_buf_fini(&b);
}

static void bus_says(const char *room, uint64_t epoch, uint64_t seq)
{
    bus_says_biz(room, epoch, seq, "ANNOUNCE", CODE);
}

static void run_all(void)
{
    while (hub_run(f->hub, 1000))
        ;
}

/* The seqs a person was sent, joined by blanks; "-" for a push without one. */
static void assert_got(int who, const char *want)
{
    char text[512] = "";
    size_t n = 0;

    run_all();
    for (uint32_t i = 0; i < f->conns[who].sent_n; i++) {
        struct wire w;

        assert_true(wire_of(&f->conns[who], (int)i, &w));
        assert_int_equal(w.op, MSG_PUSH);
        if (wire_has(&w.body, "seq"))
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%d", i ? " " : "",
                                  (int)wire_int(&w.body, "seq"));
        else
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%s-", i ? " " : "");
    }
    assert_string_equal(text, want);
}

/* ---- joining ---- */

static void test_join_waits_for_ack_and_load(void **state)
{
    (void)state;
    join(0, "r1");
    join(1, "r1");
    assert_int_equal(f->bus.subscribes, 1);
    assert_int_equal(f->bus.loads_n, 0);
    assert_int_equal(f->answers_n, 0);
    hub_on_subscribed(f->hub, "r1");
    assert_int_equal(f->bus.loads_n, 1);
    join(2, "r1"); /* while loading */
    assert_int_equal(f->answers_n, 0);
    loaded(E1, 41, false);
    assert_int_equal(f->answers_n, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(f->answers[i].err, RR_OK);
        assert_int_equal(f->answers[i].req_id, 100 + i);
        assert_int_equal(f->answers[i].epoch, E1);
        assert_int_equal(f->answers[i].seq, 41);
        assert_false(f->answers[i].recovered);
        assert_int_equal(f->answers[i].online, i + 1);
    }
    join(3, "r1"); /* live: from memory */
    assert_int_equal(f->answers_n, 4);
    assert_int_equal(last()->seq, 41);
    assert_int_equal(f->bus.loads_n, 1);
    assert_int_equal(hub_members(f->hub, "r1"), 4);
    assert_int_equal(hub_online(f->hub, "r1"), 4);
    assert_string_equal(room_id_of(f->people[3]->room), "r1");
}

static void test_join_while_bus_is_down(void **state)
{
    (void)state;
    hub_on_bus_state(f->hub, false);
    join(0, "r1");
    assert_int_equal(last()->err, RR_UNAVAILABLE);
    assert_int_equal(f->people[0]->state, SESSION_AUTHED);
    hub_on_bus_state(f->hub, true);
    join(0, "r1");
    hub_on_bus_state(f->hub, false); /* goes down while he waits */
    assert_int_equal(f->answers_n, 2);
    assert_int_equal(last()->err, RR_UNAVAILABLE);
}

static void test_who_left_before_the_ack(void **state)
{
    (void)state;
    join(0, "r1");
    join(1, "r1");
    join(2, "r1");
    leave_for_good(0);
    session_close(f->people[1], CLOSE_NORMAL);
    hub_on_subscribed(f->hub, "r1");
    loaded(E1, 1, false);
    assert_int_equal(f->answers_n, 1);
    assert_int_equal(last()->req_id, 102);
    assert_int_equal(hub_members(f->hub, "r1"), 1);
}

static void test_only_the_latest_join_counts(void **state)
{
    (void)state;
    join(0, "r1");
    hub_join(f->hub, f->people[0], 7, "r2", 0, 0);
    hub_on_subscribed(f->hub, "r1");
    loaded(E1, 1, false);
    assert_int_equal(f->answers_n, 1); /* answered, but not entered */
    assert_int_equal(last()->req_id, 100);
    assert_int_equal(last()->err, RR_CONFLICT);
    assert_int_equal(hub_members(f->hub, "r1"), 0);
    hub_on_subscribed(f->hub, "r2");
    loaded(E2, 1, false);
    assert_int_equal(last()->req_id, 7);
    assert_int_equal(last()->err, RR_OK);
    assert_int_equal(hub_members(f->hub, "r2"), 1);
}

static void test_same_room_asked_twice(void **state)
{
    (void)state;
    join(0, "r1");
    hub_join(f->hub, f->people[0], 7, "r1", 0, 0);
    hub_on_subscribed(f->hub, "r1");
    loaded(E1, 1, false);
    assert_int_equal(f->answers_n, 2); /* each question has its answer */
    assert_int_equal(f->answers[0].err, RR_CONFLICT);
    assert_int_equal(f->answers[1].err, RR_OK);
    assert_int_equal(hub_members(f->hub, "r1"), 1);
}

static void test_leave_takes_back_a_waiting_join(void **state)
{
    (void)state;
    join(0, "r1");
    hub_leave(f->people[0]);
    hub_on_subscribed(f->hub, "r1");
    loaded(E1, 1, false);
    assert_int_equal(last()->err, RR_CONFLICT);
    assert_int_equal(f->people[0]->state, SESSION_AUTHED);
    assert_int_equal(hub_members(f->hub, "r1"), 0);
}

static void test_join_elsewhere_leaves_the_first(void **state)
{
    (void)state;
    room_live("r1", E1, 5, 2);
    room_live("r2", E2, 9, 1); /* person 0 moves */
    assert_int_equal(hub_members(f->hub, "r1"), 1);
    assert_int_equal(hub_members(f->hub, "r2"), 1);
    bus_says("r1", E1, 6);
    assert_got(0, "");
    assert_got(1, "6");
    hub_join(f->hub, f->people[1], 1, "r1", 0, 0); /* again into the same */
    assert_int_equal(hub_members(f->hub, "r1"), 1);
    assert_int_equal(last()->err, RR_OK);
}

/* ---- the feed ---- */

static void test_messages_are_held_while_loading(void **state)
{
    struct room_snapshot snap = {.epoch = E1, .seq = 5};

    (void)state;
    join(0, "r1");
    bus_says("r1", E1, 4); /* before the ack: the load brings it */
    hub_on_subscribed(f->hub, "r1");
    bus_says("r1", E1, 5); /* in the snapshot */
    bus_says("r1", E1, 6);
    bus_says("r1", E1, 7);
    assert_int_equal(hub_broadcasts(f->hub), 0);
    fake_bus_load(&f->bus, 0, RR_OK, &snap);
    assert_int_equal(f->bus.loads_n, 1);
    /* The answer has 6 and 7 already: whoever joins gets either the snapshot or the push. */
    assert_int_equal(last()->seq, 7);
    assert_got(0, "");
    bus_says("r1", E1, 8);
    assert_got(0, "8");
}

static void test_held_for_a_member(void **state)
{
    (void)state;
    room_live("r1", E1, 5, 1);
    hub_on_bus_state(f->hub, false);
    hub_on_bus_state(f->hub, true);
    hub_on_subscribed(f->hub, "r1");
    assert_int_equal(f->bus.loads[1].epoch, E1);
    assert_int_equal(f->bus.loads[1].seq, 5);
    bus_says("r1", E1, 7);
    loaded(E1, 6, false); /* 6 is only in the snapshot: the log was cut */
    assert_got(0, "7");
}

static void test_gap_loads_again(void **state)
{
    struct room_msg log[2] = {{.epoch = E1, .seq = 6, .biz_code = rr_slice_str("ANNOUNCE")},
                              {.epoch = E1, .seq = 7, .biz_code = rr_slice_str("ANNOUNCE")}};
    struct room_snapshot snap = {.epoch = E1, .seq = 7, .complete = true, .log = log, .log_n = 2};

    (void)state;
    log[0].payload = rr_slice_of("\xc0", 1);
    log[1].payload = rr_slice_of("\xc0", 1);
    room_live("r1", E1, 5, 1);
    bus_says("r1", E1, 7);
    assert_int_equal(f->bus.loads_n, 2);
    assert_int_equal(f->bus.loads[1].seq, 5);
    assert_got(0, "");
    bus_says("r1", E1, 8); /* held */
    join(1, "r1");         /* waits */
    fake_bus_load(&f->bus, 1, RR_OK, &snap);
    assert_got(0, "6 7 8");
    assert_got(1, "");
    assert_int_equal(last()->seq, 8);
    assert_int_equal(f->bus.loads_n, 2);
}

static void test_gap_among_the_held(void **state)
{
    (void)state;
    room_live("r1", E1, 5, 1);
    bus_says("r1", E1, 9);
    bus_says("r1", E1, 12);
    loaded(E1, 9, true); /* nothing of 10 and 11 */
    assert_int_equal(f->bus.loads_n, 3);
    assert_int_equal(f->bus.loads[2].seq, 5); /* the fake's log was empty: nothing was applied */
    join(1, "r1");
    assert_int_equal(f->answers_n, 1);
    loaded(E1, 12, false);
    assert_int_equal(f->answers_n, 2);
    assert_int_equal(last()->seq, 12);
}

/* A message whose place never comes (the last words of a Redis that was replaced) costs one load,
 * not one after the other. */
static void test_a_lost_position_does_not_load_forever(void **state)
{
    (void)state;
    room_live("r1", E1, 5, 1);
    bus_says("r1", E1, 9);
    loaded(E1, 5, true);
    bus_says("r1", E2, 3);
    loaded(E1, 5, true);
    assert_int_equal(f->bus.loads_n, 3);
    bus_says("r1", E1, 6);
    assert_got(0, "6");
}

static void test_old_messages_are_dropped(void **state)
{
    (void)state;
    room_live("r1", E1, 5, 1);
    bus_says("r1", E1, 3);
    bus_says("r1", E1, 5);
    bus_says("r1", E1, 6);
    bus_says("r1", E1, 6);
    assert_got(0, "6");
    assert_int_equal(f->bus.loads_n, 1);
}

static void test_held_overflow_loads_again(void **state)
{
    (void)state;
    join(0, "r1");
    hub_on_subscribed(f->hub, "r1");
    for (uint64_t seq = 1; seq <= 1100; seq++)
        bus_says("r1", E1, seq);
    loaded(E1, 1, false);
    assert_int_equal(f->bus.loads_n, 2);
    assert_int_equal(f->answers_n, 0);
    loaded(E1, 1100, false);
    assert_int_equal(last()->seq, 1100);
    assert_int_equal(f->bus.loads_n, 2);
}

static void test_failed_load_is_tried_again(void **state)
{
    (void)state;
    join(0, "r1");
    hub_on_subscribed(f->hub, "r1");
    fake_bus_load(&f->bus, 0, RR_PENDING, NULL);
    assert_int_equal(last()->err, RR_UNAVAILABLE);
    join(0, "r1"); /* waits for the next try */
    hub_tick(f->hub);
    assert_int_equal(f->bus.loads_n, 1);
    f->clock.now_us += S / 2;
    hub_tick(f->hub);
    assert_int_equal(f->bus.loads_n, 2);
    hub_tick(f->hub); /* one at a time */
    assert_int_equal(f->bus.loads_n, 2);
    loaded(E1, 1, false);
    assert_int_equal(last()->err, RR_OK);
}

static void test_first_push_of_a_new_room(void **state)
{
    (void)state;
    room_live("r1", 0, 0, 1); /* never pushed to */
    bus_says("r1", E1, 1);
    bus_says("r1", E1, 2);
    assert_got(0, "1 2");
    assert_int_equal(f->bus.loads_n, 1);
    hub_join(f->hub, f->people[1], 1, "r1", E1, 1);
    assert_true(last()->recovered);
    assert_int_equal(last()->missed_n, 1);
}

/* Redis started again: its first push has number 1 of another epoch, and the old numbers, higher
 * ones, must not keep anybody from getting it. */
static void test_first_push_of_another_epoch(void **state)
{
    (void)state;
    room_live("r1", E1, 500, 2);
    bus_says("r1", E2, 1);
    bus_says("r1", E2, 2);
    assert_got(0, "1 2");
    assert_got(1, "1 2");
    assert_int_equal(f->bus.loads_n, 1);
    hub_join(f->hub, f->people[2], 1, "r1", E1, 500); /* an old position means nothing */
    assert_false(last()->recovered);
    assert_int_equal(last()->epoch, E2);
}

static void test_other_epoch_sends_kept_states(void **state)
{
    struct rr_buf b = {0};
    struct room_kept kept = {.code = rr_slice_str(CODE),
                             .biz_code = rr_slice_str("RED_PACKET_CONFIG")};
    struct room_snapshot snap = {.epoch = E2, .seq = 3, .kept = &kept, .kept_n = 1};
    struct wire w;

    (void)state;
    fake_rain_code(&b, CODE);
    kept.payload = rr_slice_of(b.p, b.len);
    room_live("r1", E1, 500, 2);
    hub_on_bus_state(f->hub, false);
    hub_on_bus_state(f->hub, true);
    hub_on_subscribed(f->hub, "r1");
    fake_bus_load(&f->bus, 1, RR_OK, &snap);
    rr_buf_fini(&b);
    assert_int_equal(f->states, 1);
    assert_got(0, "3");
    assert_true(wire_of(&f->conns[1], 0, &w));
    assert_true(wire_str_is(&w.body, "biz_code", "RED_PACKET_CONFIG"));
    assert_true(wire_str_is(&w.body, "epoch", "00000000000000e2"));
    bus_says("r1", E2, 4); /* lower than what they had in the old epoch */
    assert_got(0, "3 4");
    assert_got(1, "3 4");
}

/* RECOVERING was pushed to another primary before this worker had subscribed there. */
static void test_other_epoch_tells_pauses(void **state)
{
    static const char body[] = "\x81\xa1"
                               "a\x01";
    struct rr_slice payload = rr_slice_of(body, sizeof(body) - 1);
    struct room_msg log[] = {
        {.epoch = E2, .seq = 1, .biz_code = rr_slice_str("SAID"), .payload = payload},
        {.epoch = E2, .seq = 2, .biz_code = rr_slice_str("RED_PACKET_STATE"), .payload = payload},
    };
    struct room_snapshot snap = {.epoch = E2, .seq = 2, .log = log, .log_n = 2};
    struct wire w;

    (void)state;
    room_live("r1", E1, 500, 2);
    for (uint32_t load = 1; load <= 2; load++) {
        hub_on_bus_state(f->hub, false);
        hub_on_bus_state(f->hub, true);
        hub_on_subscribed(f->hub, "r1");
        fake_bus_load(&f->bus, load, RR_OK, &snap);
        assert_got(0, "-"); /* the second time it is no other epoch */
        assert_got(1, "-");
    }
    assert_true(wire_of(&f->conns[1], 0, &w));
    assert_true(wire_str_is(&w.body, "biz_code", "RED_PACKET_STATE"));
    bus_says("r1", E2, 3);
    assert_got(1, "- 3");
}

static void test_answer_of_an_older_load_is_ignored(void **state)
{
    struct room_snapshot old = {.epoch = E1, .seq = 2};
    struct room_snapshot now = {.epoch = E1, .seq = 9};

    (void)state;
    join(0, "r1");
    hub_on_subscribed(f->hub, "r1");
    hub_on_subscribed(f->hub, "r1"); /* subscribed again before the answer */
    fake_bus_load(&f->bus, 0, RR_OK, &old);
    assert_int_equal(f->answers_n, 0);
    fake_bus_load(&f->bus, 1, RR_OK, &now);
    assert_int_equal(last()->seq, 9);
}

static void test_answer_for_a_room_of_the_past(void **state)
{
    struct room_snapshot old = {.epoch = E1, .seq = 2};

    (void)state;
    room_live("r1", E1, 1, 1);
    hub_leave(f->people[0]);
    bus_says("r1", E1, 9); /* a gap: a load is on its way … */
    f->clock.now_us += 61 * (int64_t)S;
    hub_tick(f->hub); /* … while the room is let go */
    assert_int_equal(hub_rooms(f->hub), 0);
    join(0, "r1");
    hub_on_subscribed(f->hub, "r1");
    fake_bus_load(&f->bus, 1, RR_OK, &old); /* not the answer to our load */
    assert_int_equal(f->answers_n, 1);
    loaded(E1, 9, false);
    assert_int_equal(last()->seq, 9);
}

static void test_unlogged_pushes(void **state)
{
    (void)state;
    room_live("r1", E1, 5, 1);
    bus_says_biz("r1", 0, 0, "SAY", CODE);
    bus_says_biz("nobody", 0, 0, "SAY", CODE);
    bus_says("r1", E1, 6);
    assert_got(0, "- 6");
}

/* ---- recovery ---- */

static void test_recovery(void **state)
{
    (void)state;
    room_live("r1", E1, 5, 1);
    for (uint64_t seq = 6; seq <= 9; seq++)
        bus_says("r1", E1, seq);
    hub_join(f->hub, f->people[1], 1, "r1", E1, 7);
    assert_true(last()->recovered);
    assert_int_equal(last()->missed_n, 2);
    assert_int_equal(last()->missed[0], 8);
    assert_int_equal(last()->missed[1], 9);
    hub_join(f->hub, f->people[2], 1, "r1", E1, 9); /* nothing missed */
    assert_true(last()->recovered);
    assert_int_equal(last()->missed_n, 0);
    hub_join(f->hub, f->people[3], 1, "r1", E1, 5); /* exactly what the log has */
    assert_true(last()->recovered);
    assert_int_equal(last()->missed_n, 4);
    hub_join(f->hub, f->people[4], 1, "r1", E1, 4); /* one more than it has */
    assert_false(last()->recovered);
    assert_int_equal(last()->missed_n, 0);
    hub_join(f->hub, f->people[5], 1, "r1", E2, 7);
    assert_false(last()->recovered);
    hub_join(f->hub, f->people[6], 1, "r1", E1, 10); /* from the future */
    assert_false(last()->recovered);
    hub_join(f->hub, f->people[7], 1, "r1", 0, 0);
    assert_false(last()->recovered);
    assert_got(1, ""); /* missed ones are in the answer, not pushed */
}

static void test_log_too_old(void **state)
{
    (void)state;
    room_live("r1", E1, 0, 1);
    for (uint64_t seq = 1; seq <= 200; seq++)
        bus_says("r1", E1, seq);
    hub_join(f->hub, f->people[1], 1, "r1", E1, 72); /* 128 missed: all that is kept */
    assert_true(last()->recovered);
    assert_int_equal(last()->missed_n, 128);
    hub_join(f->hub, f->people[2], 1, "r1", E1, 71);
    assert_false(last()->recovered);
    run_all();
}

/* A worker that starts is asked by people who were elsewhere: the first load goes back to the
 * oldest of their positions. */
static void test_recovery_on_a_worker_that_just_started(void **state)
{
    struct room_msg log[3];
    struct room_snapshot snap = {.epoch = E1, .seq = 9, .log = log, .log_n = 3};

    (void)state;
    for (uint64_t i = 0; i < 3; i++)
        log[i] = (struct room_msg){.epoch = E1,
                                   .seq = 7 + i,
                                   .biz_code = rr_slice_str("ANNOUNCE"),
                                   .payload = rr_slice_of("\xc0", 1)};
    hub_join(f->hub, f->people[0], 1, "r1", 0, 0);
    hub_join(f->hub, f->people[1], 2, "r1", E1, 8);
    hub_join(f->hub, f->people[2], 3, "r1", E1, 6);
    hub_join(f->hub, f->people[3], 4, "r1", E2, 1);
    hub_on_subscribed(f->hub, "r1");
    assert_int_equal(f->bus.loads[0].epoch, 0); /* the tail, whoever waits for it */
    fake_bus_load(&f->bus, 0, RR_OK, &snap);
    assert_int_equal(f->answers_n, 4);
    assert_false(f->answers[0].recovered);
    assert_true(f->answers[1].recovered);
    assert_int_equal(f->answers[1].missed_n, 1);
    assert_true(f->answers[2].recovered);
    assert_int_equal(f->answers[2].missed_n, 3);
    assert_int_equal(f->answers[2].missed[0], 7);
    assert_false(f->answers[3].recovered);
    for (int i = 0; i < 4; i++)
        assert_int_equal(f->answers[i].seq, 9);
    assert_got(1, "");
}

/* The room is followed already; the log's tail still serves who was elsewhere until now. */
static void test_recovery_in_a_room_followed_already(void **state)
{
    struct room_msg log[3];
    struct room_snapshot snap = {.epoch = E1, .seq = 9, .log = log, .log_n = 3};

    (void)state;
    for (uint64_t i = 0; i < 3; i++)
        log[i] = (struct room_msg){.epoch = E1,
                                   .seq = 7 + i,
                                   .biz_code = rr_slice_str("ANNOUNCE"),
                                   .payload = rr_slice_of("\xc0", 1)};
    join(0, "r1");
    hub_on_subscribed(f->hub, "r1");
    fake_bus_load(&f->bus, 0, RR_OK, &snap);
    bus_says("r1", E1, 10);
    hub_join(f->hub, f->people[1], 2, "r1", E1, 6);
    assert_true(last()->recovered);
    assert_int_equal(last()->missed_n, 4);
    assert_int_equal(last()->missed[3], 10);
    hub_join(f->hub, f->people[2], 3, "r1", E1, 5);
    assert_false(last()->recovered);
    assert_int_equal(f->bus.loads_n, 1); /* all from memory */
}

static void test_tail_after_a_long_absence(void **state)
{
    struct room_msg tail = {.epoch = E1,
                            .seq = 500,
                            .biz_code = rr_slice_str("ANNOUNCE"),
                            .payload = rr_slice_of("\xc0", 1)};
    struct room_snapshot snap = {.epoch = E1, .seq = 500, .log = &tail, .log_n = 1};

    (void)state;
    room_live("r1", E1, 3, 1);
    bus_says("r1", E1, 500);
    fake_bus_load(&f->bus, f->bus.loads_n - 1, RR_OK, &snap);
    hub_join(f->hub, f->people[1], 2, "r1", E1, 499);
    assert_true(last()->recovered);
    assert_int_equal(last()->missed[0], 500);
    hub_join(f->hub, f->people[2], 3, "r1", E1, 3);
    assert_false(last()->recovered);
}

/* ---- fan-out ---- */

static void test_leave_during_fanout(void **state)
{
    (void)state;
    room_live("r1", E1, 0, 10);
    bus_says("r1", E1, 1);
    assert_true(hub_run(f->hub, 3)); /* 0, 1, 2 */
    hub_leave(f->people[1]);         /* had it */
    hub_leave(f->people[5]);         /* has not */
    session_close(f->people[7], CLOSE_NORMAL);
    assert_int_equal(hub_members(f->hub, "r1"), 7);
    assert_true(hub_run(f->hub, 1)); /* the holes stay holes while it goes round */
    run_all();
    assert_got(1, "1");
    assert_got(5, "");
    assert_got(7, "");
    for (int i = 0; i < 10; i++) {
        if (i != 5 && i != 7)
            assert_got(i, "1"); /* once each, nobody is forgotten */
    }
    bus_says("r1", E1, 2); /* the holes are gone */
    for (int i = 0; i < 10; i++) {
        if (i != 1 && i != 5 && i != 7)
            assert_got(i, "1 2");
    }
}

/* Who is gone is not looked at ahead either, wherever in the round he stood. */
static void test_looks_ahead_at_members_only(void **state)
{
    uint32_t warmed[PEOPLE] = {0};

    (void)state;
    room_live("r1", E1, 0, PEOPLE);
    bus_says("r1", E1, 1);
    for (int i = PEOPLE - 1; hub_run(f->hub, 3); i -= 4) {
        if (i < 0)
            continue;
        leave_for_good(i);
        warmed[i] = f->conns[i].warmed;
    }
    for (int i = 0; i < PEOPLE; i++) {
        if (f->people[i]) {
            assert_got(i, "1");
            assert_int_equal(f->conns[i].warmed, 1);
        } else {
            assert_int_equal(f->conns[i].warmed, warmed[i]);
        }
    }
}

static void test_joiner_during_fanout(void **state)
{
    (void)state;
    room_live("r1", E1, 0, 4);
    bus_says("r1", E1, 1);
    assert_true(hub_run(f->hub, 2));
    join(4, "r1");
    assert_int_equal(last()->seq, 1); /* his snapshot has it */
    bus_says("r1", E1, 2);
    assert_got(4, "2");
    for (int i = 0; i < 4; i++)
        assert_got(i, "1 2");
}

/* Somebody leaves and comes back while the fan-out runs. */
static void test_back_during_fanout(void **state)
{
    (void)state;
    room_live("r1", E1, 0, 4);
    bus_says("r1", E1, 1);
    assert_true(hub_run(f->hub, 1));
    hub_leave(f->people[2]);
    join(2, "r1");
    assert_got(2, "");
    bus_says("r1", E1, 2);
    assert_got(2, "2");
}

static void test_slow_reader_leaves_during_fanout(void **state)
{
    (void)state;
    room_live("r1", E1, 0, 5);
    session_table_set_queue(f->sessions, 10, 0);
    f->conns[2].busy = true;
    bus_says("r1", E1, 1);
    run_all();
    assert_int_equal(f->conns[2].close_code, CLOSE_SLOW);
    assert_int_equal(hub_members(f->hub, "r1"), 4);
    bus_says("r1", E1, 2);
    assert_got(4, "1 2");
    assert_got(0, "1 2");
}

static void test_start_rotates(void **state)
{
    int first[4] = {0};

    (void)state;
    room_live("r1", E1, 0, 4);
    for (uint64_t seq = 1; seq <= 40; seq++) {
        uint32_t before[4];

        for (int i = 0; i < 4; i++)
            before[i] = f->conns[i].sent_n;
        bus_says("r1", E1, seq);
        (void)hub_run(f->hub, 1);
        for (int i = 0; i < 4; i++)
            first[i] += f->conns[i].sent_n != before[i];
        run_all();
    }
    for (int i = 0; i < 4; i++)
        assert_in_range(first[i], 8, 12);
}

/* In a big room few fan-outs reach all parts of it: no half of the members is served last for long. */
static void test_start_reaches_all_parts_soon(void **state)
{
    int late[PEOPLE] = {0}; /* fan-outs in which one was in the second half */

    (void)state;
    room_live("r1", E1, 0, PEOPLE);
    for (uint64_t seq = 1; seq <= 16; seq++) {
        uint32_t before[PEOPLE];

        for (int i = 0; i < PEOPLE; i++)
            before[i] = f->conns[i].sent_n;
        bus_says("r1", E1, seq);
        (void)hub_run(f->hub, PEOPLE / 2);
        for (int i = 0; i < PEOPLE; i++)
            late[i] += f->conns[i].sent_n == before[i];
        run_all();
    }
    for (int i = 0; i < PEOPLE; i++)
        assert_in_range(late[i], 6, 10);
}

/* A room's own books hold whatever its members do, and move with who comes and goes. */
static void test_the_rooms_account(void **state)
{
    const struct delivery *d = NULL;
    uint64_t x = 7;

    (void)state;
    room_live("r1", E1, 0, 8);
    session_table_set_queue(f->sessions, 1500, 0);
    for (uint64_t seq = 1; seq <= 120; seq++) {
        uint32_t counts_n = f->bus.counts_n;
        int i = 0;

        f->answers_n = 0;
        x = x * UINT64_C(6364136223846793005) + 1442695040888963407u;
        i = (int)((x >> 33) % 8);
        if (x >> 62 == 0)
            f->conns[i].busy = !f->conns[i].busy;
        if (x >> 60 == 5 && f->people[i]->state == SESSION_JOINED)
            hub_leave(f->people[i]);
        else if (f->people[i]->state == SESSION_AUTHED)
            join(i, "r1");
        if (f->people[i]->state != SESSION_CLOSING && !f->conns[i].busy)
            session_on_writable(f->people[i]);
        bus_says("r1", E1, seq);
        f->clock.now_us += S;
        hub_tick(f->hub);
        if (f->bus.counts_n > counts_n) {
            d = &f->bus.counts[(f->bus.counts_n - 1) % FAKE_CALLS_MAX].delivery;
            assert_int_equal(d->expected, d->sent + d->dropped + d->closed + d->queued);
            fake_bus_count(&f->bus, f->bus.counts_n - 1, RR_OK, (int64_t)seq);
        }
        run_all();
    }
    assert_non_null(d);
    assert_true(d->sent > 100 && d->closed > 0 && d->dropped > 0);
    for (int i = 0; i < 8; i++)
        leave_for_good(i);
    f->clock.now_us += S;
    hub_tick(f->hub);
    d = &f->bus.counts[(f->bus.counts_n - 1) % FAKE_CALLS_MAX].delivery;
    assert_int_equal(d->queued, 0); /* nobody is left to wait for */
    assert_int_equal(d->expected, d->sent + d->dropped + d->closed);
}

static void test_slices_and_order(void **state)
{
    uint32_t total = 0;
    int slices = 0;

    (void)state;
    room_live("r1", E1, 0, 10);
    assert_int_equal(f->works, 0);
    bus_says("r1", E1, 1);
    bus_says("r1", E1, 2);
    bus_says("r1", E1, 3);
    assert_int_equal(f->works, 3);
    assert_int_equal(hub_broadcasts(f->hub), 3);
    while (total < 30) {
        uint32_t before = total;

        (void)hub_run(f->hub, 4);
        total = 0;
        for (int i = 0; i < 10; i++)
            total += f->conns[i].sent_n;
        assert_in_range(total - before, 1, 4);
        slices++;
    }
    assert_int_equal(slices, 8);
    for (int i = 0; i < 10; i++)
        assert_got(i, "1 2 3");
    assert_false(hub_run(f->hub, 4));
}

static void test_a_busy_room_does_not_starve_the_others(void **state)
{
    (void)state;
    room_live("r1", E1, 0, 10);
    for (int i = 10; i < 12; i++)
        join(i, "r2");
    hub_on_subscribed(f->hub, "r2");
    loaded(E2, 0, false);
    for (uint64_t seq = 1; seq <= 5; seq++)
        bus_says("r1", E1, seq);
    bus_says("r2", E2, 1);
    assert_true(hub_run(f->hub, 5));
    (void)hub_run(f->hub, 5); /* r1 has 45 sends to go */
    assert_int_equal(f->conns[10].sent_n, 1);
    assert_int_equal(f->conns[11].sent_n, 1);
    run_all();
    assert_int_equal(f->conns[0].sent_n, 5);
}

static void test_local_pushes(void **state)
{
    struct rr_slice nil = rr_slice_of("\xc0", 1);
    struct wire w;

    (void)state;
    hub_push_local(f->hub, "nobody", rr_slice_str("X"), nil, 0);
    room_live("r1", E1, 7, 2);
    f->conns[0].busy = true;
    hub_push_local(f->hub, "r1", rr_slice_str("ROOM_COUNT"), nil, 1);
    hub_push_local(f->hub, "r1", rr_slice_str("ROOM_COUNT"), nil, 1);
    hub_push_local(f->hub, "r1", rr_slice_str("RED_PACKET_END"), nil, 0);
    run_all();
    f->conns[0].busy = false;
    session_on_writable(f->people[0]);
    assert_got(0, "- -"); /* the older count was replaced; what must arrive goes first */
    assert_true(wire_of(&f->conns[0], 0, &w));
    assert_true(wire_str_is(&w.body, "biz_code", "RED_PACKET_END"));
    assert_true(wire_str_is(&w.body, "room", "r1"));
    assert_got(1, "- - -");
    assert_int_equal(session_table_counters(f->sessions)->dropped, 1);
}

static void test_push_user(void **state)
{
    struct session *second = session_create(f->sessions, &f->conns[20], 0);
    struct rr_slice nil = rr_slice_of("\xc0", 1);
    struct wire w;

    (void)state;
    second->user_id = 1;
    session_set_state(second, SESSION_AUTHED, NULL);
    session_table_set_queue(f->sessions, 10, 0);
    f->conns[20].busy = true; /* the first of the list is closed by the send */
    assert_int_equal(hub_push_user(f->hub, 1, rr_slice_str("GRAB_RESULT"), nil), 2);
    assert_int_equal(f->conns[20].close_code, CLOSE_SLOW);
    assert_true(wire_of(&f->conns[0], 0, &w));
    assert_false(wire_has(&w.body, "room"));
    assert_int_equal(hub_push_user(f->hub, 999, rr_slice_str("GRAB_RESULT"), nil), 0);
    session_destroy(second);
}

/* Writing what waits for one socket of a user must not lose another of them, with all behind it. */
static void test_push_user_with_answers_waiting(void **state)
{
    struct session *more[2] = {session_create(f->sessions, &f->conns[20], 0),
                               session_create(f->sessions, &f->conns[21], 0)};
    struct rr_frame *answer = rr_frame_create("an answer", 9, FAKE_HEADROOM);
    struct rr_slice nil = rr_slice_of("\xc0", 1);

    (void)state;
    for (int i = 0; i < 2; i++) {
        more[i]->user_id = 1;
        session_set_state(more[i], SESSION_AUTHED, NULL);
    }
    session_reply(more[0], answer);
    session_reply(more[1], answer);
    session_table_set_queue(f->sessions, 1, 0);
    f->conns[20].busy = true; /* closed as soon as his answer is written */
    (void)hub_push_user(f->hub, 1, rr_slice_str("GRAB_RESULT"), nil);
    assert_int_equal(f->conns[20].close_code, CLOSE_SLOW);
    assert_int_equal(f->conns[21].sent_n, 2);
    assert_int_equal(f->conns[0].sent_n, 1);
    session_destroy(more[0]);
    session_destroy(more[1]);
    rr_frame_unref(&answer);
}

/* ---- the bus up and down ---- */

static void test_bus_down_and_up(void **state)
{
    struct room_msg log[2] = {{.epoch = E1, .seq = 5, .biz_code = rr_slice_str("ANNOUNCE")},
                              {.epoch = E1, .seq = 6, .biz_code = rr_slice_str("ANNOUNCE")}};
    struct room_snapshot snap = {.epoch = E1, .seq = 6, .complete = true, .log = log, .log_n = 2};

    log[0].payload = rr_slice_of("\xc0", 1); /* one more than asked for: they have it */
    log[1].payload = rr_slice_of("\xc0", 1);
    (void)state;
    room_live("r1", E1, 5, 1);
    hub_on_bus_state(f->hub, false);
    assert_int_equal(hub_members(f->hub, "r1"), 1); /* members stay */
    join(1, "r1");                                  /* what is known is answered from memory */
    assert_int_equal(last()->err, RR_OK);
    assert_int_equal(last()->seq, 5);
    hub_on_bus_state(f->hub, true);
    assert_int_equal(f->bus.loads_n, 1);
    hub_on_subscribed(f->hub, "r1");
    assert_int_equal(f->bus.loads_n, 2);
    fake_bus_load(&f->bus, 1, RR_OK, &snap);
    assert_got(0, "6");
    assert_got(1, "6");
}

static void test_down_while_loading(void **state)
{
    (void)state;
    room_live("r1", E1, 5, 1);
    bus_says("r1", E1, 9); /* a gap: loads */
    bus_says("r1", E1, 10);
    hub_on_bus_state(f->hub, false);
    fake_bus_load(&f->bus, 1, RR_PENDING, NULL); /* the lost call */
    f->clock.now_us += 2 * S;
    hub_tick(f->hub); /* nothing is asked while the bus is down */
    assert_int_equal(f->bus.loads_n, 2);
    hub_on_bus_state(f->hub, true);
    hub_tick(f->hub);
    assert_int_equal(f->bus.loads_n, 2); /* nor before the ack */
    hub_on_subscribed(f->hub, "r1");
    assert_int_equal(f->bus.loads_n, 3);
    loaded(E1, 10, false);
    bus_says("r1", E1, 11);
    assert_got(0, "11");
    assert_int_equal(f->bus.loads_n, 3); /* what was held before the fall is not replayed */
}

/* ---- presence and idleness ---- */

static void test_presence(void **state)
{
    struct wire w;

    (void)state;
    room_live("r1", E1, 0, 3);
    for (int i = 0; i < 50; i++) { /* 5 s in ticks of 100 ms */
        f->clock.now_us += S / 10;
        hub_tick(f->hub);
        if (f->bus.counts_n && f->bus.counts[f->bus.counts_n - 1].done)
            fake_bus_count(&f->bus, f->bus.counts_n - 1, RR_OK, 77);
    }
    assert_in_range(f->bus.counts_n, 5, 6);
    assert_int_equal(f->bus.counts[0].members, 3);
    assert_got(0, "-"); /* told once: it did not change */
    assert_true(wire_of(&f->conns[0], 0, &w));
    {
        struct unpack_value payload = wire_payload(&w);

        assert_int_equal(wire_int(&payload, "online"), 77);
    }
    assert_int_equal(hub_online(f->hub, "r1"), 77);
    join(5, "r1");
    assert_int_equal(last()->online, 77);
}

static void test_presence_waits_for_its_answer(void **state)
{
    (void)state;
    room_live("r1", E1, 0, 1);
    for (int i = 0; i < 50; i++) {
        f->clock.now_us += S / 10;
        hub_tick(f->hub);
    }
    assert_int_equal(f->bus.counts_n, 1);
    fake_bus_count(&f->bus, 0, RR_UNAVAILABLE, 0);
    hub_tick(f->hub);
    assert_int_equal(f->bus.counts_n, 2);
}

static void test_presence_of_the_last_who_left(void **state)
{
    (void)state;
    room_live("r1", E1, 0, 1);
    hub_tick(f->hub);
    fake_bus_count(&f->bus, 0, RR_OK, 1);
    hub_leave(f->people[0]);
    for (int i = 0; i < 50; i++) {
        f->clock.now_us += S / 10;
        hub_tick(f->hub);
        if (f->bus.counts[f->bus.counts_n - 1].done)
            fake_bus_count(&f->bus, f->bus.counts_n - 1, RR_OK, 0);
    }
    assert_int_equal(f->bus.counts_n, 2); /* one 0, then silence */
    assert_int_equal(f->bus.counts[1].members, 0);
}

static void test_idle_room_is_let_go(void **state)
{
    (void)state;
    room_live("r1", E1, 5, 2);
    hub_leave(f->people[0]);
    f->clock.now_us += 100 * (int64_t)S;
    hub_tick(f->hub);
    fake_bus_count(&f->bus, 0, RR_OK, 1);
    assert_int_equal(f->bus.unsubscribes, 0); /* somebody is there */
    hub_leave(f->people[1]);
    f->clock.now_us += 2 * S;
    hub_tick(f->hub);
    fake_bus_count(&f->bus, 1, RR_OK, 0);
    run_all();
    f->clock.now_us += 57 * (int64_t)S;
    hub_tick(f->hub);
    assert_int_equal(f->bus.unsubscribes, 0);
    f->clock.now_us += 2 * S;
    hub_tick(f->hub);
    assert_int_equal(f->bus.unsubscribes, 1);
    assert_int_equal(hub_rooms(f->hub), 0);
    bus_says("r1", E1, 6); /* a late one finds nobody */
    hub_on_subscribed(f->hub, "r1");
    join(0, "r1"); /* from the start */
    assert_int_equal(f->bus.subscribes, 2);
    hub_on_subscribed(f->hub, "r1");
    loaded(E1, 6, false);
    assert_int_equal(last()->seq, 6);
}

static void test_coming_back_keeps_the_room(void **state)
{
    (void)state;
    room_live("r1", E1, 5, 1);
    hub_leave(f->people[0]);
    f->clock.now_us += 59 * (int64_t)S;
    hub_tick(f->hub);
    join(0, "r1");
    assert_int_equal(last()->err, RR_OK);
    f->clock.now_us += 300 * (int64_t)S;
    hub_tick(f->hub);
    assert_int_equal(f->bus.unsubscribes, 0);
}

/* ---- kept states ---- */

/* A pause of a rain is told and learned from, and its configuration stays what late joiners get. */
static void test_a_pause_is_not_kept(void **state)
{
    (void)state;
    room_live("r1", E1, 0, 1);
    bus_says_biz("r1", E1, 1, "RED_PACKET_CONFIG", CODE);
    bus_says_biz("r1", E1, 2, "RED_PACKET_STATE", CODE);
    assert_int_equal(f->states, 2);
    join(1, "r1");
    assert_int_equal(last()->kept_n, 1);
    assert_string_equal(last()->kept_biz, "RED_PACKET_CONFIG");
}

static void test_kept_states(void **state)
{
    char code[RR_CODE_LEN + 1] = CODE;

    (void)state;
    room_live("r1", E1, 0, 1);
    bus_says_biz("r1", E1, 1, "RED_PACKET_CONFIG", CODE);
    bus_says("r1", E1, 2); /* no state of a rain */
    assert_int_equal(f->states, 1);
    join(1, "r1");
    assert_int_equal(last()->kept_n, 1);
    assert_string_equal(last()->kept_biz, "RED_PACKET_CONFIG");
    bus_says_biz("r1", E1, 3, "RED_PACKET_END", CODE); /* replaces it */
    join(2, "r1");
    assert_int_equal(last()->kept_n, 1);
    assert_string_equal(last()->kept_biz, "RED_PACKET_END");
    for (uint64_t i = 0; i < 40; i++) {
        code[0] = (char)('a' + i % 26);
        code[1] = (char)('A' + i / 26);
        bus_says_biz("r1", E1, 4 + i, "RED_PACKET_CONFIG", code);
    }
    join(3, "r1");
    assert_int_equal(last()->kept_n, 16);
    assert_int_equal(f->states, 42);
}

static void test_malformed_state_is_not_kept(void **state)
{
    struct room_msg m = {.epoch = E1,
                         .seq = 1,
                         .biz_code = rr_slice_str("RED_PACKET_CONFIG"),
                         .payload = rr_slice_of("\xc0", 1)};

    (void)state;
    room_live("r1", E1, 0, 1);
    hub_on_room_msg(f->hub, "r1", &m);
    join(1, "r1");
    assert_int_equal(last()->kept_n, 0);
    assert_int_equal(f->states, 0);
}

static void test_destroy_with_people_waiting(void **state)
{
    struct hub *h = f->hub;

    (void)state;
    join(0, "r1");
    f->hub = NULL;
    hub_destroy(h); /* the callback still answers: UNAVAILABLE on the wire */
    assert_int_equal(f->answers_n, 1);
    assert_int_equal(last()->err, RR_CLOSED);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_join_waits_for_ack_and_load),
        TEST(test_join_while_bus_is_down),
        TEST(test_who_left_before_the_ack),
        TEST(test_only_the_latest_join_counts),
        TEST(test_same_room_asked_twice),
        TEST(test_leave_takes_back_a_waiting_join),
        TEST(test_join_elsewhere_leaves_the_first),
        TEST(test_messages_are_held_while_loading),
        TEST(test_held_for_a_member),
        TEST(test_gap_loads_again),
        TEST(test_gap_among_the_held),
        TEST(test_a_lost_position_does_not_load_forever),
        TEST(test_old_messages_are_dropped),
        TEST(test_held_overflow_loads_again),
        TEST(test_failed_load_is_tried_again),
        TEST(test_first_push_of_a_new_room),
        TEST(test_first_push_of_another_epoch),
        TEST(test_other_epoch_sends_kept_states),
        TEST(test_other_epoch_tells_pauses),
        TEST(test_answer_of_an_older_load_is_ignored),
        TEST(test_answer_for_a_room_of_the_past),
        TEST(test_unlogged_pushes),
        TEST(test_recovery),
        TEST(test_log_too_old),
        TEST(test_recovery_on_a_worker_that_just_started),
        TEST(test_recovery_in_a_room_followed_already),
        TEST(test_tail_after_a_long_absence),
        TEST(test_leave_during_fanout),
        TEST(test_looks_ahead_at_members_only),
        TEST(test_joiner_during_fanout),
        TEST(test_back_during_fanout),
        TEST(test_slow_reader_leaves_during_fanout),
        TEST(test_start_rotates),
        TEST(test_start_reaches_all_parts_soon),
        TEST(test_the_rooms_account),
        TEST(test_slices_and_order),
        TEST(test_a_busy_room_does_not_starve_the_others),
        TEST(test_local_pushes),
        TEST(test_push_user),
        TEST(test_push_user_with_answers_waiting),
        TEST(test_bus_down_and_up),
        TEST(test_down_while_loading),
        TEST(test_presence),
        TEST(test_presence_waits_for_its_answer),
        TEST(test_presence_of_the_last_who_left),
        TEST(test_idle_room_is_let_go),
        TEST(test_coming_back_keeps_the_room),
        TEST(test_a_pause_is_not_kept),
        TEST(test_kept_states),
        TEST(test_malformed_state_is_not_kept),
        TEST(test_destroy_with_people_waiting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
