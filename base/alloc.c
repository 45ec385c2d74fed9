#include "base/alloc.h"

#include "base/err.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void *rr_xcalloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size ? size : 1);

    RR_ASSERT(p);
    return p;
}

void *rr_xrealloc(void *p, size_t n, size_t size)
{
    RR_ASSERT(size == 0 || n <= SIZE_MAX / size);
    p = realloc(p, n == 0 || size == 0 ? 1 : n * size);
    RR_ASSERT(p);
    return p;
}

char *rr_xstrdup(const char *s)
{
    return rr_xstrndup(s, strlen(s));
}

char *rr_xstrndup(const char *s, size_t len)
{
    char *p = rr_xcalloc(1, len + 1);

    if (len)
        memcpy(p, s, len);
    return p;
}
