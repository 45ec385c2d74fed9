#include "child_end.h"

#include "base/deadline.h"
#include "supervisor.h"

#include <signal.h>
#include <stddef.h>

enum {
    END_MS = 10000,    /* Kafka's last records 4 s, a job of the books a few times its deadline */
    ORPHAN_MS = 12000, /* the loop, if it runs, leaves at once: at most 6 s until the clean-up */
};

static void on_orphan(int sig)
{
    (void)sig;
    rr_deadline_set(ORPHAN_MS);
}

void child_orphan_watch(void)
{
    struct sigaction action = {.sa_handler = on_orphan, .sa_flags = SA_RESTART};

    sigaction(CHILD_ORPHAN_SIGNAL, &action, NULL);
}

void child_end_begin(void)
{
    rr_deadline_set(END_MS);
}
