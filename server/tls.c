#include "tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/alloc.h"

/* Forward secrecy and AEAD only; the suites of 1.3 are all of that kind. */
static const char ciphers_12[] = "ECDHE+AESGCM:ECDHE+CHACHA20";

struct tls {
    X509 *cert;
    STACK_OF(X509) * chain;
    EVP_PKEY *key;
    int min_version;
    int64_t expiry_s;
};

struct complaint {
    const char *file;
    char *text;
    size_t cap;
};

__attribute__((format(printf, 2, 3))) static enum rr_err complain(const struct complaint *m,
                                                                  const char *fmt, ...)
{
    char what[300];
    va_list args;

    va_start(args, fmt);
    vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    snprintf(m->text, m->cap, "%s: %s", m->file, what);
    ERR_clear_error();
    return RR_CONFIG;
}

bool tls_wanted(const struct rr_conf *c)
{
    return c->server_tls_cert_file[0] || c->server_tls_key_file[0];
}

/* An encrypted key would make OpenSSL ask the terminal. */
static int no_password(char *buf, int size, int rwflag, void *arg)
{
    (void)buf;
    (void)size;
    (void)rwflag;
    (void)arg;
    return -1;
}

static enum rr_err read_key(struct tls *t, const struct complaint *m)
{
    FILE *f = fopen(m->file, "re");
    struct stat st;

    if (!f)
        return complain(m, "%s", strerror(errno));
    if (fstat(fileno(f), &st) != 0 || !S_ISREG(st.st_mode)) {
        fclose(f);
        return complain(m, "is not a regular file");
    }
    if (st.st_mode & (S_IRWXG | S_IRWXO)) {
        fclose(f);
        return complain(m, "its mode %03o lets others at the key: chmod 600 it",
                        (unsigned)(st.st_mode & 0777));
    }
    t->key = PEM_read_PrivateKey(f, NULL, no_password, NULL);
    fclose(f);
    return t->key ? RR_OK : complain(m, "holds no private key in PEM without a password");
}

static int64_t expiry_of(const X509 *x)
{
    struct tm tm = {0};

    return ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static enum rr_err read_chain(struct tls *t, const struct complaint *m)
{
    FILE *f = fopen(m->file, "re");
    X509 *x = NULL;

    if (!f)
        return complain(m, "%s", strerror(errno));
    t->cert = PEM_read_X509(f, NULL, no_password, NULL);
    t->chain = sk_X509_new_null();
    RR_ASSERT(t->chain);
    while (t->cert && (x = PEM_read_X509(f, NULL, no_password, NULL)) != NULL)
        RR_ASSERT(sk_X509_push(t->chain, x) > 0);
    fclose(f);
    if (!t->cert)
        return complain(m, "holds no certificate in PEM");
    /* The end of the file looks like "no start line"; anything else is a certificate that cannot be read. */
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return complain(m, "certificate number %d cannot be read", sk_X509_num(t->chain) + 2);
    ERR_clear_error();
    t->expiry_s = expiry_of(t->cert);
    for (int i = 0; i < sk_X509_num(t->chain); i++) {
        int64_t at_s = expiry_of(sk_X509_value(t->chain, i));

        if (at_s < t->expiry_s)
            t->expiry_s = at_s;
    }
    return RR_OK;
}

/* What a handshake would do with it, so that no handshake fails because of it: OpenSSL refuses keys that are too short here. */
static enum rr_err try_it(struct tls *t, const struct complaint *m)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    struct tls *current = t;
    enum rr_err err = RR_OK;

    RR_ASSERT(ctx);
    if (X509_check_private_key(t->cert, t->key) != 1)
        err = complain(m, "the key of server.tls_key_file belongs to another certificate");
    else if (tls_context_init(ctx, &current) != RR_OK ||
             SSL_CTX_use_cert_and_key(ctx, t->cert, t->key, t->chain, 1) != 1)
        err = complain(m, "OpenSSL refuses it: %s", ERR_reason_error_string(ERR_peek_last_error()));
    SSL_CTX_free(ctx);
    return err;
}

enum rr_err tls_load(struct tls **out, const struct rr_conf *c, char *message, size_t cap)
{
    struct complaint cert = {.file = c->server_tls_cert_file, .text = message, .cap = cap};
    struct complaint key = {.file = c->server_tls_key_file, .text = message, .cap = cap};
    struct tls *t = NULL;
    enum rr_err err = RR_OK;

    *out = NULL;
    if (!tls_wanted(c))
        return RR_OK;
    if (!cert.file[0] || !key.file[0]) {
        snprintf(message, cap, "server.tls_cert_file and server.tls_key_file go together");
        return RR_CONFIG;
    }
    t = rr_xcalloc(1, sizeof(*t));
    t->min_version =
        strcmp(c->server_tls_min_version, "1.3") == 0 ? TLS1_3_VERSION : TLS1_2_VERSION;
    err = read_chain(t, &cert);
    if (!err)
        err = read_key(t, &key);
    if (!err)
        err = try_it(t, &cert);
    if (err) {
        tls_free(t);
        return err;
    }
    *out = t;
    return RR_OK;
}

void tls_free(struct tls *t)
{
    if (!t)
        return;
    X509_free(t->cert);
    sk_X509_pop_free(t->chain, X509_free);
    EVP_PKEY_free(t->key);
    free(t);
}

int64_t tls_expiry_s(const struct tls *t)
{
    return t->expiry_s;
}

/* Each handshake as it begins. What the context or an earlier certificate of another kind of key left is cleared first. */
static int choose_certificate(SSL *ssl, void *arg)
{
    const struct tls *t = *(struct tls *const *)arg;

    SSL_certs_clear(ssl);
    return SSL_use_cert_and_key(ssl, t->cert, t->key, t->chain, 1);
}

enum rr_err tls_context_init(SSL_CTX *ctx, struct tls **current)
{
    if (SSL_CTX_set_min_proto_version(ctx, (*current)->min_version) != 1 ||
        SSL_CTX_set_cipher_list(ctx, ciphers_12) != 1)
        return RR_CONFIG;
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(ctx, 0);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    /* An idle connection gives its buffers back: tens of kilobytes each. */
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_cert_cb(ctx, choose_certificate, current);
    return RR_OK;
}

void tls_swap(SSL_CTX *ctx, struct tls **current, struct tls *fresh)
{
    tls_free(*current);
    *current = fresh;
    SSL_CTX_set_min_proto_version(ctx, fresh->min_version);
}
