/* A frame cut at every byte, with lws' own control frames in between: the receiver still reads every frame whole and in order.
 * The kernel is a number of bytes it still takes; lws is what it holds back. */
#include "../room/cm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "room/session.h"
#include "ws_direct.h"

enum { HEADROOM = 16, FRAMES = 6, PONG = 0x8a };

struct socket {
    size_t takes; /* bytes the kernel still takes */
    bool dead;
    bool deaf_lws; /* lws cannot keep the rest */
    bool wants_write;
    int closes;
    struct rr_buf wire; /* what the receiver gets */
    struct rr_buf held; /* what lws keeps back */
};

static size_t kernel_take(struct socket *k, const uint8_t *p, size_t n)
{
    size_t took = n < k->takes ? n : k->takes;

    rr_buf_append(&k->wire, p, took);
    k->takes -= took;
    return took;
}

/* ---- the port ---- */

static bool fake_held(void *conn)
{
    return ((struct socket *)conn)->held.len > 0;
}

static ssize_t fake_send(void *conn, const uint8_t *p, size_t n)
{
    struct socket *k = conn;
    size_t took = 0;

    errno = k->dead ? ECONNRESET : EAGAIN;
    if (k->dead)
        return -1;
    took = kernel_take(k, p, n);
    return took ? (ssize_t)took : -1;
}

/* As lws_issue_raw(): behind what it holds, else to the socket, and what that does not take is held. */
static bool fake_hold(void *conn, uint8_t *p, size_t n)
{
    struct socket *k = conn;
    size_t took = k->held.len ? 0 : kernel_take(k, p, n);

    if (k->deaf_lws)
        return false;
    rr_buf_append(&k->held, p + took, n - took);
    return true;
}

static const struct direct_port port = {.held = fake_held, .send = fake_send, .hold = fake_hold};

/* lws answers a PING by itself, whenever it likes. */
static void lws_pong(struct socket *k)
{
    uint8_t pong[] = {PONG, 3, 'a', 'b', 'c'};

    assert_true(fake_hold(k, pong, sizeof(pong)));
}

/* The socket takes n more bytes: first what lws holds, then it says so. */
static void lws_writable(struct socket *k, struct session *s, size_t n)
{
    size_t took = 0;

    k->takes += n;
    took = kernel_take(k, (const uint8_t *)k->held.p, k->held.len);
    if (took)
        memmove(k->held.p, k->held.p + took, k->held.len - took);
    k->held.len -= took;
    if (k->held.len == 0 && k->wants_write) {
        k->wants_write = false;
        session_on_writable(s);
    }
}

/* ---- sessions on top ---- */

static enum rr_err write_now(void *impl, void *conn, struct rr_frame *frame)
{
    bool cut = false;

    (void)impl;
    return direct_write(&port, conn, frame, &cut);
}

static void want_write(void *impl, void *conn)
{
    (void)impl;
    ((struct socket *)conn)->wants_write = true;
}

static void close_conn(void *impl, void *conn, enum close_code code)
{
    (void)impl;
    (void)code;
    ((struct socket *)conn)->closes++;
}

static const struct transport transport = {
    .headroom = HEADROOM, .write_now = write_now, .want_write = want_write, .close = close_conn};

static struct session_table *table_new(size_t queue_bytes)
{
    return session_table_create(
        &(struct session_table_opts){.transport = &transport, .queue_bytes = queue_bytes});
}

/* The n-th frame: its number in every byte; lengths on both sides of the header's steps. */
static struct rr_frame *frame_new(uint32_t i)
{
    static const size_t len[FRAMES] = {5, 125, 126, 200, 65536, 1};
    uint8_t *bytes = rr_xcalloc(1, len[i]);
    struct rr_frame *f = NULL;

    memset(bytes, (int)('A' + i), len[i]);
    f = rr_frame_create(bytes, len[i], HEADROOM);
    free(bytes);
    return f;
}

/* Parses the whole stream; binary frames must be 0, 1, 2, … each of one letter; counts PONGs. */
static uint32_t receive(const struct rr_buf *wire, uint32_t *pongs)
{
    const uint8_t *p = (const uint8_t *)wire->p;
    size_t at = 0;
    uint32_t n = 0;

    *pongs = 0;
    while (at < wire->len) {
        uint64_t len = p[at + 1];
        size_t head = len == 126 ? 4 : len == 127 ? 10 : 2;

        assert_true(at + head <= wire->len);
        assert_true(p[at] == 0x82 || p[at] == PONG);
        if (head > 2) {
            len = 0;
            for (size_t i = 2; i < head; i++)
                len = len << 8 | p[at + i];
        }
        assert_true(at + head + len <= wire->len);
        if (p[at] == PONG) {
            assert_memory_equal(p + at + 2, "abc", 3);
            ++*pongs;
        } else {
            for (size_t i = 0; i < len; i++)
                assert_int_equal(p[at + head + i], 'A' + (int)n);
            n++;
        }
        at += head + len;
    }
    return n;
}

/* All frames go out with the kernel stopping at byte `stop`, a PONG at the stop, then `step` bytes at a time. */
static void play(size_t stop, size_t step)
{
    struct socket k = {.takes = stop};
    struct session_table *t = table_new(1 << 20);
    struct session *s = session_create(t, &k, 0);
    uint32_t pongs = 0;

    for (uint32_t i = 0; i < FRAMES; i++) {
        struct rr_frame *f = frame_new(i);

        session_send(s, f);
        if (k.takes == 0 && k.held.len)
            lws_pong(&k);
        /* The peer has read some, and lws does not know yet: nobody may overtake what it holds. */
        if (k.held.len)
            k.takes = 9;
        rr_frame_unref(&f);
    }
    for (int turns = 0; k.held.len || k.wants_write; turns++) {
        assert_true(turns < 1000000);
        lws_writable(&k, s, step);
    }
    assert_int_equal(receive(&k.wire, &pongs), FRAMES);
    assert_int_equal(session_table_counters(t)->sent, FRAMES);
    assert_int_equal(session_table_counters(t)->queued, 0);
    session_destroy(s);
    session_table_destroy(t);
    rr_buf_fini(&k.wire);
    rr_buf_fini(&k.held);
}

static void test_cut_at_every_byte(void **state)
{
    (void)state;
    for (size_t stop = 0; stop < 700; stop++)
        play(stop, 4096);
    for (size_t stop = 65536; stop < 66100; stop += 7)
        play(stop, 997);
}

static void test_byte_by_byte(void **state)
{
    (void)state;
    for (size_t stop = 0; stop < 140; stop += 3)
        play(stop, 61);
    play(0, 7);
}

/* Random frames, PONGs, stops and goes. */
static void test_at_random(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct socket k = {0};
        struct session_table *t = table_new(1 << 24);
        struct session *s = session_create(t, &k, 0);
        uint64_t x = seed;
        uint32_t pongs = 0;
        uint32_t ponged = 0;
        uint32_t next = 0;

        for (int i = 0; i < 400; i++) {
            x = x * UINT64_C(6364136223846793005) + 1442695040888963407u;
            if ((x >> 60) < 4 && next < FRAMES) {
                struct rr_frame *f = frame_new(next++);

                session_send(s, f);
                rr_frame_unref(&f);
            } else if ((x >> 60) == 6) {
                k.takes += (x >> 40) % 50;
            } else if ((x >> 60) == 5 && !k.held.len == !(x >> 59 & 1)) {
                lws_pong(&k);
                ponged++;
            } else {
                lws_writable(&k, s, (x >> 33) % 3 ? (x >> 40) % 40 : 0);
            }
        }
        while (k.held.len || k.wants_write)
            lws_writable(&k, s, 5000);
        assert_int_equal(receive(&k.wire, &pongs), next);
        assert_int_equal(pongs, ponged);
        session_destroy(s);
        session_table_destroy(t);
        rr_buf_fini(&k.wire);
        rr_buf_fini(&k.held);
    }
}

static void test_broken(void **state)
{
    struct socket k = {.dead = true};
    struct rr_frame *f = frame_new(3);
    bool cut = false;

    (void)state;
    assert_int_equal(direct_write(&port, &k, f, &cut), RR_CLOSED);
    k = (struct socket){.takes = 10, .deaf_lws = true};
    assert_int_equal(direct_write(&port, &k, f, &cut), RR_CLOSED);
    assert_true(cut);
    rr_buf_fini(&k.wire);
    k = (struct socket){0};
    assert_int_equal(direct_write(&port, &k, f, &cut), RR_BUSY);
    assert_false(cut);
    rr_buf_fini(&k.wire);
    rr_frame_unref(&f);
}

static void test_shared_by_many(void **state)
{
    struct rr_frame *f = frame_new(3);
    struct socket k[3] = {{.takes = 1000}, {.takes = 50}, {.takes = 0}};
    bool cut = false;

    (void)state;
    assert_int_equal(direct_write(&port, &k[0], f, &cut), RR_OK);
    assert_int_equal(direct_write(&port, &k[1], f, &cut), RR_OK);
    assert_true(cut);
    assert_int_equal(direct_write(&port, &k[2], f, &cut), RR_BUSY);
    rr_frame_unref(&f); /* lws has its copy of the rest */
    assert_int_equal(k[0].wire.len, 204);
    assert_int_equal(k[1].wire.len + k[1].held.len, 204);
    assert_memory_equal(k[1].held.p, k[0].wire.p + 50, 154);
    for (int i = 0; i < 3; i++) {
        rr_buf_fini(&k[i].wire);
        rr_buf_fini(&k[i].held);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_at_every_byte), cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_at_random),         cmocka_unit_test(test_broken),
        cmocka_unit_test(test_shared_by_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
