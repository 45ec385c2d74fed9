/* fakes.h - a pool and a notifier in memory, as exact as the scripts where the rain's steps look. */
#ifndef TESTS_LEDGER_FAKES_H
#define TESTS_LEDGER_FAKES_H

#include "ledger/saga.h"
#include "rain/notify.h"
#include "rain/pool.h"

enum { FAKE_SHARDS = 64, FAKE_GRANTS = 512, FAKE_PUSHES = 64 };

struct fake_shard {
    struct pool_shard at;
    struct pool_state st;
    int64_t amounts_fen[FAKE_GRANTS];
    struct pool_grant grants[FAKE_GRANTS];
    bool retired;
    char fence[RR_RID_LEN + 1];
    uint32_t outbox; /* grants a refill wrote there */
};

struct fake_push {
    char room_id[RR_ROOM_ID_MAX + 1];
    char biz_code[RR_BIZ_CODE_MAX + 1];
    char keep_code[RR_CODE_LEN + 1];
    int final;
    char payload[4096];
    size_t len;
};

struct fakes {
    struct pool_admin pool;
    struct rain_notify notify;
    int64_t now_ms;
    char rid[RR_RID_LEN + 1]; /* of the running Redis */
    struct fake_shard shards[FAKE_SHARDS];
    uint32_t n;
    struct fake_push pushes[FAKE_PUSHES];
    uint32_t pushes_n;
    uint32_t user_pushes; /* users told */
    int64_t stats_count;  /* of the last stats() */
    int64_t stats_fen;
    int64_t user_total_fen; /* the last of the last user_totals() */
    char locked_by[32];
    char prepare_ok[32];
    char notify_mark[32];
    uint32_t fail_open; /* the next n calls fail */
    uint32_t fail_push;
    uint32_t fail_close;
    uint32_t seals;
    char mark[33]; /* of the running Redis: another one after a wipe */
    bool durable;
    uint32_t refills;   /* that changed something */
    bool lose_refill;   /* the next one is done, its answer is lost */
    bool no_refill;     /* the next one finds another recovery's fence, and does nothing */
    int64_t allowed[8]; /* of the last allow() */
    uint32_t allowed_n;
    uint32_t allows;
    struct {
        int64_t user_id;
        char biz_code[RR_BIZ_CODE_MAX + 1];
    } told[16]; /* the first user pushes */
    uint32_t told_n;
};

void fakes_init(struct fakes *f);
struct fake_shard *fake_at(struct fakes *f, const char *code, uint32_t shard);
/* As the grab script: pops the next packet of an open shard for the user's next seq; amount of it, 0 when none is left. */
int64_t fake_grab(struct fakes *f, const char *code, uint32_t shard, int64_t user_id,
                  struct pool_grant *out);
/* Redis restarts with all its data; wiped: with nothing, rolled back: as it was at granted = k (of every shard). */
void fake_restart(struct fakes *f, const char *rid);
void fake_wipe(struct fakes *f);
void fake_roll_back(struct fakes *f, uint32_t k);
/* The i-th push with this biz_code; NULL when there is none. */
const struct fake_push *fake_push_of(const struct fakes *f, const char *biz_code, uint32_t i);

#endif
