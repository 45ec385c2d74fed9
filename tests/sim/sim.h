/* sim.h - the simulated world of one seed: time, chance, actors, faults, and what the parts know of each other.
 * Everything is deterministic: one thread, one clock that jumps from event to event, one generator of random numbers.
 * Real code inside: server/grab_path.c, rain/, store's scripts (in Lua 5.1), store's ports and reply parsers, record.c,
 * settle_decide.c. Modelled: Redis' data, Kafka, SQL, and the steps of sagas, settler, sweeper and recovery (README.md).
 * Memory: sim_alloc() lives until the end of the seed. */
#ifndef SIM_H
#define SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "protocol/record.h"
#include "rain/pool.h"
#include "rain/rain.h"
#include "rain/split.h"

enum {
    SIM_SERVERS = 2,
    SIM_SETTLERS = 2,
    SIM_USERS = 12,
    SIM_SHARDS = 3,
    SIM_PACKETS = 48,
    SIM_LIMIT = 3,
    SIM_PARTS = 2,
    SIM_MS = 1000,
    SIM_S = 1000000,
};
#define SIM_MESSAGE_TIMEOUT_US ((int64_t)5 * SIM_S)
#define SIM_X_US ((int64_t)2 * SIM_S)

/* ---- rows of the crash table (MONEY section 5), and other faults worth counting: name, what it is ---- */
#define SIM_HIT_MAP(X)                                                                             \
    X(create_commit, "create: dead around COMMIT")                                                 \
    X(prepare_halfway, "prepare: dead halfway")                                                    \
    X(open_unsent, "open: SQL says SENT, the rest is missing")                                     \
    X(script_server_dead, "script done, server dead")                                              \
    X(produced_no_report, "produced, server dead before the report")                               \
    X(report_no_reply, "reported, server dead before the reply")                                   \
    X(replied_no_xdel, "replied, server dead before XDEL")                                         \
    X(reply_lost, "script done, its reply lost")                                                   \
    X(kafka_down, "Kafka down")                                                                    \
    X(queue_full, "producer's queue full")                                                         \
    X(producer_fatal, "producer fatal")                                                            \
    X(report_late, "report later than X")                                                          \
    X(kafka_duplicate, "record twice in Kafka")                                                    \
    X(kafka_lost, "Kafka loses acknowledged records")                                              \
    X(settler_before_commit, "settler dead before COMMIT")                                         \
    X(settler_after_commit, "settler dead after COMMIT")                                           \
    X(commit_answer_lost, "COMMIT's answer lost")                                                  \
    X(settler_zombie, "settler paused in a transaction and woken")                                 \
    X(mysql_down, "MySQL down")                                                                    \
    X(closer_halfway, "closer dead halfway")                                                       \
    X(refund_twice, "refund done, asked for again")                                                \
    X(redis_restarted, "Redis restarted with its data")                                            \
    X(redis_wiped, "Redis wiped")                                                                  \
    X(redis_rolled_back, "Redis rolled back")                                                      \
    X(recoverer_paused, "recoverer paused and woken")                                              \
    X(starter_paused, "starter paused and woken")                                                  \
    X(worker_paused, "server paused and woken")                                                    \
    X(sweeper_dead, "sweeper dead halfway")                                                        \
    X(call_delayed, "script call arrives late")

enum sim_hit {
#define X(name, what) HIT_##name,
    SIM_HIT_MAP(X)
#undef X
        HIT_COUNT,
    HIT_NONE = HIT_COUNT
};
extern const char *const sim_hit_names[HIT_COUNT];
extern const char *const sim_hit_texts[HIT_COUNT];

/* ---- rules that can be taken away (MONEY section 6): name, what goes ---- */
#define SIM_MUTATION_MAP(X)                                                                        \
    X(none, "")                                                                                    \
    X(run_id_check, "the script no longer compares run ids")                                       \
    X(recovery_wait, "recovery does not wait X + 1 s")                                             \
    X(record_rid, "a record's rid is not compared")                                                \
    X(replay_report, "a replay is told without a report of its own")                               \
    X(ended_first, "ENDED comes before replay")                                                    \
    X(memory_no, "memory says no to again")                                                        \
    X(grant_keys, "no primary key and no unique key on grants")                                    \
    X(open_guard, "OPEN opens whatever is there")                                                  \
    X(recovery_guard, "recovery applies without comparing state.rid")                              \
    X(refund_biz_id, "the refund has no biz id")                                                   \
    X(users_compare, "close does not read the users hash")

enum sim_mutation {
#define X(name, what) MUT_##name,
    SIM_MUTATION_MAP(X)
#undef X
        MUT_COUNT
};
extern const char *const sim_mutation_names[MUT_COUNT];
extern const char *const sim_mutation_texts[MUT_COUNT];

/* ---- the world's parameters, drawn from the seed ---- */
struct sim_plan {
    enum sim_mutation theme; /* the rule whose moment is made likely */
    uint32_t packets;
    uint32_t shards;
    uint32_t users;
    uint32_t limit;
    int64_t total_fen;
    int64_t countdown_us;
    int64_t duration_us;
    int64_t close_early_us; /* after t0; 0: at t1 */
    int64_t chaos_end_us;
    uint32_t outbox_max;
    bool quick;       /* Redis keeps everything it acknowledged: quick recovery is allowed */
    bool fence_close; /* fence.policy */
    bool
        redis_losses; /* wiped or rolled back in this seed: then Kafka loses nothing acknowledged */
    double slow;      /* share of records that the brokers take their time for */
    double late;      /* share of viewers who tap at any time, not at the opening */
    double p[HIT_COUNT]; /* chance at each crossing, or events per virtual second */
};

struct sim {
    uint64_t seed;
    enum sim_mutation mutation;
    bool trace;
    bool chaos;
    int64_t now_us;
    struct sim_plan plan;
    char code[RR_CODE_LEN + 1];
    struct split_spec split;
    int64_t amounts_fen[SIM_SHARDS][SIM_PACKETS]; /* what packet (shard, no) is worth */
    uint32_t shard_n[SIM_SHARDS];
    uint64_t hits[HIT_COUNT];
    bool fenced; /* a recovery was begun */
    char violation[400];
    uint64_t events;
    uint64_t scripts;
};
extern struct sim sim;
extern bool sim_gaps; /* also what is known not to hold */

/* ---- time and chance (sim_core.c) ---- */
typedef void (*sim_fn)(void *arg, uint64_t n);
void sim_at(int64_t delay_us, sim_fn fn, void *arg, uint64_t n);
uint64_t sim_rand(uint64_t n); /* [0, n) */
int64_t sim_between(int64_t lo, int64_t hi);
bool sim_chance(double p);
/* Only while faults are on; counts the hit when true. */
bool sim_fault(enum sim_hit hit);
void sim_hit(enum sim_hit hit);
void *sim_alloc(size_t size); /* zeroed */
__attribute__((format(printf, 1, 2))) void sim_trace(const char *fmt, ...);
/* The first one counts. */
__attribute__((format(printf, 1, 2))) void sim_violation(const char *fmt, ...);
/* Runs events until done() or the clock reaches until_us. */
void sim_run(int64_t until_us, bool (*done)(void));

/* ---- actors: coroutines that do blocking steps ---- */
struct actor {
    const char *name;
    void (*main)(struct actor *a);
    int index;
    bool dead; /* every I/O answers RR_UNAVAILABLE until main returns; then it is started again */
    uint32_t lives;
    struct actor_impl *impl;
};
struct actor *actor_start(const char *name, int index, void (*main)(struct actor *a));
extern struct actor *sim_self;
void sim_sleep(int64_t us);
/* May kill the running actor. True: it is dead. */
bool sim_crash_point(enum sim_hit row);
/* May stall the running actor for a long time. */
void sim_pause_point(enum sim_hit row);
void actors_reset(void);
/* Empties sim, the arena and the events, and seeds chance. */
void sim_core_begin(uint64_t seed);

/* ---- Redis (sim_redis.c, sim_lua.c, sim_net.c) ---- */
struct rstr {
    const char *p;
    uint32_t len;
};
enum rtype { R_NIL, R_INT, R_STR, R_STATUS, R_ERROR, R_ARRAY };
struct rval {
    enum rtype type;
    int64_t i;
    struct rstr s;
    struct rval *el;
    uint32_t n;
};
struct rdb;
struct rdb *rdb_create(void);
struct rdb *rdb_copy(const struct rdb *db); /* strings are shared, they never change */
/* One command of the server, the script's redis.call too. */
struct rval rdb_command(struct rdb *db, const struct rstr *argv, uint32_t argc);
/* All keys with type, minutes left, value: sorted, for comparisons. */
char *rdb_dump(const struct rdb *db);
int64_t redis_now_us(void); /* TIME */
const char *redis_run_id(void);

struct store_script;
void lua_init(enum sim_mutation mutation); /* once per process and mutation */
struct rval lua_run(struct rdb *db, const struct store_script *script, const struct rstr *argv,
                    uint32_t argc); /* argv: numkeys keys… args… */

void net_init(void);
bool redis_up(void);
struct rdb *redis_db(void);
/* Kills the process; it comes back with a new run id and what `data` holds. NULL: nothing. */
void redis_crash(struct rdb *data, int64_t down_us);
void redis_snapshots(bool on);
struct rdb *redis_snapshot(int64_t min_age_us);
void net_server_gone(int server); /* its outstanding calls are answered "unknown" */
struct pool_admin *net_pool(void);
struct store_sync *net_store(void);
struct pool_grab *net_grab_pool(int server);

/* t0 and t1 as SQL has them. */
void rain_times(int64_t *t0_ms, int64_t *t1_ms);

/* ---- Kafka (sim_kafka.c) ---- */
void kafka_init(void);
typedef void (*kafka_report_fn)(void *arg, uint64_t id, bool ok);
/* alive(arg): whether the process that sent is still there. */
struct kafka_producer {
    int64_t fatal_until_us;
    int64_t full_until_us;
    int64_t last_arrival_us[SIM_PARTS];
    uint32_t outstanding;
    uint32_t life;
    const uint32_t *life_now; /* differs from life: the process is gone */
    const int64_t *paused_until_us;
    kafka_report_fn report;
    void *arg;
    bool quiet; /* of the sweeper: no counting of hits */
};
RR_MUST_CHECK enum rr_err kafka_send(struct kafka_producer *p, const struct grant_record *r,
                                     uint64_t id);
int64_t kafka_high(int part);
int64_t kafka_low(int part);
bool kafka_up(void);
uint32_t kafka_in_flight(void);
int kafka_part_of(uint32_t shard);
struct kafka_rec {
    struct rr_slice bytes;
    int64_t offset;
};
/* Records from offset on; gaps are skipped. */
uint32_t kafka_fetch(int part, int64_t from, struct kafka_rec *out, uint32_t max);
void kafka_down(int64_t us);
void kafka_lose(void);

/* ---- servers and clients ---- */
void servers_init(void);
void server_crash(int server, int64_t down_us);
void server_pause(int server, int64_t us);
void server_learn(int server); /* RED_PACKET_CONFIG, or JOIN after a restart */
void server_end(int server);
bool server_up(int server);
bool servers_idle(void);
void servers_fini(void);
void server_submit(int server, uint32_t client, uint32_t seq, bool again, uint32_t ask);

void clients_init(void);
void clients_go(void); /* the room was told of the rain */
void client_reply(uint32_t client, int server, uint32_t ask, enum rr_err rc, uint32_t seq,
                  uint32_t shard, uint32_t no, int64_t amount_fen, bool final);
bool clients_done(void);
void clients_stop(void);
void clients_check(void); /* told against the ledger */
void told_amount(uint32_t user, uint32_t seq, uint32_t shard, uint32_t no, int64_t amount_fen);

/* ---- actors' mains ---- */
void anchor_main(struct actor *a);
void tasks_main(struct actor *a);
void settler_main(struct actor *a);
void sweeper_main(struct actor *a);
void look_main(struct actor *a);
RR_MUST_CHECK enum rr_err rain_close_now(void);
RR_MUST_CHECK enum rr_err step_recover(int64_t *next_at_us);
RR_MUST_CHECK enum rr_err recover_arm(void);
RR_MUST_CHECK enum rr_err rain_close_begin(void);
bool pool_lost(uint32_t shard, const char *rid, const struct pool_state *st);
void settlers_init(void);
bool settlers_idle(void);
void settlers_rebalance(void);

/* ---- the rest ---- */
void redis_granted(void); /* a script granted packets just now */
void plan_draw(struct sim_plan *p);
void oracle_check(void);
/* Runs one seed; sim holds the result. */
void sim_seed(uint64_t seed, enum sim_mutation mutation, bool trace);

#endif
