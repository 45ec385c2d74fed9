/* ws_frame.h - RFC 6455 frames, client side: server frames in (unmasked), masked frames out. */
#ifndef BENCH_WS_FRAME_H
#define BENCH_WS_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

enum ws_opcode {
    WS_CONTINUATION = 0,
    WS_TEXT = 1,
    WS_BINARY = 2,
    WS_CLOSE = 8,
    WS_PING = 9,
    WS_PONG = 10,
};

enum { WS_FRAME_MAX_BYTES = 1 << 20 }; /* a JOIN snapshot is the largest message */

struct ws_frame {
    bool fin;
    uint8_t opcode;
    struct rr_slice payload; /* borrows the input */
};

/* Reads the frame at the front of bytes. RR_OK: *used bytes belong to it; RR_RETRY: more bytes are
 * needed; RR_MALFORMED: masked, reserved bits or opcode, bad control frame; RR_TOO_BIG. */
RR_MUST_CHECK enum rr_err ws_frame_read(struct rr_slice bytes, struct ws_frame *out, size_t *used);
/* Appends one whole (FIN) masked frame. */
void ws_frame_write(struct rr_buf *out, enum ws_opcode opcode, struct rr_slice payload,
                    uint32_t mask);

#endif
