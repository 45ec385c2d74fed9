/* PROXY protocol v2: whole headers, every cut, every wrong byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "base/proxy_header.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

struct bytes {
    char p[RR_PROXY_MAX_BYTES + 64];
    size_t n;
};

/* A header with these fields; what is announced may differ from what follows. */
static struct bytes header(char command, char family, size_t announced, const char *rest, size_t n)
{
    struct bytes b = {.n = RR_PROXY_FIXED_BYTES + n};

    memcpy(b.p, SIGNATURE, 12);
    b.p[12] = command;
    b.p[13] = family;
    b.p[14] = (char)(announced >> 8);
    b.p[15] = (char)announced;
    memcpy(b.p + RR_PROXY_FIXED_BYTES, rest, n);
    return b;
}

static const char v4_ends[] = "\xcb\x00\x71\x07\x7f\x00\x00\x01\x12\x34\x01\xbb";

static struct bytes v4(void)
{
    return header(0x21, 0x11, 12, v4_ends, 12);
}

static enum rr_err parse(const struct bytes *b, struct rr_proxy_header *h)
{
    size_t need = 0;

    return rr_proxy_parse(rr_slice_of(b->p, b->n), h, &need);
}

static void assert_client(const struct bytes *b, const char *text)
{
    struct rr_proxy_header h;
    struct rr_ip want;

    assert_int_equal(parse(b, &h), RR_OK);
    assert_true(h.has_client);
    assert_true(rr_ip_parse(&want, text));
    assert_true(rr_ip_equal(&h.client, &want));
}

static void assert_nobody(const struct bytes *b)
{
    struct rr_proxy_header h;

    assert_int_equal(parse(b, &h), RR_OK);
    assert_false(h.has_client);
    assert_true(rr_ip_none(&h.client));
}

static void assert_refused(const struct bytes *b, enum rr_err err, const char *fault)
{
    struct rr_proxy_header h;

    assert_int_equal(parse(b, &h), err);
    assert_false(h.has_client);
    assert_non_null(h.fault);
    assert_non_null(strstr(h.fault, fault));
}

static void clients(void **state)
{
    char rest[520] = {0};
    struct bytes b = v4();

    (void)state;
    assert_client(&b, "203.0.113.7");
    memcpy(rest, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07", 16);
    b = header(0x21, 0x21, 36, rest, 36);
    assert_client(&b, "2001:db8::7");
    /* TLVs are skipped, up to the bound. */
    memcpy(rest, v4_ends, 12);
    b = header(0x21, 0x11, 520, rest, 520);
    assert_client(&b, "203.0.113.7");
}

static void nobody(void **state)
{
    char rest[216] = {0};
    struct bytes b = header(0x20, 0x00, 0, "", 0);

    (void)state;
    assert_nobody(&b);
    b = header(0x20, 0x11, 12, v4_ends, 12); /* LOCAL: its addresses mean nothing */
    assert_nobody(&b);
    b = header(0x20, 0x7f, 3, "abc", 3);
    assert_nobody(&b);
    b = header(0x21, 0x00, 4, "abcd", 4);
    assert_nobody(&b);
    b = header(0x21, 0x31, 216, rest, 216);
    assert_nobody(&b);
    b = header(0x21, 0x21, 36, rest, 36); /* from :: */
    assert_nobody(&b);
}

static void refused(void **state)
{
    struct bytes b = v4();

    (void)state;
    b.p[12] = 0x11;
    assert_refused(&b, RR_MALFORMED, "another version");
    b.p[12] = 0x22;
    assert_refused(&b, RR_MALFORMED, "command");
    b = header(0x21, 0x12, 12, v4_ends, 12);
    assert_refused(&b, RR_MALFORMED, "family");
    b = header(0x21, 0x41, 12, v4_ends, 12);
    assert_refused(&b, RR_MALFORMED, "family");
    b = header(0x21, 0x11, 11, v4_ends, 11);
    assert_refused(&b, RR_MALFORMED, "too short");
    b = header(0x21, 0x21, 12, v4_ends, 12);
    assert_refused(&b, RR_MALFORMED, "too short");
    b = header(0x21, 0x11, 521, v4_ends, 12);
    assert_refused(&b, RR_TOO_BIG, "536");
    b = header(0x20, 0x00, 0xffff, "", 0);
    assert_refused(&b, RR_TOO_BIG, "536");
    b = (struct bytes){.n = 8};
    memcpy(b.p, "GET /ws ", 8);
    assert_refused(&b, RR_MALFORMED, "no PROXY");
    memcpy(b.p, "PROXY TC", 8);
    assert_refused(&b, RR_MALFORMED, "version 1");
    memcpy(b.p, "\x16\x03\x01\x00\xc8\x01\x00\x00", 8); /* a ClientHello */
    assert_refused(&b, RR_MALFORMED, "no PROXY");
}

/* Cut anywhere it asks for more, never for a byte behind its end, and always the same in the end. */
static void every_cut(void **state)
{
    struct bytes whole = v4();
    struct rr_proxy_header h;
    size_t need = 0;

    (void)state;
    for (size_t n = 0; n < whole.n; n++) {
        assert_int_equal(rr_proxy_parse(rr_slice_of(whole.p, n), &h, &need), RR_PENDING);
        assert_true(need > n && need <= whole.n);
        assert_false(h.has_client);
    }
    whole.n += 5; /* what follows is not its own */
    assert_int_equal(rr_proxy_parse(rr_slice_of(whole.p, whole.n), &h, &need), RR_OK);
    assert_int_equal(need, 28);
}

/* The signature is refused at its first wrong byte. */
static void every_wrong_byte(void **state)
{
    struct rr_proxy_header h;
    size_t need = 0;

    (void)state;
    for (size_t at = 0; at < 12; at++) {
        for (int x = 1; x < 256; x++) {
            struct bytes b = v4();

            b.p[at] = (char)(b.p[at] ^ x);
            assert_int_equal(rr_proxy_parse(rr_slice_of(b.p, at), &h, &need), RR_PENDING);
            assert_int_equal(rr_proxy_parse(rr_slice_of(b.p, at + 1), &h, &need), RR_MALFORMED);
            assert_refused(&b, RR_MALFORMED, "");
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients),   cmocka_unit_test(nobody),           cmocka_unit_test(refused),
        cmocka_unit_test(every_cut), cmocka_unit_test(every_wrong_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
