#include "room/sanctions.h"

#include "base/alloc.h"
#include "base/slice.h"
#include "protocol/limits.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

/* The key is hashed as bytes: always zeroed before it is filled. */
struct sanction_key {
    int64_t user_id;
    int64_t kind;
    char room_id[RR_ROOM_ID_MAX + 8];
};

struct sanction_node {
    struct sanction_key key;
    int64_t until_us;
    UT_hash_handle hh;
};

struct sanctions {
    struct sanction_node *nodes;
    uint32_t cap;
};

static void key_fill(struct sanction_key *k, enum sanction kind, const char *room_id,
                     int64_t user_id)
{
    memset(k, 0, sizeof(*k));
    k->user_id = user_id;
    k->kind = kind;
    (void)rr_slice_copy(rr_slice_str(room_id), k->room_id, sizeof(k->room_id));
}

static void node_drop(struct sanctions *t, struct sanction_node *n)
{
    HASH_DEL(t->nodes, n);
    free(n);
}

struct sanctions *sanctions_create(uint32_t cap)
{
    struct sanctions *t = rr_xcalloc(1, sizeof(*t));

    t->cap = cap;
    return t;
}

void sanctions_destroy(struct sanctions *t)
{
    struct sanction_node *n = NULL;
    struct sanction_node *tmp = NULL;

    if (!t)
        return;
    HASH_ITER (hh, t->nodes, n, tmp)
        node_drop(t, n);
    free(t);
}

static void drop_expired(struct sanctions *t, int64_t now_us)
{
    struct sanction_node *n = NULL;
    struct sanction_node *tmp = NULL;

    HASH_ITER (hh, t->nodes, n, tmp) {
        if (n->until_us <= now_us)
            node_drop(t, n);
    }
}

enum rr_err sanctions_set(struct sanctions *t, enum sanction kind, const char *room_id,
                          int64_t user_id, int64_t until_us, int64_t now_us)
{
    struct sanction_key key;
    struct sanction_node *n = NULL;

    key_fill(&key, kind, room_id, user_id);
    HASH_FIND(hh, t->nodes, &key, sizeof(key), n);
    if (until_us <= now_us) {
        if (n)
            node_drop(t, n);
        return RR_OK;
    }
    if (!n) {
        if (HASH_COUNT(t->nodes) >= t->cap)
            drop_expired(t, now_us);
        if (HASH_COUNT(t->nodes) >= t->cap)
            return RR_FULL;
        n = rr_xcalloc(1, sizeof(*n));
        n->key = key;
        HASH_ADD(hh, t->nodes, key, sizeof(n->key), n);
    }
    n->until_us = until_us;
    return RR_OK;
}

int64_t sanctions_left_us(const struct sanctions *t, enum sanction kind, const char *room_id,
                          int64_t user_id, int64_t now_us)
{
    struct sanction_key key;
    struct sanction_node *n = NULL;

    key_fill(&key, kind, room_id, user_id);
    HASH_FIND(hh, t->nodes, &key, sizeof(key), n);
    return n && n->until_us > now_us ? n->until_us - now_us : 0;
}
