/* alloc.h - small, fixed-size allocations: abort when memory is gone (nothing sensible is left to
 * do). Sizes a peer can choose are capped first and use plain malloc with a check. */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stddef.h>

void *rr_xcalloc(size_t n, size_t size);
void *rr_xrealloc(void *p, size_t n, size_t size); /* n * size is overflow-checked */
char *rr_xstrdup(const char *s);
char *rr_xstrndup(const char *s, size_t len);

#endif
