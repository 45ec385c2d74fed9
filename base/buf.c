#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void rr_buf_init(struct rr_buf *b, size_t cap)
{
    *b = (struct rr_buf){.cap = cap};
}

static bool buf_reserve(struct rr_buf *b, size_t more)
{
    size_t cap = b->cap ? b->cap : RR_BUF_CAP_DEFAULT;
    size_t want = b->alloc ? b->alloc : 256;
    char *p = NULL;

    if (b->failed || more > cap || b->len > cap - more) {
        b->failed = true;
        return false;
    }
    if (b->alloc > b->len + more)
        return true;
    while (want <= b->len + more)
        want *= 2;
    p = realloc(b->p, want);
    if (!p) {
        b->failed = true;
        return false;
    }
    b->p = p;
    b->alloc = want;
    return true;
}

void rr_buf_append(struct rr_buf *b, const void *p, size_t len)
{
    if (!buf_reserve(b, len))
        return;
    if (len)
        memcpy(b->p + b->len, p, len);
    b->len += len;
    b->p[b->len] = 0;
}

void rr_buf_puts(struct rr_buf *b, const char *s)
{
    rr_buf_append(b, s, strlen(s));
}

void rr_buf_printf(struct rr_buf *b, const char *fmt, ...)
{
    va_list ap;
    va_list again;
    int n = 0;

    va_start(ap, fmt);
    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n >= 0 && buf_reserve(b, (size_t)n)) {
        vsnprintf(b->p + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    } else {
        b->failed = true;
    }
    va_end(again);
}

void rr_buf_clear(struct rr_buf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->p)
        b->p[0] = 0;
}

void rr_buf_fini(struct rr_buf *b)
{
    free(b->p);
    *b = (struct rr_buf){.cap = b->cap};
}
