/* child_end.h - a worker or admin child that leaves, ends, whatever a library waits for by then: nobody is there to kill it
 * when its supervisor died, and what it would wait for may never come back. What it leaves unfinished is in the outbox or in
 * the books. Thread: loop. */
#ifndef SERVER_CHILD_END_H
#define SERVER_CHILD_END_H

/* From here on the supervisor's death is noticed also by a loop that stands still. Before: it ends the process. */
void child_orphan_watch(void);

/* All waiting that is meant (a rain, grabs in flight) is over, the clean-up begins. */
void child_end_begin(void);

#endif
