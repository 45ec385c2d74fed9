/* verify_sql.h - the invariants SQL can state by itself: each query lists what breaks one. */
#ifndef SETTLE_LEDGER_VERIFY_SQL_H
#define SETTLE_LEDGER_VERIFY_SQL_H

#include <stdbool.h>

enum verify_scope {
    VERIFY_CODE, /* narrowed to one rain by " AND <column> = 'CODE'" */
    VERIFY_BIZ,  /* narrowed to the grants of one rain in the log, by their biz ids */
    VERIFY_LOG,  /* narrowed to the log rows of one rain, by their biz ids */
    VERIFY_ALL,  /* only over the whole books */
    VERIFY_FULL  /* the same, and not in quick runs: conservation sees it too */
};

/* Rows: code, text, fen that are not where they should be. The narrowing goes between head and tail. */
struct verify_query {
    const char *invariant;
    enum verify_scope scope;
    const char *
        column; /* the code of the rain a row is about; "": of none alone, or of none that can be archived */
    bool money; /* fen counts for unaccounted_fen */
    const char *head;
    const char *tail;
};

/* Numbers become text in the charset of the connection: made ascii, so that keys can be used. */
#define ASCII(expr) "CONVERT(" expr " USING ascii) COLLATE ascii_bin"

/* Of rains and of the whole. */
extern const struct verify_query verify_queries[];
extern const unsigned verify_queries_n;
/* Of the log, of ends and tasks, of wallet operations. */
extern const struct verify_query verify_more[];
extern const unsigned verify_more_n;
/* Of campaigns of five cards. */
extern const struct verify_query verify_fu[];
extern const unsigned verify_fu_n;

#endif
