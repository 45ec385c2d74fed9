#include "rain/grab_batch.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fail.h"
#include "shard_map.h"

enum { ITEMS_DEFAULT = 128, QUEUE_DEFAULT = 8192, WINDOW_DEFAULT_US = 1000, QUEUE_FIRST = 32 };

/* Grabs of one (code, shard). On the ready list iff something waits and no call is in flight. */
struct shard_queue {
    struct shard_node node; /* first */
    struct grab *grabs;     /* grabs[head … head + len) wait */
    uint32_t head;
    uint32_t len;
    uint32_t alloc;
    struct batch_call *call; /* in flight, or being answered; NULL: none */
    bool sending;            /* inside shard_send(): a pool that answers at once must not recurse */
    bool ready;
    int64_t oldest_us; /* when the queue became ready */
    struct shard_queue *prev;
    struct shard_queue *next;
};

/* What the pool holds while a call is in flight. Owned by the call: freed by its reply. */
struct batch_call {
    struct grab_batch *b; /* NULL: the batch is gone */
    struct shard_queue *q;
    int64_t sent_us;
    uint32_t n;
    struct grab grabs[];
};

struct grab_batch {
    struct grab_batch_opts o;
    struct shard_map shards;
    struct shard_queue *ready_head; /* oldest first */
    struct shard_queue *ready_tail;
    uint32_t waiting;
    uint32_t depth; /* callbacks we are inside of */
    bool dead;      /* destroyed inside a callback: freed when the last one returns */
};

struct grab_batch *grab_batch_create(const struct grab_batch_opts *o)
{
    struct grab_batch *b = rr_xcalloc(1, sizeof(*b));

    b->o = *o;
    if (b->o.max_items == 0)
        b->o.max_items = ITEMS_DEFAULT;
    if (b->o.max_items > POOL_GRAB_MAX)
        b->o.max_items = POOL_GRAB_MAX;
    if (b->o.queue_max == 0)
        b->o.queue_max = QUEUE_DEFAULT;
    if (b->o.window_us == 0)
        b->o.window_us = WINDOW_DEFAULT_US;
    return b;
}

static void ready_add(struct grab_batch *b, struct shard_queue *q)
{
    q->ready = true;
    q->oldest_us = rr_mono_us(b->o.clock);
    q->next = NULL;
    q->prev = b->ready_tail;
    if (b->ready_tail)
        b->ready_tail->next = q;
    else
        b->ready_head = q;
    b->ready_tail = q;
}

static void ready_remove(struct grab_batch *b, struct shard_queue *q)
{
    if (!q->ready)
        return;
    q->ready = false;
    if (q->prev)
        q->prev->next = q->next;
    else
        b->ready_head = q->next;
    if (q->next)
        q->next->prev = q->prev;
    else
        b->ready_tail = q->prev;
}

static void queue_free(struct grab_batch *b, struct shard_queue *q)
{
    ready_remove(b, q);
    shard_map_remove(&b->shards, &q->node);
    b->waiting -= q->len;
    if (q->call)
        q->call->b = NULL;
    free(q->grabs);
    free(q);
}

static void batch_free(struct grab_batch *b)
{
    while (b->shards.head)
        queue_free(b, (struct shard_queue *)b->shards.head);
    free(b);
}

/* Callbacks may destroy the batch: it lives until the last of them has returned. */
static void batch_enter(struct grab_batch *b)
{
    b->depth++;
}

static void batch_leave(struct grab_batch *b)
{
    if (--b->depth == 0 && b->dead)
        batch_free(b);
}

void grab_batch_destroy(struct grab_batch *b)
{
    if (!b)
        return;
    if (b->depth > 0)
        b->dead = true;
    else
        batch_free(b);
}

static struct shard_queue *queue_of(struct grab_batch *b, const struct pool_shard *at)
{
    struct shard_node *node = shard_map_find(&b->shards, at);
    struct shard_queue *q = (struct shard_queue *)node;

    if (!q) {
        q = rr_xcalloc(1, sizeof(*q));
        shard_map_add(&b->shards, at, &q->node);
    }
    return q;
}

static void queue_push(struct shard_queue *q, const struct grab *g)
{
    if (q->head + q->len == q->alloc) {
        if (q->head > q->alloc / 2) {
            memmove(q->grabs, q->grabs + q->head, q->len * sizeof(*g));
            q->head = 0;
        } else {
            q->alloc = q->alloc ? q->alloc * 2 : QUEUE_FIRST;
            q->grabs = rr_xrealloc(q->grabs, q->alloc, sizeof(*g));
        }
    }
    q->grabs[q->head + q->len++] = *g;
}

static struct batch_call *call_take(struct grab_batch *b, struct shard_queue *q)
{
    uint32_t n = q->len < b->o.max_items ? q->len : b->o.max_items;
    struct batch_call *c = rr_xcalloc(1, sizeof(*c) + n * sizeof(c->grabs[0]));

    c->b = b;
    c->q = q;
    c->n = n;
    c->sent_us = rr_mono_us(b->o.clock);
    memcpy(c->grabs, q->grabs + q->head, n * sizeof(c->grabs[0]));
    q->len -= n;
    q->head = q->len ? q->head + n : 0;
    b->waiting -= n;
    return c;
}

static struct grab_outcome outcome_of(const struct batch_call *c, uint32_t i, enum rr_err err,
                                      const struct pool_grab_reply *reply)
{
    struct grab_outcome o = {.rc = err, .seq = c->grabs[i].seq};

    if (err != RR_UNAVAILABLE)
        o.sent_us = c->sent_us;
    if (reply) {
        const struct pool_grab_result *item = &reply->items[i];

        o.rc = item->rc;
        o.replay = item->replay;
        o.packet_no = item->packet_no;
        o.amount_fen = item->amount_fen;
        if (item->rc == RR_BAD_SEQ)
            o.seq = item->seq;
    }
    return o;
}

static void call_answer(struct grab_batch *b, struct batch_call *c, enum rr_err err,
                        const struct pool_grab_reply *reply)
{
    const struct pool_shard *at = &c->q->node.at;

    if (err == RR_OK && (!reply || reply->n != c->n))
        err = RR_PENDING; /* an answer that does not fit the question says nothing */
    else if (err != RR_OK && err != RR_UNAVAILABLE)
        err = RR_PENDING; /* unknown is never a final no */
    if (err != RR_OK)
        reply = NULL;
    for (uint32_t i = 0; i < c->n && !b->dead; i++) {
        struct grab_outcome o = outcome_of(c, i, err, reply);

        b->o.done(b->o.arg, at, &c->grabs[i], &o, reply);
    }
    if (reply && b->o.after && !b->dead)
        b->o.after(b->o.arg, at, reply);
}

static void shard_send(struct grab_batch *b, struct shard_queue *q);

static void on_reply(void *arg, enum rr_err err, const struct pool_grab_reply *reply)
{
    struct batch_call *c = arg;
    struct grab_batch *b = c->b;

    if (b) {
        struct shard_queue *q = c->q;

        batch_enter(b);
        call_answer(b, c, err, reply);
        q->call = NULL;
        if (!b->dead && !q->sending && q->len > 0)
            shard_send(b, q);
        batch_leave(b);
    }
    free(c);
}

/* Sends one call; and, as long as the pool refuses at once, the rest of what waits now, so that
 * nobody is left behind without a timer. What done() adds again meanwhile is not sent here: it
 * waits for its window. The caller has entered the batch. */
static void shard_send(struct grab_batch *b, struct shard_queue *q)
{
    struct pool_grab_item items[POOL_GRAB_MAX];
    uint32_t todo = q->len;

    ready_remove(b, q);
    q->sending = true;
    while (todo > 0 && !q->call && !b->dead) {
        struct batch_call *c = call_take(b, q);
        uint32_t n = c->n < todo ? c->n : todo;

        for (uint32_t i = 0; i < c->n; i++)
            items[i] = (struct pool_grab_item){c->grabs[i].user_id, c->grabs[i].seq,
                                               c->grabs[i].replay_only};
        todo -= n;
        q->call = c;
        rr_fail(GRAB_BEFORE_SCRIPT);
        b->o.pool->grab(b->o.pool->impl, &q->node.at, items, c->n, on_reply, c);
    }
    q->sending = false;
    if (!q->call && q->len > 0)
        ready_add(b, q);
}

enum rr_err grab_batch_add(struct grab_batch *b, const struct pool_shard *at, const struct grab *g)
{
    struct shard_queue *q = queue_of(b, at);

    if (q->len >= b->o.queue_max)
        return RR_FULL;
    queue_push(q, g);
    b->waiting++;
    if (q->call)
        return RR_OK;
    if (!q->ready)
        ready_add(b, q);
    if (q->len >= b->o.max_items) {
        batch_enter(b);
        shard_send(b, q);
        batch_leave(b);
    }
    return RR_OK;
}

int64_t grab_batch_next_us(const struct grab_batch *b)
{
    return b->ready_head ? b->ready_head->oldest_us + b->o.window_us : INT64_MAX;
}

void grab_batch_tick(struct grab_batch *b)
{
    int64_t due_us = rr_mono_us(b->o.clock) - b->o.window_us;

    batch_enter(b);
    while (!b->dead && b->ready_head && b->ready_head->oldest_us <= due_us)
        shard_send(b, b->ready_head);
    batch_leave(b);
}

void grab_batch_forget(struct grab_batch *b, const char *code)
{
    struct shard_node *node = NULL;
    struct shard_node *tmp = NULL;

    HASH_ITER (hh, b->shards.head, node, tmp) {
        struct shard_queue *q = (struct shard_queue *)node;

        if (q->len == 0 && !q->call && strcmp(node->at.code, code) == 0)
            queue_free(b, q);
    }
}

uint32_t grab_batch_waiting(const struct grab_batch *b)
{
    return b->waiting;
}
