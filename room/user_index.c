#include "user_index.h"

#include "base/alloc.h"
#include "room/session.h"

#include <stdlib.h>

enum { BUCKETS_MIN = 64 };

static struct session **bucket_of(const struct user_index *x, int64_t user_id)
{
    uint64_t h = (uint64_t)user_id * UINT64_C(0x9e3779b97f4a7c15);

    return &x->buckets[(h ^ h >> 32) & (x->buckets_n - 1)];
}

static struct session *first_of(struct session *s, int64_t user_id)
{
    while (s && s->user_id != user_id)
        s = s->user_next;
    return s;
}

static struct session *reversed(struct session *s)
{
    struct session *out = NULL;

    while (s) {
        struct session *next = s->user_next;

        s->user_next = out;
        out = s;
        s = next;
    }
    return out;
}

static void grow(struct user_index *x)
{
    struct user_index old = *x;

    x->buckets_n = old.buckets_n ? old.buckets_n * 2 : BUCKETS_MIN;
    x->buckets = rr_xcalloc(x->buckets_n, sizeof(*x->buckets));
    for (uint32_t i = 0; i < old.buckets_n; i++) {
        /* Oldest first, each in front of what is there: the order stays. */
        struct session *s = reversed(old.buckets[i]);

        while (s) {
            struct session *next = s->user_next;
            struct session **bucket = bucket_of(x, s->user_id);

            s->user_next = *bucket;
            *bucket = s;
            s = next;
        }
    }
    free(old.buckets);
}

void user_index_add(struct user_index *x, struct session *s)
{
    struct session **bucket = NULL;

    if (x->count == x->buckets_n)
        grow(x);
    bucket = bucket_of(x, s->user_id);
    s->user_next = *bucket;
    *bucket = s;
    x->count++;
}

void user_index_remove(struct user_index *x, struct session *s)
{
    struct session **at = NULL;

    RR_ASSERT(x->count > 0);
    for (at = bucket_of(x, s->user_id); *at != s; at = &(*at)->user_next)
        RR_ASSERT(*at);
    *at = s->user_next;
    s->user_next = NULL;
    x->count--;
}

struct session *user_index_find(const struct user_index *x, int64_t user_id)
{
    return x->count ? first_of(*bucket_of(x, user_id), user_id) : NULL;
}

struct session *user_index_next(const struct session *s)
{
    return first_of(s->user_next, s->user_id);
}

void user_index_fini(struct user_index *x)
{
    free(x->buckets);
    *x = (struct user_index){0};
}
