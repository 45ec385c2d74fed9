/* limit_map.h - the memory that all workers of a server share for their limits: rates (rate_slots.h),
 * open connections (count_slots.h) and the key of the hashes. The supervisor makes it and hands it
 * down; nothing in it outlives the supervisor. Bounded by options at start; pages nobody touched
 * cost nothing. Thread: any. */
#ifndef SERVER_LIMIT_MAP_H
#define SERVER_LIMIT_MAP_H

#include "base/conf.h"
#include "base/count_slots.h"
#include "base/rate_slots.h"

#define CHILD_LIMITS_FD_ENV "REDRAIN_CHILD_LIMITS"

enum { LIMIT_KEY_BYTES = 16 };

struct limit_map_head;

struct limit_map {
    struct limit_map_head *head;
    struct rate_slots rates;
    struct count_slots counts; /* addresses and users, told apart by their hashes */
    size_t bytes;
    int fd;
};

/* For conf->server_workers owners and an admin child. The fd is not close-on-exec. */
RR_MUST_CHECK enum rr_err limit_map_create(const struct rr_conf *conf, struct limit_map *out);
/* RR_CONFIG: fd is not the mapping of a supervisor with the same options. */
RR_MUST_CHECK enum rr_err limit_map_attach(int fd, const struct rr_conf *conf,
                                           struct limit_map *out);
void limit_map_close(struct limit_map *m); /* harmless on a zeroed one */

/* A worker died: what it held is free. */
void limit_map_reap(const struct limit_map *m, uint32_t owner);

/* Keyed SipHash-2-4; never 0. */
uint64_t limit_map_hash(const struct limit_map *m, const void *bytes, size_t n);

/* Open sockets of all workers; one more or one less of owner. */
uint32_t limit_map_sockets(const struct limit_map *m);
void limit_map_socket(const struct limit_map *m, uint32_t owner, bool opened);

#endif
