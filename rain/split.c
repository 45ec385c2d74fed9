#include "rain/split.h"

#include <inttypes.h>
#include <openssl/sha.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/alloc.h"
#include "rand_stream.h"

enum { DIGITS_MAX = 21 }; /* an int64 and the comma */

static int64_t rand_below(struct rand_stream *r, int64_t n)
{
    return (int64_t)rand_stream_below(r, (uint64_t)n);
}

/* Fisher-Yates, from the last one down. */
static void shuffle(struct rand_stream *r, int64_t *x, uint32_t n)
{
    for (uint32_t i = n; i > 1; i--) {
        uint32_t j = (uint32_t)rand_stream_below(r, i);
        int64_t t = x[i - 1];

        x[i - 1] = x[j];
        x[j] = t;
    }
}

/* W is w/m rounded up or down at random so that its mean is exactly w/m: floor before doubling is
 * what biases positions. Working from the nearer bound keeps lo*(m-1) <= R <= hi*(m-1) true after
 * every step. */
static void split_double_mean(struct rand_stream *r, const struct split_spec *s, int64_t *x)
{
    int64_t rest = s->total_fen;

    for (int64_t m = s->count; m > 1; m--) {
        int64_t a = rest - s->lo_fen * m;
        int64_t b = s->hi_fen * m - rest;
        int64_t w = 2 * (a < b ? a : b);
        int64_t top = w / m + (rand_below(r, m) < w % m);
        int64_t d = rand_below(r, top + 1);

        x[m - 1] = a <= b ? s->lo_fen + d : s->hi_fen - d;
        rest -= x[m - 1];
    }
    x[0] = rest;
}

/* Open addressing over a power of two at least twice as large as what is put in; 0 marks a free
 * place (cuts are > 0). */
struct cut_set {
    int64_t *slots;
    uint64_t mask;
};

static bool cut_set_add(struct cut_set *set, int64_t cut)
{
    uint64_t at = ((uint64_t)cut * UINT64_C(0x9e3779b97f4a7c15)) >> 20 & set->mask;

    while (set->slots[at] != 0) {
        if (set->slots[at] == cut)
            return false;
        at = (at + 1) & set->mask;
    }
    set->slots[at] = cut;
    return true;
}

static int cmp_fen(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* n-1 distinct cuts among 1…L-1 by Floyd's sampling: n-1 draws whatever L is, so it ends even when
 * every fen is a cut. */
static void split_line_cut(struct rand_stream *r, const struct split_spec *s, int64_t *x)
{
    int64_t n = s->count;
    int64_t len = s->total_fen - s->lo_fen * n + n;
    uint64_t slots = 2;
    struct cut_set set = {0};
    int64_t last = 0;

    while (slots < 2 * (uint64_t)n)
        slots *= 2;
    set.slots = rr_xcalloc(slots, sizeof(*set.slots));
    set.mask = slots - 1;
    for (int64_t i = 0; i < n - 1; i++) {
        int64_t j = len - n + 1 + i; /* from L-1-(n-1)+1 up to L-1 */
        int64_t cut = 1 + rand_below(r, j);

        x[i] = cut;
        if (!cut_set_add(&set, cut)) {
            x[i] = j; /* larger than every cut so far */
            (void)cut_set_add(&set, j);
        }
    }
    free(set.slots);
    qsort(x, (size_t)n - 1, sizeof(*x), cmp_fen);
    x[n - 1] = len;
    for (int64_t i = 0; i < n; i++) {
        int64_t cut = x[i];

        x[i] = cut - last + s->lo_fen - 1;
        last = cut;
    }
}

static void split_equal(const struct split_spec *s, int64_t *x)
{
    int64_t n = s->count;

    for (int64_t i = 0; i < n; i++)
        x[i] = s->total_fen / n + (i < s->total_fen % n);
}

static bool spec_allows(const struct split_spec *s)
{
    int64_t n = s->count;

    if (s->version != RAIN_SPLIT_VERSION || n < 1 || n > RR_PACKETS_MAX)
        return false;
    if (s->total_fen < 1 || s->total_fen > RR_FEN_MAX || s->lo_fen < 1 ||
        s->lo_fen > s->total_fen / n)
        return false;
    if (s->split == RAIN_LINE_CUT)
        return true;
    /* hi * n < total, without the product: hi may be anything */
    return s->hi_fen >= s->lo_fen && s->hi_fen >= (s->total_fen + n - 1) / n;
}

enum rr_err rain_split(const struct split_spec *spec, int64_t *amounts_fen)
{
    struct split_spec s = *spec;
    struct rand_stream r;

    if (!spec_allows(&s))
        return RR_BAD_REQUEST;
    /* A larger hi can never bind, and so small a one that products cannot overflow. It does not
     * change the amounts: with hi >= total, a <= b always holds for m >= 2. */
    if (s.hi_fen > s.total_fen)
        s.hi_fen = s.total_fen;
    rand_stream_init(&r, s.seed, s.code, s.version);
    switch (s.split) {
    case RAIN_DOUBLE_MEAN: split_double_mean(&r, &s, amounts_fen); break;
    case RAIN_LINE_CUT: split_line_cut(&r, &s, amounts_fen); break;
    case RAIN_EQUAL: split_equal(&s, amounts_fen); break;
    default: return RR_BAD_REQUEST;
    }
    if (s.split != RAIN_LINE_CUT) /* its order is as random as its cuts */
        shuffle(&r, amounts_fen, s.count);
    return RR_OK;
}

uint32_t rain_shard_count(uint32_t count, uint32_t shards, uint32_t shard)
{
    return count / shards + (shard < count % shards);
}

void rain_shard_amounts(const int64_t *amounts_fen, uint32_t count, uint32_t shards, uint32_t shard,
                        int64_t *out_fen)
{
    for (uint32_t i = shard; i < count; i += shards)
        *out_fen++ = amounts_fen[i];
}

static void hex_of(const uint8_t *p, size_t n, char *out)
{
    sodium_bin2hex(out, 2 * n + 1, p, n);
}

void rain_amounts_hash(const int64_t *amounts_fen, uint32_t n, char out[41])
{
    char *text = rr_xcalloc((size_t)n + 1, DIGITS_MAX);
    uint8_t md[SHA_DIGEST_LENGTH];
    size_t len = 0;

    for (uint32_t i = 0; i < n; i++)
        len += (size_t)snprintf(text + len, DIGITS_MAX + 1, i ? ",%" PRId64 : "%" PRId64,
                                amounts_fen[i]);
    RR_ASSERT(SHA1((const uint8_t *)text, len, md));
    free(text);
    hex_of(md, sizeof(md), out);
}

void rain_seed_hash(const uint8_t seed[RAIN_SEED_BYTES], char out[65])
{
    uint8_t md[crypto_hash_sha256_BYTES];

    crypto_hash_sha256(md, seed, RAIN_SEED_BYTES);
    hex_of(md, sizeof(md), out);
}

void rain_seed_new(uint8_t seed[RAIN_SEED_BYTES])
{
    RR_ASSERT(sodium_init() >= 0);
    randombytes_buf(seed, RAIN_SEED_BYTES);
}

uint32_t rain_home_shard(int64_t user_id, uint32_t shards)
{
    uint8_t key[8];

    for (unsigned i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t)((uint64_t)user_id >> (8 * i));
    return (uint32_t)(XXH3_64bits(key, sizeof(key)) % shards);
}
