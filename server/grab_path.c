#include "grab_path.h"

#include "base/alloc.h"
#include "base/fail.h"
#include "base/log.h"
#include "dispatch.h"
#include "grab_books.h"
#include "grab_bound.h"
#include "protocol/pack.h"
#include "rain/gate.h"
#include "rain/grab_batch.h"
#include "rain/grab_pending.h"
#include "rain/outbox_track.h"
#include "worker.h"
#include "worker_drain.h"
#include "worker_shed.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum {
    EARLY_MS = 100, /* a grab this close to the opening waits for it, it is not told NOT_STARTED */
};

/* A record between producer_send() and its report. */
struct sent_record {
    uint64_t id; /* Kafka opaque */
    uint64_t pending_opaque;
    uint64_t outbox; /* handle of outbox_track */
    UT_hash_handle hh;
};

struct grab_path {
    struct worker *w;
    struct grab_batch *batch;
    struct grab_pending *pending;
    struct outbox_track *outbox;
    struct sent_record *sent;
    uint64_t sent_last_id;
    uint64_t reply_outbox; /* handle for the reply being worked through, 0: none yet */
    struct grab_bound bound;
    bool told;        /* somebody, since the answers were last written */
    uv_timer_t timer; /* batch window, deferred grabs, PENDING */
};

static void timer_arm(struct grab_path *p);

/* ---- answers ---- */

static uint32_t grab_fields(struct worker *w, const struct pending_grab *g, struct rr_buf *b)
{
    const struct grab_outcome *o = &g->outcome;
    const struct rain_entry *e = rains_find(w->rains, rr_slice_str(g->at.code));
    int64_t left = e ? (int64_t)e->live.count - e->granted : 0;

    if (o->rc != RR_OK) {
        if (b) {
            pack_kv_str(b, "code", g->at.code);
            if (o->rc == RR_BAD_SEQ)
                pack_kv_int(b, "next", o->seq);
            if (result_retryable(result_of(o->rc)))
                pack_kv_int(b, "retry_after_ms", 200);
        }
        return 1u + (o->rc == RR_BAD_SEQ) + result_retryable(result_of(o->rc));
    }
    if (b) {
        pack_kv_str(b, "code", g->at.code);
        pack_kv_int(b, "seq", g->grab.seq);
        pack_kv_int(b, "shard", g->at.shard);
        pack_kv_int(b, "no", o->packet_no);
        pack_kv_int(b, "amount", o->amount_fen);
        pack_kv_int(b, "left", left > 0 ? left : 0);
    }
    return 6;
}

/* The user's socket changed while he waited: whatever socket he has now, or the next HELLO. */
static void tell_user(struct worker *w, const struct pending_grab *g)
{
    struct rr_buf b = {0};

    pack_map(&b, 1 + grab_fields(w, g, NULL));
    pack_kv_int(&b, "result", result_of(g->outcome.rc));
    grab_fields(w, g, &b);
    w->bus->push_user(w->bus->impl, g->grab.user_id, "GRAB_RESULT", rr_slice_of(b.p, b.len), true);
    rr_buf_fini(&b);
}

static void count_answer(struct worker *w, const struct pending_grab *g)
{
    rr_metric_observe_us(&w->metrics->grab_seconds, rr_mono_us(w->clock) - g->grab.received_us);
    if (g->outcome.rc != RR_OK) {
        rr_metric_add(&w->metrics->grabs_refused_total, 1);
        return;
    }
    rr_metric_add(&w->metrics->grabs_ok_total, 1);
    rr_metric_add(&w->metrics->money_granted_fen_total, (uint64_t)g->outcome.amount_fen);
}

void grab_path_failed(struct session *s, enum rr_err err)
{
    enum result_code code = result_of(err);

    if (s->account)
        s->account->grabs_failed +=
            code == RESULT_BUSY || code == RESULT_RECOVERING || code == RESULT_UNAVAILABLE;
}

/* The final answer. */
static void tell(struct grab_path *p, const struct pending_grab *g)
{
    struct worker *w = p->w;
    struct session *s = session_by_id(w->sessions, g->grab.session_id);
    struct rr_buf b = {0};

    count_answer(w, g);
    if (!s || s->state == SESSION_CLOSING) {
        if (g->outcome.rc == RR_OK)
            tell_user(w, g);
        return;
    }
    grab_path_failed(s, g->outcome.rc);
    msg_reply_begin(&b, g->grab.req_id, result_of(g->outcome.rc), grab_fields(w, g, NULL));
    grab_fields(w, g, &b);
    reply_send(w, s, &b);
    rr_buf_fini(&b);
    p->told |= g->outcome.rc == RR_OK;
}

void grab_path_flushed(struct grab_path *p)
{
    if (p->told)
        rr_fail(GRAB_REPLIED);
    p->told = false;
}

static void tell_pending(void *arg, const struct pending_grab *g)
{
    struct grab_path *p = arg;
    struct session *s = session_by_id(p->w->sessions, g->grab.session_id);
    struct rr_buf b = {0};

    rr_metric_add(&p->w->metrics->grabs_pending_total, 1);
    if (!s)
        return;
    msg_reply_begin(&b, g->grab.req_id, RESULT_PENDING, 2);
    pack_kv_str(&b, "code", g->at.code);
    pack_kv_int(&b, "seq", g->grab.seq);
    reply_send(p->w, s, &b);
    rr_buf_fini(&b);
}

/* ---- Kafka ---- */

static void produce(struct grab_path *p, const struct pool_shard *at, const struct grab *g,
                    const struct grab_outcome *o, const struct pool_grab_reply *reply,
                    uint64_t pending_opaque)
{
    const struct rain_entry *e = rains_find(p->w->rains, rr_slice_str(at->code));
    struct grant_record r = {.user_id = g->user_id,
                             .amount_fen = o->amount_fen,
                             .granted_at_ms = reply->now_ms,
                             .shard = at->shard,
                             .packet_no = o->packet_no,
                             .seq = g->seq};
    struct sent_record *sent = rr_xcalloc(1, sizeof(*sent));
    enum rr_err err = RR_UNAVAILABLE;

    sent->id = ++p->sent_last_id;
    sent->pending_opaque = pending_opaque;
    if (!o->replay && reply->outbox_id[0]) {
        if (!p->reply_outbox)
            p->reply_outbox = outbox_track_open(p->outbox, at, reply->outbox_id);
        outbox_track_add(p->outbox, p->reply_outbox);
        sent->outbox = p->reply_outbox;
    }
    HASH_ADD(hh, p->sent, id, sizeof(sent->id), sent);
    if (e) {
        memcpy(r.code, at->code, sizeof(r.code));
        memcpy(r.room_id, e->live.room_id, sizeof(r.room_id));
        memcpy(r.rid, reply->rid, sizeof(r.rid));
        err = producer_send(p->w->producer, &r, sent->id);
    }
    if (!err)
        rr_fail(GRAB_PRODUCED);
    /* Refused: it stays in the outbox, the sweeper or the next try sends it. */
    if (err)
        grab_path_report(p, sent->id, false);
}

void grab_path_report(void *grab_path, uint64_t id, bool ok)
{
    struct grab_path *p = grab_path;
    struct sent_record *sent = NULL;
    struct pending_grab g;

    HASH_FIND(hh, p->sent, &id, sizeof(id), sent);
    if (!sent)
        return;
    if (ok)
        rr_fail(GRAB_REPORTED);
    outbox_track_report(p->outbox, sent->outbox, ok);
    if (sent->pending_opaque && grab_pending_report(p->pending, sent->pending_opaque, ok,
                                                    rr_mono_us(p->w->clock), &g) == PENDING_TELL)
        tell(p, &g);
    HASH_DEL(p->sent, sent);
    free(sent);
}

/* ---- the script's side ---- */

/* Redis' clock says the opening is a moment away: ask again then, the viewer is not told. */
static bool too_early(struct grab_path *p, const struct grab *g, const struct grab_outcome *o,
                      const struct pool_grab_reply *reply)
{
    struct pending_grab out;
    int64_t wait_ms = reply ? reply->t0_ms - reply->now_ms : 0;

    if (o->rc != RR_NOT_STARTED || wait_ms <= 0 || wait_ms > EARLY_MS)
        return false;
    return grab_pending_defer(p->pending, g->tag, rr_mono_us(p->w->clock) + (wait_ms + 1) * 1000,
                              &out) == PENDING_STAY;
}

static void scripted(void *arg, const struct pool_shard *at, const struct grab *g,
                     const struct grab_outcome *o, const struct pool_grab_reply *reply)
{
    struct grab_path *p = arg;
    struct pending_grab out;

    if (o->rc == RR_OK)
        rr_fail(GRAB_AFTER_SCRIPT);
    if (too_early(p, g, o, reply)) {
        timer_arm(p);
        return;
    }
    switch (grab_pending_outcome(p->pending, g->tag, o, rr_mono_us(p->w->clock), &out)) {
    case PENDING_PRODUCE: produce(p, at, g, o, reply, out.opaque); break;
    case PENDING_TELL: tell(p, &out); break;
    case PENDING_UNKNOWN: /* nobody waits any more; the grant goes its way all the same */
        if (o->rc == RR_OK && reply)
            produce(p, at, g, o, reply, 0);
        break;
    case PENDING_STAY: break;
    }
}

static void scripted_all(void *arg, const struct pool_shard *at,
                         const struct pool_grab_reply *reply)
{
    struct grab_path *p = arg;
    struct rain_entry *e = rains_find(p->w->rains, rr_slice_str(at->code));

    outbox_track_seal(p->outbox, p->reply_outbox);
    p->reply_outbox = 0;
    /* A shard that must be recovered says nothing of what is left. */
    if (!e || !reply->rid[0] || (reply->n && reply->items[0].rc == RR_RECOVERING))
        return;
    gate_learn(&e->live, at->shard, reply->rid, reply->left == 0 && reply->granted > 0,
               reply->t1_ms);
    if (e->live.shards == 1 && reply->granted > e->granted) {
        e->granted = reply->granted;
        e->granted_fen = reply->granted_fen;
        e->sold_out_at_ms = reply->sold_out_at_ms;
    }
}

static void ask_pool(struct grab_path *p, const struct pending_grab *g)
{
    struct grab_outcome o = {.rc = RR_UNAVAILABLE, .seq = g->grab.seq};
    struct pending_grab out;

    if (grab_batch_add(p->batch, &g->at, &g->grab) == RR_OK)
        return;
    if (grab_pending_outcome(p->pending, g->id, &o, rr_mono_us(p->w->clock), &out) == PENDING_TELL)
        tell(p, &out);
}

/* A pool that is being recovered may never say what was won: the rain may be SETTLED before, and nobody brings its pool back
 * then. So the books are asked in between. */
static void run_again(void *arg, const struct pending_grab *g)
{
    struct grab_path *p = arg;

    if (g->outcome.rc != RR_RECOVERING || grab_books_pending(p->w, g) != RR_OK)
        ask_pool(p, g);
}

void grab_path_booked(struct grab_path *p, const struct pending_grab *g, enum rr_err err,
                      const struct grant_row *row)
{
    struct grab_outcome o = {.rc = err, .seq = g->grab.seq};
    struct pending_grab out;

    if (err == RR_OK) {
        o.packet_no = row->packet_no;
        o.amount_fen = row->amount_fen;
    }
    if (err != RR_OK && err != RR_ENDED)
        ask_pool(p, g);
    else if (grab_pending_final(p->pending, g->id, &o, &out) == PENDING_TELL)
        tell(p, &out);
    timer_arm(p);
}

static void gave_up(void *arg, const struct pending_grab *g)
{
    (void)arg;
    log_info("grab_given_up", "seq %u of a rain had no answer for a minute", g->grab.seq);
}

/* ---- entry ---- */

static enum rr_err eligible(const struct session *s, const struct live_rain *r)
{
    struct gate_user u = {.user_id = s->user_id, .level = s->level, .since_s = s->since_s};

    return gate_eligible(r, &u);
}

/* NOT_ELIGIBLE only for a first try: one that may have won is asked of the pool. */
static enum rr_err gate(const struct worker *w, const struct session *s, const struct live_rain *r,
                        const struct risk_frame *f)
{
    enum rr_err may = eligible(s, r);
    enum rr_err err = gate_check(r, room_id_of(s->room), s->user_id, f->seq, f->again,
                                 worker_rain_now_ms(w), EARLY_MS);

    if (err == RR_NOT_FOUND || may == RR_OK || (may == RR_NOT_ELIGIBLE && f->again))
        return err;
    return may;
}

/* Asked for and not answered: in the script's queue however old, elsewhere until PENDING was said, so that a Kafka that is away
 * refuses nobody. */
static uint32_t waiting(const struct grab_path *p)
{
    uint32_t untold = grab_pending_untold(p->pending);
    uint32_t queued = grab_batch_waiting(p->batch);

    return untold > queued ? untold : queued;
}

/* There is room for one more. Nothing was asked of the pool yet, so BUSY is the whole truth. */
static bool admit(struct grab_path *p, const struct session *s, const struct risk_frame *f,
                  int64_t *retry_after_ms)
{
    bool fits = f->again || !worker_sheds(p->w, SHED_GRABS);

    if (!fits)
        *retry_after_ms = worker_shed_retry_ms(s->id);
    else
        fits = grab_bound_take(&p->bound, waiting(p), f->again, retry_after_ms);
    if (!fits)
        rr_metric_add(&p->w->metrics->shed_grab_total, 1);
    return fits;
}

static void bound_conf(struct grab_path *p)
{
    p->bound.wait_us = p->w->conf->shed_grab_wait_ms * 1000;
    p->bound.least = (uint32_t)p->w->conf->shed_grabs_least;
}

bool grab_path_slice(struct grab_path *p, int64_t now_us)
{
    bound_conf(p);
    return grab_bound_tick(&p->bound, waiting(p), now_us);
}

/* Into the batch of its shard, or, a moment before the opening, into the wait for it. */
static enum rr_err enter(struct grab_path *p, const struct session *s, const struct live_rain *r,
                         const struct risk_frame *f, struct refusal *why)
{
    struct worker *w = p->w;
    int64_t received_us = rr_mono_us(w->clock);
    struct grab g = {.session_id = s->id,
                     .user_id = s->user_id,
                     .received_us = received_us,
                     .req_id = f->req_id,
                     .seq = f->seq,
                     .replay_only = eligible(s, r) != RR_OK};
    int64_t wait_ms = r->t0_ms - worker_rain_now_ms(w);
    struct pool_shard at;
    enum rr_err err = RR_OK;

    if (!admit(p, s, f, &why->retry_after_ms))
        return RR_BUSY;
    memcpy(at.code, r->code, sizeof(at.code));
    at.shard = rain_home_shard(s->user_id, r->shards);
    g.tag = grab_pending_open(p->pending, &at, &g, f->again);
    if (!g.tag)
        return RR_BUSY;
    if (wait_ms > 0 && !f->again) {
        struct pending_grab out;

        grab_pending_defer(p->pending, g.tag, rr_mono_us(w->clock) + wait_ms * 1000, &out);
    } else if (grab_batch_add(p->batch, &at, &g) != RR_OK) {
        err = RR_BUSY;
    }
    if (err)
        grab_pending_cancel(p->pending, g.tag);
    timer_arm(p);
    return err;
}

enum rr_err grab_path_submit(struct grab_path *p, struct session *s, const struct msg *m,
                             struct refusal *why)
{
    struct worker *w = p->w;
    struct rain_entry *e = rains_find(w->rains, m->u.grab.code);
    struct risk_frame f = {.session_id = s->id,
                           .req_id = m->id,
                           .seq = (uint32_t)m->u.grab.seq,
                           .again = m->u.grab.again};
    enum rr_err err = RR_OK;

    rr_metric_add(&w->metrics->grabs_total, 1);
    if (worker_drain_ends(w))
        return RR_BUSY; /* nothing was asked: the next connection asks again */
    if (!e)
        return RR_NOT_FOUND;
    memcpy(f.code, e->live.code, sizeof(f.code));
    err = risk_guard_check(w->guard, s, e, &f, gate(w, s, &e->live, &f));
    if (err == RR_PENDING)
        return RR_OK; /* resumed once his mark is written */
    if (!err)
        return enter(p, s, &e->live, &f, why);
    rr_metric_add(&w->metrics->grabs_memory_total, 1);
    rr_metric_add(&w->metrics->grabs_refused_total, 1);
    return err;
}

void grab_path_resume(struct grab_path *p, const struct risk_frame *f, enum rr_err err)
{
    struct worker *w = p->w;
    struct session *s = session_by_id(w->sessions, f->session_id);
    struct rain_entry *e = rains_find(w->rains, rr_slice_str(f->code));
    struct refusal why = {0};

    /* Gone: nothing was asked of the pool for him, and nobody waits. */
    if (!s || s->state == SESSION_CLOSING)
        return;
    if (!err && (!e || s->state != SESSION_JOINED))
        err = RR_NOT_FOUND;
    if (!err)
        err = gate(w, s, &e->live, f);
    if (!err)
        err = enter(p, s, &e->live, f, &why);
    if (!err)
        return;
    rr_metric_add(&w->metrics->grabs_refused_total, 1);
    reply_error(w, s, f->req_id, err, &why);
}

static void on_timer(uv_timer_t *t)
{
    struct grab_path *p = t->data;

    grab_pending_tick(p->pending, rr_mono_us(p->w->clock));
    grab_batch_tick(p->batch);
    timer_arm(p);
}

static void timer_arm(struct grab_path *p)
{
    int64_t at_us = grab_batch_next_us(p->batch);
    int64_t now_us = rr_mono_us(p->w->clock);
    int64_t wait_ms = 0;

    if (grab_pending_next_us(p->pending) < at_us)
        at_us = grab_pending_next_us(p->pending);
    if (at_us == INT64_MAX) {
        uv_timer_stop(&p->timer);
        return;
    }
    wait_ms = at_us > now_us ? (at_us - now_us + 999) / 1000 : 0;
    uv_timer_start(&p->timer, on_timer, (uint64_t)wait_ms, 0);
}

static void outbox_del(void *arg, const struct pool_shard *at, const char *const *ids, uint32_t n)
{
    struct grab_path *p = arg;

    rr_fail(OUTBOX_BEFORE_DEL);
    p->w->pool->outbox_del(p->w->pool->impl, at, ids, n);
}

void grab_path_tick(struct grab_path *p)
{
    grab_pending_tick(p->pending, rr_mono_us(p->w->clock));
    outbox_track_flush(p->outbox, outbox_del, p);
    rr_metric_set(&p->w->metrics->grabs_inflight, grab_pending_count(p->pending));
    timer_arm(p);
}

void grab_path_forget(struct grab_path *p, const char *code)
{
    grab_batch_forget(p->batch, code);
    outbox_track_forget(p->outbox, code);
}

uint32_t grab_path_inflight(const struct grab_path *p)
{
    return grab_pending_count(p->pending);
}

uint32_t grab_path_unfinished(const struct grab_path *p)
{
    return grab_pending_count(p->pending) + outbox_track_ready(p->outbox);
}

struct grab_path *grab_path_create(struct worker *w)
{
    struct grab_path *p = rr_xcalloc(1, sizeof(*p));

    p->w = w;
    bound_conf(p);
    p->batch = grab_batch_create(&(struct grab_batch_opts){
        .clock = w->clock,
        .pool = w->pool,
        .done = scripted,
        .after = scripted_all,
        .arg = p,
        .max_items = (uint32_t)w->conf->rain_batch_max,
        .window_us = w->conf->rain_batch_window_us,
    });
    p->pending = grab_pending_create(&(struct grab_pending_opts){
        .tell_pending = tell_pending,
        .run_again = run_again,
        .gave_up = gave_up,
        .arg = p,
        .pending_us = w->conf->rain_pending_ms * 1000,
        .late_us = (w->conf->kafka_message_timeout_ms - 1000) * 1000,
    });
    p->outbox = outbox_track_create(0, 0);
    uv_timer_init(&w->services.loop, &p->timer);
    p->timer.data = p;
    return p;
}

static void timer_closed(uv_handle_t *h)
{
    free(h->data);
}

void grab_path_destroy(struct grab_path *p)
{
    struct sent_record *sent = NULL;
    struct sent_record *tmp = NULL;

    if (!p)
        return;
    grab_batch_destroy(p->batch);
    grab_pending_destroy(p->pending);
    outbox_track_destroy(p->outbox);
    HASH_ITER (hh, p->sent, sent, tmp) {
        HASH_DEL(p->sent, sent);
        free(sent);
    }
    uv_timer_stop(&p->timer);
    uv_close((uv_handle_t *)&p->timer, timer_closed);
}
