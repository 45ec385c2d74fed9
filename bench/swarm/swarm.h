/* swarm.h - a crowd that obeys: thousands of sockets in one process and one thread, told by lines on stdin what to do and answering
 * each with one line of JSON. It knows no rains and remembers no money (that is crowd.h); it measures. The same program speaks to the
 * product, to the references and to the peers, so that all pay for the same client.
 * Latency counts from the time a request was due, not from when it could be sent: who is late counts as late. */
#ifndef BENCH_SWARM_H
#define BENCH_SWARM_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "crowd.h"
#include "hist.h"
#include "ws_client.h"

enum swarm_state {
    SWARM_OFFLINE,
    SWARM_CONNECTING,
    SWARM_ENTERING, /* open; HELLO, JOIN or what the dialect has instead is under way */
    SWARM_IN,
};

struct swarm;

struct swarm_conn {
    struct ws_client ws; /* first: handlers cast back */
    struct swarm *swarm;
    const struct user *user;
    uint32_t index;
    enum swarm_state state;
    uint32_t step;    /* of entering */
    uint32_t last_id; /* frame ids */
    uint32_t asked;   /* id of the request under way; 0: none */
    int64_t
        due_us; /* of the request under way; when entering: of the connect; when BUSY: when to come again */
    int64_t won;      /* grants of this run's rains, all together: what to ask for next */
    int64_t room_seq; /* last push with a position; -1: none yet */
};

/* What a server is spoken to in. entered() is called by swarm_entered(). */
struct dialect {
    const char *name;
    const char *subprotocol; /* NULL: none is offered */
    bool text;
    void (*open)(struct swarm_conn *c);
    void (*message)(struct swarm_conn *c, struct rr_slice bytes, int64_t now_us);
};
const struct dialect *dialect_by_name(const char *name);

struct swarm_opts {
    const char *url, *origin, *tokens_file, *room;
    const struct dialect *dialect;
    uint32_t n;        /* sockets */
    uint32_t entering; /* at most so many half way */
};

enum { BCASTS_MAX = 4096, SWARM_CODES = 32, SWARM_RAINS = 32, SWARM_CODE_BYTES = 65 };

/* One broadcast as its receivers saw it, by the stamp in its payload. */
struct bcast {
    int64_t stamp_us;
    uint32_t n;
    int64_t first_us, last_us;
};

struct swarm_seen {
    uint64_t pushes, deliveries, bytes, gaps, repeats; /* deliveries: with a stamp */
    struct hist delay_us;
    struct bcast bcasts[BCASTS_MAX]; /* ring by order of first sight */
    uint32_t bcasts_n;
};

enum swarm_kind { SWARM_GRAB, SWARM_PING };

/* A load: so many requests a second (0: as fast as the answers come), on the first `conns` sockets. Who is told BUSY comes again
 * when the answer says. */
struct swarm_run {
    enum swarm_kind kind;
    int64_t begun_us, until_us, give_up_us;
    double per_s;
    uint32_t conns;
    char codes[SWARM_RAINS][SWARM_CODE_BYTES]; /* rains, one after the other */
    uint32_t codes_n;
    int64_t each; /* wins of a socket before it goes on to the next rain; 0: stays */
    uint64_t due, sent, answered, ok, pending, under_way, lost_conns;
    uint64_t results[SWARM_CODES]; /* by code of the answer */
    struct hist ok_us, other_us;
    uint32_t
        *idle; /* ring of sockets without a request; without per_s: of those that were told BUSY */
    uint32_t idle_head, idle_n;
    bool active;
};

struct swarm_storm {
    int64_t begun_us, until_us;
    uint64_t entered, failed;
    struct hist enter_us;
    bool active;
};

struct swarm {
    const struct swarm_opts *opts;
    struct ws_net net;
    struct user *users;
    uint32_t n_users;
    struct swarm_conn *conns;
    uint32_t started, in, half_way;
    uint64_t dropped; /* sockets the server closed */
    int last_code;
    uint32_t source_no;
    int64_t begun_us;
    bool ready_told, quit;
    struct swarm_seen seen;
    struct swarm_run run;
    struct swarm_storm storm;
};

/* Until stdin ends or says quit. */
RR_MUST_CHECK enum rr_err swarm_main_loop(const struct swarm_opts *opts,
                                          const volatile sig_atomic_t *stop);
/* redrain-bench swarm …: argv[0] is "swarm". */
int swarm_cli(int argc, char **argv, const volatile sig_atomic_t *stop);

void swarm_connect(struct swarm_conn *c, int64_t now_us);
void swarm_entered(struct swarm_conn *c, int64_t now_us);
void swarm_send(struct swarm_conn *c, const struct rr_buf *b);
/* A payload arrived: every "@" and 16 digits in it is a broadcast's stamp. */
void swarm_stamps(struct swarm_conn *c, struct rr_slice bytes, int64_t now_us);

/* swarm_load.c */
void swarm_run_begin(struct swarm *s, int64_t now_us);
void swarm_run_step(struct swarm *s, int64_t now_us);
int64_t swarm_run_next_us(const struct swarm *s, int64_t now_us);
/* code: of the answer; PENDING leaves the request under way. retry_after_ms: what a BUSY said, or 0. */
void swarm_answer(struct swarm_conn *c, uint32_t id, int64_t code, int64_t retry_after_ms,
                  int64_t now_us);
void swarm_run_lost(struct swarm_conn *c);

/* swarm_report.c: the lines on stdout. */
void swarm_say_ready(const struct swarm *s, int64_t now_us);
void swarm_say_seen(const struct swarm *s);
void swarm_say_run(const struct swarm *s, int64_t now_us);
void swarm_say_storm(const struct swarm *s, int64_t now_us);

#endif
