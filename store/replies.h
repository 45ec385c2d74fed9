/* replies.h - reads what the scripts answer. Pure; a reply of another shape is RR_MALFORMED, never
 * a crash. */
#ifndef STORE_REPLIES_H
#define STORE_REPLIES_H

#include <stdbool.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

#include "base/err.h"
#include "base/slice.h"
#include "protocol/record.h"
#include "rain/pool.h"

/* Decimal, no sign, whole slice, <= max. */
bool reply_u64(struct rr_slice s, uint64_t max, uint64_t *out);
/* Takes the bytes before the next sep (or all that is left) off *rest; false at the end. */
bool reply_token(struct rr_slice *rest, char sep, struct rr_slice *token);
struct rr_slice reply_slice(const redisReply *r);
/* r is an array of n elements. */
bool reply_is_array(const redisReply *r, size_t n);
/* An integer, or a string of one. */
bool reply_int(const redisReply *r, int64_t *out);
bool reply_text(const redisReply *r, char *dst, size_t cap);
bool reply_epoch(const redisReply *r, uint64_t *epoch);

/* pool_grab: items[n] must be there. out->items is set to it. */
RR_MUST_CHECK enum rr_err reply_grab(const redisReply *r, struct pool_grab_result *items,
                                     uint32_t n, struct pool_grab_reply *out);
/* The layout of a pool's keys that this program reads and writes (docs/adr/0033). */
enum { POOL_LAYOUT = 1 };

/* pool_state, pool_close: the verdict is elements[0]. Of a layout beyond POOL_LAYOUT only out->layout is set. */
RR_MUST_CHECK enum rr_err reply_state(const redisReply *r, struct pool_state *out);
/* "seq:no:amount" */
RR_MUST_CHECK enum rr_err reply_grant(struct rr_slice s, struct pool_grant *out);
/* A user's record "seq:no:amount;…": fn for each grant. */
RR_MUST_CHECK enum rr_err reply_user_record(struct rr_slice record, int64_t user_id,
                                            pool_grant_fn fn, void *arg);
/* An entry of an outbox as XRANGE gives it. *records is malloc'ed, the caller's. */
RR_MUST_CHECK enum rr_err reply_outbox_entry(const redisReply *r, const char **id,
                                             struct grant_record **records, uint32_t *n);

#endif
