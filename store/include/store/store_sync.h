/* store_sync.h - Redis for threads that may block: the ports pool_admin and rain_notify, and what
 * sweeper, settler and operator need. One connection per object, made by the first call and again
 * by the first call after it broke.
 * Errors of every call: RR_UNAVAILABLE no connection, or refused before anything happened
 * (loading, read-only, out of memory, busy script); RR_RETRY the connection broke in the middle:
 * outcome unknown, every operation may be repeated; RR_CORRUPT an answer that makes no sense, or
 * an error of a script (logged).
 * Thread: one at a time.
 * Owner: who created it; SIGPIPE must be ignored by the process. */
#ifndef STORE_STORE_SYNC_H
#define STORE_STORE_SYNC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "protocol/record.h"
#include "rain/notify.h"
#include "rain/pool.h"
#include "room/delivery.h"
#include "store/store_opts.h"

struct store_sync;

/* Does not connect. RR_CONFIG: url, namespace or worker name malformed. */
RR_MUST_CHECK enum rr_err store_sync_create(struct store_sync **out, const struct store_opts *opts);
/* NULL-safe. */
void store_sync_destroy(struct store_sync *s);
const struct pool_admin *store_sync_pool(struct store_sync *s);
const struct rain_notify *store_sync_notify(struct store_sync *s);
RR_MUST_CHECK enum rr_err store_sync_ping(struct store_sync *s);

/* PushToRoom with the position it got; keep_code and final as in rain/notify.h. epoch, seq may be
 * NULL. */
RR_MUST_CHECK enum rr_err store_sync_push_room(struct store_sync *s, const char *room_id,
                                               const char *biz_code, struct rr_slice payload,
                                               const char *keep_code, int final, uint64_t *epoch,
                                               uint64_t *seq);

/* ---- sweeper ---- */

/* Lease of a shard's sweep, taken or renewed. RR_BUSY: somebody else holds it. */
RR_MUST_CHECK enum rr_err store_sync_sweep_lease(struct store_sync *s, const struct pool_shard *at,
                                                 const char *owner, int64_t ttl_ms);
/* The records of one entry, borrowed. Another value than RR_OK ends the read and is returned. */
typedef enum rr_err (*store_outbox_fn)(void *arg, const char *id,
                                       const struct grant_record *records, uint32_t n);
/* At most max entries older than min_age_ms by Redis' clock, oldest first, after the entry
 * after_id (NULL: from the first).
 * An entry that does not decode is logged, skipped and makes the result RR_CORRUPT after all
 * others were reported. */
RR_MUST_CHECK enum rr_err store_sync_outbox_read(struct store_sync *s, const struct pool_shard *at,
                                                 int64_t min_age_ms, uint32_t max,
                                                 const char *after_id, store_outbox_fn fn,
                                                 void *arg);
RR_MUST_CHECK enum rr_err store_sync_outbox_del(struct store_sync *s, const struct pool_shard *at,
                                                const char *const *ids, uint32_t n);
/* Entries in the outbox, for the alarm. */
RR_MUST_CHECK enum rr_err store_sync_outbox_len(struct store_sync *s, const struct pool_shard *at,
                                                int64_t *entries);

/* ---- operator, admin child, settler ---- */

RR_MUST_CHECK enum rr_err store_sync_control_publish(struct store_sync *s, struct rr_slice payload);
/* Members of a room over all workers, by their fields younger than 5 s. */
/* What became of the frames meant for the room's members, on all workers; *lost: what workers had queued when they died. */
RR_MUST_CHECK enum rr_err store_sync_delivery(struct store_sync *s, const char *room_id,
                                              struct delivery *out, uint64_t *lost);
RR_MUST_CHECK enum rr_err store_sync_online(struct store_sync *s, const char *room_id,
                                            int64_t *online);
/* RR_NOT_FOUND: the settler has not written its lag for a minute. */
RR_MUST_CHECK enum rr_err store_sync_settle_lag(struct store_sync *s, int64_t *lag_ms);
/* What room_stats and balance of rain/notify.h left. *bytes is valid until the next call on s. RR_NOT_FOUND. */
RR_MUST_CHECK enum rr_err store_sync_room_stats(struct store_sync *s, const char *room_id,
                                                struct rr_slice *bytes);
RR_MUST_CHECK enum rr_err store_sync_balance(struct store_sync *s, int64_t user_id,
                                             int64_t *balance_fen);
/* Totals of a rain as the settlers wrote them after COMMIT; 0 before the first. */
RR_MUST_CHECK enum rr_err store_sync_rain_totals(struct store_sync *s, const char *code,
                                                 int64_t *count, int64_t *fen);
/* A value with a TTL under settler:metrics:{name} (name: [A-Za-z0-9_.-]{1,64}, else
 * RR_BAD_REQUEST). */
RR_MUST_CHECK enum rr_err store_sync_kv_set(struct store_sync *s, const char *name,
                                            struct rr_slice value, int64_t ttl_ms);
/* *value is valid until the next call on s. RR_NOT_FOUND: not there or expired. */
RR_MUST_CHECK enum rr_err store_sync_kv_get(struct store_sync *s, const char *name,
                                            struct rr_slice *value);
/* Names whose values are looked for: add again is nothing new; drop what has no value any more. */
RR_MUST_CHECK enum rr_err store_sync_kv_name(struct store_sync *s, const char *name, bool there);
typedef char store_name[65];
/* n <= max, in no order; more names than max are left out. */
RR_MUST_CHECK enum rr_err store_sync_kv_names(struct store_sync *s, store_name *out, uint32_t max,
                                              uint32_t *n);
/* One setting of the server ("appendfsync"), for doctor. RR_NOT_FOUND: no such setting, or CONFIG
 * is not allowed. */
RR_MUST_CHECK enum rr_err store_sync_config_get(struct store_sync *s, const char *name, char *value,
                                                size_t cap);

#endif
