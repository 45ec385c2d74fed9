/* settler_impl.h - struct settler and what settler.c and start.c share. */
#ifndef SETTLE_SETTLER_SETTLER_IMPL_H
#define SETTLE_SETTLER_SETTLER_IMPL_H

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
    atomic_bool *reload;    /* may be NULL */
    struct risk_cell rules; /* of every thread's ledger */
    char name[65];
    struct ledger *ledger;
    struct consumer *consumer;
    struct tasks *tasks;
    struct grant_log log;
    struct part *parts;
    uint32_t parts_n;
    struct settle_item *items; /* scratch of one batch */
    int64_t reread_us;         /* when idle partitions look at the books again */
    struct rr_settler_metrics metrics;
    _Atomic int64_t lag_ms;
    struct rr_ratelog fail_log;
};

/* Where a partition goes on: rp_offset, or its low watermark when there is no row or the row is outside the log.
 * RR_CONFLICT: somebody else moved the row meanwhile, or has the partition; look again. */
RR_MUST_CHECK enum rr_err settler__resolve(struct settler *s, int32_t partition, int64_t *next);
/* A gap in the log: an alarm and a row of rp_check. */
void settler__finding(struct settler *s, int32_t partition, const char *what, int64_t from,
                      int64_t to);
/* Rate-limited line about a dependency that fails. */
void settler__complain(struct settler *s, const char *what, enum rr_err err);
/* MySQL with its schema, Kafka with its topic, Redis; says what it waits for. RR_CONFIG: waiting would not help. */
RR_MUST_CHECK enum rr_err settler__wait_all(struct settler *s);
/* host-pid, of the characters a worker name may have. */
void settler__name(char *out, size_t cap);

#endif
