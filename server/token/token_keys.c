/* The keys file, and signatures made and checked with its keys. */
#include "token_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

const char *const token_alg_names[TOKEN_ALGS] = {"HS256", "RS256", "EdDSA"};
static const char *const alg_key_types[TOKEN_ALGS] = {"oct", "RSA", "OKP"};

enum { FILE_MAX_BYTES = 1 << 20, RSA_MIN_BITS = 2048, DISTINCT_MIN = 8 };

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
    return RR_CONFIG;
}

bool token_kid_valid(const char *kid)
{
    size_t len = strlen(kid);

    return len > 0 && len <= TOKEN_KID_MAX &&
           strspn(kid, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == len;
}

/* A key of few different bytes is a sample or typed by hand. */
static bool looks_random(const unsigned char *p, size_t len)
{
    bool seen[256] = {false};
    unsigned distinct = 0;

    for (size_t i = 0; i < len; i++) {
        distinct += !seen[p[i]];
        seen[p[i]] = true;
    }
    return distinct >= DISTINCT_MIN;
}

static enum rr_err read_secret(struct token_key *key, const json_t *item, const struct complaint *m)
{
    const char *k = json_string_value(json_object_get(item, "k"));

    if (!k)
        return complain(m, "key \"%s\": HS256 needs \"k\", the key in base64url", key->kid);
    if (!token_base64_decode(rr_slice_str(k), key->secret, sizeof(key->secret), &key->secret_len))
        return complain(m, "key \"%s\": \"k\" is not base64url without padding (or too long)",
                        key->kid);
    if (key->secret_len < TOKEN_HS256_KEY_MIN_BYTES)
        return complain(m, "key \"%s\": %zu bytes are too short for HS256, at least %d are needed",
                        key->kid, key->secret_len, TOKEN_HS256_KEY_MIN_BYTES);
    if (!looks_random(key->secret, key->secret_len))
        return complain(m, "key \"%s\": is not random", key->kid);
    return RR_OK;
}

static enum rr_err read_public_key(struct token_key *key, const json_t *item,
                                   const struct complaint *m)
{
    const char *pem = json_string_value(json_object_get(item, "pem"));
    BIO *bio = pem ? BIO_new_mem_buf(pem, -1) : NULL;

    if (bio)
        key->pkey = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
    BIO_free(bio);
    if (!key->pkey)
        return complain(m, "key \"%s\": %s needs \"pem\", a public key in PEM", key->kid,
                        token_alg_names[key->alg]);
    int type = EVP_PKEY_base_id(key->pkey);
    if (type != (key->alg == TOKEN_RS256 ? EVP_PKEY_RSA : EVP_PKEY_ED25519))
        return complain(m, "key \"%s\": the PEM holds another kind of key than %s needs", key->kid,
                        token_alg_names[key->alg]);
    if (type == EVP_PKEY_RSA && EVP_PKEY_bits(key->pkey) < RSA_MIN_BITS)
        return complain(m, "key \"%s\": RSA keys need at least %d bits", key->kid, RSA_MIN_BITS);
    return RR_OK;
}

static enum rr_err read_key(struct token_keys *keys, const json_t *item, const struct complaint *m)
{
    struct token_key *key = &keys->keys[keys->n];
    const char *kid = json_string_value(json_object_get(item, "kid"));
    const char *alg = json_string_value(json_object_get(item, "alg"));
    const json_t *kty = json_object_get(item, "kty");
    int which = 0;

    if (!kid || !token_kid_valid(kid))
        return complain(m, "key number %zu: \"kid\" must be 1 to %d of A-Z a-z 0-9 . _ -",
                        keys->n + 1, TOKEN_KID_MAX);
    for (size_t i = 0; i < keys->n; i++) {
        if (!strcmp(keys->keys[i].kid, kid))
            return complain(m, "key \"%s\" is there twice", kid);
    }
    strcpy(key->kid, kid); /* length checked by token_kid_valid */
    while (which < TOKEN_ALGS && (!alg || strcmp(alg, token_alg_names[which]) != 0))
        which++;
    if (which == TOKEN_ALGS)
        return complain(m, "key \"%s\": \"alg\" must be HS256, RS256 or EdDSA", kid);
    if (kty && (!json_is_string(kty) || strcmp(json_string_value(kty), alg_key_types[which]) != 0))
        return complain(m, "key \"%s\": \"kty\" of %s is \"%s\"", kid, alg, alg_key_types[which]);
    key->alg = (enum token_alg)which;
    keys->n++;
    return key->alg == TOKEN_HS256 ? read_secret(key, item, m) : read_public_key(key, item, m);
}

/* The whole file, owned by the caller: also after an error. */
static enum rr_err read_text(const struct complaint *m, char **out, size_t *len)
{
    struct stat st;
    ssize_t got;
    size_t size = 0;
    char *text = NULL;
    int fd = open(m->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    *len = 0;
    if (fd < 0)
        return complain(m, "%s", strerror(errno));
    if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
        close(fd);
        return complain(m, "is not a regular file");
    }
    if (st.st_mode & (S_IRWXG | S_IRWXO)) {
        close(fd);
        return complain(m, "its mode %03o lets others at the keys: chmod 600 it",
                        (unsigned)(st.st_mode & 0777));
    }
    if (st.st_size >= FILE_MAX_BYTES) {
        close(fd);
        return complain(m, "is larger than 1 MiB");
    }
    size = (size_t)st.st_size;
    text = rr_xcalloc(1, size + 1);
    while ((got = read(fd, text + *len, size - *len)) > 0)
        *len += (size_t)got;
    close(fd);
    *out = text;
    return got < 0 ? complain(m, "%s", strerror(errno)) : RR_OK;
}

static enum rr_err read_keys(struct token_keys *keys, const json_t *root, const struct complaint *m)
{
    const json_t *list = json_object_get(root, "keys");
    enum rr_err err = RR_OK;

    if (!json_is_array(list) || json_array_size(list) == 0)
        return complain(m, "holds no {\"keys\":[…]}");
    if (json_array_size(list) > TOKEN_KEYS_MAX)
        return complain(m, "more than %d keys", TOKEN_KEYS_MAX);
    keys->keys = rr_xcalloc(json_array_size(list), sizeof(*keys->keys));
    for (size_t i = 0; err == RR_OK && i < json_array_size(list); i++)
        err = read_key(keys, json_array_get(list, i), m);
    return err;
}

enum rr_err token_keys_load(const char *file, struct token_keys **out, char *message, size_t cap)
{
    struct complaint m = {.file = file, .text = message, .cap = cap};
    struct token_keys *keys = NULL;
    json_error_t where;
    json_t *root = NULL;
    char *text = NULL;
    size_t len = 0;
    enum rr_err err = RR_CONFIG;

    *out = NULL;
    if (!file[0]) {
        m.file = "token.keys_file";
        return complain(&m, "is not set: a file with the keys of viewers' tokens is required");
    }
    keys = rr_xcalloc(1, sizeof(*keys));
    err = read_text(&m, &text, &len);
    if (err != RR_OK)
        goto out;
    root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &where);
    if (!root) {
        /* jansson's text quotes the input, which holds keys: only the place is told. */
        err = complain(&m, "line %d column %d: not JSON", where.line, where.column);
        goto out;
    }
    err = read_keys(keys, root, &m);
out:
    json_decref(root);
    if (text)
        OPENSSL_cleanse(text, len);
    free(text);
    if (err != RR_OK) {
        token_keys_free(keys);
        return err;
    }
    *out = keys;
    return RR_OK;
}

void token_keys_free(struct token_keys *k)
{
    if (!k)
        return;
    for (size_t i = 0; i < k->n; i++) {
        EVP_PKEY_free(k->keys[i].pkey);
        OPENSSL_cleanse(k->keys[i].secret, sizeof(k->keys[i].secret));
    }
    free(k->keys);
    free(k);
}

bool token_hs256(const struct token_key *key, struct rr_slice signed_part, unsigned char out[32])
{
    unsigned len = 0;

    return HMAC(EVP_sha256(), key->secret, (int)key->secret_len,
                (const unsigned char *)signed_part.p, signed_part.len, out, &len) &&
           len == 32;
}

bool token_signature_good(const struct token_key *key, struct rr_slice signed_part,
                          const unsigned char *signature, size_t len)
{
    unsigned char expected[32];

    if (key->alg == TOKEN_HS256)
        return len == sizeof(expected) && token_hs256(key, signed_part, expected) &&
               CRYPTO_memcmp(expected, signature, len) == 0;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const EVP_MD *md = key->alg == TOKEN_RS256 ? EVP_sha256() : NULL;
    bool good = ctx && EVP_DigestVerifyInit(ctx, NULL, md, NULL, key->pkey) == 1 &&
                EVP_DigestVerify(ctx, signature, len, (const unsigned char *)signed_part.p,
                                 signed_part.len) == 1;
    EVP_MD_CTX_free(ctx);
    return good;
}
