/* result_hist.h - how many packets of a rain were larger than a given one, small enough for a push. */
#ifndef RR_LEDGER_RESULT_HIST_H
#define RR_LEDGER_RESULT_HIST_H

#include <stdint.h>

enum { RESULT_HIST_MAX = 64 };

/* n packets had at most hi_fen, and more than the next step's hi_fen. */
struct hist_step {
    int64_t hi_fen;
    uint32_t n;
};

/* amounts_fen: descending, at most RR_PACKETS_MAX. Returns how many steps there are. Steps are as fine as the place needs it: one for
 * each amount while they fit, else each holds about a third of what is above it, so that a place read from them is off by at most
 * that. Equal amounts are never divided. */
uint32_t result_hist(const int64_t *amounts_fen, uint32_t n, struct hist_step out[RESULT_HIST_MAX]);

#endif
