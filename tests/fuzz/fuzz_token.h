/* fuzz_token.h - what fuzz_token's input is, for the target and its seeds: one byte, then text. */
#ifndef TESTS_FUZZ_TOKEN_H
#define TESTS_FUZZ_TOKEN_H

enum token_input {
    TOKEN_RAW,    /* a token as it came from outside */
    TOKEN_SIGNED, /* header, newline, payload: signed with our key, so that the claims are looked at */
    TOKEN_KEYS, /* a keys file */
    TOKEN_INPUTS
};

/* base64url of the HS256 key, whose kid is "k1". */
#define FUZZ_HS256_KEY "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
/* Public keys made for the tests; kid "r1" and "e1". */
#define FUZZ_RSA_PEM                                                                               \
    "-----BEGIN PUBLIC KEY-----\\n"                                                                \
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA5+OU6Z7sUgPjZ/MvJlAb\\n"                          \
    "Bmrvt6F32G6PMhjZm1gjCWekgoZqO4x1YXV12K9YMW8jqsdkW/y0/R8fKpCKby7D\\n"                          \
    "XlN3iK7a2QG5aAi2b4KSgUjxwS0Dn2ZiAm1jturqUEDDbNqifl2zwGVHEip41/lB\\n"                          \
    "dIDBaIajwMpU1fcoWcR7CJRzKhbj4azi44bTeamBomjWtblWZc75NMl3zNwh9r5Y\\n"                          \
    "Na/dkC9AFqP8dJ/YFFd4K3mXTrAtcDULjKHEfGNp0YwA9PUQPyholZTkJmW04JX5\\n"                          \
    "4q/hHYb7vEFTYn44Bw8OxQFHUUo6OXmzc6BvgUJPQDxaXqw/0U4/DLGSSKqVYJO8\\n"                          \
    "JQIDAQAB\\n-----END PUBLIC KEY-----\\n"
#define FUZZ_ED25519_PEM                                                                           \
    "-----BEGIN PUBLIC KEY-----\\n"                                                                \
    "MCowBQYDK2VwAyEAtDFTPxYcuxbFScobNv1fo7IwfjZVkEvUCUjT8JbcOFA=\\n"                              \
    "-----END PUBLIC KEY-----\\n"
#define FUZZ_KEYS                                                                                  \
    "{\"keys\":[{\"kid\":\"k1\",\"alg\":\"HS256\",\"k\":\"" FUZZ_HS256_KEY "\"},"                  \
    "{\"kid\":\"r1\",\"alg\":\"RS256\",\"pem\":\"" FUZZ_RSA_PEM "\"},"                             \
    "{\"kid\":\"e1\",\"alg\":\"EdDSA\",\"pem\":\"" FUZZ_ED25519_PEM "\"}]}"

#endif
