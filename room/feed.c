/* feed.c - what the bus brings to a room: order, gaps, recovery, the kept state of its rains. */
#include "room_private.h"

#include "base/alloc.h"
#include "base/log.h"
#include "protocol/unpack.h"

#include <stdlib.h>

struct load_ticket {
    struct hub *hub;
    char room_id[RR_ROOM_ID_MAX + 1]; /* an id: the room may be gone when the answer comes */
    uint64_t load_no;
};

static void copy_clear(struct msg_copy *c)
{
    free(c->biz_code);
    free(c->code);
    free(c->payload);
    *c = (struct msg_copy){0};
}

static struct msg_copy copy_make(uint64_t epoch, uint64_t seq, struct rr_slice biz_code,
                                 struct rr_slice code, struct rr_slice payload)
{
    return (struct msg_copy){
        .epoch = epoch,
        .seq = seq,
        .biz_code = rr_xstrndup(biz_code.p, biz_code.len),
        .code = rr_xstrndup(code.p, code.len),
        .payload = rr_xstrndup(payload.p, payload.len),
        .payload_len = payload.len,
    };
}

static void held_clear(struct room *r)
{
    for (uint32_t i = 0; i < r->held_n; i++)
        copy_clear(&r->held[i]);
    r->held_n = 0;
    r->held_overflow = false;
}

static void log_clear(struct room *r)
{
    for (uint32_t i = 0; i < ROOM_LOG_MAX; i++) {
        rr_frame_unref(&r->log[i].frame);
        r->log[i].seq = 0;
    }
}

static void kept_clear(struct room *r)
{
    for (uint32_t i = 0; i < r->kept_n; i++)
        copy_clear(&r->kept[i]);
    r->kept_n = 0;
}

void feed__clear(struct room *r)
{
    held_clear(r);
    free(r->held);
    r->held = NULL;
    log_clear(r);
    kept_clear(r);
}

static void kept_remove(struct room *r, uint32_t i)
{
    copy_clear(&r->kept[i]);
    r->kept_n--;
    memmove(r->kept + i, r->kept + i + 1, (r->kept_n - i) * sizeof(*r->kept));
    r->kept[r->kept_n] = (struct msg_copy){0};
}

static void kept_set(struct room *r, struct rr_slice code, struct rr_slice biz_code,
                     struct rr_slice payload)
{
    for (uint32_t i = 0; i < r->kept_n; i++) {
        if (!rr_slice_eq_str(code, r->kept[i].code))
            continue;
        copy_clear(&r->kept[i]);
        r->kept[i] = copy_make(0, 0, biz_code, code, payload);
        return;
    }
    if (r->kept_n == ROOM_KEPT_MAX)
        kept_remove(r, 0);
    r->kept[r->kept_n++] = copy_make(0, 0, biz_code, code, payload);
}

static bool of_rain(struct rr_slice biz_code)
{
    static const char prefix[] = "RED_PACKET_";

    return biz_code.len >= sizeof(prefix) - 1 &&
           memcmp(biz_code.p, prefix, sizeof(prefix) - 1) == 0;
}

/* A RED_PACKET_* push with a code is the new state of that rain; of campaigns the last one is kept. */
static void learn_state(struct room *r, struct rr_slice biz_code, struct rr_slice payload)
{
    struct unpack_value map;
    struct rr_slice code;
    struct rr_slice cursor = payload;

    if (rr_slice_eq_str(biz_code, "FU_CAMPAIGN"))
        kept_set(r, rr_slice_str("fu"), biz_code, payload);
    if (!of_rain(biz_code))
        return;
    if (unpack_scan(payload, RR_DEPTH_MAX) || unpack_next(&cursor, &map) ||
        unpack_get_str(&map, "config_code", &code))
        return;
    /* A pause is no state for late joiners: they see the configuration, and their grabs say the rest. */
    if (!rr_slice_eq_str(biz_code, "RED_PACKET_STATE"))
        kept_set(r, code, biz_code, payload);
    r->hub->opts.rain_state(r->hub->opts.arg, r->id, biz_code, payload);
}

/* Encodes a message once, for its fan-out and for those who come back. Borrowed. */
static struct rr_frame *remember(struct room *r, const struct room_msg *m)
{
    struct log_item *item = &r->log[m->seq % ROOM_LOG_MAX];

    rr_frame_unref(&item->frame);
    item->seq = m->seq;
    item->frame = hub__push_frame(r->hub, r->id, m->epoch, m->seq, m->biz_code, m->payload);
    return item->frame;
}

/* The next message in order: remember, learn, fan out. */
static void apply(struct room *r, const struct room_msg *m)
{
    struct rr_frame *f = remember(r, m);

    r->seq = m->seq;
    learn_state(r, m->biz_code, m->payload);
    hub__fanout(r, f, 0);
}

/* Pauses of rains are no kept state, and what was pushed before this load nobody here has seen: told once more, in order and without
 * numbers, which would be behind the kept states'. */
static void tell_pauses(struct room *r, const struct room_snapshot *snap)
{
    for (uint32_t i = 0; i < snap->log_n; i++) {
        const struct room_msg *m = &snap->log[i];

        if (!rr_slice_eq_str(m->biz_code, "RED_PACKET_STATE"))
            continue;
        learn_state(r, m->biz_code, m->payload);
        hub_push_local(r->hub, r->id, m->biz_code, m->payload, 0);
    }
}

/* Another epoch, or a position the log does not reach back to: members get the current state of every rain again. The log's tail
 * is for clients that come back with a position of their own, from another worker. */
static void adopt_epoch(struct room *r, const struct room_snapshot *snap)
{
    bool renewed = r->epoch && snap->epoch != r->epoch;

    log_clear(r);
    kept_clear(r);
    r->epoch = snap->epoch;
    r->seq = snap->seq;
    for (uint32_t i = 0; i < snap->log_n; i++)
        remember(r, &snap->log[i]);
    for (uint32_t i = 0; i < snap->kept_n; i++) {
        const struct room_kept *k = &snap->kept[i];
        struct rr_frame *f = NULL;

        kept_set(r, k->code, k->biz_code, k->payload);
        if (of_rain(k->biz_code))
            r->hub->opts.rain_state(r->hub->opts.arg, r->id, k->biz_code, k->payload);
        f = hub__push_frame(r->hub, r->id, snap->epoch, snap->seq, k->biz_code, k->payload);
        hub__fanout(r, f, 0);
        rr_frame_unref(&f);
    }
    if (renewed)
        tell_pauses(r, snap);
}

static void release_held(struct room *r)
{
    /* Processing may hold again (a gap): take the list first. */
    struct msg_copy *held = r->held;
    uint32_t n = r->held_n;

    r->held = NULL;
    r->held_n = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct room_msg m = {
            .epoch = held[i].epoch,
            .seq = held[i].seq,
            .biz_code = rr_slice_str(held[i].biz_code),
            .payload = rr_slice_of(held[i].payload, held[i].payload_len),
        };

        feed__message(r, &m);
        copy_clear(&held[i]);
    }
    free(held);
}

static void on_loaded(void *arg, enum rr_err err, const struct room_snapshot *snap)
{
    struct load_ticket *t = arg;
    struct room *r = hub__room_find(t->hub, t->room_id);
    bool current = r && r->feed == FEED_LOADING && r->load_no == t->load_no;

    free(t);
    if (!current)
        return;
    if (err) {
        r->retry_at_us = rr_mono_us(r->hub->opts.clock) + ROOM_RETRY_US;
        hub__answer_waiting(r, RR_UNAVAILABLE);
        return;
    }
    for (uint32_t i = 0; r->hub->opts.sanction && i < snap->sanctions_n; i++)
        r->hub->opts.sanction(r->hub->opts.arg, r->id, &snap->sanctions[i]);
    if (snap->epoch != r->epoch || !snap->complete) {
        adopt_epoch(r, snap);
    } else {
        for (uint32_t i = 0; i < snap->log_n; i++) {
            if (snap->log[i].seq > r->seq)
                apply(r, &snap->log[i]);
        }
    }
    r->feed = FEED_LIVE;
    if (r->held_overflow) {
        feed__load(r);
        return;
    }
    release_held(r);
    if (r->feed == FEED_LIVE)
        hub__answer_waiting(r, RR_OK);
}

void feed__load(struct room *r)
{
    struct load_ticket *t = rr_xcalloc(1, sizeof(*t));

    held_clear(r); /* older than this load, which brings them */
    r->feed = FEED_LOADING;
    r->retry_at_us = 0;
    r->load_no = ++r->hub->load_no;
    t->hub = r->hub;
    t->load_no = r->load_no;
    memcpy(t->room_id, r->id, sizeof(t->room_id));
    r->hub->opts.bus->load(r->hub->opts.bus->impl, r->id, r->epoch, r->seq, on_loaded, t);
}

void feed__message(struct room *r, const struct room_msg *m)
{
    if (r->feed == FEED_SUBSCRIBING)
        return; /* the load after the ack brings it */
    if (r->feed == FEED_LOADING) {
        if (!r->held)
            r->held = rr_xcalloc(ROOM_HELD_MAX, sizeof(*r->held));
        if (r->held_n == ROOM_HELD_MAX)
            r->held_overflow = true;
        else
            r->held[r->held_n++] =
                copy_make(m->epoch, m->seq, m->biz_code, rr_slice_of(NULL, 0), m->payload);
        return;
    }
    if (m->epoch == r->epoch && m->seq <= r->seq)
        return;
    if (m->epoch != r->epoch && m->seq == 1) {
        /* The first push of a new room, or of another run of Redis: nothing came before it. */
        log_clear(r);
        r->epoch = m->epoch;
        r->seq = 0;
    }
    if (m->epoch == r->epoch && m->seq == r->seq + 1) {
        apply(r, m);
        return;
    }
    log_notice("room_gap", "room feed jumped from %llu to %llu, loading",
               (unsigned long long)r->seq, (unsigned long long)m->seq);
    feed__load(r); /* brings m too: it was logged before it was published */
}
