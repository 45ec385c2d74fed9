#include "base/frame.h"

#include "base/alloc.h"
#include "base/err.h"

#include <stdlib.h>
#include <string.h>

struct rr_frame *rr_frame_create(const void *p, size_t len, size_t headroom)
{
    struct rr_frame *f = NULL;

    RR_ASSERT(len <= UINT32_MAX / 2 && headroom <= 4096);
    f = rr_xcalloc(1, sizeof(*f) + headroom + len);
    f->refs = 1;
    f->len = (uint32_t)len;
    f->headroom = (uint32_t)headroom;
    if (len)
        memcpy(f->data + headroom, p, len);
    return f;
}

struct rr_frame *rr_frame_ref(struct rr_frame *f)
{
    RR_ASSERT(f->refs > 0 && f->refs < UINT32_MAX);
    f->refs++;
    return f;
}

void rr_frame_unref(struct rr_frame **f)
{
    struct rr_frame *frame = *f;

    *f = NULL;
    if (!frame)
        return;
    RR_ASSERT(frame->refs > 0);
    if (--frame->refs == 0)
        free(frame);
}
