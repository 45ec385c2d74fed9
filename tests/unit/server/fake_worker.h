/* fake_worker.h - a worker's handlers, grab path, hub and rains over fakes: no lws, no Redis, no
 * Kafka, no MySQL, no wall clock. Also used by fuzz_session. Link with WORKER_FAKES_WRAP (see
 * CMakeLists.txt): producer_send, db_pool_submit and token_verify are replaced.
 * Tokens of the fake: "USER ROLE ROOMS", e.g. "7 viewer *", "9 anchor ,r1,r2,"; "expired". */
#ifndef TESTS_UNIT_SERVER_FAKE_WORKER_H
#define TESTS_UNIT_SERVER_FAKE_WORKER_H

#include "fakes.h"
#include "handlers.h"
#include "rain_job.h"

#define RAIN_A "AAAAAAAAAAAAAAAAAAAAAA"
#define RAIN_B "BBBBBBBBBBBBBBBBBBBBBB"

enum {
    FAKE_PEOPLE = 8,
    FAKE_POOL_CALLS = 64,
    FAKE_RECORDS = 1024,
    FAKE_DELETED = 64,
    FAKE_JOBS = 64,
};

struct fake_pool_call {
    struct pool_shard at;
    struct pool_grab_item items[POOL_GRAB_MAX];
    uint32_t n;
    pool_grab_fn done; /* NULL: answered */
    void *arg;
};

struct fake_next {
    int64_t user_id;
    pool_next_fn done;
    void *arg;
};

struct fake_worker {
    struct worker w;
    struct rr_conf conf;
    struct rr_metrics metrics;
    struct limit_map limits;
    struct rr_clock_fake clock;
    struct fake_bus bus;
    struct pool_grab pool;
    struct fake_conn conns[FAKE_PEOPLE];
    struct session *people[FAKE_PEOPLE]; /* NULL: not connected */
    /* What the pool was asked. */
    struct fake_pool_call calls[FAKE_POOL_CALLS];
    uint32_t calls_n;
    struct fake_next nexts[FAKE_POOL_CALLS];
    uint32_t nexts_n;
    uint32_t lists_n; /* how often a list was asked for */
    int64_t list[4];  /* what it says; list_n 0: RR_NOT_FOUND */
    uint32_t list_n;
    int64_t sums_granted; /* what sums answers; 0: RR_UNAVAILABLE */
    uint32_t sums_n;
    char deleted[FAKE_DELETED][32]; /* outbox ids */
    uint32_t deleted_n;
    /* What went to Kafka. */
    enum rr_err produce_err;
    struct grant_record records[FAKE_RECORDS];
    uint64_t record_ids[FAKE_RECORDS];
    uint32_t records_n;
    /* What went to the database threads. */
    enum rr_err submit_err;
    struct rain_job *jobs[FAKE_JOBS]; /* NULL: answered */
    enum db_lane lanes[FAKE_JOBS];
    uint32_t jobs_n;
};

/* One at a time. */
struct fake_worker *fake_worker_create(void);
/* Answers what is open, then begins anew, much cheaper than by creating: the options, the memory of the
 * limits and the loop stay. */
void fake_worker_reset(struct fake_worker *f);
/* Answers what is open, then takes everything down. */
void fake_worker_destroy(struct fake_worker *f);

void fake_connect(struct fake_worker *f, int who);
void fake_disconnect(struct fake_worker *f, int who);
/* A whole frame of who: [op, id, body]; body is one encoded map, freed. */
void fake_send(struct fake_worker *f, int who, int op, uint32_t id, struct rr_buf *body);
/* {} */
void fake_send_empty(struct fake_worker *f, int who, int op, uint32_t id);
/* HELLO with a token, then the frames so far are forgotten. */
void fake_hello(struct fake_worker *f, int who, const char *token);
/* JOIN; the room is made live at (1, 1) when it was not yet. Frames are forgotten. */
void fake_join(struct fake_worker *f, int who, const char *room);
/* A room learns of a rain through the bus. */
void fake_rain(struct fake_worker *f, const char *room, uint64_t seq, const char *code,
               int64_t open_at, int64_t end_at, int64_t limit, int64_t shards);
/* Any push of a rain that carries its rules (CONFIG, END, RESULT); what was sent stays. */
void fake_rain_push(struct fake_worker *f, const char *room, uint64_t seq, const char *biz_code,
                    const char *code, int64_t open_at, int64_t end_at, int64_t limit,
                    int64_t shards);
/* Time passes: timers that are due run. */
void fake_advance(struct fake_worker *f, int64_t us);
int64_t fake_now_ms(const struct fake_worker *f);

/* Answers the n-th call of the pool: results are one per item, reply tells the rest (items and n
 * are filled in). */
void fake_pool_answer(struct fake_worker *f, uint32_t n, enum rr_err err,
                      const struct pool_grab_result *results, struct pool_grab_reply *reply);
/* The n-th record's delivery report. */
void fake_report(struct fake_worker *f, uint32_t n, bool ok);
/* The n-th database job comes back with what the test wrote into it; it is gone afterwards. */
void fake_job_done(struct fake_worker *f, uint32_t n, enum rr_err err);

#endif
