#include "grabber.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "producer.h"
#include "rain/grab_batch.h"
#include "rain/split.h"
#include "store/store_async.h"

enum { BATCHES_AHEAD = 2, TICK_MS = 1, CONNECT_MS = 10000, GIVE_UP_MS = 120000 };

struct shard_users {
    int64_t *ids;
    uint32_t n;
    uint32_t next;
};

struct grabber {
    const struct grabber_opts *o;
    struct grabber_result *r;
    const struct rr_clock *clock;
    uv_loop_t loop;
    uv_timer_t timer;
    struct store_async *store;
    struct grab_batch *batch;
    struct producer *producer;
    struct rr_metrics *metrics;
    struct shard_users *shards;
    uint64_t answered;
    uint64_t reports_due;
    int64_t first_us;
    int64_t last_us;
    bool started;
    bool failed;
};

/* Users in ascending order, each to his home shard until it has as many as it needs. */
static void pick_users(struct grabber *g)
{
    const struct grabber_opts *o = g->o;
    uint32_t left = o->count;

    g->shards = rr_xcalloc(o->shards, sizeof(*g->shards));
    for (uint32_t i = 0; i < o->shards; i++)
        g->shards[i].ids =
            rr_xcalloc(rain_shard_count(o->count, o->shards, i) + 1, sizeof(*g->shards[i].ids));
    for (int64_t user = o->first_user; left > 0; user++) {
        uint32_t home = rain_home_shard(user, o->shards);
        struct shard_users *s = &g->shards[home];

        if (s->n == rain_shard_count(o->count, o->shards, home))
            continue;
        s->ids[s->n++] = user;
        left--;
    }
}

static void add_next(struct grabber *g, uint32_t shard)
{
    struct shard_users *s = &g->shards[shard];
    struct pool_shard at = {.shard = shard};
    struct grab one = {.received_us = rr_mono_us(g->clock)};

    if (s->next == s->n)
        return;
    memcpy(at.code, g->o->code, sizeof(at.code));
    one.user_id = s->ids[s->next++];
    if (grab_batch_add(g->batch, &at, &one) != RR_OK)
        g->failed = true;
}

static void finish_if_done(struct grabber *g)
{
    if (!g->failed && (g->answered < g->o->count || g->reports_due > 0))
        return;
    g->last_us = rr_mono_us(g->clock);
    uv_stop(&g->loop);
}

static void on_report(void *arg, uint64_t id, bool ok)
{
    struct grabber *g = arg;

    (void)id;
    g->reports_due--;
    g->failed = g->failed || !ok;
    finish_if_done(g);
}

static void produce(struct grabber *g, const struct pool_shard *at, const struct grab *one,
                    const struct grab_outcome *o, const struct pool_grab_reply *reply)
{
    struct grant_record rec = {.user_id = one->user_id,
                               .amount_fen = o->amount_fen,
                               .granted_at_ms = reply->now_ms,
                               .shard = at->shard,
                               .packet_no = o->packet_no,
                               .seq = o->seq};

    memcpy(rec.code, at->code, sizeof(rec.code));
    memcpy(rec.rid, reply->rid, sizeof(rec.rid));
    snprintf(rec.room_id, sizeof(rec.room_id), "%s", g->o->room_id);
    if (producer_send(g->producer, &rec, one->tag) == RR_OK)
        g->reports_due++;
    else
        g->failed = true;
}

static void on_done(void *arg, const struct pool_shard *at, const struct grab *one,
                    const struct grab_outcome *o, const struct pool_grab_reply *reply)
{
    struct grabber *g = arg;

    g->answered++;
    hist_record(&g->r->latency_us, rr_mono_us(g->clock) - one->received_us);
    if (o->rc == RR_OK && !o->replay)
        g->r->wins++;
    else if (o->rc == RR_SOLD_OUT)
        g->r->sold_out++;
    else
        g->r->other++;
    if (o->rc == RR_OK && g->producer && reply)
        produce(g, at, one, o, reply);
    add_next(g, at->shard);
}

static void after_reply(void *arg, const struct pool_shard *at, const struct pool_grab_reply *reply)
{
    struct grabber *g = arg;
    const struct pool_grab *pool = store_pool(g->store);
    const char *id = reply->outbox_id;

    g->r->calls++;
    if (id[0])
        pool->outbox_del(pool->impl, at, &id, 1);
    finish_if_done(g);
}

static void start(struct grabber *g)
{
    uint32_t ahead = BATCHES_AHEAD * (uint32_t)g->o->conf->rain_batch_max;

    g->started = true;
    g->first_us = rr_mono_us(g->clock);
    for (uint32_t i = 0; i < ahead; i++) {
        for (uint32_t shard = 0; shard < g->o->shards; shard++)
            add_next(g, shard);
    }
}

static void on_state(void *arg, bool up)
{
    struct grabber *g = arg;

    if (up && !g->started)
        start(g);
    else if (!up && g->started)
        g->failed = true;
    finish_if_done(g);
}

static void on_tick(uv_timer_t *timer)
{
    struct grabber *g = timer->data;
    int64_t since_us = rr_mono_us(g->clock) - g->first_us;

    grab_batch_tick(g->batch);
    if (since_us > (g->started ? GIVE_UP_MS : CONNECT_MS) * INT64_C(1000)) {
        g->failed = true;
        finish_if_done(g);
    }
}

static void on_closed(void *arg)
{
    (void)arg;
}

static enum rr_err open_all(struct grabber *g)
{
    const struct rr_conf *conf = g->o->conf;
    struct store_opts store = {.url = conf->redis_url,
                               .namespace_ = conf->server_namespace,
                               .worker_name = "bench",
                               .timeout_ms = 30000};
    struct room_bus_events events = {.arg = g, .state = on_state};
    enum rr_err err = store_async_create(&g->store, &g->loop, &store, &events);

    if (!err && g->o->produce) {
        g->metrics = rr_xcalloc(1, sizeof(*g->metrics));
        err = producer_create(&g->producer, &g->loop, conf, g->metrics, on_report, g);
    }
    if (err)
        return err;
    g->batch =
        grab_batch_create(&(struct grab_batch_opts){.clock = g->clock,
                                                    .pool = store_pool(g->store),
                                                    .done = on_done,
                                                    .after = after_reply,
                                                    .arg = g,
                                                    .max_items = (uint32_t)conf->rain_batch_max,
                                                    .window_us = conf->rain_batch_window_us});
    uv_timer_init(&g->loop, &g->timer);
    g->timer.data = g;
    uv_timer_start(&g->timer, on_tick, TICK_MS, TICK_MS);
    return RR_OK;
}

static void close_all(struct grabber *g)
{
    if (g->producer)
        producer_destroy(g->producer, 1000);
    grab_batch_destroy(g->batch);
    if (g->timer.data)
        uv_close((uv_handle_t *)&g->timer, NULL);
    if (g->store)
        store_async_close(g->store, on_closed, g);
    uv_run(&g->loop, UV_RUN_DEFAULT);
    uv_loop_close(&g->loop);
    for (uint32_t i = 0; i < g->o->shards; i++)
        free(g->shards[i].ids);
    free(g->shards);
    free(g->metrics);
}

enum rr_err grabber_run(const struct grabber_opts *o, struct grabber_result *out)
{
    struct grabber g = {.o = o, .r = out, .clock = rr_clock_system()};
    enum rr_err err = RR_OK;

    memset(out, 0, sizeof(*out));
    pick_users(&g);
    uv_loop_init(&g.loop);
    g.first_us = rr_mono_us(g.clock);
    err = open_all(&g);
    if (!err)
        uv_run(&g.loop, UV_RUN_DEFAULT);
    out->us = g.last_us - g.first_us;
    close_all(&g);
    return err ? err : g.failed ? RR_SYSTEM : RR_OK;
}
