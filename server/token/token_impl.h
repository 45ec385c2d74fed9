/* token_impl.h - what the files of this module share. */
#ifndef TOKEN_IMPL_H
#define TOKEN_IMPL_H

#include <jansson.h>
#include <openssl/evp.h>

#include "token/token.h"

enum token_alg { TOKEN_HS256, TOKEN_RS256, TOKEN_EDDSA, TOKEN_ALGS };

enum { TOKEN_KEYS_MAX = 64, TOKEN_SECRET_MAX = 1024, TOKEN_SIGNATURE_MAX = 1024 };

struct token_key {
    char kid[TOKEN_KID_MAX + 1];
    enum token_alg alg;
    unsigned char secret[TOKEN_SECRET_MAX]; /* HS256 */
    size_t secret_len;
    EVP_PKEY *pkey; /* RS256, EdDSA: the public key */
};

struct token_keys {
    struct token_key *keys;
    size_t n;
};

extern const char *const token_alg_names[TOKEN_ALGS];

bool token_kid_valid(const char *kid);
/* Strict base64url: no padding, no other characters, unused bits zero. False also when it does not
 * fit. */
bool token_base64_decode(struct rr_slice in, unsigned char *out, size_t cap, size_t *len);
void token_base64_encode(const void *in, size_t len, struct rr_buf *out);
/* False on a wrong signature. */
bool token_signature_good(const struct token_key *key, struct rr_slice signed_part,
                          const unsigned char *signature, size_t len);
bool token_hs256(const struct token_key *key, struct rr_slice signed_part, unsigned char out[32]);
/* RR_UNAUTHORIZED, RR_ENDED or RR_OK; *out is filled as far as it got. */
RR_MUST_CHECK enum rr_err token_claims_read(const json_t *payload, const struct token_rules *rules,
                                            struct token_claims *out);
bool token_room_id_valid(const char *room_id);
bool token_name_valid(const char *name, size_t len);

#endif
