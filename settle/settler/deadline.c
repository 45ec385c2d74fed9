#include "deadline.h"

#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

static void on_alarm(int sig)
{
    static const char text[] = "redrain-settler: did not end in time and was ended\n";

    (void)sig;
    if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0) {
        /* nobody reads it */
    }
    _exit(1);
}

void deadline_set(unsigned ms)
{
    struct sigaction action = {.sa_handler = on_alarm};
    struct itimerval in = {.it_value = {ms / 1000, (suseconds_t)(ms % 1000) * 1000}};

    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &in, NULL);
}
