/* bans.h - who may not come in, in SQL: users, and addresses as keyed hashes. A ban ends at its time or
 * is lifted; its row stays. Thread: the ledger's. */
#ifndef LEDGER_BANS_H
#define LEDGER_BANS_H

#include "ledger/ledger.h"

enum ban_scope { BAN_USER, BAN_ADDRESS, BAN_SCOPES };
enum {
    BAN_SUBJECT_MAX = 19, /* a user id; of an address 16 hex digits */
    BAN_REASON_MAX = 200, /* bytes */
    BAN_WHO_MAX = 64,
};

struct ban_row {
    int64_t id;
    enum ban_scope scope;
    uint64_t who; /* user id, or hash of an address; never 0 */
    int64_t created_at_ms;
    int64_t until_ms; /* INT64_MAX: for good */
    char reason[BAN_REASON_MAX + 1];
    char made_by[BAN_WHO_MAX + 1];
};

const char *ban_scope_name(enum ban_scope scope);
bool ban_scope_parse(struct rr_slice name, enum ban_scope *out);
/* As it is written in SQL, on the wire and in logs. */
void ban_subject_print(enum ban_scope scope, uint64_t who, char out[BAN_SUBJECT_MAX + 1]);
RR_MUST_CHECK enum rr_err ban_subject_parse(enum ban_scope scope, struct rr_slice text,
                                            uint64_t *out);

/* From now on; an open ban of the same subject ends with it. b->id and created_at_ms are filled. */
RR_MUST_CHECK enum rr_err ledger_ban_add(struct ledger *l, struct ban_row *b);
/* RR_NOT_FOUND: there is none that holds. */
RR_MUST_CHECK enum rr_err ledger_ban_lift(struct ledger *l, enum ban_scope scope, uint64_t who,
                                          const char *lifted_by);
/* Those that hold now, the newest first, at most max. */
typedef void (*ledger_ban_fn)(void *arg, const struct ban_row *b);
RR_MUST_CHECK enum rr_err ledger_ban_each(struct ledger *l, uint32_t max, ledger_ban_fn fn,
                                          void *arg);

#endif
