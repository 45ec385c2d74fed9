/* settler_impl.h - struct settler and what settler.c, lanes.c and start.c share.
 * The main thread fetches and owns the array of partitions; lanes settle, each on a connection of its own. */
#ifndef SETTLE_SETTLER_SETTLER_IMPL_H
#define SETTLE_SETTLER_SETTLER_IMPL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/log.h"
#include "base/metrics.h"
#include "consumer.h"
#include "ledger/settle_batch.h"
#include "part.h"
#include "tasks.h"

enum { GAP_SEEKS = 3, POLL_MAX_MS = 100, FETCH_MAX = 4000, REREAD_US = 1000000 };

struct settler {
    struct rr_conf *conf;
    const atomic_bool *stop;
    atomic_bool end;        /* the main thread ends, for whatever reason */
    atomic_bool *reload;    /* may be NULL */
    struct risk_cell rules; /* of every thread's ledger */
    char name[65];
    struct ledger *ledger; /* [main] */
    struct consumer *consumer;
    struct tasks *tasks;
    struct grant_log log;
    pthread_mutex_t mu;
    pthread_cond_t due;  /* lanes wait for something to settle */
    pthread_cond_t idle; /* the main thread waits for a partition that is busy */
    struct part *parts;  /* {mu}; only the main thread adds and removes, and never a busy one */
    uint32_t parts_n;    /* {mu} */
    uint32_t turn;       /* {mu} where the next lane starts to look */
    int64_t reread_us;   /* {mu} when idle partitions look at the books again */
    struct lanes *lanes;
    struct rr_settler_metrics metrics;
    _Atomic int64_t lag_ms;
    struct rr_ratelog fail_log; /* [main] */
};

/* Where a partition goes on: rp_offset, or its low watermark when there is no row or the row is outside the log.
 * RR_CONFLICT: somebody else moved the row meanwhile, or has the partition; look again. */
RR_MUST_CHECK enum rr_err settler__resolve(struct settler *s, int32_t partition, int64_t *next);
/* A gap in the log: an alarm and a row of rp_check. */
void settler__finding(struct settler *s, int32_t partition, const char *what, int64_t from,
                      int64_t to);
/* Rate-limited line about a dependency that fails. */
void settler__complain(struct rr_ratelog *log, const struct ledger *l, const char *what,
                       enum rr_err err);
/* A connection of its own, with the options of all. */
RR_MUST_CHECK enum rr_err settler__ledger(struct settler *s, struct ledger **out);
struct part *settler__part(struct settler *s, int32_t id);
int64_t settler__now_us(void);
static inline bool settler__stopping(const struct settler *s)
{
    return atomic_load(s->stop) || atomic_load(&s->end);
}

/* ---- lanes.c ---- */
/* settler.connections threads that settle what is due. */
RR_MUST_CHECK enum rr_err lanes_start(struct settler *s);
/* They end by themselves when the settler stops; each batch under way is finished. NULL-safe. */
void lanes_join(struct lanes *lanes);
/* p has more to settle, or is free again: wakes a lane. With s->mu held. */
void lanes_wake(struct settler *s);
/* MySQL with its schema, Kafka with its topic, Redis; says what it waits for. RR_CONFIG: waiting would not help. */
RR_MUST_CHECK enum rr_err settler__wait_all(struct settler *s);
/* host-pid, of the characters a worker name may have. */
void settler__name(char *out, size_t cap);

#endif
