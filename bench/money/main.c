/* main.c - redrain-bench-money: the product's side of ./dev bench pool and ./dev bench settle. Each command does one thing once
 * and prints one JSON line; tests/bench/main.mjs starts the services, alternates with the references and reports.
 *   pool --count N                  a pool without a rain in the books: N wins, then N grabs that are sold out
 *   rain --count N [--close]        a whole rain: created, opened, grabbed empty, its grants in Kafka; --close: closed at
 *                                   once, and watched until it is SETTLED */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "grabber.h"
#include "ledger/saga.h"
#include "rain/split.h"
#include "store/store_sync.h"

#define ROOM "bench"

enum {
    SENDER = 9001,
    FIRST_USER = 100000,
    HOUR_MS = 3600000,
    PACKET_FEN = 100,
    SETTLED_MAX_MS = 120000
};

struct bench {
    struct rr_conf conf;
    struct store_sync *store;
    struct ledger *ledger;
    uint32_t count;
    uint32_t shards;
    bool close;
};

static enum rr_err grab(const struct bench *b, const char *code, int64_t first_user, bool produce,
                        struct grabber_result *out)
{
    return grabber_run(&(struct grabber_opts){.conf = &b->conf,
                                              .code = code,
                                              .room_id = ROOM,
                                              .shards = b->shards,
                                              .count = b->count,
                                              .first_user = first_user,
                                              .produce = produce},
                       out);
}

/* ---- pool ---- */

static enum rr_err seal_and_open(const struct bench *b, const char *code, const int64_t *amounts)
{
    const struct pool_admin *pool = store_sync_pool(b->store);
    struct pool_seal seal = {.limit = 1, .room_id = ROOM};
    int64_t *mine = rr_xcalloc(b->count, sizeof(*mine));
    char rid[RR_RID_LEN + 1];
    int64_t now_ms = 0;
    enum rr_err err = pool->now_ms(pool->impl, &now_ms);

    memcpy(seal.at.code, code, sizeof(seal.at.code));
    for (uint32_t i = 0; !err && i < b->shards; i++) {
        rain_shard_amounts(amounts, b->count, b->shards, i, mine);
        seal.at.shard = i;
        seal.amounts_fen = mine;
        seal.count = rain_shard_count(b->count, b->shards, i);
        rain_amounts_hash(mine, seal.count, seal.amounts_hash);
        err = pool->seal(pool->impl, &seal, rid);
        if (!err)
            err = pool->open(pool->impl, &seal.at, now_ms, now_ms + HOUR_MS);
    }
    free(mine);
    return err;
}

static double per_s(uint64_t n, int64_t us)
{
    return us > 0 ? (double)n * 1e6 / (double)us : 0;
}

static enum rr_err run_pool(const struct bench *b)
{
    struct split_spec spec = {.total_fen = (int64_t)b->count * PACKET_FEN,
                              .lo_fen = 1,
                              .hi_fen = (int64_t)b->count * PACKET_FEN,
                              .count = b->count,
                              .version = RAIN_SPLIT_VERSION,
                              .split = RAIN_DOUBLE_MEAN};
    int64_t *amounts = rr_xcalloc(b->count, sizeof(*amounts));
    struct grabber_result *won = rr_xcalloc(2, sizeof(*won));
    struct grabber_result *lost = won + 1;
    enum rr_err err = RR_OK;

    rain_code_new(spec.code);
    rain_seed_new(spec.seed);
    err = rain_split(&spec, amounts);
    if (!err)
        err = seal_and_open(b, spec.code, amounts);
    if (!err)
        err = grab(b, spec.code, FIRST_USER, false, won);
    if (!err)
        err = grab(b, spec.code, INT64_C(1000000000), false, lost);
    if (!err && (won->wins != b->count || lost->sold_out != b->count))
        err = RR_CORRUPT;
    if (!err)
        printf("{\"wins\":%" PRIu64 ",\"wins_per_s\":%.0f,\"losses\":%" PRIu64
               ",\"losses_per_s\":%.0f,\"calls\":%" PRIu64 ",\"win_p50_us\":%" PRId64
               ",\"win_p99_us\":%" PRId64 ",\"loss_p50_us\":%" PRId64 ",\"loss_p99_us\":%" PRId64
               "}\n",
               won->wins, per_s(won->wins, won->us), lost->sold_out,
               per_s(lost->sold_out, lost->us), won->calls, hist_permille(&won->latency_us, 500),
               hist_permille(&won->latency_us, 990), hist_permille(&lost->latency_us, 500),
               hist_permille(&lost->latency_us, 990));
    free(amounts);
    free(won);
    return err;
}

/* ---- rain ---- */

static enum rr_err open_rain(const struct bench *b, struct saga *saga, struct rain_info *r)
{
    struct saga_actor backend = {.user_id = 0};
    struct rain_spec spec = {.sender_id = SENDER,
                             .room_id = ROOM,
                             .total_fen = (int64_t)b->count * PACKET_FEN,
                             .count = b->count,
                             .shards = b->shards};
    struct wallet wallet;
    const char *field = NULL;
    char code[RR_CODE_LEN + 1];
    enum rr_err err = RR_OK;

    rain_code_new(code);
    snprintf(spec.biz_id, sizeof(spec.biz_id), "bench-%.16s", code);
    err = ledger_deposit(b->ledger, SENDER, spec.total_fen, spec.biz_id, &wallet);
    if (!err)
        err = saga_create(saga, &spec, r, &field);
    if (err)
        fprintf(stderr, "create: %s %s %s\n", rr_err_name(err), field ? field : "",
                ledger_error(b->ledger));
    memcpy(code, r->code, sizeof(code));
    if (!err)
        err = saga_prepare(saga, &backend, code, r);
    if (!err)
        err = saga_start(saga, &backend, code, 0, HOUR_MS, r);
    return err;
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

static enum rr_err close_rain(const struct bench *b, struct saga *saga, const char *code,
                              int64_t *settled_ms)
{
    struct saga_actor backend = {.user_id = 0};
    const struct rr_clock *clock = rr_clock_system();
    int64_t from_us = rr_mono_us(clock);
    struct rain_info r = {.status = RAIN_SENT};
    char own[RR_CODE_LEN + 1];
    enum rr_err err = RR_OK;

    memcpy(own, code, sizeof(own));
    err = saga_close(saga, &backend, own, true, &r);
    /* Somebody else holds a row: the task goes on. */
    if (err == RR_RETRY || err == RR_PENDING || err == RR_BUSY)
        err = RR_OK;
    while (!err && r.status != RAIN_SETTLED) {
        if (rr_mono_us(clock) - from_us > SETTLED_MAX_MS * INT64_C(1000))
            return RR_BUSY;
        nap();
        err = ledger_rain_get(b->ledger, own, &r);
    }
    *settled_ms = (rr_mono_us(clock) - from_us) / 1000;
    return err;
}

static enum rr_err run_rain(const struct bench *b)
{
    struct saga saga = {.ledger = b->ledger,
                        .pool = store_sync_pool(b->store),
                        .notify = store_sync_notify(b->store),
                        .owner = "bench"};
    struct rain_info r = {.status = RAIN_CREATED};
    struct grabber_result *won = rr_xcalloc(1, sizeof(*won));
    int64_t settled_ms = 0;
    enum rr_err err = open_rain(b, &saga, &r);

    if (!err)
        err = grab(b, r.code, FIRST_USER, true, won);
    if (!err && won->wins != b->count)
        err = RR_CORRUPT;
    if (!err && b->close)
        err = close_rain(b, &saga, r.code, &settled_ms);
    if (!err)
        printf("{\"code\":\"%s\",\"wins\":%" PRIu64
               ",\"produced_per_s\":%.0f,\"settled_ms\":%" PRId64 "}\n",
               r.code, won->wins, per_s(won->wins, won->us), settled_ms);
    free(won);
    return err;
}

/* ---- the command line ---- */

static const char usage[] =
    "redrain-bench-money --config FILE pool|rain --count N --shards S [--close]";

static bool parse(struct bench *b, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--close") == 0)
            b->close = true;
        else if (strcmp(argv[i], "--count") == 0 && i + 1 < argc)
            b->count = (uint32_t)strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--shards") == 0 && i + 1 < argc)
            b->shards = (uint32_t)strtoul(argv[++i], NULL, 10);
        else
            return false;
    }
    return b->count > 0 && b->shards > 0 && b->shards <= b->count;
}

static enum rr_err run(struct bench *b, const char *command)
{
    const struct rr_conf *conf = &b->conf;
    bool pool = strcmp(command, "pool") == 0;
    struct store_opts store = {.url = conf->redis_url,
                               .namespace_ = conf->server_namespace,
                               .worker_name = "bench-admin",
                               .timeout_ms = 30000};
    struct ledger_opts ledger = ledger_opts_of(conf, 30);
    enum rr_err err = store_sync_create(&b->store, &store);

    if (!err)
        err = ledger_create(&b->ledger, &ledger);
    if (!err)
        err = pool ? run_pool(b) : run_rain(b);
    if (err)
        fprintf(stderr, "%s: %s %s\n", command, rr_err_name(err),
                b->ledger ? ledger_error(b->ledger) : "");
    ledger_destroy(b->ledger);
    store_sync_destroy(b->store);
    return err;
}

int main(int argc, char **argv)
{
    struct bench b = {.count = 0};
    int at = rr_conf_main(argc, argv, &b.conf, usage);
    const char *command = at < argc ? argv[at] : "";
    int rc = 2;

    signal(SIGPIPE, SIG_IGN);
    rr_log_init("bench", (enum rr_log_level)rr_log_level_parse("warn"));
    ledger_global_init();
    if ((strcmp(command, "pool") != 0 && strcmp(command, "rain") != 0) ||
        !parse(&b, argc - at - 1, argv + at + 1))
        fprintf(stderr, "usage: %s\n", usage);
    else
        rc = run(&b, command) ? 1 : 0;
    rr_conf_fini(&b.conf);
    return rc;
}
