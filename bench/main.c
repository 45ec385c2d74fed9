/* main.c - redrain-bench: the command line. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crowd.h"
#include "swarm/swarm.h"

static struct crowd_signals signals;

static void on_signal(int sig)
{
    if (sig == SIGUSR1)
        signals.storms++;
    else if (sig == SIGUSR2)
        signals.calm = 1;
    else
        signals.stop = 1;
}

static void usage(FILE *f)
{
    fputs("usage: redrain-bench crowd --url ws://HOST:PORT/ws --tokens-file FILE --room ROOM "
          "[options]\n"
          "\n"
          "Joins a room with one socket per viewer, grabs in every rain that opens there and ends "
          "when all\n"
          "viewers have seen its result. The last line on stdout is one JSON object.\n"
          "\n"
          "  --url URL             where the viewers connect; 127.0.0.x spreads them over source "
          "addresses\n"
          "  --origin ORIGIN       Origin header of the upgrade\n"
          "  --tokens-file FILE    one \"user token\" per line\n"
          "  --room ROOM           the room to join\n"
          "  --viewers N           default: one per token; more than tokens: users with several "
          "sockets\n"
          "  --rate R              grabs per second and viewer while a rain is open (default 3)\n"
          "  --connect-rate N      new connections per second (default 2000)\n"
          "  --wins-log FILE       JSON line per win a viewer was told; FILE.pending: what was "
          "ever uncertain\n"
          "  --duration-max-ms N   end after this time in any case (default 0: no limit)\n"
          "  --linger-ms N         stay after the last result (default 300)\n"
          "  --stall-pct N         so many of 100 read nothing for 20 s, again and again; SIGUSR2 "
          "ends "
          "that\n"
          "  --endless             until a signal; SIGUSR1: every second viewer drops his "
          "connection\n"
          "  --progress            a JSON line per second on stderr\n"
          "  --json                nothing but the final line on stdout\n"
          "\n"
          "Exit code: 0 viewers joined and the log is written, 1 not so, 2 wrong usage.\n",
          f);
}

enum { RATE_MAX = 1000, COUNT_MAX = 1000000, TIME_MAX_MS = 7 * 24 * 3600 * 1000 };

static bool parse_int(const char *s, int64_t min, int64_t max, int64_t *out)
{
    char *end = NULL;
    errno = 0;
    long long v = strtoll(s, &end, 10);
    if (errno || end == s || *end || v < min || v > max)
        return false;
    *out = v;
    return true;
}

/* Grabs per second, fractions allowed, as the time between two. */
static bool parse_rate(const char *s, int64_t *interval_us)
{
    char *end = NULL;
    double rate = strtod(s, &end);
    if (end == s || *end || !(rate >= 0.001) || rate > (double)RATE_MAX)
        return false;
    *interval_us = (int64_t)(1e6 / rate);
    return true;
}

enum option_id {
    OPT_URL = 256,
    OPT_ORIGIN,
    OPT_TOKENS,
    OPT_ROOM,
    OPT_VIEWERS,
    OPT_RATE,
    OPT_CONNECT_RATE,
    OPT_WINS_LOG,
    OPT_DURATION,
    OPT_LINGER,
    OPT_PROGRESS,
    OPT_STALL,
    OPT_ENDLESS,
    OPT_JSON,
    OPT_HELP,
};

static const struct option options[] = {
    {"url", required_argument, NULL, OPT_URL},
    {"origin", required_argument, NULL, OPT_ORIGIN},
    {"tokens-file", required_argument, NULL, OPT_TOKENS},
    {"room", required_argument, NULL, OPT_ROOM},
    {"viewers", required_argument, NULL, OPT_VIEWERS},
    {"rate", required_argument, NULL, OPT_RATE},
    {"connect-rate", required_argument, NULL, OPT_CONNECT_RATE},
    {"wins-log", required_argument, NULL, OPT_WINS_LOG},
    {"duration-max-ms", required_argument, NULL, OPT_DURATION},
    {"linger-ms", required_argument, NULL, OPT_LINGER},
    {"progress", no_argument, NULL, OPT_PROGRESS},
    {"stall-pct", required_argument, NULL, OPT_STALL},
    {"endless", no_argument, NULL, OPT_ENDLESS},
    {"json", no_argument, NULL, OPT_JSON},
    {"help", no_argument, NULL, OPT_HELP},
    {0},
};

static bool take_number(struct crowd_opts *o, int id, const char *arg)
{
    int64_t v = 0;
    switch (id) {
    case OPT_VIEWERS:
        if (!parse_int(arg, 1, COUNT_MAX, &v))
            return false;
        o->viewers = (uint32_t)v;
        return true;
    case OPT_CONNECT_RATE:
        if (!parse_int(arg, 1, COUNT_MAX, &v))
            return false;
        o->connect_rate = (uint32_t)v;
        return true;
    case OPT_STALL:
        if (!parse_int(arg, 0, 100, &v))
            return false;
        o->stall_pct = (uint32_t)v;
        return true;
    case OPT_DURATION: return parse_int(arg, 0, TIME_MAX_MS, &o->duration_max_ms);
    case OPT_LINGER: return parse_int(arg, 0, TIME_MAX_MS, &o->linger_ms);
    case OPT_RATE: return parse_rate(arg, &o->grab_interval_us);
    default: return false;
    }
}

static bool take_option(struct crowd_opts *o, int id, const char *arg)
{
    switch (id) {
    case OPT_URL: o->url = arg; return true;
    case OPT_ORIGIN: o->origin = arg; return true;
    case OPT_TOKENS: o->tokens_file = arg; return true;
    case OPT_ROOM: o->room = arg; return true;
    case OPT_WINS_LOG: o->wins_log = arg; return true;
    case OPT_PROGRESS: o->progress = true; return true;
    case OPT_ENDLESS: o->endless = true; return true;
    case OPT_JSON: o->json = true; return true;
    default: return take_number(o, id, arg);
    }
}

/* 0: run; -1: help was asked for; 2: wrong usage, said on stderr. */
static int parse_args(int argc, char **argv, struct crowd_opts *o)
{
    int id = 0;
    int index = 0;
    if (argc < 2 || strcmp(argv[1], "crowd") != 0) {
        bool help = argc == 2 && strcmp(argv[1], "--help") == 0;
        usage(help ? stdout : stderr);
        return help ? -1 : 2;
    }
    while ((id = getopt_long(argc - 1, argv + 1, "", options, &index)) != -1) {
        if (id == OPT_HELP) {
            usage(stdout);
            return -1;
        }
        if (id == '?')
            return 2;
        if (!take_option(o, id, optarg)) {
            fprintf(stderr, "redrain-bench: --%s: bad value \"%s\"\n", options[index].name, optarg);
            return 2;
        }
    }
    if (optind != argc - 1 || !o->url || !o->tokens_file || !o->room) {
        usage(stderr);
        return 2;
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct crowd_opts opts = {
        .connect_rate = 2000,
        .grab_interval_us = 1000000 / 3,
        .linger_ms = 300,
    };
    struct sigaction action = {.sa_handler = on_signal};
    bool joined = false;

    if (argc > 1 && strcmp(argv[1], "swarm") == 0) {
        sigaction(SIGINT, &action, NULL);
        sigaction(SIGTERM, &action, NULL);
        return swarm_cli(argc - 1, argv + 1, &signals.stop);
    }
    int parsed = parse_args(argc, argv, &opts);
    if (parsed)
        return parsed < 0 ? 0 : parsed;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
    enum rr_err err = crowd_run(&opts, &signals, &joined);
    if (err)
        return err == RR_CONFIG ? 2 : 1;
    if (!joined)
        fputs("redrain-bench: no viewer could join\n", stderr);
    return joined ? 0 : 1;
}
