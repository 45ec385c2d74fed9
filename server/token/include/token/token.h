/* token.h - viewers' tokens: JWT with HS256, RS256 or EdDSA, verified against keys held in memory.
 * One algorithm per key; kid is required and only looked up among the loaded keys; the header may
 * hold alg, kid and typ, nothing else (so no crit, jwk, jku, x5u …). Nothing of a token is ever
 * logged. Thread: struct token_keys is immutable after loading and may be shared. */
#ifndef TOKEN_TOKEN_H
#define TOKEN_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "protocol/limits.h"

enum {
    TOKEN_MAX_BYTES = 4000,
    TOKEN_KID_MAX = 64, /* [A-Za-z0-9._-] */
    TOKEN_HS256_KEY_MIN_BYTES = 32,
};

enum token_role { TOKEN_ROLE_VIEWER, TOKEN_ROLE_ANCHOR, TOKEN_ROLE_GUEST };

struct token_keys;

/* Who a token must be for, and when. */
struct token_rules {
    const char *audience;
    int64_t leeway_s; /* clock skew allowed for exp, nbf and iat */
    int64_t now_s;    /* seconds since 1970 */
};

struct token_claims {
    int64_t user_id; /* > 0 */
    int64_t exp_s;
    enum token_role role;
    bool all_rooms;
    bool may_send;
    int64_t level;   /* >= 0; 0 when absent */
    int64_t since_s; /* when the user registered, seconds since 1970; 0 when absent */
    char name[RR_NAME_MAX_BYTES + 1]; /* UTF-8 without control characters; "" when absent */
    char *rooms; /* ",r1,r2,"; NULL with all_rooms; owned, freed by token_claims_fini */
};

/* Reads {"keys":[{"kid","alg":"HS256","k"} | {"kid","alg":"RS256"|"EdDSA","pem"}]}.
 * RR_CONFIG: *message says what is wrong: readable by others, a short key, an unknown algorithm, …
 */
RR_MUST_CHECK enum rr_err token_keys_load(const char *file, struct token_keys **out, char *message,
                                          size_t cap);
void token_keys_free(struct token_keys *k); /* NULL-safe; wipes the keys */

/* RR_OK: *out is filled. RR_ENDED: signed by us and in order but expired. RR_UNAUTHORIZED: anything
 * else. After an error *out is empty; token_claims_fini is harmless. */
RR_MUST_CHECK enum rr_err token_verify(const struct token_keys *k, struct rr_slice jwt,
                                       const struct token_rules *rules, struct token_claims *out);
void token_claims_fini(struct token_claims *c);
bool token_allows_room(const struct token_claims *c, struct rr_slice room_id);

/* Appends a JWT signed with the first HS256 key. RR_NOT_FOUND: the file holds none. RR_BAD_REQUEST:
 * claims that token_verify would refuse. */
RR_MUST_CHECK enum rr_err token_sign_hs256(const struct token_keys *k,
                                           const struct token_claims *claims, const char *audience,
                                           int64_t now_s, struct rr_buf *out);
const char *token_role_name(enum token_role role);
/* False when unknown. */
bool token_role_parse(const char *name, enum token_role *out);

#endif
