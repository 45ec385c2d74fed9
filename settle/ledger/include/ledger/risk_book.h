/* risk_book.h - what risk control decided, in SQL: rows of rp_risk, marks that make settling hold a
 * user's grants, and what becomes of held ones. Money moves only by appended entries: a release is
 * `H:code:shard:no` (frozen -> balance), a reversal `T:code:shard:no` (frozen -> a named platform
 * account). Thread: the ledger's. */
#ifndef LEDGER_RISK_BOOK_H
#define LEDGER_RISK_BOOK_H

#include "ledger/ledger.h"
#include "rain/notify.h"

enum { RISK_ADDRESS_LEN = 16, RISK_ACCOUNT_MAX = 40, RISK_RULE_NAME_MAX = 24 };

/* ---- decisions of workers ---- */

enum risk_decision { RISK_DECIDED_DENY, RISK_DECIDED_MARK };

struct risk_note {
    enum risk_decision decision;
    enum risk_rule rule;
    int64_t user_id;
    char code[RR_CODE_LEN + 1];         /* "": of no rain */
    uint32_t seq;                       /* MARK: grants from this seq on are held */
    int64_t seen;                       /* what the rule measured */
    int64_t bound;                      /* what it allows */
    char address[RISK_ADDRESS_LEN + 1]; /* keyed hash in hex, "": none */
};

/* Rows for all of them and the marks, in one transaction: when this is RR_OK every transaction that
 * begins later sees the marks. n <= 1000. A mark there was stays, with the lower seq. */
RR_MUST_CHECK enum rr_err ledger_risk_note(struct ledger *l, const struct risk_note *notes,
                                           uint32_t n);

/* ---- held grants ---- */

struct risk_item {
    int64_t id;
    char decision[9]; /* deny, mark, hold */
    char state[9];    /* done; of hold: held, released, taken */
    char rule[RISK_RULE_NAME_MAX + 1];
    int64_t user_id;
    char code[RR_CODE_LEN + 1]; /* "": none */
    int64_t shard;              /* -1: none; so are no, seq, amount_fen */
    int64_t packet_no;
    int64_t seq;
    int64_t amount_fen;
    int64_t seen;
    int64_t bound;
    char address[RISK_ADDRESS_LEN + 1];
    char account[RISK_ACCOUNT_MAX + 1];
    int64_t created_at_ms;
    int64_t closed_at_ms; /* 0: not */
};

struct risk_query {
    int64_t user_id;   /* 0: any */
    const char *code;  /* NULL: any */
    const char *state; /* NULL: any */
    int64_t before_id; /* 0: the newest */
};
/* Newest first; n <= max. RR_BAD_REQUEST: no such code or state. */
RR_MUST_CHECK enum rr_err ledger_risk_list(struct ledger *l, const struct risk_query *q,
                                           struct risk_item *out, uint32_t max, uint32_t *n);

struct risk_packet {
    char code[RR_CODE_LEN + 1];
    uint32_t shard;
    uint32_t packet_no;
};

/* What a release or reversal did, for the answer and the push. */
struct risk_closed {
    char state; /* of the grant: 's' or 't' */
    int64_t user_id;
    int64_t amount_fen;
    uint32_t seq;
};

/* Both: RR_DUPLICATE: done before, the same way (*out filled). RR_CONFLICT: it is not held, or was
 * closed another way. RR_NOT_FOUND: no such grant. */
RR_MUST_CHECK enum rr_err ledger_risk_release(struct ledger *l, const struct risk_packet *p,
                                              struct risk_closed *out);
/* account: [A-Za-z0-9_.-]{1,40}, the name of a platform account; RR_BAD_REQUEST else. */
RR_MUST_CHECK enum rr_err ledger_risk_take_back(struct ledger *l, const struct risk_packet *p,
                                                const char *account, struct risk_closed *out);
/* Tells the user, if he is there: GRANT_SETTLED with the new state. */
RR_MUST_CHECK enum rr_err risk_closed_push(const struct rain_notify *notify,
                                           const struct risk_packet *p,
                                           const struct risk_closed *c);
bool risk_account_valid(const char *account);

#endif
