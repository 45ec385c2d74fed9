/* deadline.h - a process that was told to end, ends: a library whose broker was replaced under it may wait for ever in its own
 * clean-up. What a settler does is in the books or is done again by the next one, at any moment. */
#ifndef SETTLE_SETTLER_DEADLINE_H
#define SETTLE_SETTLER_DEADLINE_H

/* In ms the process ends with 1 and a line on stderr, whatever it does then. May be called in a signal handler; the last call
 * counts. Uses SIGALRM. */
void deadline_set(unsigned ms);

#endif
