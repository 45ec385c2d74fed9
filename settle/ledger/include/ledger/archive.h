/* archive.h - moves rains that are long over out of the live tables: config, escrow, grants, done steps. The log stays: it is the
 * history of every wallet. Copied first, then moved over in one short transaction, then deleted, each in transactions of a bounded
 * size: at any instant either the live rows or the archived ones of a rain are whole. May end or die anywhere and go on later.
 * What is archived is still read: grants of a user and of a rain, rains by code, duplicates of their records, the checker. */
#ifndef LEDGER_ARCHIVE_H
#define LEDGER_ARCHIVE_H

#include "ledger/ledger.h"

enum { ARCHIVE_ROWS = 5000 }; /* of one transaction */

struct archive_opts {
    int64_t before_ms;       /* SETTLED or CANCELLED before this, by the wall clock */
    int64_t audit_before_ms; /* rows of rp_audit older than this go; 0: none */
    int64_t max_rows;        /* rows copied or deleted by this run; 0: no bound */
    /* code, and why it stays or NULL when it was moved. May be NULL. */
    void (*tell)(void *arg, const char *code, const char *why);
    void *arg;
};

struct archive_outcome {
    uint32_t moved; /* rains */
    uint32_t kept;
    int64_t grants;
    int64_t pruned; /* refused creates and audit rows */
    bool more;      /* max_rows ended it; run it again */
};

/* Kept are: rains with held grants, open steps, open rows in rp_dead or rp_conflict, or whose grants are not what the escrow
 * says. */
RR_MUST_CHECK enum rr_err ledger_archive(struct ledger *l, const struct archive_opts *o,
                                         struct archive_outcome *out);

#endif
