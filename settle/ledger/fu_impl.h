/* fu_impl.h - what the files of 集五福 share. */
#ifndef SETTLE_LEDGER_FU_IMPL_H
#define SETTLE_LEDGER_FU_IMPL_H

#include "ledger/fu_book.h"
#include "ledger_impl.h"
#include "task.h"

/* Locks the row when it is to change. RR_NOT_FOUND. */
RR_MUST_CHECK enum rr_err fu__read(struct ledger *l, const char *code, bool lock,
                                   struct fu_campaign *out);
/* stock, weight and left of each kind. */
RR_MUST_CHECK enum rr_err fu__read_cards(struct ledger *l, struct fu_campaign *c);
/* Makes the user's row if there is none, and holds it. Counters of another day are 0. */
RR_MUST_CHECK enum rr_err fu__lock_user(struct ledger *l, const char *code, int64_t user_id,
                                        int32_t day, struct fu_user *out);
RR_MUST_CHECK enum rr_err fu__write_user(struct ledger *l, const char *code, int64_t user_id,
                                         int32_t day, const struct fu_user *u);
int32_t fu__today(const struct ledger *l);

/* Inside the create of the winners' packet: the pool's account pays. RR_CONFLICT: it has been shared or given back. */
RR_MUST_CHECK enum rr_err fu__pool_pays(struct ledger *l, const char *fu_code,
                                        const char *rain_code, int64_t total_fen);
enum { FU_ACCOUNT_MAX = 32 };
void fu__account(const char *code, char out[FU_ACCOUNT_MAX]); /* "fu:<code>" */

#endif
