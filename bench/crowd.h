/* crowd.h - thousands of viewers in one process and one thread: sockets, timers, the rains they
 * see, what they were told. crowd_run() is all that main.c needs; the struct is shared with
 * viewer*.c and report.c. */
#ifndef BENCH_CROWD_H
#define BENCH_CROWD_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "clock_sync.h"
#include "hist.h"
#include "purse.h"
#include "rain_view.h"
#include "timers.h"
#include "wins_log.h"
#include "ws_client.h"

struct viewer;

struct crowd_opts {
    const char *url;
    const char *origin; /* NULL: no Origin header */
    const char *tokens_file;
    const char *room;
    const char *wins_log;     /* NULL: none */
    uint32_t viewers;         /* 0: as many as there are tokens */
    uint32_t connect_rate;    /* new connections per second */
    int64_t grab_interval_us; /* per viewer */
    int64_t duration_max_ms;  /* 0: no limit */
    int64_t linger_ms;        /* after the last viewer's RESULT */
    bool json;                /* nothing but the final line on stdout */
    bool progress;            /* one line per second on stderr */
    bool endless;             /* only a signal ends it */
    uint32_t stall_pct;       /* of the viewers, who read nothing for a while, again and again */
};

enum { CROWD_RAINS_MAX = 1024, CROWD_CODES = 17 /* the last one: unknown codes */ };

struct crowd_stats {
    uint64_t connected, joined; /* now */
    uint64_t joined_ever;       /* viewers that joined at least once */
    uint64_t push_received;     /* viewers that got RED_PACKET_CONFIG as a live push */
    uint64_t config_by_join;    /* viewers that learned of a rain from JOIN only */
    uint64_t grabs, told, told_conflicts, pending;
    int64_t told_fen;
    uint64_t reconnects, disconnects, refused;
    uint64_t moves;        /* to another connection, as GOAWAY asked: no disconnects */
    uint64_t bad_messages; /* from the server: not decodable, or without a field they need */
    uint64_t push_gaps;    /* room pushes that are missing by their seq on a live connection */
    uint64_t skipped;      /* room pushes that a JOIN did not bring back */
    uint64_t missed_told;  /* lines about these two */
    uint64_t stalls;
    uint64_t codes[CROWD_CODES];
};

struct crowd {
    const struct crowd_opts *opts;
    struct ws_net net;
    struct timers timers;
    struct clock_sync clock;
    struct hist told_us;
    struct wins_log wins_log;
    struct crowd_stats stats;
    struct user *users;
    uint32_t n_users;
    struct viewer *viewers;
    uint32_t n_viewers;
    uint32_t started; /* viewers whose first connect was tried */
    struct rain_view rains[CROWD_RAINS_MAX];
    uint32_t n_rains;
    int64_t begun_us;
    int64_t wall_offset_us; /* wall clock minus monotonic clock at the start */
    bool ending;            /* unexpected closes are no news any more */
    bool calm;              /* nobody stalls any more */
    uint64_t storms;        /* how often half of the viewers dropped their connections */
};

/* RR_CONFIG / RR_SYSTEM: could not run, the reason is on stderr. *joined: some viewer was in the
 * room. stop is set by a signal handler. Prints progress to stderr and the final line to stdout. */
struct crowd_signals;
RR_MUST_CHECK enum rr_err crowd_run(const struct crowd_opts *opts,
                                    const struct crowd_signals *signals, bool *joined);

/* Signals that crowd_run() looks at: set by a handler. */
struct crowd_signals {
    volatile sig_atomic_t stop;
    volatile sig_atomic_t
        storms; /* one more: every second viewer drops his connection and comes back */
    volatile sig_atomic_t calm; /* nobody stalls from now on */
};

/* For viewer*.c and report.c. */
int64_t crowd_now_us(void);
int64_t crowd_wall_ms(const struct crowd *c, int64_t now_us);
/* The rain with this code, made when missing and `make`; NULL when unknown, no code, or too many
 * rains. */
struct rain_view *crowd_rain(struct crowd *c, struct rr_slice code, bool make);
uint64_t crowd_losers(const struct crowd *c);
/* Time the rains were open so far, our clock. */
int64_t crowd_open_us(const struct crowd *c, int64_t now_us);

/* tokens.c: "user token" lines. RR_CONFIG / RR_SYSTEM with the reason on stderr. */
RR_MUST_CHECK enum rr_err tokens_load(const char *path, struct user **users, uint32_t *n);

#endif
