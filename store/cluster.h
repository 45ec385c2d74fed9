/* cluster.h - what a client of Redis Cluster has to know: which slot a key is in, who serves a slot, what a
 * redirection says. Pure; for both sides of the store. No kept library does this on Debian 12.
 * One call goes to one slot: all keys of a shard, and all keys of a room, have the same hash tag. */
#ifndef STORE_CLUSTER_H
#define STORE_CLUSTER_H

#include <stdbool.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

#include "redis_cmd.h"
#include "store/redis_url.h"

enum {
    CLUSTER_SLOTS = 16384,
    CLUSTER_PRIMARIES_MAX = 64,
    CLUSTER_HOPS_MAX = 5, /* redirections of one call; then it is unavailable */
};

/* CRC-16/XMODEM modulo 16384, of what is between the first { and the next } if there is anything. */
uint16_t cluster_slot(struct rr_slice key);
/* The slot of a command's first key: the argument after the name, of a script the one after the number of keys.
 * False: any server may answer (PING, TIME, CONFIG; PUBLISH reaches the whole cluster). */
bool cluster_cmd_slot(const struct redis_cmd *cmd, bool script, uint16_t *slot);

struct cluster_map {
    struct redis_addr primaries[CLUSTER_PRIMARIES_MAX];
    uint32_t n;
    uint8_t owner[CLUSTER_SLOTS]; /* index + 1; 0: nobody serves it */
};

/* The answer to CLUSTER SLOTS. asked: who answered; a node that does not know its own address leaves it out.
 * RR_MALFORMED; RR_TOO_BIG: more primaries than the map holds. */
RR_MUST_CHECK enum rr_err cluster_map_read(const redisReply *r, const struct redis_addr *asked,
                                           struct cluster_map *out);
/* One slot has moved. RR_TOO_BIG: nothing was changed. */
RR_MUST_CHECK enum rr_err cluster_map_move(struct cluster_map *m, uint16_t slot,
                                           const struct redis_addr *to);
bool cluster_addr_eq(const struct redis_addr *a, const struct redis_addr *b);

enum cluster_hint {
    CLUSTER_NO_HINT,
    CLUSTER_MOVED, /* the slot lives elsewhere, for good */
    CLUSTER_ASK,   /* this one call goes elsewhere, after ASKING */
    CLUSTER_LATER, /* TRYAGAIN, CLUSTERDOWN: nothing was done; nobody else knows better now */
};
/* What an error reply says. *to is set for MOVED and ASK. */
enum cluster_hint cluster_hint(struct rr_slice error, const struct redis_addr *asked,
                               uint16_t *slot, struct redis_addr *to);

#endif
