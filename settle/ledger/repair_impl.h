/* repair_impl.h - what the files of repair share. */
#ifndef SETTLE_LEDGER_REPAIR_IMPL_H
#define SETTLE_LEDGER_REPAIR_IMPL_H

#include "ledger/repair.h"
#include "saga_impl.h"

/* A plan in the making. */
struct planning {
    struct ledger *l;
    const struct repair_ask *ask;
    struct repair_plan *plan;
    struct rain_info rain; /* of ask->code */
    struct escrow_row shards[RR_SHARDS_MAX];
};

/* A new entry at the end; NULL when the plan is full. */
struct repair_entry *repair__add(struct planning *p, enum repair_kind kind);
__attribute__((format(printf, 2, 3))) void repair__note(struct planning *p, const char *fmt, ...);

enum repair_choice { CHOICE_NONE, CHOICE_ACCEPT, CHOICE_REJECT };
enum repair_choice repair__choice(const struct repair_ask *ask, const char *claim);

/* Open rows of rp_conflict and rp_dead, and what only the users hashes have. */
RR_MUST_CHECK enum rr_err repair__records(struct planning *p);
/* Missing refunds, voids without one, ends that nobody brings about. */
RR_MUST_CHECK enum rr_err repair__ends(struct planning *p);
RR_MUST_CHECK enum rr_err repair__wallets(struct planning *p);

/* Does one entry; repeatable. RR_CONFLICT: the books have changed since the plan. */
RR_MUST_CHECK enum rr_err repair__do(struct ledger *l, const struct repair_entry *e);
/* What the entry is about, as it is now. */
RR_MUST_CHECK enum rr_err repair__observe(struct ledger *l, const struct repair_entry *e, char *out,
                                          size_t cap);

#endif
