/* bus_frame.h - the bytes of the pub/sub channels. Pure; parsers take anything and read within
 * bounds.
 * Room channel: "epoch|seq|biz_code|payload", epoch 16 hex digits, seq decimal, payload raw to the
 * end.
 * Users channel: any number of "user|biz_code|len|payload", len bytes of payload each. */
#ifndef STORE_BUS_FRAME_H
#define STORE_BUS_FRAME_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "room/bus.h"

/* Slices of *out point into bytes. RR_MALFORMED. */
RR_MUST_CHECK enum rr_err bus_parse(struct rr_slice bytes, struct room_msg *out);

void bus_user_append(struct rr_buf *out, int64_t user_id, const char *biz_code,
                     struct rr_slice payload);
typedef void (*bus_user_fn)(void *arg, int64_t user_id, struct rr_slice biz_code,
                            struct rr_slice payload);
/* Calls fn for each push up to the first malformed one (RR_MALFORMED). */
RR_MUST_CHECK enum rr_err bus_parse_users(struct rr_slice bytes, bus_user_fn fn, void *arg);

/* "biz_code|payload", as kept in {room}:live and in a user's log. */
RR_MUST_CHECK enum rr_err bus_parse_kept(struct rr_slice bytes, struct rr_slice *biz_code,
                                         struct rr_slice *payload);

#endif
