/* supervisor_private.h - struct supervisor, shared by supervisor.c (life, signals, another generation), supervisor_children.c
 * (starting, ending and telling children) and supervisor_conf.c (what they are configured with). */
#ifndef SERVER_SUPERVISOR_PRIVATE_H
#define SERVER_SUPERVISOR_PRIVATE_H

#include <sys/types.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "limit_map.h"
#include "risk/address.h"
#include "risk_guard.h"
#include "supervisor.h"
#include "upgrade.h"

enum { RESTART_MIN_MS = 100 /* doubles while a child keeps dying young */ };

struct child {
    const char *role;
    int slot;      /* of the metrics mapping */
    int listen_fd; /* -1: closed, opened again at the next start */
    const char *host;
    int64_t port;
    pid_t pid; /* 0: not running */
    int64_t started_us;
    int64_t restart_at_us;
    int64_t backoff_ms;
    int64_t leave_at_us; /* asked to leave alone: when its socket is shut; 0: not asked */
    int64_t kill_at_us;
};

struct supervisor {
    struct rr_conf *conf;
    char **argv;
    struct rr_metrics_mapping metrics;
    struct limit_map limits;
    struct child *children;
    uint32_t n;
    bool stopping;
    uint32_t stops; /* signals to stop so far */
    bool admin_stops;
    bool accepts;            /* children accept; false: a new generation that is not ready yet */
    struct inherited before; /* what the generation before us handed down */
    struct upgrade_taken took;
    struct upgrade upgrade; /* the generation after us, while it starts */
    bool told_up;           /* the service manager, and what of */
    bool told_ready;
    int64_t watchdog_at_us;
    int64_t leave_at_us; /* when the listening sockets are shut */
    int64_t kill_at_us;
    int signal_fd;
    int conf_fd; /* conf as children get it */
    bool conf_good;
    int64_t conf_taken_s;
    int64_t tls_expiry_s;                  /* 0: no TLS */
    char risk_key[2 * RISK_KEY_BYTES + 1]; /* hex; the same for all workers */
};

static inline int64_t supervisor__now_us(void)
{
    return rr_mono_us(rr_clock_system());
}

void supervisor__child_start(struct supervisor *s, struct child *c);
/* Books what it left behind and plans its successor. */
void supervisor__child_ended(struct supervisor *s, pid_t pid, int status);
void supervisor__signal_children(const struct supervisor *s, int signum);
void supervisor__signal_workers(const struct supervisor *s, int signum);
/* Asked to leave once more, one that leaves already would hurry. */
void supervisor__ask_to_leave(const struct child *c, int signum);
uint32_t supervisor__workers_alive(const struct supervisor *s);
bool supervisor__all_ended(const struct supervisor *s);

/* In the admin child's slot: the same for the whole server. A child that ends takes its gauges along. */
void supervisor__conf_gauges(struct supervisor *s);
/* What conf says is in force from now on, also for children that start later. */
enum rr_err supervisor__conf_publish(struct supervisor *s);
/* SIGHUP. Nothing changes anywhere unless all of it is in order. */
void supervisor__reload(struct supervisor *s);

#endif
