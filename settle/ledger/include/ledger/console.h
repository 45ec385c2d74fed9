/* console.h - what an anchor's console reads and keeps beside the books: who did what in a room, templates of rains, the checker's
 * word on a rain. Thread and errors as ledger.h. Not here: winners (ledger_rain_grants, ledger_user_grants). */
#ifndef LEDGER_CONSOLE_H
#define LEDGER_CONSOLE_H

#include "ledger/ledger.h"

/* ---- who did what ---- */
enum { AUDIT_ACTION_MAX = 16, AUDIT_DETAIL_MAX = 239, AUDIT_RESULT_MAX = 24 };

struct audit_row {
    int64_t id;
    int64_t user_id; /* 0: the platform's backend */
    int64_t at_ms;
    int64_t ended_ms; /* 0: not known to have ended */
    char room_id[RR_ROOM_ID_MAX + 1];
    char code[RR_CODE_LEN + 1]; /* may be "" */
    char action[AUDIT_ACTION_MAX + 1];
    char detail[AUDIT_DETAIL_MAX + 1]; /* UTF-8 */
    char result[AUDIT_RESULT_MAX + 1]; /* "": not known to have ended */
};

/* Before the action: room_id, user_id, action, code, detail. Fills id and at_ms. With a result the row is complete at once. */
RR_MUST_CHECK enum rr_err ledger_audit_begin(struct ledger *l, struct audit_row *row);
/* After it: row's result, room_id and code as known now. */
RR_MUST_CHECK enum rr_err ledger_audit_end(struct ledger *l, const struct audit_row *row);
/* Of one room, newest first, older than before_id (0: from the newest). */
RR_MUST_CHECK enum rr_err ledger_audit_page(struct ledger *l, const char *room_id,
                                            int64_t before_id, struct audit_row *out, uint32_t max,
                                            uint32_t *n);

/* ---- templates ---- */
enum { TEMPLATES_MAX = 20, TEMPLATE_SPEC_MAX_BYTES = 1000 };

struct template_row {
    char name[RR_NAME_MAX_BYTES + 1];
    char spec[TEMPLATE_SPEC_MAX_BYTES + 1];
};

/* RR_FULL: the user has TEMPLATES_MAX others. */
RR_MUST_CHECK enum rr_err ledger_template_put(struct ledger *l, int64_t user_id,
                                              struct rr_slice name, struct rr_slice spec);
/* One that is not there is no error. */
RR_MUST_CHECK enum rr_err ledger_template_remove(struct ledger *l, int64_t user_id,
                                                 struct rr_slice name);
/* By name; out holds TEMPLATES_MAX. */
RR_MUST_CHECK enum rr_err ledger_template_list(struct ledger *l, int64_t user_id,
                                               struct template_row *out, uint32_t *n);

/* ---- the checker's word ---- */
struct rain_checked {
    int64_t at_ms;           /* when the check ran */
    int64_t findings;        /* 0: clean */
    int64_t unaccounted_fen; /* that the books cannot explain */
};

/* Of a rain that is over: what an earlier clean run left, or a run of now (verify.h's invariants on one snapshot: no row is locked, but
 * for a million packets it is half a minute of this connection; a clean one is remembered). RR_CONFLICT: the rain is not over. RR_NOT_FOUND. */
RR_MUST_CHECK enum rr_err ledger_rain_checked(struct ledger *l, const struct rain_info *r,
                                              struct rain_checked *out);

#endif
