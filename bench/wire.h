/* wire.h - the messages of redrain.v1 as a viewer writes and reads them.
 * Written apart from the server's own encoder of replies, so that a mistake there does not cancel
 * out here. */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "protocol/unpack.h"
#include "purse.h"

void wire_hello(struct rr_buf *out, uint32_t id, const char *token);
/* epoch "" : no position yet. */
void wire_join(struct rr_buf *out, uint32_t id, const char *room, const char *epoch, int64_t seq);
void wire_ping(struct rr_buf *out, uint32_t id, int64_t t0);
void wire_grab(struct rr_buf *out, uint32_t id, const char *code, int64_t seq, bool again);

/* One server message; everything borrows the frame's bytes. */
struct wire_msg {
    int64_t op;
    uint32_t id;
    struct unpack_value body; /* a map */
};
/* RR_MALFORMED: no message of ours. */
RR_MUST_CHECK enum rr_err wire_decode(struct rr_slice frame, struct wire_msg *out);

struct wire_push {
    struct rr_slice biz_code;
    struct rr_slice epoch; /* empty without a position */
    int64_t seq;           /* -1 without a position */
    struct unpack_value payload;
};
RR_MUST_CHECK enum rr_err wire_push_of(const struct unpack_value *body, struct wire_push *out);
/* {code, seq, shard, no, amount} of an OK. RR_MALFORMED when one is missing or negative. */
RR_MUST_CHECK enum rr_err wire_grant_of(const struct unpack_value *body, struct rr_slice *code,
                                        struct grant *out);
/* An optional int, `missing` when it is not there or no int. */
int64_t wire_int(const struct unpack_value *map, const char *key, int64_t missing);
/* A time in ms, int or with a fraction, as us. RR_MALFORMED. */
RR_MUST_CHECK enum rr_err wire_time_us(const struct unpack_value *map, const char *key,
                                       int64_t *out);
/* A rain's code; false unless [A-Za-z0-9_-]{1,64}. */
bool wire_code_ok(struct rr_slice code);

#endif
