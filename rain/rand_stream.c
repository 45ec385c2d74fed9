#include "rand_stream.h"

#include <sodium.h>
#include <string.h>

void rand_stream_init(struct rand_stream *r, const uint8_t seed[RAIN_SEED_BYTES], const char *code,
                      uint32_t version)
{
    crypto_hash_sha256_state h;
    uint8_t ver[4];

    /* Also picks the fastest ChaCha20 of this machine. Safe to call again, from any thread. */
    RR_ASSERT(sodium_init() >= 0);
    for (unsigned i = 0; i < sizeof(ver); i++)
        ver[i] = (uint8_t)(version >> (8 * i));
    crypto_hash_sha256_init(&h);
    crypto_hash_sha256_update(&h, seed, RAIN_SEED_BYTES);
    crypto_hash_sha256_update(&h, (const uint8_t *)code, strlen(code));
    crypto_hash_sha256_update(&h, ver, sizeof(ver));
    crypto_hash_sha256_final(&h, r->key);
    r->used = RAND_BUF_BYTES;
    r->block = 0;
}

uint64_t rand_stream_next(struct rand_stream *r)
{
    static const uint8_t nonce[crypto_stream_chacha20_ietf_NONCEBYTES];
    uint64_t x = 0;

    if (r->used == RAND_BUF_BYTES) {
        memset(r->buf, 0, sizeof(r->buf));
        crypto_stream_chacha20_ietf_xor_ic(r->buf, r->buf, sizeof(r->buf), nonce, r->block, r->key);
        r->block += RAND_BUF_BYTES / RAND_BLOCK_BYTES;
        r->used = 0;
    }
    for (unsigned i = 0; i < 8; i++)
        x |= (uint64_t)r->buf[r->used + i] << (8 * i);
    r->used += 8;
    return x;
}

uint64_t rand_stream_below(struct rand_stream *r, uint64_t n)
{
    uint64_t skip = (0 - n) % n; /* 2^64 mod n */
    uint64_t x;

    do {
        x = rand_stream_next(r);
    } while (x < skip);
    return x % n;
}
