/* ledger_impl.h - struct ledger and what its files share. */
#ifndef SETTLE_LEDGER_LEDGER_IMPL_H
#define SETTLE_LEDGER_LEDGER_IMPL_H

#include "base/buf.h"
#include "db.h"
#include "ledger/ledger.h"
#include "ledger/settle_batch.h"
#include "ledger/wallet_op.h"
#include "rain_cache.h"

struct ledger {
    struct db *db;
    struct rain_cache cache;       /* amounts of rains, for settling and checking */
    const struct risk_cell *rules; /* may be NULL */
    struct rr_buf sql;             /* scratch of one statement; empty between statements */
    uint64_t retries;              /* transactions run again after a deadlock */
    uint64_t slow_batches;         /* batches that left the fast path */
};

/* One transaction: fn's statements, COMMIT when it returns RR_OK, ROLLBACK else. A deadlock runs it again (a few times).
 * fn must therefore start from its arguments alone. RR_UNAVAILABLE from COMMIT: outcome unknown. */
typedef enum rr_err (*ledger_tx_fn)(struct ledger *l, void *arg);
RR_MUST_CHECK enum rr_err ledger__tx(struct ledger *l, ledger_tx_fn fn, void *arg);

int64_t ledger__now_ms(void);

/* ---- double entry: rows of one multi-row INSERT into account_log in l->sql ----
 * Every string must be free of quotes: constants, codes, numbers. after < 0: NULL. */
enum { LEDGER_NO_AFTER = -1 };
struct log_row {
    const char *kind; /* balance, frozen, escrow, external, platform */
    const char *account_id;
    int64_t delta;
    int64_t after;
    const char *biz_type;
    const char *biz_id;
    uint32_t leg;
};
void ledger__log_begin(struct rr_buf *sql);
void ledger__log_add(struct rr_buf *sql, const struct log_row *row, int64_t now_ms);

/* ---- rows of t_red_packet_config ---- */
/* Locks the row of an existing rain in the current transaction and reads it. RR_NOT_FOUND. */
RR_MUST_CHECK enum rr_err ledger__rain_lock(struct ledger *l, const char *code,
                                            struct rain_info *out);
/* Status change inside a transaction that holds the row. RR_CONFLICT: it is not in `from`. */
RR_MUST_CHECK enum rr_err ledger__rain_status(struct ledger *l, const char *code,
                                              enum rain_status from, enum rain_status to);
RR_MUST_CHECK enum rr_err ledger__rain_find(struct ledger *l, int64_t sender_id, const char *biz_id,
                                            struct rain_info *out, uint8_t payload_hash[32]);

/* ---- risk ---- */
/* Within a create, when the sender's wallet is locked and the rain's row is there: RR_NOT_ELIGIBLE when his rains of the day
 * are more than he may send. */
RR_MUST_CHECK enum rr_err ledger__risk_create(struct ledger *l, int64_t sender_id, int64_t now_ms,
                                              int64_t *day_fen);
/* After its rollback: log line and row. */
void ledger__risk_create_denied(struct ledger *l, int64_t sender_id, int64_t day_fen);

/* ---- wallets ---- */
/* balance += delta (delta > 0), inserting the row if needed; *after is the new balance. In a transaction. */
RR_MUST_CHECK enum rr_err ledger__wallet_add(struct ledger *l, int64_t user_id, int64_t delta_fen,
                                             int64_t *after_fen);
/* balance -= amount, with the wallet locked; *after is the new balance. RR_NO_MONEY. In a transaction. */
RR_MUST_CHECK enum rr_err ledger__take_balance(struct ledger *l, int64_t user_id,
                                               int64_t amount_fen, int64_t *after_fen);
/* As ledger_wallet_op(), with any printable biz id: deposits take more than the HTTP header does. */
RR_MUST_CHECK enum rr_err ledger__wallet_op(struct ledger *l, const struct wallet_request *r,
                                            struct wallet_done *out);

#endif
