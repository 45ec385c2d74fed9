/* settle.h - settling without an offset: what the users hash of a closed shard has and the books lack, and parked records. */
#ifndef SETTLE_LEDGER_SETTLE_H
#define SETTLE_LEDGER_SETTLE_H

#include "ledger/settle_batch.h"

/* The same function as ledger_settle() in every other way. n <= 1000. Records of an unknown rain are only counted. */
RR_MUST_CHECK enum rr_err ledger__settle_direct(struct ledger *l, const struct settle_item *items,
                                                uint32_t n, struct settle_outcome *out);

#endif
