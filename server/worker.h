/* worker.h - one worker process: what it holds. Wired together in worker.c, used by the handlers.
 * Thread: everything here belongs to the loop, except what db_pool.h says. */
#ifndef SERVER_WORKER_H
#define SERVER_WORKER_H

#include <uv.h>

#include "ban_watch.h"
#include "base/clock.h"
#include "base/conf.h"
#include "base/metrics.h"
#include "canary.h"
#include "grab_path.h"
#include "inner_loop.h"
#include "limiter.h"
#include "db_pool.h"
#include "drain.h"
#include "producer.h"
#include "room/hub.h"
#include "room/rains.h"
#include "room/sanctions.h"
#include "shed.h"
#include "store/store_async.h"
#include "token/token.h"
#include "ws.h"

/* What a worker that leaves has done so far; worker_drain.c. */
struct worker_drain {
    struct drain drain;
    uint64_t *told; /* by slot of the session table: whom GOAWAY was sent to */
    uint32_t told_n;
    struct {
        uint32_t n; /* how many are told in it */
        uint32_t i; /* of them so far */
        int64_t began_us;
    } wave;
};

struct worker {
    struct rr_conf *conf;
    const struct rr_clock *clock;
    struct rr_metrics *metrics; /* this slot's, in the shared mapping */
    char name[64];              /* "w0@host:pid", in Redis and logs */
    uv_loop_t loop;
    struct inner_loop services; /* Redis, Kafka, the windows and deadlines of grabs */
    uint32_t heard;             /* messages since these were looked after */
    int64_t heard_us;           /* the first of them */
    int64_t stall_us;           /* longest of these times since the last tick */
    struct ws *ws;
    const struct transport *transport; /* of ws */
    struct token_keys *keys;
    struct store_async *store;
    const struct room_bus *bus;
    const struct pool_grab *pool;
    struct session_table *sessions;
    struct hub *hub;
    struct rains *rains;
    struct sanctions *sanctions; /* kicked and muted users */
    struct grab_path *grabs;
    struct risk_guard *guard;
    struct ban_watch *bans;
    struct limiter *limiter;
    struct sockets *sockets; /* of ws */
    struct producer *producer;
    struct db_pool *db;
    /* Rain time = Redis TIME: offset to our monotonic clock by the sample with the smallest round
     * trip of the last minute. */
    int64_t offset_us;
    int64_t offset_rtt_us; /* INT64_MAX: no sample yet */
    int64_t offset_at_us;
    int64_t offset_asked_us;
    uv_timer_t tick; /* 100 ms: tickers, ends, loop lag, wheels */
    uv_prepare_t before_sleep;
    uv_idle_t fanout; /* active while fan-outs wait */
    uv_signal_t sigterm;
    uv_signal_t sigusr1;
    uv_signal_t sigusr2;
    uv_signal_t sighup;
    pid_t parent; /* the supervisor that started us */
    int64_t tick_due_us;
    struct session_counters told; /* as last added to the metrics */
    struct store_counters told_store;
    uint64_t told_broadcasts;
    uint64_t told_latest_shed;
    struct shed shed;
    struct canary canary;
    uint32_t wheel_slot;
    bool bus_up;
    bool held; /* by an upgrade: accepts nobody before SIGUSR1 */
    int64_t started_us;
    struct worker_drain leaving;
};

/* Called once with the worker that has just started; NULL in the product. A benchmark that wants to be inside sets it before
 * main(). */
extern void (*worker_on_start)(struct worker *w);

int worker_main(struct rr_conf *conf, int slot, int listen_fd, struct rr_metrics *metrics,
                const struct limit_map *limits);

/* Rain time in ms; before the first sample the wall clock. */
int64_t worker_rain_now_ms(const struct worker *w);
double worker_rain_now_ms_exact(const struct worker *w);
/* A client's message was worked through. */
void worker_heard(struct worker *w);

#endif
