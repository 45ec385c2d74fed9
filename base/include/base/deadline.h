/* deadline.h - a process that ends, ends: a library whose broker was replaced under it may wait for ever in its own clean-up.
 * Whoever is ended so leaves nothing that the next one does not find in the books, the log or the outbox. */
#ifndef BASE_DEADLINE_H
#define BASE_DEADLINE_H

/* In ms the process ends with 1 and a line on stderr, whatever it does then. May be called in a signal handler; the last call
 * counts. Uses SIGALRM. */
void rr_deadline_set(unsigned ms);

#endif
