#include "rain/grab_pending.h"

#include <stdlib.h>

#include "base/alloc.h"

enum { CAP_DEFAULT = 65536, SLOT_BITS = 24, ATTEMPT_BITS = 8, TICK_MAX = 1024, BACKOFF_LEVELS = 4 };

#define SLOT_MASK ((UINT64_C(1) << SLOT_BITS) - 1)
#define ATTEMPT_MASK ((UINT64_C(1) << ATTEMPT_BITS) - 1)

/* The life of an entry between open and its end. */
enum phase {
    PHASE_SCRIPT, /* the script is asked: on no wait list, its answer always comes */
    PHASE_REPORT, /* its record is on its way: on list report, until the report is overdue */
    PHASE_AGAIN,  /* waits to be run again: on list now, defer or backoff[level] */
};

/* Lists, each sorted by due time. All entries of one list wait about equally long, so a new one
 * belongs at its end or a few steps before: every list operation is O(1). */
enum kind { KIND_AGE, KIND_TELL, KIND_WAIT, KIND_COUNT };

struct entry {
    struct pending_grab p;
    struct {
        struct entry *prev;
        struct entry *next;
        struct list *on; /* NULL: on none */
        int64_t due_us;
    } link[KIND_COUNT];
    struct entry *next_free;
    enum phase phase;
    uint32_t fails; /* attempts that ended in a backoff, in a row */
    bool maybe_won; /* an earlier try may have been granted */
    bool used;
};

struct list {
    struct entry *head;
    struct entry *tail;
    uint32_t n;
    enum kind kind;
};

struct grab_pending {
    struct grab_pending_opts o;
    struct entry *entries; /* o.cap slots; untouched pages cost nothing */
    struct entry *free;
    uint32_t fresh; /* slots from here on were never used */
    uint32_t count;
    struct list age;  /* all entries, until they are given up */
    struct list tell; /* nobody said PENDING yet */
    struct list report;
    struct list now; /* reported late: run again at the next tick */
    struct list defer;
    struct list backoff[BACKOFF_LEVELS];
};

static void list_remove(struct entry *e, enum kind k)
{
    struct list *l = e->link[k].on;
    struct entry *prev = e->link[k].prev;
    struct entry *next = e->link[k].next;

    if (!l)
        return;
    if (prev)
        prev->link[k].next = next;
    else
        l->head = next;
    if (next)
        next->link[k].prev = prev;
    else
        l->tail = prev;
    l->n--;
    e->link[k].on = NULL;
}

static void list_insert(struct list *l, struct entry *e, int64_t due_us)
{
    enum kind k = l->kind;
    struct entry *after = l->tail;
    struct entry *next = NULL;

    list_remove(e, k);
    while (after && after->link[k].due_us > due_us)
        after = after->link[k].prev;
    next = after ? after->link[k].next : l->head;
    l->n++;
    e->link[k].due_us = due_us;
    e->link[k].on = l;
    e->link[k].prev = after;
    e->link[k].next = next;
    if (after)
        after->link[k].next = e;
    else
        l->head = e;
    if (next)
        next->link[k].prev = e;
    else
        l->tail = e;
}

static void default_us(int64_t *us, int64_t value)
{
    if (*us == 0)
        *us = value;
}

struct grab_pending *grab_pending_create(const struct grab_pending_opts *o)
{
    struct grab_pending *t = rr_xcalloc(1, sizeof(*t));

    t->o = *o;
    if (t->o.cap == 0)
        t->o.cap = CAP_DEFAULT;
    RR_ASSERT(t->o.cap <= SLOT_MASK + 1);
    default_us(&t->o.pending_us, 300 * 1000);
    default_us(&t->o.report_us, 2000 * 1000);
    default_us(&t->o.late_us, 4000 * 1000);
    default_us(&t->o.backoff_min_us, 500 * 1000);
    default_us(&t->o.backoff_max_us, 2000 * 1000);
    default_us(&t->o.give_up_us, 60 * 1000 * 1000);
    t->entries = rr_xcalloc(t->o.cap, sizeof(*t->entries));
    t->age.kind = KIND_AGE;
    t->tell.kind = KIND_TELL;
    t->report.kind = KIND_WAIT;
    t->now.kind = KIND_WAIT;
    t->defer.kind = KIND_WAIT;
    for (unsigned i = 0; i < BACKOFF_LEVELS; i++)
        t->backoff[i].kind = KIND_WAIT;
    return t;
}

void grab_pending_destroy(struct grab_pending *t)
{
    if (!t)
        return;
    free(t->entries);
    free(t);
}

bool grab_pending_full(const struct grab_pending *t)
{
    return t->count >= t->o.cap;
}

uint32_t grab_pending_count(const struct grab_pending *t)
{
    return t->count;
}

uint32_t grab_pending_untold(const struct grab_pending *t)
{
    return t->tell.n;
}

/* id = generation (32 bits, never 0) | slot (24) | attempt (8, 0 in the id itself). A slot's next
 * entry has the next generation, so an old report finds nothing; an old attempt's report differs in
 * the low byte. */
static uint64_t id_next(const struct grab_pending *t, const struct entry *e)
{
    uint32_t generation = (uint32_t)(e->p.id >> (SLOT_BITS + ATTEMPT_BITS)) + 1;

    generation += generation == 0;
    return (uint64_t)generation << (SLOT_BITS + ATTEMPT_BITS) | (uint64_t)(e - t->entries)
                                                                    << ATTEMPT_BITS;
}

static struct entry *entry_find(const struct grab_pending *t, uint64_t id)
{
    uint64_t slot = id >> ATTEMPT_BITS & SLOT_MASK;
    struct entry *e = slot < t->fresh ? &t->entries[slot] : NULL;

    return e && e->used && e->p.id == (id & ~ATTEMPT_MASK) ? e : NULL;
}

static void entry_free(struct grab_pending *t, struct entry *e)
{
    for (unsigned k = 0; k < KIND_COUNT; k++)
        list_remove(e, (enum kind)k);
    e->used = false;
    e->next_free = t->free;
    t->free = e;
    t->count--;
}

uint64_t grab_pending_open(struct grab_pending *t, const struct pool_shard *at,
                           const struct grab *g, bool again)
{
    struct entry *e = t->free;
    uint64_t id = 0;

    if (grab_pending_full(t))
        return 0;
    if (e)
        t->free = e->next_free;
    else
        e = &t->entries[t->fresh++];
    id = id_next(t, e);
    *e = (struct entry){
        .p = {.id = id, .opaque = id, .at = *at, .grab = *g}, .maybe_won = again, .used = true};
    e->p.grab.tag = id;
    t->count++;
    list_insert(&t->age, e, g->received_us + t->o.give_up_us);
    list_insert(&t->tell, e, g->received_us + t->o.pending_us);
    return id;
}

void grab_pending_cancel(struct grab_pending *t, uint64_t id)
{
    struct entry *e = entry_find(t, id);

    if (e)
        entry_free(t, e);
}

static enum pending_action entry_again(struct list *l, struct entry *e, int64_t due_us,
                                       struct pending_grab *out)
{
    e->phase = PHASE_AGAIN;
    list_insert(l, e, due_us);
    *out = e->p;
    return PENDING_STAY;
}

static enum pending_action entry_backoff(struct grab_pending *t, struct entry *e, int64_t now_us,
                                         struct pending_grab *out)
{
    uint32_t level = e->fails < BACKOFF_LEVELS ? e->fails : BACKOFF_LEVELS - 1;
    int64_t delay_us = t->o.backoff_min_us << level;

    if (delay_us > t->o.backoff_max_us)
        delay_us = t->o.backoff_max_us;
    e->fails++;
    return entry_again(&t->backoff[level], e, now_us + delay_us, out);
}

static enum pending_action entry_tell(struct grab_pending *t, struct entry *e,
                                      struct pending_grab *out)
{
    *out = e->p;
    entry_free(t, e);
    return PENDING_TELL;
}

enum pending_action grab_pending_outcome(struct grab_pending *t, uint64_t id,
                                         const struct grab_outcome *o, int64_t now_us,
                                         struct pending_grab *out)
{
    struct entry *e = entry_find(t, id);

    if (!e || e->phase != PHASE_SCRIPT)
        return PENDING_UNKNOWN;
    e->p.outcome = *o;
    switch (o->rc) {
    case RR_OK:
        e->maybe_won = true;
        e->phase = PHASE_REPORT;
        e->p.opaque = e->p.id | ((e->p.opaque + 1) & ATTEMPT_MASK);
        list_insert(&t->report, e, o->sent_us + t->o.report_us + t->o.late_us);
        *out = e->p;
        return PENDING_PRODUCE;
    case RR_PENDING: e->maybe_won = true; break;
    case RR_RECOVERING:
    case RR_UNAVAILABLE:
        if (e->maybe_won)
            break;
        return entry_tell(t, e, out);
    default: return entry_tell(t, e, out);
    }
    return entry_backoff(t, e, now_us, out);
}

enum pending_action grab_pending_final(struct grab_pending *t, uint64_t id,
                                       const struct grab_outcome *o, struct pending_grab *out)
{
    struct entry *e = entry_find(t, id);

    if (!e || e->phase != PHASE_SCRIPT)
        return PENDING_UNKNOWN;
    e->p.outcome = *o;
    return entry_tell(t, e, out);
}

enum pending_action grab_pending_defer(struct grab_pending *t, uint64_t id, int64_t until_us,
                                       struct pending_grab *out)
{
    struct entry *e = entry_find(t, id);

    if (!e || e->phase != PHASE_SCRIPT)
        return PENDING_UNKNOWN;
    return entry_again(&t->defer, e, until_us, out);
}

enum pending_action grab_pending_report(struct grab_pending *t, uint64_t opaque, bool ok,
                                        int64_t now_us, struct pending_grab *out)
{
    struct entry *e = entry_find(t, opaque);

    if (!e || e->phase != PHASE_REPORT || e->p.opaque != opaque)
        return PENDING_UNKNOWN;
    if (!ok)
        return entry_backoff(t, e, now_us, out);
    if (now_us - e->p.outcome.sent_us <= t->o.report_us)
        return entry_tell(t, e, out);
    /* Late, but the way to Kafka works: the backoff is for what fails. */
    e->fails = 0;
    return entry_again(&t->now, e, now_us, out);
}

static struct entry *list_due(const struct list *l, int64_t now_us)
{
    return l->head && l->head->link[l->kind].due_us <= now_us ? l->head : NULL;
}

static void run_due(struct grab_pending *t, struct list *l, int64_t now_us)
{
    struct entry *e = NULL;

    for (unsigned i = 0; i < TICK_MAX && (e = list_due(l, now_us)); i++) {
        struct pending_grab p = e->p;

        list_remove(e, KIND_WAIT);
        e->phase = PHASE_SCRIPT;
        t->o.run_again(t->o.arg, &p);
    }
}

void grab_pending_tick(struct grab_pending *t, int64_t now_us)
{
    struct entry *e = NULL;

    for (unsigned i = 0; i < TICK_MAX && (e = list_due(&t->age, now_us)); i++) {
        struct pending_grab p = e->p;

        entry_free(t, e);
        if (t->o.gave_up)
            t->o.gave_up(t->o.arg, &p);
    }
    for (unsigned i = 0; i < TICK_MAX && (e = list_due(&t->tell, now_us)); i++) {
        struct pending_grab p;

        list_remove(e, KIND_TELL);
        e->p.told_pending = true;
        p = e->p;
        t->o.tell_pending(t->o.arg, &p);
    }
    run_due(t, &t->report, now_us);
    run_due(t, &t->now, now_us);
    run_due(t, &t->defer, now_us);
    for (unsigned i = 0; i < BACKOFF_LEVELS; i++)
        run_due(t, &t->backoff[i], now_us);
}

static int64_t sooner(const struct list *l, int64_t us)
{
    return l->head && l->head->link[l->kind].due_us < us ? l->head->link[l->kind].due_us : us;
}

int64_t grab_pending_next_us(const struct grab_pending *t)
{
    int64_t us = sooner(&t->age, INT64_MAX);

    us = sooner(&t->tell, us);
    us = sooner(&t->report, us);
    us = sooner(&t->now, us);
    us = sooner(&t->defer, us);
    for (unsigned i = 0; i < BACKOFF_LEVELS; i++)
        us = sooner(&t->backoff[i], us);
    return us;
}
