/* outbox_track.h - counts, per outbox entry, the records not yet reported; the id of one that is
 *   finished may be deleted.
 * Why: the outbox keeps what is not surely in Kafka. An entry whose record failed is forgotten here
 *   and left to the sweeper.
 * Guarantees: an id is handed to flush only if every record of its entry was reported without an
 *   error, once. Bounded: what does not fit is not tracked, the sweeper finds it.
 * Thread and owner: the worker.
 *
 *   first grant of a reply -> outbox_track_open(); each new grant -> outbox_track_add();
 *   end of the reply       -> outbox_track_seal();
 *   report of a record     -> outbox_track_report(); timer -> outbox_track_flush() */
#ifndef RAIN_OUTBOX_TRACK_H
#define RAIN_OUTBOX_TRACK_H

#include <stdbool.h>
#include <stdint.h>

#include "rain/pool.h"

/* n ids of one shard, borrowed: for pool_grab.outbox_del. */
typedef void (*outbox_del_fn)(void *arg, const struct pool_shard *at, const char *const *ids,
                              uint32_t n);

enum { OUTBOX_DEL_MAX = 256 };

struct outbox_track;

/* cap: entries; 0 -> 65,536. del_max: ids per call; 0 -> 64, at most OUTBOX_DEL_MAX. */
struct outbox_track *outbox_track_create(uint32_t cap, uint32_t del_max);
void outbox_track_destroy(struct outbox_track *t); /* NULL-safe */

/* Starts an entry. Returns its handle; 0 (which every other function ignores) when outbox_id is ""
 * or longer than pool_grab_reply's, or the table is full. */
uint64_t outbox_track_open(struct outbox_track *t, const struct pool_shard *at,
                           const char *outbox_id);
/* One more record of this entry is on its way. */
void outbox_track_add(struct outbox_track *t, uint64_t handle);
/* No more records will be added: from now on the entry may become deletable. An entry without any
 * record is forgotten: nothing says that its grants reached Kafka. */
void outbox_track_seal(struct outbox_track *t, uint64_t handle);
/* ok = false: a failed report, or a record the producer refused. Unknown handles are ignored. */
void outbox_track_report(struct outbox_track *t, uint64_t handle, bool ok);

uint32_t outbox_track_count(const struct outbox_track *t); /* entries, deletable ones included */
uint32_t outbox_track_ready(const struct outbox_track *t); /* deletable */
/* Hands out all deletable ids, in batches, and forgets them. fn must not call back. */
void outbox_track_flush(struct outbox_track *t, outbox_del_fn fn, void *arg);
/* Forgets every entry of a rain (its outbox is gone). */
void outbox_track_forget(struct outbox_track *t, const char *code);

#endif
