/* purse.h - what one user was told, per rain, over all his sockets: the memory that finds a win
 * told twice. Owner: the crowd (one struct user per token line). */
#ifndef BENCH_PURSE_H
#define BENCH_PURSE_H

#include <stdbool.h>
#include <stdint.h>

#include "rain_view.h"

struct grant {
    int64_t seq;
    int64_t shard;
    int64_t packet_no;
    int64_t amount_fen;
};

struct purse_entry {
    struct grant grant;
    bool told;
    bool pending;    /* PENDING was answered once */
    bool unanswered; /* a GRAB of it got no answer once */
    bool counted;    /* scratch of the final count */
};

struct purse {
    const struct rain_view *rain;
    struct purse_entry *entry; /* index = seq */
    uint32_t n;
};

struct user {
    char *id;    /* decimal */
    char *token; /* secret: never printed */
    struct purse *purse;
    uint32_t n_purses;
    uint64_t wins; /* distinct (rain, seq) told */
};

enum purse_news {
    PURSE_NEW,
    PURSE_SAME,    /* told before, the same packet */
    PURSE_DIFFERS, /* told before, another packet or amount: evidence of a bug */
};

enum { PURSE_SEQ_MAX = 1 << 20 };

/* The entry of (rain, seq), made when missing; NULL when seq is outside [0, PURSE_SEQ_MAX). Valid
 * until the next call. */
struct purse_entry *user_entry(struct user *u, const struct rain_view *rain, int64_t seq);
/* g->seq must be inside the range. The first told grant is kept. */
enum purse_news user_told(struct user *u, const struct rain_view *rain, const struct grant *g);
void user_fini(struct user *u);

#endif
