/* half_message.h - a client's message that is not whole yet: it comes in several frames, or in one that takes more than one read.
 * Memory is had only meanwhile, and no more than what the message's frames announced so far. */
#ifndef SERVER_HALF_MESSAGE_H
#define SERVER_HALF_MESSAGE_H

#include "base/err.h"
#include "base/slice.h"

struct half_message; /* NULL: none of the message came yet */

/* The next piece; rest: bytes of its frame that are still to come. The message's bytes so far are then half_message_bytes().
 * RR_FULL: longer than RR_VIEWER_MESSAGE_MAX_BYTES with that rest; nothing changed. */
RR_MUST_CHECK enum rr_err half_message_add(struct half_message **m, struct rr_slice piece,
                                           size_t rest);
struct rr_slice half_message_bytes(const struct half_message *m); /* until the next call */
void half_message_free(struct half_message **m);                  /* *m: NULL afterwards */

#endif
