/* viewer_rain.c - what a joined viewer is pushed, asks and is told; see viewer.h. */
#include "viewer.h"

#include "base/alloc.h"
#include "protocol/msg.h"

static struct book_times times_of(const struct viewer *v, const struct book *b)
{
    const struct crowd *c = v->crowd;
    int64_t interval_us = c->opts->grab_interval_us;
    return (struct book_times){
        .open_us = clock_sync_mono_us(&c->clock, b->rain->open_ms),
        .end_us = clock_sync_mono_us(&c->clock, b->rain->end_ms),
        .phase_us = interval_us * v->index / c->n_viewers,
        .interval_us = interval_us,
    };
}

static struct book *book_of(struct viewer *v, const struct rain_view *rain)
{
    for (uint32_t i = 0; rain && i < v->n_books; i++) {
        if (v->books[i].rain == rain)
            return &v->books[i];
    }
    return NULL;
}

static struct book *book_add(struct viewer *v, struct rain_view *rain, int64_t now_us)
{
    v->books = rr_xrealloc(v->books, v->n_books + 1, sizeof(*v->books));
    struct book *b = &v->books[v->n_books++];
    *b = (struct book){.rain = rain};
    struct book_times t = times_of(v, b);
    book_begin(b, &t, now_us);
    return b;
}

struct book *viewer_book(struct viewer *v, struct rr_slice code)
{
    return book_of(v, crowd_rain(v->crowd, code, false));
}

/* --- evidence ------------------------------------------------------------------------------- */

static void note_open(struct viewer *v, const struct rain_view *rain, int64_t seq, bool pending,
                      int64_t now_us)
{
    struct crowd *c = v->crowd;
    struct purse_entry *e = user_entry(v->user, rain, seq);
    if (!e)
        return;
    if (!e->pending && !e->unanswered)
        wins_log_pending(&c->wins_log, v->user->id, rain->code, seq, crowd_wall_ms(c, now_us));
    if (pending && !e->pending)
        c->stats.pending++;
    if (pending)
        e->pending = true;
    else
        e->unanswered = true;
}

static void note_told(struct viewer *v, const struct rain_view *rain, const struct grant *g,
                      int64_t now_us)
{
    struct crowd *c = v->crowd;
    enum purse_news news = user_told(v->user, rain, g);
    if (news == PURSE_SAME)
        return;
    if (news == PURSE_NEW) {
        c->stats.told++;
        c->stats.told_fen += g->amount_fen;
    } else {
        c->stats.told_conflicts++;
    }
    wins_log_told(&c->wins_log, v->user->id, rain->code, g, crowd_wall_ms(c, now_us));
}

void viewer_lost(struct viewer *v, int64_t now_us)
{
    for (uint32_t i = 0; i < v->n_books; i++) {
        struct book *b = &v->books[i];
        if (book_disconnect(b))
            note_open(v, b->rain, b->seq, false, now_us);
    }
}

/* --- grabs ---------------------------------------------------------------------------------- */

void viewer_grab(struct viewer *v, int64_t now_us)
{
    struct book_ask ask;
    struct rr_buf buf = {0};

    for (uint32_t i = 0; i < v->n_books; i++) {
        struct book *b = &v->books[i];
        struct book_times t = times_of(v, b);
        if (!book_due(b, &t, now_us, &ask))
            continue;
        if (b->asked) /* silence, or PENDING for too long */
            note_open(v, b->rain, b->seq, false, now_us);
        rr_buf_clear(&buf);
        wire_grab(&buf, ++v->last_id, b->rain->code, ask.seq, ask.again);
        if (buf.failed)
            break;
        ws_client_send(&v->ws, rr_slice_of(buf.p, buf.len));
        book_sent(b, &ask, v->last_id, now_us);
        v->crowd->stats.grabs++;
    }
    rr_buf_fini(&buf);
}

int64_t viewer_grab_wake_us(const struct viewer *v)
{
    int64_t at_us = INT64_MAX;
    for (uint32_t i = 0; i < v->n_books; i++) {
        struct book_times t = times_of(v, &v->books[i]);
        int64_t book_us = book_wake_us(&v->books[i], &t);
        if (book_us < at_us)
            at_us = book_us;
    }
    return at_us;
}

/* One answer, by REPLY (id > 0) or by GRAB_RESULT (id 0). */
static void take_answer(struct viewer *v, struct book *b, const struct unpack_value *body,
                        uint32_t id, int64_t now_us)
{
    struct crowd *c = v->crowd;
    struct book_times t = times_of(v, b);
    struct rr_slice code;
    struct grant g = {0};
    struct book_answer a = {
        .id = id,
        .result = wire_int(body, "result", -1),
        .seq = wire_int(body, "seq", -1),
        .retry_after_ms = wire_int(body, "retry_after_ms", 0),
        .next = wire_int(body, "next", -1),
    };
    if (a.result == RESULT_OK && wire_grant_of(body, &code, &g)) {
        c->stats.bad_messages++;
        return;
    }
    int64_t intended_us = b->intended_us;
    int64_t seq = b->seq;
    switch (book_take(b, &t, &a, now_us)) {
    case BOOK_TOLD:
        hist_record(&c->told_us, now_us - intended_us);
        note_told(v, b->rain, &g, now_us);
        break;
    case BOOK_TOLD_OFF: note_told(v, b->rain, &g, now_us); break;
    case BOOK_WAITS: note_open(v, b->rain, seq, true, now_us); break;
    case BOOK_NO:
    case BOOK_LATER:
    case BOOK_IGNORED: break;
    }
}

static struct book *book_by_id(struct viewer *v, uint32_t id)
{
    for (uint32_t i = 0; i < v->n_books; i++) {
        if (v->books[i].open && v->books[i].last_id == id)
            return &v->books[i];
    }
    return NULL;
}

void viewer_on_grab_reply(struct viewer *v, const struct wire_msg *m, int64_t now_us)
{
    struct rr_slice code;
    int64_t result = wire_int(&m->body, "result", -1);
    struct book *b = NULL;

    bool known = result >= 0 && result < CROWD_CODES - 1;
    v->crowd->stats.codes[known ? result : CROWD_CODES - 1]++;
    if (!unpack_get_str(&m->body, "code", &code))
        b = viewer_book(v, code);
    if (!b)
        b = book_by_id(v, m->id);
    if (b)
        take_answer(v, b, &m->body, m->id, now_us);
    else if (result == RESULT_OK)
        v->crowd->stats.bad_messages++;
}

static void on_grab_result(struct viewer *v, const struct unpack_value *payload, int64_t now_us)
{
    struct rr_slice code;
    struct book *b = NULL;
    if (!unpack_get_str(payload, "code", &code))
        b = viewer_book(v, code);
    if (b)
        take_answer(v, b, payload, 0, now_us);
    else
        v->crowd->stats.bad_messages++;
}

/* --- pushes --------------------------------------------------------------------------------- */

/* Who got the announcement, and over which time it spread. */
static void count_config(struct viewer *v, struct rain_view *rain, bool live, int64_t now_us)
{
    struct crowd_stats *st = &v->crowd->stats;
    if (!live) {
        if (!v->got_push && !v->by_join) {
            v->by_join = true;
            st->config_by_join++;
        }
        return;
    }
    if (!v->got_push) {
        v->got_push = true;
        st->push_received++;
    }
    if (rain->live_pushes++ == 0)
        rain->first_push_us = now_us;
    rain->last_push_us = now_us;
}

static void on_config(struct viewer *v, struct rr_slice code, const struct unpack_value *payload,
                      bool live, int64_t now_us)
{
    int64_t open_ms = wire_int(payload, "open_at", 0);
    int64_t end_ms = wire_int(payload, "end_at", 0);
    struct crowd *c = v->crowd;

    if (open_ms <= 0 || end_ms <= open_ms) {
        c->stats.bad_messages++;
        return;
    }
    struct rain_view *rain = crowd_rain(c, code, false);
    struct book *b = book_of(v, rain);
    if (!b && end_ms <= clock_sync_rain_ms(&c->clock, now_us))
        return; /* it ended before this viewer came */
    if (!rain)
        rain = crowd_rain(c, code, true);
    if (!rain)
        return;
    if (end_ms > rain->config_end_ms) {
        rain->open_ms = open_ms;
        rain->end_ms = rain->config_end_ms = end_ms;
        rain->over = false;
    }
    if (!b) {
        b = book_add(v, rain, now_us);
        count_config(v, rain, live, now_us);
    }
    b->listed = true;
    b->ended = b->ended && rain->over;
}

static void on_end(struct viewer *v, struct rr_slice code, const struct unpack_value *payload,
                   bool done, int64_t now_us)
{
    struct book *b = viewer_book(v, code);
    if (!b)
        return;
    struct rain_view *rain = b->rain;
    int64_t now_ms = clock_sync_rain_ms(&v->crowd->clock, now_us);
    int64_t end_ms = wire_int(payload, "end_at", now_ms);
    if (!rain->over && end_ms < rain->end_ms)
        rain->end_ms = end_ms;
    rain->over = true;
    b->done = b->done || done;
}

void viewer_on_payload(struct viewer *v, struct rr_slice biz, const struct unpack_value *payload,
                       bool live, int64_t now_us)
{
    struct rr_slice code;
    if (rr_slice_eq_str(biz, "GRAB_RESULT")) {
        on_grab_result(v, payload, now_us);
        return;
    }
    bool config = rr_slice_eq_str(biz, "RED_PACKET_CONFIG");
    bool end = rr_slice_eq_str(biz, "RED_PACKET_END");
    bool done =
        rr_slice_eq_str(biz, "RED_PACKET_RESULT") || rr_slice_eq_str(biz, "RED_PACKET_CANCEL");
    if (!config && !end && !done)
        return;
    if (payload->type != UNPACK_MAP || unpack_get_str(payload, "config_code", &code) ||
        !wire_code_ok(code)) {
        v->crowd->stats.bad_messages++;
        return;
    }
    if (config)
        on_config(v, code, payload, live, now_us);
    else
        on_end(v, code, payload, done, now_us);
}

/* Takes the push's position; false when the viewer has seen it already. */
static bool advance(struct viewer *v, const struct wire_push *p)
{
    RR_ASSERT(v);
    if (p->seq < 0)
        return true;
    if (!rr_slice_eq_str(p->epoch, v->epoch)) {
        if (!rr_slice_copy(p->epoch, v->epoch, sizeof(v->epoch)))
            v->crowd->stats.bad_messages++;
    } else if (p->seq <= v->room_seq) {
        return false;
    } else if (p->seq > v->room_seq + 1) {
        viewer_missed(v, "gap", p->seq - v->room_seq - 1);
        v->crowd->stats.push_gaps += (uint64_t)(p->seq - v->room_seq - 1);
    }
    v->room_seq = p->seq;
    v->seqs++;
    return true;
}

void viewer_on_push(struct viewer *v, const struct unpack_value *body, bool live, int64_t now_us)
{
    struct wire_push p;
    if (wire_push_of(body, &p)) {
        v->crowd->stats.bad_messages++;
        return;
    }
    /* Before JOIN is answered only pushes to the user count: the snapshot will hold the rest. */
    if (live && v->state != VIEWER_JOINED && !v->heard_old && p.seq >= 0)
        return;
    if (advance(v, &p))
        viewer_on_payload(v, p.biz_code, &p.payload, live, now_us);
}
