/* wins_log.h - the evidence files: FILE has one JSON line per win a viewer was told, FILE.pending
 * one per (user, seq) whose outcome was ever open. Flushed when the process ends and once per
 * second, so that a killed crowd loses little. Owner: the crowd. */
#ifndef BENCH_WINS_LOG_H
#define BENCH_WINS_LOG_H

#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "purse.h"

struct wins_log {
    FILE *wins; /* NULL: nothing is written */
    FILE *pending;
};

/* path NULL: writes nowhere. RR_SYSTEM: a file cannot be made, errno says why. */
RR_MUST_CHECK enum rr_err wins_log_open(struct wins_log *w, const char *path);
/* t_ms: wall clock. */
void wins_log_told(struct wins_log *w, const char *user, const char *code, const struct grant *g,
                   int64_t t_ms);
void wins_log_pending(struct wins_log *w, const char *user, const char *code, int64_t seq,
                      int64_t t_ms);
void wins_log_flush(struct wins_log *w);
/* RR_SYSTEM: some line could not be written (disk full): the files are no evidence. */
RR_MUST_CHECK enum rr_err wins_log_close(struct wins_log *w);

#endif
