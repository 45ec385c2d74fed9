/* wallet_op_map.h - what a platform can do to a wallet: one row each. Each moves an amount from one account to another.
 * log: biz_type of its legs. to: the receiving user is named. of: an earlier operation it gives back, all or in part. */
#ifndef LEDGER_WALLET_OP_MAP_H
#define LEDGER_WALLET_OP_MAP_H

/* X(NAME, name, log, from, to account, to, of) */
#define WALLET_OP_MAP(X)                                                                           \
    X(DEPOSIT, "deposit", "deposit", EXTERNAL, BALANCE, false, NONE)                               \
    X(WITHDRAW, "withdraw", "withdraw", BALANCE, EXTERNAL, false, NONE)                            \
    X(DEBIT, "debit", "debit", BALANCE, PLATFORM, false, NONE)                                     \
    X(REFUND, "refund", "debit-refund", PLATFORM, BALANCE, false, DEBIT)                           \
    X(FREEZE, "freeze", "freeze", BALANCE, FROZEN, false, NONE)                                    \
    X(UNFREEZE, "unfreeze", "unfreeze", FROZEN, BALANCE, false, FREEZE)                            \
    X(TRANSFER, "transfer", "transfer", BALANCE, BALANCE, true, NONE)

#endif
