/* A whole token: three parts, a bounded header, the signature first, the claims after. */
#include "token/token.h"

#include <stdlib.h>
#include <string.h>

#include "token_impl.h"

struct parts {
    struct rr_slice header;
    struct rr_slice payload;
    struct rr_slice signature;
    struct rr_slice signed_part; /* header.payload, as it came */
};

static bool split_parts(struct rr_slice jwt, struct parts *out)
{
    if (jwt.len == 0 || jwt.len > TOKEN_MAX_BYTES)
        return false;
    const char *end = jwt.p + jwt.len;
    const char *first = memchr(jwt.p, '.', jwt.len);
    if (!first)
        return false;
    const char *second = memchr(first + 1, '.', (size_t)(end - first - 1));
    if (!second || memchr(second + 1, '.', (size_t)(end - second - 1)))
        return false;
    out->header = rr_slice_of(jwt.p, (size_t)(first - jwt.p));
    out->payload = rr_slice_of(first + 1, (size_t)(second - first - 1));
    out->signature = rr_slice_of(second + 1, (size_t)(end - second - 1));
    out->signed_part = rr_slice_of(jwt.p, (size_t)(second - jwt.p));
    return out->header.len && out->payload.len && out->signature.len;
}

/* A JSON object, or NULL. jansson refuses duplicates here, bad UTF-8, NUL and trailing bytes. */
static json_t *decode_object(struct rr_slice part)
{
    unsigned char text[TOKEN_MAX_BYTES];
    size_t len = 0;

    if (!token_base64_decode(part, text, sizeof(text), &len))
        return NULL;
    json_t *root = json_loadb((const char *)text, len, JSON_REJECT_DUPLICATES, NULL);
    if (root && !json_is_object(root)) {
        json_decref(root);
        return NULL;
    }
    return root;
}

static const struct token_key *find_key(const struct token_keys *k, const char *kid)
{
    if (!kid || !token_kid_valid(kid))
        return NULL;
    for (size_t i = 0; i < k->n; i++) {
        if (!strcmp(k->keys[i].kid, kid))
            return &k->keys[i];
    }
    return NULL;
}

/* The key the header names, if the header is in order and names this key's algorithm. */
static const struct token_key *key_of_header(const struct token_keys *k, const json_t *header)
{
    const char *alg = json_string_value(json_object_get(header, "alg"));
    const json_t *typ = json_object_get(header, "typ");
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)header, name, value)
    {
        if (strcmp(name, "alg") != 0 && strcmp(name, "kid") != 0 && strcmp(name, "typ") != 0)
            return NULL;
    }
    if (typ && (!json_is_string(typ) || strcmp(json_string_value(typ), "JWT") != 0))
        return NULL;
    const struct token_key *key = find_key(k, json_string_value(json_object_get(header, "kid")));
    if (!key || !alg || strcmp(alg, token_alg_names[key->alg]) != 0)
        return NULL;
    return key;
}

enum rr_err token_verify(const struct token_keys *k, struct rr_slice jwt,
                         const struct token_rules *rules, struct token_claims *out)
{
    unsigned char signature[TOKEN_SIGNATURE_MAX];
    size_t signature_len = 0;
    const struct token_key *key = NULL;
    json_t *header = NULL;
    json_t *payload = NULL;
    struct parts parts;
    enum rr_err err = RR_UNAUTHORIZED;

    memset(out, 0, sizeof(*out));
    if (!split_parts(jwt, &parts))
        return RR_UNAUTHORIZED;
    header = decode_object(parts.header);
    if (header)
        key = key_of_header(k, header);
    if (!key ||
        !token_base64_decode(parts.signature, signature, sizeof(signature), &signature_len) ||
        !token_signature_good(key, parts.signed_part, signature, signature_len))
        goto out;
    payload = decode_object(parts.payload);
    if (payload)
        err = token_claims_read(payload, rules, out);
out:
    json_decref(header);
    json_decref(payload);
    if (err != RR_OK)
        token_claims_fini(out);
    return err;
}

static json_t *rooms_json(const struct token_claims *claims)
{
    if (claims->all_rooms)
        return json_string("*");
    json_t *list = json_array();
    const char *p = claims->rooms ? claims->rooms : "";
    while (*p) {
        p += strspn(p, ",");
        size_t len = strcspn(p, ",");
        if (len)
            json_array_append_new(list, json_stringn(p, len));
        p += len;
    }
    return list;
}

static json_t *claims_json(const struct token_claims *claims, const char *audience, int64_t now_s)
{
    char user[24];
    struct rr_buf id = {0};

    rr_buf_printf(&id, "%lld", (long long)claims->user_id);
    rr_slice_copy(rr_slice_of(id.p, id.len), user, sizeof(user));
    rr_buf_fini(&id);
    json_t *root = json_pack("{s:s, s:I, s:I, s:s, s:s, s:o, s:b}", "sub", user, "exp",
                             (json_int_t)claims->exp_s, "iat", (json_int_t)now_s, "aud", audience,
                             "role", token_role_name(claims->role), "rooms", rooms_json(claims),
                             "may_send", (int)claims->may_send);
    bool ok = root != NULL;
    if (ok && claims->name[0])
        ok = json_object_set_new(root, "name", json_string(claims->name)) == 0;
    if (ok && claims->level)
        ok = json_object_set_new(root, "level", json_integer(claims->level)) == 0;
    if (ok && claims->since_s)
        ok = json_object_set_new(root, "since", json_integer(claims->since_s)) == 0;
    if (!ok) {
        json_decref(root);
        return NULL;
    }
    return root;
}

/* Appends base64url(JSON); false when memory is gone. */
static bool append_json(const json_t *root, struct rr_buf *out)
{
    char *text = json_dumps(root, JSON_COMPACT);

    if (!text)
        return false;
    token_base64_encode(text, strlen(text), out);
    free(text);
    return !out->failed;
}

enum rr_err token_sign_hs256(const struct token_keys *k, const struct token_claims *claims,
                             const char *audience, int64_t now_s, struct rr_buf *out)
{
    struct token_rules rules = {.audience = audience, .now_s = now_s};
    const struct token_key *key = NULL;
    struct token_claims check = {0};
    struct rr_buf jwt = {0};
    unsigned char mac[32];
    enum rr_err err = RR_BAD_REQUEST;

    for (size_t i = 0; i < k->n && !key; i++)
        key = k->keys[i].alg == TOKEN_HS256 ? &k->keys[i] : NULL;
    if (!key)
        return RR_NOT_FOUND;
    json_t *header = json_pack("{s:s, s:s, s:s}", "alg", "HS256", "typ", "JWT", "kid", key->kid);
    json_t *payload = claims_json(claims, audience, now_s);
    if (!header || !payload || !append_json(header, &jwt))
        goto out;
    rr_buf_puts(&jwt, ".");
    if (!append_json(payload, &jwt) || !token_hs256(key, rr_slice_of(jwt.p, jwt.len), mac))
        goto out;
    rr_buf_puts(&jwt, ".");
    token_base64_encode(mac, sizeof(mac), &jwt);
    /* Nothing leaves here that the server would refuse. */
    if (jwt.failed || token_verify(k, rr_slice_of(jwt.p, jwt.len), &rules, &check) != RR_OK)
        goto out;
    rr_buf_append(out, jwt.p, jwt.len);
    err = out->failed ? RR_FULL : RR_OK;
out:
    token_claims_fini(&check);
    rr_buf_fini(&jwt);
    json_decref(header);
    json_decref(payload);
    return err;
}
