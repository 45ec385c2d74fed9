#include "shard_map.h"

#include <string.h>

/* uthash compares bytes: the key must not carry what happened to be behind the code's NUL. */
static void key_of(struct pool_shard *key, const struct pool_shard *at)
{
    memset(key, 0, sizeof(*key));
    memcpy(key->code, at->code, strnlen(at->code, RR_CODE_LEN));
    key->shard = at->shard;
}

struct shard_node *shard_map_find(const struct shard_map *map, const struct pool_shard *at)
{
    struct shard_node *node = NULL;
    struct pool_shard key;

    key_of(&key, at);
    HASH_FIND(hh, map->head, &key, sizeof(key), node);
    return node;
}

void shard_map_add(struct shard_map *map, const struct pool_shard *at, struct shard_node *node)
{
    key_of(&node->at, at);
    HASH_ADD(hh, map->head, at, sizeof(node->at), node);
}

void shard_map_remove(struct shard_map *map, struct shard_node *node)
{
    HASH_DELETE(hh, map->head, node);
}
