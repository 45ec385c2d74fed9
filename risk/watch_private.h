/* watch_private.h - the inside of struct risk_watch, shared by its files. */
#ifndef RISK_WATCH_PRIVATE_H
#define RISK_WATCH_PRIVATE_H

#include <uthash.h>

#include "risk/watch.h"

/* A count within a window: here, told, and the last sum over all workers. */
struct risk_count {
    int64_t window;
    int64_t merged; /* our told part included */
    uint32_t local;
    uint32_t sent;
};

struct early_count {
    uint64_t rain; /* 0: unused */
    struct risk_count count;
};

struct user_node {
    int64_t user_id;
    UT_hash_handle hh;
    struct user_node *prev; /* least recently seen first */
    struct user_node *next;
    struct user_node *dirty_prev;
    struct user_node *dirty_next;
    bool dirty;
    struct risk_count rate;
    struct early_count early[RISK_RAINS_PER_USER];
    uint32_t early_next; /* which one is replaced */
    uint64_t address;    /* where he was counted last … */
    int64_t address_window;
    int64_t tapped_us; /* 0: no tap yet */
    uint32_t gap_us[RISK_STEADY_TAPS];
    uint32_t gaps; /* ever, since the series began */
};

struct address_node {
    uint64_t address;
    UT_hash_handle hh;
    struct address_node *prev;
    struct address_node *next;
    struct address_node *dirty_prev;
    struct address_node *dirty_next;
    bool dirty;
    int64_t window;
    int64_t merged;
    uint64_t *users; /* in order of arrival */
    uint32_t n;
    uint32_t alloc;
    uint32_t sent; /* how many of them were told */
};

struct risk_watch {
    struct risk_watch_opts opts;
    struct user_node *users; /* hash */
    struct user_node *users_lru;
    struct user_node *users_dirty;
    struct address_node *addresses; /* hash */
    struct address_node *addresses_lru;
    struct address_node *addresses_dirty;
    uint32_t members;
    uint64_t forgotten;
};

/* What is known over all workers. */
int64_t risk__count_seen(const struct risk_count *c);
void risk__user_dirty(struct risk_watch *w, struct user_node *u);

struct user_node *risk__user_find(struct risk_watch *w, int64_t user_id);
struct early_count *risk__early_find(struct user_node *u, uint64_t rain);
struct address_node *risk__address_find(struct risk_watch *w, uint64_t address);

/* Counts the user at his address; the number of users seen there, here or anywhere. */
int64_t risk__address_add(struct risk_watch *w, uint64_t address, int64_t window,
                          struct user_node *u);
void risk__addresses_fini(struct risk_watch *w);

/* Spread of the gaps in percent of their mean, or -1: too few, or not of a thumb's pace. */
int64_t risk__steady_pct(const struct user_node *u);

#endif
