/* verify_impl.h - one run of the checker, shared by its files. */
#ifndef SETTLE_LEDGER_VERIFY_IMPL_H
#define SETTLE_LEDGER_VERIFY_IMPL_H

#include "ledger_impl.h"
#include "verify_sql.h"

enum {
    VERIFY_FINDINGS_MAX = 1000,      /* kept in rp_finding; all are counted */
    VERIFY_AGAIN_MS = 86400000,      /* an ended rain is checked again after this */
    VERIFY_CLEAN_MAX_BYTES = 4 << 20 /* codes to mark in one run; the rest is marked by the next */
};

struct check {
    struct ledger *l;
    const char *code; /* NULL: all */
    bool quick;
    bool has_archive;         /* rains were moved out */
    bool archive;             /* this pass reads them */
    int64_t rains;            /* seen */
    int64_t checked_after_ms; /* quick: rains marked later than this are left out */
    ledger_finding_fn fn;
    void *arg;
    int64_t findings;
    int64_t unaccounted_fen;
    int64_t wrong_fen; /* of amounts */
    struct ledger_finding *kept;
    struct rr_buf detail;
    struct rr_buf clean; /* codes of ended rains without a finding, one after the other */
};

void verify__found(struct check *c, const char *invariant, struct rr_slice code,
                   struct rr_slice text, int64_t fen);
void verify__missing(struct check *c, int64_t fen);
/* An ended rain whose amounts are right; noted unless a query had a finding of it. */
void verify__clean(struct check *c, const char *code);
/* Amounts of grants, escrows and refunds against the seed, rain by rain. */
RR_MUST_CHECK enum rr_err verify__amounts(struct check *c);
RR_MUST_CHECK enum rr_err verify__run(struct check *c, int64_t *unaccounted_fen);

#endif
