/* user_index.h - sessions by user. The link is in the session (user_next), so an entry costs a bucket's pointer or two: a table
 * with entries of its own costs ten times as much per viewer. Several sockets of a user stand in one bucket, newest first.
 * Zero-initialised is empty. Thread: the worker's loop. */
#ifndef ROOM_USER_INDEX_H
#define ROOM_USER_INDEX_H

#include <stdint.h>

struct session;

struct user_index {
    struct session **buckets;
    uint32_t buckets_n; /* a power of two, or 0 */
    uint32_t count;
};

void user_index_add(struct user_index *x, struct session *s);
void user_index_remove(struct user_index *x, struct session *s); /* must be in it */
/* The newest session of a user; NULL: none. */
struct session *user_index_find(const struct user_index *x, int64_t user_id);
/* His next one. */
struct session *user_index_next(const struct session *s);
void user_index_fini(struct user_index *x);

#endif
