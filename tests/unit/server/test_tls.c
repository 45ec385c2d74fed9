/* Certificates of the public listener: what is taken, what is refused, and a handshake in memory that sees the one in force. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tls.h"

static char dir[] = "/tmp/redrain-tls-XXXXXX";
static char message[600];

static void path_of(char out[100], const char *name, const char *ext)
{
    snprintf(out, 100, "%s/%s.%s", dir, name, ext);
}

static void write_key(const char *path, EVP_PKEY *key, mode_t mode)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(f);
    assert_int_equal(chmod(path, mode), 0);
}

/* dir/name.pem and dir/name.key, signed by itself. */
static void make(const char *name, EVP_PKEY *key, long days)
{
    char path[100];
    X509 *x = X509_new();
    X509_NAME *subject = X509_get_subject_name(x);

    assert_non_null(key);
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), (long)strlen(name));
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(x, subject);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), days * 86400);
    X509_set_pubkey(x, key);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    path_of(path, name, "pem");
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(PEM_write_X509(f, x), 1);
    fclose(f);
    X509_free(x);
    path_of(path, name, "key");
    write_key(path, key, 0600);
    EVP_PKEY_free(key);
}

static enum rr_err load(struct tls **out, const char *cert, const char *key, const char *version)
{
    char flags[3][160];
    const char *list[3] = {flags[0], flags[1], flags[2]};
    struct rr_conf c;
    char path[100];

    path_of(path, cert, "pem");
    snprintf(flags[0], sizeof(flags[0]), "server.tls_cert_file=%s", cert[0] ? path : "");
    path_of(path, key, "key");
    snprintf(flags[1], sizeof(flags[1]), "server.tls_key_file=%s", key[0] ? path : "");
    snprintf(flags[2], sizeof(flags[2]), "server.tls_min_version=%s", version);
    assert_int_equal(rr_conf_load(&c, NULL, list, 3, message, sizeof(message)), RR_OK);
    enum rr_err err = tls_load(out, &c, message, sizeof(message));
    rr_conf_fini(&c);
    return err;
}

static void only_what_works_is_taken(void **state)
{
    static const struct {
        const char *cert;
        const char *key;
        const char *says;
    } wrong[] = {
        {"ec", "", "go together"},         {"", "ec", "go together"},
        {"none", "ec", "No such file"},    {"ec", "none", "No such file"},
        {"ec", "rsa", "another"},          {"small", "small", "OpenSSL refuses it"},
        {"empty", "ec", "no certificate"}, {"ec", "empty", "no private key"},
        {"broken", "ec", "number 2"},      {"ec", "locked", "no private key"},
    };
    struct tls *t = NULL;
    char path[100];

    (void)state;
    assert_int_equal(load(&t, "", "", "1.2"), RR_OK);
    assert_null(t);
    assert_int_equal(load(&t, "ec", "ec", "1.2"), RR_OK);
    assert_true(llabs(tls_expiry_s(t) - (int64_t)time(NULL) - 10 * 86400) < 60);
    tls_free(t);
    /* A chain is as good as its first certificate that expires. */
    assert_int_equal(load(&t, "chain", "ec", "1.2"), RR_OK);
    assert_true(llabs(tls_expiry_s(t) - (int64_t)time(NULL) - 5 * 86400) < 60);
    tls_free(t);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(load(&t, wrong[i].cert, wrong[i].key, "1.2"), RR_CONFIG);
        assert_null(t);
        if (!strstr(message, wrong[i].says))
            fail_msg("%s/%s: %s", wrong[i].cert, wrong[i].key, message);
    }
    path_of(path, "ec", "key");
    for (mode_t bit = 01; bit <= 040; bit <<= 1) {
        assert_int_equal(chmod(path, 0600 | bit), 0);
        assert_int_equal(load(&t, "ec", "ec", "1.2"), RR_CONFIG);
        assert_non_null(strstr(message, "chmod 600"));
    }
    assert_int_equal(chmod(path, 0600), 0);
}

/* One handshake over memory: the name in the server's certificate into cn, "" when there is none. */
static void handshake(SSL_CTX *server_ctx, int client_max, char cn[64])
{
    SSL_CTX *client_ctx = SSL_CTX_new(TLS_client_method());
    BIO *a = NULL;
    BIO *b = NULL;

    assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
    SSL_CTX_set_max_proto_version(client_ctx, client_max);
    SSL *server = SSL_new(server_ctx);
    SSL *client = SSL_new(client_ctx);
    SSL_set_bio(server, a, a);
    SSL_set_bio(client, b, b);
    SSL_set_accept_state(server);
    SSL_set_connect_state(client);
    cn[0] = 0;
    for (int i = 0; i < 10; i++) {
        SSL_do_handshake(client);
        SSL_do_handshake(server);
    }
    X509 *peer = SSL_get1_peer_certificate(client);
    if (SSL_is_init_finished(server) && SSL_is_init_finished(client) && peer)
        X509_NAME_get_text_by_NID(X509_get_subject_name(peer), NID_commonName, cn, 64);
    X509_free(peer);
    SSL_free(server);
    SSL_free(client);
    SSL_CTX_free(client_ctx);
}

static void a_handshake_sees_what_is_in_force(void **state)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    struct tls *current = NULL;
    struct tls *fresh = NULL;
    char cn[64];

    (void)state;
    assert_int_equal(load(&current, "ec", "ec", "1.2"), RR_OK);
    assert_int_equal(tls_context_init(ctx, &current), RR_OK);
    handshake(ctx, TLS1_3_VERSION, cn);
    assert_string_equal(cn, "ec");
    handshake(ctx, TLS1_2_VERSION, cn);
    assert_string_equal(cn, "ec");
    handshake(ctx, TLS1_1_VERSION, cn);
    assert_string_equal(cn, "");
    /* Another kind of key: nothing of the first is left to choose. */
    assert_int_equal(load(&fresh, "rsa", "rsa", "1.3"), RR_OK);
    tls_swap(ctx, &current, fresh);
    handshake(ctx, TLS1_3_VERSION, cn);
    assert_string_equal(cn, "rsa");
    handshake(ctx, TLS1_2_VERSION, cn);
    assert_string_equal(cn, "");
    SSL_CTX_free(ctx);
    tls_free(current);
}

static void append(const char *to, const char *from)
{
    char command[300];

    snprintf(command, sizeof(command), "cat %s/%s >> %s/%s", dir, from, dir, to);
    assert_int_equal(system(command), 0);
}

static int begin(void **state)
{
    char path[100];

    (void)state;
    assert_non_null(mkdtemp(dir));
    make("ec", EVP_EC_gen("P-256"), 10);
    make("five", EVP_EC_gen("P-256"), 5);
    make("rsa", EVP_RSA_gen(2048), 10);
    make("small", EVP_RSA_gen(1024), 10);
    append("chain.pem", "ec.pem");
    append("chain.pem", "five.pem");
    append("empty.pem", "ec.key");
    append("empty.key", "ec.pem");
    append("broken.pem", "ec.pem");
    path_of(path, "broken", "pem");
    FILE *f = fopen(path, "a");
    fputs("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", f);
    fclose(f);
    path_of(path, "locked", "key");
    f = fopen(path, "w");
    EVP_PKEY *key = EVP_EC_gen("P-256");
    assert_int_equal(
        PEM_write_PrivateKey(f, key, EVP_aes_128_cbc(), (unsigned char *)"pw", 2, NULL, NULL), 1);
    fclose(f);
    EVP_PKEY_free(key);
    chmod(path, 0600);
    path_of(path, "empty", "key");
    chmod(path, 0600);
    return 0;
}

static int end(void **state)
{
    char command[100];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_works_is_taken),
        cmocka_unit_test(a_handshake_sees_what_is_in_force),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
