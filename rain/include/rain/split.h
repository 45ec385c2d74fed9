/* split.h - divides a total into packets, deterministically from a seed: anyone can recompute it.
 * Algorithms, all in integer fen, lo*n <= total <= hi*n:
 *   double mean (二倍均值): R = total; for m = n…2: a = R - lo*m, b = hi*m - R,
 *     w = 2*min(a,b), W = w/m + (rand(m) < w mod m), d = rand(W+1),
 *     x[m-1] = a <= b ? lo+d : hi-d, R -= x[m-1]; x[0] = R; then Fisher-Yates.
 *     E[x] = total/n at every position. hi > total counts as total.
 *   line cut (线段切割): n-1 distinct cuts of L = total - lo*n + n fen by Floyd's sampling:
 *     for j = L-n+1…L-1: c = 1 + rand(j), take j if c is taken already, else c. Sorted; packet i is
 *     the i-th piece + lo - 1. Uniform over all compositions.
 *   equal (普通): the first total mod n packets get one fen more; then Fisher-Yates.
 *   Fisher-Yates: for i = n…2: swap x[i-1] and x[rand(i)].
 * rand(n): rejection sampling over a ChaCha20 stream (libsodium) keyed by
 *   SHA-256(seed || code || version); rain/rand_stream.h has the bytes. tests/vectors/split.json,
 *   recomputed in JavaScript by tests/unit/rain/split_vectors.mjs. */
#ifndef RAIN_SPLIT_H
#define RAIN_SPLIT_H

#include <stdint.h>

#include "base/err.h"
#include "rain/rain.h"

#define RAIN_SEED_BYTES 32

struct split_spec {
    int64_t total_fen;
    int64_t lo_fen;
    int64_t hi_fen; /* line cut ignores it (its hi is total) */
    uint32_t count;
    uint32_t version; /* RAIN_SPLIT_VERSION */
    enum rain_split split;
    uint8_t seed[RAIN_SEED_BYTES];
    char code[RR_CODE_LEN + 1];
};

/* Writes count amounts in grant order of the whole rain: packet i goes to shard i mod S, where it
 * is number i div S. RR_BAD_REQUEST when the numbers do not allow a split. */
RR_MUST_CHECK enum rr_err rain_split(const struct split_spec *spec, int64_t *amounts_fen);

/* Packets of one shard: count of i < n with i mod shards == shard. */
uint32_t rain_shard_count(uint32_t count, uint32_t shards, uint32_t shard);
/* Copies the amounts of one shard, in pop order; out holds rain_shard_count() items. */
void rain_shard_amounts(const int64_t *amounts_fen, uint32_t count, uint32_t shards, uint32_t shard,
                        int64_t *out_fen);
/* SHA-1 (hex, 40 + NUL) over the decimal amounts joined by ",": what the seal script recomputes in
 * Redis. */
void rain_amounts_hash(const int64_t *amounts_fen, uint32_t n, char out[41]);
/* SHA-256(seed) in hex (64 + NUL): announced before, the seed is revealed after. */
void rain_seed_hash(const uint8_t seed[RAIN_SEED_BYTES], char out[65]);
void rain_seed_new(uint8_t seed[RAIN_SEED_BYTES]);

/* Home shard of a user: XXH3_64bits(user id as 8 bytes little endian) mod shards.
 * Vectors: tests/vectors/shard.json. */
uint32_t rain_home_shard(int64_t user_id, uint32_t shards);

#endif
