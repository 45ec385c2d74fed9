/* Tokens: what is accepted, and a long table of what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "token/token.h"

#define NOW 1800000000
#define SECRET "0123456789abcdefghijklmnopqrstuv" /* 32 bytes */
#define SECRET64 "MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY"
#define SECRET2 "vutsrqponmlkjihgfedcba9876543210abcdef"
#define SECRET2_64 "dnV0c3JxcG9ubWxramloZ2ZlZGNiYTk4NzY1NDMyMTBhYmNkZWY"

static char dir[] = "/tmp/redrain-token-XXXXXX";
static char path[64];
static char message[512];
static struct token_keys *keys;
static EVP_PKEY *rsa;
static EVP_PKEY *ed;
static char rsa_pem[2000];
static const struct token_rules rules = {.audience = "redrain", .leeway_s = 5, .now_s = NOW};

static void write_keys(const char *text, mode_t mode)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(path, mode), 0);
}

/* The public key as a JSON string's content: newlines escaped. */
static void pem_of(EVP_PKEY *key, char *out, size_t cap)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    size_t n = 0;

    assert_int_equal(PEM_write_bio_PUBKEY(bio, key), 1);
    long len = BIO_get_mem_data(bio, &text);
    for (long i = 0; i < len && n + 3 < cap; i++) {
        if (text[i] == '\n') {
            out[n++] = '\\';
            out[n++] = 'n';
        } else {
            out[n++] = text[i];
        }
    }
    out[n] = 0;
    BIO_free(bio);
}

static int setup(void **state)
{
    char ed_pem[500];
    char text[5000];

    (void)state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof(path), "%s/keys.json", dir);
    rsa = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
    ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    pem_of(rsa, rsa_pem, sizeof(rsa_pem));
    pem_of(ed, ed_pem, sizeof(ed_pem));
    snprintf(text, sizeof(text),
             "{\"keys\":[{\"kid\":\"k1\",\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"" SECRET64 "\"},"
             "{\"kid\":\"k.2_-\",\"alg\":\"HS256\",\"k\":\"" SECRET2_64 "\"},"
             "{\"kid\":\"r1\",\"kty\":\"RSA\",\"alg\":\"RS256\",\"pem\":\"%s\"},"
             "{\"kid\":\"e1\",\"alg\":\"EdDSA\",\"pem\":\"%s\"}]}",
             rsa_pem, ed_pem);
    write_keys(text, 0600);
    if (token_keys_load(path, &keys, message, sizeof(message)) != RR_OK)
        fail_msg("%s", message);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    token_keys_free(keys);
    token_keys_free(NULL);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(ed);
    unlink(path);
    return rmdir(dir);
}

static void put64(const void *p, size_t len, struct rr_buf *out)
{
    char text[4 * 3000];
    int n = EVP_EncodeBlock((unsigned char *)text, p, (int)len);

    for (int i = 0; i < n; i++) {
        if (text[i] != '=')
            rr_buf_append(out, text[i] == '+' ? "-" : text[i] == '/' ? "_" : &text[i], 1);
    }
}

static void put_hs256(const char *secret, const char *header, const char *payload,
                      struct rr_buf *out)
{
    unsigned char mac[32];
    unsigned len;

    put64(header, strlen(header), out);
    rr_buf_puts(out, ".");
    put64(payload, strlen(payload), out);
    HMAC(EVP_sha256(), secret, (int)strlen(secret), (unsigned char *)out->p, out->len, mac, &len);
    rr_buf_puts(out, ".");
    put64(mac, len, out);
}

static void put_signed(EVP_PKEY *key, const EVP_MD *md, const char *header, const char *payload,
                       struct rr_buf *out)
{
    unsigned char signature[512];
    size_t len = sizeof(signature);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    put64(header, strlen(header), out);
    rr_buf_puts(out, ".");
    put64(payload, strlen(payload), out);
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, md, NULL, key), 1);
    assert_int_equal(EVP_DigestSign(ctx, signature, &len, (unsigned char *)out->p, out->len), 1);
    EVP_MD_CTX_free(ctx);
    rr_buf_puts(out, ".");
    put64(signature, len, out);
}

static enum rr_err verify(const struct rr_buf *jwt, struct token_claims *claims)
{
    return token_verify(keys, rr_slice_of(jwt->p, jwt->len), &rules, claims);
}

#define H "{\"alg\":\"HS256\",\"kid\":\"k1\"}"
#define CLAIMS(extra)                                                                              \
    "{\"sub\":\"42\",\"exp\":1800000100,\"aud\":\"redrain\",\"role\":\"viewer\",\"rooms\":\"*"     \
    "\"" extra "}"

static void verify_good_token_gives_claims(void **state)
{
    struct token_claims c;
    struct rr_buf jwt = {0};

    (void)state;
    put_hs256(SECRET, "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"k1\"}",
              "{\"sub\":\"9223372036854775807\",\"exp\":1800000100,\"nbf\":1800000005,\"iat\":"
              "1799999999,\"aud\":[\"x\",\"redrain\"],\"role\":\"anchor\",\"rooms\":[\"r1\",\"r-2_"
              "\"],\"name\":\"主播\",\"may_send\":true,\"custom\":{\"a\":1}}",
              &jwt);
    assert_int_equal(verify(&jwt, &c), RR_OK);
    assert_true(c.user_id == INT64_MAX);
    assert_int_equal(c.exp_s, 1800000100);
    assert_int_equal(c.role, TOKEN_ROLE_ANCHOR);
    assert_true(c.may_send);
    assert_false(c.all_rooms);
    assert_string_equal(c.name, "主播");
    assert_string_equal(c.rooms, ",r1,r-2_,");
    assert_true(token_allows_room(&c, rr_slice_str("r1")));
    assert_true(token_allows_room(&c, rr_slice_str("r-2_")));
    assert_false(token_allows_room(&c, rr_slice_str("r")));
    assert_false(token_allows_room(&c, rr_slice_str("")));
    assert_false(token_allows_room(&c, rr_slice_str(",")));
    assert_false(token_allows_room(&c, rr_slice_str("r1,r-2_")));
    assert_false(token_allows_room(&c, rr_slice_of("r1\0", 3)));
    token_claims_fini(&c);
    assert_false(token_allows_room(&c, rr_slice_str("r1")));
    rr_buf_fini(&jwt);
}

static void verify_star_allows_valid_rooms_only(void **state)
{
    struct token_claims c;
    struct rr_buf jwt = {0};

    (void)state;
    put_hs256(SECRET2, "{\"alg\":\"HS256\",\"kid\":\"k.2_-\"}", CLAIMS(""), &jwt);
    assert_int_equal(verify(&jwt, &c), RR_OK);
    assert_true(c.all_rooms);
    assert_null(c.rooms);
    assert_string_equal(c.name, "");
    assert_true(token_allows_room(&c, rr_slice_str("any")));
    assert_false(token_allows_room(&c, rr_slice_str("a b")));
    token_claims_fini(&c);
    rr_buf_fini(&jwt);
}

static void verify_public_key_algorithms(void **state)
{
    struct token_claims c;
    struct rr_buf jwt = {0};

    (void)state;
    put_signed(rsa, EVP_sha256(), "{\"alg\":\"RS256\",\"kid\":\"r1\"}", CLAIMS(""), &jwt);
    assert_int_equal(verify(&jwt, &c), RR_OK);
    token_claims_fini(&c);
    jwt.p[jwt.len / 2] ^= 1;
    assert_int_equal(verify(&jwt, &c), RR_UNAUTHORIZED);
    rr_buf_clear(&jwt);
    put_signed(ed, NULL, "{\"alg\":\"EdDSA\",\"kid\":\"e1\"}", CLAIMS(""), &jwt);
    assert_int_equal(verify(&jwt, &c), RR_OK);
    token_claims_fini(&c);
    rr_buf_clear(&jwt);
    put_signed(rsa, EVP_sha512(), "{\"alg\":\"RS256\",\"kid\":\"r1\"}", CLAIMS(""), &jwt);
    assert_int_equal(verify(&jwt, &c), RR_UNAUTHORIZED);
    rr_buf_clear(&jwt);
    put_signed(rsa, EVP_sha256(), "{\"alg\":\"EdDSA\",\"kid\":\"e1\"}", CLAIMS(""), &jwt);
    assert_int_equal(verify(&jwt, &c), RR_UNAUTHORIZED);
    rr_buf_clear(&jwt);
    put_signed(ed, NULL, "{\"alg\":\"RS256\",\"kid\":\"r1\"}", CLAIMS(""), &jwt);
    assert_int_equal(verify(&jwt, &c), RR_UNAUTHORIZED);
    rr_buf_fini(&jwt);
}

/* The classic: the RSA public key used as HMAC secret. */
static void verify_refuses_public_key_as_secret(void **state)
{
    struct token_claims c;
    struct rr_buf jwt = {0};
    char pem[2000];
    size_t n = 0;

    (void)state;
    for (const char *s = rsa_pem; *s; s++) {
        if (s[0] == '\\' && s[1] == 'n') {
            pem[n++] = '\n';
            s++;
        } else {
            pem[n++] = *s;
        }
    }
    pem[n] = 0;
    put_hs256(pem, "{\"alg\":\"HS256\",\"kid\":\"r1\"}", CLAIMS(""), &jwt);
    assert_int_equal(verify(&jwt, &c), RR_UNAUTHORIZED);
    rr_buf_clear(&jwt);
    put_hs256(pem, "{\"alg\":\"RS256\",\"kid\":\"r1\"}", CLAIMS(""), &jwt);
    assert_int_equal(verify(&jwt, &c), RR_UNAUTHORIZED);
    rr_buf_fini(&jwt);
}

#define LONG_KID                                                                                   \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
    "aaaa"

/* Each is signed with the right secret of k1: only what is said differs from a good token. */
static const struct {
    const char *header;
    const char *payload;
} refused[] = {
    /* header */
    {"{\"alg\":\"none\",\"kid\":\"k1\"}", CLAIMS("")},
    {"{\"alg\":\"None\",\"kid\":\"k1\"}", CLAIMS("")},
    {"{\"alg\":\"NONE\",\"kid\":\"k1\"}", CLAIMS("")},
    {"{\"alg\":\"\",\"kid\":\"k1\"}", CLAIMS("")},
    {"{\"kid\":\"k1\"}", CLAIMS("")},
    {"{\"alg\":null,\"kid\":\"k1\"}", CLAIMS("")},
    {"{\"alg\":[\"HS256\"],\"kid\":\"k1\"}", CLAIMS("")},
    {"{\"alg\":\"hs256\",\"kid\":\"k1\"}", CLAIMS("")},
    {"{\"alg\":\"HS384\",\"kid\":\"k1\"}", CLAIMS("")},
    {"{\"alg\":\"RS256\",\"kid\":\"k1\"}", CLAIMS("")},
    {"{\"alg\":\"EdDSA\",\"kid\":\"k1\"}", CLAIMS("")},
    {"{\"alg\":\"HS256\",\"kid\":\"r1\"}", CLAIMS("")},
    {"{\"alg\":\"HS256\",\"kid\":\"e1\"}", CLAIMS("")},
    {"{\"alg\":\"HS256\"}", CLAIMS("")},
    {"{\"alg\":\"HS256\",\"kid\":\"\"}", CLAIMS("")},
    {"{\"alg\":\"HS256\",\"kid\":1}", CLAIMS("")},
    {"{\"alg\":\"HS256\",\"kid\":null}", CLAIMS("")},
    {"{\"alg\":\"HS256\",\"kid\":\"k2\"}", CLAIMS("")},
    {"{\"alg\":\"HS256\",\"kid\":\"K1\"}", CLAIMS("")},
    {"{\"alg\":\"HS256\",\"kid\":\"k1 \"}", CLAIMS("")},
    {"{\"alg\":\"HS256\",\"kid\":\"../../etc/passwd\"}", CLAIMS("")},
    {"{\"alg\":\"HS256\",\"kid\":\"k1' OR '1'='1\"}", CLAIMS("")},
    {"{\"alg\":\"HS256\",\"kid\":\"k1\\u0000x\"}", CLAIMS("")},
    {"{\"alg\":\"HS256\",\"kid\":\"" LONG_KID "\"}", CLAIMS("")},
    {"{\"alg\":\"HS256\",\"kid\":\"k1\",\"crit\":[\"exp\"]}", CLAIMS("")},
    {"{\"alg\":\"HS256\",\"kid\":\"k1\",\"crit\":[]}", CLAIMS("")},
    {"{\"alg\":\"HS256\",\"kid\":\"k1\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AA\"}}", CLAIMS("")},
    {"{\"alg\":\"HS256\",\"kid\":\"k1\",\"jku\":\"http://127.0.0.1/k\"}", CLAIMS("")},
    {"{\"alg\":\"HS256\",\"kid\":\"k1\",\"x5u\":\"http://127.0.0.1/k\"}", CLAIMS("")},
    {"{\"alg\":\"HS256\",\"kid\":\"k1\",\"x5c\":[\"AA\"]}", CLAIMS("")},
    {"{\"alg\":\"HS256\",\"kid\":\"k1\",\"b64\":false}", CLAIMS("")},
    {"{\"alg\":\"HS256\",\"kid\":\"k1\",\"zip\":\"DEF\"}", CLAIMS("")},
    {"{\"alg\":\"HS256\",\"kid\":\"k1\",\"typ\":\"JWE\"}", CLAIMS("")},
    {"{\"alg\":\"none\",\"alg\":\"HS256\",\"kid\":\"k1\"}", CLAIMS("")},
    {"{\"alg\":\"HS256\",\"kid\":\"k2\",\"kid\":\"k1\"}", CLAIMS("")},
    {"[\"HS256\",\"k1\"]", CLAIMS("")},
    {"{}", CLAIMS("")},
    {"x", CLAIMS("")},
    {H "x", CLAIMS("")},
    {H H, CLAIMS("")},
    /* claims */
    {H, "{}"},
    {H, "[]"},
    {H, "\"x\""},
    {H, "{"},
    {H, CLAIMS("") "x"},
    {H, CLAIMS(",\"sub\":\"43\"")},
    {H, CLAIMS(",\"nbf\":1800000006")},
    {H, CLAIMS(",\"nbf\":\"1\"")},
    {H, CLAIMS(",\"nbf\":-1")},
    {H, CLAIMS(",\"iat\":1800000006")},
    {H, CLAIMS(",\"iat\":1.5")},
    {H, CLAIMS(",\"iat\":null")},
    {H, CLAIMS(",\"may_send\":1")},
    {H, CLAIMS(",\"level\":-1")},
    {H, CLAIMS(",\"level\":\"3\"")},
    {H, CLAIMS(",\"level\":1.0")},
    {H, CLAIMS(",\"level\":2147483648")},
    {H, CLAIMS(",\"since\":-1")},
    {H, CLAIMS(",\"since\":true")},
    {H, CLAIMS(",\"may_send\":\"true\"")},
    {H, CLAIMS(",\"name\":1")},
    {H, CLAIMS(",\"name\":\"a\\nb\"")},
    {H, CLAIMS(",\"name\":\"a\\u0085b\"")},
    {H, CLAIMS(",\"name\":\"\\u007f\"")},
    {H, CLAIMS(",\"name\":\"\xff\"")},
    {H, CLAIMS(",\"name\":\"" LONG_KID "\"")},
    {H, "{\"sub\":42,\"exp\":1800000100,\"aud\":\"redrain\",\"role\":\"viewer\",\"rooms\":\"*\"}"},
    {H,
     "{\"sub\":\"0\",\"exp\":1800000100,\"aud\":\"redrain\",\"role\":\"viewer\",\"rooms\":\"*\"}"},
    {H,
     "{\"sub\":\"-1\",\"exp\":1800000100,\"aud\":\"redrain\",\"role\":\"viewer\",\"rooms\":\"*\"}"},
    {H, "{\"sub\":\"042\",\"exp\":1800000100,\"aud\":\"redrain\",\"role\":\"viewer\",\"rooms\":\"*"
        "\"}"},
    {H,
     "{\"sub\":\"4x\",\"exp\":1800000100,\"aud\":\"redrain\",\"role\":\"viewer\",\"rooms\":\"*\"}"},
    {H,
     "{\"sub\":\"\",\"exp\":1800000100,\"aud\":\"redrain\",\"role\":\"viewer\",\"rooms\":\"*\"}"},
    {H,
     "{\"sub\":\"9223372036854775808\",\"exp\":1800000100,\"aud\":\"redrain\",\"role\":\"viewer\","
     "\"rooms\":\"*\"}"},
    {H, "{\"exp\":1800000100,\"aud\":\"redrain\",\"role\":\"viewer\",\"rooms\":\"*\"}"},
    {H, "{\"sub\":\"42\",\"aud\":\"redrain\",\"role\":\"viewer\",\"rooms\":\"*\"}"},
    {H, "{\"sub\":\"42\",\"exp\":\"1800000100\",\"aud\":\"redrain\",\"role\":\"viewer\",\"rooms\":"
        "\"*\"}"},
    {H, "{\"sub\":\"42\",\"exp\":1.8e9,\"aud\":\"redrain\",\"role\":\"viewer\",\"rooms\":\"*\"}"},
    {H, "{\"sub\":\"42\",\"exp\":-1,\"aud\":\"redrain\",\"role\":\"viewer\",\"rooms\":\"*\"}"},
    {H, "{\"sub\":\"42\",\"exp\":9223372036854775807,\"aud\":\"redrain\",\"role\":\"viewer\","
        "\"rooms\":"
        "\"*\"}"},
    {H, "{\"sub\":\"42\",\"exp\":1800000100,\"role\":\"viewer\",\"rooms\":\"*\"}"},
    {H,
     "{\"sub\":\"42\",\"exp\":1800000100,\"aud\":\"other\",\"role\":\"viewer\",\"rooms\":\"*\"}"},
    {H,
     "{\"sub\":\"42\",\"exp\":1800000100,\"aud\":[\"x\",1],\"role\":\"viewer\",\"rooms\":\"*\"}"},
    {H, "{\"sub\":\"42\",\"exp\":1800000100,\"aud\":{},\"role\":\"viewer\",\"rooms\":\"*\"}"},
    {H, "{\"sub\":\"42\",\"exp\":1800000100,\"aud\":\"redrain\",\"rooms\":\"*\"}"},
    {H,
     "{\"sub\":\"42\",\"exp\":1800000100,\"aud\":\"redrain\",\"role\":\"admin\",\"rooms\":\"*\"}"},
    {H, "{\"sub\":\"42\",\"exp\":1800000100,\"aud\":\"redrain\",\"role\":1,\"rooms\":\"*\"}"},
    {H, "{\"sub\":\"42\",\"exp\":1800000100,\"aud\":\"redrain\",\"role\":\"viewer\"}"},
    {H, "{\"sub\":\"42\",\"exp\":1800000100,\"aud\":\"redrain\",\"role\":\"viewer\",\"rooms\":"
        "\"r1\"}"},
    {H, "{\"sub\":\"42\",\"exp\":1800000100,\"aud\":\"redrain\",\"role\":\"viewer\",\"rooms\":{}}"},
    {H,
     "{\"sub\":\"42\",\"exp\":1800000100,\"aud\":\"redrain\",\"role\":\"viewer\",\"rooms\":[1]}"},
    {H, "{\"sub\":\"42\",\"exp\":1800000100,\"aud\":\"redrain\",\"role\":\"viewer\",\"rooms\":[\"a,"
        "b\"]}"},
    {H, "{\"sub\":\"42\",\"exp\":1800000100,\"aud\":\"redrain\",\"role\":\"viewer\",\"rooms\":["
        "\"\"]}"},
    {H, "{\"sub\":\"42\",\"exp\":1800000100,\"aud\":\"redrain\",\"role\":\"viewer\",\"rooms\":[\"*"
        "\"]}"},
};

static void verify_refuses_crafted_tokens(void **state)
{
    struct token_claims c;

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(refused); i++) {
        struct rr_buf jwt = {0};
        put_hs256(SECRET, refused[i].header, refused[i].payload, &jwt);
        enum rr_err err = verify(&jwt, &c);
        if (err != RR_UNAUTHORIZED || c.user_id || c.rooms)
            fail_msg("row %zu: %s %s gave %d", i, refused[i].header, refused[i].payload, err);
        rr_buf_fini(&jwt);
    }
}

static void verify_expiry_and_leeway(void **state)
{
    static const struct {
        int64_t now_s;
        enum rr_err wanted;
    } rows[] = {{1800000099, RR_OK},    {1800000100, RR_OK},    {1800000104, RR_OK},
                {1800000105, RR_ENDED}, {1900000000, RR_ENDED}, {0, RR_OK}};
    struct rr_buf jwt = {0};

    (void)state;
    put_hs256(SECRET, H, CLAIMS(""), &jwt);
    for (size_t i = 0; i < RR_COUNTOF(rows); i++) {
        struct token_rules at = rules;
        struct token_claims c;
        at.now_s = rows[i].now_s;
        assert_int_equal(token_verify(keys, rr_slice_of(jwt.p, jwt.len), &at, &c), rows[i].wanted);
        token_claims_fini(&c);
    }
    rr_buf_fini(&jwt);
}

/* Texts that are no JWT, or a good one altered. %G is a good token. */
static void verify_refuses_altered_text(void **state)
{
    static const char *const forms[] = {
        "",      ".",         "..",  "...",  "a",           "a.b",  "%G.",   ".%G", "%G=",
        "%G==",  "%G ",       " %G", "%G\n", "%G.x",        "%G..", "%GAA",  "%GA", "%G%G",
        "%G.%G", "Bearer %G", "%h.", "%h.%", "e30.e30.e30", "%h..", "%hAA.", "%n",
    };
    struct rr_buf good = {0};
    struct rr_buf text = {0};
    struct token_claims c;

    (void)state;
    put_hs256(SECRET, H, CLAIMS(""), &good);
    size_t head = (size_t)(strrchr(good.p, '.') - good.p);
    for (size_t i = 0; i < RR_COUNTOF(forms); i++) {
        rr_buf_clear(&text);
        for (const char *s = forms[i]; *s; s++) {
            if (*s == '%' && s[1] == 'G') {
                rr_buf_append(&text, good.p, good.len);
                s++;
            } else if (*s == '%' && s[1] == 'h') {
                rr_buf_append(&text, good.p, head);
                s++;
            } else if (*s == '%' && s[1] == 'n') {
                put64("{\"alg\":\"none\"}", 14, &text);
                rr_buf_puts(&text, ".");
                put64(CLAIMS(""), strlen(CLAIMS("")), &text);
                rr_buf_puts(&text, ".");
                s++;
            } else {
                rr_buf_append(&text, s, 1);
            }
        }
        enum rr_err err =
            text.len ? verify(&text, &c) : token_verify(keys, rr_slice_str(NULL), &rules, &c);
        if (err != RR_UNAUTHORIZED)
            fail_msg("form %zu \"%s\" gave %d", i, forms[i], err);
    }
    rr_buf_fini(&text);
    rr_buf_fini(&good);
}

static void verify_refuses_every_changed_character(void **state)
{
    struct rr_buf jwt = {0};
    struct token_claims c;
    static const char letters[] = "AQgw_-+/=.";

    (void)state;
    put_hs256(SECRET, H, CLAIMS(""), &jwt);
    for (size_t i = 0; i < jwt.len; i++) {
        char kept = jwt.p[i];
        for (const char *l = letters; *l; l++) {
            if (*l == kept)
                continue;
            jwt.p[i] = *l;
            assert_int_equal(verify(&jwt, &c), RR_UNAUTHORIZED);
        }
        jwt.p[i] = kept;
    }
    assert_int_equal(verify(&jwt, &c), RR_OK);
    token_claims_fini(&c);
    for (size_t n = 0; n < jwt.len; n++)
        assert_int_equal(token_verify(keys, rr_slice_of(jwt.p, n), &rules, &c), RR_UNAUTHORIZED);
    rr_buf_fini(&jwt);
}

static void verify_refuses_other_secret_and_huge(void **state)
{
    struct rr_buf jwt = {0};
    struct token_claims c;
    char huge[2500];

    (void)state;
    put_hs256(SECRET2, H, CLAIMS(""), &jwt);
    assert_int_equal(verify(&jwt, &c), RR_UNAUTHORIZED);
    rr_buf_clear(&jwt);
    memset(huge, ' ', sizeof(huge));
    memcpy(huge, CLAIMS(""), strlen(CLAIMS("")));
    huge[sizeof(huge) - 1] = 0;
    put_hs256(SECRET, H, huge, &jwt);
    assert_int_equal(verify(&jwt, &c), RR_OK);
    token_claims_fini(&c);
    for (int i = 0; i < 1000; i++)
        rr_buf_puts(&jwt, "A");
    assert_int_equal(verify(&jwt, &c), RR_UNAUTHORIZED);
    rr_buf_fini(&jwt);
}

static const struct {
    const char *text;
    const char *wanted;
} bad_keys[] = {
    {"", "not JSON"},
    {"{", "not JSON"},
    {"[]", "holds no"},
    {"{}", "holds no"},
    {"{\"keys\":{}}", "holds no"},
    {"{\"keys\":[]}", "holds no"},
    {"{\"keys\":[],\"keys\":[]}", "not JSON"},
    {"{\"keys\":[1]}", "\"kid\" must be"},
    {"{\"keys\":[{\"kid\":\"a/b\"}]}", "\"kid\" must be"},
    {"{\"keys\":[{\"kid\":\"" LONG_KID "\"}]}", "\"kid\" must be"},
    {"{\"keys\":[{\"kid\":\"a\"}]}", "\"alg\" must be"},
    {"{\"keys\":[{\"kid\":\"a\",\"alg\":\"none\"}]}", "\"alg\" must be"},
    {"{\"keys\":[{\"kid\":\"a\",\"alg\":\"HS512\"}]}", "\"alg\" must be"},
    {"{\"keys\":[{\"kid\":\"a\",\"alg\":\"HS256\"}]}", "needs \"k\""},
    {"{\"keys\":[{\"kid\":\"a\",\"alg\":\"HS256\",\"k\":\"" SECRET64 "=\"}]}", "not base64url"},
    {"{\"keys\":[{\"kid\":\"a\",\"alg\":\"HS256\",\"k\":"
     "\"MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dQ\"}]"
     "}",
     "31 bytes are too short"},
    {"{\"keys\":[{\"kid\":\"a\",\"alg\":\"HS256\",\"k\":"
     "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}"
     "]}",
     "is not random"},
    {"{\"keys\":[{\"kid\":\"a\",\"alg\":\"HS256\",\"kty\":\"RSA\",\"k\":\"" SECRET64 "\"}]}",
     "\"kty\" of HS256 is \"oct\""},
    {"{\"keys\":[{\"kid\":\"a\",\"alg\":\"RS256\"}]}", "needs \"pem\""},
    {"{\"keys\":[{\"kid\":\"a\",\"alg\":\"RS256\",\"pem\":\"x\"}]}", "needs \"pem\""},
    {"{\"keys\":[{\"kid\":\"a\",\"alg\":\"HS256\",\"k\":\"" SECRET64
     "\"},{\"kid\":\"a\",\"alg\":\"HS256\",\"k\":\"" SECRET2_64 "\"}]}",
     "is there twice"},
};

static void load_refuses_bad_key_files(void **state)
{
    struct token_keys *k;

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(bad_keys); i++) {
        write_keys(bad_keys[i].text, 0600);
        enum rr_err err = token_keys_load(path, &k, message, sizeof(message));
        if (err != RR_CONFIG || k || !strstr(message, bad_keys[i].wanted) ||
            strstr(message, SECRET64))
            fail_msg("file %zu gave %d \"%s\"", i, err, message);
    }
}

static void load_refuses_weak_or_wrong_public_keys(void **state)
{
    static const struct {
        const char *kind;
        size_t bits;
        const char *alg;
        const char *wanted;
    } rows[] = {{"RSA", 1024, "RS256", "at least 2048 bits"},
                {"RSA", 2048, "EdDSA", "another kind"},
                {"ED25519", 0, "RS256", "another kind"},
                {"ED448", 0, "EdDSA", "another kind"}};
    struct token_keys *k;

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(rows); i++) {
        EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, rows[i].kind, rows[i].bits);
        char pem[2000];
        char text[2500];
        pem_of(key, pem, sizeof(pem));
        EVP_PKEY_free(key);
        snprintf(text, sizeof(text), "{\"keys\":[{\"kid\":\"a\",\"alg\":\"%s\",\"pem\":\"%s\"}]}",
                 rows[i].alg, pem);
        write_keys(text, 0600);
        assert_int_equal(token_keys_load(path, &k, message, sizeof(message)), RR_CONFIG);
        assert_non_null(strstr(message, rows[i].wanted));
    }
}

static void load_refuses_open_or_missing_file(void **state)
{
    static const char good[] =
        "{\"keys\":[{\"kid\":\"k1\",\"alg\":\"HS256\",\"k\":\"" SECRET64 "\"}]}";
    static const mode_t open_modes[] = {0604, 0640, 0644, 0620, 0602};
    struct token_keys *k;

    (void)state;
    for (size_t i = 0; i < RR_COUNTOF(open_modes); i++) {
        write_keys(good, open_modes[i]);
        assert_int_equal(token_keys_load(path, &k, message, sizeof(message)), RR_CONFIG);
        assert_non_null(strstr(message, "chmod 600"));
    }
    write_keys(good, 0400);
    assert_int_equal(token_keys_load(path, &k, message, sizeof(message)), RR_OK);
    token_keys_free(k);
    assert_int_equal(token_keys_load(dir, &k, message, sizeof(message)), RR_CONFIG);
    assert_non_null(strstr(message, "not a regular file"));
    assert_int_equal(token_keys_load("/nonexistent", &k, message, sizeof(message)), RR_CONFIG);
    assert_non_null(strstr(message, "No such file"));
    assert_int_equal(token_keys_load("", &k, message, sizeof(message)), RR_CONFIG);
    assert_non_null(strstr(message, "token.keys_file: is not set"));
}

static void sign_makes_what_verify_accepts(void **state)
{
    struct token_claims in = {.user_id = 7,
                              .exp_s = NOW + 60,
                              .role = TOKEN_ROLE_GUEST,
                              .may_send = true,
                              .level = 7,
                              .since_s = 1700000000,
                              .name = "\"x\" \\ 名",
                              .rooms = (char *)",a,b,"};
    struct token_claims out;
    struct rr_buf jwt = {0};

    (void)state;
    assert_int_equal(token_sign_hs256(keys, &in, "redrain", NOW, &jwt), RR_OK);
    assert_int_equal(verify(&jwt, &out), RR_OK);
    assert_int_equal(out.user_id, 7);
    assert_int_equal(out.role, TOKEN_ROLE_GUEST);
    assert_string_equal(out.name, in.name);
    assert_string_equal(out.rooms, ",a,b,");
    assert_true(out.may_send);
    assert_int_equal(out.level, 7);
    assert_int_equal(out.since_s, 1700000000);
    token_claims_fini(&out);
    rr_buf_clear(&jwt);
    in.all_rooms = true;
    in.rooms = NULL;
    in.name[0] = 0;
    in.level = 0;
    in.since_s = 0;
    assert_int_equal(token_sign_hs256(keys, &in, "redrain", NOW, &jwt), RR_OK);
    assert_int_equal(verify(&jwt, &out), RR_OK);
    assert_true(out.all_rooms);
    assert_int_equal(out.level, 0);
    assert_int_equal(out.since_s, 0);
    token_claims_fini(&out);
    rr_buf_fini(&jwt);
}

static void sign_refuses_bad_claims(void **state)
{
    struct token_claims in = {.user_id = 0, .exp_s = NOW + 60, .all_rooms = true};
    struct rr_buf jwt = {0};

    (void)state;
    assert_int_equal(token_sign_hs256(keys, &in, "redrain", NOW, &jwt), RR_BAD_REQUEST);
    in.user_id = 1;
    in.exp_s = NOW;
    assert_int_equal(token_sign_hs256(keys, &in, "redrain", NOW, &jwt), RR_BAD_REQUEST);
    in.exp_s = NOW + 1;
    in.all_rooms = false;
    in.rooms = (char *)",a b,";
    assert_int_equal(token_sign_hs256(keys, &in, "redrain", NOW, &jwt), RR_BAD_REQUEST);
    assert_int_equal(jwt.len, 0);
    rr_buf_fini(&jwt);
}

static void role_names_round_trip(void **state)
{
    enum token_role role;

    (void)state;
    assert_true(token_role_parse("guest", &role));
    assert_string_equal(token_role_name(role), "guest");
    assert_false(token_role_parse("admin", &role));
    assert_false(token_role_parse(NULL, &role));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verify_good_token_gives_claims),
        cmocka_unit_test(verify_star_allows_valid_rooms_only),
        cmocka_unit_test(verify_public_key_algorithms),
        cmocka_unit_test(verify_refuses_public_key_as_secret),
        cmocka_unit_test(verify_refuses_crafted_tokens),
        cmocka_unit_test(verify_expiry_and_leeway),
        cmocka_unit_test(verify_refuses_altered_text),
        cmocka_unit_test(verify_refuses_every_changed_character),
        cmocka_unit_test(verify_refuses_other_secret_and_huge),
        cmocka_unit_test(load_refuses_bad_key_files),
        cmocka_unit_test(load_refuses_weak_or_wrong_public_keys),
        cmocka_unit_test(load_refuses_open_or_missing_file),
        cmocka_unit_test(sign_makes_what_verify_accepts),
        cmocka_unit_test(sign_refuses_bad_claims),
        cmocka_unit_test(role_names_round_trip),
    };
    return cmocka_run_group_tests_name("token", tests, setup, teardown);
}
