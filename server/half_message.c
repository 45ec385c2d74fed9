#include "half_message.h"

#include "base/alloc.h"
#include "protocol/limits.h"

#include <stdlib.h>
#include <string.h>

struct half_message {
    uint32_t n;
    uint32_t cap;
    char bytes[];
};

/* At least twice as much as before: of many small fragments each would copy all others. */
static void grow(struct half_message **m, size_t need)
{
    bool first = *m == NULL;
    size_t cap = first ? 0 : (size_t)(*m)->cap * 2;

    if (cap > RR_VIEWER_MESSAGE_MAX_BYTES)
        cap = RR_VIEWER_MESSAGE_MAX_BYTES;
    if (cap < need)
        cap = need;
    *m = rr_xrealloc(*m, 1, sizeof(**m) + cap);
    (*m)->cap = (uint32_t)cap;
    if (first)
        (*m)->n = 0;
}

enum rr_err half_message_add(struct half_message **m, struct rr_slice piece, size_t rest)
{
    size_t n = (*m ? (*m)->n : 0) + piece.len;

    if (n > RR_VIEWER_MESSAGE_MAX_BYTES || rest > RR_VIEWER_MESSAGE_MAX_BYTES - n)
        return RR_FULL;
    if (!*m || n + rest > (*m)->cap)
        grow(m, n + rest);
    if (piece.len)
        memcpy((*m)->bytes + (*m)->n, piece.p, piece.len);
    (*m)->n = (uint32_t)n;
    return RR_OK;
}

struct rr_slice half_message_bytes(const struct half_message *m)
{
    return m ? rr_slice_of(m->bytes, m->n) : rr_slice_of(NULL, 0);
}

void half_message_free(struct half_message **m)
{
    free(*m);
    *m = NULL;
}
