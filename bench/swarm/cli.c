/* cli.c - redrain-bench swarm: its options; see swarm.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "swarm.h"

static const char usage[] =
    "usage: redrain-bench swarm --url URL --tokens-file FILE --room ROOM --conns N [options]\n"
    "Opens N sockets and obeys lines on stdin; each answer is one line of JSON.\n"
    "  --dialect NAME     redrain (default), ws, socket.io, centrifugo\n"
    "  --origin ORIGIN    Origin header of the upgrade\n"
    "  --entering N       at most so many sockets half way (default 200); 0: none is opened before "
    "a "
    "storm\n"
    "  run grab|ping secs=S [rate=R] [conns=N] [code=CODE] [fresh=1]   requests; without rate as "
    "fast as answers come\n"
    "  storm secs=S conns=N   connect, enter, close, again\n"
    "  seen | reset           broadcasts received since the last reset\n"
    "  quit\n";

int swarm_cli(int argc, char **argv, const volatile sig_atomic_t *stop)
{
    struct swarm_opts o = {.dialect = dialect_by_name("redrain"), .room = "bench", .entering = 200};

    for (int i = 1; i < argc; i += 2) {
        const char *v = i + 1 < argc ? argv[i + 1] : NULL;

        if (!v) {
            fputs(usage, stderr);
            return 2;
        }
        if (strcmp(argv[i], "--url") == 0)
            o.url = v;
        else if (strcmp(argv[i], "--origin") == 0)
            o.origin = v;
        else if (strcmp(argv[i], "--tokens-file") == 0)
            o.tokens_file = v;
        else if (strcmp(argv[i], "--room") == 0)
            o.room = v;
        else if (strcmp(argv[i], "--conns") == 0)
            o.n = (uint32_t)strtoul(v, NULL, 10);
        else if (strcmp(argv[i], "--entering") == 0)
            o.entering = (uint32_t)strtoul(v, NULL, 10);
        else if (strcmp(argv[i], "--dialect") == 0)
            o.dialect = dialect_by_name(v);
        else
            o.dialect = NULL;
    }
    if (!o.url || !o.tokens_file || !o.dialect || o.n == 0 || o.n > 1000000) {
        fputs(usage, stderr);
        return 2;
    }
    return swarm_main_loop(&o, stop) == RR_OK ? 0 : 1;
}
