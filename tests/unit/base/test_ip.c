#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/ip.h"

static struct rr_ip ip(const char *text)
{
    struct rr_ip a;

    assert_true(rr_ip_parse(&a, text));
    return a;
}

static void parse_and_print(void **state)
{
    static const char *const texts[][2] = {
        {"203.0.113.7", "203.0.113.7"},
        {"::ffff:203.0.113.7", "203.0.113.7"},
        {"2001:db8::1", "2001:db8::1"},
        {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
        {"::1", "::1"},
        {"0.0.0.0", "0.0.0.0"},
    };
    static const char *const wrong[] = {
        "",           "1.2.3",     "1.2.3.4.5", "256.1.1.1",    "1.2.3.4 ",
        " 1.2.3.4",   "1.2.3.4/8", "::1%lo",    "2001:db8:::1", "g::1",
        "1.2.3.4:80", "[::1]",     "unknown",   "01.2.3.4x",    "1.2.3.-4"};
    char out[RR_IP_TEXT];

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(texts); i++) {
        struct rr_ip a = ip(texts[i][0]);

        rr_ip_print(&a, out);
        assert_string_equal(out, texts[i][1]);
    }
    for (size_t i = 0; i < RR_COUNTOF(wrong); i++) {
        struct rr_ip a;

        assert_false(rr_ip_parse(&a, wrong[i]));
    }
    rr_ip_print(&(struct rr_ip){{0}}, out);
    assert_string_equal(out, "");
}

static void of_sockets(void **state)
{
    struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr un = {.sa_family = AF_UNIX};
    struct rr_ip a;
    struct rr_ip b = ip("127.0.0.2");

    (void)state;
    rr_ip_of_sockaddr(&a, (struct sockaddr *)&in4);
    assert_true(rr_ip_equal(&a, &b));
    rr_ip_of_sockaddr(&a, (struct sockaddr *)&in6);
    b = ip("::1");
    assert_true(rr_ip_equal(&a, &b));
    rr_ip_of_sockaddr(&a, &un);
    assert_true(rr_ip_none(&a));
}

static void networks(void **state)
{
    static const struct {
        const char *nets;
        const char *in;
        const char *out;
    } rows[] = {
        {"10.0.0.0/8", "10.255.1.2", "11.0.0.1"},
        {"10.0.0.0/8", "::ffff:10.0.0.1", "::a00:1"},
        {"127.0.0.1", "127.0.0.1", "127.0.0.2"},
        {"192.168.4.128/25", "192.168.4.200", "192.168.4.127"},
        {"0.0.0.0/0", "8.8.8.8", "2001:db8::1"},
        {"fd00::/8", "fdff::1", "fe00::1"},
        {"2001:db8:1:2::/64", "2001:db8:1:2:ffff::", "2001:db8:1:3::"},
        {"::/0", "1.2.3.4", NULL},
        {" 10.0.0.0/8 ,fd00::/8, 1.2.3.4", "1.2.3.4", "1.2.3.5"},
        {"", NULL, "127.0.0.1"},
    };
    static const char *const wrong[] = {
        "10.0.0.0/33",  "10.0.0.1/8",     "fd00::/129",  "10.0.0.0/",  "10.0.0.0/x",
        "10.0.0.0/8/8", "10.0.0.0/-1",    "10.0.0.0/ 8", "10/8",       "localhost",
        "::1/+64",      "2001:db8::1/64", "10.0.0.0//8", "fd00::/08x", "1.2.3.4;::1"};
    struct rr_ip_nets nets;
    char many[2000] = "";

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(rows); i++) {
        struct rr_ip a;

        assert_int_equal(rr_ip_nets_parse(&nets, rows[i].nets), RR_OK);
        if (rows[i].in) {
            a = ip(rows[i].in);
            assert_true(rr_ip_nets_have(&nets, &a));
        }
        if (rows[i].out) {
            a = ip(rows[i].out);
            assert_false(rr_ip_nets_have(&nets, &a));
        }
    }
    for (size_t i = 0; i < RR_COUNTOF(wrong); i++)
        assert_int_equal(rr_ip_nets_parse(&nets, wrong[i]), RR_CONFIG);
    for (int i = 0; i < RR_IP_NETS_MAX; i++)
        strcat(many, "1.2.3.4,");
    assert_int_equal(rr_ip_nets_parse(&nets, many), RR_OK);
    strcat(many, "1.2.3.4");
    assert_int_equal(rr_ip_nets_parse(&nets, many), RR_CONFIG);
}

static void who_the_client_is(void **state)
{
    static const struct {
        const char *peer;
        const char *header;
        const char *client;
    } rows[] = {
        /* nobody we trust: the header is the client's own invention */
        {"203.0.113.7", "1.1.1.1", "203.0.113.7"},
        {"203.0.113.7", "10.0.0.1", "203.0.113.7"},
        {"203.0.113.7", "", "203.0.113.7"},
        /* one proxy */
        {"10.0.0.1", "198.51.100.9", "198.51.100.9"},
        {"10.0.0.1", "1.1.1.1, 198.51.100.9", "198.51.100.9"},
        {"10.0.0.1", "10.0.0.9, 198.51.100.9", "198.51.100.9"},
        {"10.0.0.1", "2001:db8::5", "2001:db8::5"},
        {"10.0.0.1", " 198.51.100.9 ", "198.51.100.9"},
        {"10.0.0.1", "198.51.100.9:4711", "198.51.100.9"},
        {"10.0.0.1", "[2001:db8::5]:4711", "2001:db8::5"},
        {"10.0.0.1", "[2001:db8::5]", "2001:db8::5"},
        /* two, the outer one appended by the inner */
        {"10.0.0.1", "198.51.100.9, 10.0.0.2", "198.51.100.9"},
        {"10.0.0.1", "1.1.1.1, 198.51.100.9, 10.0.0.2, 10.0.0.3", "198.51.100.9"},
        /* only proxies: the first of them */
        {"10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"},
        /* what is no address ends the walk at the hop that sent it */
        {"10.0.0.1", "", "10.0.0.1"},
        {"10.0.0.1", "unknown", "10.0.0.1"},
        {"10.0.0.1", "198.51.100.9, ", "10.0.0.1"},
        {"10.0.0.1", "198.51.100.9,, 10.0.0.2", "10.0.0.2"},
        {"10.0.0.1", "198.51.100.9, _hidden, 10.0.0.2", "10.0.0.2"},
        {"10.0.0.1", "198.51.100.9, 1.2.3.4:abc", "10.0.0.1"},
        {"10.0.0.1", "198.51.100.9, [::1", "10.0.0.1"},
        {"10.0.0.1", "198.51.100.9, [::1]x", "10.0.0.1"},
        {"10.0.0.1", ",", "10.0.0.1"},
        {"10.0.0.1",
         "1.1.1.1, "
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "10.0.0.1"},
    };
    struct rr_ip_nets trusted;

    (void)state;
    assert_int_equal(rr_ip_nets_parse(&trusted, "10.0.0.0/8"), RR_OK);
    for (size_t i = 0; i < RR_COUNTOF(rows); i++) {
        struct rr_ip peer = ip(rows[i].peer);
        struct rr_ip got = rr_ip_client(&peer, rr_slice_str(rows[i].header), &trusted);
        char text[RR_IP_TEXT];

        rr_ip_print(&got, text);
        assert_string_equal(text, rows[i].client);
    }
}

/* A header of a proxy is bounded only by lws: any bytes, no overrun, and the peer's word at least. */
static void any_bytes(void **state)
{
    struct rr_ip_nets trusted;
    struct rr_ip peer = ip("10.0.0.1");
    uint32_t x = 1;
    static const char letters[] = "0123456789abcdef.:,[] %\t\0x";

    (void)state;
    assert_int_equal(rr_ip_nets_parse(&trusted, "10.0.0.0/8"), RR_OK);
    for (int i = 0; i < 20000; i++) {
        char *bytes = malloc(64);
        size_t n = 0;

        for (n = 0; n < 64 && (x >> 28) != 0; n++) {
            x = x * 1664525u + 1013904223u;
            bytes[n] = letters[(x >> 8) % (sizeof(letters) - 1)];
        }
        x = x * 1664525u + 1013904223u;
        char *exact = malloc(n ? n : 1);
        memcpy(exact, bytes, n);
        struct rr_ip got = rr_ip_client(&peer, rr_slice_of(exact, n), &trusted);
        assert_true(!rr_ip_none(&got) || n > 1);
        free(exact);
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_and_print), cmocka_unit_test(of_sockets),
        cmocka_unit_test(networks),        cmocka_unit_test(who_the_client_is),
        cmocka_unit_test(any_bytes),
    };
    return cmocka_run_group_tests_name("ip", tests, NULL, NULL);
}
