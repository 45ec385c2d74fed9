#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ws_client.h"

/* A client against a peer whose bytes the test writes by hand. */
struct fixture {
    struct ws_net net;
    struct ws_client ws;
    int listener;
    int peer;
    int opened, closed, messages;
    int close_code;
    char last[4096];
    size_t last_len;
};

static struct fixture *fix;

static void on_open(struct ws_client *ws)
{
    (void)ws;
    fix->opened++;
}

static void on_message(struct ws_client *ws, struct rr_slice bytes)
{
    (void)ws;
    fix->messages++;
    fix->last_len = bytes.len < sizeof(fix->last) ? bytes.len : sizeof(fix->last);
    memcpy(fix->last, bytes.p, fix->last_len);
}

static void on_closed(struct ws_client *ws, int code)
{
    assert_int_equal(ws->fd, -1);
    fix->closed++;
    fix->close_code = code;
}

static int setup(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    char url[64];

    fix = calloc(1, sizeof(*fix));
    fix->peer = -1;
    fix->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fix->listener, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fix->listener, 4), 0);
    assert_int_equal(getsockname(fix->listener, (struct sockaddr *)&at, &len), 0);
    snprintf(url, sizeof(url), "ws://127.0.0.1:%d/ws", ntohs(at.sin_port));
    assert_int_equal(ws_net_init(&fix->net, url, "http://origin.test"), RR_OK);
    assert_true(fix->net.loopback);
    fix->net.subprotocol = "redrain.v1";
    fix->net.on = (struct ws_handlers){on_open, on_message, on_closed};
    fix->ws = (struct ws_client){.net = &fix->net, .fd = -1};
    *state = fix;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ws_client_fini(&fix->ws);
    ws_net_fini(&fix->net);
    close(fix->listener);
    if (fix->peer >= 0)
        close(fix->peer);
    free(fix);
    return 0;
}

/* Serves one batch of events; fails the test when none comes within 5 s. */
static void serve(void)
{
    struct epoll_event ev[4];
    int n = epoll_wait(fix->net.epoll_fd, ev, 4, 5000);
    assert_true(n > 0);
    for (int i = 0; i < n; i++)
        ws_client_event(ev[i].data.ptr, ev[i].events);
}

static void peer_says(const void *bytes, size_t len)
{
    assert_int_equal(send(fix->peer, bytes, len, MSG_NOSIGNAL), len);
}

static size_t peer_hears(char *buf, size_t cap)
{
    ssize_t n = recv(fix->peer, buf, cap, 0);
    assert_true(n >= 0);
    return (size_t)n;
}

static void request(char *head, size_t cap)
{
    assert_int_equal(ws_client_open(&fix->ws, 0x7f000005), RR_OK);
    struct sockaddr_in from;
    socklen_t len = sizeof(from);
    fix->peer = accept(fix->listener, (struct sockaddr *)&from, &len);
    assert_true(fix->peer >= 0);
    assert_int_equal(ntohl(from.sin_addr.s_addr), 0x7f000005);
    serve();
    head[peer_hears(head, cap - 1)] = 0;
}

static void answer(const char *accept_key, const char *protocol)
{
    char head[512];
    int n = snprintf(head, sizeof(head),
                     "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n"
                     "Sec-WebSocket-Protocol:%s \r\n\r\n",
                     accept_key, protocol);
    peer_says(head, (size_t)n);
}

static void upgrade(void)
{
    char head[1024];
    request(head, sizeof(head));
    answer(fix->ws.accept, "redrain.v1");
    serve();
    assert_int_equal(fix->opened, 1);
}

static void asks_for_the_upgrade_with_protocol_and_origin(void **state)
{
    (void)state;
    char head[1024];
    request(head, sizeof(head));
    assert_non_null(strstr(head, "GET /ws HTTP/1.1\r\n"));
    assert_non_null(strstr(head, "\r\nSec-WebSocket-Protocol: redrain.v1\r\n"));
    assert_non_null(strstr(head, "\r\nOrigin: http://origin.test\r\n"));
    assert_non_null(strstr(head, "\r\nSec-WebSocket-Version: 13\r\n"));
    answer(fix->ws.accept, "redrain.v1");
    serve();
    assert_int_equal(fix->opened, 1);
}

static void refuses_a_wrong_accept_or_protocol(void **state)
{
    (void)state;
    char head[1024];
    request(head, sizeof(head));
    answer("AAAAAAAAAAAAAAAAAAAAAAAAAAA=", "redrain.v1");
    while (!fix->closed)
        serve();
    close(fix->peer);
    request(head, sizeof(head));
    answer(fix->ws.accept, "other");
    while (fix->closed < 2)
        serve();
    assert_int_equal(fix->opened, 0);
}

static void reports_the_status_of_a_refused_upgrade(void **state)
{
    (void)state;
    char head[1024];
    const char *no = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
    request(head, sizeof(head));
    peer_says(no, strlen(no));
    while (!fix->closed)
        serve();
    assert_int_equal(fix->close_code, -403);
}

static void takes_messages_cut_anywhere(void **state)
{
    (void)state;
    const char frame[] = "\x82\x05hello";
    upgrade();
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(fix->messages, 0);
        peer_says(frame + i, 1);
        serve();
    }
    assert_int_equal(fix->messages, 1);
    assert_memory_equal(fix->last, "hello", 5);
    peer_says("\x82\x01"
              "a"
              "\x82\x01"
              "b"
              "\x82\x01",
              8);
    serve();
    assert_int_equal(fix->messages, 3);
    peer_says("c", 1);
    serve();
    assert_int_equal(fix->messages, 4);
    assert_memory_equal(fix->last, "c", 1);
}

static void joins_fragments_around_a_ping(void **state)
{
    (void)state;
    char got[64];
    upgrade();
    peer_says("\x02\x02"
              "ab"
              "\x89\x01"
              "p"
              "\x00\x01"
              "c"
              "\x80\x01"
              "d",
              13);
    serve();
    assert_int_equal(fix->messages, 1);
    assert_int_equal(fix->last_len, 4);
    assert_memory_equal(fix->last, "abcd", 4);
    assert_int_equal(peer_hears(got, sizeof(got)), 2 + 4 + 1);
    assert_int_equal((uint8_t)got[0], 0x8a); /* pong with the ping's payload, masked */
    assert_int_equal(got[6] ^ got[2], 'p');
}

static void takes_a_message_that_came_with_the_upgrade(void **state)
{
    (void)state;
    char head[1024];
    char both[512];
    request(head, sizeof(head));
    int n = snprintf(both, sizeof(both),
                     "HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n"
                     "Sec-WebSocket-Protocol: redrain.v1\r\n\r\n\x82\x02hi",
                     fix->ws.accept);
    peer_says(both, (size_t)n);
    serve();
    assert_int_equal(fix->opened, 1);
    assert_int_equal(fix->messages, 1);
}

static void reports_the_peers_close_code(void **state)
{
    (void)state;
    char got[64];
    upgrade();
    peer_says("\x88\x02\x0f\xa1", 4); /* 4001 */
    serve();
    assert_int_equal(peer_hears(got, sizeof(got)), 2 + 4 + 2); /* the close is answered */
    while (!fix->closed)
        serve();
    assert_int_equal(fix->close_code, 4001);
    assert_int_equal(fix->closed, 1);
}

static void closes_on_text_and_on_a_stray_continuation(void **state)
{
    (void)state;
    upgrade();
    peer_says("\x81\x01x", 3);
    while (!fix->closed)
        serve();
    assert_int_equal(fix->messages, 0);
    close(fix->peer);
    fix->opened = 0;
    upgrade();
    peer_says("\x80\x01x", 3);
    while (fix->closed < 2)
        serve();
    assert_int_equal(fix->messages, 0);
}

static void reports_a_dead_peer_once(void **state)
{
    (void)state;
    upgrade();
    close(fix->peer);
    fix->peer = -1;
    while (!fix->closed)
        serve();
    assert_int_equal(fix->close_code, WS_GONE);
    ws_client_send(&fix->ws, rr_slice_str("x")); /* harmless */
    ws_client_close(&fix->ws, 1000);
    assert_int_equal(fix->closed, 1);
}

static void still_reads_after_its_own_close(void **state)
{
    (void)state;
    char got[64];
    upgrade();
    ws_client_close(&fix->ws, 1000);
    ws_client_send(&fix->ws, rr_slice_str("late")); /* not sent any more */
    assert_int_equal(peer_hears(got, sizeof(got)), 2 + 4 + 2);
    assert_int_equal(peer_hears(got, sizeof(got)), 0);
    peer_says("\x82\x01z\x88\x02\x03\xe8", 7);
    while (!fix->closed)
        serve();
    assert_int_equal(fix->messages, 1);
    assert_int_equal(fix->close_code, 1000);
}

static void refuses_bad_urls(void **state)
{
    (void)state;
    const char *bad[] = {"http://127.0.0.1/", "ws://", "ws:///ws", "ws://127.0.0.1:notaport/ws"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct ws_net net;
        assert_int_equal(ws_net_init(&net, bad[i], NULL), RR_CONFIG);
        ws_net_fini(&net);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(asks_for_the_upgrade_with_protocol_and_origin),
        T(refuses_a_wrong_accept_or_protocol),
        T(reports_the_status_of_a_refused_upgrade),
        T(takes_messages_cut_anywhere),
        T(joins_fragments_around_a_ping),
        T(takes_a_message_that_came_with_the_upgrade),
        T(reports_the_peers_close_code),
        T(closes_on_text_and_on_a_stray_continuation),
        T(reports_a_dead_peer_once),
        T(still_reads_after_its_own_close),
        cmocka_unit_test(refuses_bad_urls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
