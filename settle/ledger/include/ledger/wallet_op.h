/* wallet_op.h - the wallet service: deposit, withdraw, debit, refund, freeze, unfreeze, transfer.
 * Each is one transaction with two legs in account_log, named by a biz id that is good for ever: the same request again gets
 * the stored answer, byte for byte; another request under the same biz id is RR_CONFLICT. A refusal (no money, nothing to give
 * back) moves nothing and is not stored: the same biz id may succeed later.
 * Lock order: wallets ascending, log, operation. Blocking; one thread per ledger. */
#ifndef LEDGER_WALLET_OP_H
#define LEDGER_WALLET_OP_H

#include "ledger/ledger.h"
#include "ledger/wallet_op_map.h"

enum wallet_op {
    WALLET_NONE = 0,
#define X(name, text, log, from, to_account, to, of) WALLET_##name,
    WALLET_OP_MAP(X)
#undef X
        WALLET_OP_COUNT
};

enum { WALLET_ANSWER_MAX = 400 };

/* Largest balance: JSON numbers stay exact, and no sum of wallets overflows. */
#define WALLET_FEN_MAX INT64_C(9000000000000000)

struct wallet_request {
    enum wallet_op op;
    int64_t user_id;
    int64_t to_user_id; /* TRANSFER; else 0 */
    int64_t amount_fen;
    char biz_id[RR_BIZ_ID_MAX + 1];
    char of[RR_BIZ_ID_MAX + 1]; /* REFUND: biz id of the debit; UNFREEZE: of the freeze; else "" */
};

struct wallet_done {
    char answer[WALLET_ANSWER_MAX]; /* JSON object and a newline */
    struct wallet wallet;           /* user_id's, after the operation as first done */
    const char *field;              /* refused: which field; may be NULL */
    const char *reason;             /* refused: why; may be NULL */
};

enum wallet_op wallet_op_parse(struct rr_slice name); /* WALLET_NONE: no such operation */
const char *wallet_op_name(enum wallet_op op);
bool wallet_op_has_to(enum wallet_op op);
bool wallet_op_has_of(enum wallet_op op);
/* Printable ASCII without space, quote and backslash, 1 to RR_BIZ_ID_MAX bytes. */
bool wallet_key_valid(struct rr_slice key);

/* RR_OK: done. RR_DUPLICATE: was done before, answer is the first one. RR_CONFLICT: another payload under this biz id, or
 * more than is left to give back, or the wallet would grow past WALLET_FEN_MAX. RR_NO_MONEY. RR_NOT_FOUND: no such
 * operation to give back. RR_BAD_REQUEST: user or amount out of range, a transfer to oneself, a field too many. */
RR_MUST_CHECK enum rr_err ledger_wallet_op(struct ledger *l, const struct wallet_request *r,
                                           struct wallet_done *out);

/* ---- the log of a wallet ---- */
struct wallet_log_row {
    int64_t id;
    bool frozen; /* of the frozen part; else of the balance */
    int64_t delta_fen;
    int64_t before_fen; /* -1: not noted */
    int64_t after_fen;
    int64_t at_ms;
    char biz_type[17];
    char biz_id[81];
};
/* Newest first, ids below before_id (0: from the newest); n <= max. */
RR_MUST_CHECK enum rr_err ledger_wallet_log(struct ledger *l, int64_t user_id, int64_t before_id,
                                            struct wallet_log_row *out, uint32_t max, uint32_t *n);

#endif
