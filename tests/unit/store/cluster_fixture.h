/* cluster_fixture.h - a Redis Cluster of the test's own: primaries on free ports of the loopback, each a third of the slots. */
#ifndef TEST_CLUSTER_FIXTURE_H
#define TEST_CLUSTER_FIXTURE_H

#include "redis_fixture.h"

enum { CLUSTER_TEST_NODES = 3 };

struct cluster_fixture {
    struct redis_fixture nodes[CLUSTER_TEST_NODES];
    char ids[CLUSTER_TEST_NODES][48];
    char url[160]; /* the first two of them as seeds */
};

/* Returns when every node says that the cluster is whole. */
void cluster_start(struct cluster_fixture *f);
void cluster_until_whole(struct cluster_fixture *f);
void cluster_stop(struct cluster_fixture *f);
/* Which node has the slot now, by its own word. */
uint32_t cluster_owner(struct cluster_fixture *f, unsigned slot);
/* A slot begins to move: to, then from. It ends with cluster_move_end, after its keys went over. */
void cluster_move_begin(struct cluster_fixture *f, unsigned slot, uint32_t from, uint32_t to);
void cluster_move_keys(struct cluster_fixture *f, unsigned slot, uint32_t from, uint32_t to);
void cluster_move_end(struct cluster_fixture *f, unsigned slot, uint32_t from, uint32_t to);
struct store_opts cluster_opts(const struct cluster_fixture *f, const char *name);

#endif
