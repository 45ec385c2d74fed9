/* rand_stream.h - the random numbers of a split: a pure function of seed, code and version, so
 *   anyone can recompute them.
 *   key     = SHA-256(seed (32 bytes) || code (22 ASCII bytes) || version (4 bytes little endian))
 *   stream  = ChaCha20 of RFC 8439 under key, nonce of 12 zero bytes, block counter from 0
 *   next()  = the next 8 bytes of the stream, little endian
 *   rand(n) = x mod n for the first x = next() that is >= 2^64 mod n, so that every residue is
 *             equally likely
 * In Node: crypto.createCipheriv("chacha20", key, Buffer.alloc(16)) over zero bytes.
 * rand(1) takes 8 bytes too: how much is read depends on the calls only. */
#ifndef RAIN_RAND_STREAM_H
#define RAIN_RAND_STREAM_H

#include <stdint.h>

#include "rain/split.h"

enum { RAND_BLOCK_BYTES = 64, RAND_BUF_BYTES = 16 * RAND_BLOCK_BYTES };

struct rand_stream {
    uint8_t key[32];
    uint8_t buf[RAND_BUF_BYTES];
    uint32_t used;  /* bytes of buf already handed out */
    uint32_t block; /* of the next block to make; the largest rain reads 24 MB, 2^32 are 256 GB */
};

void rand_stream_init(struct rand_stream *r, const uint8_t seed[RAIN_SEED_BYTES], const char *code,
                      uint32_t version);
uint64_t rand_stream_next(struct rand_stream *r);
/* Uniform in [0, n), n > 0. */
uint64_t rand_stream_below(struct rand_stream *r, uint64_t n);

#endif
