#include "rain/outbox_track.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "shard_map.h"

enum { CAP_DEFAULT = 65536, DEL_DEFAULT = 64 };

/* One outbox entry. Finished ones move from the shard's open list to its ready list. */
struct outbox_entry {
    uint64_t handle; /* the key */
    UT_hash_handle hh;
    struct shard_entries *of;
    struct outbox_entry *prev; /* neighbours on the shard's list */
    struct outbox_entry *next;
    uint32_t unreported;
    bool added;  /* at least one record */
    bool sealed; /* no more records will come */
    bool failed; /* a record is not known to be in Kafka: the sweeper's */
    char id[sizeof(((struct pool_grab_reply *)0)->outbox_id)];
};

struct shard_entries {
    struct shard_node node; /* first */
    struct outbox_entry *open;
    struct outbox_entry *ready;
};

struct outbox_track {
    struct shard_map shards;        /* those with entries */
    struct outbox_entry *by_handle; /* open ones */
    uint64_t last_handle;
    uint32_t cap;
    uint32_t del_max;
    uint32_t count;
    uint32_t ready;
};

struct outbox_track *outbox_track_create(uint32_t cap, uint32_t del_max)
{
    struct outbox_track *t = rr_xcalloc(1, sizeof(*t));

    t->cap = cap ? cap : CAP_DEFAULT;
    t->del_max = del_max ? del_max : DEL_DEFAULT;
    if (t->del_max > OUTBOX_DEL_MAX)
        t->del_max = OUTBOX_DEL_MAX;
    return t;
}

static struct outbox_entry *entry_find(const struct outbox_track *t, uint64_t handle)
{
    struct outbox_entry *e = NULL;

    HASH_FIND(hh, t->by_handle, &handle, sizeof(handle), e);
    return e;
}

static void list_push(struct outbox_entry **list, struct outbox_entry *e)
{
    e->prev = NULL;
    e->next = *list;
    if (*list)
        (*list)->prev = e;
    *list = e;
}

static void list_take(struct outbox_entry **list, struct outbox_entry *e)
{
    if (*list == e)
        *list = e->next;
    else
        e->prev->next = e->next;
    if (e->next)
        e->next->prev = e->prev;
}

/* Off the table: no handle finds it any more. */
static void entry_close(struct outbox_track *t, struct shard_entries *s, struct outbox_entry *e)
{
    RR_ASSERT(t->by_handle); /* an open entry is on the table */
    HASH_DELETE(hh, t->by_handle, e);
    list_take(&s->open, e);
}

static void shard_drop_if_empty(struct outbox_track *t, struct shard_entries *s)
{
    if (s->open || s->ready)
        return;
    shard_map_remove(&t->shards, &s->node);
    free(s);
}

static void shard_clear(struct outbox_track *t, struct shard_entries *s)
{
    struct outbox_entry *e = NULL;

    while ((e = s->open)) {
        entry_close(t, s, e);
        t->count--;
        free(e);
    }
    while ((e = s->ready)) {
        list_take(&s->ready, e);
        t->ready--;
        t->count--;
        free(e);
    }
    shard_drop_if_empty(t, s);
}

void outbox_track_destroy(struct outbox_track *t)
{
    if (!t)
        return;
    while (t->shards.head)
        shard_clear(t, (struct shard_entries *)t->shards.head);
    free(t);
}

uint64_t outbox_track_open(struct outbox_track *t, const struct pool_shard *at,
                           const char *outbox_id)
{
    struct shard_entries *s = NULL;
    struct outbox_entry *e = NULL;

    size_t len = strlen(outbox_id);

    if (len == 0 || len >= sizeof(e->id) || t->count >= t->cap)
        return 0;
    s = (struct shard_entries *)shard_map_find(&t->shards, at);
    if (!s) {
        s = rr_xcalloc(1, sizeof(*s));
        shard_map_add(&t->shards, at, &s->node);
    }
    e = rr_xcalloc(1, sizeof(*e));
    e->handle = ++t->last_handle;
    e->of = s;
    memcpy(e->id, outbox_id, len);
    HASH_ADD(hh, t->by_handle, handle, sizeof(e->handle), e);
    list_push(&s->open, e);
    t->count++;
    return e->handle;
}

/* Nothing more can happen to the entry: deletable, or the sweeper's. */
static void entry_finish(struct outbox_track *t, struct outbox_entry *e)
{
    struct shard_entries *s = e->of;

    if (!e->sealed || e->unreported > 0)
        return;
    entry_close(t, s, e);
    if (e->added && !e->failed) {
        list_push(&s->ready, e);
        t->ready++;
        return;
    }
    free(e);
    t->count--;
    shard_drop_if_empty(t, s);
}

void outbox_track_add(struct outbox_track *t, uint64_t handle)
{
    struct outbox_entry *e = entry_find(t, handle);

    if (!e)
        return;
    e->added = true;
    e->unreported++;
}

void outbox_track_seal(struct outbox_track *t, uint64_t handle)
{
    struct outbox_entry *e = entry_find(t, handle);

    if (!e)
        return;
    e->sealed = true;
    entry_finish(t, e);
}

void outbox_track_report(struct outbox_track *t, uint64_t handle, bool ok)
{
    struct outbox_entry *e = entry_find(t, handle);

    if (!e)
        return;
    e->failed = e->failed || !ok;
    if (e->unreported > 0)
        e->unreported--;
    entry_finish(t, e);
}

uint32_t outbox_track_count(const struct outbox_track *t)
{
    return t->count;
}

uint32_t outbox_track_ready(const struct outbox_track *t)
{
    return t->ready;
}

static void shard_flush(struct outbox_track *t, struct shard_entries *s, outbox_del_fn fn,
                        void *arg)
{
    struct outbox_entry *batch[OUTBOX_DEL_MAX];
    const char *ids[OUTBOX_DEL_MAX];

    while (s->ready) {
        uint32_t n = 0;

        while (s->ready && n < t->del_max) {
            batch[n] = s->ready;
            ids[n] = batch[n]->id;
            list_take(&s->ready, batch[n]);
            n++;
        }
        fn(arg, &s->node.at, ids, n);
        t->ready -= n;
        t->count -= n;
        for (uint32_t i = 0; i < n; i++)
            free(batch[i]);
    }
    shard_drop_if_empty(t, s);
}

void outbox_track_flush(struct outbox_track *t, outbox_del_fn fn, void *arg)
{
    struct shard_node *node = NULL;
    struct shard_node *tmp = NULL;

    if (t->ready == 0)
        return;
    HASH_ITER (hh, t->shards.head, node, tmp) {
        if (((struct shard_entries *)node)->ready)
            shard_flush(t, (struct shard_entries *)node, fn, arg);
    }
}

void outbox_track_forget(struct outbox_track *t, const char *code)
{
    struct shard_node *node = NULL;
    struct shard_node *tmp = NULL;

    HASH_ITER (hh, t->shards.head, node, tmp) {
        if (strcmp(node->at.code, code) == 0)
            shard_clear(t, (struct shard_entries *)node);
    }
}
