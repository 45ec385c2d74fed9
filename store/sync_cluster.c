/* The blocking side in a Redis Cluster: a connection per primary, made when it is needed, and the table of slots. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "cluster.h"
#include "sync_private.h"

enum {
    NODES_MAX = 2 * CLUSTER_PRIMARIES_MAX, /* beside the primaries: seeds, targets of ASK */
    REFRESH_MS = 100,                      /* at most so often, unless somebody said MOVED */
    DOWN_MS = 1000, /* a node that refused a connection is not tried again for so long */
    TAGS_MAX = 1 << 20,
};

struct cluster_node {
    struct sync_node node;
    int64_t down_until_ms;
};

struct sync_cluster {
    struct cluster_map map;
    struct cluster_node *nodes[NODES_MAX];
    uint32_t nodes_n;
    uint32_t next_seed;
    int64_t refresh_at_ms;
    bool stale; /* somebody said that the table is old, or a node is away */
};

static int64_t now_ms(void)
{
    return rr_mono_us(rr_clock_system()) / 1000;
}

void sync__cluster_init(struct store_sync *s)
{
    s->cluster = rr_xcalloc(1, sizeof(*s->cluster));
    s->cluster->stale = true;
}

static void drop_node(struct sync_cluster *c, uint32_t i)
{
    sync__node_disconnect(&c->nodes[i]->node);
    free(c->nodes[i]);
    c->nodes[i] = c->nodes[--c->nodes_n];
}

void sync__cluster_fini(struct store_sync *s)
{
    while (s->cluster && s->cluster->nodes_n > 0)
        drop_node(s->cluster, 0);
    free(s->cluster);
    s->cluster = NULL;
}

static bool in_table(const struct sync_cluster *c, const struct redis_addr *a)
{
    for (uint32_t i = 0; i < c->map.n; i++) {
        if (cluster_addr_eq(&c->map.primaries[i], a))
            return true;
    }
    return false;
}

static void drop_strangers(struct sync_cluster *c)
{
    for (uint32_t i = c->nodes_n; i > 0; i--) {
        if (!in_table(c, &c->nodes[i - 1]->node.addr))
            drop_node(c, i - 1);
    }
}

static struct cluster_node *node_at(struct sync_cluster *c, const struct redis_addr *a)
{
    struct cluster_node *n = NULL;

    for (uint32_t i = 0; i < c->nodes_n; i++) {
        if (cluster_addr_eq(&c->nodes[i]->node.addr, a))
            return c->nodes[i];
    }
    if (c->nodes_n == NODES_MAX)
        drop_strangers(c);
    if (c->nodes_n == NODES_MAX)
        return NULL;
    n = rr_xcalloc(1, sizeof(*n));
    n->node.addr = *a;
    c->nodes[c->nodes_n++] = n;
    return n;
}

static struct cluster_node *owner_of(struct sync_cluster *c, uint16_t slot)
{
    uint8_t owner = c->map.owner[slot];

    return owner ? node_at(c, &c->map.primaries[owner - 1]) : NULL;
}

/* Remembers who refused, so that a dead server costs one timeout and not one per call. */
static enum rr_err call(struct store_sync *s, struct cluster_node *n,
                        const struct store_script *script, const struct redis_cmd *cmd, bool asking,
                        redisReply **reply)
{
    enum rr_err err = RR_UNAVAILABLE;

    *reply = NULL;
    if (!n || (!n->node.ctx && now_ms() < n->down_until_ms))
        return RR_UNAVAILABLE;
    err = sync__node_call(s, &n->node, script, cmd, asking, reply);
    if (err == RR_UNAVAILABLE)
        n->down_until_ms = now_ms() + DOWN_MS;
    return err;
}

/* ---- the table ---- */

static bool ask_table(struct store_sync *s, struct cluster_node *n)
{
    struct sync_cluster *c = s->cluster;
    struct cluster_map *map = NULL;
    struct redis_cmd cmd = {0};
    redisReply *r = NULL;
    bool good = false;

    redis_cmd_strs(&cmd, "CLUSTER", "SLOTS", (char *)NULL);
    if (call(s, n, NULL, &cmd, false, &r) == RR_OK) {
        map = rr_xcalloc(1, sizeof(*map));
        if (cluster_map_read(r, &n->node.addr, map))
            log_error("cluster_table", "%s: %s:%u gave no table of slots", s->name,
                      n->node.addr.host, (unsigned)n->node.addr.port);
        else if (map->n > 0) {
            c->map = *map;
            good = true;
        }
        free(map);
        freeReplyObject(r);
    }
    redis_cmd_fini(&cmd);
    return good;
}

/* The primaries of the table we have, then the addresses of the configuration; not: who is known to be away. */
static void refresh(struct store_sync *s)
{
    struct sync_cluster *c = s->cluster;
    bool good = false;

    if (!c->stale || now_ms() < c->refresh_at_ms)
        return;
    for (uint32_t i = 0; !good && i < c->map.n; i++) {
        uint32_t k = (c->next_seed + i) % c->map.n;

        good = ask_table(s, node_at(c, &c->map.primaries[k]));
    }
    for (uint32_t i = 0; !good && i < s->url.seeds_n; i++) {
        uint32_t k = (c->next_seed + i) % s->url.seeds_n;

        good = ask_table(s, node_at(c, &s->url.seeds[k]));
    }
    c->next_seed++;
    c->stale = !good;
    c->refresh_at_ms = now_ms() + REFRESH_MS;
    if (good)
        drop_strangers(c);
}

static void table_is_old(struct sync_cluster *c)
{
    c->stale = true;
}

/* ---- calls ---- */

/* A call without a key goes to whoever serves slot 0, so that all ask one clock; if he is away, to anybody. */
static struct cluster_node *anybody(struct sync_cluster *c)
{
    struct cluster_node *n = owner_of(c, 0);

    for (uint32_t i = 0; i < c->map.n && (!n || (!n->node.ctx && now_ms() < n->down_until_ms)); i++)
        n = node_at(c, &c->map.primaries[i]);
    return n;
}

enum rr_err sync__cluster_call(struct store_sync *s, const struct store_script *script,
                               const struct redis_cmd *cmd, redisReply **reply)
{
    struct sync_cluster *c = s->cluster;
    struct cluster_node *n = NULL;
    uint16_t slot = 0;
    bool keyed = cluster_cmd_slot(cmd, script != NULL, &slot);
    bool asking = false;
    bool looked = false;

    refresh(s);
    n = keyed ? owner_of(c, slot) : anybody(c);
    for (int hops = 0;; hops++) {
        struct redis_addr to;
        enum cluster_hint hint = CLUSTER_NO_HINT;
        enum rr_err err = call(s, n, script, cmd, asking, reply);

        if (err) {
            table_is_old(c);
            if (err != RR_UNAVAILABLE || looked)
                return err;
            /* Nothing was sent: somebody else may serve the slot by now. */
            looked = true;
            refresh(s);
            n = keyed ? owner_of(c, slot) : anybody(c);
            asking = false;
            continue;
        }
        if ((*reply)->type != REDIS_REPLY_ERROR)
            return RR_OK;
        hint = cluster_hint(rr_slice_of((*reply)->str, (size_t)(*reply)->len), &n->node.addr, &slot,
                            &to);
        if (hint != CLUSTER_NO_HINT)
            table_is_old(c);
        if (hint == CLUSTER_NO_HINT || hint == CLUSTER_LATER || hops == CLUSTER_HOPS_MAX)
            return RR_OK; /* an error reply: who asked makes an error of it */
        freeReplyObject(*reply);
        *reply = NULL;
        asking = hint == CLUSTER_ASK;
        if (!asking && cluster_map_move(&c->map, slot, &to))
            log_error("cluster_table", "%s: more than %d primaries", s->name,
                      CLUSTER_PRIMARIES_MAX);
        n = node_at(c, &to);
    }
}

enum rr_err sync__cluster_pipeline(struct store_sync *s, const struct store_key *key,
                                   const struct rr_buf *bytes, uint32_t count, redisReply **error)
{
    struct sync_cluster *c = s->cluster;
    uint16_t slot = cluster_slot(rr_slice_str(key->s));

    refresh(s);
    for (int hops = 0;; hops++) {
        struct cluster_node *n = owner_of(c, slot);
        struct redis_addr to;
        uint32_t errors = 0;
        enum cluster_hint hint = CLUSTER_NO_HINT;
        enum rr_err err = RR_UNAVAILABLE;

        *error = NULL;
        if (n)
            err = sync__node_pipeline(s, &n->node, bytes, count, error, &errors);
        if (err)
            table_is_old(c);
        if (err || !*error)
            return err;
        hint = cluster_hint(rr_slice_of((*error)->str, (size_t)(*error)->len), &n->node.addr, &slot,
                            &to);
        if (hint != CLUSTER_NO_HINT)
            table_is_old(c);
        /* Half of it there and half of it here is no list: only what was refused whole goes on to the other. */
        if (hint != CLUSTER_MOVED || errors != count || hops == CLUSTER_HOPS_MAX ||
            cluster_map_move(&c->map, slot, &to))
            return RR_OK;
        freeReplyObject(*error);
        *error = NULL;
    }
}

uint32_t sync__cluster_primaries(struct store_sync *s)
{
    refresh(s);
    return s->cluster->map.n;
}

/* The primary number i, and a number whose key in braces is in one of its slots. */
static struct sync_node *primary_at(struct sync_cluster *c, uint32_t i, uint32_t *tag)
{
    struct cluster_node *n = NULL;

    if (i >= c->map.n)
        return NULL;
    for (*tag = 0; *tag < TAGS_MAX; ++*tag) {
        char text[16];

        snprintf(text, sizeof(text), "%u", (unsigned)*tag);
        if (c->map.owner[cluster_slot(rr_slice_str(text))] == i + 1)
            break;
    }
    n = node_at(c, &c->map.primaries[i]);
    return n ? &n->node : NULL;
}

static int by_rid(const void *a, const void *b)
{
    return strcmp(((const struct pool_epoch *)a)->rid, ((const struct pool_epoch *)b)->rid);
}

/* Each primary is asked itself, with a key of its own slots: its mark goes when it is wiped. */
enum rr_err sync__cluster_epochs(struct store_sync *s, struct pool_epochs *out)
{
    struct sync_node *n = NULL;
    uint32_t primaries = sync__cluster_primaries(s);
    uint32_t tag = 0;

    for (uint32_t i = 0; i < primaries && (n = primary_at(s->cluster, i, &tag)) != NULL; i++) {
        struct redis_cmd cmd = {0};
        struct store_key key;
        redisReply *r = NULL;
        char name[40];

        snprintf(name, sizeof(name), "redpkt:epoch:{%" PRIu32 "}", tag);
        key = key_global(s->ns, name);
        sync__epoch_cmd(&cmd, &key);
        if (sync__node_call(s, n, &script_pool_epoch, &cmd, false, &r) == RR_OK &&
            sync__epoch_read(r, &out->of[out->n]) == RR_OK)
            out->n++;
        else
            out->away++;
        if (r)
            freeReplyObject(r);
        redis_cmd_fini(&cmd);
    }
    qsort(out->of, out->n, sizeof(out->of[0]), by_rid);
    return out->n > 0 ? RR_OK : RR_UNAVAILABLE;
}
