/* prove.h - a rain's amounts recomputed from its seed and compared with what the books hold. The seed of a rain that can
 * still be granted from is a secret: whoever has it knows every packet before it is taken. */
#ifndef LEDGER_PROVE_H
#define LEDGER_PROVE_H

#include "ledger/ledger.h"

/* A split and what it makes; the caller frees with rain_proof_fini(). */
struct rain_proof {
    struct rain_info rain;
    char seed_hash[65];   /* recomputed */
    int64_t *amounts_fen; /* count items: packet i is no i div shards of shard i mod shards */
    int64_t sum_fen;
    bool hash_ok;   /* the seed is the one that was announced */
    bool sum_ok;    /* the amounts add up to the total */
    bool bounds_ok; /* each is within lo and hi */
    bool shards_ok; /* each shard's escrow had the sum and the hash of its amounts */
    int64_t grants; /* read from the books, void ones too */
    int64_t grants_wrong;
    char first_wrong[120]; /* text about one of them; "" */
};

/* What can be said without the books: hash_ok (against rain.seed_hash when it is not ""), sum_ok, bounds_ok, from out->rain.
 * RR_BAD_REQUEST: the numbers allow no split. */
RR_MUST_CHECK enum rr_err rain_prove(struct rain_proof *out);
/* The same for a rain of the books, with its shards and every grant. RR_NOT_FOUND. RR_PENDING: some shard is not closed yet. */
RR_MUST_CHECK enum rr_err ledger_prove(struct ledger *l, const char *code, struct rain_proof *out);
bool rain_proof_ok(const struct rain_proof *p);
void rain_proof_fini(struct rain_proof *p);

#endif
