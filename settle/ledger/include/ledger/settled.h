/* settled.h - what follows a COMMIT of grants: the users hear GRANT_SETTLED, the statistics in
 * Redis follow SQL. Not promises: a user can ask MY_GRANTS, the next call for the same rain or user
 * repairs the statistics. */
#ifndef LEDGER_SETTLED_H
#define LEDGER_SETTLED_H

#include "ledger/settle_batch.h"
#include "rain/notify.h"
#include "rain/pool.h"

/* One push_users() per RR_SETTLED_PUSH_MAX credits. */
enum { RR_SETTLED_PUSH_MAX = 500 };
RR_MUST_CHECK enum rr_err settled_push(const struct rain_notify *notify,
                                       const struct settle_credit *credits, uint32_t n);
/* Totals of the rains named in credits, read from SQL, set if greater. n <= 10,000. */
RR_MUST_CHECK enum rr_err settled_rains(struct ledger *l, const struct pool_admin *pool,
                                        const struct settle_credit *credits, uint32_t n);
/* Totals of users over all rains, likewise. Repeats are harmless. n <= 10,000. */
RR_MUST_CHECK enum rr_err settled_users(struct ledger *l, const struct pool_admin *pool,
                                        const int64_t *user_ids, uint32_t n);

#endif
