/* tls.h - TLS of the public listener: one certificate (with its chain) and its key, held in memory and given to each handshake
 * as it begins, so that another one takes over between two handshakes and no open connection notices.
 * Versions below server.tls_min_version, ciphers without forward secrecy or without AEAD, renegotiation, compression and
 * session tickets (each worker would have its own) are not spoken.
 * Thread: the loop's. Not here: lws, which drives the handshakes. */
#ifndef SERVER_TLS_H
#define SERVER_TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/err.h"

struct tls;

bool tls_wanted(const struct rr_conf *c);
/* Reads and tries what c names. RR_CONFIG: message says what is wrong: a missing file, a key that others may read or that
 * belongs to another certificate, … Without TLS in c: RR_OK, *out NULL. */
RR_MUST_CHECK enum rr_err tls_load(struct tls **out, const struct rr_conf *c, char *message,
                                   size_t cap);
void tls_free(struct tls *t); /* NULL-safe */
/* When the first of the chain's certificates expires, seconds since 1970. */
int64_t tls_expiry_s(const struct tls *t);

/* What a new context of a listener gets. *current is looked at in each handshake. RR_CONFIG: OpenSSL refuses. */
RR_MUST_CHECK enum rr_err tls_context_init(SSL_CTX *ctx, struct tls **current);
/* Takes over for the handshakes from now on; frees the one before. */
void tls_swap(SSL_CTX *ctx, struct tls **current, struct tls *fresh);

#endif
