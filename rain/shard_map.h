/* shard_map.h - finds what belongs to one (code, shard).
 * Intrusive: the node is the first field of the owner's struct.
 * Not here: who frees the nodes (the owner, after shard_map_remove()). */
#ifndef RAIN_SHARD_MAP_H
#define RAIN_SHARD_MAP_H

#include <uthash.h>

#include "rain/pool.h"

struct shard_node {
    struct pool_shard at; /* the key: written by shard_map_add() only, its padding is zero */
    UT_hash_handle hh;
};

struct shard_map {
    struct shard_node *head; /* NULL: empty; iterate with HASH_ITER(hh, map->head, …) */
};

/* NULL when absent. */
struct shard_node *shard_map_find(const struct shard_map *map, const struct pool_shard *at);
/* `at` must be absent. The node is borrowed until it is removed. */
void shard_map_add(struct shard_map *map, const struct pool_shard *at, struct shard_node *node);
void shard_map_remove(struct shard_map *map, struct shard_node *node);

#endif
