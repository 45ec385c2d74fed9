#include "risk/address.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MAX = 4096, V6_PREFIX_BYTES = 8 };

void risk_key_random(struct risk_key *key)
{
    randombytes_buf(key->bytes, sizeof(key->bytes));
}

enum rr_err risk_key_load(struct risk_key *key, const char *file)
{
    unsigned char text[FILE_MAX];
    ssize_t n = 0;
    int fd = open(file, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return RR_CONFIG;
    n = read(fd, text, sizeof(text));
    close(fd);
    if (n < RISK_KEY_BYTES)
        return RR_CONFIG;
    crypto_generichash(key->bytes, sizeof(key->bytes), text, (unsigned long long)n, NULL, 0);
    sodium_memzero(text, sizeof(text));
    return RR_OK;
}

void risk_key_print(const struct risk_key *key, char out[2 * RISK_KEY_BYTES + 1])
{
    sodium_bin2hex(out, 2 * RISK_KEY_BYTES + 1, key->bytes, sizeof(key->bytes));
}

enum rr_err risk_key_parse(struct risk_key *key, const char *hex)
{
    size_t n = 0;

    if (sodium_hex2bin(key->bytes, sizeof(key->bytes), hex, strlen(hex), NULL, &n, NULL) != 0 ||
        n != sizeof(key->bytes))
        return RR_CONFIG;
    return RR_OK;
}

static bool v4_counts(const uint8_t a[4])
{
    bool local = a[0] == 0 || a[0] == 127 || a[0] == 10 || (a[0] == 172 && (a[1] & 0xf0) == 16) ||
                 (a[0] == 192 && a[1] == 168) || (a[0] == 169 && a[1] == 254) || a[0] >= 224;

    return !local;
}

static bool v6_counts(const struct in6_addr *a)
{
    return !IN6_IS_ADDR_UNSPECIFIED(a) && !IN6_IS_ADDR_LOOPBACK(a) && !IN6_IS_ADDR_LINKLOCAL(a) &&
           !IN6_IS_ADDR_MULTICAST(a) && (a->s6_addr[0] & 0xfe) != 0xfc;
}

uint64_t risk_address_hash(const struct risk_key *key, const char *text)
{
    struct in6_addr v6;
    uint8_t v4[4];
    uint8_t in[1 + V6_PREFIX_BYTES];
    size_t n = 0;
    uint8_t hash[crypto_shorthash_BYTES];
    uint64_t out = 0;

    if (inet_pton(AF_INET6, text, &v6) == 1 && IN6_IS_ADDR_V4MAPPED(&v6)) {
        memcpy(v4, v6.s6_addr + 12, sizeof(v4));
        n = sizeof(v4);
    } else if (inet_pton(AF_INET6, text, &v6) == 1) {
        if (!v6_counts(&v6))
            return 0;
        n = V6_PREFIX_BYTES;
        memcpy(in + 1, v6.s6_addr, n);
    } else if (inet_pton(AF_INET, text, v4) == 1) {
        n = sizeof(v4);
    } else {
        return 0;
    }
    if (n == sizeof(v4)) {
        if (!v4_counts(v4))
            return 0;
        memcpy(in + 1, v4, n);
    }
    in[0] = (uint8_t)n;
    crypto_shorthash(hash, in, 1 + n, key->bytes);
    memcpy(&out, hash, sizeof(out));
    return out ? out : 1;
}

const char *risk_address_last(char *text)
{
    char *end = text + strlen(text);
    char *at = NULL;

    while (end > text && (end[-1] == ' ' || end[-1] == '\t'))
        *--end = 0;
    at = strrchr(text, ',');
    at = at ? at + 1 : text;
    return at + strspn(at, " \t");
}

void risk_address_print(uint64_t address, char out[RISK_ADDRESS_TEXT])
{
    out[0] = 0;
    if (address)
        snprintf(out, RISK_ADDRESS_TEXT, "%016" PRIx64, address);
}
