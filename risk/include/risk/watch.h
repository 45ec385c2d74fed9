/* watch.h - what one worker remembers of who grabs how, and what the rules say to it. Pure: no I/O,
 * no clock of its own. Memory is bounded: who was not seen for longest is forgotten first, and
 * counted.
 * Other workers' counts come in by collect and merge: what a user or an address did here is handed
 * out once it is worth telling, the sum over all workers comes back. Between two exchanges each
 * worker knows its own part and the last sum.
 * Thread: the loop's. */
#ifndef RISK_WATCH_H
#define RISK_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "risk/rules.h"

enum {
    RISK_STEADY_TAPS = 16,         /* intervals looked at */
    RISK_RATE_WINDOW_MS = 60000,   /* of RISK_RATE; windows follow rain time, the same everywhere */
    RISK_EARLY_WINDOW_MS = 600000, /* of RISK_EARLY, by the time the rain opens */
    RISK_ADDRESS_WINDOW_MS = 600000, /* of RISK_ADDRESS */
    RISK_ADDRESS_USERS_MAX = 4096,   /* remembered of one address */
    RISK_SHARE_PART = 16,            /* counts are told to others from bound / this on */
    RISK_RAINS_PER_USER = 4,         /* rains a user's early grabs are remembered for */
};

struct risk_watch;

struct risk_watch_opts {
    uint32_t users_max;     /* 0: 65,536 */
    uint32_t addresses_max; /* 0: 65,536 */
    uint32_t members_max;   /* users remembered over all addresses; 0: 1,000,000 */
};

struct risk_watch *risk_watch_create(const struct risk_watch_opts *o);
void risk_watch_destroy(struct risk_watch *w); /* NULL-safe */

/* One GRAB frame. */
struct risk_tap {
    int64_t user_id;
    int64_t sender_id; /* of the rain; 0: not known */
    uint64_t rain;     /* its code, hashed */
    uint64_t address;  /* keyed hash; 0: not counted */
    int64_t since_s;   /* when the account was made; 0: not known */
    int64_t now_ms;    /* rain time */
    int64_t opens_ms;  /* of the rain */
    int64_t at_us;     /* monotonic */
    bool again;        /* the client's own retry: its pace is no one's thumb */
    bool early;        /* refused as NOT_STARTED */
};

struct risk_verdict {
    enum risk_rule rule; /* RISK_NONE: allowed. Its stage says deny or hold */
    int64_t seen;
    int64_t bound;
};

/* Counts the tap, then asks the rules: first those that deny. */
struct risk_verdict risk_watch_tap(struct risk_watch *w, const struct risk_rules *rules,
                                   const struct risk_tap *tap);

/* ---- what workers tell each other ---- */

struct risk_share {
    enum risk_rule rule; /* RATE or EARLY */
    int64_t window;
    uint64_t id; /* of the counter, among those of (rule, window) */
    int64_t user_id;
    uint64_t rain;
    uint32_t delta;
};
/* Counts to add up elsewhere; they are taken as told. n <= max, the rest next time. */
uint32_t risk_watch_collect(struct risk_watch *w, const struct risk_rules *rules,
                            struct risk_share *out, uint32_t max);
/* The sum over all workers, this share in it. */
void risk_watch_merge(struct risk_watch *w, const struct risk_share *s, int64_t total);
/* The share was surely not added. */
void risk_watch_unsend(struct risk_watch *w, const struct risk_share *s);

struct risk_crowd {
    uint64_t address;
    int64_t window;
    const uint64_t *users; /* borrowed until the next call */
    uint32_t n;
};
/* Users of one address that were not told yet; false: nothing to tell. */
bool risk_watch_collect_crowd(struct risk_watch *w, const struct risk_rules *rules,
                              struct risk_crowd *out);
void risk_watch_merge_crowd(struct risk_watch *w, uint64_t address, int64_t window, int64_t total);

struct risk_watch_counters {
    uint32_t users;
    uint32_t addresses;
    uint32_t members;
    uint64_t forgotten; /* users and addresses dropped for room */
};
void risk_watch_counters(const struct risk_watch *w, struct risk_watch_counters *out);

#endif
