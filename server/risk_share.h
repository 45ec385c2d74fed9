/* risk_share.h - carries a worker's counts to the sums of all workers in Redis and back, every
 * 200 ms. Thread: the worker's loop. */
#ifndef SERVER_RISK_SHARE_H
#define SERVER_RISK_SHARE_H

#include "risk/watch.h"

struct worker;
struct risk_share_link;

struct risk_share_link *risk_share_create(struct worker *w, struct risk_watch *watch);
/* The store must be closed: no call may be open. */
void risk_share_destroy(struct risk_share_link *l);
void risk_share_tick(struct risk_share_link *l, const struct risk_rules *rules);

#endif
