#include "ban_list.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

/* Hashed as bytes: always zeroed before it is filled. */
struct ban_key {
    uint64_t who;
    uint64_t scope;
};

struct ban_node {
    struct ban_key key;
    int64_t until_ms;
    UT_hash_handle hh;
};

struct ban_list {
    struct ban_node *nodes;
    uint32_t cap;
};

struct ban_list *ban_list_create(uint32_t cap)
{
    struct ban_list *l = rr_xcalloc(1, sizeof(*l));

    l->cap = cap;
    return l;
}

static void nodes_free(struct ban_node *nodes)
{
    struct ban_node *n = NULL;
    struct ban_node *tmp = NULL;

    HASH_ITER (hh, nodes, n, tmp) {
        HASH_DEL(nodes, n);
        free(n);
    }
}

void ban_list_destroy(struct ban_list *l)
{
    if (!l)
        return;
    nodes_free(l->nodes);
    free(l);
}

static struct ban_node *find(struct ban_node *nodes, enum ban_scope scope, uint64_t who)
{
    struct ban_key key;
    struct ban_node *n = NULL;

    memset(&key, 0, sizeof(key));
    key.who = who;
    key.scope = (uint64_t)scope;
    HASH_FIND(hh, nodes, &key, sizeof(key), n);
    return n;
}

enum rr_err ban_list_set(struct ban_list *l, const struct ban *b, int64_t now_ms)
{
    struct ban_node *n = find(l->nodes, b->scope, b->who);

    if (b->until_ms <= now_ms) {
        if (n) {
            HASH_DEL(l->nodes, n);
            free(n);
        }
        return RR_OK;
    }
    if (!n) {
        if (HASH_COUNT(l->nodes) >= l->cap)
            return RR_FULL;
        n = rr_xcalloc(1, sizeof(*n));
        n->key.who = b->who;
        n->key.scope = (uint64_t)b->scope;
        HASH_ADD(hh, l->nodes, key, sizeof(n->key), n);
    }
    n->until_ms = b->until_ms;
    return RR_OK;
}

bool ban_list_replace(struct ban_list *l, const struct ban *bans, uint32_t n, int64_t now_ms)
{
    struct ban_node *old = l->nodes;
    bool more = false;

    l->nodes = NULL;
    for (uint32_t i = 0; i < n; i++) {
        if (find(l->nodes, bans[i].scope, bans[i].who))
            continue; /* two at once: the newer one counts */
        if (ban_list_set(l, &bans[i], now_ms) != RR_OK)
            break;
        more |= bans[i].until_ms > now_ms && !find(old, bans[i].scope, bans[i].who);
    }
    nodes_free(old);
    return more;
}

bool ban_list_has(const struct ban_list *l, enum ban_scope scope, uint64_t who, int64_t now_ms)
{
    const struct ban_node *n = who ? find(l->nodes, scope, who) : NULL;

    return n && n->until_ms > now_ms;
}

uint32_t ban_list_count(const struct ban_list *l)
{
    return HASH_COUNT(l->nodes);
}
