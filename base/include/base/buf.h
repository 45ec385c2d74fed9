/* buf.h - growable byte buffer with a cap. Zero-initialise, or rr_buf_init with another cap.
 * After the first failure every append is a no-op and `failed` stays set: check once at the end. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

#define RR_BUF_CAP_DEFAULT ((size_t)16 << 20)

struct rr_buf {
    char *p;
    size_t len; /* bytes used; p[len] is always NUL once anything was appended */
    size_t alloc;
    size_t cap; /* 0 = RR_BUF_CAP_DEFAULT */
    bool failed;
};

void rr_buf_init(struct rr_buf *b, size_t cap);
void rr_buf_append(struct rr_buf *b, const void *p, size_t len);
void rr_buf_puts(struct rr_buf *b, const char *s);
__attribute__((format(printf, 2, 3))) void rr_buf_printf(struct rr_buf *b, const char *fmt, ...);
void rr_buf_clear(struct rr_buf *b); /* keeps the memory */
void rr_buf_fini(struct rr_buf *b);

#endif
