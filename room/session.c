#include "room/session.h"

#include "base/alloc.h"
#include "user_index.h"

#include <stdlib.h>
#include <string.h>

/* An answer on its way to its session. */
struct corked {
    uint64_t session_id;
    struct rr_frame *frame;
};

struct session_table {
    struct session_table_opts opts;
    struct session **slots;
    uint32_t *generations;
    uint32_t *free_slots; /* stack */
    uint32_t slots_n;
    uint32_t free_n;
    uint32_t count;
    struct user_index users;
    struct session_counters counters;
    int64_t now_us;        /* coarse */
    struct corked *corked; /* reply_burst */
    uint32_t corked_n;
    bool flushing;
};

/* Books n frames into the table's counters and into the account of the session's room. */
#define BOOK(s, field, n)                                                                          \
    do {                                                                                           \
        (s)->table->counters.field += (n);                                                         \
        if ((s)->account)                                                                          \
            (s)->account->field += (n);                                                            \
    } while (0)
#define UNBOOK(s, field, n)                                                                        \
    do {                                                                                           \
        (s)->table->counters.field -= (n);                                                         \
        if ((s)->account)                                                                          \
            (s)->account->field -= (n);                                                            \
    } while (0)

struct session_table *session_table_create(const struct session_table_opts *o)
{
    struct session_table *t = rr_xcalloc(1, sizeof(*t));

    t->opts = *o;
    t->corked = rr_xcalloc(o->reply_burst + 1, sizeof(*t->corked));
    return t;
}

void session_table_destroy(struct session_table *t)
{
    if (!t)
        return;
    RR_ASSERT(t->count == 0);
    session_table_flush(t); /* to nobody */
    free(t->corked);
    user_index_fini(&t->users);
    free(t->slots);
    free(t->generations);
    free(t->free_slots);
    free(t);
}

void session_table_set_queue(struct session_table *t, size_t queue_bytes, int64_t queue_age_us)
{
    t->opts.queue_bytes = queue_bytes;
    t->opts.queue_age_us = queue_age_us;
}

void session_table_set_now(struct session_table *t, int64_t now_us)
{
    t->now_us = now_us;
}

void session_set_account(struct session *s, struct delivery *account)
{
    uint32_t waiting = out_queue_count(&s->out) + s->corked;

    if (s->account) {
        s->account->queued -= waiting;
        s->account->closed += waiting;
    }
    s->account = account;
    if (account) {
        account->expected += waiting;
        account->queued += waiting;
    }
}

static void table_grow(struct session_table *t)
{
    uint32_t n = t->slots_n ? t->slots_n * 2 : 256;

    t->slots = rr_xrealloc(t->slots, n, sizeof(*t->slots));
    t->generations = rr_xrealloc(t->generations, n, sizeof(*t->generations));
    t->free_slots = rr_xrealloc(t->free_slots, n, sizeof(*t->free_slots));
    for (uint32_t i = n; i-- > t->slots_n;) {
        t->slots[i] = NULL;
        t->generations[i] = 0;
        t->free_slots[t->free_n++] = i;
    }
    t->slots_n = n;
}

struct session *session_create(struct session_table *t, void *conn, int64_t now_us)
{
    struct session *s = rr_xcalloc(1, sizeof(*s));
    uint32_t slot = 0;

    if (t->free_n == 0)
        table_grow(t);
    slot = t->free_slots[--t->free_n];
    s->id = (uint64_t)++t->generations[slot] << 32 | slot;
    s->state = SESSION_NEW;
    s->conn = conn;
    s->table = t;
    s->heard_us = now_us;
    s->pinged_us = now_us;
    t->slots[slot] = s;
    t->count++;
    return s;
}

static void queue_abandon(struct session *s)
{
    struct session_counters *c = &s->table->counters;
    uint32_t n = 0;

    c->must_bytes -= out_queue_bytes(&s->out);
    n = out_queue_clear(&s->out) + s->corked;
    s->corked = 0;
    UNBOOK(s, queued, n);
    BOOK(s, closed, n);
}

void session_set_state(struct session *s, enum session_state state, struct room *room)
{
    enum session_state from = s->state;

    RR_ASSERT((state == SESSION_JOINED) == (room != NULL));
    if (from == state && s->room == room)
        return;
    RR_ASSERT(from != SESSION_CLOSING);
    RR_ASSERT(state != SESSION_NEW);
    RR_ASSERT(state != SESSION_JOINED || from == SESSION_AUTHED);
    if (from == SESSION_JOINED) {
        s->table->opts.left_room(s->table->opts.arg, s);
        s->room = NULL;
    }
    /* Guests are nobody: one list of all of them would be long. */
    if (from == SESSION_NEW && state == SESSION_AUTHED && s->user_id)
        user_index_add(&s->table->users, s);
    if (from != SESSION_NEW && state == SESSION_CLOSING && s->user_id)
        user_index_remove(&s->table->users, s);
    if (state == SESSION_CLOSING)
        queue_abandon(s);
    s->state = state;
    s->room = room;
}

void session_destroy(struct session *s)
{
    struct session_table *t = s->table;
    uint32_t slot = (uint32_t)s->id;

    if (s->state != SESSION_CLOSING)
        session_set_state(s, SESSION_CLOSING, NULL);
    RR_ASSERT(t->slots[slot] == s);
    t->slots[slot] = NULL;
    t->free_slots[t->free_n++] = slot;
    t->count--;
    free(s->name);
    free(s->rooms);
    free(s->next);
    free(s);
}

struct session *session_by_id(struct session_table *t, uint64_t id)
{
    uint32_t slot = (uint32_t)id;

    if (slot >= t->slots_n || !t->slots[slot] || t->slots[slot]->id != id)
        return NULL;
    return t->slots[slot];
}

uint32_t session_count(const struct session_table *t)
{
    return t->count;
}

struct session *session_by_user(struct session_table *t, int64_t user_id)
{
    return user_index_find(&t->users, user_id);
}

struct session *session_user_next(const struct session *s)
{
    return user_index_next(s);
}

uint32_t session_slots(const struct session_table *t)
{
    return t->slots_n;
}

struct session *session_at(struct session_table *t, uint32_t slot)
{
    return slot < t->slots_n ? t->slots[slot] : NULL;
}

const struct session_counters *session_table_counters(const struct session_table *t)
{
    return &t->counters;
}

bool session_may_enter(const struct session *s, const char *room_id)
{
    size_t n = strlen(room_id);

    if (s->all_rooms)
        return true;
    for (const char *p = s->rooms; p && (p = strstr(p, room_id)) != NULL; p++) {
        if (p[-1] == ',' && p[n] == ',')
            return true;
    }
    return false;
}

static bool write_through(struct session *s, struct rr_frame *frame)
{
    const struct transport *tr = s->table->opts.transport;

    if (tr->write_now(tr->impl, s->conn, frame) != RR_OK)
        return false;
    BOOK(s, sent, 1);
    s->table->counters.sent_bytes += frame->len;
    return true;
}

/* What has to be done with a frame before its lane is asked; true: nothing is left to do. */
static bool send_begin(struct session *s, struct rr_frame *frame)
{
    if (s->corked)
        session_table_flush(s->table);
    BOOK(s, expected, 1);
    if (s->state == SESSION_CLOSING) {
        BOOK(s, closed, 1);
        return true;
    }
    return out_queue_empty(&s->out) && write_through(s, frame);
}

static void close_slow(struct session *s)
{
    s->table->counters.slow_closed++;
    session_close(s, CLOSE_SLOW);
}

void session_send(struct session *s, struct rr_frame *frame)
{
    struct session_table *t = s->table;

    if (send_begin(s, frame))
        return;
    if (out_queue_push(&s->out, frame, t->opts.queue_bytes, t->now_us) != RR_OK) {
        BOOK(s, closed, 1);
        close_slow(s);
        return;
    }
    BOOK(s, queued, 1);
    t->counters.must_bytes += frame->len;
    t->opts.transport->want_write(t->opts.transport->impl, s->conn);
}

void session_reply(struct session *s, struct rr_frame *frame)
{
    struct session_table *t = s->table;

    if (t->opts.reply_burst == 0 || t->flushing || s->state == SESSION_CLOSING ||
        !out_queue_empty(&s->out)) {
        session_send(s, frame);
        return;
    }
    BOOK(s, expected, 1);
    BOOK(s, queued, 1);
    s->corked++;
    t->corked[t->corked_n++] = (struct corked){s->id, rr_frame_ref(frame)};
    if (t->corked_n == t->opts.reply_burst)
        session_table_flush(t);
}

void session_table_flush(struct session_table *t)
{
    if (t->flushing)
        return;
    t->flushing = true;
    for (uint32_t i = 0; i < t->corked_n; i++) {
        struct corked *c = &t->corked[i];
        struct session *s = session_by_id(t, c->session_id);

        /* None: he was closed meanwhile, and they are in the books as such. */
        if (s && s->corked) {
            s->corked--;
            UNBOOK(s, queued, 1);
            UNBOOK(s, expected, 1);
            session_send(s, c->frame);
        }
        rr_frame_unref(&c->frame);
    }
    t->corked_n = 0;
    t->flushing = false;
}

void session_send_latest(struct session *s, struct rr_frame *frame, uint64_t key)
{
    struct session_table *t = s->table;
    uint32_t dropped = 0;

    if (send_begin(s, frame))
        return;
    dropped = out_queue_push_latest(&s->out, frame, key, t->now_us);
    BOOK(s, dropped, dropped);
    BOOK(s, queued, 1 - dropped);
    t->opts.transport->want_write(t->opts.transport->impl, s->conn);
}

void session_expire(struct session *s)
{
    const struct session_table *t = s->table;
    int64_t before_us = t->now_us - t->opts.queue_age_us;
    uint32_t n = 0;

    if (s->state == SESSION_CLOSING || !t->opts.queue_age_us)
        return;
    n = out_queue_expire_latest(&s->out, before_us);
    BOOK(s, dropped, n);
    UNBOOK(s, queued, n);
    if (out_queue_since_us(&s->out) <= before_us)
        close_slow(s);
}

void session_on_writable(struct session *s)
{
    const struct transport *tr = s->table->opts.transport;
    struct session_counters *c = &s->table->counters;
    struct rr_frame *f = NULL;

    while (s->state != SESSION_CLOSING && (f = out_queue_front(&s->out)) != NULL) {
        size_t before = out_queue_bytes(&s->out);

        if (!write_through(s, f)) {
            tr->want_write(tr->impl, s->conn);
            return;
        }
        out_queue_pop(&s->out);
        UNBOOK(s, queued, 1);
        c->must_bytes -= before - out_queue_bytes(&s->out);
    }
}

void session_close(struct session *s, enum close_code code)
{
    const struct transport *tr = s->table->opts.transport;

    if (s->state == SESSION_CLOSING)
        return;
    if (s->corked)
        session_table_flush(s->table); /* what was answered before arrives before */
    if (s->state == SESSION_CLOSING)
        return;
    session_set_state(s, SESSION_CLOSING, NULL);
    tr->close(tr->impl, s->conn, code);
}
