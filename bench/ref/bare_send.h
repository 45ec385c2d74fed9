/* bare_send.h - the limit of fan-out: the same frame to socket after socket by send(), nothing else. */
#ifndef BENCH_REF_BARE_SEND_H
#define BENCH_REF_BARE_SEND_H

#include <stddef.h>
#include <stdint.h>

/* Once around. Returns how many sockets did not take all of it at once. */
uint32_t bare_send(const int *fds, uint32_t n, const void *frame, size_t len);

#endif
