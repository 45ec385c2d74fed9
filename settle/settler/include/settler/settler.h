/* settler.h - the program redrain-settler without its main: consumes granted packets, brings them into the books, runs the
 * steps of rains that are due, checks the books. Any number of settlers may run.
 * Guarantees: a record is settled exactly once, whatever is restarted; a dependency that is down is waited for, for ever. */
#ifndef SETTLER_SETTLER_H
#define SETTLER_SETTLER_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/conf.h"
#include "base/err.h"

/* Runs until *stop, then finishes the batch it is in. RR_OK: stopped. RR_CONFIG: conf is unusable (logged). */
RR_MUST_CHECK enum rr_err settler_run(struct rr_conf *conf, const atomic_bool *stop,
                                      atomic_bool *reload);

#endif
