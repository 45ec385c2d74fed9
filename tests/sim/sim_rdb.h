/* sim_rdb.h - inside of the simulated Redis: its data, and the commands by type. Strings are in the seed's memory and never
 * change, so a copy of the whole data is a copy of small arrays. */
#ifndef SIM_RDB_H
#define SIM_RDB_H

#include "sim_redis.h"

struct rentry { /* of a stream */
    uint64_t ms;
    uint64_t seq;
    struct rstr *fields;
    uint32_t n;
};

struct rkey {
    struct rstr name;
    uint32_t hash;
    char type; /* s string, h hash, l list, x stream */
    int64_t expire_ms;
    struct rstr str;
    struct rstr *items; /* list: items; hash: field, value, … */
    struct rentry *entries;
    uint32_t n; /* items, pairs of a hash, entries */
    uint32_t cap;
    uint64_t last_ms; /* stream */
    uint64_t last_seq;
};

struct rdb {
    struct rkey *keys;
    uint32_t n;
    uint32_t cap;
};

#define WRONGTYPE rval_error("WRONGTYPE Operation against a key holding the wrong kind of value")
#define NOT_AN_INTEGER rval_error("ERR value is not an integer or out of range")

void *rdb_copy_of(const void *p, size_t used, size_t cap);
static inline struct rval rval_nil(void)
{
    return (struct rval){.type = R_NIL};
}
struct rval rval_ok(void);
/* NULL when there is none, or its time is over. */
struct rkey *key_find(struct rdb *db, struct rstr name);
bool key_expired(const struct rkey *k);
struct rkey *key_add(struct rdb *db, struct rstr name, char type);
void key_remove(struct rdb *db, struct rkey *k);
/* Room for one more item, pair or entry. */
void key_room(struct rkey *k);

/* Commands: v[0] is the name, n words in all. */
#define CMD(name) struct rval name(struct rdb *db, const struct rstr *v, uint32_t n)
CMD(cmd_get);
CMD(cmd_set);
CMD(cmd_hget);
CMD(cmd_hmget);
CMD(cmd_hset);
CMD(cmd_hsetnx);
CMD(cmd_hincrby);
CMD(cmd_hgetall);
CMD(cmd_hscan);
CMD(cmd_hdel);
CMD(cmd_rpush);
CMD(cmd_lrange);
CMD(cmd_ltrim);
CMD(cmd_lpop);
CMD(cmd_lrem);
CMD(cmd_xadd);
CMD(cmd_xdel);
CMD(cmd_xtrim);
CMD(cmd_xrange);
#undef CMD

#endif
