#include "cm.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "fakes.h"

enum { QUEUE_BYTES = 100, SOCKETS = 8, BURST = 3 };

struct fixture {
    struct session_table *t;
    struct fake_conn conns[SOCKETS];
    struct session *left[SOCKETS]; /* who left a room, in order */
    uint32_t left_n;
    struct rr_frame *f; /* 10 bytes */
};

static struct fixture *f;
/* Sessions never look inside a room: any address will do. */
static struct room *const room_a = (struct room *)(uintptr_t)0x10;
static struct room *const room_b = (struct room *)(uintptr_t)0x20;

static void on_left(void *arg, struct session *s)
{
    assert_ptr_equal(arg, f);
    assert_non_null(s->room); /* still known while the room takes him off its list */
    f->left[f->left_n++] = s;
}

static int setup(void **state)
{
    (void)state;
    f = rr_xcalloc(1, sizeof(*f));
    f->t = session_table_create(&(struct session_table_opts){.transport = &fake_transport,
                                                             .queue_bytes = QUEUE_BYTES,
                                                             .reply_burst = BURST,
                                                             .left_room = on_left,
                                                             .arg = f});
    f->f = rr_frame_create("0123456789", 10, FAKE_HEADROOM);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < session_slots(f->t); i++) {
        if (session_at(f->t, i))
            session_destroy(session_at(f->t, i));
    }
    for (int i = 0; i < SOCKETS; i++)
        fake_conn_clear(&f->conns[i]);
    session_table_destroy(f->t);
    assert_int_equal(f->f->refs, 1); /* nobody kept a reference */
    rr_frame_unref(&f->f);
    free(f);
    return 0;
}

static struct session *open_as(int conn, int64_t user_id)
{
    struct session *s = session_create(f->t, &f->conns[conn], 1000);

    if (user_id) {
        s->user_id = user_id;
        session_set_state(s, SESSION_AUTHED, NULL);
    }
    return s;
}

static void assert_exact(uint64_t expected)
{
    const struct session_counters *c = session_table_counters(f->t);

    assert_int_equal(c->expected, expected);
    assert_int_equal(c->expected, c->sent + c->dropped + c->closed + c->queued);
}

/* ---- states ---- */

static void test_life(void **state)
{
    struct session *s = open_as(0, 0);
    uint64_t id = s->id;

    (void)state;
    assert_int_equal(s->state, SESSION_NEW);
    assert_int_equal(session_count(f->t), 1);
    assert_ptr_equal(session_by_id(f->t, id), s);
    s->user_id = 7;
    session_set_state(s, SESSION_AUTHED, NULL);
    assert_ptr_equal(session_by_user(f->t, 7), s);
    session_set_state(s, SESSION_JOINED, room_a);
    assert_ptr_equal(s->room, room_a);
    assert_ptr_equal(session_by_user(f->t, 7), s);
    session_set_state(s, SESSION_JOINED, room_a); /* no change, no call */
    assert_int_equal(f->left_n, 0);
    session_set_state(s, SESSION_AUTHED, NULL);
    assert_int_equal(f->left_n, 1);
    assert_null(s->room);
    session_set_state(s, SESSION_JOINED, room_b);
    session_close(s, CLOSE_BANNED);
    assert_int_equal(f->left_n, 2);
    assert_int_equal(s->state, SESSION_CLOSING);
    assert_null(session_by_user(f->t, 7));
    assert_ptr_equal(session_by_id(f->t, id), s); /* until the socket is gone */
    session_destroy(s);
    assert_null(session_by_id(f->t, id));
    assert_int_equal(session_count(f->t), 0);
}

static void test_destroy_from_any_state(void **state)
{
    struct session *s[3] = {open_as(0, 0), open_as(1, 7), open_as(2, 7)};

    (void)state;
    session_set_state(s[2], SESSION_JOINED, room_a);
    for (int i = 0; i < 3; i++)
        session_destroy(s[i]);
    assert_int_equal(f->left_n, 1);
    assert_int_equal(session_count(f->t), 0);
    assert_null(session_by_user(f->t, 7));
}

static void test_ids_are_not_reused(void **state)
{
    uint64_t seen[50];

    (void)state;
    for (int i = 0; i < 50; i++) {
        struct session *s = open_as(0, 0);

        seen[i] = s->id;
        for (int k = 0; k < i; k++)
            assert_true(seen[k] != s->id);
        session_destroy(s);
        assert_null(session_by_id(f->t, seen[i]));
    }
    assert_int_equal(session_slots(f->t), 256); /* one slot was used again and again */
    assert_null(session_by_id(f->t, UINT64_C(1) << 32 | 1000000));
}

static void test_table_grows(void **state)
{
    enum { MANY = 600 };
    uint64_t ids[MANY];

    (void)state;
    for (int i = 0; i < MANY; i++)
        ids[i] = open_as(0, i + 1)->id;
    assert_int_equal(session_count(f->t), MANY);
    assert_true(session_slots(f->t) >= MANY);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(session_by_id(f->t, ids[i])->user_id, i + 1);
        assert_int_equal(session_by_user(f->t, i + 1)->id, ids[i]);
    }
    assert_null(session_at(f->t, session_slots(f->t)));
}

/* What RR_ASSERT refuses, in a process of its own. */
static bool aborts(void (*act)(struct session *s), struct session *s)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        if (!freopen("/dev/null", "w", stderr))
            _exit(1);
        signal(SIGABRT, SIG_DFL); /* cmocka catches it */
        act(s);
        _exit(0);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void to_new(struct session *s)
{
    session_set_state(s, SESSION_NEW, NULL);
}

static void to_authed(struct session *s)
{
    session_set_state(s, SESSION_AUTHED, NULL);
}

static void to_joined(struct session *s)
{
    session_set_state(s, SESSION_JOINED, room_b);
}

static void to_joined_nowhere(struct session *s)
{
    session_set_state(s, SESSION_JOINED, NULL);
}

static void to_authed_in_a_room(struct session *s)
{
    session_set_state(s, SESSION_AUTHED, room_a);
}

static void nothing(struct session *s)
{
    (void)s;
}

static void test_impossible_transitions(void **state)
{
    struct session *fresh = open_as(0, 0);
    struct session *authed = open_as(1, 7);
    struct session *joined = open_as(2, 7);
    struct session *closing = open_as(3, 7);

    (void)state;
    session_set_state(joined, SESSION_JOINED, room_a);
    session_close(closing, CLOSE_NORMAL);
    assert_false(aborts(nothing, fresh));
    assert_true(aborts(to_joined, fresh)); /* without HELLO */
    assert_true(aborts(to_new, authed));
    assert_true(aborts(to_joined_nowhere, authed));
    assert_true(aborts(to_authed_in_a_room, authed));
    assert_true(aborts(to_joined, joined)); /* the first room must be left */
    assert_true(aborts(to_authed, closing));
    assert_true(aborts(to_joined, closing));
}

/* ---- users ---- */

static void test_user_index(void **state)
{
    struct session *a = open_as(0, 7);
    struct session *b = open_as(1, 7);
    struct session *c = open_as(2, 8);
    struct session *d = open_as(3, 7);
    uint32_t n = 0;

    (void)state;
    for (struct session *s = session_by_user(f->t, 7); s; s = session_user_next(s)) {
        assert_int_equal(s->user_id, 7);
        n++;
    }
    assert_int_equal(n, 3);
    assert_ptr_equal(session_by_user(f->t, 8), c);
    session_close(b, CLOSE_NORMAL); /* from the middle */
    assert_ptr_equal(session_by_user(f->t, 7), d);
    assert_ptr_equal(session_user_next(d), a);
    assert_null(session_user_next(a));
    session_close(d, CLOSE_NORMAL);
    session_close(a, CLOSE_NORMAL);
    assert_null(session_by_user(f->t, 7));
    assert_null(session_by_user(f->t, 9));
}

/* Many users with a few sockets each come and go: everybody's list is whole, newest first, also across growth. */
static void test_user_index_of_many(void **state)
{
    enum { USERS = 700, STEPS = 6000, EACH = 4 };
    static struct session *of[USERS][EACH]; /* oldest first */
    static uint32_t n[USERS];
    uint32_t x = 1;

    (void)state;
    for (uint32_t step = 0; step < STEPS; step++) {
        uint32_t u = (x = x * 1664525 + 1013904223) >> 8;
        uint32_t k = u / USERS;
        struct session *s = NULL;

        u %= USERS;
        if (n[u] == EACH || (n[u] && k % 3 == 0)) {
            k %= n[u];
            session_destroy(of[u][k]);
            n[u]--;
            memmove(&of[u][k], &of[u][k + 1], (n[u] - k) * sizeof(of[u][0]));
        } else {
            of[u][n[u]++] = open_as(0, 1 + (int64_t)u * 4096);
        }
        u = step % USERS;
        s = session_by_user(f->t, 1 + (int64_t)u * 4096);
        for (uint32_t i = n[u]; i-- > 0; s = session_user_next(s))
            assert_ptr_equal(s, of[u][i]);
        assert_null(s);
    }
    assert_true(session_count(f->t) > USERS);
}

/* What a viewer costs while nothing waits for him; more is a decision (docs/adr/0040-idle-viewers.md). */
static void test_size(void **state)
{
    (void)state;
    assert_true(sizeof(struct session) <= 216);
}

static void test_may_enter(void **state)
{
    struct session s = {.rooms = (char[]){",r1,room-2,"}};
    struct session all = {.all_rooms = true};
    struct session none = {0};

    (void)state;
    assert_true(session_may_enter(&s, "r1"));
    assert_true(session_may_enter(&s, "room-2"));
    assert_false(session_may_enter(&s, "r"));
    assert_false(session_may_enter(&s, "1"));
    assert_false(session_may_enter(&s, "oom-2"));
    assert_false(session_may_enter(&s, "room-22"));
    assert_true(session_may_enter(&all, "anything"));
    assert_false(session_may_enter(&none, "r1"));
}

/* ---- sending ---- */

static void test_send_goes_out_at_once(void **state)
{
    struct session *s = open_as(0, 7);

    (void)state;
    session_send(s, f->f);
    session_send_latest(s, f->f, 1);
    assert_int_equal(f->conns[0].sent_n, 2);
    assert_false(f->conns[0].wants_write);
    assert_int_equal(session_table_counters(f->t)->sent_bytes, 20);
    assert_exact(2);
}

static void test_busy_socket_queues_in_order(void **state)
{
    struct session *s = open_as(0, 7);
    struct rr_frame *other = rr_frame_create("other", 5, FAKE_HEADROOM);

    (void)state;
    f->conns[0].busy = true;
    session_send(s, f->f);
    assert_true(f->conns[0].wants_write);
    assert_exact(1);
    f->conns[0].busy = false;
    session_send(s, other); /* behind the waiting one although the socket is free */
    assert_int_equal(f->conns[0].sent_n, 0);
    assert_int_equal(session_table_counters(f->t)->must_bytes, 15);
    assert_int_equal(session_table_counters(f->t)->queued, 2);
    assert_exact(2);
    session_on_writable(s);
    assert_int_equal(f->conns[0].sent_n, 2);
    assert_ptr_equal(f->conns[0].sent[0], f->f);
    assert_ptr_equal(f->conns[0].sent[1], other);
    assert_int_equal(session_table_counters(f->t)->must_bytes, 0);
    assert_exact(2);
    fake_conn_clear(&f->conns[0]);
    rr_frame_unref(&other);
}

static void test_writable_stops_when_busy_again(void **state)
{
    struct session *s = open_as(0, 7);

    (void)state;
    f->conns[0].busy = true;
    session_send(s, f->f);
    f->conns[0].wants_write = false;
    session_on_writable(s);
    assert_true(f->conns[0].wants_write); /* asked again */
    assert_int_equal(f->conns[0].sent_n, 0);
    assert_exact(1);
}

static void test_latest_lane(void **state)
{
    struct session *s = open_as(0, 7);

    (void)state;
    f->conns[0].busy = true;
    session_send_latest(s, f->f, 1);
    session_send_latest(s, f->f, 1);
    session_send_latest(s, f->f, 2);
    assert_int_equal(session_table_counters(f->t)->dropped, 1);
    assert_int_equal(session_table_counters(f->t)->queued, 2);
    assert_exact(3);
    for (uint64_t key = 10; key < 30; key++)
        session_send_latest(s, f->f, key);
    assert_int_equal(session_table_counters(f->t)->queued, OUT_LATEST_MAX);
    assert_exact(23);
    assert_int_equal(s->state, SESSION_AUTHED); /* never a reason to close */
    assert_int_equal(session_table_counters(f->t)->must_bytes, 0);
}

static void test_slow_reader_is_closed(void **state)
{
    struct session *s = open_as(0, 7);

    (void)state;
    session_set_state(s, SESSION_JOINED, room_a);
    f->conns[0].busy = true;
    for (int i = 0; i < QUEUE_BYTES / 10; i++)
        session_send(s, f->f);
    assert_int_equal(s->state, SESSION_JOINED);
    session_send_latest(s, f->f, 1);
    assert_exact(11);
    session_send(s, f->f);
    assert_int_equal(s->state, SESSION_CLOSING);
    assert_int_equal(f->conns[0].close_code, CLOSE_SLOW);
    assert_int_equal(f->left_n, 1);
    assert_int_equal(session_table_counters(f->t)->slow_closed, 1);
    assert_int_equal(session_table_counters(f->t)->closed, 12);
    assert_int_equal(session_table_counters(f->t)->queued, 0);
    assert_int_equal(session_table_counters(f->t)->must_bytes, 0);
    assert_exact(12);
    session_send(s, f->f); /* too late, still counted */
    session_send_latest(s, f->f, 1);
    session_on_writable(s);
    assert_int_equal(f->conns[0].sent_n, 0);
    assert_exact(14);
}

static void test_who_waits_too_long_is_closed(void **state)
{
    struct session *s = open_as(0, 7);
    struct session *idle = open_as(1, 8);

    (void)state;
    session_table_set_queue(f->t, 1000, 5000);
    session_table_set_now(f->t, 1000);
    f->conns[0].busy = true;
    session_send(s, f->f);
    session_table_set_now(f->t, 3000);
    session_send(s, f->f);
    session_table_set_now(f->t, 5999);
    session_expire(s);
    assert_int_equal(s->state, SESSION_AUTHED);
    f->conns[0].busy = false; /* the first one leaves: the second waits since 3000 */
    f->conns[0].broken = false;
    session_on_writable(s);
    f->conns[0].busy = true;
    session_send(s, f->f);
    session_table_set_now(f->t, 10998);
    session_expire(s);
    assert_int_equal(s->state, SESSION_AUTHED);
    session_table_set_now(f->t, 10999);
    session_expire(s);
    session_expire(idle); /* nothing waits for him */
    assert_int_equal(idle->state, SESSION_AUTHED);
    assert_int_equal(f->conns[0].close_code, CLOSE_SLOW);
    assert_int_equal(session_table_counters(f->t)->slow_closed, 1);
    assert_exact(3);
}

static void test_old_latest_frames_are_dropped(void **state)
{
    struct session *s = open_as(0, 7);

    (void)state;
    session_table_set_queue(f->t, 1000, 5000);
    session_table_set_now(f->t, 1000);
    f->conns[0].busy = true;
    session_send_latest(s, f->f, 1);
    session_send_latest(s, f->f, 2);
    session_table_set_now(f->t, 4000);
    session_send_latest(s, f->f, 2); /* a new frame of an old key is new */
    session_table_set_now(f->t, 6000);
    session_expire(s);
    assert_int_equal(s->state, SESSION_AUTHED);
    assert_int_equal(session_table_counters(f->t)->dropped, 2);
    assert_int_equal(session_table_counters(f->t)->queued, 1);
    assert_exact(3);
    f->conns[0].busy = false;
    session_on_writable(s);
    assert_int_equal(f->conns[0].sent_n, 1);
    assert_exact(3);
}

static void test_no_bound_no_age(void **state)
{
    struct session *s = open_as(0, 7);

    (void)state;
    f->conns[0].busy = true;
    session_send(s, f->f);
    session_table_set_now(f->t, INT64_MAX / 2);
    session_expire(s);
    assert_int_equal(s->state, SESSION_AUTHED);
}

static void test_broken_socket(void **state)
{
    struct session *s = open_as(0, 7);

    (void)state;
    f->conns[0].broken = true;
    session_send(s, f->f);
    assert_exact(1);
    session_destroy(s); /* the transport's close callback */
    assert_int_equal(session_table_counters(f->t)->closed, 1);
    assert_exact(1);
}

static void test_close_keeps_the_first_code(void **state)
{
    struct session *s = open_as(0, 0);

    (void)state;
    session_close(s, CLOSE_EXPIRED);
    session_close(s, CLOSE_NORMAL);
    assert_int_equal(f->conns[0].close_code, CLOSE_EXPIRED);
    assert_int_equal(f->conns[0].closes, 1);
}

static void test_queue_bytes_can_change(void **state)
{
    struct session *s = open_as(0, 7);

    (void)state;
    session_table_set_queue(f->t, 15, 0);
    f->conns[0].busy = true;
    session_send(s, f->f);
    session_send(s, f->f);
    assert_int_equal(f->conns[0].close_code, CLOSE_SLOW);
}

/* Random sends, drains, stalls and closes: the sum holds after every step. */
/* ---- answers in bursts ---- */

static void test_answers_wait_for_the_burst(void **state)
{
    struct session *a = open_as(0, 7);
    struct session *b = open_as(1, 8);

    (void)state;
    session_reply(a, f->f);
    session_reply(b, f->f);
    assert_int_equal(f->conns[0].sent_n + f->conns[1].sent_n, 0);
    assert_int_equal(session_table_counters(f->t)->queued, 2);
    assert_exact(2);
    session_table_flush(f->t);
    assert_int_equal(f->conns[0].sent_n, 1);
    assert_int_equal(f->conns[1].sent_n, 1);
    assert_int_equal(session_table_counters(f->t)->queued, 0);
    assert_exact(2);
    session_table_flush(f->t); /* nothing twice */
    assert_exact(2);
    assert_int_equal(f->conns[0].sent_n, 1);
}

static void test_a_full_burst_is_written(void **state)
{
    struct session *s = open_as(0, 7);

    (void)state;
    for (int i = 0; i < BURST - 1; i++)
        session_reply(s, f->f);
    assert_int_equal(f->conns[0].sent_n, 0);
    session_reply(s, f->f);
    assert_int_equal(f->conns[0].sent_n, BURST);
    assert_exact(BURST);
}

static void test_nothing_overtakes_an_answer(void **state)
{
    struct session *s = open_as(0, 7);
    struct rr_frame *answer = rr_frame_create("answer", 6, FAKE_HEADROOM);

    (void)state;
    session_reply(s, answer);
    session_send_latest(s, f->f, 1);
    assert_int_equal(f->conns[0].sent_n, 2);
    assert_ptr_equal(f->conns[0].sent[0], answer);
    session_reply(s, answer);
    session_send(s, f->f);
    assert_int_equal(f->conns[0].sent_n, 4);
    assert_ptr_equal(f->conns[0].sent[2], answer);
    f->conns[0].busy = true;
    session_send(s, f->f);
    session_reply(s, answer); /* behind what waits already */
    session_table_flush(f->t);
    f->conns[0].busy = false;
    session_on_writable(s);
    assert_int_equal(f->conns[0].sent_n, 6);
    assert_ptr_equal(f->conns[0].sent[5], answer);
    assert_exact(6);
    fake_conn_clear(&f->conns[0]);
    rr_frame_unref(&answer);
}

static void test_an_answer_arrives_before_the_close(void **state)
{
    struct session *s = open_as(0, 7);

    (void)state;
    session_reply(s, f->f);
    session_close(s, CLOSE_BANNED);
    assert_int_equal(f->conns[0].sent_n, 1);
    assert_int_equal(f->conns[0].close_code, CLOSE_BANNED);
    assert_exact(1);
}

static void test_an_answer_to_nobody(void **state)
{
    struct session *s = open_as(0, 7);

    (void)state;
    session_reply(s, f->f);
    session_reply(s, f->f);
    session_destroy(s); /* the socket is gone */
    assert_int_equal(session_table_counters(f->t)->closed, 2);
    assert_int_equal(session_table_counters(f->t)->queued, 0);
    s = open_as(1, 8); /* in the same slot */
    session_table_flush(f->t);
    assert_int_equal(f->conns[0].sent_n + f->conns[1].sent_n, 0);
    assert_exact(2);
    session_reply(s, f->f); /* waits when the table ends: the reference is given back */
}

static void test_an_answer_moves_into_the_account(void **state)
{
    struct session *s = open_as(0, 7);
    struct delivery room = {0};

    (void)state;
    session_reply(s, f->f);
    session_set_account(s, &room);
    assert_int_equal(room.expected, 1);
    assert_int_equal(room.queued, 1);
    session_table_flush(f->t);
    assert_int_equal(room.expected, 1);
    assert_int_equal(room.sent, 1);
    assert_int_equal(room.queued, 0);
    session_reply(s, f->f);
    session_set_account(s, NULL);
    assert_int_equal(room.expected, 2);
    assert_int_equal(room.closed, 1);
    assert_int_equal(room.queued, 0);
}

static void test_a_slow_reader_s_burst(void **state)
{
    struct session *s = open_as(0, 7);
    struct rr_frame *big =
        rr_frame_create("0123456789012345678901234567890123456789012345678901234567890123456789",
                        70, FAKE_HEADROOM);

    (void)state;
    session_reply(s, big);
    session_reply(s, big);
    f->conns[0].busy = true;
    session_table_flush(f->t); /* the second does not fit into his queue */
    assert_int_equal(s->state, SESSION_CLOSING);
    assert_int_equal(session_table_counters(f->t)->slow_closed, 1);
    assert_int_equal(session_table_counters(f->t)->queued, 0);
    assert_exact(2);
    rr_frame_unref(&big);
}

static void test_counters_are_exact_at_any_instant(void **state)
{
    struct session *s[SOCKETS];
    uint64_t expected = 0;
    uint64_t x = 42;

    (void)state;
    for (int i = 0; i < SOCKETS; i++)
        s[i] = open_as(i, i + 1);
    for (int step = 0; step < 20000; step++) {
        int i = 0;

        x = x * UINT64_C(6364136223846793005) + 1442695040888963407u;
        i = (int)(x >> 33) % SOCKETS;
        switch ((x >> 40) % 16) {
        case 0: f->conns[i].busy = !f->conns[i].busy; break;
        case 1: session_on_writable(s[i]); break;
        case 2:
            if ((x >> 50) % 16 == 0) {
                session_destroy(s[i]);
                fake_conn_clear(&f->conns[i]);
                f->conns[i] = (struct fake_conn){0};
                s[i] = open_as(i, i + 1);
            }
            break;
        case 3:
        case 4:
        case 5:
            session_send_latest(s[i], f->f, (x >> 45) % 12);
            expected++;
            break;
        case 6:
        case 7:
        case 8:
            session_reply(s[i], f->f);
            expected++;
            break;
        case 9: session_table_flush(f->t); break;
        default: session_send(s[i], f->f); expected++;
        }
        assert_exact(expected);
    }
    assert_true(session_table_counters(f->t)->slow_closed > 0);
    assert_true(session_table_counters(f->t)->sent > 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_life),
        TEST(test_destroy_from_any_state),
        TEST(test_ids_are_not_reused),
        TEST(test_table_grows),
        TEST(test_impossible_transitions),
        TEST(test_user_index),
        TEST(test_user_index_of_many),
        TEST(test_size),
        TEST(test_may_enter),
        TEST(test_send_goes_out_at_once),
        TEST(test_busy_socket_queues_in_order),
        TEST(test_writable_stops_when_busy_again),
        TEST(test_latest_lane),
        TEST(test_slow_reader_is_closed),
        TEST(test_who_waits_too_long_is_closed),
        TEST(test_old_latest_frames_are_dropped),
        TEST(test_no_bound_no_age),
        TEST(test_broken_socket),
        TEST(test_close_keeps_the_first_code),
        TEST(test_queue_bytes_can_change),
        TEST(test_answers_wait_for_the_burst),
        TEST(test_a_full_burst_is_written),
        TEST(test_nothing_overtakes_an_answer),
        TEST(test_an_answer_arrives_before_the_close),
        TEST(test_an_answer_to_nobody),
        TEST(test_an_answer_moves_into_the_account),
        TEST(test_a_slow_reader_s_burst),
        TEST(test_counters_are_exact_at_any_instant),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
