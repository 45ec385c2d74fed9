/* fuzz_token.c - any bytes as a token, as the parts of a token that is signed with our key, or as a keys file: no crash, no
 * read outside the bytes, what is accepted is in range, and nothing is accepted once its signature was touched. */
#include "fuzz_token.h"
#include "fuzz.h"

#include "text_file.h"
#include "token_impl.h"

#include <stdlib.h>
#include <string.h>

static struct text_file file;
static struct token_keys *keys;
static const struct token_rules rules = {.audience = "redrain", .leeway_s = 5, .now_s = 1800000000};

static void keys_make(void)
{
    static const char text[] = FUZZ_KEYS;
    char message[512];

    RR_ASSERT(text_file_set(&file, text, sizeof(text) - 1));
    RR_ASSERT(token_keys_load(file.name, &keys, message, sizeof(message)) == RR_OK);
}

static void claims_check(const struct token_claims *c)
{
    struct rr_buf again = {0};
    struct token_claims same;
    size_t rooms = c->rooms ? strlen(c->rooms) : 0;

    RR_ASSERT(c->user_id > 0 && c->level >= 0 && c->since_s >= 0);
    RR_ASSERT(c->exp_s + rules.leeway_s > rules.now_s);
    RR_ASSERT(c->role == TOKEN_ROLE_VIEWER || c->role == TOKEN_ROLE_ANCHOR ||
              c->role == TOKEN_ROLE_GUEST);
    RR_ASSERT(c->all_rooms == (c->rooms == NULL));
    RR_ASSERT(c->all_rooms || (rooms >= 1 && c->rooms[0] == ',' && c->rooms[rooms - 1] == ','));
    RR_ASSERT(token_name_valid(c->name, strlen(c->name)));
    RR_ASSERT(!token_allows_room(c, rr_slice_of(NULL, 0)));
    RR_ASSERT(!token_allows_room(c, rr_slice_of("a,b", 3)));
    /* Signed by us it says the same; one that would be too long, or of which only the leeway is left, is not made. */
    if (token_sign_hs256(keys, c, "redrain", rules.now_s, &again) == RR_OK) {
        RR_ASSERT(token_verify(keys, rr_slice_of(again.p, again.len), &rules, &same) == RR_OK);
        RR_ASSERT(same.user_id == c->user_id && same.role == c->role && same.exp_s == c->exp_s &&
                  same.may_send == c->may_send && same.level == c->level &&
                  strcmp(same.name, c->name) == 0);
        token_claims_fini(&same);
    }
    rr_buf_fini(&again);
}

static void token_try(struct rr_slice jwt)
{
    struct token_claims c;
    char *touched = NULL;
    enum rr_err err = token_verify(keys, jwt, &rules, &c);

    RR_ASSERT(err == RR_OK || err == RR_ENDED || err == RR_UNAUTHORIZED);
    if (err == RR_UNAUTHORIZED)
        return;
    if (err == RR_OK)
        claims_check(&c);
    token_claims_fini(&c);
    touched = malloc(jwt.len);
    RR_ASSERT(touched);
    memcpy(touched, jwt.p, jwt.len);
    /* Within the signature, where every bit counts. */
    touched[jwt.len - 2] = touched[jwt.len - 2] == 'A' ? 'B' : 'A';
    RR_ASSERT(token_verify(keys, rr_slice_of(touched, jwt.len), &rules, &c) == RR_UNAUTHORIZED);
    free(touched);
}

static void signed_try(struct rr_slice in)
{
    const char *newline = memchr(in.p, '\n', in.len);
    size_t head = newline ? (size_t)(newline - in.p) : 0;
    struct rr_buf jwt = {0};
    unsigned char mac[32];

    if (!newline)
        return;
    token_base64_encode(in.p, head, &jwt);
    rr_buf_puts(&jwt, ".");
    token_base64_encode(newline + 1, in.len - head - 1, &jwt);
    RR_ASSERT(token_hs256(&keys->keys[0], rr_slice_of(jwt.p, jwt.len), mac));
    rr_buf_puts(&jwt, ".");
    token_base64_encode(mac, sizeof(mac), &jwt);
    token_try(rr_slice_of(jwt.p, jwt.len));
    rr_buf_fini(&jwt);
}

static void keys_try(struct rr_slice in)
{
    struct token_keys *k = NULL;
    struct token_claims c;
    char message[512] = "";
    enum rr_err err = RR_OK;

    RR_ASSERT(text_file_set(&file, in.p, in.len));
    err = token_keys_load(file.name, &k, message, sizeof(message));
    RR_ASSERT((err == RR_OK) == (k != NULL));
    RR_ASSERT(err == RR_OK || (err == RR_CONFIG && message[0]));
    if (k)
        RR_ASSERT(token_verify(k, rr_slice_str("e30.e30.AAAA"), &rules, &c) == RR_UNAUTHORIZED);
    token_keys_free(k);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rr_slice in = rr_slice_of(data + 1, size - 1);

    if (!keys)
        keys_make();
    if (size == 0)
        return 0;
    switch ((enum token_input)(data[0] % TOKEN_INPUTS)) {
    case TOKEN_RAW: token_try(in); break;
    case TOKEN_SIGNED: signed_try(in); break;
    case TOKEN_KEYS: keys_try(in); break;
    case TOKEN_INPUTS: break;
    }
    return 0;
}
