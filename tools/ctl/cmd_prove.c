/* redrainctl prove: recomputes what every packet of a rain had to hold, from its seed. With a code it reads MySQL directly and
 * compares every grant; with --seed it needs nothing but its arguments. */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "ledger/prove.h"

struct prove_args {
    const char *seed;
    const char *seed_hash;
    const char *code;
    const char *total;
    const char *count;
    const char *split;
    const char *lo;
    const char *hi;
    const char *shards;
    const char *version;
    bool list;
};

/* 64 hex digits into out. */
static bool hex_read(const char *text, uint8_t out[RAIN_SEED_BYTES])
{
    size_t n = 0;

    return strlen(text) == (size_t)2 * RAIN_SEED_BYTES &&
           sodium_hex2bin(out, RAIN_SEED_BYTES, text, strlen(text), NULL, &n, NULL) == 0 &&
           n == RAIN_SEED_BYTES;
}

static int fill_numbers(const struct prove_args *a, struct rain_info *r)
{
    struct rain_spec *spec = &r->spec;
    int64_t count = 0;
    int64_t shards = 1;
    int64_t version = RAIN_SPLIT_VERSION;
    int rc = ctl_number("--total", a->total, 1, RR_FEN_MAX, &spec->total_fen);

    if (rc == CTL_OK)
        rc = ctl_number("--count", a->count, 1, RR_PACKETS_MAX, &count);
    if (rc == CTL_OK && a->shards)
        rc = ctl_number("--shards", a->shards, 1, RR_SHARDS_MAX, &shards);
    if (rc == CTL_OK && a->version)
        rc = ctl_number("--split-ver", a->version, 1, INT32_MAX, &version);
    spec->lo_fen = 1;
    spec->hi_fen = spec->total_fen;
    if (rc == CTL_OK && a->lo)
        rc = ctl_number("--lo", a->lo, 1, RR_FEN_MAX, &spec->lo_fen);
    if (rc == CTL_OK && a->hi)
        rc = ctl_number("--hi", a->hi, 1, RR_FEN_MAX, &spec->hi_fen);
    spec->count = (uint32_t)count;
    spec->shards = (uint32_t)shards;
    r->split_version = (uint32_t)version;
    return rc;
}

static int fill(const struct prove_args *a, struct rain_info *r)
{
    uint8_t hash[RAIN_SEED_BYTES];

    if (!a->code || !rain_code_valid(rr_slice_str(a->code)))
        return ctl_usage_error("--code must be the code of a rain");
    memcpy(r->code, a->code, RR_CODE_LEN);
    if (!hex_read(a->seed, r->seed))
        return ctl_usage_error("--seed: %d hex digits", 2 * RAIN_SEED_BYTES);
    if (a->seed_hash && !hex_read(a->seed_hash, hash))
        return ctl_usage_error("--seed-hash: %d hex digits", 2 * RAIN_SEED_BYTES);
    if (a->seed_hash)
        sodium_bin2hex(r->seed_hash, sizeof(r->seed_hash), hash, sizeof(hash));
    r->spec.split = rain_split_parse(rr_slice_str(a->split ? a->split : ""));
    if (!r->spec.split)
        return ctl_usage_error("--split must be double-mean, line-cut or equal");
    return fill_numbers(a, r);
}

static json_t *amounts_json(const struct rain_proof *p)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < p->rain.spec.count; i++)
        json_array_append_new(list, json_integer(p->amounts_fen[i]));
    return list;
}

static const char *verdict_of(const struct rain_proof *p, bool books)
{
    if (!rain_proof_ok(p))
        return "NOT PROVEN";
    return books || p->rain.seed_hash[0] ? "proven" : "computed; no hash was given to compare with";
}

static void print_json(const struct rain_proof *p, bool books, bool list)
{
    const struct rain_info *r = &p->rain;
    char seed[2 * RAIN_SEED_BYTES + 1];
    json_t *o = NULL;

    sodium_bin2hex(seed, sizeof(seed), r->seed, sizeof(r->seed));
    o = json_pack("{s:b, s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:i, s:s, s:s, s:b, s:b, s:b}", "ok",
                  rain_proof_ok(p), "code", r->code, "split", rain_split_name(r->spec.split),
                  "split_ver", (int)r->split_version, "total", (json_int_t)r->spec.total_fen,
                  "count", (json_int_t)r->spec.count, "lo", (json_int_t)r->spec.lo_fen, "hi",
                  (json_int_t)r->spec.hi_fen, "shards", (int)r->spec.shards, "seed", seed,
                  "seed_hash", p->seed_hash, "hash_ok", p->hash_ok, "sum_ok", p->sum_ok,
                  "bounds_ok", p->bounds_ok);
    if (books) {
        json_object_set_new(o, "status", json_string(rain_status_name(r->status)));
        json_object_set_new(o, "shards_ok", json_boolean(p->shards_ok));
        json_object_set_new(o, "grants", json_integer(p->grants));
        json_object_set_new(o, "grants_wrong", json_integer(p->grants_wrong));
        json_object_set_new(o, "first_wrong", json_string(p->first_wrong));
    }
    if (list)
        json_object_set_new(o, "amounts", amounts_json(p));
    json_object_set_new(o, "verdict", json_string(verdict_of(p, books)));
    ctl_print_json(o);
    json_decref(o);
}

static const char *yes(bool ok)
{
    return ok ? "yes" : "NO";
}

static void print_text(const struct rain_proof *p, bool books, bool list)
{
    const struct rain_info *r = &p->rain;

    printf("rain           %s, %s version %" PRIu32 "\n", r->code, rain_split_name(r->spec.split),
           r->split_version);
    printf("numbers        %" PRId64 " fen in %" PRIu32 " packets of %" PRId64 " to %" PRId64
           ", %" PRIu32 " shards\n",
           r->spec.total_fen, r->spec.count, r->spec.lo_fen, r->spec.hi_fen, r->spec.shards);
    printf("hash of seed   %s\n", p->seed_hash);
    if (r->seed_hash[0])
        printf("as announced   %s\n", yes(p->hash_ok));
    printf("sum is right   %s\nwithin bounds  %s\n", yes(p->sum_ok), yes(p->bounds_ok));
    if (books) {
        printf("frozen so      %s\n", yes(p->shards_ok));
        printf("grants         %" PRId64 ", %" PRId64 " of another amount\n", p->grants,
               p->grants_wrong);
        if (p->first_wrong[0])
            printf("               %s\n", p->first_wrong);
    }
    for (uint32_t i = 0; list && i < r->spec.count; i++)
        printf("packet         shard %" PRIu32 " no %" PRIu32 " %" PRId64 "\n", i % r->spec.shards,
               i / r->spec.shards, p->amounts_fen[i]);
    printf("verdict        %s\n", verdict_of(p, books));
}

static int told(const struct ctl *ctl, const struct rain_proof *p, bool books, bool list)
{
    if (ctl->json)
        print_json(p, books, list);
    else
        print_text(p, books, list);
    return rain_proof_ok(p) ? CTL_OK : CTL_FAILED;
}

static int offline(const struct ctl *ctl, const struct prove_args *a)
{
    struct rain_proof p = {.shards_ok = true}; /* nothing frozen to compare with */
    int rc = fill(a, &p.rain);

    if (rc == CTL_OK && rain_prove(&p) != RR_OK)
        rc = ctl_usage_error("these numbers allow no split: lo * count <= total <= hi * count must "
                             "hold, and the version must be known (1 to %d)",
                             RAIN_SPLIT_VERSION);
    if (rc == CTL_OK)
        rc = told(ctl, &p, false, a->list || ctl->json);
    rain_proof_fini(&p);
    return rc;
}

static int from_books(const struct ctl *ctl, const char *code, bool list)
{
    struct ledger_opts opts = ledger_opts_of(&ctl->conf, 60);
    struct ledger *ledger = NULL;
    struct rain_proof p = {.amounts_fen = NULL};
    enum rr_err err = RR_OK;
    int rc = CTL_OK;

    ledger_global_init();
    if (ledger_create(&ledger, &opts) != RR_OK)
        return ctl_fail("mysql.url is malformed");
    err = ledger_prove(ledger, code, &p);
    if (err == RR_OK)
        rc = told(ctl, &p, true, list);
    else if (err == RR_NOT_FOUND)
        rc = ctl_fail("NOT_FOUND: no rain has the code %s", code);
    else if (err == RR_PENDING)
        rc = ctl_fail(
            "PENDING: the seed of %s is a secret until all its shards are closed; it is %s", code,
            rain_status_name(p.rain.status));
    else
        rc = ctl_fail("%s: %s", rr_err_name(err), ledger_error(ledger));
    rain_proof_fini(&p);
    ledger_destroy(ledger);
    return rc;
}

int cmd_prove(struct ctl *ctl)
{
    struct prove_args a = {0};
    const char *code = NULL;
    const struct ctl_option options[] = {
        {"--seed", &a.seed, NULL},     {"--seed-hash", &a.seed_hash, NULL},
        {"--code", &a.code, NULL},     {"--total", &a.total, NULL},
        {"--count", &a.count, NULL},   {"--split", &a.split, NULL},
        {"--lo", &a.lo, NULL},         {"--hi", &a.hi, NULL},
        {"--shards", &a.shards, NULL}, {"--split-ver", &a.version, NULL},
        {"--list", NULL, &a.list},
    };
    size_t n;
    int rc = ctl_options(ctl, options, RR_COUNTOF(options), &code, 1, &n);

    if (rc != CTL_OK)
        return rc;
    if (!code == !a.seed)
        return ctl_usage_error("prove CODE, or prove --seed HEX --code C --total FEN --count N "
                               "--split X (--help says more)");
    if (!code)
        return offline(ctl, &a);
    if (!rain_code_valid(rr_slice_str(code)))
        return ctl_usage_error("\"%s\" is not the code of a rain", code);
    return from_books(ctl, code, a.list);
}
