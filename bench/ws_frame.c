/* ws_frame.c - see ws_frame.h. */
#include <string.h>

#include "ws_frame.h"

enum { FIN = 0x80, RESERVED = 0x70, MASKED = 0x80, CONTROL = 0x08, CONTROL_MAX_BYTES = 125 };

static enum rr_err check_head(uint8_t b0, uint8_t b1)
{
    uint8_t opcode = b0 & 0x0f;
    if ((b0 & RESERVED) || (b1 & MASKED))
        return RR_MALFORMED;
    if (opcode > WS_PONG || (opcode > WS_BINARY && opcode < WS_CLOSE))
        return RR_MALFORMED;
    if ((opcode & CONTROL) && (!(b0 & FIN) || (b1 & 0x7f) > CONTROL_MAX_BYTES))
        return RR_MALFORMED;
    return RR_OK;
}

enum rr_err ws_frame_read(struct rr_slice bytes, struct ws_frame *out, size_t *used)
{
    const uint8_t *p = (const uint8_t *)bytes.p;
    if (bytes.len < 2)
        return RR_RETRY;
    if (check_head(p[0], p[1]))
        return RR_MALFORMED;
    uint64_t len = p[1] & 0x7f;
    size_t head = 2;
    size_t extra = len == 126 ? 2 : len == 127 ? 8 : 0;
    if (bytes.len < head + extra)
        return RR_RETRY;
    if (extra)
        len = 0;
    for (size_t i = 0; i < extra; i++)
        len = len << 8 | p[head + i];
    head += extra;
    if (len > WS_FRAME_MAX_BYTES)
        return RR_TOO_BIG;
    if (bytes.len - head < len)
        return RR_RETRY;
    *out = (struct ws_frame){
        .fin = p[0] & FIN,
        .opcode = p[0] & 0x0f,
        .payload = rr_slice_of(bytes.p + head, (size_t)len),
    };
    *used = head + (size_t)len;
    return RR_OK;
}

void ws_frame_write(struct rr_buf *out, enum ws_opcode opcode, struct rr_slice payload,
                    uint32_t mask)
{
    uint8_t head[14];
    uint8_t key[4];
    size_t n = 0;

    memcpy(key, &mask, sizeof(key));
    head[n++] = (uint8_t)(FIN | (unsigned)opcode);
    if (payload.len < 126) {
        head[n++] = (uint8_t)(MASKED | payload.len);
    } else if (payload.len <= UINT16_MAX) {
        head[n++] = MASKED | 126;
        head[n++] = (uint8_t)(payload.len >> 8);
        head[n++] = (uint8_t)payload.len;
    } else {
        head[n++] = MASKED | 127;
        for (int shift = 56; shift >= 0; shift -= 8)
            head[n++] = (uint8_t)((uint64_t)payload.len >> shift);
    }
    memcpy(head + n, key, sizeof(key));
    n += sizeof(key);
    rr_buf_append(out, head, n);
    size_t at = out->len;
    rr_buf_append(out, payload.p, payload.len);
    if (out->failed)
        return;
    for (size_t i = 0; i < payload.len; i++)
        out->p[at + i] = (char)((uint8_t)out->p[at + i] ^ key[i & 3]);
}
