/* rain_rules.h - the part of a create that belongs to a packet's kind. */
#ifndef SETTLE_LEDGER_RAIN_RULES_H
#define SETTLE_LEDGER_RAIN_RULES_H

#include "ledger_impl.h"

enum {
    RAIN_PREPARE_LEAD_MS = 60000, /* a scheduled one is prepared this long before */
    RAIN_START_LEAD_MS = 10000,   /* and its countdown begins */
    RAIN_LATE_MS = 3000,          /* countdown of one whose time has passed */
};

/* Inside the create transaction, after the row: caps, budget, named users, the tasks that start and expire it. */
RR_MUST_CHECK enum rr_err ledger__rain_rules(struct ledger *l, const struct rain_info *r);
/* The ids that sql, a literal with one ? for the code, selects: in its order, the caller's to free, NULL for none. */
RR_MUST_CHECK enum rr_err ledger__user_ids(struct ledger *l, const char *sql, const char *code,
                                           int64_t **ids, uint32_t *n);

#endif
