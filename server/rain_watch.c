#include "rain_watch.h"

#include "base/alloc.h"
#include "base/log.h"
#include "protocol/pack.h"
#include "rain_job.h"
#include "worker.h"

#include <stdlib.h>
#include <string.h>

enum {
    TICKER_US = 200000, /* RED_PACKET_TICK at most this often per rain */
    TICKER_FRAME_US =
        50, /* and at most 20,000 frames of it a second per worker: a big room's is slower */
    TICKER_AFTER_MS = 2000,   /* the last grants are still counted after the end */
    LIST_AGAIN_US = 1000000,  /* a list that is not there is asked for again */
    RAIN_KEEP_US = 600000000, /* a rain is remembered this long after its end */
};

static void push_end(struct worker *w, struct rain_entry *e)
{
    struct rr_buf b = {0};

    e->end_told = true;
    pack_map(&b, 3);
    pack_kv_str(&b, "config_code", e->live.code);
    pack_kv_int(&b, "end_at", e->live.t1_ms);
    if (e->sold_out_at_ms)
        pack_kv_int(&b, "sold_out_at", e->sold_out_at_ms);
    else
        pack_kv_nil(&b, "sold_out_at");
    hub_push_local(w->hub, e->live.room_id, rr_slice_str("RED_PACKET_END"), rr_slice_of(b.p, b.len),
                   0);
    rr_buf_fini(&b);
}

struct sums_ticket {
    struct worker *w;
    char code[RR_CODE_LEN + 1];
};

/* Latest wins among the ticks of one rain. 48 of the code's random bits: ASCII, so it is neither ROOM_COUNT's key 1 nor one of
 * the keys with the top bit set. */
static uint64_t tick_key(const char *code)
{
    uint64_t key = 0;

    for (int i = 0; i < 8; i++)
        key = key << 8 | (unsigned char)code[i];
    return key;
}

static void push_tick(struct worker *w, struct rain_entry *e)
{
    struct rr_buf b = {0};

    e->told_granted = e->granted;
    pack_map(&b, 5);
    pack_kv_str(&b, "config_code", e->live.code);
    pack_kv_int(&b, "granted", e->granted);
    pack_kv_int(&b, "granted_price", e->granted_fen);
    pack_kv_int(&b, "total_count", e->live.count);
    pack_kv_int(&b, "now", worker_rain_now_ms(w));
    hub_push_local(w->hub, e->live.room_id, rr_slice_str("RED_PACKET_TICK"),
                   rr_slice_of(b.p, b.len), tick_key(e->live.code));
    rr_buf_fini(&b);
}

static void on_sums(void *arg, enum rr_err err, int64_t granted, int64_t granted_fen,
                    int64_t sold_out_at_ms)
{
    struct sums_ticket *t = arg;
    struct rain_entry *e = rains_find(t->w->rains, rr_slice_str(t->code));

    if (e) {
        e->sums_inflight = false;
        if (!err && granted >= e->granted) {
            e->granted = granted;
            e->granted_fen = granted_fen;
            e->sold_out_at_ms = sold_out_at_ms;
        }
        if (!err && e->granted != e->told_granted && !hub_sheds_latest(t->w->hub))
            push_tick(t->w, e);
    }
    free(t);
}

static void ask_sums(struct worker *w, struct rain_entry *e)
{
    struct sums_ticket *t = rr_xcalloc(1, sizeof(*t));

    t->w = w;
    memcpy(t->code, e->live.code, sizeof(t->code));
    e->sums_inflight = true;
    e->ticked_us = rr_mono_us(w->clock);
    w->pool->sums(w->pool->impl, e->live.code, e->live.shards, on_sums, t);
}

/* ---- lists of named users ---- */

static void list_restored(struct rain_job *j)
{
    (void)j; /* the next tick asks again */
}

/* Redis lost it, as it may lose a whole rain: the books have it. */
static void restore_list(struct worker *w, const char *code)
{
    struct rain_job *j = rain_job_alloc(RAIN_JOB_PUT_LIST, list_restored, w);

    memcpy(j->code, code, sizeof(j->code));
    log_warn("list_missing", "the named users of %s are not in Redis, put there again", code);
    if (rain_job_submit(j, DB_LANE_ANCHOR) != RR_OK)
        log_warn("list_missing", "no database thread is free, tried again");
}

static void on_list(void *arg, enum rr_err err, const int64_t *users, uint32_t n)
{
    struct sums_ticket *t = arg;
    struct rain_entry *e = rains_find(t->w->rains, rr_slice_str(t->code));

    if (e)
        e->list_inflight = false;
    if (e && !err && n == e->live.listed)
        rains_set_list(e, users, n);
    else if (e && (err == RR_NOT_FOUND || !err))
        restore_list(t->w, t->code);
    free(t);
}

/* Until it is here the rain's grabs are BUSY. */
static void list_watch(void *arg, struct rain_entry *e)
{
    struct worker *w = arg;
    int64_t now_us = rr_mono_us(w->clock);
    struct sums_ticket *t = NULL;

    if (!e->live.listed || e->live.allowed || e->list_inflight || !w->bus_up ||
        (e->list_asked_us && now_us - e->list_asked_us < LIST_AGAIN_US))
        return;
    t = rr_xcalloc(1, sizeof(*t));
    t->w = w;
    memcpy(t->code, e->live.code, sizeof(t->code));
    e->list_inflight = true;
    e->list_asked_us = now_us;
    w->pool->allowed(w->pool->impl, e->live.code, on_list, t);
}

static bool tick_due(const struct worker *w, const struct rain_entry *e)
{
    int64_t members = hub_members(w->hub, e->live.room_id);
    int64_t every_us = members * TICKER_FRAME_US;

    return members > 0 &&
           rr_mono_us(w->clock) - e->ticked_us >= (every_us > TICKER_US ? every_us : TICKER_US);
}

static void rain_tick(void *arg, struct rain_entry *e)
{
    struct worker *w = arg;
    int64_t now_ms = worker_rain_now_ms(w);

    if (e->over)
        return;
    if (now_ms >= e->live.t1_ms + RAIN_KEEP_US / 1000) {
        /* Nobody here followed the room to the rain's end: forgotten like the others. */
        e->over = true;
        e->over_since_us = rr_mono_us(w->clock);
        return;
    }
    if (now_ms >= e->live.t1_ms && !e->end_told)
        push_end(w, e);
    if (now_ms >= e->live.t0_ms && now_ms < e->live.t1_ms + TICKER_AFTER_MS && !e->sums_inflight &&
        w->bus_up && tick_due(w, e))
        ask_sums(w, e);
}

static void rain_gone(void *arg, const char *code)
{
    grab_path_forget(((struct worker *)arg)->grabs, code);
}

void rain_watch_tick(struct worker *w)
{
    rains_each(w->rains, rain_tick, w);
    rains_each(w->rains, list_watch, w);
    rains_sweep(w->rains, rr_mono_us(w->clock), RAIN_KEEP_US, rain_gone, w);
}

/* The settler may be done before our own timer saw the end: END goes out first all the same. */
static void end_before_result(void *arg, struct rain_entry *e)
{
    if (e->over && !e->end_told)
        push_end(arg, e);
}

void rain_watch_state(void *worker, const char *room_id, struct rr_slice biz_code,
                      struct rr_slice payload)
{
    struct worker *w = worker;

    if (rains_learn(w->rains, room_id, biz_code, payload, rr_mono_us(w->clock)) != RR_OK)
        log_warn("rain_state", "a push of a rain does not say what a worker needs, ignored");
    rains_each(w->rains, list_watch, w);
    if (rr_slice_eq_str(biz_code, "RED_PACKET_RESULT"))
        rains_each(w->rains, end_before_result, w);
}
