/* opts_check.h - what both sides refuse in their options. */
#ifndef STORE_OPTS_CHECK_H
#define STORE_OPTS_CHECK_H

#include "store/redis_url.h"
#include "store/store_opts.h"

/* RR_CONFIG: url, namespace, worker name or the sentinels' name of the primary malformed, or not of this topology. */
RR_MUST_CHECK enum rr_err store__opts_check(const struct store_opts *o, struct redis_url *url);

#endif
