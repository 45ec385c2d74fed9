/* redrain-settler: brings granted packets into the books. See settler/settler.h. */
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/conf.h"
#include "base/deadline.h"
#include "base/log.h"
#include "base/privileges.h"
#include "settler/settler.h"

/* A batch under way may wait for the database as long as its deadline, twice; far more is a hang. */
enum { END_MS = 60000 };

static atomic_bool stop;
static atomic_bool reload;

static void on_signal(int sig)
{
    (void)sig;
    atomic_store(&stop, true);
    rr_deadline_set(END_MS);
}

static void on_hup(int sig)
{
    (void)sig;
    atomic_store(&reload, true);
}

static void catch_signals(void)
{
    struct sigaction stop_action = {.sa_handler = on_signal};
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    struct sigaction hup_action = {.sa_handler = on_hup, .sa_flags = SA_RESTART};

    sigaction(SIGHUP, &hup_action, NULL);
    sigaction(SIGTERM, &stop_action, NULL);
    sigaction(SIGINT, &stop_action, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
}

int main(int argc, char **argv)
{
    struct rr_conf conf;
    enum rr_err err = RR_OK;
    int at = rr_conf_main(argc, argv, &conf,
                          "redrain-settler --config FILE [--set section.key=value]...");

    if (at < argc) {
        fprintf(stderr, "redrain-settler: unknown argument %s\n", argv[at]);
        rr_conf_fini(&conf);
        return 2;
    }
    rr_log_init("settler", (enum rr_log_level)rr_log_level_parse(conf.log_level));
    rr_privileges_drop();
    catch_signals();
    err = settler_run(&conf, &stop, &reload);
    rr_conf_fini(&conf);
    return err ? 1 : 0;
}
