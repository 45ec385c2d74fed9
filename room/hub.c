/* hub.c - membership and fan-out. */
#include "room_private.h"

#include "base/alloc.h"
#include "protocol/pack.h"

#include <stdio.h>
#include <stdlib.h>

enum { FANOUT_WARM = 16 };

struct count_ticket {
    struct hub *hub;
    char room_id[RR_ROOM_ID_MAX + 1];
};

struct hub *hub_create(const struct hub_opts *o)
{
    struct hub *h = rr_xcalloc(1, sizeof(*h));

    h->opts = *o;
    return h;
}

struct room *hub__room_find(const struct hub *h, const char *room_id)
{
    struct room *r = NULL;

    HASH_FIND_STR(h->rooms, room_id, r);
    return r;
}

static void room_free(struct room *r)
{
    struct hub *h = r->hub;

    RR_ASSERT(r->members_live == 0 && !r->waiting);
    while (r->jobs) {
        struct fanout *job = r->jobs;

        r->jobs = job->next;
        rr_frame_unref(&job->frame);
        free(job);
    }
    feed__clear(r);
    HASH_DEL(h->rooms, r);
    free(r->members);
    free(r);
}

void hub_destroy(struct hub *h)
{
    struct room *r = NULL;
    struct room *tmp = NULL;

    if (!h)
        return;
    HASH_ITER (hh, h->rooms, r, tmp) {
        hub__answer_waiting(r, RR_CLOSED);
        room_free(r);
    }
    free(h);
}

static struct room *room_get(struct hub *h, const char *room_id)
{
    struct room *r = hub__room_find(h, room_id);

    if (r)
        return r;
    r = rr_xcalloc(1, sizeof(*r));
    snprintf(r->id, sizeof(r->id), "%s", room_id);
    r->hub = h;
    r->life = ++h->lives;
    r->rotate = (uint32_t)(h->opts.seed * (2 * r->life + 1) >> 32);
    r->waiting_tail = &r->waiting;
    r->jobs_tail = &r->jobs;
    r->online_told = -1;
    r->empty_since_us = rr_mono_us(h->opts.clock);
    HASH_ADD_STR(h->rooms, id, r);
    h->opts.bus->subscribe(h->opts.bus->impl, r->id);
    return r;
}

/* ---- fan-out ---- */

struct rr_frame *hub__push_frame(struct hub *h, const char *room_id, uint64_t epoch, uint64_t seq,
                                 struct rr_slice biz_code, struct rr_slice payload)
{
    struct rr_buf b = {0};
    struct rr_frame *f = NULL;

    msg_push(&b, room_id, epoch, seq, biz_code, payload);
    RR_ASSERT(!b.failed);
    f = rr_frame_create(b.p, b.len, h->opts.transport->headroom);
    rr_buf_fini(&b);
    return f;
}

void hub__fanout(struct room *r, struct rr_frame *frame, uint64_t latest_key)
{
    struct fanout *job = NULL;

    if (r->members_live == 0)
        return;
    job = rr_xcalloc(1, sizeof(*job));
    job->frame = rr_frame_ref(frame);
    job->latest_key = latest_key;
    job->n = r->members_n;
    /* Who is first rotates, so nobody is always last; in steps of the golden ratio, so that few fan-outs already reach all
     * parts of a big room. */
    job->start = (uint32_t)((uint64_t)r->rotate * r->members_n >> 32);
    r->rotate += ROOM_ROTATE_STEP;
    *r->jobs_tail = job;
    r->jobs_tail = &job->next;
    r->hub->broadcasts++;
    r->hub->opts.work(r->hub->opts.arg);
}

static void members_compact(struct room *r)
{
    uint32_t n = 0;

    if (r->members_live == r->members_n)
        return;
    for (uint32_t i = 0; i < r->members_n; i++) {
        if (!r->members[i])
            continue;
        r->members[n] = r->members[i];
        r->members[n]->member_index = n;
        n++;
    }
    r->members_n = n;
}

/* NULL: a hole. i < job->n. */
static struct session *member_at(const struct room *r, const struct fanout *job, uint32_t i)
{
    uint32_t at = job->start + i;

    return r->members[at < job->n ? at : at - job->n];
}

/* In a large room nothing of a member is in the cache, and one after the other each send would wait for memory several times.
 * What it reads leads from one to the next (session, connection, lws), so each is asked for some sends after the one before,
 * while the kernel works. */
static void fanout_warm(const struct room *r, const struct fanout *job)
{
    const struct transport *t = r->hub->opts.transport;
    uint32_t left = job->n - job->done;

    for (uint32_t i = 2 * FANOUT_WARM; i < 3 * FANOUT_WARM && i < left; i++) {
        const struct session *s = member_at(r, job, job->done + i);

        if (s)
            session_warm(s);
    }
    for (uint32_t i = FANOUT_WARM; i < 2 * FANOUT_WARM && i < left; i++) {
        const struct session *s = member_at(r, job, job->done + i);

        if (s)
            __builtin_prefetch(s->conn);
    }
    for (uint32_t i = 0; t->warm && i < FANOUT_WARM && i < left; i++) {
        const struct session *s = member_at(r, job, job->done + i);

        if (s)
            t->warm(s->conn);
    }
}

/* Sends to at most *budget members; true when the job is done. */
static bool fanout_slice(struct room *r, struct fanout *job, uint32_t *budget)
{
    while (*budget > 0 && job->done < job->n) {
        struct session *s = member_at(r, job, job->done);

        if (job->done % FANOUT_WARM == 0)
            fanout_warm(r, job);
        job->done++;
        if (!s)
            continue;
        --*budget;
        if (job->latest_key)
            session_send_latest(s, job->frame, job->latest_key);
        else
            session_send(s, job->frame);
    }
    return job->done == job->n;
}

bool hub_run(struct hub *h, uint32_t budget)
{
    struct room *r = NULL;
    struct room *tmp = NULL;

    HASH_ITER (hh, h->rooms, r, tmp) {
        while (r->jobs && budget > 0) {
            struct fanout *job = r->jobs;

            if (!fanout_slice(r, job, &budget))
                break;
            r->jobs = job->next;
            if (!r->jobs)
                r->jobs_tail = &r->jobs;
            rr_frame_unref(&job->frame);
            free(job);
        }
        if (!r->jobs)
            members_compact(r);
        if (budget == 0) {
            /* To the end of the list: next time the others come first. */
            HASH_DEL(h->rooms, r);
            HASH_ADD_STR(h->rooms, id, r);
            return true;
        }
    }
    return false;
}

void hub_push_local(struct hub *h, const char *room_id, struct rr_slice biz_code,
                    struct rr_slice payload, uint64_t latest_key)
{
    struct room *r = hub__room_find(h, room_id);
    struct rr_frame *f = NULL;

    if (!r || r->members_live == 0)
        return;
    f = hub__push_frame(h, room_id, 0, 0, biz_code, payload);
    hub__fanout(r, f, latest_key);
    rr_frame_unref(&f);
}

uint32_t hub_push_user(struct hub *h, int64_t user_id, struct rr_slice biz_code,
                       struct rr_slice payload)
{
    struct session *s = NULL;
    struct rr_frame *f = NULL;
    uint32_t n = 0;

    /* First: writing an answer may close another socket of his, and the list would end there. */
    session_table_flush(h->opts.sessions);
    s = session_by_user(h->opts.sessions, user_id);
    if (!s)
        return 0;
    f = hub__push_frame(h, NULL, 0, 0, biz_code, payload);
    while (s) {
        /* A reader too slow is closed by the send and leaves the list. */
        struct session *next = session_user_next(s);

        session_send(s, f);
        s = next;
        n++;
    }
    rr_frame_unref(&f);
    return n;
}

/* ---- membership ---- */

static void member_add(struct room *r, struct session *s)
{
    if (r->members_n == r->members_cap) {
        r->members_cap = r->members_cap ? r->members_cap * 2 : 16;
        r->members = rr_xrealloc(r->members, r->members_cap, sizeof(*r->members));
    }
    s->member_index = r->members_n;
    r->members[r->members_n++] = s;
    r->members_live++;
    r->hub->members++;
    session_set_state(s, SESSION_JOINED, r);
    session_set_account(s, &r->delivery);
}

void hub_on_left(void *hub, struct session *s)
{
    struct room *r = s->room;

    (void)hub;
    RR_ASSERT(r->members[s->member_index] == s);
    session_set_account(s, NULL);
    r->members[s->member_index] = NULL;
    r->members_live--;
    r->hub->members--;
    if (r->members_live == 0)
        r->empty_since_us = rr_mono_us(r->hub->opts.clock);
    if (!r->jobs)
        members_compact(r);
}

void hub_leave(struct session *s)
{
    s->join_no++;
    if (s->state == SESSION_JOINED)
        session_set_state(s, SESSION_AUTHED, NULL);
}

/* Whether the log still has everything after a client's position. */
static bool log_has_since(const struct room *r, uint64_t epoch, uint64_t seq)
{
    if (epoch == 0 || epoch != r->epoch || seq > r->seq || r->seq - seq > ROOM_LOG_MAX)
        return false;
    for (uint64_t i = seq + 1; i <= r->seq; i++) {
        const struct log_item *item = &r->log[i % ROOM_LOG_MAX];

        if (item->seq != i || !item->frame)
            return false;
    }
    return true;
}

bool hub_recovers(const struct hub *h, const char *room_id, uint64_t epoch, uint64_t seq)
{
    const struct room *r = hub__room_find(h, room_id);

    return r && r->feed == FEED_LIVE && log_has_since(r, epoch, seq);
}

static uint32_t missed_since(struct room *r, uint64_t epoch, uint64_t seq, struct rr_slice *out,
                             bool *recovered)
{
    uint32_t n = 0;

    *recovered = log_has_since(r, epoch, seq);
    for (uint64_t i = seq + 1; *recovered && i <= r->seq; i++) {
        struct rr_frame *f = r->log[i % ROOM_LOG_MAX].frame;

        out[n++] = rr_slice_of(rr_frame_payload(f), f->len);
    }
    return n;
}

void hub__answer(struct room *r, struct session *s, uint32_t req_id, uint64_t epoch, uint64_t seq)
{
    struct rr_slice missed[ROOM_LOG_MAX];
    struct room_kept kept[ROOM_KEPT_MAX];
    struct hub_join_answer a = {.room_id = r->id,
                                .epoch = r->epoch,
                                .seq = r->seq,
                                .missed = missed,
                                .kept = kept,
                                .kept_n = r->kept_n};

    member_add(r, s);
    a.missed_n = missed_since(r, epoch, seq, missed, &a.recovered);
    for (uint32_t i = 0; i < r->kept_n; i++) {
        kept[i] = (struct room_kept){
            .code = rr_slice_str(r->kept[i].code),
            .biz_code = rr_slice_str(r->kept[i].biz_code),
            .payload = rr_slice_of(r->kept[i].payload, r->kept[i].payload_len),
        };
    }
    a.online = hub_online(r->hub, r->id);
    r->hub->opts.joined(r->hub->opts.arg, s, req_id, RR_OK, &a);
}

void hub__answer_waiting(struct room *r, enum rr_err err)
{
    struct hub *h = r->hub;

    while (r->waiting) {
        struct waiting_join *w = r->waiting;
        struct session *s = session_by_id(h->opts.sessions, w->session_id);

        r->waiting = w->next;
        if (!r->waiting)
            r->waiting_tail = &r->waiting;
        if (s && s->state != SESSION_CLOSING) {
            if (err || w->join_no != s->join_no)
                h->opts.joined(h->opts.arg, s, w->req_id, err ? err : RR_CONFLICT, NULL);
            else if (h->opts.loaded)
                h->opts.loaded(h->opts.arg, s, w->req_id, r->id, w->epoch, w->seq);
            else
                hub__answer(r, s, w->req_id, w->epoch, w->seq);
        }
        free(w);
    }
}

void hub_join(struct hub *h, struct session *s, uint32_t req_id, const char *room_id,
              uint64_t epoch, uint64_t seq)
{
    struct room *r = NULL;
    struct waiting_join *w = NULL;

    hub_leave(s);
    r = room_get(h, room_id);
    if (r->feed == FEED_LIVE) {
        hub__answer(r, s, req_id, epoch, seq);
        return;
    }
    if (!h->bus_up) {
        h->opts.joined(h->opts.arg, s, req_id, RR_UNAVAILABLE, NULL);
        return;
    }
    w = rr_xcalloc(1, sizeof(*w));
    w->session_id = s->id;
    w->join_no = s->join_no;
    w->req_id = req_id;
    w->epoch = epoch;
    w->seq = seq;
    *r->waiting_tail = w;
    r->waiting_tail = &w->next;
}

/* ---- the bus ---- */

void hub_on_subscribed(struct hub *h, const char *room_id)
{
    struct room *r = hub__room_find(h, room_id);

    if (r)
        feed__load(r);
}

void hub_on_room_msg(struct hub *h, const char *room_id, const struct room_msg *m)
{
    struct room *r = hub__room_find(h, room_id);

    if (!r)
        return;
    /* Unlogged: each its own key, they only push each other out of a slow queue. */
    if (m->epoch == 0 && m->seq == 0 && hub_sheds_latest(h))
        return;
    if (m->epoch == 0 && m->seq == 0)
        hub_push_local(h, room_id, m->biz_code, m->payload, ROOM_UNLOGGED_KEY | ++h->unlogged);
    else
        feed__message(r, m);
}

void hub_on_bus_state(struct hub *h, bool up)
{
    struct room *r = NULL;
    struct room *tmp = NULL;

    h->bus_up = up;
    if (up)
        return;
    /* Members stay; after the new ack the log since our last seq is loaded. */
    HASH_ITER (hh, h->rooms, r, tmp) {
        r->feed = r->epoch ? FEED_LIVE : FEED_SUBSCRIBING;
        r->load_no = 0;
        r->retry_at_us = 0;
        hub__answer_waiting(r, RR_UNAVAILABLE);
    }
}

/* ---- presence ---- */

static void on_count(void *arg, enum rr_err err, int64_t online)
{
    struct count_ticket *t = arg;
    struct room *r = hub__room_find(t->hub, t->room_id);
    struct rr_buf b = {0};

    if (r) {
        r->count_inflight = false;
        if (!err)
            r->online = online;
        if (!err && online != r->online_told && !hub_sheds_latest(t->hub)) {
            r->online_told = online;
            pack_map(&b, 1);
            pack_kv_int(&b, "online", online);
            hub_push_local(t->hub, r->id, rr_slice_str("ROOM_COUNT"), rr_slice_of(b.p, b.len), 1);
            rr_buf_fini(&b);
        }
    }
    free(t);
}

static void room_count(struct room *r, int64_t now_us)
{
    struct count_ticket *t = NULL;

    if (r->count_inflight || now_us - r->counted_us < ROOM_COUNT_US || !r->hub->bus_up)
        return;
    if (r->members_live == 0 && r->counted_members == 0)
        return;
    t = rr_xcalloc(1, sizeof(*t));
    t->hub = r->hub;
    memcpy(t->room_id, r->id, sizeof(t->room_id));
    r->counted_us = now_us;
    r->counted_members = r->members_live;
    r->count_inflight = true;
    r->hub->opts.bus->count(r->hub->opts.bus->impl, r->id, r->members_live, r->life, &r->delivery,
                            on_count, t);
}

void hub_tick(struct hub *h)
{
    int64_t now_us = rr_mono_us(h->opts.clock);
    struct room *r = NULL;
    struct room *tmp = NULL;

    HASH_ITER (hh, h->rooms, r, tmp) {
        if (r->retry_at_us && now_us >= r->retry_at_us && h->bus_up)
            feed__load(r);
        room_count(r, now_us);
        if (r->members_live == 0 && !r->waiting && !r->jobs && !r->count_inflight &&
            now_us - r->empty_since_us > ROOM_IDLE_US) {
            h->opts.bus->unsubscribe(h->opts.bus->impl, r->id);
            room_free(r);
        }
    }
}

const char *room_id_of(const struct room *r)
{
    return r->id;
}

uint32_t hub_members(const struct hub *h, const char *room_id)
{
    const struct room *r = hub__room_find(h, room_id);

    return r ? r->members_live : 0;
}

uint32_t hub_members_all(const struct hub *h)
{
    return h->members;
}

int64_t hub_online(const struct hub *h, const char *room_id)
{
    const struct room *r = hub__room_find(h, room_id);

    if (!r)
        return 0;
    return r->online > r->members_live ? r->online : r->members_live;
}

uint32_t hub_rooms(const struct hub *h)
{
    return HASH_COUNT(h->rooms);
}

void hub_shed_latest(struct hub *h, bool on)
{
    h->shed_latest = on;
}

bool hub_sheds_latest(struct hub *h)
{
    h->latest_shed += h->shed_latest;
    return h->shed_latest;
}

uint64_t hub_latest_shed(const struct hub *h)
{
    return h->latest_shed;
}

uint64_t hub_broadcasts(const struct hub *h)
{
    return h->broadcasts;
}
